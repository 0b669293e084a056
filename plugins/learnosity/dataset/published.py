"""A published dataset as consumers read it: through its manifest alone, and never anything beside it.

A file that `files.ndjson` does not list cannot be read here, whatever a URL says. Nothing is ever written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from learnosity.dataset.layout import DatasetLayout, safe_path
from learnosity.dataset.manifest import FileEntry, Manifest, decode_files, decode_manifest, sha256_hex
from learnosity.dataset.tables import Document, group_files, read_document
from learnosity.errors import IncompleteDatasetError, StorageError, UnsafeNameError
from learnosity.storage.store import Store

# What a page reads into memory to show it; larger files are offered for download only.
MAX_SHOWN_BYTES = 32 * 1024 * 1024
_KEPT_LISTINGS = 8


@dataclass(frozen=True, slots=True)
class PublishedDataset:
    """One complete dataset.

    :param store: its destination.
    :param manifest: what was published.
    :param files: its files by path, in the order of files.ndjson.
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
        """Read manifest and list of files, and hold the one against the other.

        :param store: the destination where the run landed datasets.
        :param manifest_uri: where it published the manifest; has to be the dataset's place at the destination.
        :raises IncompleteDatasetError: when there is no complete dataset at that place.
        :raises LearnosityError: when the store refuses or fails.
        """
        if f"{store.uri}/{layout.manifest}" != manifest_uri:
            raise StorageError(f"{manifest_uri} does not lie at the destination {store.uri}, so it is not read.")
        content = await store.get(layout.manifest)
        if content is None:
            raise IncompleteDatasetError(f"{manifest_uri} is gone: the dataset was moved or deleted since.")
        manifest = decode_manifest(content, where=manifest_uri)
        if (manifest.dataset_type, manifest.dataset_id) != (layout.dataset_type, layout.dataset_id):
            raise IncompleteDatasetError(f"{manifest_uri} is the manifest of another dataset.")
        listing = await store.get(layout.files)
        if listing is None or sha256_hex(listing) != manifest.files_sha256:
            raise IncompleteDatasetError(f"{store.uri}/{layout.files} is missing or was changed after publishing.")
        files, groups = await asyncio.to_thread(_decoded, listing)
        return cls(store, layout, manifest, content, files, groups)

    def search(self, query: str) -> Sequence[FileEntry]:
        """Files whose path holds every word of the query, whatever the case; all without a query."""
        words = query.casefold().split()
        return [file for file in self.files.values() if all(word in file.path.casefold() for word in words)]

    def entry(self, path: str) -> FileEntry | None:
        """The entry of a listed file; None for anything else."""
        try:
            return self.files.get(safe_path(path))
        except UnsafeNameError:
            return None

    async def document(self, entry: FileEntry) -> Document | None:
        """A file's content, as far as it is understood; None when it is too big to be shown.

        :raises IncompleteDatasetError: when it is gone.
        """
        if entry.bytes > MAX_SHOWN_BYTES:
            return None
        path = self.layout.data(entry.path)
        content = await self.store.get(path)
        if content is None:
            raise IncompleteDatasetError(f"{self.store.uri}/{path} is gone: it was deleted after publishing.")
        return await asyncio.to_thread(read_document, entry.path, content)

    def stream(self, entry: FileEntry) -> Iterator[bytes]:
        """A file's bytes in chunks; blocking."""
        return self.store.read(self.layout.data(entry.path))

    def group_file(self, group_path: Sequence[str]) -> FileEntry | None:
        """The file that describes a group; None when the names of the files do not tell."""
        path = self.groups.get(tuple(group_path))
        return self.files[path] if path else None


@lru_cache(maxsize=_KEPT_LISTINGS)
def _decoded(listing: bytes) -> tuple[Mapping[str, FileEntry], Mapping[tuple[str, ...], str]]:
    files = {entry.path: entry for entry in decode_files(listing)}
    return files, group_files(files)
