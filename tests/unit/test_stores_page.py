"""docs/stores.md says of each field of a connection what landing does with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from airflow.providers.google.common.hooks import base_google
from airflow.providers.microsoft.azure.hooks import data_lake, wasb
from boto3.s3.transfer import S3Transfer  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]

from learnosity import azure_connection, gcs_connection
from learnosity.errors import ConnectionConfigError
from learnosity.s3_connection import UNUSED_OF_CONFIG, USED
from learnosity.storage.s3_writes import s3_writes

PAGE = (Path(__file__).parents[2] / "docs" / "stores.md").read_text()
# Arguments that boto3 computes for each upload. Nobody can set them for all uploads, so the page does not name them.
COMPUTED = re.compile(r"Checksum(?!Algorithm).+|MpuObjectSize")


def rows(heading: str, section: str = "Amazon S3") -> dict[str, str]:
    """The names in the first column of a table, with what is said of them."""
    text = PAGE.partition(f"## {section}")[2].partition("\n## ")[0]
    table = text.rpartition(f"\n| {heading} |")[2].partition("\n\n")[0]
    found: dict[str, str] = {}
    for line in table.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            names, said = line.strip("| ").split(" | ", 1)
            found |= dict.fromkeys(re.findall(r"[\w.-]+", re.sub(r"\(.*?\)", "", names)), said)
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


def read_by(*modules: object) -> set[str]:
    """The fields of the extra that Airflow's hooks read."""
    text = "".join(Path(str(getattr(module, "__file__", ""))).read_text() for module in modules)
    return set(re.findall(r"""(?:_get_field\(|extra\.(?:get|pop)\()(?:extra, ?)?["'](\w+)["']""", text))


def test_each_field_of_a_google_connection_is_on_the_page() -> None:
    named = rows("field", "Google Cloud Storage").keys() - {"none", "of", "these"}
    assert named == {*gcs_connection._USED, *gcs_connection._UNUSED}
    assert len(read_by(base_google)) > 10
    assert read_by(base_google) <= named


def test_each_field_of_an_azure_connection_is_on_the_page_and_refused_if_it_says_so() -> None:
    said = rows("field", "Azure Blob Storage")
    words = {"none", "of", "these", "other", "options", "Azure", "s", "client"}
    unused = {name for name, text in said.items() if "not used, with a warning" in text} - words
    assert said.keys() - unused - words - {"host", "login", "password", "schema", "port"} == {
        *azure_connection._USED,
        *azure_connection._REFUSED,
    }
    assert {name for name, text in said.items() if text.startswith("refused")} == set(azure_connection._REFUSED)
    assert len(read_by(wasb, data_lake)) > 6
    assert read_by(wasb, data_lake) <= said.keys()
