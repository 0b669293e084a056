"""Sends the metrics of this package to Airflow's own metrics (StatsD or OpenTelemetry, see Airflow's `[metrics]`).

docs/operations.md lists the metrics. Airflow itself reports the duration of each task.
"""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk.observability import stats

from learnosity.metrics_interface import Metrics

if TYPE_CHECKING:
    from learnosity.api.jobs import Job

PREFIX = "learnosity."


class AirflowMetrics:
    """Sends metrics to Airflow's metrics, with names that begin with `learnosity.`."""

    def count(self, name: str, number: int = 1, **tags: str) -> None:
        """Add `number` to a counter. 0 is not sent."""
        if number:
            stats.incr(PREFIX + name, number, tags=tags)

    def gauge(self, name: str, value: int) -> None:
        """Set a gauge. Its tag is the host name, so that triggerers on several hosts do not overwrite each other."""
        stats.gauge(PREFIX + name, value, tags={"hostname": socket.gethostname()})

    def timing(self, name: str, seconds: float, **tags: str) -> None:
        """Add a duration in seconds to a timer."""
        stats.timing(PREFIX + name, timedelta(seconds=seconds), tags=tags)


METRICS: Metrics = AirflowMetrics()


def count_job(job: Job) -> None:
    """Count a job that has ended, and record its duration if the API reports it."""
    METRICS.count("jobs_ended", status=job.status)
    if job.seconds is not None:
        METRICS.timing("job_seconds", job.seconds, status=job.status)
