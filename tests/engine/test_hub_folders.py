"""Hugging Face folders, uploaded as archives: what they hold becomes a network, its tokenizer and its classes."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save

from app.contract.architectures import Transformers
from app.contract.preprocessing import Tokenizer
from app.contract.registration import HuggingFace, Resolved
from tests.engine.hub_folders import CONFIG, NAMES, as_json, folder, inspected, inspected_files, sharded, weights
from tests.engine.pictures import tarred, zipped
from tests.engine.texts import pieces, sentences
from tests.engine.uploads import said
from worker.engine import build
from worker.engine.networks import torchvision_operators
from worker.engine.views.encoding import Reading

TEXTS = sentences(4)[0]


def logits(resolved: Resolved, path: Path) -> torch.Tensor:
    """Return what the network says of some texts, read through its own preprocessing."""
    network = build.network(resolved.architecture).eval()
    network.load_state_dict(load_file(path))
    assert resolved.preprocessing
    tokens = Reading(build.encoder(resolved.preprocessing), torch.device("cpu"))(TEXTS)
    with torch.inference_mode():
        answer: torch.Tensor = network(tokens)
    return answer


@pytest.mark.parametrize("root", ["", "my-bert/"])
@pytest.mark.parametrize("form", ["zip", "deflated", "tar", "tar.gz"])
def test_a_folder_is_a_network_with_its_tokenizer_and_class_names(tmp_path: Path, form: str, root: str) -> None:
    files = {root + name: content for name, content in folder().items()}
    path = tmp_path / "upload"
    if form in {"zip", "deflated"}:
        zipped(path, files, zipfile.ZIP_DEFLATED if form == "deflated" else zipfile.ZIP_STORED)
    else:
        tarred(path, files, "w:gz" if form == "tar.gz" else "w")
    finding, resolved = inspected(path)
    assert not finding.problems, said(finding)
    assert resolved
    assert (resolved.class_names, resolved.architecture.classes, finding.format) == (NAMES, 2, "hugging face folder")
    assert resolved.architecture.embeds() == 120
    assert isinstance(resolved.preprocessing, Tokenizer)
    assert resolved.preprocessing.max_tokens == 34  # as many as there are positions
    kept = load_file(tmp_path / "weights.safetensors")
    assert kept.keys() == weights().keys()
    assert all(torch.equal(kept[name], value) for name, value in weights().items())
    assert sorted(left.name for left in tmp_path.iterdir()) == ["upload", "weights.safetensors"]


def test_it_says_what_the_library_says_of_the_same_folder(tmp_path: Path) -> None:
    torchvision_operators.make_importable()
    from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

    files = folder()
    (tmp_path / "hub").mkdir()
    for name, content in files.items():
        (tmp_path / "hub" / name).write_bytes(content)
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "hub", dtype="float32").eval()
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "hub" / "tokenizer.json"), pad_token="[PAD]")
    with torch.inference_mode():
        expected = theirs(**tokenizer(TEXTS, padding=True, return_tensors="pt", return_token_type_ids=False)).logits
    _, resolved = inspected_files(tmp_path, files)
    assert resolved
    torch.testing.assert_close(logits(resolved, tmp_path / "weights.safetensors"), expected)


def test_shards_and_pickled_weights_give_the_same_network(tmp_path: Path) -> None:
    names = list(weights())
    halves = [{name: weights()[name] for name in part} for part in (names[:9], names[9:])]
    pickled = io.BytesIO()
    torch.save(weights(), pickled)
    variants: list[dict[str, bytes]] = [
        {**folder(model__safetensors=None), **sharded(*halves)},
        folder(model__safetensors=None, pytorch_model__bin=pickled.getvalue()),
        folder(pytorch_model__bin=b"not looked at, since there is a better one"),
    ]
    kept = []
    for number, files in enumerate(variants):
        (tmp_path / str(number)).mkdir()
        finding, _ = inspected_files(tmp_path / str(number), files)
        assert not finding.problems, said(finding)
        kept.append((tmp_path / str(number) / "weights.safetensors").read_bytes())
    assert kept[0] == kept[1] == kept[2]


def test_names_of_older_checkpoints_are_read(tmp_path: Path) -> None:
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in weights().items()
    }
    old["bert.embeddings.position_ids"] = torch.arange(34).unsqueeze(0)
    assert len(old.keys() - weights().keys()) == 11
    finding, _ = inspected_files(tmp_path, folder(model__safetensors=save(old)))
    assert not finding.problems, said(finding)
    assert load_file(tmp_path / "weights.safetensors").keys() == weights().keys()


def test_a_vocabulary_of_word_pieces_will_do(tmp_path: Path) -> None:
    content = pieces()["content"]
    lines = sorted(content["model"]["vocab"], key=content["model"]["vocab"].__getitem__)
    files = folder(tokenizer__json=None, vocab__txt="\n".join(lines).encode())
    finding, resolved = inspected_files(tmp_path, files)
    assert not finding.problems, said(finding)
    assert resolved
    assert isinstance(resolved.preprocessing, Tokenizer)
    given = build.encoder(Tokenizer(content=content)).encode(TEXTS)
    assert build.encoder(resolved.preprocessing).encode(TEXTS) == given


def test_what_is_registered_goes_before_what_the_folder_says(tmp_path: Path) -> None:
    given = Tokenizer(content=pieces(60)["content"], max_tokens=9)
    more: dict[str, Any] = {"preprocessing": given, "class_names": ("no", "yes")}
    _, resolved = inspected_files(tmp_path, folder(tokenizer__json=None), **more)
    assert resolved
    assert (resolved.preprocessing, resolved.class_names) == (given, ("no", "yes"))
    (tmp_path / "cut").mkdir()
    _, resolved = inspected_files(tmp_path / "cut", folder(), HuggingFace(max_tokens=12))
    assert resolved
    assert isinstance(resolved.preprocessing, Tokenizer)
    assert resolved.preprocessing.max_tokens == 12


def test_the_librarys_own_words_for_classes_are_no_names(tmp_path: Path) -> None:
    config = {**CONFIG, "id2label": {"0": "LABEL_0", "1": "LABEL_1"}}
    _, resolved = inspected_files(tmp_path, folder(config__json=as_json(config)))
    assert resolved
    assert resolved.class_names is None


def without(name: str) -> bytes:
    return save({other: value for other, value in weights().items() if not other.startswith(name)})


BAD: list[tuple[str, Callable[[], dict[str, bytes]], str]] = [
    ("no config", lambda: folder(config__json=None), "holds no config.json"),
    ("bad JSON", lambda: folder(config__json=b"{"), "config.json is not valid JSON"),
    ("no such type", lambda: folder(config__json=as_json({**CONFIG, "model_type": "bertt"})), "did you mean 'bert'"),
    ("one label", lambda: folder(config__json=as_json({**CONFIG, "id2label": {"0": "score"}})), "has a single label"),
    (
        "label gap",
        lambda: folder(config__json=as_json({**CONFIG, "id2label": {"0": "a", "2": "b"}})),
        "without the class '1'",
    ),
    ("same labels", lambda: folder(config__json=as_json({**CONFIG, "id2label": {"0": "a", "1": "a"}})), "must differ"),
    ("no weights", lambda: folder(model__safetensors=None), "has no weights"),
    ("twice", lambda: {**folder(), **sharded(weights())}, "has the weights twice"),
    (
        "body",
        lambda: folder(model__safetensors=without("classifier")),
        "body without a classification head (classifier.",
    ),
    ("other sizes", lambda: folder(config__json=as_json({**CONFIG, "hidden_size": 18})), "Tensors have other shapes"),
    ("no tokenizer", lambda: folder(tokenizer__json=None), "has no tokenizer.json, nor the vocab.txt"),
    (
        "other vocabulary",
        lambda: folder(tokenizer__json=None, vocab__txt=b"<s>\n</s>\na\n"),
        "it lacks [UNK], [CLS], [SEP]",
    ),
    ("more tokens", lambda: folder(config__json=as_json({**CONFIG, "vocab_size": 90})), "tells 120 tokens apart"),
    (
        "no shard",
        lambda: {
            **folder(model__safetensors=None),
            "model.safetensors.index.json": sharded(weights())["model.safetensors.index.json"],
        },
        "lacks shards",
    ),
    (
        "no index",
        lambda: {**folder(model__safetensors=None), "model-00001-of-00002.safetensors": b""},
        "index, is missing",
    ),
    (
        "doubled",
        lambda: {**folder(model__safetensors=None), **sharded({**weights(), "x": torch.ones(1)}, weights())},
        "another shard holds too",
    ),
    (
        "another shard",
        lambda: {**folder(model__safetensors=None), **sharded(weights()), "model-00002-of-00001.safetensors": b""},
        "does not name: model-00002",
    ),
    ("no map", lambda: folder(model__safetensors=None, model__safetensors__index__json=b"{}"), "no weight_map"),
    ("another form", lambda: folder(model__safetensors=b"hello there, weights"), "neither safetensors nor"),
]


@pytest.mark.parametrize(("files", "complaint"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_folder_that_cannot_be_used_is_refused(
    tmp_path: Path, files: Callable[[], dict[str, bytes]], complaint: str
) -> None:
    finding, resolved = inspected_files(tmp_path, files())
    assert complaint in said(finding)
    assert resolved is None
    assert [left.name for left in tmp_path.iterdir()] == ["upload"]


def test_a_tensor_in_the_wrong_shard_is_named(tmp_path: Path) -> None:
    files = {**folder(model__safetensors=None), **sharded(weights())}
    index = {**dict.fromkeys(weights(), "model-00001-of-00001.safetensors"), "more": "model-00001-of-00001.safetensors"}
    files["model.safetensors.index.json"] = as_json({"weight_map": index})
    assert "not in the shards in which the index has them: more" in said(inspected_files(tmp_path, files)[0])


def test_a_network_larger_than_the_service_takes_is_refused(tmp_path: Path) -> None:
    assert "takes up to 1,000" in said(inspected_files(tmp_path, folder(), max_parameters=1000)[0])


def test_a_folder_may_hold_a_classifier_of_words(tmp_path: Path) -> None:
    own = {**CONFIG, "architectures": ["BertForTokenClassification"], "id2label": {"0": "O", "1": "B-X", "2": "I-X"}}
    network = build.network(Transformers(config=own, task="token_classification", classes=3))
    files = folder(config__json=as_json(own), model__safetensors=save(dict(network.state_dict())))
    finding, resolved = inspected_files(tmp_path, files)
    assert not finding.problems, said(finding)
    assert resolved
    assert isinstance(resolved.architecture, Transformers)
    assert (resolved.architecture.task, resolved.architecture.classes) == ("token_classification", 3)
    assert resolved.class_names == ("O", "B-X", "I-X")
    files = folder(config__json=as_json(CONFIG), model__safetensors=save(dict(network.state_dict())))
    assert "Tensors have other shapes" in said(
        inspected_files(tmp_path, files, HuggingFace(task="token_classification"))[0]
    )
    body = {name: value for name, value in network.state_dict().items() if not name.startswith("classifier")}
    finding, _ = inspected_files(tmp_path, folder(config__json=as_json(own), model__safetensors=save(body)))
    assert "AutoModelForTokenClassification.from_pretrained(folder) adds it" in said(finding)
