"""### From the warehouse to Learnosity and back

A sample: one query, one dataset, and its rows as Parquet. Airflow's own `SqlToS3Operator` writes the answer of
`rosters/warehouse.sql` to S3, as a Parquet file. The dataset is made of that file, and its groups and users are written
as Parquet beside the destination.

To make it yours: edit the query, and the levels and activities below. It needs `apache-airflow-providers-amazon`, the
provider of your database, and `apache-airflow-providers-common-sql[polars]`. Polars keeps a NULL; pandas would write
the text `None`. The roster stays in the bucket, below `rosters/`, until a lifecycle rule removes it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.amazon.aws.transfers.sql_to_s3 import SqlToS3Operator
from airflow.sdk import DAG, Param, task

from learnosity.dataset_tasks import RETRY_ARGS, dataset_tasks

ACTIVITIES = ["reading-2026", "mathematics-2026"]
LEVELS = ("district", "school", "class")
# Each run writes its own roster file. If all runs wrote the same file, `create_dataset` of an older run could read the
# roster of a newer run when it is retried or cleared. The path has the run id and not a time, because two runs may
# begin in the same second.
KEY = "rosters/learnosity_from_warehouse/{{ run_id }}/roster.parquet"

with DAG(
    dag_id="learnosity_from_warehouse",
    dag_display_name="Learnosity from the warehouse",
    description="A sample: a query's answer becomes a dataset, and the dataset becomes Parquet",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    params={
        "sql_conn_id": Param("warehouse", type="string", minLength=1, title="Database connection"),
        # Connection id and bucket become parts of an S3 URI. `pattern` forbids `/` and `@` in them, because with these
        # the URI could name another connection or bucket.
        "aws_conn_id": Param(
            "aws_landing", type="string", pattern="^[A-Za-z0-9_.-]+$", title="S3 connection, for the roster"
        ),
        "bucket": Param("learnosity", type="string", pattern="^[a-z0-9][a-z0-9.-]+$", title="Bucket, for the roster"),
    },
    default_args={"owner": "data-engineering", **RETRY_ARGS},
    tags=["learnosity", "sample"],
):

    @task(execution_timeout=timedelta(minutes=15))
    async def check_place(params: Any = None) -> None:
        """Check that runs may write the roster where this run says: the Variable `learnosity_allowed_uris`."""
        from learnosity.destination import check_places

        uri = f"s3://{params['aws_conn_id']}@{params['bucket']}/rosters"
        await check_places(uri, uri)

    roster = SqlToS3Operator(
        task_id="write_roster",
        query="rosters/warehouse.sql",
        sql_conn_id="{{ params.sql_conn_id }}",
        aws_conn_id="{{ params.aws_conn_id }}",
        s3_bucket="{{ params.bucket }}",
        s3_key=KEY,
        file_format="parquet",
        df_type="polars",
        # None = Polars looks at all rows before it decides the type of a column. By default, it looks at the first 100
        # rows only. If all of these are NULL, it fails at the first value in a later row.
        read_kwargs={"infer_schema_length": None},
        replace=True,
        execution_timeout=timedelta(hours=1),
    )
    dataset = dataset_tasks(
        {
            "dataset_type": "activity-summary-by-group",
            "input_uri": "s3://{{ params.aws_conn_id }}@{{ params.bucket }}/" + KEY,
            "groups": [{"key": level, "label": level.title()} for level in LEVELS],
            "filters": {"activity_id": ACTIVITIES},
            "options": {"fields": ["population", "mean_percent"], "user_fields": ["score", "max_score"]},
            "require_complete": True,
        },
        group_id="dataset",
    )

    @task(execution_timeout=timedelta(hours=6))
    async def to_parquet(published: Any = None) -> list[dict[str, Any]]:
        """Write the rows of the dataset as Parquet, beside the folder where datasets land."""
        import asyncio
        from dataclasses import asdict

        from learnosity.connections import open_store
        from learnosity.dataset.layout import DatasetLayout
        from learnosity.dataset.parquet import beside, to_parquet
        from learnosity.dataset.published import PublishedDataset

        destination = published["destination_uri"]
        layout = DatasetLayout(published["dataset_type"], published["dataset_id"])
        store = await asyncio.to_thread(open_store, destination)
        landed = await PublishedDataset.open(store, published["manifest_uri"], layout)
        target = await asyncio.to_thread(open_store, beside(destination))
        return [asdict(file) for file in await to_parquet(landed, target)]

    check_place() >> roster >> dataset.first
    to_parquet(dataset.last.output)
