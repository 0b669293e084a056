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
from typing import Any

from devstack.airflow import DATABASE_SECONDS, Airflow
from devstack.environment import REPOSITORY, tool
from devstack.errors import DevstackError
from devstack.processes import ManagedProcess, stop_all, undisturbed
from devstack.seaweedfs import REGION, SeaweedFS
from devstack.secrets import Secrets, load_or_create
from devstack.simulator import Simulator

LEARNOSITY_CONN_ID = "learnosity_default"
LANDING_CONN_ID = "aws_landing"
TEST_BUTTON = {"AIRFLOW__CORE__TEST_CONNECTION": "Enabled"}
DESTINATION_VARIABLE = "learnosity_destination_uri"


@dataclass(frozen=True, slots=True)
class StackOptions:
    """How a stack differs from the usual one.

    :param bucket: where datasets land
    :param prefix: below which key prefix of the bucket they land
    :param dags: DAG folder, the repository's by default
    :param plugins: plugins folder, the repository's by default
    :param airflow: the command ``airflow``, by default that of this virtual environment
    :param job_seconds: how long a simulated dataset job takes at least
    :param simulator_arguments: more arguments for ``python -m simulator``
    :param airflow_path: below which path of its address Airflow is, such as ``/airflow``; at the root by default
    :param test_button: whether the UI can test connections, which makes the API server connect to any host
    :param airflow_env: more environment for Airflow; wins over the defaults
    """

    bucket: str = "learnosity"
    prefix: str = "datasets"
    dags: Path = REPOSITORY / "dags"
    plugins: Path = REPOSITORY / "plugins"
    airflow: Path = field(default_factory=lambda: tool("airflow"))
    job_seconds: float = 2.0
    simulator_arguments: tuple[str, ...] = ()
    airflow_path: str = ""
    test_button: bool = False
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
        self._once: ManagedProcess | None = None

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

        # Other users of this machine must not read the logs, the databases and the landed files.
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        with undisturbed():
            self._launch(load_or_create(self.root / "secrets.json"))
        self.fill_database()  # meanwhile, the servers that were launched above start
        self.simulator.wait_until_ready()
        ready(f"Learnosity simulator  {self.simulator.url}")
        self.seaweedfs.wait_until_ready()
        ready(f"SeaweedFS (S3)        {self.seaweedfs.endpoint}")
        with undisturbed():
            self.airflow.start()
        self.airflow.wait_until_ready()
        ready(f"Airflow               {self.airflow.url}")

    def stop(self) -> None:
        """Stop whatever runs; data and logs stay."""
        with undisturbed():
            stop_all(process.leader for process in self.processes())
            for part in self._parts:
                part.stop()  # the processes have already ended: this removes what they have left
            self._parts.clear()
            self._once = None

    def fill_database(self) -> None:
        """Make the database, with what Airflow has to know before its first process reads it."""
        wanted = {"connections": self.connections(), "variables": {DESTINATION_VARIABLE: self.destination_uri}}
        with undisturbed():
            self._once = self.airflow.fill_database(wanted)
        self._once.wait_until_done(timeout=DATABASE_SECONDS)

    def leave_running(self) -> None:
        """Let go of everything: from now on :meth:`stop` stops nothing."""
        self._parts.clear()

    def processes(self) -> list[ManagedProcess]:
        """All processes that were started, in this order."""
        found = [self._once] if self._once and self._once.returncode is None else []
        for part in self._parts:
            found += part.processes.values() if isinstance(part, Airflow) else [part.process]
        return found

    def _launch(self, secrets: Secrets) -> None:
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
            control_token=secrets.control_token,
            job_seconds=self.options.job_seconds,
            arguments=self.options.simulator_arguments,
            log=self.logs / "simulator.log",
        )
        self._parts.append(self.simulator)
        self.airflow = Airflow.prepare(
            self.root / "airflow",
            program=self.options.airflow,
            secrets=secrets,
            dags=self.options.dags,
            plugins=self.options.plugins,
            env={**(TEST_BUTTON if self.options.test_button else {}), **self.options.airflow_env},
            logs=self.logs,
            path=self.options.airflow_path,
        )
        self._parts.append(self.airflow)

    def connections(self) -> dict[str, dict[str, Any]]:
        """The connections that the stack makes: the fields of each, by its id."""
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
        return {LEARNOSITY_CONN_ID: learnosity, LANDING_CONN_ID: landing}
