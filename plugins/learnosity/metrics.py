"""Counts for Airflow's own metrics (StatsD or OpenTelemetry, wherever `[metrics]` sends them), tagged by dataset type.

How long each phase takes is there already: `task.duration` of its task, and `dag_run.duration`. Names and numbers only.
"""

from __future__ import annotations

from airflow.sdk.observability import stats


def count(name: str, number: int, dataset_type: str) -> None:
    """Add to the counter `learnosity.<name>`.

    :param number: by how much; 0 is not worth a packet.
    """
    if number:
        stats.incr(f"learnosity.{name}", number, tags={"dataset_type": dataset_type})
