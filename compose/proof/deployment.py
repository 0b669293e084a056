"""One deployment of docker-compose.yaml, as the phases of `make compose-test` use it."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from airflow_client.client import TaskInstanceResponse

from compose.engine import run
from compose.env import settings
from devstack.errors import DevstackError
from devstack.output import say
from devstack.rest import ENDED, AirflowApi
from devstack.samples import DAG_ID, group_conf
from devstack.tasks import label, state
from devstack.waiting import wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / ".devstack" / "compose"
INPUT = "s3://aws_landing@learnosity/input/users.ndjson"
UP_SECONDS = 1200
IMAGES = {
    "AIRFLOW_IMAGE": "apache/airflow:3.3.2-python3.13",
    "POSTGRES_IMAGE": "postgres:17-trixie",
    "VALKEY_IMAGE": "valkey/valkey:8.1",
    "SEAWEEDFS_IMAGE": "chrislusf/seaweedfs:4.48",
    "STATSD_IMAGE": "prom/statsd-exporter:v0.28.0",
}
# A dataset is checked by `compose.verify`, in a container of the service `demo-input`. The image of this service lacks
# the folders `compose` and `devstack`, so they are mounted where Python looks for modules there.
MOUNTS = tuple(f"--volume={REPOSITORY / name}:/opt/airflow/demo/{name}:ro" for name in ("compose", "devstack"))


def project_name(folder: Path) -> str:
    """The name of a checkout's stack: two tests on one engine leave each other, and a real stack, alone."""
    return f"learnosity-compose-test-{crc32(str(folder).encode()):08x}"


PROJECT = project_name(REPOSITORY)


def built(tag: str) -> dict[str, str]:
    """The names of the images that this test builds, by their variable."""
    kinds = {"AIRFLOW": "", "S3": "-s3", "DEMO": "-demo"}
    return {f"LEARNOSITY_{name}_IMAGE": f"{PROJECT}{suffix}:{tag}" for name, suffix in kinds.items()}


class ProofError(Exception):
    """Something that must hold does not."""


def docker(stack: Deployment, *arguments: str, env: Mapping[str, str] | None = None, check: bool = True) -> str:
    """A docker command beside the stack.

    :param env: more environment for it
    """
    return run("docker", *arguments, env=stack.env | dict(env or {}), check=check)


@dataclass
class Deployment:
    """One stack of this test, and what is asked of it.

    :param env: the environment of every docker command
    :param env_file: its `.env`
    :param port: of Airflow on loopback
    :param path: below which path of its address Airflow is
    :param folder: where its docker-compose.yaml is
    """

    env: dict[str, str]
    env_file: Path
    port: int
    path: str = ""
    folder: Path = REPOSITORY
    phases: list[tuple[str, float]] = field(default_factory=list)
    api: AirflowApi = field(init=False)

    def __post_init__(self) -> None:
        given = settings(self.env_file.read_text())
        self.env = self.env | {"AIRFLOW_PORT": str(self.port), "LEARNOSITY_ENV_FILE": str(self.env_file)}
        address = f"http://127.0.0.1:{self.port}{self.path}"
        self.api = AirflowApi(address, given["AIRFLOW_ADMIN_USER"], given["AIRFLOW_ADMIN_PASSWORD"])

    def compose(self, *arguments: str, check: bool = True) -> str:
        """`docker compose` on this stack."""
        return run("docker", "compose", *self.command(), *arguments, env=self.env, check=check)

    def command(self) -> tuple[str, ...]:
        """The options that name this stack."""
        files = ("--project-name", PROJECT, "--env-file", str(self.env_file))
        return ("--project-directory", str(self.folder), *files)

    def environment(self) -> dict[str, str]:
        """The environment of a docker command, as `compose` has it."""
        return os.environ | self.env

    @property
    def settings(self) -> dict[str, str]:
        """What its `.env` says."""
        return settings(self.env_file.read_text())

    def change(self, **wanted: str) -> None:
        """Change settings in its `.env`, as they stand there; new ones are added."""
        lines = [line for line in self.env_file.read_text().splitlines() if line.partition("=")[0] not in wanted]
        self.env_file.write_text("\n".join([*lines, *(f"{name}={value}" for name, value in wanted.items()), ""]))

    def fresh(self, env_file: Path, *, path: str = "", folder: Path = REPOSITORY) -> Deployment:
        """Another stack in the place of this one, which is down."""
        return Deployment(self.env, env_file, self.port, path, folder, phases=self.phases)

    def cloned(self, folder: Path, *, path: str = "") -> Deployment:
        """Another stack in the place of this one, in an empty clone, with the `.env` of README's first line."""
        shutil.rmtree(folder, ignore_errors=True)
        run("git", "clone", "--quiet", REPOSITORY, folder)
        run("make", "--no-print-directory", "compose-env", "ARGS=--demo", cwd=folder)
        return self.fresh(folder / ".env", path=path, folder=folder)

    def image(self, service: str) -> str:
        """The image of a service."""
        found = json.loads(self.compose("--profile", "s3", "config", "--format", "json"))["services"][service]["image"]
        return str(found)

    def down(self, *, volumes: bool = True) -> None:
        """Take everything down."""
        self.compose("down", "--timeout", "20", *(["--volumes"] if volumes else []), check=False)

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
            except DevstackError as error:  # the API server may be stopped or restarting now, so try again
                last = str(error)
                return False

        wait_until(look, timeout=timeout, late=lambda: f"{what}: not within {timeout:.0f} s. {last}", every=1.0)

    # -- what a proof does with the deployment

    def up(self) -> None:
        """Start everything and wait until all of it is healthy."""
        self.compose("up", "--detach", "--wait", "--wait-timeout", str(UP_SECONDS), *self.services())

    def up_but(self, *left_alone: str) -> None:
        """Start everything but these, and wait until it is healthy."""
        started = [name for name in self.services() if name not in left_alone]
        self.compose("up", "--detach", "--wait", "--wait-timeout", str(UP_SECONDS), *started)

    def services(self) -> list[str]:
        """All services that stay; the one-shots come with them."""
        once = {"init", "s3-buckets", "demo-input"}
        return sorted(set(self.compose("config", "--services").split()) - once)

    def containers(self, service: str) -> list[str]:
        """Ids of the running containers of a service."""
        return self.compose("ps", "--quiet", service).split()

    def start_run(self, name: str, *, shards: int = 4) -> str:
        """Trigger a run over the seeded input; returns its id."""
        conf = group_conf(INPUT, landing_shards=shards, poll_interval=2)
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
            "import os, sys, urllib.request as u; r = u.Request('http://127.0.0.1:8500/_control/' + sys.argv[2], "
            "data=sys.argv[3].encode() or None, method=sys.argv[1], "
            "headers={'Authorization': 'Bearer ' + os.environ.get('SIMULATOR_CONTROL_TOKEN', '')}); "
            "print(u.urlopen(r).read().decode())"
        )
        text = "" if body is None else json.dumps(body)
        return self.compose("exec", "-T", "simulator", "python", "-c", code, method, path, text)

    def seed(self) -> None:
        """Put the input file into the store, and wait for the DAG."""
        self.compose("run", "--rm", "--no-deps", "demo-input")
        self.api.wait_for_dag(DAG_ID, timeout=240)


def slow_files(stack: Deployment, seconds: float) -> None:
    """Let each download begin only after some seconds, so that a landing lasts long enough to be disturbed."""
    stack.control("POST", "faults", {"match": "file", "kind": "latency", "seconds": seconds})
