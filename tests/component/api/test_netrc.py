"""What `~/.netrc` holds for a host is sent to no server: neither to signed URLs nor to the API nor to a proxy."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path

import aiohttp
import pytest

from learnosity.api.client import LearnosityClient
from learnosity.api.config import ApiConfig, Credentials
from learnosity.api.signed_urls import SignedTransfer
from tests.component.api.hand_made import CONTINUE, Exchange, HandMade, hand_made, reply

PASSWORD = "password-of-netrc"
BASIC = base64.b64encode(f"somebody:{PASSWORD}".encode()).decode()


@pytest.fixture(params=["HOME", "NETRC"])
def netrc(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home with a password for this machine, in the two places where programs look for it."""
    file = tmp_path / ".netrc"
    lines = [f"machine {host} login somebody password {PASSWORD}" for host in ("127.0.0.1", "localhost")]
    file.write_text("\n".join([*lines, f"default login somebody password {PASSWORD}", ""]))
    file.chmod(0o600)
    monkeypatch.setenv(request.param, str(tmp_path if request.param == "HOME" else file))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


async def serves(asked: Exchange) -> None:
    if "expect" in asked.headers:
        await asked.give(CONTINUE)
    await asked.take()
    jobs = b'{"meta": {"status": true, "timestamp": 1795852800}, "data": []}'
    await asked.give(reply(200, jobs, {"Content-Type": "application/json"}))


def check(served: HandMade) -> None:
    """Nobody was told the password."""
    assert served.asked
    for asked in served.asked:
        assert "authorization" not in asked.headers
        assert BASIC not in str(asked.headers)
        assert PASSWORD.encode() not in asked.taken


@pytest.mark.usefixtures("netrc")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("trust_env", [True, False])
@pytest.mark.promise("no secret")
async def test_no_call_carries_the_password_of_netrc(host: str, trust_env: bool) -> None:
    async with hand_made(serves) as served:
        url = served.url.replace("127.0.0.1", host)
        config = ApiConfig(Credentials("key", "secret"), base_url=url, trust_env=trust_env)
        async with SignedTransfer(config) as transfer:
            async with transfer.get(f"{url}/file.json?Signature=1") as download:
                await download.read(1000)
            with tempfile.TemporaryFile() as spool:
                spool.write(b"content")
                spool.flush()
                await transfer.put(f"{url}/file.json?Signature=1", spool, 0, 7)
        async with LearnosityClient(config) as client:
            assert await client.jobs() == []
        check(served)
    assert [asked.method for asked in served.asked] == ["GET", "PUT", "POST"]


@pytest.mark.usefixtures("netrc")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.promise("no secret")
async def test_a_proxy_is_not_told_the_password_of_netrc(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hand_made(serves) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("127.0.0.1", host))
        monkeypatch.setenv("no_proxy", "")
        url = "http://api.example"
        config = ApiConfig(Credentials("key", "secret"), base_url=url, trust_env=True)
        async with SignedTransfer(config) as transfer:
            async with transfer.get(f"{url}/file.json?Signature=1") as download:
                await download.read(1000)
            with tempfile.TemporaryFile() as spool:
                await transfer.put(f"{url}/file.json?Signature=1", spool, 0, 0)
        async with LearnosityClient(config) as client:
            assert await client.jobs() == []
        check(proxy)
    assert [asked.method for asked in proxy.asked] == ["GET", "PUT", "POST"]
    assert all(asked.target.startswith(url) for asked in proxy.asked)
    assert all("proxy-authorization" not in asked.headers for asked in proxy.asked)


@pytest.mark.usefixtures("netrc")
async def test_the_password_of_netrc_would_be_found_by_a_client_that_looks_for_it() -> None:
    """The two tests above prove something only if the file is readable where they put it."""
    async with hand_made(serves) as served, aiohttp.ClientSession(trust_env=True) as session:
        async with session.get(served.url) as response:
            await response.read()
        assert served.asked[0].headers["authorization"] == f"Basic {BASIC}"
