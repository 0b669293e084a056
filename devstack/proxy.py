"""nginx with TLS before an Airflow on this machine, with the configuration that deploy/nginx.conf shows."""

from __future__ import annotations

import os
import shutil
import ssl
from pathlib import Path

from devstack.certificate import Tls, make_certificate
from devstack.environment import REPOSITORY, inherited_environment
from devstack.errors import ProcessFailed
from devstack.ports import LOOPBACK
from devstack.processes import ManagedProcess

CONFIGURATION = REPOSITORY / "deploy" / "nginx.conf"
PATH = "/airflow"
READY_SECONDS = 20.0
INSTALL_HINT = "nginx is not installed: apt install nginx-light"


def find_nginx() -> str | None:
    """The nginx of this machine."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def configuration(root: Path, *, port: int, upstream: str, tls: Tls) -> str:
    """The text of deploy/nginx.conf with this machine's values in the lines that it asks to change.

    :param root: folder for what nginx writes
    :param port: where it listens
    :param upstream: host and port of Airflow
    :raises ProcessFailed: the file has not the lines that are changed here
    """
    text = CONFIGURATION.read_text()
    for old, new in (
        ("server 127.0.0.1:8080;", f"server {upstream};"),
        ("listen 443 ssl;", f"listen {LOOPBACK}:{port} ssl;"),
        ("server_name airflow.example.com;", f"server_name {LOOPBACK};"),
        ("/etc/nginx/tls/tls.crt", str(tls.certificate)),
        ("/etc/nginx/tls/tls.key", str(tls.key)),
        ("pid /run/nginx.pid;", f"pid {root}/nginx.pid;"),
        ("error_log /var/log/nginx/error.log warn;", f"error_log {root}/error.log warn;"),
        (
            "access_log off;",
            "access_log off;\n"
            + "".join(
                f"    {each}_temp_path {root}/{each};\n"
                for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            ),
        ),
    ):
        if text.count(old) != 1:
            raise ProcessFailed(f"{CONFIGURATION.name} has not exactly one {old!r}")
        text = text.replace(old, new)
    return text


def start_proxy(root: Path, *, port: int, upstream: str) -> ManagedProcess:
    """Start nginx, and wait until it listens.

    :param root: folder of its own
    :param upstream: host and port of Airflow
    """
    binary = find_nginx()
    if binary is None:
        raise ProcessFailed(INSTALL_HINT)
    root.mkdir(parents=True, exist_ok=True)
    file = root / "nginx.conf"
    file.write_text(configuration(root, port=port, upstream=upstream, tls=make_certificate(root)))
    directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    process = ManagedProcess.start(
        "nginx",
        [binary, "-p", root, "-c", file, "-g", directives],
        log=root / "nginx.log",
        env=inherited_environment(),
        cwd=root,
    )

    def listens() -> bool:
        try:
            return bool(ssl.get_server_certificate((LOOPBACK, port), timeout=2.0))
        except OSError:
            return False

    process.wait_until_ready(listens, timeout=READY_SECONDS)
    return process
