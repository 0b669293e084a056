"""The list of egress on docs/security.md has each host that the package, or a client below it, calls by itself."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import urlsplit

import boto3  # type: ignore[import-untyped]
import pytest

from learnosity.api.defaults import DEFAULT_BASE_URL, DEFAULT_REPORTS_URL, REGIONS
from learnosity.azure_address import BLOB_HOST
from learnosity.storage.s3_address import address_of

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "security.md").read_text()
TABLE = PAGE.partition("* Egress")[2].partition("\n## ")[0]
LISTED = [re.sub(r"<\w+>", "*", each) for each in re.findall(r"`([a-z0-9*<>.-]+\.(?:com|net))`", TABLE)]
AWS_REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2")


def aws_hosts() -> set[str]:
    """Where boto3 sends what is for S3 and for its token service; a bucket with a dot has no certificate of its own."""
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b")
    found = set()
    for region in AWS_REGIONS:
        found.add(session.client("sts", region_name=region).meta.endpoint_url)
        s3 = session.client("s3", region_name=region)
        found |= {address_of(s3, bucket).endpoint for bucket in ("bucket", "bucket.with.dots")}
    return found


def google_and_azure_hosts() -> set[str]:
    from azure.identity import AzureAuthorityHosts
    from google.auth.external_account import _CLOUD_RESOURCE_MANAGER
    from google.auth.iam import _IAM_SIGN_ENDPOINT
    from google.cloud.secretmanager import SecretManagerServiceClient
    from google.cloud.storage._http import Connection  # type: ignore[import-untyped]
    from google.oauth2.credentials import _GOOGLE_OAUTH2_TOKEN_ENDPOINT

    federation = {
        _CLOUD_RESOURCE_MANAGER.format(universe_domain="googleapis.com"),
        "https://sts.googleapis.com/v1/token",
    }
    google = {_IAM_SIGN_ENDPOINT, Connection.DEFAULT_API_ENDPOINT, _GOOGLE_OAUTH2_TOKEN_ENDPOINT}
    names = (SecretManagerServiceClient.DEFAULT_ENDPOINT, AzureAuthorityHosts.AZURE_PUBLIC_CLOUD)
    return google | federation | {f"https://{name}" for name in (*names, f"account.{BLOB_HOST}")}


def learnosity_hosts() -> set[str]:
    return {DEFAULT_BASE_URL, DEFAULT_REPORTS_URL, *(f"https://data-{each}.learnosity.com" for each in REGIONS)}


def test_every_host_that_is_called_without_being_named_by_a_connection_is_listed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    called = {str(urlsplit(url).hostname) for url in learnosity_hosts() | aws_hosts() | google_and_azure_hosts()}
    assert len(called) > 20
    assert sorted(host for host in called if not any(fnmatch(host, each) for each in LISTED)) == []


def test_the_list_would_not_take_any_host() -> None:
    assert len(LISTED) >= 12
    assert not any(fnmatch("example.com", each) for each in LISTED)
