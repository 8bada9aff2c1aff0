"""How a network reads samples: does its preprocessing go with it and with them, and which one does a student have?"""

from app.contract.architectures import Family
from app.contract.preprocessing import Preprocess, Preprocessing, Words
from app.contract.samples import SampleKind


def of_student(
    given: Preprocessing | None, teachers: Preprocessing | None, architecture: Family
) -> Preprocessing | None:
    """Return the preprocessing in force: the student's, else the teacher's, else words where it reads tokens."""
    return given or teachers or (Words() if architecture.embeds() is not None else None)


def refusal(architecture: Family, preprocessing: Preprocess | None) -> str | None:
    """Return why a network and its preprocessing do not go together, or None."""
    embedded = architecture.embeds()
    if preprocessing is None:
        return None if embedded is None else "it reads tokens, and has no preprocessing that makes them"
    tokens = preprocessing.tokens()
    if embedded is not None and tokens is not None and tokens > embedded:
        return (
            f"its preprocessing tells {tokens:,} tokens apart, and it embeds {embedded:,} (architecture.vocabulary): "
            "raise the one or give it another preprocessing"
        )
    longest, cut = architecture.longest(), preprocessing.longest()
    if longest is not None and cut is not None and cut > longest:
        return f"its preprocessing cuts texts at {cut:,} tokens (max_tokens), and it has positions for {longest:,}"
    return None


def refusal_of_trained(architecture: Family, preprocessing: Preprocess | None) -> str | None:
    """Return why a trained network and its preprocessing do not go together, or None."""
    if preprocessing is not None and not preprocessing.whole():
        return "a trained network knows words by their numbers: give its vocabulary"
    return refusal(architecture, preprocessing)


def refusal_of_samples(preprocessing: Preprocess | None, kind: SampleKind, shape: tuple[int, ...]) -> str | None:
    """Return why samples of this kind and shape (no batch axis) cannot be prepared so, or None."""
    return preprocessing.refuses(kind, shape) if preprocessing else None


def shape_seen(preprocessing: Preprocess | None, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape in which a network sees a sample of this shape."""
    return preprocessing.prepared(shape) if preprocessing else shape
