"""Names of files in stores that only fsspec opens: every name that may land is kept as it is."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from airflow.sdk.io import attach
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]
from hypothesis import example, given, settings
from hypothesis import strategies as st

from learnosity.connections import open_store
from learnosity.dataset.file_names import MAX_SEGMENT_BYTES, safe_path
from learnosity.errors import UnsafeNameError
from learnosity.fsspec_store import FsspecStore
from learnosity.storage.store import Store

KINDS = ["memory", "local"]


def allowed(name: str) -> bool:
    try:
        safe_path(name)
    except UnsafeNameError:
        return False
    return True


async def opened(kind: str, root: str, folder: str) -> Store:
    """A store below a folder that nobody else has."""
    if kind == "local":
        return FsspecStore(LocalFileSystem(), f"{root}/{folder}", f"shared://{root}/{folder}")
    attach("memory", fs=MemoryFileSystem())
    return await asyncio.to_thread(open_store, f"memory://bucket/{uuid4()}/{folder}")


async def content(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def keeps(store: Store, name: str) -> None:
    """Everything that can be done with an object is done with one of this name, beside one of a similar name."""
    await store.put("other", b"other")
    await store.put(name, b"first")
    await store.put_stream(name, content(b"sec", b"ond"), 6)
    assert await store.get(name) == b"second"
    assert await asyncio.to_thread(lambda: b"".join(store.read(name))) == b"second"
    info = await store.head(name)
    assert info is not None
    assert info.size == 6
    listed = {each.path: each.size async for batch in store.list("") for each in batch}
    assert listed == {"other": 5, name: 6}
    assert await store.discard_unfinished("") == 0
    await store.delete([name])
    assert await store.get(name) is None
    assert await store.get("other") == b"other"


ODD = st.sampled_from(
    ["[1]", "[", "]", "*", "?", "#", "#1", "%", "%20", "ü", "{a}", "~", "::", "&", "=", "a", "a b", "C:"]
)
PART = (st.lists(ODD, min_size=1, max_size=6).map("".join) | st.text(min_size=1, max_size=20)).filter(allowed)
NAME = st.lists(PART, min_size=1, max_size=3).map("/".join).filter(lambda name: allowed(name) and name != "other")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(folder=PART.filter(lambda name: "/" not in name and "::" not in name), name=NAME)
@example(folder="a", name="x" * MAX_SEGMENT_BYTES)
@example(folder="[1]", name="users[1].json")
@example(folder="a", name="users*")
@example(folder="a", name="users#1")
async def test_a_name_that_may_land_is_kept_as_it_is(kind: str, folder: str, name: str) -> None:
    with tempfile.TemporaryDirectory() as root:
        await keeps(await opened(kind, root, folder), name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1, 216, 217, 218, 230, MAX_SEGMENT_BYTES])
async def test_a_name_may_be_as_long_as_the_rules_allow(kind: str, length: int) -> None:
    with tempfile.TemporaryDirectory() as root:
        store = await opened(kind, root, "folder")
        await keeps(store, "x" * length)
        await keeps(store, "ü" * (length // 2) + "/" + "y" * length if length > 1 else "y")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_write_that_breaks_off_leaves_nothing_under_any_name(kind: str) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise OSError("the source is gone")

    with tempfile.TemporaryDirectory() as root:
        store = await opened(kind, root, "[1]")
        with pytest.raises(OSError, match="the source is gone"):
            await store.put_stream("users[1].json", broken(), None)
        assert [info async for batch in store.list("") for info in batch] == []
        assert await store.discard_unfinished("") == 0
