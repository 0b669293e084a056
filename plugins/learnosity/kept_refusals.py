"""Keeps since when the polls of a sensor are refused. In the mode `reschedule`, each poll is a new process."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRuntimeError

from learnosity.api.refusals import Refusals
from learnosity.errors import LearnosityError

if TYPE_CHECKING:
    from learnosity.task_state import StateStore

log = logging.getLogger(__name__)

# Name of an entry in Airflow's task state store. The entry says in which try polls were refused, and since when. A
# later try does not use it: in each try, refusals must again last for the full time before they end the wait. If
# Learnosity refuses the consumer key, for example, this time is 35 minutes.
KEY = "refused_since"


class KeptRefusals:
    """The refusals of one try: in the task's state store, and in this process while the store is away or not needed."""

    def __init__(self) -> None:
        self._refusals = Refusals()

    def note(self, error: LearnosityError, store: StateStore | None, attempt: int) -> bool:
        """Note a refusal. Returns whether its kind has lasted so long that the wait ends.

        :param store: None = each poll is in this process.
        :param attempt: number of the try.
        """
        self._load(store, attempt)
        ends = self._refusals.note(error, time.time())
        self._save(store, attempt)
        return ends

    def clear(self, store: StateStore | None, attempt: int) -> None:
        """Note that a poll was not refused."""
        self._load(store, attempt)
        if self._refusals.since:
            self._refusals.clear()
            self._save(store, attempt)

    def _load(self, store: StateStore | None, attempt: int) -> None:
        if store is not None:
            with _although_away():
                self._refusals = Refusals(_since(store.get(KEY), attempt))

    def _save(self, store: StateStore | None, attempt: int) -> None:
        if store is not None:
            since = dict(self._refusals.since)
            with _although_away():
                store.set(KEY, {"attempt": attempt, "since": since} if since else {})


def _since(kept: Any, attempt: int) -> dict[str, float]:
    """What this try has kept. What another try or an earlier release has kept does not count."""
    since = kept.get("since") if isinstance(kept, dict) and kept.get("attempt") == attempt else None
    return {kind: float(each) for kind, each in since.items()} if isinstance(since, dict) else {}


@contextmanager
def _although_away() -> Iterator[None]:
    """Go on if Airflow's API server fails for a while: that must not end a wait."""
    try:
        yield
    except AirflowRuntimeError as error:
        log.warning("Since when the polls are refused is not known or not kept now: %s", error)
