"""### Learnosity probe

The first contact with an account, for people without a shell: what it answers, and how each reply is understood. It
reads only, and starts no job. The report is in the task's log and in its XCom; it holds no value and no address. If one
of the first calls fails, the task fails with its error, and the log has the report.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task

from learnosity.run_config import UUID_PATTERN

with DAG(
    dag_id="learnosity_probe",
    dag_display_name="Learnosity probe",
    description="Read-only: what a Learnosity account answers, and how it is understood",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    params={
        "learnosity_conn_id": Param("learnosity_default", type="string", minLength=1, title="Learnosity connection"),
        "dataset_id": Param(
            None,
            type=["null", "string"],
            pattern=UUID_PATTERN,
            title="Dataset id",
            description="A finished dataset, to see how its results are listed. Empty = only the connection is tried.",
        ),
        "dataset_type": Param(
            None, type=["null", "string"], title="Dataset type", description="Empty = each known type is tried."
        ),
    },
    tags=["learnosity"],
):

    @task(execution_timeout=timedelta(minutes=15))
    async def report(params: Any = None) -> str:
        """Ask, and report."""
        import logging

        from learnosity.hooks import LearnosityHook
        from learnosity.probe import lines
        from learnosity.task_report import report_failures

        found = []
        # If this block fails, the tab Learnosity of the run shows the reason.
        with report_failures(get_current_context()):
            async with LearnosityHook(params["learnosity_conn_id"]).client(attempts=2) as client:
                async for line in lines(client, params["dataset_type"], params["dataset_id"]):
                    logging.getLogger(__name__).info("%s", line)
                    found.append(line)
        return "\n".join(found)

    report()
