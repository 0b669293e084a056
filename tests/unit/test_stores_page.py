"""docs/stores.md says of each field of an aws connection what landing does with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from boto3.s3.transfer import S3Transfer  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]

from learnosity.errors import ConnectionConfigError
from learnosity.s3_connection import UNUSED_OF_CONFIG, USED
from learnosity.storage.s3_writes import s3_writes

PAGE = (Path(__file__).parents[2] / "docs" / "stores.md").read_text()
SECTION = PAGE.partition("## Amazon S3")[2].partition("\n## ")[0]
# What a request computes for its own body, and not a person.
COMPUTED = re.compile(r"Checksum(?!Algorithm).+|MpuObjectSize")


def rows(heading: str) -> dict[str, str]:
    """The names in the first column of a table, with what is said of them."""
    table = SECTION.rpartition(f"\n| {heading} |")[2].partition("\n\n")[0]
    found: dict[str, str] = {}
    for line in table.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            names, said = line.strip("| ").split(" | ", 1)
            found |= dict.fromkeys(re.findall(r"[A-Za-z_0-9]+", re.sub(r"\(.*?\)", "", names)), said)
    return found


def test_each_field_that_is_used_is_on_the_page_and_no_other() -> None:
    named = rows("field").keys() - {"any", "other"}
    assert named == {*USED, "login", "password", "host", "port", "schema"}


def test_each_setting_of_botocore_is_on_the_page() -> None:
    said = rows("`config_kwargs`")
    assert said.keys() == set(Config.OPTION_DEFAULTS)
    assert {name for name, text in said.items() if "A warning names them" in text} == set(UNUSED_OF_CONFIG)


def test_each_argument_of_boto3s_uploads_is_on_the_page_and_does_what_it_says() -> None:
    said = rows("`extra_args`")
    allowed = {name for name in S3Transfer.ALLOWED_UPLOAD_ARGS if not COMPUTED.fullmatch(name)}
    assert said.keys() == {*allowed, "BucketKeyEnabled"}
    values = {"BucketKeyEnabled": True, "Metadata": {}, "RequestPayer": "requester", "ChecksumAlgorithm": "SHA256"}
    for name, text in said.items():
        if text == "refused":
            with pytest.raises(ConnectionConfigError, match=name):
                s3_writes({name: "x"}, {}, "it")
        else:
            writes = s3_writes({"ServerSideEncryption": "aws:kms", name: values.get(name, "aws:kms")}, {}, "it")
            assert writes.by_boto3 is text.startswith("boto3 writes"), name
