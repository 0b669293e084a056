"""The relay of the benchmarks, behind which a server looks far away, and the row that loses packets."""

from __future__ import annotations

import asyncio
import os
import shutil
import time

import pytest

from benchmarks import lossy
from benchmarks.relay import distant
from benchmarks.stack import Stack
from devstack.ports import LOOPBACK

ROUND_TRIP = 0.05


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send everything back, once the client has sent `.`."""
    writer.write(await reader.readuntil(b"."))
    await writer.drain()
    writer.close()


async def _exchange(port: int, body: bytes) -> tuple[bytes, float]:
    """What comes back for `body`, up to the end of the connection, and after how many seconds it began to come."""
    started = time.monotonic()
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(body)
    first = await reader.readexactly(1)
    took = time.monotonic() - started
    rest = await reader.read()
    writer.close()
    return first + rest, took


async def test_a_relayed_reply_is_the_same_and_takes_two_round_trips_at_least() -> None:
    # One round trip opens the TCP connection. The other one carries the request and the begin of the reply.
    body = os.urandom(3 * 1024 * 1024).replace(b".", b"-") + b"."
    server = await asyncio.start_server(_echo, LOOPBACK, 0, limit=2 * len(body))
    with distant(server.sockets[0].getsockname()[1], ROUND_TRIP) as port:
        replies = await asyncio.gather(*(_exchange(port, body) for _ in range(4)))
    server.close()
    assert [reply == body for reply, _ in replies] == [True] * 4
    assert min(took for _, took in replies) >= 2 * ROUND_TRIP


async def test_a_relay_to_a_server_that_is_gone_ends_the_connection(closed_port: int) -> None:
    with distant(closed_port, ROUND_TRIP) as port:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        assert await reader.read() == b""
        writer.close()


def test_the_row_that_loses_packets_says_what_the_machine_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "iptables" else f"/usr/sbin/{name}")
    assert lossy.lossy_source(Stack.__new__(Stack)) == []
    assert "apt install iptables" in capsys.readouterr().out
