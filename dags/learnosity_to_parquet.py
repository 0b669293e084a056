"""### Learnosity datasets to Parquet

A sample of a DAG that uses landed datasets. It runs when a dataset of a known type is published, reads it through its
manifest, and writes its groups, users or items as Parquet, for tools such as DuckDB, Spark or BigQuery.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, AssetAny, Param, task

from learnosity.api.dataset_request import KNOWN_TYPES
from learnosity.assets import dataset_asset
from learnosity.dataset_tasks import RETRY_ARGS

with DAG(
    dag_id="learnosity_to_parquet",
    dag_display_name="Learnosity datasets to Parquet",
    description="Runs after each published dataset, and writes its rows as Parquet",
    doc_md=__doc__,
    schedule=AssetAny(*map(dataset_asset, KNOWN_TYPES)),
    catchup=False,
    params={
        "destination_uri": Param(
            None,
            type=["null", "string"],
            title="Where datasets land",
            description="Only for asset events that were created by hand: others name their destination themselves.",
        ),
        "target_uri": Param(
            None,
            type=["null", "string"],
            title="Where Parquet files go",
            description="Empty = beside the datasets, in a folder whose name ends in _parquet.",
        ),
    },
    default_args={"owner": "data-engineering", **RETRY_ARGS},
    tags=["learnosity", "sample"],
):

    @task(execution_timeout=timedelta(hours=6))
    async def convert(params: Any = None, triggering_asset_events: Any = None, ti: Any = None) -> list[dict[str, Any]]:
        """Convert each dataset whose publication started this run."""
        import asyncio

        from learnosity.asset_events import announced, open_announced, tell_lineage
        from learnosity.connections import open_store
        from learnosity.dataset.parquet import to_parquet
        from learnosity.destination import resolve_destination

        destination = await resolve_destination(params["destination_uri"])
        target = await asyncio.to_thread(open_store, params["target_uri"] or f"{destination.rstrip('/')}_parquet")
        written = []
        for event in announced(triggering_asset_events):
            dataset = await open_announced(event, destination)
            written += [asdict(file) for file in await to_parquet(dataset, target)]
            tell_lineage(ti.task, dataset, target)
        return written

    convert()
