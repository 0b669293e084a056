"""Where the files are in a reply, as the extra `results` of the Airflow connection declares it.

The extra has one of two forms. Both are JMESPath expressions on the whole reply `{"meta": …, "data": …}`,
with all other keys of its top level:

* `{"files": "data.outputs.items[]", "url": "href", "name": "key", "bytes": "size", "next": "meta.next"}`. `files` gives
  the list. `url`, `name` and `bytes` are relative to one entry of the list. `next` gives the cursor of the next page,
  and `count` the number of files. Only `files` and `url` are required.
* `{"inline": "data"}`: this part of the reply lands as `dataset.json`.

A declaration does not prove that the reply is complete. So these are still checked: entries without an address, whether
the dataset is ready, counts, further pages. A person has looked at a reply before writing a declaration. So two things
are allowed: an unknown status, and an address outside the declared part if it is not signed. A signed address outside
the declared part is allowed only if it leads to the reply itself, is the address of a declared file, or is under a key
such as `input_files`: then it is one for an upload.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jmespath  # type: ignore[import-untyped]
import msgspec
from jmespath.exceptions import JMESPathError  # type: ignore[import-untyped]
from jmespath.functions import Functions  # type: ignore[import-untyped]

from learnosity.errors import ConnectionConfigError
from learnosity.results.addresses import fetchable, is_signed, name_in_address
from learnosity.results.content import encoded, lengths_in, numbers_of_rows, rows_in
from learnosity.results.entry import whole_number
from learnosity.results.expressions import cursors_beside, drops, is_absent, without_filters
from learnosity.results.findings import Findings, FoundFile
from learnosity.results.known_keys import ECHO_KEYS, INPUT_KEYS, LINK_BOXES, plain_key
from learnosity.results.links import is_link, mark_self_links, note_last_page, read_box
from learnosity.results.outcomes import EXAMPLE
from learnosity.results.request_fields import is_input_count
from learnosity.results.survey import Survey, survey
from learnosity.results.values import integer, is_number_of

INLINE_NAME = "dataset.json"
_OF_FILES = ("files", "url", "name", "bytes", "next", "count")
_MAX_EXPRESSION = 1_000
# If a JMESPath expression does not fit the reply, evaluating it may raise one of these errors. Then the reply is
# refused.
_DOES_NOT_FIT = (JMESPathError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Declaration:
    """Compiled expressions of the extra `results`: either `inline`, or `files` and `url` with the optional keys."""

    inline: Any = None
    files: Any = None
    url: Any = None
    name: Any = None
    bytes: Any = None
    next: Any = None
    count: Any = None


def parse_declaration(extra: Mapping[str, Any]) -> Declaration | None:
    """Check the extra `results` of an Airflow connection.

    :param extra: the connection's extra. `results` is an object, or a text that is a JSON object.
    :returns: the declaration; None when the extra has no `results`.
    :raises ConnectionConfigError: when `results` cannot be used.
    """
    declared = extra.get("results")
    if declared is None or declared == "":
        return None
    if isinstance(declared, str):
        try:
            declared = msgspec.json.decode(declared)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise _refused("is not JSON") from None
    if not isinstance(declared, Mapping):
        raise _refused("is not an object")
    allowed = ("inline",) if "inline" in declared else _OF_FILES
    if unknown := [str(key)[:40] for key in declared if key not in allowed]:
        raise _refused(f"has the key {unknown[0]!r}, and may have {', '.join(allowed)}")
    for key in ("inline",) if "inline" in declared else ("files", "url"):
        if key not in declared:
            raise _refused(f"does not say `{key}`")
    return Declaration(**{key: _compiled(key, text) for key, text in declared.items()})


def read_declared(declaration: Declaration, reply: Mapping[str, Any], surveyed: Survey, found: Findings) -> None:
    """Read the declared part of a reply into `found`.

    :param declaration: says where the files are in the reply.
    :param reply: the whole reply.
    :param surveyed: every address of the reply.
    :param found: receives the files.
    """
    found.signals.ignores_cursors = declaration.next is not None
    found.signals.ignores_counts = declaration.count is not None
    found.signals.ignores_parts = declaration.count is not None or declaration.inline is not None
    found.signals.any_status = True
    if declaration.next is not None:
        found.signals.cursors_aside = cursors_beside(declaration.next.parsed, reply)
    _note_signals(declaration, reply["data"], found)
    if declaration.inline is not None:
        _read_inline(declaration, reply, found)
    else:
        _read_files(declaration, reply, found)
    dataset_id = found.signals.dataset_id
    found.known.update(
        text
        for key, text in surveyed.addresses
        if not is_signed(text) or plain_key(key) in INPUT_KEYS or is_link(key, text, dataset_id)
    )


def _refused(why: str) -> ConnectionConfigError:
    return ConnectionConfigError(
        f"The connection's extra `results` {why}. It is an object of JMESPath expressions such as {EXAMPLE} or "
        '{"inline": "data"} (docs/reliability.md).'
    )


def _compiled(key: str, text: Any) -> Any:
    if not isinstance(text, str) or not text.strip() or len(text) > _MAX_EXPRESSION:
        raise _refused(f"has no expression under `{key}`: a text of at most {_MAX_EXPRESSION} characters")
    try:
        expression = jmespath.compile(text)
    except (JMESPathError, RecursionError, ValueError) as error:
        raise _refused(f"has an expression under `{key}` that cannot be read ({_first_line(error)})") from None
    if unknown := _unknown_function(expression.parsed):
        raise _refused(f"uses under `{key}` the function `{unknown[:40]}`, which JMESPath does not have")
    return expression


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__


def _unknown_function(node: Mapping[str, Any]) -> str | None:
    todo = [node]
    while todo:
        each = todo.pop()
        if each["type"] == "function_expression" and each["value"] not in Functions.FUNCTION_TABLE:
            return str(each["value"])
        todo.extend(child for child in each.get("children", ()) if isinstance(child, dict))
    return None


def _note_signals(declaration: Declaration, data: Any, found: Findings) -> None:
    """Note what the reply says about itself. Only objects are read: lists contain entries and rows.

    The number under the key of a list is a count of files. It is none in the entry of a file, or in an object in such
    an entry. Beside declared content, it may count anything.
    """
    is_inline = declaration.inline is not None
    todo = [("data", data, is_inline)]
    while todo:
        above, each, is_within = todo.pop()
        before = len(found.signals.open_counts)
        is_listed = isinstance(each, list) and len(each) == 1
        if is_listed:
            each = each[0]
        if not isinstance(each, dict) or each is found.signals.cursors_aside:
            continue
        is_listed = is_listed and above != "data"
        is_entry = is_within or is_listed or _has_address(each, found.signals.dataset_id)
        is_within = is_within or (is_listed and not any(map(_has_objects, each.values())))
        mark_self_links(each, found)
        note_last_page(each, found)
        for key, value in each.items():
            found.signals.note_dataset(key, value[0] if isinstance(value, list) and len(value) == 1 else value)
            if plain_key(key) in LINK_BOXES and isinstance(value, dict | list):
                todo.append((key, read_box(value, found), is_within))
            elif is_input_count(key, value, each):
                continue
            elif not is_entry and is_number_of(key, value):
                found.signals.note_count(key, int(value))
            elif plain_key(key) not in ECHO_KEYS and not found.signals.note(key, value):
                todo.append((key, value, is_within))
                if isinstance(value, dict | list) and not _may_be_data(value):
                    found.signals.note_unread(key, value)
        found.note_box(plain_key(above), before, each)


def _has_address(record: Mapping[str, Any], dataset_id: str) -> bool:
    """Whether an object has an address, and so may be the entry of a file. Its counts are about the file then."""
    return any(
        isinstance(value, str) and fetchable(value) and not is_link(key, value, dataset_id)
        for key, value in record.items()
    )


def _has_objects(value: Any) -> bool:
    """Whether `value` is a list of objects. An object that has one may be the reply itself, and no entry of a file."""
    return isinstance(value, list) and any(isinstance(each, dict) for each in value)


def _may_be_data(value: Any) -> bool:
    """Whether `value` contains an address or a list of objects. The declaration says what such values are."""
    if isinstance(value, dict):
        return any(map(_may_be_data, value.values()))
    if isinstance(value, list):
        return any(isinstance(each, dict | list) or _may_be_data(each) for each in value)
    return isinstance(value, str) and fetchable(value) is not None


def _read_files(declaration: Declaration, reply: Mapping[str, Any], found: Findings) -> None:
    try:
        entries = declaration.files.search(reply)
        dropped = drops(declaration.files.parsed, reply)
        unfiltered = without_filters(declaration.files.parsed, reply) if not entries else None
        cursor = declaration.next.search(reply) if declaration.next else None
        count = declaration.count.search(reply) if declaration.count else None
    except _DOES_NOT_FIT:
        found.problems.append("the declared `files`, `next` or `count` cannot be applied to it")
        return
    if not isinstance(entries, list):
        found.problems.append("the declared `files` finds no list in it")
        return
    if dropped:
        found.problems.append("the declared `files` leaves entries of a list out")
    if declaration.next is not None:
        found.signals.note_cursor("next", cursor)
        found.lacks_declared_next = is_absent(declaration.next.parsed, reply)
    if declaration.count is not None:
        found.declared_count = integer(count)
        if found.declared_count is None:
            found.problems.append("the declared `count` gives no whole number")
    if not entries:
        found.add_empty_list()
        if not all(is_link(key, text, found.signals.dataset_id) for key, text in survey(unfiltered).addresses):
            found.problems.append("the filter in the declared `files` leaves out every entry, and some have an address")
    found.read.update(id(each) for each in (entries, *entries) if isinstance(each, dict | list))
    for entry in entries:
        _read_entry(declaration, entry, found)


def _read_entry(declaration: Declaration, entry: Any, found: Findings) -> None:
    if isinstance(entry, dict):
        for key, value in entry.items():
            found.signals.note_of_entry(key, value)
    try:
        text = declaration.url.search(entry)
        name = declaration.name.search(entry) if declaration.name else None
        stated = declaration.bytes.search(entry) if declaration.bytes else None
    except _DOES_NOT_FIT:
        found.problems.append("the declared `url`, `name` or `bytes` cannot be applied to an entry")
        return
    url = fetchable(text) if isinstance(text, str) else None
    size = whole_number(stated)
    if url is None:
        found.problems.append("the declared `url` gives no http(s) address for an entry")
    elif declaration.name is not None and (not isinstance(name, str) or not name):
        found.problems.append("the declared `name` gives no name for an entry")
    elif stated is not None and size is None:
        found.problems.append("the declared `bytes` gives no number of bytes for an entry")
    else:
        name = name or name_in_address(url, found.signals.dataset_id)[0]
        found.known.add(text)
        found.read.add(id(text))
        found.add_file(FoundFile(name, (), url, None, size, None))


def _read_inline(declaration: Declaration, reply: Mapping[str, Any], found: Findings) -> None:
    try:
        part = declaration.inline.search(reply)
        dropped = drops(declaration.inline.parsed, reply)
    except _DOES_NOT_FIT:
        part, dropped = None, False
    if dropped:
        found.problems.append("the declared `inline` leaves entries of a list out")
    elif not isinstance(part, dict | list):
        found.problems.append("the declared `inline` finds no object and no list in it")
    elif not part:
        found.add_empty_list()
    elif any(is_signed(text) for _, text in survey(part).addresses):
        found.problems.append("the declared `inline` holds an address that is signed")
    elif (raw := encoded(part)) is None:
        found.problems.append("its content cannot be written down")
    else:
        # With `inline`, the content is in the reply itself, so a count in the reply is a number of rows. If the content
        # is a list, counts are compared with its length. If it is an object, it is not known which of its lists are its
        # rows, so no count is compared, except `meta.records` (see below).
        found.is_declared = True
        members = part.values() if isinstance(part, dict) else part
        found.read.update(id(each) for each in (part, *members) if isinstance(each, dict | list))
        found.declared = ({len(part)}, numbers_of_rows(part, {len(part)})) if isinstance(part, list) else None
        lengths = set(lengths_in(part))
        # `meta.records` is compared in both cases, later: it is right if `row_lists` has it. So each number that it may
        # be is added here: the length of each list that may be rows or a column, and the number of all rows.
        # 0 is added only if the content has no row and each of its lists is empty.
        found.row_lists.update(({*lengths, sum(1 for _ in rows_in(part))} - {0}) or lengths)
        found.add_file(FoundFile(INLINE_NAME, (), None, raw, None, "application/json"))
