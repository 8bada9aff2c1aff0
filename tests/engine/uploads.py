"""Uploads for the tests of inspection, and the inspection run on them."""

from pathlib import Path

from app.contract.architectures import Architecture
from app.contract.inspection import DatasetInspection, ModelInspection
from app.contract.job_file import InspectDataset, InspectModel
from app.contract.transfer import Splits, Tensors
from worker.engine.inspection.datasets import inspect_dataset
from worker.engine.inspection.models import inspect_model


def model(
    path: Path, architecture: Architecture, key_map: dict[str, str] | None = None, max_parameters: int | None = None
) -> ModelInspection:
    subject = InspectModel(architecture=architecture, key_map=key_map)
    return inspect_model(path, subject, path.with_name("weights.safetensors"), max_parameters)


def dataset(path: Path, splits: Splits | None = None, **names: str) -> DatasetInspection:
    subject = InspectDataset(format=Tensors(**names), splits=splits or Splits())  # type: ignore[arg-type]
    return inspect_dataset(path, subject)


def said(finding: ModelInspection | DatasetInspection) -> str:
    return " ".join(problem.detail for problem in finding.problems)
