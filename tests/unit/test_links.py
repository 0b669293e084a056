"""Links on tasks: where they lead, and when there is nothing to lead to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from airflow.sdk import BaseOperator
from airflow.sdk.types import TaskInstanceKey

from learnosity import links
from learnosity.operators import LearnosityCreateDatasetOperator, LearnosityPublishOperator
from learnosity.storage.uris import parse_uri

KEY = TaskInstanceKey("learnosity_dataset", "land.publish", "manual__2026-11-24T03:00:00+00:00", 1, -1)
PAGE = "https://airflow.example.com/learnosity/run/learnosity_dataset/manual__2026-11-24T03%3A00%3A00%2B00%3A00"
PUBLISHED = {
    "dataset_id": "33285a4b-0e6e-47e4-bade-78999ada14db",
    "dataset_type": "activity-summary-by-group",
    "manifest_uri": "s3://bucket/datasets/activity-summary-by-group/33285a4b/manifest.json",
    "destination_uri": "s3://bucket/datasets",
}


@dataclass
class Returned:
    """What the task has returned; None before it has run."""

    value: Any = None

    def link(self, link: Any) -> str:
        return str(link.get_link(BaseOperator(task_id="any"), ti_key=KEY))


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Returned:
    returned = Returned()
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/")
    monkeypatch.setattr("learnosity.links.XCom.get_one", lambda **kwargs: returned.value)
    return returned


NAMED = f"{PAGE}/dataset/activity-summary-by-group:33285a4b-0e6e-47e4-bade-78999ada14db"
NOT_PUBLISHED = [None, "text", {}, {"dataset_id": PUBLISHED["dataset_id"], "dataset_type": PUBLISHED["dataset_type"]}]


@pytest.mark.parametrize("value", NOT_PUBLISHED)
def test_without_a_publication_the_dataset_link_leads_to_the_page_of_the_run(task: Returned, value: Any) -> None:
    task.value = value
    assert task.link(links.DatasetLink()) == PAGE


def test_an_xcom_that_cannot_be_read_leaves_the_link_to_the_page_of_the_run(
    task: Returned, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**kwargs: Any) -> Any:
        raise FileNotFoundError

    monkeypatch.setattr("learnosity.links.XCom.get_one", fail)
    assert task.link(links.DatasetLink()) == PAGE


@pytest.mark.parametrize("base", ["https://airflow.example.com", "https://example.com/airflow/"])
def test_no_link_needs_the_right_to_read_plugins(task: Returned, monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base)
    task.value = PUBLISHED
    operators = (LearnosityCreateDatasetOperator, LearnosityPublishOperator)
    addresses = [task.link(link) for operator in operators for link in operator.operator_extra_links]
    own = f"{base.rstrip('/')}/learnosity/run/learnosity_dataset/"
    assert [address for address in addresses if not address.startswith((own, "https://s3.console.aws."))] == []


@pytest.mark.parametrize(
    ("link", "page"), [(links.DatasetLink, ""), (links.ReportLink, "/report"), (links.ManifestLink, "/manifest.json")]
)
def test_each_link_of_a_published_dataset_names_its_type_and_id(task: Returned, link: Any, page: str) -> None:
    assert task.link(link()) == (PAGE if link is links.DatasetLink else "")
    task.value = PUBLISHED
    assert task.link(link()) == NAMED + page
    task.value = {**PUBLISHED, "dataset_type": "sessions-summary-by-group", "dataset_id": "a b/c"}
    if link is not links.ReportLink:
        assert task.link(link()) == f"{PAGE}/dataset/sessions-summary-by-group:a%20b%2Fc{page}"


def test_a_type_without_a_report_has_no_report_link(task: Returned) -> None:
    task.value = {**PUBLISHED, "dataset_type": "ibk-analysis-by-question"}
    assert task.link(links.ReportLink()) == ""


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://bucket/a b/c", "https://s3.console.aws.amazon.com/s3/buckets/bucket?prefix=a%20b/c/"),
        ("gs://bucket/a", "https://console.cloud.google.com/storage/browser/bucket/a/"),
        ("file:///data/a", ""),
    ],
)
def test_each_cloud_has_its_console(uri: str, expected: str) -> None:
    assert links.console_url(parse_uri(uri)) == expected


PARTITIONS = [
    ("", "s3.console.aws.amazon.com"),
    ("eu-west-1", "s3.console.aws.amazon.com"),
    ("us-east-1", "s3.console.aws.amazon.com"),
    ("ca-central-1", "s3.console.aws.amazon.com"),
    ("cn-north-1", "console.amazonaws.cn"),
    ("cn-northwest-1", "console.amazonaws.cn"),
    ("us-gov-west-1", "console.amazonaws-us-gov.com"),
    ("us-gov-east-1", "console.amazonaws-us-gov.com"),
    ("us-iso-east-1", ""),
    ("us-isob-east-1", ""),
    ("eu-isoe-west-1", ""),
    ("eusc-de-east-1", ""),
]


@pytest.mark.parametrize(("region", "console"), PARTITIONS)
@pytest.mark.parametrize("given", ["connection", "AWS_REGION", "AWS_DEFAULT_REGION"])
def test_each_part_of_aws_has_its_console(
    task: Returned, monkeypatch: pytest.MonkeyPatch, region: str, console: str, given: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    extra = {"region_name": region} if given == "connection" else {}
    if given != "connection":
        monkeypatch.setenv(given, region)
    monkeypatch.setenv("AIRFLOW_CONN_OWN", json.dumps({"conn_type": "aws", "extra": extra}))
    for place in ("s3://own@bucket/datasets", *(["s3://bucket/datasets"] if given != "connection" else [])):
        task.value = {**PUBLISHED, "destination_uri": place}
        link = task.link(links.StorageConsoleLink())
        assert link.startswith(f"https://{console}/s3/buckets/bucket?prefix=datasets/") if console else link == ""


def test_the_region_of_the_connection_comes_before_that_of_the_environment(
    task: Returned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "cn-north-1")
    monkeypatch.setenv("AIRFLOW_CONN_OWN", json.dumps({"conn_type": "aws", "extra": {"region_name": "eu-west-1"}}))
    task.value = {**PUBLISHED, "destination_uri": "s3://own@bucket/datasets"}
    assert task.link(links.StorageConsoleLink()).startswith("https://s3.console.aws.amazon.com/")


def test_a_store_of_ones_own_has_no_cloud_console(task: Returned, monkeypatch: pytest.MonkeyPatch) -> None:
    task.value = PUBLISHED
    assert "datasets/activity-summary-by-group/33285a4b/" in task.link(links.StorageConsoleLink())
    monkeypatch.setenv("AIRFLOW_CONN_OWN", '{"conn_type": "aws", "extra": {"endpoint_url": "https://s3.local"}}')
    task.value = {**PUBLISHED, "destination_uri": "s3://own@bucket/datasets"}
    assert task.link(links.StorageConsoleLink()) == ""


ELSEWHERE: list[tuple[str, dict[str, Any], dict[str, str], bool]] = [
    ("s3", {}, {}, False),
    ("s3", {"region_name": "eu-west-1", "service_config": {"s3": {"extra_args": {}}}}, {}, False),
    ("s3", {"endpoint_url": ""}, {}, False),
    ("s3", {"endpoint_url": "https://s3.local"}, {}, True),
    ("s3", {"service_config": {"s3": {"endpoint_url": "https://s3.local"}}}, {}, True),
    ("s3", {"service_config": {"sts": {"endpoint_url": "https://sts.local"}}}, {}, False),
    ("s3", {"service_config": "none"}, {}, True),
    ("s3", {}, {"AWS_ENDPOINT_URL": "https://s3.local"}, True),
    ("s3", {}, {"AWS_ENDPOINT_URL_S3": "https://s3.local"}, True),
    ("gs", {}, {}, False),
    ("gs", {"project": "p"}, {"AWS_ENDPOINT_URL": "https://s3.local"}, False),
    ("gs", {"endpoint_url": "https://gcs.local"}, {}, True),
    ("gs", {"gcs.endpoint": "https://gcs.local"}, {}, True),
    ("gs", {"extra__google_cloud_platform__endpoint_url": "https://gcs.local"}, {}, True),
    ("gs", {}, {"STORAGE_EMULATOR_HOST": "http://gcs.local"}, True),
]


@pytest.mark.parametrize("conn_id", ["own", ""])
@pytest.mark.parametrize(("scheme", "extra", "environment", "elsewhere"), ELSEWHERE)
def test_a_store_elsewhere_has_no_cloud_console_however_its_address_is_given(
    task: Returned,
    monkeypatch: pytest.MonkeyPatch,
    conn_id: str,
    scheme: str,
    extra: dict[str, Any],
    environment: dict[str, str],
    elsewhere: bool,
) -> None:
    kind = {"s3": "aws", "gs": "google_cloud_platform"}[scheme]
    monkeypatch.setenv("AIRFLOW_CONN_OWN", json.dumps({"conn_type": kind, "extra": extra}))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    place = f"{scheme}://{f'{conn_id}@' if conn_id else ''}bucket/datasets"
    task.value = {**PUBLISHED, "destination_uri": place, "manifest_uri": f"{scheme}://bucket/datasets/a/manifest.json"}
    assert (task.link(links.StorageConsoleLink()) == "") == (elsewhere if conn_id or environment else False)


def test_tasks_carry_the_links() -> None:
    assert [link.name for link in LearnosityCreateDatasetOperator.operator_extra_links] == ["Dataset"]
    names = [link.name for link in LearnosityPublishOperator.operator_extra_links]
    assert names == ["Dataset", "Report", "Manifest", "Storage console"]
