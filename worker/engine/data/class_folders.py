"""What a file's place in an archive says of it: its class and its part.

cat/1.png                  the class is the folder's name; deeper folders say nothing
train/cat/1.png            with its part (train, validation or val, test), where all folders at the top are such
unlabelled/7.png           no label; in the training part where there are parts
pets/cat/1.png             a folder around everything is passed over
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.contract.transfer import SPLITS
from worker.engine.failures import Refused

PARTS = {"train": 0, "training": 0, "validation": 1, "valid": 1, "val": 1, "test": 2, "testing": 2}
"""Names of parts, as numbers of `SPLITS`."""
NO_LABEL = {"unlabelled", "unlabeled"}


@dataclass(frozen=True)
class Place:
    """A sample's class (None: no label) and part (None: none is given)."""

    label: str | None
    part: int | None


def places(names: Sequence[str]) -> list[Place]:
    """Return each file's place. Raises Refused where one lies in no class folder."""
    paths = _without_wrapper([tuple(name.split("/")) for name in names])
    divided = _divided(paths)
    found = [_place(path, divided) for path in paths]
    bare = next((name for name, place in zip(names, found, strict=True) if place is None), None)
    if bare is not None:
        where = f"a class folder inside {', '.join(SPLITS)}" if divided else "a folder named after its class"
        raise Refused(f"The file {bare!r} does not lie in {where}, nor in `unlabelled`.")
    return [place for place in found if place is not None]


def _without_wrapper(paths: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    while len({path[0] for path in paths}) == 1 and all(len(path) > 2 for path in paths):
        if paths[0][0].lower() in PARTS.keys() | NO_LABEL:
            break
        paths = [path[1:] for path in paths]
    return paths


def _divided(paths: list[tuple[str, ...]]) -> bool:
    # A class may be called "train" (cars, buses, trains): only parts alone, with folders in them, are parts.
    tops = {path[0].lower() for path in paths} - NO_LABEL
    deep = all(len(path) > 2 for path in paths if path[0].lower() in PARTS)
    return bool(tops) and tops <= PARTS.keys() and deep


def _place(path: tuple[str, ...], divided: bool) -> Place | None:  # noqa: FBT001  # a word for the two layouts
    if len(path) < 2:
        return None
    top = path[0].lower()
    if top in NO_LABEL:
        return Place(None, 0 if divided else None)
    if not divided:
        return Place(path[0], None)
    return Place(None if path[1].lower() in NO_LABEL else path[1], PARTS[top])
