"""Makes texts and URLs from outside safe for a log line: removes user info, URL queries, signatures and keys.

A text may hold a secret in many spellings: in a URL, in a path with its query, percent-encoded, in XML, in JSON. So the
text is decoded first, and then read by structure: what follows a `?`, what is named like a secret, and what looks like
one.
"""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import unquote, urlsplit

# A longer text is cut before it is redacted: redacting takes long for very long texts, and an attacker may have written
# them.
MAX_TEXT = 8000
# A text is decoded at most this many times. It may be encoded several times: for example, a URL in the parameter of
# another URL.
_MAX_DECODINGS = 4
_JSON_ESCAPE = re.compile(r"\\{1,8}u([0-9a-fA-F]{4})|\\{1,8}([/\"'])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

# User name and password before the host of a URL. The password may have a `/` that should have been percent-encoded. So
# it is taken to go from the colon after the user name to the last `@`. If digits for a port follow the colon, as in
# `host:8080/`, the text is taken for a host with a port.
_USER_INFO = re.compile(
    r"://(?:[^\s/?#]*|[^\s/?#:@\[]{0,200}:(?!\d{1,5}(?:[/?#\s]|$))[^\s\"'<>]{0,400})@",
)
_QUERY = re.compile(r"\?[^\s?\"'<>]{0,2000}?=[^\s\"'<>]*|(?<=[A-Za-z0-9_/])#[^\s\"'<>]*=[^\s\"'<>]*")
_URL_QUERY = re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s?#\"'<>]*)[?#][^\s\"'<>]*", re.IGNORECASE)
_NAME = (
    r"(?:x-(?:amz|goog|ms)-[\w-]{0,40}|[\w-]{0,40}(?:signature|secret|password|passwd|token|credential|authorization|access_?key|"
    r"api_?key|private_?key|account_?key|accesskeyid|googleaccessid|stringtosign)[\w-]{0,40}|sig|bearer)"
)
_NAMED = re.compile(
    rf"(?P<name>[\"']?\b{_NAME}\b[\"']?\s*[:=]\s*)(?P<value>\"[^\"]*\"|'[^']*'|(?:(?:bearer|basic)\s+)?[^\s,;&<>\"'}}]+)",
    re.IGNORECASE,
)
_ELEMENT = re.compile(rf"(?P<open><{_NAME}(?:\s[^>]{0, 200})?>)[^<]+", re.IGNORECASE)
_BEARER = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE)
# What looks like a secret: a Learnosity signature with its prefix `$02$`, a hex digest, or a key, which is a long text
# with upper case, lower case and digits.
_LOOKS_SECRET = re.compile(
    r"(?P<scheme>\$0\d\$)[0-9A-Fa-f]{16,}|\b[0-9A-Fa-f]{32,}\b|(?<![\w+/=-])(?=[\w+=-]*[a-z])(?=[\w+=-]*[A-Z])(?=[\w+=-]*\d)[\w+=-]{40,}"
)


def redact(url: str) -> str:
    """`url` without user info, query and fragment, safe for a log line."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "<unreadable URL>"
    host = f"[{host}]" if ":" in host else host
    query = "?…" if parts.query else ""
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}{query}"


def redact_text(text: str) -> str:
    """`text` from outside without secrets, and with URLs that have no user info and no query."""
    text = _CONTROL.sub(" ", _decoded(text[:MAX_TEXT]))
    text = _QUERY.sub("?…", _URL_QUERY.sub(r"\1?…", text))
    text = _ELEMENT.sub(r"\g<open>…", text)
    text = _NAMED.sub(r"\g<name>…", text)
    return _LOOKS_SECRET.sub(r"\g<scheme>…", _BEARER.sub(r"\1 …", text))


def _decoded(text: str) -> str:
    """`text` decoded and without user info. That is cut before each step, while `%2F` in a password is no slash yet."""
    for _ in range(_MAX_DECODINGS):
        plain = _JSON_ESCAPE.sub(lambda found: found[2] or chr(int(found[1], 16)), _without_user_info(text))
        plain = unquote(_without_user_info(unescape(_without_user_info(plain))))
        if plain == text:
            break
        text = plain
    return _without_user_info(text)


def _without_user_info(text: str) -> str:
    return _USER_INFO.sub("://", text)
