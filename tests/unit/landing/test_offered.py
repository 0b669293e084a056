"""What a server offers for a result file: the file, or something else with status 200."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest

from learnosity.api.downloads import Download
from learnosity.errors import ChangedFileError, OtherSizeError, TransferError
from learnosity.landing.offered import Offered, offered
from learnosity.results.outcomes import ResultFile

PAGES = [
    b"<!DOCTYPE html><title>Sign in</title>",
    b"\xef\xbb\xbf\r\n<!-- gateway --><HTML lang=en>",
    b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "x"><html>',
    b'<html><script>{"code": "AccessDenied"}</script>',
    b"<h1>Please wait</h1>",
]
ERRORS = [
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InternalError</Code></Error>',
    b"\xef\xbb\xbf<Error><Code>SlowDown</Code><Message>x</Message></Error>",
    b"<Error>AccessDenied</Error>",
    b"<ErrorResponse><Error><Code>x</Code></Error></ErrorResponse>",
]
FILES = [
    b"",
    b"[]",
    b' \n{"code": "AccessDenied", "stimulus": "<html><h1>"}',
    b"a,b\n1,<h1>\n",
    b"title: <html>\n",
    b"\x1f\x8b\x00not gzip",
    b"PAR1" + bytes(20),
    b"<Errors/>",
    b'<?xml version="1.0"?><rows><Error><Code>x</Code></Error></rows>',
]
NAMES = ["a.json", "groups/a.csv", "a", "a.parquet"]
TYPES = [None, "application/octet-stream", "application/json", "text/plain", "binary/octet-stream", "application/xml"]


class Reply:
    """The body of a download."""

    def __init__(self, body: bytes) -> None:
        self.body_reader = self
        self.body = body

    async def read(self, size: int) -> bytes | None:
        piece, self.body = self.body[:size], self.body[size:]
        return piece or None


def download(
    size: int | None,
    content_type: str | None = None,
    encoding: str | None = None,
    body: bytes = b"",
    *,
    until_close: bool = False,
) -> Download:
    response: Any = Reply(body)
    return Download("GET", size, size, content_type, encoding, None, response, until_close)


def check(name: str, body: bytes, content_type: str | None, *, listed: Any = None, kind: Any = None) -> Offered:
    found = offered(ResultFile(name, bytes=listed, content_type=kind), "url", download(len(body), content_type))
    found.take(memoryview(body))
    return found


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("body", FILES)
def test_a_file_of_any_type_is_taken(name: str, body: bytes, content_type: str | None) -> None:
    assert check(name, body, content_type).size == len(body)


@pytest.mark.parametrize("content_type", [*TYPES, "text/html", "Text/HTML; charset=utf-8"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("body", [*PAGES, *ERRORS])
@pytest.mark.promise("whole or nothing")
def test_a_page_or_an_error_is_no_file(body: bytes, packed: bool, content_type: str | None) -> None:
    content, encoding = (gzip.compress(body), "gzip") if packed else (body, None)
    for name in NAMES:
        found = offered(ResultFile(name), "url", download(len(content), content_type, encoding))
        with pytest.raises(ChangedFileError, match=r"in place of the file.*`bytes`.* `name` with the ending `.html`"):
            found.take(content)


HTML_TYPES = ["text/html", "TEXT/HTML;charset=x", "application/xhtml+xml"]
NO_PAGES = [
    *FILES[:-2],
    b'"x"',
    b"null",
    b"Please sign in.",
    b"a;b\n<p>\n",
    gzip.compress(b"{}"),
    gzip.compress(PAGES[0]),
]


@pytest.mark.parametrize("content_type", HTML_TYPES)
@pytest.mark.parametrize("body", NO_PAGES)
def test_what_cannot_be_a_page_is_taken_although_its_type_is_that_of_one(body: bytes, content_type: str) -> None:
    for name in (*NAMES, "a.json.gz", "report.html.gz"):
        assert check(name, body, content_type)
        packed = offered(ResultFile(name), "url", download(None, content_type, "gzip"))
        feed(packed, gzip.compress(body), 1 << 20)


@pytest.mark.parametrize("content_type", HTML_TYPES)
@pytest.mark.parametrize("body", [b"<p>no", b"\xef\xbb\xbf\r\n <form>", b"<", b"<rows/>"])
@pytest.mark.parametrize("encoding", [None, "gzip", "br"])
def test_the_type_of_a_page_is_believed_where_the_body_may_be_one(
    encoding: str | None, body: bytes, content_type: str
) -> None:
    content = gzip.compress(body) if encoding == "gzip" else body
    for name in (*NAMES, "a.json.gz"):
        with pytest.raises(ChangedFileError, match="a web page came"):
            offered(ResultFile(name), "url", download(None, content_type, encoding)).take(content)


@pytest.mark.parametrize("encoding", [None, "gzip"])
@pytest.mark.parametrize("body", PAGES)
@pytest.mark.parametrize("content_type", ["text/html", None])
def test_a_page_that_is_the_file_is_taken(body: bytes, content_type: str | None, encoding: str | None) -> None:
    content = gzip.compress(body) if encoding else body
    for name in ("report.html", "a/INDEX.HTM", "a.xhtml", "report.html.gz", "A.HTM.GZ"):
        offered(ResultFile(name), "url", download(None, content_type, encoding)).take(content)
    listed = ResultFile("report", content_type="text/html; charset=utf-8")
    offered(listed, "url", download(None, content_type, encoding)).take(content)


@pytest.mark.parametrize("body", [*PAGES, *ERRORS])
def test_a_body_of_the_listed_size_is_the_file(body: bytes) -> None:
    assert check("a.json", body, "text/html", listed=len(body))


def test_an_xml_file_may_tell_of_an_error_that_has_no_code() -> None:
    assert check("a.xml", b"<Error>none</Error>", "application/xml")
    with pytest.raises(ChangedFileError):
        check("a.xml", ERRORS[0], "application/xml")


@pytest.mark.parametrize("body", FILES)
@pytest.mark.parametrize("encoding", [None, "identity", "aws-chunked", "utf-8"])
async def test_another_size_than_listed_is_no_file(encoding: str | None, body: bytes) -> None:
    for size in (None, 7):
        found = offered(ResultFile("a", bytes=7), "url", download(size, None, encoding, body))
        await found.check_size()
        assert found.size == 7
    with pytest.raises(OtherSizeError, match="6 bytes offered, 7 listed"):
        await offered(ResultFile("a", bytes=7), "url", download(6, None, encoding, body)).check_size()


@pytest.mark.parametrize("body", [*PAGES, *ERRORS])
@pytest.mark.parametrize("more", [b"", bytes(10_000)])
async def test_a_page_or_an_error_of_another_size_tells_nothing_of_the_size_of_the_file(
    body: bytes, more: bytes
) -> None:
    whole = body + more
    for name in NAMES:
        for listed in (len(whole) - 1, len(whole) + 1):
            found = offered(ResultFile(name, bytes=listed), "url", download(len(whole), "text/html", None, whole))
            with pytest.raises(ChangedFileError, match="in place of the file") as caught:
                await found.check_size()
            assert not isinstance(caught.value, OtherSizeError)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, aws-chunked"])
@pytest.mark.parametrize("size", [None, 6, 7, 8])
async def test_a_listed_size_may_be_that_before_compression(size: int | None, encoding: str) -> None:
    found = offered(ResultFile("a", bytes=7), "url", download(size, None, encoding))
    await found.check_size()
    assert found.size == size


CONTENT = bytes(range(256)) * 5000


def feed(found: Offered, body: bytes, piece: int) -> None:
    for start in range(0, len(body), piece):
        found.take(body[start : start + piece])
    found.finish()


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("piece", [1000, 1 << 20])
@pytest.mark.parametrize("listed", ["before", "after", None])
@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("Deflate", zlib.compress), ("br", bytes)])
def test_a_whole_compressed_file_has_its_listed_size_before_or_after(
    encoding: str, pack: Any, listed: str | None, piece: int, known: bool
) -> None:
    body = pack(CONTENT)
    size = {"before": len(CONTENT), "after": len(body), None: None}[listed]
    found = offered(ResultFile("a.json", bytes=size), "url", download(len(body) if known else None, None, encoding))
    feed(found, body, piece)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("piece", [1000, 1 << 20])
@pytest.mark.parametrize("lost", [1, 8, 2000])
@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
@pytest.mark.promise("whole or nothing")
def test_a_compressed_file_that_lacks_its_end_is_no_file(pack: Any, lost: int, piece: int, known: bool) -> None:
    body = pack(CONTENT)[:-lost]
    for listed in (len(CONTENT), len(body) + lost):
        found = offered(ResultFile("a.json", bytes=listed), "url", download(len(body) if known else None, None, "gzip"))
        with pytest.raises(OtherSizeError, match=f"before compression, {listed} listed"):
            feed(found, body, piece)
    found = offered(ResultFile("a.json", bytes=7), "url", download(len(body), None, "gzip"))
    with pytest.raises(OtherSizeError):
        feed(found, pack(CONTENT), piece)


def test_one_that_unpacks_to_more_than_is_listed_has_one_message_however_it_comes_in_pieces() -> None:
    body = gzip.compress(bytes(5_000_000))
    said = set()
    for piece in (7, 100, 1 << 20):
        found = offered(ResultFile("a.json", bytes=10_000), "url", download(len(body), None, "gzip"))
        with pytest.raises(OtherSizeError, match="more than 10000 before compression, 10000 listed") as caught:
            feed(found, body, piece)
        said.add(str(caught.value))
    assert len(said) == 1


ROWS = b'[{"user_id": "u1", "score": 1.5}, {"user_id": "u2", "score": null}]\n'
PROVE_THEMSELVES = [
    pytest.param("a.json", None, ROWS, id="JSON"),
    pytest.param("groups/A.JSON", "utf-8", b" \n" + ROWS[:-1], id="JSON with blanks before it"),
    pytest.param("a.json", "identity", b'{"rows": {}}', id="an object"),
    pytest.param("a.json", "gzip", gzip.compress(ROWS), id="JSON as gzip"),
    pytest.param("a.csv", "gzip", gzip.compress(CONTENT), id="anything as gzip"),
    pytest.param("a.csv", "X-GZIP, aws-chunked", gzip.compress(CONTENT), id="anything as gzip beside no compression"),
    pytest.param("a.csv.gz", None, gzip.compress(CONTENT), id="a gzip file"),
    pytest.param("a.json.GZ", "utf-8", gzip.compress(ROWS) + bytes(512), id="a gzip file with zero bytes behind it"),
    pytest.param("a.csv.gz", None, gzip.compress(CONTENT) + gzip.compress(b"2"), id="a gzip file of two members"),
    pytest.param("a.csv.gz", "gzip", gzip.compress(gzip.compress(ROWS)), id="a gzip file as gzip"),
]


def open_ended(name: str, encoding: str | None, *, listed: int | None = None) -> Offered:
    return offered(ResultFile(name, bytes=listed), "url", download(None, None, encoding, until_close=True))


@pytest.mark.parametrize("piece", [7, 1000, 1 << 20])
@pytest.mark.parametrize(("name", "encoding", "body"), PROVE_THEMSELVES)
def test_a_body_that_only_the_end_of_the_connection_ends_may_prove_itself_whole(
    name: str, encoding: str | None, body: bytes, piece: int
) -> None:
    feed(open_ended(name, encoding), body, piece)


@pytest.mark.parametrize("piece", [7, 1 << 20])
@pytest.mark.parametrize(("name", "encoding", "body"), PROVE_THEMSELVES[:-2])
@pytest.mark.promise("whole or nothing")
def test_a_cut_of_a_body_that_only_the_end_of_the_connection_ends_is_no_file(
    name: str, encoding: str | None, body: bytes, piece: int
) -> None:
    whole = len(body.rstrip(b"\0\n"))
    for cut in {0, 1, 2, 9, whole // 2, whole - 8, whole - 1}:
        with pytest.raises(TransferError, match="does not say how long the file is|damaged, or ends too early"):
            feed(open_ended(name, encoding), body[:cut], piece)


@pytest.mark.parametrize(
    ("name", "encoding", "body"),
    [
        ("a.csv", None, b"a,b\n1,2\n"),
        ("a", None, ROWS),
        ("a.ndjson", None, b'{"a": 1}\n'),
        ("a.parquet", None, b"PAR1" + bytes(20) + b"PAR1"),
        ("a.json", None, b""),
        ("a.json", None, b"123"),
        ("a.json", None, b"true"),
        ("a.json", None, b'{"a": 1}\n{"a": 2}\n'),
        ("a.json", None, b"[" * 100_000 + b"]" * 100_000),
        ("a.json", None, b"[" + b"1," * 600_000 + b"1]"),
        ("a.json", "gzip", ROWS),
        ("a.json", "br", ROWS),
        ("a.json", "deflate", zlib.compress(ROWS)),
        ("a.json", "gzip, gzip", gzip.compress(gzip.compress(ROWS))),
        ("a.json.gz", None, ROWS),
        ("a.json.gz", "br", gzip.compress(ROWS)),
        ("a.csv.gz", None, gzip.compress(b"") * 1_002),
    ],
)
@pytest.mark.promise("whole or nothing")
def test_what_cannot_prove_itself_whole_needs_a_length(name: str, encoding: str | None, body: bytes) -> None:
    with pytest.raises(ChangedFileError, match=f"{name}.*does not say how long the file is.*proxies") as caught:
        feed(open_ended(name, encoding), body, 1 << 20)
    assert not isinstance(caught.value, OtherSizeError)
    feed(offered(ResultFile(name), "url", download(len(body), None, encoding)), body, 1 << 20)
    feed(offered(ResultFile(name), "url", download(None, None, encoding)), body, 1 << 20)
    feed(open_ended(name, encoding, listed=len(body)), body, 1 << 20)


@pytest.mark.parametrize("listed", [len(CONTENT), 7])
def test_a_listed_size_before_compression_proves_nothing_if_the_compression_is_not_known(listed: int) -> None:
    with pytest.raises(ChangedFileError, match="does not say how long the file is"):
        feed(open_ended("a.json", "br", listed=listed), CONTENT[:1000], 1 << 20)


@pytest.mark.parametrize("body", [*PAGES, *ERRORS])
def test_a_page_that_only_the_end_of_the_connection_ends_is_told_as_a_page(body: bytes) -> None:
    for name in NAMES:
        with pytest.raises(ChangedFileError, match="in place of the file"):
            feed(open_ended(name, None), body, 1 << 20)


@pytest.mark.parametrize("piece", [7, 1 << 20])
@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(CONTENT)[:-8] + bytes(8),
        gzip.compress(CONTENT)[:-4] + bytes(4),
        gzip.compress(CONTENT)[:-1],
        gzip.compress(CONTENT)[:400],
        gzip.compress(CONTENT) + b"x",
        gzip.compress(CONTENT) + gzip.compress(CONTENT)[:-9],
    ],
)
@pytest.mark.promise("whole or nothing")
def test_a_damaged_gzip_body_of_which_nothing_says_the_size_is_no_file(body: bytes, piece: int) -> None:
    with pytest.raises(ChangedFileError, match="gzip content is damaged, or ends too early"):
        feed(open_ended("a.json", "gzip"), body, piece)
    # If the reply says its length, nothing was lost on the way: the file is damaged at its source, too. It is landed as
    # it was served.
    feed(offered(ResultFile("a.json"), "url", download(len(body), None, "gzip")), body, piece)


@pytest.mark.parametrize("body", [ROWS, b"", zlib.compress(ROWS)])
def test_a_whole_body_that_is_only_called_gzip_is_a_file(body: bytes) -> None:
    feed(offered(ResultFile("a.json"), "url", download(len(body), None, "gzip")), body, 1 << 20)
