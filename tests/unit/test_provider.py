"""What Airflow is told of this package, checked by Airflow's own rules."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

from learnosity.api.config import build_config
from learnosity.hooks import LearnosityHook
from learnosity.provider import get_provider_info

FIELDS = get_provider_info()["connection-types"][0]["conn-fields"]


def test_the_description_is_valid_by_airflows_own_schema() -> None:
    schema = json.loads((files("airflow") / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_the_package_announces_itself_where_airflow_looks() -> None:
    (found,) = entry_points(group="apache_airflow_provider", name="provider_info").select(module="learnosity.provider")
    assert found.load()() == get_provider_info()


def test_airflow_lists_the_hook_and_its_connection_type() -> None:
    hook = ProvidersManagerTaskRuntime().hooks["learnosity"]
    assert hook is not None
    assert hook.hook_class_name == "learnosity.hooks.LearnosityHook"
    assert (hook.hook_name, hook.connection_type) == ("Learnosity", LearnosityHook.conn_type)


def test_the_form_has_labels_of_its_own() -> None:
    behaviour = get_provider_info()["connection-types"][0]["ui-field-behaviour"]
    assert behaviour["relabeling"]["login"] == "Consumer key"
    assert behaviour["relabeling"]["password"] == "Consumer secret"
    assert "443" in behaviour["relabeling"]["port"]
    assert behaviour["placeholders"]["port"].startswith("443")
    urls = {"region", "reports_url", "allow_http"}
    assert set(FIELDS) == {"version", "domain", "organisation_id", "results", "input_check"} | urls


@pytest.mark.parametrize(
    ("field", "value", "attribute"),
    [
        ("version", "v2025.3.LTS", "version"),
        ("organisation_id", 505, "organisation_id"),
        ("input_check", "json", "input_check"),
        ("reports_url", "https://reports-ie.learnosity.com", "reports_url"),
    ],
)
def test_what_is_put_into_a_field_of_the_form_is_what_the_hook_reads(field: str, value: Any, attribute: str) -> None:
    assert field in FIELDS
    assert getattr(build_config("c", login="k" * 16, password="s" * 40, extra={field: value}), attribute) == value


def test_a_form_that_was_left_empty_is_a_usable_connection() -> None:
    assert build_config("c", login="k" * 16, password="s" * 40, extra=dict.fromkeys(FIELDS)) == build_config(
        "c", login="k" * 16, password="s" * 40
    )
