"""A line of limited bandwidth to a server on this machine: what lies between a user and the cloud."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

from devstack.loops import loop_in_thread
from devstack.ports import LOOPBACK

_PIECE = 32 * 1024
# If this process wakes up late, the line carries nothing for a moment. To make up for at most this many seconds, it may
# then send faster than its bandwidth. Otherwise a single connection would get less than the bandwidth.
_BURST_SECONDS = 0.05


@contextmanager
def line(port: int, megabits: float) -> Iterator[int]:
    """Relay connections to `port`, all of them together at so many megabits a second on the way there.

    Gives the port to connect to. What a connection buffers does not shorten an upload: its answer comes only after
    the last byte has passed.
    """
    relay = _Relay(port, megabits * 1e6 / 8)
    with loop_in_thread("line") as loop:
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(relay.serve, LOOPBACK, 0), loop).result()
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            loop.call_soon_threadsafe(server.close)


class _Relay:
    """One direction is as slow as the line, the other is free."""

    def __init__(self, port: int, bytes_a_second: float) -> None:
        self._port = port
        self._rate = bytes_a_second
        self._free_at = 0.0
        """When the line has carried all that was put on it so far."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until both sides are through."""
        behind_reader, behind = await asyncio.open_connection(LOOPBACK, self._port)
        there = asyncio.create_task(self._carry(reader, behind, slow=True))
        back = asyncio.create_task(self._carry(behind_reader, writer, slow=False))
        await asyncio.gather(there, back)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, slow: bool) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):  # either side may close the connection early
            while data := await source.read(_PIECE):
                if slow:
                    self._free_at = max(self._free_at, loop.time() - _BURST_SECONDS) + len(data) / self._rate
                    await asyncio.sleep(self._free_at - loop.time())
                target.write(data)
                await target.drain()
            target.write_eof()
        if not slow:
            target.close()
