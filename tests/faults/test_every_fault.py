"""Every fault of docs/reliability.md has its test where that page says, or a reason why there is none."""

import re
from pathlib import Path

from app.contract import job_file
from tests.faults import engine

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs/reliability.md").read_text()
PENDING: dict[int, str] = {}
"""Faults that have no test yet: why, as the page says."""


def listed() -> dict[int, str]:
    """Return the page's faults, each with the file of its test."""
    rows = re.findall(r"^\| ([\d, ]+) \|.*\| (?:`(\w+\.py)`)? ?\|$", PAGE, re.MULTILINE)
    return {int(number): file for numbers, file in rows for number in numbers.split(",")}


def marked(file: Path) -> set[int]:
    return {int(number) for number in re.findall(r"mark\.fault\((\d+)\)", file.read_text())}


def test_every_fault_has_a_test_or_a_reason() -> None:
    assert sorted(listed()) == list(range(1, 27))
    for number, file in listed().items():
        assert number in (PENDING if not file else marked(HERE / file)), number
    everywhere = set().union(*(marked(file) for file in HERE.glob("test_*.py")))
    assert everywhere == listed().keys() - PENDING.keys()
    assert all(reason in PAGE for reason in PENDING.values())


def test_the_simulated_engine_ends_like_the_real_one() -> None:
    assert (engine.EXIT_DONE, engine.EXIT_STOPPED) == (job_file.EXIT_DONE, job_file.EXIT_STOPPED)
