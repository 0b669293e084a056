"""`names.tsv`: the users, groups and questions of a dataset and their places, so that one is found without its files.

It lies in the folder of the dataset, goes with it, and its digest stands in the manifest. One line per name:

    kind TAB name in lower case TAB line of its file in files.ndjson TAB row in the file TAB name as it is

Lines and rows count from 0. The last field is empty where it is the second. Names are written as in JSON, so no name
has a tab or a line end. Digits of lines and rows are written as A to J: a search is in lower case and passes over them.
Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from unicodedata import normalize

import msgspec

# Largest names.tsv in bytes. A search holds the whole file in memory, so a larger one is neither written nor read.
MAX_BYTES = 16 * 1024 * 1024
# A single character is part of very many names. So a search for fewer characters than this finds only names that are
# equal to the searched text. Among several words, such a short word must stand alone between blanks, in the name or in
# the groups of its file: `5` is found in `district 5 / school 2`, but not in `district 15 / school 2`.
SHORTEST = 2
LONGEST_NAME = 300  # maximum number of characters of a name; a longer name is left out
MOST_HITS = 100  # maximum number of names in the result of a search
# Each line of names.tsv has two numbers: the line of a file in files.ndjson, and the row of the name in this file.
# Landing writes only smaller numbers than this one. So a line of names.tsv with this number or a larger one is damaged,
# and is skipped.
_LARGEST = 10**9
# A search looks for the start and the end of a line of names.tsv at most this many bytes before and after the text that
# it has found. Landing writes only shorter lines. So a line without a start or an end there is damaged, and is skipped.
_LONGEST_LINE = 8 * 1024
# `_lines` checks at most this many places where the searched text occurs, and then says that there may be more hits. In
# a damaged names.tsv, the text may occur very often outside of names: to check all these places would take too long.
_TRIES = 100_000
_FIELDS = 5
# If a person searches for several words, each word that is looked up costs a scan of the whole names.tsv. So at most
# this many of the words are looked up. Each line that contains one of these is then checked for all words.
_ANCHORS = 10
# A word of one character must be a whole word of the name. So a blank, or the tab where the name begins or ends, must
# stand before it and after it.
_ENDS_OF_WORD = [(b"\t", b"\t"), (b"\t", b" "), (b" ", b"\t"), (b" ", b" ")]
_LETTERS, _DIGITS = bytes.maketrans(b"0123456789", b"ABCDEFGHIJ"), bytes.maketrans(b"ABCDEFGHIJ", b"0123456789")


class NameKind(StrEnum):
    """What a name belongs to."""

    USER = "u"
    GROUP = "g"
    QUESTION = "q"


class NamesInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the manifest says about `names.tsv`."""

    sha256: str
    bytes: int
    names: int
    left_out: int = 0
    """Files whose names are not all there: too large, too many, not understood, or with rows inside of other rows."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name, and where it is in the dataset.

    :param file: line of the file in files.ndjson, from 0.
    :param row: row of the table in the file, from 0.
    """

    kind: NameKind
    name: str
    file: int
    row: int


@dataclass(frozen=True, slots=True)
class Hits:
    """The names that a search has found: first equal ones, then those that begin with the words, then the others.

    :param more: whether there are more than these.
    """

    names: tuple[Name, ...]
    more: bool


def encode_names(names: Iterable[Name]) -> Iterator[bytes]:
    """The lines of the index. A name that is empty, has only blanks or is too long is left out."""
    for each in names:
        if each.name.strip() and len(each.name) <= LONGEST_NAME:
            low, own = _written(each.name.casefold()), _written(each.name)
            place = (b"%d\t%d" % (each.file, each.row)).translate(_LETTERS)
            yield b"%b\t%b\t%b\t%b\n" % (each.kind.encode(), low, place, b"" if low == own else own)


def search_names(content: bytes, words: str, most: int = MOST_HITS, places: Sequence[str] = ()) -> Hits:
    """Find names in an index. Upper and lower case are the same, and so are a letter with an accent and the two apart.

    Lines that are not understood are passed over.

    :param words: all together are the name or a part of it; or each of them is in the name, or in the place of its
        file, and at least one in the name. A part has at least `SHORTEST` characters; a single one is a whole word.
    :param most: at most so many names are found.
    :param places: the groups of each file, as text, by the line of the file.
    """
    wanted = words.strip().casefold()
    if not wanted:
        return Hits((), more=False)
    found: dict[int, bytes] = {}  # the lines that were found; each key is the position of the line's first byte
    more = False
    # The searches run one after the other: for names that equal the words, for names that begin with the words, for
    # names that contain the words together, and for names where each word is in the name or in the groups of its file.
    # So the best hits come first, and the limit `most` leaves out the weakest hits.
    ways = [(b"\t", b"\t"), (b"\t", b""), (b"", b"")] if len(words.strip()) >= SHORTEST else [(b"\t", b"\t")]
    searches = [_lines(content, before, _written(form), after) for before, after in ways for form in forms(wanted)]
    if len(each := list(dict.fromkeys(wanted.split()))) > 1:
        searches.append(_of_words(content, each, places))
    for search in searches:
        for begin, line in search:
            if begin in found:
                continue
            if line is None or len(found) >= most:
                more = True
                break
            found[begin] = line
    names = (name for name in map(_decoded, found.values()) if name is not None)
    return Hits(tuple(names), more)


def _of_words(content: bytes, words: Sequence[str], places: Sequence[str]) -> Iterator[tuple[int, bytes | None]]:
    """The lines that have every word in the name or in the place of the file, as `_lines` gives them."""
    folded = [place.casefold() for place in places]
    above = {word: {file for file, place in enumerate(folded) if _has(place, word)} for word in words}
    spelt = {word: [_written(form) for form in forms(word)] for word in words[:_ANCHORS]}
    # The loop below checks at most `_TRIES` lines, for all words together. So the rarest word is looked up first: the
    # fewest lines contain it.
    anchors = sorted(spelt, key=lambda word: sum(map(content.count, spelt[word])))
    tries = 0
    for anchor in anchors:
        ends = _ENDS_OF_WORD if len(anchor) < SHORTEST else [(b"", b"")]
        for begin, line in chain.from_iterable(
            _lines(content, before, form, after) for form in spelt[anchor] for before, after in ends
        ):
            tries += 1
            if line is None or tries > _TRIES:
                yield -1, None
                return
            name = _decoded(line)
            low = name.name.casefold() if name else ""
            if name and _has(low, anchor) and all(name.file in above[word] or _has(low, word) for word in words):
                yield begin, line
        if not above[anchor] and len(anchor) >= SHORTEST:
            # No file has this word in its place (its groups, or its path). So each hit must have the word in its name,
            # and is found already: searches for the other words would find no more. A word of one character is
            # different: the search for `5` misses a name with a no-break space beside the `5`. So after such a word,
            # the other words are looked up, too.
            return


def _has(text: str, word: str) -> bool:
    """Whether a text has a word. One character must stand alone, because nearly every name has it somewhere."""
    return any(form in text and (len(word) >= SHORTEST or form in text.split()) for form in forms(word))


def forms(text: str) -> list[str]:
    """A text as it is, and with its accents in both ways of Unicode. Rosters and file names may have either."""
    return [text] if text.isascii() else list(dict.fromkeys([text, normalize("NFC", text), normalize("NFD", text)]))


def _lines(content: bytes, before: bytes, wanted: bytes, after: bytes) -> Iterator[tuple[int, bytes | None]]:
    """The lines whose second field has the words, and where they begin. None = the others are not looked at.

    :param before: what stands before the words: a tab (the start of the field), a blank, or anything (empty).
    :param after: what stands behind the words: a tab (the end of the field), a blank, or anything (empty).
    """
    pattern = before + wanted + after
    at = content.find(pattern)
    for _ in range(_TRIES):
        if at < 0:
            return
        begin = content.rfind(b"\n", max(at - _LONGEST_LINE, 0), at) + 1
        end = content.find(b"\n", at, at + _LONGEST_LINE)
        # `end < 0`: the line has no end within `_LONGEST_LINE` bytes. `begin == 0`: no line end was found before `at`.
        # That is right in the first line, but not if `at` is more than `_LONGEST_LINE` bytes from the start of the
        # file. Landing writes no such line, so it is damaged, and is skipped.
        if end < 0 or (begin == 0 and at > _LONGEST_LINE):
            end = content.find(b"\n", at)
            at = content.find(pattern, end) if end >= 0 else -1
            continue
        first = content.find(b"\t", begin, end)
        second = content.find(b"\t", first + 1, end)
        # The second field of a line is the name in lower case. The match must be inside of it. If `before` is a tab,
        # the match must be at the start of the name.
        inside = first <= at - (not before) and at + len(before) + len(wanted) <= second
        if first >= 0 and inside and (before != b"\t" or at == first):
            yield begin, content[begin:end]
            at = content.find(pattern, end)
        else:
            at = content.find(pattern, at + 1)
    yield -1, None


def _decoded(line: bytes) -> Name | None:
    fields = line.split(b"\t")
    if len(fields) != _FIELDS:
        return None
    try:
        kind = NameKind(fields[0].decode())
        file, row = (int(field.translate(_DIGITS)) for field in fields[2:4])
        name = msgspec.json.decode(b'"%b"' % (fields[4] or fields[1]), type=str)
    except (ValueError, msgspec.DecodeError):
        return None
    return Name(kind, name, file, row) if 0 <= file < _LARGEST and 0 <= row < _LARGEST else None


def _written(name: str) -> bytes:
    """A name escaped as in JSON, without quotes. Half a surrogate pair, which UTF-8 cannot hold, becomes `?`."""
    return msgspec.json.encode(name.encode("utf-8", "replace").decode())[1:-1]
