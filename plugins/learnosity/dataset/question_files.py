"""Finds the files of an analysis that have its questions, and counts the questions of several files. Pure functions.

Usually one file has all questions, and other files repeat them. But the layout is not documented: each file may also
have its own part of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from msgspec import structs

from learnosity.dataset.completeness import Returned, is_empty, questions_returned
from learnosity.dataset.group_files import stem_of, suffix_of
from learnosity.dataset.key_figures import figures_of_items
from learnosity.dataset.tables import Document, Kind, Table, is_number

# Number of files that are read first. Usually one of these has all questions, and the others repeat them.
CANDIDATES = 5
# Maximum number of files that are read, the first `CANDIDATES` files included. After these, reading goes on only if
# none of them has questions, or if one of them has questions that the files before it do not have.
MOST_PARTS = 20
_NAMES = ("item_reference", "question_reference")
Name = str | None
_DIGITS = re.compile("[0-9]+")
# Every column with names of questions, or with statistics about questions, has one of these words in its name. So rows
# without such a column are not about questions.
_OF_QUESTIONS = re.compile(
    "reference|question|item|session|p_value|discriminat|attempt|score|percent|mean|median|stddev|correct",
    re.IGNORECASE,
)


def likely_files(paths: Iterable[str]) -> list[str]:
    """The files that may have questions. Those that are likely to have all of them come first."""
    tables = (path for path in paths if suffix_of(path) in (".json", ".ndjson", ".jsonl", ".csv"))
    return sorted(tables, key=lambda path: (path.count("/"), len(path), path))


class Questions:
    """The questions of several files, in the order of `likely_files`.

    Files with the same name and another suffix, such as `q.json` and `q.csv`, have the same questions. A file whose
    rows only name items, beside one that only names questions, shows the same questions in another way. It is not
    counted. If the names of the two differ in their numbers alone, both may be parts, and the count is not known.

    :ivar in_parts: whether a file has questions that the files before it do not have.
    """

    def __init__(self) -> None:
        self.in_parts = False
        self._path = ""  # the first path in `_paths`
        self._paths: list[str] = []  # paths of the files whose questions are counted
        self._other_paths: list[str] = []  # paths of files that may show the same questions in another way
        # The names of items and questions exactly as the files write them, each with its column, such as
        # `("item_reference", "Q7")`. `_pairs`, `_items` and `_questions` have them in lower case. So only here, `q7`
        # differs from `Q7`: `_is_recased` needs that.
        self._spellings: set[tuple[str, str]] = set()
        self._has_case = False  # whether one file has two names that differ by case alone, such as `Q7` and `q7`
        # Whether a row of a later file is about a known question, but has a name that no earlier file has in this
        # spelling: `q7` for `Q7`. If `_has_case` is true as well, the row may be about a further question: see
        # `returned`.
        self._is_recased = False
        self._first: Document | None = None
        self._more: list[Mapping[str, Any]] = []
        self._stems: set[str] = set()  # paths, without suffix, of the files with questions
        self._named: set[str] = set()  # the columns of `_NAMES` that the counted files have
        self._pairs: set[tuple[Name, Name]] = set()
        self._items: set[Name] = set()
        self._questions: set[Name] = set()
        self._unnamed: Document | None = None  # the first file with rows that do not say which question they are about
        self._is_empty = False
        self._unclear: list[str] = []

    def add(self, path: str, document: Document | None) -> None:
        """Add a file; None = it could not be read."""
        table = None if document is None else document.first(Kind.ITEMS)
        if document is None or document.cut or document.broken or (table is None and _may_have_questions(document)):
            self._unclear.append(path)
        elif table is None:
            self._is_empty = self._is_empty or is_empty(document)
        elif not (named := {name for name in _NAMES if any(row.get(name) is not None for row in table.rows)}):
            self._unnamed = self._unnamed or document
        elif stem_of(path) not in self._stems:
            self._stems.add(stem_of(path))
            self._add_table(path, document, table, named)

    def _add_table(self, path: str, document: Document, table: Table, named: set[str]) -> None:
        if self._named and self._named.isdisjoint(named):
            if "question_reference" not in named:
                self._other_paths.append(path)
                return
            # This file names questions, and all counted files before it name only items. Those files may show the same
            # questions in another way. So their paths go to `_other_paths`, and counting starts again with this file.
            self._first, self._more, self._named = None, [], set()
            self._pairs, self._items, self._questions = set(), set(), set()
            self._other_paths, self._paths = [*self._other_paths, *self._paths], []
            self._spellings, self._has_case, self._is_recased = set(), False, False
        self._named |= named
        self._paths.append(path)
        spellings = {(name, str(row[name])) for row in table.rows for name in _NAMES if _as_text(row.get(name))}
        self._has_case |= len({(name, text.casefold()) for name, text in spellings}) < len(spellings)
        if self._first is None:
            self._path, self._first = path, document
            for row in table.rows:
                self._note(row)
        else:
            # `seen` has the names in the rows of this file so far. Example: the file has a row of the new question `Q9`
            # twice. At the second row, `Q9` is a known question, but `_spellings` does not have it yet. Without `seen`,
            # `Q9` would look like a known name in another case.
            seen: set[tuple[tuple[str, str], ...]] = set()
            for row in table.rows:
                is_new = self._note(row)
                written = tuple((name, str(row[name])) for name in _NAMES if _as_text(row.get(name)))
                self._is_recased |= not is_new and written not in seen and not self._spellings.issuperset(written)
                seen.add(written)
                if is_new:  # to save memory, only names and numbers are kept: the figures need no other cells
                    self._more.append({key: cell for key, cell in row.items() if key in _NAMES or is_number(cell)})
        self._spellings |= spellings
        self.in_parts = bool(self._more)

    def _note(self, row: Mapping[str, Any]) -> bool:
        """Note the names of a question. Whether no row before has them.

        A row with one of the two names may be the same question as any row with this name. One without is not counted.
        """
        item, question = (_as_text(row.get(name)) for name in _NAMES)
        if item is None and question is None:
            return False
        if question is None:
            is_known = item in self._items
        elif item is None:
            is_known = question in self._questions
        else:
            is_known = not self._pairs.isdisjoint([(item, question), (item, None), (None, question)])
        self._pairs.add((item, question))
        self._items |= {item} - {None}
        self._questions |= {question} - {None}
        return not is_known

    @property
    def goes_on(self) -> bool:
        """Whether further files are read, up to `MOST_PARTS`: no file has questions yet, or each has its own."""
        return self.in_parts or self._first is None

    def may_lack(self, path: str) -> bool:
        """Whether questions may be missing if a file was not read, or not as a whole."""
        if self._first is None or path == self._path:
            return True
        return stem_of(path) not in self._stems and (self.in_parts or _is_other_part(self._path, path))

    def returned(self, unread: Iterable[str] = ()) -> Returned:
        """What came back. Nothing is known if a file that may have further questions was not read.

        :param unread: further files of `likely_files`.
        """
        left = [*self._unclear, *unread]
        whole = self._first or self._unnamed
        if whole is None:
            return Returned(questions=0, nothing_matched=True) if self._is_empty and not left else Returned()
        if self._first is not None and (any(map(self.may_lack, left)) or self._may_be_other_parts()):
            return Returned()
        if self._has_case and self._is_recased:
            # One file has two questions whose names differ by case alone, such as `Q7` and `q7`. So where another file
            # writes a known name in another case, it may mean a further question. Then the number of questions is not
            # known.
            return Returned()
        if self.in_parts:
            table = whole.first(Kind.ITEMS)
            assert table is not None
            whole = replace(whole, tables=(replace(table, rows=[*table.rows, *self._more]),))
        return structs.replace(questions_returned(whole), figures=figures_of_items(whole))

    def _may_be_other_parts(self) -> bool:
        """Whether a file that seems to show the same questions in another way may be a further part."""
        return any(_is_other_part(path, other) for path in self._paths for other in self._other_paths)


def _is_other_part(path: str, other: str) -> bool:
    """Whether the names of two files differ in their numbers alone, such as `part-0.json` and `part-1.json`."""
    one, two = stem_of(path), stem_of(other)
    return one != two and _DIGITS.sub("0", one) == _DIGITS.sub("0", two)


def _may_have_questions(document: Document) -> bool:
    """Whether a file without questions that are recognised may have some in another shape."""
    return document.hidden or bool(document.odd) or any(map(_may_be_of_questions, document.tables))


def _may_be_of_questions(table: Table) -> bool:
    """Whether the rows of a table may be about questions. Rows without any name or measure of questions are not."""
    if table.lone:
        return False
    return table.left_out > 0 or any(
        isinstance(cell, dict | list) or _OF_QUESTIONS.search(column) is not None
        for row in table.rows
        for column, cell in row.items()
    )


def _as_text(value: Any) -> Name:
    """A name as all files write it: JSON may have the number 7 or `Q7`, where CSV has the text 7 or `q7`."""
    return str(value).casefold() if isinstance(value, str | int) else None
