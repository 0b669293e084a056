"""The index of names: what is written is found again, and whatever lies in its place does no harm."""

from __future__ import annotations

from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.dataset import names_tsv
from learnosity.dataset.names_tsv import LONGEST_NAME, SHORTEST, Name, NameKind, encode_names, search_names

TEXTS = st.text(max_size=12)
NAMES = st.builds(Name, st.sampled_from(list(NameKind)), TEXTS, st.integers(0, 10**6), st.integers(0, 10**6))


def index(*names: str) -> bytes:
    made = [Name(NameKind.USER, name, 7, number) for number, name in enumerate(names)]
    return b"".join(encode_names(made))


def found(content: bytes, words: str, most: int = 100) -> list[str]:
    return [each.name for each in search_names(content, words, most).names]


def test_the_name_itself_comes_first_then_its_begin_then_any_part() -> None:
    content = index("xu17", "u170", "u17", "u1-7", "U17")
    assert found(content, "u17") == ["u17", "U17", "u170", "xu17"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Anna", "ANNA"),
        ("Straße", "strasse"),
        ("ÉCOLE", "école"),
        ("a\tb\nc", "a\tb\nc"),
        ('say "hi"', '"hi'),
        ("back\\slash", "k\\s"),
        ("  padded  ", "padded"),
        ("😀 class", "😀 c"),
        ("12345", "234"),
    ],
)
def test_names_are_found_whatever_letters_they_have(name: str, words: str) -> None:
    assert found(index("another", name, "last"), words) == [name]


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
@pytest.mark.parametrize("words", ["josé núñez", "JOSÉ", "osé n", "núñez josé", "josé lycée"])
def test_accents_are_found_in_both_ways_of_unicode(written: Any, typed: Any, words: str) -> None:
    name, place = (normalize(written, text) for text in ("José Núñez", "Lycée"))
    content = b"".join(encode_names([Name(NameKind.USER, each, 0, 0) for each in ("another", name)]))
    hits = search_names(content, normalize(typed, words), places=[place]).names
    assert [each.name for each in hits] == [name]


def test_a_hit_says_where_it_is() -> None:
    content = b"".join(encode_names([Name(NameKind.QUESTION, "q9", 3, 141)]))
    assert search_names(content, "Q9").names == (Name(NameKind.QUESTION, "q9", 3, 141),)


def test_numbers_of_files_and_rows_are_no_names() -> None:
    content = b"".join(encode_names([Name(NameKind.USER, "anna", 4711, 815)]))
    for words in ("4711", "815", "ehbb", "EHBB", "u\tanna", "anna\t4711"):
        assert found(content, words) == []


def test_many_hits_are_cut_with_the_best_first() -> None:
    names = [f"a{number}" for number in range(50)]
    hits = search_names(index(*names, "b-a1"), "a1", 5)
    assert hits.names[0].name == "a1"
    assert len(hits.names) == 5
    assert hits.more
    assert not search_names(index(*names[:5]), "a1", 5).more


PLACES = ["north / lincoln / 3a", "north / lincoln / b", "south / lincoln / 3a", "south / roosevelt / b"]
CLASSES = [("3A", 0), ("B", 1), ("3A", 2), ("B", 3), ("Lincoln", 1)]


@pytest.mark.parametrize(
    ("words", "hits"),
    [
        ("3a north", [("3A", 0)]),
        ("NORTH 3A", [("3A", 0)]),
        ("lincoln 3a", [("3A", 0), ("3A", 2)]),
        ("coln 3", []),  # a single character must be a whole word: `3` is not in `3A`
        ("b roosevelt", [("B", 3)]),
        ("b lincoln", [("B", 1), ("Lincoln", 1)]),
        ("b", [("B", 1), ("B", 3)]),
        ("north south 3a", []),
        ("north lincoln", [("Lincoln", 1)]),
        ("north / lincoln", [("Lincoln", 1)]),
        ("3", []),
        ("nowhere 3a", []),
    ],
)
def test_several_words_are_in_the_name_or_in_the_groups_above(words: str, hits: list[tuple[str, int]]) -> None:
    content = b"".join(encode_names(Name(NameKind.GROUP, name, file, 0) for name, file in CLASSES))
    found = search_names(content, words, places=PLACES).names
    assert sorted((each.name, each.file) for each in found) == sorted(hits)


def test_several_words_are_found_in_any_order_and_the_phrase_comes_first() -> None:
    content = index("smith anna", "anna smith", "anna x smithers", "anna", "smith")
    assert found(content, "anna smith") == ["anna smith", "smith anna", "anna x smithers"]


def test_the_rarest_word_is_searched_for_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names_tsv, "_TRIES", 50)
    content = index(*(f"user {number}" for number in range(100)), "rare user", "user of a rare kind")
    for places, more in (([], False), (["rare"], True)):
        hits = search_names(content, "user rare", places=places)
        assert {each.name for each in hits.names} == {"rare user", "user of a rare kind"}
        # If a group is called `rare`, each user in it is a hit. So `user` is searched for, too, which is in more names
        # than `_TRIES`: not all are checked, and there may be more hits.
        assert hits.more is more


@pytest.mark.parametrize("words", ["", " ", "a", " a "])
def test_a_search_needs_some_characters(words: str) -> None:
    assert found(index("aaa"), words) == []


@pytest.mark.parametrize("words", ["a b", "b a", "c a b", "1 a", "é b"])
def test_words_of_one_character_are_found_in_any_order(words: str) -> None:
    names = ["b a", "a b", "a c b", "x a 1", "a1", "ab", "b é", "b e\u0301 x"]
    expected = [name for name in names if set(words.split()) <= set(normalize("NFC", name).split())]
    assert sorted(found(index(*names), words)) == sorted(expected)
    assert expected


def test_a_name_that_is_too_long_or_blank_is_left_out() -> None:
    assert index("a" * (LONGEST_NAME + 1), " ", "") == b""


@given(st.lists(NAMES, max_size=10), st.data())
def test_every_name_is_found_by_itself_and_by_each_part(names: list[Name], data: st.DataObject) -> None:
    content = b"".join(encode_names(names))
    known = [each for each in names if len(each.name.strip()) >= SHORTEST]
    if not known:
        return
    chosen = data.draw(st.sampled_from(known))
    expected = [each for each in names if each.name.casefold() == chosen.name.casefold()]
    hits = search_names(content, chosen.name).names
    if chosen.name == chosen.name.strip():
        assert set(hits) >= set(expected)
    assert len(hits) == len(content.splitlines()) or len(hits) <= len(names)


@given(st.lists(TEXTS, min_size=1, max_size=8), TEXTS)
def test_only_names_that_have_the_words_are_found(names: list[str], words: str) -> None:
    for name in found(index(*names), words):
        assert all(word in name.casefold() for word in words.casefold().split())


@given(NAMES.filter(lambda each: len(each.name) == 1 and each.name.strip() != ""))
def test_a_name_of_one_character_is_found_by_itself(name: Name) -> None:
    content = b"".join(encode_names([name, Name(NameKind.USER, "longer", 0, 0)]))
    assert [each.file for each in search_names(content, name.name).names] == [name.file]


@given(st.binary(max_size=300), TEXTS)
def test_whatever_lies_in_the_place_of_an_index_does_no_harm(content: bytes, words: str) -> None:
    search_names(content, words)


FIELDS = st.one_of(TEXTS.map(str.encode), st.sampled_from([b"u", b"B", b"-1", b"J" * 5000, b"9" * 5000]))
LINES = st.lists(st.lists(FIELDS, max_size=7), max_size=6)


@given(LINES)
def test_lines_that_are_not_understood_are_passed_over(lines: list[list[bytes]]) -> None:
    content = b"\n".join(b"\t".join(fields) for fields in [*lines, [b"u", b"anna", b"B", b"C", b""]]) + b"\n"
    assert Name(NameKind.USER, "anna", 1, 2) in search_names(content, "anna").names
