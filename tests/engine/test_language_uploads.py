"""Language models as they are uploaded: folders, and weights that the library saves once under one of two names."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file

from app.contract.architectures import Transformers
from app.contract.inspection import ModelInspection
from app.contract.job_file import InspectModel
from app.contract.registration import HuggingFace
from tests.engine.hub_folders import as_json, inspected_files
from tests.engine.language import GPT2, llama, taught
from tests.engine.texts import pieces
from worker.engine import build
from worker.engine.inspection.models import inspect_model
from worker.engine.networks import tied


def said(finding: ModelInspection) -> str:
    return " ".join(problem.detail for problem in finding.problems)


def hub(config: Transformers, name: str, weights: dict[str, torch.Tensor]) -> dict[str, bytes]:
    return {
        "config.json": as_json({**config.config, "architectures": [name]}),
        "model.safetensors": save(weights),
        "tokenizer.json": as_json(pieces()["content"]),
    }


def test_a_folder_may_hold_a_language_model(tmp_path: Path) -> None:
    finding, resolved = inspected_files(tmp_path, hub(GPT2, "GPT2LMHeadModel", taught()))
    assert not finding.problems, said(finding)
    assert resolved
    assert isinstance(resolved.architecture, Transformers)
    assert (resolved.architecture.task, resolved.architecture.classes) == ("causal_lm", 120)
    assert resolved.class_names is None
    for name in "bc":
        (tmp_path / name).mkdir()
    # Also where both names are there, or another task is asked for.
    both = {**taught(), "lm_head.weight": taught()["transformer.wte.weight"].clone()}
    assert not inspected_files(tmp_path / "b", hub(GPT2, "GPT2LMHeadModel", both))[0].problems
    files = hub(llama(), "LlamaModel", dict(build.network(llama()).state_dict()))
    finding, resolved = inspected_files(tmp_path / "c", files, HuggingFace(task="causal_lm"))
    assert not finding.problems, said(finding)


@pytest.mark.parametrize(
    ("files", "more", "complaint"),
    [
        (lambda: hub(llama(), "LlamaForCausalLM", headless()), {}, "tensors that are missing: lm_head.weight"),
        (lambda: hub(GPT2, "GPT2LMHeadModel", taught()), {"class_names": ("a", "b")}, "leave class_names out"),
        (lambda: hub(GPT2, "T5ForCausalLM", {}) | {"config.json": as_json({"model_type": "gpt2", "architectures": [
            "GPT2LMHeadModel"]})}, {}, "does not say how many tokens"),
    ],
)  # fmt: skip
def test_what_does_not_hold_together_is_refused(tmp_path: Path, files, more, complaint: str) -> None:  # type: ignore[no-untyped-def]
    assert complaint in said(inspected_files(tmp_path, files(), **more)[0])


def headless() -> dict[str, torch.Tensor]:
    found = dict(build.network(llama()).state_dict())
    del found["lm_head.weight"]
    return found


def test_weights_alone_may_leave_out_what_they_hold_under_another_name(tmp_path: Path) -> None:
    given = json.loads(json.dumps(pieces()))
    for name, weights in (("a", taught()), ("b", other_name())):
        save_file(weights, tmp_path / name)
        subject = InspectModel(architecture=GPT2, preprocessing=given)
        finding = inspect_model(tmp_path / name, subject, tmp_path / "converted")
        assert not finding.problems, said(finding)
    save_file({name: value for name, value in taught().items() if "wte" not in name}, tmp_path / "c")
    finding = inspect_model(tmp_path / "c", subject, tmp_path / "converted")
    assert "missing: transformer.wte.weight, lm_head.weight" in said(finding)


def other_name() -> dict[str, torch.Tensor]:
    found = dict(taught())
    found["lm_head.weight"] = found.pop("transformer.wte.weight")
    return found


def test_of_equal_weights_one_is_enough() -> None:
    network = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 2), "b": torch.nn.Linear(2, 2), "c": torch.nn.Linear(2, 2)})
    network["b"].weight = network["a"].weight
    own = network.state_dict()
    assert set(own) - set(tied.needed(network, own, set(own) - {"b.weight"})) == {"b.weight"}
    assert set(own) - set(tied.needed(network, own, set(own) - {"a.weight"})) == {"a.weight"}
    assert set(tied.needed(network, own, {"c.weight"})) == set(own)
    assert set(tied.needed(network, own, own)) == set(own)
