"""/v1/catalog: everything that a spec can name, straight from the contract's classes."""

import inspect
from collections.abc import Iterable
from functools import cache

from fastapi import APIRouter
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from app.api.responses import errors
from app.contract import architectures, augmentations, objectives, preprocessing, schedules, training, transfer, views
from app.contract.objectives import Term
from app.contract.resources import Catalog, CatalogEntry, CatalogMethod, Parameter

router = APIRouter(tags=["catalog"])


@router.get("/catalog", summary="What a spec can name", responses=errors())
async def get_catalog() -> Catalog:
    """Every method, family, format, schedule and optimiser, with its JSON schema and its paper."""
    return catalog()


@cache
def catalog() -> Catalog:
    """Return everything that a spec can name."""
    return Catalog(
        objectives=[_method(term) for term in objectives.TERMS],
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


def _method(term: type[Term]) -> CatalogMethod:
    own = [(name, field) for name, field in term.model_fields.items() if name not in {"kind", *Term.model_fields}]
    defaults = to_jsonable_python({name: field.get_default(call_default_factory=True) for name, field in own})
    return CatalogMethod(
        **_entry(term).model_dump(),
        branch=term.branch,
        reads=sorted(getattr(term, "reads", ())),
        joins=getattr(term, "joins", None),
        relational=term.relational,
        top_k=term.coarse,
        distributions=term.distributions,
        parameters=[
            Parameter(name=name, default=defaults[name], description=inspect.cleandoc(field.description or ""))
            for name, field in own
        ],
    )


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
