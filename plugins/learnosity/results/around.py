"""What stands around the `data` of a reply: other keys at its top level, and the HTTP headers about its pages.

Learnosity documents none of both. Where they say that the reply is a part, or may be data, the reply is not the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from learnosity.results.addresses import holds_address
from learnosity.results.content import MEASURES, holds_rows, rows_in
from learnosity.results.entry import whole_number
from learnosity.results.findings import Findings
from learnosity.results.groups import OF_CONTEXT, is_group_list, is_levels
from learnosity.results.known_keys import (
    COUNTED_KEYS,
    ECHO_KEYS,
    FOLDER_KEYS,
    INPUT_KEYS,
    LISTING_KEYS,
    looks_like_a_file,
    plain_key,
    words,
)
from learnosity.results.rows import has_statistics
from learnosity.results.shape import read_data
from learnosity.results.signal_keys import Kind, kind_of
from learnosity.results.signals import Signals
from learnosity.results.values import integer, scalars

_STATUS = ":status"  # the name of the HTTP status among the headers, as in HTTP/2
_HEADERS = ("Content-Range", "Link")
# With one of these HTTP statuses, the listing may be whole. 202 means that the work is not done yet, and 206 that the
# reply may be a part. Any other status that begins with 2 does not say what the reply is, so the reply is refused.
_WHOLE = ("200", "201", "203")
# A header about one of `_OF_PAGES`, such as `X-Next-Page` or `X-Total-Count`, is read like a key of that name in
# `meta`. A header of `_OF_CALLS`, such as `X-Limit` or `X-Hits`, is not read, although its word may also be about
# pages: `X-Limit` usually limits the calls of an account, and `X-Hits` is usually about a cache.
_OF_PAGES: tuple[Kind | None, ...] = ("cursor", "more", "last", "pages", "page", "offset", "limit", "count")
_OF_CALLS = words("limit remaining limited hits hitcount limitexceeded limitreached overflow overflowed capped cutoff")
# In a header such as `X-Next-Page`, one of these texts, or a number below 1, means that no page follows.
_NONE = words("nil undefined na none no null false") | {""}
_BELOW_ONE = re.compile(r"-\d+|0+")
_ASIDE = ECHO_KEYS | INPUT_KEYS
_MAY_BE_DATA = "what stands beside its `data` may be data, too"
# The value of the header `Content-Range`, such as `files 0-9/20`. The unit before the range, here `files`, may be any
# token of HTTP (RFC 9110).
_RANGE = re.compile(r"(?:[!#$%&'*+.^_`|~0-9a-z-]+[ =]\s*)?(?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)", re.IGNORECASE)
_LINK_START = re.compile(r",\s*(?=<)")
_RELATION = re.compile(r""";\s*rel\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s;,"']+))""", re.IGNORECASE)


def said_by_http(status: int, headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The HTTP status of a reply, and its headers about pages. A header may stand there several times."""
    said = {_STATUS: str(status)}
    for name, value in headers:
        header = name.title()
        if header in _HEADERS or _kind_of_header(header) is not None:
            is_twice = header in said and (header in _HEADERS or said[header] != value)
            said[header] = f"{said[header]}, {value}" if is_twice else value
    return said


def _kind_of_header(header: str) -> Kind | None:
    """What a header such as `X-Next-Page` is about, if it is about the pages of the listing."""
    word = plain_key(header.removeprefix("X-"))
    kind = kind_of(word) if header.startswith("X-") and word not in _OF_CALLS else None
    # Only names such as `X-Next-Token` and `X-Continuation` show that the cursor is that of the next page. Another one,
    # such as `X-Sync-Token`, may be that of this page, so it is not read.
    is_of_next = kind != "cursor" or word.startswith(("next", "continuation"))
    return kind if kind in _OF_PAGES and is_of_next else None


def note_content(beside: Mapping[str, Any], found: Findings) -> None:
    """Note what may be data among the values at the top level of a reply, where it would not land.

    A file with an address need not be found here: `reading` refuses each address that is not known.
    """
    known = {each.url for each in found.files if each.url is not None}
    # Counts such as `population` may stand beside files, rows or groups. If the reply lists none of these, a count
    # above 0 says that data is missing, which is a problem. But after the first page, a reply that lists nothing only
    # ends the listing. So `parts` is 1 then, and the count is no problem.
    parts = len(found.files) or found.rows or len(found.group_paths) or int(not found.signals.first_page)
    if has_statistics(beside, parts, is_beside_no_list=False):
        found.problems.append(_MAY_BE_DATA)
    for key, value in beside.items():
        found.names.update(_names_in(key, value))
        may_be_data = _may_hold_data if isinstance(value, dict | list) else _may_be_data
        if may_be_data(key, value, known, found):
            found.problems.append(_MAY_BE_DATA)


def _may_be_data(key: str, value: Any, known: set[str], found: Findings) -> bool:
    """Whether a value that is no object and no list may be rows, the content of a file, or stand for child groups."""
    if (isinstance(value, str) and holds_rows(value)) or (value and not found.groups and is_group_list(key, found)):
        return True
    return value is not None and looks_like_a_file(key) and not (isinstance(value, str) and holds_address(value))


def _may_hold_data(key: str, value: Any, known: set[str], found: Findings) -> bool:
    """Whether an object or a list may hold files or rows that would not land, or groups that the `data` do not name.

    :param known: the addresses of the files that land. A list of these alone is no content.
    """
    if is_levels(key, value):
        return False
    value = _without_levels(value)
    aside = Findings(Signals(found.signals.dataset_id), group_paths=list(found.group_paths))
    read_data({key: value}, aside)
    found.names |= aside.names
    urls = {each.url for each in aside.files}
    is_known = len(aside.files) == len(value) and urls <= known
    if isinstance(value, list) and plain_key(key) in LISTING_KEYS and not is_known:
        return True
    # An object such as `"context": {"group_name": "north"}` may only repeat what was requested. Then it is no data. But
    # if the `data` are about groups, it may name a child group that the `data` do not name. This group would not be
    # requested, so it would be missing.
    is_about_one = isinstance(value, dict) and "group_name" in value and not found.group_paths and not found.groups
    if aside.proven_rows or (aside.groups and not is_about_one and not set(aside.groups) <= set(found.groups)):
        return True
    is_list = plain_key(key) in LISTING_KEYS | COUNTED_KEYS
    if (aside.rows and is_list) or max(aside.rows_of.values(), default=0) > 1:
        return True
    if plain_key(key) not in _ASIDE and any(isinstance(each, str) and holds_rows(each) for each in scalars(value)):
        return True
    # An object about the activity may have a `max_score`. With any other measure, an object is a row.
    if (aside.rows or aside.has_row_fields) and any(row.keys() & (MEASURES - {"max_score"}) for row in rows_in(value)):
        return True
    problems = set(aside.problems) - (frozenset() if found.group_paths or found.groups else OF_CONTEXT)
    # If the value has addresses, but none of a file that lands, its problem may only be about a harmless one, such as
    # the address of the API in `"endpoint": {"url": …}`. So it is not noted here. This is safe: `reading` refuses each
    # address that is neither that of a file that lands nor a known link.
    has_problem = bool(problems) and (not urls or not urls.isdisjoint(known))
    return has_problem or None in urls


def _without_levels(value: Any) -> Any:
    """A value without the levels of the hierarchy, which a reply repeats."""
    if isinstance(value, dict):
        return {key: _without_levels(each) for key, each in value.items() if not is_levels(key, each)}
    return value


def _names_in(key: str, value: Any, *, is_listed: bool = True) -> Iterator[str]:
    """The file names in the lists of a value. A name under a key of an object is noted where the object is read."""
    word = plain_key(key)
    if word in _ASIDE:
        return
    if isinstance(value, dict | list):
        is_listed = isinstance(value, list)
        for each, child in value.items() if isinstance(value, dict) else ((key, child) for child in value):
            if isinstance(child, dict | list) or (is_listed and isinstance(child, str)):
                yield from _names_in(each, child, is_listed=is_listed)
    elif is_listed and isinstance(value, str) and looks_like_a_file(value) and not holds_address(value):
        is_said = word in FOLDER_KEYS or kind_of(word) in ("remark", "trouble")
        if not is_said and not value.startswith("/"):  # a text such as `/latest/x.json` may be the path of the request
            yield value


def note_records(key: str, records: Any, data: Any, found: Findings) -> None:
    """Compare a `records` with this page. Instead of a number, it may be an empty list, or what was declared.

    It may be the number of files or rows, the length of a list of rows, the number of entries of `data`, or 1 if `data`
    is no list. Any of these is right. With a declared `inline`, the content counts as one file, and the lengths of its
    lists that may be rows or columns are right, too.
    """
    if records is None or (isinstance(records, dict | list) and (not records or found.has_read(records))):
        return
    if whole_number(records) not in {len(found.files) or found.rows, *found.row_lists, _length(data)}:
        found.signals.unclear.append(f"its `{key}` differs from what was found")


def _length(data: Any) -> int:
    return len(data) if isinstance(data, list) else 1


def note_headers(headers: Mapping[str, str], data: Any, found: Findings) -> None:
    """Note what the HTTP status and the headers of a reply say about its pages.

    :param headers: what `said_by_http` returns.
    :param data: the reply's `data`. As with `meta.records`, a total may be the number of its entries.
    """
    signals, status = found.signals, headers.get(_STATUS, "200")
    is_part = status == "206"
    if status == "202":
        signals.not_ready = "accepted"  # what this status means: the work has not been done yet
    elif not is_part and status.startswith("2") and status not in _WHOLE:
        signals.refuse(f"its HTTP status {status} does not say that it is the whole")
    if "Content-Range" in headers:
        _note_range(headers["Content-Range"].strip(), signals, is_part=is_part)
    elif is_part:
        signals.refuse("its HTTP status 206 says that it is a part")
    if any(map(_is_next, _LINK_START.split(headers.get("Link", "")))):
        _note_more("Link", signals)
    for header, text in headers.items():
        kind, key = _kind_of_header(header), header if header == "X-Total-Count" else header.removeprefix("X-")
        if kind == "count":
            _note_total(key, text.strip(), data, found)
        elif kind == "cursor" and not signals.cursors:  # a cursor in the reply itself is used instead of a header
            is_none = plain_key(text) in _NONE or _BELOW_ONE.fullmatch(text.strip())
            signals.note(key, None if is_none else text.strip())
        elif kind not in (None, "cursor") and (kind != "pages" or signals.first_page):
            signals.note(key, text.strip())


def _note_total(key: str, text: str, data: Any, found: Findings) -> None:
    """Note the count of a header. A text that is no number may mean that the count is not known.

    A total of 1 may mean the reply itself, and the total of a group may count what is in the groups below it.
    """
    total = integer(text)
    numbers = {len(found.files) or found.rows, *found.row_lists}
    is_of_data = total == 1 or (total == _length(data) and total not in numbers)
    may_differ = found.group_paths or found.groups or (is_of_data and (found.files or found.rows))
    if total is not None and not may_differ:
        found.signals.note(key, total)


def _note_range(text: str, signals: Signals, *, is_part: bool) -> None:
    """Note a range such as `files 0-9/20`. With a status of 200, `*` behind the `/` only says that the size is unknown.

    Some servers count from 1. There, `1-20/20` is the whole, too.
    """
    parts = _RANGE.fullmatch(text)
    if parts is None:
        signals.doubt("Content-Range", "its {} is not understood")
        return
    first, last, size = (None if each is None else integer(each) for each in parts.groups())
    if size is None:
        if is_part:
            _note_more("Content-Range", signals)
    elif first is None or last is None:
        if size > 0:
            _note_more("Content-Range", signals)
    elif last - first + 1 < size:
        if last + 1 < size:
            _note_more("Content-Range", signals)
        if first > 0:
            signals.later.append("Content-Range")


def _is_next(link: str) -> bool:
    """Whether one link of the header `Link`, such as `<https://…>; rel="next"`, leads to the next page."""
    address, _, parameters = link.partition(">")
    relation = _RELATION.search(parameters)
    relations = next(filter(None, relation.groups()), "").lower().split() if relation else ()
    return "next" in relations and address.strip(" <") != ""


def _note_more(header: str, signals: Signals) -> None:
    signals.flagged = True
    signals.more.append(header)
