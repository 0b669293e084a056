"""What a deferred wait tells the page of its run: the state of Learnosity's job, and since when it has this state.

A trigger cannot write to Airflow's task state store, but it can set an XCom of the task that waits. It does so when the
state changes, and when polls begin to fail and succeed again, not at every poll: a triggerer may hold thousands of
waits. When very many change at once, some are left out, because each report takes time of the triggerer's supervisor. A
report that fails never ends a wait.
"""

from __future__ import annotations

from typing import Any

import msgspec

from learnosity.trigger_requests import TriggerRequests, ask, place_of

JOB_KEY = "learnosity_job"
NOT_SEEN = "not known yet"  # the page shows this as the status of a job while all polls of the trigger have failed
_REPORTS = TriggerRequests("The state of the job could not be kept for the page")


class JobState(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of a job.

    :param status: as Learnosity names it; "" = as it is kept already.
    :param since: Unix seconds when the wait first saw this state.
    :param trouble: why polls fail, as the first of them said; "" = the last one did not fail.
    """

    status: str
    since: float
    trouble: str = ""


async def report_job(task_instance: Any, state: JobState) -> bool:
    """Keep the state for the page. A state that is there already stays, with its time: the triggerer was restarted.

    :param task_instance: the task that waits; None = not known, so nothing is kept.
    :returns: whether it is kept.
    """

    async def report() -> None:
        from airflow.sdk.execution_time.comms import GetXCom, SetXCom

        place = place_of(task_instance)
        found = getattr(await ask(GetXCom(key=JOB_KEY, **place)), "value", None)
        known = found if isinstance(found, dict) else {}
        status = state.status or known.get("status") or NOT_SEEN
        same = known.get("status") == status
        if not same or known.get("trouble", "") != state.trouble:
            since = known.get("since", state.since) if same else state.since
            value = msgspec.to_builtins(JobState(status, since, state.trouble))
            await ask(SetXCom(key=JOB_KEY, value=value, **place))

    return await _REPORTS.attempt(report)
