"""The reply of a storage server as an error of this package, for downloads, uploads and stores, on S3, GCS and Azure.

`storage.error_codes` has the table of what replies mean.
"""

from __future__ import annotations

import re

from learnosity.errors import ConnectionConfigError, LearnosityError, StorageError, TransientStorageError
from learnosity.redaction import redact_text
from learnosity.storage.error_codes import (
    ELSEWHERE,
    KMS,
    MOVING,
    OVERLOADED,
    QUOTA,
    REGION,
    REQUEST,
    Meaning,
    Verdict,
    cause_of,
    judge,
)

# Bytes of a reply that are read. The error code is near the beginning, so a longer reply is not read to its end.
MAX_ANSWER_BYTES = 4096

# In XML, in JSON, and in obstore's words for one object of many that could not be deleted.
_CODE = re.compile(
    r"<Code>\s*([A-Za-z0-9_.-]{1,80})\s*</Code>|\"(?:code|reason)\"\s*:\s*\"([A-Za-z0-9_.-]{1,80})\""
    r"|\(code: ([A-Za-z0-9_.-]{1,80})\)"
)
_MESSAGE = re.compile(r"<Message>\s*([^<]{1,500})</Message>|\"message\"\s*:\s*\"([^\"]{1,500})\"")
_STATUS = re.compile(r"\b([1-5]\d\d) [A-Z][A-Za-z-]+")


# How a library quotes an error of ours that one of our functions has raised inside it.
_OURS = re.compile(r"\b(TransientStorageError|ConnectionConfigError|StorageError): ([^\n]*)")


# What no other URL can change.
_OF_THE_STORE = (OVERLOADED, QUOTA, KMS, REQUEST)


def storage_error(verb: str, where: str, error: BaseException) -> LearnosityError:
    """An error of a store's client as an error of this package.

    :param verb: what was to be done, such as "write".
    :param where: the object's URI.
    """
    text = str(error)
    if ours := _OURS.search(text):
        # Credentials are fetched by code of this package, which the client calls.
        kind = {"TransientStorageError": TransientStorageError, "ConnectionConfigError": ConnectionConfigError}
        return kind.get(ours[1], StorageError)(f"Could not {verb} {where}: {ours[2][:500]}")
    code, status = code_of(text), status_of(text)
    if code or status:
        message = _MESSAGE.search(text)
        return refusal(verb, where, status, code, (message[1] or message[2]) if message else "")
    return _error(verb, where, cause_of(error, text), first_line(error).rstrip("."))


def refusal(verb: str, where: str, status: int, code: str, message: str) -> LearnosityError:
    """A reply that refuses as an error of this package.

    :param verb: what was to be done, such as "write".
    :param where: the object's URI.
    :param status: HTTP status; 0 = unknown.
    :param code: error code in the body of the reply; "" = none.
    :param message: the store's own words; "" = none.
    """
    said = ", ".join(filter(None, [f"HTTP {status}" if status else "", code, redact_text(message)[:200].rstrip(".")]))
    if verb == "look at" and status in (400, 409) and not code:
        # The reply to a HEAD has no body, and so no code. Both statuses have codes that pass.
        unclear = TransientStorageError(f"Could not {verb} {where}: {said}.")
        unclear.wrong_region = status == 400
        return unclear
    return _error(verb, where, judge(status, code), said)


def _error(verb: str, where: str, meaning: Meaning, said: str) -> LearnosityError:
    what = f"{meaning.what}. {meaning.advice} ({said})".replace("  ", " ") if meaning.what else f"{said}."
    error = (TransientStorageError if meaning.transient else StorageError)(f"Could not {verb} {where}: {what}")
    error.wrong_region = meaning in (REGION, MOVING, ELSEWHERE)
    return error


def first_line(error: BaseException) -> str:
    """First line of an error's text, without the query of any URL in it, at most 300 characters."""
    return redact_text(str(error).strip().partition("\n")[0])[:300] or type(error).__name__


def url_is_refused(status: int, code: str = "") -> bool:
    """Whether a signed URL was refused: another one, signed later, can succeed."""
    meaning = judge(status, code)
    if meaning in _OF_THE_STORE:
        return False
    return meaning.verdict in (Verdict.EXPIRED, Verdict.DENIED, Verdict.MISSING) or status in (401, 403, 404, 410)


def code_of(answer: str) -> str:
    """The error code in the XML or JSON of a reply; "" = none."""
    found = _CODE.search(answer[:MAX_ANSWER_BYTES])
    return (found[1] or found[2] or found[3]) if found else ""


def status_of(text: str) -> int:
    """The HTTP status in the text of an error, such as 403 for "403 Forbidden"; 0 = none."""
    found = _STATUS.search(text)
    return int(found[1]) if found else 0
