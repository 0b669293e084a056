"""Replies of the bucket that are not what was asked for: another range, version, status or length (RFC 9110).

`faults.FaultRule` explains each lie. Nothing is decided here.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

from aiohttp import web

from .faults import Lie

_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_BOUNDARY: Final = "simulator-boundary"
_OTHER_TAG: Final = '"00000000000000000000000000000000"'
_MORE: Final = b"8 bytes\n"
_CHUNK: Final = b"a line without an end " * 3000
# After this many chunks (1 GB), an "endless" reply ends with a closed connection, so that it does not run for ever.
_MAX_CHUNKS: Final = 16_384


async def told(request: web.Request, response: web.Response, lie: Lie) -> web.StreamResponse:
    """The reply with one lie in it. A lie about ranges changes only a reply to a range request.

    :param response: what would be the truth; it is changed.
    """
    if response.status not in (200, 206):
        return response
    if lie in ("endless", "no_length"):
        return await _in_chunks(request, response, endless=lie == "endless")
    body = response.body if isinstance(response.body, bytes) else b""
    headers = response.headers
    if lie == "part" and response.status == 200:
        half = len(body) // 2
        response.set_status(206)
        headers["Content-Range"] = f"bytes {half}-{len(body) - 1}/{len(body)}"
        response.body = body[half:]
    elif lie == "no_content":
        response.set_status(204)
        headers.pop("Content-Range", None)
        response.body = None
    elif lie == "longer":
        response.body = body + _MORE
    elif lie == "other_tag":
        headers["ETag"] = _OTHER_TAG
    elif lie == "weak_tag":
        headers["ETag"] = f"W/{headers['ETag']}"
    elif lie == "no_tag":
        del headers["ETag"]
    elif (found := _RANGE.fullmatch(headers.get("Content-Range", ""))) is not None:
        _about_the_range(response, body, lie, int(found[1]), int(found[2]), int(found[3]))
    return response


def _about_the_range(response: web.Response, body: bytes, lie: Lie, first: int, last: int, total: int) -> None:
    headers = response.headers
    if lie == "range_start":
        headers["Content-Range"] = f"bytes {first + 1}-{last}/{total}"
        response.body = body[1:]
    elif lie == "range_end":
        headers["Content-Range"] = f"bytes {first}-{last - 1}/{total}"
        response.body = body[:-1]
    elif lie == "range_total":
        headers["Content-Range"] = f"bytes {first}-{last}/{total + 1}"
    elif lie == "range_unknown":
        headers["Content-Range"] = f"bytes {first}-{last}/*"
    elif lie in ("no_range", "multipart"):
        part = f"--{_BOUNDARY}\r\nContent-Range: {headers.pop('Content-Range')}\r\n\r\n".encode()
        if lie == "multipart":
            headers["Content-Type"] = f"multipart/byteranges; boundary={_BOUNDARY}"
            response.body = part + body + f"\r\n--{_BOUNDARY}--\r\n".encode()


async def _in_chunks(request: web.Request, response: web.Response, *, endless: bool) -> web.StreamResponse:
    stream = web.StreamResponse(status=response.status, headers=response.headers)
    stream.enable_chunked_encoding()
    await stream.prepare(request)
    try:
        await stream.write(response.body if isinstance(response.body, bytes) else b"")
        for _ in range(_MAX_CHUNKS if endless else 0):
            await stream.write(_CHUNK)
            await asyncio.sleep(0)
        if not endless:
            await stream.write_eof()
        elif request.transport is not None:
            request.transport.close()
    except ConnectionError:
        pass  # the client has closed the connection
    return stream
