"""Phases: the Fernet key is rotated while a wait is deferred; a backup comes back in empty volumes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from compose.env import new_fernet_key
from compose.proof.deployment import PROJECT, Deployment, ProofError, docker
from devstack.output import say
from devstack.samples import DAG_ID
from devstack.tasks import state

# The simulated job takes this long, so that the task that waits for it is still deferred while all containers are made
# again.
JOB_SECONDS = 90.0
DUMP = "airflow.dump"
ROTATE = ("python", "/opt/airflow/compose/rotate_fernet.py")
# The volume of the bundled object store, under the name that `docker compose` gives it.
STORE_VOLUME = f"{PROJECT}_s3"


def rotated(proof: Deployment) -> None:
    """Rotate the Fernet key as docs/operations.md says, with a wait that is deferred meanwhile."""
    with proof.phase("Fernet key rotated while a wait is deferred"):
        proof.control("POST", "config", {"job_seconds": JOB_SECONDS})
        waiting = proof.start_run("waits-while-rotated")
        proof.wait("wait", lambda: waits(proof, waiting), timeout=240)
        new = new_fernet_key()
        # With this fault, each poll of the job fails. The job may end now, but its run does not learn this before the
        # key is rotated.
        proof.control("POST", "faults", {"match": "get jobs", "kind": "status", "status": 502})
        proof.change(AIRFLOW_FERNET_KEY=f"{new},{proof.settings['AIRFLOW_FERNET_KEY']}")
        proof.up()
        proof.compose("exec", "-T", "scheduler", *ROTATE)
        proof.control("DELETE", "faults")
        proof.control("POST", "config", {"job_seconds": 2.0})
        proof.finish(waiting, timeout=600)
        proof.change(AIRFLOW_FERNET_KEY=new)
        proof.up()
        proof.finish(after := proof.start_run("after-rotation"), timeout=300)
    say(f"           verified: {proof.verify(waiting)}, then with the new key alone {proof.verify(after)}")


def waits(proof: Deployment, run_id: str) -> bool:
    """Whether the wait of a run is deferred."""
    return any(task.task_id == "wait_for_job" and state(task) == "deferred" for task in proof.tasks(run_id))


def restored(proof: Deployment, folder: Path, run_id: str) -> None:
    """Back up as docs/operations.md says, remove all volumes, and restore.

    :param folder: where the backup goes
    :param run_id: a run whose dataset has to be there afterwards
    """
    folder.mkdir(parents=True, exist_ok=True)
    with proof.phase("backup of database, store and .env"):
        dump(proof, folder / DUMP)
        proof.compose("stop", "s3")
        copy_volume(proof, STORE_VOLUME, folder, "tar -cf /backup/s3.tar -C /volume .")
        kept = proof.env_file.read_text()
    with proof.phase("all volumes removed, and everything restored"):
        proof.down()
        proof.env_file.write_text(kept)
        proof.compose("up", "--detach", "--wait", "postgres", "s3")
        proof.compose("stop", "s3")
        copy_volume(proof, STORE_VOLUME, folder, "rm -rf /volume/* && tar -xf /backup/s3.tar -C /volume")
        load(proof, folder / DUMP)
        proof.up()
        if proof.api.dag_run(DAG_ID, run_id).state != "success":
            raise ProofError(f"the run {run_id} is not there after the restore")
        proof.finish(after := proof.start_run("after-restore"), timeout=300)
    say(f"           still there: {proof.verify(run_id)}; a new run: {proof.verify(after)}")


def dump(proof: Deployment, file: Path) -> None:
    """Dump the database to a file."""
    with file.open("wb") as output:
        command = ["exec", "-T", "postgres", "pg_dump", "--username", "airflow", "--format", "custom", "airflow"]
        _piped(proof, command, stdout=output)


def load(proof: Deployment, file: Path) -> None:
    """Load a dump into the empty database."""
    with file.open("rb") as content:
        command = ["exec", "-T", "postgres", "pg_restore", "--username", "airflow", "--dbname", "airflow", "--no-owner"]
        _piped(proof, command, stdin=content)


def _piped(proof: Deployment, arguments: list[str], **pipes: object) -> None:
    """`docker compose` with bytes on its standard input or output."""
    done = subprocess.run(
        ["docker", "compose", *proof.command(), *arguments],
        env=proof.environment(),
        stderr=subprocess.PIPE,
        check=False,
        **pipes,  # type: ignore[call-overload]
    )
    if done.returncode != 0:
        raise ProofError(f"{' '.join(arguments[2:5])} failed: {done.stderr.decode(errors='replace')[-1000:]}")


def copy_volume(proof: Deployment, volume: str, folder: Path, command: str) -> None:
    """Run a shell command over a volume at /volume and a folder at /backup."""
    mounts = (f"--volume={volume}:/volume", f"--volume={folder}:/backup")
    image = proof.image("s3")
    docker(proof, "run", "--rm", "--user=0", "--entrypoint=/bin/sh", *mounts, image, "-c", command)
