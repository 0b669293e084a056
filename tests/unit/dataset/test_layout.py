"""Which names of a server may become paths."""

from __future__ import annotations

import tempfile
import unicodedata
from pathlib import Path

import obstore
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import LocalStore

from learnosity.dataset.file_names import MAX_PATH_BYTES, MAX_SEGMENT_BYTES, check_names, safe_path
from learnosity.dataset.layout import DatasetLayout
from learnosity.errors import RequestError, UnsafeNameError

# Pieces from which hostile names are made, beside arbitrary text.
PIECES = [
    "..",
    ".",
    "",
    "/",
    "\\",
    "a",
    "A",
    "é",
    "e\u0301",
    "\u202e",
    "\x00",
    "\n",
    "C:",
    "~",
    "%2e%2e",
    "%2F",
    "#1",
    " ",
    "x:",
    "|",
]
names = (
    st.text(max_size=40)
    | st.lists(st.sampled_from(PIECES), max_size=8).map("/".join)
    | st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
)
# Names that are mostly fine one by one, and often alike, or one the folder of another.
ordinary = (
    st.lists(st.sampled_from(["a", "A", "é", "e\u0301", "..a", "~", "%2F", "#1", "b c"]), min_size=1, max_size=3)
    .map("".join)
    .flatmap(lambda first: st.sampled_from([first, f"{first}/a", f"a/{first}", f"{first}/é/e\u0301"]))
)


def accepted(name: str) -> bool:
    try:
        return safe_path(name) == name
    except UnsafeNameError:
        return False


@pytest.mark.parametrize(
    "name",
    [
        "group.json",
        "district_1/school 2/class-3.csv",
        "data/übersicht.json",
        "学校/クラス.json",
        "a..b/c...json",
        ".hidden/file",
        "100%.csv",
        "a+b=c,d@e.json",
        "x" * MAX_SEGMENT_BYTES,
    ],
)
def test_an_ordinary_name_is_taken_as_it_is(name: str) -> None:
    assert safe_path(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param(None, "no name", id="none"),
        pytest.param(7, "no name", id="number"),
        pytest.param("", "no name", id="empty"),
        pytest.param("/etc/passwd", "absolute", id="absolute"),
        pytest.param("//host/share", "absolute", id="share"),
        pytest.param("C:/windows", "absolute", id="drive"),
        pytest.param("c:file", "absolute", id="drive-relative"),
        pytest.param("..", "'..' part", id="up"),
        pytest.param("../x", "'..' part", id="up-and-down"),
        pytest.param("a/../../x", "'..' part", id="up-within"),
        pytest.param("a/./x", "'.'", id="dot"),
        pytest.param("a//x", "empty", id="empty-part"),
        pytest.param("a/", "empty", id="folder"),
        pytest.param("..\\x", "backslash", id="backslash"),
        pytest.param("a\x00b", "control", id="nul"),
        pytest.param("a\nb", "control", id="newline"),
        pytest.param("a\x7fb", "control", id="delete"),
        pytest.param("a\x85b", "control", id="c1"),
        pytest.param("\u202egpj.exe", "control", id="right-to-left"),
        pytest.param("a\u2028b", "control", id="line-separator"),
        pytest.param("a\ud800b", "Unicode", id="surrogate"),
        pytest.param(" a", "blank", id="leading-blank"),
        pytest.param("a ", "blank", id="trailing-blank"),
        pytest.param("a /b", "blank", id="blank-before-slash"),
        pytest.param("a/ b", "blank", id="blank-after-slash"),
        pytest.param("x" * (MAX_SEGMENT_BYTES + 1), "longer", id="long-part"),
        pytest.param("é" * MAX_SEGMENT_BYTES, "longer", id="long-part-in-bytes"),
        pytest.param("/".join(["x" * 100] * 8), "longer", id="long-path"),
    ],
)
def test_a_name_that_could_leave_hide_or_break_something_is_refused_with_the_reason(name: object, reason: str) -> None:
    with pytest.raises(UnsafeNameError, match=reason) as caught:
        safe_path(name)
    assert str(caught.value).isascii(), "a hostile name must not reach a terminal as it is"


@given(names)
@pytest.mark.promise("untrusted names")
def test_no_accepted_name_leaves_the_prefix(name: str) -> None:
    if not accepted(name):
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        target = (root / name).resolve()
        assert target.is_relative_to(root)
        assert target != root
        assert len(name.encode()) <= MAX_PATH_BYTES


@settings(max_examples=60)
@given(names)
def test_an_accepted_name_is_the_name_under_which_the_local_store_keeps_and_lists_the_file(name: str) -> None:
    try:
        check_names([safe_path(name)], local=True)
    except UnsafeNameError:
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store = LocalStore(root / "prefix", mkdir=True)
        obstore.put(store, name, b"content")
        assert [meta["path"] for batch in obstore.list(store) for meta in batch] == [name]
        assert bytes(obstore.get(store, name).bytes()) == b"content"
        assert [path.name for path in root.iterdir()] == ["prefix"]


@given(st.lists(ordinary.filter(accepted), max_size=6))
def test_names_that_pass_together_are_different_files_and_never_file_and_folder_at_once(listed: list[str]) -> None:
    try:
        check_names(listed)
    except UnsafeNameError:
        return
    keys = [unicodedata.normalize("NFC", name) for name in listed]
    assert len(set(keys)) == len(keys)
    assert not any(other.startswith(key + "/") for key in keys for other in keys)


@pytest.mark.parametrize(
    ("listed", "says"),
    [
        (["a.json", "a.json"], "'a.json' is listed twice"),
        (["groups/n/group.json", "groups/n/group.json"], "'groups/n/group.json' is listed twice"),
        (["caf\u00e9.csv", "cafe\u0301.csv"], "collides with another name"),
        (["a", "a/b.json"], "'a' is both a file and a folder"),
        (["a/b/c", "a/b"], "'a/b' is both a file and a folder"),
        (["x/caf\u00e9/1", "x/cafe\u0301"], "both a file and a folder"),
    ],
)
@pytest.mark.promise("untrusted names")
def test_names_that_clash_are_refused_before_anything_is_written(listed: list[str], says: str) -> None:
    with pytest.raises(UnsafeNameError, match=says) as caught:
        check_names(listed)
    assert "nothing was written" in str(caught.value)
    # Landing itself names the files of groups: `groups/…/group.json`. The reply has no name for them. So if one is
    # there twice, the message must not advise to declare `name`.
    can_declare = len(set(listed)) < len(listed) and not listed[0].startswith("groups/")
    assert ("declare that as `name`" in str(caught.value)) == can_declare


@pytest.mark.parametrize(
    "listed",
    [
        ["Grade/g.json", "GRADE/g.json"],
        ["a.json", "A.JSON"],
        ["Grade/a.json", "grade/b.json"],
        ["x/Grade/1/a", "x/b", "x/grade/2/a"],
        ["a", "A/b"],
        ["caf\u00e9.csv", "CAFE\u0301.csv"],
        ["\u0391.csv", "\u03b1.csv"],
    ],
)
@pytest.mark.promise("untrusted names")
def test_names_that_differ_by_case_are_refused_only_where_case_is_ignored(listed: list[str]) -> None:
    for names in (listed, listed[::-1]):
        check_names(names, local=True)
        with pytest.raises(UnsafeNameError, match="differ by case alone, which the destination ignores"):
            check_names(names, ignores_case=True)


@given(st.lists(ordinary.filter(accepted), max_size=6))
def test_where_case_is_ignored_names_that_pass_have_one_spelling_for_each_folder_and_file(listed: list[str]) -> None:
    try:
        check_names(listed, ignores_case=True)
    except UnsafeNameError:
        return
    check_names(listed)
    parts = [name.split("/") for name in listed]
    spelled = {unicodedata.normalize("NFC", "/".join(each[:end])) for each in parts for end in range(1, len(each) + 1)}
    assert len({unicodedata.normalize("NFC", each.casefold()) for each in spelled}) == len(spelled)


def test_names_that_differ_by_more_than_case_pass_where_it_is_ignored() -> None:
    check_names(["Grade/a.json", "Grade/b.json", "Grade 2/a.json", "grades/a.json", "A", "b"], ignores_case=True)


def test_many_clashes_are_told_as_the_first_ten_and_their_number() -> None:
    with pytest.raises(UnsafeNameError) as caught:
        check_names([f"{n}.json" for n in range(25)] * 2)
    assert str(caught.value).startswith("25 result file names")
    assert len(str(caught.value).splitlines()) == 11


@pytest.mark.parametrize("name", ["a#1", "folder#2/a", "time in h:", "folder/a|"])
def test_names_that_the_local_store_cannot_keep_are_refused_there_only(name: str) -> None:
    check_names([name])
    with pytest.raises(UnsafeNameError, match="which the local store cannot keep"):
        check_names([name], local=True)


def test_a_dataset_lies_below_its_type_and_id() -> None:
    layout = DatasetLayout("activity-summary-by-group", "a951cc14-0316-4c12-bb13-1f386338a094")
    prefix = "activity-summary-by-group/a951cc14-0316-4c12-bb13-1f386338a094"
    assert layout.data("groups/x.json") == f"{prefix}/data/groups/x.json"
    assert (layout.manifest, layout.files) == (f"{prefix}/manifest.json", f"{prefix}/files.ndjson")
    assert layout.latest == "activity-summary-by-group/latest.json"
    assert layout.work_prefix("t1", "p1").startswith(f"{prefix}/")


@pytest.mark.parametrize("value", ["..", "a/b", "", "a..b", "-x", "ü", "a b", "x" * 101, "a\n"])
def test_a_type_or_id_that_is_no_plain_word_cannot_be_part_of_a_path(value: str) -> None:
    for parts in ((value, "id"), ("type", value)):
        with pytest.raises(RequestError, match="cannot be part of a path"):
            DatasetLayout(*parts)


def test_what_a_landing_writes_is_its_own_and_goes_with_the_dataset() -> None:
    layout = DatasetLayout("some-type", "some-id")
    for path in (layout.manifest, layout.files, layout.names, layout.data("a.json"), f"{layout.landing_prefix}/x"):
        assert layout.is_own(path)
    assert not layout.is_own(f"{layout.prefix}/notes.txt")
