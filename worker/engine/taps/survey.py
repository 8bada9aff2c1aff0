"""All taps of a network, found by a pass. B = batch."""

from torch import nn

from app.contract.architectures import Family
from app.contract.taps import Tap
from worker.engine.data.samples import Inputs, Tokens
from worker.engine.taps.feature import Feature
from worker.engine.taps.heads import HeadsListener
from worker.engine.taps.listener import Listener
from worker.engine.taps.points import points_of

MAX_TAPS = 2_000


def survey(architecture: Family, network: nn.Module, inputs: Inputs) -> list[Tap]:
    """Return what can be listened to when a network looks at a batch: short names first, then modules' paths.

    Leaves the network's mode as it is; what it says is not kept.
    """
    short = list(points_of(architecture, network))
    modules = [path for path in paths_of(network) if path]
    listener = Listener(architecture, network, [*short, "logits", *modules][:MAX_TAPS])
    with HeadsListener() as heads:
        found = listener.heard(inputs)
    texts = isinstance(inputs, Tokens)
    taps = [_tap(name, found[name], texts) for name in short if name in found]
    usable = {number: heard for number, heard in heads.heard.items() if not heard.unusable(len(inputs))}
    taps += [_tap(f"attention:{number}", heard.attention(None), texts) for number, heard in usable.items()]
    usable = {number: heard for number, heard in usable.items() if not heard.unusable(len(inputs), qkv=True)}
    taps += [_tap(f"qkv:{number}", heard.qkv(None), texts) for number, heard in usable.items()]
    return taps + [_tap(name, found[name], texts) for name in ("logits", *modules) if name in found]


def paths_of(network: nn.Module) -> list[str]:
    """Return the paths of a network's modules."""
    return [path for path, _ in network.named_modules()]


def _tap(name: str, feature: Feature, texts: bool) -> Tap:  # noqa: FBT001 - private
    return feature.tap(name, free_length=texts)
