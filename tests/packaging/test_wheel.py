"""The wheel holds every file of the packages, those that are not Python included."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.packaging.dockerfile import DOCKERFILES, lay_out

PACKAGES = ("app", "migrations", "stillhouse", "worker")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out(DOCKERFILES["worker"], tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def packed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The paths inside the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), "."]
    made = subprocess.run(build, check=False, cwd=source, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    [wheel] = folder.glob("stillhouse-*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def expected(source: Path) -> set[str]:
    """The packages' files as git has them."""
    files = (path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
    return {file for file in files if file.split("/")[0] in PACKAGES}


def test_it_holds_every_file_of_the_packages(packed: set[str], expected: set[str]) -> None:
    assert {file for file in packed if ".dist-info/" not in file} == expected


def test_it_holds_what_is_easily_forgotten(packed: set[str]) -> None:
    assert {"migrations/script.py.mako", "app/py.typed", "stillhouse/py.typed"} <= packed
    assert any(file.startswith("migrations/versions/0001_") for file in packed)
