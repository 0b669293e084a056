"""Links in a reply that are not files: links to the reply itself, to its other pages, or to documentation.

Some keys are always links (`self`, `prev`, `docs`). Other keys can also name a file (`link`, `url`, `first`): an
address under such a key is a link only if the address leads to a list of files. A link to the next page is never
ignored: it becomes a signal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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
    plain_key,
)

_NO_DATA = SELF_LINKS | DOCUMENTATION_LINKS
_PAGE_WORDS = PAGE_LINKS | {"self"}


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
        note_last_page([(_relation(each), each) for each in box], found)
        return [each for each in box if not _read_boxed(_relation(each), each, found)]
    note_last_page(box.items(), found)
    return {key: value for key, value in box.items() if not _read_boxed(key, value, found)}


def note_last_page(links: Iterable[tuple[str, Any]], found: Findings) -> None:
    """Note that there are more pages, if the link to the last page is not that to the first page, or to the reply."""
    addresses = {link_word(key): _only_address(value) for key, value in links if link_word(key) in _PAGE_WORDS}
    last, first = addresses.get("last"), addresses.get("first") or addresses.get("self")
    if last is not None and first is not None and last.strip() != first.strip():
        found.signals.more.append("last")


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


def _relation(entry: Any) -> str:
    """The relation of a link like `{"rel": "self", "href": …}`; "" when `entry` is something else."""
    relation = entry.get("rel") if isinstance(entry, dict) else None
    return relation if isinstance(relation, str) else ""


def _read_boxed(key: str, value: Any, found: Findings) -> bool:
    """Mark the address of one link of a `links` object or list as known.

    :param key: the key or the relation of the link.
    :returns: whether it is a link of the reply.
    """
    word, address = link_word(key), _only_address(value)
    if word == "next":
        return found.signals.note(key, value if address is None else address)
    if word not in _NO_DATA | PAGE_LINKS:
        return False
    if address is None:
        return value is None
    if word not in DOCUMENTATION_LINKS or not is_signed(address):
        found.known.add(address)
    return True


def _only_address(value: Any) -> str | None:
    """The address of a link. The link may be a text, or an object with one address and no nested values."""
    if isinstance(value, dict) and not any(isinstance(each, dict | list) for each in value.values()):
        under = [each for key, each in value.items() if plain_key(key) in URL_KEYS and isinstance(each, str)]
        value = under[0] if len(under) == 1 else None
    return value if isinstance(value, str) and fetchable(value) else None
