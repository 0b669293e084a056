"""The S3 server: the landing identity reaches one bucket, and what was acknowledged outlives a crash."""

from __future__ import annotations

from pathlib import Path

import obstore
import pytest
from obstore.exceptions import PermissionDeniedError

from devstack.seaweedfs import SeaweedFS
from devstack.secrets import Secrets


@pytest.mark.integration
def test_the_landing_identity_reaches_its_bucket_alone(s3_server: SeaweedFS) -> None:
    s3_server.make_bucket("payroll")
    obstore.put(s3_server.store("payroll", keys=s3_server.admin), "salaries", b"1")
    obstore.put(s3_server.store(), "input/a", b"mine")
    assert bytes(obstore.get(s3_server.store(), "input/a").bytes()) == b"mine"
    with pytest.raises(PermissionDeniedError):
        obstore.get(s3_server.store("payroll"), "salaries")
    with pytest.raises(PermissionDeniedError):
        obstore.put(s3_server.store("payroll"), "salaries", b"2")


@pytest.mark.integration
def test_a_bucket_that_does_not_exist_is_not_made_by_writing(s3_server: SeaweedFS) -> None:
    with pytest.raises(FileNotFoundError):
        obstore.put(s3_server.store("misspelt", keys=s3_server.admin), "a", b"1")


@pytest.mark.integration
def test_what_was_stored_outlives_a_crash_and_no_socket_is_left(tmp_path: Path) -> None:
    keys = Secrets()

    def start() -> SeaweedFS:
        server = SeaweedFS.start(
            tmp_path, bucket="landing", admin=keys.s3_admin, landing=keys.s3_landing, log=tmp_path / "weed.log"
        )
        try:
            server.wait_until_ready()
        except BaseException:
            server.stop()
            raise
        return server

    server = start()
    try:
        obstore.put(server.store(), "big", b"x" * 10_000_000)
        server.process.kill()
    finally:
        server.stop()
    assert not [socket for socket in server.sockets if socket.exists()]
    server = start()
    try:
        assert obstore.head(server.store(), "big")["size"] == 10_000_000
    finally:
        server.stop()
