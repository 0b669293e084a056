"""What a server offers at the signed URL of a result file, compared with the listing.

A status 200 does not prove that the body is the file: a proxy replies so with its login page, and some servers with an
error. A body of exactly the listed size is the file. Of any other body, the type and the first bytes are judged.
"""

from __future__ import annotations

import msgspec

from learnosity.api.downloads import Download
from learnosity.dataset.bounded_reads import UnpackedSize, can_unpack, compression, first_bytes
from learnosity.errors import ChangedFileError, IncompleteDatasetError, OtherSizeError, TransferError
from learnosity.results.outcomes import ResultFile
from learnosity.storage.errors import MAX_ANSWER_BYTES, begins_as_error, begins_as_page, code_of

_PAGE_NAMES = (".html", ".htm", ".xhtml")
_PAGE_TYPES = ("text/html", "application/xhtml+xml")
_GZIP_MAGIC = b"\x1f\x8b"
# If neither the listing nor the server says how long a gzip file is, it is decompressed, to see whether it is whole. If
# it has more than this many bytes then, it is refused: a small file may decompress to so many that it takes hours.
_MOST_UNPACKED = 2**36
# If neither the listing nor the server says how long a JSON file is, the file is kept in memory, to see whether it is
# whole. Such a file of more than this many bytes is refused, because it would take too much memory.
_MOST_JSON = 1024 * 1024


class Offered:
    """A download that has begun: the headers of its reply have arrived.

    :param size: bytes that must arrive; None = unknown.
    """

    def __init__(self, file: ResultFile, url: str, download: Download, size: int | None) -> None:
        self.file = file
        self.url = url
        self.download = download
        self.size = size
        self._received = 0
        self._begin = b""
        self._unpacked: UnpackedSize | None = None
        """Counts the bytes before compression, and sees whether they are whole; None = the size alone shows that."""
        self._text: bytearray | None = None
        """The body of a JSON file that must prove itself whole; None = not needed."""
        self._must_prove = size is None and download.until_close
        """Whether the size cannot show that the body is whole, and its end cannot, either."""
        if file.bytes is not None and file.bytes != size:
            self._unpacked = UnpackedSize(download.content_encoding, file.bytes)
        elif self._must_prove:
            self._watch(file.path.lower(), compression(download.content_encoding))

    def _watch(self, path: str, packed: str | None) -> None:
        """Choose how a body proves itself whole."""
        if packed in ("gzip", "x-gzip") or (packed is None and path.endswith(".gz")):
            self._unpacked = UnpackedSize("gzip", _MOST_UNPACKED)
        elif packed is None and path.endswith(".json"):
            self._text = bytearray()

    @property
    def encoding(self) -> str | None:
        """How the bytes are compressed, such as `gzip`; None = not compressed."""
        return self.download.content_encoding

    @property
    def content_type(self) -> str:
        """The type that the file is stored with."""
        return self.download.content_type or self.file.content_type or "application/octet-stream"

    async def check_size(self) -> None:
        """Compare the size that the server gives with the listed one. If they differ, see what has come instead.

        A listing may give the size before compression. Of a compressed body, only the bytes themselves show that.

        :raises ChangedFileError: another size, of a web page or of the error of a store.
        :raises OtherSizeError: another size, of anything else.
        """
        if compression(self.encoding) or self.file.bytes is None or self.download.total in (None, self.file.bytes):
            return
        self._begin = bytes(await anext(self.download.pieces(MAX_ANSWER_BYTES), b""))
        raise self.other_size(f"{self.download.total} bytes offered, {self.file.bytes} listed.")

    def other_size(self, what: str) -> ChangedFileError:
        """The error for a body of another size than listed or offered: a page or an error came, or another version.

        :param what: what differs.
        """
        return self.judged(OtherSizeError(f"{self.file.path!a}: {what}"))

    def judged(self, error: OtherSizeError) -> ChangedFileError:
        """The same error, or that of a page or of a store's error where the first bytes are those of one."""
        return self._not_the_file() or error

    async def whole(self, room: int) -> memoryview | None:
        """The whole body, judged; None when the server gives no size, and it is longer than `room`.

        :raises ChangedFileError: as `take`.
        :raises OtherSizeError: it has not its size.
        """
        limit = room if self.size is None else self.size
        content = await self.download.read(limit)
        self.take(content)
        if len(content) > limit:
            if self.size is None:
                return None
            raise self.other_size(f"more than the {limit} bytes that were listed.")
        if self.size is not None and len(content) != self.size:
            raise self.other_size(f"{len(content)} of {self.size} bytes arrived.")
        self.finish()
        return content

    def take(self, piece: bytes | memoryview) -> None:
        """Judge the next bytes of the body, before they are written.

        :raises ChangedFileError: the body is a web page, or the error of a store; or as `finish`.
        :raises OtherSizeError: see `finish`.
        """
        if not self._received:
            self._begin = bytes(piece[:MAX_ANSWER_BYTES])
            if (self.size is None or self.size != self.file.bytes) and (error := self._not_the_file()):
                raise error
            if self.file.bytes is None and not _GZIP_MAGIC.startswith(self._begin[:2]):
                self._unpacked = None  # not gzip, although the server or the file name says so: nothing to unpack
            if self._must_prove and self._unpacked is None and self._text is None:
                raise self._unproven()
        self._received += len(piece)
        if self._text is not None:
            self._text += piece
            if len(self._text) > _MOST_JSON:
                raise self._unproven()
        if self._unpacked is not None:
            self._unpacked.feed(piece)
            if self._received == self.size:
                self.finish()

    def finish(self) -> None:
        """Judge the whole body. `take` does that itself if the size is known.

        :raises OtherSizeError: the file has another size than listed, before compression and after it.
        :raises ChangedFileError: it is a damaged gzip, or nothing shows that it is whole.
        """
        unpacked, listed = self._unpacked, self.file.bytes
        if self._received == listed:
            return
        if unpacked is not None and not unpacked.may_be(listed):
            if listed is None:
                raise ChangedFileError(f"{self.file.path!a}: its gzip content is damaged, or ends too early.")
            counted = f"more than {listed}" if unpacked.full else unpacked.size
            raise self.other_size(f"{self._received} bytes, {counted} before compression, {listed} listed.")
        if self._must_prove and not (self._received and (unpacked.is_whole if unpacked else _is_json(self._text))):
            raise self._unproven()

    def _unproven(self) -> ChangedFileError:
        return ChangedFileError(
            f"{self.file.path!a}: the server does not say how long the file is, and ends it by closing the connection. "
            "So it is not known whether all of it has arrived. Check the proxies on the way to the storage server "
            "(docs/reliability.md)."
        )

    def _not_the_file(self) -> ChangedFileError | None:
        text = first_bytes(self._begin, self.encoding, MAX_ANSWER_BYTES).decode(errors="replace")
        what = self._what_came_instead(text)
        if what is None:
            return None
        return ChangedFileError(
            f"{self.file.path!a}: {what} came in place of the file, with status 200. Check the proxies on the way "
            "to the storage server. If it is the file, declare its size, `bytes`, or a `name` with the ending `.html`, "
            "in the extra `results` of the connection (docs/reliability.md)."
        )

    def _what_came_instead(self, text: str) -> str | None:
        path = self.file.path.lower().removesuffix(".gz")
        if begins_as_error(text) and (code_of(text) or not path.endswith(".xml")):
            return "an error of a store"
        if path.endswith(_PAGE_NAMES) or _is_page(self.file.content_type):
            return None
        # Some servers send every file with the type of a web page. So a body of this type counts as a web page only if
        # it begins with `<`. If the body has a compression that cannot be unpacked here, its type alone decides.
        may_be = not can_unpack(self.encoding) or text.lstrip("\ufeff\t\r\n ").startswith("<")
        return "a web page" if begins_as_page(text) or (_is_page(self.download.content_type) and may_be) else None


def offered(file: ResultFile, url: str, download: Download) -> Offered:
    """A download of a result file, with the number of bytes that must arrive."""
    packed = compression(download.content_encoding)
    return Offered(file, url, download, download.total if packed or file.bytes is None else file.bytes)


def other_size(error: Exception, attempts: int, *, is_final: bool) -> TransferError | IncompleteDatasetError:
    """The error for a file of which every attempt got the same other size than listed.

    :param error: that of the last attempt.
    :param is_final: whether a try of the task has failed before, so that one more cannot help.
    """
    kind = IncompleteDatasetError if is_final else TransferError
    return kind(
        f"{error} Each of {attempts} attempts found the same. "
        f"{'' if is_final else 'If the next try of the task finds it, too: '}"
        "Clear list_files with its downstream tasks to land the "
        "file as it is now. If the error comes again, the listing does not give the sizes of files: declare `files` "
        "and `url` without `bytes` in the extra `results` of the connection (docs/reliability.md)."
    )


def _is_json(text: bytearray | None) -> bool:
    """Whether a text is a whole JSON object or list. A number is none: its first digits are a number, too."""
    if not text or not text.lstrip().startswith((b"{", b"[")):
        return False
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _is_page(content_type: str | None) -> bool:
    return (content_type or "").partition(";")[0].strip().lower() in _PAGE_TYPES
