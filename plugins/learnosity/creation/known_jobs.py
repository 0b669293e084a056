"""Notes which jobs Learnosity lists before a job is started. The new job is none of these."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from learnosity.creation.state import CreationState

if TYPE_CHECKING:
    from learnosity.api.client import LearnosityClient

# If the reply to the call that starts a job is lost, a later attempt looks for the new job in the list of jobs. It asks
# only for jobs that were created after the call, or up to this many seconds before it. Without these seconds, the list
# might not have the new job: Learnosity's clocks may differ, so the job may seem to be older than the call.
CLOCK_SLACK_SECONDS = 120


async def with_known_jobs(client: LearnosityClient, state: CreationState) -> CreationState:
    """Add the time and the listed jobs to the state, before a job is started."""
    now = await client.server_time()
    since = 0 if now is None else int(now) - CLOCK_SLACK_SECONDS
    jobs = await client.jobs(since=since or None)
    return replace(state, since=since, known_jobs=tuple(job.reference for job in jobs))
