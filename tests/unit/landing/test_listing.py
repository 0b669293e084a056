"""A listing is asked for until it is whole: all pages, all groups, and again for a while when it is not ready."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, combinations, pairwise, product
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.api.client import LearnosityClient
from learnosity.api.config import ApiConfig, Credentials
from learnosity.api.replies import Reply
from learnosity.dataset.file_names import MAX_PATH_BYTES, MAX_SEGMENT_BYTES, safe_path
from learnosity.dataset.group_files import MAX_GROUP_DEPTH
from learnosity.errors import (
    ApiError,
    AuthenticationError,
    ConflictError,
    DatasetNotReadyError,
    NotReadyError,
    PermanentApiError,
    UnexpectedReplyError,
    UnsafeNameError,
    WrongAddressError,
)
from learnosity.landing.listing import WALK_CONCURRENCY, Listing, ResultSet, group_file_name
from tests.waiting import no_waiting

ID = "a951cc14-0316-4c12-bb13-1f386338a094"
BUCKET = f"https://b.s3.amazonaws.com/o1/type/{ID}"


class Pages:
    """Gives one prepared reply or error after the other; stands in for the client."""

    config = ApiConfig(Credentials("k", "s"))

    def __init__(self, *replies: Reply | ApiError) -> None:
        self.replies = list(replies)
        self.asked: list[dict[str, Any]] = []

    async def dataset(self, dataset_type: str, dataset_id: str, extra: Mapping[str, Any]) -> Reply:
        self.asked.append(dict(extra))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, ApiError):
            raise reply
        return reply

    async def list(self, **options: Any) -> Listing:
        return await ResultSet(cast(LearnosityClient, self), "type", ID, {"organisation_id": 7}, **options).list()


def rows(*names: str) -> dict[str, Any]:
    return {"files": [{"name": name, "url": f"{BUCKET}/{name}?Signature=s"} for name in names]}


def page(data: Any, cursor: Any = None) -> Reply:
    return Reply({"status": True} if cursor is None else {"status": True, "next": cursor}, data)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    return no_waiting(monkeypatch)


async def test_pages_are_followed_until_there_is_no_cursor() -> None:
    pages = Pages(page(rows("a", "b"), "2"), page(rows("c"), 3), page(rows("d")))
    assert list((await pages.list()).files) == ["a", "b", "c", "d"]
    assert pages.asked == [{"organisation_id": 7}, *({"organisation_id": 7, "next": cursor} for cursor in ("2", "3"))]


async def test_what_stands_beside_the_data_is_read_on_every_page() -> None:
    first = Reply({"status": True}, rows("a"), beside={"next": "2", "total": 2})
    last = Reply({"status": True}, None, beside=rows("b"), headers={"X-Total-Count": "2"})
    pages = Pages(first, last)
    assert (await pages.list()).names() == ["a", "b"]
    assert [asked.get("next") for asked in pages.asked] == [None, "2"]
    for beside, headers in (({"has_more": True}, {}), ({"total": 3}, {}), ({}, {":status": "206"})):
        with pytest.raises(UnexpectedReplyError):
            await Pages(first, Reply({"status": True}, rows("b"), beside, headers)).list()


async def test_an_empty_page_ends_the_listing_even_when_it_names_a_next_one() -> None:
    assert len(await Pages(page(rows("a"), "2"), page({"files": []}, "3")).list()) == 1


@pytest.mark.parametrize("empty", [{"files": []}, {"files": {}}, [], {}, None], ids=str)
@pytest.mark.parametrize(
    "signal", [{"has_more": True}, {"hasNextPage": "true"}, {"is_truncated": 1}, {"remaining": 1}, {"last": False}]
)
async def test_an_empty_page_that_says_that_there_is_more_does_not_end_the_listing(
    empty: Any, signal: dict[str, Any]
) -> None:
    middle = [Reply({"status": True, "next": "3"} | signal, empty)]
    if isinstance(empty, dict) and empty.keys() == {"files"}:
        middle.append(page(empty | signal, "3"))
    for each in middle:
        assert (await Pages(page(rows("a"), "2"), each, page(rows("b"))).list()).names() == ["a", "b"]
        with pytest.raises(UnexpectedReplyError, match="repeats a cursor"):
            await Pages(page(rows("a"), "2"), each).list()


async def test_empty_pages_that_always_say_that_there_is_more_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learnosity.landing.listing.MAX_EMPTY_PAGES", 3)
    empty = [Reply({"status": True, "next": f"e{number}", "has_more": True}, {"files": []}) for number in range(9)]
    a, b, last = page(rows("a"), "2"), page(rows("b"), "3"), page(rows("c"))
    assert (await Pages(*empty[:3], a, *empty[3:6], b, *empty[6:9], last).list()).names() == ["a", "b", "c"]
    for replies in ((*empty[:4], a), (a, *empty[:4], last)):
        pages = Pages(*replies)
        with pytest.raises(UnexpectedReplyError, match="has 4 empty pages in a row"):
            await pages.list()
        assert len(pages.asked) == len(replies) - 1


async def test_a_cursor_that_comes_back_is_an_error_and_not_for_ever() -> None:
    with pytest.raises(UnexpectedReplyError, match="repeats a cursor"):
        await Pages(page(rows("a"), "2"), page(rows("b"), "2")).list()


async def test_a_listing_of_too_many_pages_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = (page(rows("a"), "2"), page(rows("b"), "3"), page(rows("c")))
    monkeypatch.setattr("learnosity.landing.listing.MAX_PAGES", 3)
    assert (await Pages(*pages).list()).names() == ["a", "b", "c"]
    monkeypatch.setattr("learnosity.landing.listing.MAX_PAGES", 2)
    with pytest.raises(UnexpectedReplyError, match="has more than 2 pages"):
        await Pages(*pages).list()


class EndlessPages(Pages):
    """Ignores the cursor: after the first replies, it gives the same page with a new cursor each time.

    :param signed: the signature of all addresses of a page, with the number of the page as `{0}`.
    """

    def __init__(self, *first: Reply, signed: str) -> None:
        super().__init__()
        self.first, self.signed = list(first), signed

    async def dataset(self, dataset_type: str, dataset_id: str, extra: Mapping[str, Any]) -> Reply:
        self.asked.append(dict(extra))
        if self.first:
            return self.first.pop(0)
        below = self.signed.format(len(self.asked))
        files = [{"name": name, "url": f"{BUCKET}/{below}/{name}?Signature={below}"} for name in "ab"]
        return page({"files": files}, f"cursor{len(self.asked)}")


@pytest.mark.parametrize("signed", ["same", "new{0}"])
@pytest.mark.parametrize("first", [[], [page(rows("c"), "1")], [page({"files": []}, "1")]])
async def test_pages_that_repeat_are_refused_at_the_first_of_them(first: list[Reply], signed: str) -> None:
    pages = EndlessPages(*first, signed=signed)
    with pytest.raises(UnexpectedReplyError, match=r"has a file again, 'b'.*never end.*`name`.*clear list_files"):
        await pages.list()
    assert len(pages.asked) == len(first) + 2


@pytest.mark.parametrize("later", [rows("b"), rows("c", "a"), rows("c", "d", "b")])
async def test_a_file_on_two_pages_is_an_error_at_the_second(later: dict[str, Any]) -> None:
    pages = Pages(page(rows("a", "b"), "2"), page(later, "3"), page(rows("z")))
    with pytest.raises(UnexpectedReplyError, match="has a file again, '[ab]'"):
        await pages.list()
    assert len(pages.asked) == 2


async def test_a_file_that_one_page_has_twice_is_noted_as_listed_twice() -> None:
    assert (await Pages(page(rows("a", "a"), "2"), page(rows("b"))).list()).names() == ["a", "b", "a"]


def powerset(values: Sequence[int]) -> Iterator[tuple[int, ...]]:
    return chain.from_iterable(combinations(values, size) for size in range(len(values) + 1))


Keyed = list[tuple[str, str]]
"""Files: the key of their list ("" = none), and their name. The address of each says which one it is."""


def listed_under_keys(pages: list[Keyed]) -> Pages:
    replies, number = list[Reply](), 0
    for place, files in enumerate(pages, start=1):
        lists: dict[str, list[dict[str, Any]]] = {}
        for key, name in files:
            number += 1
            lists.setdefault(key or "files", []).append({"name": name, "url": f"{BUCKET}/{number}?Signature=s"})
        replies.append(page(lists or {"files": []}, str(place) if place < len(pages) else None))
    return Pages(*replies)


async def names_of(pages: list[Keyed]) -> tuple[dict[str, str], list[str]]:
    listing = await listed_under_keys(pages).list()
    return dict(listing.urls), sorted(listing.names())


SAME_NAME_ON_THE_FIRST_PAGE = [("d1", "a"), ("d2", "a"), ("d1", "b"), ("d2", "c")]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (SAME_NAME_ON_THE_FIRST_PAGE, ["d1/a", "d1/b", "d2/a", "d2/c"]),
        ([("d1", "b"), ("d1", "a"), ("d2", "c"), ("d2", "a")], ["d1/a", "d1/b", "d2/a", "d2/c"]),
        ([("", "x"), ("d1", "a"), ("", "y"), ("d2", "a")], ["d1/a", "d2/a", "x", "y"]),
        ([("d1", "d1/a"), ("d1", "b"), ("d2", "b")], ["d1/a", "d1/b", "d2/b"]),
        ([("d1", "a"), ("d2", "b"), ("d1", "c")], ["a", "b", "c"]),
        ([("", "a"), ("", "b"), ("", "c")], ["a", "b", "c"]),
        ([("d1", "a"), ("d1", "b"), ("d1", "a")], ["a", "a", "b"]),
        ([("..", "a"), ("d1", "b"), ("..", "c")], ["a", "b", "c"]),
    ],
    ids=str,
)
async def test_names_do_not_depend_on_where_a_page_ends(files: Keyed, expected: list[str]) -> None:
    for cuts in powerset(range(1, len(files))):
        edges = [0, *cuts, len(files)]
        try:
            _, names = await names_of([files[begin:end] for begin, end in pairwise(edges)])
        except UnexpectedReplyError:
            assert cuts
            names = expected if len(set(expected)) < len(expected) else []
        assert names == expected, edges


KEYED = st.tuples(st.sampled_from(["", "d1", "d2", "d3"]), st.sampled_from(["a", "b", "c", "d1/a"]))


@given(
    files=st.lists(KEYED, min_size=1, max_size=7).map(sorted),
    cuts=st.sets(st.integers(1, 6)),
)
def test_however_a_listing_is_cut_into_pages_each_address_has_the_same_name(files: Keyed, cuts: set[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(files)), len(files)]
    whole = asyncio.run(names_of([files]))
    try:
        assert asyncio.run(names_of([files[begin:end] for begin, end in pairwise(edges)])) == whole
    except UnexpectedReplyError:
        # Two pages have a file of the same name. On one page, such a listing is read, and the plan refuses it later.
        assert len(set(whole[1])) < len(whole[1])


async def test_a_key_that_must_not_become_a_folder_refuses_the_listing_that_needs_it() -> None:
    with pytest.raises(UnsafeNameError):
        await names_of([[("..", "a")], [("d1", "a")]])


NOT_READY = page({"dataset_id": ID, "status": "running"})


async def test_a_dataset_that_is_not_ready_is_asked_for_again(waits: list[float]) -> None:
    pages = Pages(NOT_READY, NOT_READY, page(rows("a")))
    assert list((await pages.list()).files) == ["a"]
    assert len(pages.asked) == 3
    assert len(waits) == 2


async def test_a_dataset_that_stays_not_ready_is_left_to_the_next_try() -> None:
    with pytest.raises(DatasetNotReadyError, match="is not ready") as caught:
        await Pages(NOT_READY).list(ready_seconds=0.0)
    assert caught.value.transient


FILES, FILES_AND_MORE = page(rows("a")), page(rows("b"), "2")
ABSENT = {
    "unknown": PermanentApiError("no such dataset", code=20004, http_status=400),
    "not found": PermanentApiError("not found", code=20012, http_status=404),
    "not whole": NotReadyError("data is missing", code=50000, http_status=400),
    "in conflict": ConflictError("conflict", code=20011, http_status=409),
    "404 without a code": PermanentApiError("not found", http_status=404),
}
FINAL = {
    "no rights": AuthenticationError("no rights", code=40003, http_status=403),
    "another parameter": PermanentApiError("wrong type", code=20003, http_status=400),
    "too large": PermanentApiError("too large", code=20027, http_status=400),
    "no API": WrongAddressError("HTTP 404", http_status=404),
    "not understood": UnexpectedReplyError("a list of nothing"),
}


@pytest.mark.parametrize("error", ABSENT.values(), ids=ABSENT)
async def test_a_dataset_that_its_job_has_made_and_the_api_does_not_know_yet_is_asked_for_again(
    waits: list[float], error: ApiError
) -> None:
    assert (await Pages(error, error, FILES).list(has_job=True)).names() == ["a"]
    assert len(waits) == 2
    assert (await Pages(NOT_READY, error, NOT_READY, FILES_AND_MORE, FILES).list(has_job=True)).names() == ["b", "a"]


@pytest.mark.parametrize("error", ABSENT.values(), ids=ABSENT)
async def test_the_refusal_is_raised_as_it_is_in_the_end_and_at_once_without_a_job_or_in_the_middle_of_a_listing(
    waits: list[float], error: ApiError
) -> None:
    options: list[dict[str, Any]] = [{}, {"has_job": True}, {"has_job": True, "ready_seconds": 0.0}]
    for each, replies in zip(options, [(error, FILES), (FILES_AND_MORE, error, FILES), (error,)], strict=True):
        assert not waits
        with pytest.raises(type(error)) as caught:
            await Pages(*replies).list(**each)
        assert caught.value is error


BARE: list[Any] = [
    None,
    {},
    [],
    [{}],
    {"dataset_id": ID, "dataset_type": "t"},
    [{"dataset_id": ID, "files": None}],
    {"job": {}},
    {"message": "Dataset accepted, please wait"},
    {"dataset_id": ID, "created": "Sun, 29 Nov 2026 10:00:00 GMT"},
    {"dataset_id": ID, "status": "provisioning"},
    {"ready": "shortly"},
    {"files": None, "total_files": 2},
    {"files": [], "message": "Your files will be here shortly"},
    {"warning": "The dataset is not ready yet"},
    {"error": "Results are being generated"},
]


@pytest.mark.parametrize("data", BARE, ids=str)
async def test_a_reply_without_anything_in_it_may_come_too_early(waits: list[float], data: Any) -> None:
    assert (await Pages(page(data), page(data), FILES).list(has_job=True)).names() == ["a"]
    assert len(waits) == 2
    for replies, options in (
        ((page(data),), {"has_job": True, "ready_seconds": 0.0}),
        ((page(data), FILES), {}),
    ):
        with pytest.raises(UnexpectedReplyError, match="is not understood"):
            await Pages(*replies).list(**options)


@pytest.mark.parametrize(
    "data",
    [
        {"x": [1]},
        {"x": {"y": 1}},
        [1, 2],
        {"files": [{"name": "a"}]},
        {"url": "s3://b/a.json"},
        {"files": [], "warnings": "3 groups failed"},
        {"dataset_id": "b951cc14-0316-4c12-bb13-1f386338a094"},
        "user_id,score\nu1,3\n",
        {"table": "user_id,score\nu1,3\n"},
    ],
    ids=str,
)
async def test_a_reply_that_is_not_understood_is_final_at_once(waits: list[float], data: Any) -> None:
    with pytest.raises(UnexpectedReplyError):
        await Pages(page(data), FILES).list(has_job=True)
    assert not waits


async def test_a_list_without_files_is_an_empty_dataset_at_once(waits: list[float]) -> None:
    assert len(await Pages(page({"files": []}), FILES).list(has_job=True)) == 0
    assert not waits


@pytest.mark.parametrize("error", FINAL.values(), ids=FINAL)
async def test_a_refusal_for_another_reason_is_final_at_once(waits: list[float], error: ApiError) -> None:
    with pytest.raises(type(error)):
        await Pages(error, FILES).list(has_job=True)
    assert not waits


async def test_an_empty_dataset_is_a_listing_without_files() -> None:
    assert len(await Pages(page({"dataset_id": ID, "files": []})).list()) == 0


@pytest.mark.parametrize("url", ["http://b.s3.amazonaws.com/x", "https://169.254.169.254/x", "https://127.0.0.1/x"])
async def test_an_address_that_may_not_be_followed_refuses_the_listing(url: str) -> None:
    with pytest.raises(PermanentApiError, match="Refused to follow"):
        await Pages(page({"files": [{"name": "x", "url": url}]})).list()


async def test_fewer_files_than_the_reply_counts_is_an_error() -> None:
    with pytest.raises(UnexpectedReplyError):
        await Pages(page({**rows("a"), "file_count": 2})).list()


async def test_fewer_files_on_all_pages_than_the_reply_counts_is_an_error() -> None:
    first = page({**rows("a"), "total": 3}, "2")
    with pytest.raises(UnexpectedReplyError, match="3 files, and lists 2"):
        await Pages(first, page({**rows("b"), "total": 3})).list()


async def test_a_further_page_that_holds_something_else_is_an_error() -> None:
    with pytest.raises(UnexpectedReplyError):
        await Pages(page(rows("a"), "2"), page({"rows": [{"user_id": "u", "score": 1}]})).list()


def group(*names: Any, path: tuple[str, ...] = ()) -> Reply:
    return page({"group_path": list(path), "groups": [{"group_name": name} for name in names]})


@pytest.mark.parametrize("name", [None, "", 7])
async def test_a_group_without_a_name_is_an_error(name: Any) -> None:
    with pytest.raises(UnexpectedReplyError, match="has no name"):
        await Pages(group(name)).list()


async def test_a_group_that_is_listed_but_not_there_is_an_error() -> None:
    for answer in (page({"rows": []}), page(rows("a")), group("s2", path=("elsewhere",)), group("s1")):
        with pytest.raises(UnexpectedReplyError):
            await Pages(group("s1"), answer).list()


@pytest.mark.parametrize("below", [(), ("s1",)])
@pytest.mark.parametrize("path", [("north",), ("north", "s1"), ("",), ("all",)])
async def test_a_first_reply_about_a_group_below_the_root_is_an_error_at_once(
    path: tuple[str, ...], below: tuple[str, ...]
) -> None:
    pages = Pages(group(*below, path=path))
    with pytest.raises(UnexpectedReplyError, match="another group than the one that was asked for"):
        await pages.list()
    assert len(pages.asked) == 1


@pytest.mark.parametrize("root", [{"group_path": []}, {}], ids=["says so", "says nothing"])
async def test_a_first_reply_about_the_root_is_listed(root: dict[str, Any]) -> None:
    first = page({"dataset_group": root | {"users": [{"user_id": "u", "score": 1}]}})
    assert (await Pages(first).list()).names() == ["groups/group.json"]


class Schools(Pages):
    """A root with many schools of 100 KB, each with one class."""

    async def dataset(self, dataset_type: str, dataset_id: str, extra: Mapping[str, Any]) -> Reply:
        path = tuple(extra.get("group_path", ()))
        below = [f"s{number}" for number in range(150)] if not path else ["class"] if len(path) == 1 else []
        reply = group(*below, path=path)
        users = [{"user_id": "u", "score": 1, "name": " " * 50_000}] * 2
        return Reply(reply.meta, reply.data | ({"users": users} if len(path) == 1 else {}))


class Tree(Pages):
    """Groups of as many levels as it has. `says` is what it states beside the groups below, by the path asked for."""

    def __init__(self, levels: int, width: int, says: Callable[[tuple[str, ...], int], dict[str, Any]]) -> None:
        super().__init__()
        self.levels, self.width, self.says = levels, width, says

    async def dataset(self, dataset_type: str, dataset_id: str, extra: Mapping[str, Any]) -> Reply:
        self.asked.append(dict(extra))
        path = tuple(extra.get("group_path", ()))
        below = [{"group_name": f"{number}"} for number in range(self.width)] if len(path) < self.levels else []
        return page({"dataset_group": {"groups": below} | self.says(path, len(self.asked))})


# Ways in which one reply may differ from the one before, although its groups below are the same.
SAYS: dict[str, Callable[[tuple[str, ...], int], dict[str, Any]]] = {
    "another time each": lambda path, turn: {"generated_at": turn},
    "the path that was asked for": lambda path, turn: {"group_path": list(path)},
    "a name of its own": lambda path, turn: {"group": {"group_name": f"x{turn}"}},
}


@pytest.mark.parametrize("says", SAYS)
@pytest.mark.parametrize("width", [1, 3, 60])
@pytest.mark.parametrize("levels", [None, 1, 2, 5, 30])
async def test_groups_that_never_end_are_an_error_soon(levels: int | None, width: int, says: str) -> None:
    endless = Tree(1_000_000, width, SAYS[says])
    with pytest.raises(UnexpectedReplyError, match=f"groups below level {levels or MAX_GROUP_DEPTH}.*in `groups`"):
        await endless.list(levels=levels)
    assert len(endless.asked) <= 1 + WALK_CONCURRENCY * (levels or MAX_GROUP_DEPTH)


@pytest.mark.parametrize("says", SAYS)
@pytest.mark.parametrize(("deep", "width"), [(0, 3), (1, 40), (2, 6), (3, 3), (20, 1)])
async def test_all_groups_of_the_levels_that_the_request_has_are_listed(deep: int, width: int, says: str) -> None:
    for levels in (None, deep or None, deep + 2):
        tree = Tree(deep, width, SAYS[says])
        paths = {path for length in range(deep + 1) for path in product(map(str, range(width)), repeat=length)}
        assert set((await tree.list(levels=levels)).names()) == set(map(group_file_name, paths))
        assert len(tree.asked) == len(paths)


async def test_groups_that_wait_to_be_asked_for_do_not_keep_the_content_of_their_parents_in_memory() -> None:
    tracemalloc.start()
    try:
        listing = await Schools(page({})).list()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(listing) == 301
    assert peak < 6 * 2**20


async def test_two_groups_of_one_name_are_noted_as_listed_twice() -> None:
    listing = await Pages(group("s1", "s1"), group(path=("s1",))).list()
    assert listing.duplicates == ["groups/s1/group.json"]


group_paths = st.lists(
    st.text(min_size=1, max_size=60)
    | st.sampled_from(["..", ".", "group.json", "/", "a/b", "~", "学校" * 40, "x" * 500]),
    max_size=12,
)


@given(group_paths)
def test_whatever_groups_are_called_their_file_names_can_be_landed(path: list[str]) -> None:
    name = group_file_name(path)
    assert safe_path(name) == name
    assert name.isascii()
    assert name.startswith("groups/")
    assert len(name) <= MAX_PATH_BYTES
    assert all(len(part) <= MAX_SEGMENT_BYTES for part in name.split("/"))


@given(group_paths, group_paths)
def test_different_groups_have_different_file_names(one: list[str], other: list[str]) -> None:
    assert (group_file_name(one) == group_file_name(other)) == (one == other)


def test_an_ordinary_group_is_found_under_its_own_names() -> None:
    assert group_file_name([]) == "groups/group.json"
    assert group_file_name(["North", "School 2"]) == "groups/North/School%202/group.json"


def test_a_long_name_is_cut_and_still_tells_groups_apart() -> None:
    one, other = (json.dumps("学" * 200 + end) for end in "ab")
    names = {group_file_name([one]), group_file_name([other])}
    assert len(names) == 2
