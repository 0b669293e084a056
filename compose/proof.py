"""`make compose-test`: the stack of docker-compose.yaml, brought up, used, broken, upgraded, and checked.

It lands a dataset over both workers while one of them is killed and the triggerer is restarted, stops every other
container for a while, takes everything down and up again, and reads what landed as its consumers do. It prints what
it did and how long each phase took, and removes its containers and volumes at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from airflow_client.client import TaskInstanceResponse

from compose.engine import EngineError, base_images, engine, run
from compose.env import write
from devstack.errors import DevstackError
from devstack.output import say
from devstack.ports import free_ports
from devstack.rest import ENDED, AirflowApi
from devstack.samples import DAG_ID, group_conf
from devstack.tasks import label, state
from devstack.waiting import wait_until

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / ".devstack" / "compose"
PROJECT = "learnosity-compose-test"
IMAGES = {
    "AIRFLOW_IMAGE": "apache/airflow:3.3.2-python3.13",
    "POSTGRES_IMAGE": "postgres:17-trixie",
    "VALKEY_IMAGE": "valkey/valkey:8.1",
    "SEAWEEDFS_IMAGE": "chrislusf/seaweedfs:4.48",
}
# Stopped one after the other while datasets are landed; all but database and object store.
STOPPED = ("valkey", "api-server", "scheduler", "dag-processor", "triggerer", "worker")
# What the check of a dataset imports, and where the container of the service `demo-input` looks for it.
MOUNTS = tuple(f"--volume={REPOSITORY / name}:/opt/airflow/demo/{name}:ro" for name in ("compose", "devstack"))


class ProofError(Exception):
    """Something that must hold does not."""


@dataclass
class Proof:
    """One stack of this test, and what is asked of it.

    :param env: the environment of every docker command
    :param env_file: the generated `.env`
    :param port: of Airflow on loopback
    """

    env: dict[str, str]
    env_file: Path
    port: int
    users: int
    phases: list[tuple[str, float]] = field(default_factory=list)
    api: AirflowApi = field(init=False)

    def __post_init__(self) -> None:
        settings = dict(line.split("=", 1) for line in self.env_file.read_text().splitlines() if "=" in line[1:])
        user, password = settings["AIRFLOW_ADMIN_USER"], settings["AIRFLOW_ADMIN_PASSWORD"]
        self.api = AirflowApi(f"http://127.0.0.1:{self.port}", user, password)

    def compose(self, *arguments: str, check: bool = True) -> str:
        """`docker compose` on this stack."""
        files = ("--project-name", PROJECT, "--env-file", str(self.env_file), "--profile", "demo")
        where = ("--project-directory", str(REPOSITORY))
        return run("docker", "compose", *where, *files, *arguments, env=self.env, check=check)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a part of the proof and say that it is done."""
        started = time.monotonic()
        yield
        self.phases.append((name, time.monotonic() - started))
        say(f"  {self.phases[-1][1]:6.1f} s  {name}")

    def wait(self, what: str, done: Callable[[], bool], *, timeout: float) -> None:
        """Wait for something. :raises NotReady: when it takes longer than `timeout` seconds."""
        last = ""

        def look() -> bool:
            nonlocal last
            try:
                return done()
            except DevstackError as error:  # the API server itself is among what is stopped
                last = str(error)
                return False

        wait_until(look, timeout=timeout, late=lambda: f"{what}: not within {timeout:.0f} s. {last}", every=1.0)

    # -- what is asked of it

    def up(self) -> None:
        """Start everything and wait until all of it is healthy."""
        self.compose("up", "--detach", "--wait", "--wait-timeout", "280", *self.services())

    def services(self) -> list[str]:
        """All services that stay; the one-shots come with them."""
        once = {"init", "s3-buckets", "demo-input"}
        return sorted(set(self.compose("config", "--services").split()) - once)

    def containers(self, service: str) -> list[str]:
        """Ids of the running containers of a service."""
        return self.compose("ps", "--quiet", service).split()

    def start_run(self, name: str, *, shards: int = 4) -> str:
        """Trigger a run over the seeded input; returns its id."""
        conf = group_conf("s3://aws_landing@learnosity/input/users.ndjson", landing_shards=shards, poll_interval=2)
        return self.api.trigger(DAG_ID, conf, run_id=name).dag_run_id

    def finish(self, run_id: str, *, timeout: float) -> None:
        """Wait for a run's good end."""
        self.wait(f"run {run_id}", lambda: self.api.dag_run(DAG_ID, run_id).state in ENDED, timeout=timeout)
        ended = self.api.dag_run(DAG_ID, run_id).state
        if ended != "success":
            raise ProofError(f"run {run_id} ended as {ended.value}: {self.states(run_id)}")

    def tasks(self, run_id: str) -> list[TaskInstanceResponse]:
        """The tasks of a run."""
        return self.api.task_instances(DAG_ID, run_id)

    def has_tasks(self, run_id: str) -> bool:
        """Whether the scheduler has begun with a run."""
        return len(self.tasks(run_id)) > 1

    def states(self, run_id: str) -> dict[str, str]:
        """State and try of each task."""
        return {label(task): f"{state(task)} (try {task.try_number})" for task in self.tasks(run_id)}

    def shards(self, run_id: str, *states: str) -> list[TaskInstanceResponse]:
        """Its landing tasks in these states."""
        return [task for task in self.tasks(run_id) if task.task_id == "land.land_files" and state(task) in states]

    def verify(self, run_id: str) -> str:
        """Read the dataset of a run through its manifest, every byte of it; and that it was one job."""
        once = ("run", "--rm", "--no-deps", "--quiet-pull", *MOUNTS, "demo-input")
        found = self.compose(*once, "-m", "compose.verify", run_id)
        dataset_id, text = found.strip().splitlines()[-2:]
        stats = json.loads(self.control("GET", "stats"))
        if stats["jobs_started"].get(dataset_id, 1) != 1:
            raise ProofError(f"{dataset_id} was started {stats['jobs_started']} times")
        return text

    def page(self, run_id: str) -> str:
        """The dataset page of a run, as the UI shows it."""
        return self.api.page(f"/learnosity/run/{DAG_ID}/{run_id}")

    def control(self, method: str, path: str, body: object = None) -> str:
        """A call of the simulator's control endpoints, made inside its container: it is not published."""
        code = (
            "import sys, urllib.request as u; r = u.Request('http://127.0.0.1:8500/_control/' + sys.argv[2], "
            "data=sys.argv[3].encode() or None, method=sys.argv[1]); print(u.urlopen(r).read().decode())"
        )
        text = "" if body is None else json.dumps(body)
        return self.compose("exec", "-T", "simulator", "python", "-c", code, method, path, text)


def slow_files(proof: Proof, seconds: float) -> None:
    """Let each download begin only after some seconds, so that a landing lasts long enough to be disturbed."""
    proof.control("POST", "faults", {"match": "file", "kind": "latency", "seconds": seconds})


def prove(proof: Proof, stop_seconds: float) -> None:
    """All phases in order. :raises ProofError: when one of them does not hold."""
    if warnings := proof.compose("config", "--quiet"):
        raise ProofError(f"docker compose config says: {warnings}")
    with proof.phase("up: all services healthy, database migrated, buckets made, input seeded"):
        proof.up()
        proof.compose("run", "--rm", "--no-deps", "demo-input")
        proof.api.wait_for_dag(DAG_ID, timeout=120)
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


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 when everything held."""
    parser = argparse.ArgumentParser(prog="python -m compose.proof", description="Prove docker-compose.yaml.")
    parser.add_argument("--users", type=int, default=4000, help="size of the datasets (default %(default)s)")
    parser.add_argument("--stop-seconds", type=float, default=30, help="each container's stop; 0 leaves it out")
    parser.add_argument("--keep", action="store_true", help="leave the stack running")
    options = parser.parse_args(arguments)
    FOLDER.mkdir(parents=True, exist_ok=True)
    env_file = FOLDER / "env"
    env_file.unlink(missing_ok=True)
    write(env_file, demo=True)
    (port,) = free_ports(1)
    try:
        with engine(FOLDER / "engine", say) as environment:
            extra = {"AIRFLOW_PORT": str(port), "DEMO_USERS": str(options.users), "AIRFLOW_HEARTBEAT_TIMEOUT": "30"}
            extra |= {"AIRFLOW_QUEUED_TIMEOUT": "60"}
            proof = Proof(IMAGES | environment | extra, env_file, port, options.users)
            return _prove(proof, options)
    except (EngineError, DevstackError) as error:
        say(f"\n{error}")
        return 1


def _prove(proof: Proof, options: argparse.Namespace) -> int:
    try:
        base_images(IMAGES.values(), proof.env, say)
        proof.compose("down", "--volumes", "--timeout", "5")
        with proof.phase("images built"):
            proof.compose("build")
        prove(proof, options.stop_seconds)
    except (ProofError, EngineError, DevstackError) as error:
        say(f"\nIt does not hold: {error}")
        logs = FOLDER / "containers.log"
        logs.write_text(proof.compose("logs", "--no-color", "--timestamps", check=False))
        say(f"{proof.compose('ps', '--all', check=False)}\nThe containers' logs are in {logs}")
        return 1
    finally:
        if not options.keep:
            proof.compose("down", "--volumes", "--timeout", "5", check=False)
    say(f"\nAll of it holds, in {sum(seconds for _, seconds in proof.phases):.0f} s.")
    return 0


if __name__ == "__main__":
    if shutil.which("docker") is None and os.geteuid() != 0:
        raise SystemExit("docker is not installed")
    sys.exit(main())
