"""What a deferred wait tells the page of its run: the state of Learnosity's job, and since when it has this state.

A trigger cannot write to Airflow's task state store, but it can set an XCom of the task that waits. It does so when the
state changes, not at every poll: a triggerer may hold thousands of waits. When very many change at once, some are left
out, because each report takes time of the triggerer's supervisor. A report that fails never ends a wait.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec

log = logging.getLogger(__name__)

JOB_KEY = "learnosity_job"
_SECONDS = 10.0  # time limit for one report, in seconds
MOST_AT_ONCE = 50  # maximum number of reports of one triggerer at the same time
_under_way: set[object] = set()


class JobState(msgspec.Struct, frozen=True):
    """The state of a job.

    :param status: as Learnosity names it.
    :param since: Unix seconds when the wait first saw this state.
    """

    status: str
    since: float


async def report_job(task_instance: Any, state: JobState) -> None:
    """Keep the state for the page. A state that is there already stays, with its time: the triggerer was restarted.

    :param task_instance: the task that waits; None = not known, so nothing is kept.
    """
    if len(_under_way) >= MOST_AT_ONCE:
        return
    mark = object()
    _under_way.add(mark)
    try:
        async with asyncio.timeout(_SECONDS):
            await _report(task_instance, state)
    except Exception as problem:  # whatever Airflow raises, the wait goes on
        log.warning("The state of the job could not be kept for the page: %s", type(problem).__name__)
    finally:
        _under_way.discard(mark)


async def _report(task_instance: Any, state: JobState) -> None:
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import GetXCom, SetXCom

    place = {name: getattr(task_instance, name) for name in ("dag_id", "run_id", "task_id", "map_index")}
    # In a triggerer, this object sends requests to Airflow through an asynchronous method. In `dag.test()` it has no
    # such method: the report fails, which does no harm, because the report is only shown on the page of a run.
    supervisor: Any = task_runner.SUPERVISOR_COMMS
    known = getattr(await supervisor.asend(GetXCom(key=JOB_KEY, **place)), "value", None)
    if not isinstance(known, dict) or known.get("status") != state.status:
        await supervisor.asend(SetXCom(key=JOB_KEY, value=msgspec.to_builtins(state), **place))
