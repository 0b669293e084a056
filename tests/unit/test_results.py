"""Reading listings in shapes that nobody documented, and ends of paging (contract sections 2.1, 8 and 12)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.api.client import LearnosityClient
from learnosity.api.config import ApiConfig, Credentials
from learnosity.api.replies import Reply
from learnosity.api.url_policy import UrlPolicy
from learnosity.dataset.layout import MAX_PATH_BYTES, MAX_SEGMENT_BYTES, safe_path
from learnosity.errors import PermanentApiError, UnexpectedReplyError, UnsafeNameError
from learnosity.landing.listing import Listing, ResultFile, ResultSet, group_file_name, read_inline, read_urls

POLICY = UrlPolicy("data.learnosity.com", plain_http=False)
ID = "a951cc14-0316-4c12-bb13-1f386338a094"
BUCKET = f"https://b.s3.amazonaws.com/o1/type/{ID}"


class Pages:
    """Answers one prepared reply after the other; stands in for the client."""

    config = ApiConfig(Credentials("k", "s"))

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[dict[str, Any]] = []

    async def dataset(self, dataset_type: str, dataset_id: str, extra: Mapping[str, Any]) -> Reply:
        self.asked.append(dict(extra))
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    async def list(self) -> Listing:
        return await ResultSet(cast(LearnosityClient, self), "type", ID, {"organisation_id": 7}).list()


def rows(*names: str) -> dict[str, Any]:
    return {"files": [{"name": name, "url": f"{BUCKET}/{name}?Signature=s"} for name in names]}


def page(data: Any, cursor: Any = None) -> Reply:
    return Reply({"status": True} if cursor is None else {"status": True, "next": cursor}, data)


def read(data: Any) -> Listing:
    listing = Listing()
    read_urls(data, listing, POLICY, ID)
    return listing


URL = f"{BUCKET}/groups/a.json?Signature=s"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param([URL], id="bare"),
        pytest.param({"files": [URL]}, id="bare-in-files"),
        pytest.param({"files": [{"name": "groups/a.json", "url": URL}]}, id="name-and-url"),
        pytest.param({"files": [{"path": "groups/a.json", "signed_url": URL}]}, id="other-keys"),
        pytest.param({"files": [{"url": URL, "expires": 3600, "unknown": {"x": [1]}}]}, id="url-alone"),
        pytest.param({"files": {"groups/a.json": URL}}, id="map"),
        pytest.param({"files": {"groups/a.json": {"url": URL}}}, id="map-of-objects"),
        pytest.param([{"dataset_id": ID, "data": {"files": [{"name": "groups/a.json", "url": URL}]}}], id="nested"),
        pytest.param({"dataset_id": ID, "url": URL}, id="one-file"),
    ],
)
def test_a_signed_url_is_found_with_its_name_wherever_it_stands(data: Any) -> None:
    listing = read(data)
    assert listing.urls == {"groups/a.json": URL}
    assert list(listing.files) == ["groups/a.json"]


@pytest.mark.parametrize(
    ("row", "size", "content_type"),
    [
        ({"bytes": 7, "content_type": "text/csv"}, 7, "text/csv"),
        ({"size": 0, "mime_type": "application/json"}, 0, "application/json"),
        ({"content_length": 7, "type": "summary"}, 7, None),
        ({"bytes": -1}, None, None),
        ({"bytes": True}, None, None),
        ({"bytes": "7", "content_type": 1}, None, None),
        ({}, None, None),
    ],
)
def test_size_and_type_are_taken_only_when_they_make_sense(
    row: Any, size: int | None, content_type: str | None
) -> None:
    assert read([{"name": "a", "url": URL} | row]).files["a"] == ResultFile("a", "url", size, content_type)


def test_a_file_is_named_after_what_follows_the_dataset_in_its_address_or_else_after_the_last_part() -> None:
    listing = read([f"{BUCKET}/x/y%20z.csv?s", "https://cdn.example/q/w.json?s"])
    assert list(listing.files) == ["x/y z.csv", "w.json"]


@pytest.mark.parametrize(
    "url", [f"{BUCKET}/a/%2e%2e/%2e%2e/b?s", f"{BUCKET}/%2Fetc/passwd", f"{BUCKET}/", f"{BUCKET}/a%00b"]
)
def test_a_name_hidden_in_an_address_is_as_untrusted_as_any(url: str) -> None:
    with pytest.raises(UnsafeNameError):
        read([url])


@pytest.mark.parametrize("url", ["http://b.s3.amazonaws.com/x", "https://169.254.169.254/x", "https://127.0.0.1/x"])
def test_an_address_that_may_not_be_followed_refuses_the_listing(url: str) -> None:
    with pytest.raises(PermanentApiError, match="Refused to follow"):
        read([{"name": "x", "url": url}])


def test_what_is_no_url_is_no_file() -> None:
    assert len(read({"a": "ftp://x", "b": [1, None, "text"], "c": {"d": {"e": {"f": {"g": {"h": URL}}}}}})) == 0


async def test_pages_are_followed_until_there_is_no_cursor() -> None:
    pages = Pages(page(rows("a", "b"), "2"), page(rows("c"), 3), page(rows("d")))
    assert list((await pages.list()).files) == ["a", "b", "c", "d"]
    assert pages.asked == [{"organisation_id": 7}, *({"organisation_id": 7, "next": cursor} for cursor in ("2", "3"))]


async def test_an_empty_page_ends_the_listing_even_when_it_names_a_next_one() -> None:
    assert len(await Pages(page(rows("a"), "2"), page({"files": []}, "3")).list()) == 1


async def test_a_cursor_that_comes_back_is_an_error_and_not_for_ever() -> None:
    with pytest.raises(UnexpectedReplyError, match="goes round in circles"):
        await Pages(page(rows("a"), "2"), page(rows("b"), "2")).list()


async def test_a_file_on_two_pages_is_noted_as_listed_twice() -> None:
    listing = await Pages(page(rows("a", "b"), "2"), page(rows("b"))).list()
    assert listing.names() == ["a", "b", "b"]


@pytest.mark.parametrize("data", [None, [], {}, [{}]])
async def test_a_reply_that_holds_nothing_is_an_error_with_advice(data: Any) -> None:
    with pytest.raises(UnexpectedReplyError, match="lists no result files and holds no content"):
        await Pages(page(data)).list()


@pytest.mark.parametrize(
    ("data", "files"),
    [
        ({"a.json": '{"x":1}', "b.csv": "x\n1\n"}, {"a.json": b'{"x":1}', "b.csv": b"x\n1\n"}),
        ({"a.json": {"x": 1}}, {"a.json": b'{"x":1}'}),
        ([{"a.json": [1, 2]}], {"a.json": b"[1,2]"}),
        ({"dataset_id": ID, "files": {"a.json": {"x": 1}}}, {"a.json": b'{"x":1}'}),
        ([{"item": 1}, {"item": 2}], {"dataset.json": b'[{"item":1},{"item":2}]'}),
        ({"rows": [1]}, {"dataset.json": b'{"rows":[1]}'}),
    ],
)
async def test_content_that_comes_with_the_reply_is_taken_by_file_or_as_one_document(
    data: Any, files: dict[str, bytes]
) -> None:
    listing = await Pages(page(data)).list()
    assert listing.inline == files
    assert {path: file.bytes for path, file in listing.files.items()} == {
        path: len(body) for path, body in files.items()
    }


def test_an_inline_name_is_as_untrusted_as_any() -> None:
    with pytest.raises(UnsafeNameError):
        read_inline({"../a.json": "x"}, Listing())


def group(*names: Any) -> Reply:
    return page({"group_path": [], "groups": [{"group_name": name} for name in names]})


@pytest.mark.parametrize("name", [None, "", 7])
async def test_a_group_without_a_name_is_an_error(name: Any) -> None:
    with pytest.raises(UnexpectedReplyError, match="has no name"):
        await Pages(group(name)).list()


async def test_a_group_that_is_listed_but_not_there_is_an_error() -> None:
    with pytest.raises(UnexpectedReplyError, match="a group that it does not hold"):
        await Pages(group("s1"), page({"rows": []})).list()


async def test_two_groups_of_one_name_are_noted_as_listed_twice() -> None:
    listing = await Pages(group("s1", "s1"), group()).list()
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
