"""Going behind the walls, then running a module as if it had been started so: nothing of a user's was read yet."""

import importlib
import runpy
import sys
from dataclasses import replace
from importlib.metadata import MetadataPathFinder
from pathlib import Path

from worker.sandbox.walls import TooOpen, Walls, enter


def start(walls: Walls, module: str, *arguments: str) -> None:
    """Returns when the module has; ends the process where it says so, or where the walls cannot be had."""
    for package in walls.packages:
        importlib.import_module(package)
    if walls.first:
        where, _, name = walls.first.partition(":")
        getattr(importlib.import_module(where), name)()
    read = (*walls.read, *(str(Path(folder)) for name in walls.packages for folder in sys.modules[name].__path__))
    try:
        enter(replace(walls, read=read))
    except (TooOpen, OSError) as error:
        sys.exit(f"not started: {error}")
    # What was listed before may not be opened now: packages would be found there, and have no version.
    MetadataPathFinder().invalidate_caches()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
