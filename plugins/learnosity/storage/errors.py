"""Turns an error of a storage server or of its client into an error of this package: S3, GCS, Azure and files.

`storage.error_codes` says what each error code means.
"""

from __future__ import annotations

import re

from learnosity.egress import proxy_failure
from learnosity.errors import ConnectionConfigError, LearnosityError, StorageError, TransientStorageError
from learnosity.redaction import redact_text
from learnosity.storage.error_codes import (
    ARCHIVED,
    BUCKET,
    CLOCK,
    CUT,
    ELSEWHERE,
    EXPIRED,
    KMS,
    MOVING,
    NO_STORE,
    OVERLOADED,
    QUOTA,
    REGION,
    REQUEST,
    SIGNATURE_TIME,
    Meaning,
    Verdict,
    cause_in_file_system,
    cause_of,
    judge,
)

# At most this many bytes of an error reply are read. The error code is near the beginning, so the rest is not needed.
MAX_ANSWER_BYTES = 4096

# Finds the error code in XML, in JSON, and in obstore's message about an object that a bulk delete could not remove.
_CODE = re.compile(
    r"<Code>\s*([A-Za-z0-9_.-]{1,80})\s*</Code>|\"(?:code|reason)\"\s*:\s*\"([A-Za-z0-9_.-]{1,80})\""
    r"|\A[^<{]*\(code: ([A-Z][A-Za-z]{1,79})\)\.?\s*\Z"
)
_LINE_END = "\u2028"
_MESSAGE = re.compile(r"<Message>\s*([^<]{1,500})</Message>|\"message\"\s*:\s*\"([^\"]{1,500})\"")
# Azure says in this XML element why it does not accept the caller's identity.
_DETAIL = re.compile(r"<AuthenticationErrorDetail>\s*([^<]{1,500})")
# Google says in this XML element which right is missing, or why a bucket cannot be used. Google's <Message> itself says
# no more than "Access denied."
_DETAILS = re.compile(r"<Details>\s*([^<]{1,500})")
# Finds the HTTP status in obstore's error text, such as `404 Not Found`. After a status that has no official name, such
# as 499, obstore writes `<unknown status code>`.
_STATUS = re.compile(r"\b([1-5]\d\d) (?:[A-Z][A-Za-z-]+|<unknown status code>)")
# Finds the words after which obstore's error text quotes the store's reply. If a text has these words, the error code
# is looked for only after them. The name of the object stands before them, and a name can look like an error code.
_REQUEST = re.compile(r"Error performing [A-Z]+ \S+ in ")
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.I)


# Finds an error of this package in the text of obstore's error. obstore calls this package to get credentials. If this
# call raises an error, obstore's error contains only the name and the text of our error.
_OURS = re.compile(r"\b(TransientStorageError|ConnectionConfigError|StorageError): ([^\n]*)")


# Matches all that may stand before the first element of a web page or of an XML document, such as `<?xml …?>`.
_PROLOGUE = r"\ufeff?(?>(?:<\?xml[^>]*>|<!--.*?-->|\s)*)"
# Finds the beginning of a web page: at the start of a body, or after `: `, where obstore's error text quotes the body.
_WEB_PAGE = re.compile(rf"(?:^|: ){_PROLOGUE}<(?:!doctype\s+html|html|head|title|body|h1)\b", re.I | re.S)
_ERROR_DOCUMENT = re.compile(rf"{_PROLOGUE}<Error(?:Response)?\b", re.S)

_WEB_PAGE_404 = "it has status 404 and is a web page"

# Azure sends the code `AuthenticationFailed` whatever is wrong with the caller's identity. Only its message tells more.
# Each pair has a part of such a message, in lower case, and the meaning that the error then gets. Both are about time:
# the signature is not valid now, or the date in the request is too old.
_OF_TIME = (("not valid in the specified time frame", SIGNATURE_TIME), ("request date header too old", CLOCK))

# If a request with a signed URL is refused for one of these reasons, a new signed URL would be refused, too.
_OF_THE_STORE = (OVERLOADED, QUOTA, KMS, REQUEST, ARCHIVED)


def storage_error(
    verb: str, where: str, error: BaseException, proxy: str | None = None, *, local: bool = False
) -> LearnosityError:
    """The error of this package for an error of a store's client.

    :param verb: what was to be done, such as "write".
    :param where: the object's URI.
    :param proxy: URL of the proxy that the client uses; None = none.
    :param local: whether it is an error of a file system. It has no code and no status, but it names a file, and people
        name their files as they like.
    """
    text = str(error)
    if local:
        cause = cause_in_file_system(error, _words_of_system(error))
        return _error(verb, where, cause, first_line(error).rstrip("."))
    if not _REQUEST.search(text) and (ours := _OURS.search(text)):
        # obstore called this package to get credentials, and this call raised an error. obstore keeps only the name and
        # the text of that error. The next lines make an error of the same class again.
        kind = {"TransientStorageError": TransientStorageError, "ConnectionConfigError": ConnectionConfigError}
        return kind.get(ours[1], StorageError)(f"Could not {verb} {where}: {ours[2][:500]}")
    reply = reply_in(text, where)
    code, status = code_of(reply), status_of(reply)
    if code or status:
        return refusal(verb, where, status, code, _message_of(reply), _details_of(reply))
    if failure := proxy_failure(proxy, text):
        kind_of_proxy = TransientStorageError if failure[1] else StorageError
        return kind_of_proxy(f"Could not {verb} {where}: {failure[0]}")
    return _error(verb, where, cause_of(error, text), first_line(error).rstrip("."))


def reply_in(text: str, where: str) -> str:
    """What the store said, as the text of an error has it: without the names of objects, which may look like a reply.

    :param where: the object's URI.
    """
    text = text.partition("\n\nDebug source:")[0]
    if requests := list(_REQUEST.finditer(text)):
        return text[requests[-1].end() :]
    key = where.partition("://")[2].partition("/")[2]
    return _URL.sub(" ", text.replace(key, " ") if code_of(key) or status_of(key) else text)


def _words_of_system(error: BaseException) -> str:
    """What the operating system said, without the name of the file."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    line = str(error).partition("\n\nDebug source:")[0]
    return f"{line.partition(' ')[0]}: {line.rpartition(': ')[2]}"


def refusal(verb: str, where: str, status: int, code: str, message: str, details: str = "") -> LearnosityError:
    """The error of this package for a reply that refuses a request.

    :param verb: what was to be done, such as "write".
    :param where: the object's URI.
    :param status: HTTP status; 0 = unknown.
    :param code: error code in the body of the reply; "" = none.
    :param message: the store's own words; "" = none.
    :param details: more of them; "" = none.
    """
    words = (redact_text(each)[:200].rstrip(". \n") for each in (message, details))
    said = ", ".join(filter(None, [f"HTTP {status}" if status else "", code, *words]))
    if verb == "look at" and status in (400, 409) and not code:
        # "look at" is a HEAD request. Its reply has no body, and so no error code. Without a code, status 400 or 409
        # can mean a temporary error or a final one: it counts as temporary. Status 400 can also mean that the bucket is
        # in another region. So `wrong_region` is set, and `RelocatingStore` looks up the region.
        unclear = TransientStorageError(f"Could not {verb} {where}: {said}.")
        unclear.wrong_region = status == 400
        return unclear
    meaning = judge(status, code)
    if status == 401 and "expired" in message.lower():
        meaning = EXPIRED
    if code == "AuthenticationFailed":
        meaning = next((time for words_of_it, time in _OF_TIME if words_of_it in message.lower()), meaning)
    if verb == "list" and meaning.verdict is Verdict.MISSING:
        meaning = BUCKET  # a listing of an empty folder succeeds, so here the bucket is missing
    return _error(verb, where, meaning, said)


def refusal_of(verb: str, where: str, status: int, body: bytes) -> LearnosityError:
    """The same for a whole reply.

    :param body: of the reply, or its beginning. With status 200 it is an error of a store that has begun to reply.
    """
    text = body[:MAX_ANSWER_BYTES].decode(errors="replace")
    code = code_of(text)
    if status == 200 and not code:
        return odd_reply(verb, where, "it is an error without a code", transient=True)
    if status == 404 and is_web_page(text):
        return odd_reply(verb, where, _WEB_PAGE_404)
    return refusal(verb, where, status, code, _message_of(text), _details_of(text))


def odd_reply(verb: str, where: str, what: str, *, transient: bool = False) -> LearnosityError:
    """A reply of success that is not what a store of its kind replies, as an error of this package.

    :param verb: what was to be done, such as "list".
    :param where: the object's URI.
    :param what: what the reply is, in a few words after "it".
    :param transient: whether the same request may get another reply later.
    """
    return _error(verb, where, CUT if transient else NO_STORE, what)


def _message_of(text: str) -> str:
    """The store's own words in a reply; "" = none."""
    if detail := _DETAIL.search(text):
        return detail[1]
    found = _MESSAGE.search(text)
    return (found[1] or found[2]) if found else ""


def _details_of(text: str) -> str:
    """What a reply of Google says beside its message; "" = nothing."""
    found = _DETAILS.search(text)
    return found[1] if found else ""


def _error(verb: str, where: str, meaning: Meaning, said: str) -> LearnosityError:
    what = f"{meaning.what}. {meaning.advice} ({said})".replace("  ", " ") if meaning.what else f"{said}."
    said = f"Could not {verb} {where}: {what}"
    error = TransientStorageError(said) if meaning.transient else StorageError(said)
    error.wrong_region = meaning in (REGION, MOVING, ELSEWHERE)
    if isinstance(error, StorageError):
        error.denied = meaning.verdict is Verdict.DENIED
    return error


def check_missing(verb: str, where: str, answer: str) -> None:
    """Check that it is the store that says that something is missing. A gateway says it, too, and with a web page.

    :param answer: body of the reply with status 404, or the text of obstore's error about it.
    :raises StorageError: the body is a web page.
    """
    if is_web_page(answer[:MAX_ANSWER_BYTES]):
        raise odd_reply(verb, where, _WEB_PAGE_404)


def is_web_page(answer: str) -> bool:
    """Whether a reply, or the text of an error that quotes it, is a web page and not the refusal of a store."""
    return _WEB_PAGE.search(answer) is not None and not code_of(answer)


def begins_as_page(begin: str) -> bool:
    """Whether the begin of a body is that of a web page."""
    return begin.lstrip("\ufeff\t\r\n ").startswith("<") and _WEB_PAGE.match(begin) is not None


def begins_as_error(begin: str) -> bool:
    """Whether the begin of a body is that of a store's error in XML."""
    return _ERROR_DOCUMENT.match(begin) is not None


def check_headers(verb: str, where: str, etag: str | None, modified: float) -> None:
    """Check that a reply has the headers that every store sends with an object. A login page may have status 200, too.

    :param modified: time of the last write, in Unix seconds; 0 = the reply has none.
    :raises StorageError: one of them is missing.
    """
    if missing := "ETag" if not etag else "Last-Modified" if not modified else "":
        raise odd_reply(verb, where, f"it has no {missing}")


def first_line(error: BaseException) -> str:
    """First line of an error's text, without the query of any URL in it, at most 300 characters.

    The text is redacted before it is cut: a secret may go on in the next line.
    """
    # `redact_text` decodes a `%0A` in a URL to a line break, but the line does not end there. So the line breaks of the
    # text itself are first replaced with `_LINE_END`, and the text is cut at the first of these.
    lines = redact_text(str(error).strip().replace("\n", _LINE_END)).partition(_LINE_END)
    return lines[0].replace("\n", " ").rstrip()[:300] or type(error).__name__


def url_is_refused(status: int, code: str = "") -> bool:
    """Whether a reply refuses a signed URL in a way that a newly signed URL can change."""
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
