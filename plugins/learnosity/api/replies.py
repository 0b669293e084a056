"""Reads replies of the Data API. Several forms of the data are accepted, but a failure is never read as a success.

`meta.status` says whether a call succeeded. The HTTP status is less important (docs/learnosity-api.md, "Replies and
errors"). `data` may be an object or an array. Keys may be deeper than expected. Unknown keys are no failure.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import msgspec

from learnosity.api.message_redaction import wording
from learnosity.errors import (
    ApiError,
    AuthenticationError,
    ConflictError,
    ConnectionConfigError,
    LearnosityError,
    NotReadyError,
    PermanentApiError,
    TransientApiError,
    UnexpectedReplyError,
    WrongAddressError,
)

# Error codes after which the same call may succeed later.
_TRANSIENT_CODES = frozenset({10000, 20018, 42000, 50100})
# HTTP statuses of load balancers, after which the same call may succeed later. But if such a reply has an error code of
# the API, the code decides. 429 and 5xx are not here: the functions below handle them.
_TRANSIENT_STATUSES = frozenset({408, 425})
# Error codes for a refused timestamp. Every attempt is signed with the current time, so one more attempt may succeed.
_CLOCK_CODES = frozenset({41004, 41007})
# Error codes that are about the Airflow connection as a whole, not about what one call asks for. For example, the
# consumer key, its secret or the `domain` is wrong. Until a person corrects this, every call fails. `_CLOCK_CODES` are
# among them, because a wrong clock makes every call fail, too. 20012 is left out: it may mean that the address is
# wrong, but perhaps also that a job does not exist. `api/refusals.py` finds out which.
_CONNECTION_CODES = frozenset({40001, 40002, 42001, 43000, *range(41000, 42000)})
_CONFLICT_CODES = frozenset({20011, 30000})
# If a `get` is refused with one of these codes, the API perhaps does not have the dataset yet, or only a part of it.
# Then `landing.listing` asks again for two minutes (`is_absent`).
_ABSENT_CODES = frozenset({20004, 20011, 20012, 50000})
# Error codes of calls that the API has checked and refused: 2xxxx = parameters, 4xxxx = access, rate and version, and
# three single codes. Such a call had no effect. After any other code, it may have had one. 20011 is in the range, but
# may mean that the call came twice and had its effect the first time. So `_error_from_meta` excludes conflicts.
_REFUSAL_CODES = frozenset({*range(20000, 30000), 30001, 30003, *range(40000, 50000), 50000})
# If a reply has no error code, these HTTP statuses mean that a server or proxy has not passed the call on, so the call
# had no effect. 403 is left out, because some proxies send it when they block the reply to a call that had an effect.
# 302 and 303 are left out, because some servers send them after they have done what was asked.
_NOT_PASSED_ON = frozenset({301, 307, 308, 400, 401, 404, 405, 407, 410, 411, 413, 414, 415, 421, 431})
_HINTS = {
    20012: "Check the host and the `version` of the connection.",
    20027: "Ask for less at a time.",
    40002: "Ask Learnosity to link the consumer to an item bank.",
    40003: "The consumer is not linked to this organisation_id: change the run config or the connection.",
    41000: "The request lost its security fields, most likely in a redirect: use the https host itself.",
    41002: "Check the consumer key (login) of the connection.",
    41003: "Check the consumer secret (password) of the connection.",
    41004: "Check this machine's clock.",
    41005: "Put a domain of the consumer's allow-list into the connection's extra `domain`; changes take up to "
    "30 minutes to act.",
    41008: "Ask Learnosity to enable the Data API for this consumer.",
    41009: "The consumer is inactive: use an active key set.",
    42001: "Pin a newer `version` in the connection.",
    43000: "Pin a newer `version` in the connection.",
    44000: "Check `dataset_type` in the run config.",
    50000: "Not all input files were there when the job was started.",
}
_UUID = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)
# If a JSON object has a key twice, msgspec keeps only the last value. In a listing, the lost value may be a file, so
# the listing is refused if the two values differ. The keys below only describe the call: what is lost under
# `timestamp`, for example, is no file. So there, two different texts or numbers (of at most 15 digits) are accepted.
_OF_THE_CALL = frozenset({"timestamp", "records", "request_uuid", "message", "code"})
SMALL_BODY = 1024 * 1024  # bytes; a longer reply is parsed in a thread, so that it does not stop the event loop
_MESSAGE_LIMIT = 500  # a longer message of the API is cut to this many characters


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply of a call that succeeded."""

    meta: Mapping[str, Any]
    data: Any
    beside: Mapping[str, Any] = field(default_factory=dict)
    """What the reply has at its top level beside `meta` and `data`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of a listing: what HTTP says about its pages (`results.around`)."""

    @property
    def next_page(self) -> str | None:
        """Cursor of the next page; None when there is no next page."""
        cursor = self.meta.get("next")
        return str(cursor) if cursor not in (None, "", False, [], {}) else None

    @property
    def count(self) -> int | None:
        """How many records the reply says that it has (`meta.records`); None when it does not say."""
        return _integer(self.meta.get("records"))

    def find(self, key: str, *, depth: int = 2) -> Any:
        """The first value of `key` in `data`, at most `depth` levels down; None when there is none."""
        for level in range(depth + 1):
            for mapping in _mappings_at(self.data, level):
                if mapping.get(key) is not None:
                    return mapping[key]
        return None

    def records(self) -> list[Any]:
        """`data` as a list. A single value becomes a list of one."""
        if self.data is None:
            return []
        return list(self.data) if isinstance(self.data, list) else [self.data]


def parse_reply(
    http_status: int, body: bytes, *, retry_after: float | None = None, sent: Any = None, names_files: bool = False
) -> Reply:
    """Read a reply. A reply that reports a failure raises an error.

    :param retry_after: seconds of the header `Retry-After`; None = there is none.
    :param sent: the request. An error does not repeat its values.
    :param names_files: whether the keys of an object may be names of files. A key must not be there twice then. In
        a large reply, the search for that may take seconds: not on the event loop.
    :raises UnexpectedReplyError: an object has a key twice, with two values. msgspec keeps the last one alone.
    :raises PermanentApiError: the same call cannot succeed. May be a subclass.
    :raises TransientApiError: the same call may succeed later.
    """
    body = body.removeprefix(BOM_UTF8)  # some servers send this mark, which is not part of the JSON
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _error_without_json(http_status, retry_after) from None
    meta = document.get("meta") if isinstance(document, dict) else None
    if not isinstance(meta, dict) or "status" not in meta:
        raise _error_without_json(http_status, retry_after)
    if meta["status"] is not True:
        raise _error_from_meta(http_status, meta, retry_after, sent)
    if http_status >= 300:
        raise _error_without_json(http_status, retry_after)
    if names_files and _has_key_twice(body):
        raise UnexpectedReplyError(
            "An object in Learnosity's reply has the same key twice, with two values. One of them would be lost, "
            "and it may be a file. Nothing was landed. Report this reply to Learnosity."
        )
    return Reply(document.pop("meta"), document.pop("data", None), beside=document)


def _has_key_twice(body: bytes) -> bool:
    """Whether an object of a JSON text has a key twice, with different values. Equal values lose nothing."""

    def read(pairs: list[tuple[str, Any]]) -> tuple[int]:
        if len(pairs) != len(dict(pairs)):
            seen: dict[str, tuple[str, bool]] = {}
            for key, value in pairs:
                text, is_excepted = repr(value), key in _OF_THE_CALL and isinstance(value, str | float)
                first, was_excepted = seen.setdefault(key, (text, is_excepted))
                if text != first and not (is_excepted and was_excepted):
                    raise _KeyTwiceError
        # The parser keeps this hash instead of the object: it is smaller, and equal objects have equal hashes.
        return (hash(repr(sorted(pairs, key=itemgetter(0)))),)

    # `_read_keys` quickly looks for a key that is there twice. If there is one, the slower `read` compares the values.
    for hook, number in ((_read_keys, float), (read, _number)):
        try:
            json.loads(body, object_pairs_hook=hook, parse_int=number, parse_float=float)
        except _KeyTwiceError:
            continue
        except RecursionError:
            pass  # nested too deeply to be searched; the code that reads the listing refuses such JSON
        return False
    return True


def _read_keys(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) != len(dict(pairs)):
        raise _KeyTwiceError


def _number(text: str) -> float | int:
    """A number of JSON, equal to all others of the same value. Python refuses integers of very many digits."""
    value = float(text)
    return value if len(text) <= 15 or len(text) > 1_000 else int(text)


class _KeyTwiceError(Exception):
    pass


def _error_from_meta(http_status: int, meta: Mapping[str, Any], retry_after: float | None, sent: Any) -> ApiError:
    code, said = _integer(meta.get("code")), meta.get("message")
    text = wording(said, sent)[:_MESSAGE_LIMIT] if isinstance(said, str) and said else "no reason given"
    request_uuid = meta.get("request_uuid")
    where = f"code {code}" if code is not None else f"HTTP {http_status}"
    if isinstance(request_uuid, str) and _UUID.fullmatch(request_uuid):
        where += f", request {request_uuid}"
    message = f"Learnosity answered: {text} ({where}). {_HINTS.get(code or 0, '')}".strip()
    unknown_server_error = http_status >= 500 and code not in _HINTS
    try_again = http_status == 429 or (http_status in _TRANSIENT_STATUSES and code is None)
    if try_again or code in _TRANSIENT_CODES or unknown_server_error:
        return TransientApiError(message, code=code, http_status=http_status, retry_after=retry_after)
    kind: type[PermanentApiError] = PermanentApiError
    if code in _CONFLICT_CODES or http_status == 409:
        kind = ConflictError
    elif code == 50000:
        kind = NotReadyError
    elif code is not None and 40000 <= code < 42000:
        kind = AuthenticationError
    error = kind(message, code=code, http_status=http_status)
    refused = http_status in _NOT_PASSED_ON if code is None else code in _REFUSAL_CODES
    error.nothing_done = meta["status"] is False and kind is not ConflictError and refused
    return error


def _error_without_json(http_status: int, retry_after: float | None) -> ApiError:
    where = f"HTTP {http_status} and no readable verdict"
    if http_status == 429 or http_status in _TRANSIENT_STATUSES or http_status >= 500:
        return TransientApiError(f"Learnosity answered with {where}.", http_status=http_status, retry_after=retry_after)
    if 300 <= http_status < 400:
        return _wrong_address(
            f"Learnosity answered with a redirect (HTTP {http_status}), which is never followed because it would "
            "lose or leak the signed request. Check host and scheme of the connection.",
            http_status,
        )
    if http_status == 404:
        return _wrong_address(
            "Learnosity does not know this address (HTTP 404). Check host and `version` of the connection.", http_status
        )
    if http_status >= 400:
        return _wrong_address(
            f"Learnosity answered with {where}. Check host, scheme and `version` of the connection.", http_status
        )
    # A 2xx reply without a readable `meta.status` is incomplete, or is from a proxy. Another attempt may succeed.
    return TransientApiError(f"Learnosity answered with {where}.", http_status=http_status)


def _wrong_address(message: str, http_status: int) -> WrongAddressError:
    error = WrongAddressError(message, http_status=http_status)
    error.nothing_done = http_status in _NOT_PASSED_ON
    return error


def is_clock_error(error: ApiError) -> bool:
    """Whether the timestamp was refused, so that one more attempt with a new signature may succeed."""
    return error.code in _CLOCK_CODES


def is_absent(error: BaseException) -> bool:
    """Whether the API has refused a `get` in a way that may mean that it does not have the dataset yet."""
    if not isinstance(error, PermanentApiError) or isinstance(error, WrongAddressError):
        return False
    return error.code in _ABSENT_CODES or (error.code is None and error.http_status in (404, 409))


def is_about_connection(error: LearnosityError) -> bool:
    """Whether an error is certainly about the Airflow connection as a whole, not about what one call asks for."""
    return isinstance(error, ConnectionConfigError) or getattr(error, "code", None) in _CONNECTION_CODES


def text_of(reply: Reply, key: str) -> str:
    """The text under `key`; "" = there is none. A whole number counts as text: it may be a reference."""
    value = reply.find(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def require_text(reply: Reply, key: str, what: str) -> str:
    """The non-empty text under `key`. Raises `UnexpectedReplyError`, which names `key` and the call `what`."""
    value = text_of(reply, key)
    if not value:
        raise UnexpectedReplyError(f"Learnosity's reply to {what} has no `{key}`. Check the pinned `version`.")
    return value


def _mappings_at(value: Any, level: int) -> Iterator[Mapping[str, Any]]:
    """The mappings that are `level` steps below `value`. A list of objects does not count as a step."""
    candidates = value[:50] if isinstance(value, list) else [value]
    for mapping in candidates:
        if not isinstance(mapping, dict):
            continue
        if level == 0:
            yield mapping
        else:
            for child in mapping.values():
                yield from _mappings_at(child, level - 1)


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None
