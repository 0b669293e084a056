"""The command line of `make compose-test`: which phases, in which order, and what is left at the end."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from compose.engine import EngineError, base_images, engine
from compose.env import write
from compose.proof.deployment import FOLDER, IMAGES, UP_SECONDS, Deployment, ProofError, built
from compose.proof.faults import disturbed
from compose.proof.keeping import restored, rotated
from compose.proof.teams import as_teams_do
from compose.proof.upgrade import upgraded
from devstack.errors import DevstackError
from devstack.output import say
from devstack.ports import free_ports

PARTS = ("faults", "keeping", "teams", "upgrade")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m compose.proof", description="Prove docker-compose.yaml.")
    parser.add_argument("--users", type=int, default=4000, help="size of the datasets (default %(default)s)")
    parser.add_argument("--stop-seconds", type=float, default=30, help="each container's stop; 0 leaves it out")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="which parts (default: all)")
    parser.add_argument("--before", default="HEAD~1", help="the commit to upgrade from (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the stack running, and an engine of our own")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 when everything held."""
    options = parse(arguments)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    try:
        with engine(FOLDER / "engine", say, keep=options.keep) as environment:
            extra = {"DEMO_USERS": str(options.users), "AIRFLOW_HEARTBEAT_TIMEOUT": "30"}
            # If other programs keep the processors busy, all containers together may get only as much of them as one
            # such program. So the containers get more time to start.
            slow = {"AIRFLOW_START_PERIOD": f"{UP_SECONDS}s"}
            env = IMAGES | built("now") | environment | extra | slow | {"AIRFLOW_QUEUED_TIMEOUT": "60"}
            return _prove(Deployment(env, fresh_env(FOLDER / "env"), port), options)
    except (EngineError, DevstackError) as error:
        say(f"\n{error}")
        return 1


def fresh_env(path: Path) -> Path:
    """A new `.env` with the simulator."""
    path.unlink(missing_ok=True)
    write(path, demo=True)
    return path


def phases(proof: Deployment, options: argparse.Namespace) -> None:
    """The chosen parts, in order. :raises ProofError: when something does not hold."""
    if "faults" in options.parts:
        disturbed(proof, options.stop_seconds)
    if "keeping" in options.parts:
        if "faults" not in options.parts:
            proof.up()
            proof.seed()
        rotated(proof)
        restored(proof, FOLDER / "backup", "after-rotation")
    proof.down()
    if "teams" in options.parts:
        as_teams_do(proof.cloned(FOLDER / "clone", path="/airflow"), FOLDER)
    if "upgrade" in options.parts:
        upgraded(proof.fresh(fresh_env(FOLDER / "env-upgrade")), FOLDER / "earlier", options.before)


def _prove(proof: Deployment, options: argparse.Namespace) -> int:
    try:
        base_images(IMAGES.values(), proof.env, say)
        proof.down()
        with proof.phase("images built"):
            proof.compose("build")
        phases(proof, options)
    except (ProofError, EngineError, DevstackError) as error:
        say(f"\nIt does not hold: {error}")
        logs = FOLDER / "containers.log"
        logs.write_text(proof.compose("logs", "--no-color", "--timestamps", check=False))
        say(f"{proof.compose('ps', '--all', check=False)}\nThe containers' logs are in {logs}")
        return 1
    finally:
        if not options.keep:
            proof.down()
    say(f"\nAll of it holds, in {sum(seconds for _, seconds in proof.phases):.0f} s.")
    return 0


if __name__ == "__main__":
    if shutil.which("docker") is None and os.geteuid() != 0:
        raise SystemExit("docker is not installed")
    sys.exit(main())
