"""Without boto3, a store says about a connection what the client of Airflow's hook says, or nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3  # type: ignore[import-untyped]
import pytest
from airflow.sdk import Connection
from hypothesis import given, settings
from hypothesis import strategies as st

from learnosity import s3_connection
from learnosity.s3_client import s3_client
from learnosity.storage.s3_address import address_of
from learnosity.storage.s3_static import StaticS3, static_s3
from learnosity.storage.uris import parse_uri

KEY, SECRET = "AKIAOFTHECONNECTION", "secret/of+the=connection"
NOWHERE = "/nonexistent"

# Connections as most people have them, and their buckets.
PLAIN: dict[str, tuple[str, dict[str, Any]]] = {
    "AWS": ("landing-zone", {"region_name": "eu-central-1"}),
    "AWS in Virginia": ("landing-zone", {"region_name": "us-east-1"}),
    "AWS with a token": ("landing-zone", {"region_name": "ap-southeast-2", "aws_session_token": "token"}),
    "MinIO": ("landing", {"endpoint_url": "http://minio:9000"}),
    "MinIO with a region": ("landing", {"endpoint_url": "https://minio.example:9000/", "region_name": "eu-west-1"}),
    "own authorities": ("landing", {"endpoint_url": "https://minio.example", "verify": "/etc/ssl/own.pem"}),
    "no authorities": ("landing", {"endpoint_url": "https://minio.example", "verify": False}),
    "endpoint of the service": ("landing", {"service_config": {"s3": {"endpoint_url": "http://127.0.0.1:9000"}}}),
    "address": ("landing", {"endpoint_url": "http://10.1.2.3:9000", "region_name": "us-east-1"}),
}

_REGIONS = [
    region
    for partition in boto3.Session().get_available_partitions()
    for region in boto3.Session().get_available_regions("s3", partition_name=partition)
]
_ODD_REGIONS = [
    "",
    "eu-west-9",
    "aws-global",
    "minio",
    "us-east-1-fips",
    "fips-us-east-1",
    "s3-external-1",
    "EU-WEST-1",
]
_ENDPOINTS = [
    "http://minio:9000", "https://minio.example", "https://minio.example:443", "http://minio.example:80", "",
    "https://s3.eu-west-1.amazonaws.com", "https://s3.amazonaws.com", "http://[::1]:9000", "http://10.0.0.1:9000/",
    "https://gateway.example/s3/", "HTTPS://Minio.example", "minio:9000", "https://landing.example",
    "https://bucket.vpce-1a.s3.eu-west-1.vpce.amazonaws.com", "http://user:pass@minio:9000", "https://s3.dualstack.example",
    "https://s3.eu-central-003.backblazeb2.com", "https://account.r2.cloudflarestorage.com", "https://x.digitaloceanspaces.com",
]  # fmt: skip
_BUCKETS = [
    "landing", "landing-zone", "abc", "ab", "with.dots", "Capitals", "under_score", "a--b", "zone--use1-az4--x-s3",
    "point-abcdefghijklmnopqrstuvwxyz12-s3alias", "-begins", "x" * 63, "x" * 64, "192-168-0-1", "s3",
]  # fmt: skip
_VARIABLES = {
    "AWS_ACCESS_KEY_ID": "AKIAOFTHEENVIRONMENT",
    "AWS_SECRET_ACCESS_KEY": "of-the-environment",
    "AWS_SESSION_TOKEN": "of-the-environment",
    "AWS_SECURITY_TOKEN": "of-the-environment",
    "AWS_DEFAULT_REGION": "ap-south-1",
    "AWS_REGION": "ap-south-1",
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/environment",
    "AWS_ROLE_SESSION_NAME": "environment",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/not/there",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN": "of-the-environment",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/not/there",
    "AWS_EC2_METADATA_DISABLED": "false",
    "AWS_STS_REGIONAL_ENDPOINTS": "legacy",
    "AWS_CA_BUNDLE": "/not/there.pem",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "regional",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_DEFAULTS_MODE": "standard",
    "AWS_OF_TOMORROW": "x",
}


def said(bucket: str, extra: Mapping[str, Any], environment: Mapping[str, str], home: str = NOWHERE) -> StaticS3 | None:
    return static_s3(bucket, login=KEY, password=SECRET, extra=extra, environment=environment, home=Path(home))


def of_the_hook(bucket: str, extra: Mapping[str, Any], environment: Mapping[str, str]) -> StaticS3:
    """The same from the client of Airflow's hook."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with patch.dict(os.environ, {**kept, "HOME": NOWHERE, **environment}, clear=True):
        client, session, verify = s3_client(
            Connection(conn_id="lake", conn_type="aws", login=KEY, password=SECRET, extra=json.dumps(extra))
        )
        keys = session.get_credentials().get_frozen_credentials()
        address = address_of(client, bucket)
    assert (keys.access_key, keys.secret_key, keys.token) == (KEY, SECRET, extra.get("aws_session_token"))
    found = said(bucket, extra, environment)
    assert found is not None
    return StaticS3(address, found.keys, verify)


@pytest.mark.parametrize("form", PLAIN)
def test_a_plain_connection_needs_no_boto3(form: str) -> None:
    bucket, extra = PLAIN[form]
    assert said(bucket, extra, {}) == of_the_hook(bucket, extra, {})


@given(
    region=st.none() | st.sampled_from(_REGIONS) | st.sampled_from(_ODD_REGIONS),
    endpoint=st.none() | st.sampled_from(_ENDPOINTS),
    of_service=st.none() | st.sampled_from(_ENDPOINTS),
    bucket=st.sampled_from(_BUCKETS),
    more=st.dictionaries(
        st.sampled_from(["aws_session_token", "verify", "proxy"]),
        st.sampled_from(["text", "/file.pem", "-"]),
        max_size=2,
    ),
    environment=st.dictionaries(st.sampled_from(sorted(_VARIABLES)), st.none(), max_size=2),
)
@settings(max_examples=80, deadline=None)
def test_an_answer_without_boto3_is_that_of_the_hooks_client(
    region: str | None,
    endpoint: str | None,
    of_service: str | None,
    bucket: str,
    more: dict[str, str],
    environment: dict[str, None],
) -> None:
    extra: dict[str, Any] = {"region_name": region, "endpoint_url": endpoint, **more}
    extra = {name: value for name, value in extra.items() if value is not None}
    if of_service is not None:
        extra["service_config"] = {"s3": {"endpoint_url": of_service}}
    variables = {name: _VARIABLES[name] for name in environment}
    answer = said(bucket, extra, variables)
    if answer is not None:
        assert answer == of_the_hook(bucket, extra, variables)


@pytest.mark.parametrize("region", _REGIONS[::4])
def test_the_regions_of_aws(region: str) -> None:
    answer = said("landing", {"region_name": region}, {})
    if answer is not None:
        assert answer == of_the_hook("landing", {"region_name": region}, {})
    else:
        assert not region.startswith(("eu-west", "us-east", "us-west", "ap-", "sa-", "ca-"))


@pytest.mark.parametrize(
    ("login", "password", "extra", "environment"),
    [
        pytest.param(None, None, {}, {}, id="no key"),
        pytest.param(KEY, "", {}, {}, id="half a key"),
        pytest.param(KEY, "with space", {}, {}, id="an odd key"),
        pytest.param(KEY, SECRET, {"role_arn": "arn:aws:iam::123456789012:role/x"}, {}, id="a role"),
        pytest.param(KEY, SECRET, {"profile_name": "x"}, {}, id="a profile"),
        pytest.param(KEY, SECRET, {"config_kwargs": {}}, {}, id="settings of the client"),
        pytest.param(KEY, SECRET, {"session_kwargs": {}}, {}, id="settings of the session"),
        pytest.param(KEY, SECRET, {"service_config": {"sts": {}}}, {}, id="another service"),
        pytest.param(KEY, SECRET, {"service_config": {"s3": {"extra_args": {}}}}, {}, id="settings of each object"),
        pytest.param(KEY, SECRET, {"of_tomorrow": 1}, {}, id="an unknown field"),
        pytest.param(KEY, SECRET, {}, {"AWS_OF_TOMORROW": "1"}, id="an unknown variable"),
        pytest.param(KEY, SECRET, {}, {"AWS_PROFILE": "x"}, id="a profile of the environment"),
        pytest.param(KEY, SECRET, {}, {"BOTO_CONFIG": "x"}, id="another file of settings"),
    ],
)
def test_what_could_change_the_answer_is_left_to_boto3(
    login: str | None, password: str | None, extra: dict[str, Any], environment: dict[str, str]
) -> None:
    plain: dict[str, Any] = {"region_name": "eu-west-1"}
    assert said("landing", plain, {}) is not None
    given: dict[str, Any] = {"login": login, "password": password, "extra": plain | extra, "environment": environment}
    assert static_s3("landing", home=Path(NOWHERE), **given) is None


def test_files_of_the_aws_tools_are_left_to_boto3(tmp_path: Path) -> None:
    plain = {"region_name": "eu-west-1"}
    assert said("landing", plain, {}, str(tmp_path)) is not None
    (tmp_path / ".aws").mkdir()
    assert said("landing", plain, {}, str(tmp_path)) is None


def test_a_session_factory_of_the_deployment_is_left_to_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"region_name": "eu-west-1"}
    lake = Connection(conn_id="lake", conn_type="aws", login=KEY, password=SECRET, extra=json.dumps(extra))
    where = parse_uri("s3://lake@landing/folder")
    monkeypatch.setenv("HOME", NOWHERE)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    assert s3_connection._static(where, lake, extra) is not None
    monkeypatch.setenv("AIRFLOW__AWS__SESSION_FACTORY", "deployment.Factory")
    assert s3_connection._static(where, lake, extra) is None


def test_keys_are_not_shown() -> None:
    answer = said("landing", {"region_name": "eu-west-1", "aws_session_token": "of-the-session"}, {})
    assert answer is not None
    assert SECRET not in repr(answer)
    assert "of-the-session" not in repr(answer)


PROGRAM = """
import os, sys
from learnosity.connections import open_store
open_store(sys.argv[1])
print(sorted({name.split(".")[0] for name in sys.modules} & {"boto3", "botocore"}))
"""


@pytest.mark.parametrize("form", ["AWS", "MinIO", "MinIO with a region"])
def test_a_store_with_a_plain_connection_opens_without_boto3(form: str, tmp_path: Path) -> None:
    bucket, extra = PLAIN[form]
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    connection = {"conn_type": "aws", "login": KEY, "password": SECRET, "extra": extra}
    environment = {**own, "HOME": str(tmp_path), "AIRFLOW_CONN_LAKE": json.dumps(connection)}
    command = [sys.executable, "-c", PROGRAM, f"s3://lake@{bucket}/folder"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "[]"
