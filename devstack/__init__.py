"""The local stack: an S3 server, a Learnosity simulator and a whole Airflow as plain processes on free loopback ports.

It stands outside of the product, where a user stands: it talks to Airflow through its public REST API and to the landed
data through object storage, and it never imports anything from ``plugins/``.
"""

from __future__ import annotations

from devstack.errors import ApiError, DevstackError, NotReady, ProcessFailed, Unreachable
from devstack.stack import Stack, StackOptions

__all__ = ["ApiError", "DevstackError", "NotReady", "ProcessFailed", "Stack", "StackOptions", "Unreachable"]
