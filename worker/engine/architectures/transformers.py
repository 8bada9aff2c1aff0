"""Classifiers of texts and words, embeddings and language models of the transformers library, by its own names.

B = batch, L = tokens, A = words of all lists, or tokens that another follows, C = classes, D = numbers of a state
or an embedding.
"""

import inspect
import os
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from app.contract.architectures import Transformers
from app.contract.base import did_you_mean
from worker.engine.data.samples import Tokens
from worker.engine.failures import Refused
from worker.engine.networks import torchvision_operators
from worker.engine.networks.modes import evaluating
from worker.engine.taps.ears import Ears, Removable
from worker.engine.taps.point import Point


class _Reader:
    """Mixed into a network of the library: takes tokens and answers with logits."""

    ears: Ears
    """Who listens to its hidden states, by their numbers."""
    always: dict[str, Any]
    """What it is told beside the tokens."""

    def forward(self, tokens: Tokens) -> Tensor:
        logits_BC: Tensor = self._answer(tokens).logits
        return logits_BC

    def _answer(self, tokens: Tokens) -> Any:
        # Where there is no padding no mask is needed; some networks cannot look into one that has no memory.
        padding: int = self.config.pad_token_id  # type: ignore[attr-defined]  # the library's
        ids_BL = torch.where(tokens.mask_BL, tokens.ids_BL, padding) if tokens.padded else tokens.ids_BL
        mask_BL = tokens.mask_BL.long() if tokens.padded else None
        asked = self.always | ({"output_hidden_states": True} if self.ears else {})
        said = super().forward(input_ids=ids_BL, attention_mask=mask_BL, **asked)  # type: ignore[misc]  # the library's
        if self.ears:
            self._tell(said.hidden_states or (), tokens)
        return said

    def _tell(self, states: Sequence[Tensor], tokens: Tokens) -> None:
        # Some tell more states than they have layers, or states of fewer tokens: which is which nobody can say then.
        count: int = self.config.num_hidden_layers + 1  # type: ignore[attr-defined]  # the library's
        if len(states) != count or any(state.shape[:2] != tokens.ids_BL.shape for state in states):
            return
        for number, state_BLD in enumerate(states):
            if number in self.ears:
                self.ears.tell(number, state_BLD)

    def listen(self, point: Point, hear: Callable[[Any], None]) -> Any:
        """Have `hear` called with a hidden state as the library tells it, or with what passes by a module."""
        if point.state is None:
            return point.listen(self, hear)  # type: ignore[arg-type]  # it is mixed into a module
        return Removable([self.ears.add(point.state, hear)])


class _Tagger(_Reader):
    """The same of a network that tells classes of tokens apart: answers for each word, by its first token."""

    def forward(self, tokens: Tokens) -> Tensor:
        assert tokens.heads_A is not None
        logits_BLC: Tensor = self._answer(tokens).logits
        logits_AC = logits_BLC.flatten(0, 1).index_select(0, tokens.heads_A.clamp(min=0))
        # Nothing is said of words that are not seen; whoever asks passes over them (`worker.engine.data.units`).
        return torch.where(tokens.heads_A[:, None] >= 0, logits_AC, 0.0)


class _LanguageModel(_Reader):
    """The same of one that predicts tokens: answers for each that another follows, without a copy too many."""

    def forward(self, tokens: Tokens) -> Tensor:
        assert tokens.heads_A is not None
        logits_BLC: Tensor = self._answer(tokens).logits
        return logits_BLC.flatten(0, 1).index_select(0, tokens.heads_A)


class _Embedder(_Reader):
    """The same of a network without a head: answers with embeddings."""

    family: Transformers

    def forward(self, tokens: Tokens) -> Tensor:
        hidden_BLD: Tensor = self._answer(tokens).last_hidden_state
        if self.family.pooling == "cls":
            pooled_BD = hidden_BLD[:, 0]
        else:
            sum_BD = torch.where(tokens.mask_BL[:, :, None], hidden_BLD, 0.0).sum(1)
            pooled_BD = sum_BD / tokens.mask_BL.sum(1, keepdim=True)
        return normalize(pooled_BD, dim=1) if self.family.normalize else pooled_BD


_READERS: dict[str, type[_Reader]] = {
    "sequence_classification": _Reader,
    "token_classification": _Tagger,
    "embedding": _Embedder,
    "causal_lm": _LanguageModel,
}


def build(family: Transformers) -> nn.Module:
    """Return the network. Raises Refused where the library is missing, or cannot build what is asked for."""
    library = _library()
    config = _config(library, family)
    try:
        network: nn.Module = getattr(library, family.auto_class).from_config(config, trust_remote_code=False)
    except (MemoryError, Refused):
        raise
    except Exception as error:
        raise _refused(library, error) from error
    own = type(network)
    if "attention_mask" not in inspect.signature(own.forward).parameters:
        raise Refused(f"A {config.model_type} cannot tell padding from text, and takes no attention mask.")
    # Not wrapped, so that parameters keep their names.
    reader = _READERS[family.task]
    # Called as its class in full: by that the library looks up which hidden states it can tell.
    names = {"__module__": own.__module__, "__qualname__": own.__qualname__}
    # A memory of what was read serves those who go on writing.
    always = {"use_cache": False} if "use_cache" in inspect.signature(own.forward).parameters else {}
    network.__class__ = type(own.__name__, (reader, own), {"family": family, "always": always, **names})
    setattr(network, "ears", Ears())  # noqa: B010 - a plain assignment has another type here
    if family.predicts_tokens():
        _require_causal(network, config.model_type, family.classes - 1)
    return _body(network, family) if family.gives_embeddings() else network


Network = build


def points(network: nn.Module) -> dict[str, Point]:
    """Return the hidden states, as the library itself tells them: those before the first layer, and after each."""
    count: int = network.config.num_hidden_layers  # type: ignore[union-attr, assignment]  # the library's
    return {f"hidden:{number}": Point("", state=number) for number in range(count + 1)}


def _require_causal(network: nn.Module, kind: str, last: int) -> None:
    """Raise Refused where what is said of a token depends on those after it; without memory nobody can tell.

    `last`: the number of the vocabulary's last token.
    """
    where = next(network.parameters()).device
    if where.type == "meta":
        return
    mask_BL = torch.ones(2, 4, dtype=torch.bool, device=where)
    # The last ones of a vocabulary hardly ever mean something of their own, as padding does.
    ids_BL = last - torch.tensor([[0, 1, 2, 0], [0, 1, 2, 1]], device=where)
    heads_A = torch.tensor([0, 1, 2, 4, 5, 6], device=where)
    with evaluating(network):
        said_AC = network(Tokens(ids_BL, mask_BL, torch.tensor([4, 4]), heads_A))
    if not torch.allclose(said_AC[:3], said_AC[3:], rtol=1e-3, atol=1e-6):
        raise Refused(f"A {kind} sees the tokens that it is to predict; of some kinds is_decoder in the config helps.")


def _body(network: nn.Module, family: Transformers) -> nn.Module:
    """Return a network without the pooler that embeddings do not use. Raises Refused where its width is another."""
    width: int = network.config.hidden_size  # type: ignore[union-attr, assignment]  # the library's
    if width != family.classes:
        raise Refused(f"Its embeddings have {width:,} numbers, and the architecture says {family.classes:,} (classes).")
    if getattr(network, "pooler", None) is not None:
        setattr(network, "pooler", None)  # noqa: B010 - a plain assignment has another type here
    return network


def _config(library: ModuleType, family: Transformers) -> Any:
    known = getattr(library.models.auto.modeling_auto, f"MODEL_FOR_{_KNOWN[family.task][0]}_MAPPING_NAMES")
    settings = dict(family.config)
    kind = settings.pop("model_type")
    if kind not in known:
        near = did_you_mean(kind, known)
        raise Refused(
            f"transformers {library.__version__} has no {_KNOWN[family.task][1]} of the type '{kind}'{near or '.'}"
        )
    try:
        classifies = family.task.endswith("classification")
        labels = {"num_labels": family.classes} if classifies else {}
        config = library.AutoConfig.for_model(kind, **settings, **labels)
    except (MemoryError, Refused):
        raise
    except Exception as error:
        raise _refused(library, error) from error
    if config.is_encoder_decoder:
        raise Refused(f"A {kind} has a decoder of its own: not supported.")
    if config.pad_token_id is None:
        config.pad_token_id = config.eos_token_id if isinstance(config.eos_token_id, int) else 0
    return config


_KNOWN = {
    "sequence_classification": ("SEQUENCE_CLASSIFICATION", "text classifier"),
    "token_classification": ("TOKEN_CLASSIFICATION", "token classifier"),
    "embedding": ("SEQUENCE_CLASSIFICATION", "text classifier"),
    "causal_lm": ("CAUSAL_LM", "language model"),
}
"""The library's list of types for each task, and what they are called here."""


def _refused(library: ModuleType, error: Exception) -> Refused:
    why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return Refused(f"transformers {library.__version__} cannot build a network from this config ({why}).")


def _library() -> ModuleType:
    # Nothing is ever looked up on the hub, whatever a config makes the library think of.
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    # On the CPU also where a network without memory is asked for: what an import makes is made once.
    with torch.device("cpu"):
        torchvision_operators.make_importable()
        try:
            import transformers  # noqa: PLC0415 - an extra that most jobs do without
            import transformers.models.auto.modeling_auto  # noqa: PLC0415 - the same
        except ModuleNotFoundError as error:
            raise Refused("This worker cannot build transformers: install stillhouse[transformers].") from error
    library: ModuleType = transformers
    library.logging.set_verbosity_error()
    return library
