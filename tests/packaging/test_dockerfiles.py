"""The Dockerfiles, as far as they can be checked without an engine."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.packaging.dockerfile import DOCKERFILES, ROOT, copies, install_command, instructions, tracked

PATHS = [pytest.param(path, id=name) for name, path in DOCKERFILES.items()]


@pytest.mark.parametrize("path", PATHS)
def test_every_copied_source_exists_and_is_tracked(path: Path) -> None:
    known = tracked()
    if known is None:
        pytest.skip("not a git checkout")
    for source in (source for sources, _ in copies(path) for source in sources):
        assert any(file == source or file.startswith(f"{source}/") for file in known), source


@pytest.mark.parametrize("path", PATHS)
def test_the_build_context_holds_what_is_copied_and_nothing_else(path: Path) -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    admitted = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert "*" in lines  # everything else stays outside
    assert {source for sources, _ in copies(path) for source in sources} <= admitted
    copied_by_any = {source for file in DOCKERFILES.values() for sources, _ in copies(file) for source in sources}
    assert admitted == copied_by_any


@pytest.mark.parametrize("path", PATHS)
def test_base_images_are_pinned_to_a_patch_version_that_we_support(path: Path) -> None:
    froms = [entry.arguments.split() for entry in instructions(path) if entry.word == "FROM"]
    stages = {words[2] for words in froms if len(words) == 3}
    images = {words[0] for words in froms} - stages
    assert images
    for image in images:
        assert re.fullmatch(r"python:3\.1[1-9]\.\d+-slim-\w+", image), image


@pytest.mark.parametrize("path", PATHS)
def test_the_image_runs_without_root_and_from_a_folder_it_cannot_write(path: Path) -> None:
    last = {entry.word: entry.arguments for entry in instructions(path)}
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"])
    assert last["WORKDIR"] == "/opt/stillhouse"  # root's: nothing there can be planted and then imported
    assert "PYTHONSAFEPATH=1" in last["ENV"]


@pytest.mark.parametrize(("extra", "path"), DOCKERFILES.items())
def test_the_image_is_installed_by_the_script_that_the_tests_run(extra: str, path: Path) -> None:
    assert install_command(path) == ["deploy/install.sh", extra, "/opt/stillhouse"]
    assert [entry.arguments for entry in instructions(path) if "pip install" in entry.arguments] == []


def test_the_api_image_lacks_the_worker() -> None:
    sources = {source for sources, _ in copies(DOCKERFILES["api"]) for source in sources}
    assert "worker" not in sources


def test_every_pip_call_passes_the_constraints() -> None:
    calls = [line for line in (ROOT / "deploy/install.sh").read_text().splitlines() if "-m pip install" in line]
    assert calls
    assert all("--constraint constraints.txt" in line for line in calls)


def test_a_worker_is_installed_with_every_family_that_a_spec_may_name() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    found = re.search(r"worker\) extra=(\S+)", (ROOT / "deploy/install.sh").read_text())
    assert found is not None
    assert set(found[1].split(",")) == set(extras) - {"api", "flower", "server", "dev"}
