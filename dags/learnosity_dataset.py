"""### Learnosity dataset

Generates a dataset and lands it, whole and verified, in object storage:

1. **create_dataset** checks the run config and the input, initialises the dataset, uploads the input, starts the job
2. **wait_for_job** waits in the triggerer; no worker is held
3. **land** lists the result files, copies them in parallel, and publishes: `manifest.json` is written last

A dataset is complete when its `manifest.json` is there; read through it, and nothing half-landed is ever seen.
Clearing a failed task takes up where it stopped: no job is started twice, no landed file is fetched again.
"""

from __future__ import annotations

from airflow.sdk import DAG, TaskGroup

from learnosity.operators import (
    LearnosityCreateDatasetOperator,
    LearnosityLandFilesOperator,
    LearnosityListFilesOperator,
    LearnosityPublishOperator,
)
from learnosity.params import dataset_params, request_template
from learnosity.retries import RETRY_ARGS
from learnosity.sensors import LearnosityJobSensor

with DAG(
    dag_id="learnosity_dataset",
    dag_display_name="Learnosity dataset",
    description="Generate a Learnosity dataset and land it in object storage",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    params=dataset_params(),
    render_template_as_native_obj=True,
    tags=["learnosity", "dataset"],
    default_args={
        "owner": "data-engineering",
        **RETRY_ARGS,
        "learnosity_conn_id": "{{ params.learnosity_conn_id }}",
    },
    owner_links={"data-engineering": "https://help.learnosity.com/hc/en-us/articles/360000758537"},
) as dag:
    create_dataset = LearnosityCreateDatasetOperator(
        task_id="create_dataset",
        request=request_template(),
        input_uri="{{ params.input_uri }}",
        dataset_id="{{ params.dataset_id }}",
        destination_uri="{{ params.destination_uri }}",
    )
    wait_for_job = LearnosityJobSensor(
        task_id="wait_for_job",
        job_reference="{{ ti.xcom_pull(task_ids='create_dataset', map_indexes=-1)['job_reference'] }}",
        poll_interval="{{ params.poll_interval }}",
        job_timeout="{{ params.job_timeout }}",
        deferrable=True,
    )
    with TaskGroup("land") as land:
        landing = {
            "dataset": create_dataset.output,
            "destination_uri": "{{ params.destination_uri }}",
            "organisation_id": "{{ params.organisation_id }}",
        }
        list_files = LearnosityListFilesOperator(
            task_id="list_files",
            **landing,
            include="{{ params.include }}",
            overwrite="{{ params.overwrite }}",
            landing_shards="{{ params.landing_shards }}",
        )
        land_files = LearnosityLandFilesOperator.partial(
            task_id="land_files", map_index_template="shard {{ task.shard['shard'] }}", **landing
        ).expand(shard=list_files.output)
        publish = LearnosityPublishOperator(
            task_id="publish",
            **landing,
            request=request_template(),
            shards=list_files.output,
            # A dataset that is published already has no shards to land: publishing then only checks it.
            trigger_rule="none_failed",
        )
        list_files >> land_files >> publish
    create_dataset >> wait_for_job >> land
