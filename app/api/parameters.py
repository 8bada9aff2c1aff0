"""Path parameters, each with a sample that exists, so that Swagger UI's examples run."""

from typing import Annotated, Any

from fastapi import Path

from app.db.base import DEFAULT_TENANT
from app.samples import service as samples


def _path(value: str) -> Any:
    return Path(max_length=64, openapi_examples={"sample": {"summary": "a sample that is there", "value": value}})


FileId = Annotated[str, _path(samples.TEACHER_FILE)]
SpareFileId = Annotated[str, _path(samples.SPARE_FILE)]
UploadId = Annotated[str, _path(samples.UPLOAD)]
SpareUploadId = Annotated[str, _path(samples.SPARE_UPLOAD)]
ModelId = Annotated[str, _path(samples.MODEL)]
SpareModelId = Annotated[str, _path(samples.SPARE_MODEL)]
DatasetId = Annotated[str, _path(samples.DATASET)]
SpareDatasetId = Annotated[str, _path(samples.SPARE_DATASET)]
JobId = Annotated[str, _path(samples.JOB)]
SpareJobId = Annotated[str, _path(samples.SPARE_JOB)]
CancelledJobId = Annotated[str, _path(samples.CANCELLED_JOB)]
PausedJobId = Annotated[str, _path(samples.PAUSED_JOB)]
WorkerId = Annotated[str, _path("wrk_00000000000070008000000000000001")]
ArtifactId = Annotated[str, _path(samples.ARTIFACT)]
AccountId = Annotated[str, _path(DEFAULT_TENANT)]
WebhookId = Annotated[str, _path(samples.WEBHOOK)]
SpareWebhookId = Annotated[str, _path(samples.SPARE_WEBHOOK)]
DeliveryId = Annotated[str, _path(samples.DELIVERY)]
KeyId = Annotated[str, _path("key_00000000000070008000000000000001")]
