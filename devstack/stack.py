"""Everything together: the S3 server, the simulator and Airflow with the connections between them.

``with Stack(root) as stack`` leaves a working stack to the block and nothing running after it, however it ends. All of
its files are below ``root``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import msgspec

from devstack.airflow import MIGRATE_SECONDS, Airflow
from devstack.environment import REPOSITORY
from devstack.errors import DevstackError
from devstack.processes import ManagedProcess, stop_all, undisturbed
from devstack.seaweedfs import REGION, SeaweedFS
from devstack.secrets import Secrets, load_or_create
from devstack.simulator import Simulator

LEARNOSITY_CONN_ID = "learnosity_default"
LANDING_CONN_ID = "aws_landing"


@dataclass(frozen=True, slots=True)
class StackOptions:
    """How a stack differs from the usual one.

    :param bucket: where datasets land
    :param prefix: below which key prefix of the bucket they land
    :param dags: DAG folder, the repository's by default
    :param plugins: plugins folder, the repository's by default
    :param job_seconds: how long a simulated dataset job takes at least
    :param simulator_arguments: more arguments for ``python -m simulator``
    :param airflow_env: more environment for Airflow (settings, connections, variables); wins over the defaults
    """

    bucket: str = "learnosity"
    prefix: str = "datasets"
    dags: Path = REPOSITORY / "dags"
    plugins: Path = REPOSITORY / "plugins"
    job_seconds: float = 2.0
    simulator_arguments: tuple[str, ...] = ()
    airflow_env: Mapping[str, str] = field(default_factory=dict)


class Stack:
    """A local stack.

    :param root: folder for its data, secrets and logs; starting again in the same folder continues with them
    :param options: what differs from the usual stack
    :param report: gets a short text and the seconds since the start, whenever a part is ready
    """

    seaweedfs: SeaweedFS
    simulator: Simulator
    airflow: Airflow

    def __init__(
        self,
        root: Path,
        options: StackOptions | None = None,
        *,
        report: Callable[[str, float], None] = lambda text, seconds: None,
    ) -> None:
        self.root = root.resolve()
        self.options = options or StackOptions()
        self.logs = self.root / "logs"
        self._report = report
        self._parts: list[SeaweedFS | Simulator | Airflow] = []
        self._migration: ManagedProcess | None = None

    @property
    def destination_uri(self) -> str:
        """Where datasets land, as the Airflow Variable ``learnosity_destination_uri`` says."""
        return self.uri(self.options.prefix)

    def uri(self, key: str) -> str:
        """The URI of a key in the landing bucket, with the connection to use."""
        return f"s3://{LANDING_CONN_ID}@{self.options.bucket}/{key}"

    def __enter__(self) -> Stack:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start all parts at once and wait until all are ready.

        :raises DevstackError: when one of them does not start; what was started then still runs until :meth:`stop`
        """
        started = time.monotonic()

        def ready(text: str) -> None:
            self._report(text, time.monotonic() - started)

        self.root.mkdir(parents=True, exist_ok=True)
        with undisturbed():
            migration = self._launch(load_or_create(self.root / "secrets.json"))
        self.simulator.wait_until_ready()
        ready(f"Learnosity simulator  {self.simulator.url}")
        self.seaweedfs.wait_until_ready()
        ready(f"SeaweedFS (S3)        {self.seaweedfs.endpoint}")
        migration.wait_until_done(timeout=MIGRATE_SECONDS)
        with undisturbed():
            self.airflow.start()
        self.airflow.wait_until_ready()
        ready(f"Airflow               {self.airflow.url}")

    def stop(self) -> None:
        """Stop whatever runs; data and logs stay."""
        with undisturbed():
            stop_all(process.leader for process in self.processes())
            for part in self._parts:
                part.stop()  # nothing runs any more: this tidies up
            self._parts.clear()
            self._migration = None

    def leave_running(self) -> None:
        """Let go of everything: from now on :meth:`stop` stops nothing."""
        self._parts.clear()

    def processes(self) -> list[ManagedProcess]:
        """All processes that were started, in this order."""
        found = [self._migration] if self._migration and self._migration.returncode is None else []
        for part in self._parts:
            found += part.processes.values() if isinstance(part, Airflow) else [part.process]
        return found

    def _launch(self, secrets: Secrets) -> ManagedProcess:
        self.seaweedfs = SeaweedFS.start(
            self.root / "s3",
            bucket=self.options.bucket,
            admin=secrets.s3_admin,
            landing=secrets.s3_landing,
            log=self.logs / "seaweedfs.log",
        )
        self._parts.append(self.seaweedfs)
        self.simulator = Simulator.start(
            self.root / "simulator",
            consumer=secrets.consumer,
            job_seconds=self.options.job_seconds,
            arguments=self.options.simulator_arguments,
            log=self.logs / "simulator.log",
        )
        self._parts.append(self.simulator)
        self.airflow = Airflow.prepare(
            self.root / "airflow",
            secrets=secrets,
            dags=self.options.dags,
            plugins=self.options.plugins,
            env=self._connections() | dict(self.options.airflow_env),
            logs=self.logs,
        )
        self._parts.append(self.airflow)
        self._migration = self.airflow.migrate()
        return self._migration

    def _connections(self) -> dict[str, str]:
        scheme, _, address = self.simulator.url.partition("://")
        host, _, port = address.partition(":")
        if not port:
            raise DevstackError(f"the simulator's address {self.simulator.url} has no port")
        learnosity = {
            "conn_type": "learnosity",
            "schema": scheme,
            "host": host,
            "port": int(port),
            "login": self.simulator.consumer.access_key,
            "password": self.simulator.consumer.secret_key,
            "extra": {"reports_url": f"{self.simulator.url}/reports"},
        }
        landing = {
            "conn_type": "aws",
            "login": self.seaweedfs.landing.access_key,
            "password": self.seaweedfs.landing.secret_key,
            "extra": {"endpoint_url": self.seaweedfs.endpoint, "region_name": REGION},
        }
        return {
            f"AIRFLOW_CONN_{LEARNOSITY_CONN_ID.upper()}": msgspec.json.encode(learnosity).decode(),
            f"AIRFLOW_CONN_{LANDING_CONN_ID.upper()}": msgspec.json.encode(landing).decode(),
            "AIRFLOW_VAR_LEARNOSITY_DESTINATION_URI": self.destination_uri,
        }
