"""Dockerfiles, as far as ours go: what they copy from the build context, and what they run."""

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILES = {name: ROOT / "deploy" / f"{name}.Dockerfile" for name in ("api", "worker")}


@dataclass(frozen=True)
class Instruction:
    word: str
    arguments: str


def instructions(path: Path) -> list[Instruction]:
    """Return a Dockerfile's instructions in order, continued lines joined, comments left out."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines()]


def copies(path: Path) -> list[tuple[list[str], str]]:
    """Return (sources, destination) of every COPY from the build context."""
    words = [entry.arguments.split() for entry in instructions(path) if entry.word == "COPY"]
    return [(entry[:-1], entry[-1]) for entry in words if not entry[0].startswith("--from=")]


def install_command(path: Path) -> list[str]:
    """Return the command line with which the image installs the service, its mounts left out."""
    runs = [shlex.split(entry.arguments) for entry in instructions(path) if entry.word == "RUN"]
    [found] = [words for words in runs if any("install.sh" in word for word in words)]
    return [word for word in found if not word.startswith("--mount=")]


@cache
def tracked() -> frozenset[str] | None:
    """Return the paths that git tracks, or None where this is no git checkout."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], check=False, cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return frozenset(listed.stdout.split("\0")) - {""} if listed.returncode == 0 else None


def lay_out(path: Path, folder: Path) -> Path:
    """Copy what the Dockerfile copies into `folder`, as the image's build stage would have it; return the folder."""
    for sources, destination in copies(path):
        for source in sources:
            into = folder / destination / Path(source).name if destination.endswith("/") else folder / destination
            for file in _files(source):
                target = into / file.relative_to(ROOT / source) if (ROOT / source).is_dir() else into
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, target)
    return folder


def _files(source: str) -> list[Path]:
    found = [ROOT / source] if (ROOT / source).is_file() else [p for p in (ROOT / source).rglob("*") if p.is_file()]
    known = tracked()
    if known is None:
        return [file for file in found if "__pycache__" not in file.parts]
    return [file for file in found if file.relative_to(ROOT).as_posix() in known]
