"""Whatever dies, whenever: no job is started twice, no part goes up twice that is noted, and the next try ends it."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import re
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from types import SimpleNamespace
from typing import Any, BinaryIO, cast

import aiohttp
import msgspec
import pytest

from learnosity.api.client import BeforeSend, LearnosityClient, transport_error
from learnosity.api.config import ApiConfig, build_config
from learnosity.api.dataset_request import DatasetRequest
from learnosity.api.dns_lookup import CheckedLookup
from learnosity.api.jobs import Job
from learnosity.api.rate_limit import Pacer
from learnosity.api.replies import Reply, parse_reply
from learnosity.api.signed_urls import SignedTransfer
from learnosity.creation import create as creation
from learnosity.creation import decide as decisions
from learnosity.creation.create import create_dataset
from learnosity.creation.state import CreatedDataset, CreationState, RequestIdentity, seal, unseal
from learnosity.creation.upload import Upload
from learnosity.errors import (
    ConnectionConfigError,
    LearnosityError,
    NotReadyError,
    PermanentApiError,
    PermanentError,
    RequestError,
    StorageError,
    TransferError,
    TransientApiError,
    TransientError,
    TransientStorageError,
    UnexpectedReplyError,
)
from learnosity.inputs.upload_parts import plan_parts
from simulator import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET, FaultRule, Simulator, SimulatorConfig
from tests.waiting import no_waiting

WITH_FILES = DatasetRequest(
    "activity-summary-by-group",
    filters={"activity_id": ["maths"]},
    options={"fields": ["population", "mean_score"]},
    groups=[{"key": "school", "label": "School"}],
)
WITHOUT_FILES = DatasetRequest("ibk-analysis-by-question")
USERS = b"".join(b'{"user_id": "u%d", "groups": {"school": "s%d"}}\n' % (n, n % 2) for n in range(40))
SET, PUT, COMMENCE, JOBS = "set reports/datasets", "put", "set jobs/reports/datasets", "get jobs"
WANTED = "a951cc14-0316-4c12-bb13-1f386338a094"
NAMED = pytest.mark.parametrize("named", [True, False], ids=["jobs name their dataset", "jobs do not"])
RECOMMENCE = pytest.mark.parametrize("recommence", ["conflict", "second_job"])


class Killed(BaseException):
    """The process is gone: nothing in it may handle this."""


@dataclass
class Fate:
    """Counts the moments at which a process can die, and strikes at one of them."""

    at: int | None = None
    moment: int = 0
    struck: str = ""

    def passes(self, what: str) -> None:
        self.moment += 1
        if self.moment == self.at:
            self.struck = what
            raise Killed(what)


@dataclass
class Notes:
    """Keeps the state, and outlives processes."""

    fate: Fate = field(default_factory=Fate)
    content: bytes | None = None
    steps: list[str] = field(default_factory=list)

    async def load(self) -> CreationState | None:
        return None if self.content is None else msgspec.json.decode(self.content, type=CreationState)

    async def save(self, state: CreationState) -> None:
        self.fate.passes(f"before noting {state.step}")
        self.content = msgspec.json.encode(state)
        self.steps.append(state.step)
        self.fate.passes(f"after noting {state.step}")

    @property
    def state(self) -> CreationState:
        assert self.content is not None
        return msgspec.json.decode(self.content, type=CreationState)

    def as_of_release_one(self) -> None:
        """Leave of what is noted what release 1.0 would have noted."""
        assert self.content is not None
        noted = msgspec.json.decode(self.content)
        for later in ("identity", "request", "attempt"):
            del noted[later]
        self.content = msgspec.json.encode({"fingerprint": "f" * 64, **noted})


class MortalClient(LearnosityClient):
    """Dies before or after a call, with the effect and without the reply."""

    fate: Fate
    sees_jobs: bool = True
    """Whether jobs are listed already."""

    async def initialise(self, request: Any, *, before_send: BeforeSend | None = None) -> Reply:
        self.fate.passes("before initialise")
        reply = await super().initialise(request, before_send=before_send)
        self.fate.passes("after initialise")
        return reply

    async def commence(self, dataset_type: str, dataset_id: str, *, before_send: BeforeSend | None = None) -> str:
        self.fate.passes("before commence")
        reference = await super().commence(dataset_type, dataset_id, before_send=before_send)
        self.fate.passes("after commence")
        return reference

    async def jobs(self, *args: Any, **kwargs: Any) -> list[Job]:
        found = await super().jobs(*args, **kwargs)
        return found if self.sees_jobs else []


class MortalTransfer(SignedTransfer):
    fate: Fate

    async def put(self, url: str, file: BinaryIO, offset: int, length: int) -> None:
        self.fate.passes("before put")
        await super().put(url, file, offset, length)
        self.fate.passes("after put")


def config_for(simulator: Simulator, secret: str = DEMO_CONSUMER_SECRET) -> ApiConfig:
    return build_config("test", login=DEMO_CONSUMER_KEY, password=secret, host=simulator.url)


@asynccontextmanager
async def process(
    simulator: Simulator,
    fate: Fate,
    *,
    attempts: int = 1,
    pacer: Pacer | None = None,
    organisation_id: int | None = None,
    transfers: type[MortalTransfer] = MortalTransfer,
) -> AsyncIterator[tuple[MortalClient, MortalTransfer]]:
    config = dataclasses.replace(config_for(simulator), organisation_id=organisation_id)
    # Pacing and backoff have tests of their own: here one attempt a call is enough.
    async with (
        MortalClient(config, attempts=attempts, pacer=pacer or Pacer(head_room=20)) as client,
        transfers(config) as transfer,
    ):
        client.fate = transfer.fate = fate
        yield client, transfer


async def attempt(
    simulator: Simulator,
    notes: Notes,
    *,
    fate: Fate | None = None,
    request: DatasetRequest = WITH_FILES,
    users: bytes = USERS,
    parts: int = 3,
    account: str = "an account",
    written: str = "as written",
    version: bytes | None = None,
    seen: bytes | LearnosityError | None = None,
    sees_jobs: bool = True,
    dataset_id: str | None = None,
    **more: Any,
) -> CreatedDataset:
    """One try of the task, in a process of its own.

    :param account: whose dataset it is.
    :param written: digest of the request as its author wrote it.
    :param version: what names, sizes and tags of the input tell; default: what its content does.
    :param seen: what they tell when the try begins, or why they cannot be seen; default: the same.
    :param more: for `process`.
    """
    notes.fate = fate or Fate()
    with tempfile.TemporaryFile() as spool:

        async def prepare() -> Upload | None:
            if request.kind is WITHOUT_FILES.kind:
                return None
            spool.write(users)
            spool.flush()
            cut = plan_parts(spool, len(users), users.count(b"\n"), target_part_bytes=-(-len(users) // parts))
            digest = hashlib.sha256(users).hexdigest()
            return Upload(spool, cut, users.count(b"\n"), len(users), digest, version_of(version or users))

        async def identify_input() -> str:
            if isinstance(seen, LearnosityError):
                raise seen
            return version_of(seen or version or users)

        async with process(simulator, notes.fate, **more) as (client, transfer):
            client.sees_jobs = sees_jobs
            return await create_dataset(
                client,
                transfer,
                request,
                notes,
                identity=RequestIdentity(account, written),
                prepare=prepare,
                identify_input=identify_input,
                dataset_id=dataset_id,
            )


def version_of(users: bytes) -> str:
    """Digest of the names and versions of the input files."""
    return hashlib.sha256(b"versions of " + users).hexdigest()[:32]


async def dies(simulator: Simulator, notes: Notes, at: int, **kwargs: Any) -> str | None:
    """A try that is killed at its `at`-th moment; None when it ended before that."""
    fate = Fate(at)
    try:
        await attempt(simulator, notes, fate=fate, **kwargs)
    except (Killed, BaseExceptionGroup):
        return fate.struck
    return None


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "POLL_WAITS_SECONDS", (0.0,) * len(decisions.POLL_WAITS_SECONDS))
    no_waiting(monkeypatch)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorConfig(job_seconds=0.0, quota_set=10_000)) as running:
        yield running


def jobs_of(simulator: Simulator) -> dict[str, int]:
    return dict(simulator.stats.jobs_started)


def faked(simulator: Simulator, **data: Any) -> None:
    """Let the simulator reply with this to the call that initialises a dataset."""
    reply = msgspec.json.encode({"meta": {"status": True}, "data": data}).decode()
    simulator.faults.add(FaultRule(match=SET, kind="status", status=200, body=reply))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


class TestKilledAtEveryMoment:
    @NAMED
    @pytest.mark.parametrize("request_", [WITH_FILES, WITHOUT_FILES], ids=["three parts", "no input"])
    @pytest.mark.promise("re-attach")
    async def test_the_next_try_ends_with_one_job_for_its_dataset(self, request_: DatasetRequest, named: bool) -> None:
        moments = []
        for at in range(1, 100):
            # Each round has a simulator of its own, which knows no jobs yet. So all jobs below were started in this
            # round.
            async with Simulator(SimulatorConfig(job_seconds=0.0, job_names_dataset=named)) as own:
                notes = Notes()
                struck = await dies(own, notes, at, request=request_)
                if struck is None:
                    break
                moments.append(struck)
                created = await attempt(own, notes, request=request_)
                started = jobs_of(own)
                assert started[created.dataset_id] == 1, struck
                assert max(started.values()) == 1, f"two jobs for one dataset after dying {struck}"
                doubtful = struck in ("after commence", "before noting started", "after initialise")
                if named or not doubtful:
                    assert len(started) == 1, f"a second job after dying {struck}"
                again = await attempt(own, notes, request=request_)
                assert (again.dataset_id, again.job_reference) == (created.dataset_id, created.job_reference)
                assert again.reattached
                assert jobs_of(own) == started
        assert "after commence" in moments or request_ is WITHOUT_FILES
        assert "after initialise" in moments

    async def test_a_part_that_was_noted_is_not_uploaded_again(self) -> None:
        for at in range(1, 100):
            async with Simulator(SimulatorConfig(job_seconds=0.0)) as own:
                notes = Notes()
                struck = await dies(own, notes, at)
                if struck is None:
                    return
                noted = notes.state if notes.content else None
                before = dict(own.stats.puts)
                created = await attempt(own, notes)
                for part in noted.uploaded if noted and noted.dataset_id == created.dataset_id else ():
                    key = f"{created.dataset_id}/{part}"
                    assert own.stats.puts[key] == before[key] == 1, struck
        pytest.fail("the stories did not end")

    async def test_killed_twice_at_any_two_moments_it_still_ends_with_one_job_a_dataset(self) -> None:
        for first in range(1, 30, 3):
            for second in range(1, 12, 2):
                async with Simulator(SimulatorConfig(job_seconds=0.0, job_names_dataset=True)) as own:
                    notes = Notes()
                    if await dies(own, notes, first) is None:
                        return
                    await dies(own, notes, second)
                    created = await attempt(own, notes)
                    assert jobs_of(own) == {created.dataset_id: 1}, (first, second)


class TestGoingOn:
    async def test_an_upload_that_was_cut_short_goes_on_with_what_is_missing(self, simulator: Simulator) -> None:
        notes = Notes()
        simulator.faults.add(FaultRule(match=PUT, name="*/2", kind="status", status=503, times=5))
        with pytest.raises(TransferError):
            await attempt(simulator, notes)
        begun = notes.state
        assert set(begun.uploaded) == {0, 1}
        created = await attempt(simulator, notes)
        assert created.dataset_id == begun.dataset_id
        assert {simulator.stats.puts[f"{begun.dataset_id}/{part}"] for part in range(3)} == {1}

    async def test_a_part_that_a_web_page_took_is_uploaded_again_before_the_job_is_started(
        self, simulator: Simulator
    ) -> None:
        notes = Notes()
        simulator.faults.add(FaultRule(match=PUT, name="*/2", kind="non_json", times=6))
        with pytest.raises(TransferError, match="not that of a storage server"):
            await attempt(simulator, notes)
        assert set(notes.state.uploaded) == {0, 1}
        assert not simulator.stats.calls[COMMENCE]
        created = await attempt(simulator, notes)
        assert {simulator.stats.puts[f"{created.dataset_id}/{part}"] for part in range(3)} == {1}
        assert jobs_of(simulator) == {created.dataset_id: 1}

    async def test_other_input_makes_a_fresh_dataset(self, simulator: Simulator) -> None:
        notes = Notes()
        simulator.faults.add(FaultRule(match=PUT, name="*/2", kind="status", status=503, times=5))
        with pytest.raises(TransferError):
            await attempt(simulator, notes)
        created = await attempt(simulator, notes, users=USERS.replace(b'"s1"', b'"s9"'))
        assert jobs_of(simulator) == {created.dataset_id: 1}
        assert simulator.stats.calls[SET] == 2

    @pytest.mark.parametrize(
        "looks",
        [{"version": USERS}, {"seen": StorageError("no permission")}, {"seen": TransientStorageError("503")}],
        ids=["the same", "forbidden", "away"],
    )
    async def test_other_input_makes_a_fresh_dataset_however_its_files_look(
        self, simulator: Simulator, looks: dict[str, Any]
    ) -> None:
        notes = Notes()
        simulator.faults.add(FaultRule(match=PUT, name="*/2", kind="status", status=503, times=5))
        with pytest.raises(TransferError):
            await attempt(simulator, notes)
        created = await attempt(simulator, notes, users=USERS.replace(b'"s1"', b'"s9"'), **looks)
        assert jobs_of(simulator) == {created.dataset_id: 1}
        assert simulator.stats.calls[SET] == 2

    async def test_urls_that_ran_out_make_a_fresh_dataset(self, simulator: Simulator) -> None:
        notes = Notes()
        simulator.faults.add(FaultRule(match=PUT, kind="expired_url", nth=2))
        created = await attempt(simulator, notes)
        assert jobs_of(simulator) == {created.dataset_id: 1}
        assert simulator.stats.calls[SET] == 2

    async def test_urls_that_always_run_out_end_in_an_error_that_names_the_upload_host(
        self, simulator: Simulator
    ) -> None:
        simulator.faults.add(FaultRule(match=PUT, kind="expired_url"))
        with pytest.raises(PermanentApiError, match="look at the network to the upload host") as caught:
            await attempt(simulator, Notes())
        assert simulator.stats.calls[SET] == creation.MAX_DATASETS
        assert "Signature" not in str(caught.value)

    async def test_a_halted_job_makes_a_fresh_dataset(self, simulator: Simulator) -> None:
        simulator.faults.add(FaultRule(match="job", kind="job_halt", nth=1))
        notes = Notes()
        first = await attempt(simulator, notes)
        async with process(simulator, Fate()) as (client, _):
            while not (await client.jobs([first.job_reference]))[0].is_halted:
                continue
        second = await attempt(simulator, notes)
        assert second.dataset_id != first.dataset_id

    async def test_a_job_that_is_not_listed_is_still_the_job(self, simulator: Simulator) -> None:
        simulator.faults.add(FaultRule(match="job", kind="job_vanish"))
        notes = Notes()
        first = await attempt(simulator, notes)
        assert await attempt(simulator, notes) == CreatedDataset(
            first.dataset_id, first.job_reference, 3, 40, len(USERS), first.request, reattached=True
        )

    @pytest.mark.parametrize("name", ["20012", "no such address"])
    @pytest.mark.parametrize("about", ["this job", "every call"])
    async def test_a_job_of_which_the_api_says_that_it_is_not_there_is_still_the_job_unless_the_address_is_wrong(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, name: str, about: str
    ) -> None:
        notes = Notes()
        first = await attempt(simulator, notes)
        read = LearnosityClient._call

        async def gone(self: LearnosityClient, action: str, endpoint: Any, request: Any, *more: Any) -> Reply:
            if endpoint == "jobs" and (about == "every call" or request.get("references")):
                body = b"<html>" if name == "no such address" else b'{"meta": {"status": false, "code": 20012}}'
                return parse_reply(404, body)
            return await read(self, action, endpoint, request, *more)

        monkeypatch.setattr(LearnosityClient, "_call", gone)
        if about == "every call":
            with pytest.raises(PermanentApiError, match="20012|does not know this address"):
                await attempt(simulator, notes)
        else:
            again = await attempt(simulator, notes)
            assert (again.job_reference, again.reattached) == (first.job_reference, True)
        assert sum(jobs_of(simulator).values()) == 1


class TestWhatMakesTwoAttemptsAttemptsAtTheSameDataset:
    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            pytest.param({"account": "another"}, "The connection leads to another Learnosity account", id="account"),
            pytest.param({"written": "otherwise"}, "The run config or the DAG has changed", id="request"),
            pytest.param({"users": USERS * 2}, "The input files have changed", id="input"),
            pytest.param({"version": b"2"}, "The input files have changed", id="input-of-another-version"),
        ],
    )
    async def test_what_a_person_has_changed_makes_a_fresh_dataset_and_the_log_says_so(
        self, simulator: Simulator, changes: dict[str, Any], says: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        notes = Notes()
        first = await attempt(simulator, notes)
        with caplog.at_level("INFO"):
            second = await attempt(simulator, notes, **changes)
        assert first.dataset_id != second.dataset_id
        assert not second.reattached
        assert jobs_of(simulator) == {first.dataset_id: 1, second.dataset_id: 1}
        assert re.search(rf"{says} since dataset {first.dataset_id} was begun.*fresh one is made", caplog.text)

    @pytest.mark.parametrize(
        "error",
        [
            StorageError("No permission on the bucket."),
            TransientStorageError("The store failed."),
            PermanentError("No input found."),
        ],
        ids=["no permission", "away", "gone"],
    )
    @pytest.mark.promise("re-attach")
    async def test_input_that_cannot_be_seen_now_does_not_keep_a_job_from_being_taken_over(
        self, simulator: Simulator, error: LearnosityError, caplog: pytest.LogCaptureFixture
    ) -> None:
        notes = Notes()
        first = await attempt(simulator, notes)
        again = await attempt(simulator, notes, seen=error)
        assert again == dataclasses.replace(first, reattached=True)
        assert [str(error) in text for text in warnings(caplog)] == [True]

    async def test_input_that_is_replaced_between_the_look_and_the_reading_goes_into_one_dataset(
        self, simulator: Simulator
    ) -> None:
        notes = Notes()
        first = await attempt(simulator, notes, version=b"1")
        second = await attempt(simulator, notes, seen=b"2", version=b"3")
        assert jobs_of(simulator) == {first.dataset_id: 1, second.dataset_id: 1}
        assert simulator.stats.calls[SET] == 2

    async def test_input_is_not_looked_at_before_there_is_something_to_compare_it_with(
        self, simulator: Simulator
    ) -> None:
        await attempt(simulator, Notes(), seen=StorageError("nobody asks"))
        created = await attempt(simulator, Notes(), request=WITHOUT_FILES, seen=StorageError("nobody asks"))
        assert not created.reattached

    @pytest.mark.promise("re-attach")
    async def test_a_template_that_renders_differently_takes_over_the_job_of_the_request_as_it_was_sent(
        self, simulator: Simulator, caplog: pytest.LogCaptureFixture
    ) -> None:
        notes = Notes()
        first = await attempt(simulator, notes)
        assert await attempt(simulator, notes) == dataclasses.replace(first, reattached=True)
        assert warnings(caplog) == []
        later = dataclasses.replace(WITH_FILES, filters={"activity_id": ["maths"], "maxtime": "2026-11-28"})
        again = await attempt(simulator, notes, request=later)
        assert again == dataclasses.replace(first, reattached=True)
        assert again.request["filters"] == {"activity_id": ["maths"]}
        (said,) = warnings(caplog)
        assert re.search(rf"renders? differently now.*{first.dataset_id}.* as sent", said)

    async def test_an_upload_that_goes_on_is_of_the_request_as_it_was_sent(self, simulator: Simulator) -> None:
        notes = Notes()
        simulator.faults.add(FaultRule(match=PUT, name="*/2", kind="status", status=503, times=5))
        with pytest.raises(TransferError):
            await attempt(simulator, notes)
        later = dataclasses.replace(WITH_FILES, filters={"activity_id": ["reading"]})
        created = await attempt(simulator, notes, request=later)
        assert created.request["filters"] == {"activity_id": ["maths"]}
        assert not created.reattached
        assert simulator.stats.calls[SET] == 1


class TestWhatRelease1HasNoted:
    @pytest.mark.promise("re-attach")
    async def test_of_a_started_job_is_taken_over(self, simulator: Simulator) -> None:
        notes = Notes()
        first = await attempt(simulator, notes)
        notes.as_of_release_one()
        again = await attempt(simulator, notes, account="another", written="otherwise", users=USERS * 2)
        assert again == dataclasses.replace(first, request={}, reattached=True)
        assert jobs_of(simulator) == {first.dataset_id: 1}

    async def test_of_a_job_that_may_have_been_started_is_looked_up(self, simulator: Simulator) -> None:
        simulator.configure(job_names_dataset=True)
        notes = Notes()
        simulator.faults.add(FaultRule(match=COMMENCE, kind="lost_reply", nth=1))
        simulator.faults.add(FaultRule(match=JOBS, kind="status", status=503, nth=2))
        with pytest.raises(TransientApiError):
            await attempt(simulator, notes)
        assert notes.state.step == "commencing"
        notes.as_of_release_one()
        created = await attempt(simulator, notes)
        assert created.reattached
        assert jobs_of(simulator) == {created.dataset_id: 1}
        assert simulator.stats.calls[COMMENCE] == 1

    async def test_of_an_upload_that_was_cut_short_goes_on_with_what_is_missing(self, simulator: Simulator) -> None:
        notes = Notes()
        simulator.faults.add(FaultRule(match=PUT, name="*/2", kind="status", status=503, times=5))
        with pytest.raises(TransferError):
            await attempt(simulator, notes)
        begun = notes.state
        notes.as_of_release_one()
        created = await attempt(simulator, notes)
        assert created.dataset_id == begun.dataset_id
        assert {simulator.stats.puts[f"{begun.dataset_id}/{part}"] for part in range(3)} == {1}


class TestTheRequest:
    @pytest.mark.parametrize("request_", [WITH_FILES, WITHOUT_FILES], ids=["three parts", "no input"])
    async def test_is_told_as_it_was_sent_with_the_item_bank_of_the_connection(
        self, simulator: Simulator, request_: DatasetRequest
    ) -> None:
        simulator.configure(linked_organisations=(7,))
        notes = Notes()
        created = await attempt(simulator, notes, request=request_, organisation_id=7)
        files = 0 if request_ is WITHOUT_FILES else 3
        assert created.request == request_.body(created.dataset_id, files) | {"organisation_id": 7}
        assert simulator._running.datasets[created.dataset_id].spec.organisation_id == 7
        assert (await attempt(simulator, notes, request=request_, organisation_id=7)).request == created.request

    async def test_keeps_an_item_bank_of_its_own(self, simulator: Simulator) -> None:
        simulator.configure(linked_organisations=(7, 8))
        own = dataclasses.replace(WITH_FILES, organisation_id=8)
        created = await attempt(simulator, Notes(), request=own, organisation_id=7)
        assert created.request["organisation_id"] == 8
        assert simulator._running.datasets[created.dataset_id].spec.organisation_id == 8

    async def test_is_of_the_id_that_learnosity_gave_the_dataset(self, simulator: Simulator) -> None:
        body = {"meta": {"status": True}, "data": {"dataset_id": WANTED, "job_reference": "a-job"}}
        reply = msgspec.json.encode(body).decode()
        simulator.faults.add(FaultRule(match=SET, kind="status", status=200, body=reply))
        created = await attempt(simulator, Notes(), request=WITHOUT_FILES)
        assert (created.dataset_id, created.request["dataset_id"]) == (WANTED, WANTED)

    @pytest.mark.parametrize("request_", [WITH_FILES, WITHOUT_FILES], ids=["three parts", "no input"])
    @pytest.mark.parametrize("given", ["of-its-own", WANTED[:-1] + "5", WANTED + "0", "../x"])
    async def test_is_given_up_where_learnosity_gives_another_id_than_the_run_config_names(
        self, simulator: Simulator, request_: DatasetRequest, given: str
    ) -> None:
        urls = [f"{simulator.url}/objects/{part}" for part in range(3)]
        more = {"input_files": urls} if request_ is WITH_FILES else {"job_reference": "a-job"}
        faked(simulator, dataset_id=given, **more)
        notes = Notes()
        with pytest.raises(UnexpectedReplyError, match=f"another id than {WANTED}") as caught:
            await attempt(simulator, notes, request=request_, dataset_id=WANTED)
        assert given not in str(caught.value).replace(WANTED, "")
        assert not simulator.stats.calls[PUT]
        assert notes.state.dataset_id == WANTED

    @pytest.mark.parametrize("given", [WANTED, WANTED.upper(), WANTED.replace("-", ""), None, ""])
    async def test_may_have_its_id_in_another_spelling_or_not_at_all(
        self, simulator: Simulator, given: str | None
    ) -> None:
        faked(simulator, dataset_id=given, job_reference="a-job")
        created = await attempt(simulator, Notes(), request=WITHOUT_FILES, dataset_id=WANTED)
        assert created.dataset_id == (given or WANTED)

    @pytest.mark.parametrize("given", ["../x", "a/b", "/etc/passwd", "a\\b", ".hidden", "x" * 101])
    @pytest.mark.promise("untrusted names")
    async def test_is_given_up_where_learnosity_gives_an_id_that_must_not_become_a_folder(
        self, simulator: Simulator, given: str
    ) -> None:
        urls = [f"{simulator.url}/objects/{part}" for part in range(3)]
        body = {"meta": {"status": True}, "data": {"dataset_id": given, "input_files": urls}}
        reply = msgspec.json.encode(body).decode()
        simulator.faults.add(FaultRule(match=SET, kind="status", status=200, body=reply))
        notes = Notes()
        with pytest.raises(PermanentError, match="cannot be part of a path"):
            await attempt(simulator, notes)
        assert not simulator.stats.calls[PUT], "nothing is uploaded"
        assert not simulator.stats.calls[COMMENCE], "nothing is started"
        assert notes.state.dataset_id != given


class TestTheReplyToInitialise:
    """It has either upload URLs or a job, and which of them follows from the number of files."""

    @pytest.mark.parametrize("urls", [None, [], 2, 3], ids=["no URLs", "an empty list", "too few URLs", "all URLs"])
    @pytest.mark.parametrize("reference", ["a-job", ["a-job"], 7], ids=repr)
    async def test_that_names_a_job_before_the_upload_is_not_understood(
        self, simulator: Simulator, urls: Any, reference: Any
    ) -> None:
        if isinstance(urls, int):
            urls = [f"{simulator.url}/objects/{part}" for part in range(urls)]
        more = {} if urls is None else {"input_files": urls}
        faked(simulator, dataset_id=WANTED, job_reference=reference, **more)
        notes = Notes()
        with pytest.raises(UnexpectedReplyError, match=r"names a job, although 3 input file\(s\)"):
            await attempt(simulator, notes, dataset_id=WANTED)
        assert not simulator.stats.calls[PUT]
        assert not simulator.stats.calls[COMMENCE]
        assert notes.state.step == "initialising"

    @pytest.mark.parametrize("urls", [["https://bucket.example/0"], [{"url": "https://bucket.example/0"}], "x"])
    async def test_that_has_upload_urls_without_input_is_not_understood(self, simulator: Simulator, urls: Any) -> None:
        faked(simulator, dataset_id=WANTED, job_reference="a-job", input_files=urls)
        with pytest.raises(UnexpectedReplyError, match="upload URLs beside its job_reference"):
            await attempt(simulator, Notes(), request=WITHOUT_FILES, dataset_id=WANTED)

    @pytest.mark.parametrize(
        "stated",
        [{"errors": ["quota"]}, {"error": "quota"}, {"errors": {"0": "quota"}}, {"status": {"error": "quota"}}],
        ids=repr,
    )
    async def test_that_states_an_error_beside_its_urls_ends_before_the_upload(
        self, simulator: Simulator, stated: dict[str, Any]
    ) -> None:
        urls = [f"{simulator.url}/objects/{part}" for part in range(3)]
        faked(simulator, dataset_id=WANTED, input_files=urls, **stated)
        with pytest.raises(UnexpectedReplyError, match="states an error: .*Nothing was uploaded"):
            await attempt(simulator, Notes(), dataset_id=WANTED)
        assert not simulator.stats.calls[PUT]

    @pytest.mark.parametrize(
        "stated",
        [
            *({"errors": []}, {"error": None}, {"error": ""}, {"errors": {}}, {"errors": [None]}, {"error": False}),
            *({"error": {"code": 0, "message": ""}}, {"errors": {"input_files": []}}, {"error": "No error."}),
        ],
        ids=repr,
    )
    async def test_may_say_that_there_is_no_error(self, simulator: Simulator, stated: dict[str, Any]) -> None:
        faked(simulator, dataset_id=WANTED, job_reference="a-job", **stated)
        assert (await attempt(simulator, Notes(), request=WITHOUT_FILES)).job_reference == "a-job"
        simulator.faults.clear()
        urls = [f"{simulator.url}/objects/{part}" for part in range(3)]
        faked(simulator, dataset_id=WANTED, input_files=urls, **stated)
        with pytest.raises(PermanentApiError, match="the URLs of each expired"):  # so the upload used these URLs
            await attempt(simulator, Notes())

    async def test_that_names_a_job_beside_an_error_is_taken_and_the_log_says_the_error(
        self, simulator: Simulator, caplog: pytest.LogCaptureFixture
    ) -> None:
        faked(simulator, dataset_id=WANTED, job_reference="a-job", error="quota")
        assert (await attempt(simulator, Notes(), request=WITHOUT_FILES)).job_reference == "a-job"
        assert any("names a job, and states an error" in each for each in warnings(caplog))

    @pytest.mark.parametrize("reference", [None, "", 0], ids=repr)
    async def test_may_have_the_other_key_without_a_value(self, simulator: Simulator, reference: Any) -> None:
        faked(simulator, dataset_id=WANTED, job_reference="a-job", input_files=[])
        assert (await attempt(simulator, Notes(), request=WITHOUT_FILES)).job_reference == "a-job"
        simulator.faults.clear()
        urls = [f"{simulator.url}/objects/{part}" for part in range(3)]
        faked(simulator, dataset_id=WANTED, job_reference=reference, input_files=urls)
        with pytest.raises(PermanentApiError, match="the URLs of each expired"):  # so the upload used these URLs
            await attempt(simulator, Notes())


AMBIGUOUS = [
    FaultRule(match=COMMENCE, kind="lost_reply", nth=1),
    FaultRule(match=COMMENCE, kind="truncate", nth=1),
    FaultRule(match=COMMENCE, kind="reset", nth=1),
    FaultRule(match=COMMENCE, kind="status", status=502, nth=1),
    FaultRule(match=COMMENCE, kind="non_json", nth=1),
]


class TestLostReplies:
    @pytest.mark.parametrize("fault", AMBIGUOUS, ids=lambda fault: fault.kind)
    @pytest.mark.promise("no blind SET")
    async def test_of_the_commence_call_are_looked_up_before_anything_is_sent_again(
        self, simulator: Simulator, fault: FaultRule
    ) -> None:
        simulator.configure(job_names_dataset=True)
        simulator.faults.add(fault)
        created = await attempt(simulator, Notes())
        assert jobs_of(simulator) == {created.dataset_id: 1}
        assert simulator.stats.calls[SET] == 1

    @pytest.mark.parametrize("fault", AMBIGUOUS, ids=lambda fault: fault.kind)
    async def test_never_start_a_second_job_for_a_dataset_even_where_the_api_would_allow_it(
        self, simulator: Simulator, fault: FaultRule
    ) -> None:
        simulator.configure(recommence="second_job")
        simulator.faults.add(fault)
        created = await attempt(simulator, Notes())
        assert max(jobs_of(simulator).values()) == 1
        assert jobs_of(simulator)[created.dataset_id] == 1

    @pytest.mark.parametrize("kind", ["reset", "status", "non_json"])
    async def test_without_an_effect_start_the_same_dataset_even_in_a_busy_account(
        self, simulator: Simulator, kind: Any
    ) -> None:
        other = await attempt(simulator, Notes())
        simulator.faults.add(FaultRule(match=COMMENCE, kind=kind, nth=1))
        created = await attempt(simulator, Notes())
        assert jobs_of(simulator) == {other.dataset_id: 1, created.dataset_id: 1}
        assert simulator.stats.calls[SET] == 2

    async def test_in_a_busy_account_lead_to_a_fresh_dataset_and_the_log_says_so(
        self, simulator: Simulator, caplog: pytest.LogCaptureFixture
    ) -> None:
        other = await attempt(simulator, Notes())
        simulator.faults.add(FaultRule(match=COMMENCE, kind="lost_reply", nth=1))
        created = await attempt(simulator, Notes())
        assert jobs_of(simulator)[created.dataset_id] == 1
        assert created.job_reference != other.job_reference
        assert "alone and a fresh one is made" in caplog.text

    @pytest.mark.parametrize(
        "records",
        [[{"status": "running"}], [None], ["a-job"], {"jobs": [{"reference": "a"}]}, [{"reference": None}], None, []],
        ids=repr,
    )
    async def test_are_not_settled_by_a_list_of_jobs_that_is_not_understood(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, records: Any
    ) -> None:
        """It must not count as a list without jobs: then the job would be started again."""
        simulator.configure(recommence="second_job")
        simulator.faults.add(FaultRule(match=COMMENCE, kind="lost_reply", nth=1))
        read = LearnosityClient._call

        async def odd_list(self: LearnosityClient, action: str, endpoint: Any, *args: Any, **more: Any) -> Reply:
            reply = await read(self, action, endpoint, *args, **more)
            lost = simulator.stats.calls[COMMENCE] and action == "get"
            return Reply(reply.meta, records) if lost else reply

        monkeypatch.setattr(LearnosityClient, "_call", odd_list)
        notes = Notes()
        for _ in range(2):
            with pytest.raises(UnexpectedReplyError, match="without a reference|whether a job runs is not known"):
                await attempt(simulator, notes)
        assert sum(jobs_of(simulator).values()) == 1
        monkeypatch.undo()

    @pytest.mark.parametrize("request_", [WITH_FILES, WITHOUT_FILES], ids=["three parts", "no input"])
    @pytest.mark.parametrize("shown", [(0,), (1,), (2,), (1, 2), (0, 3)], ids=repr)
    @pytest.mark.parametrize("breaks", [False, True], ids=["one try", "two tries"])
    @pytest.mark.promise("no blind SET")
    async def test_are_not_forgotten_where_a_new_job_is_listed_for_a_moment_only(
        self,
        simulator: Simulator,
        monkeypatch: pytest.MonkeyPatch,
        request_: DatasetRequest,
        shown: tuple[int, ...],
        breaks: bool,
    ) -> None:
        """`shown`: which polls after the lost reply list it. With `breaks`, the poll after the first of them fails."""
        simulator.configure(recommence="second_job", job_names_dataset=False)
        call = COMMENCE if request_ is WITH_FILES else SET
        simulator.faults.add(FaultRule(match=call, kind="lost_reply", nth=1))
        listed, polls = MortalClient.jobs, [0]

        async def at_times(self: MortalClient, *args: Any, **kwargs: Any) -> list[Job]:
            jobs = await listed(self, *args, **kwargs)
            if not simulator.stats.calls[call]:
                return jobs
            polls[0] += 1
            if breaks and polls[0] - 2 == shown[0]:
                raise TransientApiError("503")
            return jobs if polls[0] - 1 in shown else []

        monkeypatch.setattr(MortalClient, "jobs", at_times)
        notes = Notes()
        for _ in range(1 + breaks):
            with pytest.raises(LearnosityError):
                await attempt(simulator, notes, request=request_, dataset_id=WANTED)
        assert jobs_of(simulator) == {WANTED: 1}
        assert simulator.stats.calls[SET] == 1

    @pytest.mark.parametrize("status", [None, "", 7], ids=repr)
    async def test_a_job_without_a_status_is_a_job(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, status: Any
    ) -> None:
        simulator.configure(recommence="second_job", job_names_dataset=True)
        simulator.faults.add(FaultRule(match=COMMENCE, kind="lost_reply", nth=1))
        read = LearnosityClient._call

        async def odd_list(self: LearnosityClient, action: str, endpoint: Any, *args: Any, **more: Any) -> Reply:
            reply = await read(self, action, endpoint, *args, **more)
            if action != "get":
                return reply
            return Reply(reply.meta, [{**record, "status": status} for record in reply.records()])

        monkeypatch.setattr(LearnosityClient, "_call", odd_list)
        created = await attempt(simulator, Notes())
        assert jobs_of(simulator) == {created.dataset_id: 1}

    @pytest.mark.parametrize("late", range(1, len(decisions.POLL_WAITS_SECONDS)))
    @pytest.mark.promise("no blind SET")
    async def test_are_settled_by_a_job_that_is_listed_late(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, late: int
    ) -> None:
        simulator.configure(recommence="second_job", job_names_dataset=True)
        simulator.faults.add(FaultRule(match=COMMENCE, kind="lost_reply", nth=1))
        read, calls = LearnosityClient.jobs, count()

        async def jobs(self: LearnosityClient, *args: Any, **more: Any) -> list[Job]:
            found = await read(self, *args, **more)
            return found if next(calls) > late else []  # the first call is the one before the job is started

        monkeypatch.setattr(LearnosityClient, "jobs", jobs)
        created = await attempt(simulator, Notes())
        assert created.reattached
        assert jobs_of(simulator) == {created.dataset_id: 1}

    @pytest.mark.parametrize("named", [True, False], ids=["named", "not named"])
    @pytest.mark.parametrize("request_", [WITH_FILES, WITHOUT_FILES], ids=["three parts", "no input"])
    @pytest.mark.parametrize(
        "data", [None, [], {}, ["a-job"], {"ref": "a-job"}, {"job_reference": ["a-job"]}], ids=repr
    )
    async def test_a_reply_that_is_not_understood_leads_to_the_listed_job_or_to_an_error(
        self,
        simulator: Simulator,
        monkeypatch: pytest.MonkeyPatch,
        data: Any,
        request_: DatasetRequest,
        named: bool,
    ) -> None:
        """The call was sent, so the job may run. It is not sent again."""
        simulator.configure(recommence="second_job", job_names_dataset=named)
        read = LearnosityClient._call

        async def odd(self: LearnosityClient, action: str, endpoint: str, *args: Any, **more: Any) -> Reply:
            reply = await read(self, action, endpoint, *args, **more)
            starts = endpoint == "jobs/reports/datasets" or (action == "set" and request_ is WITHOUT_FILES)
            return Reply(reply.meta, data) if starts else reply

        monkeypatch.setattr(LearnosityClient, "_call", odd)
        notes = Notes()
        if named:
            created = await attempt(simulator, notes, request=request_)
            assert created.reattached
        else:
            with pytest.raises(UnexpectedReplyError, match="job_reference"):
                await attempt(simulator, notes, request=request_)
            # Neither another try nor a person who clears the task starts a second job.
            simulator.faults.add(FaultRule(match=JOBS, kind="status", status=503, times=20))
            for _ in range(2):
                with pytest.raises(LearnosityError):
                    await attempt(simulator, notes, request=request_)
                simulator.faults.clear()
        assert list(jobs_of(simulator).values()) == [1]

    async def test_a_call_that_something_before_the_api_has_refused_is_sent_again_when_the_task_is_cleared(
        self, simulator: Simulator
    ) -> None:
        page = "<html>This request was blocked.</html>"
        simulator.faults.add(FaultRule(match=COMMENCE, kind="status", status=403, body=page, nth=1))
        notes = Notes()
        with pytest.raises(PermanentError):
            await attempt(simulator, notes)
        assert not jobs_of(simulator)
        created = await attempt(simulator, notes)
        assert jobs_of(simulator) == {created.dataset_id: 1}

    @pytest.mark.parametrize("kind", ["lost_reply", "reset", "truncate", "non_json"])
    async def test_of_an_initialise_call_with_input_cost_a_fresh_dataset_and_no_second_job(
        self, simulator: Simulator, kind: Any
    ) -> None:
        simulator.faults.add(FaultRule(match=SET, kind=kind, nth=1))
        created = await attempt(simulator, Notes())
        assert jobs_of(simulator) == {created.dataset_id: 1}

    async def test_of_an_initialise_call_without_input_are_settled_by_the_job_list(self, simulator: Simulator) -> None:
        simulator.configure(job_names_dataset=True)
        simulator.faults.add(FaultRule(match=SET, kind="lost_reply", nth=1))
        created = await attempt(simulator, Notes(), request=WITHOUT_FILES)
        assert jobs_of(simulator) == {created.dataset_id: 1}
        assert created.reattached

    async def test_of_initialise_calls_that_start_no_job_are_left_to_the_next_try(self, simulator: Simulator) -> None:
        simulator.faults.add(FaultRule(match=SET, kind="status", status=502, times=creation.MAX_DATASETS))
        notes = Notes()
        with pytest.raises(TransientApiError):
            await attempt(simulator, notes, request=WITHOUT_FILES)
        created = await attempt(simulator, notes, request=WITHOUT_FILES)
        assert jobs_of(simulator) == {created.dataset_id: 1}

    async def test_that_keep_getting_lost_end_the_try_and_not_the_task(self, simulator: Simulator) -> None:
        simulator.faults.add(FaultRule(match=COMMENCE, kind="reset", times=2))
        notes = Notes()
        with pytest.raises(TransientApiError):
            await attempt(simulator, notes)
        created = await attempt(simulator, notes)
        assert jobs_of(simulator) == {created.dataset_id: 1}

    @NAMED
    @RECOMMENCE
    @pytest.mark.promise("no blind SET")
    async def test_and_a_rate_limit_at_the_second_send_do_not_hide_the_job_that_the_first_one_started(
        self, simulator: Simulator, named: bool, recommence: Any
    ) -> None:
        simulator.configure(job_names_dataset=named, recommence=recommence)
        simulator.faults.add(FaultRule(match=COMMENCE, kind="lost_reply", nth=1))
        simulator.faults.add(FaultRule(match=COMMENCE, kind="rate_limited", nth=2))
        notes = Notes()
        with pytest.raises(TransientApiError) as caught:
            await attempt(simulator, notes, sees_jobs=False)
        assert caught.value.http_status == 429
        assert notes.state.step == "commencing", "the second send did nothing, but the first one may have"
        begun = notes.state.dataset_id
        created = await attempt(simulator, notes)
        assert jobs_of(simulator) == {begun: 1, created.dataset_id: 1}
        assert created.reattached == named
        assert (created.dataset_id == begun) == named, "where nobody can tell, the dataset is left alone"

    @RECOMMENCE
    async def test_and_a_rate_limit_at_the_second_send_leave_one_job_under_a_wanted_id(
        self, simulator: Simulator, recommence: Any
    ) -> None:
        simulator.configure(recommence=recommence)
        simulator.faults.add(FaultRule(match=COMMENCE, kind="lost_reply", nth=1))
        simulator.faults.add(FaultRule(match=COMMENCE, kind="rate_limited", nth=2))
        notes = Notes()
        with pytest.raises(TransientApiError):
            await attempt(simulator, notes, sees_jobs=False, dataset_id=WANTED)
        for _ in range(2):
            with pytest.raises(PermanentError, match="another dataset_id"):
                await attempt(simulator, notes, dataset_id=WANTED)
        assert jobs_of(simulator) == {WANTED: 1}

    async def test_without_an_effect_and_a_rate_limit_at_the_second_send_leave_the_job_to_the_next_try(
        self, simulator: Simulator
    ) -> None:
        simulator.faults.add(FaultRule(match=COMMENCE, kind="reset", nth=1))
        simulator.faults.add(FaultRule(match=COMMENCE, kind="rate_limited", nth=2))
        notes = Notes()
        with pytest.raises(TransientApiError):
            await attempt(simulator, notes)
        created = await attempt(simulator, notes)
        assert jobs_of(simulator) == {created.dataset_id: 1}
        assert simulator.stats.calls[SET] == 1


class TestAClockThatIsWrong:
    @pytest.fixture(params=[-15, 15], ids=["15 minutes behind", "15 minutes ahead"])
    def wrong_clock(
        self, request: pytest.FixtureRequest, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The clock of this machine; Learnosity's is right."""
        right = time.time
        for name, module in list(sys.modules.items()):
            if name.startswith("simulator.") and getattr(module, "time", None) is time:
                monkeypatch.setattr(module, "time", SimpleNamespace(**vars(time)))
        monkeypatch.setattr(time, "time", lambda: right() + 60.0 * request.param)

    @NAMED
    @pytest.mark.usefixtures("wrong_clock")
    @pytest.mark.promise("no blind SET")
    async def test_does_not_hide_the_job_whose_reply_was_lost(
        self, simulator: Simulator, named: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        # With `second_job`, a second call to start the job would start a second job. So no such call may be sent.
        simulator.configure(job_names_dataset=named, recommence="second_job")
        other = await attempt(simulator, Notes())
        simulator.faults.add(FaultRule(match=COMMENCE, kind="lost_reply", nth=1))
        notes = Notes()
        created = await attempt(simulator, notes)
        assert set(jobs_of(simulator).values()) == {1}
        assert len(jobs_of(simulator)) == (2 if named else 3)
        assert created.reattached == named
        assert created.dataset_id != other.dataset_id
        assert ("1 job(s) may have been created since" in caplog.text) != named
        assert abs(notes.state.since - time.time()) > 10 * 60, "the noted time is Learnosity's"

    @NAMED
    @pytest.mark.usefixtures("wrong_clock")
    async def test_leaves_one_job_under_a_wanted_id(self, simulator: Simulator, named: bool) -> None:
        simulator.configure(job_names_dataset=named, recommence="second_job")
        simulator.faults.add(FaultRule(match=COMMENCE, kind="lost_reply", nth=1))
        notes = Notes()
        if named:
            assert (await attempt(simulator, notes, dataset_id=WANTED)).reattached
        else:
            with pytest.raises(PermanentError, match="another dataset_id"):
                await attempt(simulator, notes, dataset_id=WANTED)
        assert jobs_of(simulator) == {WANTED: 1}

    @NAMED
    @pytest.mark.usefixtures("wrong_clock")
    async def test_does_not_hide_the_job_of_a_dataset_without_input(self, simulator: Simulator, named: bool) -> None:
        simulator.configure(job_names_dataset=named)
        simulator.faults.add(FaultRule(match=SET, kind="lost_reply", nth=1))
        created = await attempt(simulator, Notes(), request=WITHOUT_FILES)
        assert set(jobs_of(simulator).values()) == {1}
        assert len(jobs_of(simulator)) == (1 if named else 2)
        assert created.reattached == named


@NAMED
@pytest.mark.parametrize(
    "told", [lambda seconds: seconds * 1000, lambda seconds: seconds * 1000.0, str, lambda _: None]
)
@pytest.mark.promise("no blind SET")
async def test_a_time_of_learnosity_that_is_in_no_seconds_hides_no_job(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, named: bool, told: Callable[[int], Any]
) -> None:
    """Jobs are then listed without a filter: a time in milliseconds would be one in the far future."""

    def parse(*args: Any, **named: Any) -> Reply:
        reply = parse_reply(*args, **named)
        return Reply(meta={**reply.meta, "timestamp": told(reply.meta["timestamp"])}, data=reply.data)

    monkeypatch.setattr("learnosity.api.client.parse_reply", parse)
    simulator.configure(job_names_dataset=named, recommence="second_job")
    simulator.faults.add(FaultRule(match=COMMENCE, kind="lost_reply", nth=1))
    await attempt(simulator, Notes())
    assert set(jobs_of(simulator).values()) == {1}


class Suspended(Pacer):
    """Suspends a process in the wait before a call is sent, until it is told to go on.

    :param target: the call, as the simulator names it.
    :param nth: how many of these calls have to be made first.
    """

    def __init__(self, target: str, nth: int = 1) -> None:
        super().__init__(head_room=20)
        self._target = target
        self._left = nth
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def wait(self, endpoint: str, action: str) -> None:
        await super().wait(endpoint, action)
        if f"{action} {endpoint}" == self._target:
            self._left -= 1
            if not self._left:
                self.reached.set()
                await self.go_on.wait()


class TestAWorkerThatWasThoughtDead:
    """It was suspended, the scheduler gave its task to another one, and then it wakes up."""

    @RECOMMENCE
    @pytest.mark.promise("no blind SET")
    async def test_in_a_backoff_before_the_job_is_started_sends_nothing_more(
        self, simulator: Simulator, recommence: Any
    ) -> None:
        simulator.configure(recommence=recommence)
        simulator.faults.add(FaultRule(match=COMMENCE, kind="rate_limited", nth=1))
        notes, pacer = Notes(), Suspended(COMMENCE, nth=2)
        first = asyncio.create_task(attempt(simulator, notes, attempts=6, pacer=pacer))
        await pacer.reached.wait()
        created = await attempt(simulator, notes)
        before = dict(simulator.stats.calls)
        pacer.go_on.set()
        with pytest.raises(PermanentError, match="Another attempt of this task has taken over"):
            await first
        assert dict(simulator.stats.calls) == before
        assert jobs_of(simulator) == {created.dataset_id: 1}
        assert (notes.state.step, notes.state.dataset_id) == ("started", created.dataset_id)
        assert (await attempt(simulator, notes)).job_reference == created.job_reference

    @pytest.mark.parametrize("request_", [WITH_FILES, WITHOUT_FILES], ids=["three parts", "no input"])
    async def test_in_a_wait_before_the_dataset_is_made_sends_nothing_more(
        self, simulator: Simulator, request_: DatasetRequest
    ) -> None:
        notes, pacer = Notes(), Suspended(SET)
        first = asyncio.create_task(attempt(simulator, notes, request=request_, pacer=pacer))
        await pacer.reached.wait()
        created = await attempt(simulator, notes, request=request_)
        before = dict(simulator.stats.calls)
        pacer.go_on.set()
        with pytest.raises(PermanentError, match="Another attempt of this task has taken over"):
            await first
        assert dict(simulator.stats.calls) == before
        assert jobs_of(simulator) == {created.dataset_id: 1}

    @pytest.mark.parametrize("begun", [False, True], ids=["first attempt", "second attempt"])
    async def test_while_it_reads_its_input_sends_nothing_more(self, simulator: Simulator, begun: bool) -> None:
        notes, reached, go_on = Notes(), asyncio.Event(), asyncio.Event()
        if begun:
            assert await dies(simulator, notes, 3) == "before initialise"
        reading = notes.load

        async def slow_load() -> CreationState | None:
            found = await reading()
            if not reached.is_set():
                reached.set()
                await go_on.wait()
            return found

        notes.load = slow_load  # type: ignore[method-assign]
        first = asyncio.create_task(attempt(simulator, notes))
        await reached.wait()
        created = await attempt(simulator, notes)
        before = dict(simulator.stats.calls)
        go_on.set()
        with pytest.raises(PermanentError, match="Another attempt of this task has taken over"):
            await first
        assert dict(simulator.stats.calls) == before
        assert jobs_of(simulator) == {created.dataset_id: 1}
        assert (notes.state.step, notes.state.dataset_id) == ("started", created.dataset_id)

    async def test_sends_nothing_more_once_a_person_has_deleted_its_state(self, simulator: Simulator) -> None:
        notes, pacer = Notes(), Suspended(COMMENCE)
        first = asyncio.create_task(attempt(simulator, notes, pacer=pacer))
        await pacer.reached.wait()
        notes.content = None
        pacer.go_on.set()
        with pytest.raises(PermanentError, match="or its state was deleted"):
            await first
        assert not jobs_of(simulator)

    @RECOMMENCE
    async def test_in_the_middle_of_its_upload_leaves_the_notes_of_its_successor_alone(
        self, simulator: Simulator, recommence: Any
    ) -> None:
        simulator.configure(recommence=recommence)
        notes = Notes()
        reached, go_on = asyncio.Event(), asyncio.Event()

        class Dozing(MortalTransfer):
            async def put(self, url: str, file: BinaryIO, offset: int, length: int) -> None:
                await super().put(url, file, offset, length)
                if not go_on.is_set() and not reached.is_set() and offset:
                    reached.set()
                    await go_on.wait()

        first = asyncio.create_task(attempt(simulator, notes, transfers=Dozing))
        await reached.wait()
        created = await attempt(simulator, notes)
        go_on.set()
        with pytest.raises(PermanentError, match="Another attempt of this task has taken over"):
            await first
        assert jobs_of(simulator) == {created.dataset_id: 1}
        assert notes.state.step == "started"
        assert (await attempt(simulator, notes)).job_reference == created.job_reference


class TestRefusals:
    async def test_a_rate_limit_at_the_commence_call_leaves_the_job_to_the_next_try(self, simulator: Simulator) -> None:
        simulator.faults.add(FaultRule(match=COMMENCE, kind="rate_limited", nth=1))
        notes = Notes()
        with pytest.raises(TransientApiError):
            await attempt(simulator, notes)
        assert notes.state.step == "uploading"
        created = await attempt(simulator, notes)
        assert jobs_of(simulator) == {created.dataset_id: 1}
        assert simulator.stats.calls[JOBS] == 3, "one before each commence, one for the time, none to settle a doubt"
        assert simulator.stats.calls[PUT] == 3

    async def test_input_that_the_api_lost_is_uploaded_to_a_fresh_dataset(self, simulator: Simulator) -> None:
        simulator.faults.add(FaultRule(match=COMMENCE, kind="status", status=400, code=50000, nth=1))
        created = await attempt(simulator, Notes())
        assert jobs_of(simulator) == {created.dataset_id: 1}
        assert simulator.stats.calls[SET] == 2

    @pytest.mark.parametrize("dataset_id", [None, WANTED], ids=["any id", "one id"])
    async def test_input_that_the_api_never_has_is_named_as_the_cause(
        self, simulator: Simulator, dataset_id: str | None
    ) -> None:
        simulator.faults.add(FaultRule(match=COMMENCE, kind="status", status=400, code=50000, times=10))
        with pytest.raises(NotReadyError, match="Not all input files were there"):
            await attempt(simulator, Notes(), dataset_id=dataset_id)
        assert not jobs_of(simulator)

    async def test_a_dataset_id_that_is_taken_says_what_to_do(self, simulator: Simulator) -> None:
        await attempt(simulator, Notes(), dataset_id=WANTED)
        with pytest.raises(RequestError, match="Leave dataset_id empty"):
            await attempt(simulator, Notes(), dataset_id=WANTED)

    @pytest.mark.parametrize(("code", "http_status"), [(20011, 409), (30000, 400), (None, 409), (20011, 200)])
    @pytest.mark.parametrize("request_", [WITH_FILES, WITHOUT_FILES], ids=["three parts", "no input"])
    async def test_a_new_id_that_is_taken_once_is_exchanged_for_another(
        self, monkeypatch: pytest.MonkeyPatch, simulator: Simulator, code: int | None, http_status: int,
        request_: DatasetRequest,
    ) -> None:  # fmt: skip
        simulator.configure(recommence="second_job")
        fails_once(monkeypatch, SET, verdict(code, http_status))
        created = await attempt(simulator, Notes(), request=request_)
        assert jobs_of(simulator) == {created.dataset_id: 1}
        assert simulator.stats.calls[SET] == 1, "the refused call does not reach the simulator"

    @pytest.mark.parametrize("named", [True, False])
    async def test_a_new_id_without_input_that_is_taken_since_the_call_came_twice_has_its_job(
        self, monkeypatch: pytest.MonkeyPatch, simulator: Simulator, named: bool
    ) -> None:
        simulator.configure(job_names_dataset=named)
        fails_once(monkeypatch, SET, verdict(20011, 409), works=True)
        created = await attempt(simulator, Notes(), request=WITHOUT_FILES)
        assert created.reattached == named
        assert set(jobs_of(simulator).values()) == {1}
        assert len(jobs_of(simulator)) == (1 if named else 2), "where nobody can tell, the dataset is left alone"

    @pytest.mark.parametrize("request_", [WITH_FILES, WITHOUT_FILES], ids=["three parts", "no input"])
    async def test_new_ids_that_are_always_taken_end_in_an_error_that_does_not_blame_the_run_config(
        self, simulator: Simulator, request_: DatasetRequest
    ) -> None:
        simulator.faults.add(FaultRule(match=SET, kind="status", status=409, code=20011))
        with pytest.raises(PermanentApiError, match="look at Learnosity's job list") as caught:
            await attempt(simulator, Notes(), request=request_)
        assert "Leave dataset_id empty" not in str(caught.value)
        assert "20011" in str(caught.value), "the reason is told"
        assert simulator.stats.calls[SET] == 2, "two new ids are not both taken"

    async def test_a_wanted_dataset_id_is_never_exchanged_for_another(self, simulator: Simulator) -> None:
        simulator.faults.add(FaultRule(match=COMMENCE, kind="lost_reply", nth=1))
        with pytest.raises(PermanentError, match="another dataset_id"):
            await attempt(simulator, Notes(), dataset_id=WANTED)
        assert set(jobs_of(simulator)) == {WANTED}

    async def test_a_reply_without_the_job_reference_starts_nothing_else(self, simulator: Simulator) -> None:
        simulator.faults.add(
            FaultRule(match=COMMENCE, kind="status", status=200, body='{"meta":{"status":true},"data":{}}', nth=1)
        )
        with pytest.raises(PermanentApiError, match="job_reference"):
            await attempt(simulator, Notes())
        assert simulator.stats.calls[SET] == 1


INFO = cast(aiohttp.RequestInfo, SimpleNamespace(real_url="https://data.example"))
NEVER_SENT: dict[str, Exception] = {
    "the proxy forbids": aiohttp.ClientHttpProxyError(INFO, (), status=403),
    "the proxy wants a login": aiohttp.ClientHttpProxyError(INFO, (), status=407),
    "the proxy cannot connect": aiohttp.ClientHttpProxyError(INFO, (), status=502),
    "there is no such proxy": OSError("Name or service not known"),
    "the certificate is not trusted": ssl.SSLCertVerificationError("self-signed certificate"),
}


@pytest.mark.parametrize("cause", NEVER_SENT.values(), ids=NEVER_SENT)
@pytest.mark.parametrize("dataset_id", [None, WANTED], ids=["any id", "one id"])
@pytest.mark.parametrize(
    ("request_", "call"),
    [(WITH_FILES, SET), (WITH_FILES, COMMENCE), (WITHOUT_FILES, SET)],
    ids=["before the upload", "after the upload", "without input"],
)
@pytest.mark.promise("no blind SET")
async def test_a_call_that_was_never_sent_leaves_no_doubt_even_in_a_busy_account(
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    cause: Exception,
    dataset_id: str | None,
    request_: DatasetRequest,
    call: str,
) -> None:
    """A person corrects the proxy, and the next try makes the same dataset, whatever other jobs have begun since."""
    simulator.configure(job_names_dataset=False)
    error, send, sent = transport_error(cause, call, "http://proxy:3128"), LearnosityClient._once, list[str]()

    async def refused_once(self: LearnosityClient, action: str, endpoint: str, *args: Any) -> Reply:
        sent.append(f"{action} {endpoint}")
        if sent.count(call) == 1 and sent[-1] == call:
            raise error
        return await send(self, action, endpoint, *args)

    notes = Notes()
    monkeypatch.setattr(LearnosityClient, "_once", refused_once)
    with pytest.raises((ConnectionConfigError, TransientApiError), match=r"proxy:3128|could not be verified"):
        await attempt(simulator, notes, request=request_, dataset_id=dataset_id)
    begun = notes.state.dataset_id
    other = await attempt(simulator, Notes())
    asked = simulator.stats.calls[JOBS]
    created = await attempt(simulator, notes, request=request_, dataset_id=dataset_id)
    assert jobs_of(simulator) == {other.dataset_id: 1, created.dataset_id: 1}
    assert created.dataset_id == (dataset_id or (begun if call == COMMENCE else created.dataset_id))
    assert simulator.stats.calls[JOBS] - asked <= 2, "one for the time, one before the job, none to settle a doubt"


def verdict(code: int | None, http_status: int, body: bytes | None = None) -> LearnosityError:
    """The error for such a reply."""
    meta = {"status": False, "code": code, "message": "said by the API"}
    with pytest.raises(LearnosityError) as caught:
        parse_reply(http_status, msgspec.json.encode({"meta": meta}) if body is None else body)
    return caught.value


def error_of_lookup() -> LearnosityError:
    lookup = CheckedLookup(build_config("c", login="k" * 16, password="s" * 40, host="https://data.example").url_policy)
    with pytest.raises(LearnosityError) as caught:
        lookup._check("data.example", ["169.254.169.254"])
    return caught.value


REFUSED: dict[str, Callable[[], LearnosityError]] = {
    **{str(code): partial(verdict, code, 400) for code in (20004, 20012, 40000, 40002, 40003, 41002, 41005, 43000)},
    "no code": partial(verdict, None, 400),
    "a redirect": partial(verdict, None, 301, b""),
    "no such address": partial(verdict, None, 404, b"<html>"),
    "a host that leads into this network": error_of_lookup,
}
DOUBTFUL: dict[str, Callable[[], LearnosityError]] = {
    **{str(status): partial(verdict, None, status) for status in (408, 425, 500, 502, 503, 504)},
    **{str(code): partial(verdict, code, 500) for code in (10000, 20018, 50100)},
    **{f"unknown code {code}": partial(verdict, code, 400) for code in (10001, 50001, 99999)},
    "no code, and a status of proxies that block replies": partial(verdict, None, 403),
    "a page": partial(verdict, None, 200, b"<html>"),
    "a blocked reply": partial(verdict, None, 403, b"<html>"),
    "a redirect after the work": partial(verdict, None, 303, b""),
    "not understood": lambda: UnexpectedReplyError("no job_reference"),
    "lost": lambda: TransientApiError("reset"),
}
CALLS = pytest.mark.parametrize(
    ("request_", "call"),
    [(WITH_FILES, SET), (WITH_FILES, COMMENCE), (WITHOUT_FILES, SET)],
    ids=["before the upload", "after the upload", "without input"],
)


def fails_once(monkeypatch: pytest.MonkeyPatch, call: str, error: LearnosityError, *, works: bool = False) -> None:
    """The first such call ends with this error. With `works`, it has its effect before that."""
    send, sent = LearnosityClient._once, list[str]()

    async def failing(self: LearnosityClient, action: str, endpoint: str, *args: Any) -> Reply:
        sent.append(f"{action} {endpoint}")
        fails = sent[-1] == call and sent.count(call) == 1
        if not fails or works:
            reply = await send(self, action, endpoint, *args)
        if fails:
            raise error
        return reply

    monkeypatch.setattr(LearnosityClient, "_once", failing)


@pytest.mark.parametrize("cause", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("dataset_id", [None, WANTED], ids=["any id", "one id"])
@CALLS
async def test_a_call_that_was_refused_leaves_no_doubt_even_in_a_busy_account(
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    cause: Callable[[], LearnosityError],
    dataset_id: str | None,
    request_: DatasetRequest,
    call: str,
) -> None:
    """A person corrects the connection, and the next try makes the same dataset, whatever other jobs have begun."""
    simulator.configure(job_names_dataset=False)
    error, notes = cause(), Notes()
    fails_once(monkeypatch, call, error)
    with pytest.raises(type(error)):
        await attempt(simulator, notes, request=request_, dataset_id=dataset_id)
    begun = notes.state.dataset_id
    other = await attempt(simulator, Notes())
    created = await attempt(simulator, notes, request=request_, dataset_id=dataset_id)
    assert jobs_of(simulator) == {other.dataset_id: 1, created.dataset_id: 1}
    assert created.dataset_id == (dataset_id or (begun if call == COMMENCE else created.dataset_id))


@pytest.mark.parametrize("cause", DOUBTFUL.values(), ids=DOUBTFUL)
@CALLS
@pytest.mark.promise("no blind SET")
async def test_an_error_that_does_not_exclude_an_effect_leaves_the_doubt(
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    cause: Callable[[], LearnosityError],
    request_: DatasetRequest,
    call: str,
) -> None:
    simulator.configure(job_names_dataset=False, recommence="second_job")
    notes = Notes()
    fails_once(monkeypatch, call, cause(), works=True)
    for _ in range(3):
        with suppress(LearnosityError):
            await attempt(simulator, notes, request=request_, dataset_id=WANTED)
    if request_ is WITH_FILES and call == SET:
        assert sum(jobs_of(simulator).values()) <= 1
    else:
        assert jobs_of(simulator) == {WANTED: 1}


@pytest.mark.parametrize("dataset_id", [None, WANTED], ids=["any id", "one id"])
@CALLS
async def test_a_state_that_cannot_be_read_right_before_a_call_leaves_no_doubt(
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    dataset_id: str | None,
    request_: DatasetRequest,
    call: str,
) -> None:
    simulator.configure(job_names_dataset=False)
    notes, once, broken = Notes(), LearnosityClient._once, list[str]()
    read = notes.load

    async def away() -> CreationState | None:
        notes.load = read  # type: ignore[method-assign]
        raise TransientError("Airflow did not read the state.")

    async def breaking(self: LearnosityClient, action: str, endpoint: str, *args: Any) -> Reply:
        if f"{action} {endpoint}" == call and not broken:
            broken.append(call)
            notes.load = away  # type: ignore[method-assign]
        return await once(self, action, endpoint, *args)

    monkeypatch.setattr(LearnosityClient, "_once", breaking)
    with pytest.raises(TransientError, match="did not read"):
        await attempt(simulator, notes, request=request_, dataset_id=dataset_id)
    assert not simulator.stats.calls[call]
    other = await attempt(simulator, Notes())
    created = await attempt(simulator, notes, request=request_, dataset_id=dataset_id)
    assert jobs_of(simulator) == {other.dataset_id: 1, created.dataset_id: 1}


class TestSealedUrls:
    URLS = (
        "https://bucket.example/infiles/0.ndjson?Signature=abc&Expires=1",
        "https://bucket.example/infiles/1.ndjson?Signature=def&Expires=1",
    )

    def test_open_with_the_same_secret_and_dataset_only(self) -> None:
        sealed = seal(self.URLS, secret="s" * 40, dataset_id="one")
        assert unseal(sealed, secret="s" * 40, dataset_id="one") == list(self.URLS)
        assert unseal(sealed, secret="t" * 40, dataset_id="one") == []
        assert unseal(sealed, secret="s" * 40, dataset_id="two") == []
        assert unseal("rubbish", secret="s" * 40, dataset_id="one") == []
        assert unseal(None, secret="s" * 40, dataset_id="one") == []

    def test_are_worth_nothing_after_fifty_minutes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sealed = seal(self.URLS, secret="s" * 40, dataset_id="one")
        now = time.time()
        monkeypatch.setattr("time.time", lambda: now + 3001)
        assert unseal(sealed, secret="s" * 40, dataset_id="one") == []

    @pytest.mark.promise("no secret")
    async def test_never_lie_readable_in_the_notes_and_are_gone_once_the_job_is_started(
        self, simulator: Simulator
    ) -> None:
        written: list[bytes] = []

        class Watched(Notes):
            async def save(self, state: CreationState) -> None:
                await super().save(state)
                written.append(self.content or b"")

        notes = Watched()
        await attempt(simulator, notes)
        assert any(b'"sealed_urls":"' in content for content in written)
        assert not any(b"http" in content or b"Signature" in content for content in written)
        assert notes.state.sealed_urls is None

    def test_of_a_hundred_parts_fit_into_the_state_store(self) -> None:
        urls = [
            f"https://learnosity-reportdatasets-va.s3.amazonaws.com/infiles/1/{n}.ndjson?AWSAccessKeyId=ASIAXXXXXXXX"
            f"&Signature={n:040d}&Expires=1790000000&x-amz-security-token={'t0ken' * 200}"
            for n in range(100)
        ]
        assert len(seal(urls, secret="s" * 40, dataset_id="one")) < 32_768


def test_a_state_survives_the_way_through_json() -> None:
    identity = RequestIdentity("an account", "as written", "versions")
    request = {"dataset_id": "d", "filters": {"activity_id": ["maths"]}}
    state = CreationState(
        "d", "uploading", 3, 1, uploaded=(0, 2), sealed_urls="x", known_jobs=("j",), identity=identity, request=request,
        attempt="a",
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(state), type=CreationState) == state
