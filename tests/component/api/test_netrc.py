"""What `~/.netrc` holds for a host is sent to no server: neither to signed URLs nor to the API nor to a proxy."""

from __future__ import annotations

import base64
from pathlib import Path

import aiohttp
import pytest

from tests.component.api.hand_made import HandMade, hand_made
from tests.component.clients import Call, every_client, plain_environment, serves  # noqa: F401

PASSWORD = "password-of-netrc"
BASIC = base64.b64encode(f"somebody:{PASSWORD}".encode()).decode()


@pytest.fixture(params=["HOME", "NETRC"])
def netrc(request: pytest.FixtureRequest, tmp_path: Path, plain_environment: pytest.MonkeyPatch) -> None:  # noqa: F811
    """A home with a password for this machine, in the two places where programs look for it."""
    file = tmp_path / ".netrc"
    lines = [f"machine {host} login somebody password {PASSWORD}" for host in ("127.0.0.1", "localhost")]
    file.write_text("\n".join([*lines, f"default login somebody password {PASSWORD}", ""]))
    file.chmod(0o600)
    plain_environment.setenv(request.param, str(tmp_path if request.param == "HOME" else file))


def check(served: HandMade) -> None:
    """Nobody was told the password."""
    assert served.asked
    for asked in served.asked:
        # Requests to stores may have this header: it has their signature. But it must not hold a login (`Basic`).
        assert not asked.headers.get("authorization", "").startswith("Basic")
        assert BASIC not in str(asked.headers)
        assert PASSWORD.encode() not in asked.taken


@pytest.mark.usefixtures("netrc")
@every_client()
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.promise("no secret")
async def test_no_call_carries_the_password_of_netrc(call: Call, host: str) -> None:
    async with hand_made(serves) as served:
        await call(served.url.replace("127.0.0.1", host), {})
        check(served)


@pytest.mark.usefixtures("netrc")
@every_client()
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("own", ["", "own:password"])
@pytest.mark.promise("no secret")
async def test_a_proxy_is_told_its_own_password_and_not_that_of_netrc(
    call: Call, host: str, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hand_made(serves) as proxy:
        url = proxy.url.replace("127.0.0.1", host)
        monkeypatch.setenv("http_proxy", url.replace("//", f"//{own}@") if own else url)
        await call("http://api.localhost", {})
        check(proxy)
    told = f"Basic {base64.b64encode(own.encode()).decode()}" if own else None
    assert {asked.headers.get("proxy-authorization") for asked in proxy.asked} == {told}
    assert all(asked.target.startswith("http://api.localhost") for asked in proxy.asked)


@pytest.mark.usefixtures("netrc")
async def test_the_password_of_netrc_would_be_found_by_a_client_that_looks_for_it() -> None:
    """The two tests above prove something only if the file is readable where they put it."""
    async with hand_made(serves) as served, aiohttp.ClientSession(trust_env=True) as session:
        async with session.get(served.url) as response:
            await response.read()
        assert served.asked[0].headers["authorization"] == f"Basic {BASIC}"
