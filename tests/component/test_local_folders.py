"""Folders of any name: a dataset that is published below them is opened through the URI of its manifest."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
import pytest
from airflow.sdk import ObjectStoragePath
from hypothesis import example, given, settings
from hypothesis import strategies as st
from obstore.exceptions import GenericError

from learnosity.connections import open_store
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import Manifest, RunInfo, encode_manifest, sha256_hex
from learnosity.dataset.published import PublishedDataset
from learnosity.errors import StorageError
from learnosity.landing.announce import write_latest
from learnosity.landing.begin import begin_landing
from learnosity.landing.listing import Listing, ResultSet
from learnosity.storage.write_check import check_writable


class NotFetchedError(Exception):
    """The listing is asked for: what comes before it has passed."""


class NoResults(ResultSet):
    def __init__(self) -> None: ...

    async def list(self) -> Listing:
        raise NotFetchedError


LAYOUT = DatasetLayout("users", "dataset-1")
MANIFEST = Manifest(
    dataset_id=LAYOUT.dataset_id,
    dataset_type=LAYOUT.dataset_type,
    job_reference="job",
    request={},
    file_count=0,
    total_bytes=0,
    files_sha256=sha256_hex(b""),
    published_at="2026-01-01T00:00:00+00:00",
    run=RunInfo("dag", "run", None),
)
# Airflow drops tabs and line ends from a URI, so a destination cannot name a folder that has one. They are left out.
CHARACTERS = st.characters(blacklist_characters="/\0\t\r\n", blacklist_categories=["Cs"])
ODD = st.sampled_from(
    ["%", "%20", "%2F", "#", "#1", "?", "&", " ", "+", "ü", "u\u0308", "[1]", "*", "@", ":", "\\", "~", "a"]
)
SEGMENT = (st.lists(ODD, min_size=1, max_size=5).map("".join) | st.text(CHARACTERS, min_size=1, max_size=20)).filter(
    lambda name: name not in (".", "..") and len(name.encode()) <= 255
)


@settings(max_examples=60)
@given(SEGMENT, SEGMENT)
@example("a b", "100%")
@example("#1", "x#1")
@example("C:", "~")
@example("0", "?#")
@example("a ", " ")
async def test_a_dataset_in_any_folder_is_opened_through_its_manifest_uri(outer: str, inner: str) -> None:
    with tempfile.TemporaryDirectory() as root:
        folder = f"{root}/{outer}/{inner}"
        store = await asyncio.to_thread(open_store, f"file://{folder}")
        await store.put(LAYOUT.files, b"")
        await store.put(LAYOUT.manifest, encode_manifest(MANIFEST))
        content = await asyncio.to_thread(Path(f"{folder}/{LAYOUT.manifest}").read_bytes)
        assert content == encode_manifest(MANIFEST), "it lies where the destination says"
        uri = f"{store.uri}/{LAYOUT.manifest}"
        folder_uri = uri.removesuffix(f"/{LAYOUT.manifest}")
        again = await asyncio.to_thread(open_store, folder_uri)
        assert (await PublishedDataset.open(again, uri, LAYOUT)).manifest == MANIFEST
        # ObjectStoragePath loses `?` where nothing or `#` follows, and reads `::` as a chain of file systems.
        if urlsplit(uri).geturl() == uri and "::" not in folder:
            assert await asyncio.to_thread(ObjectStoragePath(uri).read_bytes) == content


async def test_what_a_file_system_cannot_take_is_for_a_person_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    store = open_store(f"file://{tmp_path}")
    for name, says in (
        ("x" * 300, "a name is longer"),
        ("é" * 127, "a name is longer"),
        ("file/below", "a file in the place of a folder"),
        ("circle/below", "links lead in a circle"),
    ):
        with pytest.raises(StorageError, match=says):
            await store.put(name, b"x")


# Where a link lies, and where it leads: out of the destination, or to another folder in it.
LINKS = [
    (LAYOUT.dataset_type, "../other", False),
    (LAYOUT.dataset_type, "../dest-2", False),
    (LAYOUT.dataset_type, "..", False),
    (LAYOUT.dataset_type, "../not-there", False),
    (LAYOUT.dataset_type, "/", False),
    (LAYOUT.dataset_type, "inside", True),
    (LAYOUT.dataset_type, "../dest/inside", True),
    (LAYOUT.prefix, "../../other", False),
    (LAYOUT.prefix, "../inside", True),
    (LAYOUT.data_prefix, "../../../other", False),
    (LAYOUT.data_prefix, "../../inside", True),
]


@pytest.mark.parametrize(("place", "target", "is_inside"), LINKS)
@pytest.mark.parametrize("linked", [False, True], ids=["folder", "link to the destination"])
async def test_nothing_is_written_through_a_link_out_of_the_destination(
    tmp_path: Path, place: str, target: str, is_inside: bool, linked: bool
) -> None:
    for name in ("dest/inside", "dest-2", "other"):
        (tmp_path / name).mkdir(parents=True)
    link = tmp_path / "dest" / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)
    (tmp_path / "seen-as").symlink_to("dest")
    store = open_store(f"file://{tmp_path}/{'seen-as' if linked else 'dest'}")
    before = await asyncio.to_thread(lambda: sorted(tmp_path.rglob("*")))
    checked: list[tuple[Callable[[], Awaitable[object]], bool]] = [
        (lambda: check_writable(store, "me", below=LAYOUT.dataset_type), place == LAYOUT.dataset_type),
        (lambda: begin_landing(store, LAYOUT, NoResults(), work=LAYOUT.work_prefix("run", "plan")), True),
    ]
    for call, sees_it in checked:
        if is_inside or not sees_it:
            with suppress(NotFetchedError):
                await call()
            continue
        with pytest.raises(StorageError, match="a link that leads out of the destination"):
            await call()
    assert await asyncio.to_thread(lambda: sorted(tmp_path.rglob("*"))) == before


async def test_a_folder_in_the_place_of_latest_is_for_a_person(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}")
    await store.put(LAYOUT.manifest, encode_manifest(MANIFEST))
    (tmp_path / LAYOUT.latest).mkdir(parents=True)
    with pytest.raises(StorageError, match=r"latest\.json is a folder"):
        await write_latest(store, LAYOUT)
    (tmp_path / LAYOUT.latest).rmdir()
    await write_latest(store, LAYOUT)
    assert await store.get(LAYOUT.latest) == encode_manifest(MANIFEST)


NO_LINKS = (
    *("Operation not permitted (os error 1)", "Function not implemented (os error 38)"),
    "Operation not supported (os error 95)",
)


@pytest.mark.parametrize("said", NO_LINKS)
async def test_a_mounted_folder_without_hard_links_is_a_destination(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """obstore makes new files by hard links. Buckets that are mounted as folders and network drives have none."""
    put = obstore.put_async

    async def without_links(*args: Any, mode: Any = "overwrite", **more: Any) -> Any:
        if mode == "create":
            raise GenericError(f"Generic LocalFileSystem error: Unable to rename file: {said}")
        return await put(*args, mode=mode, **more)

    monkeypatch.setattr(obstore, "put_async", without_links)
    store = await asyncio.to_thread(open_store, tmp_path.as_uri())
    await check_writable(store, "task")
    assert await store.replace("latest.json", b"first", None)
    assert await store.replace("latest.json", b"second", await store.head("latest.json"))
    assert await store.get("latest.json") == b"second"


async def test_a_new_file_that_cannot_be_written_at_all_is_still_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def denied(*args: Any, **more: Any) -> Any:
        raise GenericError("Generic LocalFileSystem error: Unable to open file /x: Permission denied (os error 13)")

    monkeypatch.setattr(obstore, "put_async", denied)
    store = await asyncio.to_thread(open_store, tmp_path.as_uri())
    with pytest.raises(StorageError, match="no permission"):
        await store.replace("latest.json", b"first", None)


async def test_a_file_that_somebody_has_made_in_the_meantime_is_not_replaced(tmp_path: Path) -> None:
    store = await asyncio.to_thread(open_store, tmp_path.as_uri())
    await store.put("latest.json", b"theirs")
    assert not await store.replace("latest.json", b"ours", None)
    assert await store.get("latest.json") == b"theirs"
