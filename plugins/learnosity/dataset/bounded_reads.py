"""Reads objects for pages: never more of an object than its listed size, and never outside of the destination."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from learnosity.dataset.page_threads import reading
from learnosity.errors import StorageError, TransientStorageError
from learnosity.storage.store import ObjectInfo, Store, check_size

_ENCODINGS = ("gzip", "x-gzip", "deflate")
# Values in the header `Content-Encoding` that are no compression. `compression` leaves them out: with them, the
# encoding would count as unknown, and the file would not be read. Some servers send the name of a character set there,
# such as `utf-8`. Others send `aws-chunked`, which an S3 client has set for its upload.
_NO_COMPRESSION = re.compile(
    r"|identity|none|aws-chunked|binary|[78]bit|(us-)?ascii|utf-?(8|16|32)([lb]e)?|(iso-?8859|windows|cp)-?\d+|latin-?1"
)
# A gzip file may consist of several members, one after the other. At the end of each member, zlib copies the rest of
# the bytes that it was given, so thousands of tiny members would take too long. So not more members than this are read.
# A file with more members may still be good. The pages in Airflow's UI treat it as damaged. But landing does not
# compare its decompressed size with Learnosity's list: `UnpackedSize` says that this size is not known.
_MAX_MEMBERS = 1000
# `UnpackedSize` counts decompressed bytes in pieces of this size, so that a large file needs little memory.
_COUNTED_AT_ONCE = 256 * 1024
_FILE = "file://"


@dataclass(frozen=True, slots=True)
class Begin:
    """An object that was read and hashed whole, and of which the begin was kept.

    :param content: the first bytes, decompressed; None = it has an unknown encoding, or is damaged.
    :param cut: whether there is more than `content`.
    """

    size: int
    sha256: str
    content: bytes | None
    cut: bool


async def read_whole(store: Store, path: str, limit: int) -> bytes | None:
    """The content of an object; None when it does not exist.

    :param limit: largest allowed size in bytes. It also holds for an object that grows while it is read.
    :raises StorageError: the object is larger, is no plain file, or lies outside of the destination.
    """
    size = await size_of(store, path)
    if size is None:
        return None
    check_size(f"{store.uri}/{path}", size, limit)

    def read() -> bytes:
        content = bytearray()
        for chunk in _chunks(store, path, limit):
            content += chunk
        return bytes(content)

    return await reading(read)


async def read_begin(store: Store, path: str, *, size: int, encoding: str | None, keep: int) -> Begin | None:
    """The size, the digest and the start of an object; None when it does not exist, or has another size.

    :param size: bytes that the object has, as stored. Not more is read.
    :param encoding: its `content_encoding`; None = it is not compressed.
    :param keep: how many decompressed bytes are kept.
    :raises StorageError: as `read_whole`.
    """
    if await size_of(store, path) != size:
        return None

    def read() -> Begin:
        count, digest, begin = 0, hashlib.sha256(), _Unpacked(encoding, keep)
        for chunk in _chunks(store, path, size):
            count += len(chunk)
            digest.update(chunk)
            begin.feed(chunk)
        return Begin(count, digest.hexdigest(), begin.result(), begin.full)

    return await reading(read)


def compression(encoding: str | None) -> str | None:
    """How the bytes of an object are compressed: its `content_encoding` without what is no compression; None = not."""
    codings = (coding.strip().lower() for coding in (encoding or "").split(","))
    return ", ".join(coding for coding in codings if not _NO_COMPRESSION.fullmatch(coding)) or None


def can_unpack(encoding: str | None) -> bool:
    """Whether bytes with this `content_encoding` can be read here: it is no compression, or one that is known."""
    return compression(encoding) in (None, *_ENCODINGS)


def unpacked(content: bytes, encoding: str | None, limit: int) -> bytes | None:
    """The decompressed bytes of an object; None when they are more than `limit`, or damaged, or of unknown encoding."""
    found = _Unpacked(encoding, limit)
    found.feed(content)
    return None if found.full else found.result()


def first_bytes(content: bytes | memoryview, encoding: str | None, keep: int) -> bytes:
    """At most `keep` decompressed bytes of the begin of an object; fewer where it is damaged or of unknown encoding."""
    found = _Unpacked(encoding, keep)
    found.feed(content)
    return found.so_far()


async def info_of(store: Store, path: str) -> ObjectInfo | None:
    """What the store says of an object; None when it does not exist.

    :raises StorageError: it is no plain file, or lies outside of the destination.
    """
    await reading(check_place, store, path)
    return await store.head(path)


async def size_of(store: Store, path: str) -> int | None:
    """The size of an object in bytes; None when it does not exist.

    :raises StorageError: as `info_of`.
    """
    info = await info_of(store, path)
    return None if info is None else info.size


def _chunks(store: Store, path: str, limit: int) -> Iterator[bytes]:
    where, size = f"{store.uri}/{path}", 0
    try:
        for chunk in store.read(path):
            size += len(chunk)
            check_size(where, size, limit)
            yield chunk
    except OSError as error:
        raise TransientStorageError(f"{where} could not be read: {type(error).__name__}. Try again later.") from None


def check_place(store: Store, path: str) -> None:
    """Check that a local file is a plain file below the destination. A symbolic link may lead elsewhere."""
    if not store.uri.startswith(_FILE):
        return
    root = os.path.realpath(store.uri.removeprefix(_FILE))
    real = Path(os.path.realpath(f"{root}/{path}"))
    if not real.is_relative_to(root):
        raise StorageError(f"{store.uri}/{path} is a link that leads out of the destination, so it is not read.")
    try:
        plain = stat.S_ISREG(real.stat().st_mode)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise StorageError(f"{store.uri}/{path} cannot be opened: {type(error).__name__}.") from None
    if not plain:
        raise StorageError(f"{store.uri}/{path} is no plain file, so it is not read.")


class _Unpacked:
    """The first decompressed bytes of a stream. No input makes it larger than `keep`."""

    def __init__(self, encoding: str | None, keep: int) -> None:
        self._content = bytearray()
        self._keep = keep
        coding = compression(encoding)
        self._plain = coding is None
        self._damaged = not can_unpack(encoding)
        self._member: zlib._Decompress | None = None
        self._members = 0
        self._may_be_raw = coding == "deflate"
        # `_window` needs the first two bytes of a `deflate` stream. If the first chunk has only one byte, `feed` keeps
        # this byte here until the next chunk comes.
        self._held = b""
        self.full = False

    def feed(self, chunk: bytes | memoryview) -> None:
        if self._plain:
            self._add(chunk[: self._keep + 1 - len(self._content)])
            return
        data, self._held = self._held + chunk, b""
        if self._may_be_raw and self._members == 0 and len(data) < 2:
            self._held = data
            return
        pending = False  # whether zlib may still hold decompressed bytes that it has not returned yet
        while (data or pending) and not self.full and not self._damaged:
            if self._member is None:
                if self._members and not (data := data.lstrip(b"\0")):
                    return  # only zero bytes are left, and no member: some tools append zero bytes to a gzip file
                self._member, self._members = zlib.decompressobj(wbits=self._window(data)), self._members + 1
            found, limit = b"", self._keep + 1 - len(self._content)
            try:
                found = self._member.decompress(data, limit)
            except zlib.error:
                self._damaged = True
            self._add(found)
            if self._member.eof:
                data, self._member, pending = self._member.unused_data, None, False
                if self._members > _MAX_MEMBERS:
                    self._give_up()
            else:
                data, pending = self._member.unconsumed_tail, len(found) == limit

    def _give_up(self) -> None:
        """Read no further: there are too many members."""
        self._damaged = True

    def result(self) -> bytes | None:
        unfinished = bool(self._held) or (self._member is not None and not self.full)
        return None if self._damaged or unfinished else bytes(self._content)

    def so_far(self) -> bytes:
        return bytes(self._content)

    def _window(self, data: bytes) -> int:
        """The parameter `wbits` of zlib. With 47, it tells gzip from zlib by the header; -15 = there is no header.

        Some servers send `deflate` without the header of zlib, and browsers read it so.
        """
        has_header = data[:2] == b"\x1f\x8b" or (data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0)
        return -15 if self._may_be_raw and self._members == 0 and not has_header else 47

    def _add(self, content: bytes | memoryview) -> None:
        self._content += content
        if len(self._content) > self._keep:
            self.full = True
            del self._content[self._keep :]


class UnpackedSize(_Unpacked):
    """Counts the decompressed bytes of a stream, in limited memory.

    :param encoding: its `content_encoding`. It must be compressed.
    :param most: no more is counted after this many bytes. A small file may decompress to very many.
    """

    def __init__(self, encoding: str | None, most: int) -> None:
        super().__init__(encoding, _COUNTED_AT_ONCE)
        self._unknown = self._damaged
        self._most = most
        self.size = 0

    @property
    def is_whole(self) -> bool:
        """Whether all bytes up to now are one whole stream, or several; also if there are no bytes."""
        return not (self._damaged or self.full or self._held) and self._member is None

    def may_be(self, size: int | None) -> bool:
        """Whether the stream is whole and has `size` decompressed bytes, or whether this cannot be known here.

        :param size: None = any number. Then a stream of more than `most` bytes may be whole.
        """
        if self.full:
            return size is None
        return self._unknown or (self.is_whole and size in (None, self.size))

    def _give_up(self) -> None:
        self._damaged = self._unknown = True

    def _add(self, content: bytes | memoryview) -> None:
        self.size += len(content)
        self.full = self.size > self._most
