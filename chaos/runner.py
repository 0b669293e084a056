"""Runs plans side by side on one stack: each in a lane with a simulator of its own, all on one Airflow and one S3.

Processes are killed for real. What one plan breaks, the others must survive as well.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow_client.client import TaskInstanceResponse

from chaos.evidence import Evidence, Outcome, jobs_by_dataset, leaks, leaks_in
from chaos.plans import LARGE_FILE_BYTES, STEP_NAMES, Plan, switches
from chaos.stack import GatedStack, connection, gated_stack
from devstack.airflow import SCHEDULER
from devstack.errors import ApiError, Unreachable
from devstack.samples import DAG_ID, analysis_conf, group_conf, upload_records, upload_users
from devstack.seaweedfs import REGION
from devstack.servers import dump
from devstack.tasks import label
from simulator import Simulator, SimulatorConfig, running

JOB_SECONDS = 3.0
STUCK_SECONDS = 420.0
LOOK_SECONDS = 0.2
# The name of the input file of plans with large files: 60 users in 18 MB, which are uploaded in three parts.
LARGE_INPUT = "large.ndjson"
ASK_SECONDS = 1.5


@dataclass(slots=True)
class _Lane:
    """A simulator, the connection that leads there, and what runs on it."""

    conn_id: str
    simulator: Simulator
    secret: str
    run: _Run | None = None


@dataclass(slots=True)
class _Run:
    plan: Plan
    run_id: str
    evidence: Evidence
    started: float
    struck: bool = False
    asked: float = 0.0
    tasks: list[TaskInstanceResponse] = field(default_factory=list)
    tries: dict[str, int] = field(default_factory=dict)
    began: float | None = None


class Chaos:
    """One Airflow under attack.

    :param root: folder for everything it keeps.
    :param lanes: runs at the same time.
    """

    def __init__(self, root: Path, *, lanes: int = 6, say: Callable[[str], None] = print) -> None:
        self._root = root
        self._count = lanes
        self._say = say
        self._later: list[tuple[float, Callable[[], object]]] = []
        self._busy_until = 0.0
        self._calls: dict[str, int] = {}

    @contextmanager
    def open(self) -> Iterator[Chaos]:
        """Start everything, and stop it at the end of the block."""
        with ExitStack() as stack:
            self._lanes = []
            env: dict[str, str] = {}
            for number in range(self._count):
                secret = secrets.token_hex(20)
                key = f"CHAOSLANE{number:07d}"
                config = SimulatorConfig(consumers={key: secret}, job_seconds=JOB_SECONDS)
                lane = _Lane(f"chaos_{number}", stack.enter_context(running(config)), secret)
                self._lanes.append(lane)
                env[f"AIRFLOW_CONN_{lane.conn_id.upper()}"] = connection(lane.simulator.url, key, secret)
            self._stack = stack.enter_context(gated_stack(self._root, env))
            self._api = self._stack.airflow.api
            self._api.wait_for_dag(DAG_ID)
            for users in range(40, 151):
                upload_users(self._stack, users)
            upload_records(self._stack, f"input/{LARGE_INPUT}", 60, more={"note": "x" * 300_000})
            yield self

    def run(self, plans: Iterator[Plan], *, until: float) -> Iterator[Outcome]:
        """Run plans until there are no more, or no new ones after `until` (monotonic seconds)."""
        waiting: Plan | None = None
        exhausted = False
        while True:
            self._do_what_is_due()
            for lane in self._lanes:
                if lane.run is None and not exhausted and time.monotonic() < until:
                    waiting = next(plans, None)
                    exhausted = waiting is None
                    if waiting is not None:
                        lane.run = self._begin(lane, waiting)
                if lane.run is not None and (outcome := self._look(lane, lane.run)) is not None:
                    lane.run = None
                    yield outcome
            if all(lane.run is None for lane in self._lanes) and (exhausted or time.monotonic() >= until):
                return
            time.sleep(LOOK_SECONDS)

    def secrets(self) -> list[str]:
        """Everything that must be in no log."""
        return [*(lane.secret for lane in self._lanes), self._stack.seaweedfs.landing.secret_key]

    @property
    def logs(self) -> Path:
        """Folder of all logs."""
        return self._stack.logs

    def leaks(self) -> list[str]:
        """Secrets and signatures in any log or in Airflow's database."""
        found = leaks(self.logs, self.secrets())
        database = dump(self._stack.postgres).encode()
        return found + leaks_in("Airflow's database", database, self.secrets())

    def unfinished_uploads(self) -> int:
        """Multipart uploads that were begun in the bucket and neither ended nor given up."""
        import boto3  # type: ignore[import-untyped]

        keys = self._stack.seaweedfs.admin
        client = boto3.client(
            "s3",
            endpoint_url=self._stack.seaweedfs.endpoint,
            region_name=REGION,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
        )
        return len(client.list_multipart_uploads(Bucket=self._stack.options.bucket).get("Uploads", []))

    def _begin(self, lane: _Lane, plan: Plan) -> _Run:
        simulator = lane.simulator
        simulator.faults.clear()
        simulator.stats.reset()
        large_file_bytes = LARGE_FILE_BYTES if plan.large else 0
        own = switches() | {"job_names_dataset": plan.named, "large_file_bytes": large_file_bytes} | plan.switches
        simulator.configure(**own)
        simulator.faults.add(*plan.rules)
        prefix = f"chaos/{plan.seed}-{secrets.token_hex(3)}"
        # A failed request is repeated for one second only. This thread must not wait for a killed S3 server longer,
        # because the thread itself starts that server again.
        store = self._stack.seaweedfs.store(prefix=prefix, patience=timedelta(seconds=1))
        evidence = Evidence(plan, store, simulator, before=jobs_by_dataset(simulator))
        conf = _conf(plan, self._stack, lane.conn_id, prefix)
        run_id = f"chaos-{plan.seed}-{secrets.token_hex(3)}"
        self._later.append((0.0, lambda: self._api.trigger(DAG_ID, conf, run_id=run_id)))
        return _Run(plan, run_id, evidence, time.monotonic())

    def _look(self, lane: _Lane, run: _Run) -> Outcome | None:
        plan, now = run.plan, time.monotonic()
        step = next(target for target, name in STEP_NAMES.items() if name == plan.step.partition(" in ")[0])
        if run.began is None and lane.simulator.stats.calls[step] > 0:
            run.began = now
        if not run.struck and run.began is not None:
            self._strike(run, now)
        if now - run.asked < ASK_SECONDS:
            return None
        run.asked = now
        try:
            run.evidence.read_as_consumer()
            state = self._api.dag_run(DAG_ID, run.run_id).state.value
            run.tasks = self._api.task_instances(DAG_ID, run.run_id)
        except (OSError, ApiError, Unreachable):
            state = "unknown"  # the store or Airflow does not reply at the moment
        for task in run.tasks:
            run.tries[label(task)] = max(task.try_number, run.tries.get(label(task), 0))
        finished = state in ("success", "failed") and (run.struck or not self._still_to_strike(run))
        if not finished and now - run.started < STUCK_SECONDS:
            return None
        return self._judge(lane, run, state if finished else "stuck", now)

    def _still_to_strike(self, run: _Run) -> bool:
        return run.plan.clear is not None and run.began is not None

    def _strike(self, run: _Run, now: float) -> None:
        plan = run.plan
        assert run.began is not None
        if plan.kill is not None and now - run.began >= plan.kill.after:
            if plan.kill.victim == "task":
                run.struck = self._kill_task(run)
            elif now >= self._busy_until:  # no service is killed while another one is not back yet
                run.struck = True
                self._busy_until = now + 12.0
                self._kill_service(plan.kill.victim, now)
        elif plan.store_fault is not None and now >= max(self._busy_until, run.began + plan.store_fault.after):
            run.struck = True
            self._busy_until = now + plan.store_fault.seconds + 4.0
            self._stack.gate.misbehave(plan.store_fault.kind)
            self._later.append((now + plan.store_fault.seconds, lambda: self._stack.gate.misbehave(None)))
        elif plan.clear is not None and now - run.began >= 2.0:
            task = plan.clear.task
            try:
                self._api.clear(DAG_ID, run.run_id, [task])
            except (ApiError, Unreachable):
                return  # the API server does not reply: try again later
            run.struck = True

    def _kill_task(self, run: _Run) -> bool:
        try:
            tasks = self._api.task_instances(DAG_ID, run.run_id)
        except (ApiError, Unreachable):
            return False
        ours = {process.pid for process in self._stack.airflow.processes[SCHEDULER].leader.family()}
        for task in tasks:
            if task.state == "running" and task.pid in ours:
                assert task.pid is not None
                try:
                    os.kill(task.pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                return True
        return any(task.state in ("success", "failed") for task in tasks[-1:])

    def _kill_service(self, victim: str, now: float) -> None:
        self._say(f"      {victim} is killed")
        if victim == "s3":
            self._stack.kill_s3()
            self._later.append((now + 3.0, self._stack.start_s3))
            return
        self._stack.airflow.processes[victim].kill()
        self._later.append((now + 2.0, lambda: self._stack.airflow.start_process(victim)))

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        due = [each for each in self._later if each[0] <= now]
        self._later = [each for each in self._later if each[0] > now]
        for when, action in due:
            try:
                action()
            except (OSError, ApiError, Unreachable) as error:
                if isinstance(error, ApiError) and error.status == 409:
                    continue  # the run exists: only the reply to the first call was lost
                self._later.append((max(when, now) + 1.0, action))

    def _judge(self, lane: _Lane, run: _Run, state: str, now: float) -> Outcome:
        plan = run.plan
        published = run.evidence.read_as_consumer()
        lost = []
        if state == "success" and not published:
            lost.append("the run succeeded, and nothing was published")
        if plan.succeeds is not None and (state == "success") != plan.succeeds and state != "stuck":
            lost.append(f"the run ended as {state}")
        if state == "failed" and published:
            lost.append("the run failed, and a dataset is published")
        jobs = run.evidence.datasets()
        folder = self.logs / "tasks" / f"dag_id={DAG_ID}" / f"run_id={run.run_id}"
        leaked = leaks(folder, self.secrets())
        leaked += [f"{header} reached the object store" for header in lane.simulator.stats.leaks]
        return Outcome(
            seed=plan.seed,
            fault=plan.fault,
            step=plan.step,
            moment=plan.moment,
            state=state,
            seconds=round(now - run.started, 1),
            tries=sum(max(tries - 1, 0) for tries in run.tries.values()),
            jobs=sum(jobs.values()),
            datasets=len(jobs),
            lost=lost,
            duplicated=run.evidence.duplicated(),
            incomplete=run.evidence.incomplete,
            leaked=leaked,
            stuck=[f"no end after {STUCK_SECONDS:.0f} s"] if state == "stuck" else [],
            orphans=run.evidence.orphans(state == "success"),
        )


def _conf(plan: Plan, stack: GatedStack, conn_id: str, prefix: str) -> dict[str, Any]:
    common = {
        "learnosity_conn_id": conn_id,
        "destination_uri": stack.tls_uri(prefix) if plan.tls else stack.uri(prefix),
        "poll_interval": 2,
        "job_timeout": plan.job_timeout,
        "landing_shards": 1,
    }
    if not plan.with_input:
        return analysis_conf(**common)
    return group_conf(stack.uri(f"input/{LARGE_INPUT if plan.large else f'{plan.users}.ndjson'}"), **common)
