"""Says which rows of a result file become rows of Parquet, and which files cannot be used. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from learnosity.dataset.manifest import LAND_AGAIN
from learnosity.dataset.nested_rows import OWN, by_kind, split
from learnosity.dataset.shapes import (
    ANCESTORS,
    is_by_column,
    is_joined_header,
    is_measure,
    keyed_in,
    keyed_rows,
    known,
    measure_without_id,
    names_no_question,
)
from learnosity.dataset.tables import Document, Kind, Table, kind_of
from learnosity.errors import IncompleteDatasetError


class Source(StrEnum):
    """What stands behind a row."""

    LISTED = "listed"
    """A list, or anything else. Equal rows are the same row."""
    OWN = "own"
    """The group's own file. The row counts only if no file lists the group."""
    ROOT = "root"
    """The file of the root group, which no file lists."""


Found = tuple[Kind, str | None, Mapping[str, Any], Source]
"""Kind, folder and content of a row, and what stands behind it. Rows of questions have no folder."""


def known_tables(document: Document) -> list[Table]:
    """The tables whose rows are used. The rows of each are of one kind."""
    found = [table for table in document.tables if table.kind is not Kind.PLAIN and table.name != ANCESTORS]
    return [each for table in found if not _is_unnamed_question(table) for each in by_kind(table)]


def passed_over(document: Document) -> list[Table]:
    """Figures of all questions together, beside a list of these: an object such as `"summary": {"p_value": 0.5}`."""
    if not any(table.kind is Kind.ITEMS and not table.lone for table in document.tables):
        return []
    return [table for table in document.tables if _is_unnamed_question(table)]


def check_readable(path: str, document: Document) -> None:
    """Check that the rows of a file can be found. A file without rows of a known kind is in order.

    :raises IncompleteDatasetError: the file may have rows that cannot be read.
    """
    name = path.lower().removesuffix(".gz")
    if document.broken:
        raise _unusable(path, "is damaged, still packed, or not valid JSON or CSV in UTF-8")
    if document.hidden:
        raise _unusable(path, "has rows beside other values in a list, or so deep that they are not found")
    if name.endswith(".tsv") and not document.tables and _more_than_a_header(document.text):
        raise _unusable(path, "is TSV or still packed, which this sample does not read")
    if name.endswith(".csv") and any(map(_has_odd_header, document.tables)):
        raise _unusable(path, "is not separated by commas, or not in UTF-8")
    if document.lost and known_tables(document):
        raise _unusable(
            path, "has cells that are in no column of their own: columns of one name, or rows longer than the header"
        )
    for table in document.tables:
        if table.kind is Kind.PLAIN and not table.lone and (column := _misspelt(table)) is not None:
            raise _unusable(path, f"has a column {column!a}, which is not read as {known(column)}")


def is_in_other_shape(document: Document) -> bool:
    """Whether a file has results that are not read as rows."""
    return _other_shape(document) != ""


def check_shape(path: str, document: Document) -> None:
    """Check that a file has no results that are not read as rows.

    :raises IncompleteDatasetError: it has some.
    """
    if found := _other_shape(document):
        raise _unusable(path, f"looks like results in a shape that this sample does not read ({found})")


def rows_of(path: str, document: Document, place: str, *, is_root: bool) -> Iterator[Found]:
    """The rows of a file.

    :param place: the folder of the group that the file is about. Groups in different folders may have the same name, so
        each row of a group or a user gets it, too. The row of a group in its own file gets the folder of its parent, as
        in the parent's file.
    :param is_root: whether the file is about the root group.
    :raises IncompleteDatasetError: the row of a group has rows that cannot be read.
    """
    tables = known_tables(document)
    lone = [table for table in tables if table.lone and table.kind is Kind.GROUPS]
    for table in tables:
        if table.kind is not Kind.GROUPS:
            yield from _listed(path, table, place)
            continue
        is_only = len(lone) == 1 and table is lone[0]
        for row in table.rows:
            rest, below = _split(path, row)
            own = table.name == OWN or (is_only and (table.name == "" or bool(below)))
            source = Source.LISTED
            if own and (is_root or table.name in (OWN, "")):
                source = Source.ROOT if is_root else Source.OWN
            yield Kind.GROUPS, place.rpartition("/")[0] if own else place, rest, source
            for each in below:
                yield from _listed(path, each, place if own else _below(place, row))


def _listed(path: str, table: Table, place: str) -> Iterator[Found]:
    for row in table.rows:
        rest, below = _split(path, row) if table.kind is Kind.GROUPS else (row, [])
        yield table.kind, None if table.kind is Kind.ITEMS else place, rest, Source.LISTED
        for each in below:
            yield from _listed(path, each, _below(place, row))


def _below(place: str, row: Mapping[str, Any]) -> str:
    return f"{place}/{row.get('group_name')}".lstrip("/")


def _split(path: str, row: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Table]]:
    """The row of a group without lists of users and groups, and these lists."""
    rest, below, lost = split(row)
    if lost is not None:
        raise _unusable(path, f"has rows in the field {lost!a} of a group where they are not found")
    return rest, below


def _more_than_a_header(text: str) -> bool:
    return "\n" in text.strip() or "\ufffd" in text


def _has_odd_header(table: Table) -> bool:
    """Whether a CSV file has another delimiter, or two bytes for each letter."""
    names = "".join(table.columns)
    if "\0" in names or (len(table.columns) == 1 and any(mark in names for mark in ";\t|")):
        return True
    return table.kind is Kind.PLAIN and is_joined_header(table.columns)


def _other_shape(document: Document) -> str:
    """The results of a file that are not read as the rows that they are; "" = there are none."""
    passed = passed_over(document)
    found = (_shape_of(table) for table in document.tables if all(table is not one for one in passed))
    return document.odd or next(filter(None, found), "")


def _shape_of(table: Table) -> str:
    if table.name == ANCESTORS:
        return ""
    if table.lone and any(map(is_by_column, table.rows)):
        return f"the cells of each column together, as in {table.columns[0]!a}"
    if _is_unnamed_question(table):
        return f"the row of a question that does not say which one, with {', '.join(table.columns[:3])}"
    if table.kind is Kind.PLAIN and not table.lone and (column := measure_without_id(table.name, table.rows)):
        return f"rows with {column!a} but without ids in {table.name!a}"
    if table.kind not in (Kind.PLAIN, Kind.GROUPS):
        return ""
    return keyed_rows(filter(None, map(_keyed_in, table.rows)), beside_others=False)


def _is_unnamed_question(table: Table) -> bool:
    return table.lone and any(kind_of(row) is Kind.ITEMS and names_no_question(row) for row in table.rows)


def _keyed_in(row: Mapping[str, Any]) -> str:
    cells = {key: cell for key, cell in row.items() if isinstance(cell, dict | list)}
    return keyed_in(cells, in_group=kind_of(row) is Kind.GROUPS)


def _misspelt(table: Table) -> str | None:
    """A column that would make results of plain rows, but for upper case or blanks at its ends.

    Rows without any measure, such as those of a file of labels, are no results.
    """
    names = dict.fromkeys(name for row in table.rows for name in row)
    if not any(is_measure(known(name)) for name in names):
        return None
    return next((name for name in names if kind_of({known(name): None}) is not Kind.PLAIN), None)


def _unusable(path: str, why: str) -> IncompleteDatasetError:
    return IncompleteDatasetError(
        f"{path} {why}, so rows or cells would be missing. Read it with DuckDB directly; or, if it is not needed, land "
        f"the dataset again without it, by include. {LAND_AGAIN}"
    )
