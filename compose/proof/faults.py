"""Phases: a dataset lands whole while containers are killed, stopped and made anew."""

from __future__ import annotations

import time
from functools import partial

from compose.engine import run
from compose.proof.deployment import Deployment, ProofError, slow_files
from devstack.output import say
from devstack.samples import DAG_ID
from devstack.tasks import label

# These services are stopped, one after the other, while datasets are landed: all but the database and the object store.
STOPPED = ("valkey", "api-server", "scheduler", "dag-processor", "triggerer", "worker")


def disturbed(proof: Deployment, stop_seconds: float) -> None:
    """Runs while parts of the stack die. :raises ProofError: when something does not hold."""
    if warnings := proof.compose("config", "--quiet"):
        raise ProofError(f"docker compose config says: {warnings}")
    with proof.phase("up: all services healthy, database migrated, buckets made, input seeded"):
        proof.up()
        proof.seed()
    with proof.phase("undisturbed run, landing in 4 shards"):
        first = proof.start_run("undisturbed")
        proof.finish(first, timeout=240)
        workers = {shard.hostname for shard in proof.shards(first, "success")}
        if len(workers) < 2:
            raise ProofError(f"the shards ran on {workers} only")
        for task in proof.tasks(first):
            if task.task_id == "land.land_files" and "files" not in proof.api.log(DAG_ID, first, task):
                raise ProofError(f"the log of {label(task)} cannot be read")
    say(f"           verified: {proof.verify(first)}; landed by {len(workers)} workers; logs read back")
    with proof.phase("run with one worker killed while landing, and the triggerer restarted"):
        slow_files(proof, 1.5)
        second = proof.start_run("disturbed")
        proof.wait("landing", lambda: bool(proof.shards(second, "running")), timeout=180)
        host = proof.shards(second, "running")[0].hostname or ""
        victims = [each for each in proof.containers("worker") if each.startswith(host)]
        run("docker", "kill", "--signal=KILL", *(victims or proof.containers("worker")[:1]), env=proof.env)
        proof.compose("restart", "triggerer")
        proof.compose("up", "--detach", "--no-recreate", "--no-deps", "worker")
        proof.finish(second, timeout=500)
        proof.control("DELETE", "faults")
    tries = max(shard.try_number for shard in proof.shards(second, "success"))
    say(f"           verified: {proof.verify(second)}; tries of the shards: up to {tries}")
    for service in STOPPED if stop_seconds else ():
        with proof.phase(f"run while {service} is stopped for {stop_seconds:.0f} s"):
            proof.control("POST", "faults", {"match": "file", "kind": "latency", "seconds": 0.5})
            each = proof.start_run(f"without-{service}")
            proof.wait("start", partial(proof.has_tasks, each), timeout=120)
            proof.compose("stop", "--timeout", "5", service)
            time.sleep(stop_seconds)
            proof.compose("start", service)
            proof.finish(each, timeout=500)
            proof.control("DELETE", "faults")
        say(f"           verified: {proof.verify(each)}")
    with proof.phase("down and up again, as for an upgrade"):
        proof.compose("down", "--timeout", "20")
        proof.env["AIRFLOW_XCOM_THRESHOLD"] = "0"
        proof.up()
        proof.wait("runs", lambda: proof.api.dag_run(DAG_ID, second).state == "success", timeout=60)
    say(f"           still there: {proof.verify(second)}, {len(proof.api.dag_runs(DAG_ID))} runs")
    with proof.phase("a new run after it, with every XCom in object storage"):
        proof.finish(last := proof.start_run("after-upgrade"), timeout=240)
        value = proof.api.xcom(DAG_ID, last, "land.list_files")
        if not str(value).startswith("s3://"):
            raise ProofError(f"what list_files returned is in the database: {value}")
        if "manifest.json" not in proof.page(last):
            raise ProofError("the page does not find what was published")
    say(f"           verified: {proof.verify(last)}; its page is there")
