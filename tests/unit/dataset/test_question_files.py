"""The questions of an analysis are counted in any layout of its files, or not known."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations, product
from pathlib import Path
from typing import Any

import msgspec
import pytest

from learnosity.connections import open_store
from learnosity.dataset.completeness import Returned
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.names_tsv import NamesInfo
from learnosity.dataset.question_files import CANDIDATES, MOST_PARTS
from learnosity.errors import GapError
from learnosity.landing.names_tsv import make_names
from learnosity.landing.reconcile import reconciled
from tests.unit.dataset.test_parquet import published

LAYOUT = DatasetLayout("ibk-analysis-by-question", "33285a4b-0e6e-47e4-bade-78999ada14db")


def row(number: int, **more: Any) -> dict[str, Any]:
    return {"item_reference": f"i{number}", "question_reference": f"q{number}", "count_sessions": number, **more}


def part(*numbers: int) -> list[dict[str, Any]]:
    return [row(number, p_value=0.5, tags=["a"]) for number in numbers]


async def of(folder: Path, files: Mapping[str, Any], *, require_complete: bool = False) -> tuple[Returned, NamesInfo]:
    """What the manifest says of an analysis with these files."""
    dataset = await published(folder, files)
    layout = dataset.layout
    manifest = msgspec.structs.replace(dataset.manifest, dataset_type=LAYOUT.dataset_type)
    own = DatasetLayout(LAYOUT.dataset_type, layout.dataset_id)
    (folder / own.prefix).parent.mkdir(parents=True, exist_ok=True)
    (folder / layout.prefix).rename(folder / own.prefix)
    store = open_store(folder.as_uri())
    entries = list(dataset.files.values())
    found = await reconciled(store, own, manifest, entries, sent=None, require_complete=require_complete)
    names = await make_names(store, own, entries)
    assert found.returned is not None
    assert names is not None
    return found.returned, names[1]


EMPTY = [[], {"warnings": []}, {"errors": [], "notes": []}]
INERT = [*EMPTY, {"generated": "x"}, {"a": {"b": 1}}]


@pytest.mark.parametrize("helper", INERT)
@pytest.mark.parametrize("name", ["a.json", "meta.json", "zzzzzzzzzzzzzz.json"])
async def test_a_file_beside_the_questions_is_not_taken_for_an_empty_result(
    tmp_path: Path, helper: Any, name: str
) -> None:
    returned, names = await of(tmp_path, {name: helper, "questions.json": part(1, 2, 3)}, require_complete=True)
    assert (returned.questions, returned.sessions, returned.nothing_matched) == (3, 3, False)
    assert returned.figures["questions"] == 3
    assert (names.names, names.left_out) == (6, 0)


@pytest.mark.parametrize("helper", INERT)
async def test_an_empty_result_is_said_where_no_file_has_questions(tmp_path: Path, helper: Any) -> None:
    files = {"questions.json": [], "a.json": helper}
    with pytest.raises(GapError, match="Nothing matched"):
        await of(tmp_path / "strict", files, require_complete=True)
    returned, _ = await of(tmp_path / "open", files)
    assert (returned.questions, returned.nothing_matched) == (0, True)


@pytest.mark.parametrize(
    "other", [b"{", [{"reference": "x", "value": 1}], {"items": {"i1": {"p_value": 1}, "i2": {"p_value": 1}}}, b"[" * 9]
)
async def test_nothing_is_known_where_another_file_may_have_questions(tmp_path: Path, other: Any) -> None:
    returned, _ = await of(tmp_path, {"errors.json": [], "b.json": other}, require_complete=True)
    assert not returned.nothing_matched


@pytest.mark.parametrize("order", permutations(range(3)))
@pytest.mark.parametrize("parts", [[(1, 2), (3, 4), (5,)], [(1, 2), (2, 3), (3, 4, 5)], [(1, 2, 3, 4, 5), (2,), (4,)]])
async def test_questions_in_several_files_are_all_counted(tmp_path: Path, order: Any, parts: Any) -> None:
    files = {f"part-{place}.json": part(*parts[number]) for place, number in enumerate(order)}
    returned, names = await of(tmp_path, files)
    assert (returned.questions, returned.sessions, returned.figures["questions"]) == (5, 5, 5)
    assert (names.names, names.left_out) == (10, 0)


@pytest.mark.parametrize("count", [2, CANDIDATES, CANDIDATES + 1, MOST_PARTS, MOST_PARTS + 1, MOST_PARTS + 7])
async def test_of_too_many_parts_the_count_is_not_known(tmp_path: Path, count: int) -> None:
    returned, names = await of(tmp_path, {f"part-{place:02}.json": part(place) for place in range(count)})
    assert returned.questions == (count if count <= MOST_PARTS else None)
    assert bool(returned.figures) == (count <= MOST_PARTS)
    assert (names.names, names.left_out) == (2 * min(count, MOST_PARTS), max(0, count - MOST_PARTS))


async def test_a_part_that_cannot_be_read_makes_the_count_unknown(tmp_path: Path) -> None:
    returned, names = await of(tmp_path, {"part-0.json": part(1), "part-1.json": b"{"})
    assert returned == Returned()
    assert names.left_out == 1


@pytest.mark.parametrize(
    "repeats",
    [
        {"items/i1.json": part(1), "items/i2.json": part(2), "items/i3.json": part(3)[0]},
        {f"items/i{number}.json": part(1) for number in range(40)},
        {"questions.csv": b"item_reference,question_reference,count_sessions\ni1,q1,1\ni2,q2,2\ni3,q3,3\n"},
        {"items.json": [{"item_reference": f"i{number}", "p_value": 0.1} for number in (1, 2, 3)]},
        {"only_q.json": [{"question_reference": f"q{number}", "p_value": 0.1} for number in (1, 2, 3)]},
        {"unnamed.json": {"bins": [{"p_value": 0.1, "count": 1}]}},
        {"items/damaged.json": b"{"},
        {"questions.csv": b"{", "questions.ndjson": part(1, 4)},
    ],
)
async def test_files_that_repeat_questions_change_nothing(tmp_path: Path, repeats: dict[str, Any]) -> None:
    returned, names = await of(tmp_path, {"questions.json": part(1, 2, 3), **repeats})
    assert (returned.questions, returned.figures["questions"]) == (3, 3)
    assert names.names == 6


HELPERS = [b"a,b\n1,2\n", {"filters": [{"a": 1}, {"a": 2}]}, [{"message": "x", "level": 3}, {"message": "y"}]]


@pytest.mark.parametrize("helper", HELPERS)
async def test_rows_without_name_and_measure_are_no_questions(tmp_path: Path, helper: Any) -> None:
    name = "helper.csv" if isinstance(helper, bytes) else "request.json"
    with pytest.raises(GapError, match="Nothing matched"):
        await of(tmp_path, {"q.json": {"questions": []}, name: helper}, require_complete=True)


@pytest.mark.parametrize("count", [CANDIDATES - 1, CANDIDATES, CANDIDATES + 1, MOST_PARTS])
async def test_many_empty_files_are_an_empty_result(tmp_path: Path, count: int) -> None:
    files: dict[str, Any] = {f"{place}.json": [] for place in range(count)}
    with pytest.raises(GapError, match="Nothing matched"):
        await of(tmp_path / "empty", files, require_complete=True)
    returned, names = await of(tmp_path / "last", {**files, f"{count - 1}.json": part(1, 2)}, require_complete=True)
    assert (returned.questions, names.names, names.left_out) == (2, 4, 0)


async def test_where_no_question_is_recognised_the_log_says_that_nothing_is_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unclear: list[dict[str, Any]] = [{"a.json": [{"reference": "x"}, {"reference": "y"}]}, {"a.json": b"{"}]
    for place, files in enumerate(unclear):
        caplog.clear()
        await of(tmp_path / str(place), files, require_complete=True)
        assert "it is not known whether any session was counted" in caplog.text
    caplog.clear()
    await of(tmp_path / "whole", {"a.json": part(1)}, require_complete=True)
    assert "not known" not in caplog.text


NUMBERS = range(1, 4)
CSV = b"item_reference,question_reference,count_sessions\n" + b"".join(b"I%d,%d,1\n" % (n, n) for n in NUMBERS)


@pytest.mark.parametrize("name", ["q.csv", "other.csv", "a.csv"])
@pytest.mark.parametrize("change", [int, str])
async def test_a_name_is_one_name_as_text_and_as_number_in_any_case(tmp_path: Path, name: str, change: Any) -> None:
    rows = [{"item_reference": f"i{n}", "question_reference": change(n), "count_sessions": 1} for n in NUMBERS]
    returned, _ = await of(tmp_path, {"q.json": rows, name: CSV})
    assert returned.questions == 3


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("other", ["a.json", "zzzzzzzzzzz.json"])
async def test_a_file_by_item_beside_one_by_question_is_no_part(tmp_path: Path, other: str, number: int) -> None:
    questions = [{"question_reference": f"q{n}", "count_sessions": n} for n in range(9)]
    items = [{"item_reference": f"i{n}", "count_sessions": 99} for n in range(3)]
    files: dict[str, Any] = {"questions.json": questions, other: items}
    if number == 2:
        files |= {"questions2.json": [{"question_reference": "q9"}], f"2{other}": [{"item_reference": "i9"}]}
    returned, _ = await of(tmp_path, files)
    assert (returned.questions, returned.sessions) == (8 + number, 8)


ITEM, QUESTION = ({"item_reference": "i{}"}, {"question_reference": "q{}"})


@pytest.mark.parametrize("views", [v for v in product([ITEM, QUESTION], repeat=3) if ITEM in v and QUESTION in v])
@pytest.mark.parametrize("form", ["p{}.json", "by/part-{}.csv.json", "{}-questions.json"])
async def test_of_parts_that_name_items_or_questions_the_count_is_not_known(
    tmp_path: Path, form: str, views: tuple[dict[str, str], ...]
) -> None:
    files = {
        form.format(place): [{key: text.format(place) for key, text in view.items()}]
        for place, view in enumerate(views)
    }
    assert (await of(tmp_path, files))[0] == Returned()


@pytest.mark.parametrize(
    ("parts", "count"),
    [
        ([["a", "A"]], 2),
        ([["a", "A"], ["a"]], 2),
        ([["a", "A"], ["b"]], 3),
        ([["a", "A"], ["b", "b"]], 3),
        ([["a", "A"], ["b", "c", "b"], ["b", "d", "d"]], 5),
        ([["a", "A"], ["a", "b", "a"]], 3),
        ([["a"], ["A"]], 1),
        ([["a", "b"], ["A", "C"]], 3),
        ([["a", "A"], ["b", "B"]], None),
        ([["a"], ["a", "A"]], None),
        ([["a", "A"], ["b"], ["B"]], None),
        ([["a", "A"], ["b"], ["B", "B"]], None),
        ([["a", "A"], ["b", "b", "B"]], None),
    ],
)
@pytest.mark.parametrize("name", ["item_reference", "question_reference"])
async def test_names_that_differ_by_case_in_one_file_are_not_taken_for_one(
    tmp_path: Path, name: str, parts: list[list[str]], count: int | None
) -> None:
    files = {f"p{place}.json": [{name: each} for each in part] for place, part in enumerate(parts)}
    assert (await of(tmp_path, files))[0].questions == count


APART = [
    {"columns": ["item_reference", "p_value"], "rows": [[7, 0.1], [8, 0.2]]},
    {"columns": ["item_reference", "p_value"], "rows": [["i1", None], ["i2", None]]},
    {"columns": ["item_reference", "p_value"], "rows": [["i1", "0.1"], ["i2", "0.2"]]},
    {"columns": ["item_reference", "p_value"], "rows": [[7, None]]},
    {"columns": ["p_value", "question_reference"], "rows": [["0.5", 7]]},
]


@pytest.mark.parametrize("content", APART, ids=str)
async def test_rows_apart_from_the_names_of_their_columns_are_not_nothing(tmp_path: Path, content: Any) -> None:
    returned, _ = await of(tmp_path, {"a.json": content, "b.json": []}, require_complete=True)
    assert returned == Returned()


@pytest.mark.parametrize("helper", [b"{", b"[1," + b" " * (4 * 1024 * 1024)])
async def test_a_helper_that_cannot_be_read_leaves_no_name_out(tmp_path: Path, helper: bytes) -> None:
    for place, (name, left_out) in enumerate((("a.json", 0), ("z/meta.json", 0), ("questions-2.json", 1))):
        _, names = await of(tmp_path / str(place), {"questions-1.json": part(1, 2), name: helper})
        assert (names.names, names.left_out) == (4, left_out), name
