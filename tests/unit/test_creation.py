"""Whatever dies, whenever: no job is started twice, no part goes up twice that is noted, and the next try ends it."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import msgspec
import pytest

from learnosity.api.client import LearnosityClient
from learnosity.api.config import ApiConfig, build_config
from learnosity.api.dataset_request import DatasetRequest
from learnosity.api.pacing import Pacer
from learnosity.api.replies import Reply
from learnosity.api.signed_urls import SignedTransfer
from learnosity.creation import create as creation
from learnosity.creation.create import CreatedDataset, create_dataset
from learnosity.creation.state import Handle, seal, unseal
from learnosity.creation.upload import Upload
from learnosity.errors import PermanentApiError, PermanentError, RequestError, TransferError, TransientApiError
from learnosity.inputs.spool import plan_parts
from simulator import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET, FaultRule, Simulator, SimulatorConfig

WITH_FILES = DatasetRequest(
    "activity-summary-by-group",
    filters={"activity_id": ["maths"]},
    options={"fields": ["population", "mean_score"]},
    groups=[{"key": "school", "label": "School"}],
)
WITHOUT_FILES = DatasetRequest("ibk-analysis-by-question")
USERS = b"".join(b'{"user_id": "u%d", "groups": {"school": "s%d"}}\n' % (n, n % 2) for n in range(40))
SET, PUT, COMMENCE, JOBS = "set reports/datasets", "put", "set jobs/reports/datasets", "get jobs"


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
    """A handle store that outlives processes."""

    fate: Fate = field(default_factory=Fate)
    content: bytes | None = None
    steps: list[str] = field(default_factory=list)

    async def load(self) -> Handle | None:
        return None if self.content is None else msgspec.json.decode(self.content, type=Handle)

    async def save(self, handle: Handle) -> None:
        self.fate.passes(f"before noting {handle.step}")
        self.content = msgspec.json.encode(handle)
        self.steps.append(handle.step)
        self.fate.passes(f"after noting {handle.step}")

    @property
    def handle(self) -> Handle:
        assert self.content is not None
        return msgspec.json.decode(self.content, type=Handle)


class MortalClient(LearnosityClient):
    """Dies before or after a call, with the effect and without the reply."""

    fate: Fate

    async def initialise(self, request: Any) -> Reply:
        self.fate.passes("before initialise")
        reply = await super().initialise(request)
        self.fate.passes("after initialise")
        return reply

    async def commence(self, dataset_type: str, dataset_id: str) -> str:
        self.fate.passes("before commence")
        reference = await super().commence(dataset_type, dataset_id)
        self.fate.passes("after commence")
        return reference


class MortalTransfer(SignedTransfer):
    fate: Fate

    async def put(self, url: str, file: BinaryIO, offset: int, length: int) -> None:
        self.fate.passes("before put")
        await super().put(url, file, offset, length)
        self.fate.passes("after put")


def config_for(simulator: Simulator, secret: str = DEMO_CONSUMER_SECRET) -> ApiConfig:
    return build_config("test", login=DEMO_CONSUMER_KEY, password=secret, host=simulator.url)


@asynccontextmanager
async def process(simulator: Simulator, fate: Fate) -> AsyncIterator[tuple[MortalClient, MortalTransfer]]:
    config = config_for(simulator)
    # Pacing and backoff have tests of their own: here one attempt a call is enough.
    async with (
        MortalClient(config, attempts=1, pacer=Pacer(head_room=20)) as client,
        MortalTransfer(config) as transfer,
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
    fingerprint: str = "same",
    dataset_id: str | None = None,
) -> CreatedDataset:
    """One try of the task, in a process of its own."""
    notes.fate = fate or Fate()
    with tempfile.TemporaryFile() as spool:

        async def prepare() -> Upload | None:
            if request is WITHOUT_FILES:
                return None
            spool.write(users)
            spool.flush()
            cut = plan_parts(spool, len(users), users.count(b"\n"), target_part_bytes=-(-len(users) // parts))
            return Upload(spool, cut, users.count(b"\n"), len(users), hashlib.sha256(users).hexdigest())

        async with process(simulator, notes.fate) as (client, transfer):
            return await create_dataset(
                client, transfer, request, notes, fingerprint=fingerprint, prepare=prepare, dataset_id=dataset_id
            )


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
    monkeypatch.setattr(creation, "LOOK_DELAYS", (0.0, 0.0))
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorConfig(job_seconds=0.0, quota_set=10_000)) as running:
        yield running


def jobs_of(simulator: Simulator) -> dict[str, int]:
    return dict(simulator.stats.jobs_started)


class TestKilledAtEveryMoment:
    @pytest.mark.parametrize("named", [True, False], ids=["jobs name their dataset", "jobs do not"])
    @pytest.mark.parametrize("request_", [WITH_FILES, WITHOUT_FILES], ids=["three parts", "no input"])
    @pytest.mark.promise("re-attach")
    async def test_the_next_try_ends_with_one_job_for_its_dataset(self, request_: DatasetRequest, named: bool) -> None:
        moments = []
        for at in range(1, 100):
            # Each story in an account of its own: no other jobs within the slack of the clocks.
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
                noted = notes.handle if notes.content else None
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
        begun = notes.handle
        assert set(begun.uploaded) == {0, 1}
        created = await attempt(simulator, notes)
        assert created.dataset_id == begun.dataset_id
        assert {simulator.stats.puts[f"{begun.dataset_id}/{part}"] for part in range(3)} == {1}

    async def test_other_input_makes_a_fresh_dataset(self, simulator: Simulator) -> None:
        notes = Notes()
        simulator.faults.add(FaultRule(match=PUT, name="*/2", kind="status", status=503, times=5))
        with pytest.raises(TransferError):
            await attempt(simulator, notes)
        created = await attempt(simulator, notes, users=USERS.replace(b'"s1"', b'"s9"'))
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

    async def test_the_changed_run_config_makes_a_fresh_dataset(self, simulator: Simulator) -> None:
        notes = Notes()
        first = await attempt(simulator, notes)
        second = await attempt(simulator, notes, fingerprint="other")
        assert first.dataset_id != second.dataset_id
        assert jobs_of(simulator) == {first.dataset_id: 1, second.dataset_id: 1}

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
            first.dataset_id, first.job_reference, 3, 40, len(USERS), reattached=True
        )


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


class TestRefusals:
    async def test_a_rate_limit_at_the_commence_call_leaves_the_job_to_the_next_try(self, simulator: Simulator) -> None:
        simulator.faults.add(FaultRule(match=COMMENCE, kind="rate_limited", nth=1))
        notes = Notes()
        with pytest.raises(TransientApiError):
            await attempt(simulator, notes)
        assert notes.handle.step == "uploading"
        created = await attempt(simulator, notes)
        assert jobs_of(simulator) == {created.dataset_id: 1}
        assert simulator.stats.calls[JOBS] == 2, "one before each commence, none to settle a doubt"
        assert simulator.stats.calls[PUT] == 3

    async def test_input_that_the_api_lost_is_uploaded_to_a_fresh_dataset(self, simulator: Simulator) -> None:
        simulator.faults.add(FaultRule(match=COMMENCE, kind="status", status=400, code=50000, nth=1))
        created = await attempt(simulator, Notes())
        assert jobs_of(simulator) == {created.dataset_id: 1}
        assert simulator.stats.calls[SET] == 2

    async def test_a_dataset_id_that_is_taken_says_what_to_do(self, simulator: Simulator) -> None:
        wanted = "a951cc14-0316-4c12-bb13-1f386338a094"
        await attempt(simulator, Notes(), dataset_id=wanted)
        with pytest.raises(RequestError, match="Leave dataset_id empty"):
            await attempt(simulator, Notes(), dataset_id=wanted)

    async def test_a_wanted_dataset_id_is_never_exchanged_for_another(self, simulator: Simulator) -> None:
        wanted = "a951cc14-0316-4c12-bb13-1f386338a094"
        simulator.faults.add(FaultRule(match=COMMENCE, kind="lost_reply", nth=1))
        with pytest.raises(PermanentError, match="another dataset_id"):
            await attempt(simulator, Notes(), dataset_id=wanted)
        assert set(jobs_of(simulator)) == {wanted}

    async def test_a_reply_without_the_job_reference_starts_nothing_else(self, simulator: Simulator) -> None:
        simulator.faults.add(
            FaultRule(match=COMMENCE, kind="status", status=200, body='{"meta":{"status":true},"data":{}}', nth=1)
        )
        with pytest.raises(PermanentApiError, match="job_reference"):
            await attempt(simulator, Notes())
        assert simulator.stats.calls[SET] == 1


class TestSealedUrls:
    URLS = (
        "https://bucket.example/infiles/0.ndjson?Signature=abc&Expires=1",
        "https://bucket.example/infiles/1.ndjson?Signature=def&Expires=1",
    )

    def test_open_with_the_same_secret_and_dataset_only(self) -> None:
        sealed = seal(self.URLS, secret="s" * 40, dataset_id="one")
        assert unseal(sealed, secret="s" * 40, dataset_id="one") == list(self.URLS)
        assert unseal(sealed, secret="t" * 40, dataset_id="one") is None
        assert unseal(sealed, secret="s" * 40, dataset_id="two") is None
        assert unseal("rubbish", secret="s" * 40, dataset_id="one") is None

    def test_are_worth_nothing_after_fifty_minutes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sealed = seal(self.URLS, secret="s" * 40, dataset_id="one")
        now = time.time()
        monkeypatch.setattr("time.time", lambda: now + 3001)
        assert unseal(sealed, secret="s" * 40, dataset_id="one") is None

    @pytest.mark.promise("no secret")
    async def test_never_lie_readable_in_the_notes_and_are_gone_once_the_job_is_started(
        self, simulator: Simulator
    ) -> None:
        written: list[bytes] = []

        class Watched(Notes):
            async def save(self, handle: Handle) -> None:
                await super().save(handle)
                written.append(self.content or b"")

        notes = Watched()
        await attempt(simulator, notes)
        assert any(b'"sealed_urls":"' in content for content in written)
        assert not any(b"http" in content or b"Signature" in content for content in written)
        assert notes.handle.sealed_urls is None

    def test_of_a_hundred_parts_fit_into_the_state_store(self) -> None:
        urls = [
            f"https://learnosity-reportdatasets-va.s3.amazonaws.com/infiles/1/{n}.ndjson?AWSAccessKeyId=ASIAXXXXXXXX"
            f"&Signature={n:040d}&Expires=1790000000&x-amz-security-token={'t0ken' * 200}"
            for n in range(100)
        ]
        assert len(seal(urls, secret="s" * 40, dataset_id="one")) < 32_768


def test_a_handle_survives_the_way_through_json() -> None:
    handle = Handle("f", "d", "uploading", 3, 1, uploaded=(0, 2), sealed_urls="x")
    assert msgspec.json.decode(msgspec.json.encode(handle), type=Handle) == handle
