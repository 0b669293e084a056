"""Credentials are used while they are valid and no longer. Not reachable is not forbidden."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import RefreshableCredentials  # type: ignore[import-untyped]
from botocore.exceptions import ClientError, ConnectTimeoutError  # type: ignore[import-untyped]

from learnosity.connections import open_store
from learnosity.errors import ConnectionConfigError, LearnosityError, TransientStorageError
from learnosity.storage.s3_credentials import MARGIN_SECONDS, SessionCredentials
from tests.component.api.hand_made import Behaviour, Exchange, hand_made, reply
from tests.component.storage.s3_by_hand import s3_by_hand, sent

KEY, SECRET = "AKIAOFTHECONNECTION", "secret-of-the-connection"
ROLE = "arn:aws:iam::123456789012:role/lander"
XML = {"Content-Type": "text/xml"}
ONCE = {"retries": {"total_max_attempts": 1}, "connect_timeout": 2, "read_timeout": 2}


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This machine gives no credentials of its own."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def define(monkeypatch: pytest.MonkeyPatch, extra: Any, **parts: Any) -> None:
    whole = {"conn_type": "aws", "login": KEY, "password": SECRET, "extra": extra} | parts
    monkeypatch.setenv(
        "AIRFLOW_CONN_LAKE", json.dumps({name: part for name, part in whole.items() if part is not None})
    )


def metadata(name: str, seconds: float) -> dict[str, str]:
    ends = datetime.now(UTC) + timedelta(seconds=seconds)
    return {"access_key": name, "secret_key": "s", "token": "t", "expiry_time": ends.isoformat()}


def session(seconds: float, renew: Callable[[], dict[str, str]]) -> SessionCredentials:
    """Credentials in use with `seconds` left, and what gives new ones."""
    of_botocore = RefreshableCredentials.create_from_metadata(metadata("old", 3600), renew, "test")
    credentials = SessionCredentials(of_botocore, "us")
    assert key(credentials) == "old"
    of_botocore._expiry_time = datetime.now(UTC) + timedelta(seconds=seconds)
    return credentials


def until(true: Callable[[], bool]) -> None:
    """Wait for something that another thread does."""
    ends = time.monotonic() + 20
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.02)


def key(credentials: SessionCredentials) -> str:
    return str(credentials()["access_key_id"])


@pytest.mark.parametrize("seconds", [MARGIN_SECONDS + 5, 5 * 60, 14 * 60])
def test_new_ones_are_fetched_beside_the_work(seconds: float) -> None:
    answered = threading.Event()

    def renew() -> dict[str, str]:
        assert answered.wait(20)
        return metadata("new", 3600)

    credentials = session(seconds, renew)
    begun = time.monotonic()
    assert [key(credentials) for _ in range(3)] == ["old"] * 3
    assert time.monotonic() - begun < 5
    answered.set()
    until(lambda: key(credentials) == "new")


@pytest.mark.parametrize("seconds", [16 * 60, 3600])
def test_those_with_time_left_are_not_renewed(seconds: float) -> None:
    def renew() -> dict[str, str]:
        raise AssertionError("nobody asked for new ones")

    credentials = session(seconds, renew)
    assert key(credentials) == "old"
    held = credentials()["expires_at"]
    assert held is not None
    assert held < datetime.now(UTC) + timedelta(seconds=5), "the end is looked at again soon"


@pytest.mark.parametrize("seconds", [MARGIN_SECONDS - 5, 1, -5])
def test_those_at_their_end_are_not_used(seconds: float) -> None:
    assert key(session(seconds, lambda: metadata("new", 3600))) == "new"


@pytest.mark.parametrize("lives", [12, 30])
def test_a_life_shorter_than_any_margin_is_used(lives: float) -> None:
    credentials = session(-5, lambda: metadata("short", lives))
    assert [key(credentials) for _ in range(3)] == ["short"] * 3


TIMEOUT = ConnectTimeoutError(endpoint_url="https://sts.example")
THROTTLED = ClientError({"Error": {"Code": "Throttling"}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "AssumeRole")
DENIED = ClientError({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "AssumeRole")


@pytest.mark.parametrize("error", [TIMEOUT, THROTTLED, DENIED])
def test_a_failure_beside_the_work_stops_nothing_while_the_old_ones_are_valid(error: Exception) -> None:
    failed = threading.Event()

    def renew() -> dict[str, str]:
        failed.set()
        raise error

    credentials = session(5 * 60, renew)
    assert key(credentials) == "old"
    assert failed.wait(20)
    assert key(credentials) == "old"


@pytest.mark.parametrize(
    ("error", "kind"),
    [(TIMEOUT, TransientStorageError), (THROTTLED, TransientStorageError), (DENIED, ConnectionConfigError)],
)
async def test_a_failure_at_the_end_stops_with_the_kind_of_its_cause(
    error: Exception, kind: type[LearnosityError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def renew() -> dict[str, str]:
        raise error

    define(monkeypatch, {"endpoint_url": "http://127.0.0.1:1", "region_name": "eu-west-1"})
    opened: Any = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
    provider = opened._store._store.credential_provider
    provider._credentials = session(1, renew)._credentials
    for attempt in (opened.put("a", b""), opened.get("a"), opened.delete(["a"])):
        with pytest.raises(kind, match="No a|No AWS credentials|No access") as caught:
            await attempt
        assert "no permission" not in str(caught.value)


async def test_a_key_of_twelve_seconds_from_a_program_lands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "key.py"
    program.write_text(
        "import datetime, json, os\n"
        "ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=12)\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'AKIA{os.getpid()}', 'SecretAccessKey': 's',\n"
        "    'SessionToken': 't', 'Expiration': ends.isoformat()}))\n"
    )
    (tmp_path / "AWS_CONFIG_FILE").write_text(f"[profile short]\ncredential_process = {sys.executable} {program}\n")
    async with hand_made(s3_by_hand()) as served:
        extra = {"profile_name": "short", "endpoint_url": served.url, "region_name": "eu-west-1"}
        define(monkeypatch, extra, login=None, password=None)
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        for number in range(4):
            await store.put(f"{number}", b"")
            await asyncio.sleep(0.6)  # obstore asks for credentials once a second
        assert len({sent(exchange).signer for exchange in served.asked}) > 1, "one key was held"


def sts(status: int, body: str) -> Behaviour:
    """A token service that says one thing."""

    async def behaviour(asked: Exchange) -> None:
        await asked.take()
        await asked.give(reply(status, body.encode(), XML))

    return behaviour


def refused(code: str) -> str:
    error = f"<Type>Sender</Type><Code>{code}</Code><Message>It is so</Message>"
    return f"<ErrorResponse><Error>{error}</Error></ErrorResponse>"


ASSUMED = (
    "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>AKIAOFTHEROLE</AccessKeyId><SecretAccessKey>s"
    "</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>"
    "</AssumeRoleResult></AssumeRoleResponse>"
)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (503, "ServiceUnavailable", TransientStorageError),
        (500, "InternalFailure", TransientStorageError),
        (400, "Throttling", TransientStorageError),
        (400, "IDPCommunicationError", TransientStorageError),
        (403, "AccessDenied", ConnectionConfigError),
        (403, "InvalidClientTokenId", ConnectionConfigError),
        (403, "SignatureDoesNotMatch", ConnectionConfigError),
        (400, "MalformedPolicyDocument", ConnectionConfigError),
        (403, "RegionDisabledException", ConnectionConfigError),
    ],
)
@pytest.mark.parametrize("method", ["assume_role", "assume_role_with_web_identity"])
async def test_a_role_that_is_not_given_is_final_only_if_it_is_refused(
    method: str, status: int, code: str, kind: type[LearnosityError], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("a token")
    async with hand_made(sts(status, refused(code))) as served:
        extra = {
            "role_arn": ROLE,
            "region_name": "eu-west-1",
            "assume_role_method": method,
            "assume_role_with_web_identity_federation": "file",
            "assume_role_with_web_identity_token_file": str(tmp_path / "token"),
            "assume_role_kwargs": {"RoleSessionName": "landing"} if method.endswith("identity") else {},
            "service_config": {"sts": {"endpoint_url": served.url}},
            "config_kwargs": ONCE,
        }
        define(monkeypatch, extra)
        with pytest.raises(kind, match=rf"connection 'lake'.*{code}") as caught:
            await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
    assert SECRET not in str(caught.value)


async def test_a_role_is_assumed_and_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hand_made(sts(200, ASSUMED)) as tokens, hand_made(s3_by_hand()) as served:
        services = {"sts": {"endpoint_url": tokens.url}, "s3": {"endpoint_url": served.url}}
        define(monkeypatch, {"role_arn": ROLE, "region_name": "eu-west-1", "service_config": services})
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        await store.put("a", b"")
        assert sent(served.asked[-1]).signer == "AKIAOFTHEROLE/eu-west-1/s3"
        assert len(tokens.asked) == 1


@pytest.mark.parametrize(
    ("login", "extra"),
    [
        (None, {"aws_access_key_id": KEY}),
        (None, {"aws_access_key_id": KEY, "aws_session_token": "token-of-the-connection"}),
        (KEY, {"aws_access_key_id": KEY}),
    ],
)
async def test_an_access_key_without_a_secret_is_told_as_that(
    login: str | None, extra: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    where = {"region_name": "us-east-1", "endpoint_url": "http://127.0.0.1:9"}
    define(monkeypatch, extra | where, login=login, password=None)
    store = await asyncio.to_thread(open_store, "s3://lake@bucket/p")
    with pytest.raises(ConnectionConfigError, match="'lake': its access key has no secret. Check login, password"):
        await store.put("x", b"x")


def test_a_token_service_that_nobody_reaches_is_worth_another_try(monkeypatch: pytest.MonkeyPatch) -> None:
    services = {"sts": {"endpoint_url": "http://127.0.0.1:1"}}
    define(monkeypatch, {"role_arn": ROLE, "region_name": "x", "service_config": services, "config_kwargs": ONCE})
    with pytest.raises(TransientStorageError, match="connection 'lake' for now"):
        open_store("s3://lake@bucket/folder")


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_metadata_service_that_fails_for_a_moment_is_worth_another_try(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hand_made(sts(status, "")) as served:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", served.url)
        define(monkeypatch, {"region_name": "eu-west-1"}, login=None, password=None)
        with pytest.raises(TransientStorageError, match="for now"):
            await asyncio.to_thread(open_store, "s3://lake@bucket/folder")


@pytest.mark.parametrize(("status", "kind"), [(500, TransientStorageError), (403, ConnectionConfigError)])
async def test_the_credentials_service_of_a_container_too(
    status: int, kind: type[LearnosityError], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hand_made(sts(status, "no")) as served:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{served.url}/credentials")
        define(monkeypatch, {"region_name": "eu-west-1"}, login=None, password=None)
        with pytest.raises(kind):
            await asyncio.to_thread(open_store, "s3://lake@bucket/folder")


@pytest.mark.parametrize(
    ("extra", "parts", "says"),
    [
        pytest.param({}, {"login": None, "password": None}, "NoCredentials", id="no credentials anywhere"),
        pytest.param({"profile_name": "nobody"}, {}, "nobody", id="unknown profile"),
        pytest.param("{", {}, "is not a JSON object", id="no JSON"),
        pytest.param("[]", {}, "is not a JSON object", id="a list"),
        pytest.param('"text"', {}, "is not a JSON object", id="a JSON text"),
        pytest.param(
            {"config_kwargs": '{"s3": {}}'}, {}, "`config_kwargs`.*JSON object.*not a text", id="config as text"
        ),
        pytest.param({"config_kwargs": {"s3": "path"}}, {}, "connection 'lake'", id="s3 as text"),
        pytest.param({"config_kwargs": {"unknown": 1}}, {}, "unknown", id="unknown setting"),
        pytest.param({"config_kwargs": {"s3": {"addressing_style": "odd"}}}, {}, "odd", id="unknown style"),
        pytest.param({"config_kwargs": {"retries": {"mode": "odd"}}}, {}, "odd", id="unknown mode"),
        pytest.param({"service_config": "text"}, {}, "`service_config`", id="service as text"),
        pytest.param({"service_config": {"s3": "text"}}, {}, "`service_config.s3`", id="S3 service as text"),
        pytest.param(
            {"service_config": {"s3": {"endpoint_url": 5}}}, {}, "endpoint_url`.* not a text", id="endpoint as number"
        ),
        pytest.param({"service_config": {"s3": {"extra_args": []}}}, {}, "extra_args", id="args as list"),
        pytest.param({"session_kwargs": "text"}, {}, "`session_kwargs`", id="session as text"),
        pytest.param({"assume_role_kwargs": "text", "role_arn": ROLE}, {}, "`assume_role_kwargs`", id="role as text"),
        pytest.param(
            {"role_arn": ROLE, "region_name": "x", "assume_role_kwargs": {"Odd": 1}}, {}, "Odd", id="unknown argument"
        ),
        pytest.param({"role_arn": "no arn", "region_name": "x"}, {}, "RoleArn", id="no ARN"),
        pytest.param({"role_arn": ROLE, "assume_role_method": "odd"}, {}, "odd", id="unknown method"),
        pytest.param(
            {"role_arn": ROLE, "service_config": {"sts": {"endpoint_url": "http://127.0.0.1:1"}}},
            {},
            "region",
            id="role without region",
        ),
        pytest.param(
            {"role_arn": ROLE, "assume_role_method": "assume_role_with_saml"}, {}, "saml", id="SAML without settings"
        ),
        pytest.param(
            {"role_arn": ROLE, "region_name": "x", "assume_role_method": "assume_role_with_web_identity"},
            {},
            "federation",
            id="web identity without federation",
        ),
        pytest.param(
            {
                "role_arn": ROLE,
                "region_name": "x",
                "assume_role_method": "assume_role_with_web_identity",
                "assume_role_with_web_identity_federation": "file",
                "assume_role_with_web_identity_token_file": "/not/there",
            },
            {},
            "/not/there",
            id="web identity without its file",
        ),
        pytest.param({"region_name": 5}, {}, "`region_name`", id="region as number"),
        pytest.param({"region_name": "eu west"}, {}, "eu west", id="region with a blank"),
        pytest.param({"endpoint_url": ["x"]}, {}, "`endpoint_url`", id="endpoint as list"),
        pytest.param({"verify": 3}, {}, "`verify`", id="verify as number"),
    ],
)
def test_a_connection_that_cannot_be_used_is_one_error_with_advice(
    extra: Any, parts: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    define(monkeypatch, extra, **parts)
    with pytest.raises(ConnectionConfigError, match=says) as caught:
        open_store("s3://lake@bucket/folder")
    text = str(caught.value)
    assert "'lake'" in text
    assert "\n" not in text
    assert SECRET not in text
