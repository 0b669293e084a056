"""The page of an item analysis, and the figures on the pages of groups and classes."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.dataset.item_flags import Flag, Thresholds
from learnosity.dataset.layout import DatasetLayout
from learnosity.web import plots
from learnosity.web.addresses import file_address
from learnosity.web.item_analysis import ItemQuery, NotAThresholdError, own_files
from tests.unit.web import test_app
from tests.unit.web.test_app import DATASET_ID, EVIL, GROUP_TYPE, GROUPS, Markup, Site, links

site = test_app.site
HERE = "/run/learnosity_dataset/manual__1"
ANALYSIS = "ibk-analysis-by-question"


def item(name: str, p_value: Any, discrimination: Any, **more: Any) -> dict[str, Any]:
    return {
        "item_reference": name,
        "question_reference": f"{name}_q1",
        "p_value": p_value,
        "discrimination_index": discrimination,
        **more,
    }


ROWS = [
    item("fine", 0.6, 0.45, count_sessions=900),
    item("weak", 0.5, 0.15, count_sessions=900),
    item("keyed", 0.4, -0.2, count_sessions=900),
    item("hard", 0.1, 0.3, count_sessions=900),
    item("easy", 0.95, 0.3, count_sessions=12),
]
OWN = {f"items/{row['item_reference']}.json": msgspec.json.encode(row) for row in ROWS[1:]}
FILES = {"items.json": msgspec.json.encode(ROWS), "items.csv": b"item_reference\nfine\n", **OWN}


def shown(page: str) -> list[str]:
    """The items of the rows of a page."""
    return re.findall(r'<th scope="row">(?:<a [^>]*>)?([^<]*)', page)


class TestItems:
    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ({}, ["fine", "weak", "keyed", "hard", "easy"]),
            ({"only": "flagged"}, ["weak", "keyed", "hard", "easy"]),
            ({"only": "key"}, ["keyed"]),
            ({"only": "poor"}, ["weak"]),
            ({"only": "hard"}, ["hard"]),
            ({"only": "easy"}, ["easy"]),
            ({"only": "poor", "poor": "0.4"}, ["weak", "hard", "easy"]),
            ({"only": "hard", "hard": "0.45"}, ["keyed", "hard"]),
            ({"only": "easy", "easy": "0.55"}, ["fine", "easy"]),
            ({"only": "flagged", "hard": "", "easy": " ", "sort": "p_value"}, ["hard", "keyed", "weak", "easy"]),
        ],
    )
    def test_the_rows_are_those_of_the_flag(self, site: Site, query: dict[str, str], expected: list[str]) -> None:
        site.publish(FILES, ANALYSIS)
        assert shown(site.get(**query).text) == expected

    def test_flags_stand_in_words(self, site: Site) -> None:
        site.publish(FILES, ANALYSIS)
        rows = {name: row for row in site.get().text.split("<tr") for name in ("keyed", "easy") if f">{name}<" in row}
        assert "check the key" in rows["keyed"]
        assert "too easy" in rows["easy"]
        assert "few sessions" in rows["easy"]
        assert "1 of the questions rest on fewer than 100 sessions" in site.get().text

    def test_a_row_and_a_point_lead_to_the_items_own_file(self, site: Site) -> None:
        site.publish(FILES, ANALYSIS)
        page = site.get().text
        here = "/run/learnosity_dataset/manual__1"
        assert [f"{here}/view/items/{name}.json" in links(page) for name in ("weak", "hard", "fine")] == [
            True,
            True,
            False,
        ]
        data = re.search(r'id="scatter-data">(.*?)</script>', page)
        assert data is not None
        content = msgspec.json.decode(data[1].replace("\\u0026", "&"))
        paths = {label: path for _, _, label, _, _, path in content["points"]}
        assert paths == {
            "fine_q1": "",
            **{f"{row['item_reference']}_q1": f"items/{row['item_reference']}.json" for row in ROWS[1:]},
        }
        assert site.client.get(content["here"] + paths["weak_q1"]).status_code == 200

    @pytest.mark.parametrize("unusable", [0, 1])
    @pytest.mark.parametrize("more", [-1, 0, 1])
    def test_points_that_are_left_out_are_said_and_no_others(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, more: int, unusable: int
    ) -> None:
        monkeypatch.setattr(plots, "MAX_POINTS", 3)
        rows = [item(f"i{number}", 0.5, 0.3) for number in range(3 + more)] + [item("none", None, None)] * unusable
        site.publish({"items.json": msgspec.json.encode(rows)}, ANALYSIS)
        assert ("Only the first of the points are drawn" in site.get().text) == (more > 0)

    @pytest.mark.parametrize("name", ["a.json", "a b.json", "a%20b.json", "a%2Fb.json", "50%25.json", "a%3Fb.json"])
    def test_the_file_of_a_question_has_one_address_everywhere(self, site: Site, name: str) -> None:
        path = f"items/{name}"
        row = item(unquote(name).removesuffix(".json"), 0.5, 0.1)
        site.publish({"items.json": msgspec.json.encode([row]), path: msgspec.json.encode(row)}, ANALYSIS)
        page = site.get().text
        address = file_address(HERE, path)
        assert address in links(page)
        content = msgspec.json.decode(re.findall(r'id="scatter-data">(.*?)</script>', page)[0].replace("\\u0026", "&"))
        assert content["here"] + content["points"][0][5] == address

    def test_every_link_of_the_page_keeps_what_was_asked_for(self, site: Site) -> None:
        site.publish({"items.json": msgspec.json.encode(ROWS * 60)}, ANALYSIS)
        query = {"hard": "0.45", "easy": "0.8", "poor": "0.5", "only": "flagged"}
        page = site.get(**query, sort="p_value", direction="desc", page=2).text
        own = [parse_qs(urlsplit(link).query) for link in links(page) if link.startswith("?")]
        assert len(own) > 10
        for found in own:
            assert found["hard"] == ["0.45"]
            assert found["easy"] == ["0.8"]
            assert found["poor"] == ["0.5"]
        paged = [found for found in own if "page" in found]
        assert len(paged) == 2
        assert all(found["only"] == ["flagged"] and found["sort"] == ["p_value"] for found in paged)
        fields = dict(re.findall(r'<input[^>]* name="(\w+)"[^>]* value="([^"]*)"', page))
        assert fields == query | {"sort": "p_value", "direction": "desc"}

    @pytest.mark.parametrize(
        "query",
        [
            {"hard": "x"},
            {"easy": "1.1"},
            {"poor": "-2"},
            {"hard": "nan"},
            {"easy": "inf"},
            {"hard": "0.95"},
            {"only": "nice"},
            {"easy": "9" * 30},
        ],
    )
    def test_a_threshold_that_cannot_be_is_answered_in_words(self, site: Site, query: dict[str, str]) -> None:
        site.publish(FILES, ANALYSIS)
        reply = site.get(**query)
        assert reply.status_code == 422
        assert next(iter(query)) in reply.text.lower()

    @pytest.mark.parametrize(
        "rows",
        [
            pytest.param([item("only", 0.5, 0.3)], id="one row"),
            pytest.param([{"item_reference": "bare"}], id="no statistics"),
            pytest.param([item("none", None, None)], id="null"),
            pytest.param([item("odd", "n/a", True, count_sessions="many")], id="no numbers"),
            pytest.param([item("huge", 10**400, -(10**400), count_sessions=10**400)], id="huge"),
            pytest.param([item("percent", 62.5, 3)], id="out of range"),
            pytest.param([item(EVIL, 0.1, -0.5)], id="evil"),
            pytest.param([{"p_value": 0.5, "discrimination_index": 0.5}], id="no name"),
            pytest.param([item("same", 0.1, 0.1)] * 3, id="the same name"),
        ],
    )
    def test_odd_rows_make_a_page(self, site: Site, rows: list[dict[str, Any]]) -> None:
        site.publish({"items.json": msgspec.json.encode(rows)}, ANALYSIS)
        for query in ({}, {"only": "flagged"}, {"sort": "p_value"}):
            reply = site.get(**query)
            assert reply.status_code == 200
            assert Markup(reply.text).dangers == []
        assert f"<dd>{len(rows)}</dd>" in site.get().text

    def test_not_a_number_in_a_csv_makes_a_page(self, site: Site) -> None:
        content = b"item_reference,p_value,discrimination_index\na,NaN,Infinity\nb,0.5,0.5\n"
        site.publish({"items.csv": content, "root.json": b"{}"}, ANALYSIS)
        reply = site.get("/view/items.csv")
        assert reply.status_code == 200
        assert "NaN" in reply.text


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["items/a.json", "items/b.json"], {"a_q1": "items/a.json"}),
        (["deep/er/a.json", "x/a.json", "a.csv"], {"a_q1": "x/a.json"}),
        (["questions/a_q1.json", "items/a.json"], {"a_q1": "questions/a_q1.json"}),
        (["items/other.json", "items/a"], {}),
    ],
)
def test_an_items_own_file_is_named_like_it(paths: list[str], expected: dict[str, str]) -> None:
    assert own_files(paths, [item("a", 0.5, 0.5)]) == expected


def test_the_name_of_an_own_file_may_be_encoded() -> None:
    assert own_files(["items/a%2Fb%20c.json"], [{"item_reference": "a/b c"}]) == {"a/b c": "items/a%2Fb%20c.json"}


TEXTS = st.one_of(st.text(max_size=8), st.floats(-2, 2).map(str))


@given(TEXTS, TEXTS, TEXTS, st.sampled_from(["", "flagged", *Flag]))
def test_any_texts_are_thresholds_or_refused_and_what_is_kept_is_what_was_asked(
    hard: str, easy: str, poor: str, only: str
) -> None:
    try:
        asked = ItemQuery.of(hard=hard, easy=easy, poor=poor, only=only)
    except NotAThresholdError as error:
        assert str(error)
        return
    again = {name: values[0] for name, values in parse_qs(asked.query).items()}
    kept = ItemQuery.of(**({"hard": "", "easy": "", "poor": "", "only": ""} | again))
    assert kept.only == asked.only
    for name in ("hard", "easy", "poor"):
        assert getattr(kept.at, name) == getattr(asked.at, name)
        assert len(again.get(name, "")) <= 30  # a page refuses a longer threshold in its address
    assert ItemQuery.of(hard="", easy="", poor="", only="").at == Thresholds()


def stats(name: str, mean: float, population: int = 40) -> dict[str, Any]:
    quartiles = {"p25_percent": mean - 10, "median_percent": mean, "p75_percent": mean + 10}
    return {"group_name": name, "population": population, "mean_percent": mean, **quartiles}


def class_files(users: list[dict[str, Any]], **more: Any) -> dict[str, bytes]:
    content = {
        "group": stats("1a", 55.5, 2),
        "ancestors": [stats("", 60.25, 900), stats("north", 50.5, 90)],
        "groups": [],
        "users": users,
    }
    return {
        "groups/group.json": GROUPS["groups/group.json"],
        "groups/north/group.json": GROUPS["groups/north/group.json"],
        "groups/north/1a/group.json": msgspec.json.encode(content | more),
    }


USERS = [{"user_id": "u1", "score": 3, "max_score": 4}, {"user_id": "u2", "score": 1, "max_score": 4}]


class TestClass:
    def test_a_class_stands_against_the_groups_above(self, site: Site) -> None:
        site.publish(class_files(USERS))
        page = site.get(group=["north", "1a"]).text
        table = page.partition("Against the groups above</h2>")[2].partition("</table>")[0]
        assert shown(table) == ["School 1a", "Region north", "All"]
        assert "+5.0" in table
        assert "−4.8" in table
        assert "median 55.5%, upper quartile 65.5%, highest 65.5%; 2 users" in table
        assert "Axis: 0%, 50%, 100%" in table

    @pytest.mark.parametrize("above", [["north"], ["1a"], ["1a", "1a", "1a"], ["", "1a", ""], [""]])
    def test_only_the_class_has_dots_whatever_the_groups_above_are_called(self, site: Site, above: list[str]) -> None:
        site.publish(class_files(USERS, ancestors=[stats("", 60.25), *(stats(name, 50.5) for name in above)]))
        manifest = site.folder / DatasetLayout(GROUP_TYPE, DATASET_ID).manifest
        content = msgspec.json.decode(manifest.read_bytes())
        content["request"]["groups"] = [{"key": f"k{number}", "label": "Unit"} for number in range(5)]
        manifest.write_bytes(msgspec.json.encode(content))
        page = site.get(group=["north", "1a"]).text
        rows = page.partition("Against the groups above</h2>")[2].partition("</tbody>")[0].split("<tr")[2:]
        assert [row.count('class="dot"') for row in rows] == [2, *[0] * (len(above) + 1)]

    def test_a_class_has_percents_a_summary_and_a_last_row(self, site: Site) -> None:
        site.publish(class_files(USERS))
        page = site.get(group=["north", "1a"]).text
        assert "With a result" in page
        users = page.partition(">Users</h2>")[2].partition("</table>")[0]
        rows = re.findall(r"<tr.*?</tr>", users, re.DOTALL)
        cells = [re.findall(r">([^<>]+)</t[dh]>", row) for row in rows]
        assert cells[1:] == [["u1", "75", "3", "4"], ["u2", "25", "1", "4"], ["Mean", "50.0", "2.0", "4.0"]]

    def test_the_last_row_of_groups_is_that_of_the_group(self, site: Site) -> None:
        site.publish(GROUPS)
        last = site.get().text.partition("<tfoot>")[2]
        assert shown(last)[0] == "All"
        assert "median 50%" in last

    @pytest.mark.parametrize(
        ("below", "own", "last"),
        [((50, 60), 56.6667, "56.7"), ((50.25, 60), 57, "57.0"), ((50, 60), 57, "57"), ((50, 60), None, "")],
    )
    def test_the_last_row_of_groups_is_as_exact_as_those_above_it(
        self, site: Site, below: tuple[float, float], own: float | None, last: str
    ) -> None:
        groups = [{"group_name": name, "mean_percent": mean} for name, mean in zip("ab", below, strict=True)]
        content = {"group": {"group_name": "", "mean_percent": own, "population": 9}, "groups": groups}
        site.publish({"groups/group.json": msgspec.json.encode(content)})
        table = site.get().text.partition("<tbody>")[2].rpartition("</tfoot>")[0]
        cells = re.findall(r'<td class="number">([^<]*)</td>', table)
        assert cells[-1] == last
        assert len({len(cell.partition(".")[2]) for cell in cells if cell}) == 1

    def test_groups_without_a_row_of_their_own_have_the_sum_of_their_users(self, site: Site) -> None:
        site.publish({"groups/group.json": msgspec.json.encode([stats("a", 40, 12), stats("b", 60, 30)])})
        last = site.get().text.partition("<tfoot>")[2].partition("</tfoot>")[0]
        assert ">42<" in last
        assert "50" not in last

    @pytest.mark.parametrize(
        ("users", "more"),
        [
            pytest.param([{"user_id": "one", "score": 1, "max_score": 2}], {}, id="one user"),
            pytest.param([{"user_id": "u", "score": None, "max_score": 0}], {}, id="no session"),
            pytest.param([{"user_id": "u"}], {"group": {"group_name": "1a"}}, id="no figures"),
            pytest.param([{"user_id": "u", "score": 10**400, "max_score": 10**400}] * 2, {}, id="huge"),
            pytest.param([{"user_id": "u", "score": "1", "max_score": [2]}] * 2, {}, id="no numbers"),
            pytest.param(USERS, {"ancestors": [{}]}, id="odd groups above"),
            pytest.param(USERS, {"ancestors": [stats(EVIL, 5)] * 30, "group": stats(EVIL, 1)}, id="evil and many"),
            pytest.param(USERS, {"group": [], "ancestors": "none"}, id="other shapes"),
            pytest.param(USERS, {"group": stats("1a", 5) | {"mean_percent": 10**400, "p25_percent": 1e99}}, id="big"),
        ],
    )
    def test_odd_classes_make_a_page(self, site: Site, users: list[dict[str, Any]], more: dict[str, Any]) -> None:
        site.publish(class_files(users, **more))
        for query in ({}, {"sort": "percent"}):
            reply = site.get(group=["north", "1a"], **query)
            assert reply.status_code == 200
            assert Markup(reply.text).dangers == []
            assert users[0]["user_id"] in reply.text


@pytest.mark.parametrize("view", ["", "/view/items.json"])
def test_values_that_json_does_not_have_leave_the_table_and_are_told(site: Site, view: str) -> None:
    rows = (
        b'{"item_reference":"a","p_value":NaN,"discrimination_index":Infinity}',
        b'{"item_reference":"b","p_value":0.5,"discrimination_index":0.3}',
    )
    site.publish({"items.json": b"[%b]" % b",".join(rows)}, "ibk-analysis-by-question")
    page = site.get(view).text
    assert ">a<" in page
    assert ">0.500<" in page
    assert "2 values of this file are NaN" in page
    assert "No table is shown" not in page


@pytest.mark.parametrize("row", [b"a,0.5,0.3", b"a,0.5,0.5,more", b"a,0.5,0.5"])
def test_cells_of_csv_that_are_in_no_column_are_told(site: Site, row: bytes) -> None:
    site.publish({"items.csv": b"item_reference,p_value,p_value\n" + row + b"\n"}, "ibk-analysis-by-question")
    page = site.get("/view/items.csv").text
    assert ("Some cells of this file are not shown" in page) is (row != b"a,0.5,0.5")


@pytest.mark.parametrize(
    ("content", "told"), [(b'[{"item_reference":', "not valid JSON"), (b'"x"', "nothing in this file is recognised")]
)
def test_the_text_of_a_file_says_why_there_is_no_table(site: Site, content: bytes, told: str) -> None:
    site.publish({"items.json": content}, "ibk-analysis-by-question")
    page = site.get().text
    assert told in page.partition("<pre")[0]
    assert "<pre" in page


def test_an_empty_result_is_not_told_to_be_odd(site: Site) -> None:
    site.publish({"items.json": b"[]"}, "ibk-analysis-by-question")
    assert "No table is shown" not in site.get().text
