"""A small part of `make fuzz` in every run of the suite, always the same: the OpenAPI document holds on a real service.

No worker is there, so that nothing but the requests changes anything; what workers would do of the samples is done.
"""

from collections.abc import Iterator

import pytest

from app.settings import Settings
from tests.fuzz.run import errors, fuzz
from tests.fuzz.service import Service, serving

pytestmark = pytest.mark.timeout(600)
SAME = ("--generation-deterministic", "--no-shrink")
MANIFOLD = (
    "change_account", "create_account", "create_dataset", "create_job", "create_model", "create_webhook", "list_jobs",
    "update_webhook", "validate_job",
)  # fmt: skip
"""Operations with hundreds or thousands of edges: left to `make fuzz`, and drawn from in the other test."""


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    with serving(settings, working=False) as running:
        yield running
        assert not errors(running)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_every_operation_at_its_edges(service: Service, capfd: pytest.CaptureFixture[str]) -> None:
    left = [word for name in MANIFOLD for word in ("--exclude-operation-id", name)]
    assert fuzz(service, "--phases", "examples,coverage", *left, *SAME) == 0, capfd.readouterr().out


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_drawn_and_what_is_linked(service: Service, capfd: pytest.CaptureFixture[str]) -> None:
    assert fuzz(service, "--phases", "fuzzing", "--max-examples", "3", *SAME) == 0, capfd.readouterr().out
    assert fuzz(service, "--phases", "stateful", "--max-examples", "20", *SAME) == 0, capfd.readouterr().out
