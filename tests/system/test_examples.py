"""The example files run as they are, as a user would run them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stillhouse.embedded import EmbeddedStack

pytestmark = pytest.mark.xdist_group("stack")
EXAMPLES = Path(__file__).parents[2] / "examples"


def run(*command: str | Path, url: str, cwd: Path) -> str:
    environment = {**os.environ, "STILLHOUSE_URL": url, "COLUMNS": "120"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_founding_example(stack: EmbeddedStack, tmp_path: Path) -> None:
    assert "The student's classes" in run(sys.executable, EXAMPLES / "founding.py", url=stack.url, cwd=tmp_path)
