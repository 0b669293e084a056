"""The consumer sample: rows of a published dataset as Parquet, each once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import obstore
import pytest
from obstore.store import LocalStore

from learnosity.connections import open_store
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import FileEntry, Manifest, RunInfo, encode_files, encode_manifest, sha256_hex
from learnosity.dataset.parquet import beside, to_parquet
from learnosity.dataset.published import PublishedDataset
from learnosity.errors import IncompleteDatasetError, StorageError

LAYOUT = DatasetLayout("activity-summary-by-group", "33285a4b-0e6e-47e4-bade-78999ada14db")


async def published(folder: Path, files: Mapping[str, Any], *, encoding: str | None = None) -> PublishedDataset:
    """A dataset of these files: bytes as they are, and anything else as JSON."""
    store = LocalStore(folder, mkdir=True)
    contents = {
        path: value if isinstance(value, bytes) else msgspec.json.encode(value) for path, value in files.items()
    }
    entries = [
        FileEntry(path, len(body), hashlib.sha256(body).hexdigest(), "application/json", encoding)
        for path, body in sorted(contents.items())
    ]
    listing = b"".join(encode_files(entries))
    for path, body in contents.items():
        obstore.put(store, LAYOUT.data(path), body)
    manifest = Manifest(
        LAYOUT.dataset_id,
        LAYOUT.dataset_type,
        "job",
        {},
        len(entries),
        sum(entry.bytes for entry in entries),
        sha256_hex(listing),
        "2026-11-24T03:00:00+00:00",
        RunInfo("dag", "run", None),
    )
    obstore.put(store, LAYOUT.files, listing)
    obstore.put(store, LAYOUT.manifest, encode_manifest(manifest))
    return await PublishedDataset.open(open_store(folder.as_uri()), f"{folder.as_uri()}/{LAYOUT.manifest}", LAYOUT)


def group(name: str, children: list[str], users: list[str]) -> dict[str, Any]:
    return {
        "group": {"group_name": name, "mean_percent": 50.0},
        "ancestors": [{"group_name": "all", "mean_percent": 49.0}],
        "groups": [{"group_name": child, "mean_percent": 50.5} for child in children],
        "users": [{"user_id": user, "score": 7} for user in users],
    }


async def test_groups_and_users_come_out_once_each(tmp_path: Path) -> None:
    dataset = await published(
        tmp_path / "in",
        {
            "groups/group.json": group("all", ["north", "south"], []),
            "groups/north/group.json": group("north", ["class"], []),
            "groups/south/group.json": group("south", ["class"], []),
            "groups/north/class/group.json": group("class", [], ["u1", "u2"]),
            "groups/south/class/group.json": group("class", [], ["u3"]),
        },
    )
    written = await to_parquet(dataset, open_store((tmp_path / "out").as_uri()))
    assert [(file.uri.rpartition("/")[2], file.rows) for file in written] == [
        ("groups.parquet", 5),
        ("users.parquet", 3),
    ]
    folder = tmp_path / "out" / LAYOUT.prefix
    with duckdb.connect() as database:
        rows = database.read_parquet(str(folder / "groups.parquet")).order("folder, group_name").fetchall()
        users = database.read_parquet(str(folder / "users.parquet")).aggregate("count(distinct user_id)").fetchall()
    assert [row[:2] for row in rows] == [
        ("", "all"),
        ("groups", "north"),
        ("groups", "south"),
        ("groups/north", "class"),
        ("groups/south", "class"),
    ]
    assert users == [(3,)]


@pytest.mark.parametrize(
    "missing", [[], ["groups"], ["groups", "groups/north"], ["groups/north/class", "groups/south/class"]]
)
async def test_no_group_is_lost_where_the_file_of_its_parent_is_missing(tmp_path: Path, missing: list[str]) -> None:
    """Such as a dataset without a file for all districts together, or one of which only some files were landed."""
    tree = {
        "groups": group("all", ["north", "south"], []),
        "groups/north": group("north", ["class"], []),
        "groups/south": group("south", ["class"], []),
        "groups/north/class": group("class", [], ["u1", "u2"]),
        "groups/south/class": group("class", [], ["u3"]),
    }
    names = {"": "all", "groups": ["north", "south"], "groups/north": ["class"], "groups/south": ["class"]}
    files = {f"{folder}/group.json": content for folder, content in tree.items() if folder not in missing}
    await to_parquet(await published(tmp_path / "in", files), open_store((tmp_path / "out").as_uri()))
    with duckdb.connect() as database:
        file = tmp_path / "out" / LAYOUT.prefix / "groups.parquet"
        rows = database.read_parquet(str(file)).project("folder, group_name").order("folder, group_name").fetchall()
    # A group is known by its own file, or by that of its parent.
    known = [
        (folder, name)
        for folder, listed in names.items()
        for name in ([listed] if isinstance(listed, str) else listed)
        if not {folder, "/".join(filter(None, (folder, name if folder else "groups")))} <= {*missing, ""}
    ]
    assert rows == known


async def test_items_that_stand_in_several_files_come_out_once(tmp_path: Path) -> None:
    item = {"item_reference": "one", "p_value": 0.5}
    dataset = await published(tmp_path / "in", {"items.json": [item], "items/one.json": item})
    (file,) = await to_parquet(dataset, open_store((tmp_path / "out").as_uri()))
    assert file.rows == 1


async def test_a_dataset_without_known_rows_makes_no_file(tmp_path: Path) -> None:
    dataset = await published(tmp_path / "in", {"odd.json": {"a": [1, 2]}})
    assert await to_parquet(dataset, open_store((tmp_path / "out").as_uri())) == []


KINDS: dict[str, Any] = {
    "groups": [{"group_name": "a", "population": 1}],
    "users": [{"user_id": "u", "score": 1}],
    "items": [{"item_reference": "i", "p_value": 0.5}],
}
SUBSETS = [kinds for length in range(4) for kinds in combinations(KINDS, length)]


@pytest.mark.parametrize("before", SUBSETS, ids="-".join)
@pytest.mark.parametrize("after", SUBSETS, ids="-".join)
async def test_no_file_of_an_earlier_landing_stays_beside_the_new_ones(
    tmp_path: Path, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    out = tmp_path / "out" / LAYOUT.prefix
    for number, kinds in enumerate((before, after)):
        dataset = await published(tmp_path / f"in{number}", {"a.json": {kind: KINDS[kind] for kind in kinds}})
        await to_parquet(dataset, open_store((tmp_path / "out").as_uri()))
        out.mkdir(parents=True, exist_ok=True)
        (out / "mine.parquet").touch()
    assert {file.name for file in out.iterdir()} == {"mine.parquet", *(f"{kind}.parquet" for kind in after)}


async def test_what_is_not_published_is_not_read(tmp_path: Path) -> None:
    uri = tmp_path.as_uri()
    with pytest.raises(IncompleteDatasetError, match="is gone"):
        await PublishedDataset.open(open_store(uri), f"{uri}/{LAYOUT.manifest}", LAYOUT)


async def test_a_json_file_above_32_mib_fails_at_once(tmp_path: Path) -> None:
    path = "groups/group.json"
    dataset = await published(tmp_path / "in", {path: group("x" * 32 * 1024**2, [], [])})
    with pytest.raises(IncompleteDatasetError, match="too big"):
        await to_parquet(dataset, open_store((tmp_path / "out").as_uri()))


@pytest.mark.parametrize(
    ("destination", "folder"),
    [
        ("s3://conn@bucket/datasets", "s3://conn@bucket/datasets_parquet"),
        ("s3://conn@bucket/a/b/", "s3://conn@bucket/a/b_parquet"),
        ("file:///data/datasets//", "file:///data/datasets_parquet"),
    ],
)
def test_the_default_place_is_beside_the_datasets(destination: str, folder: str) -> None:
    assert beside(destination) == folder


@pytest.mark.parametrize("bucket", ["s3://conn@bucket", "gs://bucket/"])
def test_beside_a_whole_bucket_there_is_no_place(bucket: str) -> None:
    """Otherwise the files would go to another bucket, of the name `bucket_parquet`."""
    with pytest.raises(StorageError, match="Set parquet_uri"):
        beside(bucket)


@pytest.mark.parametrize("place", ["", "/parquet", "/../datasets/x", f"/{LAYOUT.prefix}"])
async def test_no_file_is_written_where_datasets_are(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "datasets"
    dataset = await published(folder, {"users.json": {"users": [{"user_id": "u", "score": 1}]}})
    before = sorted(folder.rglob("*.*"))
    with pytest.raises(StorageError, match="where datasets land"):
        await to_parquet(dataset, open_store(f"{folder.as_uri()}{place}"))
    assert sorted(folder.rglob("*.*")) == before


async def test_a_folder_above_the_datasets_is_outside_of_them(tmp_path: Path) -> None:
    dataset = await published(tmp_path / "datasets", {"users.json": {"users": [{"user_id": "u", "score": 1}]}})
    (file,) = await to_parquet(dataset, open_store(tmp_path.as_uri()))
    assert file.uri == f"{tmp_path.as_uri()}/{LAYOUT.prefix}/users.parquet"


async def test_a_store_that_hides_missing_files_says_which_right_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = await published(tmp_path / "in", {"a.json": {"users": [{"user_id": "u1"}]}})
    target = open_store((tmp_path / "out").as_uri())

    look = type(target).head

    async def head(store: Any, path: str) -> Any:
        if path.endswith(".parquet"):
            raise StorageError(f"May not look at {path}: 403 Forbidden.")
        return await look(store, path)

    monkeypatch.setattr(type(target), "head", head)
    with pytest.raises(StorageError, match=r"403 Forbidden\. .*parquet_uri needs s3:GetObject, and s3:ListBucket"):
        await to_parquet(dataset, target)
    assert not [*(tmp_path / "out").rglob("*.parquet")]
