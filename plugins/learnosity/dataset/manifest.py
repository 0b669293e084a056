"""The manifest and the list of files, with which a consumer finds and checks the files of a dataset.

`manifest.json` is written last and has the digest of `files.ndjson`. `files.ndjson` has the size and digest of every
file. These two files never contain a signed URL, a signature or another secret.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from learnosity.dataset.completeness import Returned
from learnosity.dataset.input_info import InputInfo
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.names_tsv import NamesInfo
from learnosity.errors import IncompleteDatasetError
from learnosity.storage.store import Store

MANIFEST_VERSION = 1
# Advice at the end of error messages about a published dataset that is damaged or not what a run needs. It names all
# four params, because a run with `overwrite` alone creates a new dataset.
LAND_AGAIN = "To land it again, trigger a new run with its dataset_type, its dataset_id, create false, overwrite true."


class FileEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of files.ndjson."""

    path: str
    """Relative to the folder `data/`."""
    bytes: int
    sha256: str
    content_type: str
    content_encoding: str | None = None
    """How the file is compressed, such as `gzip`; None = not compressed. It is stored as Learnosity sent it."""


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
    input: InputInfo | None = None
    """What was uploaded; None = not known, or nothing."""
    returned: Returned | None = None
    """What was recognised in the result files; None = an earlier release has published the dataset."""
    names: NamesInfo | None = None
    """The index of names; None = there is none."""
    include: tuple[str, ...] | None = None
    """The globs that left result files out; None = all files were landed, or an earlier release has published this."""
    left_out: int | None = None
    """How many result files `include` left out; None as in `include`."""


def encode_manifest(manifest: Manifest) -> bytes:
    """The bytes of manifest.json, indented for human readers, `manifest_version` first."""
    fields = {name: value for name, value in msgspec.to_builtins(manifest).items() if value is not None}
    ordered = {"manifest_version": fields.pop("manifest_version"), **fields}
    return msgspec.json.format(msgspec.json.encode(ordered), indent=2) + b"\n"


def decode_manifest(content: bytes, *, where: str) -> Manifest:
    """A manifest from its bytes.

    :param where: its URI, for messages.
    :raises IncompleteDatasetError: `content` is not a manifest, or its version is unknown.
    """
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IncompleteDatasetError(f"{where} is not a readable manifest ({error}). {LAND_AGAIN}") from None
    if manifest.manifest_version != MANIFEST_VERSION:
        raise IncompleteDatasetError(
            f"{where} is a manifest of version {manifest.manifest_version}, unknown here. Upgrade this package."
        )
    return manifest


def encode_files(entries: Iterable[FileEntry]) -> Iterator[bytes]:
    """Lines of files.ndjson, in the order of `entries`, which must be sorted by path."""
    encoder = msgspec.json.Encoder()
    for entry in entries:
        yield encoder.encode(entry) + b"\n"


def decode_files(content: bytes) -> list[FileEntry]:
    """Entries of files.ndjson.

    :raises IncompleteDatasetError: `content` is not such a list.
    """
    try:
        return msgspec.json.Decoder(FileEntry).decode_lines(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IncompleteDatasetError(f"files.ndjson is not a readable list of files ({error}). {LAND_AGAIN}") from None


def sha256_hex(content: bytes) -> str:
    """SHA-256 in lower-case hex."""
    return hashlib.sha256(content).hexdigest()


async def read_manifest(store: Store, layout: DatasetLayout) -> Manifest | None:
    """The manifest of a dataset; None when the dataset is not published.

    :raises IncompleteDatasetError: the manifest exists, but cannot be read.
    """
    content = await store.get(layout.manifest)
    return None if content is None else decode_manifest(content, where=f"{store.uri}/{layout.manifest}")


def check_files(content: bytes | None, store: Store, layout: DatasetLayout, manifest: Manifest) -> bytes:
    """The bytes of files.ndjson, if they have the digest in the manifest.

    :param content: None = files.ndjson is missing.
    :raises IncompleteDatasetError: files.ndjson is missing, or was changed after publishing.
    """
    check_digest(None if content is None else sha256_hex(content), store, layout, manifest)
    return content or b""


def check_digest(sha256: str | None, store: Store, layout: DatasetLayout, manifest: Manifest) -> None:
    """Compare the digest of files.ndjson with the manifest.

    :param sha256: None = files.ndjson is missing.
    :raises IncompleteDatasetError: files.ndjson is missing, or was changed after publishing.
    """
    if sha256 != manifest.files_sha256:
        raise IncompleteDatasetError(
            f"{store.uri}/{layout.files} is missing or was changed after publishing. {LAND_AGAIN}"
        )
