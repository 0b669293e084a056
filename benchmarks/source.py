"""The other side of a landing: one nginx that serves result files and the listing that names them.

The listing is the reply of GET reports/datasets, written down once, so that no other process takes part in a
measurement. Its URLs look signed; a second set answers late, as a bucket far away does.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from devstack import http
from devstack.certificate import make_certificate
from devstack.environment import inherited_environment
from devstack.errors import ProcessFailed
from devstack.ports import LOOPBACK, free_ports
from devstack.processes import ManagedProcess

READY_SECONDS = 20.0
DATASET_ID = "00000000-0000-4000-8000-0000000be4c4"
DATASET_TYPE = "activity-summary-by-group"
SIGNATURE = (
    "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAEXAMPLE%2F20260101%2Fus-east-1%2Fs3%2Faws4_request"
    "&X-Amz-Date=20260101T000000Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host"
    "&X-Amz-Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
)
# Every URL below `/same/` has the same body: the JSON of a group with two districts.
_DISTRICTS = b",".join(
    b'{"group_name": "district_%d", "population": 30, "mean_percent": 61.5}' % each for each in (0, 1)
)
SAME_BYTES = 200
SAME_BODY = (b'{"groups": [' + _DISTRICTS + b"]}").ljust(SAME_BYTES)
# A file begins with its number; the rest is random bytes, which repeat after this many. So no two files are equal, and
# compression makes none much smaller: no client is faster because it skips equal files or compresses.
_RANDOM_BYTES = 64 * 1024 * 1024

_CONFIG = """\
daemon off;
pid {root}/nginx.pid;
error_log {root}/error.log warn;
worker_processes {workers};
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  default_type application/json;
  client_max_body_size 0;
  client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
  server {{
    listen {host}:{port} backlog=4096;
    listen {host}:{tls_port} ssl backlog=4096;
    ssl_certificate {root}/certificate.pem;
    ssl_certificate_key {root}/key.pem;
    # As S3 does. The default of nginx before 1.23 is TLS 1.2, which takes one round trip more.
    ssl_protocols TLSv1.2 TLSv1.3;
    # What S3 takes, the same for every client: they differ in what they would like best.
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_prefer_server_ciphers on;
    root {root}/www;
    location = /ready {{ return 200 "ready"; }}
    location /files/ {{ }}
    # One body under every name, where there would be too many files to write.
    location /same/ {{ rewrite ^ /files/same break; }}
    # A request without a password is answered after a delay, and then with the file all the same.
    auth_basic_user_file {root}/nobody;
    location /slow/ {{ auth_basic "late"; auth_delay 50ms; error_page 401 =200 @late; }}
    location /far/ {{ auth_basic "late"; auth_delay 1000ms; error_page 401 =200 @late; }}
    # So much a connection, as from a bucket far away.
    location /thin/ {{ limit_rate 10m; rewrite ^/thin/(.*)$ /files/$1 break; }}
    location @late {{ auth_basic off; rewrite ^/(slow|far)/(.*)$ /files/$2 break; }}
    # A static reply to a POST.
    location ~ ^/(?<set>[a-z0-9-]+)/v[^/]+/reports/datasets$ {{
      error_page 405 =200 /listing/$set.json;
      return 405;
    }}
    location /listing/ {{ internal; error_page 405 =200 $uri; }}
    # Takes the whole body, and then answers 200, as S3 does. nginx's own PUT answers 201.
    location /sink/ {{
      client_body_buffer_size 64m;
      proxy_method GET;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_pass http://{host}:{port}/taken/;
    }}
    location /taken {{ return 200; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Files:
    """A set of result files.

    :param name: of the set
    :param count: how many
    :param size: bytes of each
    :param answers: `files` at once, `slow` after 50 ms, `far` after 1 s, `thin` with 10 MB/s a connection
    :param tls: whether the source speaks TLS, as Learnosity's does
    """

    name: str
    count: int
    size: int
    answers: Literal["files", "slow", "far", "thin"] = "files"
    tls: bool = False

    def paths(self) -> Iterator[str]:
        """Names as the API gives them."""
        for number in range(self.count):
            yield f"users/{number % 100:02d}/user-{number:07d}.json"

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.count * self.size


class Source:
    """A running nginx.

    :param root: folder of its own
    """

    def __init__(self, root: Path) -> None:
        binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if binary is None:
            raise ProcessFailed("nginx is the source of the measurements and not installed: apt install nginx-light")
        self.root = root
        port, tls_port = free_ports(2)
        self.url = f"http://{LOOPBACK}:{port}"
        self.tls_url = f"https://{LOOPBACK}:{tls_port}"
        for folder in ("www/files", "www/listing"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "nobody").write_text("")
        self.certificate = make_certificate(root).certificate
        (root / "www" / "files" / "same").write_bytes(SAME_BODY)
        config = root / "nginx.conf"
        config.write_text(
            _CONFIG.format(root=root, host=LOOPBACK, port=port, tls_port=tls_port, workers=os.cpu_count() or 1)
        )
        user = ["-g", "user root;"] if os.geteuid() == 0 else []
        self._process = ManagedProcess.start(
            "nginx",
            [binary, "-p", root, "-c", config, *user],
            log=root / "nginx.log",
            env=inherited_environment(),
            cwd=root,
        )
        self._process.wait_until_ready(lambda: http.answers_ok(f"{self.url}/ready"), timeout=READY_SECONDS)

    def stop(self) -> None:
        """Stop it."""
        self._process.stop()

    def serve(self, files: Files) -> None:
        """Write a set of files, all different, and its listing."""
        noise = os.urandom(min(files.size, _RANDOM_BYTES))
        folder = self.root / "www" / "files" / files.name
        made: set[Path] = set()
        for number, path in enumerate(files.paths()):
            target = folder / path
            if target.parent not in made:
                target.parent.mkdir(parents=True, exist_ok=True)
                made.add(target.parent)
            _write(target, number, noise, files.size)
        entries = [{"name": path, "url": self.file_url(files, path), "bytes": files.size} for path in files.paths()]
        reply = {"meta": {"status": True, "timestamp": 1767225600}, "data": {"files": entries}}
        (self.root / "www" / "listing" / f"{_listing(files)}.json").write_bytes(msgspec.json.encode(reply))

    def forget(self, files: Files) -> None:
        """Remove a set of files, which may lie in memory."""
        shutil.rmtree(self.root / "www" / "files" / files.name)

    def file_url(self, files: Files, path: str) -> str:
        """What the listing names for one file."""
        return f"{self._url(files)}/{files.answers}/{files.name}/{path}{SIGNATURE}"

    def api(self, files: Files) -> str:
        """Base URL of an API whose dataset is this set."""
        return f"{self._url(files)}/{_listing(files)}"

    def _url(self, files: Files) -> str:
        return self.tls_url if files.tls else self.url


def _listing(files: Files) -> str:
    return f"{files.name}-tls" if files.tls else files.name


def _write(target: Path, number: int, noise: bytes, size: int) -> None:
    head = f'{{"user":{number:012d}}}'.encode()[:size]
    with target.open("wb") as file:
        file.write(head + noise[len(head) :])
        written = max(len(noise), len(head))
        while written < size:
            written += file.write(noise[: size - written])
