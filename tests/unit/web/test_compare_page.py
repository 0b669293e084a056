"""The page that compares a dataset with one that its DAG has published before."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
import pytest
from sqlalchemy.orm import Session

from learnosity.dataset.completeness import Returned
from learnosity.dataset.layout import DatasetLayout
from learnosity.web import compare_page, runs
from learnosity.web.addresses import file_address
from learnosity.web.history import PastDataset
from learnosity.web.run_datasets import Publication, RunDataset
from tests.unit.web import test_app
from tests.unit.web.test_app import DATASET_ID, EVIL, GROUPS, ITEMS, OTHER_ID, Markup, Site, links

site = test_app.site
GROUP_TYPE = "activity-summary-by-group"
NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)


def past(dataset_id: str, days: int, **figures: float) -> PastDataset:
    return PastDataset("manual__0", dataset_id, NOW - timedelta(days=days), figures)


@pytest.fixture
def two(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A dataset, and an earlier one of the same DAG."""
    before = {
        "groups/group.json": msgspec.json.encode(
            {
                "group": test_app.row("", 40.0),
                "groups": [test_app.row("north", 20.0), {**test_app.row("east"), "population": 10}],
            }
        ),
        "groups/north/group.json": GROUPS["groups/north/group.json"],
    }
    site.publish(before, dataset_id=OTHER_ID)
    earlier = replace(site.run, run_id="manual__0")
    site.run = replace(site.run, datasets=())
    site.publish(GROUPS)
    current = runs.load_run

    def load_run(session: Any, dag_id: str, run_id: str) -> runs.Run | None:
        return earlier if run_id == "manual__0" else current(session, dag_id, run_id)

    monkeypatch.setattr(runs, "load_run", load_run)
    known(monkeypatch, past(DATASET_ID, 0, population=80, mean_percent=50.5), past(OTHER_ID, 7, population=50))
    return site


def known(monkeypatch: pytest.MonkeyPatch, *found: PastDataset) -> None:
    monkeypatch.setattr(compare_page, "past_datasets", lambda *_: list(found))


def test_rows_and_figures_stand_side_by_side(two: Site) -> None:
    page = two.get("/compare").text
    north = next(row for row in page.split("<tr")[1:] if ">north<" in row)
    for text in ("30", "20", "+10"):
        assert f">{text}<" in north
    assert next(row for row in page.split("<tr")[1:] if ">Population<" in row).count("+30") == 1
    assert '<span class="tag">new</span>' in next(row for row in page.split("<tr")[1:] if ">south<" in row)
    assert '<span class="tag">gone</span>' in next(row for row in page.split("<tr")[1:] if "east" in row)
    assert "were asked for differently" not in page
    assert f"/run/learnosity_dataset/manual__0/dataset/{OTHER_ID}" in links(page)


@pytest.mark.parametrize(("only", "names"), [("new", ["south"]), ("gone", ["east"]), ("", ["north", "south", "east"])])
def test_new_and_gone_rows_can_be_shown_alone(two: Site, only: str, names: list[str]) -> None:
    rows = two.get("/compare", only=only).text.split("<tbody>")[2].partition("</tbody>")[0].split("<tr")[1:]
    assert len(rows) == len(names)
    assert all(name in row for name, row in zip(names, rows, strict=True))


def test_the_rows_can_be_taken_away_as_they_are_filtered_and_sorted(two: Site) -> None:
    reply = two.get("/compare", form="csv", sort="population", direction="desc")
    assert reply.headers["content-type"].startswith("text/csv")
    assert reply.headers["content-disposition"].startswith("attachment")
    lines = reply.content.decode("utf-8-sig").splitlines()
    assert lines[0].startswith("group_name,median_percent,median_percent_before,median_percent_change,population,")
    assert [line.partition(",")[0] for line in lines[1:]] == ["north", "south", "east"]
    assert lines[3].endswith(",gone")
    only = two.get("/compare", form="csv", only="new").text.splitlines()
    assert [line.partition(",")[0] for line in only[1:]] == ["south"]
    two.run = replace(two.run, datasets=())
    two.publish({"a.txt": b"x"})
    assert two.get("/compare", form="csv").status_code == 404


def test_every_link_keeps_what_is_compared(two: Site) -> None:
    page = two.get("/compare", **{"with": OTHER_ID, "only": "new", "sort": "population"}).text
    own = [parse_qs(urlsplit(link).query) for link in links(page) if link.startswith("?")]
    assert all(found["with"] == [OTHER_ID] for found in own)
    below = [link for link in links(page) if "/compare?group=" in link]
    assert all(parse_qs(urlsplit(link).query)["with"] == [OTHER_ID] for link in below)
    assert len(own) > 4
    assert below


@pytest.mark.parametrize("name", ["a.json", "a b.json", "a%20b.json", "a%3Fb.json"])
def test_a_question_leads_to_the_address_of_its_own_file(two: Site, name: str) -> None:
    row = {"item_reference": unquote(name).removesuffix(".json"), "p_value": 0.5}
    files = {"items.json": msgspec.json.encode([row]), f"items/{name}": msgspec.json.encode(row)}
    earlier = runs.load_run(cast(Session, None), "learnosity_dataset", "manual__0")
    two.run = replace(two.run, datasets=())
    two.publish(files, "ibk-analysis-by-question", dataset_id=OTHER_ID)
    theirs = two.run.datasets
    object.__setattr__(earlier, "datasets", theirs)
    two.run = replace(two.run, datasets=())
    two.publish(files, "ibk-analysis-by-question")
    address = file_address("/run/learnosity_dataset/manual__1", f"items/{name}")
    assert address in links(two.get("/compare").text)


def test_of_two_earlier_datasets_of_one_id_that_of_the_same_type_is_compared(two: Site) -> None:
    earlier = runs.load_run(cast(Session, None), "learnosity_dataset", "manual__0")
    assert earlier is not None
    (theirs,) = earlier.datasets
    assert theirs.publication is not None
    layout = DatasetLayout("sessions-summary-by-group", OTHER_ID)
    other = replace(theirs, task_id="a.land.publish", publication=replace(theirs.publication, layout=layout))
    object.__setattr__(earlier, "datasets", (other, theirs))
    page = two.get("/compare").text
    assert "cannot be read" not in page
    assert ">north<" in page


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("own", ["", "/", "copy", "elsewhere"])
def test_of_one_dataset_at_several_places_that_at_the_place_of_the_page_is_compared(
    two: Site, own: str, order: tuple[int, ...]
) -> None:
    earlier = runs.load_run(cast(Session, None), "learnosity_dataset", "manual__0")
    assert earlier is not None
    (theirs,) = earlier.datasets
    (ours,) = two.run.datasets
    assert theirs.publication is not None
    assert ours.publication is not None
    first = replace(theirs.publication, published=NOW)
    copies = [theirs, *(_copied(two, theirs, first, name) for name in ("copy", "newest"))]
    object.__setattr__(earlier, "datasets", tuple(copies[each] for each in order))
    if own == "/":
        there = replace(ours.publication, destination_uri=f"{ours.publication.destination_uri.rstrip('/')}/")
        two.run = replace(two.run, datasets=(replace(ours, publication=there),))
    elif own:
        two.run = replace(two.run, datasets=(_copied(two, ours, ours.publication, own),))
    page = two.get("/compare")
    (way,) = re.findall(r'<a href="([^"]+)">its page</a>', page.text)
    expected = {"": 0, "/": 0, "copy": 1, "elsewhere": 2}[own]
    compared = copies[expected].publication
    assert compared is not None
    assert way == f"/run/learnosity_dataset/manual__0/dataset/{compared.names[-1]}"
    assert ">north<" in page.text
    assert "cannot be read" not in page.text


def _copied(site: Site, dataset: RunDataset, publication: Publication, name: str) -> RunDataset:
    """The same dataset at another place, published later."""
    place = site.folder / name
    shutil.copytree(site.folder / publication.layout.prefix, place / publication.layout.prefix, dirs_exist_ok=True)
    moved = replace(
        publication,
        destination_uri=place.as_uri(),
        manifest_uri=f"{place.as_uri()}/{publication.layout.manifest}",
        published=NOW + timedelta(hours=1 + (name == "newest")),
    )
    return replace(dataset, task_id=f"{name}.land.publish", publication=moved)


def test_groups_are_drilled_into(two: Site) -> None:
    page = two.get("/compare", group="north")
    assert page.status_code == 200
    assert "school 1" in page.text
    assert 'aria-current="location">north<' in page.text
    assert two.get("/compare", group="nowhere").status_code == 404
    south = two.get("/compare", group="south")
    assert south.status_code == 200
    assert '<span class="tag">new</span>' in south.text


def test_both_readings_leave_a_row_without_a_name(two: Site) -> None:
    two.get("/compare", group="north")
    assert [(row.event, row.run_id) for row in two.noted] == [
        ("learnosity_compare", "manual__1"),
        ("learnosity_compare", "manual__0"),
    ]
    assert {msgspec.json.decode(row.extra)["dataset_id"] for row in two.noted} == {DATASET_ID, OTHER_ID}
    assert "north" not in str([vars(row) for row in two.noted])


ANALYSIS = "ibk-analysis-by-question"


def items(*rows: dict[str, Any], **files: bytes) -> dict[str, bytes]:
    return {"items.json": msgspec.json.encode(rows), **{f"items/{name}.json": files[name] for name in files}}


def test_a_question_of_an_analysis_leads_to_its_own_file(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, gone = ({"item_reference": name, "p_value": 0.5} for name in ("one", "two", "gone"))
    earlier = publish_two(site, monkeypatch, items(one, other, one=b"{}"), items(one, gone, gone=b"{}"))
    page = earlier.get("/compare").text
    own = [link for link in links(page) if "/view/" in link]
    assert own == ["/run/learnosity_dataset/manual__1/view/items/one.json"]
    assert earlier.client.get(own[0]).status_code == 200


def publish_two(
    site: Site, monkeypatch: pytest.MonkeyPatch, now: dict[str, bytes], before: dict[str, bytes], kind: str = ANALYSIS
) -> Site:
    site.publish(before, kind, dataset_id=OTHER_ID)
    earlier = replace(site.run, run_id="manual__0")
    site.run = replace(site.run, datasets=())
    site.publish(now, kind)
    current = runs.load_run
    monkeypatch.setattr(
        runs, "load_run", lambda s, d, run_id: earlier if run_id == "manual__0" else current(s, d, run_id)
    )
    known(monkeypatch, past(DATASET_ID, 0), past(OTHER_ID, 7))
    return site


def of_root(**parts: Any) -> dict[str, bytes]:
    return {"groups/group.json": msgspec.json.encode(parts)}


USERS = [{"user_id": "u1", "score": 3}]
NORTH = [test_app.row("north")]


@pytest.mark.parametrize("form", ["page", "csv"])
@pytest.mark.parametrize(
    "before",
    [
        pytest.param({"groups/group.json": b"{broken"}, id="damaged"),
        pytest.param({"groups/group.json": b"\xff\x00"}, id="bytes"),
        pytest.param({"groups/group.json": b"7"}, id="a number"),
        pytest.param(of_root(other=[{"a": 1}]), id="not recognised"),
        pytest.param(of_root(group=test_app.row("all"), users=USERS), id="users"),
        pytest.param(of_root(items=[{"item_reference": "a", "p_value": 0.5}]), id="questions"),
        pytest.param({"groups/group.json": b"[" + b"[]," * 150_000 + b"[]]"}, id="too large"),
        pytest.param({"a.txt": b"x"}, id="no file of a group"),
        pytest.param({}, id="no file"),
    ],
)
def test_what_cannot_be_read_of_the_earlier_dataset_makes_no_row_new(
    site: Site, monkeypatch: pytest.MonkeyPatch, before: dict[str, bytes], form: str
) -> None:
    publish_two(site, monkeypatch, of_root(group=test_app.row("all"), groups=NORTH), before, GROUP_TYPE)
    reply = site.get("/compare", form=form)
    if form == "csv":
        assert reply.status_code == 404
    else:
        assert "The rows of these two cannot be compared" in reply.text
        assert '<span class="tag">' not in reply.text


def test_groups_without_a_figure_that_is_compared_are_found_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = [{"group_name": name, "p25_percent": 1} for name in ("north", "east")]
    publish_two(site, monkeypatch, of_root(group=test_app.row("all"), groups=NORTH), of_root(groups=plain), GROUP_TYPE)
    rows = site.get("/compare", form="csv").text.splitlines()
    assert [(row.split(",")[0], row.split(",")[-1]) for row in rows[1:]] == [("north", ""), ("east", "gone")]


@pytest.mark.parametrize("counted", [4, 2, None])
def test_the_questions_of_other_files_are_not_told_to_be_gone_for_sure(
    site: Site, monkeypatch: pytest.MonkeyPatch, counted: int | None
) -> None:
    rows = [{"item_reference": f"i{number}", "p_value": 0.5} for number in range(4)]
    before = items(*rows)
    now = {"part-0.json": msgspec.json.encode(rows[:2]), "part-1.json": msgspec.json.encode(rows[2:])}
    publish_two(site, monkeypatch, now, before, "ibk-analysis-by-question")
    site.publish(now, "ibk-analysis-by-question", returned=Returned(questions=counted))
    assert ("One of the two has more rows than are compared" in site.get("/compare").text) is (counted == 4)


def test_questions_with_other_names_are_not_new(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = {"item_reference": "i", "p_value": 0.5}, {"question_reference": "q", "p_value": 0.5}
    publish_two(site, monkeypatch, items(one), items(other))
    assert "The rows of these two cannot be compared" in site.get("/compare").text


@pytest.mark.parametrize("before", [b"[]", b'{"groups": []}', b'{"groups": [], "users": []}'])
def test_every_row_is_new_where_the_earlier_dataset_says_that_it_has_none(
    site: Site, monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    publish_two(site, monkeypatch, of_root(groups=NORTH), {"groups/group.json": before}, GROUP_TYPE)
    assert site.get("/compare").text.count('<span class="tag">new</span>') == 1


OWN_ROW = {"group_name": "all", "population": 0, "mean_percent": None}
ABOVE = {"ancestors": [test_app.row("above")]}
NO_USERS = [
    pytest.param({"group": OWN_ROW, "users": []}, id="beside its row"),
    pytest.param({"group": OWN_ROW, "users": [], "groups": []}, id="two lists"),
    pytest.param({"group": OWN_ROW | {"percents": [0, 0]}, "users": []}, id="a list in its row"),
    pytest.param({"group": OWN_ROW, "users": []} | ABOVE, id="with the groups above"),
    pytest.param({"group": OWN_ROW | {"users": []}}, id="in its row"),
    pytest.param(OWN_ROW | {"users": []}, id="its row alone"),
    pytest.param(OWN_ROW | {"users": []} | ABOVE, id="its row alone, with the groups above"),
    pytest.param({"users": []}, id="no row"),
]


@pytest.mark.parametrize("state", ["new", "gone"])
@pytest.mark.parametrize("empty", NO_USERS)
def test_users_are_new_or_gone_where_the_class_says_that_it_has_none(
    site: Site, monkeypatch: pytest.MonkeyPatch, empty: dict[str, Any], state: str
) -> None:
    full = of_root(group=OWN_ROW | {"population": 2}, users=[*USERS, {"user_id": "u2", "score": 2}])
    sides = (full, of_root(**empty)) if state == "new" else (of_root(**empty), full)
    publish_two(site, monkeypatch, *sides, GROUP_TYPE)
    text = site.get("/compare").text
    assert text.count('<span class="tag">') == text.count(f'<span class="tag">{state}</span>') == 2
    assert site.get("/compare", form="csv").text.count(state) == 2


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"group": OWN_ROW}, id="no list"),
        pytest.param({"group": OWN_ROW, "users": ["u1"]}, id="a list of something else"),
        pytest.param({"group": OWN_ROW, "groups": NORTH, "users": []}, id="other rows"),
        pytest.param({"group": OWN_ROW, "users": [], "more": [{"a": 1}]}, id="rows of no known kind"),
        pytest.param(OWN_ROW | {"users": [], "more": ["u1"]}, id="a list of something else in its row"),
        pytest.param({"groups": OWN_ROW, "users": []}, id="the row of another group"),
    ],
)
def test_users_are_neither_new_nor_gone_where_the_class_may_have_some(
    site: Site, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]
) -> None:
    publish_two(site, monkeypatch, of_root(group=OWN_ROW, users=USERS), of_root(**other), GROUP_TYPE)
    assert "The rows of these two cannot be compared" in site.get("/compare").text


def test_the_rows_of_two_empty_classes_are_compared(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = of_root(group=OWN_ROW, users=[])
    publish_two(site, monkeypatch, empty, empty, GROUP_TYPE)
    text = site.get("/compare").text
    assert "cannot be compared" not in text
    assert '<span class="tag">' not in text


@pytest.mark.parametrize("turned", [False, True])
def test_two_classes_without_users_have_none_to_compare(
    site: Site, monkeypatch: pytest.MonkeyPatch, turned: bool
) -> None:
    one, other = of_root(group=OWN_ROW, users=[]), of_root(users=[])
    publish_two(site, monkeypatch, *((other, one) if turned else (one, other)), GROUP_TYPE)
    assert "No row is like this." in site.get("/compare").text


SOUTH = {"groups/south/group.json": GROUPS["groups/south/group.json"]}


@pytest.mark.parametrize(
    ("above", "left_out", "new"),
    [
        pytest.param(of_root(groups=NORTH), None, True, id="not listed"),
        pytest.param(of_root(group=test_app.row("all"), users=USERS), None, True, id="users and no groups"),
        pytest.param(of_root(groups=NORTH), 1, False, id="some files were left out"),
        pytest.param(of_root(groups=[test_app.row("south")]), None, False, id="listed, without a file"),
        pytest.param({"groups/group.json": b"{broken"}, None, False, id="not readable"),
        pytest.param({"a.txt": b"x"}, None, False, id="no groups at all"),
    ],
)
def test_only_a_group_that_was_not_there_has_new_rows(
    site: Site, monkeypatch: pytest.MonkeyPatch, above: dict[str, bytes], left_out: int | None, new: bool
) -> None:
    publish_two(site, monkeypatch, of_root(groups=[test_app.row("south")]) | SOUTH, above, GROUP_TYPE)
    manifest = site.folder / DatasetLayout(GROUP_TYPE, OTHER_ID).manifest
    manifest.write_bytes(msgspec.json.encode(msgspec.json.decode(manifest.read_bytes()) | {"left_out": left_out}))
    text = site.get("/compare", group="south").text
    assert ('<span class="tag">new</span>' in text) is new
    assert ("The rows of these two cannot be compared" in text) is not new


def test_other_fields_are_told_and_rows_are_told_by_the_names_that_both_have(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = {"item_reference": "i", "question_reference": "q", "p_value": 0.4, "discrimination_index": 0.3}
    publish_two(site, monkeypatch, items({"item_reference": "i", "p_value": 0.5}), items(full))
    manifest = site.folder / DatasetLayout(ANALYSIS, OTHER_ID).manifest
    content = msgspec.json.decode(manifest.read_bytes())
    content["request"]["options"] |= {"fields": ["item_reference", "discrimination_index"]}
    manifest.write_bytes(msgspec.json.encode(content))
    known(
        monkeypatch,
        past(DATASET_ID, 0, flagged=7, mean_p_value=0.5),
        past(OTHER_ID, 7, flagged=2, mean_p_value=0.4, mean_discrimination_index=0.3),
    )
    page = site.get("/compare").text
    assert "options.fields of their requests differ" in page
    assert '<span class="tag">' not in page  # no row is new or gone
    assert ">+0.100<" in page
    assert ">7<" in page
    assert ">+5<" not in page  # the flags of the two come from different statistics
    assert 'data-label="Flagged"' not in page
    assert "Flagged: no change is given" in page


def test_the_datasets_of_one_day_are_told_apart_in_a_chart(two: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [past(name, 0, population=1) for name in (DATASET_ID, OTHER_ID)]
    known(monkeypatch, found[0], replace(found[1], published=NOW - timedelta(seconds=1)))
    titles = re.findall(r"<title>([^<]*): 1</title>", two.get("/compare").text)
    assert titles == ["2026-11-24 02:59:59 UTC", "2026-11-24 03:00:00 UTC"]


def test_every_moment_of_a_chart_is_written_for_the_clock_of_the_viewer(two: Site, monkeypatch: Any) -> None:
    known(monkeypatch, past(DATASET_ID, 0, population=1), past(OTHER_ID, 7, population=2))
    page = two.get("/compare").text
    assert re.findall(r'data-at="([^"]*)" data-figure="([^"]*)"', page) == [
        ("2026-11-17T03:00:00+00:00", "2"),
        ("2026-11-24T03:00:00+00:00", "1"),
    ]
    script = (Path(compare_page.__file__).parent / "static" / "times.js").read_text(encoding="utf-8")
    assert set(re.findall(r"dataset\.(\w+)", script)) <= {"at", "figure", "label"}
    assert 'data-label="Population"' in page


def test_requests_that_differ_are_warned_about(two: Site) -> None:
    manifest = two.folder / DatasetLayout(GROUP_TYPE, OTHER_ID).manifest
    content = msgspec.json.decode(manifest.read_bytes())
    content["request"]["filters"] = {"activity_id": ["another"]}
    manifest.write_bytes(msgspec.json.encode(content))
    page = two.get("/compare").text
    assert "were asked for differently: filters of their requests differ" in page


@pytest.mark.parametrize("how", ["folder", "manifest", "run", "xcom", "file", "changed file", "too many files"])
def test_an_earlier_dataset_that_is_gone_leaves_its_figures(
    two: Site, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    layout = DatasetLayout(GROUP_TYPE, OTHER_ID)
    if how == "folder":
        shutil.rmtree(two.folder / layout.prefix)
    elif how == "manifest":
        (two.folder / layout.manifest).write_bytes(b"{")
    elif how == "file":
        (two.folder / layout.data("groups/group.json")).unlink()
    elif how == "changed file":
        (two.folder / layout.data("groups/group.json")).write_bytes(b"{}")
    elif how == "too many files":
        content = msgspec.json.decode((two.folder / layout.manifest).read_bytes())
        (two.folder / layout.manifest).write_bytes(msgspec.json.encode(content | {"file_count": 70_000}))
    else:
        gone = None if how == "run" else replace(two.run, datasets=())
        current = two.run
        monkeypatch.setattr(runs, "load_run", lambda s, d, run_id: current if run_id == "manual__1" else gone)
    page = two.get("/compare")
    assert page.status_code == 200
    assert "The earlier dataset cannot be read: its place cannot be reached now, or it, its run or a file" in page.text
    assert "Reload this page later" in page.text
    assert "+30" in page.text
    assert "east" not in page.text


@pytest.mark.parametrize("may", [True, False])
def test_an_earlier_dataset_of_another_dag_is_compared_if_the_user_may_read_that(two: Site, may: bool) -> None:
    manifest = two.folder / DatasetLayout(GROUP_TYPE, OTHER_ID).manifest
    manifest.write_bytes(manifest.read_bytes().replace(b'"learnosity_dataset"', b'"another_dag"'))
    if may:
        two.rights["teacher"].add("another_dag")
    page = two.get("/compare").text
    assert "cannot be read" not in page
    assert ("Another DAG has landed the earlier dataset" in page) is not may
    assert ("east" in page) is may
    assert "+30" in page
    assert "another_dag" not in page


def test_only_datasets_of_the_history_are_compared(two: Site) -> None:
    assert two.get("/compare", **{"with": "7c9d5d5e-0000-4000-8000-000000000000"}).status_code == 404
    assert two.get("/compare", **{"with": DATASET_ID}).status_code == 404
    assert two.get("/compare", **{"with": EVIL}).status_code == 404
    assert two.get("/compare", only="some").status_code == 422


def test_the_first_dataset_of_a_dag_says_that_there_is_none_before(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish(GROUPS)
    for found in ([], [past(DATASET_ID, 0)]):
        known(monkeypatch, *found)
        assert "Nothing to compare with" in site.get("/compare").text


def test_the_trend_has_a_chart_per_figure_and_a_row_per_dataset(two: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    older = [
        past(f"{number:08}-0000-4000-8000-000000000000", 7 * number, mean_percent=number) for number in range(2, 9)
    ]
    known(monkeypatch, past(DATASET_ID, 0, mean_percent=50.5), past(OTHER_ID, 7), *older)
    page = two.get("/compare").text
    assert page.count("<polyline") == 1
    assert page.count("<circle") == 8
    assert page.count('class="current"') == 1
    assert "Mean percent. 2026-09-29 03:00:00 UTC: 8.0, " in page
    assert page.count(">compare</a>") == 7


def test_the_figures_of_the_manifest_come_before_those_of_an_event(two: Site) -> None:
    two.run = replace(two.run, datasets=())
    two.publish(GROUPS, returned=Returned(figures={"population": 90.0}))
    assert "+40" in two.get("/compare").text


@pytest.mark.parametrize(
    ("content", "dataset_type"),
    [
        ({"groups/group.json": b"[]"}, GROUP_TYPE),
        ({"a.txt": b"x"}, GROUP_TYPE),
        ({}, GROUP_TYPE),
        (ITEMS, "ibk-analysis-by-question"),
    ],
)
def test_what_cannot_be_compared_makes_a_page(
    two: Site, monkeypatch: pytest.MonkeyPatch, content: dict[str, bytes], dataset_type: str
) -> None:
    two.run = replace(two.run, datasets=())
    two.publish(content, dataset_type)
    reply = two.get("/compare")
    assert reply.status_code == 200
    assert Markup(reply.text).dangers == []


@pytest.mark.parametrize("value", [10**400, -(10**300), None, "12", [1], {"a": 1}, True])
def test_odd_values_make_a_page(two: Site, value: Any) -> None:
    odd = {"group_name": EVIL, "population": value, "mean_percent": value, "median_percent": value}
    two.run = replace(two.run, datasets=())
    two.publish({"groups/group.json": msgspec.json.encode({"group": odd, "groups": [odd, odd, test_app.row("north")]})})
    for query in ({}, {"sort": "population_change"}):
        reply = two.get("/compare", **query)
        assert reply.status_code == 200
        assert Markup(reply.text).dangers == []
