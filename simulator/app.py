"""The simulator as a server: one port for the Data API, the bucket and the control endpoints.

`async with Simulator(config) as sim` runs it in the current event loop. Every request passes through `_guarded`,
where it is counted and where faults on demand are applied.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import web

from . import control, gateway, objects, reports
from .config import SimulatorConfig
from .delivery import Cut, after, before, cut, s3_refusal
from .errors import ApiError
from .faults import FaultBook
from .retrieval import group_view
from .state import State
from .stats import Stats
from .storage import PREFIX, S3Error, parse_key

_Produce = Callable[[bool], Awaitable[web.Response]]


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
        app = web.Application(client_max_size=16 << 20)
        app.add_routes(
            [*control.routes(state), *reports.routes(state), web.route("*", "/{path:.*}", _Entry(state).serve)]
        )
        # Bodies must arrive as they were sent: a gzip upload is not unpacked by an object store.
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

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if request.raw_path.startswith(PREFIX):
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
            request, call.target, "", lambda expired: gateway.answer(state, call, redirected, expired)
        )

    async def _object(self, request: web.Request) -> web.StreamResponse:
        target = "put" if request.method == "PUT" else "file"

        async def produce(_: bool) -> web.Response:
            try:
                return await objects.serve(self._state, request, target)
            except S3Error as error:
                return s3_refusal(error)

        return await self._guarded(request, target, _name(request, target), produce)

    async def _guarded(self, request: web.Request, target: str, name: str, produce: _Produce) -> web.StreamResponse:
        stats = self._state.stats
        with stats.track(target):
            rules = self._state.faults.draw(target, name)
            for rule in rules:
                stats.faults[f"{rule.kind} {target}"] += 1
            try:
                refusal = await before(rules, target)
                response: web.StreamResponse
                if refusal is not None:
                    # The body is read so that the client is not cut off while it still sends.
                    while await request.content.readany():
                        continue
                    response = refusal
                else:
                    served = await produce(any(rule.kind == "expired_url" for rule in rules))
                    response = await after(request, served, rules)
            except (Cut, ConnectionResetError):  # a fault cuts it, or the client closed it while it was sending
                return cut(request)
            stats.answered(target, response.status)
            return response


def _name(request: web.Request, target: str) -> str:
    """What an object request addresses, as fault rules name it."""
    try:
        dataset_id, _, key = parse_key(request.raw_path.partition("?")[0])
    except S3Error:
        return ""
    return f"{dataset_id}/{key.removesuffix('.ndjson')}" if target == "put" else key
