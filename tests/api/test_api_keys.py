"""API keys: the first one, what each may do, and how one ends."""

import re
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx2
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy import update

from app.accounts.pepper import pepper_of
from app.api.dependencies import _admin, _tenant
from app.db.base import db_now
from app.db.session import Database
from app.db.tables import ApiKey
from app.main import create_app
from app.settings import Settings
from app.store import Store
from tests.api.conftest import ON_SQLITE, House, running
from tests.api.keys import accounts, bearing, first_key, make_key
from tests.openapi import operations
from tests.servers import wait_until

LOOK = "/v1/jobs"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Tests that walk all operations send more keys that are no good than an address may."""
    return settings.model_copy(update={"limit_strangers_per_minute": 0})


@pytest.fixture
def admin(house: House) -> Iterator[House]:
    """The service with one key, held by an administrator."""
    with bearing(house, first_key(house.settings)) as seen:
        yield seen


def status(house: House, key: str | None) -> int:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return house.client.get(LOOK, headers=headers).status_code


def test_before_there_is_a_key_only_the_host_itself_is_answered(house: House) -> None:
    assert house.client.get("/v1/api_keys").json()["data"] == []
    strange = [
        {"X-Forwarded-For": "203.0.113.7"},  # as a proxy that uvicorn trusts names it
        {"X-Forwarded-For": "2001:db8::7"},
        {"Host": "evil.example"},  # DNS rebinding
        {"Origin": "https://evil.example"},  # a page of another site
        {"Origin": "null"},
    ]
    for headers in strange:
        answer = house.client.get(LOOK, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), headers
        assert "stillhouse keys bootstrap" in answer.json()["detail"]
    for headers in ({"X-Forwarded-For": "::ffff:127.0.0.1"}, {"Host": "localhost:8000"}, {"Host": "[::1]"}):
        assert house.client.get(LOOK, headers=headers).status_code == 200, headers


def test_the_first_key_is_made_on_the_host_and_then_all_need_one(house: House) -> None:
    assert accounts(house.settings, "exist").returncode == 1
    done = accounts(house.settings, "bootstrap")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"sh_[0-9a-f]{32}_[0-9a-f]{64}\n", done.stdout)
    assert accounts(house.settings, "exist").returncode == 0
    assert [status(house, None), status(house, done.stdout.strip())] == [401, 200]
    again = accounts(house.settings, "bootstrap")
    assert (again.returncode, again.stdout) == (2, "")
    assert "already" in again.stderr
    assert status(house, accounts(house.settings, "bootstrap", "--force").stdout.strip()) == 200
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json", "/metrics"):
        assert house.client.get(path).status_code == 200, path


def test_the_first_key_of_all_must_be_an_administrators(house: House) -> None:
    refused = house.client.post("/v1/api_keys", json={"name": "reader", "scopes": ["read"]})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/scopes")
    made = make_key(house, scopes=["admin"])
    assert [status(house, None), status(house, made["key"])] == [401, 200]


@pytest.mark.owasp(2)
def test_what_is_no_good_key_is_refused_on_the_next_request(house: House, admin: House) -> None:
    good, other = make_key(admin), make_key(admin)
    assert status(house, good["key"]) == 200
    swapped = good["key"][:36] + other["key"][36:]  # the id of one, the secret of another
    for damaged in (good["key"][:-1], good["key"] + "0", good["key"].upper(), swapped, ".", "sh_", "x" * 9000, "ß"):
        answer = house.client.get(LOOK, headers={"Authorization": b"Bearer " + damaged.encode()})
        assert answer.status_code == 401, damaged
        assert (answer.json()["code"], answer.headers["www-authenticate"]) == ("unauthorized", "Bearer")
    assert house.client.get(LOOK, headers={"Authorization": f"Basic {good['key']}"}).status_code == 401
    assert admin.client.delete(f"/v1/api_keys/{good['id']}").status_code == 204
    assert status(house, good["key"]) == 401
    assert admin.client.delete(f"/v1/api_keys/{good['id']}").status_code == 204
    assert admin.client.get(f"/v1/api_keys/{good['id']}").json()["revoked_at"]
    assert admin.client.delete("/v1/api_keys/key_1").status_code == 404


def test_a_key_expires(house: House, admin: House) -> None:
    past, soon = datetime.now(UTC) - timedelta(seconds=1), datetime.now(UTC) + timedelta(hours=1)
    for wrong in (past.isoformat(), "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59"):
        refused = admin.client.post("/v1/api_keys", json={"name": "late", "expires_at": wrong})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/expires_at")
    made = make_key(admin, expires_at=soon.isoformat())
    assert status(house, made["key"]) == 200
    expire(house, made["id"])
    assert status(house, made["key"]) == 401
    assert admin.client.post(f"/v1/api_keys/{made['id']}/rotate").status_code == 409


def expire(house: House, key_id: str) -> None:
    async def pass_time(database: Database, _: Store) -> None:
        async with database.transaction() as session:
            await session.execute(update(ApiKey).where(ApiKey.id == key_id).values(expires_at=db_now(-1)))

    house.work(pass_time)


@pytest.mark.owasp(2)
@ON_SQLITE
def test_no_operation_takes_a_key_that_is_no_good(house: House, admin: House) -> None:
    """Walks the OpenAPI document."""
    everything = {"scopes": ["read", "submit", "admin"]}
    revoked, expired, good = (make_key(admin, **everything) for _ in range(3))
    admin.client.delete(f"/v1/api_keys/{revoked['id']}")
    expire(house, expired["id"])
    tried = 0
    for operation in operations(house.client.get("/openapi.json").json()):
        if operation.scope:
            sent = operation.requests()[0]
            for key in (revoked["key"], expired["key"], good["key"][:-1]):
                mine = {**sent["headers"], "Authorization": f"Bearer {key}"}
                answer = house.client.request(**{**sent, "headers": mine})
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), operation.id
                tried += 1
    assert tried >= 150


def test_a_rotated_key_is_good_for_its_grace_only(house: House, admin: House) -> None:
    old = make_key(admin, name="nightly", scopes=["read"])
    new = admin.client.post(f"/v1/api_keys/{old['id']}/rotate", json={"grace_seconds": 1}).json()
    assert (new["name"], new["scopes"], new["account"]) == ("nightly", ["read"], old["account"])
    assert new["key"] != old["key"]
    assert status(house, new["key"]) == 200
    assert admin.client.post(f"/v1/api_keys/{old['id']}/rotate").status_code == 409
    wait_until(lambda: status(house, old["key"]) == 401, 10, "the end of the grace")
    newest = admin.client.post(f"/v1/api_keys/{new['id']}/rotate").json()
    assert [status(house, one["key"]) for one in (new, newest)] == [401, 200]


def test_a_key_in_its_grace_can_be_revoked(house: House, admin: House) -> None:
    old = make_key(admin)
    admin.client.post(f"/v1/api_keys/{old['id']}/rotate", json={"grace_seconds": 3600})
    assert status(house, old["key"]) == 200
    admin.client.delete(f"/v1/api_keys/{old['id']}")
    assert status(house, old["key"]) == 401


def test_the_secret_is_shown_once_and_not_stored(house: House, admin: House) -> None:
    answer = admin.client.post("/v1/api_keys", json={"name": "mine"})
    made = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    secret = made["key"].rsplit("_", 1)[1]
    for path in ("/v1/api_keys", f"/v1/api_keys/{made['id']}", "/v1/audit_log"):
        assert secret not in admin.client.get(path).text

    async def rows(database: Database, _: Store) -> str:
        async with database.reading() as session:
            row = await session.get(ApiKey, made["id"])
            assert row
            return str(vars(row))

    assert secret not in house.work(rows)
    pepper = house.settings.data / "pepper"
    assert stat.S_IMODE(pepper.stat().st_mode) == 0o600


def test_the_use_of_a_key_is_noted(house: House, admin: House) -> None:
    made = make_key(admin)
    seen = f"/v1/api_keys/{made['id']}"
    assert admin.client.get(seen).json()["last_used_at"] is None
    status(house, made["key"])
    wait_until(lambda: admin.client.get(seen).json()["last_used_at"] is not None, 10, "the note")
    noted = admin.client.get(seen).json()["last_used_at"]
    for _ in range(5):
        status(house, made["key"])
    assert admin.client.get(seen).json()["last_used_at"] == noted  # once a minute at most


@pytest.mark.owasp(5)
@ON_SQLITE
def test_scopes_hold_on_every_operation(house: House, admin: House) -> None:
    """Walks the OpenAPI document: no key 401, and 403 for every scope but the one that is named there and `admin`."""
    keys = {scope: make_key(admin, scopes=[scope])["key"] for scope in ("read", "submit")}
    held = 0
    for operation in operations(house.client.get("/openapi.json").json()):
        if operation.scope is None:
            assert not operation.path.startswith("/v1")
            continue
        expected = "admin" if operation.scope == "admin" else "submit" if changes(operation.method) else "read"
        assert operation.scope == expected, operation.id
        sent = operation.requests()[0]
        assert house.client.request(**sent).status_code == 401, operation.id
        for scope in {"read", "submit"} - {operation.scope}:
            mine = {**sent["headers"], "Authorization": f"Bearer {keys[scope]}"}
            answer = house.client.request(**{**sent, "headers": mine})
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (operation.id, scope)
            assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
            held += 1
    assert held > 40


@pytest.mark.owasp(5)
def test_what_is_of_no_account_is_for_administrators() -> None:
    """A change that does not ask whose account it is made in concerns the whole installation."""
    guarded = set()
    for route in routes(create_app(Settings()).routes):
        asked = {dependency.call for dependency in flat(route.dependant)}
        if route.methods - {"GET", "OPTIONS"}:
            assert asked & {_tenant, _admin}, route.name
        guarded |= {route.name} if _admin in asked else set()
    assert {"drain_worker", "create_account", "create_api_key", "list_audit_log"} <= guarded


def routes(found: Iterable[Any]) -> Iterator[APIRoute]:
    for one in found:
        if isinstance(one, APIRoute):
            yield one
        elif router := getattr(one, "original_router", None):
            yield from routes(router.routes)


def flat(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for below in dependant.dependencies:
        yield from flat(below)


def changes(method: str) -> bool:
    return method not in {"GET", "OPTIONS"}


def test_nobody_without_a_key_learns_anything(house: House, admin: House) -> None:
    override = {"X-HTTP-Method-Override": "DELETE", "Tus-Resumable": "1.0.0"}
    tried = [
        ("GET", "/v1/nothing", {}),
        ("PUT", "/v1/jobs", {}),
        ("HEAD", "/v1/jobs", {}),
        ("OPTIONS", "/v1/uploads/upl_1", {}),
        ("GET", "/v1//jobs", {}),
        ("GET", "/v1/%6aobs", {}),
        ("POST", "/v1/jobs", {"Content-Type": "application/json"}),
        ("POST", "/v1/uploads/upl_1", override),
    ]
    for method, path, headers in tried:
        answer = house.client.request(method, path, headers=headers, content=b"{" if method == "POST" else None)
        assert answer.status_code == 401, (method, path)


def test_a_method_that_a_header_names_needs_its_own_scope(house: House, admin: House) -> None:
    reader = make_key(admin, scopes=["read"])["key"]
    headers = {"X-HTTP-Method-Override": "DELETE", "Authorization": f"Bearer {reader}"}
    assert house.client.get("/v1/uploads/upl_1", headers=headers).status_code == 403


def test_a_prefix_of_a_proxy_opens_nothing(house: House, admin: House) -> None:
    """Behind `--root-path` the paths that the router goes by are not those of the request."""

    async def ask() -> int:
        app = create_app(house.settings)
        async with app.router.lifespan_context(app):
            transport = httpx2.ASGITransport(app, client=("127.0.0.1", 1), root_path="/prefix")
            async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return (await client.get("/prefix/v1/jobs")).status_code

    assert anyio.run(ask) == 401


def test_processes_that_start_at_once_agree_on_the_pepper(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(pepper_of, [settings] * 32))
    assert len(found) == 1
    assert [entry.name for entry in settings.data.iterdir()] == ["pepper"]


def test_under_another_pepper_no_key_is_good(house: House, admin: House) -> None:
    key = make_key(admin)["key"]
    changed = Settings(**{**house.settings.model_dump(), "key_pepper": "another"})
    with running(changed) as url:
        assert httpx2.get(f"{url}{LOOK}", headers={"Authorization": f"Bearer {key}"}).status_code == 401
