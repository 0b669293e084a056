"""Applies faults to HTTP: refuses a call before it is served, or damages its reply.

The module `faults` decides which faults happen; nothing is decided or counted here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import uuid
from collections.abc import Sequence
from typing import Final

import msgspec
from aiohttp import web

from .errors import ERRORS
from .faults import FaultRule
from .lies import told
from .storage import S3Error

OBJECT_TARGETS: Final = ("put", "file")
_HTML: Final = "<html><body><h1>Scheduled maintenance</h1></body></html>"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_BEFORE: Final = frozenset({"status", "rate_limited", "reset", "non_json"})


class Cut(Exception):
    """The connection is to be cut; there is no answer."""


def s3_refusal(error: S3Error) -> web.Response:
    """The XML answer of S3."""
    return web.Response(status=error.status, text=error.xml, content_type="application/xml")


def failure(code: int, message: str, status: int, retry_after: int | None = None) -> web.Response:
    """A failure in the Data API's envelope (docs/learnosity-api.md, "Replies and errors")."""
    meta = {"status": False, "code": code, "message": message, "request_uuid": str(uuid.uuid4())}
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return web.Response(
        status=status,
        body=msgspec.json.encode({"meta": meta}),
        content_type="application/json",
        headers=headers,
    )


async def continued(request: web.Request, rules: Sequence[FaultRule]) -> None:
    """Send the `100 Continue` that a client waits for, unless a rule says that none is sent."""
    if request.headers.get("Expect", "").lower() == "100-continue" and all(r.kind != "no_continue" for r in rules):
        await request.writer.write(_CONTINUE)
        request.writer.output_size = 0


async def stalled(request: web.Request, rules: Sequence[FaultRule], ending: asyncio.Event) -> None:
    """Where a rule says so, take the beginning of the body of an upload and nothing more.

    :param ending: ends the wait early.
    :raises Cut: when nothing was taken for as long as the rule says.
    """
    for rule in rules:
        if rule.kind == "stalled_body":
            left = int((request.content_length or 0) * rule.fraction)
            while left and (piece := await request.content.read(left)):
                left -= len(piece)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), rule.seconds)
            raise Cut


async def before(rules: Sequence[FaultRule], target: str) -> web.Response | None:
    """Wait for as long as the rules say; then return the refusal to send instead of serving the call, if any.

    :raises Cut: cut the connection instead of answering.
    """
    for rule in rules:
        if rule.kind == "latency":
            await asyncio.sleep(rule.seconds)
    for rule in rules:
        if rule.kind in _BEFORE or (rule.kind == "expired_url" and target in OBJECT_TARGETS):
            return _refusal(rule, target)
    return None


async def after(request: web.Request, response: web.Response, rules: Sequence[FaultRule]) -> web.StreamResponse:
    """The answer, damaged as the rules say.

    :raises Cut: cut the connection instead of answering.
    """
    for rule in rules:
        if rule.kind == "lost_reply":
            raise Cut
        if rule.kind == "corrupt":
            response.body = _corrupted(_body(response))
        elif rule.kind == "wrong_length":
            response.body = _body(response)[:-1]
    for rule in rules:
        if rule.lie is not None:
            return await told(request, response, rule.lie)
        if rule.kind == "truncate":
            body = _body(response)
            return await _send(request, response, body[: int(len(body) * rule.fraction)], None)
        if rule.kind == "slow_body":
            return await _send(request, response, _body(response), rule.bytes_per_second)
    return response


def cut(request: web.Request) -> web.Response:
    """Reset the connection of a request; the client gets nothing of the returned response."""
    if request.transport is not None:
        raw = request.transport.get_extra_info("socket")
        if raw is not None:
            # With a linger time of zero, the client gets a TCP reset (RST) and not a normal close.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response(status=500)


def _refusal(rule: FaultRule, target: str) -> web.Response:
    if rule.kind == "reset":
        raise Cut
    if rule.kind == "non_json":
        return web.Response(text=_HTML, content_type="text/html")
    if rule.kind == "expired_url":
        return s3_refusal(S3Error(403, "AccessDenied", "Request has expired"))
    if rule.kind == "rate_limited":
        if target in OBJECT_TARGETS:
            return s3_refusal(S3Error(503, "SlowDown", "Please reduce your request rate."))
        return failure(42000, ERRORS[42000][1], 429, rule.retry_after)
    if rule.body is not None:
        return web.Response(status=rule.status, text=rule.body)
    if target in OBJECT_TARGETS:
        code = "InternalError" if rule.status >= 500 else "InvalidArgument"
        return s3_refusal(S3Error(rule.status, rule.s3_code or code, rule.message))
    return failure(rule.code, rule.message, rule.status, rule.retry_after)


async def _send(
    request: web.Request, response: web.Response, body: bytes, bytes_per_second: int | None
) -> web.StreamResponse:
    """Send `body` with the Content-Length of `response`, slowly if asked; after a short body, close the connection."""
    length = len(_body(response))
    stream = web.StreamResponse(status=response.status, headers=response.headers)
    stream.content_length = length
    await stream.prepare(request)
    step = len(body) if bytes_per_second is None else bytes_per_second // 10
    try:
        for start in range(0, len(body), max(step, 1)):
            await stream.write(body[start : start + max(step, 1)])
            if bytes_per_second is not None:
                await asyncio.sleep(0.1)
    except ConnectionError:
        return stream  # the client has closed the connection, so nothing more can be sent
    if len(body) < length and request.transport is not None:
        stream.force_close()
        request.transport.close()
    return stream


def _corrupted(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 0x01]) + body[middle + 1 :] if body else body


def _body(response: web.Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b""
