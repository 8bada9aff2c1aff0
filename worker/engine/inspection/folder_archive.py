"""The archive of a Hugging Face folder: where the folder lies in it, and its small files."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.contract.registration import PAPERS
from worker.engine.failures import Refused
from worker.engine.files.archives import Limits, archive_form, copy_files, read_files
from worker.engine.files.file_kinds import recognise
from worker.engine.networks.fit import listed

CONFIG = "config.json"
_ENTRIES = 10_000
_PAPERS_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Folder:
    """A folder in an archive; names are relative to it."""

    path: Path
    root: str
    """What stands before the names: empty, or the folder's own name and a slash."""
    names: frozenset[str]
    papers: Mapping[str, bytes]

    def table(self, name: str) -> dict[str, Any]:
        """Return what a JSON file holds; nothing where there is no such file. Raises Refused."""
        content = self.content(name, {})
        if not isinstance(content, dict):
            raise Refused(f"The folder's {name} is not a table of fields.")
        return content

    def content(self, name: str, default: Any) -> Any:
        """Return what a JSON file holds, of whatever form; `default` where there is no such file. Raises Refused."""
        if name not in self.papers:
            return default
        try:
            return json.loads(self.papers[name])
        except (ValueError, RecursionError) as error:
            raise Refused(f"The folder's {name} is not valid JSON ({error}).") from error

    def copy(self, names: list[str], scratch: Path, most: int) -> dict[str, Path]:
        """Write files to `scratch`, numbered, and return where each lies; together `most` bytes. Raises Refused."""
        places = {self.root + name: scratch / str(number) for number, name in enumerate(names)}
        limits, total = Limits(entries=_ENTRIES, entry_bytes=most), 0
        for path in copy_files(self.path, limits, places.get):
            total += path.stat().st_size
            if total > most:
                raise Refused(f"The folder's weights have more than {most:,} bytes, which is more than it needs.")
        return {name: places[self.root + name] for name in names}


def read_folder(path: Path) -> Folder:
    """Return the folder that an archive holds. Raises Refused."""
    if archive_form(path) is None:
        words = recognise(path).words
        raise Refused(f"A Hugging Face folder is uploaded as a .zip, .tar or .tar.gz archive: this looks like {words}.")
    names: list[str] = []
    papers: dict[str, bytes] = {}

    def wanted(name: str) -> bool:
        names.append(name)
        return name.rpartition("/")[2] in PAPERS  # a config.json wherever it lies

    for name, content in read_files(path, Limits(entries=_ENTRIES, entry_bytes=_PAPERS_BYTES), wanted):
        papers[name] = content
        if sum(map(len, papers.values())) > _PAPERS_BYTES:
            raise Refused(f"The folder's JSON files and vocabulary have more than {_PAPERS_BYTES:,} bytes together.")
    root = _root(names)
    inside = {name.removeprefix(root): name for name in names if name.startswith(root)}
    return Folder(path, root, frozenset(inside), {name: papers[at] for name, at in inside.items() if at in papers})


def _root(names: list[str]) -> str:
    """Return where the uppermost config.json lies; parts of a folder (pooling, other formats) have one of their own."""
    found = [name for name in names if name.rpartition("/")[2] == CONFIG]
    if not found:
        raise Refused(f"The archive holds no {CONFIG}, so it is no Hugging Face folder; it has {listed(names)}.")
    depth = min(name.count("/") for name in found)
    roots = [name.removesuffix(CONFIG) for name in found if name.count("/") == depth]
    if len(roots) > 1:
        raise Refused(f"The archive holds several folders with a {CONFIG} ({listed(roots)}): pack one of them.")
    return roots[0]
