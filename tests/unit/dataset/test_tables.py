"""Result files are told by the names of their fields and places, because their shape is not documented."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.dataset.group_files import MAX_GROUP_DEPTH, group_files
from learnosity.dataset.limits import MAX_COLUMNS, PAGE
from learnosity.dataset.tables import Document, Kind, json_text, sorted_rows
from learnosity.dataset.tables import read_document as read_limited
from learnosity.landing.listing import group_file_name


def read_document(path: str, content: bytes) -> Document:
    """A whole file, as a task reads it."""
    document = read_limited(path, content)
    assert document is not None
    assert not document.cut
    return document


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"group_name": "north", "mean_percent": 50}, Kind.GROUPS),
        ({"user_id": "u1", "score": 3}, Kind.USERS),
        ({"group_name": "north", "user_id": "u1"}, Kind.USERS),
        ({"question_reference": "q1", "p_value": 0.5}, Kind.ITEMS),
        ({"x": 1}, Kind.PLAIN),
    ],
)
@pytest.mark.parametrize("shape", ["list", "object", "wrapped", "ndjson"])
def test_rows_are_known_by_their_fields_wherever_they_stand(row: dict[str, Any], kind: Kind, shape: str) -> None:
    text = msgspec.json.encode(row)
    content = {"list": b"[%s]", "object": b"%s", "wrapped": b'{"data": {"rows": [%s]}}', "ndjson": b"%s\n"}[
        shape
    ] % text
    document = read_document("file.ndjson" if shape == "ndjson" else "file.json", content)
    assert [(table.kind, list(table.rows)) for table in document.tables] == [(kind, [row])]


def test_csv_rows_are_known_too_and_identifiers_stay_texts() -> None:
    document = read_document("a.csv", b"user_id,score,code,year\n007,1.5,1e3,2026_1\n,,,\n")
    assert document.tables[0].kind is Kind.USERS
    assert document.tables[0].rows[0] == {"user_id": "007", "score": 1.5, "code": 1000.0, "year": "2026_1"}


def test_a_group_is_shown_by_its_children_not_by_its_ancestors() -> None:
    content = {"group": {"group_name": "b"}, "ancestors": [{"group_name": "a"}], "groups": [{"group_name": "c"}]}
    table = read_document("group.json", msgspec.json.encode(content)).first(Kind.GROUPS)
    assert table is not None
    assert table.rows == [{"group_name": "c"}]


@pytest.mark.parametrize(
    ("paths", "group_path", "expected"),
    [
        (["groups/group.json", "groups/a/group.json", "groups/a/group.csv"], ("a",), "groups/a/group.json"),
        (["root.json", "a.json", "a/b.json"], ("a", "b"), "a/b.json"),
        (["a.json", "b.json", "root.json"], ("a",), "a.json"),
        (["a.json", "group.json", "a/group.json"], (), "group.json"),
        (["g/group.json", "g/a%20b/group.json"], ("a b",), "g/a%20b/group.json"),
        (["g/group.json", "other/a/group.json"], ("a",), None),
        (["g/group.json.gz", "g/a/group.json.gz"], ("a",), "g/a/group.json.gz"),
        (["root.json.gz", "a.json.gz"], ("a",), "a.json.gz"),
        (["g/group.JSON", "g/a/group.json"], ("a",), "g/a/group.json"),
        (["g/group.json", "all.json.gz"], (), "g/group.json"),
        (["g/group.json", "g/group.JSON"], (), "g/group.JSON"),
        ([], (), None),
    ],
)
def test_the_file_of_a_group_is_found_by_its_place(
    paths: list[str], group_path: tuple[str, ...], expected: str | None
) -> None:
    assert group_files(paths).get(group_path) == expected


@pytest.mark.parametrize(
    ("paths", "root"),
    [
        *((([f"{name}.json", "groups/group.json", "groups/d1/group.json"]), 1) for name in ("meta", "errors", "x")),
        (["meta.json", "d/group.json", "d/d1/group.json"], 1),
        (["a/meta.json", "a/d/root.json", "a/d/d1/root.json"], 1),
        (["meta.json", "errors.json", "groups/group.json"], 2),
        (["x.json", "d/group.json", "d/d1/group.json"], 0),
        (["meta.json", "a/group.json", "b/group.json"], 0),
        (["groups.json", "groups/group.json"], 0),
        (["meta.json", "meta/group.json"], 0),
        (["root.json", "groups/group.json"], 0),
        (["a.json", "group/root.json"], 0),
        (["a.json", "groups/group.json"], 0),
        (["district.json", "groups/d1.json", "groups/group.json"], 0),
        (["district.json", "groups/d1.json", "groups/group.json", "groups/group/group.json"], 0),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_about_the_dataset_is_not_taken_for_the_root(paths: list[str], root: int, suffix: str) -> None:
    named = [f"{path}{suffix}" for path in paths]
    found = group_files(named)
    assert found[()] == named[root]
    if root:
        assert not set(named[:root]) & set(found.values())


@pytest.mark.parametrize("helpers", [["meta.json"], ["errors.json", "x/index.json"], ["meta.json", "meta.json.gz"]])
def test_a_file_about_the_dataset_does_not_hide_packed_groups(helpers: list[str]) -> None:
    found = group_files([*helpers, "group.json.gz", "d1/group.json.gz"])
    assert (found[()], found[("d1",)]) == ("group.json.gz", "d1/group.json.gz")
    assert not set(found.values()) & {each for each in helpers if each.endswith(".json")}
    # A file called `index` may be about the dataset or about a group. Here, no packed file has another name. So the
    # plain ones are taken for the groups.
    twins = ["index.json", "index.json.gz", "d1/index.json", "d1/index.json.gz"]
    assert group_files(twins) == {(): "index.json", ("d1",): "d1/index.json"}


@pytest.mark.parametrize("name", ["index", "info", "meta", "about"])
@pytest.mark.parametrize(
    "strays",
    [
        ["export.json.gz"],
        ["archive/all.json.gz"],
        ["users.ndjson", "users.json.gz"],
        ["group.json.gz"],
        ["d1/group.json.gz"],
        ["a/group.json.gz", "b/group.json.gz"],
    ],
)
def test_a_packed_file_beside_groups_hides_none_of_them(strays: list[str], name: str) -> None:
    plain = [f"{name}.json", f"d1/{name}.json"]
    assert group_files([*plain, *strays]) == {(): plain[0], ("d1",): plain[1]}
    # Here, each plain file has a packed one beside it. So the packed files are the groups, and the plain describe them.
    packed = ["group.json.gz", "d1/group.json.gz"]
    assert group_files([*plain, *packed]) == {(): packed[0], ("d1",): packed[1]}


@pytest.mark.parametrize("shape", ["{}/group.json", "groups/{}/group.json", "a/{}/group.json", "{}.json", "g/{}.json"])
def test_groups_have_as_many_levels_as_a_page_can_ask_for(shape: str) -> None:
    names = tuple(f"level {level}" for level in range(MAX_GROUP_DEPTH + 1))
    root = f"{shape.partition('{}')[0]}group.json"
    files = {names[:depth]: shape.format("/".join(names[:depth])) for depth in range(1, MAX_GROUP_DEPTH + 1)}
    assert group_files([root, *files.values(), shape.format("/".join(names))]) == {(): root, **files}


def test_the_file_of_a_group_of_the_last_level_is_found() -> None:
    path = tuple(f"level {level}" for level in range(MAX_GROUP_DEPTH))
    files = {path[:depth]: group_file_name(path[:depth]) for depth in range(MAX_GROUP_DEPTH + 1)}
    found = group_files(files.values())
    assert {group: found.get(group) for group in files} == files


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("shape", ["g/{}/group.json", "g/{}.json"])
@pytest.mark.parametrize(
    ("files", "groups"),
    [
        (["5%25", "5%2525"], ["5%", "5%25"]),
        (["5%25", "5%2525", "5%252525"], ["5%", "5%25", "5%2525"]),
        (["5%", "5%25"], ["5%", "5%25"]),
        (["5%", "5%25", "5%2525"], ["5%", "5%25", "5%2525"]),
        (["a b", "a%20b"], ["a b", "a%20b"]),
        (["50%", "a%20b"], ["50%", "a b"]),
        (["%FF", "%FE"], ["%FF", "%FE"]),
        (["a%2Fb", "a%252Fb"], ["a/b", "a%2Fb"]),
    ],
)
def test_two_groups_never_get_one_file(files: list[str], groups: list[str], shape: str, order: int) -> None:
    paths = ["g/group.json", *map(shape.format, files)]
    found = group_files(paths[::order])
    assert [found[(group,)] for group in groups] == paths[1:]
    # `found` may have a file under two names: as it is written, and decoded. The last one is the name of its group: it
    # is shown on the page of the file.
    assert {path: group for group, path in found.items() if group} == {
        path: (group,) for path, group in zip(paths[1:], groups, strict=True)
    }


@given(st.sets(st.text(st.sampled_from("5%2 /.~é\\"), min_size=1, max_size=6), min_size=1))
def test_every_group_gets_its_own_file_where_names_are_encoded(names: set[str]) -> None:
    files = {name: group_file_name((name,)) for name in names}
    found = group_files(["groups/group.json", *files.values()])
    assert {name: found[(name,)] for name in names} == files


def test_empty_cells_come_last_however_rows_are_sorted() -> None:
    rows: list[dict[str, Any]] = [{"n": 2}, {"n": None}, {"n": 10}, {}]
    assert [row.get("n") for row in sorted_rows(rows, "n", descending=False)] == [2, 10, None, None]
    assert [row.get("n") for row in sorted_rows(rows, "n", descending=True)] == [10, 2, None, None]


@given(
    st.permutations(["Class 2a", "class 2b", "class 10", "class 10a", "school_1", "school_2", "school_10", "9" * 5000])
)
def test_texts_are_sorted_with_their_numbers_as_numbers(names: list[str]) -> None:
    rows = [{"name": name} for name in names]
    found = [row["name"] for row in sorted_rows(rows, "name", descending=False)]
    assert found == ["9" * 5000, "Class 2a", "class 2b", "class 10", "class 10a", "school_1", "school_2", "school_10"]


@given(st.binary(max_size=200), st.sampled_from(["a.json", "a.csv", "a.ndjson", "a.txt"]))
def test_any_bytes_are_shown_somehow(content: bytes, name: str) -> None:
    document = read_document(name, content)
    assert document.tables or document.text == content.decode("utf-8", "replace") or name == "a.json" or not content


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=12,
    )
)
def test_any_json_is_shown_somehow(value: Any) -> None:
    document = read_document("a.json", msgspec.json.encode(value))
    assert document.tables or document.text


LONG = PAGE.rows + 5
MANY: dict[str, bytes] = {
    "rows.csv": b"user_id\n" + b"u\n" * LONG,
    "rows.ndjson": b'{"user_id":"u"}\n' * LONG,
    "rows.json": msgspec.json.encode([{"user_id": "u"}] * LONG),
}


@pytest.mark.parametrize("name", MANY)
def test_a_task_reads_every_row_and_a_page_says_that_it_does_not(name: str) -> None:
    assert len(read_document(name, MANY[name]).tables[0].rows) == LONG
    page = read_limited(name, MANY[name], limits=PAGE)
    assert page is not None
    assert page.cut
    assert len(page.tables[0].rows) == PAGE.rows


WIDE = [f"c{number}" for number in range(MAX_COLUMNS + 5)]


@pytest.mark.parametrize("naming", ["group_name", "user_id", "item_reference", "question_reference"])
@pytest.mark.parametrize("place", [0, 1, MAX_COLUMNS - 1, MAX_COLUMNS, MAX_COLUMNS + 5])
@pytest.mark.parametrize("name", ["a.json", "a.ndjson", "a.csv"])
def test_a_wide_table_keeps_the_names_of_its_rows_and_says_what_it_leaves_out(
    name: str, place: int, naming: str
) -> None:
    columns = [*WIDE[:place], naming, *WIDE[place:]]
    row = dict.fromkeys(columns, "x")
    csv = f"{','.join(columns)}\n{','.join(row.values())}\n".encode()
    document = read_limited(name, csv if name == "a.csv" else msgspec.json.encode(row) + b"\n", limits=PAGE)
    assert document is not None
    (table,) = document.tables
    others = [column for column in columns if column != naming]
    assert [column for column in table.columns if column != naming] == others[: MAX_COLUMNS - 1]
    assert naming in table.columns
    assert table.rows[0][naming] == "x"
    assert table.left_out == len(columns) - MAX_COLUMNS
    assert table.kind is not Kind.PLAIN


@pytest.mark.parametrize("name", ["a.json", "a.csv"])
@pytest.mark.parametrize("count", [1, MAX_COLUMNS])
def test_a_table_that_is_not_wide_leaves_nothing_out(name: str, count: int) -> None:
    csv = f"{','.join(WIDE[:count])}\n{','.join('1' * count)}\n".encode()
    content = csv if name == "a.csv" else msgspec.json.encode([dict.fromkeys(WIDE[:count], 1)])
    document = read_limited(name, content, limits=PAGE)
    assert document is not None
    assert document.tables[0].columns == tuple(WIDE[:count])
    assert document.tables[0].left_out == 0


def test_a_column_with_a_very_long_name_is_counted() -> None:
    table = read_document("a.json", msgspec.json.encode([{"a": 1, "b" * 201: 2}])).tables[0]
    assert (table.columns, table.left_out) == (("a",), 1)


def test_a_task_reads_every_column_of_a_csv() -> None:
    names = [f"c{number}" for number in range(MAX_COLUMNS + 5)]
    content = f"{','.join(names)}\n{','.join('1' for _ in names)}\n".encode()
    assert list(read_document("a.csv", content).tables[0].rows[0]) == names


def test_the_begin_of_a_file_ends_with_a_whole_row() -> None:
    for name, begin in (("a.csv", b"user_id,score\nu1,1\nu2,2"), ("a.ndjson", b'{"user_id":"u1","score":1}\n{"us')):
        document = read_limited(name, begin, cut=True, limits=PAGE)
        assert document is not None
        assert document.cut
        assert document.tables[0].rows == [{"user_id": "u1", "score": 1}]
    assert read_limited("a.json", b'[{"user_id":"u1"},', cut=True, limits=PAGE) is None


@pytest.mark.parametrize("name", ["a.json", "a.ndjson", "a.txt"])
@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_deep_json_is_shown_somehow(name: str, depth: int) -> None:
    content = b'{"a":' * depth + b"1" + b"}" * depth
    document = read_limited(name, content, limits=PAGE)
    assert document is None or document.tables or document.text


def test_numbers_of_any_length_are_sorted() -> None:
    rows: list[dict[str, Any]] = [{"n": 10**400}, {"n": 1.5}, {"n": -(10**400)}, {"n": "text"}, {"n": {"a": 1}}]
    assert [row["n"] for row in sorted_rows(rows, "n", descending=False)][:3] == [-(10**400), 1.5, 10**400]


@given(st.lists(st.integers(0, 10**12), max_size=20))
def test_texts_that_are_numbers_are_in_the_order_of_the_numbers(numbers: list[int]) -> None:
    rows = [{"n": f"x{number}"} for number in numbers]
    assert [row["n"] for row in sorted_rows(rows, "n", descending=False)] == [
        f"x{number}" for number in sorted(numbers)
    ]


CONSTANTS = [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1E+400", b"1" + b"0" * 400 + b".5", b"1" + b"0" * 5000]


@given(
    st.lists(st.sampled_from([*CONSTANTS, b"null", b"0.25", b"7", b'"NaN"']), min_size=1, max_size=8),
    st.sampled_from(["list", "object", "lines"]),
)
def test_a_number_that_json_does_not_have_is_no_value_and_is_counted(values: list[bytes], shape: str) -> None:
    rows = [b'{"item_reference":"i","p_value":%b}' % value for value in values]
    name = "a.ndjson" if shape == "lines" else "a.json"
    listed = b"[%b]" % b",".join(rows)
    content = {"lines": b"\n".join(rows), "list": listed, "object": b'{"items":%b}' % listed}[shape]
    document = read_document(name, content)
    known = {b"0.25": 0.25, b"7": 7, b'"NaN"': "NaN"}
    assert [row["p_value"] for row in document.tables[0].rows] == [known.get(value) for value in values]
    assert document.unread == sum(value in CONSTANTS for value in values)
    assert not document.broken


def test_a_number_that_is_too_large_beside_nan_is_no_value() -> None:
    document = read_document("a.json", b'[{"user_id":"u","score":1e999},{"user_id":"v","score":NaN}]')
    assert [row["score"] for row in document.tables[0].rows] == [None, None]
    assert document.unread == 2


@pytest.mark.parametrize("value", [b"1e999", b"NaN", b"-Infinity", b"1" + b"0" * 5000])
@pytest.mark.parametrize("text", [b'"\\ud800"', b'"\\uDFFF"', b'{"\\udBff\\u0041": 1}'])
def test_half_a_character_beside_such_a_number_is_no_json(value: bytes, text: bytes) -> None:
    document = read_document("a.json", b'[{"user_id":%b,"score":%b}]' % (text, value))
    assert document.broken
    document.text.encode()


@pytest.mark.parametrize("value", [b"1e999", b"NaN"])
def test_a_whole_character_of_two_halves_is_read(value: bytes) -> None:
    document = read_document("a.json", b'[{"user_id":"\\ud83d\\ude00","score":%b}]' % value)
    assert document.tables[0].rows[0] == {"user_id": "😀", "score": None}


@pytest.mark.parametrize(
    "content",
    [
        b"[{",
        b"[1e999",
        b'{"a": 1e999,}',
        b'{"a": nan}',
        b'[{"user_id": NaN}',
        b"NaN,",
        b"\xff NaN",
        b"[" * 5000 + b"NaN",
    ],
)
@pytest.mark.parametrize("name", ["a.json", "a.ndjson", "a.txt"])
def test_what_is_named_like_json_and_is_none_is_told(name: str, content: bytes) -> None:
    assert read_document(name, content).broken is (name != "a.txt")


@pytest.mark.parametrize("name", ["a.json", "a.ndjson", "a.json.gz", "a.csv"])
def test_a_byte_order_mark_is_no_content(name: str) -> None:
    content = b"user_id\nu1\n" if name == "a.csv" else b'{"user_id":"u1"}\n'
    document = read_document(name, b"\xef\xbb\xbf" + content)
    assert document.tables[0].rows == [{"user_id": "u1"}]
    assert document.tables[0].columns == ("user_id",)


def test_csv_that_is_not_in_utf_8_is_told() -> None:
    assert read_document("a.csv", b"user_id\n\xe9\n").broken


@pytest.mark.parametrize(
    ("value", "hidden"),
    [
        ([{"user_id": "u"}, None], False),
        ([{"user_id": "u"}, 1], True),
        ({"a": [1, {"b": 2}], "users": [{"user_id": "u", "groups": [[{"group_name": "a"}]]}]}, False),
        ([[{"user_id": "u"}]], True),
        ([{"class": "c", "users": [{"user_id": "u"}]}], True),
        ({"a": {"b": {"c": {"d": [{"user_id": "u"}]}}}}, False),
        ({"a": {"b": {"c": {"d": {"e": [{"user_id": "u"}]}}}}}, True),
    ],
)
def test_known_rows_that_are_in_no_table_are_told(value: Any, hidden: bool) -> None:
    assert read_document("a.json", msgspec.json.encode(value)).hidden is hidden


@pytest.mark.parametrize("content", [b"[]", b"{}", b"[1]", b'[{"user_id": 1}]', b'"NaN"', b"NaN"])
def test_what_is_json_is_not_broken(content: bytes) -> None:
    assert not read_document("a.json", content).broken


class Kept(list[str]):
    """A list whose end can be seen."""


@pytest.mark.parametrize("limit", [0, 1, 10, 10**6])
@pytest.mark.parametrize("shape", [lambda value: value, lambda value: [value], lambda value: {"a": [{"b": value}]}])
def test_a_value_is_freed_at_once_although_only_its_begin_is_written(limit: int, shape: Callable[[Any], Any]) -> None:
    value = Kept(["aa"] * 1000)
    end = weakref.ref(value)
    gc.disable()
    try:
        assert len(json_text(shape(value), limit)) <= limit
        del value
        assert end() is None
    finally:
        gc.enable()
