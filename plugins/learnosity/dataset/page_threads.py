"""Threads for pages. A page must not hold up the event loop, which also serves other users and Airflow's workers.

Reading waits for a store, and parsing needs memory. So they have threads of their own, and few of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

Result = TypeVar("Result")

READERS = ThreadPoolExecutor(4, thread_name_prefix="learnosity-read")
WORKERS = ThreadPoolExecutor(2, thread_name_prefix="learnosity-work")


async def reading(call: Callable[..., Result], *args: Any) -> Result:
    """Run `call` in a thread that may wait for a store."""
    return await _run(READERS, call, args)


async def reading_on(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Chunks that come from a store. A thread is held only while a chunk is read."""
    while (chunk := await reading(next, chunks, None)) is not None:
        yield chunk


async def working(call: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
    """Run `call` in a thread that parses, sorts, searches or renders. At most two calls run at once."""
    return await _run(WORKERS, partial(call, **kwargs), args)


async def _run(pool: ThreadPoolExecutor, call: Callable[..., Result], args: tuple[Any, ...]) -> Result:
    return await asyncio.get_running_loop().run_in_executor(pool, partial(copy_context().run, call, *args))
