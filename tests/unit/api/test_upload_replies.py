"""Which replies to an upload count as success: those of S3 and of stores like it, and none that only has the status."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping

import pytest
from multidict import CIMultiDict

from learnosity.api.upload_replies import check_uploaded
from learnosity.errors import PermanentApiError, TransferError
from learnosity.storage.errors import MAX_ANSWER_BYTES
from tests.component.api.hand_made import xml

WHAT = "PUT https://host/in/0.ndjson?…"
PART = b'{"user_id":"u1"}\n'
TAG = {"ETag": '"a51f2bd7e5a7e7ff5c5d2d8dd8b2d3f1"'}
HTML = {"Content-Type": "text/html; charset=UTF-8"}
NOTHING = hashlib.md5(b"", usedforsecurity=False).hexdigest()
METADATA = b'{"kind":"storage#object","name":"0.ndjson","size":"17","etag":"CJ=","error_count":0}'


def check(answer: bytes = b"", headers: Mapping[str, str] | None = None, status: int = 200, part: bytes = PART) -> None:
    check_uploaded(WHAT, status, CIMultiDict(headers or {}), answer, len(part))


@pytest.mark.parametrize(
    ("answer", "headers"),
    [
        pytest.param(b"", {"ETag": f'"{hashlib.md5(PART, usedforsecurity=False).hexdigest()}"'}, id="S3"),
        pytest.param(b"", TAG, id="S3 with a key of KMS"),
        pytest.param(b"", {"ETag": f'"{NOTHING}-1"'}, id="a tag that is no MD5"),
        pytest.param(b"", {}, id="no tag"),
        pytest.param(b"", HTML | {"ETag": '"CJ="'}, id="Google: no body, of the type of a page"),
        pytest.param(b"", {"Content-Encoding": "gzip"}, id="no body, of any compression"),
        pytest.param(b"\r\n", HTML, id="an empty line"),
        pytest.param(b"OK", HTML | TAG, id="a word, of the type of a page"),
        pytest.param(METADATA, {"Content-Type": "application/json"}, id="what the object is, as JSON"),
        pytest.param(METADATA, {}, id="the same without a type"),
        pytest.param(METADATA, TAG, id="the same with a tag"),
        pytest.param(b'{"error":null,"errors":[]}', TAG, id="no error"),
        pytest.param(b'{"Error":null,"Code":0,"Message":"OK"}', TAG, id="no error, and a code"),
        pytest.param(b'{"code":200,"message":"stored"}', TAG, id="the code of success"),
        pytest.param(b'{"code":"OK","message":"stored"}', TAG, id="the code of success as a word"),
        pytest.param(b'{"code":7,"meta":{"status":true}}', TAG, id="a code without a message"),
        pytest.param(b"<?xml version='1.0'?><PutObjectResult/>", TAG, id="a result"),
        pytest.param(b"<?xml version='1.0'?><PutObjectResult><Errors/></PutObjectResult>", TAG, id="an empty list"),
        pytest.param(b"<R><Errors></Errors><error-count>0</error-count></R>", TAG, id="a count of errors"),
        pytest.param(b'{"code":201,"message":"Created"}', TAG, id="another code of success"),
        pytest.param(b'{"code":"0000","message":"ok"}', TAG, id="zeros"),
        pytest.param(b"<PutObjectResult><ETag>x</ETag></PutObjectResult>", TAG, id="a result that begins at once"),
        pytest.param(b"<?xml version='1.0'?><CopyObjectResult><ETag>x</ETag></CopyObjectResult>", {}, id="its own tag"),
        pytest.param(b"{" * 900, TAG, id="neither JSON nor a page"),
    ],
)
def test_a_reply_that_a_store_may_give_is_a_success(answer: bytes, headers: Mapping[str, str]) -> None:
    check(answer, headers)


@pytest.mark.parametrize(
    ("answer", "headers"),
    [
        (b"<html>login</html>", HTML),
        (b"<html>login</html>", {}),
        (b"\xef\xbb\xbf\r\n <!DOCTYPE html>\n<html lang=en>", {}),
        (b"<!-- generated --><HTML><body>Sign in", {"Content-Type": "text/plain"}),
        (b"<h1>It works!</h1>", {}),
        (b"<script>location='/login'</script>", HTML),
        (b"\n<meta http-equiv=refresh content=0>", {"Content-Type": "Application/XHTML+xml"}),
        (b"<html>login</html>", TAG),
        (gzip.compress(b"<html>login</html>"), HTML | {"Content-Encoding": "gzip"}),
        (b"x" * MAX_ANSWER_BYTES, {}),
        (b" " * MAX_ANSWER_BYTES, {}),
        (b"<script>location='/login'</script>", {}),
        (b"<meta http-equiv=refresh content=0>", {}),
        (b"<div>Sign in</div>", {}),
        (b"<center><b>403</b></center>", {"Content-Type": "text/plain"}),
        (b"<style>a{}</style><html>", {}),
        ("<html>login</html>".encode("utf-16"), HTML),
        (b"\0<html>login</html>", HTML),
        (b"Access denied", {"Content-Type": "text/plain"}),
        (b"error code: 1020", {"Content-Type": "text/plain", "ETag": " "}),
        (b"OK", HTML),
        (b'{"message":"Forbidden"}', {"Content-Type": "application/json"}),
        (b'{"success":false,"etag":""}', {}),
        (b'[{"error":"x"}]', {}),
        (b"<?xml version='1.0'?><PutObjectResult/>", {"Content-Type": "application/xml"}),
    ],
)
@pytest.mark.promise("advice")
def test_a_reply_of_something_else_passes(answer: bytes, headers: Mapping[str, str]) -> None:
    with pytest.raises(TransferError, match="not that of a storage server.*login page") as caught:
        check(answer, headers)
    assert str(caught.value).startswith(f"{WHAT}: ")
    assert "<" not in str(caught.value)


@pytest.mark.parametrize("tag", [{}, TAG], ids=["no tag", "a tag"])
@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize(
    ("answer", "code", "overload"),
    [
        (b"<Error><Code>InternalError</Code></Error>", "InternalError", False),
        (b"\n \n" + xml("SlowDown", "See https://help.example/?token=hidden"), "SlowDown", True),
        (b"\xef\xbb\xbf" + xml("NoSuchThing"), "NoSuchThing", False),
        (xml("AccessDenied"), "AccessDenied", False),
        (b"<Error/>", "", False),
        (b'<ErrorResponse xmlns="x"><Error><Code>Throttling</Code></Error></ErrorResponse>', "Throttling", True),
        (b'{"error":{"code":503,"errors":[{"reason":"backendError"}]}}', "backendError", False),
        (b' {"errors":["blocked by policy"]}', "", False),
        (b'{"Error":{"code":"SlowDown"}}', "SlowDown", True),
        (b'{"Error":{"Code":"InternalError"}}', "", False),
        (b'{"ERRORS":[{"Code":7}]}', "", False),
        (b'{"Code":"AccessDenied","Message":"x"}', "", False),
        (b'{"code":"InternalError","message":"x"}', "InternalError", False),
        (b'{"code":403,"message":null}', "", False),
        (b'{"meta":{"status":false,"message":"expired"}}', "", False),
        (b'{"meta":{"status":false},"data":null}', "", False),
        (b"<Response><Errors><Error><Code>SlowDown</Code></Error></Errors></Response>", "SlowDown", True),
        (b"<?xml version='1.0'?><!DOCTYPE Error><Error><Code>SlowDown</Code></Error>", "SlowDown", True),
        (b'<s3:Error xmlns:s3="x"><s3:Code>InternalError</s3:Code></s3:Error>', "", False),
        (b"<error><code>x</code></error>", "", False),
        (b"<soap:Envelope><soap:Body><soap:Fault/></soap:Body></soap:Envelope>", "", False),
    ],
)
@pytest.mark.promise("no secret")
def test_an_error_with_a_status_of_success_passes(
    answer: bytes, code: str, overload: bool, status: int, tag: dict[str, str]
) -> None:
    with pytest.raises(TransferError) as caught:
        check(answer, {"Content-Type": "application/xml"} | tag, status)
    said = f"HTTP {status}, {code}" if code else f"HTTP {status}"
    assert str(caught.value) == f"{WHAT}: the storage server replied with an error ({said})."
    assert caught.value.overload == overload


@pytest.mark.parametrize("tag", [f'"{NOTHING}"', NOTHING, f'"{NOTHING.upper()}"', f'W/"{NOTHING}"', f' "{NOTHING}" '])
@pytest.mark.parametrize("name", ["ETag", "etag"])
def test_the_tag_of_nothing_is_that_of_an_empty_part_only(tag: str, name: str) -> None:
    with pytest.raises(TransferError, match="has stored an empty file"):
        check(headers={name: tag})
    check(headers={name: tag}, part=b"")


@pytest.mark.parametrize("status", [201, 202, 203, 204, 205, 206, 207, 226])
@pytest.mark.parametrize("answer", [b"", b"<html>Created</html>"])
@pytest.mark.promise("advice")
def test_another_status_of_success_is_unexpected_and_no_refusal(status: int, answer: bytes) -> None:
    with pytest.raises(PermanentApiError, match=rf"unexpected status \(HTTP {status}\)") as caught:
        check(answer, {"ETag": '"1"'}, status)
    assert "refused" not in str(caught.value)
