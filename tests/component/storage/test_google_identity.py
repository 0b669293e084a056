"""Connections to Google Cloud: landing has the address, the headers and the identity of Airflow's own GCSHook."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import parse_qs, urlsplit

import pytest

from devstack.certificate import make_certificate
from learnosity.connections import open_store
from learnosity.errors import ConnectionConfigError, LearnosityError, StorageError, TransientStorageError
from learnosity.storage.store import Store
from tests.component.api.hand_made import Exchange, HandMade, hand_made, reply

CONN = "cloud"
URI = f"gs://{CONN}@bucket/p"
IMPERSONATED = "other@b-project.iam.gserviceaccount.com"
Define = Callable[..., None]


class Google:
    """Token services, metadata server and store of Google, as far as a client asks them.

    :param token: the reply of the token services: status and body; None = no reply at all.
    :param expires: seconds for which tokens are good.
    """

    def __init__(self) -> None:
        self.token: tuple[int, dict[str, Any] | bytes] | None = (200, {})
        self.expires = 3600
        self.wait = 0.0

    async def __call__(self, exchange: Exchange) -> None:
        await exchange.take()
        path = urlsplit(exchange.target).path
        if path.startswith("/token"):
            await self._token(exchange, {"access_token": "token-of-the-service", "expires_in": self.expires})
        elif path.endswith(":generateAccessToken"):
            expiry = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.expires))
            await self._token(exchange, {"accessToken": "token-of-the-other", "expireTime": expiry})
        elif path.startswith("/computeMetadata") or path in ("", "/"):
            await self._metadata(exchange, path)
        elif exchange.method in ("POST", "PUT"):
            body = json.dumps({"name": "p/x", "bucket": "bucket", "etag": "1", "size": "7"}).encode()
            await exchange.give(reply(200, body, {"Content-Type": "application/json", "ETag": '"1"'}))
        else:
            await exchange.give(reply(404))

    async def _token(self, exchange: Exchange, good: dict[str, Any]) -> None:
        await asyncio.sleep(self.wait)
        if self.token is None:
            exchange.reset()
            return
        status, body = self.token
        told = body if isinstance(body, bytes) else json.dumps(body or good | {"token_type": "Bearer"}).encode()
        await exchange.give(reply(status, told, {"Content-Type": "application/json"}))

    async def _metadata(self, exchange: Exchange, path: str) -> None:
        about = {"aliases": ["default"], "email": "machine@a-project.iam", "scopes": []}
        if path.endswith("/token"):
            await self._token(exchange, {"access_token": "token-of-the-machine", "expires_in": self.expires})
        elif path.endswith("/universe-domain"):
            await exchange.give(reply(404, headers={"Metadata-Flavor": "Google"}))
        elif path.endswith("/project-id"):
            await exchange.give(reply(200, b"a-project", {"Metadata-Flavor": "Google", "Content-Type": "text/plain"}))
        else:
            head = {"Metadata-Flavor": "Google", "Content-Type": "application/json"}
            await exchange.give(reply(200, json.dumps(about).encode(), head))


@pytest.fixture
def google() -> Google:
    return Google()


@pytest.fixture
async def served(google: Google, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[HandMade]:
    async with hand_made(google) as server:
        # As with Google's client, this is the address of the store where the connection has none.
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        monkeypatch.setattr("google.auth.iam._IAM_ENDPOINT", server.url + "/iam/{}:generateAccessToken")
        monkeypatch.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", server.url + "/token-of-user")
        # Google's client would ask about the bucket in a thread of its own, at any time after its first request.
        monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        # The tests must use neither the credentials of the developer nor a metadata server, if this machine has them.
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "nothing"))
        monkeypatch.setattr("google.auth.compute_engine._metadata._NO_GCE_CHECK", True)
        yield server


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Names the metadata server. google-auth reads the variable when it is imported."""

    def at(address: str) -> None:
        for name in ("GCE_METADATA_HOST", "GCE_METADATA_IP"):
            monkeypatch.setenv(name, address)
        monkeypatch.setattr("google.auth.compute_engine._metadata._GCE_METADATA_HOST", address)
        monkeypatch.setattr("google.auth.compute_engine._metadata._NO_GCE_CHECK", False)
        # google-auth waits between its own tries.
        monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda seconds: None)

    return at


@pytest.fixture
def key(served: HandMade, google_key: dict[str, str]) -> dict[str, str]:
    return google_key | {"token_uri": f"{served.url}/token"}


@pytest.fixture
def define(monkeypatch: pytest.MonkeyPatch) -> Define:
    def connection(**extra: Any) -> None:
        told = {"conn_type": "google_cloud_platform", "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONN.upper()}", json.dumps(told))

    return connection


def fields(key: dict[str, str], url: str, folder: Path) -> dict[str, dict[str, Any]]:
    """One connection for each field of Airflow's form."""
    file = folder / "key.json"
    file.write_text(json.dumps(key))
    user = {"type": "authorized_user", "client_id": "user", "client_secret": "s", "refresh_token": "r"}
    (folder / "user.json").write_text(json.dumps(user))
    (folder / "subject").write_text("token-of-elsewhere")
    federated = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/locations/global/workforcePools/pool/providers/us",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{url}/token-of-federation",
        "credential_source": {"file": str(folder / "subject")},
    }
    return {
        "keyfile_dict": {"keyfile_dict": key},
        "keyfile_dict as text": {"keyfile_dict": json.dumps(key)},
        "old name of a field": {"extra__google_cloud_platform__keyfile_dict": json.dumps(key)},
        "escaped line ends": {"keyfile_dict": key | {"private_key": key["private_key"].replace("\n", "\\n")}},
        "key_path": {"key_path": str(file)},
        "scope": {"key_path": str(file), "scope": "https://www.googleapis.com/auth/devstorage.read_write, other"},
        "project": {"key_path": str(file), "project": "another-project"},
        "quota_project_id": {"key_path": str(file), "quota_project_id": "paying-project"},
        "impersonation_chain": {"key_path": str(file), "impersonation_chain": f"first@c.iam, {IMPERSONATED}"},
        "credential_config_file": {"credential_config_file": str(folder / "user.json")},
        "credential_config_file as text": {"credential_config_file": json.dumps(federated)},
        "credential_config_file as dict": {"credential_config_file": federated},
        "is_anonymous": {"is_anonymous": True},
        "num_retries": {"key_path": str(file), "num_retries": 7},
    }


async def test_every_field_gives_the_requests_of_the_hook(
    served: HandMade, define: Define, key: dict[str, str], tmp_path: Path
) -> None:
    """Address, identity and payer: the token requests, and the headers that the store sees."""
    from airflow.providers.google.cloud.hooks.gcs import GCSHook

    for name, extra in fields(key, served.url, tmp_path).items():
        define(**extra)
        served.asked.clear()
        blob = GCSHook(CONN).get_conn().bucket("bucket").blob("p/x")
        await asyncio.to_thread(blob.upload_from_string, b"x")
        expected = told(served)
        served.asked.clear()
        await (await opened()).put("x", b"x")
        assert told(served) == expected, name
        assert expected["authorization"] or name == "is_anonymous", name


async def test_fields_beside_the_extra_are_logged_by_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    beside = {"host": "h", "login": "l", "password": "p", "schema": "s", "port": 7}
    told = {"conn_type": "google_cloud_platform", **beside, "extra": {"is_anonymous": True, "frobnicate": 1}}
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN.upper()}", json.dumps(told))
    await opened()
    assert "does not use: frobnicate, host, login, password, schema, port" in caplog.text


async def test_application_default_credentials_are_those_of_the_hook(
    served: HandMade, define: Define, key: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "default.json").write_text(json.dumps(key))
    define()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "default.json"))
    for uri in (URI, "gs://bucket/p"):
        served.asked.clear()
        await (await opened(uri)).put("x", b"x")
        assert told(served)["authorization"] == "Bearer token-of-the-service"
        assert told(served)["tokens"][0][1]["iss"] == key["client_email"]


async def test_the_metadata_server_is_asked_where_there_is_no_other_identity(
    served: HandMade, define: Define, metadata: Callable[[str], None]
) -> None:
    metadata(urlsplit(served.url).netloc)
    define()
    await (await opened()).put("x", b"x")
    assert told(served)["authorization"] == "Bearer token-of-the-machine"


async def test_a_key_in_the_secret_manager_is_asked_from_there(
    served: HandMade, define: Define, key: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Google's client reaches it over gRPC and TLS only, at one address: its one call is replaced here."""
    from airflow.providers.google.cloud._internal_client.secret_manager_client import _SecretManagerClient

    asked: list[tuple[str, str]] = []

    def secret(self: Any, secret_id: str, project_id: str, secret_version: str = "latest") -> str | None:
        asked.append((secret_id, project_id))
        return json.dumps(key) if secret_id == "key" else None

    (tmp_path / "default.json").write_text(json.dumps(key))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "default.json"))
    monkeypatch.setattr(_SecretManagerClient, "get_secret", secret)
    define(key_secret_name="key", key_secret_project_id="secrets")
    await (await opened()).put("x", b"x")
    assert asked == [("key", "secrets")]
    assert told(served)["authorization"] == "Bearer token-of-the-service"
    define(key_secret_name="missing")
    with pytest.raises(ConnectionConfigError, match="Failed getting value of secret missing"):
        await opened()


@pytest.mark.parametrize(
    ("extra", "payer"),
    [
        ({"gcs.requester-pays": True, "project": "payer"}, "payer"),
        ({"gcs.requester-pays": "another"}, "another"),
        ({"gcs.requester-pays": False}, None),
    ],
)
async def test_requester_pays_as_in_the_object_storage_path(
    served: HandMade, define: Define, key: dict[str, str], extra: dict[str, Any], payer: str | None
) -> None:
    define(keyfile_dict=key, **extra)
    await (await opened()).put("x", b"x")
    assert told(served)["payer"] == payer


def broken_keys(key: dict[str, str]) -> dict[str, Any]:
    private = key["private_key"]
    return {
        "cut JSON": json.dumps(key)[:-40],
        "no JSON": private,
        "cut key": key | {"private_key": private[: len(private) // 2]},
        "another alphabet": key | {"private_key": private.replace("\n", "#")},
        "base64 only": key | {"private_key": "".join(private.split("\n")[1:-2])},
        "twice escaped": key | {"private_key": private.replace("\n", "\\\\n")},
        "no private key": {name: value for name, value in key.items() if name != "private_key"},
        "no mail": {name: value for name, value in key.items() if name != "client_email"},
        "key as number": key | {"private_key": 7},
        "a list": [private],
        "a number": 7,
    }


async def test_no_message_has_any_part_of_a_key(define: Define, key: dict[str, str]) -> None:
    secret = "".join(key["private_key"].split("\n")[1:-2])
    pieces = {secret[start : start + 6] for start in range(len(secret) - 6)}
    for name, broken in broken_keys(key).items():
        for field in ("keyfile_dict", "credential_config_file"):
            define(**{field: broken})
            with pytest.raises(LearnosityError) as caught:
                await (await opened()).put("x", b"x")
            assert isinstance(caught.value, ConnectionConfigError), f"{name} {field}"
            assert f"The connection '{CONN}' gives no access to Google Cloud" in str(caught.value)
            assert [piece for piece in pieces if piece in str(caught.value)] == [], f"{name} {field}"


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param({"key_path": "/not/there.json"}, id="no file"),
        pytest.param({"key_path": "/etc/passwd"}, id="a file that is no JSON"),
        pytest.param({"key_path": "/key.p12"}, id="an old kind of file"),
        pytest.param({"key_path": "/a.json", "keyfile_dict": "{}"}, id="empty key"),
        pytest.param({"key_path": "/a.json", "is_anonymous": True}, id="two identities"),
        pytest.param({"credential_config_file": "/not/there.json"}, id="no configuration"),
        pytest.param({"quota_project_id": "X"}, id="no project"),
        pytest.param({}, id="no identity anywhere"),
    ],
)
async def test_what_is_not_known_is_refused_and_never_replaced(
    served: HandMade, define: Define, extra: dict[str, Any]
) -> None:
    define(**extra)
    with pytest.raises(ConnectionConfigError, match=f"The connection '{CONN}' gives no access to Google Cloud"):
        await opened()
    assert served.asked == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param((500, {"error": "internal_failure"}), TransientStorageError, id="500"),
        pytest.param((503, {"error": "unavailable"}), TransientStorageError, id="503"),
        pytest.param((429, {"error": "slow_down"}), TransientStorageError, id="429"),
        pytest.param(None, TransientStorageError, id="no reply"),
        pytest.param((200, {"nothing": 1}), TransientStorageError, id="no token in the reply"),
        pytest.param((400, {"error": "invalid_grant", "error_description": "key"}), StorageError, id="400"),
        pytest.param((401, {"error": "invalid_client"}), StorageError, id="401"),
        pytest.param((403, {"error": "access_denied"}), StorageError, id="403"),
    ],
)
@pytest.mark.parametrize("way", ["keyfile_dict", "impersonation_chain", "metadata", "credential_config_file"])
async def test_a_fault_of_the_token_service_passes_and_a_refusal_does_not(
    served: HandMade,
    google: Google,
    define: Define,
    key: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    metadata: Callable[[str], None],
    way: str,
    answer: tuple[int, dict[str, Any]] | None,
    kind: type[LearnosityError],
) -> None:
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda seconds: None)
    if way == "metadata":
        metadata(urlsplit(served.url).netloc)
        define()
    else:
        define(**fields(key, served.url, tmp_path)[way])
    store = await opened()
    google.token = answer
    with pytest.raises(kind, match=rf"gs://bucket/p/x: no Google token for the connection '{CONN}': it ") as caught:
        await store.put("x", b"x")
    assert kind.transient == caught.value.transient


@pytest.mark.parametrize("body", [b"<!doctype html><p>Log in</p>", b"<html><body/></html>", b" ", b"[]", b'{"a": 1}'])
@pytest.mark.parametrize("way", ["keyfile_dict", "impersonation_chain", "metadata", "credential_config_file"])
async def test_a_reply_that_is_no_token_is_not_told_as_no_reply(
    served: HandMade,
    google: Google,
    define: Define,
    key: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    metadata: Callable[[str], None],
    way: str,
    body: bytes,
) -> None:
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda seconds: None)
    if way == "metadata":
        metadata(urlsplit(served.url).netloc)
        define()
    else:
        define(**fields(key, served.url, tmp_path)[way])
    store = await opened()
    google.token = 200, body
    with pytest.raises(
        TransientStorageError, match="it replied with something that is no token .*login page"
    ) as caught:
        await store.put("x", b"x")
    assert "could not be reached" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat "
            "and exp values in the JWT claim.",
            "Correct this machine's clock",
        ),
        ("Invalid JWT Signature.", "Check its fields, and the rights of its account"),
        ("Token has been expired or revoked.", "Check its fields, and the rights of its account"),
    ],
)
@pytest.mark.promise("advice")
async def test_a_wrong_clock_is_not_told_as_a_wrong_key(
    served: HandMade, google: Google, define: Define, key: dict[str, str], said: str, advice: str
) -> None:
    define(keyfile_dict=key)
    store = await opened()
    google.token = (400, {"error": "invalid_grant", "error_description": said})
    with pytest.raises(StorageError, match=rf"no Google token for the connection '{CONN}': .*{advice}"):
        await store.put("x", b"x")


# The name of a pool for programs (workload) has the number of a project. If google-auth finds one, it may ask Google
# for this project, which the tests must notice. The name of a pool for people (workforce) has none.
POOLS = {
    "workload": "//iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/pool/providers/us",
    "workforce": "//iam.googleapis.com/locations/global/workforcePools/pool/providers/us",
}
WAYS = ["dict", "text", "file", "default", "no connection", "impersonated", "another provider"]


def federated(way: str, pool: str, url: str, define: Define, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Federated credentials in each form that they may be named in. Returns the URI."""
    (folder / "subject").write_text("token-of-elsewhere")
    config: dict[str, Any] = {
        "type": "external_account",
        "audience": POOLS[pool],
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{url}/token-of-federation",
        "credential_source": {"file": str(folder / "subject")},
    }
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    if way in ("default", "no connection"):
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        define()
        return "gs://bucket/p" if way == "no connection" else URI
    extra: dict[str, Any] = {"credential_config_file": config}
    if way in ("text", "file"):
        extra = {"credential_config_file": json.dumps(config) if way == "text" else str(file)}
    elif way == "impersonated":
        extra |= {"impersonation_chain": IMPERSONATED}
    elif way == "another provider":
        del config["credential_source"]
        extra |= {"idp_issuer_url": f"{url}/token-of-provider", "client_id": "me", "client_secret": "secret-of-me"}
        extra |= {"idp_extra_params": json.dumps({"audience": "google"})}
    define(**extra)
    return URI


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("way", WAYS)
async def test_federated_credentials_ask_for_a_token_alone_and_by_the_rules_of_the_connection(
    served: HandMade, google: Google, define: Define, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str,
    pool: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda seconds: None)
    # Requests that google-auth and Airflow send by themselves go through the package `requests`; ours do not. Theirs do
    # not follow the connection's rules (proxy, certificates), so each of them fails the test.
    monkeypatch.setattr("requests.sessions.Session.send", Mock(side_effect=AssertionError("not by these rules")))
    store = await opened(federated(way, pool, served.url, define, tmp_path, monkeypatch))
    assert served.asked == []
    for status, kind in ((503, TransientStorageError), (403, StorageError), (500, TransientStorageError)):
        google.token = (status, {"error": "no"})
        with pytest.raises(kind, match=rf"no Google token for the .*HTTP {status}") as caught:
            await store.put("x", b"x")
        assert type(caught.value) is kind
    google.token = None
    with pytest.raises(TransientStorageError, match=r"no Google token for the"):
        await store.put("x", b"x")
    google.token = (200, {})
    served.asked.clear()
    await store.put("x", b"x")
    seen = told(served)
    assert seen["authorization"].startswith("Bearer token-of-the-")
    assert seen["payer"] is None
    sts = [each for each in seen["tokens"] if "subject_token" in each[1]]
    scope = "https://www.googleapis.com/auth/" + ("iam" if way == "impersonated" else "cloud-platform")
    assert [each[1]["scope"] for each in sts] == [scope]
    if way == "another provider":
        expected = {"grant_type": "client_credentials", "client_id": "me", "client_secret": "secret-of-me"}
        assert seen["tokens"][0] == ("/token-of-provider", {**expected, "audience": "google"})


async def test_the_project_of_federated_credentials_is_asked_for_where_it_pays(
    served: HandMade, google: Google, define: Define, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    federated("dict", "workload", served.url, define, tmp_path, monkeypatch)
    extra = json.loads(os.environ[f"AIRFLOW_CONN_{CONN.upper()}"])["extra"]
    define(**extra, **{"gcs.requester-pays": True})
    asked: list[str] = []

    def get_project_id(self: Any, request: Any) -> str:
        asked.append(self._audience)
        self.before_request(request, "GET", "https://cloudresourcemanager.example", {})
        return "project-of-the-pool"

    monkeypatch.setattr("google.auth.external_account.Credentials.get_project_id", get_project_id)
    monkeypatch.setattr("google.auth._default._get_external_account_credentials", _without_project)
    google.token = (503, {"error": "later"})
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda seconds: None)
    with pytest.raises(TransientStorageError, match="HTTP 503"):
        await opened()
    google.token = (200, {})
    served.asked.clear()
    store = await opened()
    await store.put("x", b"x")
    assert told(served)["payer"] == "project-of-the-pool"
    assert len(asked) == 2


def _without_project(info: Any, *_: Any, scopes: Any = None, **__: Any) -> Any:
    from google.auth import identity_pool

    made: Any = identity_pool.Credentials
    return made.from_info(info, scopes=scopes), None


async def test_a_metadata_server_that_is_down_is_not_taken_for_none(
    define: Define,
    monkeypatch: pytest.MonkeyPatch,
    metadata: Callable[[str], None],
    tmp_path: Path,
    closed_port: int,
) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    metadata(f"127.0.0.1:{closed_port}")
    define()
    with pytest.raises(TransientStorageError, match=f"no Google token for the connection '{CONN}'"):
        await opened()


async def test_a_token_service_that_cannot_be_trusted_or_found_is_for_a_person(
    define: Define, key: dict[str, str], tmp_path: Path
) -> None:
    tls = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)

    async def answer(asked: Exchange) -> None:
        await asked.give(reply(200))

    async with hand_made(answer, tls=context) as served:
        for url, says in ((served.url, "not trusted (at 127.0.0.1). Name"), ("https://a.invalid", "(at a.invalid)")):
            define(keyfile_dict=key | {"token_uri": f"{url}/token"})
            store = await opened()
            with pytest.raises(LearnosityError, match=re.escape(says)) as caught:
                await store.put("x", b"x")
            # On a machine without any name server, no host can be looked up. So the error is another one, and
            # transient.
            assert not caught.value.transient or "could not be looked up" in str(caught.value)
        assert not served.asked


@pytest.mark.parametrize(("expires", "times"), [(3600, 1), (100, 3)])
async def test_a_token_is_asked_again_before_it_expires(
    served: HandMade, google: Google, define: Define, key: dict[str, str], expires: int, times: int
) -> None:
    google.expires = expires
    define(keyfile_dict=key)
    store = await opened()
    for name in ("x", "y", "z"):
        await store.put(name, b"x")
        await asyncio.sleep(0.15)  # obstore asks at most ten times a second
    assert len([each for each in served.asked if each.target == "/token"]) == times


async def test_a_slow_token_service_does_not_hold_up_the_loop(
    served: HandMade, google: Google, define: Define, key: dict[str, str]
) -> None:
    define(keyfile_dict=key)
    store = await opened()
    google.wait = 1.0
    writing = asyncio.create_task(store.put("x", b"x"))
    turns = 0
    while not writing.done():
        await asyncio.sleep(0.01)
        turns += 1
    await writing
    assert turns > 20


async def opened(uri: str = URI) -> Store:
    return await asyncio.to_thread(open_store, uri)


def told(served: HandMade) -> dict[str, Any]:
    """Who asked for tokens and how (once each), and what the store saw."""
    tokens = [(urlsplit(each.target).path, claims(each)) for each in served.asked if "oken" in each.target]
    (stored,) = [each for each in served.asked if "oken" not in each.target and each.method in ("POST", "PUT")]
    headers = stored.headers
    # Without an identity, obstore sends an empty token: `Bearer` alone. It counts here as no header.
    authorization = headers.get("authorization", "Bearer").removesuffix("Bearer")
    seen = {"authorization": authorization, "payer": headers.get("x-goog-user-project")}
    return {"tokens": [each for at, each in enumerate(tokens) if each not in tokens[:at]], **seen}


def claims(exchange: Exchange) -> dict[str, Any]:
    """What a request for a token says of who asks for what, without its times."""
    text = exchange.taken.decode()
    if text.startswith("{"):
        return dict(json.loads(text), caller=exchange.headers.get("authorization"))
    form = {name: values[0] for name, values in parse_qs(text).items()}
    if assertion := form.pop("assertion", None):
        payload = assertion.split(".")[1]
        form |= json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return {name: value for name, value in form.items() if name not in ("iat", "exp")}
