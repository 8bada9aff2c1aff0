"""A small soak in every run of the suite; the large one is `make soak`."""

from pathlib import Path

import pytest

from tests.faults.soak.__main__ import soak


@pytest.mark.timeout(600)
def test_forty_jobs_survive_fifteen_faults(tmp_path: Path) -> None:
    outcome = soak(tmp_path, "sqlite", jobs=40, faults=15, seed=7, patience=120)
    assert not outcome.violations, outcome.text
    assert "15 faults" in outcome.text
