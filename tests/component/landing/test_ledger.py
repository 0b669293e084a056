"""Notes of what has landed: written in batches, read back whole, never lost by a failed write."""

from __future__ import annotations

from typing import Any

import pytest

from devstack.seaweedfs import SeaweedFS
from learnosity.errors import TransientStorageError
from learnosity.landing import ledger
from learnosity.landing.ledger import Landed, Ledger, read_ledger
from learnosity.storage.store import Store
from tests.component.landing_scene import Passing, s3_store


def note(number: int, sha256: str = "0" * 64) -> Landed:
    return Landed(f"f{number}.json", number, sha256, "application/json", f'"{number}"')


@pytest.fixture
def store(s3_server: SeaweedFS) -> Store:
    return s3_store(s3_server)


async def test_what_was_noted_is_read_back_by_path(store: Store) -> None:
    written = Ledger(store, "work", 0)
    for number in range(5):
        await written.add(note(number))
    await written.flush()
    assert await read_ledger(store, "work", 0) == {f"f{number}.json": note(number) for number in range(5)}


async def test_shards_do_not_see_each_others_notes(store: Store) -> None:
    for shard in (1, 11):
        written = Ledger(store, "work", shard)
        await written.add(note(shard))
        await written.flush()
    assert list(await read_ledger(store, "work", 1)) == ["f1.json"]
    assert await read_ledger(store, "work", 2) == {}


async def test_the_latest_note_of_a_file_counts(store: Store) -> None:
    for digest in ("a" * 64, "b" * 64):
        written = Ledger(store, "work", 0)
        await written.add(note(1, digest))
        await written.flush()
    assert (await read_ledger(store, "work", 0))["f1.json"].sha256 == "b" * 64


async def test_many_notes_are_written_without_being_asked(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "FLUSH_FILES", 3)
    written = Ledger(store, "work", 0)
    for number in range(7):
        await written.add(note(number))
    assert len(await read_ledger(store, "work", 0)) == 6


async def test_notes_that_could_not_be_written_are_written_next_time(store: Store) -> None:
    class Failing(Passing):
        down = True

        async def put(self, path: str, content: bytes | memoryview, *how: Any, **named: Any) -> str | None:
            if self.down:
                raise TransientStorageError("503")
            return await super().put(path, content, *how, **named)

    failing = Failing(store)
    written = Ledger(failing, "work", 0)
    await written.add(note(1))
    with pytest.raises(TransientStorageError):
        await written.flush()
    failing.down = False
    await written.add(note(2))
    await written.flush()
    assert set(await read_ledger(store, "work", 0)) == {"f1.json", "f2.json"}


async def test_nothing_noted_writes_nothing(store: Store) -> None:
    await Ledger(store, "work", 0).flush()
    assert [batch async for batch in store.list("")] in ([], [[]])
