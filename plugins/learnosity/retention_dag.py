"""The DAG `learnosity_retention`: removes datasets by the rules of a YAML file, or by their ids.

Nothing here reads an Airflow Variable or connection, or uses the network: it runs at every parse of the DAG file.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, CronTriggerTimetable, Param

from learnosity.dataset_tasks import RETRY_ARGS
from learnosity.retention.rules import RetentionRules, read_rules
from learnosity.retention_operator import LearnosityRetentionCheckOperator, LearnosityRetentionOperator
from learnosity.run_config import UUID_PATTERN
from learnosity.schedules.crons import expanded
from learnosity.schedules.dags import invalid_dag

log = logging.getLogger(__name__)

DAG_ID = "learnosity_retention"
DOC = """### Learnosity retention

Removes landed datasets: by the rules in `datasets/retention.yaml` on its schedule, or just those of `dataset_ids`.
A **dry run**, which is the default, only says in the log of `remove_datasets` what would go.

* The manifest goes first, then the data. What `latest.json` names always stays, and so does what is being landed.
* What is not ours in a folder stays. Whatever cannot be read, or has no age, stays, and `report_problems` says so.
* Every removal is in the log, and in the event of the asset `learnosity-removed-datasets`.

Which personal data lie elsewhere, and how to remove them there: `docs/privacy.md`.
"""


def retention_dags(folder: Path | str) -> dict[str, DAG]:
    """The DAG, by its id. Put it into the globals of a DAG file.

    A file of rules that cannot be used adds the DAG `learnosity_invalid_retention`, which says why. Until it is
    corrected, nothing is removed by rules.

    :param folder: where `retention.yaml` is, if it is anywhere.
    """
    found = read_rules(Path(folder))
    if found is None or isinstance(found, RetentionRules):
        return {DAG_ID: _dag(found, ())}
    for problem in found:
        log.error("%s", problem)
    invalid = invalid_dag(found[0].file, found)
    return {DAG_ID: _dag(None, [str(problem) for problem in found]), invalid.dag_id: invalid}


def _dag(rules: RetentionRules | None, problems: list[str] | tuple[()]) -> DAG:
    schedule = rules.schedule if rules else None
    with DAG(
        dag_id=DAG_ID,
        dag_display_name="Learnosity retention",
        description="Removes landed datasets by rules or by their ids" if rules else "Removes datasets by their ids",
        doc_md=DOC,
        schedule=CronTriggerTimetable(expanded(schedule), timezone=rules.timezone) if rules and schedule else None,
        catchup=False,
        max_active_runs=1,
        params={
            "dataset_ids": Param(
                [],
                type=["null", "array"],
                items={"type": "string", "pattern": UUID_PATTERN},
                title="Dataset ids",
                description_md="Removes just these, whatever the rules say. Empty = the rules of `retention.yaml`.",
            ),
            "dry_run": Param(
                rules.dry_run if rules else True,
                type=["null", "boolean"],
                title="Dry run",
                description_md="Removes nothing, and says what would go. Empty = as `retention.yaml` says.",
            ),
            "destination_uri": Param(
                None,
                type=["null", "string"],
                title="Destination",
                description_md="With dataset ids: where they are looked for. Empty = the destinations of the rules and "
                "the Airflow Variable learnosity_destination_uri.",
            ),
        },
        default_args={"owner": "data-engineering", **RETRY_ARGS},
        tags=["learnosity", "retention"],
        auto_register=False,
    ) as dag:
        remove = LearnosityRetentionOperator(task_id="remove_datasets", rules=rules, file_problems=problems)
        LearnosityRetentionCheckOperator(
            task_id="report_problems", report=remove.output, execution_timeout=timedelta(minutes=5)
        )
    return dag
