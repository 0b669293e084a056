"""Unpacks gzip and zstd, and names files that are of no format for input, such as a zip archive or a workbook.

The pieces depend only on the content of the file, and not on the size of the chunks from the network.
"""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

BLOCK: Final = 256 * 1024
"""Bytes of unpacked content in one piece."""

_PACKED_BLOCK: Final = 64 * 1024  # bytes of compressed data that are unpacked in one step
_HEAD: Final = 4096  # number of bytes at the start of a file from which its kind is recognised
_GZIP: Final = re.compile(rb"\x1f\x8b")
# Matches the first bytes of a zstd file. They begin a frame with data, or a skippable frame (RFC 8878), which has no
# content of the file: parallel compressors write a skippable frame first.
_ZSTD: Final = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")
# The second part of a pattern, after the mark of a binary format, as in `rb"ORC" + BINARY` below. It demands a control
# character within the next 65 bytes, because a text file has none there. Without this part, a CSV file whose header
# begins with the same letters, such as `ORCHESTRA,…`, would be taken for an ORC file.
BINARY: Final = rb"(?s:.{0,64}?)[\x00-\x08\x0e-\x1f]"
_FOREIGN: Final = (
    (
        rb"PK\x03\x04(?s:.*)\[Content_Types\]\.xml(?s:.*)(word|ppt)/",
        "a document of Word or PowerPoint: write CSV, NDJSON or Parquet",
    ),
    (
        rb"PK\x03\x04(?s:.*)(\[Content_Types\]\.xml|xl/|opendocument\.spreadsheet)",
        "an Excel or OpenDocument workbook: save its sheet as CSV",
    ),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls): save its sheet as CSV"),
    (rb"PK(\x03\x04|\x05\x06|\x07\x08)", "a zip archive: unpack it, and name the files in it"),
    (rb"BZh[1-9](1AY&SY|\x17\x72\x45\x38\x50\x90)", "a bzip2 file (.bz2): pack it with gzip or zstd"),
    (rb"\xfd7zXZ\x00", "an xz file: pack it with gzip or zstd"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it, and name the files in it"),
    (rb"Rar!\x1a\x07", "a RAR archive: unpack it, and name the files in it"),
    (rb"\x1f\x9d", "packed with compress (.Z): pack it with gzip or zstd"),
    (rb"\x5d\0\0(?s:.)(?s:.)\xff{8}", "an lzma file: pack it with gzip or zstd"),
    (rb"\x89LZO\0", "an lzop file: pack it with gzip or zstd"),
    (rb"\x04\x22\x4d\x18|\x02\x21\x4c\x18", "an lz4 file: pack it with gzip or zstd"),
    (rb"\xff\x06\x00\x00sNaPpY", "a Snappy file: pack it with gzip or zstd"),
    (rb"(?s:.{257})ustar(\x00|  \x00)", "a tar archive: unpack it, and name the files in it"),
    (rb"Obj\x01", "an Avro file: write Parquet, CSV or NDJSON"),
    (rb"ORC" + BINARY, "an ORC file: write Parquet, CSV or NDJSON"),
    (rb"ARROW1\x00\x00|FEA1" + BINARY, "an Arrow file: write Parquet, CSV or NDJSON"),
    (rb"PARE" + BINARY, "a Parquet file with an encrypted footer: write it without encryption"),
    (rb"SQLite format 3\x00", "an SQLite database: write CSV or NDJSON"),
    (rb"\0\x01\0\0Standard (Jet|ACE) DB", "a database of Access: export its table as CSV"),
    (rb"(?s:.{8})DUCK(?s:.)\0{7}", "a database of DuckDB: write Parquet, CSV or NDJSON"),
    # A dBase table does not begin with fixed bytes. So this pattern matches the parts of its header: the version, a
    # date (year, month, day), eight bytes of sizes, and two zero bytes.
    (rb"[\x03\x30\x83\x8b\xf5](?s:.)[\x01-\x0c][\x01-\x1f](?s:.{8})\0\0", "a dBase table (.dbf): export it as CSV"),
    (rb"RD[XAB][23]\n[XAB]\n|X\n\0\0\0[\x02\x03]", "of R (.rds, .RData): write CSV, NDJSON or Parquet"),
    (rb"\x80[\x02-\x05]|\x93NUMPY", "of Python (pickle, NumPy): write CSV, NDJSON or Parquet"),
    (rb"MATLAB [0-9.]+ MAT-file(?s:.{0,140}?)\0", "of MATLAB: write CSV, NDJSON or Parquet"),
    (rb"SEQ[\x04-\x06]|RCF\x01", "a sequence file of Hadoop: write Parquet, CSV or NDJSON"),
    (
        rb"\$FL[23]@\(#\)|<stata_dta>|HEADER RECORD\*{7}LIB|\0{12}\xc2\xea\x81\x60",
        "of SPSS, Stata or SAS: export it as CSV",
    ),
    (rb"\x89(HDF|PNG)\r\n\x1a\n", "an HDF5 file or a picture: write CSV, NDJSON or Parquet"),
    (rb"-----BEGIN PGP", "encrypted or signed with PGP: put the file itself there"),
    (rb"%PDF-", "a PDF"),
    (rb"\s*<(!doctype html|html|\?xml)", "a page of HTML or XML, perhaps the message of a server"),
)
_KINDS: Final = [(re.compile(pattern, re.IGNORECASE if b"html" in pattern else 0), what) for pattern, what in _FOREIGN]


class UnreadableError(ValueError):
    """The rest of a file cannot be read; the message says why."""


def unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of a file, unpacked, in pieces of `BLOCK` bytes. The last piece may be shorter.

    :param chunks: the bytes of the file, in chunks of any size. gzip and zstd are recognised by their first bytes.
    :raises UnreadableError: the file is of no format for input, or its compressed data is damaged. The content before
        that is given first.
    """
    head, whole = _peek(iter(chunks))
    if _GZIP.match(head):
        whole = _gunzip(pieces_of(whole, _PACKED_BLOCK))
    elif _ZSTD.match(head):
        whole = _unzstd(pieces_of(whole, _PACKED_BLOCK))
    else:
        _check_kind(head)
        yield from pieces_of(whole, BLOCK)
        return
    pieces = pieces_of(whole, BLOCK)
    first = next(pieces, b"")
    if _GZIP.match(first) or _ZSTD.match(first):
        raise UnreadableError("the file is packed twice: unpack it once")
    _check_kind(first[:_HEAD])
    yield first
    yield from pieces


def pieces_of(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of exactly `size`; only the last piece may be shorter."""
    rest = bytearray()
    try:
        for chunk in chunks:
            start = 0
            if rest:
                start = size - len(rest)
                rest += chunk[:start]
                if len(rest) < size:
                    continue
                yield bytes(rest)
            while start + size <= len(chunk):
                yield chunk[start : start + size]
                start += size
            rest = bytearray(chunk[start:])
    except UnreadableError:
        # `rest` has the bytes before the damaged data. The caller counts the lines that it receives, and its message
        # about the error names a line. So it must receive these bytes before the error.
        yield bytes(rest)
        raise
    yield bytes(rest)


def _peek(source: Iterator[bytes]) -> tuple[bytes, Iterable[bytes]]:
    head = b""
    while len(head) < _HEAD and (chunk := next(source, None)) is not None:
        head += chunk
    return head[:_HEAD], chain((head,), source)


def _check_kind(head: bytes) -> None:
    for pattern, what in _KINDS:
        if pattern.match(head):
            raise UnreadableError(f"the file is {what}")


def _gunzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack gzip data of one or more members. Each piece has at most `BLOCK` bytes, to limit the memory."""
    member = None
    for piece in pieces:
        data = piece
        while True:
            if member is None:
                data = data.lstrip(b"\0")  # some tools add zero bytes after the last member; they are skipped
                if not data:
                    break
                member = zlib.decompressobj(wbits=31)
            try:
                yield member.decompress(data, BLOCK)
            except zlib.error:
                raise UnreadableError("the gzip data is damaged from here on: make the file again") from None
            if member.eof:
                data, member = member.unused_data, None
                continue
            data = member.unconsumed_tail
            if not data:
                break
    if member is not None:
        raise UnreadableError("the gzip data ends too early: the file is incomplete, copy it again")


def _unzstd(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack zstd data of one or more frames. Each piece has at most `BLOCK` bytes, to limit the memory."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    frame = None
    for piece in pieces:
        data = piece
        while True:
            if frame is None:
                if not data:
                    break
                frame = zstd.ZstdDecompressor()
            try:
                yield frame.decompress(data, BLOCK)
            except zstd.ZstdError:
                raise UnreadableError(
                    "the zstd data is damaged from here on, or packed with a window above 128 MB: make the file again"
                ) from None
            data = b""
            if frame.eof:
                data, frame = frame.unused_data, None
            elif frame.needs_input:
                break
    if frame is not None:
        raise UnreadableError("the zstd data ends too early: the file is incomplete, copy it again")
