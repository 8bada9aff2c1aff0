"""docs/hostile_files.md tells the limits that the code has."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r"\| ([^|]+) \| `([^`]+\.py)` `(\w+)` \|$", (ROOT / "docs/hostile_files.md").read_text(), re.MULTILINE
)


@pytest.mark.parametrize(("value", "file", "name"), ROWS)
def test_each_limit_is_the_codes(value: str, file: str, name: str) -> None:
    [written] = re.findall(rf"^{name}(?:: \w+)? = (.*)$", (ROOT / file).read_text(), re.MULTILINE)
    assert value.strip().replace(",", "") == written.replace("_", "")


def test_all_rows_are_read() -> None:
    assert len(ROWS) >= 18
