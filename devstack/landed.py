"""Reading a landed dataset as its consumers do: only through its manifest, checking every byte against it.

Nothing here knows how the dataset came about; what it reads is described in the README ("What lands").
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import msgspec
import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from devstack.errors import DevstackError, Unreachable

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
    run: dict[str, Any]


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
        return cls._in(store, f"{dataset_type}/{dataset_id}")

    @classmethod
    def of_run(cls, store: ObjectStore, run_id: str) -> LandedDataset:
        """The one dataset that a run published.

        :raises DevstackError: when it published none or several, or as :meth:`of` does
        """
        found = [folder for folder in published(store) if _manifest(store, folder).run.get("run_id") == run_id]
        if len(found) != 1:
            raise DevstackError(f"the run {run_id} has published {len(found)} datasets")
        return cls._in(store, found[0])

    def problems(self, made: Mapping[str, str] | None = None) -> list[str]:
        """All that is wrong with the dataset; nothing when it is whole.

        Sizes and hashes of all files are held against the manifest, and so are their number and the stored files.

        :param made: the SHA-256 of every file that has to be there, by path; not compared by default
        :raises Unreachable: when the store cannot be asked
        """
        manifest = self.manifest
        found = []
        if len(self.listed) != manifest.file_count:
            found.append(f"the manifest counts {manifest.file_count} files and lists {len(self.listed)}")
        if (total := sum(file.bytes for file in self.listed)) != manifest.total_bytes:
            found.append(f"the manifest counts {manifest.total_bytes} bytes and lists {total}")
        with ThreadPoolExecutor(PARALLEL_READS) as pool:
            found += [problem for problem in pool.map(self._problem, self.listed) if problem]
        expected = {f"{self.folder}/data/{file.path}" for file in self.listed}
        stored = set(paths(self.store, f"{self.folder}/data/"))
        found += [f"{path} is stored and not listed" for path in sorted(stored - expected)]
        if made is not None:
            found += _differences({file.path: file.sha256 for file in self.listed}, made)
        return found

    def json(self, path: str) -> Any:
        """The content of a JSON file of the dataset."""
        return msgspec.json.decode(_read(self.store, f"{self.folder}/data/{path}"))

    @classmethod
    def _in(cls, store: ObjectStore, folder: str) -> LandedDataset:
        manifest = _manifest(store, folder)
        files = _read(store, f"{folder}/{manifest.files}")
        if hashlib.sha256(files).hexdigest() != manifest.files_sha256:
            raise DevstackError(f"{folder}/{manifest.files} is not the list that its manifest names (SHA-256)")
        return cls(store, manifest, msgspec.json.Decoder(LandedFile).decode_lines(files))

    def _problem(self, file: LandedFile) -> str | None:
        path = f"{self.folder}/data/{file.path}"
        content = _find(self.store, path)
        if content is None:
            return _missing(path)
        if len(content) != file.bytes:
            return f"{file.path} has {len(content)} bytes instead of {file.bytes}"
        if hashlib.sha256(content).hexdigest() != file.sha256:
            return f"{file.path} has another SHA-256 than listed"
        return None


def published(store: ObjectStore) -> list[str]:
    """The folder ``{dataset_type}/{dataset_id}`` of every dataset whose manifest is there.

    :raises Unreachable: when the store cannot be asked
    """
    folders = (path.removesuffix("/manifest.json") for path in paths(store) if path.endswith("/manifest.json"))
    return [folder for folder in folders if folder.count("/") == 1]


def paths(store: ObjectStore, prefix: str = "") -> list[str]:
    """The paths of all stored objects below a prefix; of all of them by default.

    :raises Unreachable: when the store cannot be asked
    """
    with _asking(prefix or "the destination"):
        return [entry["path"] for batch in obstore.list(store, prefix or None) for entry in batch]


def _differences(listed: Mapping[str, str], made: Mapping[str, str]) -> list[str]:
    found = [f"{path} was made and is not listed" for path in sorted(made.keys() - listed.keys())]
    found += [f"{path} is listed and was not made" for path in sorted(listed.keys() - made.keys())]
    both = sorted(made.keys() & listed.keys())
    return found + [f"{path} has other bytes than were made" for path in both if made[path] != listed[path]]


def _manifest(store: ObjectStore, folder: str) -> Manifest:
    return msgspec.json.decode(_read(store, f"{folder}/manifest.json"), type=Manifest)


def _read(store: ObjectStore, path: str) -> bytes:
    content = _find(store, path)
    if content is None:
        raise DevstackError(_missing(path))
    return content


def _missing(path: str) -> str:
    return f"there is no {path} at the destination"


def _find(store: ObjectStore, path: str) -> bytes | None:
    with _asking(path):
        try:
            return bytes(obstore.get(store, path).bytes())
        except FileNotFoundError:
            return None


@contextmanager
def _asking(what: str) -> Iterator[None]:
    try:
        yield
    except BaseError as error:
        raise Unreachable(f"{what} cannot be read: {error}") from error
