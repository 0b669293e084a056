"""Proxies and certificate authorities: every client of the product does the same with the same setting."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from devstack.certificate import Tls, make_certificate
from learnosity.egress import Egress
from learnosity.errors import BrokenWriteError, ConnectionConfigError, LearnosityError, PermanentError
from tests.component.api.hand_made import Exchange, HandMade, hand_made, reply
from tests.component.clients import CLIENTS, Call, every_client, plain_environment, s3_connection, serves  # noqa: F401

pytestmark = pytest.mark.usefixtures("plain_environment")


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    """The certificate of a server, which no machine trusts by itself."""
    return make_certificate(tmp_path)


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A good certificate of somebody else."""
    (tmp_path / "stranger").mkdir()
    return make_certificate(tmp_path / "stranger").certificate


def context(tls: Tls) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(tls.certificate, tls.key)
    return made


def laid_out(folder: Path, tls: Tls, stranger: Path) -> dict[str, Path]:
    """Files of authorities, by what they are."""
    both, several = folder / "both.pem", folder / "several"
    # Bundles hold names in any language between the certificates.
    text = "# Zertifizierungsstelle für Prüfer\n".encode()
    both.write_bytes(text + stranger.read_bytes() + tls.certificate.read_bytes())
    several.mkdir()
    (several / "README").write_text("no certificate")
    (several / "server.pem").write_bytes(tls.certificate.read_bytes())
    missing = Path("/not/there")
    return {"SERVER": tls.certificate, "STRANGER": stranger, "BOTH": both, "FOLDER": several, "MISSING": missing}


def settings(name: str, path: object) -> tuple[dict[str, Any], dict[str, str]]:
    """A path as the extra of the connection or as a variable of the environment."""
    return ({"verify": str(path)}, {}) if name == "verify" else ({}, {name: str(path)})


@every_client()
@pytest.mark.parametrize(
    ("extra", "variables", "trusted"),
    [
        pytest.param({}, {}, False, id="nothing"),
        pytest.param({"verify": True}, {}, False, id="verify-true"),
        pytest.param({"verify": False}, {}, True, id="verify-false"),
        pytest.param({"verify": "SERVER"}, {}, True, id="verify-file"),
        pytest.param({"verify": "BOTH"}, {}, True, id="verify-file-of-several"),
        pytest.param({"verify": "FOLDER"}, {}, True, id="verify-folder"),
        pytest.param({"verify": "STRANGER"}, {}, False, id="verify-file-of-another"),
        pytest.param(
            {"verify": "STRANGER"}, {"REQUESTS_CA_BUNDLE": "SERVER"}, False, id="the-connection-beats-requests"
        ),
        pytest.param({"verify": "STRANGER"}, {"AWS_CA_BUNDLE": "SERVER"}, False, id="the-connection-beats-aws"),
        pytest.param({"verify": False}, {"REQUESTS_CA_BUNDLE": "MISSING"}, True, id="nothing-is-checked"),
        pytest.param({"verify": True}, {"REQUESTS_CA_BUNDLE": "SERVER"}, True, id="verify-true-and-requests"),
        *(
            pytest.param({}, {name: path}, trusted, id=f"{name}-{path}")
            for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
            for path, trusted in (("SERVER", True), ("BOTH", True), ("STRANGER", False))
        ),
        pytest.param({}, {"AWS_CA_BUNDLE": "STRANGER", "REQUESTS_CA_BUNDLE": "SERVER"}, True, id="two-variables"),
        pytest.param({}, {"SSL_CERT_FILE": "STRANGER", "AWS_CA_BUNDLE": "SERVER"}, True, id="another-store"),
    ],
)
async def test_a_server_is_trusted_by_all_clients_or_by_none(
    call: Call,
    extra: dict[str, Any],
    variables: dict[str, str],
    trusted: bool,
    tls: Tls,
    stranger: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = laid_out(tmp_path, tls, stranger)
    for name, place in variables.items():
        monkeypatch.setenv(name, str(places[place]))
    extra = {name: str(places[value]) if isinstance(value, str) else value for name, value in extra.items()}
    async with hand_made(serves, tls=context(tls)) as server:
        if trusted:
            await call(server.url, extra)
        else:
            with pytest.raises(LearnosityError):
                await call(server.url, extra)
        assert bool(server.asked) is trusted


@every_client()
@pytest.mark.parametrize("name", ["verify", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(None, "cannot read", id="missing"),
        pytest.param(b"", "holds no certificate", id="empty"),
        pytest.param(b"<html>log in</html>", "holds no certificate", id="something-else"),
        pytest.param(
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no certificate", id="damaged"
        ),
        pytest.param(b"key", "holds no certificate", id="key"),
    ],
)
async def test_a_file_of_authorities_that_cannot_be_used_is_named_at_once(
    call: Call, name: str, content: bytes | None, says: str, tls: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_bytes(tls.key.read_bytes() if content == b"key" else content)
    extra, variables = settings(name, path)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    async with hand_made(serves, tls=context(tls)) as server:
        with pytest.raises(ConnectionConfigError, match=rf"{name}.* names '{path}', which .*{says}"):
            await call(server.url, extra)
        assert not server.asked


async def passes_on(asked: Exchange) -> None:
    """A proxy: answers plain requests itself, and connects to the servers of the others."""
    if asked.method != "CONNECT":
        await serves(asked)
        return
    host, _, port = asked.target.rpartition(":")
    try:
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except OSError:
        await asked.give(reply(502))
        asked.end()
        return
    await asked.give(b"HTTP/1.1 200 So\r\n\r\n")

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(65536):
                target.write(piece)
                await target.drain()
        target.close()

    await asyncio.gather(pump(asked.reader, writer), pump(reader, asked.writer))


@asynccontextmanager
async def two(tls: Tls | None = None, host: str = "127.0.0.1") -> AsyncIterator[tuple[HandMade, HandMade]]:
    """A server and a proxy."""
    secured = None if tls is None else context(tls)
    async with hand_made(serves, tls=secured, host=host) as server, hand_made(passes_on) as proxy:
        yield server, proxy


def put_in(text: str, server: HandMade, proxy: HandMade) -> str:
    """A setting with the addresses of the servers of the test."""
    port = server.url.rpartition(":")[2]
    return text.replace("PROXY", proxy.url).replace("BARE", proxy.url.removeprefix("http://")).replace("PORT", port)


PROXIES = [
    # The setting of the connection, the variables, and whether the proxy is used for http://127.0.0.1.
    ({}, {}, False),
    ({}, {"http_proxy": "PROXY"}, True),
    ({}, {"HTTP_PROXY": "PROXY"}, True),
    ({}, {"HTTP_PROXY": "BARE"}, True),
    ({}, {"ALL_PROXY": "PROXY"}, True),
    ({}, {"all_proxy": "PROXY"}, True),
    ({}, {"HTTPS_PROXY": "PROXY"}, False),
    ({}, {"HTTP_PROXY": "PROXY", "http_proxy": ""}, False),
    ({}, {"HTTP_PROXY": "PROXY", "ALL_PROXY": "http://127.0.0.1:9"}, True),
    ({}, {"ALL_PROXY": "PROXY", "NO_PROXY": "127.0.0.1"}, False),
    ({"proxy": "PROXY"}, {}, True),
    ({"proxy": "BARE"}, {}, True),
    ({"proxy": {"http": "PROXY"}}, {}, True),
    ({"proxies": {"http": "PROXY", "https": "http://127.0.0.1:9"}}, {}, True),
    ({"proxy": {"https": "PROXY"}}, {}, False),
    ({"proxy": "PROXY"}, {"HTTP_PROXY": "http://127.0.0.1:9"}, True),
    ({"proxy": "PROXY"}, {"NO_PROXY": "*"}, True),
    ({"proxy": "PROXY"}, {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}, True),
]
NO_PROXY = [
    # The host of the server, the variable, and whether the proxy is used.
    ("127.0.0.1", "", True),
    ("127.0.0.1", "*", False),
    ("127.0.0.1", "127.0.0.1", False),
    ("127.0.0.1", " other.example , 127.0.0.1 ", False),
    ("127.0.0.1", "other.example 127.0.0.1", False),
    ("127.0.0.1", "127.0.0.1:PORT", False),
    ("127.0.0.1", "127.0.0.1:1", True),
    ("127.0.0.1", "127.0.0.0/8", False),
    ("127.0.0.1", "127.0.0.1/8", False),
    ("127.0.0.1", "10.0.0.0/8", True),
    ("127.0.0.1", "0.0.1", True),
    ("127.0.0.1", "::1,localhost", True),
    ("localhost", "localhost", False),
    ("localhost", "LOCALHOST", False),
    ("localhost", ".localhost", False),
    ("localhost", "*.localhost", False),
    ("localhost", "localhost.", False),
    ("localhost", "localhost:PORT", False),
    ("localhost", "localhost:1", True),
    ("localhost", "*", False),
    ("localhost", "host", True),
    ("localhost", "ocalhost", True),
    ("localhost", "127.0.0.1", True),
    ("[::1]", "", True),
    ("[::1]", "*", False),
    ("[::1]", "::1", False),
    ("[::1]", "[::1]", False),
    ("[::1]", "0:0:0:0:0:0:0:1", False),
    ("[::1]", "::/64", False),
    ("[::1]", "[::1]:PORT", False),
    ("[::1]", "[::1]:1", True),
    ("[::1]", "::2", True),
    ("[::1]", "127.0.0.1", True),
]


@every_client()
@pytest.mark.parametrize(("extra", "variables", "proxied"), PROXIES, ids=str)
async def test_a_proxy_is_used_by_all_clients_or_by_none(
    call: Call, extra: dict[str, Any], variables: dict[str, str], proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two() as (server, proxy):
        for name, value in variables.items():
            monkeypatch.setenv(name, put_in(value, server, proxy))
        filled = {
            name: put_in(value, server, proxy)
            if isinstance(value, str)
            else {scheme: put_in(url, server, proxy) for scheme, url in value.items()}
            for name, value in extra.items()
        }
        await call(server.url, filled)
        assert (bool(server.asked), bool(proxy.asked)) == (not proxied, proxied)


@every_client()
@pytest.mark.parametrize(("host", "no_proxy", "proxied"), NO_PROXY)
async def test_an_exception_counts_for_all_clients(
    call: Call, host: str, no_proxy: str, proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(host="::1" if host == "[::1]" else "127.0.0.1") as (server, proxy):
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", put_in(no_proxy, server, proxy))
        port = server.url.rpartition(":")[2]
        await call(f"http://{host}:{port}", {})
        assert (bool(server.asked), bool(proxy.asked)) == (not proxied, proxied)


@every_client()
@pytest.mark.parametrize("setting", ["HTTPS_PROXY", "ALL_PROXY", "proxy"])
async def test_tls_goes_through_the_proxy_with_its_password(
    call: Call, setting: str, tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(tls) as (server, proxy):
        url = proxy.url.replace("http://", "http://us%40er:pa%3Ass@")
        extra: dict[str, Any] = {"verify": str(tls.certificate)}
        if setting == "proxy":
            extra["proxy"] = url
        else:
            monkeypatch.setenv(setting, url)
        await call(server.url, extra)
        assert server.asked
        assert {asked.method for asked in proxy.asked} == {"CONNECT"}
        basic = base64.b64encode(b"us@er:pa:ss").decode()
        assert {asked.headers.get("proxy-authorization") for asked in proxy.asked} == {f"Basic {basic}"}
        assert all("proxy-authorization" not in asked.headers for asked in server.asked)


@every_client()
@pytest.mark.parametrize(
    ("extra", "variables", "named"),
    [
        ({"proxy": "socks5://user:password-of-proxy@proxy:1080"}, {}, "`proxy`"),
        ({}, {"ALL_PROXY": "socks5://user:password-of-proxy@proxy:1080"}, "ALL_PROXY"),
        ({}, {"http_proxy": "http://user:password-of-proxy@proxy:port"}, "HTTP_PROXY"),
    ],
)
async def test_a_proxy_that_cannot_be_used_is_named_without_its_password(
    call: Call, extra: dict[str, Any], variables: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with hand_made(serves) as server:
        with pytest.raises(ConnectionConfigError, match=rf"{named}.* is no URL of an HTTP proxy") as caught:
            await call(server.url, extra)
        assert not server.asked
    assert "password-of-proxy" not in str(caught.value)


@every_client()
@pytest.mark.parametrize("setting", ["extra", "environment"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_away_is_named_and_not_taken_for_the_server(
    call: Call, setting: str, scheme: str, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host, port, final in (("127.0.0.1", closed_port, False), ("no-such-proxy.invalid", 3128, True)):
        url = f"http://user:password-of-proxy@{host}:{port}"
        extra: dict[str, Any] = {"proxy": url} if setting == "extra" else {}
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", "" if extra else url)
        with pytest.raises(LearnosityError) as caught:
            await call(f"{scheme}://127.0.0.2:9", extra)
        text = str(caught.value)
        assert f"the proxy {host}:{port}" in text
        assert "docs/network.md" in text
        assert "password-of-proxy" not in text
        # Two errors are transient in any case. A large write in one request (`BrokenWriteError`) is tried again in
        # parts, and only that try decides. And without any name server, nobody can know that a host does not exist.
        if not isinstance(caught.value, BrokenWriteError) and "could not be looked up" not in text:
            assert caught.value.transient is not final, text


# How a proxy replies to CONNECT, a pattern for the text of the error, and whether the error is transient. The HTTP
# client of downloads does not say that the status was 403. So a download only says "does not connect", and its error is
# transient.
REFUSALS = {
    "wants a login": ("407 Proxy Authentication Required", "wants a login", False),
    "forbids": ("403 Forbidden", "does not let the host pass|does not connect", False),
    "cannot connect": ("502 Bad Gateway", "does not connect", True),
    "does not know the host": ("503 Name or service not known", "does not connect", True),
    "is asked for a login by another": ("502 Proxy authentication required", "does not connect", True),
}


@pytest.mark.parametrize("client", ["api", "download", "upload", "google-token", "assumed-role"])
@pytest.mark.parametrize(("status", "says", "transient"), REFUSALS.values(), ids=REFUSALS)
async def test_a_proxy_that_refuses_is_named_and_only_what_may_pass_is_tried_again(
    client: str, status: str, says: str, transient: bool
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        with pytest.raises(LearnosityError) as caught:
            await CLIENTS[client]("https://127.0.0.2:9", {"proxy": f"http://user:password-of-proxy@127.0.0.1:{port}"})
    text = str(caught.value)
    assert re.search(rf"the proxy 127.0.0.1:{port} ({says})", text), text
    assert "password-of-proxy" not in text
    if (client, status) != ("download", "403 Forbidden"):
        assert caught.value.transient is transient, text


async def test_a_proxy_that_wants_a_login_for_plain_http_is_named() -> None:
    async def refuses(asked: Exchange) -> None:
        await asked.take()
        await asked.give(reply(407, b"<html>login</html>"))

    async with hand_made(refuses) as proxy:
        for client in ("api", "download", "upload"):
            with pytest.raises(PermanentError, match="wants a login"):
                await CLIENTS[client]("http://127.0.0.2:9", {"proxy": proxy.url})


@every_client()
async def test_a_server_that_is_away_is_not_taken_for_a_proxy(
    call: Call, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(LearnosityError) as caught:
        await call(f"http://127.0.0.1:{closed_port}", {})
    assert "the proxy" not in str(caught.value)


async def test_the_proxies_of_botocore_count_for_the_store() -> None:
    async with two() as (server, proxy):
        await s3_connection(server.url, {"config_kwargs": {"proxies": {"http": proxy.url}}})
        assert (bool(server.asked), bool(proxy.asked)) == (False, True)


@every_client()
async def test_a_proxy_may_speak_tls_and_have_an_ipv6_address(call: Call, tls: Tls) -> None:
    """Each for itself: the certificate of the test is for an IPv4 address."""
    async with hand_made(serves) as server, hand_made(passes_on, host="::1") as proxy:
        await call(server.url, {"proxy": proxy.url})
        assert (bool(server.asked), bool(proxy.asked)) == (False, True)
    async with hand_made(serves, tls=context(tls)) as server, hand_made(passes_on, tls=context(tls)) as proxy:
        await call(server.url, {"proxy": proxy.url, "verify": str(tls.certificate)})
        assert (bool(server.asked), bool(proxy.asked)) == (True, True)


async def test_trust_env_off_leaves_the_environment_out(tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls.certificate))
    assert Egress(trust_env=True).proxy_for("https://data.learnosity.com") == "http://127.0.0.1:9"
    assert Egress(trust_env=True).certificates()
    assert Egress(trust_env=False).proxy_for("https://data.learnosity.com") is None
    assert not Egress(trust_env=False).certificates()


@pytest.mark.parametrize("endpoint", [None, "https://minio.example"])
def test_no_proxy_stands_between_a_machine_and_its_metadata_service(
    endpoint: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "a.example,b.example:443,c.example:80")
    options = Egress().store_options(endpoint)
    assert options["proxy_url"] == "http://proxy:3128"
    excluded = options["proxy_excludes"].split(",")
    assert {"169.254.0.0/16", "metadata.google.internal", "a.example", "b.example"} <= set(excluded)
    assert "c.example" not in excluded


ROLE_ARN = "arn:aws:iam::123456789012:role/landing"
PROFILES = f"""
[profile landing]
role_arn = {ROLE_ARN}
source_profile = source
[profile source]
aws_access_key_id = A
aws_secret_access_key = secret
"""


@pytest.mark.parametrize("way", ["role", "token", "profile"])
async def test_each_way_to_a_role_has_the_proxy_and_the_authorities_of_the_connection(
    way: str, tls: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(PROFILES)
    (tmp_path / "token").write_text("token")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    async with two(tls) as (server, proxy):
        service = {"service_config": {"sts": {"endpoint_url": server.url}}}
        ways: dict[str, dict[str, Any]] = {
            "role": {"role_arn": ROLE_ARN, **service},
            "token": {
                "role_arn": ROLE_ARN,
                "assume_role_method": "assume_role_with_web_identity",
                "assume_role_with_web_identity_federation": "file",
                "assume_role_with_web_identity_token_file": str(tmp_path / "token"),
                **service,
            },
            "profile": {"profile_name": "landing"},
        }
        if way == "profile":
            monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        own = {"verify": str(tls.certificate), "proxy": proxy.url, "endpoint_url": "http://s3.example"}
        login = None if way == "profile" else "A"
        await s3_connection("", own | ways[way], login=login, password=login)
        assert {asked.method for asked in server.asked} == {"POST"}
        port = server.url.rpartition(":")[2]
        assert {asked.target for asked in proxy.asked} == {
            f"127.0.0.1:{port}",
            "http://s3.example/bucket/prefix/key",
        }


async def test_boto3_asks_the_metadata_service_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    role = {"AccessKeyId": "ASIA", "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}

    async def behaviour(asked: Exchange) -> None:
        said = json.dumps(role) if asked.target.endswith("/a-role") else "a-role"
        await asked.give(reply(200, b"token" if asked.method == "PUT" else said.encode()))

    async with hand_made(behaviour) as metadata, hand_made(passes_on) as proxy:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)
        monkeypatch.setenv("AWS_CONFIG_FILE", "/not/there")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/not/there")
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        await s3_connection("http://s3.example", {}, login=None, password=None)
        assert metadata.asked
        assert [asked.target for asked in proxy.asked] == ["http://s3.example/bucket/prefix/key"]


@pytest.mark.parametrize("key", ["proxy_ca_bundle", "proxy_client_cert"])
async def test_certificates_for_the_proxy_of_boto3_are_for_this_proxy_alone(
    key: str, tls: Tls, stranger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed: list[ssl.SSLContext] = []
    load = ssl.SSLContext.load_cert_chain

    def load_cert_chain(self: ssl.SSLContext, *args: Any, **kwargs: Any) -> None:
        changed.append(self)
        load(self, *args, **kwargs)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load_cert_chain)
    shared = Egress(verify=str(tls.certificate)).tls()
    assert shared
    before = shared.get_ca_certs()
    both = tmp_path / "client.pem"
    both.write_bytes(tls.certificate.read_bytes() + tls.key.read_bytes())
    async with two(tls) as (server, proxy):
        changed.clear()
        extra = {
            "verify": str(tls.certificate),
            "proxy": proxy.url,
            "role_arn": ROLE_ARN,
            "service_config": {"sts": {"endpoint_url": server.url}},
            "endpoint_url": "http://s3.example",
            "config_kwargs": {"proxies_config": {key: str(stranger if key == "proxy_ca_bundle" else both)}},
        }
        await s3_connection("", extra, login="A", password="A")
        assert server.asked
    assert shared is Egress(verify=str(tls.certificate)).tls()
    assert shared.get_ca_certs() == before
    assert shared not in changed
    assert bool(changed) is (key == "proxy_client_cert")
