"""Makes texts and URLs from outside safe for a log line: removes user info, URL queries and signatures."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_URL_QUERY = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s?#\"'<>]*)[?#][^\s\"'<>]*", re.IGNORECASE)
_USER_INFO = re.compile(r"://[^\s/?#@]*@")
_SIGNATURE = re.compile(r"\$0[12]\$[0-9A-Fa-f]{16,}")


def redact(url: str) -> str:
    """`url` without user info, query and fragment, safe for a log line."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "<unreadable URL>"
    query = "?…" if parts.query else ""
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}{query}"


def redact_text(text: str) -> str:
    """`text` from outside without signatures, and with URLs that have no user info and no query."""
    return _SIGNATURE.sub("$02$…", _URL_QUERY.sub(r"\1?…", _USER_INFO.sub("://", text)))
