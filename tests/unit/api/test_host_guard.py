"""A harmless name that leads to a place that is never called is refused before anything is sent there."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
import uvloop

from learnosity.api import url_policy
from learnosity.api.config import build_config
from learnosity.api.signed_urls import SignedTransfer
from learnosity.api.url_policy import HostGuard
from learnosity.errors import PermanentApiError, TransferError

URL = "https://bucket.example/data.json?Signature=abc"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A DNS of its own, and how often it was asked."""
    known: dict[str, Any] = {"asked": []}

    async def getaddrinfo(self: asyncio.AbstractEventLoop, host: str, port: Any, **kwargs: Any) -> list[Any]:
        known["asked"].append(host)
        if host not in known:
            raise socket.gaierror("no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in known[host]]

    monkeypatch.setattr(uvloop.Loop, "getaddrinfo", getaddrinfo)
    return known


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "fd00:ec2::254", "::ffff:169.254.169.254", "100.100.100.200", "0.0.0.0"]
)
async def test_a_name_that_leads_to_a_metadata_service_is_refused(names: dict[str, Any], address: str) -> None:
    names["bucket.example"] = ["203.0.113.7", address]
    with pytest.raises(PermanentApiError, match="leads to a link-local or metadata address") as caught:
        await HostGuard("data.learnosity.com").check(URL)
    assert "Signature" not in str(caught.value)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "127.8.8.8"])
async def test_a_name_that_leads_back_here_is_refused_unless_the_connection_does(
    names: dict[str, Any], address: str
) -> None:
    names["bucket.example"] = [address]
    with pytest.raises(PermanentApiError, match="leads to this machine"):
        await HostGuard("data.learnosity.com").check(URL)
    await HostGuard("127.0.0.1").check(URL)


async def test_other_names_pass_and_are_asked_for_once(names: dict[str, Any]) -> None:
    names["bucket.example"] = ["203.0.113.7"]
    guard = HostGuard("data.learnosity.com")
    await asyncio.gather(*(guard.check(URL) for _ in range(100)))
    assert names["asked"] == ["bucket.example"]


async def test_a_name_that_is_not_known_is_left_to_whoever_connects(names: dict[str, Any]) -> None:
    await HostGuard("data.learnosity.com").check("https://nowhere.example/x")


async def test_a_name_that_becomes_known_later_is_checked_then(names: dict[str, Any]) -> None:
    guard = HostGuard("data.learnosity.com")
    await guard.check(URL)
    names["bucket.example"] = ["169.254.169.254"]
    with pytest.raises(PermanentApiError, match="leads to a link-local or metadata address"):
        await guard.check(URL)


async def test_a_name_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(self: asyncio.AbstractEventLoop, *args: Any, **kwargs: Any) -> list[Any]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(uvloop.Loop, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(url_policy, "CONNECT_SECONDS", 0.01)
    with pytest.raises(TransferError, match="not resolved within") as caught:
        await HostGuard("data.learnosity.com").check(URL)
    assert "Signature" not in str(caught.value)


@pytest.mark.parametrize(
    ("no_proxy", "asked"), [("", []), ("other.example", []), ("bucket.example", ["bucket.example"])]
)
async def test_only_names_that_a_proxy_resolves_are_not_looked_up(
    names: dict[str, Any], monkeypatch: pytest.MonkeyPatch, closed_port: int, no_proxy: str, asked: list[str]
) -> None:
    names["bucket.example"] = ["169.254.169.254"]
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("no_proxy", no_proxy)
    async with SignedTransfer(build_config("test", login="k" * 16, password="s" * 40)) as transfer:
        with pytest.raises(PermanentApiError if asked else TransferError):
            async with transfer.get(URL):
                pytest.fail("it was opened")
    assert names["asked"] == asked


async def test_a_transfer_sends_nothing_to_such_a_name(names: dict[str, Any], tmp_path: Any) -> None:
    names["bucket.example"] = ["169.254.169.254"]
    config = build_config("test", login="k" * 16, password="s" * 40)
    part = tmp_path / "part"
    part.write_bytes(b"{}\n")
    async with SignedTransfer(config) as transfer:
        with pytest.raises(PermanentApiError, match="metadata"):
            async with transfer.get(URL):
                pytest.fail("it was opened")
        with part.open("rb") as file, pytest.raises(PermanentApiError, match="metadata"):
            await transfer.put(URL, file, 0, 3)
