"""The HTTP side of the Data API: versions, methods, form fields, security, quotas, envelope.

What is checked is in docs/learnosity-api.md: "Transport and signing", "Replies and errors" and "Rate limits". The
order of the checks is not documented. `app` adds faults and counting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from .api import ENDPOINTS, Call, Reply
from .config import SimulatorConfig
from .delivery import failure
from .errors import ApiError
from .security import authenticate
from .state import State

REDIRECTED: Final = "/_tls"
_VERSION: Final = re.compile(r"^(v[\d.]+(\.(lts|preview\d+))?|latest|latest-lts|developer)$", re.IGNORECASE)
_NUMBERED: Final = re.compile(r"^v(\d{4})\.(\d+)\b", re.IGNORECASE)
_NO_VERSION: Final = "Invalid request, see https://help.learnosity.com for further information"


@dataclass(frozen=True, slots=True)
class Incoming:
    """One call as it arrived: version and endpoint from its path, the three fields of its form."""

    method: str
    version: str
    endpoint: str
    form: dict[str, str]

    @property
    def target(self) -> str:
        """The name of the call in faults and counts."""
        action = self.form.get("action", "")
        known = action in ("get", "set", "update", "delete") and self.endpoint in ENDPOINTS
        return f"{action} {self.endpoint}" if known else "other"


async def receive(request: web.Request) -> Incoming | web.Response:
    """Read a call; where its path has no version, return the reply to that instead."""
    path = request.path.removeprefix(REDIRECTED)
    version, _, endpoint = path.strip("/").partition("/")
    if not _VERSION.match(version):
        return web.Response(status=404, text=_NO_VERSION)
    form: dict[str, str] = {}
    if request.content_type == "application/x-www-form-urlencoded":
        # Bytes that are not UTF-8 cause no error of their own. They are replaced, and so the signature of the call is
        # wrong.
        body = (await request.read()).decode("utf-8", "replace")
        form = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=None))
    return Incoming(request.method, version, endpoint, form)


def plain_http(request: web.Request, config: SimulatorConfig, base_url: str) -> web.Response | None:
    """The reply to a call by plain http, where it is not served (docs/learnosity-api.md, "Transport and signing").

    The redirect leads to this simulator under another path. A client that follows it loses its body, as it does
    with the real API.
    """
    if config.plain_http == "serve" or request.path.startswith(REDIRECTED):
        return None
    if config.plain_http == "forbid":
        return failure(40000, "Access denied: use https", 403)
    return web.Response(status=301, headers={"Location": f"{base_url}{REDIRECTED}{request.raw_path}"})


async def answer(state: State, incoming: Incoming, redirected: bool, urls_expired: bool) -> web.Response:
    """Check and serve a call; every refusal becomes a response in the envelope."""
    try:
        reply = await _serve(state, incoming, redirected, urls_expired)
    except ApiError as error:
        state.stats.codes[error.code] += 1
        status = error.status
        if state.config.error_http == "200" and 20000 <= error.code < 40000:
            status = 200
        return failure(error.code, error.message, status)
    except _OverQuota as error:
        state.stats.codes[42000] += 1
        # Learnosity's documentation describes no `Retry-After` for a 429, so it is off by default.
        retry_after = max(1, round(error.seconds)) if state.config.retry_after_header else None
        return failure(42000, "Too many requests", 429, retry_after)
    return _envelope(reply, incoming.version, state.now)


async def _serve(state: State, incoming: Incoming, redirected: bool, urls_expired: bool) -> Reply:
    config = state.config
    action = incoming.form.get("action")
    _check_version(incoming.version, config)
    actions = ENDPOINTS.get(incoming.endpoint.rstrip("/"))
    if actions is None:
        raise ApiError(20012, "check the endpoint URL")
    if incoming.endpoint in config.withdrawn:
        raise ApiError(42001)
    # Learnosity redirects a call over http to https. A client that follows the redirect sends a GET without a body. To
    # this GET, Learnosity replies that parameters are missing. To any other GET, it replies that every call is a POST.
    if incoming.method != "POST" and not redirected:
        raise ApiError(40001, f"{incoming.method}: every call is a POST")
    raw = incoming.form.get("request")
    security = authenticate(incoming.form.get("security"), raw, action, config, state.now)
    if not action:
        raise ApiError(20000, "action")
    if action not in actions:
        raise ApiError(40001, f"action {action} on {incoming.endpoint}")
    wait = state.limiter.admit(security.consumer_key, action, incoming.endpoint, config)
    if wait is not None:
        raise _OverQuota(wait)
    return await actions[action](state, Call(_request_object(raw), urls_expired))


class _OverQuota(Exception):
    def __init__(self, seconds: float) -> None:
        super().__init__(f"over quota for {seconds:.3f} s")
        self.seconds = seconds


def _check_version(version: str, config: SimulatorConfig) -> None:
    match = _NUMBERED.match(version)
    if config.minimum_version is None or match is None:
        return
    year, _, number = config.minimum_version.partition(".")
    if (int(match[1]), int(match[2])) < (int(year), int(number)):
        raise ApiError(43000, f"{version} is older than {config.minimum_version}")


def _request_object(raw: str | None) -> dict[str, Any]:
    if not raw:
        return {}
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise ApiError(20009, "request is not a JSON object") from error


def _envelope(reply: Reply, version: str, now: float) -> web.Response:
    meta: dict[str, Any] = {
        "status": True,
        "timestamp": int(now),
        "records": reply.records,
        "versions": {"requested": version, "mapped": "v1.85", "concrete": "v1.85.0"},
    }
    if reply.next is not None:
        meta["next"] = reply.next
    body = msgspec.json.encode({"meta": meta, "data": reply.data})
    return web.Response(body=body, content_type="application/json")
