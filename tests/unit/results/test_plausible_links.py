"""Links of a reply that are usual, and say that the reply is whole. A link to a further page is never passed over."""

from __future__ import annotations

from typing import Any

import pytest

from learnosity.results.reading import Empty, Files, Inline, NotUnderstood
from tests.unit.results.replies import AB, GROUP, ROW, A, B, at, cases, names, read

API = "https://data.learnosity.com/v1/reports/datasets"
DECLARED = {"files": "data.files", "url": "url"}


def box(form: str, links: dict[str, Any]) -> dict[str, Any]:
    if form == "list":
        return {"links": [{"rel": rel, "href": url} for rel, url in links.items()]}
    if form == "objects":
        return {"links": {rel: {"href": url} for rel, url in links.items()}}
    return {"links": links} if form == "links" else links


FORMS = ("keys", "links", "objects", "list")


class TestNoSuchPage:
    @pytest.mark.parametrize("rel", ["next", "prev", "previous", "first", "last"])
    @cases(
        "link",
        {
            "null": {"href": None},
            "an empty text": {"href": ""},
            "another key": {"url": None},
            "a title": {"href": None, "title": "Next", "method": "GET", "type": "text/html", "templated": False},
            "no address": {},
        },
    )
    def test_a_link_without_an_address_is_still_understood(self, rel: str, link: dict[str, Any]) -> None:
        this = {"rel": "self", "href": API}
        links: Any
        meta: dict[str, Any]
        for links in ([{"rel": rel, **link}], [this, {"rel": rel, **link}], {"self": API, rel: link}):
            for data, meta in (({"files": [A, B], "links": links}, {}), ({"files": [A, B]}, {"links": links})):
                assert names(read(data, **meta)) == AB
                assert names(read(data, DECLARED, **meta)) == AB
            assert isinstance(read({"files": [], "links": links}), Empty)
            assert isinstance(read({"rows": [ROW], "links": links}), Inline)

    @pytest.mark.parametrize("rel", ["self", "prev", "docs"])
    def test_a_path_to_another_page_is_still_understood(self, rel: str) -> None:
        assert names(read({"files": [A, B], "links": [{"rel": rel, "href": "/v1/reports/datasets"}]})) == AB

    @cases(
        "link",
        {
            "an address": {"rel": "next", "href": f"{API}?page=2"},
            "a path": {"rel": "next", "href": "/v1/x?page=2"},
            "a cursor": {"rel": "next", "cursor": "abc"},
            "a cursor beside null": {"rel": "next", "href": None, "cursor": "abc"},
            "an id": {"rel": "next", "id": "abc"},
            "an object": {"rel": "next", "href": {"path": "/2"}},
            "a file": {"rel": "first", "href": "z.json"},
            "rows": {"rel": "prev", "rows": [ROW]},
        },
    )
    def test_a_link_that_says_something_is_not_passed_over(self, link: dict[str, Any]) -> None:
        assert isinstance(read({"files": [A, B], "links": [link]}), NotUnderstood)
        rel, rest = link["rel"], {key: value for key, value in link.items() if key != "rel"}
        assert isinstance(read({"files": [A, B], "links": {rel: rest}}), NotUnderstood)


WHOLE: dict[str, dict[str, Any]] = {
    "a link to the reply without a query": {"self": API, "last": f"{API}?page=1"},
    "a limit": {"self": f"{API}?page=1&limit=5", "last": f"{API}?page=1"},
    "another order": {"first": f"{API}?page=1&limit=5", "last": f"{API}?limit=5&page=1"},
    "an offset": {"self": f"{API}?limit=5", "last": f"{API}?limit=5&offset=0"},
    "pages from 0": {"self": API, "first": f"{API}?page[number]=0", "last": f"{API}?page[number]=0"},
    "a first page without a query": {"self": f"{API}?page=1", "first": API, "last": f"{API}?page=1"},
    "a last page without a query": {"self": f"{API}?page=1", "last": API},
    "no page before": {"self": f"{API}?page=1", "prev": None, "next": None, "last": f"{API}?page=1"},
}
LAST: dict[str, dict[str, Any]] = {
    "self is last": {"self": f"{API}?page=2", "first": f"{API}?page=1", "last": f"{API}?page=2"},
    "next is null": {"self": f"{API}?page=2", "first": f"{API}?page=1", "last": f"{API}?page=2", "next": None},
    "a limit": {"self": f"{API}?page=2&limit=5", "first": API, "last": f"{API}?page=2"},
    "no self": {"first": f"{API}?page=1", "last": f"{API}?page=2"},
    "a self without a page": {"self": API, "first": f"{API}?page=1", "last": f"{API}?page=2"},
    "a cursor": {"self": f"{API}?cursor=b", "first": API, "last": f"{API}?cursor=b"},
}
MORE: dict[str, dict[str, Any]] = {
    "pages": {"self": f"{API}?page=1", "last": f"{API}?page=3"},
    "a self without a query": {"self": API, "last": f"{API}?page=3"},
    "pages from 0": {"first": f"{API}?page=0", "last": f"{API}?page=1"},
    "pages from 0 beside self": {"self": API, "first": f"{API}?page=0", "last": f"{API}?page=1"},
    "an offset": {"self": API, "last": f"{API}?offset=100"},
    "a cursor": {"self": API, "last": f"{API}?page_token=c"},
    "a cursor beside a page": {"first": f"{API}?page=1", "last": f"{API}?page=1&cursor=c"},
    "another word": {"first": f"{API}?chunk=1", "last": f"{API}?chunk=3"},
    "not the first page": {"self": f"{API}?page=3", "first": f"{API}?page=1", "last": f"{API}?page=3"},
}


@pytest.mark.parametrize("form", FORMS)
class TestPages:
    @cases("links", WHOLE)
    def test_one_page_is_still_understood(self, form: str, links: dict[str, Any]) -> None:
        page = box(form, links)
        assert names(read({"files": [A, B], **page})) == AB
        assert names(read({"files": [A, B]}, **page)) == AB
        assert isinstance(read({"files": [], **page}), Empty)
        # With a declaration, a text right under `last` has to be a flag. An address there is not understood, so the
        # reply is refused.
        if form != "keys":
            assert names(read({"files": [A, B], **page}, DECLARED)) == AB

    @cases("links", LAST)
    def test_the_last_page_is_still_understood(self, form: str, links: dict[str, Any]) -> None:
        page = box(form, links)
        for reading in (
            read({"files": [A, B], **page}, first_page=False),
            read({"files": [A, B]}, first_page=False, **page),
        ):
            assert isinstance(reading, Files)
            assert reading.next_cursor is None
        for data, meta in (({"files": [], **page}, {}), ([], page), ({"files": []}, page)):
            assert isinstance(read(data, first_page=False, **meta), Empty)

    @cases("links", MORE)
    def test_a_page_that_is_not_the_only_one_is_not_understood(self, form: str, links: dict[str, Any]) -> None:
        page = box(form, links)
        for data, meta in (({"files": [A], **page}, {}), ({"files": [A]}, page), ({"rows": [ROW], **page}, {})):
            assert isinstance(read(data, **meta), NotUnderstood)

    def test_a_page_between_is_not_the_last(self, form: str) -> None:
        page = box(form, {"self": f"{API}?page=2", "first": f"{API}?page=1", "last": f"{API}?page=3"})
        assert isinstance(read({"files": [A], **page}, first_page=False), NotUnderstood)
        assert isinstance(read({"files": [A], **page}, next="c", first_page=False), Files)


@pytest.mark.parametrize("form", FORMS[1:])
@pytest.mark.parametrize("rel", ["first", "last"])
def test_a_signed_address_that_is_the_only_page_is_not_passed_over(form: str, rel: str) -> None:
    for links in ({rel: at("c.csv")}, {rel: at("c.csv"), "docs": "https://help.example"}):
        page = box(form, links)
        for results in (None, DECLARED):
            assert isinstance(read({"files": [A, B], **page}, results), NotUnderstood)
            assert isinstance(read({"files": [A, B]}, results, **page), NotUnderstood)
    for whole in (at("index.json"), f"{API}?page=1&token=abc", API, at("a.json")):
        assert names(read({"files": [A, B], **box(form, {rel: whole})})) == AB
    assert names(read({"files": [A, B], **box(form, {"self": at("c"), "first": at("c"), "last": at("c")})})) == AB
    if form == "links":
        assert names(read({"files": [A, B], "links": {rel: at("1"), "next": None, "prev": None}})) == AB


@pytest.mark.parametrize("labels", [("first", "last"), ("first_link", "last_link"), ("First", "LAST")])
def test_files_with_the_labels_of_pages_are_still_understood(labels: tuple[str, str]) -> None:
    for one, other in ((at("a.json"), at("b.csv")), ("https://cdn.example/a.json", "https://cdn.example/b.csv")):
        for key in ("files", "urls", "outputs", "downloads"):
            assert names(read({key: {labels[0]: one, labels[1]: other}})) == AB
            assert names(read({"report": {key: {labels[0]: one, labels[1]: other, "x": at("c.json")}}})) == [
                *AB,
                "c.json",
            ]
    assert not isinstance(read(GROUP | {"first": at("a.json"), "last": at("b.csv")}), Files)


@pytest.mark.parametrize("word", ["first", "last"])
@pytest.mark.parametrize("name", ["more", "page", "pages", "after", "remaining", "remaining_files", "next_file", "x"])
@pytest.mark.parametrize("form", [lambda a: a, lambda a: [a], lambda a: {"href": a}, lambda a: [{"url": a}]])
def test_a_signed_first_or_last_beside_files_is_not_passed_over(word: str, name: str, form: Any) -> None:
    box = {word: at("b.json"), name: form(at("c.json"))}
    listed = [{"rel": word, "href": at("b.json")}, {"rel": name, "href": at("c.json")}]
    for links in (box, listed):
        for data in ({"links": links}, {"files": [A], "links": links}):
            understood = read(data)
            assert not isinstance(understood, Files) or "b.json" in names(understood), data


@pytest.mark.parametrize("word", ["first", "last"])
@pytest.mark.parametrize(
    "beside", [{"next_cursor": None}, {"more": False}, {"page": 1, "pages": 1}, {"cursor": ""}], ids=str
)
def test_a_signed_link_to_a_page_is_one_beside_what_says_where_a_page_is(word: str, beside: dict[str, Any]) -> None:
    links = {word: at("p"), **beside}
    assert names(read({"files": [A], "links": links})) == ["a.json"]
    assert names(read({"files": [A]}, links=links)) == ["a.json"]
