"""DAGs for other people's deployments: `dataset_dag` with its trigger form, and `scheduled_dags` from YAML files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from learnosity.dataset_tasks import RETRY_ARGS, dataset_tasks
from learnosity.params import dataset_params
from learnosity.run_config import DEFAULTS

__all__ = ["dataset_dag", "scheduled_dags"]

DAG_ID = "learnosity_dataset"
# A run that waits for its job occupies one trigger and no worker. A triggerer runs 1,000 triggers by default, so 1,000
# runs may be active at the same time.
MAX_ACTIVE_RUNS = 1000
DOC = """### Learnosity dataset

Generates a dataset and lands it, whole and verified, in object storage:

1. **create_dataset** checks the run config and the input, initialises the dataset, uploads the input, starts the job
2. **wait_for_job** waits in the triggerer; no worker is held
3. **land** lists the result files, copies them in parallel, and publishes: `manifest.json` is written last

A dataset is complete when its `manifest.json` exists. Read a dataset through its manifest: then it is always complete.
A failed task that is cleared continues where it stopped: it takes over the job, and fetches what has not landed.
"""


def scheduled_dags(folder: Path | str) -> dict[str, DAG]:
    """The DAGs of all schedule files in a folder, by DAG id. See `learnosity.schedules.dags`."""
    # This import is not at the top, because the DAG file of `learnosity_dataset` loads faster without it.
    from learnosity.schedules import dags

    return dags.scheduled_dags(folder)


def dataset_dag(dag_id: str = DAG_ID, *, values: Mapping[str, Any] | None = None, **dag_args: Any) -> DAG:
    """A DAG that makes the dataset of its run config, with a trigger form.

    :param dag_id: default `learnosity_dataset`.
    :param values: defaults of the run config (`run_config.FIELDS`) that differ from the usual ones, by name.
    :param dag_args: arguments of `DAG`, such as `schedule`, `tags` or `default_args`. They replace those set here.
    """
    defaults = {**DEFAULTS, **(values or {})}
    params = dataset_params(defaults)
    default_args = {"owner": "data-engineering", **RETRY_ARGS, **dag_args.pop("default_args", {})}
    with DAG(
        dag_id=dag_id,
        default_args=default_args,
        **{
            "dag_display_name": "Learnosity dataset" if dag_id == DAG_ID else dag_id,
            "description": "Generate a Learnosity dataset and land it in object storage",
            "doc_md": DOC,
            "schedule": None,
            "catchup": False,
            "max_active_runs": MAX_ACTIVE_RUNS,
            "params": params,
            "tags": ["learnosity", "dataset"],
            "owner_links": {"data-engineering": "https://help.learnosity.com/hc/en-us/articles/360000758537"},
            **dag_args,
        },
    ) as dag:
        dataset_tasks(defaults, run_config=tuple(params))
    return dag
