"""Reading a landed dataset as its consumers do: only through its manifest, checking every byte against it.

Nothing here knows how the dataset came about; what it reads is described in the README ("What lands").
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from devstack.errors import DevstackError

PARALLEL_READS = 16


class LandedFile(msgspec.Struct, frozen=True):
    """One line of ``files.ndjson``."""

    path: str
    bytes: int
    sha256: str
    content_type: str


class Manifest(msgspec.Struct, frozen=True):
    """``manifest.json``, as far as it is used here."""

    manifest_version: int
    dataset_id: str
    dataset_type: str
    job_reference: str
    file_count: int
    total_bytes: int
    files: str
    files_sha256: str
    published_at: str


class LandedDataset:
    """A complete dataset.

    :param store: the destination, where ``{dataset_type}/...`` begins
    :param manifest: what was published
    :param listed: its files
    """

    def __init__(self, store: ObjectStore, manifest: Manifest, listed: list[LandedFile]) -> None:
        self.store = store
        self.manifest = manifest
        self.listed = listed
        self.folder = f"{manifest.dataset_type}/{manifest.dataset_id}"

    @classmethod
    def latest(cls, store: ObjectStore, dataset_type: str) -> LandedDataset:
        """The newest dataset of a type.

        :raises DevstackError: when there is none, or when its list of files is not the one that was published
        """
        content = _read(store, f"{dataset_type}/latest.json")
        dataset = cls.of(store, dataset_type, msgspec.json.decode(content, type=Manifest).dataset_id)
        if _read(store, f"{dataset.folder}/manifest.json") != content:
            raise DevstackError(f"latest.json is not the manifest of {dataset.folder}")
        return dataset

    @classmethod
    def of(cls, store: ObjectStore, dataset_type: str, dataset_id: str) -> LandedDataset:
        """A dataset by its id.

        :raises DevstackError: when it is not published, or when its list of files is not the one that was published
        """
        folder = f"{dataset_type}/{dataset_id}"
        manifest = msgspec.json.decode(_read(store, f"{folder}/manifest.json"), type=Manifest)
        files = _read(store, f"{folder}/{manifest.files}")
        if hashlib.sha256(files).hexdigest() != manifest.files_sha256:
            raise DevstackError(f"{folder}/{manifest.files} is not the list that its manifest names (SHA-256)")
        listed = msgspec.json.Decoder(LandedFile).decode_lines(files)
        return cls(store, manifest, listed)

    def problems(self) -> list[str]:
        """What does not agree with the manifest: sizes and hashes of all files, their number, files too many."""
        manifest = self.manifest
        found = []
        if len(self.listed) != manifest.file_count:
            found.append(f"the manifest counts {manifest.file_count} files and lists {len(self.listed)}")
        if (total := sum(file.bytes for file in self.listed)) != manifest.total_bytes:
            found.append(f"the manifest counts {manifest.total_bytes} bytes and lists {total}")
        with ThreadPoolExecutor(PARALLEL_READS) as pool:
            found += [problem for problem in pool.map(self._problem, self.listed) if problem]
        expected = {f"{self.folder}/data/{file.path}" for file in self.listed}
        stored = {entry["path"] for batch in obstore.list(self.store, f"{self.folder}/data/") for entry in batch}
        found += [f"{path} is stored and not listed" for path in sorted(stored - expected)]
        return found

    def json(self, path: str) -> Any:
        """The content of a JSON file of the dataset."""
        return msgspec.json.decode(_read(self.store, f"{self.folder}/data/{path}"))

    def _problem(self, file: LandedFile) -> str | None:
        try:
            content = _read(self.store, f"{self.folder}/data/{file.path}")
        except DevstackError as error:
            return str(error)
        if len(content) != file.bytes:
            return f"{file.path} has {len(content)} bytes instead of {file.bytes}"
        if hashlib.sha256(content).hexdigest() != file.sha256:
            return f"{file.path} has another SHA-256 than listed"
        return None


def _read(store: ObjectStore, path: str) -> bytes:
    try:
        return bytes(obstore.get(store, path).bytes())
    except FileNotFoundError:
        raise DevstackError(f"there is no {path} at the destination") from None
    except BaseError as error:
        raise DevstackError(f"{path} cannot be read: {error}") from error
