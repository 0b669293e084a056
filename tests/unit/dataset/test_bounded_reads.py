"""Which `content_encoding` compresses a file, and which only looks as if it did."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest

from learnosity.dataset.bounded_reads import compression, unpacked

CONTENT = b'{"a": 1}' * 20
NOTHING: list[str | None] = [None, "", " ", ",", "identity", "IDENTITY", "none", "aws-chunked", "AWS-Chunked", "binary"]
NOTHING += ["utf-8", "UTF8", "utf-16le", "us-ascii", "iso-8859-1", "latin1", "windows-1252", "aws-chunked,,utf-8"]


def as_it_is(content: bytes) -> bytes:
    return content


@pytest.mark.parametrize("beside", NOTHING)
@pytest.mark.parametrize(
    ("coding", "pack"), [("", as_it_is), ("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_what_is_no_compression_beside_one_hides_no_file(
    beside: str | None, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(CONTENT)
    for encoding in (
        f"{coding},{beside or ''}",
        f"{beside or ''} , {coding.upper()}",
        coding or beside,
    ):
        assert compression(encoding) == (coding or None)
        assert unpacked(packed, encoding, 1000) == CONTENT


@pytest.mark.parametrize(
    "encoding",
    ["br", "zstd", "compress", "gzip, gzip", "deflate, gzip", "aws-chunked, br", "gzip-8", "utf-8x", "xutf-8"],
)
def test_another_compression_is_not_read_as_plain(encoding: str) -> None:
    assert unpacked(CONTENT, encoding, 1000) is None
    assert unpacked(gzip.compress(CONTENT), encoding, 1000) is None
