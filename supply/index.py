"""Asks the package index about pinned packages: PEP 691, the JSON form of the simple index.

Whatever is not known is a failure: a reply that cannot be read, a file without a time, a version that is not there.
"""

from __future__ import annotations

import json
import os
import time
from base64 import b64encode
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from supply.pins import Pin

DEFAULT_INDEX = "https://pypi.org/simple"
JSON = "application/vnd.pypi.simple.v1+json"
AT_ONCE = 4
ATTEMPTS = 3
SECONDS = 30.0
_LARGEST = 64 * 1024 * 1024


class NotAskedError(Exception):
    """The index did not say what was asked. The message names the package, and no address."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the index says of a pinned version.

    :param days: since its first file was uploaded.
    :param newest: the newest version that is neither a pre-release nor yanked.
    :param yanked: why it was withdrawn; None = it was not.
    """

    pin: Pin
    days: int
    newest: str
    yanked: str | None = None

    @property
    def is_newest(self) -> bool:
        """Whether there is no newer version."""
        return Version(self.pin.version) >= Version(self.newest)


def index_url() -> str:
    """The index that pip and uv use."""
    named = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL") or os.environ.get("PIP_INDEX_URL")
    return (named or DEFAULT_INDEX).rstrip("/")


def ask_all(pins: Sequence[Pin], index: str, now: datetime | None = None) -> tuple[list[Known], list[str]]:
    """What the index says of each package, and what it does not say.

    :param now: default: the time of this machine.
    """
    moment = now or datetime.now(UTC)

    def one(pin: Pin) -> Known | str:
        try:
            return read_project(pin, fetch(pin.name, index), moment)
        except NotAskedError as error:
            return str(error)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        replies = list(pool.map(one, pins))
    return [each for each in replies if isinstance(each, Known)], [each for each in replies if isinstance(each, str)]


def fetch(name: str, index: str) -> Any:
    """The index's reply for one package.

    :raises NotAskedError: there is none, or it is not JSON.
    """
    try:
        request = _request(f"{index.rstrip('/')}/{name}/")
    except ValueError:
        raise NotAskedError(f"{name}: the index is no address, such as {DEFAULT_INDEX}.") from None
    why = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(attempt)
        try:
            with urlopen(request, timeout=SECONDS) as reply:
                content = reply.read(_LARGEST + 1)
            if len(content) > _LARGEST:
                raise NotAskedError(f"{name}: the reply of the index is too large.")
            return json.loads(content)
        except HTTPError as error:
            why = f"the index answers {error.code}"
            if error.code < 500 and error.code != 429:
                break
        except (URLError, OSError, HTTPException) as error:
            why = f"the index cannot be reached ({type(error).__name__})"
        except ValueError:
            why = "the index does not answer in JSON (PEP 691)"
            break
    raise NotAskedError(f"{name}: {why}.")


def _request(url: str) -> Request:
    """A request with the login of the address, if it has one.

    :raises ValueError: it is no address.
    """
    parts = urlsplit(url)
    _ = parts.port  # raises `ValueError` if the port in the URL is not a number from 0 to 65535
    request = Request(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), headers={"Accept": JSON})
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        # A redirect may lead to another host, which must not get the login.
        request.add_unredirected_header("Authorization", f"Basic {b64encode(login.encode()).decode()}")
    return request


def read_project(pin: Pin, reply: Any, now: datetime) -> Known:
    """What a reply says of a pinned version.

    :raises NotAskedError: it does not say all of it.
    """
    files = reply.get("files") if isinstance(reply, dict) else None
    if not isinstance(files, list) or not all(isinstance(each, dict) for each in files):
        raise NotAskedError(f"{pin.name}: the index lists no files.")
    wanted = Version(pin.version)
    by_version: dict[Version, list[dict[str, Any]]] = {}
    for each in files:
        if (version := _version(str(each.get("filename", "")))) is not None:
            by_version.setdefault(version, []).append(each)
    own = by_version.get(wanted)
    if not own:
        raise NotAskedError(f"{pin.name}: the index has no version {pin.version}.")
    stable = [each for each, of in by_version.items() if not each.is_prerelease and not _yanked(of)]
    reasons = _yanked(own)
    return Known(pin, (now - min(_times(pin, own))).days, str(max(stable, default=wanted)), reasons)


def _yanked(files: Sequence[dict[str, Any]]) -> str | None:
    """The reason, if every file of a version was withdrawn."""
    marks = [each.get("yanked", False) for each in files]
    if not all(marks):
        return None
    return next((mark for mark in marks if isinstance(mark, str)), "no reason given")


def _times(pin: Pin, files: Iterable[dict[str, Any]]) -> list[datetime]:
    try:
        times = [datetime.fromisoformat(str(each["upload-time"]).replace("Z", "+00:00")) for each in files]
    except (KeyError, ValueError):
        raise NotAskedError(f"{pin.name}: the index does not say when {pin.version} was uploaded.") from None
    return [each if each.tzinfo else each.replace(tzinfo=UTC) for each in times]


def _version(filename: str) -> Version | None:
    """The version in a file name; None for other files."""
    try:
        if filename.endswith(".whl"):
            return parse_wheel_filename(filename)[1]
        return parse_sdist_filename(filename)[1]
    except (InvalidSdistFilename, InvalidWheelFilename, InvalidVersion):
        return None
