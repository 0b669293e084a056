"""What a deferred wait tells the page of its run: the state of Learnosity's job, and since when it has this state.

A trigger cannot write to Airflow's task state store, but it can set an XCom of the task that waits. It does so when the
state changes, not at every poll: a triggerer may hold thousands of waits. When very many change at once, some are left
out, because each report takes time of the triggerer's supervisor. A report that fails never ends a wait.
"""

from __future__ import annotations

from typing import Any

import msgspec

from learnosity.trigger_requests import TriggerRequests, ask, place_of

JOB_KEY = "learnosity_job"
_REPORTS = TriggerRequests("The state of the job could not be kept for the page")


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

    async def report() -> None:
        from airflow.sdk.execution_time.comms import GetXCom, SetXCom

        place = place_of(task_instance)
        known = getattr(await ask(GetXCom(key=JOB_KEY, **place)), "value", None)
        if not isinstance(known, dict) or known.get("status") != state.status:
            await ask(SetXCom(key=JOB_KEY, value=msgspec.to_builtins(state), **place))

    await _REPORTS.attempt(report)
