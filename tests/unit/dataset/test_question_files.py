"""The questions of an analysis are counted in any layout of its files, or not known."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
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
from learnosity.landing.names_tsv import put_names
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
    names = await put_names(store, own, entries)
    assert found.returned is not None
    assert names is not None
    return found.returned, names


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
    ],
)
async def test_files_that_repeat_questions_change_nothing(tmp_path: Path, repeats: dict[str, Any]) -> None:
    returned, names = await of(tmp_path, {"questions.json": part(1, 2, 3), **repeats})
    assert (returned.questions, returned.figures["questions"]) == (3, 3)
    assert names.names == 6
