"""SECURITY.md's table of the OWASP API Security Top 10: each risk has its tests where the table says."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text().split("## OWASP API Security Top 10 (2023)")[1]


def listed() -> dict[int, set[str]]:
    """Return the files that each row names."""
    rows = re.findall(r"^\| (\d+) \|.*\|([^|]*)\|$", PAGE, re.MULTILINE)
    return {int(number): set(re.findall(r"`([^`]+)`", files)) for number, files in rows}


def marked() -> dict[str, set[int]]:
    """Return the numbers that each file of tests marks."""
    files = (ROOT / "tests").rglob("test_*.py")
    found = {str(file.relative_to(ROOT)): re.findall(r"mark\.owasp\((\d+)\)", file.read_text()) for file in files}
    return {file: set(map(int, numbers)) for file, numbers in found.items() if numbers}


def test_every_risk_has_its_tests() -> None:
    assert sorted(listed()) == list(range(1, 11))
    for number, files in listed().items():
        assert files == {file for file, numbers in marked().items() if number in numbers}, number
        assert files, number
