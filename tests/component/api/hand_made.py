"""Servers made by hand: they speak HTTP as badly as a test wants, and remember what they were sent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from devstack.ports import LOOPBACK

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# Small: otherwise a client could send a whole body although nobody reads it, because the machine would buffer it all.
SOCKET_BYTES = 64 * 1024


@dataclass
class Exchange:
    """One request whose head has arrived, and the connection on which it can be answered.

    :param headers: by lower-case name.
    :param taken: bytes of the body that were read.
    :param given: bytes that were sent, and that the machine of the client took.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    reader: asyncio.StreamReader = field(repr=False)
    writer: asyncio.StreamWriter = field(repr=False)
    taken: bytes = b""
    given: int = 0

    @property
    def length(self) -> int:
        """Bytes of the body, as the head has them."""
        return int(self.headers.get("content-length", 0))

    async def take(self, stop: int | None = None) -> bytes:
        """Read the body up to byte `stop` (default: its end)."""
        self.taken += await self.reader.readexactly((self.length if stop is None else stop) - len(self.taken))
        return self.taken

    async def give(self, content: bytes) -> None:
        """Send bytes as they stand."""
        self.writer.write(content)
        await self.writer.drain()
        self.given += len(content)

    def reset(self) -> None:
        """Cut the connection, so that the client sees a reset."""
        raw = self.writer.get_extra_info("socket")
        # With a linger time of zero the client sees a reset, not an orderly end.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def end(self) -> None:
        """Close the connection in good order."""
        self.writer.close()


Behaviour = Callable[[Exchange], Awaitable[None]]


class HandMade:
    """A running server.

    :param behaviour: called for each request, when its head has arrived.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.url = ""
        self.asked: list[Exchange] = []
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def given(self) -> int:
        """Bytes that were sent in all."""
        return sum(exchange.given for exchange in self.asked)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            # Cancelled: by `stop`, when the test has ended.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while not writer.is_closing():
                    exchange = await _asked(reader, writer)
                    self.asked.append(exchange)
                    await self.behaviour(exchange)
        finally:
            self._connections.discard(task)
            writer.close()

    async def stop(self) -> None:
        """End all connections."""
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)


@asynccontextmanager
async def hand_made(
    behaviour: Behaviour, *, tls: ssl.SSLContext | None = None, host: str = LOOPBACK
) -> AsyncIterator[HandMade]:
    """A server on loopback while the block runs.

    :param tls: speak TLS.
    :param host: the address to listen on; may be IPv6.
    """
    served = HandMade(behaviour)
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
    listening.bind((host, 0))
    server = await asyncio.start_server(served.connected, sock=listening, ssl=tls, limit=SOCKET_BYTES)
    scheme = "http" if tls is None else "https"
    served.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()
        await served.stop()


def reply(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, *, length: bool = True) -> bytes:
    """A whole reply.

    :param headers: more of them, or others than these.
    :param length: whether it has a Content-Length.
    """
    told = {"Content-Length": str(len(body))} if length else {}
    lines = [f"HTTP/1.1 {status} So", *(f"{name}: {value}" for name, value in (told | dict(headers or {})).items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def xml(code: str, message: str = "It is so.") -> bytes:
    """The body of a refusal of S3, with what must never be told."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>'
        "<Resource>/bucket/key</Resource><HostId>signature-of-somebody</HostId></Error>"
    ).encode()


async def _asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Exchange(method, target, headers, reader, writer)
