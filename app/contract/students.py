"""The network to be trained: what it is, and what it starts from."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from app.contract.architectures import Architecture, Family
from app.contract.base import Contract
from app.contract.preprocessing import Preprocessing

ModelId = Annotated[str, StringConstraints(pattern=r"^mdl_[0-9a-f]{32}$")]
KeyMap = Annotated[dict[str, str], Field(max_length=10_000)]
"""Parameter-name prefixes: the user's -> the family's."""


def untrainable(architecture: Family) -> str:
    """Return why no student can be of this architecture."""
    return (
        f"an {architecture.title} is a black box that can teach and cannot be trained: a student "
        "is a network of another kind"
    )


def unstarted(architecture: Family, start: "FreshWeights | StoredWeights | TeacherLayers") -> str | None:
    """Return why a student of this architecture cannot start so, or None."""
    given = start.layers if isinstance(start, TeacherLayers) else ()
    missing = [name for name in architecture.undrawn() if not any(covers(prefix, name) for prefix in given)]
    if not missing or isinstance(start, StoredWeights):
        return None
    listed = ", ".join(missing[:10]) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
    return (
        f"nobody knows how these tensors are drawn anew: {listed}; start from stored weights (register the network as "
        "a model and give `model` instead of `architecture`)"
    )


def covers(prefix: str, name: str) -> bool:
    """Return whether a tensor's name lies below a prefix; an empty one is above all."""
    return not prefix or name == prefix or name.startswith(prefix + ".")


class FreshWeights(Contract):
    """Drawn anew from the job's seed, as the family initialises itself."""

    kind: Literal["fresh"] = "fresh"


class StoredWeights(Contract):
    """Those of the registered model that the student names."""

    kind: Literal["stored"] = "stored"


class TeacherLayers(Contract):
    """Chosen parts of the (first) teacher, the rest fresh: as DistilBERT takes every other layer (Sanh et al. 2019)."""

    kind: Literal["teacher_layers"] = "teacher_layers"
    layers: dict[str, str] = Field(min_length=1, max_length=1_000)
    """Prefix of the student's tensor names -> prefix of the teacher's, as the families name them; an empty prefix means
    all. Shapes must be equal."""


Initial = Annotated[FreshWeights | StoredWeights | TeacherLayers, Field(discriminator="kind")]


class Student(Contract):
    """The network to be trained: an architecture, or a registered model."""

    architecture: Architecture | None = None
    model: ModelId | None = None
    """A registered model, instead of an architecture: the student is of its architecture and goes by its names."""
    initial: Initial | None = None
    """What training starts from; by default the weights of the model where one is named, else fresh ones."""
    key_map: KeyMap | None = None
    """Names under which the student comes back (user's prefix -> family's); by default the model's, or the teacher's
    where the families are the same. `{}` keeps the family's own names."""
    preprocessing: Preprocessing | None = None
    """What the student does to samples: how it reads texts, which pixels it takes; by default as its model does, else
    as its teacher, where that has one, else texts as words and pixels from 0 to 1."""

    @field_validator("architecture")
    @classmethod
    def _can_be_trained(cls, architecture: Family | None) -> Family | None:
        if architecture is not None and not architecture.trainable:
            raise ValueError(untrainable(architecture))
        return architecture

    @model_validator(mode="after")
    def _is_one_network(self) -> Self:
        if (self.architecture is None) == (self.model is None):
            raise ValueError("a student has either an architecture or a model")
        if self.architecture is not None and isinstance(self.initial, StoredWeights):
            raise ValueError("stored weights are those of a registered model: give `model` instead of `architecture`")
        if self.architecture is not None and (reason := unstarted(self.architecture, self.start())):
            raise ValueError(reason)
        return self

    def start(self) -> FreshWeights | StoredWeights | TeacherLayers:
        """Return what training starts from, the default filled in."""
        return self.initial or (StoredWeights() if self.model else FreshWeights())
