"""What may be asked for, told before anything is sent."""

from __future__ import annotations

import json
import math
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pendulum
import pytest

from learnosity.api.config import Credentials
from learnosity.api.dataset_request import (
    ACTIVITY_ANALYSIS,
    ACTIVITY_SUMMARY,
    ITEM_BANK_ANALYSIS,
    KNOWN_TYPES,
    SESSIONS_SUMMARY,
    DatasetRequest,
    DatasetType,
    check_dataset_id,
)
from learnosity.api.signing import sign_data_request
from learnosity.errors import RequestError

ACTIVITIES = {"activity_id": ["a"]}
UUID = "a951cc14-0316-4c12-bb13-1f386338a094"
GROUPS = [{"key": "school", "label": "School"}, {"key": "class", "label": "Class"}]


def asked(**values: Any) -> DatasetRequest:
    """A request that has what its type needs, but for what `values` change."""
    sound = {"dataset_type": ACTIVITY_SUMMARY, "filters": ACTIVITIES, "groups": GROUPS}
    return DatasetRequest.from_mapping(sound | values)


def refusal(request: DatasetRequest, *, has_input: bool = True) -> str:
    with pytest.raises(RequestError, match="nothing was sent to Learnosity") as caught:
        request.check(has_input=has_input)
    return str(caught.value)


def test_a_request_is_sent_as_it_was_asked_for() -> None:
    request = asked(
        filters={"activity_id": ["a"]}, options={"fields": ["population"]}, groups=GROUPS, organisation_id=7
    )
    request.check(has_input=True)
    assert request.body(UUID, 3) == {
        "dataset_id": UUID,
        "dataset_type": ACTIVITY_SUMMARY,
        "file_count": 3,
        "filters": {"activity_id": ["a"]},
        "options": {"fields": ["population"]},
        "groups": GROUPS,
        "organisation_id": 7,
    }
    assert request.group_keys == ["school", "class"]


class Odd:
    """No JSON."""


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (datetime(2026, 11, 1, 7, tzinfo=UTC), "2026-11-01T07:00:00Z"),
        (pendulum.datetime(2026, 11, 1, 7), "2026-11-01T07:00:00Z"),
        (datetime(2026, 11, 1, 7, tzinfo=timezone(timedelta(hours=2))), "2026-11-01T07:00:00+02:00"),
        (date(2026, 11, 1), "2026-11-01"),
        (uuid.UUID(UUID), UUID),
        (Decimal("0.5"), 0.5),
        (Decimal(7), 7),
        (("a", "b"), ["a", "b"]),
        (MappingProxyType({"a": 1}), {"a": 1}),
        ({1: "a"}, {"1": "a"}),
        (2**70, 2**70),
        ("text", "text"),
        (None, None),
    ],
    ids=repr,
)
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("place", ["filters", "options", "groups"])
def test_what_a_dag_writes_is_sent_as_json(value: object, sent: object, deep: bool, place: str) -> None:
    def given(value: object) -> Any:
        value = {"key": "k", "label": "L", "a": [{"b": value}] if deep else value}
        return [value] if place == "groups" else value

    body = DatasetRequest.from_mapping({"dataset_type": "x", place: given(value)}).body(UUID, 0)
    assert body[place] == given(sent)
    form = sign_data_request(Credentials("k" * 16, "s" * 40), body, "set")
    assert json.loads(form["request"])[place] == given(sent)


@pytest.mark.parametrize(
    "value",
    [
        Odd(),
        b"bytes",
        math.nan,
        math.inf,
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        {("a", "b"): 1},
        {"a"},
        1j,
        datetime(2026, 11, 1, 7),
        time(7),
    ],
    ids=repr,
)
@pytest.mark.parametrize("place", ["filters", "options", "groups"])
def test_what_cannot_become_json_is_refused_by_the_name_of_its_field(value: object, place: str) -> None:
    given: Any = {"key": "k", "label": "L", "a": [value]}
    with pytest.raises(RequestError, match=f"^{place} cannot become JSON: "):
        DatasetRequest.from_mapping({"dataset_type": "x", place: [given] if place == "groups" else given})


def test_what_is_empty_is_left_out_and_empty_form_fields_are_none() -> None:
    request = asked(filters=None, options={}, groups=None, organisation_id=None)
    assert request.body(UUID, 0) == {"dataset_id": UUID, "dataset_type": ACTIVITY_SUMMARY, "file_count": 0}


@pytest.mark.parametrize(
    ("dataset_type", "has_input", "filters", "allowed"),
    [
        (ACTIVITY_SUMMARY, True, {}, False),
        (ACTIVITY_SUMMARY, True, {"activity_id": []}, False),
        (ACTIVITY_SUMMARY, True, {"mintime": 1}, False),
        (ACTIVITY_SUMMARY, True, {"activity_id": ["a"]}, True),
        (ACTIVITY_SUMMARY, False, {"activity_id": ["a"]}, False),
        (SESSIONS_SUMMARY, True, {"mintime": "2026-01-01T00:00:00Z"}, True),
        (SESSIONS_SUMMARY, False, {}, False),
        (ITEM_BANK_ANALYSIS, False, {}, True),
        (ITEM_BANK_ANALYSIS, False, {"mintime": 1}, True),
        (ITEM_BANK_ANALYSIS, True, {}, True),
        (ITEM_BANK_ANALYSIS, True, {"mintime": 1}, False),
        (ACTIVITY_ANALYSIS, False, {}, False),
        (ACTIVITY_ANALYSIS, False, {"activity_id": [], "mintime": None, "maxtime": ""}, False),
        (ACTIVITY_ANALYSIS, False, {"activity_id": [], "mintime": 0}, True),
        (ACTIVITY_ANALYSIS, False, {"activity_id": ["a"]}, True),
        (ACTIVITY_ANALYSIS, True, {}, True),
        (ACTIVITY_ANALYSIS, True, {"activity_id": ["a"]}, False),
        ("next-years-type", False, {}, True),
        ("next-years-type", True, {"anything": 1}, True),
    ],
)
def test_input_files_and_filters_go_together_as_the_type_allows(
    dataset_type: str, has_input: bool, filters: dict[str, Any], allowed: bool
) -> None:
    request = asked(dataset_type=dataset_type, filters=filters)
    if allowed:
        request.check(has_input=has_input)
    else:
        assert dataset_type in refusal(request, has_input=has_input)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"dataset_type": " "}, "dataset_type is empty; the known ones are"),
        ({"filters": ["a"]}, "filters must be a JSON object"),
        ({"options": "x"}, "options must be a JSON object"),
        ({"filters": {"activity_id": "a"}}, "filters.activity_id must be a list"),
        ({"filters": {"activity_id": [1]}}, "filters.activity_id must be a list"),
        ({"filters": {"activity_id": ["a", 1001]}}, "and its entry 2 is 1001: write it in quotes."),
        ({"filters": {"activity_id": [None]}}, "and its entry 1 is empty: write a text, or remove it."),
        ({"filters": {"activity_id": [str(n) for n in range(11)]}}, "names 11 activities; Learnosity takes at most 10"),
        ({"options": {"fields": ["a"], "default_sort_field": "b"}}, "'b', which is not among options.fields"),
        ({"options": {"user_fields": ["a"], "default_users_sort_field": "b"}}, "not among options.user_fields"),
        ({"options": {"fields": "population,mean_percent"}}, "options.fields must be a list of names"),
        ({"options": {"user_fields": {"score": True}}}, "options.user_fields must be a list of names"),
        ({"options": {"fields": "{{ var.value.fields }}"}}, "options.fields must be a list of names"),
        ({"options": {"user_fields": "{% if x %}a{% endif %}"}}, "options.user_fields must be a list of names"),
        ({"options": {"fields": ["a", "b"], "default_sort_field": "{ c }"}}, "not among options.fields"),
        ({"options": {"default_sort_order": ["{{ x }}"]}}, "must be 'asc' or 'desc'"),
        ({"options": {"fields": [["population"]]}}, "options.fields must be a list of names"),
        ({"options": {"user_fields": ["score", False]}}, "and its entry 2 is false: write it in quotes."),
        ({"options": {"default_sort_order": "up"}}, "must be 'asc' or 'desc'"),
        ({"options": {"default_users_sort_order": 1}}, "must be 'asc' or 'desc'"),
        ({"groups": "school"}, "groups must be a list"),
        ({"groups": {"key": "school"}}, "groups must be a list"),
        ({"groups": ["school"]}, "entry 1 must be an object with `key` and `label`"),
        ({"groups": [GROUPS[0], {"label": "x"}]}, "entry 2 must be an object"),
        ({"groups": [GROUPS[0], GROUPS[0]]}, "every level needs a key of its own"),
        ({"groups": [{"key": 'a"b', "label": "x"}]}, "the key of entry 1 may not hold"),
        ({"groups": [GROUPS[0], {"key": "a\n", "label": "x"}]}, "the key of entry 2 may not hold"),
    ],
)
def test_what_the_api_would_refuse_is_refused_here(values: dict[str, Any], says: str) -> None:
    assert says in refusal(asked(**values))


@pytest.mark.parametrize("template", ["{{ var.value.sort }}", "{% if x %}asc{% endif %}", "a{# note #}"])
@pytest.mark.parametrize(
    ("fields", "sort", "order"),
    [
        ("fields", "default_sort_field", "default_sort_order"),
        ("user_fields", "default_users_sort_field", "default_users_sort_order"),
    ],
)
def test_a_template_may_be_what_its_field_wants(fields: str, sort: str, order: str, template: str) -> None:
    for options in ({fields: ["a"], sort: template}, {fields: [template], sort: "b"}, {order: template}):
        asked(options=options).check(has_input=True, templates=True)


def test_a_group_key_may_be_a_template_that_is_rendered_later() -> None:
    request = asked(groups=[{"key": '{{ params["level"] }}', "label": "Level"}])
    request.check(has_input=True, templates=True)
    assert "may not hold" in refusal(request)


@pytest.mark.parametrize("template", ["{{ params.order }}", "{% if x %}asc{% endif %}", "{# up #}"])
def test_a_template_that_nobody_renders_is_refused(template: str) -> None:
    assert "must be 'asc' or 'desc'" in refusal(asked(options={"default_sort_order": template}))
    assert "not among" in refusal(asked(options={"fields": ["a"], "default_sort_field": template}))


def test_ten_activities_are_allowed() -> None:
    asked(filters={"activity_id": [str(n) for n in range(10)]}).check(has_input=True)


@pytest.mark.parametrize("dataset_type", [SESSIONS_SUMMARY, ITEM_BANK_ANALYSIS, ACTIVITY_ANALYSIS, "next-years-type"])
def test_the_limit_of_activities_is_that_of_the_type_that_documents_it(dataset_type: str) -> None:
    filters = {"activity_id": [str(n) for n in range(11)]}
    asked(dataset_type=dataset_type, filters=filters).check(has_input=dataset_type == SESSIONS_SUMMARY)


@pytest.mark.parametrize(
    "values",
    [
        {"filters": {"activity_id": "a"}},
        {"filters": {"activity_id": {"any": ["a"]}}},
        {"filters": {"mintime": "2026-02-01", "maxtime": "2026-01-01"}},
        {"options": {"fields": "population"}},
        {"options": {"fields": ["a"], "default_sort_field": "b", "default_sort_order": "up"}},
    ],
)
def test_filters_and_options_of_a_type_that_is_not_known_are_sent_as_they_are(values: dict[str, Any]) -> None:
    request = asked(dataset_type="next-years-type", **values)
    request.check(has_input=False)
    assert values.items() <= request.body(UUID, 0).items()


def test_all_problems_are_told_at_once() -> None:
    text = refusal(
        asked(filters={"activity_id": "a"}, options={"default_sort_order": "up"}, groups=[]), has_input=False
    )
    assert len(text.splitlines()) == 5


@pytest.mark.parametrize("kind", KNOWN_TYPES.values(), ids=lambda kind: kind.name)
def test_everything_that_a_type_needs_is_asked_for_in_one_message(kind: DatasetType) -> None:
    request, needs = DatasetRequest(kind.name), kind.needs.split("; ")[-1]
    if kind.needs.startswith("nothing"):
        request.check(has_input=False)
        return
    said = refusal(request, has_input=False).splitlines()[1:]
    assert len(said) == len([need for need in needs.split(", ") if need != "not both"])
    assert all(kind.name in line and "set " in line for line in said)


@pytest.mark.parametrize(
    ("options", "dataset_type", "sound"),
    [
        ({}, ACTIVITY_SUMMARY, True),
        ({"fields": ["population", "mean_score"]}, ACTIVITY_SUMMARY, True),
        ({"fields": ["mean_score"]}, ACTIVITY_SUMMARY, False),
        ({"fields": []}, SESSIONS_SUMMARY, False),
    ],
)
def test_a_result_that_must_be_complete_must_have_what_is_compared(
    options: dict[str, Any], dataset_type: str, sound: bool
) -> None:
    request = asked(options=options, dataset_type=dataset_type)
    request.check(has_input=True)
    if sound:
        request.check(has_input=True, require_complete=True)
    else:
        with pytest.raises(RequestError, match='add "population" to options.fields'):
            request.check(has_input=True, require_complete=True)


@pytest.mark.parametrize("place", ["filters", "options", "groups"])
@pytest.mark.parametrize("value", ["x", 7, True, {"a"}])
def test_a_value_of_another_type_hides_no_other_problem(place: str, value: object) -> None:
    said = refusal(asked(**{place: value}), has_input=False)
    assert f"{place} must be" in said
    assert "set input_uri" in said


@pytest.mark.parametrize(
    ("begin", "end", "sound"),
    [
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", False),
        ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", True),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", True),
        ("2026-01-01T00:00:00+02:00", "2025-12-31T23:00:00Z", True),
        (1767312000, "2026-01-01T00:00:00Z", False),
        ("1767312000", 1767225600, False),
        ("{{ data_interval_start }}", "2020-01-01T00:00:00Z", True),
        (None, 1, True),
        (True, 0, True),
        ([], {}, True),
    ],
)
def test_a_time_window_ends_after_it_begins(begin: object, end: object, sound: bool) -> None:
    request = asked(filters={**ACTIVITIES, "mintime": begin, "maxtime": end})
    if sound:
        request.check(has_input=True)
    else:
        assert "filters.mintime is after filters.maxtime" in refusal(request)


@pytest.mark.parametrize("value", [10**400, -(10**400), 10**4000, "9" * 400], ids=["over", "under", "long", "text"])
@pytest.mark.parametrize("other", [None, 0, "2020-01-01T00:00:00Z", "{{ data_interval_end }}"])
def test_a_number_that_is_too_large_is_no_time(value: object, other: object) -> None:
    for name, another in (("mintime", "maxtime"), ("maxtime", "mintime")):
        said = refusal(asked(filters={**ACTIVITIES, name: value, another: other}))
        assert said.splitlines()[1:] == [f"  filters.{name} is no time: the number is too large."]


@pytest.mark.parametrize("value", ["seven", "7.0", 7.5, True, [7], 1e18, math.inf, math.nan])
def test_an_item_bank_is_a_whole_number(value: object) -> None:
    with pytest.raises(RequestError, match="organisation_id must be a whole number"):
        asked(organisation_id=value)


@pytest.mark.parametrize(
    ("own", "of_the_connection", "sent"),
    [(None, None, None), (None, 7, 7), (8, None, 8), (8, 7, 8)],
)
def test_the_item_bank_of_the_connection_is_that_of_a_request_that_names_none(
    own: int | None, of_the_connection: int | None, sent: int | None
) -> None:
    assert asked(organisation_id=own).body(UUID, 0, of_the_connection).get("organisation_id") == sent


def test_what_was_sent_does_not_change_with_what_it_was_made_of() -> None:
    filters, groups = {"activity_id": ["a"]}, [dict(GROUPS[0])]
    body = asked(filters=filters, groups=groups).body(UUID, 0)
    filters["mintime"] = ["b"]
    groups[0]["key"] = "other"
    assert body["filters"] == {"activity_id": ["a"]}
    assert body["groups"] == [GROUPS[0]]


@pytest.mark.parametrize(
    ("given", "taken"),
    [(None, None), ("", None), (" ", None), (UUID, UUID), (UUID.upper(), UUID), (f" {UUID}\n", UUID)],
)
def test_a_dataset_id_is_a_uuid_or_empty(given: str | None, taken: str | None) -> None:
    assert check_dataset_id(given) == taken


@pytest.mark.parametrize("value", [7, "7", " 7\n", 7.0])
def test_an_item_bank_may_be_written_by_a_template_or_as_a_decimal(value: object) -> None:
    assert asked(organisation_id=value).organisation_id == 7


@pytest.mark.parametrize("value", ["x", "a951cc14", "../../etc", UUID + "0"])
def test_another_dataset_id_is_refused_with_what_to_do(value: str) -> None:
    with pytest.raises(RequestError, match="is not a UUID; leave it empty"):
        check_dataset_id(value)


def test_the_four_known_types_are_known() -> None:
    assert set(KNOWN_TYPES) == {ACTIVITY_SUMMARY, SESSIONS_SUMMARY, ITEM_BANK_ANALYSIS, ACTIVITY_ANALYSIS}
    assert [kind.name for kind in KNOWN_TYPES.values() if kind.by_group] == [ACTIVITY_SUMMARY, SESSIONS_SUMMARY]
