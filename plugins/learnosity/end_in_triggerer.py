"""The end of a deferred wait in the triggerer, so that no second task process, and no second pod, starts for it.

In the triggerer, Airflow runs nothing of the task itself: no callback of success, no listener, no event of an asset. A
task that has one of these is resumed in a worker. Airflow's own sensors call this `end_from_trigger`; that name is not
used here, because Airflow refuses DAGs with such a task where a plugin has any listener, even one that is not about
tasks.

It has a price: for each batch of such ends, Airflow's DAG processor reads the DAG file once more, and logs that a
callback was requested "but is not a failure callback".
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from learnosity.trigger_requests import TriggerRequests, ask, place_of

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

_RESULTS = TriggerRequests("The wait ends in a worker, because its result could not be stored")
# Attributes of an operator that a worker uses when the wait has ended, and that the triggerer does not use. If a
# subclass has changed one of them, its task is resumed in a worker.
_OVERRIDDEN = ("execute_complete", "resume_execution", "post_execute", "operator_extra_links")


def needs_worker(task: BaseOperator, base: type[BaseOperator]) -> bool:
    """Whether a task has to be resumed in a worker when its wait has ended. The reason is logged.

    :param base: see `needed_in_worker`.
    """
    if needed := needed_in_worker(task, base):
        task.log.info("When the job is done, the task is resumed in a worker, because it has %s.", needed)
    return bool(needed)


def needed_in_worker(task: BaseOperator, base: type[BaseOperator]) -> str:
    """Why a task has to be resumed in a worker when its wait has ended: what Airflow would not run; "" = nothing.

    :param base: the class whose own methods need no worker. A subclass may have added something to them.
    """
    from airflow.sdk import conf
    from airflow.sdk.listener import get_listener_manager

    overridden = (name for name in _OVERRIDDEN if getattr(type(task), name) != getattr(base, name))
    reasons = {
        "on_success_callback": task.on_success_callback,
        "post_execute": task._post_execute_hook,
        "outlets": task.outlets,
        "do_xcom_push=False": not task.do_xcom_push,
        "a map_index_template": task.map_index_template,
        "[state_store] clear_on_success": conf.getboolean("state_store", "clear_on_success", fallback=False),
        "the result of the DAG": task.returns_dag_result,
        "tasks that are mapped over its result": _is_mapped_over(task),
        "a listener of the end of tasks": get_listener_manager().hook.on_task_instance_success.get_hookimpls(),
    }
    return ", ".join([*(reason for reason, there in reasons.items() if there), *overridden])


def _is_mapped_over(task: BaseOperator) -> bool:
    return task.has_dag() and next(task.iter_mapped_dependants(), None) is not None


async def store_result(task_instance: Any, result: str) -> bool:
    """Store what the task returns, as a worker would do it. False = it is not stored, so a worker has to do it.

    Airflow can store the result together with the event that ends the task, but then encodes a text twice: who reads
    it gets the text with quotation marks around it.

    :param task_instance: the task that waits; None = not known.
    """

    async def store() -> None:
        from airflow.sdk.execution_time.comms import SetXCom
        from airflow.sdk.execution_time.xcom import XCom

        place, key = place_of(task_instance), XCom.XCOM_RETURN_KEY
        # Airflow may be configured with another XCom backend, which stores the value elsewhere, such as in a bucket.
        # Its `serialize_value` may block, so it runs in a thread, and the event loop goes on.
        value = await asyncio.to_thread(XCom.serialize_value, result, key=key, **place)
        await ask(SetXCom(key=key, value=value, **place))

    return await _RESULTS.attempt(store)
