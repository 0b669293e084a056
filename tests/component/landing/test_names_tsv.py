"""The index of names that a publication writes: of groups, of an analysis, and where there is none."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import obstore
import pytest
from obstore.store import LocalStore

from learnosity.connections import open_store
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import FileEntry
from learnosity.dataset.names_tsv import NamesInfo, search_names
from learnosity.landing import names_tsv
from learnosity.landing.names_tsv import make_names, put_names

GROUP_TYPE, ANALYSIS = "activity-summary-by-group", "ibk-analysis-by-question"


def group(users: list[Any]) -> bytes:
    return msgspec.json.encode({"group": {"group_name": "g"}, "groups": [], "users": [{"user_id": u} for u in users]})


TREE = {
    "groups/group.json": msgspec.json.encode({"group": {"group_name": ""}, "groups": [{"group_name": "north"}]}),
    "groups/group.csv": b"group_name\nnorth\n",
    "groups/north/group.json": msgspec.json.encode({"group": {"group_name": "north"}, "groups": []}),
    "groups/north/1%20a/group.json": group(["u1", "u2", 17]),
    "groups/north/1%20b/group.json": group(["u1"]),
}


async def made(
    folder: Path, files: Mapping[str, bytes], dataset_type: str = GROUP_TYPE, encoding: str | None = None
) -> tuple[NamesInfo | None, bytes | None, list[str]]:
    """The index of a dataset: what the manifest says, its content, and the paths in the order of files.ndjson."""
    layout = DatasetLayout(dataset_type, "33285a4b-0e6e-47e4-bade-78999ada14db")
    local = LocalStore(folder)
    for path, content in files.items():
        obstore.put(local, layout.data(path), content)
    entries = [FileEntry(path, len(files[path]), "", "", encoding) for path in sorted(files)]
    store = open_store(folder.as_uri())
    made = await make_names(store, layout, entries)
    await put_names(store, layout, made)
    return made and made[1], await store.get(layout.names), sorted(files)


def found(content: bytes | None, words: str, paths: list[str]) -> list[tuple[str, str, int]]:
    assert content is not None
    return [(each.name, paths[each.file], each.row) for each in search_names(content, words).names]


@pytest.mark.parametrize("encoding", [None, "gzip"])
async def test_users_and_groups_are_in_the_index_with_their_places(tmp_path: Path, encoding: str | None) -> None:
    files = TREE if encoding is None else {path: gzip.compress(content) for path, content in TREE.items()}
    info, content, paths = await made(tmp_path, files, encoding=encoding)
    assert found(content, "u1", paths) == [
        ("u1", "groups/north/1%20a/group.json", 0),
        ("u1", "groups/north/1%20b/group.json", 0),
    ]
    assert found(content, "17", paths) == [("17", "groups/north/1%20a/group.json", 2)]
    assert found(content, "1 b", paths) == [("1 b", "groups/north/1%20b/group.json", 0)]
    assert found(content, "north", paths) == [("north", "groups/north/group.json", 0)]
    assert info is not None
    assert content is not None
    assert info == NamesInfo(hashlib.sha256(content).hexdigest(), len(content), 7)


async def test_the_questions_of_an_analysis_are_in_the_index(tmp_path: Path) -> None:
    rows = [{"item_reference": f"i{n}", "question_reference": f"i{n}_q", "p_value": 0.5} for n in range(3)]
    files = {"items.json": msgspec.json.encode(rows), "items/i0.json": msgspec.json.encode(rows[0])}
    _, content, paths = await made(tmp_path, files, ANALYSIS)
    assert found(content, "i2_q", paths) == [("i2_q", "items.json", 2)]
    assert found(content, "i1", paths) == [("i1", "items.json", 1), ("i1_q", "items.json", 1)]


@pytest.mark.parametrize(
    ("files", "left_out"),
    [
        pytest.param({"groups/group.json": b"{", "groups/a/group.json": group(["u1"])}, 0, id="no JSON"),
        pytest.param({"groups/group.json": b"[]", "groups/a/group.json": group([None, [], {}])}, 0, id="odd ids"),
        pytest.param({"groups/group.json": b"[" * 10_000}, 0, id="deep"),
        pytest.param({}, 0, id="no files"),
    ],
)
async def test_odd_files_do_no_harm(tmp_path: Path, files: Mapping[str, bytes], left_out: int) -> None:
    info, content, _ = await made(tmp_path, files)
    assert info is not None
    assert content is not None
    assert info.left_out <= len(files)


TWO = [{"user_id": "pupil-1"}, {"user_id": "pupil-2"}]
ALL = {"group_name": "all", "mean_percent": 5}


@pytest.mark.parametrize(
    ("content", "names", "left_out"),
    [
        pytest.param({"users": TWO}, 2, 0, id="a list"),
        pytest.param({"group": ALL, "groups": [], "users": TWO}, 2, 0, id="beside the group"),
        pytest.param({"group": ALL, "groups": [ALL], "users": TWO}, 2, 0, id="beside groups"),
        pytest.param({"dataset_group": {**ALL, "users": TWO}}, 2, 0, id="in the group"),
        pytest.param({**ALL, "users": TWO}, 2, 0, id="in the document"),
        pytest.param({"data": {"group": {**ALL, "users": {"rows": TWO}}}}, 2, 0, id="deeper in the group"),
        pytest.param({"groups": [{**ALL, "users": TWO}, ALL]}, 0, 1, id="in a list of groups"),
        pytest.param({"dataset_group": {**ALL, "groups": [{**ALL, "users": TWO}]}}, 0, 1, id="in groups of the group"),
        pytest.param({"group": {**ALL, "users": [*TWO, 7]}}, 0, 1, id="beside other values"),
        pytest.param({"users": TWO, "others": [{"user_id": "pupil-3"}]}, 2, 1, id="two lists"),
        pytest.param({"a": {"b": {"c": {"d": {"e": {"users": TWO}}}}}}, 0, 1, id="too deep"),
        pytest.param({"group": ALL, "groups": [], "users": []}, 0, 0, id="no users"),
    ],
)
async def test_users_are_in_the_index_or_their_file_is_counted(
    tmp_path: Path, content: Any, names: int, left_out: int
) -> None:
    info, index, paths = await made(tmp_path, {"groups/group.json": msgspec.json.encode(content)})
    assert info is not None
    assert info.left_out == left_out
    assert len(found(index, "pupil", paths)) == names


@pytest.mark.parametrize("content", [b"{", b"[" * 10_000])
async def test_a_damaged_file_is_counted(tmp_path: Path, content: bytes) -> None:
    info, _, _ = await made(tmp_path, {"groups/group.json": content, "groups/a/group.json": group(["u1"])})
    assert info is not None
    assert info.left_out == 1


async def test_a_file_that_is_too_large_is_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names_tsv, "FILE_BYTES", 1_000)
    large = group([f"large-{number}" for number in range(100)])
    info, content, paths = await made(tmp_path, TREE | {"groups/north/2/group.json": large})
    assert info is not None
    assert info.left_out == 1
    assert found(content, "large", paths) == []
    assert found(content, "u2", paths)


@pytest.mark.parametrize("limit", ["MAX_FILES", "MAX_BYTES"])
async def test_too_much_has_no_index_and_an_older_one_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    assert (await made(tmp_path, TREE))[1]
    monkeypatch.setattr(names_tsv, limit, 1)
    assert (await made(tmp_path, TREE))[:2] == (None, None)


async def test_a_type_that_is_not_known_has_no_names(tmp_path: Path) -> None:
    info, content, _ = await made(tmp_path, {"a.json": group(["u1"])}, "something-new")
    assert info is not None
    assert content == b""


async def test_many_files_are_read_a_few_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names_tsv, "AT_ONCE", 3)
    monkeypatch.setattr(names_tsv, "BYTES_AT_ONCE", 150)
    files = {f"groups/c{number}/group.json": group([f"user-{number}"]) for number in range(20)}
    _, content, paths = await made(tmp_path, files | {"groups/group.json": b"{}"})
    assert len(found(content, "user-", paths)) == 20


async def test_where_there_was_no_index_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names_tsv, "MAX_FILES", 1)
    assert (await made(tmp_path, TREE))[:2] == (None, None)
