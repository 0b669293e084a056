"""Stores of every kind: S3, Azure and GCS on real servers, local files, and what fsspec knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from devstack.seaweedfs import SeaweedFS
from learnosity.connections import open_store
from learnosity.storage.store import Store
from tests.clouds.azurite import Azurite, node_is_missing
from tests.clouds.gcs import Gcs

KINDS = ("s3", "azure", "gcs", "file", "memory")


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """A running Azurite."""
    if why := node_is_missing():
        pytest.fail(why)
    server = Azurite(tmp_path_factory.mktemp("azurite"))
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcs]:
    """A running GCS server."""
    server = Gcs(tmp_path_factory.mktemp("gcs"))
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()


@pytest.fixture
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """URI of an empty folder in a store of the kind that the test names."""
    kind, folder = request.param, f"{uuid4()}/a prefix + ü"
    if kind == "s3":
        server: SeaweedFS = request.getfixturevalue("s3_server")
        monkeypatch.setenv("AIRFLOW_CONN_CLOUD", s3_connection(server))
        return f"s3://cloud@landing/{folder}"
    if kind in ("azure", "gcs"):
        server_of = request.getfixturevalue("azurite" if kind == "azure" else "gcs")
        monkeypatch.setenv("AIRFLOW_CONN_CLOUD", server_of.connection)
        return f"{'abfs' if kind == 'azure' else 'gs'}://cloud@landing/{folder}"
    if kind == "file":
        return f"{tmp_path.as_uri()}/{folder}"
    attach("memory", fs=MemoryFileSystem())
    return f"memory://bucket/{folder}"


@pytest.fixture
def store(place: str) -> Store:
    """An empty store of the kind that the test names."""
    return open_store(place)


def s3_connection(server: SeaweedFS) -> str:
    """An Airflow connection to an S3 server."""
    keys = server.landing
    extra = {"endpoint_url": server.endpoint, "region_name": "us-east-1"}
    return json.dumps({"conn_type": "aws", "login": keys.access_key, "password": keys.secret_key, "extra": extra})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test of a store runs on every kind."""
    if "place" in metafunc.fixturenames:
        metafunc.parametrize("place", KINDS, indirect=True)
