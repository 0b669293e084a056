"""What an error of an HTTP client means: its causes say it, and no word of the URL that it quotes."""

from __future__ import annotations

import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from pyreqwest.exceptions import ConnectError, PyreqwestError, ReadError

from learnosity.api.config import ApiConfig, Credentials
from learnosity.api.downloads import connection_failed
from learnosity.api.signed_urls import SignedTransfer
from learnosity.egress import proxy_failure
from learnosity.errors import PermanentApiError, TransferError

PROXY = "http://proxy.example:3128"
# Each is said by some error of a library, and may be the name of a file or group, too.
WORDS = [
    "certificate",
    "UnknownIssuer",
    "tunnel",
    "dns",
    "refused",
    "407",
    "tunnel connection failed: 407",
    "name or service not known",
    "temporary failure in name resolution",
    "connection refused",
    "tcp connect error",
    "connecttimeout",
    "ProxyAuthRequired",
    "proxy authentication required",
]
URLS = [f"https://h.example/{word}.json?Signature=1".replace(" ", "%20") for word in WORDS]
URLS += [f"http://{word}.example/f.json" for word in ("certificate", "tunnel", "connecttimeout", "ProxyAuthRequired")]
# As `aiohttp` quotes a URL: unchanged, although it has a blank.
URLS += [f"https://h.example/a {word}.json" for word in WORDS]


def of_pyreqwest(url: str, *causes: str) -> ConnectError:
    told = [f"error sending request for url ({url})", "client error (Connect)", *causes]
    return ConnectError("connection error", {"causes": [{"message": each} for each in told]})


@pytest.mark.parametrize("proxy", [None, PROXY])
@pytest.mark.parametrize("url", URLS)
def test_no_word_of_a_url_is_taken_for_the_cause(url: str, proxy: str | None) -> None:
    for error in (
        of_pyreqwest(url, "connection closed before message completed"),
        ReadError("error decoding response body", {"causes": [{"message": f"request or response body error ({url})"}]}),
        ReadError("error decoding response body", {"causes": None}),
        PyreqwestError(f"error for url ({url})"),
        aiohttp.ConnectionTimeoutError(f"Connection timeout to host {url}"),
        aiohttp.ClientError(f"no reply from {url}"),
    ):
        made = connection_failed("GET", error, proxy)
        assert isinstance(made, TransferError)
        assert str(made) == f"GET: the connection failed ({type(error).__name__})."


@pytest.mark.parametrize("host", ["certificate.example", "tunnel.example", "UnknownIssuer"])
@pytest.mark.parametrize("proxy", [None, PROXY])
def test_no_word_of_a_host_is_taken_for_the_cause(host: str, proxy: str | None) -> None:
    key = ConnectionKey(host, 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)
    made = connection_failed("PUT", aiohttp.ClientConnectorError(key, OSError(113, "No route to host")), proxy)
    assert isinstance(made, TransferError)
    assert str(made) == "PUT: the connection failed (ClientConnectorError)."


@pytest.mark.parametrize("url", URLS)
def test_the_causes_themselves_are_read(url: str) -> None:
    for error in (
        of_pyreqwest(url, "invalid peer certificate: UnknownIssuer"),
        of_pyreqwest(url, 'invalid peer certificate: certificate not valid for name "h.example"'),
        ssl.SSLCertVerificationError(1, "certificate verify failed"),
    ):
        made = connection_failed("GET", error, PROXY)
        assert isinstance(made, PermanentApiError)
        assert "certificate could not be verified" in str(made)
    for error, said, kind in (
        (of_pyreqwest(url, "unsuccessful tunnel"), "does not connect to the server", TransferError),
        (of_pyreqwest(url, "ProxyAuthRequired"), "wants a login", PermanentApiError),
        (of_pyreqwest(url, "dns error", "Name or service not known"), "no such host as that", PermanentApiError),
        (of_pyreqwest(url, "tcp connect error", "Connection refused (os error 111)"), "be reached", TransferError),
    ):
        made = connection_failed("GET", error, PROXY)
        assert type(made) is kind
        assert said in str(made)


@pytest.mark.parametrize("url", [url for url in URLS if " " not in url])
def test_no_word_of_a_url_is_taken_for_a_failure_of_the_proxy(url: str) -> None:
    for text in (f"Error performing PUT {url} in 1ms - HTTP error", f'Request {{ url: "{url}", source: Closed }}'):
        assert proxy_failure(PROXY, text) is None
        failure = proxy_failure(PROXY, f"{text}: tunnel connection failed: 403 Forbidden")
        assert failure is not None
        assert "does not let the host pass" in failure[0]


@pytest.mark.parametrize("word", WORDS)
async def test_a_closed_port_is_tried_again_whatever_the_file_is_called(word: str, closed_port: int) -> None:
    config = ApiConfig(Credentials("key", "secret"), base_url=f"http://127.0.0.1:{closed_port}", trust_env=False)
    async with SignedTransfer(config) as transfer:
        with pytest.raises(TransferError, match=r"the connection failed \(Connect(Timeout)?Error\)"):
            async with transfer.get(f"{config.base_url}/{word}.json?Signature={word}"):
                pass
