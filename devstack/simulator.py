"""The stand-in for Learnosity's Data API as a process of the stack (see the ``simulator`` package)."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
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
TOKEN_VARIABLE = "SIMULATOR_CONTROL_TOKEN"


@dataclass(slots=True)
class Simulator:
    """A running simulator.

    :param url: its base URL, which is the Data API's
    :param consumer: the consumer key and secret that it accepts
    :param control_token: what its control endpoints ask for
    """

    url: str
    consumer: KeyPair
    process: ManagedProcess
    control_token: str = field(repr=False)

    @classmethod
    def start(
        cls,
        root: Path,
        *,
        consumer: KeyPair,
        control_token: str | None = None,
        job_seconds: float,
        arguments: Sequence[str] = (),
        log: Path,
    ) -> Simulator:
        """Start it; call :meth:`wait_until_ready` before using it.

        :param control_token: what its control endpoints ask for; default a new one
        :param job_seconds: how long a dataset job takes at least
        :param arguments: more command-line arguments (``python -m simulator --help``)
        """
        token = control_token or secrets.token_hex(16)
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
                f"--control-token-env={TOKEN_VARIABLE}",
                f"--job-seconds={job_seconds}",
                f"--ready-file={root / 'ready.json'}",
                *arguments,
            ],
            log=log,
            env=inherited_environment() | {SECRET_VARIABLE: consumer.secret_key, TOKEN_VARIABLE: token},
            cwd=REPOSITORY,
        )
        return cls(f"http://{LOOPBACK}:{port}", consumer, process, token)

    def wait_until_ready(self) -> None:
        """Wait until it answers.

        :raises ProcessFailed: when it ends
        :raises NotReady: after a minute
        """
        self.process.wait_until_ready(lambda: http.answers_ok(f"{self.url}/healthz"), timeout=READY_SECONDS)

    def stop(self) -> None:
        """Stop it; it forgets its datasets."""
        self.process.stop()

    def control(self, path: str, *, method: str = "GET", body: object = None) -> Any:
        """Call its own endpoints, as :func:`control`."""
        return control(self.url, path, method=method, body=body, token=self.control_token)

    def made_files(self, dataset_id: str) -> dict[str, str]:
        """The SHA-256 of every result file that it made for a dataset, by path."""
        return made_files(self.url, dataset_id, token=self.control_token)


def control(url: str, path: str, *, method: str = "GET", body: object = None, token: str = "") -> Any:
    """Call the simulator's own endpoints (faults, counts, truth), which are no part of the Learnosity API.

    :param url: the simulator's base URL
    :param path: what follows ``/_control/``
    :param body: sent as JSON
    :param token: what it asks for; none by default: enough from the same machine, if it was started without one
    :raises DevstackError: when the simulator refuses
    """
    content = None if body is None else msgspec.json.encode(body)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    reply = http.call(method, f"{url}/_control/{path}", body=content, headers=headers)
    if reply.status != 200:
        raise DevstackError(f"The simulator answered {reply.status} to {method} {path}: {reply.body!r}")
    return msgspec.json.decode(reply.body)


def made_files(url: str, dataset_id: str, *, token: str = "") -> dict[str, str]:
    """The SHA-256 of every result file that the simulator made for a dataset, by path."""
    files = control(url, f"datasets/{dataset_id}/files", token=token)
    return {path: file["sha256"] for path, file in files.items()}
