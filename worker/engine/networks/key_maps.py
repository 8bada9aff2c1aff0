"""Parameter names: a user's and a family's, and the prefixes that lead from the one to the other."""

import re
from collections.abc import Callable, Iterable, Mapping

from worker.engine.failures import Refused

Shape = tuple[int, ...]
Modules = dict[str, dict[str, Shape]]
"""Module prefix -> leaf name -> shape."""
Signature = frozenset[tuple[str, Shape | None]]


def rename(names: Iterable[str], key_map: Mapping[str, str]) -> dict[str, str]:
    """Return user's name -> family's name; the longest prefix wins, and what no prefix covers keeps its name.

    Raises Refused where a prefix covers nothing, or two names become one.
    """
    names = list(names)
    renamed = {name: _renamed(name, key_map) for name in names}
    idle = [prefix for prefix in key_map if not any(_covers(prefix, name) for name in names)]
    problems = [f"The key map's prefix {prefix!r} matches no tensor." for prefix in idle]
    problems += _collisions(renamed)
    if problems:
        raise Refused(*problems)
    return renamed


def exported(names: Iterable[str], key_map: Mapping[str, str]) -> dict[str, str]:
    """Return family's name -> user's name. Prefixes of parts that the network lacks are of no account.

    Raises Refused where the map cannot be read backwards.
    """
    back: dict[str, str] = {}
    for user, family in key_map.items():
        if family in back:
            raise Refused(f"The key map leads both {back[family]!r} and {user!r} to {family!r}: it has no way back.")
        back[family] = user
    renamed = {name: _renamed(name, back) for name in names}
    problems = _collisions(renamed)
    if problems:
        raise Refused(*problems)
    return renamed


def find(found: Mapping[str, Shape], expected: Mapping[str, Shape], *, ordered: bool) -> dict[str, str] | None:
    """Return the one key map (user's prefix -> family's) under which the tensors fit, or None where none does.

    Modules are matched by the names and shapes of their tensors; equal ones by their order, where the file keeps one
    (`ordered`), or by the numbers in their names. Raises Refused where several matches would do.
    """
    return _matched(found, expected, _by_shape, ordered=ordered)


def nearest(found: Mapping[str, Shape], expected: Mapping[str, Shape], *, ordered: bool) -> dict[str, str] | None:
    """Return the key map that leaf names alone suggest, so that misfits can be told under the right names."""
    try:
        return _matched(found, expected, _by_leaves, ordered=ordered)
    except Refused:
        return None


def _matched(
    found: Mapping[str, Shape],
    expected: Mapping[str, Shape],
    sign: Callable[[Mapping[str, Shape]], Signature],
    *,
    ordered: bool,
) -> dict[str, str] | None:
    theirs, ours = _grouped(_modules(found), sign), _grouped(_modules(expected), sign)
    if {signature: len(group) for signature, group in theirs.items()} != {
        signature: len(group) for signature, group in ours.items()
    }:
        return None
    pairs: dict[str, str] = {}
    for signature, family in ours.items():
        user = _in_order(theirs[signature], family, ordered=ordered)
        pairs |= dict(zip(user, family, strict=True))
    return {prefix: pairs[prefix] for prefix in _modules(found)}


def _in_order(user: list[str], family: list[str], *, ordered: bool) -> list[str]:
    if len(user) == 1 or set(user) == set(family):
        return user if len(user) == 1 else family
    natural = _by_numbers(user)
    if natural and (not ordered or natural == user):
        return natural
    if ordered and not natural:
        return user
    raise Refused(
        f"The parts {', '.join(map(repr, user))} have tensors of the same shapes, and nothing says which is which: "
        f"give a key_map from them to {', '.join(map(repr, family))}."
    )


def _by_numbers(names: list[str]) -> list[str] | None:
    if len({re.sub(r"\d+", "#", name) for name in names}) > 1:
        return None
    return sorted(names, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])


def _modules(shapes: Mapping[str, Shape]) -> Modules:
    modules: Modules = {}
    for name, shape in shapes.items():
        prefix, _, leaf = name.rpartition(".")
        modules.setdefault(prefix, {})[leaf] = shape
    return modules


def _grouped(modules: Modules, sign: Callable[[Mapping[str, Shape]], Signature]) -> dict[Signature, list[str]]:
    groups: dict[Signature, list[str]] = {}
    for prefix, leaves in modules.items():
        groups.setdefault(sign(leaves), []).append(prefix)
    return groups


def _by_shape(leaves: Mapping[str, Shape]) -> Signature:
    return frozenset(leaves.items())


def _by_leaves(leaves: Mapping[str, Shape]) -> Signature:
    return frozenset((leaf, None) for leaf in leaves)


def _renamed(name: str, key_map: Mapping[str, str]) -> str:
    covering = [prefix for prefix in key_map if _covers(prefix, name)]
    if not covering:
        return name
    prefix = max(covering, key=len)
    rest = name[len(prefix) :].removeprefix(".")
    return ".".join(part for part in (key_map[prefix], rest) if part)


def _covers(prefix: str, name: str) -> bool:
    return not prefix or name == prefix or name.startswith(prefix + ".")


def _collisions(renamed: Mapping[str, str]) -> list[str]:
    origin: dict[str, str] = {}
    problems = []
    for name, new in renamed.items():
        if new in origin:
            problems.append(f"The key map leads both {origin[new]!r} and {name!r} to {new!r}.")
        origin[new] = name
    return problems
