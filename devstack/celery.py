"""The local stack on PostgreSQL, Redis and the CeleryExecutor, with several workers: a cluster on one machine.

Each worker is a process of its own with a name of its own, and can be killed and started again like a machine.
It stands where ``docker-compose.yaml`` stands, for places without Docker.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from devstack.airflow import Airflow
from devstack.environment import tool
from devstack.errors import DevstackError
from devstack.processes import ManagedProcess, undisturbed
from devstack.secrets import Secrets
from devstack.servers import DATABASE, Passwords, Server, query, start_postgres, start_redis
from devstack.stack import Stack, StackOptions

WORKER_SECONDS = 120.0
STOP_SECONDS = 8.0
READY = "ready."


class CeleryStack(Stack):
    """A local stack whose tasks run on Celery workers.

    :param workers: how many worker processes
    :param concurrency: tasks that one worker runs at once, 4 by default
    """

    def __init__(
        self,
        root: Path,
        options: StackOptions | None = None,
        *,
        workers: int = 2,
        concurrency: int = 4,
        report: Callable[[str, float], None] = lambda text, seconds: None,
    ) -> None:
        super().__init__(root, options, report=report)
        self.concurrency = concurrency
        self.names = [f"worker-{number}" for number in range(1, workers + 1)]
        self.workers: dict[str, ManagedProcess] = {}
        self._servers: list[Server] = []

    def __enter__(self) -> CeleryStack:
        super().__enter__()
        return self

    def start(self) -> None:
        """Start everything and wait until every worker takes tasks."""
        super().start()
        with undisturbed():
            for name in self.names:
                self.start_worker(name)
        for name in self.names:
            self.wait_for_worker(name)

    def stop(self) -> None:
        """Stop whatever runs; data and logs stay."""
        super().stop()
        for process in [*self.workers.values(), *(server.process for server in self._servers)]:
            process.stop()  # the process has already ended: this only collects its exit code
        self.workers.clear()
        self._servers.clear()

    def processes(self) -> list[ManagedProcess]:
        """All processes that were started."""
        return [*(server.process for server in self._servers), *super().processes(), *self.workers.values()]

    def start_worker(self, name: str) -> ManagedProcess:
        """Start a worker, again after it was stopped or killed.

        :param name: ``worker-1`` and so on
        """
        if name not in self.names:
            raise DevstackError(f"{name} is not one of {', '.join(self.names)}")
        airflow: Airflow = self.airflow
        # Airflow records on which host each task runs. All workers are on one host, so the name of the worker is
        # recorded instead: `getpass.getuser` returns LOGNAME.
        env = airflow.env | {"AIRFLOW__CORE__HOSTNAME_CALLABLE": "getpass.getuser", "LOGNAME": name}
        pid = self.root / f"{name}.pid"
        pid.unlink(missing_ok=True)
        log = self.logs / f"{name}.log"
        log.unlink(missing_ok=True)  # a log of an earlier start would say that this worker is ready
        self.workers[name] = ManagedProcess.start(
            name,
            [
                *(tool("airflow"), "celery", "worker", "--skip-serve-logs", "--without-gossip", "--without-mingle"),
                *(f"--celery-hostname={name}@%h", f"--concurrency={self.concurrency}", f"--pid={pid}"),
            ],
            log=log,
            env=env,
            cwd=airflow.home,
            grace=STOP_SECONDS,
        )
        return self.workers[name]

    def wait_for_worker(self, name: str) -> None:
        """Wait until a worker takes tasks.

        :raises ProcessFailed: when it ends
        :raises NotReady: after two minutes
        """
        process = self.workers[name]
        process.wait_until_ready(lambda: READY in process.log.read_text(errors="replace"), timeout=WORKER_SECONDS)

    def database_bytes(self) -> int:
        """How large Airflow's database is."""
        (postgres, _) = self._servers
        return int(query(postgres, "SELECT pg_database_size(current_database())"))

    def _launch(self, secrets: Secrets) -> None:
        passwords = Passwords.load_or_create(self.root / "servers.json")
        postgres = start_postgres(self.root / "postgres", passwords.postgres, log=self.logs / "postgres.log")
        self._servers.append(postgres)
        redis = start_redis(self.root / "redis", passwords.redis, log=self.logs / "redis.log")
        self._servers.append(redis)
        redis.wait_until_ready()
        slots = len(self.names) * self.concurrency
        cluster = {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            # Airflow queues only as many tasks as the workers can run. Otherwise a worker would take tasks from Redis
            # before it can begin them. If it is killed then, Airflow notices only after minutes that they are lost.
            "AIRFLOW__CORE__PARALLELISM": str(slots),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{postgres.address}/{DATABASE}",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2://{postgres.address}/{DATABASE}",
            "AIRFLOW__CELERY__BROKER_URL": f"redis://{redis.address}/0",
            "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
        }
        self.options = dataclasses.replace(self.options, airflow_env=cluster | dict(self.options.airflow_env))
        super()._launch(secrets)
