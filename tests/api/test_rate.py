"""How often one may ask: counted together by all processes, told in headers, waited for by the client."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.limits.rate import stranger
from app.settings import Settings
from stillhouse import RateLimited, Stillhouse
from tests.api.keys import bearing, first_key, make_key, open_account
from tests.api.test_limits import limited
from tests.servers import Valkey


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is tried here never meets the database's dialect."""
    return sqlite_url


@pytest.mark.owasp(4)
def test_processes_count_together(settings: Settings) -> None:
    with limited(settings, requests_per_minute=3) as one, limited(settings, requests_per_minute=3) as another:
        answers = [house.client.get("/v1/jobs").status_code for house in (one, another, one, another, one)]
        assert answers == [200, 200, 200, 429, 429]


def test_rates_beyond_any_clock_are_counted(settings: Settings) -> None:
    most = 10**15 - 1
    with limited(settings, requests_per_minute=most) as house:
        told = house.client.get("/v1/jobs").headers
        assert (told["RateLimit-Policy"], told["RateLimit"][-4:]) == (f'"requests";q={most};w=60', ";t=1")


def test_accounts_are_counted_apart_and_may_have_rates_of_their_own(settings: Settings) -> None:
    first = first_key(settings)
    with limited(settings, requests_per_minute=3) as house, bearing(house, first) as admin:
        account = open_account(admin)
        with bearing(house, make_key(admin, account=account)["key"]) as theirs:
            changed = admin.client.patch(f"/v1/accounts/{account}", json={"limits": {"requests_per_minute": 5}})
            assert changed.json()["limits"]["requests_per_minute"] == 5
            assert admin.client.get("/v1/jobs").status_code == 429
            answers = [theirs.client.get("/v1/jobs") for _ in range(6)]
            assert [answer.status_code for answer in answers] == [200] * 5 + [429]
            assert answers[0].headers["RateLimit-Policy"] == '"requests";q=5;w=60'


def test_the_client_waits_as_long_as_it_is_told(
    settings: Settings, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = []
    with limited(settings, requests_per_minute=60) as house, valkey.client() as redis:

        def wait(seconds: float) -> None:
            waited.append(seconds)
            redis.delete("stillhouse:rate:tnt_default")

        monkeypatch.setattr("stillhouse.transport.time", SimpleNamespace(sleep=wait))
        redis.set("stillhouse:rate:tnt_default", f"{(time.time() + 110) * 1000:.4f}")  # the next one may come in 51 s
        url = str(house.client.base_url)
        with Stillhouse(url, retries=0) as hasty, pytest.raises(RateLimited, match=r"may come in \d\d s"):
            hasty.usage()
        with Stillhouse(url, retries=1) as client:
            assert client.usage().limits.requests_per_minute == 60
        assert [20 < seconds <= 51 for seconds in waited] == [True]


def test_without_a_broker_nothing_is_refused(settings: Settings, tmp_path: Path) -> None:
    away = settings.model_copy(update={"broker_url": f"redis+socket://{tmp_path}/nobody.sock"})
    with limited(away, requests_per_minute=1) as house:
        answers = [house.client.get("/v1/jobs") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert "RateLimit" not in answers[0].headers
        assert house.client.get("/v1/jobs", headers={"Authorization": "Bearer x"}).status_code == 200


def test_a_broker_that_comes_back_is_asked_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.limits.rate._PAUSE", 0.0)
    (tmp_path / "own").mkdir()
    server = Valkey(tmp_path / "own")
    with limited(settings.model_copy(update={"broker_url": server.url}), requests_per_minute=2) as house:
        with server.running():
            assert house.client.get("/v1/jobs").headers["RateLimit"].startswith('"requests";r=1;')
        assert "RateLimit" not in house.client.get("/v1/jobs").headers
        with server.running():
            assert house.client.get("/v1/jobs").headers["RateLimit"].startswith('"requests";r=1;')


def test_strange_addresses_share_buckets_that_they_cannot_know() -> None:
    assert stranger("2001:db8::1", b"pepper") == stranger("2001:db8::ffff:1", b"pepper")
    assert stranger("2001:db8::1", b"pepper") != stranger("2001:db8:0:1::1", b"pepper")
    assert stranger("192.0.2.1", b"pepper") != stranger("192.0.2.1", b"other")
    slots = {stranger(f"10.{a}.{b}.1", b"pepper") for a in range(256) for b in range(256)}
    assert 30_000 < len(slots) <= 2**16
