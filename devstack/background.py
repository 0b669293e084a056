"""The stack that stays: started by ``make up``, found again and stopped by later commands.

What runs is written to one state file; it holds process ids and addresses and no secret.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from devstack.errors import DevstackError
from devstack.processes import Leader, stop_all
from devstack.secrets import ADMIN, load_or_create, write_private
from devstack.stack import Stack


class Service(msgspec.Struct, frozen=True):
    """One running process."""

    name: str
    leader: Leader
    log: str


class Running(msgspec.Struct, frozen=True):
    """A stack that was left running."""

    started_at: datetime
    airflow_url: str
    simulator_url: str
    s3_url: str
    destination_uri: str
    services: list[Service]
    leftovers: list[str]
    """Files that SeaweedFS leaves in the temporary folder."""

    def dead(self) -> list[Service]:
        """Services that no longer run."""
        return [service for service in self.services if service.leader.process() is None]


def state_file(root: Path) -> Path:
    """Where the state of the stack in ``root`` is kept."""
    return root / "state.json"


def find(root: Path) -> Running | None:
    """The stack that was left running in ``root``, whether or not all of it still runs."""
    try:
        return msgspec.json.decode(state_file(root).read_bytes(), type=Running)
    except FileNotFoundError:
        return None


def start(stack: Stack) -> Running:
    """Start a stack and leave it running.

    :raises DevstackError: when it does not start (nothing is left then), or when one already runs in its folder
    """
    if (running := find(stack.root)) is not None:
        if len(running.dead()) < len(running.services):
            raise DevstackError("a stack runs here already; `make down` stops it")
        stop(stack.root)  # no service runs any more, as after a restart of the machine: this clears up
    with stack:
        running = Running(
            started_at=datetime.now(UTC),
            airflow_url=stack.airflow.url,
            simulator_url=stack.simulator.url,
            s3_url=stack.seaweedfs.endpoint,
            destination_uri=stack.destination_uri,
            services=[Service(each.name, each.leader, str(each.log)) for each in stack.processes()],
            leftovers=[str(path) for path in stack.seaweedfs.sockets],
        )
        write_private(state_file(stack.root), msgspec.json.encode(running))
        stack.leave_running()
    return running


def stop(root: Path) -> Running | None:
    """Stop the stack that was left running in ``root``; its data stays. None when there is none."""
    running = find(root)
    if running is None:
        return None
    stop_all(service.leader for service in running.services)
    for path in running.leftovers:
        Path(path).unlink(missing_ok=True)
    state_file(root).unlink()
    return running


def login(root: Path) -> tuple[str, str]:
    """User and password of the administrator."""
    return ADMIN, load_or_create(root / "secrets.json").passwords[ADMIN]
