"""Reading the API's answers: lenient in shape, strict in verdict."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.api.replies import SMALL_BODY, Reply, is_clock_error, parse_reply, require_text, text_of
from learnosity.errors import (
    ApiError,
    AuthenticationError,
    ConflictError,
    NotReadyError,
    PermanentApiError,
    TransientApiError,
    UnexpectedReplyError,
    WrongAddressError,
)

# The whole table of documented codes: code, HTTP status, what it is here.
TABLE: list[tuple[int, int, type[ApiError]]] = [
    (10000, 500, TransientApiError),
    (20000, 400, PermanentApiError),
    (20001, 400, PermanentApiError),
    (20002, 400, PermanentApiError),
    (20003, 400, PermanentApiError),
    (20004, 400, PermanentApiError),
    (20009, 400, PermanentApiError),
    (20010, 400, PermanentApiError),
    (20011, 409, ConflictError),
    (20012, 404, PermanentApiError),
    (20013, 400, PermanentApiError),
    (20014, 400, PermanentApiError),
    (20015, 400, PermanentApiError),
    (20016, 400, PermanentApiError),
    (20017, 400, PermanentApiError),
    (20018, 500, TransientApiError),
    (20027, 400, PermanentApiError),
    (30000, 400, ConflictError),
    (30001, 400, PermanentApiError),
    (30003, 400, PermanentApiError),
    (40000, 400, AuthenticationError),
    (40001, 405, AuthenticationError),
    (40002, 403, AuthenticationError),
    (40003, 403, AuthenticationError),
    (41000, 400, AuthenticationError),
    (41001, 403, AuthenticationError),
    (41002, 403, AuthenticationError),
    (41003, 403, AuthenticationError),
    (41004, 403, AuthenticationError),
    (41005, 403, AuthenticationError),
    (41006, 400, AuthenticationError),
    (41007, 400, AuthenticationError),
    (41008, 403, AuthenticationError),
    (41009, 403, AuthenticationError),
    (42000, 429, TransientApiError),
    (42001, 410, PermanentApiError),
    (43000, 400, PermanentApiError),
    (44000, 400, PermanentApiError),
    (50000, 400, NotReadyError),
    (50100, 500, TransientApiError),
]


def body(code: int | None = None, message: str | None = "what is wrong", *, status: Any = False, **more: Any) -> bytes:
    meta = {"status": status, "code": code, "message": message, **more}
    return json.dumps({"meta": {key: value for key, value in meta.items() if value is not None}}).encode()


def success(data: Any, **meta: Any) -> bytes:
    return json.dumps({"meta": {"status": True, **meta}, "data": data}).encode()


def error_of(http_status: int, content: bytes, retry_after: float | None = None) -> ApiError:
    with pytest.raises(ApiError) as caught:
        parse_reply(http_status, content, retry_after=retry_after)
    return caught.value


@pytest.mark.parametrize(("code", "http_status", "kind"), TABLE)
def test_each_code_of_the_table_becomes_its_error_whatever_the_http_status(
    code: int, http_status: int, kind: type[ApiError]
) -> None:
    for served in (http_status, 200):
        for given_code in (code, str(code)):
            error = error_of(served, body(given_code))  # type: ignore[arg-type]
            assert type(error) is kind
            assert error.transient == issubclass(kind, TransientApiError)
            assert (error.code, error.http_status) == (code, served)
            assert "what is wrong" in str(error)
            assert f"code {code}" in str(error)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (20012, "host and the `version` of the connection"),
        (40003, "organisation_id"),
        (41000, "https host"),
        (41002, "consumer key (login) of the connection"),
        (41003, "consumer secret (password) of the connection"),
        (41004, "this machine's clock"),
        (41005, "extra `domain`"),
        (41009, "active key set"),
        (42001, "newer `version`"),
        (43000, "newer `version`"),
        (44000, "`dataset_type` in the run config"),
    ],
)
def test_an_error_that_a_user_can_mend_says_where(code: int, says: str) -> None:
    assert says in str(error_of(400, body(code)))


def test_only_the_clock_codes_are_worth_one_fresh_signature() -> None:
    assert [code for code, status, _ in TABLE if is_clock_error(error_of(status, body(code)))] == [41004, 41007]


@pytest.mark.parametrize("http_status", [500, 502, 503, 504])
def test_a_server_error_with_a_code_nobody_knows_is_transient(http_status: int) -> None:
    assert isinstance(error_of(http_status, body(99999)), TransientApiError)
    assert isinstance(error_of(http_status, body(None)), TransientApiError)


@pytest.mark.parametrize("http_status", [408, 425])
def test_a_status_that_asks_for_another_try_is_transient_in_every_form(http_status: int) -> None:
    for content in (body(None), body(None, None), b"", b"<html>", body("none")):  # type: ignore[arg-type]
        error = error_of(http_status, content)
        assert isinstance(error, TransientApiError)
        assert not error.nothing_done, "a `set` may have had its effect"
    for code, _, kind in TABLE:
        assert type(error_of(http_status, body(code))) is kind, "a code says more"


@pytest.mark.parametrize("http_status", [200, 400, 403, 418])
def test_a_refusal_with_a_code_nobody_knows_is_permanent(http_status: int) -> None:
    assert type(error_of(http_status, body(99999))) is PermanentApiError
    assert type(error_of(http_status, body(None))) is PermanentApiError


@pytest.mark.parametrize(("code", "http_status", "kind"), TABLE)
def test_a_call_that_was_refused_had_no_effect_and_any_other_one_may_have_had_one(
    code: int, http_status: int, kind: type[ApiError]
) -> None:
    certain = code == 42000 or kind not in (TransientApiError, ConflictError)
    for served in (http_status, 200):
        assert error_of(served, body(code)).nothing_done == certain


@pytest.mark.parametrize("code", [1, 10001, 30002, 50001, 50002, 60000, 99999], ids=repr)
def test_with_a_code_that_is_no_refusal_a_call_may_have_had_an_effect_with_every_status(code: int) -> None:
    certain = {status for status in range(200, 600) if error_of(status, body(code)).nothing_done}
    assert certain == {429}, "the rate limit does not pass a call on"


def test_without_a_code_a_refusal_had_no_effect_only_where_nobody_can_have_passed_the_call_on() -> None:
    certain = {status for status in range(200, 600) if error_of(status, body(None)).nothing_done}
    assert certain == {301, 307, 308, 400, 401, 404, 405, 407, 410, 411, 413, 414, 415, 421, 429, 431}


@pytest.mark.parametrize("status", [None, 0, 1, "true", "ok", {}], ids=repr)
def test_a_status_that_is_not_understood_does_not_say_that_a_call_had_no_effect(status: Any) -> None:
    for http_status in (200, 400):
        content = json.dumps({"meta": {"status": status, "code": 20004}, "data": {"job_reference": "a"}}).encode()
        assert not error_of(http_status, content).nothing_done


def test_without_a_verdict_a_call_had_no_effect_only_where_nobody_can_have_passed_it_on() -> None:
    refused = {status for status in range(200, 600) if error_of(status, b"<html>").nothing_done}
    assert refused == {301, 307, 308, 400, 401, 404, 405, 407, 410, 411, 413, 414, 415, 421, 429, 431}


NO_VERDICT = {
    "html": b"<html><body>Scheduled maintenance</body></html>",
    "text": b"Invalid request, see https://help.learnosity.com for further information",
    "empty": b"",
    "cut-short": b'{"meta": {"status": true}, "data": {"dataset_id": "a95',
    "bytes": b"\xff\xfe\x00",
    "number": b"17",
    "null": b"null",
    "list": b"[]",
    "no-meta": b'{"data": []}',
    "meta-is-a-list": b'{"meta": [true]}',
    "meta-without-status": b'{"meta": {"records": 1}, "data": []}',
    "nested-without-end": b"[" * 100_000,
}


@pytest.mark.parametrize("content", NO_VERDICT.values(), ids=NO_VERDICT)
def test_without_a_readable_verdict_http_decides(content: bytes) -> None:
    for http_status in (200, 201, 408, 425, 429, 500, 502, 503, 504):
        error = error_of(http_status, content)
        assert isinstance(error, TransientApiError), http_status
        assert error.nothing_done == (http_status == 429)
    for http_status in (301, 302, 307, 308):
        assert "redirect" in str(error_of(http_status, content))
    for http_status in (301, 307, 400, 401, 403, 404, 405, 410, 413):
        assert type(error_of(http_status, content)) is WrongAddressError, http_status


@pytest.mark.parametrize("blanks", ["", " ", "\r\n"])
def test_a_byte_order_mark_hides_no_verdict(blanks: str) -> None:
    mark = f"\ufeff{blanks}".encode()
    assert parse_reply(200, mark + success({"files": []}), names_files=True).data == {"files": []}
    with pytest.raises(NotReadyError):
        parse_reply(400, mark + body(50000))
    with pytest.raises(UnexpectedReplyError, match="twice"):
        parse_reply(200, mark + b'{"meta": {"status": true}, "data": {"a": "//1", "a": "//2"}}', names_files=True)


def test_a_page_that_is_not_there_says_what_to_check() -> None:
    error = error_of(404, NO_VERDICT["text"])
    assert str(error) == (
        "Learnosity does not know this address (HTTP 404). Check host and `version` of the connection."
    )


def test_a_body_never_gets_into_the_message_unless_the_api_meant_it_to() -> None:
    for http_status in (200, 404, 500):
        assert "maintenance" not in str(error_of(http_status, NO_VERDICT["html"]))


@pytest.mark.parametrize("http_status", [301, 307, 400, 403, 500])
def test_a_verdict_of_success_does_not_outweigh_an_http_error(http_status: int) -> None:
    error_of(http_status, success({"dataset_id": "x"}))


@pytest.mark.parametrize("status", [None, 0, 1, "true", "false", [], {}])
def test_only_true_is_a_success(status: Any) -> None:
    error_of(200, json.dumps({"meta": {"status": status}, "data": {}}).encode())


def test_signatures_and_signed_urls_in_a_message_do_not_get_into_the_error() -> None:
    signature = "$02$" + "4f" * 32
    said = f"{signature} is wrong for https://b.s3.amazonaws.com/x?Signature=abc&Expires=1"
    text = str(error_of(403, body(41003, said)))
    assert signature not in text
    assert "abc" not in text
    assert "… is wrong for …" in text


def test_a_message_is_kept_short_and_an_id_for_the_vendors_support_is_kept() -> None:
    text = str(error_of(400, body(20004, "x" * 100_000, request_uuid="33285a4b-0e6e-47e4-bade-78999ada14db")))
    assert len(text) < 1000
    assert "request 33285a4b-0e6e-47e4-bade-78999ada14db" in text
    assert len(str(error_of(400, body(20004, request_uuid="y" * 5000)))) < 1000


@given(
    http_status=st.integers(200, 599),
    content=st.binary(max_size=40)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["meta", "status", "code", "message", "data"]), inner, max_size=4)
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
)
def test_no_answer_whatever_ends_in_anything_but_a_reply_or_a_typed_error(http_status: int, content: bytes) -> None:
    try:
        reply = parse_reply(http_status, content)
    except ApiError as error:
        assert error.http_status == http_status
    else:
        assert http_status < 300
        assert reply.meta["status"] is True
        assert isinstance(reply.records(), list)


@pytest.mark.parametrize(
    "data",
    [
        {"dataset_id": "d", "job_reference": "j"},
        [{"dataset_id": "d", "job_reference": "j"}],
        {"dataset": {"dataset_id": "d", "job_reference": "j"}},
        {"a": {"b": {"job_reference": "j"}}},
        [{"dataset": {"job_reference": "j"}}],
        {"job_reference": None, "job": {"job_reference": "j"}},
        [17, None, {"job_reference": "j", "unknown": [1, 2]}],
    ],
)
def test_a_key_is_found_in_an_object_or_an_array_and_up_to_two_levels_down(data: Any) -> None:
    reply = parse_reply(200, success(data))
    assert reply.find("job_reference") == "j"
    assert require_text(reply, "job_reference", "the call") == "j"


def test_the_outermost_value_of_a_key_wins_and_three_levels_are_too_deep() -> None:
    assert parse_reply(200, success({"x": {"id": "inner"}, "id": "outer"})).find("id") == "outer"
    assert parse_reply(200, success({"a": {"b": {"c": {"id": "x"}}}})).find("id") is None


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"job_reference": ""},
        {"job_reference": True},
        {"job_reference": 1.5},
        {"job_reference": ["j"]},
        "j",
    ],
)
def test_a_reply_without_what_it_must_hold_names_it(data: Any) -> None:
    with pytest.raises(UnexpectedReplyError, match="the call has no `job_reference`"):
        require_text(parse_reply(200, success(data)), "job_reference", "the call")


@pytest.mark.parametrize(
    "data", [{"job_reference": 7}, [{"job_reference": 7}], {"job": {"job_reference": "7"}}], ids=str
)
def test_a_reference_may_be_a_number_as_in_the_list_of_jobs(data: Any) -> None:
    """The job runs already: a reply that gives its number must not fail the task."""
    assert require_text(parse_reply(200, success(data)), "job_reference", "the call") == "7"
    assert text_of(parse_reply(200, success(data)), "job_reference") == "7"


@pytest.mark.parametrize(
    ("data", "records"), [(None, []), ([], []), ([1, 2], [1, 2]), ({"a": 1}, [{"a": 1}]), ("x", ["x"])]
)
def test_records_are_a_list_whatever_the_shape(data: Any, records: list[Any]) -> None:
    assert Reply({}, data).records() == records


def test_what_stands_at_the_top_level_beside_meta_and_data_is_kept() -> None:
    reply = parse_reply(200, b'{"next": "x", "meta": {"status": true}, "data": [1], "files": []}', names_files=True)
    assert (reply.meta, reply.data, reply.beside) == ({"status": True}, [1], {"next": "x", "files": []})
    assert reply.next_page is None  # the cursor is only read from `meta`, where the list of jobs has it
    bare = parse_reply(200, b'{"files": [1], "meta": {"status": true}}')
    assert (bare.data, bare.beside) == (None, {"files": [1]})
    assert not parse_reply(200, success([])).beside


@pytest.mark.parametrize(("cursor", "taken"), [("1729854752.21", "1729854752.21"), (7, "7"), (None, None), ("", None)])
def test_a_cursor_is_opaque_text(cursor: Any, taken: str | None) -> None:
    assert parse_reply(200, success([], next=cursor)).next_page == taken
    assert parse_reply(200, success([])).next_page is None


def test_the_servers_wish_to_wait_travels_with_the_error() -> None:
    for content in (body(42000), b"busy"):
        error = error_of(429, content, retry_after=7.0)
        assert isinstance(error, TransientApiError)
        assert error.retry_after == 7.0


def test_it_is_certain_that_nothing_was_done_over_the_quota_or_without_a_connection_and_only_then() -> None:
    for certain in (error_of(429, body(42000)), error_of(200, body(42000)), error_of(429, b"")):
        assert isinstance(certain, TransientApiError)
        assert certain.nothing_done
    for doubtful in (error_of(500, body(10000)), error_of(200, b""), error_of(503, b""), error_of(408, b"")):
        assert isinstance(doubtful, TransientApiError)
        assert not doubtful.nothing_done
    assert TransientApiError("refused", sent=False).nothing_done


@pytest.mark.parametrize(
    ("data", "is_refused"),
    [
        ('{"files": {"a.json": "https://h/1", "a.json": "https://h/2"}}', True),
        ('{"files": {"a.json": {"url": "https://h/1"}, "a.json": {"url": "https://h/1"}}}', False),
        ('{"files": {"a.json": {"url": "https://h/1", "x": 1}, "a.json": {"x": 1.0, "url": "https://h/1"}}}', False),
        ('{"files": [{"url": "https://h/1"}], "files": [{"url": "https://h/1"}]}', False),
        ('{"files": [{"url": "https://h/1"}], "files": [{"url": "https://h/2"}]}', True),
        ('{"files": [{"url": "https://h/1"}], "files": []}', True),
        ('{"a": [], "a": []}', False),
        ('{"a": 1, "a": "1"}', True),
        ('{"a": 12345678901234567890, "a": 12345678901234567891}', True),
        ('{"a": 1, "a": 1.0}', False),
        ('{"records": {"url": "https://h/1"}, "records": {"url": "https://h/2"}}', True),
        ('{"records": [{"url": "https://h/1"}], "records": [{"url": "https://h/2"}]}', True),
        ('{"files": {"a.json": {"url": "https://h/1"}, "a\\u002ejson": {"url": "https://h/2"}}}', True),
        ('{"files": [1], "x": 0, "files": [2]}', True),
        ('{"files": [{"url": "https://h/1", "url": "https://h/2"}]}', True),
        ('{"next": "c", "next": null, "files": []}', True),
        ('{"rows": [{"score": 1, "score": 1}], "x": {"y": 1}, "z": {"y": 2}}', False),
        ('{"a.json": "https://h/1", "b.json": "https://h/1", "A.json": "x"}', False),
        ('{"x": ' + "9" * 30 + "}", False),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_key_that_is_twice_in_an_object_of_a_listing_loses_no_file(data: str, is_refused: bool) -> None:
    body = f'{{"meta": {{"status": true}}, "data": {data}}}'.encode()
    if is_refused:
        with pytest.raises(UnexpectedReplyError, match="the same key twice"):
            parse_reply(200, body, names_files=True)
        assert isinstance(parse_reply(200, body), Reply)
    else:
        assert isinstance(parse_reply(200, body, names_files=True), Reply)


def test_a_key_that_is_twice_in_meta_of_a_listing_is_refused() -> None:
    body = b'{"meta": {"status": true, "next": "c", "next": null}, "data": []}'
    with pytest.raises(UnexpectedReplyError, match="the same key twice"):
        parse_reply(200, body, names_files=True)


@pytest.mark.parametrize("key", ["timestamp", "records", "request_uuid", "message"])
def test_a_key_about_the_call_may_be_there_twice(key: str) -> None:
    for one, other in ((1, 2), ('"a"', '"b"')):
        body = f'{{"meta": {{"status": true, "{key}": {one}, "{key}": {other}}}, "data": []}}'.encode()
        assert isinstance(parse_reply(200, body, names_files=True), Reply)


@pytest.mark.parametrize("key", ["timestamp", "records", "request_uuid", "message", "code"])
@pytest.mark.parametrize("plain", ["5", '"a"'])
@pytest.mark.parametrize("files", ['[{"url": "https://h/1"}]', '{"url": "https://h/1"}', '["https://h/1"]'])
def test_a_text_or_number_in_place_of_files_does_not_lose_them(key: str, plain: str, files: str) -> None:
    for values in ((files, plain), (plain, files), (files, plain, plain), (plain, plain, files)):
        pairs = ", ".join(f'"{key}": {value}' for value in values)
        body = f'{{"meta": {{"status": true}}, "data": {{{pairs}}}}}'.encode()
        with pytest.raises(UnexpectedReplyError, match="the same key twice"):
            parse_reply(200, body, names_files=True)


ROWS = ",".join(['{"user_id": "u", "score": 1}'] * 50_000)


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        (f'{{"meta": {{"status": true}}, "data": {{"a.csv": [{ROWS}], "b.csv": [1], "a.csv": [1]}}}}', True),
        (f'{{"meta": {{"status": true}}, "data": {{"a.csv": [1], "b.csv": [1], "a.csv": [{ROWS}]}}}}', True),
        (f'{{"meta": {{"status": true}}, "data": {{"x": {{"Year 9": [1], "Year 9": [{ROWS}]}}}}}}', True),
        (f'{{"meta": {{"status": true}}, "data": [{ROWS}], "data": []}}', True),
        (f'{{"meta": {{"status": true, "next": "c", "next": null}}, "data": [{ROWS}]}}', True),
        (f'{{"meta": {{"status": true}}, "data": {{"users": [{ROWS}], "a": "x", "a": "y"}}}}', True),
        (f'{{"meta": {{"status": true}}, "data": {{"users": [{ROWS}], "a": "https://h/1", "a": "y"}}}}', True),
        (f'{{"meta": {{"status": true, "records": 1, "records": 2}}, "data": [{ROWS}]}}', False),
        (f'{{"meta": {{"status": true}}, "data": {{"a.csv": [{ROWS}], "a.csv": [{ROWS}]}}}}', False),
        (f'{{"meta": {{"status": true}}, "data": {{"a.csv": [{ROWS}], "b.csv": [{ROWS}]}}}}', False),
        (f'{{"meta": {{"status": true}}, "data": {{"a": {"9" * 300}, "b": [{ROWS}]}}}}', False),
    ],
    ids=["name", "last", "deep", "data", "next", "text", "address", "of the call", "equal", "two names", "digits"],
)
def test_a_large_reply_is_checked_for_keys_twice_like_a_small_one(text: str, is_refused: bool) -> None:
    body = text.encode()
    assert len(body) > SMALL_BODY
    if is_refused:
        with pytest.raises(UnexpectedReplyError, match="the same key twice"):
            parse_reply(200, body, names_files=True)
    else:
        assert isinstance(parse_reply(200, body, names_files=True), Reply)
