"""Views: augmented looks at a sample. Each is drawn from (job seed, sample, view number), so it can be drawn again."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from app.contract.base import Contract

PLAIN = 0
"""The number of the view that is the sample as it is; augmented ones count from 1."""


class Fresh(Contract):
    """A new view of every sample in every epoch; the teacher looks at each anew, so nothing can be cached."""

    title: ClassVar[str] = "Fresh views"

    kind: Literal["fresh"] = "fresh"


class Fixed(Contract):
    """`count` views of every sample, one an epoch in turn; the teacher looks at each once."""

    title: ClassVar[str] = "Fixed views"

    kind: Literal["fixed"] = "fixed"
    count: int = Field(ge=1, le=1_000)


Views = Annotated[Fresh | Fixed, Field(discriminator="kind")]
VIEWS: tuple[type[Fresh] | type[Fixed], ...] = (Fresh, Fixed)
