"""The base of everything in the contract: frozen, closed to unknown fields, and helpful about typos."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the candidate nearest to `word`, or an empty string."""
    near = get_close_matches(word, list(candidates), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


class Contract(BaseModel):
    """Immutable data that refuses unknown fields and names the field that was probably meant."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True, protected_namespaces=()
    )

    @model_validator(mode="wrap")
    @classmethod
    def _suggest_fields(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            lines = [_with_suggestion(line, cls.model_fields) for line in error.errors(include_url=False)]
            raise ValidationError.from_exception_data(cls.__name__, lines) from None


def _with_suggestion(line: Any, fields: Iterable[str]) -> InitErrorDetails:
    kind, loc = line["type"], line["loc"]
    if kind == "extra_forbidden" and len(loc) == 1:
        text = f"unknown field '{loc[0]}'{did_you_mean(str(loc[0]), fields)}"
        return InitErrorDetails(
            type=PydanticCustomError("unknown_field", "{text}", {"text": text}), loc=loc, input=None
        )
    if kind == "union_tag_invalid":
        tags = [tag.strip(" '") for tag in line["ctx"]["expected_tags"].split(",")]
        text = f"unknown kind '{line['ctx']['tag']}'{did_you_mean(line['ctx']['tag'], tags)} (known: {', '.join(tags)})"
        return InitErrorDetails(type=PydanticCustomError("unknown_kind", "{text}", {"text": text}), loc=loc, input=None)
    # Rebuilt as a custom error: built-in types would ask for their own context again.
    custom = PydanticCustomError(kind, "{text}", {**line.get("ctx", {}), "text": line["msg"]})
    return InitErrorDetails(type=custom, loc=loc, input=line["input"])
