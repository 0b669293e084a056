"""What has to be true of every reading, told without the code that reads.

The reader's own rules are not used here. An address is looked for in the plainest way, in every key and value.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from chaos.fuzzing.shapes import ID, Case, damage, embed, embed_content, noise
from learnosity.errors import UnsafeNameError
from learnosity.results.reading import Empty, Failed, Files, Group, Inline, NotReady, NotUnderstood, Reading, classify

_ADDRESS = re.compile(r"[a-z0-9+.-]+://|^\s*//[^/\s]", re.IGNORECASE)
_SIGNED = re.compile(r"[?&](?:x-amz-signature|x-goog-signature|signature|sig|token)=", re.IGNORECASE)
# If a key begins with one of these words, the address below it leads to another reply or to documentation, and not to a
# file. If a key is one of `_MAYBE_LINKS`, its address may lead to a file or not: `_is_link` decides.
_LINKS = ("self", "prev", "previous", "canonical", "docs", "documentation", "help", "first", "last")
_MAYBE_LINKS = ("link", "href", "url", "uri", "index", "up", "home", "about")
# A list below one of these keys is no list of files. It may repeat the request, be a path, or hold messages for people.
_NO_LISTS = (
    "request",
    "filters",
    "options",
    "group_path",
    "next",
    "next_cursor",
    "errors",
    "failed",
    "status",
    "state",
    "job_status",
    "fields",
)
_NOT_YET = ("running", "queued")


def check(seed: int) -> str:
    """Grow a reply from `seed`, read it, and check the reading.

    :returns: which kind of reading it was, for statistics.
    :raises AssertionError: when the reading is not what it has to be.
    """
    chance = random.Random(seed)
    kind = chance.random()
    if kind < 0.45:
        return check_case(embed(chance))
    if kind < 0.6:
        return check_case(embed_content(chance))
    if kind < 0.85:
        case = embed(chance) if chance.random() < 0.6 else embed_content(chance)
        return check_any({**case.meta}, damage(chance, case.data))
    meta = {"status": True}
    if chance.random() < 0.2:
        meta |= {chance.choice(("next", "records", "self", "url")): noise(chance, 4)}
    return check_any(meta, noise(chance))


def check_case(case: Case) -> str:
    """Read a reply of which it is known what it holds: all of it and nothing else, or an error."""
    reading = _read(case.meta, case.data)
    traps = set(case.traps)
    if case.cursor is not None:
        # Because of these two traps, the reply says that there are more files than it lists. With a cursor, this is no
        # error: the other files are on the next page.
        traps -= {"more", "a wrong count"} if case.kind in ("files", "empty") else set()
        if case.kind not in ("files", "empty"):
            traps.add("a further page of content")
    if traps:
        assert isinstance(reading, NotUnderstood | NotReady | Failed), (traps, reading, case.data)
        return f"{case.kind} with a trap: {type(reading).__name__}"
    if case.kind == "files":
        assert isinstance(reading, Files), (reading, case.data)
        assert Counter(url for _, url in reading.files) == Counter(file.url for file in case.files), case.data
        assert reading.next_cursor == case.cursor, case.data
        by_url = {url: file for file, url in reading.files}
        assert all(by_url[file.url].path.endswith(file.name) for file in case.files), case.data
        wrong = {len(case.files) + 1, len(case.files) + 101}
        assert reading.total in (wrong if "a wrong count" in case.traps else {None}), case.data
    elif case.kind == "groups":
        assert isinstance(reading, Group), (reading, case.data)
        assert sorted(reading.children) == sorted(case.groups), (reading.children, case.data)
        assert json.loads(reading.content) == case.data
    elif case.kind == "empty":
        assert isinstance(reading, Empty), (reading, case.data)
        assert reading.next_cursor == case.cursor, case.data
    else:
        assert isinstance(reading, Inline), (reading, case.data)
        names = [file.name for file in case.files] or ["dataset.json"]
        assert sorted(file.path for file, _ in reading.files) == sorted(names), case.data
        if case.kind == "rows":
            assert json.loads(reading.files[0][1]) == case.data
    return f"{case.kind}: {type(reading).__name__}"


def check_any(meta: dict[str, Any], data: Any) -> str:
    """Read any reply: what is understood accounts for every address, and stores none that is signed."""
    reading = _read(meta, data)
    if isinstance(reading, Files):
        assert reading.files
        landed = {url for _, url in reading.files}
        _check_addresses({"meta": meta, "data": data}, landed)
        _check_lists(data, landed)
    elif isinstance(reading, Inline):
        for _, content in reading.files:
            assert not _SIGNED.search(content.decode()), data
    elif isinstance(reading, Group):
        assert not _SIGNED.search(reading.content.decode()), data
        assert json.loads(reading.content) == data
        _check_groups(data, reading)
    elif isinstance(reading, Empty):
        _check_addresses({"meta": meta, "data": data}, set())
    if isinstance(reading, Files | Empty | Inline | Group) and isinstance(data, dict):
        assert str(data.get("status")).lower() not in _NOT_YET, data
    return f"any: {type(reading).__name__}"


def _read(meta: dict[str, Any], data: Any) -> Reading | None:
    """What the reply holds; None when a name in it may not become a path. It never raises anything else."""
    before = json.dumps([meta, data])
    try:
        reading = classify(meta, data, dataset_id=ID)
    except UnsafeNameError:
        return None
    assert json.dumps([meta, data]) == before, "the reply was changed"
    if isinstance(reading, NotUnderstood):
        message = str(reading.error())
        assert len(message) < 3000
        assert not _ADDRESS.search(message.replace("https://help.example", "")), message
        assert not _SIGNED.search(message), message
    assert "://" not in repr(reading)
    return reading


def _texts(value: Any, key: str = "", above: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Every text and every key, with the key above it and those above that."""
    if isinstance(value, dict):
        for each, child in value.items():
            yield key, above, each
            yield from _texts(child, each, (*above, key))
    elif isinstance(value, list):
        for child in value:
            yield from _texts(child, key, above)
    elif isinstance(value, str):
        yield key, above, value


def _check_addresses(reply: Any, landed: set[str]) -> None:
    """Every address is a file's, or a link to the reply or to its documentation, here or elsewhere in the reply."""
    texts = [each for each in _texts(reply) if _ADDRESS.search(each[2])]
    links = {text for key, above, text in texts if _is_link(key, above, text)}
    for _, _, text in texts:
        assert text.strip() in landed or text in links, (text, reply)


def _is_link(key: str, above: tuple[str, ...], text: str) -> bool:
    """Whether a text may be a link that is no file. For `href` below `self` the key above counts."""
    words = [re.sub(r"[^a-z]", "", each.lower()) for each in (key, *above[-1:])]
    if any(word.startswith(_LINKS) for word in words):
        return True
    return (
        any(word in _MAYBE_LINKS for word in words)
        and re.search(rf"/(index|self|datasets)(\.json)?(\?|$)|{ID}(\?|$)", text) is not None
    )


def _check_lists(value: Any, landed: set[str]) -> None:
    """Every entry of a list is a file, or holds some, or is an empty list of them.

    What was asked for is no such list, and neither is what stands inside of a file's entry.
    """
    todo = [value]
    while todo:
        each = todo.pop()
        if isinstance(each, dict):
            if not _is_landed(each, landed):
                todo.extend(child for key, child in each.items() if key not in _NO_LISTS)
        elif isinstance(each, list):
            todo.extend(each)
            held = [_holds_landed(entry, landed) for entry in each]
            assert all(held) or all(map(_is_level, each)), value


def _holds_landed(entry: Any, landed: set[str]) -> bool:
    held = {text.strip() for _, _, text in _texts(entry)} & landed
    return bool(held) or _is_empty_list(entry) or _is_relation(entry)


def _is_landed(entry: Any, landed: set[str]) -> bool:
    """Whether `entry` is an object with the address of a file, or with an object that holds nothing else."""
    if not isinstance(entry, dict):
        return False
    nested = [next(iter(each.values())) for each in entry.values() if isinstance(each, dict) and len(each) == 1]
    return any(isinstance(text, str) and text.strip() in landed for text in [*entry.values(), *nested])


def _is_empty_list(entry: Any) -> bool:
    if isinstance(entry, dict):
        return any(_is_empty_list(child) for child in entry.values()) or entry == {}
    return entry == [] or (isinstance(entry, list) and all(_is_empty_list(child) for child in entry))


def _is_level(entry: Any) -> bool:
    return (
        isinstance(entry, dict) and entry.keys() == {"key", "label"} and all(isinstance(v, str) for v in entry.values())
    )


def _is_relation(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("rel"), str)


def _check_groups(data: Any, group: Group) -> None:
    """Every group that a list named `groups` holds is handed on."""
    named = {path[-1] for path in group.children}
    todo = [data]
    while todo:
        each = todo.pop()
        if isinstance(each, list):
            todo.extend(each)
        elif isinstance(each, dict):
            for key, child in each.items():
                if key != "ancestors":  # the groups below an ancestor are in the ancestor's own reply
                    todo.append(child)
                if key == "groups" and isinstance(child, list):
                    for entry in [] if all(map(_is_level, child)) else child:
                        if isinstance(entry, dict) and "user_id" not in entry and "item_reference" not in entry:
                            assert entry.get("group_name") in named, data
