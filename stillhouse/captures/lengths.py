"""How short and how long the texts may be that a captured network reads: tried out, whatever its export says.

torch.export takes the length as fixed wherever an LSTM reads, though the program does not depend on it; and as free
where a table of positions ends.
"""

from collections.abc import Callable, Sequence

from stillhouse.captures.exported import UNTOLD, Axis

_ENOUGH = 512
"""Who reads so many tokens as it should is taken to read any number."""


def lengths(agrees: Callable[[int], bool], axes: Sequence[int | Axis], seen: int) -> tuple[int, int | None]:
    """Return the least and the largest length, None for no limit, at which the program does what the module does.

    `axes`: what the exports say; `seen`: the example's length, at which they agree.
    """
    bounds = [axis for axis in axes if isinstance(axis, Axis)]
    least = max((axis.least for axis in bounds if axis.least > UNTOLD), default=1)
    most = min((axis.most for axis in bounds if axis.most is not None), default=None)
    return _shortest(agrees, least, seen), _longest(agrees, most, seen)


def _shortest(agrees: Callable[[int], bool], least: int, seen: int) -> int:
    return next((length for length in range(least, seen) if agrees(length)), seen)


def _longest(agrees: Callable[[int], bool], most: int | None, seen: int) -> int | None:
    able, unable = seen, None if most is None else most + 1
    while unable is None or able + 1 < unable:
        if unable is None and able >= _ENOUGH:
            return None
        tried = 2 * able + 1 if unable is None else (able + unable) // 2
        if agrees(tried):
            able = tried
        else:
            unable = tried
    return able
