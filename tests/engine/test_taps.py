"""Taps: named places in any network, and what lies there."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from app.contract.architectures import Architecture, Lstm, Mlp, Resnet, Textcnn, Timm, Transformers
from app.contract.taps import Pair, Unknown, is_short, named, resolved
from tests.engine.folders import RESNET, SMALL_RESNET, events, make
from tests.engine.texts import TINY_BERT
from worker.engine import build
from worker.engine.data.samples import Inputs, Tokens
from worker.engine.taps.listener import Listener, Silent
from worker.engine.taps.listing import listing
from worker.engine.taps.survey import survey

VIT = Timm(name="vit_tiny_patch16_224", classes=3, image_size=32, arguments={"patch_size": 8, "depth": 2})
CASES: list[tuple[Architecture, tuple[int, ...], dict[str, tuple[str, tuple[int | None, ...]]]]] = [
    (Resnet(depth=8, classes=10), (3, 32, 32), {
        "stage:0": ("map", (16, 32, 32)), "stage:2": ("map", (64, 8, 8)), "preact:1": ("map", (32, 16, 16)),
        "pooled": ("vector", (64,)), "logits": ("vector", (10,)), "layer2.0.conv1": ("map", (32, 16, 16)),
    }),
    (Mlp(inputs=12, hidden=(5, 6), classes=3), (12,), {"hidden:2": ("vector", (6,)), "pooled": ("vector", (6,))}),
    (Lstm(inputs=3, hidden=5, layers=2, classes=4), (7, 3), {"hidden:1": ("tokens", (7, 5))}),
    (Lstm(inputs=6, hidden=4, classes=2, bidirectional=True, vocabulary=20), (), {
        "hidden:0": ("tokens", (None, 6)), "hidden:1": ("tokens", (None, 8)), "pooled": ("vector", (8,)),
    }),
    (Textcnn(vocabulary=20, classes=2), (), {"hidden:0": ("tokens", (None, 128)), "pooled": ("vector", (300,))}),
    (Transformers(config=TINY_BERT, classes=3), (), {
        "hidden:0": ("tokens", (None, 16)), "hidden:2": ("tokens", (None, 16)), "pooled": ("vector", (16,)),
        "attention:1": ("attention", (2, None, None)), "qkv:1": ("qkv", (3, 2, None, 8)),
    }),
    (Timm(name="mobilenetv3_small_050", classes=3), (3, 32, 32), {"stage:4": ("map", (288, 1, 1))}),
    (VIT, (3, 32, 32), {"hidden:2": ("tokens", (17, 192)), "attention:1": ("attention", (3, 17, 17))}),
]  # fmt: skip


def inputs_of(shape: tuple[int, ...]) -> Inputs:
    if shape:
        return torch.randn(2, *shape)
    lengths_B = torch.tensor([6, 4])
    mask_BL = torch.arange(6) < lengths_B[:, None]
    return Tokens(torch.randint(3, 20, (2, 6)).where(mask_BL, 0), mask_BL, lengths_B)


@pytest.mark.parametrize(("architecture", "shape", "expected"), CASES, ids=lambda case: getattr(case, "kind", ""))
def test_every_family_tells_its_taps(
    architecture: Architecture, shape: tuple[int, ...], expected: dict[str, tuple[str, tuple[int | None, ...]]]
) -> None:
    network = build.network(architecture).eval()
    with torch.no_grad():
        found = {tap.name: (tap.layout, tap.shape) for tap in survey(architecture, network, inputs_of(shape))}
    assert {name: found.get(name) for name in expected} == expected


def test_a_value_that_is_overwritten_in_place_is_kept_as_it_passed() -> None:
    architecture = Timm(name="resnet18", classes=3)
    network = build.network(architecture).eval()
    inputs = torch.randn(2, 3, 32, 32)
    expected: list[Tensor] = []
    network.layer1[0].bn2.register_forward_hook(lambda *call: expected.append(call[-1].clone()))  # type: ignore[index, union-attr]
    listener = Listener(architecture, network, ["layer1.0.bn2"])
    listener.rehearse(inputs)
    _, held = listener(inputs)
    torch.testing.assert_close(held["layer1.0.bn2"].value, expected[-1])


@pytest.mark.parametrize(
    "architecture", [Resnet(depth=8, classes=3), *(Timm(name=name, classes=3) for name in ("resnet18", "resnet26d"))]
)
def test_stages_are_what_is_there_before_their_activation_after_it(architecture: Architecture) -> None:
    network = build.network(architecture).eval()
    for parameter in network.parameters():
        if parameter.dim() == 1:  # some batch norms start at 0, and a block that adds 0 holds nothing below it
            torch.nn.init.normal_(parameter)
    names = [f"{kind}:{number}" for kind in ("stage", "preact") for number in range(3)]
    with torch.no_grad():
        _, held = Listener(architecture, network, names)(torch.randn(2, 3, 32, 32))
    for number in range(3):
        assert (held[f"preact:{number}"].value < 0).any()
        assert torch.equal(held[f"preact:{number}"].value.relu(), held[f"stage:{number}"].value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("layer1.0.conv9", "did you mean 'layer1.0.conv"),
        ("stage:3", "it has 3 of them"),
        ("attention:0", "nothing passes by 'attention:0'"),
    ],
)
def test_a_tap_that_does_not_exist_gets_the_nearest_one(name: str, words: str) -> None:
    network = build.network(RESNET)
    with pytest.raises((Unknown, Silent), match=words):
        Listener(RESNET, network, [name])(torch.randn(2, 1, 8, 8))


def test_names_count_from_the_end_and_layers_are_stages_or_states() -> None:
    images, texts = ["stage:0", "stage:1"], ["hidden:0", "hidden:1", "hidden:2"]
    assert named("stage:-1", images) == "stage:1"
    assert [named("layer:-1", images), named("layer:-1", texts)] == ["stage:1", "hidden:2"]


def test_all_of_a_kind_are_paired_by_their_depth() -> None:
    def of(kind: str, teacher: int, student: int) -> list[tuple[str, str]]:
        known = ([f"{kind}:{number}" for number in range(count)] for count in (teacher, student))
        return [
            (pair.teacher, pair.student) for pair in resolved([Pair(teacher=f"{kind}:*", student=f"{kind}:*")], *known)
        ]

    # TinyBERT's uniform strategy: of 12 layers every third, the states before the first with each other.
    assert of("hidden", 13, 5) == [(f"hidden:{3 * number}", f"hidden:{number}") for number in range(5)]
    assert of("attention", 12, 4) == [(f"attention:{3 * number + 2}", f"attention:{number}") for number in range(4)]
    assert of("stage", 3, 3) == [(f"stage:{number}", f"stage:{number}") for number in range(3)]


FEATURES = [{"kind": "hint", "layers": ["stage:1", {"teacher": "stage:-1", "student": "layer3.0"}]},
            {"kind": "attention_transfer", "weight": 10}, {"kind": "soft_target"}]  # fmt: skip


def test_a_job_of_features(tmp_path: Path, run_here: Callable[[Path], None]) -> None:
    folder = make(tmp_path, teacher=RESNET, student=SMALL_RESNET, spec={"objective": FEATURES, "control": False})
    before = (folder / "inputs" / "teacher.safetensors").read_bytes()
    run_here(folder)
    assert (folder / "inputs" / "teacher.safetensors").read_bytes() == before
    steps = [event.metrics for event in events(folder) if event.type == "step"]
    assert {"loss/hint", "loss/attention_transfer", "loss/soft_target"} <= set(steps[0])
    assert steps[-1]["loss/hint"] < steps[0]["loss/hint"]
    exported = load_file(folder / "out" / "student.safetensors")
    build.network(SMALL_RESNET).load_state_dict(exported, strict=True)


def test_features_alone_teach_too(tmp_path: Path, run_here: Callable[[Path], None]) -> None:
    spec = {"objective": [{"kind": "hint", "adapter": "mlp"}], "control": False}
    run_here(make(tmp_path, teacher=RESNET, student=SMALL_RESNET, spec=spec, training={"epochs": 1}))


@pytest.mark.parametrize(
    ("term", "words"),
    [
        ({"kind": "hint", "layers": ["stage:7"]}, "no 'stage:7'"),
        ({"kind": "attention_transfer", "layers": ["pooled"]}, "layout vector"),
        ({"kind": "hint", "layers": [{"teacher": "stage:0", "student": "pooled"}]}, "cannot be brought"),
        ({"kind": "hint", "member": 1}, "no teacher 1"),
    ],
)
def test_taps_that_do_not_fit_are_refused_before_training(
    tmp_path: Path, run_here: Callable[[Path], None], term: dict[str, object], words: str
) -> None:
    folder = make(tmp_path, teacher=RESNET, student=SMALL_RESNET, spec={"objective": [term]})
    with pytest.raises(Exception, match=words):
        run_here(folder)


@pytest.mark.parametrize(("architecture", "shape", "_expected"), CASES, ids=lambda case: getattr(case, "kind", ""))
def test_the_service_knows_short_names_as_the_network_has_them(
    architecture: Architecture, shape: tuple[int, ...], _expected: object
) -> None:
    told = architecture.short_taps(shape)
    with torch.no_grad():
        found = survey(architecture, build.network(architecture).eval(), inputs_of(shape))
    if told is not None:
        assert told == [tap for tap in found if is_short(tap.name)]


@pytest.mark.parametrize("kind", ["electra", "roberta"])
def test_the_service_knows_encoders_like_bert_by_their_config(kind: str) -> None:
    config = {**TINY_BERT, "model_type": kind, "embedding_size": 16, "max_position_embeddings": 40}
    architecture = Transformers(config=config, classes=3)
    found = listing(architecture)
    assert found is not None
    assert architecture.short_taps(()) == [tap for tap in found[1] if is_short(tap.name)]
    assert Transformers(config={"model_type": kind, "vocab_size": 20}, classes=3).short_taps(()) is None


@pytest.mark.parametrize(("architecture", "_shape", "expected"), CASES, ids=lambda case: getattr(case, "kind", ""))
def test_an_inspection_lists_taps_without_memory(
    architecture: Architecture, _shape: object, expected: dict[str, object]
) -> None:
    found = listing(architecture)
    assert found is not None
    assert {tap.name: tap.layout for tap in found[1] if tap.name in expected} == {
        name: layout
        for name, (layout, _) in expected.items()  # type: ignore[misc, attr-defined]
    }
