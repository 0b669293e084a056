"""A published dataset as consumers read it: only its manifest, and the files that the manifest leads to.

A file that is not in `files.ndjson` cannot be read here, for any path. Nothing is written.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from learnosity.dataset.file_names import safe_path
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import FileEntry, Manifest, decode_files, decode_manifest, read_files, sha256_hex
from learnosity.dataset.tables import Document, group_files, read_document
from learnosity.errors import IncompleteDatasetError, StorageError, UnsafeNameError
from learnosity.storage.store import ObjectInfo, Store

# Largest file that a page reads into memory to show it. A larger file can only be downloaded.
MAX_SHOWN_BYTES = 32 * 1024 * 1024
_KEPT_LISTINGS = 8  # decoded file lists that stay in memory
_SHOWN = 5  # a message quotes this many paths


@dataclass(frozen=True, slots=True)
class PublishedDataset:
    """One complete dataset.

    :param store: the destination of the dataset.
    :param manifest_bytes: the manifest as it is stored.
    :param files: the files by path, in the order of files.ndjson.
    :param groups: paths of the files that describe groups, by group path.
    """

    store: Store
    layout: DatasetLayout
    manifest: Manifest
    manifest_bytes: bytes = field(repr=False)
    files: Mapping[str, FileEntry] = field(repr=False)
    groups: Mapping[tuple[str, ...], str] = field(repr=False)

    @classmethod
    async def open(cls, store: Store, manifest_uri: str, layout: DatasetLayout) -> PublishedDataset:
        """Read the manifest and the list of files, and compare the list with the manifest.

        :param store: the destination where the run landed the dataset.
        :param manifest_uri: URI at which the run published the manifest. It must be the URI that `layout` gives.
        :raises IncompleteDatasetError: there is no complete dataset at that URI.
        :raises LearnosityError: the store refuses or fails.
        """
        if f"{store.uri}/{layout.manifest}" != manifest_uri:
            raise StorageError(f"{manifest_uri} does not lie at the destination {store.uri}, so it is not read.")
        content = await store.get(layout.manifest)
        if content is None:
            raise IncompleteDatasetError(f"{manifest_uri} is gone: the dataset was moved or deleted since.")
        manifest = decode_manifest(content, where=manifest_uri)
        if (manifest.dataset_type, manifest.dataset_id) != (layout.dataset_type, layout.dataset_id):
            raise IncompleteDatasetError(f"{manifest_uri} is the manifest of another dataset.")
        listing = await read_files(store, layout, manifest)
        files, groups = await asyncio.to_thread(_decoded, listing)
        return cls(store, layout, manifest, content, files, groups)

    def search(self, query: str) -> Sequence[FileEntry]:
        """Files whose path contains every word of the query, in upper or lower case. "" finds all files."""
        words = query.casefold().split()
        return [file for file in self.files.values() if all(word in file.path.casefold() for word in words)]

    def entry(self, path: str) -> FileEntry | None:
        """The entry of a listed file; None for anything else."""
        try:
            return self.files.get(safe_path(path))
        except UnsafeNameError:
            return None

    async def document(self, entry: FileEntry) -> Document | None:
        """The content of a file as tables or text; None when it is too large to show, or cannot be decompressed.

        :raises IncompleteDatasetError: the file is missing or was changed.
        """
        if entry.bytes > MAX_SHOWN_BYTES:
            return None
        path = self.layout.data(entry.path)
        content = await self.store.get(path, limit=entry.bytes)
        if content is None:
            raise IncompleteDatasetError(f"{self.store.uri}/{path} is gone: it was deleted after publishing.")
        if len(content) != entry.bytes or await asyncio.to_thread(sha256_hex, content) != entry.sha256:
            raise IncompleteDatasetError(f"{self.store.uri}/{path} is not what was published: it was changed since.")
        return await asyncio.to_thread(_read, entry, content)

    def stream(self, entry: FileEntry) -> Iterator[bytes]:
        """The bytes of a file in chunks. Each step blocks until its chunk is read."""
        return self.store.read(self.layout.data(entry.path))

    def group_file(self, group_path: Sequence[str]) -> FileEntry | None:
        """The file that describes a group; None when no file has the name of the group."""
        path = self.groups.get(tuple(group_path))
        return self.files[path] if path else None


@lru_cache(maxsize=_KEPT_LISTINGS)
def _decoded(listing: bytes) -> tuple[Mapping[str, FileEntry], Mapping[tuple[str, ...], str]]:
    files = {entry.path: entry for entry in decode_files(listing)}
    return files, group_files(files)


async def verify(store: Store, layout: DatasetLayout, manifest: Manifest) -> None:
    """Check a published dataset: compare files.ndjson with the manifest, and the size of every object with its entry.

    :raises IncompleteDatasetError: a file is missing or has another size; the message names some of them.
    """
    listed = decode_files(await read_files(store, layout, manifest))
    there = await stored_files(store, layout)
    wrong = [file.path for file in listed if (info := there.get(file.path)) is None or info.size != file.bytes]
    if wrong:
        raise IncompleteDatasetError(
            f"{len(wrong)} published file(s) are missing or changed, such as {some(wrong)}. Land the dataset again "
            "with overwrite = true."
        )


async def stored_files(store: Store, layout: DatasetLayout) -> dict[str, ObjectInfo]:
    """The objects in the folder `data/` of a dataset, by their path relative to that folder."""
    prefix = f"{layout.data_prefix}/"
    found: dict[str, ObjectInfo] = {}
    async for batch in store.list(layout.data_prefix):
        found.update((info.path.removeprefix(prefix), info) for info in batch)
    return found


def _read(entry: FileEntry, content: bytes) -> Document | None:
    unpacked = unpack(content, entry.content_encoding, MAX_SHOWN_BYTES)
    return None if unpacked is None else read_document(entry.path, unpacked)


def unpack(content: bytes, encoding: str | None, limit: int) -> bytes | None:
    """The decompressed content of a file.

    :param encoding: its `content_encoding`; None = the file is not compressed.
    :param limit: limit for the decompressed content, in bytes.
    :returns: None when the content would be larger, has an unknown encoding, or is damaged.
    """
    if encoding is None:
        return content
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return None
    unpacked, rest = bytearray(), content
    try:
        while rest:
            member = zlib.decompressobj(wbits=47)
            unpacked += member.decompress(rest, limit + 1 - len(unpacked))
            if not member.eof or len(unpacked) > limit:
                return None
            rest = member.unused_data
    except zlib.error:
        return None
    return bytes(unpacked)


def some(paths: Sequence[str]) -> str:
    """The first few of many paths, for a message."""
    return ", ".join(ascii(path) for path in paths[:_SHOWN])
