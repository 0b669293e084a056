"""Whether the reply to an upload says that the part has arrived.

A status 200 does not prove that: a gateway replies so with its login page, and some servers with an error. A part that
is wrongly noted as uploaded is not sent again, and the job is started without it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from learnosity.errors import PermanentApiError, TransferError
from learnosity.storage.error_codes import Verdict, judge
from learnosity.storage.errors import MAX_ANSWER_BYTES, begins_as_error, begins_as_page, code_of

_PAGE_TYPES = ("text/html", "application/xhtml+xml")
# The MD5 of no bytes: the entity tag of an empty object. No other tag is compared with the MD5 of the part: the tag of
# an object that is encrypted with a key of KMS is no MD5, and it looks like one.
_TAG_OF_NOTHING = "d41d8cd98f00b204e9800998ecf8427e"


def check_uploaded(what: object, status: int, headers: Mapping[str, str], answer: bytes, length: int) -> None:
    """Check that a reply to a PUT is one that S3, or a store like it, gives to a part that has arrived.

    :param what: the name of the request. Its text is safe for a message.
    :param status: HTTP status below 300.
    :param headers: of the reply; names may be in any case.
    :param answer: the beginning of its body, at most `MAX_ANSWER_BYTES`. That of S3 has no body.
    :param length: bytes of the part.
    :raises TransferError: something else replied, or the object is empty; the same PUT may be sent again.
    :raises PermanentApiError: S3 never replies to a PUT with this status.
    """
    text = answer.decode(errors="replace").strip("\ufeff\t\r\n ")
    if begins_as_error(text) or _is_json_error(text):
        code = code_of(text)
        raise TransferError(
            f"{what}: the storage server replied with an error (HTTP {status}{f', {code}' if code else ''}).",
            overload=judge(status, code).verdict is Verdict.OVERLOADED,
        )
    if status != 200:
        raise PermanentApiError(
            f"{what}: unexpected status (HTTP {status}). S3 replies to an upload with 200, so it is not certain that "
            "the file has arrived. Check whether a proxy or a firewall replies in its place."
        )
    if _is_of_no_store(text, headers, answer):
        raise TransferError(
            f"{what}: the reply (HTTP 200) is not that of a storage server, so it is not certain that the file has "
            "arrived. Check whether a proxy, a firewall or a login page replies in its place."
        )
    tag = headers.get("ETag", "").strip().removeprefix("W/").strip('"').lower()
    if length and tag == _TAG_OF_NOTHING:
        raise TransferError(
            f"{what}: the storage server has stored an empty file: its reply has the ETag of no content. Check any "
            "proxy in between."
        )


def _is_json_error(text: str) -> bool:
    try:
        content = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and bool(content.get("error") or content.get("errors"))


def _is_of_no_store(text: str, headers: Mapping[str, str], answer: bytes) -> bool:
    """Whether a body is a web page, or long, or compressed, which was not asked for."""
    if begins_as_page(text) or len(answer) >= MAX_ANSWER_BYTES:
        return True
    if answer and headers.get("Content-Encoding", "").strip().lower() not in ("", "identity"):
        return True
    # Some servers give this type to every body. So it counts only if the body begins as a page does.
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() in _PAGE_TYPES and text.startswith("<")
