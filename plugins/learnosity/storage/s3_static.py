"""S3 connections with static keys and a plain address: what boto3 would say about them, without an import of boto3.

boto3 and Airflow's hook decide where requests go and who signs them. Importing them takes longer than the rest of a
short task. Most connections have a key, and an endpoint or a region: for these there is one possible answer, and it is
given here. In every other case, and wherever the environment or a file could change the answer, there is none here, and
boto3 is asked. `tests/component/storage/test_s3_static.py` compares each answer with the client of Airflow's hook.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from learnosity.storage.s3_address import S3Address

# Matches the name of an ordinary bucket that can be a part of a host name as it is, such as `my-bucket`. Does not match
# an alias of an access point (`…-s3alias`) or a directory bucket (`…--x-s3`): for these, boto3 is used.
_BUCKET = re.compile(r"(?!.*--)(?!.*-s3alias$)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
# Matches the name of a region of the AWS partition `aws`, such as `eu-west-1`. Does not match the regions of China and
# GovCloud: these belong to other partitions, with rules of their own for host names. For these, boto3 is used.
_REGION = re.compile(
    r"(?:af|ap|ca|eu|il|me|mx|sa|us)-(?:central|north|south|east|west|northeast|northwest|southeast|southwest)-[1-9]"
)
_ENDPOINT = re.compile(r"(https?)://([a-z0-9]+(?:[.-][a-z0-9]+)*)(?::([1-9][0-9]{1,4}))?/?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_KEY = re.compile(r"[!-~]+")
# Fields of the connection's extra that this module understands. If the extra has any other field, this module could
# give a wrong address or identity. So boto3 is used then.
_KNOWN = {"region_name", "endpoint_url", "verify", "aws_session_token", "service_config", "proxy", "proxies"}
# Environment variables of AWS that change nothing here. `AWS_CA_BUNDLE` names certificates to trust: `Egress` reads
# this variable itself, with or without boto3. All others are about where boto3 gets credentials from. They do not
# matter, because the connection has credentials: an access key and a secret.
_OF_IDENTITIES = {
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_EC2_METADATA_DISABLED", "AWS_STS_REGIONAL_ENDPOINTS",
    "AWS_CA_BUNDLE",
}  # fmt: skip
# Environment variables of AWS that change nothing if the connection names a region. Every other variable whose name
# begins with `AWS_` or `BOTO`, except those in `_OF_IDENTITIES`, may change something: if one is set, boto3 is used.
_OF_REGIONS = {"AWS_DEFAULT_REGION", "AWS_REGION"}


@dataclass(frozen=True, slots=True)
class StaticKeys:
    """Keys without an end. They stand where botocore's credentials stand, and are their own frozen form."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)

    def get_frozen_credentials(self) -> StaticKeys:
        """The keys."""
        return self


@dataclass(frozen=True, slots=True)
class StaticS3:
    """What a connection says about one bucket.

    :param verify: extra `verify`; None = not given.
    """

    address: S3Address
    keys: StaticKeys
    verify: bool | str | None


def static_s3(
    bucket: str,
    *,
    login: str | None,
    password: str | None,
    extra: Mapping[str, Any],
    environment: Mapping[str, str],
    home: Path,
) -> StaticS3 | None:
    """What the connection says about a bucket; None = boto3 has to be asked.

    :param extra: of the connection, checked.
    :param environment: the variables of this process.
    :param home: where the AWS tools look for their folder `.aws`.
    """
    region, endpoint = extra.get("region_name"), extra.get("endpoint_url")
    service = extra.get("service_config") or {}
    if set(service) - {"s3"} or not isinstance(s3 := service.get("s3") or {}, Mapping) or set(s3) - {"endpoint_url"}:
        return None
    endpoint = s3.get("endpoint_url", endpoint)
    token, verify = extra.get("aws_session_token"), extra.get("verify")
    if (
        set(extra) - _KNOWN
        or not (_BUCKET.fullmatch(bucket) and _KEY.fullmatch(login or "") and _KEY.fullmatch(password or ""))
        or not (token is None or _KEY.fullmatch(token))
        or not (region is None or _REGION.fullmatch(region))
        or verify == ""
        or _may_decide(environment, _OF_IDENTITIES | (_OF_REGIONS if region else set()))
        or (home / ".aws").exists()
    ):
        return None
    address = _of_aws(bucket, region) if endpoint is None else _of_endpoint(endpoint, region)
    return None if address is None else StaticS3(address, StaticKeys(str(login), str(password), token), verify)


def _may_decide(environment: Mapping[str, str], harmless: set[str]) -> bool:
    """Whether a variable may change what boto3 does. Its names begin with AWS_ or BOTO; new ones are not known here."""
    return any(name.upper().startswith(("AWS_", "BOTO")) and name not in harmless for name in environment)


def _of_aws(bucket: str, region: str | None) -> S3Address | None:
    if region is None:
        return None
    # For us-east-1, boto3 by default uses the old host name, which has no region. This function gives the same address.
    host = "s3.amazonaws.com" if region == "us-east-1" else f"s3.{region}.amazonaws.com"
    return S3Address(f"https://{bucket}.{host}", region, virtual=True, signed=True, slash=True)


def _of_endpoint(endpoint: str, region: str | None) -> S3Address | None:
    found = _ENDPOINT.fullmatch(endpoint)
    if found is None or "aws" in found[2] or found[3] == _DEFAULT_PORTS[found[1]]:
        return None
    return S3Address(endpoint.rstrip("/"), region or "us-east-1", virtual=False, signed=True, slash=False)
