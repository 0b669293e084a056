"""A gate in front of the object store: lets everything through byte for byte, until it is switched to a fault.

It has a second door, at which it speaks TLS; behind it both lead to the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from chaos.plans import GateFault
from devstack.certificate import Tls
from devstack.loops import loop_in_thread
from devstack.ports import LOOPBACK, free_ports

_CUT_AFTER = 700


def _refusal(status: str, code: str, message: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nConnection: close\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n{body}".encode()


# Replies that the gate sends itself, in place of the store. The store does not receive these requests.
_REFUSALS: dict[GateFault, bytes] = {
    "slowdown": _refusal("503 Slow Down", "SlowDown", "Please reduce your request rate."),
    "RequestTimeout": _refusal("400 Bad Request", "RequestTimeout", "Your socket connection was idle for too long."),
    "ExpiredToken": _refusal("400 Bad Request", "ExpiredToken", "The provided token has expired."),
}


class Gate:
    """A proxy on loopback.

    :param tls: the certificate of the second door.
    """

    def __init__(self, tls: Tls) -> None:
        self.port, self.tls_port = free_ports(2)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(tls.certificate, tls.key)
        self._target = 0
        self._fault: GateFault | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def lead_to(self, port: int) -> None:
        """Where the store listens."""
        self._target = port

    @contextmanager
    def open(self) -> Iterator[Gate]:
        """Serve in a thread of its own while the block runs."""
        with loop_in_thread("gate") as loop:
            self._loop = loop
            servers = [
                asyncio.run_coroutine_threadsafe(start, loop).result()
                for start in (
                    asyncio.start_server(self._serve, LOOPBACK, self.port),
                    asyncio.start_server(self._serve, LOOPBACK, self.tls_port, ssl=self._context),
                )
            ]
            try:
                yield self
            finally:
                for server in servers:
                    loop.call_soon_threadsafe(server.close)
                self._on_loop(self._abort)

    def misbehave(self, fault: GateFault | None) -> None:
        """From now on misbehave, and cut what is under way; None = behave again."""
        self._fault = fault
        if fault is not None:
            self._on_loop(self._abort)

    def _on_loop(self, call: object) -> None:
        assert self._loop is not None
        assert callable(call)
        self._loop.call_soon_threadsafe(call)

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await self._handle(reader, writer, self._fault)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _handle(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: GateFault | None
    ) -> None:
        if fault == "refuse":
            return
        if fault in _REFUSALS:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(_REFUSALS[fault])
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
            await reader.read()
            return
        behind_reader, behind = await asyncio.open_connection(LOOPBACK, self._target)
        limit = _CUT_AFTER if fault == "cut" else None
        pipes = [
            asyncio.create_task(_pipe(reader, behind, None)),
            asyncio.create_task(_pipe(behind_reader, writer, limit)),
        ]
        try:
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pipe in pipes:
                pipe.cancel()
            await asyncio.gather(*pipes, return_exceptions=True)
            behind.transport.abort()


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter, limit: int | None) -> None:
    passed = 0
    while data := await source.read(65_536):
        if limit is not None and passed + len(data) > limit:
            return
        passed += len(data)
        target.write(data)
        await target.drain()
