"""Where webhooks never go, whatever their URL, a name server or the environment says (OWASP API 7)."""

import ssl
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import trustme

from app.webhooks.addresses import allowed, parsed
from tests.receivers import HERE, Receiver, answering, name_servers, receiving
from tests.worker.conftest import House
from tests.worker.mail import Outcome, deliver, make, outcome, send_test

pytestmark = pytest.mark.anyio


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


async def tried(house: House, url: str) -> Outcome:
    webhook = await make(house, url)
    await send_test(house, webhook)
    assert await deliver(house) == 1
    return await outcome(house, webhook)


PUBLIC = ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
NOT_PUBLIC = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.1.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254"),
    *("192.0.0.1", "192.88.99.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "100::1"),
    *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254"),
    *("fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1"),
]


def test_what_is_public() -> None:
    assert [address for address in PUBLIC if not allowed(parsed(address), [])] == []
    assert [address for address in NOT_PUBLIC if allowed(parsed(address), [])] == []


def test_networks_of_ones_own_may_be_allowed_and_nothing_else_is() -> None:
    own = [ip_network("10.20.0.0/16"), ip_network("fd00::/8")]
    for address in ("10.20.3.4", "::ffff:10.20.3.4", "fd12::1"):
        assert allowed(ip_address(address), own)
    for address in ("10.21.0.1", "127.0.0.1", "169.254.169.254", "fe80::1"):
        assert not allowed(ip_address(address), own)


@pytest.mark.owasp(7)
async def test_nothing_is_sent_to_what_is_not_public(
    house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by a literal, not by a name that was public when the webhook was made, not if one address of many is not."""
    house.settings = house.settings.model_copy(update={"webhook_http": True})
    name_servers(monkeypatch, {"rebinding.example": [["127.0.0.1"]], "mixed.example": [["2000::1", "127.0.0.1"]]})
    hosts = ("127.0.0.1", "[::ffff:7f00:1]", "localhost", "rebinding.example", "mixed.example", "[::1]", "0.0.0.0")
    for host in hosts:
        assert await tried(house, f"http://{host}:{receiver.port}/") == [("address_refused", None)], host
    assert await tried(house, "http://169.254.169.254/latest/meta-data/") == [("address_refused", None)]
    assert receiver.came == []


async def test_http_is_refused_unless_it_is_allowed(house: House, receiver: Receiver) -> None:
    house.settings = house.settings.model_copy(update={"webhook_networks": HERE["webhook_networks"]})
    assert await tried(house, receiver.url) == [("address_refused", None)]
    assert receiver.came == []


@pytest.mark.owasp(7)
async def test_a_name_is_looked_up_once_and_its_address_is_the_one_that_was_checked(
    house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.settings = house.settings.model_copy(update=HERE)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # of no concern
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    answers = {"own.example": [["127.0.0.1"], ["127.0.0.2"]]}
    name_servers(monkeypatch, answers)
    assert await tried(house, f"http://own.example:{receiver.port}/path?query=1") == [(None, 204)]
    assert answers == {"own.example": [["127.0.0.2"]]}
    [came] = receiver.came
    assert (came.headers["host"], came.path) == (f"own.example:{receiver.port}", "/path?query=1")


async def test_another_address_of_the_name_is_tried(
    house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.settings = house.settings.model_copy(update=HERE)
    name_servers(monkeypatch, {"two.example": [["127.0.0.9", "127.0.0.1"]], "none.example": []})
    assert await tried(house, f"http://two.example:{receiver.port}/") == [(None, 204)]
    assert await tried(house, f"http://none.example:{receiver.port}/") == [("name_not_found", None)]


@pytest.mark.owasp(7)
async def test_redirects_are_not_followed(house: House, receiver: Receiver) -> None:
    house.settings = house.settings.model_copy(update=HERE)
    with receiving(answering(307, Location=receiver.url)) as pointing:
        assert await tried(house, pointing.url) == [("redirected", 307)]
    assert receiver.came == []


async def test_a_certificate_must_be_of_the_name_though_an_address_is_connected_to(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.settings = house.settings.model_copy(update={"webhook_networks": HERE["webhook_networks"]})
    names = {"own.example": [["127.0.0.1"]] * 2, "other.example": [["127.0.0.1"]]}
    name_servers(monkeypatch, names)
    authority, tls, asked = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), []
    authority.issue_cert("own.example").configure_cert(tls)
    tls.sni_callback = lambda _socket, name, _context: asked.append(name)
    with receiving(tls=tls) as receiver:
        url = f"https://own.example:{receiver.port}/"
        assert await tried(house, url) == [("tls_failed", None)]  # its authority is not known here
        authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        assert await tried(house, url) == [(None, 204)]
        assert await tried(house, url.replace("own", "other")) == [("tls_failed", None)]
    assert asked == ["own.example", "own.example", "other.example"]
    assert len(receiver.came) == 1
