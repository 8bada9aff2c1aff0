"""/v1/catalog: everything that a spec can name, straight from the contract's classes."""

import inspect
from collections.abc import Iterable
from functools import cache

from fastapi import APIRouter
from pydantic import BaseModel

from app.api.responses import errors
from app.contract import architectures, augmentations, objectives, preprocessing, schedules, training, transfer, views
from app.contract.resources import Catalog, CatalogEntry

router = APIRouter(tags=["catalog"])


@router.get("/catalog", summary="What a spec can name", responses=errors())
async def get_catalog() -> Catalog:
    """Every method, family, format, schedule and optimiser, with its JSON schema and its paper."""
    return _catalog()


@cache
def _catalog() -> Catalog:
    return Catalog(
        objectives=_entries(objectives.TERMS),
        architectures=_entries(architectures.FAMILIES),
        transfer_sets=_entries(transfer.FORMATS),
        preprocessing=_entries(preprocessing.PREPROCESSINGS),
        augmentations=_entries(augmentations.AUGMENTATIONS),
        views=_entries(views.VIEWS),
        schedules=_entries(schedules.SCHEDULES),
        optimizers=_entries(training.OPTIMIZERS),
    )


def _entries(kinds: Iterable[type[BaseModel]]) -> list[CatalogEntry]:
    return [_entry(kind) for kind in kinds]


def _entry(kind: type[BaseModel]) -> CatalogEntry:
    return CatalogEntry(
        kind=kind.model_fields["kind"].default,
        title=getattr(kind, "title", kind.__name__),
        description=inspect.cleandoc(kind.__doc__ or ""),
        formula=getattr(kind, "formula", None),
        paper=getattr(kind, "paper", None) or None,
        needs=sorted(getattr(kind, "needs", ())),
        json_schema=kind.model_json_schema(),
    )
