"""The model card, and the student as its users open it: by the card's own lines, and by the field's libraries."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from app.contract.architectures import Architecture, Lstm, Timm, Transformers
from app.contract.report import Report
from tests.engine.folders import LSTM, MLP, SMALL_LSTM, blobs, make
from tests.engine.texts import TINY_BERT, make_text_job, pieces
from worker.engine import build
from worker.engine.opening import open_student

RunHere = Callable[[Path], None]
SHORT: dict[str, Any] = {"spec": {"control": False}, "training": {"epochs": 1}}
BERT = Transformers(config=TINY_BERT, classes=2)
TIMM = Timm(name="resnet18", channels=1, classes=3, arguments={"layers": (1, 1, 1, 1), "channels": (4, 4, 4, 4)})


def card_of(folder: Path) -> tuple[dict[str, Any], str]:
    """Return the card's front matter and text."""
    _, front, text = (folder / "out" / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), text


def run_snippet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the card's lines where the student lies, and return what they leave."""
    [code] = re.findall(r"```python\n(.*?)```", card_of(folder)[1], re.DOTALL)
    monkeypatch.chdir(folder / "out")
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def test_a_card_says_what_the_report_says(tmp_path: Path, run_here: RunHere) -> None:
    name = "A <b>bold</b> | name"
    folder = make(tmp_path, spec={"name": name}, transfer_set={"splits": {"test": 0.25}}, training={"epochs": 2})
    run_here(folder)
    front, text = card_of(folder)
    report = Report.model_validate_json((folder / "out" / "report.json").read_bytes())
    lock = json.loads((folder / "out" / "job.lock.json").read_text())
    assert front["library_name"] == "stillhouse"
    assert set(front["tags"]) == {"knowledge-distillation", "stillhouse", "mlp"}
    [result] = front["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "accuracy", "value": pytest.approx(report.student.accuracy, abs=1e-6)}]
    assert front["model-index"][0]["name"] == name
    assert "# A &lt;b&gt;bold&lt;/b&gt; | name" in text
    assert report.control
    row = [f"{scores.accuracy:.2%}" for scores in (report.teacher, report.student, report.control)]
    assert f"| Accuracy | {' | '.join(row)} |" in text
    assert all(sha256 in text for sha256 in (*lock["digests"]["teachers"], lock["digests"]["student"]))
    assert lock["digests"]["transfer_set"] in text


@pytest.mark.parametrize(
    ("teacher", "student", "names"),
    [(MLP, MLP, {}), (LSTM, SMALL_LSTM, {"body": "lstm", "top": "head"})],
    ids=["own names", "a user's names"],
)
def test_the_cards_lines_open_our_own_families(
    tmp_path: Path,
    run_here: RunHere,
    monkeypatch: pytest.MonkeyPatch,
    teacher: Architecture,
    student: Architecture,
    names: dict[str, str],
) -> None:
    folder = make(tmp_path, teacher=teacher, student=student, names=names, **SHORT)
    run_here(folder)
    assert run_snippet(folder, monkeypatch)["logits"].shape == (1, 3)
    inputs = torch.from_numpy(blobs(5, (5, 2) if isinstance(student, Lstm) else (6,))[0])
    if not names:
        network = build.network(student).eval()
        network.load_state_dict(load_file(folder / "out" / "student.safetensors"))
        assert torch.equal(open_student(folder / "out")(inputs), network(inputs))


def test_a_student_of_texts_is_opened_with_its_vocabulary(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_text_job(tmp_path, read_by_teacher=pieces(), read_by_student={"kind": "words"}, **SHORT)
    run_here(folder)
    front, text = card_of(folder)
    assert front["pipeline_tag"] == "text-classification"
    assert "It tells 2 classes apart: `bad`, `good`." in text
    assert run_snippet(folder, monkeypatch)["logits"].shape == (1, 2)


@pytest.mark.filterwarnings("default")  # the library's own
def test_transformers_opens_the_folder(tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_text_job(tmp_path, student=BERT, read_by_teacher=pieces(), **SHORT)
    run_here(folder)
    opened = run_snippet(folder, monkeypatch)
    assert type(opened["model"]).__name__ == "BertForSequenceClassification"
    assert opened["model"].config.id2label == {0: "bad", 1: "good"}
    texts = ["Truly lovely acting on the sea.", "A dull boring film", "about two brothers"]
    inputs = opened["tokenizer"](texts, padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        assert torch.equal(opened["model"](**inputs).logits, open_student(folder / "out")(texts))
    kinds = {file["name"]: file["kind"] for file in json.loads(Path("manifest.json").read_text())["files"]}
    assert kinds["config.json"] == "config"
    assert kinds["tokenizer.json"] == kinds["tokenizer_config.json"] == "tokenizer"


def test_timm_opens_the_file(tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, labels = blobs(48, (1, 32, 32))
    folder = make(tmp_path, teacher=TIMM, student=TIMM, inputs=inputs, labels=labels, **SHORT)
    run_here(folder)
    model = run_snippet(folder, monkeypatch)["model"]
    samples = torch.from_numpy(inputs[:4])
    with torch.inference_mode():
        assert torch.equal(model(samples), open_student(folder / "out")(samples))


def test_a_transformer_under_a_users_names_is_opened_by_us(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_text_job(tmp_path, student=BERT, read_by_teacher=pieces(), **SHORT)
    job = json.loads((folder / "job.json").read_text())
    job["student"]["key_map"] = {"mine": "bert", "head": "classifier"}
    (folder / "job.json").write_text(json.dumps(job))
    run_here(folder)
    assert not (folder / "out" / "config.json").exists()
    assert card_of(folder)[0]["library_name"] == "stillhouse"
    assert np.isfinite(run_snippet(folder, monkeypatch)["logits"].numpy()).all()
