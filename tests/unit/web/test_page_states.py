"""What the pages say in states that a newcomer meets: errors, retries, gaps, few files, and the way on from there."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unicodedata import normalize

import msgspec
import pytest
from airflow.serialization.serialized_objects import DagSerialization

from learnosity.advice import NO_TASK_FAILED
from learnosity.dags import dataset_dag
from learnosity.dataset.completeness import Returned
from learnosity.dataset.input_info import InputInfo
from learnosity.dataset.limits import PAGE as PAGE_LIMITS
from learnosity.dataset.manifest import RunInfo
from learnosity.web import list_rows, open_dataset
from learnosity.web.addresses import segment
from learnosity.web.completeness import GAPS_TO_DO
from learnosity.web.default_types import default_type
from learnosity.web.list_rows import Found, Listed
from learnosity.web.run_progress import Progress, Trouble, WaitedFor
from tests.unit.web import test_app
from tests.unit.web.test_analysis_pages import ANALYSIS, FILES
from tests.unit.web.test_app import DATASET_ID, GROUP_TYPE, GROUPS, OTHER_ID, Markup, Site, links, row
from tests.unit.web.test_compare_page import publish_two

site = test_app.site
PAGE = "/run/learnosity_dataset/manual__1"


def words(page: str) -> str:
    """The text of a page, with one blank between words."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("usual", [90.0, None])
def test_no_sentence_of_a_run_that_goes_on_begins_with_a_full_stop(
    site: Site, begun: bool, usual: float | None
) -> None:
    going = Progress("Running", True, datetime.now(UTC) if begun else None, usual, (), (), None, True)
    site.run = replace(site.run, state="running", progress=going)
    (said,) = re.findall(r"<p>\s*([^<]*This page follows the run by itself\.)", site.get().text)
    assert re.fullmatch(
        (r"For .+ now" if begun else "")
        + ("" if usual is None else r", usually 1 min 30 s" if begun else "Usually 1 min 30 s")
        + (r"\. " if begun or usual else "")
        + r"This page follows the run by itself\.",
        said,
    )


TOO_MANY = pytest.mark.parametrize("limit", [{"files": 2}, {"listing_bytes": 100}], ids=str)
WITHOUT_FILES = ("", "/use", "/report")


@pytest.fixture
def large(site: Site, monkeypatch: pytest.MonkeyPatch, limit: dict[str, Any]) -> Site:
    """A site whose dataset has more files than a page lists."""
    site.publish(GROUPS, returned=Returned(population=4, gaps=("5 users were uploaded, and 4 came back.",)))
    monkeypatch.setattr(open_dataset, "PAGE", replace(PAGE_LIMITS, **limit))
    return site


@TOO_MANY
@pytest.mark.parametrize(
    "where",
    [
        *WITHOUT_FILES,
        *("/files", "/find", "/compare", "/csv", "/zip", "/files.csv"),
        *("/view/groups/group.json", "/file/groups/group.json", "/csv/groups/group.json"),
        *("?group=north", "/report?group=north", "/report/frame?group=north", "/zip?group=north", "/csv?group=north"),
    ],
)
def test_a_dataset_with_too_many_files_for_a_page_says_so_and_is_not_called_lost(large: Site, where: str) -> None:
    reply = large.client.get(f"{PAGE}{where}")
    assert reply.status_code == (200 if where in WITHOUT_FILES else 409)
    assert "The dataset is published, but it has too many files for a page" in words(reply.text)
    assert "by its manifest" in words(reply.text)
    assert "moved or deleted" not in reply.text
    assert "no such" not in reply.text.lower()
    assert PAGE in links(reply.text)


@TOO_MANY
@pytest.mark.parametrize("where", WITHOUT_FILES)
def test_no_page_of_a_dataset_with_too_many_files_leads_to_one_that_needs_them(large: Site, where: str) -> None:
    for link in links(large.get(where).text):
        if link.startswith(PAGE):
            assert large.client.get(link).status_code == 200, link


@TOO_MANY
def test_a_dataset_with_too_many_files_shows_what_its_manifest_says(large: Site) -> None:
    text = words(large.get().text)
    for said in ("About this dataset", "Not complete", "5 users were uploaded, and 4 came back.", "How it was made"):
        assert said in text
    assert large.get("/manifest.json").json()["dataset_id"] == DATASET_ID
    assert large.get("/report/frame").status_code == 200
    assert [each.event for each in large.noted] == [
        "learnosity_results",
        "learnosity_manifest",
        "learnosity_report_signed",
    ]


@pytest.mark.parametrize("limit", [{"files": 2}])
def test_a_dataset_whose_list_of_files_is_gone_is_not_shown_as_one_with_too_many(large: Site) -> None:
    for found in large.folder.rglob("files.ndjson"):
        found.unlink()
    reply = large.get()
    assert reply.status_code == 409
    assert "files.ndjson is missing or was changed" in words(reply.text)


@TOO_MANY
def test_a_dataset_of_another_dag_with_too_many_files_is_shown_only_with_the_right_to_read_it(large: Site) -> None:
    large.rights["teacher"] = {"another_dag"}
    large.run = replace(large.run, dag_id="another_dag")
    reply = large.client.get("/run/another_dag/manual__1")
    assert reply.status_code == 403
    assert "too many files" not in reply.text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"hard": "0.95", "easy": "0.9"}, "Too hard (0.95) is above too easy (0.9)"),
        ({"hard": "7"}, "Too hard below p: give a number from 0 to 1"),
        ({"poor": "x"}, "Poor below discrimination: give a number from -1 to 1"),
        ({"only": "nothing"}, "Only which questions: give flagged, "),
        ({"sort": "a" * 201}, "sort: "),
    ],
)
@pytest.mark.parametrize("below", ["", f"/dataset/{DATASET_ID}"])
def test_a_value_that_is_refused_is_no_dead_end(site: Site, query: dict[str, str], said: str, below: str) -> None:
    site.publish(FILES, ANALYSIS)
    reply = site.get(below, **query)
    assert reply.status_code == 422
    assert said in words(reply.text)
    assert {f"{PAGE}{below}", f"{PAGE}{below}/files", "/dags/learnosity_dataset/runs/manual__1"} <= set(
        links(reply.text)
    )
    assert site.get(below).status_code == 200


@pytest.mark.parametrize("tail", ["", "/report", "/compare", "/csv"])
def test_a_group_that_is_not_there_is_no_dead_end(site: Site, tail: str) -> None:
    site.publish(GROUPS)
    reply = site.get(tail, group="nowhere")
    assert reply.status_code == 404
    assert {PAGE, f"{PAGE}/files"} <= set(links(reply.text))


def test_an_error_of_the_page_itself_does_not_link_to_itself(site: Site) -> None:
    reply = site.client.get("/run/learnosity_dataset/other")
    assert reply.status_code == 404
    assert "/run/learnosity_dataset/other" not in links(reply.text)


def test_a_dataset_that_the_run_does_not_have_leads_to_those_that_it_has(site: Site) -> None:
    site.publish(GROUPS)
    assert PAGE in links(site.get(f"/dataset/{OTHER_ID}").text)


@pytest.mark.parametrize("who", ["stranger", ""])
def test_an_error_for_a_user_without_rights_names_no_page_of_the_run(site: Site, who: str) -> None:
    site.publish(GROUPS)
    site.client.cookies.set("_token", who)
    reply = site.get("/files", q="a")
    assert reply.status_code in (401, 403)
    assert not [link for link in links(reply.text) if "manual__1" in link and "/login?" not in link]


@pytest.mark.parametrize("tab", ["", "/report", "/compare"])
def test_the_group_stays_when_the_view_is_changed(site: Site, tab: str) -> None:
    site.publish(GROUPS)
    found = links(site.client.get(f"{PAGE}{tab}?group=north&group=school%201").text)
    for other in ("", "/report", "/compare"):
        assert f"{PAGE}{other}?group=north&group=school%201" in found
        assert site.client.get(f"{PAGE}{other}?group=north&group=school%201").status_code == 200
    assert f"{PAGE}/files" in found


def test_tabs_without_a_group_name_none(site: Site) -> None:
    site.publish(GROUPS)
    for tab in ("", "/report", "/compare", "/files", "/use", "/find"):
        assert {PAGE, f"{PAGE}/report", f"{PAGE}/compare"} <= set(links(site.get(tab).text))


def test_a_gap_is_marked_and_says_what_to_do(site: Site) -> None:
    site.publish(GROUPS, returned=Returned(population=4, gaps=("5 users were uploaded, and 4 came back.",)))
    text = site.get().text
    assert 'class="warning gap"' in text
    assert GAPS_TO_DO in text
    site.publish(GROUPS, returned=Returned(population=4))
    assert GAPS_TO_DO not in site.get().text


@pytest.mark.parametrize("files", [1, 2])
@pytest.mark.parametrize("records", [1, 60])
def test_one_file_is_a_file_and_no_files(site: Site, files: int, records: int) -> None:
    kept = dict(list(GROUPS.items())[:files])
    site.publish(kept, input=InputInfo(("s3://b/u",), files, records, 99, "x"))
    for page in ("", "/files", "/use"):
        assert not re.search(r"\b1 (files|records)\b|\b\d+[02-9] (file|record)\b", words(site.get(page).text))
    said = f"{records} {'record' if records == 1 else 'records'} of {files} {'file' if files == 1 else 'files'}"
    assert said in words(site.get().text)


@pytest.mark.parametrize(("dag_id", "run_id"), [("learnosity_dataset", "manual__1"), ("learnosity_dataset", "a b/1")])
@pytest.mark.parametrize("group", ["", "?group=south"])
def test_the_run_that_landed_the_dataset_is_named_and_no_other_one(
    site: Site, dag_id: str, run_id: str, group: str
) -> None:
    site.publish(GROUPS, landed_by=RunInfo(dag_id, run_id, None))
    page = site.client.get(f"{PAGE}{group}").text
    landed_by = f"/dags/{dag_id}/runs/{segment(run_id)}"
    (named,) = re.findall(r"<dt>(?:Run|Landed by)</dt><dd>(.*?)</dd>", page)
    assert links(named) == [f"/dags/{dag_id}", landed_by]
    own = run_id == site.run.run_id
    assert ("<dt>Run</dt>" in page) == own
    assert ("Another run has landed this dataset" in words(page)) == (not own)
    assert links(page).count(landed_by) == 2


def test_a_group_without_a_name_is_called_so(site: Site) -> None:
    root: dict[str, Any] = {"group_path": [], "group": row("all"), "ancestors": [], "groups": [row(""), row("a")]}
    site.publish({"groups/group.json": msgspec.json.encode({**root, "users": []})})
    assert '<th scope="row">(no name)' in site.get().text


@pytest.mark.parametrize("page", ["", "/report", "/csv", "/compare", "/view/groups/group.json"])
def test_users_inside_the_row_of_their_group_have_rows_of_their_own(site: Site, page: str) -> None:
    users = [{"user_id": f"pupil-{number}", "score": number} for number in range(2)]
    content = {"dataset_group": {**row("all"), "users": users}}
    site.publish({"groups/group.json": msgspec.json.encode(content)})
    text = site.get(page).text
    if page == "/csv":
        assert text.splitlines()[1:] == ["pupil-0,0", "pupil-1,1"]
    elif page != "/compare":
        assert text.count('<th scope="row">pupil-') == 2
        assert "inside of other rows" not in text


KINDS: dict[str, list[dict[str, Any]]] = {
    "groups": [row("north"), row("south")],
    "users": [{"user_id": f"pupil-{number}", "score": number} for number in range(120)],
    "items": [{"item_reference": "item-1", "p_value": 0.5}],
}


@pytest.mark.parametrize("kind", ["", *KINDS])
@pytest.mark.parametrize("page", ["", "/report", "/compare", "/csv"])
def test_each_kind_of_rows_of_a_file_is_shown_and_taken_away(
    site: Site, monkeypatch: pytest.MonkeyPatch, page: str, kind: str
) -> None:
    files = {"groups/group.json": msgspec.json.encode({"group": row("all"), **KINDS})}
    publish_two(site, monkeypatch, files, files, GROUP_TYPE)
    query = {"rows": kind} if kind else {}
    text = site.get(page, **query).text
    own = {"groups": "north", "users": "pupil-7", "items": "item-1"}
    for each, name in own.items():
        assert (f">{name}<" in text or f"{name}," in text) is (each == (kind or "groups"))
    if page == "/csv":
        assert len(text.splitlines()) == 1 + len(KINDS[kind or "groups"])
        return
    for each in KINDS:
        assert any(f"rows={each}" in link for link in links(text))
    label = {"groups": "Region", "users": "Users", "items": "Questions"}[kind or "groups"]
    assert re.search(rf'aria-current="true">{label} <span', text)
    if kind:
        own_links = [link for link in links(text) if link.startswith("?") and "sort=" in link]
        assert own_links
        assert all(f"rows={kind}" in link for link in own_links)
        if page == "":
            (csv,) = (link for link in links(text) if "/csv?" in link)
            assert own[kind] in site.client.get(csv).text


@pytest.mark.parametrize("users", [True, False])
def test_a_file_with_one_kind_of_rows_offers_no_choice(site: Site, users: bool) -> None:
    parts = {"users": KINDS["users"], "groups": []} if users else {"groups": KINDS["groups"], "users": []}
    site.publish({"groups/group.json": msgspec.json.encode({"group": row("all"), **parts})})
    for kind in ("", *KINDS):
        text = site.get(rows=kind).text
        assert "Which rows of this file" not in text
        assert (">pupil-7<" in text, ">north<" in text) == (users, not users)


def test_more_tables_of_a_kind_are_told(site: Site) -> None:
    content = {"users": KINDS["users"], "teachers": [{"user_id": "t"}], "ancestors": [row("top")]}
    site.publish({"groups/group.json": msgspec.json.encode(content)})
    assert "which has 1 more table" in words(site.get().text)
    site.publish({"groups/group.json": msgspec.json.encode({"group": row("all"), **KINDS})})
    assert "more table" not in words(site.get().text)


def test_no_figure_of_a_group_is_made_of_the_users_beside_its_groups(site: Site) -> None:
    users = [{"user_id": "a", "score": 1, "max_score": 2}]
    site.publish({"groups/group.json": msgspec.json.encode({"groups": KINDS["groups"], "users": users})})
    assert "With a result" not in site.get(rows="users").text
    assert ">50" in site.get(rows="users").text


def test_a_kind_that_there_is_not_is_refused(site: Site) -> None:
    site.publish(GROUPS)
    assert site.get(rows="pupils").status_code == 422


@pytest.mark.parametrize("page", ["", "/view/groups/group.json"])
def test_rows_that_no_table_has_are_told(site: Site, page: str) -> None:
    content = {"groups": [{**row("north"), "users": [{"user_id": "pupil"}]}]}
    site.publish({"groups/group.json": msgspec.json.encode(content)})
    assert "This file has rows inside of other rows" in site.get(page).text


@pytest.mark.parametrize("page", ["", "/view/groups/group.json"])
@pytest.mark.parametrize("count", [60, 61, 70])
def test_columns_that_are_not_shown_are_counted(site: Site, page: str, count: int) -> None:
    rows = [{**{f"c{number}": 1 for number in range(count - 1)}, "group_name": "north"}]
    site.publish({"groups/group.json": msgspec.json.encode({"groups": rows})})
    text = words(site.get(page).text)
    said = {60: "", 61: "1 more column of this table is not", 70: "10 more columns of this table are not"}[count]
    assert ("more column" in text) is (count > 60)
    assert said in text
    assert "north" in text


# Every page of a dataset.
PAGES = ("", "/report", "/compare", "/find", "/files", "/use", "/view/groups/group.json")


@pytest.mark.parametrize("tab", PAGES)
@pytest.mark.parametrize("left_out", [1, 34])
def test_what_include_left_out_is_said_on_every_page(site: Site, tab: str, left_out: int) -> None:
    site.publish(GROUPS, include=("*.json", "<b>"), left_out=left_out, returned=Returned())
    text = site.get(tab).text
    said = words(text)
    assert f"include “*.json”, “&lt;b&gt;”, which left out {left_out} of the result files" in said
    assert Markup(text).dangers == []
    assert not re.search(r"all \d+ files", said)
    assert not re.search(r"of 5 files\b", said)


@pytest.mark.parametrize("tab", PAGES)
@pytest.mark.parametrize("left_out", [None, 0, -3])
def test_a_dataset_that_is_whole_is_not_called_a_part(site: Site, tab: str, left_out: int | None) -> None:
    site.publish(GROUPS, left_out=left_out, returned=Returned())
    assert "left out" not in words(site.get(tab).text)


@pytest.mark.parametrize(("mark", "shown"), [("", False), ("gaps", True), ("empty", True), ("part", True)])
def test_the_list_marks_datasets_that_are_not_whole_and_can_be_sorted_without_its_headings(
    site: Site, monkeypatch: pytest.MonkeyPatch, mark: str, shown: bool
) -> None:
    listed = Listed("learnosity_dataset", "a", "published", datetime.now(UTC), GROUP_TYPE, "id", mark=mark)
    monkeypatch.setattr(list_rows, "listed", lambda session, dags, **_: Found([listed], False))
    text = site.client.get("/?sort=size").text
    tags = re.findall(r'<span class="tag [^"]*">([^<]*)', text)
    assert tags == (["published", mark] if shown else ["published"])
    (sorts,) = re.findall(r'<nav class="sorts".*?</nav>', text, re.DOTALL)
    (headings,) = re.findall(r"<thead>.*?</thead>", text, re.DOTALL)
    assert links(sorts) == links(headings)
    assert len(links(sorts)) == 8
    assert sorts.count('aria-current="true"') == 1


@pytest.mark.parametrize(
    "data",
    [None, [], {"dag": None}, {"dag": {"params": 7}}, {"dag": {"params": [7, ["dataset_type"], ["dataset_type", 7]]}}],
)
def test_a_dag_that_cannot_be_read_has_no_default_type(data: Any) -> None:
    assert default_type(data) == ""


def test_the_default_type_is_that_of_the_dag_as_airflow_stores_it() -> None:
    assert default_type(DagSerialization.to_dict(dataset_dag(auto_register=False))) == GROUP_TYPE


def test_datasets_of_a_run_have_the_label_of_their_type(site: Site) -> None:
    site.publish(GROUPS)
    site.publish(FILES, ANALYSIS, dataset_id=OTHER_ID, task_id="items.land.publish")
    text = words(site.get().text)
    for said in ("Activity summary by group (large group report) activity-summary-by-group", ANALYSIS):
        assert said in text


TABLES = {
    "csv": b"item_reference,p_value,discrimination_index\nhard-one,0.1,-0.2\nfine-one,0.5,0.4\n",
    "ndjson": b'{"item_reference": "hard-one", "p_value": 0.1, "discrimination_index": -0.2}\n'
    b'{"item_reference": "fine-one", "p_value": 0.5, "discrimination_index": 0.4}\n',
}


@pytest.mark.parametrize("kind", TABLES)
def test_an_analysis_without_json_has_its_questions_all_the_same(site: Site, kind: str) -> None:
    site.publish({f"items.{kind}": TABLES[kind]}, ANALYSIS, left_out=1, include=(f"*.{kind}",))
    page = site.get().text
    assert "check the key" in page
    assert "hard-one" in page
    assert "fine-one" not in site.get(only="flagged").text
    assert site.get("/csv", only="flagged").text.splitlines()[1:] == ["hard-one,0.1,-0.2"]
    use = site.get("/use")
    assert use.status_code == 200
    assert "Read it with" not in use.text


@pytest.mark.parametrize(("questions", "parts"), [(4, True), (2, False), (None, False)])
def test_an_analysis_in_parts_says_that_a_file_has_only_a_part(site: Site, questions: int | None, parts: bool) -> None:
    rows = [{"item_reference": f"i{number}", "p_value": 0.5} for number in range(4)]
    files = {"part-0.json": msgspec.json.encode(rows[:2]), "part-1.json": msgspec.json.encode(rows[2:])}
    site.publish(files, ANALYSIS, returned=Returned(questions=questions))
    assert ("Shown are 2 of the 4 questions of this dataset" in words(site.get().text)) is parts
    use = words(site.get("/use").text)
    assert ("Read it with" in use) is not parts
    assert ("The questions are in several files" in use) is parts
    assert "Shown are" not in words(site.get(group="part-1").text)


def test_groups_without_json_are_drilled_into(site: Site) -> None:
    site.publish(
        {
            "groups/group.csv": b"group_name,population\nnorth,2\nsouth,1\n",
            "groups/north/group.csv": b"user_id,score\nu1,1\nu2,2\n",
        }
    )
    assert f"{PAGE}?group=north" in links(site.get().text)
    assert "u2" in site.get(group="north").text
    assert site.get("/zip", group="north").status_code == 200


@pytest.mark.parametrize("kind", ["json", "csv", "ndjson"])
def test_where_there_is_json_no_other_file_counts(site: Site, kind: str) -> None:
    site.publish({"a/items.json": TABLES["ndjson"].splitlines()[0], f"items.{kind}": TABLES.get(kind, b"[]")}, ANALYSIS)
    assert ("hard-one" in site.get().text) is (kind != "json")


@pytest.mark.parametrize("datasets", [0, 1, 2])
def test_a_run_that_failed_without_a_failed_task_says_why_beside_its_datasets(site: Site, datasets: int) -> None:
    for number, dataset_id in enumerate([DATASET_ID, OTHER_ID][:datasets]):
        site.publish(GROUPS, dataset_id=dataset_id, map_index=number)
    ended = Progress("Failed", False, None, None, (), (), None, True, why=NO_TASK_FAILED)
    site.run = replace(site.run, state="failed", progress=ended)
    page = words(site.get().text)
    assert NO_TASK_FAILED in page
    assert datasets == 1 or "Failed" in page


@pytest.mark.parametrize("trouble", ["", "GET jobs: HTTP 503. The Learnosity connection was 'x', the host <b>."])
def test_a_wait_whose_polls_fail_says_why(site: Site, trouble: str) -> None:
    jobs = (WaitedFor("wait_for_job", "running", datetime.now(UTC), trouble),)
    now = Progress("Waiting for Learnosity's job", True, None, None, (), (), None, True, jobs)
    site.run = replace(site.run, state="running", progress=now)
    page = site.get().text
    assert ("The job cannot be asked at the moment, and is asked again: GET jobs" in page) is bool(trouble)
    assert "<b>" not in page


@pytest.mark.parametrize("going", [True, False])
@pytest.mark.parametrize("tab", ["", "/files"])
def test_a_dataset_of_a_run_that_was_cleared_says_that_the_run_goes_on(site: Site, tab: str, going: bool) -> None:
    site.publish(GROUPS)
    now = Progress("Landing the result files", going, None, None, (), (), None, True)
    site.run = replace(site.run, state="running" if going else "success", progress=now)
    assert ("The run of this page goes on: Landing the result files." in words(site.get(tab).text)) is going


def test_the_page_of_several_datasets_says_in_which_task_the_run_failed(site: Site) -> None:
    for number, dataset_id in enumerate((DATASET_ID, OTHER_ID)):
        site.publish(GROUPS, dataset_id=dataset_id, map_index=number)
    trouble = Trouble("b.wait_for_job", 1, "halted.", "Clear it.", "/dags/x")
    ended = Progress("Failed in b.wait_for_job", False, None, None, (trouble,), (), None, True)
    site.run = replace(site.run, state="failed", progress=ended)
    assert "2 of 2 published. Failed in b.wait_for_job. Choose one." in words(site.get().text)


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
def test_files_are_found_however_their_accents_are_written(site: Site, written: Any, typed: Any) -> None:
    path = f"groups/{normalize(written, 'lycée')}/group.json"
    site.publish({"groups/group.json": b"{}", path: b"{}"})
    assert "1 of 2 files" in words(site.get("/files", q=normalize(typed, "LYCÉE")).text)
