"""What is done about a dataset that an earlier attempt may have begun: one case for each branch, and the promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from learnosity.api.jobs import REFERENCES_PER_CALL, Job
from learnosity.creation.decide import (
    POLL_WAITS_SECONDS,
    POLLS_FOR_DOUBT,
    Action,
    Decision,
    Seen,
    decide,
    with_suspects,
)
from learnosity.creation.state import CreationState, RequestIdentity, Step

DATASET = "a951cc14-0316-4c12-bb13-1f386338a094"
POLLS_FOR_NOTHING = len(POLL_WAITS_SECONDS)
SAME = RequestIdentity("account", "request", "input")
OF_RELEASE_ONE = RequestIdentity("", "")
NOTHING_SEEN = Seen()


def noted(step: Step, *, files: int = 3, identity: RequestIdentity = SAME, **more: Any) -> CreationState:
    return CreationState(DATASET, step, files, since=1_790_000_000, identity=identity, **more)


def job(reference: str, status: str = "running", *, of: str | None = None) -> Job:
    """A job of the list.

    :param of: dataset that its record names.
    """
    return Job(reference, status, details=f'{{"data":{{"dataset_id":"{of}"}}}}' if of else "{}")


def full(*jobs: Job) -> tuple[Job, ...]:
    """So many jobs as one call returns at most, all of them known but those given."""
    return (*jobs, *(job(f"known-{number}") for number in range(REFERENCES_PER_CALL - len(jobs))))


KNOWN = tuple(f"known-{number}" for number in range(REFERENCES_PER_CALL))


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row.

    :param says: part of the reason.
    :param reference: the job that is taken over.
    :param waits: seconds before the next poll.
    :param doubtful: a job of this dataset may run.
    """

    name: str
    noted: CreationState | None
    seen: Seen = NOTHING_SEEN
    wanted: RequestIdentity = SAME
    fixed_id: bool = False
    action: Action
    says: str
    reference: str = ""
    waits: float = 0.0
    doubtful: bool = False


CASES = [
    Case(
        name="where nothing was begun a dataset is made",
        noted=None,
        action=Action.FRESH,
        says="Nothing was begun",
    ),
    # Whose dataset it is.
    Case(
        name="a started job of another account is not taken over",
        noted=noted("started", job_reference="mine"),
        wanted=RequestIdentity("other", "request", "input"),
        action=Action.FRESH,
        says="another Learnosity account",
    ),
    Case(
        name="a started job of another request is not taken over",
        noted=noted("started", job_reference="mine"),
        wanted=RequestIdentity("account", "other", "input"),
        action=Action.FRESH,
        says="run config or the DAG has changed",
    ),
    Case(
        name="a started job of another input is not taken over",
        noted=noted("started", job_reference="mine"),
        wanted=RequestIdentity("account", "request", "other"),
        action=Action.FRESH,
        says="input files have changed",
    ),
    Case(
        name="a half uploaded dataset of another request is not gone on with, even under a fixed id",
        noted=noted("uploading", uploaded=(0,)),
        wanted=RequestIdentity("account", "other", "input"),
        fixed_id=True,
        action=Action.FRESH,
        says="run config or the DAG has changed",
    ),
    Case(
        name="a job whose input cannot be seen now is taken over",
        noted=noted("started", job_reference="mine"),
        wanted=RequestIdentity("account", "request"),
        seen=Seen((job("mine"),), 1),
        action=Action.REATTACH,
        says="Job mine of dataset",
        reference="mine",
    ),
    Case(
        name="a job whose input was not noted is taken over",
        noted=noted("started", job_reference="mine", identity=RequestIdentity("account", "request")),
        seen=Seen((job("mine"),), 1),
        action=Action.REATTACH,
        says="Job mine of dataset",
        reference="mine",
    ),
    Case(
        name="a job that release 1.0 noted is taken over",
        noted=noted("started", job_reference="mine", identity=OF_RELEASE_ONE),
        seen=Seen((job("mine"),), 1),
        action=Action.REATTACH,
        says="Job mine of dataset",
        reference="mine",
    ),
    # The earlier attempt noted `started` last.
    Case(
        name="a job that was started is looked at first",
        noted=noted("started", job_reference="mine"),
        action=Action.ASK,
        says="Job mine was started by an earlier attempt",
    ),
    *(
        Case(
            name=f"a job that was started and is {status} is taken over",
            noted=noted("started", job_reference="mine"),
            seen=Seen((job("other"), job("mine", status)), 1),
            action=Action.REATTACH,
            says=f"({status})",
            reference="mine",
        )
        for status in ("queued", "running", "completed", "a status of next year")
    ),
    Case(
        name="a job that was started and is not listed is still the job",
        noted=noted("started", job_reference="mine"),
        seen=Seen((job("other", "halted"),), 1),
        action=Action.REATTACH,
        says="(not listed)",
        reference="mine",
    ),
    Case(
        name="a job that was halted is not waited for again",
        noted=noted("started", job_reference="mine"),
        seen=Seen((job("mine", "halted"),), 1),
        action=Action.FRESH,
        says="was halted",
    ),
    *(
        Case(
            name=f"upper and lower case of {reference} and {listed} are the same, and {status} counts",
            noted=noted("started", job_reference=reference),
            seen=Seen((job("other"), job(listed, status)), 1),
            action=action,
            says=says,
            reference=reference if action is Action.REATTACH else "",
        )
        for reference, listed in (("MINE", "mine"), ("mine", "Mine"), ("stra\u00dfe", "STRASSE"))
        for status, action, says in (
            ("halted", Action.FRESH, "was halted"),
            ("completed", Action.REATTACH, "(completed)"),
        )
    ),
    # The earlier attempt noted `uploading` last.
    Case(
        name="an upload that was cut short goes on",
        noted=noted("uploading", uploaded=(0, 2)),
        action=Action.UPLOAD,
        says="cut short",
    ),
    Case(
        name="an upload of which no part is there yet goes on",
        noted=noted("uploading"),
        action=Action.UPLOAD,
        says="cut short",
    ),
    Case(
        name="a part that is noted twice does not stand for the one that is missing",
        noted=noted("uploading", uploaded=(0, 2, 2)),
        action=Action.UPLOAD,
        says="cut short",
    ),
    Case(
        name="the job of a dataset with all its input is started without asking",
        noted=noted("uploading", uploaded=(2, 0, 1)),
        action=Action.START,
        says="has all its input",
    ),
    # The earlier attempt noted `initialising` last.
    Case(
        name="a dataset with input that may not have been initialised is left alone, because it has no job",
        noted=noted("initialising"),
        action=Action.FRESH,
        says="Whether dataset",
    ),
    Case(
        name="a dataset without input that may have been initialised is asked for",
        noted=noted("initialising", files=0),
        action=Action.ASK,
        says="is not known",
    ),
    Case(
        name="a dataset without input that was initialised has its job taken over",
        noted=noted("initialising", files=0),
        seen=Seen((job("old"), job("mine", of=DATASET)), 1),
        action=Action.REATTACH,
        says="Job mine of dataset",
        reference="mine",
    ),
    Case(
        name="a dataset without input is asked for again while no job is listed",
        noted=noted("initialising", files=0),
        seen=Seen((), 1),
        action=Action.ASK,
        says="not listed yet",
        waits=POLL_WAITS_SECONDS[1],
    ),
    Case(
        name="a dataset without input that was not begun is made anew",
        noted=noted("initialising", files=0, known_jobs=("old",)),
        seen=Seen((job("old"),), POLLS_FOR_NOTHING),
        action=Action.FRESH,
        says="was not begun",
    ),
    Case(
        name="a dataset without input that is not named by a new job is left alone and a fresh one made",
        noted=noted("initialising", files=0),
        seen=Seen((job("new"),), POLLS_FOR_DOUBT),
        action=Action.FRESH,
        says="left alone and a fresh one is made",
        doubtful=True,
    ),
    Case(
        name="a dataset without input under a fixed id that is not named by a new job needs a person",
        noted=noted("initialising", files=0),
        seen=Seen((job("new"),), POLLS_FOR_DOUBT),
        fixed_id=True,
        action=Action.GIVE_UP,
        says="left alone",
        doubtful=True,
    ),
    # The earlier attempt noted `commencing` last.
    Case(
        name="a job that may have been started is asked for",
        noted=noted("commencing"),
        action=Action.ASK,
        says="was started is not known",
    ),
    Case(
        name="a job that exists, as Learnosity says, is asked for",
        noted=noted("commencing"),
        seen=Seen(job_exists=True),
        action=Action.ASK,
        says="was started is not known",
    ),
    Case(
        name="a job that names its dataset is taken over",
        noted=noted("commencing"),
        seen=Seen((job("old"), job("mine", "queued", of=DATASET)), 1),
        action=Action.REATTACH,
        says="(queued)",
        reference="mine",
    ),
    Case(
        name="a job that names its dataset in capitals is taken over",
        noted=noted("commencing"),
        seen=Seen((job("mine", of=DATASET.upper()),), 1),
        action=Action.REATTACH,
        says="Job mine of dataset",
        reference="mine",
    ),
    Case(
        name="a job that names its dataset is taken over from a full list, and though it was known",
        noted=noted("commencing", known_jobs=("mine", *KNOWN)),
        seen=Seen(full(job("mine", of=DATASET)), 1, job_exists=True),
        action=Action.REATTACH,
        says="Job mine of dataset",
        reference="mine",
    ),
    Case(
        name="a job that names the dataset and was listed before the call is not the one that the call has started",
        noted=noted("commencing", known_jobs=("helper",)),
        seen=Seen((job("helper", "completed", of=DATASET),), 1),
        action=Action.ASK,
        says="not listed yet",
        waits=POLL_WAITS_SECONDS[1],
    ),
    Case(
        name="a job that names the dataset, was listed before the call and is the only one leaves a doubt",
        noted=noted("commencing", known_jobs=("helper",)),
        seen=Seen((job("helper", "completed", of=DATASET),), POLLS_FOR_NOTHING),
        action=Action.FRESH,
        says="was listed before the call names this dataset",
        doubtful=True,
    ),
    Case(
        name="a call whose reply was not understood is never sent again",
        noted=replace(noted("commencing"), unread=True),
        seen=Seen((), POLLS_FOR_NOTHING),
        action=Action.GIVE_UP,
        says="was not understood, and the job is not listed",
        doubtful=True,
    ),
    Case(
        name="nor is a dataset without input begun anew then",
        noted=replace(noted("initialising", files=0), unread=True),
        seen=Seen((job("new"),), POLLS_FOR_DOUBT),
        action=Action.GIVE_UP,
        says="is left alone",
        doubtful=True,
    ),
    Case(
        name="a call whose reply was not understood leads to its job",
        noted=replace(noted("commencing"), unread=True),
        seen=Seen((job("mine", of=DATASET),), 1),
        action=Action.REATTACH,
        says="Job mine of dataset",
        reference="mine",
    ),
    Case(
        name="of two jobs that name the dataset, the one that was not halted is taken over",
        noted=noted("commencing"),
        seen=Seen((job("failed", "halted", of=DATASET), job("mine", "running", of=DATASET)), 1),
        action=Action.REATTACH,
        says="Job mine of dataset",
        reference="mine",
    ),
    Case(
        name="a job of another dataset is no reason not to wait for the own one",
        noted=noted("commencing", known_jobs=("old",)),
        seen=Seen((job("old", of="another"),), 1),
        action=Action.ASK,
        says="not listed yet",
        waits=POLL_WAITS_SECONDS[1],
    ),
    Case(
        name="a new job is looked at a second time, because it may name its dataset then",
        noted=noted("commencing", known_jobs=("old",)),
        seen=Seen((job("new"), job("old")), POLLS_FOR_DOUBT - 1),
        action=Action.ASK,
        says="not listed yet",
        waits=POLL_WAITS_SECONDS[1],
    ),
    Case(
        name="nothing listed is not believed before the last poll",
        noted=noted("commencing"),
        seen=Seen((), POLLS_FOR_NOTHING - 1),
        action=Action.ASK,
        says="not listed yet",
        waits=POLL_WAITS_SECONDS[-1],
    ),
    Case(
        name="a job that is not there after the last poll is started",
        noted=noted("commencing"),
        seen=Seen((), POLLS_FOR_NOTHING),
        action=Action.START,
        says="is started now",
    ),
    Case(
        name="jobs that were there before are no reason not to start it",
        noted=noted("commencing", known_jobs=KNOWN),
        seen=Seen(full()[1:], POLLS_FOR_NOTHING),
        fixed_id=True,
        action=Action.START,
        says="is started now",
    ),
    Case(
        name="a new job that names no dataset leads to a fresh dataset",
        noted=noted("commencing", known_jobs=("old",)),
        seen=Seen((job("new"), job("old")), POLLS_FOR_DOUBT),
        action=Action.FRESH,
        says="1 job(s) may have been created since, and none of them names this dataset",
        doubtful=True,
    ),
    Case(
        name="a new job that names no dataset needs a person where the id is fixed",
        noted=noted("commencing", known_jobs=("old",)),
        seen=Seen((job("new"), job("old")), POLLS_FOR_DOUBT),
        fixed_id=True,
        action=Action.GIVE_UP,
        says="is left alone",
        doubtful=True,
    ),
    Case(
        name="a new job that was listed once and is not listed any more may still be the job",
        noted=noted("commencing", known_jobs=("old",), suspects=("new",)),
        seen=Seen((job("old"),), POLLS_FOR_NOTHING),
        action=Action.FRESH,
        says="1 job(s) may have been created since",
        doubtful=True,
    ),
    Case(
        name="a new job that was listed once before a dataset without input is looked for may be its job",
        noted=noted("initialising", files=0, suspects=("new",)),
        seen=Seen((), POLLS_FOR_DOUBT),
        fixed_id=True,
        action=Action.GIVE_UP,
        says="is left alone",
        doubtful=True,
    ),
    Case(
        name="a full list hides what it does not show, and leads to a fresh dataset",
        noted=noted("commencing", known_jobs=KNOWN),
        seen=Seen(full(), POLLS_FOR_NOTHING),
        action=Action.FRESH,
        says=f"Learnosity lists {REFERENCES_PER_CALL} jobs, the most that a list has, so it may leave out the job",
        doubtful=True,
    ),
    Case(
        name="of a full list, only the jobs that are new may have been created since",
        noted=noted("commencing", known_jobs=KNOWN),
        seen=Seen(full(job("new")), POLLS_FOR_DOUBT),
        action=Action.FRESH,
        says="1 job(s) may have been created since",
        doubtful=True,
    ),
    Case(
        name="a full list needs a person where the id is fixed",
        noted=noted("commencing", known_jobs=KNOWN),
        seen=Seen(full(), POLLS_FOR_NOTHING),
        fixed_id=True,
        action=Action.GIVE_UP,
        says="is left alone",
        doubtful=True,
    ),
    Case(
        name="a job that exists and is not listed is waited for like any other",
        noted=noted("commencing"),
        seen=Seen((), POLLS_FOR_NOTHING - 1, job_exists=True),
        action=Action.ASK,
        says="not listed yet",
        waits=POLL_WAITS_SECONDS[-1],
    ),
    Case(
        name="a job that exists and is never listed is not started a second time",
        noted=noted("commencing"),
        seen=Seen((), POLLS_FOR_NOTHING, job_exists=True),
        action=Action.FRESH,
        says=f"the job was started, but does not list it: dataset {DATASET} is left alone and a fresh one",
        doubtful=True,
    ),
    Case(
        name="a job that exists and is never listed needs a person where the id is fixed",
        noted=noted("commencing"),
        seen=Seen((), POLLS_FOR_NOTHING, job_exists=True),
        fixed_id=True,
        action=Action.GIVE_UP,
        says="is left alone",
        doubtful=True,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_of_what_is_noted_and_seen_follows_that(case: Case) -> None:
    decision = decide(case.noted, case.wanted, case.seen, fixed_id=case.fixed_id)
    assert decision == Decision(case.action, decision.why, case.reference, case.waits, case.doubtful)
    assert case.says in decision.why


def test_the_cases_have_names_of_their_own_and_come_to_every_action() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.action for case in CASES} == set(Action)


REFERENCES = st.sampled_from([f"job-{number}" for number in range(8)])
JOBS = st.lists(
    st.builds(
        job,
        REFERENCES,
        st.sampled_from(["queued", "running", "completed", "halted"]),
        of=st.sampled_from([None, None, "another", DATASET]),
    ),
    max_size=8,
).flatmap(lambda few: st.sampled_from([tuple(few), full(*few), full(*few)[: REFERENCES_PER_CALL - 1]]))


@given(
    in_doubt=st.sampled_from([noted("commencing"), noted("commencing", files=0), noted("initialising", files=0)]),
    known=st.lists(REFERENCES, unique=True).map(lambda some: (*some, *KNOWN)) | st.just(()),
    jobs=JOBS,
    polls=st.integers(0, POLLS_FOR_NOTHING + 2),
    job_exists=st.booleans(),
    fixed_id=st.booleans(),
    identity=st.sampled_from([SAME, OF_RELEASE_ONE]),
    earlier=st.lists(JOBS, max_size=3),
)
@example(noted("commencing"), KNOWN, full(), POLLS_FOR_NOTHING, False, False, SAME, [])
@example(noted("commencing"), (), (), POLLS_FOR_NOTHING, True, False, SAME, [])
@example(noted("commencing"), (), (job("job-1"),), POLLS_FOR_NOTHING, False, False, SAME, [])
@example(noted("commencing"), (), (), POLLS_FOR_NOTHING, False, False, SAME, [(job("job-1"),)])
@example(noted("commencing"), KNOWN, (), POLLS_FOR_NOTHING, False, False, SAME, [full()])
@pytest.mark.promise("no blind SET")
def test_in_doubt_a_job_is_started_only_where_none_can_have_been_created_since(
    in_doubt: CreationState,
    known: Sequence[str],
    jobs: Sequence[Job],
    polls: int,
    job_exists: bool,
    fixed_id: bool,
    identity: RequestIdentity,
    earlier: Sequence[Sequence[Job]],
) -> None:
    """`earlier`: what the polls before the last one have listed."""
    state = noted(in_doubt.step, files=in_doubt.file_count, known_jobs=tuple(known), identity=identity)
    for listed in earlier:
        state = with_suspects(state, listed)
    decision = decide(state, SAME, Seen(jobs, polls, job_exists), fixed_id=fixed_id)
    if decision.action is Action.START:
        assert {each.reference for listed in (jobs, *earlier) for each in listed} <= set(known)
        assert max(map(len, (jobs, *earlier))) < REFERENCES_PER_CALL
        assert not job_exists
        assert polls >= POLLS_FOR_NOTHING
        assert state.step == "commencing", "without input, the job is started by initialising"
    elif decision.action is Action.REATTACH:
        assert [each for each in jobs if each.reference == decision.job_reference and each.mentions(DATASET)]
    elif decision.action is Action.FRESH:
        assert not (fixed_id and decision.doubtful), "no other dataset may take its place"
    elif decision.action is Action.ASK:
        assert polls < POLLS_FOR_NOTHING, "it would never end"
    else:
        assert (decision.action, decision.doubtful, fixed_id) == (Action.GIVE_UP, True, True)
