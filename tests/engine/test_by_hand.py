"""The two commands as a user types them, with no service anywhere."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from app.contract.architectures import Lstm
from app.contract.inspection import DatasetInspection, ModelInspection
from app.contract.job_file import EXIT_DONE, EXIT_FAILED
from tests.engine.folders import ROOT, make, of_type, start

ZERO = "0" * 32


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("module", ["worker.engine", "worker.engine.inspection"])
def test_help_and_a_directory_without_a_job(tmp_path: Path, module: str) -> None:
    shown = run(module, "--help")
    assert shown.returncode == 0
    assert "JOBDIR/job.json" in shown.stdout
    missing = run(module, str(tmp_path))
    assert missing.returncode != EXIT_DONE
    assert "cannot read" in missing.stderr
    (tmp_path / "job.json").write_text('{"version": 1, "spek": {}}')
    invalid = run(module, str(tmp_path))
    assert invalid.returncode != EXIT_DONE
    assert invalid.stderr.splitlines()[-1].count("job.json") == 1
    assert "Traceback" not in invalid.stderr


def test_a_failed_job_says_so_last(tmp_path: Path) -> None:
    folder = make(tmp_path, labels=np.full(120, 9))
    assert start(folder).wait(timeout=60) == EXIT_FAILED
    failed = of_type(folder, "failed")
    assert [event.code for event in failed] == ["invalid_transfer_set"]
    assert (folder / "events.jsonl").read_text().splitlines()[-1].count('"failed"') == 1
    assert "label 9" in (folder / "log.txt").read_text()
    assert "Traceback" not in (folder / "log.txt").read_text()


class Net(nn.Module):
    """The user's own class, as the blog post has it."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.layer1 = nn.LSTM(2, hidden, 4, batch_first=True)
        self.layer2 = nn.Linear(hidden, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        steps, _ = self.layer1(inputs)
        logits: Tensor = self.layer2(steps[:, -1])
        return logits


def inspect(folder: Path, subject: dict[str, object]) -> str:
    (folder / "job.json").write_text(json.dumps({"subject": subject}))
    process = start(folder, "worker.engine.inspection")
    assert process.wait(timeout=60) == EXIT_DONE, (folder / "log.txt").read_text()
    return (folder / "out" / "inspection.json").read_text()


def test_the_founding_example(tmp_path: Path) -> None:
    torch.manual_seed(0)
    teacher = Net(16)
    architecture = Lstm(inputs=2, hidden=16, layers=4, classes=4)
    inspected = tmp_path / "inspected"
    (inspected / "inputs").mkdir(parents=True)
    torch.save(teacher.state_dict(), inspected / "inputs" / "upload")
    subject = {"kind": "model", "architecture": architecture.model_dump()}
    finding = ModelInspection.model_validate_json(inspect(inspected, subject))
    assert not finding.problems
    assert finding.key_map == {"layer1": "lstm", "layer2": "head"}

    student = architecture.model_copy(update={"hidden": 8})
    job = make(
        tmp_path / "job",
        teacher=architecture,
        student=student,
        inputs=np.random.default_rng(0).normal(size=(4, 6, 2)).astype(np.float32),
        labels=np.array([0, 1, 0, 0]),
        spec={
            "objective": [{"kind": "soft_target", "weight": 0.9}, {"kind": "hard_target", "weight": 0.1}],
            "training": {
                "epochs": 5,
                "batch_size": 2,
                "shuffle": False,
                "optimizer": {"kind": "sgd", "learning_rate": 0.1, "momentum": 0.9},
            },
        },
        names=finding.key_map,
    )
    content = json.loads((job / "job.json").read_text())
    content["teachers"][0]["key_map"] = finding.key_map
    (job / "job.json").write_text(json.dumps(content))
    (inspected / "out" / "weights.safetensors").replace(job / "inputs" / "teacher.safetensors")
    assert start(job).wait(timeout=60) == EXIT_DONE, (job / "log.txt").read_text()
    assert of_type(job, "step")[-1].steps == 10
    Net(8).load_state_dict(load_file(job / "out" / "student.safetensors"), strict=True)


def test_a_rejected_set_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / "upload").write_bytes(b"\x89PNG\r\n\x1a\n")
    finding = DatasetInspection.model_validate_json(inspect(tmp_path, {"kind": "dataset", "format": {}, "splits": {}}))
    assert "a PNG image" in finding.problems[0].detail
