"""What a dataset says about its own size, in several shapes, and how that fits to what was uploaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from learnosity.dataset.completeness import Returned, gaps, groups_returned, questions_returned
from learnosity.dataset.group_files import group_files
from learnosity.dataset.input_info import InputInfo, LevelInfo
from learnosity.dataset.tables import Document, read_document
from learnosity.landing.reconcile import reconciled
from tests.unit.dataset.test_parquet import published

KEYS = ("district", "school")
GROUP_PATHS = ["groups/group.json", "groups/d1/group.json", "groups/d2/group.json", "groups/d1/s1/group.json"]
OWN: dict[str, Any] = {"group_name": "", "population": 5, "mean_score": 1.5}
BELOW: list[dict[str, Any]] = [{"group_name": "d1", "population": 3}, {"group_name": "d2", "population": 2}]
ALL: dict[str, Any] = {"group_name": "All", "population": 9}
ONE: list[dict[str, Any]] = [{"group_name": "d", "population": 3}]


def document(value: Any) -> Document:
    found = read_document("root.json", json.dumps(value).encode())
    assert found is not None
    return found


def of_groups(value: Any, paths: list[str] = GROUP_PATHS, keys: tuple[str, ...] = KEYS) -> Returned:
    return groups_returned(document(value), group_files(paths), keys)


def sent(**values: Any) -> InputInfo:
    levels = values.pop("levels", ())
    return InputInfo(("s3://bucket/users",), 1, 5, 100, "sha", levels=levels, **values)


@pytest.mark.parametrize(
    ("root", "population"),
    [
        pytest.param({"group": OWN, "groups": BELOW, "ancestors": [], "users": []}, 5, id="own row and rows below"),
        pytest.param({"data": {"group": OWN, "groups": BELOW}}, 5, id="one level down"),
        pytest.param({"groups": BELOW}, 5, id="rows below, summed up"),
        pytest.param(BELOW, 5, id="the rows alone"),
        pytest.param({"group": OWN | {"population": 0}, "groups": BELOW}, 0, id="own row counts"),
        pytest.param({"group": OWN, "ancestors": [{"group_name": "x", "population": 99}]}, 5, id="ancestors do not"),
        pytest.param({"group": {"group_name": "", "mean_score": 1}, "groups": BELOW}, None, id="not asked for"),
        pytest.param({"groups": [BELOW[0], {"group_name": "d2"}]}, None, id="not in each row"),
        pytest.param({"group": OWN | {"population": 5.0}, "groups": BELOW}, 5, id="a whole number as 5.0"),
        pytest.param({"group": OWN | {"population": 4.5}, "groups": BELOW}, None, id="a fraction"),
        pytest.param({"dataset_group": OWN | {"groups": BELOW}}, 5, id="own row under another name"),
        pytest.param({"dataset_group": OWN, "groups": ONE}, 5, id="one below"),
        pytest.param({"root": OWN, "groups": ONE}, 5, id="the root, and one below"),
        pytest.param({"overall": OWN, "groups": ONE}, 5, id="a row without a name, and one below"),
        *(
            pytest.param({key: ALL, "groups": BELOW}, 9, id=f"{key} and several below")
            for key in ("root", "rootGroup", "Root_Group")
        ),
        pytest.param({"root": [ALL], "groups": BELOW}, 9, id="a root in a list"),
        pytest.param({"groups": BELOW, "root": ALL}, 9, id="a root that comes last"),
        pytest.param({"data": {"root": ALL, "groups": BELOW}}, 9, id="a root one level down"),
        pytest.param({"root": ALL, "nation": OWN, "groups": ONE}, 9, id="a root, a row without a name, and one below"),
        pytest.param({"group": OWN, "root": ALL, "groups": BELOW}, 5, id="own row before the root"),
        pytest.param({"root": {"group_name": "All"}, "groups": BELOW}, 5, id="a root that does not say it"),
        pytest.param({"benchmark": {"root": ALL, "x": 1}, "groups": BELOW}, 5, id="the root of a benchmark"),
        pytest.param({"root": ALL, "rootgroup": ALL, "groups": BELOW}, 5, id="two roots"),
        *(
            pytest.param({key: ALL, "groups": BELOW}, 5, id=f"{key} and several below")
            for key in ("benchmark", "overall", "data", "result", "parent")
        ),
        pytest.param({"groups": ONE, "benchmark": {"group_name": "Nation", "population": 1000}}, 3, id="a benchmark"),
        pytest.param({"groups": ONE, "summary": {"group_name": "All", "mean_score": None}}, 3, id="a summary"),
        pytest.param({"groups": [{"group_name": "d", "population": "5"}]}, None, id="a text"),
        pytest.param({"groups": [{"group_name": "d", "population": True}]}, None, id="a boolean"),
        pytest.param({"groups": [{"group_name": "d", "population": -1}]}, None, id="negative"),
        pytest.param({"rows": [{"name": "d", "population": 5}]}, None, id="no groups"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_the_population_is_that_of_the_root_group_or_not_known(root: Any, population: int | None) -> None:
    assert of_groups(root).population == population


@pytest.mark.parametrize(
    ("root", "paths", "found"),
    [
        pytest.param({"group": OWN, "groups": BELOW}, GROUP_PATHS, {"district": 2, "school": 1}, id="rows and files"),
        pytest.param({"group": OWN, "groups": BELOW}, GROUP_PATHS[:3], {"district": 2}, id="leaves have no file"),
        pytest.param({"group": OWN, "groups": BELOW}, GROUP_PATHS[:1], {"district": 2}, id="one file"),
        pytest.param(
            {"group": OWN, "groups": BELOW}, [*GROUP_PATHS, "groups/more.json"], {"district": 2}, id="another file"
        ),
        pytest.param(
            {"group": OWN, "groups": BELOW},
            ["groups/group.json", "groups/d%201/group.json", "groups/d2/group.json", "groups/d2/s%2F1/group.json"],
            {"district": 2, "school": 1},
            id="names that are encoded count once",
        ),
        pytest.param({"group": OWN}, GROUP_PATHS, {}, id="no rows below"),
        pytest.param({"dataset_group": OWN | {"groups": BELOW}}, GROUP_PATHS, {}, id="rows in the own one"),
        pytest.param({"dataset_group": OWN, "groups": BELOW[:1]}, GROUP_PATHS[:2], {"district": 1}, id="one row below"),
        pytest.param({"dataset_group": OWN}, GROUP_PATHS, {}, id="one object, whose is not known"),
        pytest.param({"group_name": "", "population": 5}, GROUP_PATHS[:1], {}, id="one row, whose is not known"),
    ],
)
def test_groups_are_counted_where_it_is_certain_what_is_one(root: Any, paths: list[str], found: dict[str, int]) -> None:
    assert of_groups(root, paths).groups == found


def test_without_a_hierarchy_no_groups_are_compared() -> None:
    assert of_groups({"group": OWN, "groups": BELOW}, keys=()).groups == {}


def test_what_was_cut_is_not_recognised() -> None:
    groups = document({"group": OWN})
    assert groups_returned(Document(groups.tables, cut=True), {}, KEYS) == Returned()
    items = document([{"item_reference": "i", "p_value": 0.5}])
    assert questions_returned(Document(items.tables, cut=True)) == Returned()


SCORED = [{"group_name": name, "population": 2, "mean_score": 1.5} for name in ("d1", "d2")]
NOBODY = {"group_name": "All", "population": 0, "mean_score": None}
NATION = {"group_name": "Nation", "population": 1000, "mean_score": 5.5}
ZEROS = [{"group_name": name, "population": 0, "mean_score": 0} for name in ("d1", "d2")]
UNSCORED = [{"group_name": name, "population": 0, "mean_score": None} for name in ("d1", "d2")]


@pytest.mark.parametrize(
    ("root", "nothing"),
    [
        ({"group": {"population": 0, "group_name": ""}}, True),
        ({"group": {"population": 5, "group_name": "", "mean_score": None, "p25_percent": None}}, True),
        ({"group": {"population": 5, "group_name": "", "mean_score": 0, "p25_percent": None}}, False),
        ({"group": {"population": 5, "group_name": ""}}, False),
        ({"groups": [{"group_name": "d", "mean_score": None}, {"group_name": "e", "mean_score": 0.0}]}, False),
        ({"groups": [{"group_name": "d", "mean_score": None}, {"group_name": "e", "mean_score": None}]}, True),
        ({"groups": []}, False),
        pytest.param({"root": {"group_name": "All", "population": 5, "mean_score": None}, "groups": SCORED}, False),
        pytest.param({"root": {"group_name": "All", "population": 0}, "groups": SCORED}, False),
        pytest.param({"root": {"group_name": "All", "population": 0}, "groups": UNSCORED}, True),
        pytest.param({"root": {"group_name": "All", "population": 0}, "groups": ZEROS}, True),
        pytest.param({"root": NOBODY, "groups": [{"group_name": d, "mean_score": 0} for d in ("d1", "d2")]}, True),
        pytest.param({"root": NOBODY, "groups": [{"group_name": d, "mean_score": 1} for d in ("d1", "d2")]}, False),
        pytest.param({"benchmark": NATION, "root": NOBODY}, True),
        pytest.param({"root": NOBODY, "benchmark": NATION}, True),
        pytest.param({"root": NOBODY, "groups": UNSCORED, "benchmarks": [NATION, NATION, NATION]}, True),
        pytest.param({"root": NOBODY, "groups": SCORED, "benchmarks": [NATION, NATION, NATION]}, False),
        pytest.param({"root": NOBODY, "benchmarks": [NATION, NATION], "groups": SCORED}, False),
        pytest.param({"root": NOBODY, "districts": SCORED}, False),
        pytest.param({"root": NOBODY, "results": SCORED}, False),
    ],
)
def test_nothing_matched_is_said_only_where_it_is_certain(root: Any, nothing: bool) -> None:
    assert of_groups(root).nothing_matched is nothing


@pytest.mark.parametrize(
    ("value", "questions", "sessions", "nothing"),
    [
        ([{"item_reference": "i", "count_sessions": 3}, {"item_reference": "j", "count_sessions": 7}], 2, 7, False),
        ({"questions": [{"question_reference": "q", "p_value": 0.5}]}, 1, None, False),
        ([{"item_reference": "i", "count_sessions": 0}], 1, 0, True),
        ([], 0, None, True),
        ({"items": []}, 0, None, True),
        ({"meta": {"count": 0}, "items": []}, None, None, False),
        ({"status": "ok"}, None, None, False),
        ([{"name": "x"}], None, None, False),
    ],
)
def test_questions_and_their_sessions_are_counted(
    value: Any, questions: int | None, sessions: int | None, nothing: bool
) -> None:
    returned = questions_returned(document(value))
    assert (returned.questions, returned.sessions, returned.nothing_matched) == (questions, sessions, nothing)


@pytest.mark.parametrize(
    ("returned", "uploaded", "found"),
    [
        (Returned(population=5), sent(users=5), ()),
        (Returned(population=4), sent(users=5), ("5 users were uploaded, and 4 came back.",)),
        (Returned(population=6), sent(users=5), ("5 users were uploaded, and 6 came back.",)),
        (Returned(population=None), sent(users=5), ()),
        # A user in two groups may count twice, and one in no group of the top level may not count.
        *(
            (Returned(population=came), sent(users=4, levels=(LevelInfo("district", 1, 3, 0, 1, 1),)), ())
            for came in (3, 4, 5)
        ),
        (
            Returned(population=2),
            sent(users=4, levels=(LevelInfo("district", 1, 3, 0, 1, 1),)),
            ("4 users were uploaded, and 2 came back.",),
        ),
        (Returned(population=4), sent(), ()),
        (Returned(population=4), None, ()),
        (
            Returned(population=5, groups={"school": 2, "other": 9}),
            sent(users=5, levels=(LevelInfo("district", 4, 5, 0), LevelInfo("school", 3, 5, 1))),
            ('3 groups of the level "school" were uploaded, and 2 came back.',),
        ),
    ],
)
def test_a_gap_is_what_is_known_to_differ(
    returned: Returned, uploaded: InputInfo | None, found: tuple[str, ...]
) -> None:
    assert gaps(returned, uploaded, {}) == found


@pytest.mark.parametrize(
    ("filters", "interval"),
    [
        ({"mintime": "2026-01-01", "maxtime": 1767225600}, "between 2026-01-01 and 1767225600 "),
        ({"mintime": "2026-01-01"}, "since 2026-01-01 "),
        ({"maxtime": "2026-01-01"}, "until 2026-01-01 "),
        ({}, "of any time "),
        (None, "of any time "),
        ("x", "of any time "),
    ],
)
def test_an_empty_result_names_the_interval(filters: Any, interval: str) -> None:
    (gap,) = gaps(Returned(nothing_matched=True), None, {"filters": filters})
    assert gap == f"Nothing matched: no session {interval}was counted."


async def reconciled_groups(folder: Path, files: dict[str, Any]) -> Returned:
    """What the manifest says of a group dataset with these files."""
    dataset = await published(folder, files)
    entries = list(dataset.files.values())
    found = await reconciled(dataset.store, dataset.layout, dataset.manifest, entries, sent=sent(users=5))
    assert found.returned is not None
    return found.returned


@pytest.mark.parametrize(
    "root",
    [
        [],
        {"groups": []},
        {"data": {"groups": [], "users": []}},
        {"population": 5, "mean_score": None, "groups": []},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["group.json", "groups/group.json", "result.json"])
@pytest.mark.parametrize("same", [False, True])
async def test_a_group_result_without_any_row_is_empty(tmp_path: Path, root: Any, name: str, same: bool) -> None:
    found = await reconciled_groups(tmp_path, {name: root} | ({name.replace(".json", ".csv"): b"a\n"} if same else {}))
    assert found.nothing_matched
    assert found.gaps == ("Nothing matched: no session of any time was counted.",)


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"errors.json": [], "groups.csv": b"group_name,population\nnorth,5\n"}, id="rows in a table"),
        pytest.param({"group.json": [], "north/group.json": {"group": OWN}}, id="another group"),
        pytest.param({"group.json": {}}, id="no list"),
        pytest.param({"group.json": {"population": 5, "groups": []}}, id="users in no group"),
        pytest.param(
            {"group.json": {"population": 5, "mean_score": 3.0, "stddev_score": None, "groups": []}}, id="one null"
        ),
        pytest.param(
            {"group.json": {"population": 5, "mean_percent": None, "mean_score": 0, "max_score": 0, "groups": []}},
            id="no percentage of nothing",
        ),
        pytest.param({"group.json": [1]}, id="not empty"),
        pytest.param({"group.json": {"rows": [], "warnings": ["x"]}}, id="something else is in it"),
        pytest.param({"group.json": b"["}, id="damaged"),
    ],
)
async def test_no_group_result_that_may_have_rows_is_called_empty(tmp_path: Path, files: dict[str, Any]) -> None:
    found = await reconciled_groups(tmp_path, files)
    assert (found.nothing_matched, found.gaps) == (False, ())
