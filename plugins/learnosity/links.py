"""Links from a task to what it made: pages in this Airflow, and the folder in the console of its cloud.

A link is made from the XCom that the task returned. No link contains a secret: a page asks for the login of Airflow,
and a console asks for the login of the cloud.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink, conf
from airflow.sdk.execution_time.xcom import XCom

from learnosity.errors import LearnosityError, StorageError
from learnosity.storage.uris import GCS_SCHEMES, S3_SCHEMES, StorageUri, parse_uri

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


# Environment variables that give boto3 (S3) and Google's client (GCS) the address of another server than that of AWS or
# Google Cloud. Such a server has no cloud console. So if one of the S3 variables is set, `StorageConsoleLink` gives no
# link for a bucket of S3, and if one of the GCS variables is set, none for a bucket of GCS.
_S3_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_GCS_VARIABLES = ("STORAGE_EMULATOR_HOST", "API_ENDPOINT_OVERRIDE")
# Environment variables that name the AWS region. They are used if the connection names no region.
_REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
# Keys: how the name of an AWS region begins, such as "cn-" for the region `cn-north-1`. Values: the host of the console
# for these regions; "" = no link is given. The first key that fits counts. The last key, "", fits every other region.
_AWS_CONSOLES = {
    "cn-": "console.amazonaws.cn",
    "us-gov-": "console.amazonaws-us-gov.com",
    "us-iso": "",
    "eu-iso": "",
    "eusc-": "",
    "": "s3.console.aws.amazon.com",
}


class DatasetLink(BaseOperatorLink):
    """The page of the dataset.

    It is the page itself, not the tab of the run: Airflow shows the tab only to users who may read plugins.
    """

    name = "Dataset"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Address of the page; the page of the run, where the task has published no dataset (yet)."""
        try:
            returned = _returned(ti_key)
        # Any error is caught, because each XCom backend raises its own errors. Then the link goes to the page of the
        # run, which also leads to the dataset.
        except Exception:
            returned = {}
        return _page(ti_key, returned) if returned.get("manifest_uri") else _run_page(ti_key)


class ReportLink(BaseOperatorLink):
    """The report that the Reports API shows."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Address of the report; empty before the task has run, and for types without a report."""
        from learnosity.api.report_definition import has_report

        returned = _returned(ti_key)
        return f"{_page(ti_key, returned)}/report" if has_report(str(returned.get("dataset_type", ""))) else ""


class ManifestLink(BaseOperatorLink):
    """The manifest of the published dataset."""

    name = "Manifest"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Address of the manifest; empty before the task has run."""
        returned = _returned(ti_key)
        return f"{_page(ti_key, returned)}/manifest.json" if returned.get("manifest_uri") else ""


class StorageConsoleLink(BaseOperatorLink):
    """The dataset's folder in the web console of its cloud."""

    name = "Storage console"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Address of the folder; empty for a store whose console is not known here."""
        returned = _returned(ti_key)
        manifest, destination = str(returned.get("manifest_uri", "")), str(returned.get("destination_uri", ""))
        try:
            folder, store = parse_uri(manifest.removesuffix("/manifest.json")), parse_uri(destination)
        except StorageError:
            return ""
        extra = _extra_in_cloud(store)
        if extra is None:
            return ""
        named = (str(os.environ.get(name) or "") for name in _REGION_VARIABLES)
        return console_url(folder, str(extra.get("region_name") or next(filter(None, named), "")))


def console_url(folder: StorageUri, region: str = "") -> str:
    """Address of a folder in the console of its cloud; empty for stores without a console.

    :param region: the AWS region of the bucket: China, GovCloud and others have consoles of their own; "" = not known.
    """
    bucket, key = quote(folder.bucket, safe=""), quote(f"{folder.key}/", safe="/")
    if folder.scheme in S3_SCHEMES:
        console = next((host for begin, host in _AWS_CONSOLES.items() if region.startswith(begin)), "")
        return f"https://{console}/s3/buckets/{bucket}?prefix={key}" if console else ""
    if folder.scheme in GCS_SCHEMES:
        return f"https://console.cloud.google.com/storage/browser/{bucket}/{key}"
    return ""


def _extra_in_cloud(store: StorageUri) -> Mapping[str, Any] | None:
    """The extra of the bucket's connection; empty = it has none.

    None = the bucket is not in the cloud of its URI scheme, or that is not known: for example, `s3://` may be a server
    outside AWS.
    """
    s3 = store.scheme in S3_SCHEMES
    if any(os.environ.get(name) for name in (_S3_VARIABLES if s3 else _GCS_VARIABLES)):
        return None
    if store.conn_id is None:
        return {}
    from learnosity.lookups import find_connection
    from learnosity.store_options import extra_of, gcs_endpoint, s3_endpoint

    try:
        connection = find_connection(store.conn_id)
        extra = extra_of(connection)
        elsewhere = connection is None or bool(s3_endpoint(extra) if s3 else gcs_endpoint(extra))
    except (LearnosityError, AttributeError):
        return None
    return None if elsewhere else extra


def _run_page(ti_key: TaskInstanceKey) -> str:
    airflow = str(conf.get("api", "base_url", fallback="")).rstrip("/")
    return f"{airflow}/learnosity/run/{quote(ti_key.dag_id, safe='')}/{quote(ti_key.run_id, safe='')}"


def _page(ti_key: TaskInstanceKey, published: Mapping[str, Any]) -> str:
    """Address of the page of a published dataset: a run may have several, also two types with one id."""
    name = f"{published['dataset_type']}:{published['dataset_id']}"
    return f"{_run_page(ti_key)}/dataset/{quote(name, safe=':')}"


def _returned(ti_key: TaskInstanceKey) -> dict[str, Any]:
    value = XCom.get_one(
        key="return_value",
        dag_id=ti_key.dag_id,
        task_id=ti_key.task_id,
        run_id=ti_key.run_id,
        map_index=ti_key.map_index,
    )
    return value if isinstance(value, dict) else {}
