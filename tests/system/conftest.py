"""The whole house, as `stillhouse serve` starts it: one for all tests of this folder."""

from collections.abc import Iterator

import httpx2
import pytest

from stillhouse.embedded import EmbeddedStack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    with EmbeddedStack(tmp_path_factory.mktemp("stack"), port=0) as running:
        yield running


@pytest.fixture
def http(stack: EmbeddedStack) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=stack.url, timeout=60) as client:
        yield client
