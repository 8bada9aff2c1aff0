"""The tables of `benchmarks/` say what was measured, not what somebody typed."""

import json
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import methods
from benchmarks.reproduce import results

FOLDER = Path(__file__).parents[2] / "benchmarks" / "reproduce"


@pytest.mark.parametrize("name", ["mnist", "regulariser", "temperature", "movies"])
def test_the_table_is_that_of_the_results(name: str) -> None:
    table = import_module(f"benchmarks.reproduce.{name}").table(results.read(name))
    assert table in (FOLDER / "README.md").read_text()


def test_the_table_of_methods_is_that_of_the_results() -> None:
    table = import_module("benchmarks.reproduce.methods").table(results.read("methods"))
    assert table in (FOLDER.parents[1] / "docs" / "method_results.md").read_text()


@pytest.mark.parametrize(
    ("page", "drawn"),
    [("regularisation", "regulariser"), ("temperature", "temperature"), ("method_results", "methods")],
)
def test_the_docs_show_the_plot_that_was_drawn_from_results(page: str, drawn: str) -> None:
    shown = (FOLDER.parents[1] / "docs" / f"{page}.svg").read_bytes()
    assert shown == (results.FOLDER / f"{drawn}.svg").read_bytes()


def test_the_table_of_costs_is_that_of_the_results() -> None:
    assert methods.table(json.loads(methods.RESULTS.read_text())) in (FOLDER.parent / "README.md").read_text()
