"""One file of a reply: its address or its content, its name and its length.

In all functions, `words` is the entry with its keys in lower case and without punctuation (`plain_key`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from learnosity.results import links
from learnosity.results.addresses import (
    behind_id,
    fetchable,
    holds_address,
    holds_only_plain_links,
    is_signed,
    leads_into,
    name_in_address,
)
from learnosity.results.content import (
    encoded,
    is_content,
    may_be_content,
    numbers_of_rows,
    plain_links_of_rows,
    row_counts,
)
from learnosity.results.findings import Findings, FoundFile, join
from learnosity.results.known_keys import (
    ABOUT_A_FILE,
    CONTENT_KEYS,
    ECHO_KEYS,
    FILE_LISTS,
    FOLDER_KEYS,
    LINK_WORDS,
    NAME_KEYS,
    OBJECT_KEYS,
    PATH_KEYS,
    SIZE_KEYS,
    TYPE_KEYS,
    URL_KEYS,
    looks_like_a_file,
    plain_key,
)
from learnosity.results.place import Place
from learnosity.results.signal_keys import counts_parts, kind_of, thing_of

Words = Mapping[str, Any]
# Keys with which an entry describes its file. An object that has any other key may be a table row with a link in it.
ENTRY_WORDS = frozenset(
    (*URL_KEYS, *NAME_KEYS, *PATH_KEYS, *OBJECT_KEYS, *FOLDER_KEYS, *SIZE_KEYS, *TYPE_KEYS, *LINK_WORDS, *ABOUT_A_FILE)
)
_PATH_WORDS = frozenset((*PATH_KEYS, *OBJECT_KEYS, *FOLDER_KEYS))
_JSON = "application/json"
_TYPES = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "ndjson": "application/x-ndjson",
    "jsonl": "application/x-ndjson",
}


def own_addresses(words: Words) -> list[str]:
    """The addresses of an object under the keys in `URL_KEYS`, also when written as `{"link": {"href": …}}`.

    :returns: each address unchanged, with any blanks around it.
    """
    urls = []
    for word in URL_KEYS.intersection(words):
        value = words[word]
        if isinstance(value, dict) and len(value) == 1:
            value = next((each for key, each in value.items() if plain_key(key) in URL_KEYS), None)
        if isinstance(value, str) and fetchable(value):
            urls.append(value)
    return urls


def is_file(words: Words, urls: Sequence[str], place: Place, dataset_id: str) -> bool:
    """Whether an object with an address is the entry of a file. It could also be a table row with a link in it.

    An object is a file if its address is signed or leads into the dataset's folder, or if it is in a list of files. It
    is also a file if it has a file name, or if its address has a file name and all its keys are known in entries.
    """
    if place.key in FILE_LISTS or any(is_signed(url) or name_in_address(url.strip(), dataset_id)[1] for url in urls):
        return True
    if looks_like_a_file(_text(words, (*NAME_KEYS, *PATH_KEYS, *OBJECT_KEYS))):
        return True
    return is_file_address(urls[0], dataset_id) and words.keys() <= ENTRY_WORDS


def is_file_address(text: str, dataset_id: str) -> bool:
    """Whether an address leads to a file: it is signed, leads into the dataset's folder, or ends like a file name."""
    name, whole = name_in_address(text.strip(), dataset_id)
    return is_signed(text) or whole or looks_like_a_file(name)


def own_content(words: Words) -> Any:
    """The content inside an entry that has a file name; None when the entry has no content or no file name."""
    if not looks_like_a_file(_text(words, (*NAME_KEYS, *PATH_KEYS))):
        return None
    return next((words[key] for key in sorted(CONTENT_KEYS.intersection(words)) if words[key] is not None), None)


def add_entry(
    found: Findings, record: Mapping[str, Any], words: Words, urls: Sequence[str], place: Place, key: str = ""
) -> None:
    """Add the file of an entry that has an address to `found`.

    :param record: the entry, unchanged.
    :param urls: the addresses of the entry (`own_addresses`).
    :param key: the key above the entry, if this key is the file name.
    """
    if len(urls) > 1 and len(set(map(fetchable, urls))) > 1:
        found.problems.append("an entry of a file has several addresses")
    if len(words) != len(record):
        found.problems.append("an entry of a file has two keys with the same meaning")
    if any(words[each] for each in CONTENT_KEYS.intersection(words)):
        found.problems.append("an entry of a file has an address as well as content")
    if not LINK_WORDS.isdisjoint(words):
        links.mark_self_links(record, found)
    try:
        name = name_of(words, found.signals.dataset_id) or (join("/".join(place.keys), key) if key else None)
    except ValueError as error:
        found.problems.append(str(error))
        return
    found.known.update(urls)
    add_address(found, urls[0], place, name, size_of(words), type_of(words))


def add_content_entry(found: Findings, record: Mapping[str, Any], words: Words, value: Any, place: Place) -> None:
    """Add the file of an entry that has its content, and note what the entry says about the content.

    The content of an entry may be only a part, like the list of a reply. So its counts and cursors are signals.

    :param value: the content (`own_content`).
    """
    signals, counts, limits = found.signals, len(found.signals.open_counts), len(found.signals.limits)
    if len(words) != len(record):
        found.problems.append("an entry of a file has two keys with the same meaning")
    if sum(words[each] is not None for each in CONTENT_KEYS.intersection(words)) > 1:
        found.problems.append("an entry of a file has several contents")
    for word, other in words.items():
        is_about = word in ENTRY_WORDS and kind_of(word) in (None, "count") and not isinstance(other, dict | list)
        if not is_about and word not in CONTENT_KEYS | ECHO_KEYS and not signals.note(word, other):
            _read_beside_content(word, other, found)
    if not LINK_WORDS.isdisjoint(words):
        links.mark_self_links(record, found)
    stated, capped = signals.open_counts[counts:], signals.limits[limits:]
    del signals.open_counts[counts:], signals.limits[limits:]
    rows = row_counts(value) if stated or capped else set()
    right = numbers_of_rows(value, rows) if stated else {}
    stated = [(key, number) for key, number in stated if (thing := thing_of(plain_key(key))) is None or thing in right]
    stated = [(key, number) for key, number in stated if number != 1 or not counts_parts(plain_key(key))]
    if not {number for _, number in stated} <= rows:
        signals.unclear.append("a content has another length than its entry says")
    if not stated and not signals.ended and any(0 < limit <= max(rows, default=limit) for limit in capped):
        signals.unclear.append("a content has as many rows as its limit allows")
    if isinstance(value, str) and not all(_may_be_size(size, value) for size in _sizes(words)):
        signals.unclear.append("a content is shorter than its entry says")
    add_content(found, name_of(words, signals.dataset_id) or "", value, place, type_of(words))


def add_address(
    found: Findings,
    text: str,
    place: Place,
    name: str | None = None,
    size: int | None = None,
    content_type: str | None = None,
) -> None:
    """Add the file of an address to `found`. Without `name`, the file gets the name in the address.

    :param text: the address unchanged, with any blanks around it.
    """
    url = fetchable(text) or ""
    path = join(place.folder, name) if name else _name_by_address(url, place, found.signals.dataset_id)
    found.known.add(text)
    found.add_file(FoundFile(path, place.all_keys, url, None, size, content_type))


def add_content(found: Findings, name: str, value: Any, place: Place, content_type: str | None = None) -> None:
    """Add a file whose content is in the reply to `found`.

    :param content_type: the type of a text; None for the type that follows from its name. Rows are written as JSON.
    """
    if not is_content(name, value):
        found.problems.append("the value under the name of a file is neither its address nor rows")
        return
    if not isinstance(value, str):
        found.known.update(plain_links_of_rows(value, found.signals.dataset_id))
    elif holds_only_plain_links(value) and not leads_into(value, found.signals.dataset_id):
        found.known.add(value)
    raw = encoded(value)
    if raw is None:
        found.problems.append("its content cannot be written down")
        return
    if not isinstance(value, str):
        content_type = _JSON
    elif content_type is None:
        content_type = _TYPES.get(name.lower().rpartition(".")[2], _JSON)
    found.add_file(FoundFile(join(place.folder, name), place.all_keys, None, raw, None, content_type))


def name_of(words: Words, dataset_id: str) -> str | None:
    """The file name in an entry; None when the entry has no name.

    If the name is only the last part of the path, the path is used. The folder of the entry is added before it.

    :raises ValueError: when a name is not a text.
    """
    name = _file_name(words)
    if _PATH_WORDS.isdisjoint(words):
        return name or None
    path = _text(words, PATH_KEYS)
    # An entry may say where its file is in an object store, as in `{"key": "exports/<dataset id>/a/b.json"}`. If it has
    # no other path, what follows the dataset id, `a/b.json`, is used as the path. But if the entry also has a file
    # name, and the value does not end with it, as in `{"key": "17", "name": "b.json"}`, it is ignored: it may be an id.
    key = behind_id(_text(words, OBJECT_KEYS), dataset_id)
    if not path and (not name or key.endswith(f"/{name}")):
        path = key
    whole = _merged(name, path)
    return join(_text(words, FOLDER_KEYS).strip("/"), whole) if whole else None


def size_of(words: Words) -> int | None:
    """The length in bytes that an entry gives. A value that is not a whole number is ignored."""
    return next(_sizes(words), None)


def type_of(words: Words) -> str | None:
    """The content type in an entry; None when the entry has no usable type."""
    stated = (words[key] for key in TYPE_KEYS if key in words)
    return next((each for each in stated if isinstance(each, str) and "/" in each and not holds_address(each)), None)


def whole_number(value: Any) -> int | None:
    """`value` as a number, if it is an integer of at least 0 or a text of digits; None for anything else."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _sizes(words: Words) -> Iterator[int]:
    stated = (whole_number(words[key]) for key in SIZE_KEYS if key in words)
    return (size for size in stated if size is not None)


def _may_be_size(size: int, text: str) -> bool:
    """Whether a text may be whole. The stated size may be that with a line end at its end, or with longer line ends."""
    raw = text.encode(errors="replace")
    windows = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    ends = () if raw.endswith(b"\n") else (len(raw) + 1, len(windows) + 2)
    return size <= len(raw) or size in (len(windows), *ends)


def _read_beside_content(word: str, value: Any, found: Findings) -> None:
    """Note a value of an entry with content that may be more content, or name a file that is not listed."""
    if isinstance(value, dict | list):
        if value and word not in LINK_WORDS:
            found.problems.append("an entry of a file has its content, and something else that may be content")
    elif isinstance(value, str) and not holds_address(value):
        if looks_like_a_file(value):
            found.names.add(value)
        elif may_be_content(value):
            found.leftovers.append("it contains a long text, which may be content")


def _name_by_address(url: str, place: Place, dataset_id: str) -> str:
    """The file name in the address. The keys above are added as folders, if the name is not yet the whole path."""
    name, whole = name_in_address(url, dataset_id)
    return join(place.folder, name if whole else join("/".join(place.keys), name))


def _file_name(words: Words) -> str:
    stated = words.get("name")
    if not isinstance(stated, str | None):
        raise ValueError("the name of a file is not a text")
    if stated and looks_like_a_file(stated) and not holds_address(stated):
        return stated
    names = [name for key in NAME_KEYS if (name := _text(words, (key,)))]
    return next((name for name in names if looks_like_a_file(name)), names[0] if names else "")


def _merged(name: str, path: str) -> str:
    if not name or not path or path == name or path.endswith(f"/{name}"):
        return path or name
    if looks_like_a_file(path):
        return name if looks_like_a_file(name) else path
    return join(path.rstrip("/"), name)


def _text(words: Words, keys: Sequence[str]) -> str:
    """The first text under one of `keys` that is not an address; "" when there is none."""
    for key in keys:
        value = words.get(key)
        if isinstance(value, str) and value and not holds_address(value):
            return value
    return ""
