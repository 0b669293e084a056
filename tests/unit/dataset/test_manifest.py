"""The manifest and the list of files, as consumers rely on them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from learnosity.errors import IncompleteDatasetError

MANIFEST = Manifest(
    dataset_id="a951cc14-0316-4c12-bb13-1f386338a094",
    dataset_type="activity-summary-by-group",
    job_reference="9fd443d0-2b4f-4315-aec6-708da3d30d49",
    request={"dataset_type": "activity-summary-by-group", "groups": [{"key": "district", "label": "Districté"}]},
    file_count=2,
    total_bytes=30,
    files_sha256="ab" * 32,
    published_at="2026-10-01T12:00:00Z",
    run=RunInfo(dag_id="learnosity_dataset", run_id="manual__1", logical_date=None),
)


def test_the_manifest_has_exactly_the_agreed_keys_version_first() -> None:
    document = json.loads(encode_manifest(MANIFEST))
    assert next(iter(document)) == "manifest_version"
    assert document == {
        "manifest_version": 1,
        "dataset_id": MANIFEST.dataset_id,
        "dataset_type": MANIFEST.dataset_type,
        "job_reference": MANIFEST.job_reference,
        "request": MANIFEST.request,
        "file_count": 2,
        "total_bytes": 30,
        "files": "files.ndjson",
        "files_sha256": "ab" * 32,
        "published_at": "2026-10-01T12:00:00Z",
        "run": {"dag_id": "learnosity_dataset", "run_id": "manual__1", "logical_date": None},
    }


def test_the_manifest_is_readable_by_people_and_by_us() -> None:
    encoded = encode_manifest(MANIFEST)
    assert encoded.count(b"\n") > 10
    assert encoded.endswith(b"}\n")
    assert decode_manifest(encoded, where="s3://b/manifest.json") == MANIFEST


def test_what_a_later_release_adds_does_not_disturb() -> None:
    document: dict[str, Any] = json.loads(encode_manifest(MANIFEST)) | {"new": {"x": 1}}
    assert decode_manifest(json.dumps(document).encode(), where="m") == MANIFEST


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"\xff", encode_manifest(MANIFEST)[:-20], encode_manifest(MANIFEST).replace(b"30", b'"30"')],
)
def test_what_is_no_manifest_is_refused_by_its_address(content: bytes) -> None:
    with pytest.raises(IncompleteDatasetError, match=r"s3://b/manifest.json is not a readable manifest.*create false"):
        decode_manifest(content, where="s3://b/manifest.json")


def test_a_manifest_of_another_version_is_not_guessed_at() -> None:
    later = encode_manifest(msgspec.structs.replace(MANIFEST, manifest_version=2))
    with pytest.raises(IncompleteDatasetError, match="version 2, unknown here. Upgrade"):
        decode_manifest(later, where="m")


entries = st.builds(
    FileEntry,
    path=st.text(min_size=1, max_size=30),
    bytes=st.integers(0, 2**53),
    sha256=st.binary(max_size=64).map(lambda data: hashlib.sha256(data).hexdigest()),
    content_type=st.text(max_size=20),
)


@given(st.lists(entries, max_size=8))
def test_the_list_of_files_is_one_line_a_file_whatever_their_names(listed: list[FileEntry]) -> None:
    lines = list(encode_files(listed))
    assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in lines)
    assert [json.loads(line) for line in lines] == [
        {"path": e.path, "bytes": e.bytes, "sha256": e.sha256, "content_type": e.content_type} for e in listed
    ]
    assert decode_files(b"".join(lines)) == listed


def test_digests_are_lower_case_hex() -> None:
    assert sha256_hex(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
