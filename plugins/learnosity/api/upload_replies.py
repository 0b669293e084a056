"""Whether the reply to an upload says that the part has arrived.

A status 200 does not prove that: a gateway replies so with its login page, and some servers with an error. A part that
is wrongly noted as uploaded is not sent again, and the job is started without it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from learnosity.errors import PermanentApiError, TransferError
from learnosity.storage.error_codes import Verdict, judge
from learnosity.storage.errors import MAX_ANSWER_BYTES, begins_as_error, begins_as_page, code_of

_PAGE_TYPES = ("text/html", "application/xhtml+xml")
# The entity tag of an empty object: the MD5 of no bytes. If a part with content gets this tag, its content was lost on
# the way. Other tags are not compared with the MD5 of the part: if the bucket encrypts with KMS, the tag of an object
# is no MD5, but looks like one.
_TAG_OF_NOTHING = "d41d8cd98f00b204e9800998ecf8427e"
# Finds an error anywhere in an XML body: an element such as `<Error>` or `<soap:Fault>`, or an `<errors>` that is not
# empty. An empty `<errors></errors>` says that there is no error.
_ERROR_ELEMENT = re.compile(
    r"<(?:[\w.-]+:)?(?:(?:error|errorresponse|fault)(?=[\s/>])|errors(?:\s[^>/]*)?>\s*(?!</)\S)", re.IGNORECASE
)
# The reply of a store has the entity tag of the stored object: in the header `ETag`, or in the body if the body
# describes the object, as in Google's JSON. If a reply has a body and no tag in either place, it is not from a store.
_TAG_IN_BODY = re.compile(r'"etag"\s*:\s*"[^"]|<ETag>\s*[^<\s]', re.IGNORECASE)
_GOOD_CODE = re.compile(r"0*|2\d\d|ok|success|none|created")


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
    if begins_as_error(text) or _is_xml_error(text) or _is_json_error(text):
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


def _is_xml_error(text: str) -> bool:
    return text.startswith("<") and not begins_as_page(text) and _ERROR_ELEMENT.search(text) is not None


def _is_json_error(text: str) -> bool:
    try:
        content = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and _says_error(
        {key.lower(): value for key, value in sorted(content.items(), key=lambda each: bool(each[1]))}
    )


def _says_error(words: Mapping[str, Any]) -> bool:
    """Whether an object has an error, or a code with a message, or is a refusal as the Data API replies it."""
    if words.get("error") or words.get("errors"):
        return True
    if "message" in words and not _GOOD_CODE.fullmatch(str(words.get("code") or "").lower()):
        return True
    meta = words.get("meta")
    return isinstance(meta, dict) and meta.get("status") is False


def _is_of_no_store(text: str, headers: Mapping[str, str], answer: bytes) -> bool:
    """Whether a body is a web page, or long, or compressed, which was not asked for, or comes without an entity tag.

    S3 and stores like it send the tag of each object that they have stored. A gateway that replies with a few words
    has none.
    """
    if begins_as_page(text) or len(answer) >= MAX_ANSWER_BYTES:
        return True
    if answer and headers.get("Content-Encoding", "").strip().lower() not in ("", "identity"):
        return True
    if text and not headers.get("ETag", "").strip() and _TAG_IN_BODY.search(text) is None:
        return True
    # Some servers say `text/html` for every body. So this type counts only if the body begins with `<`, as HTML does.
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() in _PAGE_TYPES and text.startswith("<")
