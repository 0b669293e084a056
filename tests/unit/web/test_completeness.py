"""Each count that is not known has its reason beside it, whatever is known of input and result."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from learnosity.dataset.completeness import Returned, gaps
from learnosity.dataset.input_info import InputInfo, LevelInfo
from learnosity.dataset.manifest import Manifest, RunInfo
from learnosity.web.completeness import ALL_CAME, NO_GAP, NO_INPUT, NO_LEVELS, NOT_FOUND, OF_SESSIONS, completeness

LEVELS = (LevelInfo("district", 2, 40, 0), LevelInfo("school", 5, 40, 0))
FOUND = {"district": 2, "school": 5}


def manifest(sent: InputInfo | None, returned: Returned | None) -> Manifest:
    groups = [{"key": key, "label": key.capitalize()} for key in FOUND]
    run = RunInfo("dag", "run", None)
    return Manifest("id", "type", "job", {"groups": groups}, 1, 1, "sha", "now", run, input=sent, returned=returned)


def of_users(levels: tuple[LevelInfo, ...] = LEVELS) -> InputInfo:
    return InputInfo(("s3://bucket/users",), 1, 40, 100, "sha", users=40, levels=levels)


OF_BANK = Returned(questions=3, sessions=9)
SESSIONS = InputInfo(("s3://bucket/sessions",), 1, 9, 100, "sha", sessions=9)


@pytest.mark.parametrize(
    ("sent", "returned", "whys", "verdict"),
    [
        pytest.param(of_users(), Returned(population=40, groups=FOUND), (), "Complete", id="all is known"),
        pytest.param(of_users(()), Returned(population=40, groups=FOUND), (NO_LEVELS,), "Complete", id="many groups"),
        pytest.param(of_users(), Returned(population=40), (NOT_FOUND,), "Complete", id="levels not recognised"),
        pytest.param(None, Returned(population=40, groups=FOUND), (NO_INPUT,), "Nothing", id="made elsewhere"),
        pytest.param(None, OF_BANK, (NO_INPUT,), "Nothing", id="an analysis of the whole bank"),
        pytest.param(SESSIONS, OF_BANK, (OF_SESSIONS,), "Nothing", id="an analysis of given sessions"),
    ],
)
def test_why_a_count_is_not_known(
    sent: InputInfo | None, returned: Returned, whys: tuple[str, ...], verdict: str
) -> None:
    found = completeness(manifest(sent, returned))
    assert found.unknown == whys
    assert found.verdict.startswith(verdict)


WITHOUT = (LevelInfo("district", 2, 40, 0, users_without_group=1), LEVELS[1])


@pytest.mark.parametrize(
    ("records", "levels", "population", "verdict", "differs"),
    [
        (40, LEVELS, 40, ALL_CAME, False),
        (40, LEVELS, 39, "Not complete", True),
        (40, LEVELS, 41, "Not complete", True),
        (40, WITHOUT, 40, ALL_CAME, False),
        (40, WITHOUT, 39, NO_GAP, False),
        (40, WITHOUT, 38, "Not complete", True),
        (45, LEVELS, 45, NO_GAP, False),
        (45, LEVELS, 46, "Not complete", True),
    ],
)
def test_the_verdict_and_the_row_have_one_rule(
    records: int, levels: tuple[LevelInfo, ...], population: int, verdict: str, differs: bool
) -> None:
    sent = replace(of_users(levels), records=records)
    returned = Returned(population=population, groups=FOUND)
    returned = replace(returned, gaps=gaps(returned, sent, {}))
    found = completeness(manifest(sent, returned))
    assert found.verdict == verdict
    assert [line.name for line in found.lines if line.differs] == (["Users"] if differs else [])
    assert bool(found.gaps) is differs
    assert found.tone == {ALL_CAME: "good", NO_GAP: "", "Not complete": "bad"}[verdict]


counts = st.none() | st.integers(0, 50)
inputs = st.none() | st.builds(
    lambda users, sessions, levels: InputInfo((), 1, 1, 1, "sha", users=users, sessions=sessions, levels=levels),
    counts,
    counts,
    st.sampled_from(((), LEVELS)),
)
results = st.builds(Returned, population=counts, groups=st.sampled_from(({}, FOUND)), questions=counts, sessions=counts)


@given(inputs, results)
def test_no_dataset_is_complete_in_which_a_row_differs(sent: InputInfo | None, returned: Returned) -> None:
    returned = replace(returned, gaps=gaps(returned, sent, {}))
    found = completeness(manifest(sent, returned))
    assert any(line.differs for line in found.lines) == bool(found.gaps)
    if found.verdict == ALL_CAME:
        assert all(line.uploaded == line.found for line in found.lines if None not in (line.uploaded, line.found))


@given(inputs, results)
def test_whatever_is_shown_without_a_count_has_a_reason(sent: InputInfo | None, returned: Returned) -> None:
    found = completeness(manifest(sent, returned))
    missing = any(None in (line.uploaded, line.found) for line in found.lines)
    of_sessions = sent is not None and sent.users is None and sent.sessions is not None
    assert bool(found.unknown) == (missing or of_sessions)
