"""A harmless name that leads to a place that is never called is refused, and clients connect where was checked."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from devstack.certificate import make_certificate
from learnosity.api import dns_lookup, ip_ranges
from learnosity.api.client import LearnosityClient
from learnosity.api.config import ApiConfig, build_config
from learnosity.api.dns_lookup import CheckedLookup
from learnosity.api.downloads import READ_AHEAD_BYTES
from learnosity.api.ip_ranges import leads
from learnosity.api.signed_urls import SignedTransfer
from learnosity.api.url_policy import UrlPolicy
from learnosity.errors import LearnosityError, PermanentApiError, TransferError, TransientApiError
from tests.component.api.hand_made import CONTINUE, Exchange, hand_made, reply

HOST = "bucket.example"
URL = f"https://{HOST}/data.json?Signature=abc"
REAL = UrlPolicy("data.learnosity.com", plain_http=False)
HALF = 2 * READ_AHEAD_BYTES
Call = Callable[[ApiConfig, str, Path], Awaitable[object]]


class Dns:
    """A DNS of its own, and how often it was asked. A list of lists gives another answer each time."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.known: dict[str, list[str]] = {}
        self.next: dict[str, Iterator[list[str]]] = {}

    def answer(self, host: str) -> list[str]:
        host = host.rstrip(".")  # some clients ask without the final dot
        self.asked.append(host)
        if host in self.next:
            return next(self.next[host])
        if host not in self.known:
            raise socket.gaierror("no such name")
        return self.known[host]


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> Dns:
    made = Dns()

    async def getaddrinfo(self: asyncio.AbstractEventLoop, host: str, port: Any, **kwargs: Any) -> list[Any]:
        found = made.answer(host) if leads(host) is None else [host]  # an IP address is not looked up
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port or 0)) for each in found]

    monkeypatch.setattr(uvloop.Loop, "getaddrinfo", getaddrinfo)
    return made


def refusing(*networks: str) -> tuple[Any, ...]:
    """Networks that are never called, although they are on this machine."""
    return (*ip_ranges.NEVER, *map(ipaddress.ip_network, networks))


@pytest.fixture
def evil(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address of this machine that stands for a metadata service."""
    monkeypatch.setattr(ip_ranges, "NEVER", refusing("127.0.0.66/32"))
    ip_ranges.leads.cache_clear()
    yield "127.0.0.66"
    ip_ranges.leads.cache_clear()


async def api(config: ApiConfig, url: str, folder: Path) -> object:
    async with LearnosityClient(config, attempts=1) as client:
        return await client.jobs()


async def download(config: ApiConfig, url: str, folder: Path) -> object:
    async with SignedTransfer(config) as transfer, transfer.get(url) as got:
        return await got.read(1000)


async def upload(config: ApiConfig, url: str, folder: Path) -> object:
    part = folder / "part"
    part.write_bytes(b"{}\n")
    async with SignedTransfer(config) as transfer:
        with part.open("rb") as file:
            await transfer.put(url, file, 0, 3)
    return None


CALLS: dict[str, Call] = {"api": api, "download": download, "upload": upload}
CLIENTS = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


async def serves(asked: Exchange) -> None:
    if "expect" in asked.headers:
        await asked.give(CONTINUE)
    await asked.take()
    headers = {"Connection": "close", "ETag": '"a51f"'}
    await asked.give(reply(200, b'{"meta": {"status": true}, "data": []}', headers))


def config_for(host: str, **extra: Any) -> ApiConfig:
    return build_config(
        "test", login="k" * 16, password="s" * 40, host=host, extra={"trust_env": False, "allow_http": True, **extra}
    )


@CLIENTS
@pytest.mark.parametrize("name", [HOST, "BUCKET.example", "bucket.example.", "bu_cket.example", "x-1.bucket.example"])
async def test_a_client_connects_to_the_address_that_was_checked_and_speaks_of_the_name(
    dns: Dns, call: Call, name: str, tmp_path: Path
) -> None:
    dns.known[name.lower().rstrip(".")] = ["127.0.0.2"]
    async with hand_made(serves, host="127.0.0.2") as served:
        url = f"http://{name}:{served.url.rpartition(':')[2]}"
        await call(config_for(url), f"{url}/file?Signature=1", tmp_path)
        # aiohttp leaves the final dot out of the header.
        told = [asked.headers["host"].lower().replace(".:", ":") for asked in served.asked]
        assert told == [url.removeprefix("http://").lower().replace(".:", ":")]
    assert set(dns.asked) == {name.lower().rstrip(".")}


@CLIENTS
async def test_a_name_that_leads_elsewhere_at_the_second_look_gets_nothing(
    dns: Dns, evil: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns_lookup, "GOOD_FOR_SECONDS", -1.0)  # each request looks the name up
    async with hand_made(serves, host="127.0.0.2") as good:
        port = good.url.rpartition(":")[2]
        listening = socket.create_server((evil, int(port)))
        listening.setblocking(False)
        try:
            url = f"http://{HOST}:{port}"
            for answers, passes in (([["127.0.0.2"], [evil]], True), ([[evil], ["127.0.0.2"]], False)):
                dns.next[HOST] = iter(answers)
                if passes:
                    await call(config_for(url), f"{url}/file?Signature=1", tmp_path)
                else:
                    with pytest.raises(PermanentApiError, match="leads to a link-local or metadata address"):
                        await call(config_for(url), f"{url}/file?Signature=1", tmp_path)
            assert len(good.asked) == 1
            with pytest.raises(BlockingIOError):
                listening.accept()  # nobody has connected
        finally:
            listening.close()


@CLIENTS
async def test_the_certificate_has_to_be_for_the_name(
    dns: Dns, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = make_certificate(tmp_path, name=HOST)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    names: list[str | None] = []
    context.sni_callback = lambda connection, name, context: names.append(name)
    dns.known |= {HOST: ["127.0.0.2"], "other.example": ["127.0.0.2"]}
    async with hand_made(serves, host="127.0.0.2", tls=context) as served:
        port = served.url.rpartition(":")[2]
        for name, passes in ((HOST, True), ("other.example", False)):
            url = f"https://{name}:{port}"
            config = config_for(url, verify=str(tls.certificate))
            if passes:
                await call(config, f"{url}/file?Signature=1", tmp_path)
            else:
                with pytest.raises(LearnosityError, match="certificate could not be verified"):
                    await call(config, f"{url}/file?Signature=1", tmp_path)
    assert names == [HOST, "other.example"]


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1", "fd00:ec2::254", "::ffff:169.254.169.254", "100.100.100.200", "0.0.0.0"],
)
async def test_a_name_that_leads_to_a_metadata_service_is_refused(dns: Dns, address: str) -> None:
    dns.known[HOST] = ["203.0.113.7", address]
    what = "an address that means no host" if address == "0.0.0.0" else "a link-local or metadata address"
    for policy in (REAL, UrlPolicy(HOST, plain_http=False), UrlPolicy("127.0.0.1", True, (HOST,))):
        with pytest.raises(PermanentApiError, match=f"leads to {what}"):
            await CheckedLookup(policy).addresses(HOST)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "127.8.8.8"])
async def test_a_name_that_leads_back_here_is_refused_unless_the_connection_does(dns: Dns, address: str) -> None:
    dns.known[HOST] = [address]
    for policy in (REAL, UrlPolicy("data.learnosity.com", False, (HOST,))):
        with pytest.raises(PermanentApiError, match="leads to this machine"):
            await CheckedLookup(policy).addresses(HOST)
    for policy in (UrlPolicy("127.0.0.1", False), UrlPolicy("localhost", False), UrlPolicy(HOST, False)):
        assert await CheckedLookup(policy).addresses(HOST) == [address]


@pytest.mark.parametrize("address", ["10.1.2.3", "172.20.0.1", "192.168.1.1", "fd12::1", "64:ff9b:1::8.8.8.8"])
async def test_a_name_that_leads_to_a_private_network_needs_the_connection_to_name_it(dns: Dns, address: str) -> None:
    dns.known |= {HOST: [address], "notbucket.example": [address], "a.bucket.example": [address]}
    with pytest.raises(PermanentApiError, match="leads to a private network.*`private_hosts`"):
        await CheckedLookup(REAL).addresses(HOST)
    own = config_for("https://data.learnosity.com", private_hosts=[HOST.upper(), "*.bucket.example"]).url_policy
    for name in (HOST, "a.bucket.example"):
        assert await CheckedLookup(own).addresses(name) == [address]
    with pytest.raises(PermanentApiError):
        await CheckedLookup(own).addresses("notbucket.example")
    assert await CheckedLookup(UrlPolicy(HOST, False)).addresses(HOST) == [address]


async def test_other_names_pass_and_are_asked_for_once(dns: Dns) -> None:
    dns.known[HOST] = ["203.0.113.7"]
    names = CheckedLookup(REAL)
    assert await asyncio.gather(*(names.address(HOST) for _ in range(100))) == ["203.0.113.7"] * 100
    assert dns.asked == [HOST]


async def test_addresses_take_turns_and_one_that_fails_is_left_out(dns: Dns) -> None:
    dns.known[HOST] = [f"203.0.113.{number}" for number in range(9)]
    names = CheckedLookup(REAL)
    used = {await names.address(HOST) for _ in range(20)}
    assert used == {"203.0.113.0", "203.0.113.1", "203.0.113.2", "203.0.113.3"}
    for address in sorted(used)[1:]:
        names.failed(HOST, address)
    assert {await names.address(HOST) for _ in range(5)} == {"203.0.113.0"}
    assert dns.asked == [HOST]
    names.failed(HOST, "203.0.113.0")
    await names.address(HOST)
    assert dns.asked == [HOST, HOST]


async def test_a_download_goes_on_at_another_address_when_one_is_down(dns: Dns, tmp_path: Path) -> None:
    async with hand_made(serves, host="127.0.0.2") as served:
        dns.known[HOST] = ["127.0.0.2", "127.0.0.9"]
        url = f"http://{HOST}:{served.url.rpartition(':')[2]}"
        async with SignedTransfer(config_for(url)) as transfer:
            failed = 0
            for _ in range(6):
                try:
                    async with transfer.get(f"{url}/file") as got:
                        await got.read(1000)
                except TransferError:
                    failed += 1
        assert failed == 1
        assert len(served.asked) == 5


@CLIENTS
async def test_a_name_that_is_not_known_may_be_known_later(dns: Dns, call: Call, tmp_path: Path) -> None:
    with pytest.raises((TransferError, TransientApiError)) as caught:
        await call(config_for(f"https://{HOST}"), URL, tmp_path)
    assert caught.value.transient
    assert "Signature" not in str(caught.value)
    dns.known[HOST] = ["169.254.169.254"]
    with pytest.raises(PermanentApiError, match="leads to a link-local or metadata address"):
        await call(config_for(f"https://{HOST}"), URL, tmp_path)


@CLIENTS
async def test_a_name_server_that_does_not_answer_is_given_up(
    monkeypatch: pytest.MonkeyPatch, call: Call, tmp_path: Path
) -> None:
    async def getaddrinfo(self: asyncio.AbstractEventLoop, *args: Any, **kwargs: Any) -> list[Any]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(uvloop.Loop, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(dns_lookup, "CONNECT_SECONDS", 0.01)
    with pytest.raises((TransferError, TransientApiError)) as caught:
        await call(config_for(f"https://{HOST}"), URL, tmp_path)
    assert caught.value.transient
    assert "Signature" not in str(caught.value)


@pytest.mark.parametrize(("no_proxy", "asked"), [("", []), ("other.example", []), (HOST, [HOST])])
async def test_only_names_that_a_proxy_resolves_are_not_looked_up(
    dns: Dns, monkeypatch: pytest.MonkeyPatch, closed_port: int, no_proxy: str, asked: list[str]
) -> None:
    dns.known[HOST] = ["169.254.169.254"]
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("no_proxy", no_proxy)
    async with SignedTransfer(build_config("test", login="k" * 16, password="s" * 40)) as transfer:
        with pytest.raises(PermanentApiError if asked else TransferError):
            async with transfer.get(URL):
                pytest.fail("it was opened")
    assert dns.asked == asked


async def test_clients_for_old_addresses_are_let_go_and_their_downloads_go_on(dns: Dns) -> None:
    more = asyncio.Event()

    async def slowly(asked: Exchange) -> None:
        await asked.take()
        if asked.target == "/slow":
            await asked.give(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (2 * HALF) + bytes(HALF))
            await more.wait()
            await asked.give(bytes(HALF))
        else:
            await serves(asked)

    async with hand_made(slowly, host="127.0.0.2") as served:
        port = served.url.rpartition(":")[2]
        hosts = [f"host{number}.bucket.example" for number in range(20)]
        dns.known |= {host: ["127.0.0.2"] for host in [HOST, *hosts]}
        config = config_for("http://127.0.0.1")
        transfer = SignedTransfer(config)
        async with transfer:
            # Plain http is allowed only to the host of the API. So each host that is called counts as that host: what
            # is tested here is not the policy.
            transfer._policy = UrlPolicy(HOST, plain_http=True)
            async with transfer.get(f"http://{HOST}:{port}/slow") as slow:
                for host in hosts:
                    transfer._policy = UrlPolicy(host, plain_http=True)
                    async with transfer.get(f"http://{host}:{port}/file") as got:
                        await got.read(1000)
                assert len(transfer._down) <= 16
                more.set()
                assert bytes(await slow.read(2 * HALF)) == bytes(2 * HALF)
