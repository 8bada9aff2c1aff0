"""Uploads: hashed while they are read, from files, arrays and networks alike."""

import hashlib
import io
import json
import tarfile
from email import message_from_bytes

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load

import stillhouse
from stillhouse.packing import length, pieces_of
from stillhouse.sending import Outgoing

CREATED = "2026-01-01T00:00:00Z"
MLP = {"kind": "mlp", "inputs": 4, "hidden": [3], "classes": 2}


def received(asked):
    """Return the name and the bytes of a multipart upload."""
    head = b"Content-Type: " + asked.headers["Content-Type"].encode() + b"\r\n\r\n"
    (part,) = message_from_bytes(head + asked.body).get_payload()
    assert part.get_param("name", header="Content-Disposition") == "file"
    return part.get_filename(), part.get_payload(decode=True)


def stored(sha256, size=1):
    return {"id": "file_1", "name": "x", "size": size, "sha256": sha256, "created_at": CREATED}


@pytest.fixture
def echo(script, answers, monkeypatch):
    """Make the server answer each upload with what it received, as the service does."""
    usual = script.next

    def next_answer(method, path):
        if (method, path) == ("POST", "/v1/files"):
            _, content = received(script.asked[-1])
            return answers.json(stored(hashlib.sha256(content).hexdigest(), len(content)), 201)
        return usual(method, path)

    monkeypatch.setattr(script, "next", next_answer)
    return script


def model(state="ready", inspection=None):
    fields = {"id": "mdl_1", "name": "t", "file": "file_1", "architecture": MLP, "key_map": None, "version": 1}
    return {**fields, "state": state, "inspection": inspection, "created_at": CREATED}


def dataset(state="ready", inspection=None):
    fields = {"id": "ds_1", "name": "d", "file": "file_1", "format": {"kind": "tensors"}, "splits": {}, "version": 1}
    return {**fields, "state": state, "inspection": inspection, "created_at": CREATED}


def test_a_file_arrives_whole(client, echo, tmp_path):
    (tmp_path / "teacher.bin").write_bytes(bytes(range(256)) * 1000)
    file = client.files.upload(tmp_path / "teacher.bin")
    assert file.size == 256_000
    assert received(echo.asked[0]) == ("teacher.bin", bytes(range(256)) * 1000)


def test_a_repeated_upload_is_hashed_from_its_start(client, script, answers, tmp_path):
    (tmp_path / "f").write_bytes(b"abc" * 50_000)
    digest = hashlib.sha256(b"abc" * 50_000).hexdigest()
    busy = answers.problem(503, "service_unavailable", "later", **{"Retry-After": "0"})
    script.on("POST", "/v1/files", busy, answers.json(stored(digest), 201))
    assert client.files.upload(tmp_path / "f").sha256 == digest
    assert received(script.asked[1])[1] == b"abc" * 50_000


def test_an_upload_damaged_on_the_way_is_refused_and_removed(client, script, answers, tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    script.on("POST", "/v1/files", answers.json(stored("0" * 64), 201))
    script.on("DELETE", "/v1/files/file_1", answers.Answer(204))
    with pytest.raises(stillhouse.Corrupted):
        client.files.upload(tmp_path / "f")
    assert [asked.method for asked in script.asked] == ["POST", "DELETE"]


def test_a_missing_file_is_an_error_of_the_system(client, tmp_path):
    with pytest.raises(FileNotFoundError):
        client.models.create(tmp_path / "nowhere.safetensors", architecture=MLP)


@pytest.mark.parametrize("hand_over", [lambda net: net, lambda net: net.state_dict()], ids=["module", "state dict"])
def test_a_network_is_sent_as_safetensors(client, echo, answers, hand_over):
    network = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    echo.on("POST", "/v1/models", answers.json(model("uploaded"), 201))
    echo.on("GET", "/v1/models/mdl_1", answers.json(model("inspecting")), answers.json(model("ready")))
    assert client.models.create(hand_over(network), architecture=MLP, key_map={"0": "layers.0"}).state == "ready"
    sent = load(received(echo.asked[0])[1])
    assert sent.keys() == network.state_dict().keys()
    assert all(torch.equal(sent[name], value) for name, value in network.state_dict().items())


@pytest.fixture
def hub(tmp_path):
    """A Hugging Face folder, one of its files a link as in the hub's cache, and things that nobody needs."""
    folder = tmp_path / "my-bert"
    (folder / "onnx").mkdir(parents=True)
    (tmp_path / "blob").write_bytes(b"w" * 700_000)
    (folder / "model.safetensors").symlink_to(tmp_path / "blob")
    files = {"config.json": b"{}", "vocab.txt": b"[UNK]", "README.md": b"?", "pytorch_model.bin": b"?", "onnx/m": b"?"}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_folder_is_sent_as_an_archive_of_what_is_needed(client, echo, answers, hub):
    echo.on("POST", "/v1/models", answers.json(model("uploaded"), 201))
    client.models.create(hub, wait=False)
    client.models.create(str(hub), wait=False)
    name, content = received(echo.asked[0])
    assert name == "my-bert.tar"
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        found = {member.name: archive.extractfile(member).read() for member in archive}
    assert found == {"config.json": b"{}", "vocab.txt": b"[UNK]", "model.safetensors": b"w" * 700_000}
    assert json.loads(echo.asked[1].body)["architecture"]["kind"] == "huggingface"
    assert received(echo.asked[2])[1] == content


def test_a_folder_that_is_none_of_hugging_face_is_not_sent(client, script, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"it has no config\.json"):
        client.models.create(tmp_path)
    with pytest.raises(ValueError, match="architecture is missing"):
        client.models.create(tmp_path / "teacher.safetensors")
    assert script.asked == []


def test_a_file_that_fills_its_last_block_does_not_end_the_archive(hub):
    (hub / "config.json").write_bytes(b"x" * 2**18)
    pieces = pieces_of(hub)
    with Outgoing(pieces, lambda _: None) as outgoing:
        content = b"".join(iter(lambda: outgoing.read(2**16), b""))
    assert len(content) == sum(map(length, pieces))
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getnames() == ["config.json", "vocab.txt", "model.safetensors"]


@given(st.lists(st.binary(max_size=20), max_size=5), st.integers(0, 100), st.integers(1, 30))
def test_what_is_sent_from_somewhere_on_is_the_rest(parts, start, step):
    whole = b"".join(parts)
    start = min(start, len(whole))
    done = [start]
    with Outgoing(parts, done.append, start) as outgoing:
        for _ in range(2):  # also when it is sent again
            assert b"".join(iter(lambda: outgoing.read(step), b"")) == whole[start:]
            outgoing.seek(0)
    assert (outgoing.size, max(done)) == (len(whole) - start, len(whole))


def test_a_file_that_shrinks_on_the_way_ends_the_upload(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    outgoing = Outgoing(pieces_of(path), lambda _: None)
    path.write_bytes(b"a")
    with pytest.raises(OSError, match="became shorter"):
        outgoing.read()


def test_tied_weights_are_sent(client, echo, answers):
    network = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    network[1].weight = network[0].weight
    echo.on("POST", "/v1/models", answers.json(model("uploaded"), 201))
    client.models.create(network, architecture=MLP, wait=False)
    assert len(load(received(echo.asked[0])[1])) == 4


def test_a_state_dict_with_something_else_in_it_is_refused(client):
    with pytest.raises(TypeError, match="epoch"):
        client.models.create({"weight": torch.zeros(1), "epoch": 3}, architecture=MLP)


def test_arrays_and_tensors_are_sent_as_npz(client, echo, answers):
    echo.on("POST", "/v1/datasets", answers.json(dataset("uploaded"), 201))
    echo.on("GET", "/v1/datasets/ds_1", answers.json(dataset()))
    arrays = {"inputs": torch.ones(3, 4), "labels": np.array([0, 1, -1]), "split": [0, 0, 2]}
    assert client.datasets.create(arrays, splits={"validation": 0}).id == "ds_1"
    with np.load(io.BytesIO(received(echo.asked[0])[1]), allow_pickle=False) as sent:
        assert {name: sent[name].tolist() for name in sent.files} == {
            "inputs": [[1.0] * 4] * 3, "labels": [0, 1, -1], "split": [0, 0, 2],
        }  # fmt: skip


def test_texts_are_sent_as_json_lines_and_said_to_be_text(client, echo, answers):
    echo.on("POST", "/v1/datasets", answers.json(dataset("uploaded"), 201))
    columns = {"text": ["schön", "bad"], "label": np.array([1, 0]), "split": ("train", "test")}
    client.datasets.create(columns, wait=False)
    lines = received(echo.asked[0])[1].decode().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"text": "schön", "label": 1, "split": "train"}, {"text": "bad", "label": 0, "split": "test"},
    ]  # fmt: skip
    assert json.loads(echo.asked[1].body)["format"]["kind"] == "text"


@pytest.mark.parametrize("form", [None, {"kind": "table"}])
def test_a_tables_columns_are_sent_as_json_lines(client, echo, answers, form):
    echo.on("POST", "/v1/datasets", answers.json(dataset("uploaded"), 201))
    client.datasets.create({"age": np.array([1.5, 2]), "label": ["a", None]}, format=form, wait=False)
    lines = received(echo.asked[0])[1].decode().splitlines()
    assert [json.loads(line) for line in lines] == [{"age": 1.5, "label": "a"}, {"age": 2.0, "label": None}]
    assert json.loads(echo.asked[1].body)["format"]["kind"] == "table"


def test_a_table_of_numbers_is_sent_in_rows_too(client, echo, answers):
    echo.on("POST", "/v1/datasets", answers.json(dataset("uploaded"), 201))
    client.datasets.create({"age": [1, 2], "label": [0, 1]}, format={"kind": "table"}, wait=False)
    assert received(echo.asked[0])[1].decode().splitlines()[0] == '{"age": 1, "label": 0}'


def test_texts_and_labels_of_different_length_are_refused(client):
    with pytest.raises(ValueError, match="different lengths"):
        client.datasets.create({"text": ["a", "b"], "label": [1]})


def test_arrays_of_objects_are_refused(client):
    with pytest.raises(TypeError, match="inputs"):
        client.datasets.create({"inputs": np.array([{}, None])})


def test_a_rejected_model_lists_what_is_wrong(client, echo, answers, tmp_path):
    (tmp_path / "t").write_bytes(b"x")
    problems = [{"pointer": "/layers.0.weight", "detail": "has shape (3, 5); the architecture says (3, 4)"}]
    echo.on("POST", "/v1/models", answers.json(model("uploaded"), 201))
    echo.on("GET", "/v1/models/mdl_1", answers.json(model("rejected", {"problems": problems})))
    with pytest.raises(stillhouse.ModelRejected, match=r"/layers.0.weight: has shape \(3, 5\)") as caught:
        client.models.create(tmp_path / "t", architecture=MLP)
    assert caught.value.resource.id == "mdl_1"
    assert len(caught.value.problems) == 1


def test_a_rejected_dataset_lists_what_is_wrong(client, echo, answers, tmp_path):
    (tmp_path / "d").write_bytes(b"x")
    problems = [{"pointer": "", "detail": "the set is empty"}]
    echo.on("POST", "/v1/datasets", answers.json(dataset("uploaded"), 201))
    echo.on("GET", "/v1/datasets/ds_1", answers.json(dataset("rejected", {"problems": problems})))
    with pytest.raises(stillhouse.DatasetRejected, match="the set is empty"):
        client.datasets.create(tmp_path / "d")


def test_an_inspection_that_takes_too_long_is_said(client, echo, answers, tmp_path):
    (tmp_path / "t").write_bytes(b"x")
    echo.on("POST", "/v1/models", answers.json(model("uploaded"), 201))
    echo.on("GET", "/v1/models/mdl_1", answers.json(model("inspecting")))
    with pytest.raises(TimeoutError, match="the inspection of mdl_1"):
        client.models.create(tmp_path / "t", architecture=MLP, timeout=0.2)


def test_lists_fetch_their_pages_by_themselves(client, script, answers):
    first = {"data": [model(), model()], "has_more": True, "next_cursor": "abc"}
    last = {"data": [model()], "has_more": False, "next_cursor": None}
    script.on("GET", "/v1/models", answers.json(first), answers.json(last))
    assert len(list(client.models.list(limit=2))) == 3
    assert [asked.query for asked in script.asked] == ["limit=2", "limit=2&cursor=abc"]


def test_a_list_fetches_no_page_that_is_not_needed(client, script, answers):
    script.on("GET", "/v1/models", answers.json({"data": [model()], "has_more": True, "next_cursor": "abc"}))
    assert next(client.models.list()).id == "mdl_1"
    assert len(script.asked) == 1
