"""What an address is, wherever it stands in a reply, and which addresses are secrets.

Three questions are asked of a text. Does it hold an address of any kind? Is it one address that can be fetched? Does
it hold a signature, so that it must never be stored?
"""

from __future__ import annotations

import re
from urllib.parse import unquote

_COLON = r"(?::|%(?:25)*3a|\\u003a)"
_SLASH = r"(?:[/\\]|%(?:25)*2f|\\u002f)"
# Any scheme, also percent-encoded or escaped as inside a JSON text. It starts at the colon, so that it is linear.
_ANYWHERE = re.compile(rf"(?<=[a-z0-9]){_COLON}{_SLASH}{{2}}|\bhttps?:[/\\]", re.IGNORECASE)
_HOST_ONLY = re.compile(r"\s*[/\\]{2}[^/\\\s]")
_SCHEMES = re.compile(rf"([a-z0-9+.-]{{1,20}}){_COLON}{_SLASH}{{2}}", re.IGNORECASE)
_FETCHABLE = re.compile(r"https?://[^\s/?#\\][^\s\\\x00-\x1f\x7f]*", re.IGNORECASE)
_PATH = re.compile(r"https?://[^/?#]*([^?#]*)", re.IGNORECASE)
_SIGNED = re.compile(
    r"(?:[?&;#]|%(?:25)*(?:3f|26)|\\u0026)"
    r"(?:(?:x-(?:amz|goog|ms|oss|cos|obs)-[a-z-]{1,40}|(?:x-)?signature|sig|se|sv|st|sp|sr|token|expires|"
    r"awsaccesskeyid|googleaccessid|ossaccesskeyid|key-pair-id|policy|hmac|hash|auth|authorization|jwt|secret|"
    r"password|(?:access|id|security|session|sas)[_-]?token|api[_-]?key)(?:=|%(?:25)*3d|\\u003d)"
    # A value so long names nothing that a person would.
    r"|[\w.~-]{1,60}=[A-Za-z0-9_+/%-]{40})",
    re.IGNORECASE,
)
_USER_INFO = re.compile(r"://[^\s/?#@]{1,300}@")
# The last part of an address that points to a listing and not to data.
_LISTING_NAMES = frozenset(
    ("index", "self", "list", "listing", "manifest", "files", "datasets", "reports", "catalog", "directory", "contents")
)
# Kinds of addresses that may be named in an error.
_KNOWN_SCHEMES = ("http", "https", "s3", "gs", "abfs", "abfss", "az", "wasb", "wasbs", "file")


def holds_address(text: str) -> bool:
    """Whether an address of any scheme stands anywhere in `text`, or `text` is one without a scheme (`//host/…`)."""
    # Nearly every text is plain. The patterns are for the rest.
    if (":" in text or "3a" in text or "3A" in text) and _ANYWHERE.search(text):
        return True
    return ("//" in text or "\\" in text) and _HOST_ONLY.match(text) is not None


def fetchable(text: str) -> str | None:
    """The one http(s) address that `text` is, without the blanks around it; None when it is anything else."""
    address = text.strip(" \t\r\n")
    # Two addresses in one text are two files at least.
    return address if _FETCHABLE.fullmatch(address) and address.count("://") == 1 else None


def is_signed(text: str) -> bool:
    """Whether `text` holds what makes an address a secret: a signature, a token, an expiry, a password."""
    # `%3d` is an encoded `=`, and so is `\u003d` in a JSON text.
    if "=" not in text and "@" not in text and "3d" not in text and "3D" not in text:
        return False
    return _SIGNED.search(text) is not None or _USER_INFO.search(text) is not None


def holds_only_plain_links(text: str) -> bool:
    """Whether every address in `text` is http(s) and none is a secret: a link that may stand in content."""
    schemes = {scheme.lower() for scheme in _SCHEMES.findall(text)}
    return bool(schemes) and schemes <= {"http", "https"} and not _HOST_ONLY.match(text) and not is_signed(text)


def kind_of_address(text: str) -> str:
    """A few words about an address that are safe to show: its kind, never the address."""
    found = _SCHEMES.search(text)
    scheme = found[1].lower() if found else ""
    kind = scheme if scheme in _KNOWN_SCHEMES else "other"
    return f"{kind} address{', signed' if is_signed(text) else ''}"


def name_in_address(address: str, dataset_id: str) -> tuple[str, bool]:
    """The name that an address gives to its file.

    :returns: the name, and whether it is the whole path in the dataset: what follows the dataset's id in the address.
        Otherwise it is the last part of the path.
    """
    path = _path_of(address)
    _, found, rest = path.partition(f"/{dataset_id}/")
    return (rest, True) if found else (path.rpartition("/")[2], False)


def points_to_a_listing(address: str, dataset_id: str) -> bool:
    """Whether the address says of itself that it leads to a listing: `…/index.json`, `…/<dataset_id>`."""
    last = _path_of(address.strip()).rstrip("/").rpartition("/")[2]
    return last == dataset_id or last.partition(".")[0].lower() in _LISTING_NAMES


def _path_of(address: str) -> str:
    found = _PATH.match(address)
    return unquote(found[1]) if found else ""
