"""What a row says beside its values: the group that it names, its links, and whether a list in it is only a part.

A row has statistics of many names. So a count in a row is a signal only if the row has a list of that thing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from learnosity.results import content, groups, links
from learnosity.results.findings import Findings
from learnosity.results.known_keys import GROUP_CONTEXT, STRUCTURE_KEYS, plain_key
from learnosity.results.place import Place
from learnosity.results.request_fields import is_input_count
from learnosity.results.signal_keys import OUTCOMES, kind_of, thing_of
from learnosity.results.values import as_flag, integer, says_something

_MORE = re.compile("more|further|truncated|hasnext")
# Beside its files, a reply may give these counts for the whole dataset. They only describe it, so they need not land.
# Any other measure beside files, such as a mean, is content. It would be lost, because only the files land. So the
# reply is refused. If the object with these counts also has a field such as `group_name`, it may be a row, and the
# counts are its content. So this reply is refused, too.
_COUNTS = frozenset(("group_count", "population", "count_sessions", "count_attempted"))
_CURSOR = re.compile("next|cursor|token|continuation")


def note_row(row: Mapping[str, Any], place: Place, found: Findings) -> None:
    """Add a row to `found`, and note what it says."""
    has_subject = content.has_subject(row)
    found.add_row(proven=place.listed or (content.has_measure(row) and has_subject))
    found.known.update(content.plain_links_of_rows(row, found.signals.dataset_id))
    for each in content.rows_in(row):
        links.mark_self_links(each, found)
        _note_lists(each, found)
    if not place.listed and place.key in STRUCTURE_KEYS:
        _note_reply(row, found)
    if place.key in GROUP_CONTEXT or place.is_above:
        found.has_groups_above |= place.is_above and not has_subject
        return
    if isinstance(item := row.get("item_reference"), str):
        found.items.add(item)
    found.rows_of[content.thing_of_row(row)] += 1
    if not has_subject:
        groups.note_row(row, found, is_child=place.listed or place.key not in STRUCTURE_KEYS)


def has_statistics(record: Mapping[str, Any], files: int, *, is_beside_no_list: bool) -> bool:
    """Whether an object with files, or with an empty list, has the values of a row, which would not land.

    :param files: how many files are in the object.
    :param is_beside_no_list: whether an empty list in the object is no list of files by its key. Then the object may be
        a row of which the list is a part. Beside files, the object may say whose files they are.
    """
    measures = {key: value for key, value in record.items() if key in content.MEASURES}
    if record.keys() & (content.ROW_FIELDS - content.MEASURES):
        return bool(measures) or (is_beside_no_list and not files)
    if files:
        return not measures.keys() <= _COUNTS
    # If the list of files is empty, statistics of 0 or null only repeat that the dataset is empty, so they are not
    # content. Any other statistic is content.
    return any(value not in (None, 0, "0") for value in measures.values())


def _note_reply(row: Mapping[str, Any], found: Findings) -> None:
    """Note the signals of a row that may be the reply itself. Its counts of users and the like are statistics."""
    counts = len(found.signals.open_counts)
    for key, value in row.items():
        if is_input_count(key, value, row) or plain_key(key) in OUTCOMES:
            continue
        if kind_of(plain_key(key)) != "count" or thing_of(plain_key(key)) in (None, "row", "record"):
            found.signals.note(key, value)
    found.signals.compare_children(counts)


def _note_lists(row: Mapping[str, Any], found: Findings) -> None:
    """Note that there is more than the row has."""
    lists = {key: value for key, value in row.items() if isinstance(value, list) and any(map(_is_object, value))}
    for key, value in row.items():
        word = plain_key(key)
        kind = None if key in content.ROW_FIELDS else kind_of(word)
        if kind == "more":
            is_part = _MORE.search(word) is not None and as_flag(value) is True
        elif kind in ("cursor", "next"):
            is_part = bool(lists) and _CURSOR.search(word) is not None and says_something(value)
        else:
            is_part = kind == "count" and _is_less(word, value, lists)
        if is_part:
            found.signals.doubt(key, "a row says by {} that there is more")


def _is_less(word: str, value: Any, lists: Mapping[str, list[Any]]) -> bool:
    """Whether a count differs from the length of the list that it is about."""
    thing, number = _thing(word), integer(value)
    lengths = {len(each) for key, each in lists.items() if _thing(plain_key(key)) == thing}
    return thing is not None and number is not None and bool(lengths) and number not in lengths


def _thing(word: str) -> str | None:
    thing = thing_of(word)
    return {"child": "group", "record": None, "item": None}.get(str(thing), thing)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)
