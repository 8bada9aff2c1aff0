"""What the service finds in an uploaded model or transfer set, once, when it is registered."""

from typing import Any, Literal

from pydantic import Field

from app.contract.base import Contract
from app.contract.errors import Problem
from app.contract.preprocessing import Preprocessing
from app.contract.samples import SampleKind
from app.contract.states import RejectionCode
from app.contract.taps import Tap


class _Verdict(Contract):
    problems: list[Problem] = Field(default_factory=list)
    """Why the upload was rejected; empty when it is ready."""
    code: RejectionCode | None = None
    """Of what kind these are, for programs."""
    help: str = ""
    """What to do about them."""


class Tensor(Contract):
    name: str
    shape: tuple[int, ...]
    dtype: str


class Misfit(Contract):
    """A tensor whose shape is not the architecture's."""

    name: str
    expected: tuple[int, ...]
    found: tuple[int, ...]


class Port(Contract):
    """An input or output of an ONNX model."""

    name: str
    shape: tuple[int | str | None, ...]
    """The batch first; an axis without a fixed size is a name or null."""
    dtype: str


class OnnxModel(Contract):
    """What an ONNX model says of itself."""

    opset: int
    """Version of the standard operators."""
    input: Port
    output: Port
    """The one to learn from."""
    batch: int | None
    """The only batch size that it takes; null where any will do."""


class ModelInspection(_Verdict):
    """Weights held against their architecture."""

    format: Literal["safetensors", "pickled state dict", "onnx", "hugging face folder"] | None = None
    tensors: list[Tensor] = Field(default_factory=list)
    """The file's tensors under the user's names."""
    parameters: int | None = None
    key_map: dict[str, str] = Field(default_factory=dict)
    """The map in force, given or found: the user's prefix -> the family's."""
    key_map_found: bool = False
    """True where no map was given and one was found by order and shape."""
    missing: list[str] = Field(default_factory=list)
    unexpected: list[str] = Field(default_factory=list)
    misshaped: list[Misfit] = Field(default_factory=list)
    preprocessing: Preprocessing | None = None
    """How the file itself says that its network sees samples, where the registration did not."""
    notices: list[str] = Field(default_factory=list)
    """What was found and left aside."""
    onnx: OnnxModel | None = None
    """Of an ONNX model: what goes in and comes out."""
    taps: list[Tap] | None = None
    """Where features can be learnt from or with: short names first, then modules' paths. Null where only a worker's
    look at real samples can tell."""
    tap_sample: tuple[int, ...] | None = None
    """The sample on which the shapes were seen, (tokens,) of texts; others may give other rows, columns or tokens."""


FileFormat = Literal["safetensors", "npz", "csv", "jsonl", "parquet", "zip", "tar"]
"""What a transfer set's file turned out to be."""


class Spread(Contract):
    """How a count is spread over the samples."""

    least: int
    median: int
    p95: int
    """Of 100 samples, 95 have no more."""
    most: int
    mean: float


class Lengths(Contract):
    """How long the texts are."""

    characters: Spread
    words: Spread
    """Between white space."""


class TableColumn(Contract):
    """A column of a table, and what became of it."""

    name: str
    role: Literal["feature", "label", "split", "unused"]
    holds: Literal["numbers", "booleans", "categories", "dates", "lists", "nothing"]
    missing: int
    distinct: int
    """Different values, missing ones apart."""
    least: float | None = None
    most: float | None = None
    """Of numbers."""
    values: list[str] = Field(default_factory=list)
    """Of categories: the commonest ones."""
    inputs: int = 0
    """Numbers that networks see of it."""


class DatasetInspection(_Verdict):
    """What a transfer set holds."""

    format: FileFormat | None = None
    rows: int | None = None
    inputs: Tensor | None = None
    """The inputs' array; its shape has the samples first."""
    sample_kind: SampleKind = "array"
    labels: Tensor | None = None
    labelled: int = 0
    unlabelled: int = 0
    """Samples; a list of words is labelled where one of them is."""
    classes: int | None = None
    """Largest label + 1, or the number of class names."""
    class_names: list[str] = Field(default_factory=list)
    """Of classes 0, 1, ... (first 1,000); empty where the labels are numbers."""
    class_counts: list[int] = Field(default_factory=list)
    """Labelled samples, or words, of each class (first 1,000 classes)."""
    splits: dict[str, int] = Field(default_factory=dict)
    """Samples in each part."""
    labelled_splits: dict[str, int] = Field(default_factory=dict)
    """Labelled samples in each part."""
    word_splits: dict[str, int] = Field(default_factory=dict)
    """Of lists of words: words in each part."""
    labelled_word_splits: dict[str, int] = Field(default_factory=dict)
    """Words in each part that have a label."""
    lengths: Lengths | None = None
    """Of texts and lists of words."""
    columns: list[TableColumn] = Field(default_factory=list)
    """Of tables."""
    preview: list[dict[str, Any]] = Field(default_factory=list)
    """The first samples, cut short."""

    @property
    def sample_shape(self) -> tuple[int, ...] | None:
        """The shape of one sample, empty for text; None where it is not known."""
        if self.sample_kind in {"text", "words"}:
            return ()
        return self.inputs.shape[1:] if self.inputs else None

    def to_learn_from(self, part: str) -> tuple[int, int]:
        """Return how many labels a part has, and how many samples (of lists, words) without one."""
        whole, labelled = self.splits, self.labelled_splits
        if self.sample_kind == "words":
            whole, labelled = self.word_splits, self.labelled_word_splits
        return labelled.get(part, 0), whole.get(part, 0) - labelled.get(part, 0)
