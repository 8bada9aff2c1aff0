"""Uploaded weights: what fits, what does not, and what is never opened."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from app.contract.architectures import Lstm, Mlp, Textcnn
from app.contract.job_file import InspectModel
from app.contract.preprocessing import Tokenizer, Words
from tests.engine.texts import wordpieces
from tests.engine.uploads import model, said
from worker.engine import build
from worker.engine.failures import Refused
from worker.engine.files import tensor_file
from worker.engine.inspection.models import inspect_model
from worker.engine.networks import blueprint

MLP = Mlp(inputs=6, hidden=(5,), classes=3)


def sequential() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def test_safetensors_that_fit(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    save_file(build.network(MLP).state_dict(), path)
    finding = model(path, MLP)
    assert not finding.problems
    assert (finding.format, finding.parameters, finding.key_map, finding.key_map_found) == (
        "safetensors",
        53,
        {},
        False,
    )
    assert {tensor.name: tensor.shape for tensor in finding.tensors} == blueprint.shapes(MLP)
    assert not (tmp_path / "weights.safetensors").exists()


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict", "model"])
def test_a_pickled_state_dict_is_matched_and_converted(tmp_path: Path, wrapper: str | None) -> None:
    network, path = sequential(), tmp_path / "upload"
    weights = network.state_dict()
    torch.save({wrapper: weights, "epoch": 3, "args": {"lr": 0.1}} if wrapper else weights, path)
    finding = model(path, MLP)
    assert not finding.problems
    assert finding.format == "pickled state dict"
    assert finding.key_map == {"0": "layers.0", "2": "layers.1"}
    assert finding.key_map_found
    converted = load_file(tmp_path / "weights.safetensors")
    assert list(converted) == list(weights)
    assert all(torch.equal(converted[name], weights[name]) for name in weights)


def test_data_parallel_names_are_found(tmp_path: Path) -> None:
    torch.save({f"module.{name}": value for name, value in sequential().state_dict().items()}, tmp_path / "upload")
    finding = model(tmp_path / "upload", MLP)
    assert finding.key_map == {"module.0": "layers.0", "module.2": "layers.1"}
    assert finding.key_map_found


def test_a_given_map_is_used_as_it_is(tmp_path: Path) -> None:
    torch.save(sequential().state_dict(), tmp_path / "upload")
    assert not model(tmp_path / "upload", MLP, {"0": "layers.0", "2": "layers.1"}).problems
    finding = model(tmp_path / "upload", MLP, {"0": "layers.1", "2": "layers.0", "9": "x"})
    assert "'9' matches no tensor" in said(finding)
    swapped = model(tmp_path / "upload", MLP, {"0": "layers.1", "2": "layers.0"})
    assert "0.weight (5, 6) instead of (3, 5)" in said(swapped)
    assert not swapped.key_map_found


def test_missing_unexpected_and_misshaped_tensors_are_listed(tmp_path: Path) -> None:
    save_file(
        {"layers.0.weight": torch.zeros(4, 6), "layers.0.bias": torch.zeros(5), "bn.scale": torch.zeros(2)},
        tmp_path / "upload",
    )
    finding = model(tmp_path / "upload", MLP)
    assert finding.missing == ["layers.1.weight", "layers.1.bias"]
    assert finding.unexpected == ["bn.scale"]
    assert [(misfit.name, misfit.expected, misfit.found) for misfit in finding.misshaped] == [
        ("layers.0.weight", (5, 6), (4, 6))
    ]
    for name in ("layers.1.weight", "bn.scale", "layers.0.weight"):
        assert name in said(finding)


def test_the_wrong_width_is_told_under_the_users_names(tmp_path: Path) -> None:
    torch.save(sequential().state_dict(), tmp_path / "upload")
    finding = model(tmp_path / "upload", Mlp(inputs=6, hidden=(7,), classes=3))
    assert not finding.missing
    assert not finding.unexpected
    assert {misfit.name for misfit in finding.misshaped} == {"0.weight", "0.bias", "2.weight"}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "an empty file"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "a PNG image"),
        (b"epoch,loss\n1,0.5\n", "text"),
        (b"\x1f\x8b\x08" + b"\0" * 50, "gzip"),
        (b"PK\x03\x04 and then nothing", "cut short or damaged"),
        (b"\x01\x02\x03" + b"\0" * 200, "unknown or damaged binary data"),
    ],
)
def test_files_of_other_kinds_are_named(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "upload.safetensors").write_bytes(content)
    assert text in said(model(tmp_path / "upload.safetensors", MLP))


def test_an_upload_cut_anywhere_is_refused(tmp_path: Path) -> None:
    save_file(build.network(MLP).state_dict(), tmp_path / "a")
    torch.save(sequential().state_dict(), tmp_path / "b")
    for name in ("a", "b"):
        whole = (tmp_path / name).read_bytes()
        for share in (0.01, 0.3, 0.6, 0.95, 0.999):
            (tmp_path / "cut").write_bytes(whole[: int(len(whole) * share)])
            assert model(tmp_path / "cut", MLP).problems, (name, share)


def test_what_we_write_is_the_same_bytes_and_readable_by_all(tmp_path: Path) -> None:
    tensors = {"z": torch.arange(6.0).reshape(2, 3).T, "n": torch.tensor(3), "h": torch.ones(3, dtype=torch.bfloat16)}
    for name in ("a", "b"):
        tensor_file.write(tmp_path / name, tensors, {"format": "pt", "b": "1", "a": "2"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    read = load_file(tmp_path / "a")
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)
    with pytest.raises(Refused):
        tensor_file.load(Path(__file__))


def test_an_lstm_of_the_users_own_class(tmp_path: Path) -> None:
    lstm = Lstm(inputs=2, hidden=3, layers=2, classes=4)
    weights = {
        name.replace("lstm", "layer1").replace("head", "layer2"): value
        for name, value in build.network(lstm).state_dict().items()
    }
    torch.save(weights, tmp_path / "upload")
    assert model(tmp_path / "upload", lstm).key_map == {"layer1": "lstm", "layer2": "head"}


def test_a_tokenizer_is_tried_when_its_model_is_registered(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    architecture = Textcnn(vocabulary=5, embedding=3, filters=2, classes=2)
    save_file(build.network(architecture).state_dict(), path)
    for content, text in (
        ({"model": {"type": "Magic", "vocab": {"a": 0}}}, "The tokenizer cannot be used"),
        (json.loads(wordpieces(["a text with letters"]).to_str()), "tokens, and the architecture embeds 5"),
    ):
        subject = InspectModel(architecture=architecture, preprocessing=Tokenizer(content=content))
        assert text in said(inspect_model(path, subject, tmp_path / "weights"))
    subject = InspectModel(architecture=architecture, preprocessing=Words(vocabulary=("a", "b")))
    assert not inspect_model(path, subject, tmp_path / "weights").problems


READER = Textcnn(vocabulary=5, embedding=3, filters=2, classes=2)
PAD_A_B = Words(vocabulary=("<pad>", "a", "b"))


@pytest.mark.parametrize(
    ("metadata", "aside"),
    [
        ({"preprocessing": PAD_A_B.model_dump_json()}, None),
        ({}, None),
        ({"preprocessing": "resize to 224"}, "not one of Stillhouse"),
        ({"preprocessing": "[" * 100_000}, "not one of Stillhouse"),
        ({"preprocessing": Words().model_dump_json()}, "give its vocabulary"),
        ({"preprocessing": Words(vocabulary=tuple("abcdef")).model_dump_json()}, "tells 6 tokens apart"),
        ({"preprocessing": '{"kind": "tokenizer", "content": {"model": {"vocab": {"a": 0}}}}'}, "cannot be used"),
    ],
    ids=["ours", "none", "foreign", "deep", "not whole", "too large", "broken"],
)
def test_a_file_says_how_its_network_reads(tmp_path: Path, metadata: dict[str, str], aside: str | None) -> None:
    save_file(build.network(READER).state_dict(), tmp_path / "upload", metadata)
    found = model(tmp_path / "upload", READER)
    if metadata and not aside:
        assert (found.preprocessing, found.notices, found.problems) == (PAD_A_B, [], [])
        return
    assert found.preprocessing is None
    assert "The network cannot read: it reads tokens, and has no preprocessing that makes them." in said(found)
    assert [aside in notice for notice in found.notices] == [True] * bool(aside)


def test_what_the_registration_says_goes_before_the_file(tmp_path: Path) -> None:
    save_file(build.network(READER).state_dict(), tmp_path / "upload", {"preprocessing": PAD_A_B.model_dump_json()})
    subject = InspectModel(architecture=READER, preprocessing=Words(vocabulary=("x", "y")))
    found = inspect_model(tmp_path / "upload", subject, tmp_path / "weights")
    assert (found.preprocessing, found.notices, found.problems) == (None, [], [])
