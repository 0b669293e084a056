"""Links in a reply that are not files: links to the reply itself, to its other pages, or to documentation.

Some keys are always links (`self`, `prev`, `docs`). Other keys can also name a file (`link`, `url`, `first`): an
address under such a key is a link only if the address leads to a list of files. A link to the next page is never
ignored: it becomes a signal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from learnosity.results.addresses import fetchable, is_signed, points_to_a_listing
from learnosity.results.findings import Findings
from learnosity.results.known_keys import (
    DOCUMENTATION_LINKS,
    LINK_BOXES,
    PAGE_LINKS,
    POSSIBLE_SELF_LINKS,
    SELF_LINKS,
    URL_KEYS,
    link_word,
    looks_like_a_file,
    plain_key,
    words,
)
from learnosity.results.signal_keys import is_only_a_number, kind_of
from learnosity.results.survey import survey
from learnosity.results.values import integer, says_something

_NO_DATA = SELF_LINKS | DOCUMENTATION_LINKS
_ONE_PART = words("part chunk batch segment volume")
# `_ONE_OF` matches a text such as `1/3` or `1 of 3`. Under a key that `_PART` matches, it means that the reply is part
# 1 of 3. Under a key such as `shown`, it means that 1 of 3 files is here. In both cases, the reply is not the whole.
_PART = re.compile("(?:this)?(?:part|chunk|batch|segment|volume|shard|slice|seq|sequence)(?:number|no|num|nr|index)?")
_ONE_OF = re.compile(
    r"(?:(?:part|chunk|batch) )?(\d{1,9}) ?(?:files? )?(?:/|(?:out )?of) ?(\d{1,9})(?: (?:parts|files|chunks))?",
    re.IGNORECASE,
)
_PAGING_LINKS = PAGE_LINKS | SELF_LINKS
_LINKS = _PAGING_LINKS | {"next"}
_PAGE_WORDS = PAGE_LINKS | {"self"}
# Keys that only describe a link, and do not say where it leads. If all other values in the object of a link to the next
# page are empty, as in `{"rel": "next", "href": null}`, there is no next page.
_ABOUT_A_LINK = words("rel title label description type method templated hreflang")
_OF_A_LISTING = ("cursor", "next", "more", "last", "page", "pages", "offset", "limit")
# What `_position` may find in the address of the first page, such as `?page=1`. An address without a page in its query
# counts as an address of the first page, too.
_BEGINNINGS = (("page", "0"), ("page", "1"), ("offset", "0"))


def is_link_key(key: str) -> bool:
    """Whether a value under `key` is never a file."""
    return link_word(key) in _NO_DATA


def is_link(key: str, text: str, dataset_id: str) -> bool:
    """Whether the address `text` under `key` is a link and not a file."""
    word = link_word(key)
    if word in POSSIBLE_SELF_LINKS:
        return points_to_a_listing(text, dataset_id)
    return word in SELF_LINKS or (word in DOCUMENTATION_LINKS and not is_signed(text))


def note_link(key: str, text: str, found: Findings) -> None:
    """Mark the address in `text` as known, if it is a link and not a file."""
    if is_link(key, text, found.signals.dataset_id):
        found.known.add(text)
    elif link_word(key) not in POSSIBLE_SELF_LINKS:
        found.signals.note(key, text)


def note_link_object(key: str, value: Any, found: Findings) -> bool:
    """Mark the address of a link like `{"href": …}` as known.

    :returns: whether `key` and `value` are such a link.
    """
    if not isinstance(value, dict) or link_word(key) not in _NO_DATA | POSSIBLE_SELF_LINKS:
        return False
    address = _only_address(value)
    if not is_link_key(key) and (address is None or len(value) > 1):
        return False
    if address is not None:
        note_link(key, address, found)
    elif value:
        found.leftovers.append("a link holds more than an address")
    return True


def read_box(box: Any, found: Findings) -> Any:
    """Mark the links of the reply in a `links` object or list as known.

    :returns: the other values of the object or list. They may be files, and must be read as data.
    """
    if isinstance(box, list):
        _compare_pages([(_relation(each), each) for each in box], found)
        about_pages = _words_about_pages((_relation(each), each) for each in box)
        return [each for each in box if not _read_boxed(_relation(each), each, about_pages, found)]
    _compare_pages(box.items(), found)
    about_pages = _words_about_pages(box.items())
    return {key: value for key, value in box.items() if not _read_boxed(key, value, about_pages, found)}


def note_last_page(record: Mapping[str, Any], found: Findings) -> None:
    """Note that there are more pages, if the links to pages among the values of an object say so.

    Files may have the labels `first` and `last`. So only an address of a list, or one with a page in its query, counts.
    """
    links = [(key, address) for key, value in record.items() if (address := _only_address(value)) is not None]
    dataset_id = found.signals.dataset_id
    _compare_pages([each for each in links if is_link(*each, dataset_id) or _position(each[1])], found)


def note_one_of(record: Mapping[str, Any], found: Findings) -> None:
    """Note that the reply is one part of several, if it says so, as in `{"part": 1, "of": 3}` or `{"part": "1/3"}`."""
    for key, value in record.items():
        if isinstance(value, str) and (said := _ONE_OF.fullmatch(value.strip())):
            part, parts = int(said[1]), int(said[2])
            is_of_parts = _PART.fullmatch(plain_key(key)) is not None and parts != 1
            if part <= parts and (is_of_parts or (is_only_a_number(plain_key(key)) and part != parts)):
                (found.signals.more if part < parts else found.signals.later).append(key)
    numbers = {plain_key(key): number for key, value in record.items() if (number := integer(value)) is not None}
    of = next((numbers[word] for word in ("of", "outof") if word in numbers), None)
    here = next((each for word, each in numbers.items() if kind_of(word) == "page" or word in _ONE_PART), None)
    if of is not None and here is not None and of != 1:
        (found.signals.more if here < of else found.signals.later).append("of")


def mark_self_links(record: Mapping[str, Any], found: Findings) -> None:
    """Mark the links of an entry or a row that are not data as known."""
    for key, value in record.items():
        if is_link_key(key) and (address := _only_address(value)) is not None:
            note_link(key, address, found)
        elif isinstance(value, dict) and plain_key(key) in LINK_BOXES:
            mark_self_links(value, found)


def holds_data_addresses(record: Mapping[str, Any], own: Sequence[str]) -> bool:
    """Whether an object contains, inside nested values, an address that could be a file, other than those in `own`."""
    todo: list[tuple[str, Any]] = [(key, value) for key, value in record.items() if isinstance(value, dict | list)]
    while todo:
        name, each = todo.pop()
        if is_link_key(name):
            continue
        if isinstance(each, dict):
            todo.extend(each.items())
        elif isinstance(each, list):
            todo.extend((name, child) for child in each)
        elif isinstance(each, str) and each not in own and fetchable(each):
            return True
    return False


def _words_about_pages(links: Iterable[tuple[str, Any]]) -> set[str]:
    """The words that show that links are about pages. A file that is called `more` is no such word."""
    words_and_values = ((link_word(key), value) for key, value in links)
    no_files = {word for word, value in words_and_values if word in _LINKS or not survey(value).addresses}
    return {word for word in no_files if word in _PAGING_LINKS or kind_of(word) in _OF_A_LISTING}


def _relation(entry: Any) -> str:
    """The relation of a link like `{"rel": "self", "href": …}`; "" when `entry` is something else."""
    relation = entry.get("rel") if isinstance(entry, dict) else None
    return relation if isinstance(relation, str) else ""


def _compare_pages(links: Iterable[tuple[str, Any]], found: Findings) -> None:
    """Note that there are more pages, if the link to the last page is not that to this page.

    This page has the link `self`. If the request had no cursor, this page is also the one of the link `first`.
    """
    pages = {word: _only_address(value) for key, value in links if (word := link_word(key)) in _PAGE_WORDS}
    first, this, last = pages.get("first"), pages.get("self"), pages.get("last")
    if last is None:
        return
    if not found.signals.first_page:
        # `self` is the address of this page. If its query does not have a page such as `?page=2`, it does not say which
        # page this is. So it is not compared with `last`.
        goes_on = this is not None and bool(_position(this)) and not _is_same_page(this, last)
    elif this is not None and (_position(this) or this.strip() == last.strip()) and _is_same_page(this, last):
        # This page is the last one, but the request was for the first page. So if `self` names a page, and `first`
        # names another one, the pages before this page are missing.
        goes_on = first is not None and bool(_position(this)) and not _is_same_page(first, this)
    else:
        start = first or this
        goes_on = start is not None and not _is_same_page(start, last)
    if goes_on:
        found.signals.more.append("last")


def _is_same_page(one: str, other: str) -> bool:
    """Whether two addresses lead to the same page. An address without a page leads to the first one."""
    if one.strip() == other.strip():
        return True
    of_one, of_other = _position(one), _position(other)
    if of_one and of_other:
        return of_one == of_other
    return bool(of_one or of_other) and all(each in _BEGINNINGS for each in (of_one or of_other))


def _position(address: str) -> frozenset[tuple[str, str]]:
    """What the query of an address says about the page: its number, its offset, its cursor."""
    query = address.partition("#")[0].partition("?")[2]
    kinds = ((kind_of(plain_key(key)), value.strip()) for key, value in parse_qsl(query))
    return frozenset((kind, value) for kind, value in kinds if kind in ("page", "offset", "cursor"))


def _read_boxed(key: str, value: Any, about_pages: set[str], found: Findings) -> bool:
    """Mark the address of one link of a `links` object or list as known.

    :param key: the key or the relation of the link.
    :param about_pages: what `_words_about_pages` returns for the object or list.
    :returns: whether it is a link of the reply.
    """
    word, address = link_word(key), _only_address(value)
    if word == "next":
        return found.signals.note(key, _said(value) if address is None else address)
    if word not in _NO_DATA | PAGE_LINKS:
        return False
    if address is None:
        return _leads_nowhere(value, may_be_a_file=word in PAGE_LINKS)
    if not is_signed(address) or not (word in DOCUMENTATION_LINKS or _may_be_file(word, address, about_pages, found)):
        found.known.add(address)
    return True


def _may_be_file(word: str, address: str, about_pages: set[str], found: Findings) -> bool:
    """Whether a signed address may be that of a file: it is the first or the last of something that is not known.

    Beside a link to another page or to the reply itself, also one that leads nowhere, it leads to a page, too. The same
    holds beside what says where a page is, as in `{"first": …, "limit": 100}`.
    """
    if word not in PAGE_LINKS or _position(address) or points_to_a_listing(address, found.signals.dataset_id):
        return False
    return about_pages <= {word}


def _said(value: Any) -> Any:
    """What a link says, without what describes it. `{"rel": "next", "href": null}` says nothing: no page follows."""
    if not isinstance(value, dict):
        return value
    said = [each for key, each in value.items() if plain_key(key) not in _ABOUT_A_LINK]
    return said if says_something(said) else None


def _leads_nowhere(value: Any, *, may_be_a_file: bool) -> bool:
    """Whether a link without an address holds nothing else: it is null, or an object of a link that has none."""
    if not isinstance(value, dict):
        return value is None
    return all(
        (word := plain_key(key)) in _ABOUT_A_LINK
        or (word in URL_KEYS and not isinstance(each, dict | list) and not (may_be_a_file and _is_file_name(each)))
        for key, each in value.items()
    )


def _is_file_name(value: Any) -> bool:
    return isinstance(value, str) and looks_like_a_file(value)


def _only_address(value: Any) -> str | None:
    """The address of a link. The link may be a text, or an object with one address and no nested values."""
    if isinstance(value, dict) and not any(isinstance(each, dict | list) for each in value.values()):
        under = [each for key, each in value.items() if plain_key(key) in URL_KEYS and isinstance(each, str)]
        value = under[0] if len(under) == 1 else None
    return value if isinstance(value, str) and fetchable(value) else None
