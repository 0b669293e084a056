"""What a finished dataset consists of: one listing, whatever shape the API answers in.

The reply of GET reports/datasets is not documented (contract sections 8 and 12, U2), so three shapes are read:
signed URLs (in objects, bare, or as name-to-URL map; paged or not), inline content, and one group at a time
that has to be walked. A listing is complete or an error; a signed URL stays in memory and in no `repr`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit

import msgspec

from learnosity.api.client import LearnosityClient
from learnosity.api.replies import Reply
from learnosity.api.url_policy import UrlPolicy
from learnosity.dataset.layout import safe_path
from learnosity.errors import UnexpectedReplyError

MAX_PAGES = 100_000
MAX_GROUPS = 1_000_000
MAX_DEPTH = 4
WALK_CONCURRENCY = 16
# A longer name of a group is cut and told apart by its digest, so that it stays within what a file system holds.
MAX_GROUP_SEGMENT = 120
MAX_GROUP_FOLDERS = 500

_URL_KEYS = ("url", "href", "signed_url", "download_url", "link")
_NAME_KEYS = ("name", "path", "file", "filename", "file_name", "key")
_SIZE_KEYS = ("bytes", "size", "content_length", "length")
_TYPE_KEYS = ("content_type", "contentType", "mime_type", "type")

SourceKind = Literal["url", "inline", "group"]


class ResultFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One result file as listed; holds nothing secret, so that it can be written down."""

    path: str
    kind: SourceKind = "url"
    bytes: int | None = None
    """Length that the listing promises, None when it does not say."""
    content_type: str | None = None
    group_path: tuple[str, ...] = ()
    """For `group`: which group to ask for."""


@dataclass(slots=True)
class Listing:
    """All result files, and where their content is to be had right now.

    :param files: by path.
    :param urls: signed URL by path, for files of kind `url`.
    :param inline: content by path, for files of kind `inline`.
    """

    files: dict[str, ResultFile] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict, repr=False)
    inline: dict[str, bytes] = field(default_factory=dict, repr=False)
    duplicates: list[str] = field(default_factory=list)

    def add(self, file: ResultFile, *, url: str | None = None, content: bytes | None = None) -> None:
        """Take one more file in; a second one of the same path is noted as a duplicate."""
        if file.path in self.files:
            self.duplicates.append(file.path)
        self.files[file.path] = file
        if url is not None:
            self.urls[file.path] = url
        if content is not None:
            self.inline[file.path] = content

    def __len__(self) -> int:
        return len(self.files) + len(self.duplicates)

    def names(self) -> list[str]:
        """Every listed path, repeated ones as often as they were listed."""
        return [*self.files, *self.duplicates]


class ResultSet:
    """The files of one finished dataset.

    :param client: open client.
    :param extra: request fields that go with every call (`organisation_id`, or what a later API may want).
    """

    def __init__(
        self, client: LearnosityClient, dataset_type: str, dataset_id: str, extra: Mapping[str, Any] | None = None
    ) -> None:
        self._client = client
        self._type = dataset_type
        self._id = dataset_id
        self._extra = dict(extra or {})

    async def list(self) -> Listing:
        """Ask for the listing, following pages or walking groups until it is whole.

        :raises UnsafeNameError: when a name must not become a path.
        :raises UnexpectedReplyError: when the reply holds nothing that can be landed.
        """
        reply = await self._get()
        listing = Listing()
        if _is_group(reply.data):
            async for group_path, content in self._walk(reply):
                path = group_file_name(group_path)
                listing.add(ResultFile(path, "group", len(content), "application/json", group_path))
            return listing
        read_urls(reply.data, listing, self._client.config.url_policy, self._id)
        if not listing.files and reply.next_page is None:
            read_inline(reply.data, listing)
        pages = 1
        cursor, seen = reply.next_page, set[str]()
        # Both ways of ending are in use: no cursor, or an empty page (contract section 2.1).
        while cursor is not None and listing.files:
            if cursor in seen or pages >= MAX_PAGES:
                raise UnexpectedReplyError("The listing of result files goes round in circles; nothing was landed.")
            seen.add(cursor)
            reply = await self._get({"next": cursor})
            before = len(listing)
            read_urls(reply.data, listing, self._client.config.url_policy, self._id)
            if len(listing) == before:
                break
            cursor, pages = reply.next_page, pages + 1
        if not listing.files:
            raise UnexpectedReplyError(
                "Learnosity's reply lists no result files and holds no content. Check the dataset in Console, and "
                "the pinned `version` of the connection."
            )
        return listing

    async def group_content(self, group_path: Sequence[str]) -> bytes:
        """Content of one group's file, asked for on its own."""
        reply = await self._get({"group_path": list(group_path)})
        if not _is_group(reply.data):
            raise UnexpectedReplyError("A group of the dataset can no longer be read; it changed while it was landed.")
        return to_json(reply.data)

    async def _get(self, extra: Mapping[str, Any] | None = None) -> Reply:
        return await self._client.dataset(self._type, self._id, {**self._extra, **(extra or {})})

    async def _walk(self, root: Reply) -> AsyncIterator[tuple[tuple[str, ...], bytes]]:
        """Every group from the root down, level by level, `WALK_CONCURRENCY` calls at a time."""
        yield (), to_json(root.data)
        level: list[tuple[str, ...]] = [(name,) for name in _child_names(root.data)]
        count = 1
        while level:
            below: list[tuple[str, ...]] = []
            for start in range(0, len(level), WALK_CONCURRENCY):
                paths = level[start : start + WALK_CONCURRENCY]
                replies = await asyncio.gather(*(self._get({"group_path": list(path)}) for path in paths))
                for path, reply in zip(paths, replies, strict=True):
                    if not _is_group(reply.data):
                        raise UnexpectedReplyError("Learnosity listed a group that it does not hold.")
                    yield path, to_json(reply.data)
                    below += [(*path, name) for name in _child_names(reply.data)]
                    count += 1
            if count > MAX_GROUPS:
                raise UnexpectedReplyError(f"The dataset has more than {MAX_GROUPS} groups; nothing was landed.")
            level = below


def read_urls(data: Any, listing: Listing, policy: UrlPolicy, dataset_id: str) -> None:
    """Take every signed URL of `data` into `listing`.

    :raises PermanentApiError: when a URL may not be followed.
    :raises UnsafeNameError: when a name must not become a path.
    """
    for name, url, record in _find_urls(data, 0):
        policy.check(url)  # also that it can be read at all
        path = safe_path(name if name else _name_from_url(url, dataset_id))
        size = _first(record, _SIZE_KEYS)
        content_type = _first(record, _TYPE_KEYS)
        file = ResultFile(
            path,
            "url",
            size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None,
            content_type if isinstance(content_type, str) and "/" in content_type else None,
        )
        listing.add(file, url=url)


def read_inline(data: Any, listing: Listing) -> None:
    """Take `data` itself as the content: a map of file names, or else one document."""
    data = data[0] if isinstance(data, list) and len(data) == 1 and isinstance(data[0], dict) else data
    if data in (None, [], {}):
        return
    named = data.get("files") if isinstance(data, dict) else None
    contents = named if isinstance(named, dict) else data
    if isinstance(contents, dict) and all(_looks_like_a_file(name) for name in contents):
        for name, content in contents.items():
            raw = content.encode() if isinstance(content, str) else to_json(content)
            listing.add(ResultFile(safe_path(name), "inline", len(raw), _type_by_name(name)), content=raw)
    else:
        raw = to_json(data)
        listing.add(ResultFile("dataset.json", "inline", len(raw), "application/json"), content=raw)


def group_file_name(group_path: Sequence[str]) -> str:
    """File name of one group's content: its names, each made safe, as folders.

    Different paths give different names. Where a tree is so deep that they would become too long, the folders are
    replaced by one digest; the content names the path in any case.
    """
    folders = "/".join(_group_segment(name) for name in group_path)
    if len(folders) > MAX_GROUP_FOLDERS:
        folders = f"deep~{hashlib.sha256(to_json(list(group_path))).hexdigest()}"
    return safe_path("/".join(part for part in ("groups", folders, "group.json") if part))


def to_json(value: Any) -> bytes:
    """Compact JSON, keys in the order given."""
    return msgspec.json.encode(value)


def _group_segment(name: str) -> str:
    # `~` is what sets our own additions apart: a quoted name never holds one.
    quoted = quote(name.encode(errors="surrogatepass"), safe="").replace(".", "%2E").replace("~", "%7E")
    if len(quoted) <= MAX_GROUP_SEGMENT:
        return quoted
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]
    return f"{quoted[: MAX_GROUP_SEGMENT - 40]}~{digest}"


def _find_urls(value: Any, depth: int) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Triples of name (or ""), URL and the object that held it, wherever a list or map of files stands."""
    if depth > MAX_DEPTH:
        return
    if isinstance(value, list):
        for item in value:
            if _is_url(item):
                yield "", item, {}
            elif isinstance(item, dict | list):
                yield from _find_urls(item, depth + 1)
    elif isinstance(value, dict):
        url = _first(value, _URL_KEYS)
        if _is_url(url):
            name = _first(value, _NAME_KEYS)
            yield name if isinstance(name, str) else "", url, value
            return
        for key, child in value.items():
            if _is_url(child):
                yield key if _looks_like_a_file(key) else "", child, {}
            elif isinstance(child, dict | list):
                yield from _find_urls(child, depth + 1)


def _name_from_url(url: str, dataset_id: str) -> str:
    """What follows the dataset's id in the URL's path, or else the last part of it."""
    path = unquote(urlsplit(url).path)
    _, found, rest = path.partition(f"/{dataset_id}/")
    return rest if found else path.rpartition("/")[2]


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))


def _is_group(data: Any) -> bool:
    return isinstance(data, dict) and isinstance(data.get("groups"), list) and "group_path" in data


def _child_names(data: Mapping[str, Any]) -> list[str]:
    names = [row.get("group_name") if isinstance(row, dict) else None for row in data["groups"]]
    if not all(isinstance(name, str) and name for name in names):
        raise UnexpectedReplyError("A group of the dataset has no name; nothing was landed.")
    return [str(name) for name in names]


def _looks_like_a_file(name: Any) -> bool:
    return isinstance(name, str) and name.rpartition(".")[2].lower() in ("json", "csv", "ndjson", "jsonl", "gz", "txt")


def _type_by_name(name: str) -> str:
    return "text/csv" if name.lower().endswith(".csv") else "application/json"


def _first(record: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((record[key] for key in keys if record.get(key) is not None), None)
