"""Addresses (URLs) in the texts of a reply, and which of them are secrets.

This module answers three questions about a text. Does the text contain an address of any kind? Is the whole text one
address that can be fetched? Does the text contain a signature? A text with a signature must never be stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote

_COLON = r"(?::|%(?:25)*3a|\\u003a)"
_SLASH = r"(?:[/\\]|%(?:25)*2f|\\u002f)"
# Finds `://` behind a letter or a digit, which is the end of a scheme such as `s3`. The colon and the slashes may be
# percent-encoded or JSON-escaped. `http:/` with one slash is found, too. The pattern begins with the colon and not with
# the scheme, because that is fast on long texts.
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
    # A parameter of any name, if its value begins with at least 40 letters, digits or marks such as `+` and `/`: so
    # long a value may be a secret.
    r"|[\w.~-]{1,60}=[A-Za-z0-9_+/%-]{40})",
    re.IGNORECASE,
)
_USER_INFO = re.compile(r"://[^\s/?#@]{1,300}@")
# If the last part of a URL's path is one of these names, with or without a suffix such as `.json`, the URL may lead to
# a list of files. Unless its place in the reply shows that it is a result file, it is not landed as one: otherwise, the
# list might land, and the files in it would be missing.
_LISTING_NAMES = frozenset(
    ("index", "self", "list", "listing", "manifest", "files", "datasets", "reports", "catalog", "directory", "contents")
)
# URL schemes that an error message may show. Any text may stand before `://`, so what looks like another scheme may be
# a value of the reply, which no message may show. It is shown as `other`.
_KNOWN_SCHEMES = ("http", "https", "s3", "gs", "abfs", "abfss", "az", "wasb", "wasbs", "file")


def holds_address(text: str) -> bool:
    """Whether `text` contains an address of any scheme, or is an address without a scheme (`//host/…`)."""
    # The regular expressions are slow, so they are used only if the text may have an address. An address has a colon,
    # which may be encoded (`%3a`), or begins with two slashes or backslashes.
    if (":" in text or "3a" in text or "3A" in text) and _ANYWHERE.search(text):
        return True
    return ("//" in text or "\\" in text) and _HOST_ONLY.match(text) is not None


def fetchable(text: str) -> str | None:
    """`text` without the blanks around it, if it is exactly one http(s) address. Otherwise None."""
    address = text.strip(" \t\r\n")
    # A text with two addresses gives None: each of them may be a file, but only one address can be returned.
    return address if _FETCHABLE.fullmatch(address) and address.count("://") == 1 else None


def is_signed(text: str) -> bool:
    """Whether `text` contains a part that makes an address secret: a signature, a token, an expiry, a password."""
    # The regular expressions are slow, and most texts do not need them. Each secret part of a URL contains an `@` or an
    # `=`. The `=` may be encoded as `%3d` or `\u003d`. So a text without any of these is not signed.
    if "=" not in text and "@" not in text and "3d" not in text and "3D" not in text:
        return False
    return _SIGNED.search(text) is not None or _USER_INFO.search(text) is not None


def holds_only_plain_links(text: str) -> bool:
    """Whether `text` has addresses, all are http(s), and none is secret. Content may contain such links."""
    schemes = {scheme.lower() for scheme in _SCHEMES.findall(text)}
    return bool(schemes) and schemes <= {"http", "https"} and not _HOST_ONLY.match(text) and not is_signed(text)


def kind_of_address(text: str) -> str:
    """A description of an address for error messages: its scheme and whether it is signed, never the address itself."""
    found = _SCHEMES.search(text)
    scheme = found[1].lower() if found else ""
    kind = scheme if scheme in _KNOWN_SCHEMES else "other"
    return f"{kind} address{', signed' if is_signed(text) else ''}"


def name_in_address(address: str, dataset_id: str) -> tuple[str, bool]:
    """The file name in an address.

    :returns: the name, and whether the name is the whole path in the dataset. An address with the dataset's id gives
        the whole path: all that follows the id. Any other address gives only the last part of its path.
    """
    path = _path_of(address)
    found = next(_places_of(dataset_id, path), None)
    return (path[found.end() + 1 :], True) if found else (path.rpartition("/")[2], False)


def behind_id(text: str, dataset_id: str) -> str:
    """What follows the last mention of the dataset's id in a path; the whole text when there is none."""
    *_, last = (None, *_places_of(dataset_id, text))
    return text[last.end() + 1 :] if last else text


def leads_into(text: str, dataset_id: str) -> bool:
    """Whether an address in `text` leads to something in the folder of the dataset."""
    _, found, rest = unquote(text).lower().partition(f"/{dataset_id.lower()}/")
    return bool(found and rest.strip())


def points_to_a_listing(address: str, dataset_id: str) -> bool:
    """Whether the end of the address shows that it leads to a list of files: `…/index.json`, `…/<dataset_id>`."""
    last = _path_of(address.strip()).rstrip("/").rpartition("/")[2]
    return last.lower() == dataset_id.lower() or last.partition(".")[0].lower() in _LISTING_NAMES


def _places_of(dataset_id: str, path: str) -> Iterator[re.Match[str]]:
    """Where a path has the id of the dataset as a folder, without the slash behind it: the id may follow twice.

    An id may be in upper or in lower case.
    """
    return _folder_of(dataset_id).finditer(path)


@lru_cache(maxsize=16)
def _folder_of(dataset_id: str) -> re.Pattern[str]:
    return re.compile(f"/{re.escape(dataset_id)}(?=/)", re.IGNORECASE)


def _path_of(address: str) -> str:
    found = _PATH.match(address)
    return unquote(found[1]) if found else ""
