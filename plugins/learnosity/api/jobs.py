"""Jobs as the API tells of them, and how long to wait before looking again.

`completed` and `halted` are the only ends; a status that is not known counts as still running
(contract section 7).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from learnosity.api.url_policy import redact_text

COMPLETED = "completed"
HALTED = "halted"
# All four are always asked for: what the server does when none is named differs between versions.
STATUSES = ("queued", "running", COMPLETED, HALTED)
# At most 50 records come back per call, and there is no paging (contract section 7).
REFERENCES_PER_CALL = 50
ERROR_LIMIT = 2000

MIN_POLL_SECONDS = 5.0
MAX_POLL_SECONDS = 60.0


class Job(msgspec.Struct, frozen=True):
    """One job of GET /jobs."""

    reference: str
    status: str
    error: str | None = None
    dt_created: str | None = None
    dt_completed: str | None = None
    details: str = ""
    """Every other property, as JSON text: not documented, so only ever searched."""

    @property
    def is_completed(self) -> bool:
        """The dataset is compiled and can be retrieved."""
        return self.status == COMPLETED

    @property
    def is_halted(self) -> bool:
        """The job ended without a dataset."""
        return self.status == HALTED

    @property
    def is_terminal(self) -> bool:
        """Nothing will change any more."""
        return self.status in (COMPLETED, HALTED)

    @property
    def seconds(self) -> float | None:
        """From creation to completion by the API's clock; None where it does not say, or not readably."""
        try:
            taken = datetime.fromisoformat(self.dt_completed or "") - datetime.fromisoformat(self.dt_created or "")
        except (ValueError, TypeError):  # TypeError: one of the two has a time zone
            return None
        return max(taken.total_seconds(), 0.0)

    def mentions(self, dataset_id: str) -> bool:
        """Whether the job's record names that dataset anywhere."""
        return dataset_id.lower() in self.details.lower()


def parse_job(record: Any) -> Job | None:
    """A job from one record of the reply; None when it has no reference or no status."""
    if not isinstance(record, Mapping):
        return None
    reference, status = record.get("reference"), record.get("status")
    if not isinstance(reference, str) or not isinstance(status, str) or not reference:
        return None
    error = record.get("error")
    others = {key: value for key, value in record.items() if key not in ("reference", "status")}
    return Job(
        reference=reference,
        status=status.strip().lower(),
        error=None if error in (None, "") else _error_text(error),
        dt_created=_text_or_none(record.get("dt_created")),
        dt_completed=_text_or_none(record.get("dt_completed")),
        details=to_text(others),
    )


def _error_text(error: Any) -> str:
    # It ends up in a task's exception, and may well quote the signed URL of an input file.
    return redact_text((error if isinstance(error, str) else to_text(error))[:ERROR_LIMIT])


def poll_delay(round_number: int, poll_interval: float) -> float:
    """Seconds until the next look: from 5 s, times 1.5 a round, up to `poll_interval`; ±10 % of jitter.

    :param round_number: 0 for the first wait.
    :param poll_interval: upper bound in seconds; values above 60 count as 60.
    """
    ceiling = min(max(poll_interval, 1.0), MAX_POLL_SECONDS)
    # The exponent is bounded because 1.5 to the power of a day's rounds is no longer a float.
    grown = MIN_POLL_SECONDS * 1.5 ** min(max(round_number, 0), 20)
    return min(ceiling, grown) * random.uniform(0.9, 1.1)  # spreads waits, guards nothing


def to_text(value: Any) -> str:
    """JSON text of anything that came out of a JSON reply."""
    return msgspec.json.encode(value).decode()


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None
