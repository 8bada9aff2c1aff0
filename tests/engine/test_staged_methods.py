"""Factor transfer, SimKD and CRD in jobs: what goes on from stage to stage, what is folded in, what is remembered."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn

from app.contract import teachable
from app.contract.architectures import Mlp
from app.contract.events import Run
from app.contract.objectives import Crd, FactorTransfer, Simkd
from tests.engine.folders import RESNET, SMALL_RESNET, make, of_type, read_job
from tests.engine.methods import example, gradient, loss
from tests.engine.test_resume import stopped_at, student_of
from tests.engine.test_stages import LayOut, RunHere, Trained, equal
from worker.engine import build
from worker.engine.failures import EngineFailure
from worker.engine.objectives import crd
from worker.engine.state import under
from worker.engine.terms.batch import Position
from worker.engine.terms.classifiers import Classifiers
from worker.engine.terms.negatives import Negatives

PARAPHRASER: dict[str, Any] = {
    "name": "paraphraser", "objective": [{"kind": "factor_transfer", "learns": "paraphraser"}], "epochs": 2,
    "trains": "terms",
}  # fmt: skip
SIMKD: dict[str, Any] = {"name": "simkd", "objective": [{"kind": "simkd"}], "epochs": 1}
FACTORS: dict[str, Any] = {"kind": "factor_transfer", "weight": 500}
CONTRAST: dict[str, Any] = {"kind": "crd", "negatives": 64, "dimensions": 8, "weight": 0.8}


def job(folder: Path, objective: list[dict[str, Any]], *stages: dict[str, Any], **training: Any) -> Path:
    given = {"epochs": 2, "batch_size": 32, "checkpoint_seconds": 0, **training}
    spec = {"objective": objective, "stages": list(stages), "control": False}
    return make(folder, teacher=RESNET, student=SMALL_RESNET, training=given, spec=spec)


def test_a_job_of_all_of_them_goes_on_bit_for_bit(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = [{"kind": "hard_target"}, FACTORS, CONTRAST, {"kind": "mutual"}]
    given = {"precision": "bf16", "accumulation": 2}
    whole, cut = (job(tmp_path / name, objective, PARAPHRASER, SIMKD, **given) for name in ("whole", "cut"))
    run_here(whole)
    # An epoch has 4 steps and looks at the validation part twice; each stop is in another lesson.
    for check in (4, 12, 14):
        stopped_at(cut, run_here, monkeypatch, check)
    run_here(cut)
    assert [event.stage for event in of_type(cut, "resumed")] == ["paraphraser", "simkd", None]
    assert student_of(cut) == student_of(whole)
    build.network(SMALL_RESNET).load_state_dict(load_file(cut / "out" / "student.safetensors"), strict=True)


def test_the_paraphraser_learns_in_its_stage_and_stays_as_it_is_then(
    tmp_path: Path, run_here: RunHere, trained: Trained
) -> None:
    run_here(job(tmp_path, [{"kind": "hard_target"}, FACTORS], PARAPHRASER))
    (first, left), (main, _) = trained
    losses = first.state.curves.series()["loss/factor_transfer"].values
    assert losses[-1] < losses[0]
    learnt, then = under(left.learnt, "factor_transfer"), under(main.state.learnt(), "factor_transfer")
    assert learnt.keys() == then.keys()
    paraphrasers = {name for name in learnt if name.startswith("paraphrasers")}
    assert all(torch.equal(learnt[name], then[name]) for name in paraphrasers)
    translators = {name for name in learnt if name.startswith("translators") and name.endswith(".0.weight")}
    assert translators
    assert not any(torch.equal(learnt[name], then[name]) for name in translators)


def test_factors_without_a_paraphraser_are_refused(tmp_path: Path, run_here: RunHere) -> None:
    with pytest.raises(EngineFailure, match='"learns": "paraphraser"'):
        run_here(job(tmp_path / "none", [FACTORS]))
    other = {**FACTORS, "rate": 0.25}
    spec = read_job(job(tmp_path / "other", [{"kind": "hard_target"}, other], PARAPHRASER)).spec
    assert [pointer for pointer, _ in teachable.refusals(spec, 3)] == ["/objective/1"]
    assert FactorTransfer(learns="paraphraser").refuses_before([]) is None


def test_the_exported_student_ends_in_its_teachers_classifier(
    tmp_path: Path, run_here: RunHere, trained: Trained
) -> None:
    run_here(job(tmp_path, [{"kind": "simkd"}]))
    [(run, _)] = trained
    inputs = torch.randn(9, 1, 8, 8)
    student, teacher = build.network(SMALL_RESNET).eval(), build.network(RESNET).eval()
    student.load_state_dict(load_file(tmp_path / "out" / "student.safetensors"))
    teacher.load_state_dict(load_file(tmp_path / "inputs" / "teacher.safetensors"))
    pooled: list[Tensor] = []
    student.fc.register_forward_pre_hook(lambda _, given: pooled.append(given[0]))  # type: ignore[union-attr]
    logits_BC = student(inputs)
    projector = run.objective.losses["simkd"].projector
    torch.testing.assert_close(logits_BC, teacher.fc(projector(pooled[0])))  # type: ignore[operator]
    # What is said of the validation part while it learns is said through that classifier too.
    told = run.targets.of_samples(run.evaluator.rows("validation"))
    agreeing_N = run.evaluator.logits(student, "validation").argmax(1) == told.argmax(1)
    assert of_type(tmp_path, "evaluation")[-1].metrics["agreement"] == pytest.approx(agreeing_N.double().mean().item())


def test_a_frozen_student_keeps_its_classifier(tmp_path: Path, run_here: RunHere, trained: Trained) -> None:
    run_here(job(tmp_path, [{"kind": "hard_target"}], {**SIMKD, "trains": "terms"}))
    (stage, left), _ = trained
    torch.manual_seed(0)
    assert equal(left.weights, build.network(SMALL_RESNET).state_dict())
    assert stage.state.step == 4


def test_a_teachers_classifier_comes_in_the_students_order_of_classes() -> None:
    family = Mlp(inputs=2, hidden=(4,), classes=3)
    student, teacher = build.network(family), build.network(family)
    weight_CD, bias_C = Classifiers((family, student), [(family, teacher)], [(2, 0, 1)]).of_teacher(0)
    hidden_BD = torch.randn(5, 4)
    head = teacher.get_submodule(Classifiers((family, teacher), [], []).of_student())
    torch.testing.assert_close(hidden_BD @ weight_CD.T + bias_C, head(hidden_BD)[:, [2, 0, 1]])
    bare = nn.Sequential(nn.Linear(4, 3, bias=False))
    with pytest.raises(EngineFailure, match="no biases"):
        Classifiers((family, bare), [], []).of_student()
    with pytest.raises(EngineFailure, match="no linear classifier"):
        Classifiers((family, nn.Identity()), [], []).of_student()


def test_a_classifier_that_is_replaced_is_not_trained_beside(tmp_path: Path) -> None:
    spec = read_job(job(tmp_path, [{"kind": "simkd"}, {"kind": "soft_target"}])).spec
    [(pointer, text)] = teachable.refusals(spec, 3)
    assert pointer == "/objective/0"
    assert "would train what is replaced" in text
    assert Simkd().refuses_beside([Crd()]) is None
    assert Simkd().refuses_number(2)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-1, 3), min_size=2, max_size=30), st.integers(0, 99))
def test_negatives_are_of_other_classes_and_all_of_them_are_drawn(classes: list[int], epoch: int) -> None:
    labels_N, rows_R = torch.tensor([0, *classes, 1]), torch.arange(1, len(classes) + 1)
    if len({label for label in classes if label >= 0}) + classes.count(-1) < 2:
        with pytest.raises(EngineFailure, match="of one class"):
            Negatives(rows_R, labels_N)
        return
    negatives = Negatives(rows_R, labels_N)
    places_B = negatives.places(rows_R)
    drawn_BM = negatives.draw(places_B, 2_000, Position(epoch / 7, 100), 0)
    for place, drawn in zip(places_B.tolist(), drawn_BM.tolist(), strict=True):
        label = classes[place]
        assert set(drawn) == {
            other for other, its in enumerate(classes) if other != place and (label < 0 or its != label)
        }
    again_BM = negatives.draw(places_B[:1], 2_000, Position(epoch / 7, 100), 0)
    assert torch.equal(again_BM, drawn_BM[:1])
    later_BM = negatives.draw(places_B, 2_000, Position(epoch / 7 + 1, 100), 0)
    assert torch.equal(later_BM, drawn_BM) == all(len(set(row)) == 1 for row in drawn_BM.tolist())


def test_large_sets_gather_what_small_ones_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    term, batch = example("crd", negatives=7, dimensions=5)
    found = loss(term, batch)
    monkeypatch.setattr(crd._Contrast, "_whole", lambda *_: False)
    monkeypatch.setattr("worker.engine.terms.pieces.AT_ONCE", 1)
    gathered = loss(term, batch)
    torch.testing.assert_close(gathered, found)
    torch.testing.assert_close(gradient(gathered, batch), gradient(found, batch))


def test_what_is_said_of_a_sample_is_remembered_after_the_step(
    tmp_path: Path, lay_out: LayOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = lay_out(job(tmp_path, [CONTRAST], epochs=1, accumulation=2))
    run = bench.training_run(bench.lessons(Run.STUDENT)[-1])
    [contrast] = run.objective.losses["crd"].contrasts  # type: ignore[union-attr, misc]
    before, said = contrast.memory_SRD.clone(), dict[int, Tensor]()
    embedded: Callable[..., Tensor] = contrast.embedded

    def heard(*given: Tensor) -> Tensor:
        found = embedded(*given)
        assert torch.equal(contrast.memory_SRD, before)  # of all micro-batches the same
        said.update(zip(given[-1].tolist(), found.detach(), strict=True))
        return found

    monkeypatch.setattr(contrast, "embedded", heard)
    run._step(next(iter(run.plan.rest_of_epoch(0, 0))))
    assert len(said) == 32
    for place in range(len(run.plan.rows_N)):
        moved = before[:, place]
        if place in said:
            moved = 0.5 * moved + 0.5 * said[place]
            moved = moved / moved.norm(dim=1, keepdim=True)
        torch.testing.assert_close(contrast.memory_SRD[:, place], moved)


def test_a_memory_too_large_is_refused_with_the_figure(tmp_path: Path) -> None:
    refusal = Crd().refuses_rows(5_000_000)
    assert refusal is not None
    assert "5,120,000,000 bytes, and 4,294,967,296 are allowed" in refusal
    assert Crd().refuses_rows(1_300_000) is None
    spec = read_job(job(tmp_path, [{"kind": "hard_target"}, CONTRAST], SIMKD)).spec
    assert [pointer for pointer, _ in teachable.refusals_of_rows(spec, 10**9)] == ["/objective/1"]
