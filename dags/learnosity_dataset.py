"""### Learnosity dataset

Generates a dataset and lands it, whole and verified, in object storage:

1. **create_dataset** checks the run config and the input, initialises the dataset, uploads the input, starts the job
2. **wait_for_job** waits in the triggerer; no worker is held
3. **land** lists the result files, copies them in parallel, and publishes: `manifest.json` is written last

A dataset is complete when its `manifest.json` exists. Read a dataset through its manifest: then it is always complete.
A failed task that is cleared continues where it stopped. It starts no job twice and fetches no landed file again.
"""

from __future__ import annotations

from airflow.sdk import DAG

from learnosity.dataset_tasks import RETRY_ARGS, dataset_tasks
from learnosity.params import dataset_params

params = dataset_params()

with DAG(
    dag_id="learnosity_dataset",
    dag_display_name="Learnosity dataset",
    description="Generate a Learnosity dataset and land it in object storage",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    params=params,
    render_template_as_native_obj=True,
    tags=["learnosity", "dataset"],
    default_args={
        "owner": "data-engineering",
        **RETRY_ARGS,
        "learnosity_conn_id": "{{ params.learnosity_conn_id }}",
    },
    owner_links={"data-engineering": "https://help.learnosity.com/hc/en-us/articles/360000758537"},
) as dag:
    dataset_tasks({name: f"{{{{ params.{name} }}}}" for name in params})
