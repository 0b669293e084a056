"""The work's figures in Airflow's own metrics (StatsD or OpenTelemetry, wherever `[metrics]` sends them).

How long each phase takes is there already: `task.duration` of its task, and `dag_run.duration`.
docs/operations.md lists what is told.
"""

from __future__ import annotations

import socket
from datetime import timedelta

from airflow.sdk.observability import stats

from learnosity.api.jobs import Job
from learnosity.telemetry import Meter

PREFIX = "learnosity."


class AirflowMeter:
    """Tells Airflow's metrics, below `learnosity.`."""

    def count(self, name: str, number: int = 1, **tags: str) -> None:
        """Add to a counter; 0 is not worth a packet."""
        if number:
            stats.incr(PREFIX + name, number, tags=tags)

    def gauge(self, name: str, value: int) -> None:
        """Set a gauge of this host: triggerers must not overwrite each other's, nor do Airflow's own."""
        stats.gauge(PREFIX + name, value, tags={"hostname": socket.gethostname()})

    def timing(self, name: str, seconds: float, **tags: str) -> None:
        """Add a duration to a timer."""
        stats.timing(PREFIX + name, timedelta(seconds=seconds), tags=tags)


METER: Meter = AirflowMeter()


def count_job(job: Job) -> None:
    """Tell that a job was seen to end, and how long it took, as far as the API says."""
    METER.count("jobs_ended", status=job.status)
    if job.seconds is not None:
        METER.timing("job_seconds", job.seconds, status=job.status)
