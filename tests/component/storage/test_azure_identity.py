"""Connections to Azure: landing has the address, the headers and the identity of Airflow's own hooks."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from airflow.sdk import Connection
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline.transport import RequestsTransport
from obstore.store import AzureStore

from devstack.certificate import Tls, make_certificate
from learnosity.azure_address import check_addresses
from learnosity.connections import azure_account, open_store
from learnosity.errors import ConnectionConfigError, LearnosityError, StorageError, TransientStorageError
from learnosity.storage.uris import parse_uri, split_glob
from tests.component.api.hand_made import Exchange, HandMade, hand_made, reply

KEY = "a2V5LW9mLXRoZS1jb25uZWN0aW9u"
OTHER_KEY = "YW5vdGhlci1rZXk="
ACCOUNT = "https://account.blob.core.windows.net"
SAS = "sv=2024-01-01&sp=rw&sig=a%2Bb%2Fc%3D"
KEYED = f"DefaultEndpointsProtocol=https;AccountName=account;AccountKey={KEY}"
Define = Callable[..., None]


@pytest.fixture
def define(monkeypatch: pytest.MonkeyPatch) -> Define:
    def connection(conn_type: str = "wasb", **parts: Any) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps({"conn_type": conn_type, **parts}))

    return connection


@dataclass(frozen=True)
class Seen:
    """Address and identity of a client."""

    account: str | None
    endpoint: str
    identity: tuple[str, ...]


def of_store(uri: str = "abfs://lake@container/p") -> Seen:
    """As our store has them."""
    opened: Any = open_store(uri)
    store: AzureStore = opened._store
    config: dict[str, Any] = {key: str(value) for key, value in store.config.items()}
    given: Any = store.credential_provider
    if config["skip_signature"] == "true":
        identity: tuple[str, ...] = ("nobody",)
    elif hasattr(given, "_credential"):
        identity = of_token(given._credential)
    else:
        told = given()
        identity = ("key", told["access_key"]) if "access_key" in told else ("sas", *map("=".join, told["sas_token"]))
    return Seen(config["account_name"], config["endpoint"].rstrip("/"), identity)


def of_hook(conn_type: str = "wasb") -> Seen:
    """As the client of Airflow's hook has them."""
    from airflow.providers.microsoft.azure.hooks.data_lake import AzureDataLakeStorageV2Hook
    from airflow.providers.microsoft.azure.hooks.wasb import WasbHook

    client: Any = (AzureDataLakeStorageV2Hook if conn_type == "adls" else WasbHook)("lake").get_conn()
    url = urlsplit(client.url)
    if hasattr(client.credential, "account_key"):
        identity: tuple[str, ...] = ("key", client.credential.account_key)
    elif hasattr(client.credential, "get_token"):
        identity = of_token(client.credential)
    elif sas := getattr(client.credential, "signature", url.query):
        identity = ("sas", *map(unquote, sas.lstrip("?").split("&")))
    else:
        identity = ("nobody",)
    # The Data Lake has two addresses of the same account. Objects are written to that of blobs.
    endpoint = f"{url.scheme}://{url.netloc}{url.path}".rstrip("/").replace(".dfs.", ".blob.")
    return Seen(client.account_name, endpoint, identity)


def of_token(credential: Any) -> tuple[str, ...]:
    inner = [type(each).__name__ for each in getattr(credential, "credentials", ())]
    told = vars(credential)
    names = ("_tenant_id", "_client_id", "_client_credential", "_authority")
    return (type(credential).__name__, *inner, *(str(told.get(name)) for name in names))


WASB: dict[str, dict[str, Any]] = {
    "login and password": {"login": "account", "password": KEY},
    "host as URL": {"host": ACCOUNT, "login": "another", "password": KEY},
    "host as DNS name": {"host": "account.blob.core.windows.net", "password": KEY},
    "host of a sovereign cloud": {"host": "account.blob.core.usgovcloudapi.net", "password": KEY},
    "host as no address": {"host": "directory-id", "login": "account", "password": KEY},
    "long host": {"host": f"{'a' * 30}.blob.core.windows.net", "password": KEY},
    "account_key": {"login": "account", "extra": {"account_key": KEY}},
    "shared_access_key": {"login": "account", "password": OTHER_KEY, "extra": {"shared_access_key": KEY}},
    "sas_token": {"login": "account", "password": OTHER_KEY, "extra": {"sas_token": SAS}},
    "sas_token with ?": {"login": "account", "extra": {"sas_token": f"?{SAS}"}},
    "sas_token as URL": {"extra": {"sas_token": f"{ACCOUNT}/container?{SAS}"}},
    "sas_token as URL beside a key": {
        "login": "account",
        "extra": {"sas_token": f"https://another.blob.core.windows.net/?{SAS}", "shared_access_key": KEY},
    },
    "old name of a field": {"login": "account", "extra": {"extra__wasb__sas_token": SAS}},
    "both names of a field, the old one empty": {
        "login": "account",
        "extra": {"sas_token": SAS, "extra__wasb__sas_token": ""},
    },
    "both names of a field, the old one empty and first": {
        "login": "account",
        "extra": {"extra__wasb__sas_token": "", "sas_token": SAS},
    },
    "both names of a field": {
        "login": "account",
        "extra": {"sas_token": SAS, "extra__wasb__sas_token": "sv=2020-01-01&sig=old"},
    },
    "both names of a field, the new one empty": {
        "login": "account",
        "password": KEY,
        "extra": {"sas_token": "", "extra__wasb__sas_token": SAS},
    },
    "both names of tenant_id": {
        "host": ACCOUNT,
        "login": "client",
        "password": "secret",
        "extra": {"tenant_id": "tenant", "extra__wasb__tenant_id": ""},
    },
    "connection_string": {"extra": {"connection_string": f"{KEYED};EndpointSuffix=core.windows.net"}},
    "connection_string first": {
        "login": "another",
        "password": OTHER_KEY,
        "extra": {"connection_string": f"{KEYED};EndpointSuffix=core.windows.net", "sas_token": SAS},
    },
    "EndpointSuffix": {"extra": {"connection_string": f"{KEYED};EndpointSuffix=core.chinacloudapi.cn"}},
    "BlobEndpoint with a SAS": {
        "extra": {"connection_string": f"BlobEndpoint=https://own.example/account;SharedAccessSignature={SAS}"}
    },
    "emulator": {"extra": {"connection_string": "UseDevelopmentStorage=true"}},
    "host of an emulator": {"host": "http://127.0.0.1:10000/account", "login": "account", "password": KEY},
    "tenant_id": {"host": ACCOUNT, "login": "client", "password": "secret", "extra": {"tenant_id": "tenant"}},
    "client_secret_auth_config": {
        "host": "account.blob.core.usgovcloudapi.net",
        "login": "client",
        "password": "secret",
        "extra": {
            "tenant_id": "tenant",
            "client_secret_auth_config": {"authority": "login.microsoftonline.us", "proxies": {"https": "http://p"}},
        },
    },
    "nothing": {"host": ACCOUNT},
    "managed identity": {
        "host": ACCOUNT,
        "extra": {"managed_identity_client_id": "client", "workload_identity_tenant_id": "tenant"},
    },
    "fields that change no request": {
        "login": "account",
        "password": KEY,
        "schema": "s",
        "port": 7,
        "extra": {"api_version": "2020-02-10", "max_block_size": 1, "retry_total": 1, "read_timeout": 5},
    },
}
ADLS: dict[str, dict[str, Any]] = {
    "host": {"host": "account", "login": "client", "password": KEY},
    "account_url": {
        "login": "client",
        "password": KEY,
        "extra": {"account_url": "https://account.dfs.core.windows.net"},
    },
    "account_url of a sovereign cloud": {
        "password": KEY,
        "extra": {"account_url": "https://account.dfs.core.usgovcloudapi.net"},
    },
    "connection_string": {"extra": {"connection_string": f"{KEYED};EndpointSuffix=core.windows.net"}},
    "tenant_id": {"host": "account", "login": "client", "password": "secret", "extra": {"tenant_id": "tenant"}},
    "old name of a field": {
        "host": "account",
        "login": "client",
        "password": "secret",
        "extra": {"extra__adls__tenant_id": "tenant"},
    },
    "proxies": {
        "host": "account",
        "login": "client",
        "password": "secret",
        "extra": {"tenant_id": "tenant", "proxies": {"https": "http://127.0.0.1:1"}},
    },
    "nothing": {"host": "account"},
    "managed identity": {
        "host": "account",
        "extra": {"managed_identity_client_id": "client", "workload_identity_tenant_id": "tenant"},
    },
}


@pytest.mark.parametrize("name", WASB)
def test_every_field_of_a_wasb_connection_is_as_in_its_hook(define: Define, name: str) -> None:
    define("wasb", **WASB[name])
    seen, hook = of_store(), of_hook()
    assert seen.endpoint == hook.endpoint
    assert seen.identity == hook.identity
    assert seen.account == hook.account or hook.account is None


@pytest.mark.parametrize("name", ADLS)
def test_every_field_of_an_adls_connection_is_as_in_its_hook(define: Define, name: str) -> None:
    define("adls", **ADLS[name])
    seen, hook = of_store(), of_hook("adls")
    assert seen.endpoint == hook.endpoint
    assert seen.identity == hook.identity
    # Not compared with the hook's account: that is None where the hook needs no account name for a signature.
    assert seen.account == "account"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param(
            {"host": "account", "password": KEY}, Seen("account", ACCOUNT, ("key", KEY)), id="the host is the account"
        ),
        pytest.param(
            {"password": KEY, "extra": {"account_name": "account"}},
            Seen("account", ACCOUNT, ("key", KEY)),
            id="account_name",
        ),
        pytest.param({"host": ACCOUNT, "extra": {"anon": True}}, Seen("account", ACCOUNT, ("nobody",)), id="anon"),
        pytest.param(
            {"extra": {"account_host": "own.example", "account_name": "account", "sas_token": SAS}},
            Seen("account", "https://own.example", ("sas", *map(unquote, SAS.split("&")))),
            id="account_host",
        ),
        pytest.param(
            {"conn_type": "adls", "host": "account", "extra": {"sas_token": SAS}},
            Seen("account", ACCOUNT, ("sas", *map(unquote, SAS.split("&")))),
            id="sas_token of adls",
        ),
        pytest.param(
            {"login": "account", "password": KEY, "extra": {"endpoint_url": "http://127.0.0.1:10000/account"}},
            Seen("account", "http://127.0.0.1:10000/account", ("key", KEY)),
            id="endpoint_url",
        ),
        pytest.param(
            {"login": "account", "password": KEY, "extra": {"endpoint_url": "http://azurite:10000/account"}},
            Seen("account", "http://azurite:10000/account", ("key", KEY)),
            id="endpoint_url without a dot",
        ),
        pytest.param(
            {"host": "http://localhost:10000/account", "login": "account", "password": KEY},
            Seen("account", "http://localhost:10000/account", ("key", KEY)),
            id="a host without a dot that is an address",
        ),
        pytest.param(
            {"host": "http://azurite.default.svc:10000/account", "password": KEY},
            Seen("account", "http://azurite.default.svc:10000/account", ("key", KEY)),
            id="an emulator of another host",
        ),
        pytest.param(
            {"login": "other", "password": KEY, "extra": {"endpoint_url": "http://host.docker.internal:10000/account"}},
            Seen("account", "http://host.docker.internal:10000/account", ("key", KEY)),
            id="endpoint_url of an emulator",
        ),
        pytest.param(
            {"host": "http://azurite:10000", "login": "account", "password": KEY, "extra": {"account_name": "other"}},
            Seen("account", "http://azurite:10000", ("key", KEY)),
            id="a login and an account_name",
        ),
        pytest.param(
            {"host": "https://storage.own.example/", "login": "account", "password": KEY},
            Seen("account", "https://storage.own.example", ("key", KEY)),
            id="a domain of one's own",
        ),
        pytest.param(
            {"extra": {"account_host": "storage.own.example", "account_name": "account", "account_key": KEY}},
            Seen("account", "https://storage.own.example", ("key", KEY)),
            id="account_host with a key",
        ),
        pytest.param(
            {"host": "account.z6.blob.storage.azure.net", "login": "x", "extra": {"shared_access_key": KEY}},
            Seen("account", "https://account.z6.blob.storage.azure.net", ("key", KEY)),
            id="a DNS zone",
        ),
        pytest.param(
            {"conn_type": "adls", "host": "storage.own.example", "password": KEY, "extra": {"account_name": "account"}},
            Seen("account", "https://storage.own.example", ("key", KEY)),
            id="adls with a domain of one's own",
        ),
    ],
)
def test_what_the_object_storage_path_knows_beyond_the_hooks(
    define: Define, parts: dict[str, Any], expected: Seen
) -> None:
    define(**parts)
    assert of_store() == expected


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        pytest.param({}, "names no storage account", id="no account"),
        pytest.param({"password": KEY}, "names no storage account", id="a key alone"),
        pytest.param({"login": "c", "extra": {"tenant_id": "t"}}, "names no storage account", id="a client alone"),
        pytest.param({"host": ACCOUNT, "password": "no key!"}, "not in base64", id="key"),
        pytest.param({"host": ACCOUNT, "extra": {"sas_token": "w0rd"}}, "`sas_token` that is none", id="sas"),
        pytest.param(
            {"extra": {"connection_string": "w0rd"}}, "no connection to an Azure storage account", id="string"
        ),
        pytest.param(
            {"host": ACCOUNT, "extra": {"managed_identity_client_id": "c"}}, "has only one of", id="half an identity"
        ),
        pytest.param(
            {"host": ACCOUNT, "password": KEY, "extra": {"require_encryption": True}},
            "'require_encryption', which landing cannot use",
            id="encryption by the client",
        ),
        pytest.param(
            {"host": ACCOUNT, "login": "c", "password": "s", "extra": {"tenant_id": "t/../t"}},
            "no connection to an Azure storage account.*With `tenant_id`, the login is the id of a client",
            id="tenant",
        ),
        pytest.param(
            {"host": "https://storage.own.example", "password": KEY}, "`account_name` in its extra", id="no name"
        ),
        pytest.param({"host": ACCOUNT, "extra": {"tenant_id": "t"}}, "the password is its secret", id="no client"),
        pytest.param(
            {"host": ACCOUNT, "login": "c", "extra": {"tenant_id": "t"}}, "the password is its secret", id="no secret"
        ),
        pytest.param(
            {"extra": {"connection_string": "BlobSecondaryEndpoint=https://w0rd;AccountName=a"}},
            "Check its `connection_string`",
            id="half a string",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_without_a_secret(define: Define, parts: dict[str, Any], says: str) -> None:
    define(**parts)
    with pytest.raises(ConnectionConfigError, match=says) as caught:
        open_store("abfs://lake@container/p")
    assert "The connection 'lake'" in str(caught.value)
    for secret in (KEY, "no key!", "w0rd"):
        assert secret not in str(caught.value)


def test_unused_fields_are_logged_by_name(define: Define, caplog: pytest.LogCaptureFixture) -> None:
    define(host=ACCOUNT, password=KEY, schema="s", port=7, extra={"api_version": "2020-02-10", "frobnicate": KEY})
    open_store("abfs://lake@container/p")
    assert "fields that landing does not use: api_version, frobnicate, schema, port" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("variables", "identity"),
    [
        ({"AZURE_STORAGE_ACCOUNT_KEY": KEY}, ("key", KEY)),
        ({"AZURE_STORAGE_SAS_TOKEN": "sv=1&sig=x"}, ("sas", "sv=1", "sig=x")),
        ({"AZURE_STORAGE_ANON": "true"}, ("nobody",)),
        (
            {
                "AZURE_STORAGE_CLIENT_ID": "client",
                "AZURE_STORAGE_CLIENT_SECRET": "secret",
                "AZURE_STORAGE_TENANT_ID": "tenant",
            },
            "ClientSecretCredential",
        ),
        ({}, "DefaultAzureCredential"),
    ],
)
@pytest.mark.parametrize("scheme", ["abfss", "wasbs"])
def test_an_account_in_the_uri_goes_with_the_credentials_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], identity: Any, scheme: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    kind = "dfs" if scheme == "abfss" else "blob"
    seen = of_store(f"{scheme}://container@account.{kind}.core.windows.net/a/b")
    assert (seen.account, seen.endpoint) == ("account", ACCOUNT)
    assert seen.identity == identity or seen.identity[0] == identity
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    assert of_store("abfs://container/a/b") == seen


def test_a_connection_string_of_another_account_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    string = f"AccountName=other;AccountKey={KEY};DefaultEndpointsProtocol=https;EndpointSuffix=core.windows.net"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", string)
    assert of_store("abfs://container/a").account == "other"
    with pytest.raises(ConnectionConfigError, match="names the storage account of account.dfs.core.windows.net"):
        open_store("abfss://container@account.dfs.core.windows.net/a")


OTHER = "https://another.blob.core.windows.net"
SAS_URL = f"{OTHER}/?{SAS}"
NAMED_TWICE: list[tuple[dict[str, Any], str | None]] = [
    *(({"extra": {key: ACCOUNT}}, f"`{key}` names account") for key in ("endpoint_url", "account_host", "account_url")),
    *(({"extra": {key: OTHER}}, None) for key in ("endpoint_url", "account_host", "account_url")),
    ({"extra": {"endpoint_url": OTHER.replace(".blob.", ".dfs.")}}, None),
    ({"host": ACCOUNT}, "and not to account"),
    ({"login": "account"}, "and not to account"),
    ({"extra": {"account_name": "account"}}, "and not to account"),
    ({"host": OTHER, "login": "anything"}, None),
    ({"login": "another"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("parts", "says"), NAMED_TWICE, ids=str)
def test_an_account_beside_the_url_of_a_signature_is_refused_or_told(
    parts: dict[str, Any], says: str | None, define: Define, caplog: pytest.LogCaptureFixture
) -> None:
    define(**{**parts, "extra": {"sas_token": SAS_URL, **parts.get("extra", {})}})
    assert azure_account(parse_uri("abfs://lake@container/p")) == "another"
    if says is not None and "`" in says:
        with pytest.raises(ConnectionConfigError, match=says) as caught:
            open_store("abfs://lake@container/p")
        assert "sig=a" not in str(caught.value)
        return
    assert of_store().endpoint == OTHER
    assert "sig=" not in caplog.text
    assert (says or "") in caplog.text
    assert says is not None or "sas_token" not in caplog.text


CLOUD = "blob.core.windows.net"


@pytest.mark.parametrize(
    "address",
    [
        *(
            f"{begin}another.{CLOUD}/"
            for begin in ("http://", "HTTPS://", "Https://", " https://", "//", "?https://", "")
        ),
        *("\nhttps://another.own.example/lake", "abfss://lake@another.dfs.core.windows.net/", "HTTP://a:1/b"),
        *(f"another.{CLOUD}/lake", "another.own.example:8443", f"another.{CLOUD}", r"\\another\lake"),
    ],
)
@pytest.mark.parametrize("beside", [{"host": ACCOUNT}, {"login": "account"}, {}], ids=["host", "login", "nothing"])
def test_a_signature_in_an_address_that_the_hook_does_not_take_for_one_is_sent_nowhere(
    define: Define, address: str, beside: dict[str, Any]
) -> None:
    define(**beside, extra={"sas_token": f"{address}?{SAS}"})
    with pytest.raises(ConnectionConfigError, match="a `sas_token` with an address that does not begin") as caught:
        open_store("abfs://lake@container/p")
    assert "sig=a" not in str(caught.value)


@pytest.mark.parametrize("key", ["connection_string", "shared_access_key"])
def test_such_an_address_beside_an_identity_that_is_used_before_it_changes_nothing(define: Define, key: str) -> None:
    value = KEY if key == "shared_access_key" else f"{KEYED};EndpointSuffix=core.windows.net"
    define(host=ACCOUNT, extra={"sas_token": f"HTTPS://another.blob.core.windows.net/?{SAS}", key: value})
    assert of_store().endpoint == ACCOUNT


SAME_ACCOUNT = [
    (f"https://account.{CLOUD}:443", False),
    (f"HTTPS://ACCOUNT.{CLOUD.upper()}", False),
    ("account.dfs.core.windows.net:443", False),
    (f"https://account.privatelink.{CLOUD}", True),
    (f"https://account-secondary.{CLOUD}", True),
    ("https://account-secondary.dfs.core.windows.net", True),
    ("https://account.z12.blob.storage.azure.net", True),
    ("https://account.z12.dfs.storage.azure.net", True),
    (f"https://account.{CLOUD}:8443", True),
]
OTHER_ACCOUNT = [
    f"https://another.{CLOUD}",
    f"https://another.privatelink.{CLOUD}",
    f"https://accountsecondary.{CLOUD}",
    "https://account.blob.core.chinacloudapi.cn",
    "https://another.z12.blob.storage.azure.net",
    "https://account.example.org",
    "https://127.0.0.1/account",
]


@pytest.mark.parametrize("key", ["endpoint_url", "account_host", "account_url"])
@pytest.mark.parametrize(("given", "told"), [*SAME_ACCOUNT, *((each, None) for each in OTHER_ACCOUNT)], ids=str)
@pytest.mark.parametrize("swapped", [False, True])
def test_another_address_of_the_account_of_a_signature_is_none_of_another_account(
    key: str, given: str, told: bool | None, swapped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """:param told: whether a warning says where it goes; None = it is refused."""
    beside, own = (ACCOUNT, given if "://" in given else f"https://{given}") if swapped else (given, ACCOUNT)
    extra = {"sas_token": f"{own.replace('HTTPS', 'https')}/?{SAS}", key: beside}
    connection = Connection(conn_id="lake", conn_type="wasb", extra=json.dumps(extra))
    if told is None:
        with pytest.raises(ConnectionConfigError, match=f"`{key}` names"):
            check_addresses("connection lake", connection, extra)
        return
    check_addresses("connection lake", connection, extra)
    assert ("and not to" in caplog.text) is told
    assert "sig=" not in caplog.text


@pytest.mark.parametrize(
    "extra",
    [
        {"connection_string": f"{KEYED};EndpointSuffix=core.windows.net"},
        {"shared_access_key": KEY, "endpoint_url": ACCOUNT},
        {"tenant_id": "tenant", "account_url": ACCOUNT},
        {"sas_token": SAS, "endpoint_url": ACCOUNT},
    ],
)
def test_the_account_of_lineage_is_that_of_the_store(extra: dict[str, Any], define: Define) -> None:
    define(login="client", password="secret", extra={"sas_token": SAS_URL, **extra})
    assert azure_account(parse_uri("abfs://lake@container/p")) == "account"
    assert of_store().endpoint == ACCOUNT


@pytest.mark.parametrize(
    "host",
    [
        "account.dfs.core.windows.net",
        "account.blob.core.chinacloudapi.cn",
        "account.dfs.core.usgovcloudapi.net",
        "account.z6.dfs.storage.azure.net",
        "account.z12.blob.storage.azure.net",
    ],
)
def test_an_account_in_a_uri_stays_in_it(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"abfss://container@{host}/a/*.ndjson"
    where = parse_uri(uri)
    assert (where.conn_id, where.bucket, where.key) == (None, "container", "a/*.ndjson")
    assert where.text == uri
    assert split_glob(uri) == (f"abfss://container@{host}/a", "*.ndjson")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "sv=1&sig=x")
    seen = of_store(f"abfss://container@{host}/a")
    assert seen == Seen("account", f"https://{host.replace('.dfs.', '.blob.')}", ("sas", "sv=1", "sig=x"))


@pytest.mark.parametrize(
    "uri",
    [
        "abfss://lake@my.container/a",
        "abfs://account.dfs.core.windows.net/container/a",
        "az://container@account.example.com/a",
        "wasbs://container@account.blob.core.windows.net.evil@/a",
    ],
)
def test_other_forms_are_refused_with_the_right_ones(uri: str) -> None:
    with pytest.raises(StorageError, match="connection@container/prefix|needs a bucket"):
        parse_uri(uri)


class Tokens:
    """Microsoft's token service, and a store that takes everything."""

    def __init__(self) -> None:
        self.reply: tuple[int, dict[str, Any]] | None = (200, {})

    async def __call__(self, exchange: Exchange) -> None:
        await exchange.take()
        url = f"https://{exchange.headers['host']}"
        path = urlsplit(exchange.target).path
        if path.endswith(("/openid-configuration", "/discovery/instance")):
            known = {name: f"{url}/tenant/{name}" for name in ("token_endpoint", "authorization_endpoint", "issuer")}
            body = known | {"tenant_discovery_endpoint": f"{url}/tenant/v2.0/.well-known/openid-configuration"}
            await exchange.give(reply(200, json.dumps(body | {"metadata": []}).encode()))
        elif path.endswith(("token_endpoint", "/oauth2/v2.0/token", "/machine")):
            if self.reply is None:
                exchange.reset()
                return
            status, told = self.reply
            token = {"access_token": f"token-{time.time_ns()}", "expires_in": 3600, "token_type": "Bearer"}
            if path.endswith("/machine"):
                token |= {"expires_on": str(int(time.time()) + 3600), "resource": "https://storage.azure.com"}
            await exchange.give(reply(status, json.dumps(told or token).encode(), {"Content-Type": "application/json"}))
        else:
            await exchange.give(reply(201, headers={"ETag": '"1"', "Last-Modified": "Sat, 28 Nov 2026 12:00:00 GMT"}))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


def _context(certificate: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context


@pytest.fixture
async def served(tokens: Tokens, certificate: Tls, define: Define) -> AsyncIterator[HandMade]:
    async with hand_made(tokens, tls=_context(certificate)) as server:
        file = str(certificate.certificate)
        config = {"authority": server.url, "connection_verify": file, "disable_instance_discovery": True}
        extra = {"tenant_id": "tenant", "client_secret_auth_config": config, "connection_verify": file}
        define(host=f"{server.url}/account", login="client", password="secret-of-client", extra=extra)
        yield server


async def test_a_token_is_asked_once_and_sent_with_every_request(served: HandMade) -> None:
    store = await asyncio.to_thread(open_store, "abfs://lake@container/p")
    for name in ("x", "y"):
        await store.put(name, b"x")
    (asked,) = [each for each in served.asked if each.target.endswith("token_endpoint")]
    form = {name: values[0] for name, values in parse_qs(asked.taken.decode()).items()}
    assert (form["client_id"], form["scope"]) == ("client", "https://storage.azure.com/.default")
    sent = {each.headers["authorization"] for each in served.asked if each.method == "PUT"}
    assert len(sent) == 1 and sent.pop().startswith("Bearer token-")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param((500, {"error": "server_error"}), TransientStorageError, id="500"),
        pytest.param((503, {"error": "temporarily_unavailable"}), TransientStorageError, id="503"),
        pytest.param((429, {"error": "throttled"}), TransientStorageError, id="429"),
        pytest.param(None, TransientStorageError, id="no reply"),
        pytest.param(
            (401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret"}),
            StorageError,
            id="401",
        ),
        pytest.param((400, {"error": "invalid_request", "error_description": "AADSTS90002"}), StorageError, id="400"),
    ],
)
async def test_a_fault_of_the_token_service_passes_and_a_refusal_does_not(
    served: HandMade,
    tokens: Tokens,
    monkeypatch: pytest.MonkeyPatch,
    answer: tuple[int, dict[str, Any]] | None,
    kind: type[LearnosityError],
) -> None:
    without_waiting(monkeypatch)
    store = await asyncio.to_thread(open_store, "abfs://lake@container/p")
    tokens.reply = answer
    with pytest.raises(kind, match=r"abfs://container/p/x: no token for the connection 'lake'") as caught:
        await store.put("x", b"x")
    assert kind.transient == caught.value.transient
    assert "secret-of-client" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "extra"),
    [
        *[
            (name, "/no/such.pem", {"verify": False})
            for name in ("REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "CURL_CA_BUNDLE")
        ],
        ("SSL_CERT_FILE", "/no/such.pem", {"verify": False}),
        *[(name, "socks5://p:1080", {"proxy": "http://proxy:3128"}) for name in ("HTTPS_PROXY", "ALL_PROXY")],
        ("HTTPS_PROXY", "socks5://p:1080", {"proxies": {"https": "http://proxy:3128"}}),
    ],
)
@pytest.mark.parametrize("endpoint", [{}, {"endpoint_url": ACCOUNT}], ids=["host", "endpoint_url"])
def test_what_the_connection_overrides_in_the_environment_is_not_read(
    variable: str,
    value: str,
    extra: dict[str, Any],
    endpoint: dict[str, Any],
    define: Define,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, value)
    define(login="account", password=KEY, extra=endpoint)
    with pytest.raises(ConnectionConfigError, match=variable):
        open_store("abfs://lake@container/p")
    define(login="account", password=KEY, extra=extra | endpoint)
    assert of_store() == Seen("account", ACCOUNT, ("key", KEY))


@pytest.mark.parametrize("name", ["proxy", "proxies"])
@pytest.mark.parametrize("form", ["a URL", "by scheme", "for all"])
async def test_the_proxy_of_the_connection_is_used_in_each_form(define: Define, name: str, form: str) -> None:
    """A form that is not understood would send data past the proxy."""

    async def answer(asked: Exchange) -> None:
        await asked.take()
        await asked.give(reply(201, b"", {"ETag": '"a"'}))

    async with hand_made(answer) as proxy:
        value: Any = {"a URL": proxy.url, "by scheme": {"http": proxy.url}, "for all": {"all": proxy.url}}[form]
        extra = {"sas_token": SAS, "account_name": "account", name: value}
        define("wasb", host="http://account.example", extra=extra)
        store = await asyncio.to_thread(open_store, "abfs://lake@container/p")
        await store.put("file.json", b"content", None)
    assert [asked.target.partition("?")[0] for asked in proxy.asked] == ["http://account.example/container/p/file.json"]


async def refuses(asked: Exchange) -> None:
    """A proxy that cannot reach any server."""
    await asked.give(reply(502))
    asked.end()


@pytest.mark.parametrize("identity", ["service principal", "workload"])
@pytest.mark.parametrize("name", ["proxy", "proxies"])
@pytest.mark.parametrize("form", ["a URL", "by scheme", "for all"])
async def test_it_is_used_for_tokens_too(
    define: Define, name: str, form: str, identity: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_waiting(monkeypatch)
    async with hand_made(refuses) as proxy:
        value: Any = {"a URL": proxy.url, "by scheme": {"https": proxy.url}, "for all": {"all": proxy.url}}[form]
        with_identity(identity, "https://login.example", {name: value}, tmp_path, define, monkeypatch)
        store = await asyncio.to_thread(open_store, "abfs://lake@container/p")
        with pytest.raises(TransientStorageError, match="no token for the connection"):
            await store.put("file.json", b"content", None)
        assert {(asked.method, asked.target) for asked in proxy.asked} == {("CONNECT", "login.example:443")}


@pytest.mark.parametrize("identity", ["service principal", "workload"])
@pytest.mark.parametrize(
    ("extra", "variables", "trusted"),
    [
        ({}, {}, False),
        ({"verify": "FILE"}, {}, True),
        ({"connection_verify": "FILE"}, {}, True),
        ({"verify": False}, {}, True),
        ({"verify": None, "connection_verify": "FILE"}, {}, True),
        ({"verify": "FILE", "connection_verify": None}, {}, True),
        ({"verify": None, "connection_verify": None}, {}, False),
        *(({}, {name: "FILE"}, True) for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")),
    ],
    ids=str,
)
async def test_the_token_service_is_trusted_as_the_store_is(
    define: Define,
    extra: dict[str, Any],
    variables: dict[str, str],
    trusted: bool,
    identity: str,
    certificate: Tls,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_waiting(monkeypatch)
    file = str(certificate.certificate)
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in variables:
        monkeypatch.setenv(name, file)
    async with hand_made(Tokens(), tls=_context(certificate)) as server:
        filled = {name: file if value == "FILE" else value for name, value in extra.items()}
        with_identity(identity, server.url, filled, tmp_path, define, monkeypatch)
        opened: Any = await asyncio.to_thread(open_store, "abfs://lake@container/p")
        if trusted:
            token = await asyncio.to_thread(opened._store.credential_provider)
            assert token["token"].startswith("token-")
            return
        with pytest.raises(
            StorageError, match=r"no token for the connection 'lake': .*certificate.*127\.0\.0\.1"
        ) as caught:
            await asyncio.to_thread(opened._store.credential_provider)
        assert not caught.value.transient
        assert not server.asked


async def test_the_service_of_this_machine_is_asked_without_a_proxy(
    define: Define, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hand_made(Tokens()) as server, hand_made(refuses) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/machine")
        monkeypatch.setenv("IDENTITY_HEADER", "header")
        define("wasb", host=ACCOUNT, extra={"proxy": proxy.url})
        opened: Any = await asyncio.to_thread(open_store, "abfs://lake@container/p")
        token = await asyncio.to_thread(opened._store.credential_provider)
        assert token["token"].startswith("token-")
        assert server.asked and not proxy.asked


@pytest.mark.parametrize(
    ("variables", "extra", "tag", "more", "passes"),
    [
        ({}, {}, None, "", False),
        ({}, {}, "of another maker", "", False),
        ({}, {}, "7783-7084-3265-9085-8269-3286-77\n", "", True),
        ({"AZURE_CLIENT_ID": "client"}, {}, None, "", True),
        ({"IMDS_ENDPOINT": "http://localhost:1"}, {}, None, "", True),
        ({}, {"managed_identity_client_id": "client", "workload_identity_tenant_id": "tenant"}, None, "", True),
        ({}, {}, None, "AzureCliCredential: Timed out waiting for Azure CLI", True),
    ],
)
async def test_without_any_identity_the_missing_fields_are_named_at_once(
    variables: dict[str, str],
    extra: dict[str, Any],
    tag: str | None,
    more: str,
    passes: bool,
    define: Define,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if tag is not None:
        (tmp_path / "tag").write_text(tag)
    monkeypatch.setattr("learnosity.storage.azure_token_requests._ASSET_TAG_FILE", tmp_path / "tag")
    define("wasb", host=ACCOUNT, extra=extra)
    opened: Any = await asyncio.to_thread(open_store, "abfs://lake@container/p")
    provider = opened._store.credential_provider
    said = "ManagedIdentityCredential authentication unavailable, no response from the IMDS endpoint."

    def get_token(*_: Any, **__: Any) -> Any:
        raise ClientAuthenticationError(
            message=f"DefaultAzureCredential failed.\nAttempted credentials:\n\t{said}\n\t{more}"
        )

    monkeypatch.setattr(provider._credential, "get_token", get_token)
    with pytest.raises(TransientStorageError if passes else ConnectionConfigError, match="connection 'lake'") as caught:
        await asyncio.to_thread(provider)
    assert passes or "`sas_token`" in str(caught.value)
    with pytest.raises(type(caught.value)):
        await opened.put("x", b"x")


def test_the_words_of_azure_identity_about_its_metadata_service_are_those_that_are_read() -> None:
    import azure.identity._credentials.imds as imds

    text = Path(imds.__file__).read_text()
    assert "ManagedIdentityCredential authentication unavailable, no response from the IMDS endpoint" in text


OTHER_CLOUD = (b"", b"<html>Not Found</html>", b"no such path", b"{}", b'{"errors": []}')


@pytest.mark.parametrize(
    ("status", "body", "variables", "extra", "error"),
    [
        *((status, body, {}, {}, ConnectionConfigError) for status in (200, 404) for body in OTHER_CLOUD),
        *((status, b"", {}, {}, ConnectionConfigError) for status in (400, 401, 403, 405, 429, 500, 503)),
        (403, b'{"error": "the host is unreachable"}', {}, {}, ConnectionConfigError),
        (503, b"", {"AZURE_CLIENT_ID": "client"}, {}, TransientStorageError),
        (404, b"", {"AZURE_CLIENT_ID": "client"}, {}, StorageError),
        (404, b"", {}, {"managed_identity_client_id": "client", "workload_identity_tenant_id": "t"}, StorageError),
        (503, b'{"error": "server_error"}', {}, {}, TransientStorageError),
        (404, b'{"error": "not_found"}', {}, {}, StorageError),
    ],
)
async def test_a_reply_of_the_metadata_service_of_another_cloud_is_no_refusal(
    status: int,
    body: bytes,
    variables: dict[str, str],
    extra: dict[str, Any],
    error: type[LearnosityError],
    define: Define,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_waiting(monkeypatch)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("learnosity.storage.azure_token_requests._ASSET_TAG_FILE", tmp_path / "tag")
    send = RequestsTransport.send

    async def answer(asked: Exchange) -> None:
        await asked.take()
        kind = "application/json" if body.startswith(b"{") else "text/html"
        await asked.give(reply(status, body, {"Content-Type": kind}))

    async with hand_made(answer) as server:

        def sent(self: Any, request: Any, **kwargs: Any) -> Any:
            request.url = request.url.replace("http://169.254.169.254", server.url)
            return send(self, request, **kwargs)

        monkeypatch.setattr(RequestsTransport, "send", sent)
        define("wasb", host=ACCOUNT, extra=extra)
        opened: Any = await asyncio.to_thread(open_store, "abfs://lake@container/p")
        with pytest.raises(error, match="no token for the connection 'lake'") as caught:
            await asyncio.to_thread(opened._store.credential_provider)
    assert server.asked
    assert type(caught.value) is error
    assert ("it has no credentials" in str(caught.value)) is (error is ConnectionConfigError)


@pytest.mark.parametrize("identity", ["service principal", "workload", "machine"])
@pytest.mark.parametrize(
    ("status", "body", "passes"),
    [
        *((status, body, True) for status in (408, 429, 500, 503) for body in (b"", b"<html>", b'{"error": "x"}')),
        *((200, body, True) for body in (b"", b"<html>", b"{}")),
        *((status, body, False) for status in (400, 401, 403) for body in (b"", b"<html>", b'{"error": "x"}')),
        (400, b'{"error": "temporarily_unavailable", "error_description": "AADSTS90033: later"}', True),
    ],
)
async def test_the_status_of_the_token_service_decides_whatever_its_body_is(
    define: Define,
    identity: str,
    status: int,
    body: bytes,
    passes: bool,
    certificate: Tls,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_waiting(monkeypatch)
    plain = Tokens()

    async def answer(asked: Exchange) -> None:
        if "openid" in asked.target:
            await plain(asked)
            return
        await asked.take()
        kind = "application/json" if body.startswith(b"{") else "text/html"
        await asked.give(reply(status, body, {"Content-Type": kind}))

    async with hand_made(answer, tls=None if identity == "machine" else _context(certificate)) as server:
        if identity == "machine":
            monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/machine")
            monkeypatch.setenv("IDENTITY_HEADER", "header")
            define("wasb", host=ACCOUNT)
        else:
            trusted = {"verify": str(certificate.certificate)}
            with_identity(identity, server.url, trusted, tmp_path, define, monkeypatch)
        opened: Any = await asyncio.to_thread(open_store, "abfs://lake@container/p")
        with pytest.raises(LearnosityError, match="no token for the connection 'lake'") as caught:
            await asyncio.to_thread(opened._store.credential_provider)
    # One case has status 400, and a code by which Microsoft's token service says "try again later". The token service
    # of a machine has no such codes, so for `machine` this 400 is not transient.
    assert caught.value.transient is (passes and (status, identity) != (400, "machine")), caught.value


def test_what_cannot_be_sent_for_a_service_principal_is_refused(define: Define) -> None:
    for key in ("transport", "connection_cert"):
        extra = {"tenant_id": "tenant", "client_secret_auth_config": {key: "x"}}
        define("wasb", host=ACCOUNT, login="client", password="secret", extra=extra)
        with pytest.raises(ConnectionConfigError, match=f"`{key}` in its extra `client_secret_auth_config`"):
            open_store("abfs://lake@container/p")


def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """azure-core waits between its own tries."""
    monkeypatch.setattr("azure.core.pipeline.policies.RetryPolicy.sleep", lambda *args, **kwargs: None)


def with_identity(
    identity: str, authority: str, extra: dict[str, Any], folder: Path, define: Define, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection with a service principal, or with the workload identity that Kubernetes gives to a worker."""
    if identity == "service principal":
        config = {"authority": authority, "disable_instance_discovery": True}
        own = {"tenant_id": "tenant", "client_secret_auth_config": config}
        define("wasb", host=ACCOUNT, login="client", password="secret", extra=own | extra)
        return
    (folder / "token").write_text("token of the pod")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(folder / "token"))
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", authority)
    define(
        "wasb",
        host=ACCOUNT,
        extra={"managed_identity_client_id": "client", "workload_identity_tenant_id": "tenant"} | extra,
    )


@pytest.mark.parametrize("value", [["http://proxy.example"], 8080, {"https": 8080}, "socks5://proxy.example"])
def test_proxies_that_cannot_be_used_are_refused(define: Define, value: Any) -> None:
    define("wasb", host=ACCOUNT, password=KEY, extra={"proxies": value})
    with pytest.raises(ConnectionConfigError):
        open_store("abfs://lake@container/p")
