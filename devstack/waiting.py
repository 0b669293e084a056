"""Waiting for something that another process does: look again and again, until it is there or the time is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from devstack.errors import NotReady

POLL_SECONDS = 0.5
T = TypeVar("T")


def wait_until(
    look: Callable[[], T | None], *, timeout: float, late: Callable[[], str], every: float = POLL_SECONDS
) -> T:
    """Call ``look`` until it returns something that counts as true, and return that; it is called at least once.

    :param timeout: seconds
    :param late: gives the message of the error when the time is over
    :param every: seconds between two calls
    :raises NotReady: when the time is over
    """
    deadline = time.monotonic() + timeout
    while not (found := look()):
        if time.monotonic() > deadline:
            raise NotReady(late())
        time.sleep(every)
    return found
