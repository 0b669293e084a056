"""Datasets in a store in memory, as landing leaves them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import (
    FileEntry,
    Manifest,
    RunInfo,
    decode_files,
    decode_manifest,
    encode_files,
    encode_manifest,
    sha256_hex,
)
from learnosity.retention.report import Entry, Report
from learnosity.retention.sweep import Sweep
from tests.memory_store import MemoryStore

TYPE = "activity-summary-by-group"
DAY = 86_400.0


def layout_of(number: int, dataset_type: str = TYPE) -> DatasetLayout:
    """The paths of the dataset with a number."""
    return DatasetLayout(dataset_type, str(UUID(int=number)))


def publish(
    store: MemoryStore,
    layout: DatasetLayout,
    age_days: float,
    files: int = 3,
    published_at: str = "2026-01-01T00:00:00+00:00",
) -> Manifest:
    """A published dataset, of so many days ago."""
    bodies = {f"groups/{number}.json": f"{layout.dataset_id} {number}".encode() for number in range(files)}
    entries = [
        FileEntry(path, len(body), hashlib.sha256(body).hexdigest(), "application/json")
        for path, body in sorted(bodies.items())
    ]
    listing = b"".join(encode_files(entries))
    manifest = Manifest(
        dataset_id=layout.dataset_id,
        dataset_type=layout.dataset_type,
        job_reference="job",
        request={},
        file_count=files,
        total_bytes=sum(entry.bytes for entry in entries),
        files_sha256=sha256_hex(listing),
        published_at=published_at,
        run=RunInfo("dag", "run", None),
    )
    for path, body in bodies.items():
        store.place(layout.data(path), body, age_days * DAY)
    store.place(layout.files, listing, age_days * DAY)
    store.place(layout.manifest, encode_manifest(manifest), age_days * DAY)
    return manifest


def begin(store: MemoryStore, layout: DatasetLayout, age_days: float, files: int = 2) -> None:
    """A landing that was not published, and was last written to so many days ago."""
    store.place(f"{layout.work_prefix('run', 'plan')}/plan-0000.ndjson", b"", age_days * DAY)
    for number in range(files):
        store.place(layout.data(f"groups/{number}.json"), b"half", age_days * DAY)


def check_promises(store: MemoryStore) -> None:
    """Every manifest finds all its files, and latest.json a manifest. To hold at each instant."""
    for path, stored in list(store.objects.items()):
        if not path.endswith("/manifest.json"):
            continue
        manifest = decode_manifest(stored.content, where=path)
        layout = DatasetLayout(manifest.dataset_type, manifest.dataset_id)
        if path != layout.manifest:
            continue  # not at the place of its dataset: a copy, which promises nothing
        assert layout.files in store.objects, path
        for entry in decode_files(store.objects[layout.files].content):
            there = store.objects.get(layout.data(entry.path))
            assert there is not None, f"{path} promises {entry.path}"
            assert hashlib.sha256(there.content).hexdigest() == entry.sha256


def sweep(run: str = "run", *, dry_run: bool = False, events: list[Entry] | None = None) -> Sweep:
    """One try of a run."""

    async def begins(entry: Entry) -> Entry:
        return entry

    async def done(entry: Entry, is_removed: bool) -> None:
        if events is not None and is_removed:
            events.append(entry)

    return Sweep(run, dry_run, begins, done, Report())


def finish(work: Coroutine[Any, Any, Any]) -> Any:
    """Run in a plain event loop, which hypothesis starts anew for each example."""
    return asyncio.run(work)
