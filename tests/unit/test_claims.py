"""Each sentence of the pages on security and privacy has a test that exists, or a reason why it has none."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.claims import CLAIMS, UNTESTED

TESTS = Path(__file__).resolve().parents[1]
SENTENCE_ENDS = re.compile(r"(?<=[.:;])\s+(?=[A-Z`*\[])")


def sentences(text: str) -> list[str]:
    """The sentences, items and rows of a page, without headings and blocks of code."""
    found: list[str] = []
    for block in re.split(r"\n\s*\n", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        lines = [line for line in block.strip().splitlines() if not line.startswith("#")]
        rows = [line for line in lines if line.lstrip().startswith("|")]
        found += [" ".join(line.split()) for line in rows]
        for item in re.split(r"\n(?=\* )", "\n".join(line for line in lines if line not in rows)):
            found += filter(None, SENTENCE_ENDS.split(" ".join(item.removeprefix("* ").split())))
    return found


def sentences_of(page: str) -> list[str]:
    return sentences((TESTS.parent / "docs" / page).read_text())


@cache
def names_in(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("page", "claim"), [(page, claim) for page, claims in CLAIMS.items() for claim in claims])
def test_every_claim_stands_on_the_page_and_its_test_exists(page: str, claim: str) -> None:
    assert any(claim in sentence for sentence in sentences_of(page))
    file, _, name = CLAIMS[page][claim].partition("::")
    assert name in names_in(file)


@pytest.mark.parametrize("page", CLAIMS)
def test_every_sentence_is_a_claim_with_a_test_or_says_why_it_has_none(page: str) -> None:
    known = [*CLAIMS[page], *(phrase for phrases in UNTESTED[page].values() for phrase in phrases)]
    missing = [sentence for sentence in sentences_of(page) if not any(phrase in sentence for phrase in known)]
    assert missing == [], "add it to tests/claims.py: with the test that proves it"


@pytest.mark.parametrize("page", UNTESTED)
def test_no_reason_is_left_of_a_sentence_that_is_gone(page: str) -> None:
    phrases = [phrase for phrases in UNTESTED[page].values() for phrase in phrases]
    assert [each for each in phrases if not any(each in sentence for sentence in sentences_of(page))] == []
    # A phrase excuses each sentence that contains it. A short one could also be in a claim that needs a test.
    assert [each for each in phrases if len(each) < 6 and each != "| --- |"] == []


def test_a_new_sentence_is_found() -> None:
    page = "# Head\n\nOne claim. Another: a\nthird; a fourth.\n* An item. It goes\n  on.\n\n  | c | d |\n"
    page += "\n| a | b |\n\n```sh\nNo claim.\n```\n"
    found = ["One claim.", "Another: a third; a fourth.", "An item.", "It goes on.", "| c | d |", "| a | b |"]
    assert sorted(sentences(page)) == sorted(found)
