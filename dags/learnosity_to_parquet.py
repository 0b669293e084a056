"""### Learnosity datasets to Parquet

A sample of what comes after landing: it runs whenever a dataset of a known type is published, reads it through its
manifest, and writes its groups, users or items as Parquet, for DuckDB, Spark, BigQuery and the like.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from airflow.sdk import DAG, AssetAny, Param, task

from learnosity.datasets import KNOWN_TYPES
from learnosity.operators import dataset_asset
from learnosity.params import default_destination
from learnosity.retries import RETRY_ARGS

with DAG(
    dag_id="learnosity_to_parquet",
    dag_display_name="Learnosity datasets to Parquet",
    description="Runs after each published dataset, and writes its rows as Parquet",
    doc_md=__doc__,
    schedule=AssetAny(*map(dataset_asset, KNOWN_TYPES)),
    catchup=False,
    params={
        "destination_uri": Param(default_destination(), type="string", title="Where datasets land"),
        "target_uri": Param(f"{default_destination()}/parquet", type="string", title="Where Parquet files go"),
    },
    default_args={"owner": "data-engineering", **RETRY_ARGS},
    tags=["learnosity", "sample"],
):

    @task
    async def convert(params: Any = None, triggering_asset_events: Any = None) -> list[dict[str, Any]]:
        """Convert each dataset whose publication started this run."""
        import asyncio

        from learnosity.names import DatasetLayout
        from learnosity.parquet import to_parquet
        from learnosity.published import PublishedDataset
        from learnosity.store_connections import open_store

        source = await asyncio.to_thread(open_store, params["destination_uri"])
        target = await asyncio.to_thread(open_store, params["target_uri"])
        written = []
        for events in triggering_asset_events.values():
            for event in events:
                layout = DatasetLayout(event.extra["dataset_type"], event.extra["dataset_id"])
                dataset = await PublishedDataset.open(source, event.extra["manifest_uri"], layout)
                written += [asdict(file) for file in await to_parquet(dataset, target)]
        return written

    convert()
