"""What SET reports/datasets accepts."""

from __future__ import annotations

import copy
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import SimulatorConfig
from simulator.errors import ApiError
from simulator.validation import DATASET_TYPES, validate

SUMMARY: dict[str, Any] = {
    "dataset_id": "A951CC14-0316-4C12-BB13-1F386338A094",
    "dataset_type": "activity-summary-by-group",
    "file_count": 1,
    "filters": {"activity_id": ["a", "b"], "mintime": "2026-01-01T00:00:00Z", "maxtime": 1800000000},
    "options": {"fields": ["population", "p05_score"], "default_sort_field": "p05_score", "user_fields": ["score"]},
    "groups": [{"key": "district", "label": "District"}, {"key": "school", "label": "School"}],
    "meta": {"sdk": {}},
}
ANALYSIS: dict[str, Any] = {"dataset_type": "ibk-analysis-by-question", "file_count": 0}


def changed(base: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy with changes; a double underscore reaches into an object, None removes a key."""
    made = copy.deepcopy(base)
    for path, value in changes.items():
        *parents, key = path.split("__")
        place = made
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is None:
            place.pop(key)
        else:
            place[key] = value
    return made


def refused(request: dict[str, Any], **switches: Any) -> int:
    with pytest.raises(ApiError) as caught:
        validate(request, SimulatorConfig(**switches))
    return caught.value.code


def test_a_whole_summary_request_is_understood() -> None:
    spec = validate(SUMMARY, SimulatorConfig())
    assert spec.dataset_id == "a951cc14-0316-4c12-bb13-1f386338a094"
    assert (spec.mintime, spec.maxtime) == (1767225600.0, 1800000000.0)
    assert spec.sort_descending
    assert [level.key for level in spec.levels] == ["district", "school"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"dataset_type": None}, 20000),
        ({"dataset_type": 7}, 20003),
        ({"dataset_type": "dwh-sessions"}, 44000),
        ({"dataset_id": "not-a-uuid"}, 20004),
        ({"dataset_id": 12}, 20003),
        ({"file_count": None}, 20000),
        ({"file_count": True}, 20003),
        ({"file_count": "1"}, 20003),
        ({"file_count": -1}, 20004),
        ({"file_count": 0}, 20004),
        ({"file_count": 101}, 20004),
        ({"filters__activity_id": None}, 20000),
        ({"filters__activity_id": []}, 20001),
        ({"filters__activity_id": [str(n) for n in range(11)]}, 20002),
        ({"filters__activity_id": [1]}, 20003),
        ({"filters__mintime": "yesterday"}, 20004),
        ({"filters__mintime": [1]}, 20003),
        ({"filters__mintime": "1900000000"}, 20004),
        ({"filters": []}, 20003),
        ({"options__fields": ["mean_scores"]}, 20004),
        ({"options__fields": ["p5_score"]}, 20004),
        ({"options__user_fields": ["name"]}, 20004),
        ({"options__default_sort_field": "mean_score"}, 20004),
        ({"options__default_sort_order": "down"}, 20004),
        ({"options__default_users_sort_field": "max_score"}, 20004),
        ({"organisation_id": "1"}, 20003),
        ({"organisation_id": 9}, 40003),
        ({"groups": None}, 20000),
        ({"groups": []}, 20001),
        ({"groups": ["district"]}, 20003),
        ({"groups": [{"key": "district"}]}, 20000),
        ({"groups": [{"key": "a", "label": "A"}, {"key": "a", "label": "B"}]}, 20004),
    ],
)
def test_each_fault_of_a_summary_request_has_its_code(changes: dict[str, Any], code: int) -> None:
    assert refused(changed(SUMMARY, **changes)) == code


def test_an_item_bank_analysis_needs_neither_files_nor_filters() -> None:
    assert validate(ANALYSIS, SimulatorConfig()).file_count == 0


def test_an_activity_analysis_needs_files_or_filters() -> None:
    request = ANALYSIS | {"dataset_type": "activity-analysis-by-question"}
    assert refused(request) == 20000
    assert validate(request | {"filters": {"activity_id": ["a"]}}, SimulatorConfig()).activity_ids == ("a",)
    assert validate(request | {"file_count": 2}, SimulatorConfig()).file_count == 2


@pytest.mark.parametrize("dataset_type", ["ibk-analysis-by-question", "activity-analysis-by-question"])
def test_filters_and_files_exclude_each_other_in_an_analysis(dataset_type: str) -> None:
    request = {"dataset_type": dataset_type, "file_count": 1, "filters": {"mintime": 1}}
    assert refused(request) == 20004


def test_an_analysis_has_a_vocabulary_of_its_own() -> None:
    assert validate(ANALYSIS | {"options": {"fields": ["p_value"]}}, SimulatorConfig()).fields == ("p_value",)
    assert refused(ANALYSIS | {"options": {"fields": ["mean_score"]}}) == 20004


def test_a_dataset_id_is_made_up_unless_it_is_mandatory() -> None:
    assert uuid.UUID(validate(ANALYSIS, SimulatorConfig()).dataset_id).version == 4
    assert refused(ANALYSIS, require_dataset_id=True) == 20000


def test_unknown_parameters_are_ignored_unless_strict() -> None:
    request = ANALYSIS | {"colour": "blue"}
    assert validate(request, SimulatorConfig()).file_count == 0
    assert refused(request, strict_request=True) == 20004


def test_a_linked_item_bank_may_be_named() -> None:
    spec = validate(ANALYSIS | {"organisation_id": 9}, SimulatorConfig(linked_organisations=(9,)))
    assert spec.organisation_id == 9


@given(st.integers(0, 99), st.sampled_from(["score", "percent"]))
def test_any_two_digit_percentile_may_be_asked_for(percent: int, of: str) -> None:
    field = f"p{percent:02d}_{of}"
    assert validate(changed(SUMMARY, options__fields=[field, "p05_score"]), SimulatorConfig()).fields[0] == field


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from(DATASET_TYPES),
    st.dictionaries(
        st.sampled_from(["dataset_id", "file_count", "filters", "options", "groups", "organisation_id"]), json_values
    ),
)
def test_no_request_does_more_than_be_accepted_or_refused_with_a_code(
    dataset_type: str, request: dict[str, Any]
) -> None:
    try:
        spec = validate(request | {"dataset_type": dataset_type}, SimulatorConfig())
    except ApiError as error:
        assert 20000 <= error.code <= 44000
    else:
        assert spec.dataset_type == dataset_type
