"""### Learnosity datasets to Parquet

A sample of a DAG that uses landed datasets. It runs when a dataset of a known type is published, reads it through its
manifest, and writes its groups, users or items as Parquet, for tools such as DuckDB, Spark or BigQuery.

It is paused until somebody lets it run. A run that an event starts has no run config: to change a param, change its
default in this file. An asset event that is made by hand must carry `dataset_type`, `dataset_id` and
`manifest_uri` of a published dataset.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, AssetAny, Param, get_current_context, task

from learnosity.assets import KNOWN_DATASETS
from learnosity.dataset_tasks import RETRY_ARGS

with DAG(
    dag_id="learnosity_to_parquet",
    dag_display_name="Learnosity datasets to Parquet",
    description="A sample: runs after each published dataset, and writes its rows as Parquet",
    doc_md=__doc__,
    schedule=AssetAny(*KNOWN_DATASETS),
    catchup=False,
    is_paused_upon_creation=True,
    params={
        "destination_uri": Param(
            None,
            type=["null", "string"],
            title="Where datasets land",
            description="Only for asset events that were made by hand: others name their destination themselves. "
            "Empty = the Airflow Variable learnosity_destination_uri.",
        ),
        "parquet_uri": Param(
            None,
            type=["null", "string"],
            title="Where Parquet files go",
            description="A folder outside of the datasets' folders. Empty = beside the destination of each dataset: "
            "datasets in s3://connection@bucket/datasets go to s3://connection@bucket/datasets_parquet.",
        ),
    },
    default_args={"owner": "data-engineering", **RETRY_ARGS},
    tags=["learnosity", "sample"],
):

    @task(execution_timeout=timedelta(hours=6))
    async def convert(
        params: Any = None, triggering_asset_events: Any = None, dag_run: Any = None, ti: Any = None
    ) -> list[dict[str, Any]]:
        """Convert each dataset whose publication started this run."""
        import asyncio

        from airflow.sdk.exceptions import AirflowSkipException

        from learnosity.asset_events import destination_of, for_each_announced, open_announced, tell_lineage
        from learnosity.connections import open_store
        from learnosity.dataset.parquet import beside, to_parquet
        from learnosity.errors import PermanentError
        from learnosity.task_report import report_failures

        async def converted(event: Any) -> list[dict[str, Any]]:
            destination = await destination_of(event, params["destination_uri"])
            dataset = await open_announced(event, destination)
            target = await asyncio.to_thread(open_store, params["parquet_uri"] or beside(destination))
            written = await to_parquet(dataset, target)
            tell_lineage(ti.task, dataset, target)
            return [asdict(file) for file in written]

        # If this block fails, the tab Learnosity of the run shows the reason.
        with report_failures(get_current_context()):
            if not triggering_asset_events:
                if dag_run.run_type == "asset_triggered":
                    raise PermanentError(
                        "Airflow started this run for an asset event, but names no event: two were added at the same "
                        "moment. Compare the published datasets with the Parquet files, and make the missing event by "
                        "hand."
                    )
                raise AirflowSkipException("No asset event started this run, so there is nothing to convert.")
            return [file for files in await for_each_announced(triggering_asset_events, converted) for file in files]

    convert()
