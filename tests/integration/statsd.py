"""A StatsD server that keeps which metrics it was sent."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field

PACKET_BYTES = 65535


@dataclass
class Statsd:
    """Use it as a context manager; it listens on a port of its own.

    :param seen: metrics as they came: name, tags and kind (`c`, `g`, `ms`), without the value.
    """

    seen: set[str] = field(default_factory=set)
    _socket: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    def __enter__(self) -> Statsd:
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    @property
    def airflow_env(self) -> dict[str, str]:
        """Settings with which Airflow sends its metrics here, with their tags."""
        host, port = self._socket.getsockname()
        settings = {
            "STATSD_ON": "True",
            "STATSD_HOST": host,
            "STATSD_PORT": str(port),
            "STATSD_INFLUXDB_ENABLED": "True",
        }
        return {f"AIRFLOW__METRICS__{name}": value for name, value in settings.items()}

    def _listen(self) -> None:
        while packet := self._socket.recv(PACKET_BYTES):
            for line in packet.decode().splitlines():
                name, _, rest = line.partition(":")
                self.seen.add(f"{name}|{rest.partition('|')[2]}")
