"""Stands in for prom/statsd-exporter: takes StatsD over UDP, and shows it as Prometheus reads it.

It takes the tags that Airflow sends with `statsd_influxdb_enabled`: `name,tag=value:1|c`. As the exporter does, it
writes `_` for each character that Prometheus does not know in a name. Timers are counted.
"""

from __future__ import annotations

import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LINE = re.compile(r"([^,:|]+)((?:,[^,:|=]+=[^,:|]*)*):([-+]?[0-9.eE]+)\|(c|g|ms|h|d)(?:\|@([0-9.]+))?(?:\|.*)?")
UDP_PORT, HTTP_PORT = 9125, 9102
PACKET_BYTES = 65535


class Metrics:
    """What was told so far, by name and labels."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}
        self._lock = threading.Lock()

    def take(self, packet: str) -> None:
        """Take the lines of a packet; one that is no metric is passed over."""
        for line in packet.splitlines():
            found = LINE.fullmatch(line.strip())
            if found is None:
                continue
            name, tags, value, kind, rate = found.groups()
            labels = [each.partition("=") for each in tags.split(",")[1:]]
            shown = ",".join(f'{_name(key)}="{_quoted(text)}"' for key, _, text in labels)
            key = _name(name) + ("" if kind in "cg" else "_count") + (f"{{{shown}}}" if shown else "")
            with self._lock:
                if kind == "g":
                    relative = value[0] in "+-"
                    self._values[key] = (self._values.get(key, 0.0) if relative else 0.0) + float(value)
                else:
                    step = float(value) if kind == "c" else 1.0
                    self._values[key] = self._values.get(key, 0.0) + step / float(rate or 1)

    def text(self) -> str:
        """All of it, one line each."""
        with self._lock:
            return "".join(f"{key} {value:g}\n" for key, value in sorted(self._values.items()))


def _name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", text)


def _quoted(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"")


def main() -> None:
    """Listen until the container is stopped."""
    metrics = Metrics()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = metrics.text().encode()
            self.send_response(200 if self.path in ("/metrics", "/-/healthy") else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    threading.Thread(target=ThreadingHTTPServer(("", HTTP_PORT), Page).serve_forever, daemon=True).start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("", UDP_PORT))
        while True:
            metrics.take(listener.recv(PACKET_BYTES).decode(errors="replace"))


if __name__ == "__main__":
    main()
