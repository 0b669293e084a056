"""The report of a dataset: what it shows, and that its signature is the one that Learnosity checks."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.api.config import Credentials
from learnosity.api.report_definition import has_report, report_definition
from learnosity.api.signing import sign_report
from simulator.config import SimulatorConfig
from simulator.errors import ApiError
from simulator.security import authenticate

KEYS = Credentials("AAAABBBBCCCCDDDD", "0123456789abcdef0123456789abcdef01234567", "localhost")
NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
REQUEST: dict[str, Any] = {
    "dataset_id": "33285a4b-0e6e-47e4-bade-78999ada14db",
    "dataset_type": "activity-summary-by-group",
    "options": {
        "fields": ["population", "p25_percent", "median_percent", "p75_percent"],
        "user_fields": ["score"],
    },
    "groups": [{"key": "district", "label": "District"}, {"key": "school", "label": "School"}],
}


def defined(request: dict[str, Any], **options: Any) -> dict[str, Any]:
    return report_definition("activity-summary-by-group", "33285a4b-0e6e-47e4-bade-78999ada14db", request, **options)


def authenticated(signed: dict[str, Any], at: datetime) -> None:
    """Check a signed request as the Reports API does: over the text that the browser sends."""
    request = json.dumps(signed["request"], separators=(",", ":"), ensure_ascii=False)
    authenticate(json.dumps(signed["security"]), request, None, SimulatorConfig(), at.timestamp())


def test_columns_are_the_fields_that_were_asked_for_and_a_box_plot_of_the_quartiles() -> None:
    report = defined(REQUEST, element_id="report")
    assert [(column["type"], column.get("field")) for column in report["columns"]] == [
        ("group_name", None),
        ("numeric", "population"),
        ("numeric", "p25_percent"),
        ("numeric", "median_percent"),
        ("numeric", "p75_percent"),
        ("1d_plot", None),
    ]
    box = report["columns"][-1]["elements"][0]
    assert (box["min"], box["middle"], box["max"]) == ("p25_percent", "median_percent", "p75_percent")
    assert report["columns"][0]["label"] == "District"
    assert [column["type"] for column in report["user_columns"]] == ["user_id", "numeric"]
    assert (report["type"], report["dataset_id"]) == (REQUEST["dataset_type"], REQUEST["dataset_id"])


def test_a_report_that_begins_further_down_names_its_level() -> None:
    report = defined(REQUEST, element_id="report", group_path=["north"])
    assert report["group_path"] == ["north"]
    assert report["columns"][0]["label"] == "School"


def test_without_fields_the_report_decides_on_its_columns() -> None:
    report = defined({**REQUEST, "options": {}}, element_id="report")
    assert "columns" not in report
    assert "user_columns" not in report


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"dataset_id": "of-somebody-else", "dataset_type": "sessions-summary-by-group"}, id="names"),
        pytest.param({"options": [], "groups": {"0": 1}}, id="shapes"),
        pytest.param({"options": {"fields": {"a": 1}, "user_fields": "score"}, "groups": "ab"}, id="texts"),
        pytest.param({"options": {"fields": ["<b>", "a" * 61, "../x", "", 7, None]}}, id="fields"),
        pytest.param({"groups": [{"label": {"a": 1}, "key": ["b"]}], "options": None}, id="labels"),
        pytest.param({"groups": [{"label": "x" * 5000}], "options": {"fields": ["a"] * 5000}}, id="sizes"),
    ],
)
def test_nothing_of_the_request_decides_which_dataset_is_signed(odd: dict[str, Any]) -> None:
    report = defined(odd, element_id="report")
    assert (report["type"], report["dataset_id"]) == (REQUEST["dataset_type"], REQUEST["dataset_id"])
    assert len(json.dumps(report)) < 10_000
    for column in report.get("columns", []):
        assert isinstance(column["label"], str)
        assert column.get("field", "a").isidentifier()


def test_only_group_types_have_a_report() -> None:
    assert has_report("sessions-summary-by-group")
    assert not has_report("ibk-analysis-by-question")
    assert not has_report("something-new")


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20) | st.integers() | st.booleans(), max_size=4))
def test_the_signature_holds_for_any_report(extra: dict[str, Any]) -> None:
    report = {**defined(REQUEST, element_id="report"), **extra}
    signed = sign_report(KEYS, report, domain="localhost", now=NOW)
    authenticated(signed, NOW)
    assert KEYS.consumer_secret not in json.dumps(signed)
    assert signed["request"]["reports"] == [report]


def test_a_signature_runs_out_after_fifteen_minutes() -> None:
    signed = sign_report(KEYS, defined(REQUEST, element_id="report"), domain="localhost", now=NOW)
    authenticated(signed, datetime(2026, 11, 24, 3, 15, tzinfo=UTC))
    with pytest.raises(ApiError) as refused:
        authenticated(signed, datetime(2026, 11, 24, 3, 16, tzinfo=UTC))
    assert refused.value.code == 41007


def test_a_report_that_was_changed_after_signing_is_refused() -> None:
    signed = sign_report(KEYS, defined(REQUEST, element_id="report"), domain="localhost", now=NOW)
    signed["request"]["reports"][0]["dataset_id"] = "another"
    with pytest.raises(ApiError) as refused:
        authenticated(signed, NOW)
    assert refused.value.code == 41003
