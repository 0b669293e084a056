"""The simulator as a server: one port for the Data API, the bucket and the control endpoints.

`async with Simulator(config) as sim` runs it in the current event loop. Every request passes through `_guarded`,
where it is counted and where faults on demand are applied.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import web

from . import control, gateway, objects, reports
from .config import SimulatorConfig
from .delivery import Cut, after, before, continued, cut, s3_refusal, stalled
from .errors import ApiError
from .faults import FaultBook, FaultRule
from .retrieval import group_view
from .state import State
from .stats import Stats
from .storage import PREFIX, S3Error, parse_key

_Rules = Sequence[FaultRule]
_Produce = Callable[[_Rules], Awaitable[web.Response]]
_DRAWN = web.RequestKey("drawn", Sequence[FaultRule])


class Simulator:
    """A running stand-in for the Learnosity Data API and its bucket.

    :param config: the switches; default: what is most likely true of the real API.
    """

    def __init__(self, config: SimulatorConfig | None = None) -> None:
        self._initial = config or SimulatorConfig()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._runner: web.AppRunner | None = None
        self._state: State | None = None

    @property
    def url(self) -> str:
        """Base URL, without a slash at the end: `http://127.0.0.1:PORT`."""
        return self._running.base_url

    @property
    def stats(self) -> Stats:
        """What has happened so far."""
        return self._running.stats

    @property
    def faults(self) -> FaultBook:
        """The faults in force; add to it at any time."""
        return self._running.faults

    @property
    def config(self) -> SimulatorConfig:
        """The switches in force."""
        return self._running.config

    def configure(self, **changes: Any) -> None:
        """Change switches at run time.

        :raises msgspec.ValidationError: an unknown switch or a value of the wrong type.
        """
        self._running.config = self._running.config.with_changes(changes)

    def group_view(self, dataset_id: str, group_path: list[str]) -> dict[str, Any]:
        """A group of a finished summary dataset, as a browser report shows it (docs/learnosity-api.md, "Reports").

        :raises ApiError: no such dataset or group.
        """
        dataset = self._running.datasets.get(dataset_id)
        if dataset is None or dataset.results is None:
            raise ApiError(20004, "no finished dataset has this dataset_id")
        return group_view(dataset.results, group_path)

    async def __aenter__(self) -> Simulator:
        self._folder = tempfile.TemporaryDirectory(prefix="learnosity-simulator-")
        state = self._state = State(self._initial, Path(self._folder.name))
        entry = _Entry(state)
        app = web.Application(client_max_size=16 << 20)
        app.add_routes(
            [
                *control.routes(state),
                *reports.routes(state),
                web.route("*", "/{path:.*}", entry.serve, expect_handler=entry.expect),
            ]
        )
        # An object store keeps an upload as it was sent, so aiohttp must not decompress bodies.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, auto_decompress=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._initial.host, self._initial.port, backlog=1024)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        state.base_url = (self._initial.public_url or f"http://{host}:{port}").rstrip("/")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._state is not None:
            self._state.ending.set()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._state is not None:
            await self._state.close()
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def _running(self) -> State:
        if self._state is None:
            raise RuntimeError("the simulator is not running: use `async with Simulator(...)`")
        return self._state


class _Entry:
    """The handler of all other paths: passes a request to the bucket or to the Data API."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def expect(self, request: web.Request) -> None:
        """Answer `Expect: 100-continue`, before a request is served."""
        await continued(request, self._drawn(request, *_addressed(request)) if _is_object(request) else ())

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        if _is_object(request):
            return await self._object(request)
        state = self._state
        diverted = gateway.plain_http(request, state.config, state.base_url)
        if diverted is not None:
            return diverted
        incoming = await gateway.receive(request)
        if isinstance(incoming, web.Response):
            return incoming
        call, redirected = incoming, request.path.startswith(gateway.REDIRECTED)
        return await self._guarded(
            request, call.target, "", lambda rules: gateway.answer(state, call, redirected, _expired(rules))
        )

    async def _object(self, request: web.Request) -> web.StreamResponse:
        target, name = _addressed(request)

        async def produce(rules: _Rules) -> web.Response:
            try:
                return await objects.serve(self._state, request, target, rules)
            except S3Error as error:
                return s3_refusal(error)

        return await self._guarded(request, target, name, produce)

    def _drawn(self, request: web.Request, target: str, name: str) -> _Rules:
        """The rules that fire on a request; they are drawn once for each."""
        if _DRAWN not in request:
            request[_DRAWN] = self._state.faults.draw(target, name)
        return request[_DRAWN]

    async def _guarded(self, request: web.Request, target: str, name: str, produce: _Produce) -> web.StreamResponse:
        stats = self._state.stats
        with stats.track(target):
            rules = self._drawn(request, target, name)
            for rule in rules:
                stats.faults[f"{rule.kind} {target}"] += 1
            try:
                refusal = await before(rules, target)
                response: web.StreamResponse
                if refusal is not None:
                    # The whole body is read first. Otherwise the connection would break while the client still sends.
                    while await request.content.readany():
                        continue
                    response = refusal
                else:
                    await stalled(request, rules, self._state.ending)
                    served = await produce(rules)
                    response = await after(request, served, rules)
            except (Cut, ConnectionError):  # a fault rule cuts the connection, or the client has closed it
                return cut(request)
            stats.answered(target, response.status)
            return response


def _is_object(request: web.Request) -> bool:
    return request.raw_path.startswith(PREFIX)


def _expired(rules: _Rules) -> bool:
    return any(rule.kind == "expired_url" for rule in rules)


def _addressed(request: web.Request) -> tuple[str, str]:
    """Target and name of an object request, as fault rules have them."""
    target = "put" if request.method == "PUT" else "file"
    try:
        dataset_id, _, key = parse_key(request.raw_path.partition("?")[0])
    except S3Error:
        return target, ""
    return target, f"{dataset_id}/{key.removesuffix('.ndjson')}" if target == "put" else key
