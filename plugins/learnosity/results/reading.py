"""What one reply of GET reports/datasets contains: the decision, and the proof that nothing of the reply is lost.

Learnosity does not document the structure of this reply (docs/learnosity-api.md). `classify` is a pure function. It
accepts a reply only if all of these are true:

* Every address in the reply belongs to a file that will land, or is a link to the reply itself or to documentation.
* Every entry of a list of files has become a file.
* Every group that the reply names is returned, so that the caller requests it.
* Content contains documented fields, and no signed address.
* What the reply says about itself agrees: it is ready, its counts are right, and its next page can be requested.

Any other reply is `NotUnderstood`. A dataset that is landed only in part is worse than an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from learnosity.results.addresses import holds_address, is_signed, kind_of_address
from learnosity.results.around import note_content, note_headers, note_records
from learnosity.results.content import encoded
from learnosity.results.declared import INLINE_NAME, Declaration, parse_declaration, read_declared
from learnosity.results.findings import Findings, below_keys, named
from learnosity.results.known_keys import COUNTED_KEYS, ECHO_KEYS, LINK_BOXES, LISTING_KEYS, plain_key, words
from learnosity.results.links import note_last_page, note_link, note_link_object, note_one_of, read_box
from learnosity.results.outcomes import (
    Empty,
    Failed,
    Files,
    Group,
    Inline,
    NotReady,
    NotUnderstood,
    Reading,
    ResultFile,
    Understood,
    expect_group,
    understood,
)
from learnosity.results.request_fields import is_input_count
from learnosity.results.shape import read_data
from learnosity.results.signal_keys import DECLARED_COUNT, counts_parts, shown_key
from learnosity.results.signals import Signals
from learnosity.results.sketch import masked_key, sketch
from learnosity.results.survey import MAX_DEPTH, Survey, survey
from learnosity.results.values import integer

__all__ = [
    "Declaration",
    "Empty",
    "Failed",
    "Files",
    "Group",
    "Inline",
    "NotReady",
    "NotUnderstood",
    "Reading",
    "ResultFile",
    "Understood",
    "classify",
    "expect_group",
    "parse_declaration",
    "sketch",
    "understood",
]

JSON_TYPE = "application/json"
# A number in `meta` under one of these keys counts what the reply lists, such as files, rows or users. The keys
# `items`, `resources`, `contents` and `listing` are left out, because their numbers may count something else.
_COUNTED = (LISTING_KEYS | COUNTED_KEYS) - words("items resources contents listing")
_NONE: Mapping[str, str] = {}
_SECRET = "its content holds an address that is signed"


def classify(
    meta: Mapping[str, Any],
    data: Any,
    *,
    dataset_id: str,
    declaration: Declaration | None = None,
    first_page: bool = True,
    beside: Mapping[str, Any] = _NONE,
    headers: Mapping[str, str] = _NONE,
) -> Reading:
    """Decide what a reply contains.

    :param meta: the reply's `meta`, of which `status` is true.
    :param data: the reply's `data`, any JSON value.
    :param dataset_id: the dataset that was requested. In an address, a file's name begins after this id.
    :param declaration: where the files are in the reply, if the Airflow connection declares it.
    :param first_page: whether the call had no cursor. After the first page, an empty reply is the end of the list.
    :param beside: what stands beside `meta` and `data`. It is judged as what stands in `meta`.
    :param headers: what HTTP says about the pages of the reply (`around.said_by_http`).
    :returns: what the reply contains, or why it is not understood.
    :raises UnsafeNameError: when a file name cannot be used as a path.
    """
    if beside and data is None and declaration is None:
        # A reply without `data` may list its files at its top level. So its top level is first read as if it was the
        # `data`. The result is used only if it is a list of files without any doubt.
        bare = classify(meta, beside, dataset_id=dataset_id, first_page=first_page, headers=headers)
        if isinstance(bare, Files):
            return bare
    reply = {"meta": dict(meta), "data": data, **beside}
    surveyed = survey(reply)
    if surveyed.too_deep or not surveyed.is_json:
        why = f"it is nested more than {MAX_DEPTH} levels deep" if surveyed.too_deep else "it is not JSON"
        return NotUnderstood(why, sketch(reply))
    found = Findings(Signals(dataset_id, first_page=first_page))
    if not first_page and data in (None, [], {}):
        found.add_empty_list()
    elif declaration is None:
        read_data(data, found)
    else:
        read_declared(declaration, reply, surveyed, found)
    if declaration is None:
        note_content(beside, found)
    for box in (meta, beside):
        before = len(found.signals.open_counts)
        _read_meta({key: value for key, value in box.items() if key != "records"}, found)
        if isinstance(box.get("records"), dict):
            _read_meta(box["records"], found)
        found.note_box("meta", before, {})
    note_headers(headers, data, found)
    _compare_counts(found)
    for key, box in (("meta.records", meta), ("records", beside)):
        note_records(key, box.get("records"), data, found)
    if found.signals.failed:
        return Failed(found.signals.failed)
    if found.signals.not_ready:
        return NotReady(masked_key(found.signals.not_ready, ""))
    outcome = _doubt(surveyed, found, first_page) or _outcome(data, found, first_page)
    if isinstance(outcome, str):
        return NotUnderstood(outcome, sketch(reply), found.signals.is_final, found.may_declare())
    return outcome


def _read_meta(meta: Mapping[str, Any], found: Findings) -> None:
    """Note what `meta` says. `meta` contains no files: each address in it must be a link."""
    note_last_page(meta, found)
    note_one_of(meta, found)
    for key, value in meta.items():
        word = plain_key(key)
        if value is found.signals.cursors_aside:
            continue
        if word in ECHO_KEYS or is_input_count(key, value, meta) or (key == "status" and value is True):
            continue
        if word in LINK_BOXES and isinstance(value, dict | list):
            rest = read_box(value, found)
            if isinstance(rest, dict):
                _read_meta(rest, found)
        elif note_link_object(key, value, found):
            continue
        elif isinstance(value, str) and holds_address(value):
            note_link(key, value, found)
        elif word in _COUNTED and (number := integer(value)) is not None:
            # In `"files": 1`, the file may be the reply itself, even if it has many rows. So such a 1 is not compared.
            if number != 1 or not counts_parts(word):
                found.signals.note_count(key, number)
        elif not found.signals.note(key, value) and isinstance(value, dict | list):
            if isinstance(value, dict):
                before = len(found.signals.open_counts)
                _read_meta(value, found)
                found.note_box(word, before, {})
            found.signals.note_unread(key, found.unread(value))


def _compare_counts(found: Findings) -> None:
    """Compare the remaining counts with all files and rows of the reply, and those of child groups with none."""
    if found.group_paths and not found.groups:
        found.signals.compare_children(0)
    numbers = {len(found.files) or found.rows, *found.row_lists}
    if found.declared_count is not None:
        found.signals.open_counts[:] = [(DECLARED_COUNT, found.declared_count)]
    if not found.is_declared:
        found.signals.compare_counts(0, numbers, found.numbers(numbers))
    elif found.declared is not None:
        found.signals.compare_counts(0, *found.declared)


def _doubt(surveyed: Survey, found: Findings, first_page: bool) -> str | None:
    """Why it is not proven that the whole reply was read; None when it is proven."""
    signals = found.signals
    if found.problems or signals.unclear:
        return (found.problems or signals.unclear)[0]
    known = found.known | signals.linked
    stray = next((each for each in surveyed.addresses if each[1] not in known), None)
    if stray is not None:
        key, text = stray
        return f"under the key {masked_key(key)} stands an address that is no file's ({kind_of_address(text)})"
    if found.lacks_declared_next and signals.ignored_cursors:
        hint = "if its listing ends where the declared key is missing, put `|| ''` behind it"
        return f"the declared `next` finds nothing, and the reply has {shown_key(signals.ignored_cursors[0])} ({hint})"
    if signals.more and not signals.cursors:
        return f"it says by {shown_key(signals.more[0])} that there is more, and not how to ask for it"
    if len(signals.cursors) > 1:
        return "it names two different next pages"
    if found.larger_sizes and first_page and not signals.cursors:
        return f"its {shown_key(found.larger_sizes[0])} is more than all sizes that it lists"
    if signals.later and first_page:
        return f"its {shown_key(signals.later[0])} says that it is not the first page"
    if signals.wrong_counts and _total(found, first_page) is None:
        word, stated, number = signals.wrong_counts[0]
        may_declare = found.files and not found.is_declared and found.declared_count is None
        hint = " (if it counts something else, declare `count`, too)" if may_declare else ""
        return f"its {shown_key(word)} is {stated}, and {number} were found{hint}"
    said_whole = signals.cursors or signals.ended or signals.counted
    if not said_whole and any(0 < limit <= max(len(found.files), found.rows) for limit in signals.limits):
        return "it holds as many entries as its limit allows, and does not say that these are all"
    return None


def _total(found: Findings, first_page: bool) -> int | None:
    """How many files all pages together must have; None when the reply is the only page or does not say."""
    stated = {number for _, number, _ in found.signals.wrong_counts}
    paged = bool(found.signals.cursors) or not first_page
    return stated.pop() if paged and len(stated) == 1 and min(stated) > len(found.files) else None


def _outcome(data: Any, found: Findings, first_page: bool) -> Understood | str:
    """What the reply contains, or why this is not clear."""
    cursor = next(iter(found.signals.cursors), None)
    if found.group_paths or found.groups:
        return _group(data, found)
    if found.has_paths_above:
        # A reply that names a group above itself is about one group, and not about the whole dataset. It does not say
        # which group it is, so it is refused.
        return "only a group above states its path, and not the group itself"
    if found.files:
        if found.rows:
            return "it lists files and holds rows as well"
        return _lost(found) or _files(found, cursor, first_page)
    if found.has_groups_above and not found.rows_of:
        return "its only rows stand under a key for the groups above, and may be the dataset's own"
    if found.proven_rows:
        if cursor is not None:
            return "its rows go on after this page"
        raw = _storable(data)
        return raw if isinstance(raw, str) else Inline(((ResultFile(INLINE_NAME, "inline", len(raw), JSON_TYPE), raw),))
    if found.empty_lists and not found.rows:
        if found.signals.remarks and found.declared_count != 0:
            return "its list of files is empty, and a text in it may say why (if there are none, declare `count`, too)"
        if found.asides:
            return "its list of files is empty, and it holds something else that may be content"
        return _lost(found) or Empty(cursor, _total(found, first_page), found.signals.says_more())
    return "it lists no result files and holds no content"


def _files(found: Findings, cursor: str | None, first_page: bool) -> Files | Inline | str:
    """The files of the reply: all with an address, or all with content."""
    files = named(found.files)
    listed = tuple((file, each.url) for file, each in files if each.url is not None)
    if len(listed) == len(files):
        names = tuple((each.name, below_keys(each)) for each in found.files)
        has_keys = any(name != below for name, below in names)
        return Files(listed, cursor, _total(found, first_page), names if has_keys else ())
    if listed:
        return "some of its files have an address and others have content"
    if cursor is not None:
        return "its content goes on after this page"
    contents = tuple((file, each.content) for file, each in files if each.content is not None)
    if any(is_signed(content.decode()) for _, content in contents):
        return _SECRET
    return Inline(contents)


def _group(data: Any, found: Findings) -> Group | str:
    """The reply as a group, or why it is not clear that the reply is one group."""
    if found.files:
        return "it lists files and names groups as well"
    if len(found.group_paths) > 1:
        return "it holds more than one group"
    if found.signals.cursors:
        return "its groups go on after this page"
    if found.nameless_rows:
        return "some of its rows may be groups without a name"
    if found.leftovers:
        return found.leftovers[0]
    raw = _storable(data)
    path = found.group_paths[0] if found.group_paths else None
    return raw if isinstance(raw, str) else Group(path, tuple(found.groups), raw)


def _storable(data: Any) -> bytes | str:
    """The `data` of the reply as JSON, or why it must not be stored."""
    raw = encoded(data)
    if raw is None:
        return "its content cannot be written down"
    return _SECRET if is_signed(raw.decode()) else raw


def _lost(found: Findings) -> str | None:
    """What would be lost if only the files of the reply landed; None when nothing would be lost."""
    landed = (name for file in found.files for name in (file.name, file.name.rpartition("/")[2]))
    if found.names and found.names.difference(landed):
        return "it mentions the name of a file that it does not list"
    if found.has_row_fields:
        return "an object with a list in it has the fields of a row"
    return found.leftovers[0] if found.leftovers else None
