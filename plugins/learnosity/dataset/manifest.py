"""The manifest and the list of files: what a consumer reads, and how it can be sure.

`manifest.json` is written last and names the digest of `files.ndjson`, which names the size and the digest
of every file (design section 4.3). It never holds an address, a signature or anything else that was secret.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from learnosity.errors import IncompleteDatasetError

MANIFEST_VERSION = 1


class FileEntry(msgspec.Struct, frozen=True):
    """One line of files.ndjson."""

    path: str
    """Relative to `data/`."""
    bytes: int
    sha256: str
    content_type: str


class RunInfo(msgspec.Struct, frozen=True):
    """The DAG run that landed the dataset."""

    dag_id: str
    run_id: str
    logical_date: str | None


class Manifest(msgspec.Struct, frozen=True):
    """manifest.json, version 1."""

    dataset_id: str
    dataset_type: str
    job_reference: str
    request: dict[str, Any]
    file_count: int
    total_bytes: int
    files_sha256: str
    published_at: str
    run: RunInfo
    manifest_version: int = MANIFEST_VERSION
    files: str = "files.ndjson"


def encode_manifest(manifest: Manifest) -> bytes:
    """The bytes of manifest.json, indented for human readers, `manifest_version` first."""
    fields = msgspec.to_builtins(manifest)
    ordered = {"manifest_version": fields.pop("manifest_version"), **fields}
    return msgspec.json.format(msgspec.json.encode(ordered), indent=2) + b"\n"


def decode_manifest(content: bytes, *, where: str) -> Manifest:
    """A manifest from its bytes.

    :param where: its URI, for the message.
    :raises IncompleteDatasetError: when it is not a manifest of a version that this package knows.
    """
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise IncompleteDatasetError(f"{where} is not a readable manifest ({error}).") from None
    if manifest.manifest_version != MANIFEST_VERSION:
        raise IncompleteDatasetError(f"{where} is a manifest of version {manifest.manifest_version}, unknown here.")
    return manifest


def encode_files(entries: Iterable[FileEntry]) -> Iterator[bytes]:
    """Lines of files.ndjson, in the order given (it has to be sorted by path)."""
    encoder = msgspec.json.Encoder()
    for entry in entries:
        yield encoder.encode(entry) + b"\n"


def decode_files(content: bytes) -> list[FileEntry]:
    """Entries of files.ndjson."""
    decoder: msgspec.json.Decoder[FileEntry] = msgspec.json.Decoder(FileEntry)
    return decoder.decode_lines(content)


def sha256_hex(content: bytes) -> str:
    """Lower-case hex SHA-256."""
    return hashlib.sha256(content).hexdigest()
