"""What the service removes by itself, and what it shall leave alone: `client.retention`, `pin`, `unpin`."""

from pydantic import BaseModel

from app.contract.resources import Dataset, File, Job, Model
from stillhouse.job import JobHandle

Kept = File | Model | Dataset | JobHandle
_KINDS: dict[str, tuple[str, type[BaseModel]]] = {
    "file": ("files", File),
    "mdl": ("models", Model),
    "ds": ("datasets", Dataset),
    "job": ("jobs", Job),
}


def place_of(thing: Kept | str) -> tuple[str, type[BaseModel]]:
    """Return the path of a resource and its shape, by its id. Raises ValueError for an id of something else."""
    identity = thing if isinstance(thing, str) else thing.id
    kind = _KINDS.get(identity.partition("_")[0])
    if kind is None:
        raise ValueError(f"{identity} is the id of none that can be pinned: files, models, transfer sets, jobs")
    return f"/v1/{kind[0]}/{identity}", kind[1]
