"""The simulator's own endpoints, under `/_control`: faults, counters, file hashes and switches, for tests.

They are not part of the Learnosity API and need no signature: bind the simulator to loopback.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from .faults import FaultRule
from .state import Dataset, State, truth

_Rules = list[FaultRule] | FaultRule
T = TypeVar("T")


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

    return [
        web.get("/healthz", health),
        web.get("/_control/stats", stats),
        web.delete("/_control/stats", reset_stats),
        web.get("/_control/faults", faults),
        web.post("/_control/faults", add_faults),
        web.delete("/_control/faults", clear_faults),
        web.post("/_control/config", configure),
        web.get("/_control/datasets", datasets),
        web.get("/_control/datasets/{dataset_id}/files", files),
    ]


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
