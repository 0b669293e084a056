"""What the answer of a storage server means: every code that is known, and the status where none is."""

from __future__ import annotations

import re

import pytest

from learnosity.api.signed_urls import refusal
from learnosity.errors import (
    LearnosityError,
    PermanentApiError,
    StorageError,
    TransferError,
    TransientStorageError,
    UrlExpiredError,
)
from learnosity.storage import error_codes
from learnosity.storage.error_codes import Verdict, judge
from learnosity.storage.errors import MAX_ANSWER_BYTES, code_of, first_line, refusal_of, status_of, storage_error
from tests.storage_answers import KNOWN, UNKNOWN, Case

SIGNED = {"passes": TransferError, "new URL": UrlExpiredError, "person": PermanentApiError}
WHERE = "s3://bucket/prefix/file.json"


def in_xml(code: str, message: str = "It is so.") -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'


def in_json(code: str) -> str:
    return (
        '{"error": {"code": 403, "message": "It is so.", "errors": [{"domain": "global", "reason": "' + code + '"}]}}'
    )


def from_obstore(case: Case, body: str) -> OSError:
    """An error as obstore words it."""
    return OSError(
        f"Generic S3 error: Error performing PUT https://bucket.example/file.json?X-Amz-Signature=hidden in 2.3ms - "
        f"Server returned non-2xx status code: {case.status} So So: {body}"
    )


def test_every_code_that_is_judged_has_a_case() -> None:
    assert set(error_codes._BY_CODE) <= {case.code for case in KNOWN}


@pytest.mark.parametrize("case", KNOWN + UNKNOWN, ids=str)
def test_code_and_status_decide_what_an_answer_means(case: Case) -> None:
    meaning = judge(case.status, case.code)
    assert meaning.transient == (case.store == "passes")
    assert (meaning.verdict is Verdict.MISSING) == (case.store == "missing")
    assert (meaning.verdict is Verdict.OVERLOADED) == case.overload
    if case.store == "person":
        assert case.says in f"{meaning.what} {meaning.advice}"


@pytest.mark.parametrize("status", [0, 200, 206, *range(300, 600)])
def test_a_code_that_says_nothing_leaves_it_to_the_status(status: int) -> None:
    meaning = judge(status, "UnknownError")
    assert meaning == (judge(status) if status >= 300 else judge(500))
    assert meaning.transient or status not in (0, 200, 206, 500, 502)
    assert not meaning.transient or status not in (400, 401, 403, 404, 405, 501)


@pytest.mark.parametrize("case", [case for case in KNOWN if case.store == "person"], ids=str)
def test_a_code_for_a_person_to_mend_says_what_is_wrong(case: Case) -> None:
    assert judge(case.status, case.code).what


@pytest.mark.parametrize("case", [case for case in KNOWN if case.store != "missing"], ids=str)
@pytest.mark.promise("advice")
@pytest.mark.promise("no secret")
def test_an_error_of_a_store_is_one_clear_text(case: Case) -> None:
    body = in_xml(case.code, "See https://help.example/?token=hidden")
    error = storage_error("write", WHERE, from_obstore(case, body))
    assert type(error) is (TransientStorageError if case.store == "passes" else StorageError)
    text = str(error)
    assert text.startswith(f"Could not write {WHERE}: ")
    assert f"HTTP {case.status}, {case.code}" in text
    assert case.says in text
    assert "hidden" not in text
    assert not re.search(r"[<>\n]|  |\.\.", text.replace("../", ""))


@pytest.mark.parametrize("case", KNOWN + UNKNOWN, ids=str)
def test_a_signed_url_is_judged_by_code_and_status(case: Case) -> None:
    error = refusal("PUT https://host/file?…", case.status, in_xml(case.code).encode() if case.code else b"")
    assert type(error) is SIGNED[case.signed]
    assert isinstance(error, LearnosityError)
    assert str(error).startswith("PUT https://host/file?…: ")
    assert "<" not in str(error)
    if isinstance(error, TransferError):
        assert error.overload == case.overload
    if case.status >= 400:
        assert (f"HTTP {case.status}, {case.code}" if case.code else f"HTTP {case.status}") in str(error)


@pytest.mark.parametrize("code", ["KMS.DisabledException", "InvalidRequest", "EntityTooLarge", "XMinioStorageFull"])
@pytest.mark.promise("advice")
def test_a_refusal_of_a_signed_url_says_what_is_wrong(code: str) -> None:
    error = refusal("PUT https://host/file?…", 400, in_xml(code).encode())
    assert judge(400, code).what in str(error)


@pytest.mark.parametrize("code", ["rateLimitExceeded", "userRateLimitExceeded"])
def test_a_limit_of_google_that_comes_as_403_asks_for_less(code: str) -> None:
    error = refusal("PUT https://host/file?…", 403, in_json(code).encode())
    assert isinstance(error, TransferError)
    assert error.overload


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (in_xml("SlowDown"), "SlowDown"),
        ("<Error><Code>\n  SlowDown\n</Code></Error>", "SlowDown"),
        ("<?xml version='1.0' encoding='UTF-8'?><Error><Code>ExpiredToken</Code></Error>", "ExpiredToken"),
        (in_json("rateLimitExceeded"), "rateLimitExceeded"),
        ('{"error":{"code":"AuthenticationFailed","message":"No."}}', "AuthenticationFailed"),
        ('{"code" : "ServerBusy"}', "ServerBusy"),
        ("Error deleting file.json: No. (code: AccessDenied)", "AccessDenied"),
        ("\ufeff" + in_xml("ServerBusy"), "ServerBusy"),
        ("", ""),
        ("<html><body>Bad gateway</body></html>", ""),
        ("<Code></Code>", ""),
        ("<Code>" + "x" * 81 + "</Code>", ""),
        ("<Code>an error</Code>", ""),
        (" " * MAX_ANSWER_BYTES + in_xml("SlowDown"), ""),
    ],
)
def test_the_code_is_found_in_what_each_kind_of_server_sends(answer: str, code: str) -> None:
    assert code_of(answer) == code


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("Server returned non-2xx status code: 403 Forbidden: <Error>", 403),
        ("503 Slow Down", 503),
        ("Error performing PUT http://127.0.0.1:40300/key in 500.1ms", 0),
        ("after 8 retries, max_retries: 8, retry_timeout: 180s", 0),
        ("", 0),
    ],
)
def test_the_status_is_found_in_the_text_of_an_error(text: str, status: int) -> None:
    assert status_of(text) == status


@pytest.mark.parametrize(
    ("cause", "transient", "says"),
    [
        ("invalid peer certificate: UnknownIssuer", False, "verify"),
        ("certificate verify failed: self-signed certificate", False, "verify"),
        ("invalid peer certificate: NotValidForName", False, "verify"),
        ("dns error: failed to lookup address information: Name or service not known", False, "no such host"),
        ("dns error: failed to lookup address information: nodename nor servname provided", False, "no such host"),
        ("dns error: failed to lookup address information: Temporary failure in name resolution", True, "looked up"),
        ("tcp connect error: Connection refused (os error 111)", True, "no server listens"),
        ("builder error: relative URL without a base", False, "is not a URL"),
        ("connection reset by peer", True, "reset by peer"),
        ("operation timed out", True, "timed out"),
        ("connection closed before message completed", True, "closed before"),
    ],
)
@pytest.mark.promise("advice")
def test_where_no_answer_comes_its_cause_decides(cause: str, transient: bool, says: str) -> None:
    error = storage_error(
        "read", WHERE, OSError(f"Generic S3 error: Error performing GET https://h/k?X-Amz-Signature=hidden - {cause}")
    )
    assert type(error) is (TransientStorageError if transient else StorageError)
    assert says in str(error)
    assert "hidden" not in str(error)


def test_a_certificate_that_has_expired_is_for_a_person_to_mend() -> None:
    error = storage_error("read", WHERE, OSError("Generic S3 error: HTTP error: invalid peer certificate: Expired"))
    assert type(error) is StorageError


def test_an_error_that_nobody_has_foreseen_is_not_tried_again() -> None:
    assert type(storage_error("read", WHERE, ValueError("no such option"))) is StorageError
    assert type(storage_error("read", WHERE, OSError("broken pipe"))) is TransientStorageError
    assert type(storage_error("read", WHERE, PermissionError("no"))) is StorageError


@pytest.mark.parametrize(
    ("status", "body", "store", "signed"),
    [
        pytest.param(
            301,
            "<Error><Code>PermanentRedirect</Code><Message>Another endpoint has to be used.</Message>"
            "<Endpoint>bucket.s3.eu-central-1.amazonaws.com</Endpoint></Error>",
            StorageError,
            PermanentApiError,
            id="a bucket of another region",
        ),
        pytest.param(
            400,
            in_xml("KMS.DisabledException", "The key is disabled."),
            StorageError,
            PermanentApiError,
            id="a key that is disabled",
        ),
        pytest.param(
            403,
            in_xml("RequestTimeTooSkewed", "Request time and server time differ too much."),
            StorageError,
            UrlExpiredError,
            id="a clock that differs",
        ),
        pytest.param(
            400,
            in_xml("InvalidRequest", "A checksum or Content-MD5 is needed for Object Lock."),
            StorageError,
            PermanentApiError,
            id="object lock",
        ),
        pytest.param(
            400,
            in_xml("RequestTimeout", "The connection was idle for too long."),
            TransientStorageError,
            TransferError,
            id="a connection that was idle",
        ),
        pytest.param(
            400,
            in_xml("ExpiredToken", "The token has expired."),
            TransientStorageError,
            UrlExpiredError,
            id="a token that has run out",
        ),
        pytest.param(
            400,
            "<?xml version='1.0' encoding='UTF-8'?><Error><Code>ExpiredToken</Code><Message>The URL is no longer "
            "valid.</Message><Details>Request signature expired at: 2026-11-28T07:00:00+00:00</Details></Error>",
            TransientStorageError,
            UrlExpiredError,
            id="a URL of Google that has run out",
        ),
    ],
)
def test_whole_answers(status: int, body: str, store: type[LearnosityError], signed: type[LearnosityError]) -> None:
    case = Case(status, code_of(body), "passes", "passes")
    assert type(storage_error("write", WHERE, from_obstore(case, body))) is store
    assert type(refusal("PUT https://host/file?…", status, body.encode())) is signed


def test_an_identity_that_has_run_out_is_asked_for_again() -> None:
    body = (
        b"<Error><Code>InvalidAuthenticationInfo</Code><Message>Server failed.</Message><AuthenticationErrorDetail>"
        b"Lifetime validation failed. The token is expired.</AuthenticationErrorDetail></Error>"
    )
    error = refusal_of("write", "abfs://container/x", 401, body)
    assert error.transient
    assert "run out" in str(error)
    assert not refusal_of(
        "write", "abfs://container/x", 401, body.replace(b"is expired", b"is of another tenant")
    ).transient
    google = (
        b'{"error": {"code": 401, "message": "Request had expired credentials", "errors": [{"reason": "authError"}]}}'
    )
    assert refusal_of("write", "gs://bucket/x", 401, google).transient


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("Request date header too old: 'Fri, 31 Jan 2020 12:28:37 GMT'", "Correct this machine's clock"),
        (
            "Signature not valid in the specified time frame: Start [Thu, 13 Jun 2019 16:18:07 GMT] - Expiry "
            "[Fri, 14 Jun 2019 16:23:07 GMT] - Current [Thu, 13 Jun 2019 09:22:53 GMT]",
            "Give the connection a new `sas_token`",
        ),
        ("Signature did not match. String to sign used was r", "access key or its secret is wrong"),
        ("The MAC signature found in the HTTP request 'x' is not the same", "access key or its secret is wrong"),
    ],
)
@pytest.mark.promise("advice")
def test_a_time_that_azure_does_not_accept_is_not_called_a_wrong_key(reason: str, says: str) -> None:
    body = (
        "<Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate.\nTime:now</Message>"
        f"<AuthenticationErrorDetail>{reason}</AuthenticationErrorDetail></Error>"
    )
    case = Case(403, "AuthenticationFailed", "person", "new URL")
    for error in (
        refusal_of("write", "abfs://container/x", 403, body.encode()),
        storage_error("write", "abfs://container/x", from_obstore(case, body)),
    ):
        assert type(error) is StorageError
        assert says in str(error)
        assert reason[:40] in str(error)


def test_the_reason_of_azure_is_shown() -> None:
    body = (
        b"<Error><Code>AuthenticationFailed</Code><Message>Server failed.</Message>"
        b"<AuthenticationErrorDetail>Not valid in the specified time frame</AuthenticationErrorDetail></Error>"
    )
    assert "Not valid in the specified time frame" in str(refusal_of("write", "abfs://container/x", 403, body))


DENIED_CASE = Case(403, "AccessDenied", "person", "new URL")
DENIED = "writer@team.iam.gserviceaccount.com does not have storage.objects.create access to the object."


@pytest.mark.parametrize(
    ("details", "shown", "hidden"),
    [
        (DENIED, DENIED.rstrip("."), ""),
        ("Cannot get legal entity of bucket: billing is disabled", "billing is disabled", ""),
        ("No access to https://host/x?X-Goog-Signature=verysecret", "No access to", "verysecret"),
        ("token=verysecret is not valid", "is not valid", "verysecret"),
    ],
)
def test_the_reason_of_google_is_shown(details: str, shown: str, hidden: str) -> None:
    body = f"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access denied.</Message><Details>{details}"
    for text in (
        str(refusal_of("write", "gs://bucket/x", 403, f"{body}</Details></Error>".encode())),
        str(storage_error("write", "gs://bucket/x", from_obstore(DENIED_CASE, f"{body}</Details></Error>"))),
    ):
        assert "Access denied" in text
        assert shown in text
        assert not hidden or hidden not in text


def test_a_long_message_leaves_room_for_the_details() -> None:
    body = f"<Error><Code>AccessDenied</Code><Message>{'no ' * 140}</Message><Details>{DENIED}</Details></Error>"
    text = str(refusal_of("write", "gs://bucket/x", 403, body.encode()))
    assert "storage.objects.create" in text
    assert len(text) < 700


@pytest.mark.parametrize(
    "text",
    [
        "<!DOCTYPE html><html><body>Access blocked (code: 1020)</body></html>",
        "<!DOCTYPE html><html><body>Access blocked (code: Blocked)</body></html>",
        "Connection reset by peer (code: 104)",
        "Error deleting x (code: SlowDown).json: timed out",
    ],
)
def test_words_of_a_page_or_a_name_are_no_code(text: str) -> None:
    assert code_of(text) == ""


def test_a_code_of_json_counts_before_words_of_its_message() -> None:
    text = '{"error":{"message":"Quota (code: Denied)","errors":[{"reason":"rateLimitExceeded"}]}}'
    assert code_of(text) == "rateLimitExceeded"


def test_a_line_end_in_the_name_of_an_object_does_not_end_the_reason() -> None:
    error = OSError("error sending request for url (http://h/b/a%0Ab.json): connection refused\nand more")
    assert first_line(error).endswith("connection refused")
    assert "and more" not in first_line(error)
