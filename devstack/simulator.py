"""The stand-in for Learnosity's Data API as a process of the stack (see the ``simulator`` package)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack import http
from devstack.environment import REPOSITORY, inherited_environment
from devstack.ports import LOOPBACK, free_ports
from devstack.processes import ManagedProcess
from devstack.secrets import KeyPair

READY_SECONDS = 60.0
SECRET_VARIABLE = "SIMULATOR_CONSUMER_SECRET"


@dataclass(slots=True)
class Simulator:
    """A running simulator.

    :param url: its base URL, which is the Data API's
    :param consumer: the consumer key and secret that it accepts
    """

    url: str
    consumer: KeyPair
    process: ManagedProcess

    @classmethod
    def start(
        cls, root: Path, *, consumer: KeyPair, job_seconds: float, arguments: Sequence[str] = (), log: Path
    ) -> Simulator:
        """Start it; call :meth:`wait_until_ready` before using it.

        :param job_seconds: how long a dataset job takes at least
        :param arguments: more command-line arguments (``python -m simulator --help``)
        """
        root.mkdir(parents=True, exist_ok=True)
        (port,) = free_ports(1)
        process = ManagedProcess.start(
            "simulator",
            [
                sys.executable,
                "-m",
                "simulator",
                f"--host={LOOPBACK}",
                f"--port={port}",
                f"--consumer-key={consumer.access_key}",
                f"--consumer-secret-env={SECRET_VARIABLE}",
                f"--job-seconds={job_seconds}",
                f"--ready-file={root / 'ready.json'}",
                *arguments,
            ],
            log=log,
            env=inherited_environment() | {SECRET_VARIABLE: consumer.secret_key},
            cwd=REPOSITORY,
        )
        return cls(f"http://{LOOPBACK}:{port}", consumer, process)

    def wait_until_ready(self) -> None:
        """Wait until it answers.

        :raises ProcessFailed: when it ends
        :raises NotReady: after a minute
        """
        self.process.wait_until_ready(lambda: http.answers_ok(f"{self.url}/healthz"), timeout=READY_SECONDS)

    def stop(self) -> None:
        """Stop it; it forgets its datasets."""
        self.process.stop()
