"""Phase: from the commit before to this one, with a wait that is deferred and a landing under way."""

from __future__ import annotations

import shutil
from pathlib import Path

from compose.engine import run
from compose.proof.deployment import REPOSITORY, Deployment, ProofError, built, slow_files
from compose.proof.keeping import waits
from devstack.output import say

# The images of the earlier commit have names of their own. So building them does not replace those of this commit.
EARLIER = built("earlier")


def unpack(commit: str, folder: Path) -> None:
    """The files of a commit, in a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    archive = folder.with_suffix(".tar")
    run("git", "archive", f"--output={archive}", commit, cwd=REPOSITORY)
    run("tar", "-xf", archive, "-C", folder)
    archive.unlink()


def upgraded(proof: Deployment, folder: Path, commit: str) -> None:
    """Bring up the earlier commit, start two runs, and upgrade as docs/operations.md says.

    :param folder: where its files go
    :param commit: the earlier one
    """
    unpack(commit, folder)
    earlier = Deployment(proof.env | EARLIER, proof.env_file, proof.port, folder=folder, phases=proof.phases)
    with proof.phase(f"the commit before ({commit}) built and up"):
        earlier.compose("build")
        earlier.up()
        earlier.seed()
    with proof.phase("upgraded while a wait is deferred and a landing is under way"):
        slow_files(earlier, 3.0)
        landing = earlier.start_run("lands-while-upgraded")
        earlier.wait("landing", lambda: bool(earlier.shards(landing, "running")), timeout=300)
        earlier.control("POST", "config", {"job_seconds": 240.0})
        waiting = earlier.start_run("waits-while-upgraded")
        earlier.wait("wait", lambda: waits(earlier, waiting), timeout=300)
        # The simulator stands for Learnosity, which also goes on during an upgrade. So it is not removed.
        others = [name for name in earlier.services() if name not in ("simulator", "postgres", "s3")]
        earlier.compose("rm", "--stop", "--force", "--volumes", *others)
        proof.compose("up", "--detach", "--no-recreate", "simulator", "s3", "postgres")
        proof.up_but("simulator")
        proof.control("DELETE", "faults")
        proof.control("POST", "config", {"job_seconds": 2.0})
        for each in (landing, waiting):
            proof.finish(each, timeout=900)
    for each in (landing, waiting):
        say(f"           verified: {proof.verify(each)}")
    if len(proof.api.dag_runs("learnosity_dataset")) < 2:
        raise ProofError("runs of before the upgrade are gone")
    proof.down()
