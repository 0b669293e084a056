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
from learnosity.dataset.tables import Document, Kind, is_number

CANDIDATES = 5  # maximum number of files that are read to find the one with the questions
MOST_PARTS = 20  # maximum number of files that are read if the questions are spread over several files
_NAMES = ("item_reference", "question_reference")
Name = str | int | None
_DIGITS = re.compile("[0-9]+")


def likely_files(paths: Iterable[str]) -> list[str]:
    """The files that may have questions. Those that are likely to have all of them come first."""
    tables = (path for path in paths if suffix_of(path) in (".json", ".ndjson", ".jsonl", ".csv"))
    return sorted(tables, key=lambda path: (path.count("/"), len(path), path))


class Questions:
    """The questions of several files, in the order of `likely_files`.

    :ivar in_parts: whether a file has questions that the files before it do not have.
    """

    def __init__(self) -> None:
        self.in_parts = False
        self._path = ""  # path of the first file that has questions
        self._first: Document | None = None
        self._more: list[Mapping[str, Any]] = []
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
        elif not any(row.get(name) is not None for row in table.rows for name in _NAMES):
            self._unnamed = self._unnamed or document
        elif self._first is None:
            self._path, self._first = path, document
            for row in table.rows:
                self._note(row)
        else:
            for row in table.rows:
                if self._note(row):  # only names and numbers are kept in memory: the figures need no other cells
                    self._more.append({key: cell for key, cell in row.items() if key in _NAMES or is_number(cell)})
            self.in_parts = bool(self._more)

    def _note(self, row: Mapping[str, Any]) -> bool:
        """Note the names of a question. Whether no row before has them.

        A row with one of the two names may be the same question as any row with this name. One without is not counted.
        """
        item, question = (value if isinstance(value, str | int) else None for value in map(row.get, _NAMES))
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

    def returned(self, unread: Iterable[str] = ()) -> Returned:
        """What came back. Nothing is known if a file that may have further questions was not read.

        :param unread: further files of `likely_files`.
        """
        left = [*self._unclear, *unread]
        whole = self._first or self._unnamed
        if whole is None:
            return Returned(questions=0, nothing_matched=True) if self._is_empty and not left else Returned()
        if left and (self.in_parts or any(_is_other_part(self._path, path) for path in left)):
            return Returned()
        if self.in_parts:
            table = whole.first(Kind.ITEMS)
            assert table is not None
            whole = replace(whole, tables=(replace(table, rows=[*table.rows, *self._more]),))
        return structs.replace(questions_returned(whole), figures=figures_of_items(whole))


def _is_other_part(path: str, other: str) -> bool:
    """Whether the names of two files differ in their numbers alone, such as `part-0.json` and `part-1.json`."""
    one, two = stem_of(path), stem_of(other)
    return one != two and _DIGITS.sub("0", one) == _DIGITS.sub("0", two)


def _may_have_questions(document: Document) -> bool:
    """Whether a file without questions that are recognised may have some in another shape."""
    return document.hidden or document.odd != "" or any(not table.lone for table in document.tables)
