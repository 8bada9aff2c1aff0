"""Language models that teach language models: each token of a text is told what the next one is."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from app.contract.architectures import Transformers
from app.contract.events import Run
from app.contract.report import Report
from tests.engine.folders import of_type
from tests.engine.language import GPT2, SMALL, gpt2, llama, make_language_job, reading, taught
from tests.engine.texts import TINY_BERT, pieces, sentences
from worker.engine import build
from worker.engine.bench import Bench
from worker.engine.data import next_tokens, units
from worker.engine.failures import EngineFailure, Refused
from worker.engine.networks import torchvision_operators
from worker.engine.opening import open_student
from worker.engine.run import TrainingRun

LayOut = Callable[[Path], Bench]
RunHere = Callable[[Path], None]
ADAM = {"optimizer": {"kind": "adamw", "learning_rate": 0.01}}
SGD = {"kind": "sgd", "learning_rate": 1.0, "momentum": 0}
TERMS = ("soft_target", "reverse_kl", "jsd", "skew_kl", "uld", "hard_target")
WORDS = {"kind": "words", "vocabulary": ["<pad>", "<unk>", "film"], "max_tokens": 9}
SPLITS = {"validation": 0.2, "test": 0.2}


def report_of(folder: Path) -> Report:
    return Report.model_validate_json((folder / "out" / "report.json").read_bytes())


def student_run(bench: Bench) -> TrainingRun:
    return bench.training_run(bench.lessons(Run.STUDENT)[-1])


def rows(count: int, seed: int = 0) -> list[dict[str, str]]:
    return [{"text": text} for text in sentences(count, seed)[0]]


def test_a_student_learns_to_predict_tokens(tmp_path: Path, run_here: RunHere) -> None:
    objective = [{"kind": "soft_target", "temperature": 1}, {"kind": "hard_target"}]
    spec = {"objective": objective, "export": {"plots": True}}
    run_here(make_language_job(tmp_path, splits=SPLITS, spec=spec, training={"epochs": 8, **ADAM}))
    found, on = report_of(tmp_path), report_of(tmp_path).evaluated_on
    assert (on.samples, on.words) == (24, None)
    assert on.tokens == on.labelled
    assert 24 * 6 < (on.tokens or 0) < 24 * 30
    assert found.control
    for scores in (found.teacher, found.student, found.control):
        assert scores.nll
        assert scores.perplexity == pytest.approx(math.exp(scores.nll))
    teacher, student = found.teacher.perplexity or 0, found.student.perplexity or 0
    assert teacher < student < (found.control.perplexity or 0) < 12  # of 120 tokens
    assert sum(map(sum, found.confusions[0].counts)) == on.tokens
    card = (tmp_path / "out" / "README.md").read_text()
    for words in ("text-generation", "predicts the next of 120 tokens", "| Perplexity |", f"On {on.tokens} tokens in"):
        assert words in card


@pytest.mark.parametrize("student", [SMALL, llama()], ids=["tied", "own head"])
def test_the_student_opens_as_its_card_says(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch, student: Transformers
) -> None:
    run_here(make_language_job(tmp_path, student=student, training={"epochs": 1}, spec={"control": False}))
    stored = load_file(tmp_path / "out" / "student.safetensors")
    assert ("lm_head.weight" in stored) == (student != SMALL)
    assert sum(tensor.nbytes for tensor in stored.values()) == report_of(tmp_path).student.bytes
    monkeypatch.chdir(tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    code = card.split("```python\n")[1].split("```")[0]
    assert "AutoModelForCausalLM.from_pretrained" in code
    torchvision_operators.make_importable()
    names: dict[str, Any] = {}
    exec(code.replace("A text", "About two brothers"), names)
    assert isinstance(names["text"], str)
    ours = open_student(tmp_path / "out")
    with torch.inference_mode():
        said, expected = ours(["About two brothers"]), names["logits"][0, :-1].detach()
        torch.testing.assert_close(said, expected, atol=1e-5, rtol=1e-4)
        both = ours(["A dull boring film with music on the sea", "About two brothers"])
    torch.testing.assert_close(both[-len(said) :], expected, atol=1e-5, rtol=1e-4)  # padding is nothing


def test_each_token_is_told_the_next_one(tmp_path: Path, lay_out: LayOut) -> None:
    bench = lay_out(make_language_job(tmp_path, rows=rows(5), splits={"validation": 0}))
    ids = [pieces_of(text["text"]) for text in rows(5)]
    rows_B = torch.tensor([3, 0, 4])
    expected = torch.tensor([token for row in rows_B for token in ids[row][1:]])
    assert torch.equal(bench.transfer_set.labels_of(rows_B), expected)
    assert bench.transfer_set.counts["train"] == (sum(len(found) - 1 for found in ids), 0)
    # The teacher knows the sentences, and mostly says what comes.
    said_UC = bench.targets.of_samples(rows_B)
    assert (said_UC.argmax(1) == expected).double().mean() > 0.6


def pieces_of(text: str) -> list[int]:
    tokens = reading()([text])
    found: list[int] = tokens.ids_BL[0].tolist()
    return found


def test_the_loss_is_the_mean_over_tokens_by_hand(tmp_path: Path, lay_out: LayOut) -> None:
    folder = make_language_job(
        tmp_path,
        rows=rows(6),
        splits={"validation": 0},
        spec={"objective": [{"kind": "hard_target"}]},
        training={"batch_size": 6},
    )
    run = student_run(lay_out(folder))
    network, losses, count = run.state.network.eval(), [], 0
    for text in rows(6):
        ids = pieces_of(text["text"])
        losses.append(cross_entropy(network(reading()([text["text"]])), torch.tensor(ids[1:]), reduction="sum"))
        count += len(ids) - 1
    run.state.optimizer.step = lambda: None  # type: ignore[method-assign, assignment]
    told = run._step(torch.arange(6))
    torch.testing.assert_close(told[-1], torch.stack(losses).sum().detach() / count)


def gradients(folder: Path, lay_out: LayOut, accumulation: int, **spec: Any) -> list[torch.Tensor]:
    make_language_job(
        folder,
        rows=rows(8, seed=2),
        splits={"validation": 0},
        training={"epochs": 1, "batch_size": 8, "accumulation": accumulation, "optimizer": SGD},
        spec=spec,
    )
    run = student_run(lay_out(folder))
    before = [parameter.detach().clone() for parameter in run.state.network.parameters()]
    run.train()
    return [old - new.detach() for old, new in zip(before, run.state.network.parameters(), strict=True)]


@pytest.mark.parametrize("keep", ["all", "top_k"])
def test_micro_batches_have_the_gradient_of_the_whole(tmp_path: Path, lay_out: LayOut, keep: str) -> None:
    """Each is padded to its own longest text and has its own number of tokens."""
    kinds = TERMS if keep == "all" else [kind for kind in TERMS if kind != "uld"]
    spec = {"objective": [{"kind": kind} for kind in kinds], "soft_targets": {"keep": keep, "k": 8}}
    whole = gradients(tmp_path / "1", lay_out, 1, **spec)
    assert any(gradient.abs().max() > 1e-3 for gradient in whole)
    for accumulation in (2, 3, 8):
        found = gradients(tmp_path / str(accumulation), lay_out, accumulation, **spec)
        for cut, expected in zip(found, whole, strict=True):
            torch.testing.assert_close(cut, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", TERMS)
def test_a_text_twice_as_often_is_the_same_lesson(tmp_path: Path, lay_out: LayOut, kind: str) -> None:
    told = []
    for name, found in (("once", rows(4)), ("twice", rows(4) * 2)):
        spec = {"objective": [{"kind": kind}]}
        folder = make_language_job(tmp_path / name, rows=found, splits={"validation": 0}, spec=spec)
        run = student_run(lay_out(folder))
        run._prepare_targets()
        told.append(run._step(torch.arange(len(found)))[-1])
    assert told[0] > 0
    torch.testing.assert_close(*told)


@pytest.mark.parametrize(
    ("spec", "training", "more"),
    [
        ({"soft_targets": {"keep": "top_k", "k": 16}, "objective": [{"kind": "jsd"}]}, {"accumulation": 3}, {}),
        ({"generations": 2, "control": False}, {"early_stopping": {"monitor": "accuracy"}}, {}),
        ({"objective": [{"kind": "hint", "layers": ["hidden:*"]}, {"kind": "hard_target"}]}, {"accumulation": 2}, {}),
        ({"objective": [{"kind": "mutual"}, {"kind": "hard_target"}]}, {}, {}),
        ({"objective": [{"kind": "crd", "layers": ["hidden:-1"], "negatives": 20}, {"kind": "dkd"}]}, {}, {}),
        ({"objective": [{"kind": "uld"}, {"kind": "hard_target"}]}, {"precision": "bf16"}, {"student": llama()}),
        ({"objective": [{"kind": "uld", "on": "labelled"}, {"kind": "reverse_kl"}]}, {}, {"splits": {"validation": 0}}),
    ],
    ids=["top_k", "generations", "hint", "mutual", "crd", "llama", "evaluated on train"],
)
def test_what_else_a_job_may_ask_for(
    tmp_path: Path, run_here: RunHere, spec: dict[str, Any], training: dict[str, Any], more: dict[str, Any]
) -> None:
    given = {"rows": rows(40, seed=6), "splits": {"validation": 0.2}, **more}
    run_here(make_language_job(tmp_path, spec=spec, training={"epochs": 4, **ADAM, **training}, **given))
    assert (report_of(tmp_path).student.nll or 9) < math.log(120) - 0.1


def test_a_student_takes_its_teachers_layers(tmp_path: Path, run_here: RunHere) -> None:
    layers = {"transformer.wte": "transformer.wte", "transformer.wpe": "transformer.wpe",
              "transformer.h.0": "transformer.h.1", "transformer.ln_f": "transformer.ln_f"}  # fmt: skip
    student = {"architecture": SMALL.model_dump(), "initial": {"kind": "teacher_layers", "layers": layers}}
    run_here(make_language_job(tmp_path, spec={"student": student, "control": False}, training={"epochs": 1}))
    build.network(SMALL).load_state_dict(load_file(tmp_path / "out" / "student.safetensors"), strict=False)


def test_an_ensemble_of_language_models(tmp_path: Path, lay_out: LayOut) -> None:
    member = "mdl_" + "0" * 31
    teacher = {"members": [{"model": f"{member}{number}"} for number in "12"], "combine": "logits"}
    folder = make_language_job(tmp_path, rows=rows(6), splits={"validation": 0}, spec={"teacher": teacher})
    job = json.loads((folder / "job.json").read_text())
    (folder / "job.json").write_text(json.dumps({**job, "teachers": job["teachers"] * 2}))
    bench, network = lay_out(folder), build.network(GPT2).eval()
    network.load_state_dict(taught(), strict=False)
    with torch.inference_mode():
        expected = network(reading()([row["text"] for row in rows(6)]))
    torch.testing.assert_close(bench.targets.of_samples(torch.arange(6)), expected, atol=1e-4, rtol=1e-4)


def test_labels_of_the_texts_are_of_no_account(tmp_path: Path, run_here: RunHere) -> None:
    labelled = [{**row, "label": "good"} for row in rows(20)]
    run_here(make_language_job(tmp_path, rows=labelled, training={"epochs": 1}))
    assert report_of(tmp_path).control
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert "id2label" not in config


def test_only_as_many_tokens_are_evaluated_as_memory_holds(
    tmp_path: Path, run_here: RunHere, lay_out: LayOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(next_tokens, "_EVALUATED", 120 * 100)
    spec = {"control": False}
    run_here(make_language_job(tmp_path / "a", splits=SPLITS, spec=spec, training={"epochs": 1}))
    on = report_of(tmp_path / "a").evaluated_on
    assert 60 < (on.tokens or 0) <= 100
    assert on.samples < 24
    told = [event.text for event in of_type(tmp_path / "a", "notice")]
    assert [text[: text.index(" texts")] for text in told][-1] == f"Of the test part {on.samples} of 24"
    with pytest.raises(EngineFailure, match="no validation nor test part, and its training part more than the 100 tok"):
        lay_out(make_language_job(tmp_path / "b", splits={"validation": 0}))


def test_logits_are_made_of_few_texts_at_once(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, found = {"control": False}, []
    for name, numbers in (("a", 2**27), ("b", 120 * 40)):
        monkeypatch.setattr(units, "_AT_ONCE", numbers)
        run_here(make_language_job(tmp_path / name, rows=rows(30), spec=spec, training={"epochs": 1}))
        found.append(report_of(tmp_path / name).student.nll)
    assert found[0] == pytest.approx(found[1], rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"student": gpt2(1).model_copy(update={"task": "sequence_classification"})}, "/student: the teacher predicts"),
        ({"teacher": gpt2(2).model_copy(update={"task": "sequence_classification"})}, "/student: the student predicts"),
        ({"read_by_student": pieces(90)}, "/student/preprocessing: the student reads texts as other tokens"),
        ({"read_by_student": {**pieces(), "max_tokens": 20}}, "or cuts them elsewhere"),
        ({"spec": {"augmentation": [{"kind": "mask"}]}}, "/augmentation/0: .* changes the tokens"),
        ({"spec": {"objective": [{"kind": "hint", "layers": ["logits"]}]}}, "/objective/0: .* are those of tokens"),
        ({"rows": [{"text": "film"}] * 9, "read_by_teacher": WORDS}, "nothing to predict"),
    ],
)  # fmt: skip
def test_what_does_not_go_with_tokens_is_refused(
    tmp_path: Path, lay_out: LayOut, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(EngineFailure, match=complaint):
        lay_out(make_language_job(tmp_path, **changes))


def test_teachers_that_read_otherwise_are_refused(tmp_path: Path, lay_out: LayOut) -> None:
    member = "mdl_" + "0" * 31
    folder = make_language_job(tmp_path, spec={"teacher": {"members": [{"model": f"{member}{n}"} for n in "12"]}})
    job = json.loads((folder / "job.json").read_text())
    second = {**job["teachers"][0], "preprocessing": pieces(90)}
    (folder / "job.json").write_text(json.dumps({**job, "teachers": [job["teachers"][0], second]}))
    with pytest.raises(EngineFailure, match="the teachers read texts as different tokens"):
        lay_out(folder)


def test_a_network_that_sees_what_it_is_to_predict_is_refused(tmp_path: Path, lay_out: LayOut) -> None:
    bert = Transformers(config=TINY_BERT, classes=120, task="causal_lm")
    with pytest.raises(Refused, match="A bert sees the tokens that it is to predict"):
        build.network(bert)
    build.network(bert.model_copy(update={"config": {**bert.config, "is_decoder": True}}))
    with pytest.raises(EngineFailure, match=r"The student cannot be built\. A bert sees"):
        lay_out(make_language_job(tmp_path, student=bert))


def test_the_classes_are_the_tokens() -> None:
    with pytest.raises(ValidationError, match="the classes are the tokens, 120 of them"):
        Transformers(config=GPT2.config, classes=2, task="causal_lm")
    assert "not exported as ONNX" in (GPT2.refuses_onnx() or "")
    assert "these are lists" in (GPT2.refuses("words", ()) or "")
