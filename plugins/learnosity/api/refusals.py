"""How long the polls of a job go on while they are refused. Each kind of refusal has a clock of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from learnosity.errors import ConnectionConfigError, LearnosityError

# How long polls go on while the API refuses the consumer key or the job. Learnosity may need 30 minutes to apply a
# change of keys; 5 minutes are added for safety.
REFUSAL_SECONDS = 35 * 60.0
# How long a wait goes on while the Airflow connection is wrong, because a person may be editing it at that moment.
MISCONFIGURED_SECONDS = 5 * 60.0

_CONNECTION, _API = "connection", "api"


@dataclass(slots=True)
class Refusals:
    """Since when polls are refused, by kind of refusal, in seconds of any clock."""

    since: dict[str, float] = field(default_factory=dict)

    def note(self, error: LearnosityError, now: float) -> bool:
        """Note a refusal. Returns whether its kind has lasted so long that the wait ends."""
        if isinstance(error, ConnectionConfigError):
            return now - self.since.setdefault(_CONNECTION, now) >= MISCONFIGURED_SECONDS
        self.since.pop(_CONNECTION, None)  # the connection could be used
        return now - self.since.setdefault(_API, now) >= REFUSAL_SECONDS

    def clear(self) -> None:
        """A poll was not refused."""
        self.since.clear()
