"""The object store: uploads by signed PUT, downloads by signed GET.

It knows no consumers: a signed URL is the only permission (docs/learnosity-api.md, "Upload URLs and uploads").
Credentials of the Data API that arrive here are counted as a leak.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from .faults import FaultRule
from .state import Dataset, State
from .storage import S3Error, parse_key

_LEAKS: Final = ("Authorization", "Cookie")
_RANGE: Final = re.compile(r"^bytes=(\d*)-(\d*)$")


async def serve(state: State, request: web.Request, target: str, rules: Sequence[FaultRule] = ()) -> web.Response:
    """Answer one request to the bucket.

    :param rules: faults that strike it. Those that concern what the bucket holds are applied here.
    :raises S3Error: every refusal.
    """
    path, _, query = request.raw_path.partition("?")
    _count_leaks(state, request)
    state.signer.check(request.method, path, query, request.headers.get("Content-Type", ""))
    dataset_id, folder, key = parse_key(path)
    dataset = state.datasets.get(dataset_id)
    if dataset is None:
        raise S3Error(404, "NoSuchKey", "The specified key does not exist.")
    if target == "put" and folder == "infiles":
        return await _put(state, request, dataset, int(key.removesuffix(".ndjson")))
    if request.method == "GET" and folder == "outfiles":
        return _get(state, request, dataset, key, rules)
    raise S3Error(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")


async def _put(state: State, request: web.Request, dataset: Dataset, part: int) -> web.Response:
    if request.content_length is None:
        raise S3Error(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
    limit = state.config.max_upload_bytes
    if limit is not None and request.content_length > limit:
        raise S3Error(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.")
    dataset_id = dataset.spec.dataset_id
    path = state.upload_target(part, dataset_id)
    received, digest = 0, hashlib.md5(usedforsecurity=False)
    try:
        with path.open("wb") as file:
            async for piece in request.content.iter_chunked(1 << 18):
                received += file.write(piece)
                digest.update(piece)
        state.uploaded(dataset_id, part, path)
    finally:
        path.unlink(missing_ok=True)  # if the connection breaks during an upload, what has come so far is not kept
    state.stats.puts[f"{dataset_id}/{part}"] += 1
    state.stats.put_bytes[f"{dataset_id}/{part}"] = received
    return web.Response(headers={"ETag": f'"{digest.hexdigest()}"'})


def _get(state: State, request: web.Request, dataset: Dataset, name: str, rules: Sequence[FaultRule]) -> web.Response:
    results = dataset.results
    if results is None or name not in results.files:
        raise S3Error(404, "NoSuchKey", "The specified key does not exist.")
    if any(rule.kind == "replaced" for rule in rules):
        results.replace(name)
    file = results.files[name]
    etag = f'"{file.md5}"'
    if request.headers.get("If-Match", etag) not in (etag, "*"):
        raise S3Error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
    headers = {"ETag": etag, "Content-Type": file.content_type, "Accept-Ranges": "bytes"}
    if file.encoding is not None:
        headers["Content-Encoding"] = file.encoding
    start, stop, status = 0, file.size, 200
    match = _RANGE.match(request.headers.get("Range", ""))
    same = not state.config.honour_if_range or request.headers.get("If-Range", etag) == etag
    if match and any(match.groups()) and same and all(rule.lie != "whole" for rule in rules):
        start, stop = _span(match[1], match[2], file.size)
        status = 206
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    state.stats.file_gets[dataset.spec.dataset_id][name] += 1
    state.stats.bytes_served += stop - start
    return web.Response(status=status, body=results.read(name, start, stop), headers=headers)


def _span(first: str, last: str, size: int) -> tuple[int, int]:
    if first:
        start, stop = int(first), min(int(last) + 1 if last else size, size)
    else:
        start, stop = max(size - int(last), 0), size
    if start >= stop:
        raise S3Error(416, "InvalidRange", "The requested range is not satisfiable")
    return start, stop


def _count_leaks(state: State, request: web.Request) -> None:
    found = [name for name in request.headers if name.title() in _LEAKS or name.lower().startswith("x-learnosity")]
    for name in found:
        state.stats.leaks[name] += 1
    if "Authorization" in request.headers:
        raise S3Error(400, "InvalidArgument", "Only one auth mechanism allowed")
