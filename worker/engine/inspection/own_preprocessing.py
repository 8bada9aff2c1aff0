"""How a student's file says that it sees samples: what `published.student_file` wrote into its metadata."""

from collections.abc import Mapping

from pydantic import ValidationError

from app.contract import reading
from app.contract.architectures import Family
from app.contract.preprocessing import PREPROCESSING, Preprocessing
from worker.engine import build
from worker.engine.failures import Refused


def own_preprocessing(metadata: Mapping[str, str], architecture: Family) -> tuple[Preprocessing | None, str | None]:
    """Return the preprocessing of a file's metadata, or why what stands there is not used; of others' files neither."""
    if "preprocessing" not in metadata:
        return None, None
    try:
        found = PREPROCESSING.validate_json(metadata["preprocessing"])
    except (ValidationError, RecursionError):
        return None, "The `preprocessing` in the file's metadata is not one of Stillhouse: it is left aside."
    refusal = reading.refusal_of_trained(architecture, found) or unusable(found, architecture)
    return (None, f"The `preprocessing` in the file's metadata is left aside: {refusal}.") if refusal else (found, None)


def unusable(preprocessing: Preprocessing, architecture: Family) -> str | None:
    """Return why a network cannot read with a preprocessing, once it is really tried; else None."""
    if "text" not in preprocessing.takes:
        return None
    try:
        tokens = build.encoder(preprocessing).size
    except Refused as refusal:
        return str(refusal).rstrip(".")
    embedded = architecture.embeds()
    if embedded is not None and tokens > embedded:
        return f"The preprocessing has {tokens:,} tokens, and the architecture embeds {embedded:,}"
    return None
