"""The README's promises: its picture is the import graph, its snippet is a file, every setting and code is there."""

import re
import subprocess
import tomllib
from pathlib import Path

from app.api import errors_page
from app.api.methods import page
from app.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_picture_comes_first_and_is_guarded() -> None:
    picture = README.split("## ")[0]
    for part in ("client", "app", "database", "worker supervisor", "worker.engine", "broker", "store"):
        assert part in picture
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    forbidden = {
        (source, target)
        for one in contracts
        for source in one.get("source_modules", [])
        for target in one.get("forbidden_modules", [])
    }
    # No arrow of the picture points from the service to the worker, or from the engine to anything but the contract.
    assert {("app", "worker"), ("app", "torch"), ("worker", "app.api"), ("worker.engine", "app.db")} <= forbidden


def test_the_trust_boundaries_are_drawn_on_the_picture() -> None:
    drawn = (ROOT / "docs" / "threat_model.md").read_text()
    assert re.search(r"^    client .*?\n\n", README, re.DOTALL | re.MULTILINE).group() in re.sub("[①③④]", "─", drawn)  # type: ignore[union-attr]
    rows = re.findall(r"^\| ([①-⑨]) .*\|$", drawn, re.MULTILINE)
    assert rows == list("①②③④⑤"), "each boundary has its row"


def test_the_snippet_is_the_quickstart() -> None:
    snippets = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert snippets == [(ROOT / "examples" / "quickstart.py").read_text().split('"""')[-1].lstrip()]


def test_every_setting_is_there() -> None:
    for name in Settings.model_fields:
        assert f"`STILLHOUSE_{name.upper()}`" in README, name


def test_every_make_target_is_listed_by_help() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"\.PHONY: (.*)", (ROOT / "Makefile").read_text())
    assert phony
    for target in phony.group(1).split():
        assert re.search(rf"^{target}\s+\S", listed, re.MULTILINE), target


def test_every_folder_in_the_map_exists() -> None:
    for folder in re.findall(
        r"`((?:app|worker|stillhouse|migrations|tests|examples|benchmarks|deploy|docs)/[a-z/]*)`", README
    ):
        assert (ROOT / folder).is_dir(), folder


def test_the_page_of_methods_is_the_catalogue() -> None:
    assert (ROOT / "docs" / "methods.md").read_text() == page(), "make methods"


def test_the_page_of_errors_is_what_answers_say() -> None:
    assert (ROOT / "docs" / "errors.md").read_text() == errors_page.page(), "make errors"
