"""Finds the encoding of a text file while it is read: UTF-8, UTF-16 or Windows-1252."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from learnosity.inputs.unpack import UnreadableError

UTF8: Final = "UTF-8"
UTF16: Final = "UTF-16"
WINDOWS_1252: Final = "Windows-1252"

UTF32_BOMS: Final = (b"\xff\xfe\0\0", b"\0\0\xfe\xff")
# Matches the start of a UTF-16 text in either byte order: any empty lines, and then the first line that is not empty.
# Group 1 is this line, without its line end.
_FIRST_LINE: Final = re.compile(rb"(?s)(?:\0[\r\n]|[\r\n]\0)*+((?:(?!\0[\r\n]|[\r\n]\0)..)*+)")
# If a file has no byte order mark, this many bytes at its start are tested for UTF-16.
_SAMPLE: Final = 512


class DecodedText:
    """The text of a file, in pieces. Each byte order mark of the file stays in the text, as U+FEFF.

    Windows-1252 has no mark. A file is read as Windows-1252 from the first byte that is not UTF-8, if all bytes before
    it are ASCII: ASCII is the same in both, so nothing has to be read again.

    :param pieces: the unpacked content; the first piece has at least 512 bytes if the file has them.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.encoding = UTF8
        self._pieces = iter(pieces)

    def __iter__(self) -> Iterator[str]:
        """The pieces of text.

        :raises UnreadableError: the rest has no encoding that is known. The text before it is given first.
        """
        head = next(self._pieces, b"")
        pieces = chain((head,), self._pieces)
        if head.startswith(UTF32_BOMS):
            raise UnreadableError("the file is UTF-32: save it as UTF-8")
        if head.startswith(codecs.BOM_UTF8):
            yield from _strict(pieces, "utf-8", UTF8)
            return
        if codec := utf16_codec(head):
            self.encoding = UTF16
            yield from _strict(pieces, codec, UTF16)
            return
        yield from self._utf8_or_windows(pieces)

    def _utf8_or_windows(self, pieces: Iterable[bytes]) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")()
        # True as soon as a character beyond ASCII, such as é, was valid UTF-8. Then the file is UTF-8, and a later byte
        # that is not valid UTF-8 is an error, not a sign of Windows-1252.
        certain = False
        for piece, final in _with_last(pieces):
            try:
                text = decoder.decode(piece, final)
            except UnicodeDecodeError as error:
                before = error.object[: error.start]
                if certain or not before.isascii():
                    yield before.decode()
                    raise UnreadableError("not valid UTF-8 from here on, although the text before is") from None
                self.encoding = WINDOWS_1252
                rest = bytes(error.object)
                break
            certain = certain or not text.isascii()
            if text:
                yield text
        else:
            return
        yield from _strict(chain((rest,), pieces), "cp1252", "UTF-8 or Windows-1252")


def _with_last(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    for piece in pieces:
        yield piece, False
    yield b"", True


def _strict(pieces: Iterable[bytes], codec: str, name: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(codec)()
    for piece, final in _with_last(pieces):
        try:
            text = decoder.decode(piece, final)
        except UnicodeDecodeError as error:
            if before := bytes(error.object[: error.start]).decode(codec):
                yield before
            # `from None`: the original error contains the bytes of the file, which must not get into a log.
            raise UnreadableError(f"not valid {name} from here on") from None
        if text:
            yield text


def utf16_codec(head: bytes) -> str | None:
    """The codec, if the start of a file is UTF-16; None = it is not.

    Without a mark, nearly every second byte is zero: letters, digits and delimiters of a header are so in UTF-16.
    """
    if head.startswith(UTF32_BOMS):
        return None
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16-le" if head.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    head = head[:_SAMPLE]
    # In UTF-16, each Latin letter has a zero byte, but Chinese characters, for example, have nearly none. So a file
    # with Chinese rows does not look like UTF-16 as a whole. Its header is usually in Latin letters, so the first line
    # is also tested alone.
    line = _FIRST_LINE.match(head)
    return _by_zeros(head) or (_by_zeros(line[1]) if line else None)


def _by_zeros(head: bytes) -> str | None:
    even, odd = head[::2], head[1::2]
    if len(odd) < 4:
        return None
    if odd.count(0) > len(odd) * 0.8 and not even.count(0):
        return "utf-16-le"
    if even.count(0) > len(even) * 0.8 and not odd.count(0):
        return "utf-16-be"
    return None
