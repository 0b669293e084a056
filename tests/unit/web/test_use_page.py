"""What is taken away from a dataset: CSV of every table as it is filtered and sorted, ZIP of files, code for tools."""

from __future__ import annotations

import csv
import gzip
import html
import io
import os
import re
import tracemalloc
from datetime import UTC, datetime
from typing import Any
from zipfile import ZipFile

import msgspec
import pytest
from fastapi.testclient import TestClient

from learnosity.dataset.manifest import FileEntry
from learnosity.errors import ConnectionConfigError, StorageError, TransientStorageError
from learnosity.lookups import LookupFailedError
from learnosity.web import exports, list_rows, use_page
from learnosity.web.app import app
from learnosity.web.exports import CSV_CELL, csv_of
from learnosity.web.list_rows import Found, Listed
from tests.unit.dataset.test_snippets import RUN
from tests.unit.web.test_app import GROUP_TYPE, GROUPS, ITEMS, OTHER_ID, Site, group, row, site

__all__ = ["site"]


# Groups whose names begin alike and have dots; each has files and mostly a folder of its name. The files of one group
# must not be found by the beginning of the name alone: `aa` is not `aa.b`.
DOTTED = {
    path: group(["x"])
    for name in ("a", "aa", "aa.b", "aab")
    for path in (f"{name}.json", f"{name}.csv", f"{name}/s.json")
    if path != "a/s.json"
} | {"aa.json.json": group(["x"])}


def table(reply: Any) -> list[list[str]]:
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert reply.headers["content-disposition"].startswith("attachment")
    assert reply.headers["content-security-policy"] == "default-src 'none'; sandbox"
    return list(csv.reader(io.StringIO(reply.content.decode("utf-8-sig"), newline="")))


def names(reply: Any) -> list[str]:
    return [row[0] for row in table(reply)[1:]]


class TestCsv:
    def test_the_groups_as_they_are_sorted(self, site: Site) -> None:
        site.publish(GROUPS)
        rows = table(site.get("/csv"))
        assert rows[0][:2] == ["group_name", "population"]
        assert names(site.get("/csv")) == ["north", "south"]
        assert names(site.get("/csv", sort="median_percent", direction="desc")) == ["south", "north"]

    def test_users_of_a_group(self, site: Site) -> None:
        site.publish(GROUPS)
        reply = site.get("/csv", group=["north", "school 1"])
        assert names(reply) == ["u1", "u2"]
        assert "school%201-" in reply.headers["content-disposition"]

    def test_questions_as_they_are_filtered(self, site: Site) -> None:
        site.publish(ITEMS, "ibk-analysis-by-question")
        page = site.get().text
        assert names(site.get("/csv")) == ["good-item", "weak-item"]
        (flagged,) = {html.unescape(each) for each in re.findall(r'href="\?([^"]*flagged[^"]*)"', page)} or {""}
        assert names(site.client.get(f"/run/learnosity_dataset/manual__1/csv?{flagged}")) == ["weak-item"]

    def test_every_table_of_a_file(self, site: Site) -> None:
        site.publish(GROUPS)
        file = "groups/north/school%201/group.json"
        found = [site.get("/csv/-", file=file, table=number) for number in range(9)]
        tables = [table(each) for each in found if each.status_code == 200]
        assert ["user_id", "score"] in [each[0] for each in tables]
        assert {each.status_code for each in found} == {200, 404}
        page = site.get("/view/-", file=file).text
        links = [html.unescape(each) for each in re.findall(r'href="(/[^"]*/csv/[^"]*)"', page)]
        assert [table(site.client.get(each)) for each in links] == tables

    def test_the_list_of_files_as_it_is_searched(self, site: Site) -> None:
        site.publish(GROUPS)
        assert names(site.get("/files.csv")) == sorted(GROUPS)
        assert names(site.get("/files.csv", q="north")) == [name for name in sorted(GROUPS) if "north" in name]

    def test_a_file_without_a_table_has_none(self, site: Site) -> None:
        site.publish({"notes.txt": b"hello"})
        assert site.get("/csv/notes.txt").status_code == 404
        assert site.get("/csv").status_code == 404
        assert site.get("/csv/no-such.json").status_code == 404

    def test_the_list_of_datasets_as_it_is_filtered(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        now = datetime(2026, 11, 28, tzinfo=UTC)
        rows = [
            Listed("learnosity_dataset", "a", "published", now, GROUP_TYPE, "id", ("maths", "reading"), 4, 5, 6),
            Listed("learnosity_dataset", "b", "failed", now),
        ]
        monkeypatch.setattr(list_rows, "listed", lambda session, dags, **_: Found(rows if dags else [], False))
        found = table(site.client.get("/datasets.csv?state=published"))
        assert [dict(zip(found[0], row, strict=True)) for row in found[1:]] == [
            {
                "dag_id": "learnosity_dataset",
                "run_id": "a",
                "state": "published",
                "at": "2026-11-28T00:00:00+00:00",
                "dataset_type": GROUP_TYPE,
                "dataset_id": "id",
                "activities": "maths, reading",
                "records": "4",
                "file_count": "5",
                "total_bytes": "6",
                "mark": "",
            }
        ]
        site.client.cookies.set("_token", "stranger")
        assert table(site.client.get("/datasets.csv"))[1:] == []
        site.client.cookies.clear()
        assert site.client.get("/datasets.csv").status_code == 401

    @pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
    def test_a_text_like_a_formula_is_no_formula_in_a_spreadsheet(self, text: str) -> None:
        rows = list(csv.reader(io.StringIO(csv_of([text], [{text: text}]).decode("utf-8-sig"), newline="")))
        assert rows == [[f"'{text}"], [f"'{text}"]]

    @pytest.mark.parametrize("begin", ["", "="])
    @pytest.mark.parametrize("sign", ["a", "é", "\N{GRINNING FACE}", "a\N{GRINNING FACE}"])
    def test_a_long_text_is_cut_to_what_a_cell_of_excel_takes(self, sign: str, begin: str) -> None:
        text = begin + sign * CSV_CELL
        ((cell,), _) = csv.reader(io.StringIO(csv_of([text], [{}]).decode("utf-8-sig"), newline=""))
        units = len(cell.encode("utf-16-le")) // 2  # a cell takes at most 32,767 of them
        assert CSV_CELL - 1 <= units <= CSV_CELL + len(begin)
        assert text.startswith(cell.removeprefix("'"))
        short = text[: CSV_CELL // 2]
        assert csv_of([short], []).decode("utf-8-sig").strip().removeprefix("'") == short

    def test_other_values_stay_as_they_are(self) -> None:
        row = {"a": -1.5, "b": None, "c": 'x "y", z\n', "d": {"k": [1]}, "e": True, "f": "é"}
        rows = list(csv.reader(io.StringIO(csv_of(list(row), [row, {}]).decode("utf-8-sig"), newline="")))
        assert rows[1:] == [["-1.5", "", 'x "y", z\n', '{"k": [1]}', "True", "é"], [""] * 6]


class TestZip:
    def test_all_files_as_they_landed(self, site: Site) -> None:
        site.publish(GROUPS)
        reply = site.get("/zip")
        assert reply.headers["content-type"] == "application/zip"
        with ZipFile(io.BytesIO(reply.content)) as archive:
            assert archive.testzip() is None
            assert {name: archive.read(name) for name in archive.namelist()} == GROUPS

    @pytest.mark.parametrize(
        ("files", "path", "found"),
        [
            (GROUPS, ["north"], ["groups/north/group.json", "groups/north/school%201/group.json"]),
            (GROUPS, ["north", "school 1"], ["groups/north/school%201/group.json"]),
            (
                {"all.json": group([]), "north.json": group(["north"]), "north.csv": b"a", "north/s.json": group(["s"])}
                | {"northern.json": group(["northern"])},
                ["north"],
                ["north.csv", "north.json", "north/s.json"],
            ),
            (DOTTED, ["aa"], ["aa.csv", "aa.json", "aa/s.json"]),
            (DOTTED, ["aa.b"], ["aa.b.csv", "aa.b.json", "aa.b/s.json"]),
            (DOTTED, ["aa.json"], ["aa.json.json"]),
        ],
    )
    def test_the_files_of_a_group_and_below(
        self, site: Site, files: dict[str, bytes], path: list[str], found: list[str]
    ) -> None:
        site.publish(files)
        with ZipFile(io.BytesIO(site.get("/zip", group=path).content)) as archive:
            assert sorted(archive.namelist()) == found

    def test_a_group_that_is_not_there_is_not_found(self, site: Site) -> None:
        site.publish(GROUPS)
        assert site.get("/zip", group="west").status_code == 404
        assert site.get("/csv", group="west").status_code == 404

    def test_a_compressed_file_keeps_its_bytes_and_is_named_so(self, site: Site) -> None:
        packed = gzip.compress(b"{}")
        site.publish({"a.json": packed}, content_encoding="gzip")
        with ZipFile(io.BytesIO(site.get("/zip").content)) as archive:
            assert {name: archive.read(name) for name in archive.namelist()} == {"a.json.gz": packed}

    @pytest.mark.parametrize(
        "paths",
        [
            ["a.json", "a.json.gz"],
            ["a.json", "a.json.1.gz", "a.json.gz"],
            ["a.json", "a.json.gz", "a.json.gz.gz"],
            ["a.json", "a.json.gz/b.json"],
            ["b/a.json", "b/a.json.gz/c/d.json"],
        ],
    )
    @pytest.mark.parametrize("packed", range(4))
    def test_every_file_has_a_name_of_its_own(self, paths: list[str], packed: int) -> None:
        entries = [
            FileEntry(path, 1, "", "x", None if packed >> place & 1 else "gzip") for place, path in enumerate(paths)
        ]
        pieces = exports._pieces(entries, lambda entry: iter([entry.path.encode()]))
        with ZipFile(io.BytesIO(b"".join(pieces))) as archive:
            names = archive.namelist()
            assert [archive.read(name).decode() for name in names] == paths
        assert len(set(names)) == len(paths)
        assert not [name for name in names for other in names if other.startswith(f"{name}/")]
        for entry, name in zip(entries, names, strict=True):
            assert name.startswith(entry.path)
            assert name.endswith(".gz") if entry.content_encoding else name == entry.path

    def test_a_file_that_was_changed_makes_no_whole_zip(self, site: Site) -> None:
        site.publish(GROUPS)
        changed = site.folder / GROUP_TYPE / "33285a4b-0e6e-47e4-bade-78999ada14db" / "data/groups/south/group.json"
        changed.write_bytes(b"other")
        client = TestClient(app, cookies={"_token": "teacher"}, raise_server_exceptions=False)
        assert client.get("/run/learnosity_dataset/manual__1/zip").status_code == 409

    def test_it_takes_little_memory_however_large_the_files_are(self) -> None:
        chunk, chunks = bytes(64 * 1024), 1_000
        entries = [FileEntry(f"{number}.bin", len(chunk) * chunks, "", "x") for number in range(2)]
        tracemalloc.start()
        try:
            sizes = [len(each) for each in exports._pieces(entries, lambda entry: iter([chunk] * chunks))]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert sum(sizes) > 2 * chunks * len(chunk)
        assert max(sizes) < 1024 * 1024
        assert peak < 8 * 1024 * 1024


class TestUsePage:
    def test_it_names_the_manifest_and_has_code_for_each_tool(self, site: Site) -> None:
        site.publish(GROUPS)
        page = site.get("/use").text
        assert f"{site.folder.as_uri()}/{GROUP_TYPE}/33285a4b-0e6e-47e4-bade-78999ada14db/manifest.json" in page
        assert [tool in page for tool in ("DuckDB", "pandas", "Polars", "Spark")] == [True] * 4
        assert "learnosity_to_parquet" in page

    def test_it_finds_the_parquet_files_beside_the_destination(self, site: Site) -> None:
        site.publish(GROUPS)
        folder = site.folder.with_name(f"{site.folder.name}_parquet") / GROUP_TYPE
        folder = folder / "33285a4b-0e6e-47e4-bade-78999ada14db"
        folder.mkdir(parents=True)
        (folder / "groups.parquet").write_bytes(b"PAR1")
        page = html.unescape(site.get("/use").text)
        assert f"{folder.as_uri()}/groups.parquet" in page
        assert f'pd.read_parquet("{folder}/groups.parquet")' in page

    @pytest.mark.parametrize(
        "error",
        [
            StorageError("403 AccessDenied"),
            TransientStorageError("timeout"),
            ConnectionConfigError("no such connection"),
            LookupFailedError("vault"),
        ],
        ids=lambda error: type(error).__name__,
    )
    @pytest.mark.parametrize("when", ["opened", "asked", "asked again"])
    def test_a_place_that_cannot_be_looked_at_is_not_said_to_be_empty(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, error: Exception, when: str
    ) -> None:
        site.publish(GROUPS)
        asked: list[str] = []

        def opened(uri: str) -> Any:
            if when == "opened":
                raise error
            return None

        async def info_of(store: Any, path: str) -> Any:
            asked.append(path)
            if len(asked) > (when == "asked again"):
                raise error

        monkeypatch.setattr(use_page, "open_input_store", opened)
        monkeypatch.setattr(use_page, "info_of", info_of)
        page = site.get("/use").text
        assert "There are no Parquet files" not in page
        assert "could not be looked at" in page
        assert "Read it with" in page

    @pytest.mark.parametrize("bucket", [True, False])
    def test_a_place_that_is_not_there_has_no_files(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, bucket: bool
    ) -> None:
        site.publish(GROUPS)

        def no_place(_: str) -> str:
            raise StorageError("a whole bucket")

        if bucket:
            monkeypatch.setattr(use_page, "beside", no_place)
        assert "There are no Parquet files" in site.get("/use").text

    @pytest.mark.parametrize(
        ("parquet", "manifest", "shown"),
        [
            ("2026-11-24T03:10", "2026-11-24T03:00", True),
            ("2026-11-24T02:50", "2026-11-24T03:00", False),  # the dataset was landed again since
            ("2026-11-24T02:59", "2026-11-24T02:58", True),  # the worker's clock is ahead of the store's
            ("2026-12-24T02:50", "2026-12-24T03:00", True),  # both were copied later, the manifest last
        ],
    )
    def test_parquet_files_of_an_earlier_landing_are_not_those_of_the_dataset(
        self, site: Site, parquet: str, manifest: str, shown: bool
    ) -> None:
        site.publish(GROUPS)
        dataset = site.folder / GROUP_TYPE / "33285a4b-0e6e-47e4-bade-78999ada14db"
        folder = site.folder.with_name(f"{site.folder.name}_parquet") / GROUP_TYPE / dataset.name
        folder.mkdir(parents=True)
        (folder / "groups.parquet").write_bytes(b"PAR1")
        (folder / "users.parquet").write_bytes(b"PAR1")
        for file, at in ((folder / "groups.parquet", parquet), (dataset / "manifest.json", manifest)):
            seconds = datetime.fromisoformat(f"{at}+00:00").timestamp()
            os.utime(file, (seconds, seconds))
        page = html.unescape(site.get("/use").text)
        assert f"{folder.as_uri()}/users.parquet" in page
        assert (f"{folder.as_uri()}/groups.parquet" in page) == shown
        assert ("groups.parquet was written before this dataset was landed again" in page) == (not shown)
        (folder / "users.parquet").unlink()
        page = html.unescape(site.get("/use").text)
        assert ("pd.read_parquet" in page) == shown
        assert ("There are no Parquet files of this landing" in page) == (not shown)

    @pytest.mark.parametrize(
        ("files", "dataset_type", "found"),
        [
            (
                ITEMS | {"items/grade5_items.json": b'{"item_reference": "grade5_items", "p_value": 0.5}'},
                "ibk-analysis-by-question",
                [("good-item", None, None), ("weak-item", None, None)],
            ),
            (
                GROUPS,
                GROUP_TYPE,
                [
                    ("north", "groups/group.json", 1),
                    ("south", "groups/group.json", 1),
                    ("school 1", "groups/north/group.json", 2),
                ],
            ),
            (
                {"all.json": group([], ["north"]), "north.json": group(["north"], ["s"])},
                GROUP_TYPE,
                [("north", "all.json", None), ("s", "north.json", None)],
            ),
        ],
    )
    def test_its_code_reads_each_row_once_and_says_of_which_level_it_is(
        self, site: Site, files: dict[str, bytes], dataset_type: str, found: list[Any]
    ) -> None:
        site.publish(files, dataset_type)
        code = [html.unescape(each) for each in re.findall(r"<pre[^>]*>(.*?)</pre>", site.get("/use").text, re.DOTALL)]
        (pandas,) = [re.sub("</?code[^>]*>", "", each) for each in code if "pandas" in each]
        names: dict[str, Any] = {}
        exec(compile(pandas, "snippet", "exec"), names)
        rows = names["rows"]
        name = "item_reference" if dataset_type != GROUP_TYPE else "group_name"
        assert [(row[name], row.get("_file"), row.get("_level")) for row in rows] == found

    def test_its_code_reads_files_that_were_served_as_gzip(self, site: Site) -> None:
        site.publish({path: gzip.compress(content) for path, content in GROUPS.items()}, content_encoding="gzip")
        page = site.get("/use").text
        code = [html.unescape(each) for each in re.findall(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)]
        assert [tool in page for tool in ("DuckDB", "pandas", "Polars", "Spark")] == [True] * 4
        assert "Tried with PySpark" not in page
        (pandas,) = [re.sub("</?code[^>]*>", "", each) for each in code if "pandas" in each]
        names: dict[str, Any] = {}
        exec(compile(pandas, "snippet", "exec"), names)
        assert [row["group_name"] for row in names["rows"]] == ["north", "south", "school 1"]

    @pytest.mark.parametrize("files", [{"notes.txt": b"hello"}, {"a.json": b"[]"}, {"a.json": b"{"}])
    def test_without_known_rows_it_has_no_code(self, site: Site, files: dict[str, bytes]) -> None:
        site.publish(files)
        reply = site.get("/use")
        assert reply.status_code == 200
        assert "pandas" not in reply.text

    def test_a_program_that_names_no_dataset_is_told_so(self, site: Site) -> None:
        site.publish(GROUPS)
        site.publish(ITEMS, "ibk-analysis-by-question", dataset_id=OTHER_ID, task_id="items.land.publish", map_index=1)
        for route in ("/csv", "/zip", "/files.csv", "/csv/items.json"):
            assert site.get(route).status_code == 409
        assert names(site.get(f"/dataset/{OTHER_ID}/csv")) == ["good-item", "weak-item"]


def test_json_of_the_samples_is_what_the_code_expects() -> None:
    assert {"groups", "users"} <= msgspec.json.decode(GROUPS["groups/group.json"]).keys()


NORTH_AND_SOUTH = {"group": row(""), "groups": [row("north"), row("south")], "users": []}
QUESTIONS = [{"item_reference": name, "p_value": 0.5} for name in ("i1", "i2")]
SHAPES: dict[str, tuple[str, dict[str, Any], int | None]] = {
    "groups": (GROUP_TYPE, {"groups/group.json": NORTH_AND_SOUTH}, 2),
    "groups below a key": (GROUP_TYPE, {"groups/group.json": {"dataset_group": NORTH_AND_SOUTH}}, 2),
    "groups in the row of their group": (
        GROUP_TYPE,
        {"groups/group.json": {**row("all"), "groups": NORTH_AND_SOUTH["groups"]}},
        None,
    ),
    "users": (GROUP_TYPE, {"a.json": {"group": row(""), "users": [{"user_id": "u", "score": 1}]}}, 1),
    "users below keys": (GROUP_TYPE, {"a.json": {"b": {"c": {"people": [{"user_id": "u", "score": 1}] * 2}}}}, 2),
    "a list of users": (GROUP_TYPE, {"a.json": [{"user_id": "u", "score": 1}]}, 1),
    "questions": ("ibk-analysis-by-question", {"items.json": QUESTIONS}, 2),
    "questions below keys": ("ibk-analysis-by-question", {"items.json": {"data": {"items": QUESTIONS}}}, 2),
    "one question": ("ibk-analysis-by-question", {"items.json": QUESTIONS[0]}, None),
    "lines": ("ibk-analysis-by-question", {"items.ndjson": QUESTIONS[0]}, None),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_code_reads_the_rows_wherever_they_stand_or_there_is_none(site: Site, shape: str) -> None:
    dataset_type, files, rows = SHAPES[shape]
    site.publish({path: msgspec.json.encode(content) for path, content in files.items()}, dataset_type)
    page = site.get("/use").text
    code = dict(re.findall(r"<summary>(\w+)</summary>.*?<code id=\"code-\d\">(.*?)</code>", page, re.DOTALL))
    tools = [tool for tool in RUN if tool != "Spark"]  # Spark is run where its code is tested
    found = {tool: len(RUN[tool](html.unescape(code[tool]))) for tool in tools if tool in code}
    assert found == (dict.fromkeys(tools, rows) if rows else {})
