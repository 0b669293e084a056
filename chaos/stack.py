"""The stack under attack: its S3 server behind a gate and able to come back, its Airflow quick to notice losses."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psutil

from chaos.gate import Gate
from devstack.certificate import make_certificate
from devstack.environment import REPOSITORY
from devstack.ports import LOOPBACK
from devstack.processes import ManagedProcess, undisturbed
from devstack.seaweedfs import REGION
from devstack.servers import DATABASE, Server, start_postgres
from devstack.stack import LANDING_CONN_ID, Stack, StackOptions

# The id of a second connection to the same bucket, over TLS.
TLS_CONN_ID = "aws_landing_tls"
# With these settings, Airflow notices a killed process after seconds and not minutes, and soon tries its tasks again.
QUICK = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "4",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "6",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",
    "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "2",
    "AIRFLOW__CORE__MAX_ACTIVE_RUNS_PER_DAG": "64",
    "AIRFLOW__CORE__PARALLELISM": "16",
    # Runs use two connections to the bucket. By default, only the connection of the default destination is allowed, so
    # both are allowed here.
    "AIRFLOW_VAR_LEARNOSITY_ALLOWED_URIS": json.dumps(
        [f"s3://{conn_id}@{StackOptions().bucket}/" for conn_id in (LANDING_CONN_ID, TLS_CONN_ID)]
    ),
}


class GatedStack(Stack):
    """A stack whose S3 server stands behind a gate, and can be killed and started again on its ports."""

    gate: Gate
    authority: Path
    postgres: Server
    _s3: tuple[list[str], dict[str, str], Path] | None = None

    def tls_uri(self, key: str) -> str:
        """As `uri`, over TLS."""
        return f"s3://{TLS_CONN_ID}@{self.options.bucket}/{key}"

    def connections(self) -> dict[str, dict[str, Any]]:
        """Those of the usual stack, behind the gate, and one more over TLS."""
        self.gate.lead_to(urlsplit(self.seaweedfs.endpoint).port or 0)
        keys = self.seaweedfs.landing
        found = super().connections()
        for conn_id, extra in (
            (LANDING_CONN_ID, {"endpoint_url": f"http://{LOOPBACK}:{self.gate.port}"}),
            (TLS_CONN_ID, {"endpoint_url": f"https://{LOOPBACK}:{self.gate.tls_port}", "verify": str(self.authority)}),
        ):
            found[conn_id] = {
                "conn_type": "aws",
                "login": keys.access_key,
                "password": keys.secret_key,
                "extra": {"region_name": REGION, **extra},
            }
        return found

    def kill_s3(self) -> None:
        """End the server at once, as a crash of its machine would."""
        process = psutil.Process(self.seaweedfs.process.pid)
        self._s3 = (process.cmdline(), process.environ(), Path(process.cwd()))
        self.seaweedfs.process.kill()

    def start_s3(self) -> None:
        """Start it again where it was."""
        assert self._s3 is not None
        command, env, folder = self._s3
        self.seaweedfs.process = ManagedProcess.start(
            "SeaweedFS", command, log=self.seaweedfs.process.log, env=env, cwd=folder, grace=1.0
        )


@contextmanager
def gated_stack(root: Path, env: Mapping[str, str]) -> Iterator[GatedStack]:
    """A running stack.

    :param env: more environment for Airflow.
    """
    with ExitStack() as parts:
        root.mkdir(parents=True, exist_ok=True)
        tls = make_certificate(root)
        gate = parts.enter_context(Gate(tls).open())
        # PostgreSQL, as in production. With SQLite, a writer may wait too long for another one, and then Airflow fails
        # the task whose state it could not write. This would look like a fault of the DAG.
        with undisturbed():
            postgres = start_postgres(root / "postgres", secrets.token_hex(16), log=root / "logs" / "postgres.log")
        parts.callback(postgres.stop)
        database = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{postgres.address}/{DATABASE}"}
        options = StackOptions(dags=REPOSITORY / "chaos" / "dags", airflow_env=QUICK | database | dict(env))
        stack = GatedStack(root, options)
        stack.gate, stack.authority, stack.postgres = gate, tls.certificate, postgres
        parts.enter_context(stack)
        yield stack


def connection(url: str, key: str, secret: str) -> str:
    """A connection to a simulator, as Airflow reads it from the environment."""
    found = {"conn_type": "learnosity", "host": url, "login": key, "password": secret}
    return msgspec.json.encode(found).decode()
