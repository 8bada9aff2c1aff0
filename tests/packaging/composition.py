"""The compose file, read as Docker Compose reads it."""

import re
from typing import Any

import yaml

from tests.packaging.dockerfile import ROOT

PATH = ROOT / "docker-compose.yml"
Service = dict[str, Any]


def services() -> dict[str, Service]:
    """Return the services, anchors and merges resolved, variables not."""
    found: dict[str, Service] = yaml.safe_load(PATH.read_text())["services"]
    return found


def interpolated(text: str, variables: dict[str, str]) -> str:
    """Fill in `${NAME}`, `${NAME:-default}` and `${NAME:?message}`. Raises KeyError where a required one lacks."""

    def fill(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        return variables[name] if default is None else variables.get(name, default)

    return re.sub(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)?\}", fill, text)


def seconds(text: str) -> float:
    """Return a duration as compose writes it: `90s`, `2m`."""
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "m": 60}[unit]
