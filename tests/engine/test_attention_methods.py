"""Methods of transformers and embeddings beside what holds for all: padding, other shapes, layers, queues, whole jobs.

B = batch, A = heads, L = tokens, D = channels.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from app.contract.architectures import Textcnn, Transformers
from app.contract.joining import Misfit, joined, known
from app.contract.objectives import FeatureTerm, ObjectiveTerm
from app.contract.taps import Layout, Tap, Unknown
from tests.engine.folders import events
from tests.engine.methods import HALFWAY, setting
from tests.engine.test_resume import stopped_at, student_of
from tests.engine.texts import TINY_BERT, make_text_job, pieces
from tests.engine.transcriptions_attention import ATTENTION
from worker.engine import build
from worker.engine.failures import EngineFailure
from worker.engine.objectives.similarity_distribution import Queue
from worker.engine.taps.feature import Feature
from worker.engine.terms.batch import Batch
from worker.engine.terms.held import Held
from worker.engine.terms.joint import Joint
from worker.engine.terms.objective import Objective

TERM: TypeAdapter[Any] = TypeAdapter(ObjectiveTerm)
LENGTHS = torch.tensor([4, 2, 3])
MASK_BL = torch.arange(4) < LENGTHS[:, None]
MASK_BALL = MASK_BL[:, None, :, None] & MASK_BL[:, None, None, :]
Features = dict[str, Feature]


def term_of(kind: str, **settings: Any) -> Any:
    return TERM.validate_python({"kind": kind, "weight": 1.0, **settings})


def feature(layout: Layout, *shape: int, seed: int = 0, padded: bool = True) -> Feature:
    draw = torch.Generator().manual_seed(seed)
    mask = {"tokens": MASK_BL, "qkv": MASK_BL, "attention": MASK_BALL}.get(layout) if padded else None
    value = torch.randn(3, *shape, generator=draw, dtype=torch.float64)
    return Feature(value.requires_grad_(seed == 0), layout, mask)


def made(term: FeatureTerm, student: Features, teacher: Features) -> Objective:
    """Return the objective of a term whose roles have one pair of taps each, of the first layout that there is."""
    torch.manual_seed(0)
    joints: dict[str, tuple[Joint, ...]] = {}
    for role in term.roles():
        name = next(name for name, found in student.items() if found.layout in term.layouts(role))
        joints[role] = (Joint(teacher[name].tap(name), student[name].tap(name), 1.0),)
        assert term.refuses_in(role, joints[role][0].teacher, joints[role][0].student) is None
    objective = build.objective([term], lambda _: setting(joints))  # type: ignore[list-item]  # the union's members
    return objective.double()


def batch_of(student: Features, teacher: Features, samples: int | None = None) -> Batch:
    labels_B = torch.zeros(len(next(iter(student.values()))), dtype=torch.int64)
    counts = (samples or len(labels_B),) * 2
    held = Held(student, {(0, name): found for name, found in teacher.items()}, labels_B, labels_B, *counts)
    return Batch(torch.zeros(len(labels_B), 2), None, labels_B, *counts, HALFWAY, features=held)


def value(term: FeatureTerm, student: Features, teacher: Features) -> Tensor:
    return made(term, student, teacher)(batch_of(student, teacher))[0]


def pair(term: FeatureTerm, widths: tuple[int, int] = (4, 4), heads: tuple[int, int] = (2, 2)) -> list[Features]:
    """Return what student and teacher hold, in all layouts of a transformer."""
    found: list[Features] = []
    for seed, (width, count) in enumerate(zip(widths, heads, strict=True)):
        shapes: dict[Layout, tuple[int, ...]] = {
            "attention": (count, 4, 4), "qkv": (3, count, 4, width // count), "tokens": (4, width),
        }  # fmt: skip
        found.append({layout: feature(layout, *shape, seed=seed) for layout, shape in shapes.items()})
    return found


OF_TOKENS = [
    ("hidden_cosine", {}), ("patient", {}), ("patient", {"token": "mean"}), ("tinybert", {}), ("minilm", {}),
    ("minilm", {"version": 1}), ("margin_mse", {}), ("similarity_distribution", {}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "more"), OF_TOKENS)
def test_what_lies_in_padding_is_nothing(kind: str, more: dict[str, Any]) -> None:
    term = term_of(kind, **more)
    student, teacher = pair(term)
    objective = made(term, student, teacher)
    values = []
    for junk in (0.0, 50.0, -1e4):
        changed = []
        for held in (student, teacher):
            masks = {"tokens": MASK_BL[:, :, None], "qkv": MASK_BL[:, None, None, :, None], "attention": MASK_BALL}
            changed.append(
                {name: replace(found, value=found.value.where(masks[name], junk)) for name, found in held.items()}
            )
        values.append(objective(batch_of(*changed))[0])
        objective = made(term, student, teacher)  # a queue has moved on
    torch.testing.assert_close(values[1], values[0])
    torch.testing.assert_close(values[2], values[0])
    gradients = torch.autograd.grad(values[2], [found.value for found in student.values()], allow_unused=True)
    assert all(torch.isfinite(found).all() for found in gradients if found is not None)


@pytest.mark.parametrize(("kind", "more"), OF_TOKENS)
def test_a_padded_sample_is_worth_what_it_is_worth_alone(kind: str, more: dict[str, Any]) -> None:
    term = term_of(kind, **more)
    if term.relational:
        return
    student, teacher = pair(term)
    whole, alone = value(term, student, teacher), []
    for row, length in enumerate(LENGTHS.tolist()):
        cut = []
        for held in (student, teacher):
            places = {
                "tokens": (slice(length),),
                "qkv": (..., slice(length), slice(None)),
                "attention": (..., slice(length), slice(length)),
            }
            rows = {name: found.value[row : row + 1] for name, found in held.items()}
            cut.append(
                {
                    name: Feature(
                        rows[name][:, :length] if name == "tokens" else rows[name][places[name]], found.layout
                    )
                    for name, found in held.items()
                }
            )
        alone.append(value(term, *cut))
    torch.testing.assert_close(torch.stack(alone).mean(), whole)


@pytest.mark.parametrize(("kind", "more"), OF_TOKENS)
def test_widths_may_differ(kind: str, more: dict[str, Any]) -> None:
    term = term_of(kind, **more)
    student, teacher = pair(term, widths=(4, 12))
    objective = made(term, student, teacher)
    found, _ = objective(batch_of(student, teacher))
    found.backward()  # type: ignore[no-untyped-call]  # torch's
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in objective.parameters())
    assert bool([*objective.parameters()]) == (
        kind in {"hidden_cosine", "patient", "tinybert", "similarity_distribution"}
    )


def test_heads_may_differ_where_a_method_can_do_with_it() -> None:
    student, teacher = pair(term_of("minilm"), widths=(4, 12), heads=(2, 3))
    assert value(term_of("minilm"), student, teacher) > 0
    assert value(term_of("tinybert", heads="mean"), student, teacher) > 0
    taps = [Tap(name="attention:0", layout="attention", shape=(heads, None, None)) for heads in (3, 2)]
    assert "has 3 heads and 'attention:0' 2; take heads: mean" in term_of("tinybert").refuses_pair(*taps)
    assert "version 2 takes different ones" in term_of("minilm", version=1).refuses_pair(*taps)
    three = [Tap(name="qkv:1", layout="qkv", shape=(3, heads, None, 8)) for heads in (3, 2)]
    assert "cannot be cut into 3 relation heads" in term_of("minilm", relation_heads=3).refuses_pair(*three)
    assert term_of("minilm").cut(*three) == 8
    base, small = (Tap(name="qkv:1", layout="qkv", shape=(3, 12, None, width)) for width in (64, 32))
    assert term_of("minilm").cut(base, small) == 48


def test_one_projection_serves_all_layers_of_the_same_widths() -> None:
    tap = [Tap(name="hidden:0", layout="tokens", shape=(None, width)) for width in (6, 4)]
    joints: dict[str, tuple[Joint, ...]] = {"layers": (Joint(tap[0], tap[1], 0.5), Joint(tap[0], tap[1], 0.5))}
    term = term_of("tinybert", attention=[])
    objective = build.objective([term], lambda _: setting(joints))
    assert [tuple(found.shape) for found in objective.parameters()] == [(6, 4), (6,)]


def layers_of(**settings: Any) -> list[tuple[str, str]]:
    def taps(layers: int) -> Any:
        return known([Tap(name=f"hidden:{number}", layout="tokens", shape=(None, 4)) for number in range(layers + 1)])

    depths = settings.pop("depths", (12, 6))
    found = joined(term_of("patient", **settings), taps(depths[0]), taps(depths[1]))
    return [(teacher.name, student.name) for teacher, student, _ in found["layers"]]


def test_patience_has_two_strategies() -> None:
    def named(*places: int) -> list[tuple[str, str]]:
        return [(f"hidden:{place}", f"hidden:{number}") for number, place in enumerate(places, start=1)]

    # The paper's own, of a teacher of 12 layers: {2, 4, 6, 8, 10} and {7, 8, 9, 10, 11}.
    assert layers_of() == named(2, 4, 6, 8, 10)
    assert layers_of(strategy="last") == named(7, 8, 9, 10, 11)
    assert layers_of(depths=(12, 3)) == named(4, 8)
    assert layers_of(layers=[{"teacher": "hidden:3", "student": "hidden:-1"}]) == [("hidden:3", "hidden:6")]
    with pytest.raises(Unknown, match="has 12 layers with hidden states and the student 1"):
        layers_of(depths=(12, 1))


def test_each_role_has_its_own_layouts() -> None:
    taps = known(
        [
            Tap(name="hidden:0", layout="tokens", shape=(None, 4)),
            Tap(name="attention:0", layout="attention", shape=(2, None, None)),
            Tap(name="qkv:0", layout="qkv", shape=(3, 2, None, 4)),
        ]
    )
    wrong = [
        ("tinybert", "attention", "hidden:0"),
        ("tinybert", "layers", "attention:0"),
        ("minilm", "layers", "attention:0"),
    ]
    for kind, role, name in wrong:
        with pytest.raises(Misfit, match=f"'{name}' is of the layout"):
            joined(term_of(kind, **{role: [name]}), taps, taps)
    assert joined(term_of("tinybert", attention=[]), taps, taps).keys() == {"layers"}


@pytest.mark.parametrize(
    ("kind", "more", "words"),
    [
        ("tinybert", {"attention": [], "layers": []}, "both empty"),
        ("minilm", {"version": 1, "relation_heads": 4}, "of version 2"),
        ("margin_mse", {"on": "labelled"}, "relates samples"),
        ("similarity_distribution", {"size": 70_000}, "65536"),
    ],
)
def test_settings_that_make_no_sense_are_refused(kind: str, more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        term_of(kind, **more)


# ---- the queue


def of_vectors(rows: int, seed: int) -> tuple[Features, Features]:
    draw = torch.Generator().manual_seed(seed)
    student, teacher = (torch.randn(rows, 5, generator=draw, dtype=torch.float64) for _ in range(2))
    return {"logits": Feature(student.requires_grad_(), "vector")}, {"logits": Feature(teacher, "vector")}


def rows_of(held: Features, rows: slice) -> Features:
    return {name: replace(found, value=found.value[rows]) for name, found in held.items()}


def queue_of(objective: Objective) -> Queue:
    (found,) = (module for module in objective.modules() if isinstance(module, Queue))
    return found


def itself(value_B: Tensor) -> Tensor:
    """All that there is of a batch, where one process has it."""
    return value_B


def test_the_newest_take_the_place_of_the_oldest() -> None:
    term = term_of("similarity_distribution", size=7)
    objective = made(term, *of_vectors(3, 0))
    queue, first = queue_of(objective), queue_of(objective).places_QD.clone()
    seen = []
    for seed in range(3):
        student, teacher = of_vectors(3, seed)
        objective(batch_of(student, teacher))
        objective.stepped(itself)
        seen += list(nn.functional.normalize(teacher["logits"].value, dim=1))
        expected = list(first)
        for number, embedding in enumerate(seen):
            expected[number % 7] = embedding
        torch.testing.assert_close(queue.places_QD, torch.stack(expected))
    objective(batch_of(*of_vectors(20, 5)))  # more than there is room for
    objective.stepped(itself)
    newest = nn.functional.normalize(of_vectors(20, 5)[1]["logits"].value[-7:], dim=1)
    torch.testing.assert_close(queue.places_QD.sort(0).values, newest.sort(0).values)


def test_all_parts_of_a_batch_see_the_same_queue() -> None:
    term = term_of("similarity_distribution", size=7)
    whole, parts = (made(term, *of_vectors(3, 0)) for _ in range(2))
    for seed in range(3):
        student, teacher = of_vectors(6, seed)
        expected, _ = whole(batch_of(student, teacher))
        cut = [slice(0, 2), slice(2, 4), slice(4, 6)]
        found = [parts(batch_of(rows_of(student, rows), rows_of(teacher, rows), 6))[0] for rows in cut]
        torch.testing.assert_close(torch.stack(found).sum(), expected)
        whole.stepped(itself)
        parts.stepped(itself)
        torch.testing.assert_close(queue_of(parts).places_QD, queue_of(whole).places_QD)


# ---- whole jobs


def bert(layers: int, width: int, heads: int, **more: Any) -> Transformers:
    sizes = {"num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": heads, "intermediate_size": 24}
    return Transformers(config={**TINY_BERT, **sizes}, classes=2, **more)


TEACHER, STUDENT = bert(4, 16, 2), bert(2, 8, 2)
OBJECTIVE = [{"kind": "hard_target"}, *({"kind": kind} for kind in ATTENTION), {"kind": "minilm", "version": 1}]


def job(folder: Path, objective: list[dict[str, Any]], **training: Any) -> Path:
    return make_text_job(
        folder,
        teacher=TEACHER,
        student=STUDENT,
        read_by_teacher=pieces(),
        read_by_student=pieces(),
        spec={"objective": objective, "control": False},
        training={
            "epochs": 2,
            "checkpoint_seconds": 0,
            "optimizer": {"kind": "adamw", "learning_rate": 0.01},
            **training,
        },
    )


def test_all_together_go_on_to_the_same_student(
    tmp_path: Path, run_here: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = (job(tmp_path / name, OBJECTIVE, accumulation=2) for name in ("whole", "cut"))
    run_here(whole)
    stopped_at(cut, run_here, monkeypatch, 12)
    run_here(cut)
    assert student_of(cut) == student_of(whole)
    steps = [event.metrics for event in events(whole) if event.type == "step"]
    assert {f"loss/{kind}" for kind in [*ATTENTION, "minilm_2"]} <= set(steps[0])
    assert steps[-1]["loss"] < steps[0]["loss"]


def test_all_together_in_bf16(tmp_path: Path, run_here: Callable[[Path], None]) -> None:
    folder = job(tmp_path, OBJECTIVE, epochs=1, precision="bf16")
    run_here(folder)
    assert (folder / "out" / "student.safetensors").exists()


def test_a_network_without_attention_is_told_what_it_lacks(tmp_path: Path, run_here: Callable[[Path], None]) -> None:
    folder = make_text_job(
        tmp_path, teacher=TEACHER, student=Textcnn(vocabulary=120, classes=2), read_by_teacher=pieces(),
        read_by_student=pieces(), spec={"objective": [{"kind": "minilm"}]},
    )  # fmt: skip
    with pytest.raises(EngineFailure, match="in the student there is no 'qkv:-1': it has none of that kind"):
        run_here(folder)
