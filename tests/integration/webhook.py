"""A webhook that keeps what it is sent."""

from __future__ import annotations

import json
import queue
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CONN_ID = "alerts"


@dataclass
class Webhook:
    """Use it as a context manager; it listens on a port of its own.

    :param received: JSON bodies, as they came.
    """

    received: queue.Queue[Any] = field(default_factory=queue.Queue)

    def __enter__(self) -> Webhook:
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Not on the terminal of the tests."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def airflow_env(self) -> dict[str, str]:
        """The connection that leads here."""
        connection = {"conn_type": "http", "host": "127.0.0.1", "port": self._server.server_port}
        return {f"AIRFLOW_CONN_{CONN_ID.upper()}": json.dumps(connection)}
