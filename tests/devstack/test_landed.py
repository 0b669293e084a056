"""A landed dataset is right only if every byte is the one that its manifest promises."""

from __future__ import annotations

import hashlib

import msgspec
import obstore
import pytest
from obstore.store import MemoryStore, S3Store

from devstack.errors import DevstackError, Unreachable
from devstack.landed import LandedDataset, published

TYPE = "activity-summary-by-group"
FOLDER = f"{TYPE}/d1"
FILES = {"groups/group.json": b'{"group": "all"}', "groups/a b/group.csv": b"x,y\n1,2\n"}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def store() -> MemoryStore:
    """A destination with one complete dataset."""
    store = MemoryStore()
    lines = b""
    for path, content in sorted(FILES.items()):
        obstore.put(store, f"{FOLDER}/data/{path}", content)
        entry = {"path": path, "bytes": len(content), "sha256": sha256(content), "content_type": "text/plain"}
        lines += msgspec.json.encode(entry) + b"\n"
    obstore.put(store, f"{FOLDER}/files.ndjson", lines)
    manifest = msgspec.json.encode(
        {
            "manifest_version": 1,
            "dataset_id": "d1",
            "dataset_type": TYPE,
            "job_reference": "j1",
            "request": {},
            "file_count": len(FILES),
            "total_bytes": sum(map(len, FILES.values())),
            "files": "files.ndjson",
            "files_sha256": sha256(lines),
            "published_at": "2026-01-01T00:00:00+00:00",
            "run": {"run_id": "r1"},
        }
    )
    for place in (f"{FOLDER}/manifest.json", f"{TYPE}/latest.json"):
        obstore.put(store, place, manifest)
    return store


def problems(store: MemoryStore) -> list[str]:
    return LandedDataset.latest(store, TYPE).problems()


def test_a_whole_dataset_has_no_problems(store: MemoryStore) -> None:
    assert problems(store) == []


def test_its_files_can_be_read(store: MemoryStore) -> None:
    assert LandedDataset.latest(store, TYPE).json("groups/group.json") == {"group": "all"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b'{"group": "ALL"}', "another SHA-256", id="a changed byte"),
        pytest.param(b'{"group": "all"', "15 bytes instead of 16", id="a missing byte"),
    ],
)
def test_a_file_that_differs_is_a_problem(store: MemoryStore, content: bytes, problem: str) -> None:
    obstore.put(store, f"{FOLDER}/data/groups/group.json", content)
    (found,) = problems(store)
    assert "groups/group.json" in found
    assert problem in found


def test_a_missing_file_is_a_problem(store: MemoryStore) -> None:
    obstore.delete(store, f"{FOLDER}/data/groups/group.json")
    (found,) = problems(store)
    assert "there is no" in found


def test_a_file_that_is_not_listed_is_a_problem(store: MemoryStore) -> None:
    obstore.put(store, f"{FOLDER}/data/left-over.json", b"{}")
    (found,) = problems(store)
    assert found.endswith("left-over.json is stored and not listed")


def test_another_list_of_files_is_refused(store: MemoryStore) -> None:
    obstore.put(store, f"{FOLDER}/files.ndjson", b"")
    with pytest.raises(DevstackError, match="not the list that its manifest names"):
        problems(store)


def test_a_dataset_without_its_manifest_is_refused(store: MemoryStore) -> None:
    obstore.delete(store, f"{FOLDER}/manifest.json")
    with pytest.raises(DevstackError, match=r"there is no .*manifest\.json"):
        problems(store)


def test_latest_must_be_the_very_manifest(store: MemoryStore) -> None:
    content = bytes(obstore.get(store, f"{TYPE}/latest.json").bytes())
    obstore.put(store, f"{TYPE}/latest.json", content.replace(b'"j1"', b'"j2"'))
    with pytest.raises(DevstackError, match="not the manifest"):
        problems(store)


def test_a_file_that_was_not_made_so_is_a_problem(store: MemoryStore) -> None:
    made = {path: sha256(content) for path, content in FILES.items()}
    dataset = LandedDataset.latest(store, TYPE)
    assert dataset.problems(made) == []
    assert dataset.problems({**made, "more.json": "0"}) == ["more.json was made and is not listed"]
    assert dataset.problems({"groups/group.json": made["groups/group.json"]}) == [
        "groups/a b/group.csv is listed and was not made"
    ]
    (found,) = dataset.problems({**made, "groups/group.json": "0"})
    assert found == "groups/group.json has other bytes than were made"


def test_a_dataset_is_found_by_the_run_that_published_it(store: MemoryStore) -> None:
    assert published(store) == [FOLDER]
    assert LandedDataset.of_run(store, "r1").manifest.dataset_id == "d1"
    with pytest.raises(DevstackError, match="r2 has published 0 datasets"):
        LandedDataset.of_run(store, "r2")


def test_a_store_that_is_down_is_no_verdict_on_the_dataset(store: MemoryStore, closed_port: int) -> None:
    dataset = LandedDataset.latest(store, TYPE)
    dataset.store = S3Store(
        "b",
        endpoint=f"http://127.0.0.1:{closed_port}",
        region="r",
        access_key_id="k",
        secret_access_key="s",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    with pytest.raises(Unreachable, match="cannot be read"):
        dataset.problems()


def test_a_type_that_was_never_landed_is_named(store: MemoryStore) -> None:
    with pytest.raises(DevstackError, match=r"no ibk/latest\.json"):
        LandedDataset.latest(store, "ibk")
