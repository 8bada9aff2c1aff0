"""Words told apart by their classes: a student learns them from a teacher, word by word."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.contract.events import Run
from app.contract.objectives import TERMS, FeatureTerm
from app.contract.preprocessing import PREPROCESSING
from app.contract.report import Report
from tests.engine.folders import of_type
from tests.engine.tagged import BERT, SMALL, TAGS, Row, make_tagged_job, pieces, rows, taught
from worker.engine import build
from worker.engine.bench import Bench
from worker.engine.failures import EngineFailure
from worker.engine.networks import torchvision_operators
from worker.engine.opening import open_student
from worker.engine.run import TrainingRun
from worker.engine.views.encoding import WordReading

LayOut = Callable[[Path], Bench]
RunHere = Callable[[Path], None]
SGD = {"kind": "sgd", "learning_rate": 1.0, "momentum": 0}
NO_SPLITS = {"validation": 0}


def report_of(folder: Path) -> Report:
    return Report.model_validate_json((folder / "out" / "report.json").read_bytes())


def student_run(bench: Bench) -> TrainingRun:
    return bench.training_run(bench.lessons(Run.STUDENT)[-1])


def test_a_student_learns_to_tag_words(tmp_path: Path, run_here: RunHere) -> None:
    make_tagged_job(
        tmp_path,
        read_by_student=pieces(60),
        training={"epochs": 8, "optimizer": {"kind": "adamw", "learning_rate": 0.01}},
        splits={"validation": 0.2, "test": 0.2},
        spec={"export": {"plots": True}},
    )
    run_here(tmp_path)
    found, tested = report_of(tmp_path), report_of(tmp_path).evaluated_on
    assert tested.samples == 16
    assert tested.words
    assert 5 * 16 < tested.words == tested.labelled < 10 * 16
    for scores in (found.teacher, found.student, found.control):
        assert scores
        assert scores.accuracy
        assert scores.accuracy > 0.9
        assert scores.entities
        assert scores.nll is not None
        assert scores.ece is not None
    assert found.teacher.agreement == 1
    assert sum(map(sum, found.confusions[0].counts)) == tested.words
    card = (tmp_path / "out" / "README.md").read_text()
    assert "token-classification" in card
    assert "| F1 of entities |" in card
    assert f"On {tested.words} words in 16 samples of the test split" in card
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == {"confusion", "loss", "progress", "reliability"}
    assert {"accuracy", "nll", "agreement", "loss"} <= {
        name.removeprefix("validation/") for name in found.curves["student"]
    }


def test_the_student_opens_as_its_card_says(tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch) -> None:
    run_here(make_tagged_job(tmp_path, read_by_student=pieces(60)))
    monkeypatch.chdir(tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    code = card.split("```python\n")[1].split("```")[0]
    assert "AutoModelForTokenClassification.from_pretrained" in code
    torchvision_operators.make_importable()
    names: dict[str, Any] = {}
    exec(code.replace('["Some", "words"]', '["Emmy", "Noether", "lives"]'), names)
    assert [names["model"].config.id2label[number] for number in range(4)] == list(TAGS)
    ours = open_student(tmp_path / "out")
    with torch.inference_mode():
        torch.testing.assert_close(names["logits"].detach(), ours([["Emmy", "Noether", "lives"]]))
        both = ours([["in", "Paris"], ["Emmy", "Noether", "lives"]])
    assert both.shape == (5, 4)
    torch.testing.assert_close(both[2:], names["logits"].detach(), atol=1e-5, rtol=1e-4)
    assert len(names["first"]) == 3
    assert names["tokens"]["input_ids"].shape[1] > 5  # names are cut into several pieces


def test_words_are_the_same_for_networks_that_cut_them_otherwise(tmp_path: Path, lay_out: LayOut) -> None:
    bench = lay_out(make_tagged_job(tmp_path, read_by_student=pieces(60), splits=NO_SPLITS))
    [teacher], student, rows_B = bench.teacher_sights, bench.student_sight, torch.arange(80)
    seen, own = teacher.plain(rows_B), student.plain(rows_B)
    words = sum(len(row["tokens"]) for row in rows(80, seed=3))
    assert seen.heads_A is not None  # type: ignore[union-attr]
    assert seen.ids_BL.shape != own.ids_BL.shape  # type: ignore[union-attr]
    assert len(seen.heads_A) == len(own.heads_A) == words  # type: ignore[union-attr, arg-type]
    # The teacher knows its words by heart, so its classes are the labels, word by word.
    said_U = bench.targets.of_samples(rows_B).argmax(1)
    assert (said_U == bench.transfer_set.labels_of(rows_B)).double().mean() > 0.97


def unlabelled(found: list[Row]) -> list[Row]:
    """Return the sentences, every third tag left out, and one sentence without any."""
    kept = [[None if place % 3 == 0 else tag for place, tag in enumerate(row["tags"])] for row in found]
    return [{**row, "tags": tags if place else None} for place, (row, tags) in enumerate(zip(found, kept, strict=True))]


def gradients(folder: Path, lay_out: LayOut, accumulation: int) -> list[torch.Tensor]:
    kinds = ("soft_target", "hard_target", "logit_mse", "annealed_target", "pseudo_label")
    objective: list[dict[str, object]] = [{"kind": kind} for kind in kinds]
    objective += [{"kind": "soft_target", "on": "unlabelled"}, {"kind": "logit_mse", "on": "labelled"}]
    make_tagged_job(
        folder,
        found=unlabelled(rows(8, seed=4)),
        read_by_student=pieces(60),
        training={"epochs": 1, "batch_size": 8, "accumulation": accumulation, "optimizer": SGD},
        spec={"objective": objective},
        splits=NO_SPLITS,
    )
    run = student_run(lay_out(folder))
    before = [parameter.detach().clone() for parameter in run.state.network.parameters()]
    run.train()
    return [old - new.detach() for old, new in zip(before, run.state.network.parameters(), strict=True)]


def test_eight_by_one_and_four_by_two_have_equal_gradients(tmp_path: Path, lay_out: LayOut) -> None:
    whole = gradients(tmp_path / "1", lay_out, 1)
    assert any(gradient.abs().max() > 1e-3 for gradient in whole)
    # Micro-batches are padded to their own longest sentence, and have other numbers of words and of labels.
    for accumulation in (2, 3, 4, 8):
        for cut, expected in zip(gradients(tmp_path / str(accumulation), lay_out, accumulation), whole, strict=True):
            torch.testing.assert_close(cut, expected, rtol=1e-4, atol=1e-5)


def test_the_loss_is_the_mean_over_words_by_hand(tmp_path: Path, lay_out: LayOut) -> None:
    found = rows(6, seed=4)
    bench = lay_out(
        make_tagged_job(
            tmp_path,
            found=found,
            spec={"objective": [{"kind": "hard_target"}]},
            training={"batch_size": 6},
            splits=NO_SPLITS,
        )
    )
    run = student_run(bench)
    network = run.state.network.eval()
    read = WordReading(build.encoder(PREPROCESSING.validate_python(pieces())), torch.device("cpu"))
    losses = [
        torch.nn.functional.cross_entropy(
            network(read([row["tokens"]])), torch.tensor([TAGS.index(tag) for tag in row["tags"]]), reduction="sum"
        )
        for row in found
    ]
    expected = sum(losses) / sum(len(row["tags"]) for row in found)
    run.state.optimizer.step = lambda: None  # type: ignore[method-assign, assignment]
    told = run._step(torch.arange(6))
    torch.testing.assert_close(told[-1], expected.detach())  # type: ignore[union-attr]


def test_words_that_are_cut_off_take_no_part(tmp_path: Path, run_here: RunHere, lay_out: LayOut) -> None:
    found = rows(24, seed=5)
    # Two pieces of the ten are the ends; the last words of longer sentences have no place.
    folder = make_tagged_job(tmp_path / "a", found=found, read_by_student=pieces(60, 10), splits={"validation": 0.25})
    run_here(folder)
    [told] = [event.text for event in of_type(folder, "notice") if "take no part" in event.text]
    bench = lay_out(make_tagged_job(tmp_path / "b", found=found, read_by_student=pieces(60, 10), splits=NO_SPLITS))
    every, words = torch.arange(24), sum(len(row["tokens"]) for row in found)
    heads_A = bench.student_sight.plain(every).heads_A  # type: ignore[union-attr]
    unseen = int((heads_A < 0).sum())  # type: ignore[operator]
    assert 0 < unseen < words
    assert told.startswith(f"{unseen} of {words} words take no part")
    labels_U, said_UC = bench.transfer_set.labels_of(every), bench.targets.of_samples(every)
    assert len(labels_U) == len(said_UC) == words - unseen
    assert (said_UC.argmax(1) == labels_U).double().mean() > 0.97
    network = student_run(bench).state.network
    assert len(bench.evaluator.logits(network, "train")) == words - unseen
    evaluated = report_of(folder).evaluated_on
    assert evaluated.words
    assert evaluated.words < sum(len(row["tokens"]) for row in found)


def test_classes_go_by_their_names(tmp_path: Path, run_here: RunHere) -> None:
    make_tagged_job(tmp_path, classes=TAGS[::-1], training={"epochs": 1}, spec={"control": False})
    run_here(tmp_path)
    report = report_of(tmp_path)
    assert (report.teacher.accuracy or 0) > 0.95
    assert report.teacher.entities
    assert report.teacher.entities.f1 > 0.9
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert list(config["id2label"].values()) == list(TAGS[::-1])


def test_teachers_of_an_ensemble_agree_on_words_not_on_tokens(tmp_path: Path, lay_out: LayOut) -> None:
    member = {"model": "mdl_" + "0" * 31}
    spec = {"teacher": {"members": [{**member, "model": f"{member['model']}{n}"} for n in "12"], "combine": "logits"}}
    folder = make_tagged_job(tmp_path, spec=spec, splits=NO_SPLITS)
    job, read = json.loads((folder / "job.json").read_text()), [pieces(), pieces(60, 14)]
    first = job["teachers"][0]
    second = {**first, "path": "inputs/second.safetensors", "weight": 3.0, "preprocessing": read[1]}
    networks = [build.network(BERT).eval(), build.network(BERT).eval()]
    networks[0].load_state_dict(taught())
    save_file(networks[1].state_dict(), folder / "inputs" / "second.safetensors")
    (folder / "job.json").write_text(json.dumps({**job, "teachers": [first, second]}))
    bench, found = lay_out(folder), rows(80, seed=3)
    said = iter(bench.targets.of_samples(torch.arange(80)))
    readings = [WordReading(build.encoder(PREPROCESSING.validate_python(each)), torch.device("cpu")) for each in read]
    for row in found:
        tokens = [reading([row["tokens"]]) for reading in readings]
        with torch.inference_mode():
            one_AC, other_AC = (network(seen) for network, seen in zip(networks, tokens, strict=True))
        for place in range(len(row["tokens"])):
            if tokens[1].heads_A[place] >= 0:  # type: ignore[index]
                expected = (one_AC[place] + 3 * other_AC[place]) / 4
                torch.testing.assert_close(next(said), expected, atol=1e-4, rtol=1e-4)
    assert next(said, None) is None


def test_a_student_that_sees_no_word_is_refused(tmp_path: Path, lay_out: LayOut) -> None:
    with pytest.raises(EngineFailure, match="No word of the train part is seen"):
        lay_out(make_tagged_job(tmp_path, read_by_student=pieces(60, 2)))


def looks(folder: Path) -> tuple[int, int]:
    used = report_of(folder).soft_targets
    assert used
    return used.computed, used.reused


def test_students_that_read_otherwise_share_one_teacher_pass(tmp_path: Path, run_here: RunHere) -> None:
    spec = {"control": False}
    for name, read in (("a", pieces(60)), ("b", pieces(60, 12)), ("c", None)):
        make_tagged_job(tmp_path / name, read_by_student=read, spec=spec, training={"epochs": 1})
        job = json.loads((tmp_path / name / "job.json").read_text())
        (tmp_path / name / "job.json").write_text(json.dumps({**job, "targets_folder": str(tmp_path / "shared")}))
        run_here(tmp_path / name)
    assert [looks(tmp_path / name) for name in "abc"] == [(80, 0), (0, 80), (0, 80)]


def test_texts_and_words_of_the_same_bytes_have_other_keys(tmp_path: Path, lay_out: LayOut) -> None:
    bench = lay_out(make_tagged_job(tmp_path))
    job, keys = bench.job, {bench.targets_key(0)}
    for form in ({"kind": "text"}, {"kind": "tagged_words", "tags": "tags"}):
        source = type(job.transfer_set).model_validate({"format": form})
        bench.job = job.model_copy(update={"transfer_set": source})
        keys.add(bench.targets_key(0))
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("spec", "training"),
    [
        ({"augmentation": [{"kind": "mask"}]}, {}),
        ({"augmentation": [{"kind": "mask"}], "views": {"kind": "fixed", "count": 2}}, {}),
        ({"soft_targets": {"keep": "top_k", "k": 2}, "objective": [{"kind": "soft_target"}]}, {}),
        ({"generations": 2, "control": False}, {"early_stopping": {"monitor": "accuracy"}}),
        ({"objective": [{"kind": "pseudo_label"}, {"kind": "annealed_target"}]}, {"accumulation": 3}),
    ],
    ids=["fresh", "fixed", "top_k", "generations", "unlabelled"],
)
def test_what_else_a_job_may_ask_for(
    tmp_path: Path, run_here: RunHere, spec: dict[str, Any], training: dict[str, Any]
) -> None:
    found = unlabelled(rows(40, seed=6))
    make_tagged_job(tmp_path, found=found, read_by_student=pieces(60, 11), spec=spec, training=training)
    run_here(tmp_path)
    assert (report_of(tmp_path).student.agreement or 0) > 0.3


def test_every_method_of_outputs_works_by_words(tmp_path: Path, run_here: RunHere) -> None:
    kinds = [term.model_fields["kind"].default for term in TERMS if not issubclass(term, FeatureTerm)]
    objective = [{"kind": kind, "weight": 0.1} for kind in kinds]
    found = unlabelled(rows(40, seed=6))
    run_here(make_tagged_job(tmp_path, found=found, spec={"objective": objective}, training={"accumulation": 2}))
    told = {name for name in report_of(tmp_path).curves["student"] if name.startswith("loss/")}
    assert told == {f"loss/{kind}" for kind in kinds}


def test_features_of_tokens_are_compared_too_by_sample_however_a_batch_is_cut(tmp_path: Path, lay_out: LayOut) -> None:
    steps = []
    for cuts in (1, 4):
        spec = {"objective": [{"kind": "hint", "layers": ["hidden:1"]}, {"kind": "soft_target"}]}
        run = student_run(
            lay_out(make_tagged_job(tmp_path / str(cuts), spec=spec, training={"accumulation": cuts, "optimizer": SGD}))
        )
        run.state.network.eval()
        steps.append((run._step(run.plan.rows_N[:8]), run.state.weights()))
    (whole_K, whole), (cut_K, cut) = steps
    torch.testing.assert_close(whole_K, cut_K)
    torch.testing.assert_close(whole, cut, rtol=1e-4, atol=1e-5)


def test_mask_hides_whole_words_and_their_classes_stay(tmp_path: Path, lay_out: LayOut) -> None:
    spec = {"augmentation": [{"kind": "mask", "probability": 0.5}]}
    bench = lay_out(
        make_tagged_job(tmp_path, spec=spec, read_by_student={"kind": "words", "max_tokens": 30}, splits=NO_SPLITS)
    )
    look = bench.views.look(torch.arange(10), 1)
    assert isinstance(look.raw, list)
    assert [*map(len, look.raw)] == [len(row["tokens"]) for row in rows(10, seed=3)]
    masked = sum(word == "[MASK]" for words in look.raw for word in words)
    assert 10 < masked < sum(map(len, look.raw)) - 10
    for sight in (bench.student_sight, *bench.teacher_sights):
        assert (sight.of(look).heads_A >= 0).all()  # type: ignore[union-attr, operator]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"student": SMALL.model_copy(update={"task": "sequence_classification"})}, "takes texts as wholes"),
        ({"spec": {"augmentation": [{"kind": "ngram"}]}}, "Random n-gram takes text samples, and these are words"),
        ({"spec": {"augmentation": [{"kind": "same_part_of_speech"}]}}, "takes text samples, and these are words"),
        ({"spec": {"objective": [{"kind": "hint", "layers": ["logits"]}]}}, "/objective/0: .* it compares samples"),
        ({"spec": {"objective": [{"kind": "hint", "on": "labelled"}]}}, "/objective/0: .* label of its own"),
        ({"spec": {"augmentation": [{"kind": "mixup"}]}}, "samples, and these are words"),
    ],
)
def test_what_does_not_go_with_words_is_refused(
    tmp_path: Path, lay_out: LayOut, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(EngineFailure, match=complaint):
        lay_out(make_tagged_job(tmp_path, **changes))


def test_onnx_is_refused_before_training(tmp_path: Path, run_here: RunHere) -> None:
    with pytest.raises(EngineFailure, match="it answers for words"):
        run_here(make_tagged_job(tmp_path, spec={"export": {"onnx": True, "plots": False}}))


def test_a_student_may_start_from_its_teachers_layers(tmp_path: Path, run_here: RunHere) -> None:
    student = {"architecture": SMALL.model_dump(), "initial": {"kind": "teacher_layers", "layers": {
        "bert.embeddings": "bert.embeddings", "bert.encoder.layer.0": "bert.encoder.layer.1", "classifier": "classifier"
    }}}  # fmt: skip
    run_here(make_tagged_job(tmp_path, spec={"student": student, "control": False}, training={"epochs": 1}))
    weights = load_file(tmp_path / "out" / "student.safetensors")
    build.network(SMALL).load_state_dict(weights)
    build.network(BERT).load_state_dict(taught())
