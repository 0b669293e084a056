"""Landing over TLS from sources far away: a relay delays every byte by half a round trip, in both directions.

A connection costs a round trip, too, before its first byte, as TCP's opening does. The store stays near. No packet is
lost here: that needs the packet filter of a network namespace.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from benchmarks.rows import MB, Row, faster, interleaved, land, more
from benchmarks.source import Files
from benchmarks.stack import Stack
from devstack.loops import loop_in_thread
from devstack.ports import LOOPBACK

ROUND_TRIPS = (0.020, 0.080, 0.200)
SMALL, LARGE = 1_000, 4
TRANSFERS = (32, 64, 128, 256)
LARGE_TRANSFERS = 4
# As much as a long line holds: at 200 ms, this lets a connection have 80 MB/s.
_IN_FLIGHT = 256
_PIECE = 64 * 1024


def distant_sources(stack: Stack, runs: int = 3) -> list[Row]:
    """1,000 x 20 KB and 4 x 128 MB from 20, 80 and 200 ms away, against rclone at its best `--transfers`."""
    rows: list[Row] = []
    direct = stack.source.tls_url
    try:
        for seconds in ROUND_TRIPS:
            with distant(int(direct.rpartition(":")[2]), seconds) as relayed:
                stack.source.tls_url = f"https://{LOOPBACK}:{relayed}"
                rows += _from(stack, f"{seconds * 1000:.0f} ms", runs)
    finally:
        stack.source.tls_url = direct
    return rows


def _from(stack: Stack, away: str, runs: int) -> list[Row]:
    """The two rows of one distance."""
    name = away.replace(" ", "-")
    small, large = Files(f"small-{name}", SMALL, 20_000, tls=True), Files(f"large-{name}", LARGE, 128 * MB, tls=True)
    stack.source.serve(small)
    stack.source.serve(large)
    stack.fresh_bucket()
    best = min(TRANSFERS, key=lambda number: stack.rclone(small, stack.prefix(), number).total)
    ours, peer = interleaved(runs, lambda: land(stack, small), lambda: stack.rclone(small, stack.prefix(), best))
    rate, theirs = (SMALL / median(each.total for each in side) for side in (ours, peer))
    ours, peer = interleaved(
        runs, lambda: land(stack, large), lambda: stack.rclone(large, stack.prefix(), LARGE_TRANSFERS)
    )
    took, took_theirs = (median(each.total for each in side) for side in (ours, peer))
    return [
        more(f"{SMALL:,} x 20 KB over TLS, {away} away", rate, theirs, f"rclone --transfers {best}", 2.0),
        faster(f"{LARGE} x 128 MB over TLS, {away} away", took, took_theirs, f"rclone {LARGE_TRANSFERS}", 1.0),
    ]


@contextmanager
def distant(port: int, round_trip: float) -> Iterator[int]:
    """Relay connections to `port` as if it were far away. Gives the port to connect to.

    :param round_trip: seconds.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(round_trip)
        behind_reader, behind = await asyncio.open_connection(LOOPBACK, port)
        with contextlib.suppress(asyncio.CancelledError):  # at the end of the measurement
            await asyncio.gather(_carry(reader, behind, round_trip / 2), _carry(behind_reader, writer, round_trip / 2))

    with loop_in_thread("distance") as loop:
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(serve, LOOPBACK, 0), loop).result()
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            asyncio.run_coroutine_threadsafe(_hang_up(server), loop).result()


async def _hang_up(server: asyncio.Server) -> None:
    """Close the relay, and what still hangs on it."""
    server.close()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter, delay: float) -> None:
    """Pass on each piece after the delay; the next one may already be on its way."""
    loop = asyncio.get_running_loop()
    on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_IN_FLIGHT)

    async def arrive() -> None:
        with contextlib.suppress(OSError):  # either side may hang up when it has what it wanted
            while data := (piece := await on_the_way.get())[1]:
                await asyncio.sleep(piece[0] - loop.time())
                target.write(data)
                await target.drain()
        target.close()

    arriving = asyncio.create_task(arrive())
    with contextlib.suppress(OSError):
        while data := await source.read(_PIECE):
            if arriving.done():
                return
            await on_the_way.put((loop.time() + delay, data))
    await on_the_way.put((0.0, b""))
    await arriving
