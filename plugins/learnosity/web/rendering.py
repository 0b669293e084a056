"""Renders templates as responses, with headers that protect sensitive data.

All values are escaped. Scripts and styles run only with the nonce of their response. Browsers do not cache a page, and
no other site can show it in a frame.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, StreamingResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from learnosity.api.dataset_request import dataset_type
from learnosity.api.report_definition import field_label
from learnosity.dataset.item_flags import FEW_SESSIONS
from learnosity.dataset.limits import PAGE
from learnosity.dataset.tables import json_text
from learnosity.progress_log import duration, size
from learnosity.web.addresses import file_address, file_query, file_segment, group_address, segment
from learnosity.web.item_analysis import LABELS

_MAX_JSON = 100_000  # on a page, the JSON of a request or a run config is cut to this many characters
HERE = Path(__file__).parent
SAFE_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}
# A file of a dataset may contain a script, because it comes from another system. With this policy, no browser runs such
# a script with the rights of Airflow's pages.
DOWNLOAD_HEADERS = {**SAFE_HEADERS, "Content-Security-Policy": "default-src 'none'; sandbox"}


def render(
    request: Request, template: str, *, status: int = 200, reports_url: str | None = None, **values: Any
) -> HTMLResponse:
    """Render a page.

    :param reports_url: for the frame of the report alone: where it loads the Reports API from.
    """
    nonce = secrets.token_urlsafe(16)
    base = str(request.scope.get("root_path", ""))
    values |= {"nonce": nonce, "base": base, "airflow": base.rpartition("/")[0], "clock": datetime.now(UTC)}
    html = _environment().get_template(template).render(values)
    policy = frame_policy(nonce, reports_url) if reports_url else page_policy(nonce)
    return HTMLResponse(html, status, headers={**SAFE_HEADERS, "Content-Security-Policy": policy})


async def streamed(pieces: AsyncIterator[bytes], media_type: str, headers: Mapping[str, str]) -> StreamingResponse:
    """A download. Its first piece is read before the reply starts, so an error there gives an error page."""
    first = await anext(pieces, b"")

    async def joined() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return StreamingResponse(joined(), media_type=media_type, headers=dict(headers))


def page_policy(nonce: str) -> str:
    """Content security policy of every page. No script of another site runs here."""
    return _policy(
        {
            "default-src": "'none'",
            "script-src": f"'nonce-{nonce}'",
            "style-src": f"'nonce-{nonce}'",
            "connect-src": "'self'",
            "img-src": "'self' data:",
            "font-src": "'self'",
            "frame-src": "'self'",
            "base-uri": "'none'",
            "form-action": "'self'",
            "frame-ancestors": "'self'",
        }
    )


def frame_policy(nonce: str, reports_url: str) -> str:
    """Content security policy of the frame in which the script of the Reports API runs.

    With `sandbox`, the frame has an origin of its own, even if it is opened alone. So its script has no session of
    Airflow, and reaches neither Airflow nor the page around it. The hosts from which the script loads more are not
    documented, and it uses inline styles: Learnosity's whole domain and inline styles are allowed.
    """
    parts = urlsplit(reports_url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    hosts = f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''} https://*.learnosity.com"
    return _policy(
        {
            "default-src": "'none'",
            "script-src": f"'nonce-{nonce}' 'strict-dynamic'",
            "style-src": f"'unsafe-inline' {hosts}",
            "connect-src": hosts,
            "img-src": f"data: {hosts}",
            "font-src": f"data: {hosts}",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'self'",
            "sandbox": "allow-scripts",
        }
    )


def _policy(directives: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {value}" for name, value in directives.items())


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["bytes"] = size
    environment.globals.update(max_rows=PAGE.rows, max_bytes=PAGE.shown_bytes)
    environment.globals.update(flag_labels=LABELS, few_sessions=FEW_SESSIONS)
    environment.globals.update(quote=_quoted, quote_path=quote, segment=segment, group_address=group_address)
    environment.globals.update(file_address=file_address, file_query=file_query, file_segment=file_segment)
    environment.filters["duration"] = duration
    environment.filters["type_label"] = lambda name: dataset_type(str(name)).label
    environment.filters["moment"] = _moment
    environment.filters["pretty"] = lambda value: json_text(value, _MAX_JSON, indent=2) or "nested too deeply"
    environment.filters["field_label"] = field_label
    environment.filters["count"] = lambda number: f"{number:,}"
    environment.filters["of"] = lambda number, noun: f"{number:,} {noun}{'' if number == 1 else 's'}"
    return environment


def utc_text(moment: datetime) -> str:
    """A moment to the second, with the zone. A script of the page shows it in the zone of the viewer."""
    return f"{_utc(moment):%Y-%m-%d %H:%M:%S} UTC"


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _moment(value: datetime | str | None) -> str | Markup:
    """A moment in UTC, for a script that shows it in the time zone that the viewer has chosen in Airflow."""
    if value is None:
        return ""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
        at = _utc(at)
    except (ValueError, OverflowError):
        return str(value)[:40]
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), utc_text(at))


def _quoted(text: str) -> str:
    """A text as one path segment or query value. For a file's path use `quote_path`, which keeps slashes."""
    return quote(str(text), safe="")
