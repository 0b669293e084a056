"""What the groups of an input say before it is sent: counts, and names that look wrong."""

from __future__ import annotations

import tracemalloc
import unicodedata
from collections import Counter
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.inputs.group_survey import KEPT, GroupSurvey

KEYS = ("district", "school")
BLANK, UNSEEN = "begins or ends with a blank", "holds a control character or one that is not seen"
ALIKE = "in case, blanks or Unicode form alone"


def surveyed(*paths: tuple[str, ...], keys: tuple[str, ...] = KEYS, block: int = 3, most: int = 1000) -> GroupSurvey:
    """A survey of users, in blocks as a reader hands them over."""
    survey = GroupSurvey(keys, most=most)
    for start in range(0, len(paths), block):
        some = paths[start : start + block]
        survey.add("users.ndjson", range(start + 1, start + 1 + len(some)), list(zip(*some, strict=True)))
    return survey


def test_groups_and_users_of_each_level_are_counted() -> None:
    survey = surveyed(("d1", "s1"), ("d1", "s2"), ("d2", "s1"), ("d1", "s1"), ("d1", "s1"))
    district, school = survey.levels(5)
    assert (district.key, district.groups, district.users, district.single_user_groups) == ("district", 2, 5, 1)
    assert (school.key, school.groups, school.users, school.single_user_groups) == ("school", 3, 5, 2)
    assert (survey.odd_names, survey.is_whole) == (0, True)


NAMES = st.text(st.sampled_from("aAéÉ é\u200b"), min_size=1, max_size=3)


@given(st.lists(st.tuples(NAMES, NAMES, NAMES), max_size=40), st.integers(1, 7))
def test_the_figures_are_those_of_a_plain_count_whatever_the_blocks(paths: list[tuple[str, ...]], block: int) -> None:
    for depth, level in enumerate(surveyed(*paths, keys=("a", "b", "c"), block=block).levels(len(paths)), 1):
        plain = Counter(path[:depth] for path in paths)
        assert (level.groups, level.users) == (len(plain), len(paths))
        assert level.single_user_groups == list(plain.values()).count(1)


@given(st.lists(st.tuples(NAMES, NAMES), max_size=30), st.integers(1, 5))
def test_what_is_warned_about_does_not_depend_on_the_blocks(paths: list[tuple[str, ...]], block: int) -> None:
    whole, cut = surveyed(*paths, block=100), surveyed(*paths, block=block)
    assert (whole.warnings, whole.odd_names) == (cut.warnings, cut.odd_names)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("West ", BLANK, id="blank at the end"),
        pytest.param(" West", BLANK, id="blank at the begin"),
        pytest.param("West\u00a0", BLANK, id="no-break space"),
        pytest.param("West\u3000", BLANK, id="ideographic space"),
        pytest.param("West\r", BLANK, id="carriage return at the end"),
        pytest.param("We\tst", UNSEEN, id="tab"),
        pytest.param("We\x00st", UNSEEN, id="NUL"),
        pytest.param("We\x85st", UNSEEN, id="C1"),
        pytest.param("We\u200bst", UNSEEN, id="zero-width space"),
        pytest.param("\ufeffWest", UNSEEN, id="byte order mark"),
        pytest.param("We\u202est", UNSEEN, id="right-to-left override"),
        pytest.param("We\u2028st", UNSEEN, id="line separator"),
        pytest.param("..", "no file name may", id="dots"),
        pytest.param("a\\b", "no file name may", id="backslash"),
        *(
            pytest.param(word, "a word for no value", id=word)
            for word in ("None", "nan", "NULL", "null", "<NA>", "NaT")
        ),
        pytest.param("é" * 121, "longer than 240 bytes", id="long"),
    ],
)
@pytest.mark.parametrize("depth", [0, 1])
def test_a_name_that_spoils_the_report_or_its_files_is_named_by_place(name: str, said: str, depth: int) -> None:
    bad = (name, "s1") if depth == 0 else ("d1", name)
    survey = surveyed(("d1", "s1"), ("d1", "s1"), bad, bad, ("d2", "s2"))
    (warning,) = survey.warnings
    assert (warning.file, warning.line) == ("users.ndjson", 3)
    assert f'the group of "{KEYS[depth]}"' in warning.what
    assert said in warning.what
    assert name.strip() not in str(warning) or name == ".."


@pytest.mark.parametrize(
    "name",
    [
        "West",
        "Schule „Am Wall“",
        "Класс 5а",
        "学校",
        "5/6",
        "نیم\u200cسال",
        "O'Neill & Co. (2)",
        "Nan",
        "None of these",
        "é" * 120,
        "👩‍🏫",
    ],
)
def test_ordinary_names_of_any_language_are_not_warned_about(name: str) -> None:
    assert not surveyed((name, name)).warnings


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("West", "WEST"),
        ("Straße", "STRASSE"),
        (unicodedata.normalize("NFC", "École"), unicodedata.normalize("NFD", "École")),
        ("École", "école"),
        ("5 A", "5  A"),
        ("５A", "5a"),
        ("ﬁ", "fi"),
    ],
)
def test_names_that_look_alike_are_warned_about_below_the_same_group_only(one: str, other: str) -> None:
    (warning,) = surveyed(("d1", "x"), ("d1", one), ("d1", other), ("d1", other)).warnings
    assert (warning.line, ALIKE in warning.what, "line 2" in warning.what) == (3, True, True)
    assert not surveyed(("d1", one), ("d2", other)).warnings
    assert not surveyed(("d1", one), ("d1", other + "x")).warnings


def test_a_name_that_looks_like_one_of_another_file_is_named_with_that_file() -> None:
    survey = GroupSurvey(["school"])
    survey.add("a.csv", [2], [["West"]], labels=["Schule"])
    survey.add("b.csv", [7], [["west"]], labels=["Schule"])
    (warning,) = survey.warnings
    assert str(warning).startswith('b.csv:7: the group of "Schule" differs from the one in a.csv:2 ')


def test_the_first_warnings_are_kept_and_all_are_counted() -> None:
    survey = surveyed(*(("d1", f"s{number} ") for number in range(25)))
    assert [warning.line for warning in survey.warnings] == list(range(1, KEPT + 1))
    assert survey.odd_names == 25


def test_records_that_are_no_users_are_looked_at_and_counted_later() -> None:
    survey = GroupSurvey(["school"])
    survey.add("a.csv", [2, 3], [["West ", "West "]], users=False)
    survey.add("a.csv", [2], [["West "]])
    assert [(level.groups, level.users) for level in survey.levels(1)] == [(1, 1)]
    assert survey.odd_names == 1


def test_no_levels_are_nothing_to_survey() -> None:
    survey = GroupSurvey([])
    survey.add("a.csv", [2], [])
    assert survey.levels(1) == ()


def test_the_memory_has_a_limit_and_the_survey_says_that_it_is_not_whole() -> None:
    survey = GroupSurvey(["a", "b", "c"], most=3_000)
    tracemalloc.start()
    try:
        for start in range(0, 60_000, 500):
            names = [f"group number {number}" for number in range(start, start + 500)]
            survey.add("users.csv", range(start, start + 500), [names, names, names])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not survey.is_whole
    assert sum(level.groups for level in survey.levels(60_000)) == 3_000
    assert peak < 3_000_000


def test_the_limit_holds_for_all_levels_together() -> None:
    counts = [sum(level.groups for level in surveyed(*[(str(n), str(n)) for n in range(9)], most=k).levels(9))
              for k in range(18)]  # fmt: skip
    assert counts == list(accumulate([0] + [1] * 17))
