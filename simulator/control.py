"""The simulator's own endpoints, under `/_control`: faults, counters, file hashes and switches, for tests.

They are not part of the Learnosity API and need no signature. With a `control_token`, they need that; without one, they
answer this machine alone.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from .faults import FaultRule
from .state import Dataset, State, truth

_Rules = list[FaultRule] | FaultRule
T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.Response]]


def routes(state: State) -> list[web.RouteDef]:
    """The routes, bound to one simulator."""

    async def health(_: web.Request) -> web.Response:
        return _json({"ok": True})

    async def stats(_: web.Request) -> web.Response:
        return _json(state.stats.snapshot())

    async def reset_stats(_: web.Request) -> web.Response:
        state.stats.reset()
        return _json({"ok": True})

    async def faults(_: web.Request) -> web.Response:
        return _json(state.faults.rules())

    async def add_faults(request: web.Request) -> web.Response:
        rules = _decoded(lambda body: msgspec.json.decode(body, type=_Rules), await request.read())
        state.faults.add(*(rules if isinstance(rules, list) else [rules]))
        return _json(state.faults.rules())

    async def clear_faults(_: web.Request) -> web.Response:
        state.faults.clear()
        return _json([])

    async def configure(request: web.Request) -> web.Response:
        state.config = _decoded(
            lambda body: state.config.with_changes(msgspec.json.decode(body, type=dict[str, Any])),
            await request.read(),
        )
        return _json({"ok": True})

    async def files(request: web.Request) -> web.Response:
        dataset = state.datasets.get(request.match_info["dataset_id"])
        if dataset is None:
            raise web.HTTPNotFound(text="no such dataset")
        return _json(truth(dataset))

    async def datasets(_: web.Request) -> web.Response:
        return _json({name: _summary(dataset) for name, dataset in state.datasets.items()})

    handlers: list[tuple[str, str, Handler]] = [
        ("GET", "stats", stats),
        ("DELETE", "stats", reset_stats),
        ("GET", "faults", faults),
        ("POST", "faults", add_faults),
        ("DELETE", "faults", clear_faults),
        ("POST", "config", configure),
        ("GET", "datasets", datasets),
        ("GET", "datasets/{dataset_id}/files", files),
    ]
    # The control token is read here once, and the endpoints ask for this token until the simulator ends. A request to
    # `config` may change `control_token`, but this has no effect here. So its sender cannot lock himself out.
    token = state.config.control_token
    return [
        web.get("/healthz", health),
        *(web.route(method, f"/_control/{path}", _guarded(handler, token)) for method, path, handler in handlers),
    ]


def _guarded(handler: Handler, token: str) -> Handler:
    async def guarded(request: web.Request) -> web.Response:
        if token:
            given = request.headers.get("Authorization", "")
            allowed = hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
        else:
            # The host name in the URL is checked, too. The owner of a web page can let its host name lead to this
            # machine. Then the page can send requests from a browser on this machine (DNS rebinding).
            allowed = _is_here(request.remote) and _is_here(request.url.host)
        if not allowed:
            raise web.HTTPForbidden(text="The control endpoints need the token, or a request from this machine.")
        return await handler(request)

    return guarded


def _is_here(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _summary(dataset: Dataset) -> dict[str, Any]:
    return {
        "dataset_type": dataset.spec.dataset_type,
        "job_reference": None if dataset.job is None else dataset.job.reference,
        "completed": None if dataset.job is None else dataset.job.completed,
        "files": 0 if dataset.results is None else len(dataset.results.files),
    }


def _decoded(decode: Callable[[bytes], T], body: bytes) -> T:
    try:
        return decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise web.HTTPBadRequest(text=str(error)) from error


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
