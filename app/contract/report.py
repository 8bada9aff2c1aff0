"""What every finished job reports: teacher, distilled student, and the same student without the teacher."""

from typing import Literal

from pydantic import Field

from app.contract.base import Contract
from app.contract.states import StopReason


class Reliability(Contract):
    """A reliability diagram (Guo et al. 2017): labelled samples in bins of equal width of their confidence."""

    counts: list[int]
    confidence: list[float]
    """Mean confidence of each bin; 0 where it is empty."""
    accuracy: list[float]
    """Share of each bin's samples whose class is right; 0 where it is empty."""


class EmbeddingScores(Contract):
    """How near a network's embeddings come to the teacher's."""

    mse: float | None
    """Mean squared difference of their numbers; null where they are not equally many."""
    cosine: float | None
    """Mean cosine between the two embeddings of a sample; null where they are not equally many."""
    spearman: float | None
    """Rank correlation of the cosines between all pairs of (the first 500) samples; null where they do not differ."""


class EntityScores(Contract):
    """How a network's entities fit the labels', as seqeval and conlleval count: right are those of the right words and
    kind. An entity begins with B, and also with an I that goes on with nothing."""

    precision: float
    """Share of the network's entities that are right; 0 where it finds none."""
    recall: float
    """Share of the labels' entities that are found; 0 where there are none."""
    f1: float
    """Harmonic mean of both."""


class Scores(Contract):
    """One network on the evaluated split. Rates are between 0 and 1; entropies and divergences are in nats.

    Where words are classified each word counts as a sample, and where tokens are predicted each that is.
    """

    accuracy: float | None
    """Share of labelled samples whose class is right; null where the split has no labels."""
    agreement: float | None
    """Share of samples on which the network names the teacher's class; null for embeddings."""
    kl_to_teacher: float | None
    """Mean KL(teacher ‖ network) at temperature 1; null for embeddings."""
    embedding: EmbeddingScores | None = None
    """Where the teacher gives embeddings; what is about classes is then null."""
    entities: EntityScores | None = None
    """Where the classes are those of named entities (O, and B- and I- of each kind) and the split has labels."""
    nll: float | None
    """Mean negative log-likelihood of the labels."""
    perplexity: float | None = None
    """exp(nll), where the tokens of texts are predicted."""
    ece: float | None
    """Expected calibration error, 15 equal-width bins (Guo et al. 2017)."""
    ece_scaled: float | None
    """The same after temperature scaling."""
    scaling_temperature: float | None
    """The temperature that minimises the NLL."""
    reliability: Reliability | None = None
    """The bins behind `ece`."""
    reliability_scaled: Reliability | None = None
    """The bins behind `ece_scaled`."""
    parameters: int
    bytes: int
    """Size of the weights at the precision in which they are stored."""
    flops: int | None
    """Floating-point operations of one sample's forward pass (multiply-add = 2); of texts, one of median length. Null
    where they cannot be counted."""
    latency_ms: float
    """Median time of a forward pass of that sample at batch 1 on the job's device."""


class Evaluated(Contract):
    """What the scores were measured on."""

    split: Literal["test", "validation", "train"]
    samples: int
    words: int | None = None
    """Where words are classified: those that teacher and student both see."""
    tokens: int | None = None
    """Where the tokens of texts are predicted: those that are, all but each text's first."""
    labelled: int
    """Samples, words or tokens that have a label."""
    scaled_on: Literal["test", "validation", "train"] | None
    """Where the scaling temperature was fitted."""


class Confusion(Contract):
    """How often a class is taken for another, on the evaluated split. Of many classes, those with most mistakes."""

    truth: Literal["teacher", "labels"]
    """Whom the rows go by."""
    guess: Literal["student", "teacher"]
    """Whom the columns go by."""
    classes: list[int]
    """The rows, and the columns, in this order."""
    others: bool
    """Whether the last row and column are all other classes together."""
    counts: list[list[int]]
    """Samples, or words."""


class Curve(Contract):
    """One series: values over optimiser steps."""

    steps: list[int]
    values: list[float]


class OnnxExport(Contract):
    """The student as ONNX, held against torch."""

    samples: int
    """Real ones of the evaluated split, that both were given."""
    max_difference: float
    """Largest difference of a logit."""
    tolerance: float
    """Up to which it is published."""
    published: bool


class Hardware(Contract):
    device: str
    devices: int = 1
    """How many of them trained side by side, a process on each."""
    threads: int
    """Of each process."""
    processor: str


class PeakMemory(Contract):
    """The most memory that the engine held at once, in bytes; of the last attempt, where there were several."""

    host: int | None
    """Resident, of the engine's process."""
    device: int | None
    """By torch's tensors on the CUDA device; its libraries take more. null on a CPU."""


class SoftTargetUse(Contract):
    """What the soft targets cost: how often the teacher had to look at a sample."""

    computed: int
    """Looks that the teacher took in this job; with fresh views as many as samples were drawn."""
    reused: int
    """Looks that were spared, because an earlier job had kept what the teacher said."""


class Report(Contract):
    """The evaluation report, `report.json`."""

    version: Literal[1] = 1
    evaluated_on: Evaluated
    teacher: Scores
    student: Scores
    control: Scores | None
    """The same student, seed and budget, trained on labels alone."""
    control_missing: str | None = None
    """Why there is no control."""
    generations: tuple[Scores, ...] = ()
    """Of a student that was born again: every generation, the first one first; the last one is the student."""
    ensemble: Scores | None = None
    """All generations as one: the mean of their probabilities."""
    onnx: OnnxExport | None = None
    """Where the spec asks for it."""
    confusions: list[Confusion] = Field(default_factory=list)
    """Student against teacher, student against labels, teacher against labels."""
    stop_reason: StopReason
    best_epoch: int | None
    """The epoch whose student was kept, where early stopping chose one."""
    soft_targets: SoftTargetUse | None = None
    """Missing in reports of earlier versions."""
    training_seconds: dict[str, float]
    """Wall-clock seconds of training for each run; those of a stage stand by themselves, as `student.<stage>`."""
    curves: dict[str, dict[str, Curve]]
    """For each run, and each stage of it, the series by name."""
    seed: int
    precision: Literal["fp32", "bf16"] = "fp32"
    """What the students were trained with."""
    hardware: Hardware
    peak_memory: PeakMemory | None = None
    versions: dict[str, str]
