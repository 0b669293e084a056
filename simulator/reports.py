"""A stand-in for the browser Reports API: a script at `/reports/`, and the data behind it.

It does not look like Learnosity's own reports. It shows that a page initialises, signs and listens as the real API
expects (docs/learnosity-api.md, "Reports"). The signature is checked on the server, over the request as received.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from .errors import ApiError
from .retrieval import group_view
from .security import authenticate
from .state import State
from .validation import SUMMARY_TYPES

SCRIPT: Final = Path(__file__).with_name("reports.js")
# Allows any origin, because the page that shows a report comes from another origin than the simulator.
CORS: Final = {"Access-Control-Allow-Origin": "*"}


class Wanted(msgspec.Struct, frozen=True):
    """What the script asks for: the page's signed request, unchanged, and a group of the report.

    :param security: JSON text of the security object.
    :param request: JSON text of the request, as it was signed.
    :param report: id of the report in the request.
    :param path: group path, from the root down.
    """

    security: str
    request: str
    report: str
    path: list[str]


class Report(msgspec.Struct, frozen=True):
    """One report of an initialisation; its other fields are for the script."""

    id: str
    type: str
    dataset_id: str


class Initialisation(msgspec.Struct, frozen=True):
    """The request of `LearnosityReports.init`."""

    reports: list[Report]


def routes(state: State) -> list[web.RouteDef]:
    """The routes, bound to one simulator."""

    async def script(_: web.Request) -> web.Response:
        return web.Response(text=SCRIPT.read_text(), content_type="text/javascript", headers=CORS)

    async def data(request: web.Request) -> web.Response:
        body = await request.read()
        try:
            return _json(_data(state, body), 200)
        except ApiError as error:
            state.stats.codes[error.code] += 1
            return _json({"code": error.code, "msg": error.message, "detail": ""}, error.status)

    return [web.get("/reports/", script), web.post("/reports/data", data)]


def _data(state: State, body: bytes) -> dict[str, Any]:
    try:
        wanted = msgspec.json.decode(body, type=Wanted)
        asked = msgspec.json.decode(wanted.request, type=Initialisation)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise ApiError(20009, "the request is not a Reports API initialisation") from error
    authenticate(wanted.security, wanted.request, None, state.config)
    report = next((each for each in asked.reports if each.id == wanted.report), None)
    if report is None:
        raise ApiError(20004, "no report has this id")
    dataset = state.datasets.get(report.dataset_id)
    if dataset is None or dataset.results is None:
        raise ApiError(20004, "no finished dataset has this dataset_id")
    if report.type not in SUMMARY_TYPES or dataset.spec.dataset_type != report.type:
        raise ApiError(20004, "the type of the report is not the type of the dataset")
    return group_view(dataset.results, wanted.path)


def _json(value: Any, status: int) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json", headers=CORS)
