"""Replies of GET reports/datasets as a vendor might write them, grown from a seed.

`embed` takes a set of files and hides it in a reply of some shape: lists, maps, trees of folders, any wrappers around
them, links to the reply itself, extra values, pages. A *trap* makes the reply incomplete or ambiguous on purpose.
`noise` and `damage` make replies that nobody would write.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ID = "11111111-2222-4333-8444-555555555555"
OTHER_ID = "99999999-2222-4333-8444-555555555555"
SIGNATURES = (
    "?X-Amz-Date=20261128T070000Z&X-Amz-Expires=3600&X-Amz-Signature=00ff00ff",
    "?AWSAccessKeyId=A&Expires=1795852800&Signature=a%2Bb%3D",
    "?X-Goog-Signature=00ff",
    "?sv=2024&se=2026-11-28&sig=00ff",
    "?token=00ff",
)
STRUCTURE = ("data", "dataset", "files", "outputs", "items", "results", "urls", "downloads", "entries", "list")
WRAPPERS = (*STRUCTURE, "report", "set", "parts", "payload", "response", "x", "Outer", "batch_1")
URL_KEYS = ("url", "href", "signed_url", "download_url", "link", "signedUrl", "uri")
NAME_KEYS = ("name", "path", "file", "filename", "file_name", "key", "fileName")
SELF_KEYS = ("self", "prev", "previous", "canonical", "self_url", "selfLink")


@dataclass(frozen=True, slots=True)
class File:
    """A result file: its own name, and where it is fetched from."""

    name: str
    url: str


@dataclass(slots=True)
class Case:
    """A reply of which it is known what it holds.

    :param kind: `files`, `rows`, `contents`, `groups` or `empty`.
    :param data: the data of the reply.
    :param files: all files of the reply.
    :param groups: every group that the reply names.
    :param traps: what makes it incomplete or ambiguous; without one it has to be understood.
    :param cursor: the cursor of the next page, if the reply names one.
    """

    kind: str
    data: Any
    files: list[File] = field(default_factory=list)
    groups: list[tuple[str, ...]] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=lambda: {"status": True, "timestamp": 1795852800})
    traps: list[str] = field(default_factory=list)
    cursor: str | None = None
    around: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """The objects around the files that can take further keys."""


def embed(chance: random.Random) -> Case:
    """A reply with files in it; half of them have a trap."""
    files = [_file(chance, number) for number in range(chance.choice((1, 1, 2, 2, 3, 5)))]
    case = Case("files", _layout(chance, files), files)
    _wrap(chance, case)
    return _finish(chance, case, (*_PLAIN_DECOYS, *_DECOYS), (*_PLAIN_TRAPS, *_TRAPS))


def embed_content(chance: random.Random) -> Case:
    """A reply without addresses of files: rows, files with their content, a group, or nothing; half have a trap."""
    kind = chance.choice(("rows", "contents", "groups", "empty"))
    case = {"rows": _rows, "contents": _contents, "groups": _group, "empty": _empty}[kind](chance)
    return _finish(chance, case, _PLAIN_DECOYS, _PLAIN_TRAPS)


def _finish(chance: random.Random, case: Case, decoys: tuple[Any, ...], traps: tuple[Any, ...]) -> Case:
    for _ in range(chance.choice((0, 0, 1, 2, 3))):
        chance.choice(decoys)(chance, case)
    if chance.random() < 0.5:
        for _ in range(chance.choice((1, 1, 2))):
            chance.choice(traps)(chance, case)
    return case


def address(chance: random.Random, name: str) -> str:
    """An address of a file, signed as a rule."""
    folder = chance.choice((f"r/0099/type/{ID}", f"r/0099/type/{ID}/outfiles", "cdn"))
    query = chance.choice(SIGNATURES) if folder == "cdn" or chance.random() < 0.8 else ""
    return f"{chance.choice(('https', 'https', 'https', 'HTTPS'))}://b.example/{folder}/{name}{query}"


def _row(chance: random.Random, number: int) -> dict[str, Any]:
    row: dict[str, Any] = chance.choice(
        (
            {"item_reference": f"i{number}", "p_value": 0.4},
            {"user_id": f"u{number}", "score": 3, "max_score": 5},
            {"question_reference": f"q{number}", "count_sessions": 9, "discrimination_index": None},
            {"user_id": f"u{number}", "p25_score": 3.5, "nested": {"a": [1, 2]}},
        )
    )
    if chance.random() < 0.4:
        row = row | {chance.choice(("link", "url", "avatar", "comment")): "https://authoring.example/items/1"}
    return row


def _rows(chance: random.Random) -> Case:
    rows = [_row(chance, number) for number in range(chance.choice((1, 2, 3)))]
    case = Case("rows", rows)
    if chance.random() < 0.8:
        case.around.append({chance.choice(("rows", "items", "results", "data", "table")): rows})
        case.data = case.around[-1]
    if chance.random() < 0.2:
        case.data = [case.data]
    return case


def _contents(chance: random.Random) -> Case:
    contents: dict[str, Any] = {
        "a.json": {"rows": [_row(chance, 1)]},
        "d/b.csv": "group_name,population\nnorth,3\n",
        "c.json": '[{"user_id": "u", "score": 1}]',
    }
    for key in chance.sample(sorted(contents), chance.choice((0, 1, 2))):
        del contents[key]
    case = Case("contents", contents, [File(name, "") for name in contents])
    if chance.random() < 0.5:
        case.data = [{"name": name, "content": content} for name, content in contents.items()]
        case.around.append({"files": case.data})
        case.data = case.around[-1]
    elif chance.random() < 0.5:
        case.around.append({"files": contents})
        case.data = case.around[-1]
    return case


def _group(chance: random.Random) -> Case:
    names = chance.sample(("north", "south", "学校", "a/b"), chance.choice((0, 1, 2, 3)))
    path = chance.choice(([], ["top"], ["top", "mid"]))
    view: dict[str, Any] = {
        "group_path": path,
        "group": {"group_name": "top", "population": 9},
        "ancestors": [{"group_name": name, "population": 99} for name in path],
        "groups": [{"group_name": name, "population": 3} for name in names],
        "users": [] if names else [{"user_id": "u", "score": 1}],
    }
    for key in chance.sample(("group", "ancestors", "users"), chance.choice((0, 1, 2))):
        del view[key]
    case = Case("groups", view, groups=[(name,) for name in names])
    if names and chance.random() < 0.3:
        view["groups"][0]["groups"] = [{"group_name": "below"}]
        case.groups.append((names[0], "below"))
    case.around.append(view)
    kind = chance.choice(("bare", "bare", "list", "dataset_group", "lists"))
    wrapped = {"list": [view], "dataset_group": {"dataset_group": view}, "lists": [[view]]}
    case.data = wrapped.get(kind, view)
    return case


def _empty(chance: random.Random) -> Case:
    case = Case("empty", {chance.choice(("files", "outputs", "items", "results", "urls")): chance.choice(([], {}))})
    case.around.append(case.data)
    if chance.random() < 0.3:
        case.data = chance.choice(([case.data], {"dataset": case.data}))
    return case


def _file(chance: random.Random, number: int) -> File:
    name = f"{chance.choice('abcdef')}{number}.{chance.choice(('json', 'csv', 'json.gz', 'ndjson'))}"
    return File(name, address(chance, name))


def _entry(chance: random.Random, file: File, *, named: bool = True) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if named:
        entry[chance.choice(NAME_KEYS)] = file.name
    entry[chance.choice(URL_KEYS)] = chance.choice(("", "", "", " ")) + file.url
    extra = {
        "bytes": 7, "size": "12", "content_type": "text/csv", "etag": "00ff", "expires": 3600, "id": 7,
        "status": "ready", "tags": ["x"], "links": {"self": f"https://api.example/{file.name}"}, "count": 900,
    }  # fmt: skip
    for key in chance.sample(sorted(extra), chance.choice((0, 0, 1, 2))):
        entry[key] = extra[key]
    return entry


def _listed(chance: random.Random, files: list[File]) -> list[Any]:
    kind = chance.choice(("entries", "entries", "bare", "unnamed", "nested"))
    if kind == "bare":
        return [file.url for file in files]
    if kind == "nested":
        return [[_entry(chance, file)] for file in files]
    return [_entry(chance, file, named=kind == "entries") for file in files]


def _mapped(chance: random.Random, files: list[File]) -> dict[str, Any]:
    as_entry = chance.random() < 0.4
    return {file.name: _entry(chance, file, named=False) if as_entry else file.url for file in files}


def _flat(chance: random.Random, files: list[File]) -> Any:
    return _mapped(chance, files) if chance.random() < 0.35 else _listed(chance, files)


def _layout(chance: random.Random, files: list[File]) -> Any:
    """The files as one flat list or map, as several, or as a tree of folders."""
    kind = chance.choice(("flat", "flat", "several", "keys", "nodes", "folders"))
    half = chance.randint(0, len(files))
    first, second = files[:half], files[half:]
    if kind == "several":
        return {"json": _listed(chance, first), "csv": _listed(chance, second)}
    if kind == "keys" and first and second:
        return {"district_1": {"school_1": _mapped(chance, first)}, "district_2": _mapped(chance, second)}
    if kind == "nodes":
        children = [_entry(chance, file) for file in first]
        return {
            "name": "district_1",
            "children": [*children, {"name": "school_1", "children": [_entry(chance, file) for file in second]}],
        }
    if kind == "folders":
        parts = [{"folder": "a", "files": _listed(chance, first)}, {"folder": "b", "files": _listed(chance, second)}]
        return [part for part in parts if part["files"]]
    return _flat(chance, files)


def _wrap(chance: random.Random, case: Case) -> None:
    """Put the files some levels down."""
    if isinstance(case.data, dict) and ("children" in case.data or "csv" in case.data):
        case.around.append(case.data)
    if isinstance(case.data, list) or chance.random() < 0.8:
        case.around.append({chance.choice(STRUCTURE): case.data})
        case.data = case.around[-1]
    for _ in range(chance.choice((0, 0, 1, 2, 4, 7))):
        if chance.random() < 0.2:
            case.data = [case.data]
        else:
            case.around.append({chance.choice(WRAPPERS): case.data})
            case.data = case.around[-1]
    if isinstance(case.data, dict) and chance.random() < 0.1:
        case.data = [case.data]


def _put(chance: random.Random, case: Case, key: str, value: Any) -> bool:
    """Put a key into one of the objects around the files, if there is one."""
    objects = [each for each in case.around if key not in each]
    if objects:
        chance.choice(objects)[key] = value
    return bool(objects)


def _decoy(key: Callable[[random.Random], str], value: Callable[[random.Random, Case], Any]) -> Any:
    return lambda chance, case: _put(chance, case, key(chance), value(chance, case))


def _one_of(*values: Any) -> Callable[..., Any]:
    return lambda chance, *_: copy.deepcopy(chance.choice(values))


_PLAIN_DECOYS = (
    _decoy(_one_of("dataset_id"), _one_of(ID)),
    _decoy(_one_of("dataset_type", "created", "version", "organisation_id"), _one_of("type", 7, None, 1.5)),
    _decoy(_one_of("status", "state"), _one_of("completed", "ready", "COMPLETE")),
    _decoy(_one_of("docs", "documentation", "help_url"), _one_of("https://help.example/datasets")),
    _decoy(_one_of("_links", "links"), _one_of({"self": {"href": f"https://api.example/{ID}"}, "next": None})),
    _decoy(_one_of("request", "filters", "options"), _one_of({"fields": ["mean_score"], "file_count": 3, "limit": 1})),
    _decoy(_one_of("next", "next_cursor", "has_more", "truncated"), _one_of(None, False)),
    _decoy(_one_of("errors", "failed", "skipped"), _one_of([], 0, None)),
)
_DECOYS = (
    _decoy(_one_of(*SELF_KEYS), lambda chance, case: address(chance, "page.json")),
    _decoy(_one_of("link", "href", "url"), lambda chance, case: address(chance, chance.choice(("index.json", "self")))),
    _decoy(_one_of("groups"), _one_of([{"key": "district", "label": "District"}])),
    _decoy(_one_of("file_count", "total", "total_files"), lambda chance, case: len(case.files)),
)


def _trap(name: str, key: Callable[[random.Random], str], value: Callable[[random.Random, Case], Any]) -> Any:
    def spring(chance: random.Random, case: Case) -> None:
        if _put(chance, case, key(chance), value(chance, case)):
            case.traps.append(name)

    return spring


def _cursor(chance: random.Random, case: Case) -> None:
    """Name a next page, in `meta` or beside the files. Two different ones are a trap."""
    cursor = f"1729854752.{chance.randint(1, 9)}"
    if "next" not in case.meta and chance.random() < 0.6:
        case.meta["next"] = cursor
    elif not _put(chance, case, chance.choice(("next", "next_cursor", "continuation_token")), cursor):
        return
    if case.cursor not in (None, cursor):
        case.traps.append("two cursors")
    case.cursor = cursor


def _spoil(chance: random.Random, case: Case) -> None:
    """Add something that is no file to a list of files."""
    lists: list[list[Any]] = []
    todo = [case.data]
    while todo:
        each = todo.pop()
        if isinstance(each, dict):
            todo.extend(each.values())
        elif isinstance(each, list):
            todo.extend(each)
            if any(_has_address(case, entry) for entry in each):
                lists.append(each)
    if lists:
        bad = chance.choice((None, 7, True, "z.json", "", {}, {"name": "z.json"}, {"name": "z", "url": None}, [None]))
        target = chance.choice(lists)
        target.insert(chance.randint(0, len(target)), copy.deepcopy(bad))
        case.traps.append("an entry that is no file")


def _spoil_entry(chance: random.Random, case: Case) -> None:
    """Let the entry of a file say that it is not whole, or hold more than a file."""
    entries: list[dict[str, Any]] = []
    names = {file.name for file in case.files}
    todo = [case.data]
    while todo:
        each = todo.pop()
        if isinstance(each, dict | list):
            todo.extend(each.values() if isinstance(each, dict) else each)
            # An object whose keys are file names maps each name to an address. It is not the entry of one file, so it
            # is left out.
            if isinstance(each, dict) and _has_address(case, each) and each.keys().isdisjoint(names):
                entries.append(each)
    if entries:
        entry = chance.choice(entries)
        key, value = chance.choice(_OF_AN_ENTRY)
        entry[key] = copy.deepcopy(value)
        case.traps.append("an entry that is not whole")


def _has_address(case: Case, entry: Any) -> bool:
    values = list(entry.values()) if isinstance(entry, dict) else [entry]
    return any(isinstance(value, str) and value.strip() == file.url for value in values for file in case.files)


_OF_AN_ENTRY: tuple[tuple[str, Any], ...] = (
    ("progress", 40),
    ("success", False),
    ("message", "not ready yet"),
    ("job", {"status": "running"}),
    ("rows", [{"item_reference": "i", "p_value": 0.5}]),
    ("summary", {"population": 3}),
    ("parts", [{"name": "z.json"}]),
    ("companion", "z.csv"),
    ("nextPart", "2"),
)
_STRAYS = ("homepage", "preview", "archive", "logo", "console", "z", "extra_url", "template")
_PLAIN_TRAPS = (
    _cursor,
    _trap("a status", _one_of("status", "job_status"), _one_of("running", "queued", "Not Ready", "halted", "sealed")),
    _trap("a flag", _one_of("ready", "completed", "is_complete"), _one_of(False, "false", 0)),
    _trap("more", _one_of("has_more", "truncated", "is_truncated", "hasNext"), _one_of(True, 1, "true")),
    _trap("a stray address", _one_of(*_STRAYS), lambda chance, case: address(chance, "z.json")),
    _trap(
        "another store", _one_of(*_STRAYS), _one_of("s3://b/z.json", "gs://b/z", "abfss://c@h/z", "//h/z", " FTP://h/z")
    ),
    _trap("an address as key", _one_of("https://b.example/z.json?Signature=s"), _one_of(1, "z", None)),
    _trap("an address in a text", _one_of("hint"), _one_of("fetch https://b.example/z.json?Signature=s now")),
    _trap(
        "a next address", _one_of("next", "next_page"), _one_of("https://api.example/2", {"href": "https://a/2"}, "/2")
    ),
    _trap("another dataset", _one_of("dataset_id"), _one_of(OTHER_ID)),
    _trap("trouble", _one_of("error", "errors", "missing", "skipped"), _one_of("z", ["z.json"], {"z": 1}, 3)),
)
_TRAPS = (
    _spoil,
    _spoil_entry,
    _trap(
        "a wrong count",
        _one_of("total_files", "total", "count", "total_urls", "chunks"),
        lambda chance, case: len(case.files) + 1,
    ),
    # A reply may repeat `dataset_type` and `file_count` of the request. There, `file_count` is the number of input
    # files, at most 100. So a larger number is needed for a count that is certainly wrong.
    _trap("a wrong count", _one_of("file_count"), lambda chance, case: len(case.files) + 101),
    _trap("a stray object", _one_of(*_STRAYS), lambda chance, case: {"href": address(chance, "z.json"), "x": 1}),
    _trap("rows", _one_of("rows", "table"), _one_of([{"item_reference": "i", "p_value": 0.5}])),
    _trap("groups", _one_of("groups"), _one_of([{"group_name": "north"}])),
    _trap("a name that is not listed", _one_of("also", "index"), _one_of("z.json", "d/z.csv")),
    _trap("a list that is not known", _one_of("others", "more_files"), _one_of(["z"], [7], [None], [{"id": 1}])),
)


_WORDS = (
    *WRAPPERS, *URL_KEYS, *NAME_KEYS, *SELF_KEYS, *_STRAYS, "status", "next", "has_more", "file_count", "total",
    "groups", "group_path", "group_name", "users", "user_id", "score", "p_value", "item_reference", "children",
    "folder", "rows", "dataset_group", "_links", "links", "rel", "a.json", "b.csv", "content", "first", "last", "",
    "学校", "json", "csv",
)  # fmt: skip


def _scalar(chance: random.Random) -> Any:
    kind = chance.random()
    if kind < 0.35:
        return address(chance, chance.choice(("a.json", "b.csv", "index.json", "x/y.json")))
    if kind < 0.5:
        return chance.choice(
            ("s3://b/a.json", "//h/a", " https://h/a", "https://h/a b", "HTTP://h/a", "h/a?Signature=s")
        )
    return chance.choice(
        (None, True, False, 0, 1, 2, -1, 1.5, "", "a", "a.json", "running", "completed", "north", "x\ny")
    )


def noise(chance: random.Random, depth: int = 0) -> Any:
    """Any JSON value, of keys and texts that mean something somewhere."""
    kind = chance.random()
    if depth > 5 or kind < 0.3:
        return _scalar(chance)
    if kind < 0.55:
        return [noise(chance, depth + 1) for _ in range(chance.choice((0, 1, 1, 2, 3)))]
    return {chance.choice(_WORDS): noise(chance, depth + 1) for _ in range(chance.choice((0, 1, 2, 3, 4)))}


def damage(chance: random.Random, value: Any) -> Any:
    """`value` with one or two things in it removed, replaced, renamed or put into something else."""
    value = copy.deepcopy(value)
    for _ in range(chance.choice((1, 1, 2))):
        places = _places(value)
        if not places:
            return noise(chance)
        holder, key = chance.choice(places)
        kind = chance.random()
        if kind < 0.25:
            del holder[key]
        elif kind < 0.5:
            holder[key] = noise(chance, 4)
        elif kind < 0.65:
            holder[key] = {chance.choice(_WORDS): holder[key]}
        elif kind < 0.75:
            holder[key] = [holder[key], *([noise(chance, 4)] if chance.random() < 0.5 else [])]
        elif isinstance(holder, dict):
            holder[chance.choice(_WORDS)] = holder.pop(key) if kind < 0.9 else noise(chance, 4)
        else:
            holder.append(noise(chance, 4))
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every place inside of `value` where a value stands, as the object or list and the key in it."""
    found: list[tuple[Any, Any]] = []
    todo = [value]
    while todo:
        each = todo.pop()
        if isinstance(each, dict | list):
            keys = list(each) if isinstance(each, dict) else range(len(each))
            found.extend((each, key) for key in keys)
            todo.extend(each[key] for key in keys)
    return found
