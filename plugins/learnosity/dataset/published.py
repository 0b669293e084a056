"""A published dataset as consumers read it: only its manifest, and the files that the manifest leads to.

A file that is not in `files.ndjson` cannot be read here, for any path. Nothing is written.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from learnosity.dataset.bounded_reads import check_place, read_begin, read_whole, size_of
from learnosity.dataset.file_names import safe_path
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.limits import WHOLE, Limits
from learnosity.dataset.listings import LARGEST, TooManyFilesError, Unlisted, read_listing
from learnosity.dataset.local_table import LocalTable
from learnosity.dataset.manifest import (
    LAND_AGAIN,
    FileEntry,
    Manifest,
    check_digest,
    decode_files,
    decode_manifest,
)
from learnosity.dataset.names_tsv import forms
from learnosity.dataset.nested_rows import unfolded
from learnosity.dataset.page_threads import working
from learnosity.dataset.tables import Document, read_document
from learnosity.errors import IncompleteDatasetError, StorageError, UnsafeNameError
from learnosity.storage.store import ObjectInfo, Store

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
_SHOWN = 5  # an error message quotes at most this many paths


class MissingManifestError(IncompleteDatasetError):
    """There is no manifest at the URI that a run has published."""


class ElsewhereError(StorageError):
    """The URI that a run has published is not below its destination."""


def check_is_at(destination: str, manifest_uri: str, layout: DatasetLayout) -> None:
    """Check that a manifest is at the destination of its run.

    :param destination: URI of the destination, without the Airflow connection.
    :raises ElsewhereError: it is not.
    """
    if f"{destination}/{layout.manifest}" != manifest_uri:
        raise ElsewhereError(f"{manifest_uri} does not lie at the destination {destination}, so it is not read.")


@dataclass(frozen=True, slots=True)
class PublishedDataset:
    """One complete dataset.

    :param store: the destination of the dataset.
    :param manifest_bytes: the manifest as it is stored.
    :param files: the files by path, in the order of files.ndjson.
    :param groups: paths of the files that describe groups, by group path. As `files`, it is `Unlisted` where the list
        is too long to be read.
    :param limits: how much of it is read.
    """

    store: Store
    layout: DatasetLayout
    manifest: Manifest
    manifest_bytes: bytes = field(repr=False)
    files: Mapping[str, FileEntry] = field(repr=False)
    groups: Mapping[tuple[str, ...], str] = field(repr=False)
    limits: Limits = WHOLE

    @classmethod
    async def open(
        cls, store: Store, manifest_uri: str, layout: DatasetLayout, limits: Limits = WHOLE, *, unlisted: bool = False
    ) -> PublishedDataset:
        """Read the manifest and the list of files, and compare the list with the manifest.

        :param store: the destination where the run landed the dataset.
        :param manifest_uri: URI at which the run published the manifest. It must be the URI that `layout` gives.
        :param limits: how much of it is read.
        :param unlisted: whether a dataset with too many files is opened, too, without them.
        :raises IncompleteDatasetError: there is no complete dataset at that URI. `TooManyFilesError`: it has too many
            files.
        :raises LearnosityError: the store refuses or fails.
        """
        check_is_at(store.uri, manifest_uri, layout)
        content = await read_whole(store, layout.manifest, MAX_MANIFEST_BYTES)
        if content is None:
            raise MissingManifestError(f"{manifest_uri} is gone: the dataset was moved or deleted since.")
        manifest = await working(decode_manifest, content, where=manifest_uri)
        if (manifest.dataset_type, manifest.dataset_id) != (layout.dataset_type, layout.dataset_id):
            raise IncompleteDatasetError(f"{manifest_uri} is the manifest of another dataset.")
        if max(abs(manifest.file_count), abs(manifest.total_bytes)) >= LARGEST:
            raise IncompleteDatasetError(f"{manifest_uri} has a number that no landing writes.")
        try:
            files, groups = await read_listing(store, layout, manifest, limits)
        except TooManyFilesError as error:
            if not unlisted:
                raise
            files = groups = Unlisted(error)
        return cls(store, layout, manifest, content, files, groups, limits)

    @property
    def not_listed(self) -> str:
        """Why its files are not known, in words; "" = they are known."""
        return str(self.files.error) if isinstance(self.files, Unlisted) else ""

    def check_listed(self) -> None:
        """Do nothing where the files are known.

        :raises TooManyFilesError: they are not known.
        """
        if isinstance(self.files, Unlisted):
            raise self.files.error

    def search(self, query: str) -> Sequence[FileEntry]:
        """Files whose path contains every word of the query, in upper or lower case. "" finds all files."""
        words = [forms(word) for word in set(query.casefold().split())]
        if not words:
            return list(self.files.values())
        paths = ((file, file.path.casefold()) for file in self.files.values())
        return [file for file, path in paths if all(any(form in path for form in word) for word in words)]

    def entry(self, path: str) -> FileEntry | None:
        """The entry of a listed file; None for anything else."""
        try:
            return self.files.get(safe_path(path))
        except UnsafeNameError:
            return None

    async def document(self, entry: FileEntry) -> Document | None:
        """The content of a file as tables or text, within the limits; None when they, or its compression, forbid it.

        :raises IncompleteDatasetError: the file is missing or was changed.
        """
        if entry.bytes > self.limits.file_bytes:
            return None
        path = self.layout.data(entry.path)
        found = await read_begin(
            self.store, path, size=entry.bytes, encoding=entry.content_encoding, keep=self.limits.shown_bytes
        )
        if found is None:
            await self._check_size(entry)
        if found is None or (found.size, found.sha256) != (entry.bytes, entry.sha256):
            raise self._changed(entry)
        if found.content is None or (found.cut and not self.limits.begin):
            return None
        return await working(read_document, entry.path, found.content, cut=found.cut, limits=self.limits)

    async def unfolded(self, entry: FileEntry) -> Document | None:
        """As `document`, with the rows inside the row of a group as tables of their own (see `nested_rows`)."""
        document = await self.document(entry)
        return None if document is None else await working(unfolded, document, self.limits)

    async def stream(self, entry: FileEntry) -> Iterator[bytes]:
        """The bytes of a file in chunks. Each step blocks until its chunk is read.

        The last chunk comes only after the digest is compared. So a file that was changed is never read to its end.

        :raises IncompleteDatasetError: the file is missing or was changed, here or while it is read.
        """
        await self._check_size(entry)
        return self._chunks(entry)

    def chunks(self, entry: FileEntry) -> Iterator[bytes]:
        """As `stream`, for a thread that reads many files: the size is compared only while the file is read."""
        check_place(self.store, self.layout.data(entry.path))
        yield from self._chunks(entry)

    def _chunks(self, entry: FileEntry) -> Iterator[bytes]:
        left, digest, held = entry.bytes, hashlib.sha256(), b""
        for chunk in self.store.read(self.layout.data(entry.path)):
            left -= len(chunk)
            if left < 0:
                raise self._changed(entry)
            digest.update(chunk)
            if held:
                yield held
            held = chunk
        if left or digest.hexdigest() != entry.sha256:
            raise self._changed(entry)
        if held:
            yield held

    async def _check_size(self, entry: FileEntry) -> None:
        size = await size_of(self.store, self.layout.data(entry.path))
        if size is None:
            where = f"{self.store.uri}/{self.layout.data(entry.path)}"
            raise IncompleteDatasetError(f"{where} is gone: it was deleted after publishing.")
        if size != entry.bytes:
            raise self._changed(entry)

    def _changed(self, entry: FileEntry) -> IncompleteDatasetError:
        where = f"{self.store.uri}/{self.layout.data(entry.path)}"
        return IncompleteDatasetError(f"{where} is not what was published: it was changed since.")

    def group_file(self, group_path: Sequence[str]) -> FileEntry | None:
        """The file that describes a group; None when no file has the name of the group."""
        path = self.groups.get(tuple(group_path))
        return self.files[path] if path else None

    def group_of(self, entry: FileEntry) -> tuple[str, ...] | None:
        """The group that a file describes, by group path; None when it describes none."""
        found = [group for group, path in self.groups.items() if path == entry.path]
        # A file may be in `groups` twice, so that its group is found by either name: as it stands in the file's path,
        # such as `a%20b`, and decoded, `a b`. `group_files` decides which of them is the real name of the group,
        # usually `a b`, and adds it last. So the last one is returned.
        return found[-1] if found else None


async def verify(store: Store, layout: DatasetLayout, manifest: Manifest) -> None:
    """Check a published dataset: compare files.ndjson with the manifest, and the size of every object with its entry.

    :raises IncompleteDatasetError: a file is missing or has another size; the message names some of them.
    """
    table = LocalTable("CREATE TABLE files (path TEXT PRIMARY KEY, bytes, stored) WITHOUT ROWID")
    await _read_listed(store, layout, manifest, table)
    async for batch in stored(store, layout):
        rows = ((info.size, path) for path, info in batch.items())
        table.change_many("UPDATE files SET stored = ? WHERE path = ?", rows)
    is_wrong = "stored IS NULL OR stored != bytes"
    (number,) = table.row(f"SELECT count(*) FROM files WHERE {is_wrong}")
    if number:
        wrong = table.rows(f"SELECT path FROM files WHERE {is_wrong} ORDER BY path")
        raise IncompleteDatasetError(
            f"{number} published file(s) are missing or changed, such as {some(path for (path,) in wrong)}. "
            f"{LAND_AGAIN}"
        )


async def _read_listed(store: Store, layout: DatasetLayout, manifest: Manifest, table: LocalTable) -> None:
    """Read files.ndjson piece by piece into a table, and compare it with the digest in the manifest.

    :raises IncompleteDatasetError: files.ndjson is missing, or was changed after publishing.
    """
    if await store.head(layout.files) is None:
        check_digest(None, store, layout, manifest)
    digest, rest, chunks = hashlib.sha256(), b"", store.read(layout.files)
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        digest.update(chunk)
        whole, _, rest = (rest + chunk).rpartition(b"\n")
        rows = ((entry.path, min(entry.bytes, LARGEST - 1)) for entry in decode_files(whole))
        table.change_many("INSERT OR REPLACE INTO files (path, bytes) VALUES (?, ?)", rows)
    check_digest(digest.hexdigest() if not rest else None, store, layout, manifest)


async def stored(store: Store, layout: DatasetLayout) -> AsyncIterator[dict[str, ObjectInfo]]:
    """The files in the folder `data/` of a dataset, in batches, by their path relative to that folder."""
    prefix = f"{layout.data_prefix}/"
    async for batch in store.list(layout.data_prefix):
        yield {info.path.removeprefix(prefix): info for info in batch if not info.marks_folder}


def some(paths: Iterable[str]) -> str:
    """The first few of many paths, for a message."""
    return ", ".join(map(ascii, islice(paths, _SHOWN)))
