"""The servers of a Celery deployment: when PostgreSQL counts as started."""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path

from devstack.servers import query, start_postgres, takes_queries

ENCRYPTED = (80877103, 80877104)  # the client asks for TLS or GSSAPI first
STARTING_UP = b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"


def starting_up(listener: socket.socket) -> None:
    """Answer each connection as a PostgreSQL that still reads its log."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            while header := connection.recv(8):
                length, code = struct.unpack("!II", header)
                if code in ENCRYPTED:
                    connection.sendall(b"N")
                    continue
                connection.recv(length - 8)
                connection.sendall(b"E" + struct.pack("!I", len(STARTING_UP) + 4) + STARTING_UP)
                break


def test_a_postgres_that_listens_and_refuses_has_not_started_yet(closed_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=starting_up, args=(listener,), daemon=True).start()
        assert takes_queries(listener.getsockname()[1]) is False
    assert takes_queries(closed_port) is False


def test_a_postgres_that_is_started_again_has_its_data_and_takes_queries_at_once(tmp_path: Path) -> None:
    for expected in ("", "kept"):
        server = start_postgres(tmp_path / "postgres", "secret", log=tmp_path / "log")
        try:
            assert query(server, "CREATE TABLE IF NOT EXISTS t (a text); SELECT a FROM t") == expected
            query(server, "INSERT INTO t VALUES ('kept')")
        finally:
            server.stop()
