"""The stand-in for Learnosity's Data API as a process of the stack (see the ``simulator`` package)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from devstack import http
from devstack.environment import REPOSITORY, inherited_environment
from devstack.errors import DevstackError
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


def control(url: str, path: str, *, method: str = "GET", body: object = None) -> Any:
    """Call the simulator's own endpoints (faults, counts, truth), which are no part of the Learnosity API.

    :param url: the simulator's base URL
    :param path: what follows ``/_control/``
    :param body: sent as JSON
    :raises DevstackError: when the simulator refuses
    """
    content = None if body is None else msgspec.json.encode(body)
    reply = http.call(method, f"{url}/_control/{path}", body=content)
    if reply.status != 200:
        raise DevstackError(f"The simulator answered {reply.status} to {method} {path}: {reply.body!r}")
    return msgspec.json.decode(reply.body)


def made_files(url: str, dataset_id: str) -> dict[str, str]:
    """The SHA-256 of every result file that the simulator made for a dataset, by path."""
    return {path: file["sha256"] for path, file in control(url, f"datasets/{dataset_id}/files").items()}
