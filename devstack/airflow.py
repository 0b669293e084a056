"""A whole Airflow of one stack: API server, scheduler, DAG processor and triggerer, each a process of its own.

Everything that it keeps is in one AIRFLOW_HOME; all of its settings come from its environment. It runs on
SQLite and one machine, which is right for trying things out and for tests, and wrong for anything else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from devstack.environment import REPOSITORY, inherited_environment
from devstack.ports import LOOPBACK, free_ports
from devstack.processes import ManagedProcess, stop_all
from devstack.secrets import ADMIN, OPERATOR, VIEWER, Secrets, write_private

if TYPE_CHECKING:
    from devstack.rest import AirflowApi

DATABASE_SECONDS = 240.0
READY_SECONDS = 180.0
STOP_SECONDS = 8.0

API_SERVER, SCHEDULER, DAG_PROCESSOR, TRIGGERER = "api-server", "scheduler", "dag-processor", "triggerer"
# The scheduler and the triggerer start no log server (`--skip-serve-logs`): the API server is on the same machine and
# reads their log files itself.
COMMANDS: dict[str, tuple[str, ...]] = {
    # With this option, Airflow learns from a proxy which address the browser called. It is safe: by default, uvicorn
    # believes these headers only if they come from this machine.
    API_SERVER: ("api-server", "--proxy-headers"),
    SCHEDULER: ("scheduler", "--skip-serve-logs"),
    DAG_PROCESSOR: ("dag-processor",),
    TRIGGERER: ("triggerer", "--skip-serve-logs"),
}
# Only these two processes get the key that signs tokens, as Airflow's documentation says. The API server signs the
# tokens of users. The scheduler signs those of tasks, because the LocalExecutor runs in it.
SIGNING = (API_SERVER, SCHEDULER)
JWT_SECRET = "AIRFLOW__API_AUTH__JWT_SECRET"
HEALTH_NAMES = {SCHEDULER: "scheduler", DAG_PROCESSOR: "dag_processor", TRIGGERER: "triggerer"}


@dataclass
class Airflow:
    """An Airflow, running or about to.

    :param home: its AIRFLOW_HOME
    :param program: its command ``airflow``
    :param url: address of its UI and API
    :param env: the environment of all its processes; none of them but API server and scheduler can sign tokens with it
    :param signing: what these two get as well, the key that signs tokens: who has it can act as any user
    :param processes: the running ones by name
    """

    home: Path
    program: Path
    url: str
    env: dict[str, str]
    logs: Path
    passwords: dict[str, str] = field(repr=False)
    signing: dict[str, str] = field(repr=False)
    processes: dict[str, ManagedProcess] = field(default_factory=dict)
    _started: dict[str, datetime] = field(default_factory=dict)

    @classmethod
    def prepare(
        cls,
        home: Path,
        *,
        program: Path,
        secrets: Secrets,
        dags: Path,
        plugins: Path,
        env: Mapping[str, str],
        logs: Path,
        path: str = "",
    ) -> Airflow:
        """Choose a port and settings, and write the password file; starts nothing.

        :param program: the command ``airflow``
        :param dags: folder of the DAG files
        :param plugins: plugins folder; it is also on the path of every process
        :param env: more settings; they win over the defaults
        :param path: below which path of its address it is, such as ``/airflow``; at the root by default
        """
        home.mkdir(parents=True, exist_ok=True)
        (port,) = free_ports(1)
        url = f"http://{LOOPBACK}:{port}{path}"
        passwords = home / "passwords.json"
        write_private(passwords, msgspec.json.encode(secrets.passwords))
        # Airflow writes a configuration file into AIRFLOW_HOME. These environment variables override its settings.
        environment = {
            **inherited_environment(),
            **_settings(home, url, port, secrets, dags, plugins, passwords, logs),
            **env,
        }
        signing = {JWT_SECRET: environment[JWT_SECRET] or secrets.jwt_secret}
        environment[JWT_SECRET] = ""  # empty and not absent: otherwise Airflow takes the key of its configuration file
        return cls(home, program, url, environment, logs, secrets.passwords, signing)

    @cached_property
    def api(self) -> AirflowApi:
        """REST client that is logged in as administrator."""
        # The client is imported at the first use, because that takes a second. Airflow's processes start meanwhile.
        from devstack.rest import AirflowApi

        return AirflowApi(self.url, ADMIN, self.passwords[ADMIN])

    def fill_database(self, wanted: Mapping[str, Any]) -> ManagedProcess:
        """Start making the database's tables, and writing connections and Variables into them.

        One process does both: importing Airflow takes longer than either.

        :param wanted: as :func:`devstack.seeding.seed` takes it
        """
        return ManagedProcess.start(
            "database",
            # With -P, Python does not import from the folder of the script. Its `airflow.py` would hide the package
            # `airflow`.
            [self.program.with_name("python"), "-P", Path(__file__).with_name("seeding.py"), "--migrate"],
            log=self.logs / "database.log",
            env=self.env,
            cwd=self.home,
            stdin=msgspec.json.encode(wanted),
        )

    def start(self) -> None:
        """Start all four processes; the database must be migrated."""
        # Four processes share one SQLite file. In WAL mode, a process can read while another one writes.
        with sqlite3.connect(self.home / "airflow.db") as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
        for name in COMMANDS:
            self.start_process(name)

    def start_process(self, name: str) -> ManagedProcess:
        """Start one of the four, again after it was stopped or killed.

        :param name: ``api-server``, ``scheduler``, ``dag-processor`` or ``triggerer``
        """
        self._started[name] = datetime.now(UTC)
        self.processes[name] = self._launch(name, COMMANDS[name], signing=name in SIGNING)
        return self.processes[name]

    def wait_until_ready(self, on_ready: Callable[[str], None] = lambda name: None) -> None:
        """Wait until all that was started answers or beats.

        :param on_ready: called with the name of each process as it becomes ready
        :raises ProcessFailed: when one of them ends
        :raises NotReady: after three minutes
        """
        for name, process in self.processes.items():
            process.wait_until_ready(partial(self.is_ready, name), timeout=READY_SECONDS)
            on_ready(name)

    def is_ready(self, name: str) -> bool:
        """Whether one of the four processes works, by what the API server says about it since it was started."""
        for process in self.processes.values():
            process.check()
        health = self.api.health()
        if health is None:
            return False
        if name == API_SERVER:
            return True
        beat = health[HEALTH_NAMES[name]]
        return beat is not None and beat > self._started[name]

    def command(self, *arguments: str, stdin: bytes = b"") -> ManagedProcess:
        """Start an ``airflow`` command of this installation, with its output in a log of its own.

        :param stdin: what it reads from its standard input; nothing by default
        """
        return self._launch("-".join(("airflow", *arguments[:2])), arguments, stdin)

    def stop(self) -> None:
        """Stop all four with all tasks that still run; what they know stays in AIRFLOW_HOME."""
        stop_all(process.leader for process in self.processes.values())
        for process in self.processes.values():
            process.stop()  # the process has already ended: this only collects its exit code

    def _launch(
        self, name: str, arguments: tuple[str, ...], stdin: bytes = b"", *, signing: bool = False
    ) -> ManagedProcess:
        return ManagedProcess.start(
            name,
            [self.program, *arguments],
            log=self.logs / f"{name}.log",
            env=self.env | (self.signing if signing else {}),
            cwd=self.home,
            grace=STOP_SECONDS,
            stdin=stdin,
        )


def _settings(
    home: Path, url: str, port: int, secrets: Secrets, dags: Path, plugins: Path, passwords: Path, logs: Path
) -> dict[str, str]:
    roles = {ADMIN: "admin", OPERATOR: "op", VIEWER: "viewer"}
    sections: dict[str, dict[str, object]] = {
        "core": {
            "executor": "LocalExecutor",
            "parallelism": 8,
            "dags_folder": dags,
            "plugins_folder": plugins,
            "load_examples": False,
            "fernet_key": secrets.fernet_key,
            "execution_api_server_url": f"{url}/execution/",
            "auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
            "simple_auth_manager_users": ",".join(f"{user}:{role}" for user, role in roles.items()),
            "simple_auth_manager_passwords_file": passwords,
        },
        "database": {
            "sql_alchemy_conn": f"sqlite:///{home / 'airflow.db'}?timeout=30",
        },
        "api": {
            "host": LOOPBACK,
            "port": port,
            "base_url": url,
            "workers": 1,
            "secret_key": secrets.api_secret,
        },
        "api_auth": {"jwt_secret": ""},
        "dag_processor": {
            "refresh_interval": 2,
            "bundle_refresh_check_interval": 1,
            "parsing_processes": 1,
        },
        "scheduler": {
            "scheduler_heartbeat_sec": 1,
            "scheduler_idle_sleep_time": 0.5,
        },
        "triggerer": {"job_heartbeat_sec": 1},
        "logging": {
            "base_log_folder": logs / "tasks",
            "colored_console_log": False,
        },
    }
    settings = {
        f"AIRFLOW__{section.upper()}__{key.upper()}": str(value)
        for section, values in sections.items()
        for key, value in values.items()
    }
    return settings | {
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": f"{plugins}:{REPOSITORY}",
        "NO_COLOR": "1",
    }
