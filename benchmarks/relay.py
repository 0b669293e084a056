"""A relay that makes a server on this machine look far away: `python -m benchmarks.relay PORT SECONDS`.

It delays every byte by half a round trip of SECONDS in each direction. A new connection costs one round trip more
before its first byte, as the opening of TCP does. It is a process of its own on uvloop, so that it does not take its
time from the clients that are measured. It prints the port to connect to and ends when its input is closed.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import uvloop

from devstack.environment import inherited_environment
from devstack.ports import LOOPBACK

_ROOT = Path(__file__).resolve().parent.parent
# Delayed bytes wait in memory. At this many, one direction of a connection takes no more from its sender, so that the
# memory does not fill up. With a round trip of 200 ms, 160 MB/s can still pass.
_UNDER_WAY_BYTES = 16 * 1024 * 1024


@contextmanager
def distant(port: int, round_trip: float) -> Iterator[int]:
    """Relay connections to `port` as if it were far away. Gives the port to connect to.

    :param round_trip: seconds.
    """
    command = [sys.executable, "-m", "benchmarks.relay", str(port), str(round_trip)]
    with subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=inherited_environment()
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


class _End(asyncio.Protocol):
    """One end of a relayed connection: what it receives is written to its peer after the delay.

    :param delay: seconds.
    """

    def __init__(self, delay: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._delay = delay
        self._transport: asyncio.Transport | None = None
        self._under_way: deque[tuple[float, bytes]] = deque()
        """When each piece arrives at the peer, and the piece. An empty piece is the end."""
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._peer_is_full = False
        self.peer: _End | None = None
        self.open_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Only a `cast`: a check with `isinstance` would fail, because uvloop's class is no subclass of this one.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._send(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._send(b"")

    def pause_writing(self) -> None:
        if self.peer is not None:
            self.peer.hold(is_full=True)

    def resume_writing(self) -> None:
        if self.peer is not None:
            self.peer.hold(is_full=False)

    def hold(self, *, is_full: bool) -> None:
        """The peer's way out is full, or free again."""
        self._peer_is_full = is_full
        self._flow()

    def _send(self, data: bytes) -> None:
        self._under_way.append((max(self._loop.time(), self.open_at) + self._delay, data))
        self._bytes += len(data)
        self._flow()
        self._wait()

    def _wait(self) -> None:
        if self._timer is None and self._under_way:
            self._timer = self._loop.call_at(self._under_way[0][0], self.arrive)

    def arrive(self) -> None:
        """Write to the peer what has reached it."""
        self._timer = None
        now = self._loop.time()
        peer = self.peer
        if peer is None:
            return  # no connection to the server yet; `_open` calls this method again when there is one
        pieces = []
        while self._under_way and self._under_way[0][0] <= now:
            pieces.append(self._under_way.popleft()[1])
        if pieces and peer._transport is not None:
            data = b"".join(pieces)
            self._bytes -= len(data)
            peer._transport.write(data)
            if not pieces[-1]:
                peer._transport.close()
            self._flow()
        self._wait()

    def _flow(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            if self._peer_is_full or self._bytes > _UNDER_WAY_BYTES:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()


class _Near(_End):
    """The end to which the client has connected."""

    def __init__(self, port: int, round_trip: float) -> None:
        super().__init__(round_trip / 2)
        self._port = port
        self.open_at = self._loop.time() + round_trip

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._opening = self._loop.create_task(self._open())

    async def _open(self) -> None:
        try:
            _, far = await self._loop.create_connection(lambda: _End(self._delay), LOOPBACK, self._port)
        except OSError:
            if self._transport is not None:
                self._transport.abort()
            return
        self.peer, far.peer = far, self
        self.arrive()


async def _serve(port: int, round_trip: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Near(port, round_trip), LOOPBACK, 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
