"""The stack of docker-compose.yaml as plain processes of one machine: its proof where Docker is not to be had.

Settings, environments and commands are those of a checkout's docker-compose.yaml and of an `.env`. Replaced is what
containers bring: names of hosts by addresses on loopback, the folder of the image by one of this machine, Valkey by
whichever server of its kind is installed. What only containers do is not proved: images, limits, networks, health.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from compose.env import settings
from compose.file import Service, read_services
from devstack.environment import inherited_environment, tool
from devstack.errors import NotReady
from devstack.ports import LOOPBACK, free_ports
from devstack.processes import ManagedProcess, stop_all
from devstack.rest import AirflowApi
from devstack.seaweedfs import SeaweedFS
from devstack.secrets import KeyPair
from devstack.servers import Server, start_postgres, start_redis
from devstack.waiting import wait_until

IMAGE_FOLDER = "/opt/airflow"
# The files that the Dockerfile copies into one folder. `build` does the same: init.sh starts some of the others, and
# looks for them beside itself.
SCRIPTS = (
    *(f"compose/{name}" for name in ("init.sh", "connections.py", "admin.py", "heartbeat.py", "rotate_fernet.py")),
    "devstack/seeding.py",
)
AIRFLOW_SERVICES = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")
INIT_SECONDS = 300.0
READY_SECONDS = 300.0
# A worker that is stopped gets this many seconds to end its tasks. docker-compose.yaml gives it two minutes, but a test
# must not wait so long. Tasks that need longer are killed, and Airflow tries them again after the next start.
STOP_SECONDS = 30.0


@dataclass
class PlainStack:
    """One stack.

    :param checkout: the files that the images would be built of, with docker-compose.yaml
    :param env_file: its `.env`
    :param data: folder for what would be in volumes, in containers and in logs
    """

    checkout: Path
    env_file: Path
    data: Path
    store: SeaweedFS | None = None
    processes: dict[str, ManagedProcess] = field(default_factory=dict)
    servers: list[Server] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, str]:
        """What `.env` says."""
        return settings(self.env_file.read_text())

    @property
    def url(self) -> str:
        """Where Airflow is published, on loopback."""
        given = self.settings
        return f"http://{LOOPBACK}:{given['AIRFLOW_PORT']}{given['AIRFLOW_PATH']}"

    @property
    def api(self) -> AirflowApi:
        """Airflow, as its administrator."""
        given = self.settings
        return AirflowApi(self.url, given["AIRFLOW_ADMIN_USER"], given["AIRFLOW_ADMIN_PASSWORD"])

    @property
    def home(self) -> Path:
        """Stands for the image's folder; made anew at each start, like a container."""
        return self.data / "image"

    @property
    def postgres(self) -> Server:
        """The database."""
        return next(each for each in self.servers if each.name == "PostgreSQL")

    def build(self) -> None:
        """What the image holds of the checkout, in the places that the Dockerfile gives it."""
        shutil.rmtree(self.home, ignore_errors=True)
        for name in ("plugins", "dags"):
            shutil.copytree(self.checkout / name, self.home / name)
        for name in ("compose", "config", "spool"):
            (self.home / name).mkdir()
        for name in SCRIPTS:
            shutil.copy(self.checkout / name, self.home / "compose")
        shutil.copy(self.checkout / "compose" / "airflow_local_settings.py", self.home / "config")
        shutil.copy(self.checkout / "compose" / "airflow.cfg", self.home)

    def start_servers(self) -> None:
        """Database, broker and, with the profile `s3`, the store; their data stays in `data`."""
        given = self.settings
        self.servers = [
            start_postgres(self.data / "postgres", given["POSTGRES_PASSWORD"], log=self.data / "postgres.log"),
            start_redis(self.data / "valkey", given["VALKEY_PASSWORD"], log=self.data / "valkey.log"),
        ]
        if "s3" in given["COMPOSE_PROFILES"].split(","):
            self.store = start_store(self.data / "s3", given, self.data / "s3.log")

    def up(self) -> None:
        """Everything that `docker compose up` starts, until Airflow's parts are alive.

        :raises ProcessFailed: one of them ends
        :raises NotReady: after five minutes
        """
        self.build()
        if not self.servers:
            self.start_servers()
        ports = dict(zip(("scheduler", "worker", "triggerer"), free_ports(3), strict=True))
        services = read_services(self.checkout, self.settings)
        init = self._start("init", ["bash", str(self.home / "compose" / "init.sh")], services["init"], ports)
        init.wait_until_done(timeout=INIT_SECONDS)
        del self.processes["init"]
        for name in AIRFLOW_SERVICES:
            command = [word.replace("/tmp/", f"{self.data}/") for word in services[name].command]
            self._start(name, [str(tool("airflow")), *command], services[name], ports)
        api = self.api
        started = time.time()

        def alive() -> bool:
            for each in self.processes.values():
                each.check()
            beats = api.health()
            return beats is not None and all(beat and beat.timestamp() > started for beat in beats.values())

        wait_until(alive, timeout=READY_SECONDS, late=lambda: f"Airflow is not alive; {self.data} has the logs")
        worker = self.processes["worker"]
        worker.wait_until_ready(lambda: "ready." in worker.log.read_text(errors="replace"), timeout=READY_SECONDS)

    def stop_airflow(self) -> None:
        """Airflow's parts alone."""
        stop_all(process.leader for process in self.processes.values())
        for process in self.processes.values():
            process.stop()  # all processes have ended; this only collects their exit codes
        self.processes.clear()

    def down(self) -> None:
        """Stop all of it; what would be in volumes stays."""
        self.stop_airflow()
        for server in self.servers:
            server.stop()
        self.servers.clear()
        if self.store is not None:
            self.store.stop()
            self.store = None

    def run(self, name: str, *command: str) -> None:
        """A command in the place of `docker compose exec scheduler`, until it ends.

        :raises ProcessFailed: it fails
        """
        service = read_services(self.checkout, self.settings)["scheduler"]
        self._start(name, list(command), service, {}).wait_until_done(timeout=INIT_SECONDS)
        del self.processes[name]

    def _start(self, name: str, command: list[str], service: Service, ports: dict[str, int]) -> ManagedProcess:
        log = self.data / f"{name}.log"
        log.unlink(missing_ok=True)
        self.processes[name] = ManagedProcess.start(
            name,
            [self._here(word) for word in command],
            log=log,
            env=self._environment(service, ports),
            cwd=self.home,
            grace=STOP_SECONDS if name == "worker" else 8.0,
        )
        return self.processes[name]

    def _environment(self, service: Service, ports: dict[str, int]) -> dict[str, str]:
        given = self.settings
        # Settings that come from the image, and ports. Each container could use the same ports, but here all run on one
        # machine.
        own = {
            "AIRFLOW_HOME": str(self.home),
            "PYTHONPATH": str(self.home / "plugins"),
            "TMPDIR": str(self.home / "spool"),
            "AIRFLOW__API__HOST": LOOPBACK,
            "AIRFLOW__API__PORT": given["AIRFLOW_PORT"],
            "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "false",
        }
        names = {
            "scheduler": "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT",
            "worker": "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT",
            "triggerer": "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT",
        }
        own |= {names[each]: str(port) for each, port in ports.items()}
        told = {key: self._here(value) for key, value in service.environment.items()}
        return inherited_environment() | told | own

    def _here(self, text: str) -> str:
        """A text with the addresses and folders of this machine."""
        port = self.settings["AIRFLOW_PORT"]
        replaced = {f"{IMAGE_FOLDER}/": f"{self.home}/", "//api-server:8080": f"//{LOOPBACK}:{port}"}
        for server in self.servers:
            named = {"PostgreSQL": "@postgres/", "Redis": "@valkey:6379/"}[server.name]
            replaced[named] = f"@{LOOPBACK}:{server.port}/"
        if self.store is not None:
            replaced["http://s3:8333"] = self.store.endpoint
        for old, new in replaced.items():
            text = text.replace(old, new)
        return text


def start_store(root: Path, given: dict[str, str], log: Path) -> SeaweedFS:
    """An S3 server with both buckets and the identities of an `.env`, each for its own bucket.

    :raises NotReady: it does not take them within a minute
    """
    landing, airflow, admin = (
        KeyPair(given[f"S3_{name}_ACCESS_KEY"], given[f"S3_{name}_SECRET_KEY"])
        for name in ("LANDING", "AIRFLOW", "ADMIN")
    )
    bucket, second = given["S3_LANDING_BUCKET"], given["S3_AIRFLOW_BUCKET"]
    if bucket == second:
        raise NotReady("both buckets have one name")
    store = SeaweedFS.start(root, bucket=bucket, admin=admin, landing=landing, others={second: airflow}, log=log)
    store.wait_until_ready()
    store.make_bucket(second)
    return store
