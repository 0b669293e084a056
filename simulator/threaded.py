"""Runs a simulator in a thread of its own, for callers that are not asynchronous, such as the official SDK."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .app import Simulator
from .config import SimulatorConfig


@contextmanager
def running(config: SimulatorConfig | None = None) -> Iterator[Simulator]:
    """A simulator that serves while the block runs.

    :param config: as for `Simulator`.
    :raises OSError: the port cannot be bound.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulator", daemon=True)
    thread.start()
    simulator = Simulator(config)
    try:
        asyncio.run_coroutine_threadsafe(simulator.__aenter__(), loop).result()
        try:
            yield simulator
        finally:
            asyncio.run_coroutine_threadsafe(simulator.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
