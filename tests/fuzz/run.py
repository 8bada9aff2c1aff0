"""One run of schemathesis against a service."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.fuzz.service import Service

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("schemathesis.toml")
COMMAND = [sys.executable, "-P", "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run"]


def fuzz(service: Service, *options: str) -> int:
    """Return the exit code: 1 where an answer was not what the document promises. What was found is printed."""
    environment = {**os.environ, "STILLHOUSE_API_KEY": service.key, "PYTHONPATH": str(ROOT)}
    line = [*COMMAND, f"{service.url}/openapi.json", "--no-color", *options]
    return subprocess.run(line, cwd=ROOT, env=environment, check=False).returncode


def errors(service: Service) -> list[str]:
    """Return what the API logged as errors: also what no answer told."""
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    return [json.dumps(line, indent=1) for line in lines if line["level"] in {"ERROR", "CRITICAL"}]
