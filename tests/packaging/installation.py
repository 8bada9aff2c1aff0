"""deploy/install.sh, run on the files that an image's build stage would have."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.dockerfile import DOCKERFILES, install_command, lay_out

_NO_NETWORK = ("Temporary failure in name resolution", "NewConnectionError", "ConnectTimeoutError", "Name or service")


def install(extra: str, folder: Path, settings: dict[str, str] | None = None) -> Path:
    """Do what the image's RUN line does, into a new environment below `folder`; return the environment's `bin`.

    Skips the test where the package index cannot be reached, except in CI.
    """
    dockerfile = DOCKERFILES[extra]
    context = lay_out(dockerfile, folder / "context")
    *command, _ = install_command(dockerfile)
    environment = {**os.environ, "PYTHON": sys.executable, "PIP_NO_COMPILE": "1", **(settings or {})}
    done = subprocess.run(
        [*command, str(folder / "venv")], check=False, cwd=context, env=environment, capture_output=True, text=True
    )
    output = done.stdout + done.stderr
    if done.returncode != 0 and "CI" not in os.environ and any(sign in output for sign in _NO_NETWORK):
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, output[-4000:]
    return folder / "venv/bin"


def run(python: Path, code: str, **settings: str) -> str:
    """Run a line of Python as the image would: nothing is imported from the current folder. Returns what it prints."""
    environment = {"PATH": str(python.parent), "PYTHONSAFEPATH": "1", **settings}
    done = subprocess.run([python, "-c", code], check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
