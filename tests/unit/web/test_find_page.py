"""The page that finds a user, a group or a question, and that tells nobody what was searched for."""

from __future__ import annotations

import hashlib
import logging
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from learnosity.connections import open_store
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import FileEntry
from learnosity.dataset.names_tsv import Name, NameKind, NamesInfo, encode_names
from learnosity.landing.names_tsv import make_names, put_names
from learnosity.web.addresses import file_address
from learnosity.web.routes import LONGEST_QUERY
from tests.unit.web import test_app
from tests.unit.web.test_app import DATASET_ID, EVIL, GROUPS, ITEMS, Markup, Site, links

site = test_app.site
GROUP_TYPE, ANALYSIS = "activity-summary-by-group", "ibk-analysis-by-question"
HERE = "/run/learnosity_dataset/manual__1"
PLACES = {path: number for number, path in enumerate(sorted(GROUPS))}
SCHOOL = PLACES["groups/north/school%201/group.json"]
NAMES = [
    Name(NameKind.USER, "u1", SCHOOL, 0),
    Name(NameKind.USER, "u250", SCHOOL, 249),
    Name(NameKind.USER, EVIL, SCHOOL, 1),
    Name(NameKind.GROUP, "school 1", SCHOOL, 0),
    Name(NameKind.USER, "nowhere", 10**6, 0),
]


def indexed(site: Site, names: list[Name], files: Any = GROUPS, dataset_type: str = GROUP_TYPE, **info: Any) -> bytes:
    content = b"".join(encode_names(names))
    named = NamesInfo(hashlib.sha256(content).hexdigest(), len(content), len(names), **info)
    site.publish(files, dataset_type, names=named)
    (site.folder / DatasetLayout(dataset_type, DATASET_ID).names).write_bytes(content)
    return content


def find(site: Site, words: str, path: str = HERE) -> Any:
    return site.client.post(
        f"{path}/find",
        content=urlencode({"q": words}),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )


@pytest.mark.parametrize(
    ("words", "link", "where"),
    [
        ("u250", "?group=north&group=school%201&rows=users&page=3#row-249", "north / school 1"),
        ("U1", "?group=north&group=school%201&rows=users&page=1#row-0", "north / school 1"),
        ("school", "?group=north&group=school%201", "north / school 1"),
    ],
)
def test_a_hit_leads_to_its_row(site: Site, words: str, link: str, where: str) -> None:
    indexed(site, NAMES)
    page = find(site, words)
    assert page.status_code == 200
    assert "1 found" in page.text
    assert f"<td>{where}</td>" in page.text
    assert f"{HERE}{link}" in links(page.text)
    assert site.client.get(f"{HERE}{link}").status_code == 200


@pytest.mark.parametrize("name", ["items.csv", "a b.csv", "a%20b.csv", "a?b.csv"])
def test_a_hit_in_a_file_of_no_group_has_the_address_of_that_file(site: Site, name: str) -> None:
    path = f"items/{name}"
    files = {**ITEMS, path: b"item_reference\ngood-item\n"}
    indexed(site, [Name(NameKind.QUESTION, "good-item", sorted(files).index(path), 0)], files, ANALYSIS)
    address = file_address(HERE, path)
    link = f"{address}{'&' if '?' in address else '?'}page=1#row-0"
    assert link in links(find(site, "good-item").text)


def test_the_row_that_a_hit_leads_to_has_its_anchor(site: Site) -> None:
    users = [f"u{number}" for number in range(250)]
    site.publish({"groups/group.json": test_app.group([], users=users)})
    row = site.get(page=3).text.partition('id="row-249"')[2].partition("</tr>")[0]
    assert "u249" in row


@pytest.mark.parametrize(
    ("words", "count"), [("u1 school", 1), ("NORTH u", 0), ("u250 north", 1), ("1 school", 1), ("u1 south", 0)]
)
def test_several_words_narrow_a_search(site: Site, words: str, count: int) -> None:
    indexed(site, NAMES)
    assert find(site, words).text.count("?group=north&amp;group=school%201") == count


def test_a_class_of_one_character_is_found(site: Site) -> None:
    files = {"groups/group.json": test_app.group([], ["b"]), "groups/b/group.json": test_app.group(["b"])}
    indexed(site, [Name(NameKind.GROUP, "B", 0, 0), Name(NameKind.USER, "bob", 0, 0)], files)
    page = find(site, "b").text
    assert "1 found" in page
    assert "<td>Group</td>" in page
    assert "is named “x”" in find(site, "x").text


def test_a_question_leads_to_its_row_of_the_analysis(site: Site) -> None:
    indexed(site, [Name(NameKind.QUESTION, "weak-item", 0, 1)], ITEMS, ANALYSIS)
    assert f"{HERE}?rows=items&page=1#row-1" in links(find(site, "weak").text)
    assert 'id="row-1"' in site.get().text


def rows_of(count: int, **values: Any) -> list[dict[str, Any]]:
    return [{name: f"{value}-{number}" for name, value in values.items()} for number in range(count)]


USERS, CHILDREN, QUESTIONS = (
    rows_of(150, user_id="pupil"),
    rows_of(150, group_name="class"),
    rows_of(150, item_reference="item"),
)
SHAPES: dict[str, dict[str, Any]] = {
    "users": {"group": test_app.row("all"), "groups": [], "users": USERS},
    "users beside groups": {"group": test_app.row("all"), "groups": CHILDREN, "users": USERS},
    "users in the group": {"dataset_group": {**test_app.row("all"), "groups": CHILDREN, "users": USERS}},
    "questions beside groups": {"groups": CHILDREN, "items": QUESTIONS},
    "questions": {"items": QUESTIONS},
}


@pytest.mark.parametrize("dataset_type", [GROUP_TYPE, ANALYSIS])
@pytest.mark.parametrize("shape", SHAPES)
async def test_every_hit_leads_to_its_own_row_whatever_stands_beside_it(
    site: Site, shape: str, dataset_type: str
) -> None:
    files = {"groups/group.json": msgspec.json.encode(SHAPES[shape])}
    site.publish(files, dataset_type)
    entries = [FileEntry(path, len(content), "", "") for path, content in files.items()]
    layout = DatasetLayout(dataset_type, DATASET_ID)
    store = open_store(site.folder.as_uri())
    made = await make_names(store, layout, entries)
    assert made is not None
    await put_names(store, layout, made)
    _, info = made
    assert info.names == 150
    site.publish(files, dataset_type, names=info)
    for number in (7, 149):
        name = f"{'pupil' if 'users' in shape else 'item'}-{number}"
        (link,) = (link for link in links(find(site, name).text) if link.endswith(f"#row-{number}"))
        text = site.client.get(link.partition("#")[0]).text
        row = text.partition(f'id="row-{number}"')[2].partition("</tr>")[0]
        assert f">{name}<" in row


def test_a_file_that_is_no_group_is_shown_as_a_file(site: Site) -> None:
    indexed(site, [Name(NameKind.USER, "u99", 1, 120)], {"a.json": b"{}", "b/users.csv": b"user_id\nu99\n"})
    assert f"{HERE}/view/b/users.csv?page=2#row-120" in links(find(site, "u99").text)


@pytest.mark.parametrize(
    "words",
    [
        EVIL,
        "<script>",
        "”&amp;",
        "x" * LONGEST_QUERY,
        "漢" * LONGEST_QUERY,
        "😀" * LONGEST_QUERY,
        "%00\x00",
        "\ud83d"[:0] + "😀😀",
    ],
)
def test_no_words_can_act_on_the_page(site: Site, words: str) -> None:
    indexed(site, NAMES)
    page = find(site, words)
    assert page.status_code == 200
    assert Markup(page.text).dangers == []
    assert "alert(1)</script>" not in page.text


def test_nothing_that_was_searched_for_is_in_the_audit_log_the_log_or_an_address(
    site: Site, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    indexed(site, NAMES)
    page = find(site, "u250")
    assert [(row.event, row.owner) for row in site.noted] == [("learnosity_find", "teacher")]
    captured = capsys.readouterr()
    for text in (str([vars(row) for row in site.noted]), caplog.text, captured.out, captured.err, str(page.url)):
        assert "u250" not in text
    assert 'method="post"' in page.text
    assert page.headers["cache-control"] == "no-store"


def test_words_in_the_address_are_not_searched_for(site: Site) -> None:
    indexed(site, NAMES)
    page = site.get("/find", q="u250")
    assert page.status_code == 200
    assert "found" not in page.text.partition('role="status"')[2]
    assert "u250" not in page.text


@pytest.mark.parametrize("token", ["stranger", ""])
def test_who_may_not_read_the_dataset_finds_nothing(site: Site, token: str) -> None:
    indexed(site, NAMES)
    site.client.cookies.clear()
    if token:
        site.client.cookies.set("_token", token)
    for path in (HERE, f"{HERE}/dataset/{DATASET_ID}"):
        reply = find(site, "u250", path)
        assert reply.status_code == (403 if token else 401)
        assert "u250" not in reply.text
    assert site.noted == []


@pytest.mark.parametrize("entity", ["DAG", "RUN", "XCOM"])
def test_every_right_is_needed(site: Site, entity: str) -> None:
    indexed(site, NAMES)
    site.lacking.add(entity)
    assert find(site, "u250").status_code == 403


@pytest.mark.parametrize("damage", ["changed", "gone", "longer", "link"])
def test_an_index_that_is_not_what_was_published_is_refused(site: Site, damage: str) -> None:
    content = indexed(site, NAMES)
    file = site.folder / DatasetLayout(GROUP_TYPE, DATASET_ID).names
    if damage == "changed":
        file.write_bytes(content.replace(b"u250", b"u251"))
    elif damage == "longer":
        file.write_bytes(content * 2)
    else:
        file.unlink()
    if damage == "link":
        outside = site.folder.parent / f"outside-{site.folder.name}"
        outside.write_bytes(content)
        file.symlink_to(outside)
    reply = find(site, "u25")
    assert reply.status_code in (409, 503)
    assert "u250" not in reply.text
    assert site.get("/find").status_code == 200  # what does not need the index works


def test_a_dataset_without_an_index_says_how_to_get_one(site: Site) -> None:
    site.publish(GROUPS)
    for reply in (site.get("/find"), find(site, "u250")):
        assert reply.status_code == 200
        assert "no index of names" in reply.text
        assert "overwrite" in reply.text


@pytest.mark.parametrize("words", ["", " ", "u", " u "])
def test_a_search_needs_two_characters(site: Site, words: str) -> None:
    indexed(site, NAMES)
    reply = find(site, words)
    assert reply.status_code == 200
    assert "<td>User</td>" not in reply.text


@pytest.mark.parametrize(
    "body",
    [b"q=" + b"a" * (LONGEST_QUERY + 1), b"q=" + b"a" * 1_000_000, b"&".join([b"a=1"] * 300), b"q=\xff\xfe", b"q", b""],
)
def test_a_body_that_is_no_search_does_no_harm(site: Site, body: bytes) -> None:
    indexed(site, NAMES)
    reply = site.client.post(f"{HERE}/find", content=body)
    assert reply.status_code in (200, 422)
    assert "u250" not in reply.text


def test_many_hits_and_files_that_were_left_out_are_told(site: Site) -> None:
    indexed(site, [Name(NameKind.USER, f"user-{number}", SCHOOL, number) for number in range(150)], left_out=3)
    page = find(site, "user").text
    assert "there are more" in page
    assert page.count("<td>User</td>") == 100
    assert "3 files were not searched for all names" in page


def test_a_manifest_keeps_what_it_says_of_its_index(site: Site) -> None:
    indexed(site, NAMES)
    said = msgspec.json.decode(site.get("/manifest.json").content)["names"]
    assert said["names"] == len(NAMES)
    assert "left_out" not in said
