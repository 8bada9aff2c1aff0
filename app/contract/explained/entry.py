"""What a code means and what to do about it, for people. Markdown of one line, whose only markup is `code`."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Explained:
    """Both are whole sentences."""

    meaning: str
    remedy: str


@dataclass(frozen=True)
class Section:
    """The codes of one kind."""

    title: str
    where: str
    """Where they are met."""
    codes: Mapping[str, Explained]
