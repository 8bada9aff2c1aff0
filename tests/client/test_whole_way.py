"""The examples and the command line against the real service, all of its processes running."""

import hashlib
import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import stillhouse
from app.contract.teachers import members_of
from stillhouse import Stillhouse
from stillhouse.cli import app
from stillhouse.commands.results import compared
from stillhouse.embedded import EmbeddedStack
from tests.engine import language, tagged, texts

pytestmark = pytest.mark.xdist_group("whole way")  # one stack, on one of the suite's workers
EXAMPLES = Path(__file__).parents[2] / "examples"
TEACHER = {"kind": "mlp", "inputs": 4, "hidden": [8], "classes": 3}
STUDENT = {"architecture": {"kind": "mlp", "inputs": 4, "hidden": [2], "classes": 3}}


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with EmbeddedStack(tmp_path_factory.mktemp("stack") / "data") as running:
        yield running


@pytest.fixture
def client(stack):
    with Stillhouse(stack.url) as client:
        yield client


@pytest.fixture(scope="module")
def small(stack):
    """Register a small teacher and transfer set; return both."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    with Stillhouse(stack.url) as client:
        teacher = client.models.create(network, architecture=TEACHER, name="small")
        inputs = torch.randn(60, 4)
        labels = network(inputs).argmax(dim=1)
        return teacher, client.datasets.create({"inputs": inputs, "labels": labels}, splits={"validation": 0.2})


def example(stack, name, folder, *arguments):
    environment = {**os.environ, "STILLHOUSE_URL": stack.url}
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    result = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run the demo as a stranger would, the usual ports taken; return where it stood, what it kept, what it printed."""
    here, kept = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("digits")
    with taken(8000), taken(6379), taken(5432):
        command = [sys.executable, str(EXAMPLES / "demo.py"), "--seed", "3", "--keep", str(kept)]
        environment = {**os.environ, "TMPDIR": str(here)}
        result = subprocess.run(command, check=False, capture_output=True, text=True, cwd=here, env=environment)
    assert result.returncode == 0, result.stderr
    return SimpleNamespace(here=here, kept=kept, output=result.stdout, progress=result.stderr)


@contextmanager
def taken(port):
    """Have a port taken, by us or by whoever has it already."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            holder.bind(("127.0.0.1", port))
            holder.listen()
        yield


def score(output, row):
    (line,) = [line for line in output.splitlines() if line.startswith(row)]
    return next(float(word.rstrip("%")) for word in line.split() if word.endswith("%"))


def test_the_demos_student_beats_the_one_without_a_teacher(demo):
    assert score(demo.output, "teacher  ") > 95
    assert score(demo.output, "distilled student") > score(demo.output, "same student, no teacher") + 3
    assert score(demo.output, "Scored here, from the downloaded file") == score(demo.output, "distilled student")
    assert "249 times smaller" in demo.output
    assert "100 of them with a label" in demo.output


def test_the_demo_shows_progress_and_leaves_nothing_behind(demo):
    assert "training student" in demo.progress
    assert "succeeded" in demo.progress
    assert list(demo.here.iterdir()) == []


def test_the_quick_start(stack, demo):
    line = example(stack, "quickstart.py", demo.kept).splitlines()[-1]
    teacher, student = [float(word.rstrip("%,")) for word in line.split() if "%" in word]
    assert teacher > 94
    assert student > 94
    assert set(load_file(demo.kept / "student.safetensors")) >= {"net.0.weight", "net.2.bias"}


def test_the_founding_example(stack, tmp_path):
    assert "The student's classes: [" in example(stack, "founding.py", tmp_path)


def test_a_spec_with_files_goes_the_whole_way_from_a_shell(stack, demo, tmp_path, monkeypatch):
    monkeypatch.setenv("STILLHOUSE_URL", stack.url)

    def run(*arguments):
        result = CliRunner().invoke(app, [str(word) for word in arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    job = run("submit", demo.kept / "spec.yaml", "--follow").strip()
    assert json.loads(run("show", job, "--json"))["state"] == "succeeded"
    assert job in run("jobs", "--state", "succeeded", "--label", "project:digits")
    path, _, sha256 = run("download", job, tmp_path).split()
    assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == sha256
    assert run("download", job, tmp_path / "r.json", "--artifact", "report").startswith(str(tmp_path / "r.json"))
    assert "distilled student" in run("report", job)
    assert json.loads(run("report", job, "--json"))["student"]["parameters"] == 1210
    assert run("logs", job)


def test_a_student_teaches_the_next_one(client, small):
    teacher, data = small
    short = {"transfer_set": data, "training": {"epochs": 1}, "control": False}
    first = client.jobs.create(teacher=teacher, student=STUDENT, **short)
    assistant = client.models.of_job(first, name="assistant", wait=False)
    second = client.jobs.create(teacher=[teacher, assistant], student={"model": assistant.id}, **short)
    assert second.wait(timeout=120).report.teacher.parameters > teacher.inspection.parameters
    assert client.models.wait(assistant).name == "assistant"
    assert [job.id for job in client.jobs.list(teacher=assistant)] == [second.id]


def test_a_clone_and_a_lock_file_give_the_same_student(client, small, tmp_path):
    teacher, data = small
    job = client.jobs.create(teacher=teacher, transfer_set=data, student=STUDENT, training={"epochs": 2}, control=False)
    files = {path.name: path for path in job.wait(timeout=60).download(tmp_path / "student")}
    assert {"student.safetensors", "README.md", "manifest.json", "report.json"} <= files.keys()
    lock = files["job.lock.json"]
    clone = job.clone(name="once more")
    assert (clone.resource.cloned_from, clone.name) == (job.id, "once more")
    result = CliRunner().invoke(app, ["submit", str(lock), "--url", client.url])
    assert result.exit_code == 0, result.output
    again = client.jobs.get(result.stdout.strip())
    students = {one.wait(timeout=60).student.sha256 for one in (job, clone, again)}
    assert len(students) == 1


class Own(torch.nn.Module):
    """A class that the service has never seen."""

    def __init__(self, width):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.BatchNorm1d(width), torch.nn.GELU())
        self.scale = torch.nn.Parameter(torch.ones(width))
        self.out = torch.nn.Linear(width, 3)

    def forward(self, inputs):
        return self.out(self.body(inputs) * self.scale)


def test_modules_of_ones_own_teach_and_are_taught(client, small, tmp_path):
    example = torch.randn(2, 4)
    teacher = client.models.create(Own(8), example=example, wait=False)
    start = client.models.create(stillhouse.capture(Own(3), example), name="own student")
    assert teacher.architecture.kind == start.architecture.kind == "graph"
    spec = {"teacher": teacher.id, "transfer_set": small[1].id, "training": {"epochs": 1}, "control": False}
    job = client.jobs.submit({**spec, "student": {"model": start.id}})
    job.wait(timeout=120).student.download(tmp_path / "student.safetensors")
    Own(3).load_state_dict(load_file(tmp_path / "student.safetensors"), strict=True)
    fresh = client.jobs.validate({**spec, "student": {"model": start.id, "initial": {"kind": "fresh"}}})
    assert [problem.pointer for problem in fresh.errors] == ["/student/initial"]
    assert "drawn anew: scale;" in fresh.errors[0].detail
    assert client.models.of_job(job, wait=False).architecture == start.architecture


def test_a_folder_that_tags_words_teaches_a_smaller_one(client, tmp_path):
    folder, found = tagged.hub_folder(tmp_path / "my-ner"), tagged.rows(60, seed=2)
    teacher = client.models.create(folder)
    assert (teacher.architecture.task, teacher.class_names) == ("token_classification", tagged.TAGS)
    data = client.datasets.create({name: [row[name] for row in found] for name in ("tokens", "tags")})
    assert data.inspection.sample_kind == "words"
    student = {"architecture": tagged.SMALL.model_dump()}
    job = client.jobs.create(teacher=teacher, transfer_set=data, student=student, training={"epochs": 1})
    assert job.wait(timeout=120).report.evaluated_on.words
    assert job.report.teacher.entities.f1 > 0.9
    assert "(F1 " in compared(job.report)
    assert f"on {job.report.evaluated_on.words} words in 6 samples" in compared(job.report)
    learnt = client.models.of_job(job)
    assert learnt.class_names == tagged.TAGS
    assert learnt.preprocessing.kind == "tokenizer"
    told = client.jobs.validate({"teacher": learnt.id, "transfer_set": data.id, "student": student})
    assert told.valid, told.errors


def test_a_folder_that_continues_texts_teaches_a_smaller_one(client, tmp_path):
    teacher = client.models.create(language.hub_folder(tmp_path / "my-gpt"))
    assert (teacher.architecture.task, teacher.architecture.classes) == ("causal_lm", language.TOKENS)
    data = client.datasets.create({"text": texts.sentences(40, seed=2)[0]})
    student = {"architecture": language.SMALL.model_dump()}
    job = client.jobs.create(teacher=teacher, transfer_set=data, student=student, training={"epochs": 1})
    report = job.wait(timeout=120).report
    assert report.teacher.perplexity < 4 < report.student.perplexity
    assert f"on {report.evaluated_on.tokens} tokens in 4 samples" in compared(report)
    assert "(perplexity " in compared(report)
    learnt = client.models.of_job(job)  # whose file has each weight once
    told = client.jobs.validate({"teacher": learnt.id, "transfer_set": data.id, "student": student})
    assert told.valid, told.errors


def test_a_network_of_ones_own_needs_an_example(client):
    with pytest.raises(ValueError, match="of a module of your own give an example instead"):
        client.models.create(Own(2))


def test_validation_points_at_everything(client, small):
    teacher, data = small
    spec = {"teacher": teacher.id, "transfer_set": data.id, "student": STUDENT, "training": {"epochs": 0}, "sed": 1}
    verdict = client.jobs.validate(spec)
    assert not verdict.valid
    found = {problem.pointer: problem.detail for problem in verdict.errors}
    assert "/training/epochs" in found
    assert "did you mean 'seed'?" in found["/sed"]


def test_a_refused_spec_raises_with_its_pointers(client, small):
    teacher, data = small
    with pytest.raises(stillhouse.InvalidRequest, match="did you mean 'soft_target'") as caught:
        client.jobs.create(
            teacher=teacher, transfer_set=data, student=STUDENT, objective=[{"kind": "soft_targt", "temperature": 2}]
        )
    assert caught.value.request_id.startswith("req_")


def test_a_wrong_teacher_is_rejected_with_its_shapes(client, tmp_path):
    save_file({"a": torch.zeros(5, 4), "b": torch.zeros(5)}, tmp_path / "t.safetensors")
    with pytest.raises(stillhouse.ModelRejected) as caught:
        client.models.create(tmp_path / "t.safetensors", architecture=TEACHER)
    assert caught.value.problems


def test_a_cancelled_job_says_so(client, small):
    teacher, data = small
    training = {"epochs": 100_000, "batch_size": 8}
    job = client.jobs.create(teacher=teacher, transfer_set=data, student=STUDENT, training=training)
    assert job.cancel().id == job.id
    with pytest.raises(stillhouse.JobFailed, match="was cancelled"):
        job.wait(timeout=60)
    assert [event.type for event in job.events()][-1] == "job.terminal"
    with pytest.raises(stillhouse.NoSuchArtifact):
        _ = job.student


def test_one_key_makes_one_job(client, small):
    teacher, data = small
    spec = {"teacher": teacher.id, "transfer_set": data.id, "student": STUDENT, "training": {"epochs": 1}}
    first, second = [client.jobs.submit(spec, idempotency_key="the same") for _ in range(2)]
    assert first.id == second.id
    with pytest.raises(stillhouse.IdempotencyKeyReused):
        client.jobs.submit({**spec, "seed": 7}, idempotency_key="the same")
    job = first.wait(timeout=60)
    assert {artifact.kind for artifact in job.artifacts} >= {"student", "report", "manifest", "lock"}
    assert {series.name for series in job.metrics().series} >= {"student/loss"}
    assert job.change(name="renamed").name == "renamed"
    for thing in (job, job.id, teacher):
        client.pin(thing)
    assert job.refresh().resource.pinned
    assert client.models.get(teacher.id).pinned
    client.unpin(teacher)
    assert not client.models.get(teacher.id).pinned
    assert {due.kind: due.count for due in client.retention().removals}["soft_targets"] == 0


def test_lists_go_on_to_their_end(client, small):
    teacher, _ = small
    assert teacher.id in [model.id for model in client.models.list(limit=1)]
    taught = [members_of(job.resource.spec.teacher) for job in client.jobs.list(teacher=teacher, limit=1)]
    assert all(teacher.id in [member.model for member in members] for members in taught)
    assert client.models.rename(teacher, "other").name == "other"


def test_what_is_deleted_is_gone(client, tmp_path):
    (tmp_path / "f.bin").write_bytes(b"bytes")
    file = client.files.upload(tmp_path / "f.bin")
    assert client.files.get(file.id).sha256 == hashlib.sha256(b"bytes").hexdigest()
    client.files.delete(file.id)
    with pytest.raises(stillhouse.NotFound):
        client.files.get(file.id)


def test_the_catalogue_and_the_readiness_are_typed(client):
    assert {entry.kind for entry in client.catalog().objectives} >= {"soft_target", "hard_target"}
    assert client.ready().ready
