"""What Learnosity would refuse in a schedule: each problem has line and key of the value to change."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from learnosity.errors import RequestError, StorageError
from learnosity.inputs.find import find_input
from learnosity.inputs.records import schema_for
from learnosity.schedules.dags import scheduled_dags
from learnosity.schedules.files import Schedule, parse

HEAD = 'name: some\nschedule: "0 4 * * 1"\nparams:\n'
TYPE = {
    "activity": "  dataset_type: activity-summary-by-group\n",
    "sessions": "  dataset_type: sessions-summary-by-group\n",
    "items": "  dataset_type: ibk-analysis-by-question\n",
    "analysis": "  dataset_type: activity-analysis-by-question\n",
}
INPUT = "  input_uri: file:///x/*.csv\n"
GROUPS = "  groups:\n    - {key: district, label: District}\n"
FILTERS = "  filters:\n    activity_id: [maths]\n"
GROUP = TYPE["sessions"] + INPUT + GROUPS
"""A group type with input and groups, in the lines 4 to 7."""


def problems(params: str) -> list[str]:
    found = parse("some.yaml", HEAD + params)
    assert not isinstance(found, Schedule)
    return [str(problem) for problem in found]


def activities(written: str) -> str:
    return TYPE["activity"] + INPUT + GROUPS + f"  filters:\n    activity_id: {written}\n"


ID = "params.filters.activity_id"
A_LIST = "filters.activity_id must be a list of activity ids"
CASES: dict[str, tuple[str, list[str]]] = {
    "a number as id": (activities("[1001, maths]"), [f"9: {ID}.0: {A_LIST}, and its entry 1 is 1001: write it in quo"]),
    "a decimal": (activities("[maths, 10.5]"), [f"9: {ID}.1: {A_LIST}, and its entry 2 is 10.5: write it in quotes."]),
    "true": (activities("[a, true]"), [f"9: {ID}.1: {A_LIST}, and its entry 2 is true: write it in quotes."]),
    "null": (activities("[a, null]"), [f"9: {ID}.1: {A_LIST}, and its entry 2 is empty: write a text, or remove it."]),
    "empty id": (activities("[a, '']"), [f"9: {ID}.1: {A_LIST}, and its entry 2 is empty: write a text, or remove"]),
    "a list as id": (activities("[[a]]"), [f'9: {ID}.0: {A_LIST}, and its entry 1 is ["a"]: write a text, or remove']),
    "an object as id": (activities("[{a: b}]"), [f'9: {ID}.0: {A_LIST}, and its entry 1 is {{"a": "b"}}: write a te']),
    "a number on its own line": (
        activities("\n      - maths\n      - 1001"),
        [f"11: {ID}.1: {A_LIST}, and its entry 2 is 1001: write it in quotes."],
    ),
    "one id without a list": (activities("maths"), [f'9: {ID}: {A_LIST}, such as ["maths"].']),
    "a template in place of a list": (activities('"{{ dag_run.conf.ids }}"'), [f"9: {ID}: {A_LIST}, such as"]),
    "an object in place of a list": (activities("{a: b}"), [f"9: {ID}: {A_LIST}, such as"]),
    "too many ids": (activities(str([f"a{n}" for n in range(11)])), [f"9: {ID}: filters.activity_id names 11 activit"]),
    "no ids": (activities("[]"), [f"9: {ID}: activity-summary-by-group needs activities: set filters"]),
    "filters without ids": (
        TYPE["activity"] + INPUT + GROUPS + "  filters:\n    mintime: 1\n",
        ["8: params.filters: activity-summary-by-group needs activities"],
    ),
    "empty filters": (
        TYPE["activity"] + INPUT + GROUPS + "  filters:\n",
        ["8: params.filters: activity-summary-by-group needs activities"],
    ),
    "no filters": (TYPE["activity"] + INPUT + GROUPS, ["3: params: activity-summary-by-group needs activities"]),
    "filters through an alias": (
        TYPE["activity"] + INPUT + GROUPS + "  options: &a {activity_id: [1001]}\n  filters: *a\n",
        [f"9: {ID}.0: {A_LIST}, and its entry 1 is 1001"],
    ),
    "too large a number as a time": (
        GROUP + f"  filters:\n    maxtime: 1\n    mintime: '{'9' * 400}'\n",
        ["10: params.filters.mintime: filters.mintime is no time: the number is too large."],
    ),
    "too large a number as the end": (
        GROUP + f"  filters:\n    mintime: 1\n    maxtime: '{'9' * 400}'\n",
        ["10: params.filters.maxtime: filters.maxtime is no time: the number is too large."],
    ),
    "a window that ends before it begins": (
        GROUP + "  filters:\n    maxtime: 2026-01-01\n    mintime: 2026-02-01\n",
        ["10: params.filters.mintime: filters.mintime is after filters.maxtime"],
    ),
    **{
        f"{case}, {names}": (GROUP + f"  options:\n    a: 1\n    {written}\n", [problem])
        for names, sort, order in (
            ("fields", "default_sort_field", "default_sort_order"),
            ("user_fields", "default_users_sort_field", "default_users_sort_order"),
        )
        for case, written, problem in (
            ("no list of names", f"{names}: a", f"10: params.options.{names}: options.{names} must be a list of names"),
            (
                "a number as a name",
                f"{names}:\n      - a\n      - 5",
                f"12: params.options.{names}.1: options.{names} must be a list of names, and its entry 2 is 5: write",
            ),
            (
                "nothing as a name",
                f"{names}: [a, null]",
                f"10: params.options.{names}.1: options.{names} must be a list of names, and its entry 2 is empty",
            ),
            (
                "sorted by what is not there",
                f"{names}: [a]\n    {sort}: b",
                f"11: params.options.{sort}: options.{sort} is 'b', which is not among options.{names}.",
            ),
            ("no order", f"{order}: up", f"10: params.options.{order}: options.{order} must be 'asc' or 'desc'."),
        )
    },
    "a result that cannot be compared": (
        GROUP + "  require_complete: true\n  options:\n    fields: [mean_percent]\n",
        ["10: params.options.fields: require_complete compares users with the population"],
    ),
    "a quote in a group key": (
        GROUP + "    - label: L\n      key: 'a\"b'\n",
        ["9: params.groups.1.key: groups: the key of entry 2 may not hold"],
    ),
    "two equal group keys": (
        GROUP + "    - {key: school, label: S}\n    - label: D\n      key: district\n",
        ["10: params.groups.2.key: groups: every level needs a key of its own, and entry 3 has that of entry 1."],
    ),
    "no groups": (TYPE["sessions"] + INPUT, ["3: params: sessions-summary-by-group needs a hierarchy: set groups"]),
    "an empty list of groups": (
        TYPE["sessions"] + INPUT + "  groups: []\n",
        ["6: params.groups: sessions-summary-by-group needs a hierarchy: set groups"],
    ),
    "no input": (TYPE["sessions"] + GROUPS, ["3: params: sessions-summary-by-group needs input files: set input_uri"]),
    "an empty input": (
        TYPE["sessions"] + GROUPS + "  input_uri:\n",
        ["7: params.input_uri: sessions-summary-by-group needs input files: set input_uri"],
    ),
    "input and filters": (
        TYPE["items"] + FILTERS + INPUT,
        ["7: params.input_uri: ibk-analysis-by-question takes either input files or filters"],
    ),
    "neither input nor filters": (TYPE["analysis"], ["3: params: activity-analysis-by-question needs input files or"]),
    "empty filters and no input": (
        TYPE["analysis"] + "  filters:\n    activity_id: []\n",
        ["5: params.filters: activity-analysis-by-question needs input files or filters"],
    ),
    "an empty type": ("  input_uri: file:///x\n  dataset_type: ''\n", ["5: params.dataset_type: dataset_type is em"]),
    "several at once": (
        TYPE["activity"] + "  filters:\n    activity_id: [7]\n    mintime: 2\n    maxtime: 1\n",
        [
            "7: params.filters.mintime: filters.mintime is after",
            f"6: {ID}.0: {A_LIST}, and its entry 1 is 7",
            "3: params: activity-summary-by-group needs input files",
            "3: params: activity-summary-by-group needs a hierarchy",
        ],
    ),
}


@pytest.mark.parametrize(("params", "expected"), CASES.values(), ids=CASES.keys())
def test_a_problem_has_line_and_key_of_its_value(params: str, expected: list[str]) -> None:
    found = problems(params)
    assert len(found) == len(expected), found
    for each, begin in zip(found, expected, strict=True):
        assert each.startswith(f"some.yaml:{begin}"), found


SOUND: list[Any] = [
    pytest.param(activities("['1001', maths]"), id="a number in quotes"),
    pytest.param(activities("[007]"), id="with zeros"),
    pytest.param(activities('["{{ dag_run.conf.activity }}", maths]'), id="a template"),
    *(
        pytest.param(GROUP + f"    - {{key: {key}, label: L}}\n", id=f"a template as a group key: {key}")
        for key in ("""'{{ dag_run.conf["level"] }}'""", """'{{ params["level"] }}'""", '"{{ run_id\\n }}"')
    ),
    pytest.param(GROUP + "  require_complete: true\n  options:\n    fields: [population]\n", id="population"),
    pytest.param(GROUP + "  options:\n    fields: ['{{ run_id }}']\n    default_sort_field: b\n", id="names"),
]


@pytest.mark.parametrize("params", SOUND)
def test_what_learnosity_takes_is_a_schedule(params: str) -> None:
    found = parse("some.yaml", HEAD + params)
    assert isinstance(found, Schedule), found


# What no store can be opened for, whatever packages and connections the deployment has.
NO_PLACE = {
    "s3://lake@/x.csv": "s3:// needs a bucket",
    "s3:///x.csv": "s3:// needs a bucket",
    "GS://lake@/*.csv": "gs:// needs a bucket",
    "sftp:///x.csv": "sftp:// needs a bucket",
    "s3://key:secret@bucket/x.csv": "never a user and password",
    "file://data/x.csv": "has to be absolute",
    "file:///": "has to be absolute",
    "abfss://lake@con.tainer/x.csv": "no container of Azure has a dot in its name",
    '"s3://b/a\\tb.csv"': "holds a tab or a line end",
}


@pytest.mark.parametrize("key", ["input_uri", "destination_uri"])
@pytest.mark.parametrize(("uri", "message"), NO_PLACE.items())
def test_a_uri_that_names_no_place_is_refused(key: str, uri: str, message: str) -> None:
    (found,) = problems(TYPE["items"] + f"  {key}: {uri}\n")
    assert found.startswith(f"some.yaml:5: params.{key}: ")
    assert message in found
    assert "secret" not in found


def test_a_destination_may_be_no_uri_at_all() -> None:
    (found,) = problems(TYPE["items"] + "  destination_uri: /data/datasets\n")
    assert found.startswith("some.yaml:5: params.destination_uri: '/data/datasets' is not an object-storage URI.")


@pytest.mark.parametrize("uri", [uri for uri in NO_PLACE if '"' not in uri])
def test_a_run_would_refuse_it_before_it_opens_a_store(uri: str) -> None:
    def open_store(_: str) -> Any:
        raise AssertionError("a store is opened")

    with pytest.raises(StorageError):
        asyncio.run(find_input(uri, open_store))


@pytest.mark.parametrize("key", ["input_uri", "destination_uri"])
@pytest.mark.parametrize(
    "uri",
    [
        *("s3://bucket/x.csv", "s3a://lake@bucket", "s3://lake@bucket/users/[ab]*.csv", "local:///data/x.csv"),
        *("abfss://lake@account.dfs.core.windows.net/x.csv", "file:///data/a b.csv", "''", "null", "'s3://bucket/x '"),
        # A driver of these schemes may be installed.
        *("https://x/users.csv", "sftp://school@host/x.csv", "hdfs://lake@node/x.csv", "their-own://x"),
        # What a template gives is known when it is rendered.
        *(
            "'s3://{{ dag_run.conf.bucket }}/x.csv'",
            "'s3://{{ dag_run.conf.place }}'",
            "'file://{% if 1 %}/x{% endif %}'",
        ),
        "'s3://lake@{{ dag_run.conf.bucket }}/x.csv'",
    ],
)
def test_any_other_uri_is_left_to_the_run(key: str, uri: str) -> None:
    found = parse("some.yaml", HEAD + TYPE["items"] + f"  {key}: {uri}\n")
    assert isinstance(found, Schedule), found


@pytest.mark.parametrize(
    ("params", "columns", "warning"),
    [
        (GROUP, "{district: lea}", "'district' is no key of a record; did you mean 'groups.district'?"),
        (GROUP, "{user_id: no, groups.school: s}", "'groups.school' is no key of a record"),
        (TYPE["items"] + INPUT, "{session: s}", "'session' is no key of a record; did you mean 'session_id'?"),
        (GROUP, "{user_id: no, groups.district: lea, session_id: s}", ""),
        (GROUP, "{user_id: '{{ dag_run.conf.no }}'}", ""),
        (GROUP, "{}", ""),
        (GROUP, "null", ""),
        (GROUP.replace("key: district", "key: '{{ dag_run.conf.level }}'"), "{groups.school: s, user_id: no}", ""),
        (GROUP.replace("key: district", "key: '{{ dag_run.conf.level }}'"), "{id: no}", "'id' is no key of a record"),
        (TYPE["items"] + INPUT, "{session_id: s, user_id: no}", ""),
        (TYPE["items"].replace("ibk", "new"), "{anything: s}", ""),
    ],
)
def test_a_column_of_no_key_is_told_in_the_log(
    params: str, columns: str, warning: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "some.yaml").write_text(HEAD + params + f"  input_columns: {columns}\n")
    assert list(scheduled_dags(tmp_path)) == ["learnosity_some"]
    told = [record.getMessage() for record in caplog.records]
    if not warning:
        assert told == []
        return
    (text,) = told
    assert text.startswith(f"some.yaml: input_columns cannot be used: {warning}")
    assert "`input_check` is `json`" in text


def test_a_column_of_no_key_may_be_meant() -> None:
    """With the extra `input_check: json` of the connection, which is not known while files are read."""
    columns = {"district": "lea"}
    with pytest.raises(RequestError):
        schema_for("sessions-summary-by-group", ["district"], input_columns=columns)
    schema_for("sessions-summary-by-group", ["district"], input_columns=columns, any_object=True)
