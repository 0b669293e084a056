"""Content inside a reply: how to prove that a value is rows of a dataset, and not a message about the dataset.

The proof is a documented field name (docs/learnosity-api.md): a measure of a group or a user, or a statistic of a
question. A value without such a field name is never treated as content.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from learnosity.results.addresses import holds_address, holds_only_plain_links, leads_into, name_in_address
from learnosity.results.known_keys import MAX_PLAIN_TEXT, URL_KEYS, looks_like_a_file, plain_key, words
from learnosity.results.signal_keys import Thing

_PERCENTILES = {f"p{digits:02}_{of}" for digits in range(100) for of in ("score", "percent")}
# Keys of scores and counts. A JSON object in a reply may be a row of results, or an entry in a list of files. Only rows
# have these keys. So an object with one of them is not the entry of a file.
MEASURES = _PERCENTILES | {
    *("group_count", "population", "mean_seen_activities", "mean_attempted_percent"),
    *(f"{what}_{of}" for what in ("lowest", "highest", "mean", "median", "stddev") for of in ("score", "percent")),
    *("score", "attempted_max_score", "unscored_max_score", "max_score", "seen_score", "seen_activities"),
    *("count_sessions", "count_attempted", "p_value", "stddev_p_value", "p_value_if_attempted"),
    *("stddev_p_value_if_attempted", "discrimination_index"),
}
# Keys that say which user or question a row is about. An entry in a list of files can have such a key, too. So an
# object with such a key and an address may be a row or the entry of a file.
_SUBJECTS = {"user_id", "item_reference", "question_reference", "question_number", "item_position"}
# A list under one of these keys usually names columns or the levels of groups. So its length does not count as a number
# of records. Exception: if it has lists or rows in it, they may be the records (see `_may_be_records`).
_NO_RECORDS = words("columns fields header headers headings schema levels grouplevels tags labels")
ROW_FIELDS = MEASURES | _SUBJECTS | {"group_name"}
# A link without a signature in a row is usually content, and lands with the row. But if its key ends with one of these
# words, as in `report_file`, and the link ends with the name of a data file, such as `a.csv`, it may lead to a result
# file. This file would not land, so the reply is refused.
_FILE_KEY_ENDS = ("file", "files", "url", "uri", "href", "link", "download")
# A row may have a link to a document about its item, such as a PDF. So a link in a row to a file with one of these
# suffixes is not taken for a result file. Exception: a link into the folder of the dataset may be one, because this
# folder has the result files.
_DOCUMENTS = (".html", ".pdf", ".md")
# The line ends that end a row. `str.splitlines` would also cut at others, such as U+2028. Such a character may be in a
# value, so one row would be counted as two.
_LINE_END = re.compile(r"\r\n?|\n")
# A reply with files may also have a short text of one line: a message, or a row, which would not land with the files.
# `may_be_content` counts the line as a row if a line end follows it, and this pattern is found in it. The pattern finds
# a JSON object or list, or the beginning of one, such as `{"`. It also finds a delimiter of cells: a tab, or a comma or
# semicolon as in `a,b`. The comma in `Hello, Anna` is no delimiter, because a blank follows it.
_MARK_OF_A_ROW = re.compile(r"^[\s\ufeff]*(?:\{.*\}|\[.*\]),?\s*$|[{\[]\s*\\?[\"'{\[]|\t|[,;](?! |$)")


def is_row(record: Mapping[str, Any]) -> bool:
    """Whether `record` has a documented field of a result row. `organisation_id` alone proves nothing."""
    return not ROW_FIELDS.isdisjoint(record)


def has_measure(record: Mapping[str, Any]) -> bool:
    """Whether `record` has a documented measure, which no entry of a list of files has."""
    return not MEASURES.isdisjoint(record)


def has_subject(record: Mapping[str, Any]) -> bool:
    """Whether `record` says which user or question it is about."""
    return not _SUBJECTS.isdisjoint(record)


def is_group_row(record: Mapping[str, Any]) -> bool:
    """Whether `record` is about a group. Its `group_name` can then be requested."""
    return "group_name" in record and not has_subject(record)


def thing_of_row(row: Mapping[str, Any]) -> Thing | None:
    """What `row` is about; None when it does not say."""
    if "user_id" in row:
        return "user"
    if has_subject(row):
        return "question"
    return "group" if "group_name" in row else None


def rows_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every row at any depth of a JSON value."""
    todo = [value]
    while todo:
        each = todo.pop()
        if isinstance(each, dict):
            if is_row(each):
                yield each
            todo.extend(child for child in each.values() if isinstance(child, dict | list))
        elif isinstance(each, list):
            todo.extend(child for child in each if isinstance(child, dict | list))


def plain_links_of_rows(value: Any, dataset_id: str) -> Iterator[str]:
    """The links in the rows at any depth of `value` that are content. A link that is signed, or may be a file, is not.

    A link may be a file if it leads into the dataset's folder, or if it ends like a data file and its key says so.
    """
    for row in rows_in(value):
        for key, text in row.items():
            if isinstance(text, str) and holds_address(text) and holds_only_plain_links(text):
                is_of_a_file = plain_key(key) in URL_KEYS or plain_key(key).endswith(_FILE_KEY_ENDS)
                if not leads_into(text, dataset_id) and not (is_of_a_file and _ends_like_a_file(text)):
                    yield text


def _ends_like_a_file(text: str) -> bool:
    """Whether a link in a text ends like a file with results. A page or a document about an item is none."""
    names = [name_in_address(each, "")[0].lower() for each in text.split()]
    return any(looks_like_a_file(name) and not name.endswith(_DOCUMENTS) for name in names)


def encoded(value: Any) -> bytes | None:
    """The bytes to store for `value`: a text unchanged, other values as JSON; None when it cannot be encoded."""
    try:
        return value.encode() if isinstance(value, str) else msgspec.json.encode(value)
    except (ValueError, OverflowError):
        return None


def is_content(name: str, value: Any) -> bool:
    """Whether it is proven that `value` is the content of the file `name`.

    JSON must contain a row. A text must be JSON with a row, or a table with a documented field in its first line.
    """
    if isinstance(value, str):
        return _is_table(value) if name.lower().endswith((".csv", ".tsv", ".txt")) else _is_json_of_rows(value)
    return isinstance(value, dict | list) and next(rows_in(value), None) is not None


def may_be_content(value: Any) -> bool:
    """Whether a value under a key that is not one of content is a text, and more than a remark or a name.

    It is long, has several lines, is one line that looks like a row, with its line end, or holds rows. Line ends at its
    end begin no further line.
    """
    if not isinstance(value, str):
        return False
    line = value.rstrip("\r\n")
    has_lines = _LINE_END.search(line) is not None or (line != value and _MARK_OF_A_ROW.search(line) is not None)
    return len(value) > MAX_PLAIN_TEXT or has_lines or holds_rows(value)


def holds_rows(text: str) -> bool:
    """Whether it is proven that a text is rows: JSON or NDJSON with a measure, or a table with a documented field.

    A description or a message of several lines is no table: no line below the first one has as many cells.
    """
    text = text.lstrip("\ufeff")
    # U+2028 may be in a value, or may end a line of a table. So the text is cut into lines in both ways: `_lines` does
    # not cut at U+2028, and `str.splitlines` does. With one way alone, some rows would not be recognised.
    return any(_are_rows(text, lines) for lines in (_lines(text), [each for each in text.splitlines() if each.strip()]))


def _are_rows(text: str, lines: Sequence[str]) -> bool:
    if any(has_measure(row) for each in {text, *lines} if "{" in each for row in _rows_in_text(each)):
        return True
    return len(lines) > 1 and _is_table(lines[0]) and any(_has_rows_below(lines, mark) for mark in ",;\t")


def _has_rows_below(lines: Sequence[str], mark: str) -> bool:
    """Whether lines are a table with a documented field, of which a row has as many cells as the heading."""
    try:
        rows = csv.reader(lines, delimiter=mark)
        heading = next(rows)
        if len(heading) < 2 or ROW_FIELDS.isdisjoint(map(str.strip, heading)):
            return False  # with a heading of one cell, every line of a description would count as a row
        return any(len(row) == len(heading) for row in rows)
    except csv.Error:
        return True


def row_counts(value: Any) -> set[int]:
    """The numbers of rows that a content may have: the lengths of its lists, or the number of its lines or CSV rows."""
    if isinstance(value, str):
        # A row can have several lines only if the text has quotes. Only then, rows are counted with `csv`, too. That
        # needs a delimiter. The heading of a table with one column has none, so the comma is taken.
        marks = set(",;\t").intersection(value.lstrip("\ufeff").partition("\n")[0]) or {","} if '"' in value else ()
        counts = {len(_lines(value)), *(_csv_rows(value, mark) for mark in marks)}
        numbers = {number for count in counts for number in (count, count - 1)}
        try:
            return numbers | row_counts(msgspec.json.decode(value, type=dict[str, Any] | list[Any]))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return numbers
    if isinstance(value, list):
        return {len(value)}
    return {len(each) for each in value.values() if isinstance(each, list)} if isinstance(value, dict) else set()


def lengths_in(value: Any) -> Iterator[int]:
    """The lengths of all lists in a content that may be its rows or its columns.

    A list of plain values inside of another list is a row. A list with the name of a documented field has the names of
    columns. If the first row has these names, it may count or not.
    """
    if isinstance(value, dict):
        for key, each in value.items():
            if isinstance(each, dict) or (isinstance(each, list) and _may_be_records(key, each)):
                yield from lengths_in(each)
    elif isinstance(value, list) and not _names_columns(value):
        yield len(value)
        if value and isinstance(value[0], list) and _names_columns(value[0]):
            yield len(value) - 1
        for each in filter(_is_nested, value):
            yield from lengths_in(each)


def _may_be_records(key: str, value: list[Any]) -> bool:
    if plain_key(key) not in _NO_RECORDS:
        return True
    # A list under a key such as `columns` usually has only names. If it has lists or rows in it, it may be the records.
    return any(isinstance(each, list) for each in value) or next(rows_in(value), None) is not None


def _names_columns(value: list[Any]) -> bool:
    return any(isinstance(each, str) and each in ROW_FIELDS for each in value)


def _is_nested(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(each, dict | list) for each in value)


def numbers_of_rows(value: Any, numbers: set[int]) -> dict[Thing, set[int]]:
    """What the rows at the top of a content are about, for `Signals.compare_counts`. All have the same `numbers`.

    Rows inside of other rows are not counted, so a count of these is a statistic.

    :param numbers: the lengths of the lists at the top.
    """
    right: dict[Thing, set[int]] = {"row": numbers, "record": numbers}
    lists = value.values() if isinstance(value, dict) else [value]
    for row in (row for each in lists if isinstance(each, list) for row in each if isinstance(row, dict)):
        if (thing := thing_of_row(row)) is not None:
            right[thing] = numbers
    return right


def _lines(text: str) -> list[str]:
    # In a sequence of JSON texts (RFC 7464), the character U+001E stands before each value. It is no part of the value.
    return [line for each in _LINE_END.split(text) if (line := each.lstrip("\x1e")).strip()]


def _csv_rows(text: str, mark: str) -> int:
    """The number of rows of a table: a cell in quotes may have line breaks."""
    try:
        return sum(any(map(str.strip, row)) for row in csv.reader(io.StringIO(text, newline=""), delimiter=mark))
    except csv.Error:
        return len(_lines(text))


def _is_table(text: str) -> bool:
    heading = text.lstrip("\ufeff").partition("\n")[0]
    if len(heading) > 100_000:
        return False
    try:
        cells = {cell.strip() for mark in ",;\t" for line in csv.reader([heading], delimiter=mark) for cell in line}
    except csv.Error:
        return False
    return not ROW_FIELDS.isdisjoint(cells)


def _is_json_of_rows(text: str) -> bool:
    """Whether `text` is one JSON value that contains a row, or has one JSON value per line that each contain a row."""
    try:
        return next(rows_in(msgspec.json.decode(text)), None) is not None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    try:
        # In `_lines`, U+001E (RFC 7464) is removed before each value. Not here: the readers of landed files do not know
        # this character. So a text with it is not taken for JSON.
        values = [msgspec.json.decode(line) for line in _LINE_END.split(text) if line.strip()]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return bool(values) and all(next(rows_in(value), None) is not None for value in values)


def _rows_in_text(text: str) -> list[Mapping[str, Any]]:
    """The rows of a JSON text, also if it is encoded twice, or has a byte order mark or NaN as Python writes it."""
    value: Any = text
    try:
        while isinstance(value, str):
            value = json.loads(value.lstrip("\ufeff"))
        return list(rows_in(value))
    except (ValueError, RecursionError):
        return []
