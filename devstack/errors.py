"""What can go wrong with the local stack, each error with what to do next. No error holds a password or a key."""

from __future__ import annotations


class DevstackError(Exception):
    """The local stack cannot do what was asked; the message says what to do next."""


class ProcessFailed(DevstackError):
    """A process of the stack ended although it should run; the message holds the end of its log."""


class NotReady(DevstackError):
    """Something did not become ready within its time."""


class Unreachable(DevstackError):
    """A server gave no answer: it is down, just starting, or too slow."""


class ApiError(DevstackError):
    """Airflow's REST API answered with an error.

    :param status: HTTP status code
    :param detail: Airflow's own explanation
    """

    def __init__(self, status: int, method: str, path: str, detail: str) -> None:
        super().__init__(f"Airflow answered {status} to {method} {path}: {detail}")
        self.status = status
        self.detail = detail
