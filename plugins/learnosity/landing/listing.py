"""The listing of a finished dataset: all of its files, in every form in which the API may list them.

`learnosity.results` says what one reply contains. This module sends requests until the listing is complete: page after
page, or group after group. An incomplete listing is an error.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from tenacity import AsyncRetrying, retry_if_exception

from learnosity.api.replies import is_absent
from learnosity.dataset.file_names import safe_path
from learnosity.dataset.group_files import MAX_GROUP_DEPTH
from learnosity.errors import DatasetNotReadyError, UnexpectedReplyError
from learnosity.landing.listed_files import Listing
from learnosity.landing.paged_files import PagedFiles
from learnosity.landing.stored_urls import Source, seal_sources, unseal_sources
from learnosity.network import backoff
from learnosity.results.outcomes import (
    Empty,
    Files,
    Group,
    NotUnderstood,
    Reading,
    ResultFile,
    Understood,
    expect_group,
    understood,
)
from learnosity.results.reading import classify

if TYPE_CHECKING:
    from learnosity.api.client import LearnosityClient

__all__ = ["Listing", "ResultSet", "group_file_name"]

READY_SECONDS = 120.0
FIRST_WAIT_SECONDS = 5.0
MOST_WAIT_SECONDS = 20.0
MAX_PAGES = 100_000
MAX_EMPTY_PAGES = 1_000  # maximum number of empty pages in a row; with more of them, a listing might never end
MAX_GROUPS = 1_000_000
# Maximum number of groups that are requested at the same time.
WALK_CONCURRENCY = 16
# Maximum number of characters in a group's folder name, because file systems limit names. A longer name is cut, and a
# digest is added.
MAX_GROUP_SEGMENT = 120
MAX_GROUP_FOLDERS = 500
# Finds a sign that a text in a reply may be a result: an address has a `/`, JSON has a `{`, and CSV has line ends, or
# commas without a blank after them. A text without such a sign is only a name, such as a status. If a reply has nothing
# but such texts, the dataset may not be ready yet: see `_is_bare`.
_MORE = re.compile(r"[/{\n]|,(?! )")


class ResultSet:
    """The files of one finished dataset.

    :param client: open client.
    :param extra: fields to send with every request, such as `organisation_id`.
    :param levels: how many levels of groups the dataset has below its root; None = not known.
    :param ready_seconds: how long is waited, in all, for a dataset that is not ready; default: `READY_SECONDS`. A job
        may end some seconds before its dataset is ready.
    :param has_job: whether a job has made the dataset. Then it exists, and the API may only not know it yet.
    """

    def __init__(
        self,
        client: LearnosityClient,
        dataset_type: str,
        dataset_id: str,
        extra: Mapping[str, Any] | None = None,
        *,
        levels: int | None = None,
        ready_seconds: float | None = None,
        has_job: bool = False,
    ) -> None:
        self._client = client
        self._type = dataset_type
        self._id = dataset_id
        self._extra = dict(extra or {})
        self._levels = levels or MAX_GROUP_DEPTH
        self._ready_seconds = READY_SECONDS if ready_seconds is None else ready_seconds
        # Whether the API may still reply that it does not know the dataset, although a job has made it. The first reply
        # that is understood sets this to False.
        self._may_be_absent = has_job
        # Whether the last reply held no results, but only single values, such as an id. While `_may_be_absent` is True,
        # such a reply may mean that the dataset is not ready yet, so the dataset is requested again.
        self._is_bare = False

    async def list(self) -> Listing:
        """Fetch the complete listing. A dataset that is not ready is requested again for two minutes.

        :raises UnsafeNameError: a file name cannot be used as a path.
        :raises UnexpectedReplyError: it is not proven that the listing is complete.
        :raises DatasetNotReadyError: the dataset is still not ready after two minutes.
        :raises PermanentApiError: the API refuses the call. If a job has made the dataset, and the API does not know
            it, this is raised after two minutes, too.
        """
        retrying = AsyncRetrying(
            retry=retry_if_exception(self._may_come),
            stop=lambda state: state.idle_for >= self._ready_seconds,
            wait=backoff(FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS),
            reraise=True,
        )
        return await retrying(self._list)

    async def group_content(self, group_path: Sequence[str]) -> bytes:
        """The content of one group's file. Only this group is requested."""
        path = tuple(group_path)
        group = understood(await self._ask_group(path))
        if not isinstance(group, Group) or group.path not in (None, path):
            raise UnexpectedReplyError("A group of the dataset can no longer be read: it changed while it was landed.")
        return group.content

    def seal(self, sources: Sequence[Source]) -> bytes:
        """Encrypt URLs and contents, to hand them over to another task."""
        return seal_sources(sources, secret=self._client.config.credentials.consumer_secret, dataset_id=self._id)

    def unseal(self, sealed: bytes | None) -> Sequence[Source]:
        """Decrypt what `seal` encrypted. Empty if the secret has changed; None instead of each URL that is too old."""
        return unseal_sources(sealed, secret=self._client.config.credentials.consumer_secret, dataset_id=self._id)

    def _may_come(self, error: BaseException) -> bool:
        """Whether the dataset may be there a little later."""
        is_bare = isinstance(error, UnexpectedReplyError) and self._is_bare
        return isinstance(error, DatasetNotReadyError) or (self._may_be_absent and (is_bare or is_absent(error)))

    async def _list(self) -> Listing:
        page = await self._read()
        self._may_be_absent = False
        if isinstance(page, Files | Empty):
            return await self._follow(page)
        listing = Listing()
        listing.replies = 1
        if isinstance(page, Group):
            await self._walk(expect_group(page, (), b""), listing)
        else:
            for file, content in page.files:
                listing.add(file, content=content)
        return listing

    async def _follow(self, page: Files | Empty) -> Listing:
        """The files of `page` and of all pages after it."""
        policy, seen, total = self._client.config.url_policy, set[str](), page.total
        files, empty = PagedFiles(), 0
        while True:
            empty += 1
            if isinstance(page, Files):
                empty = 0
                for _, url in page.files:
                    policy.check(url)
                files.add(page)
            cursor = page.next_cursor
            # A listing can end in two ways: with a page without a cursor, or with an empty page after the first page.
            # But an empty page whose `more` is True is not the end: files may follow on the pages after it.
            if cursor is None or (isinstance(page, Empty) and seen and not page.more):
                break
            if cursor in seen:
                raise UnexpectedReplyError("The listing repeats a cursor (it would never end); nothing was landed.")
            if empty > MAX_EMPTY_PAGES:
                raise UnexpectedReplyError(f"The listing has {empty} empty pages in a row; nothing was landed.")
            if len(seen) >= MAX_PAGES - 1:
                raise UnexpectedReplyError(f"The listing has more than {MAX_PAGES} pages; nothing was landed.")
            seen.add(cursor)
            following = await self._read({"next": cursor}, first_page=False)
            if not isinstance(following, Files | Empty):
                raise UnexpectedReplyError("A later page of the listing is not a list of files; nothing was landed.")
            page = following
            total = page.total if page.total is not None else total
        if total is not None and total != len(files):
            raise UnexpectedReplyError(
                f"Learnosity says that the dataset has {total} files, and lists {len(files)}; nothing was landed."
            )
        listing = files.listing()
        listing.replies = 1 + len(seen)
        return listing

    async def _walk(self, root: Group, listing: Listing) -> None:
        """Add `root` and all groups below it to the listing, with several requests at the same time."""
        seen: set[tuple[str, ...]] = {()}
        # Groups that are not requested yet, each with the digest of its parent's content. If a reply has the same
        # digest, Learnosity has sent the parent again instead of the group, and `expect_group` raises an error.
        waiting: list[tuple[tuple[str, ...], bytes]] = []

        def take(path: tuple[str, ...], group: Group) -> None:
            name = group_file_name(path)
            file = ResultFile(name, "group", len(group.content), "application/json", path)
            listing.add(file, content=group.content)
            children = [(*path, *below) for below in group.children]
            if max(map(len, children), default=0) > self._levels:
                raise UnexpectedReplyError(
                    f"Learnosity names groups below level {self._levels}, the last one that the dataset should have. "
                    "Nothing was landed. If it has more levels, start a run with create false and its dataset_id, "
                    f"which takes up to {MAX_GROUP_DEPTH}, or create a new dataset with all of them in `groups` of the "
                    "run config. If one reply holds the whole dataset, declare that in the extra `results` of the "
                    'connection: {"inline": "data"} (docs/reliability.md).'
                )
            # Two replies may name the same group, because a reply may name groups of deeper levels too. This is no
            # error. But if one reply names a group twice, the two may be different groups, and their files would have
            # the same name. So the group is noted as a duplicate, and `make_plan` refuses the listing.
            listing.duplicates += [group_file_name(child) for child, times in Counter(children).items() if times > 1]
            fresh = set(children) - seen
            seen.update(fresh)
            digest = group.digest() if fresh else b""
            waiting.extend((child, digest) for child in dict.fromkeys(children) if child in fresh)

        take((), root)
        while waiting:
            # The groups that were added last are requested first: they are usually the deepest. So if each reply names
            # still deeper groups, `take` raises its error after a few requests.
            batch = waiting[-WALK_CONCURRENCY:]
            del waiting[-WALK_CONCURRENCY:]
            replies = await asyncio.gather(*(self._ask_group(path) for path, _ in batch))
            listing.replies += len(replies)
            for (path, parent), reading in zip(batch, replies, strict=True):
                take(path, expect_group(reading, path, parent))
            if len(seen) > MAX_GROUPS:
                raise UnexpectedReplyError(f"The dataset has more than {MAX_GROUPS} groups; nothing was landed.")

    async def _ask_group(self, path: tuple[str, ...]) -> Reading:
        return await self._ask({"group_path": list(path)})

    async def _read(self, extra: Mapping[str, Any] | None = None, *, first_page: bool = True) -> Understood:
        return understood(await self._ask(extra, first_page=first_page))

    async def _ask(self, extra: Mapping[str, Any] | None = None, *, first_page: bool = True) -> Reading:
        self._is_bare = False
        reply = await self._client.dataset(self._type, self._id, {**self._extra, **(extra or {})})
        reading = classify(
            reply.meta,
            reply.data,
            dataset_id=self._id,
            declaration=self._client.config.results,
            first_page=first_page,
            beside=reply.beside,
            headers=reply.headers,
        )
        self._is_bare = isinstance(reading, NotUnderstood) and not reading.is_final and _is_bare(reply.data)
        return reading


def _is_bare(data: Any) -> bool:
    """Whether the data of a reply are no more than names: nothing in them can be a file, a row or a group."""
    while isinstance(data, list) and len(data) == 1:
        data = data[0]
    values = list(data.values()) if isinstance(data, dict) else [data]
    return not any(
        (isinstance(each, dict | list) and each) or (isinstance(each, str) and _MORE.search(each)) for each in values
    )


def group_file_name(group_path: Sequence[str]) -> str:
    """File name for the content of one group. Each group name in the path becomes a folder with a safe name.

    Different paths give different file names. If the folders together are too long, one digest of the path replaces
    them.
    """
    folders = "/".join(_group_segment(name) for name in group_path)
    if len(folders) > MAX_GROUP_FOLDERS:
        folders = f"deep~{hashlib.sha256(msgspec.json.encode(list(group_path))).hexdigest()}"
    return safe_path("/".join(part for part in ("groups", folders, "group.json") if part))


def _group_segment(name: str) -> str:
    # Each `~` in the name is replaced, because a few lines below `~` separates a cut name from its digest.
    quoted = quote(name.encode(errors="surrogatepass"), safe="").replace(".", "%2E").replace("~", "%7E")
    if len(quoted) <= MAX_GROUP_SEGMENT:
        return quoted
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]
    return f"{quoted[: MAX_GROUP_SEGMENT - 40]}~{digest}"
