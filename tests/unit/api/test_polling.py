"""Many waits, few calls; one bad reference, no bad neighbours; nothing left when the last wait leaves."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from learnosity.api import poll_intervals, polling, refusals
from learnosity.api.client import LearnosityClient
from learnosity.api.jobs import Job
from learnosity.api.poll_intervals import PollResult, poll_delay
from learnosity.api.polling import shared_poller
from learnosity.api.replies import Reply, parse_reply
from learnosity.errors import (
    ApiError,
    AuthenticationError,
    ConnectionConfigError,
    OddEndError,
    PermanentApiError,
    TransientApiError,
    UnexpectedReplyError,
)
from tests.figures import Figures

LATER = time.time() + 3600


@dataclass
class FakeApi:
    """Answers GET /jobs, and counts."""

    jobs_by_reference: dict[str, str] = field(default_factory=dict)
    fail: Callable[[Sequence[str]], Exception | None] = lambda references: None
    calls: list[list[str]] = field(default_factory=list)
    opened: int = 0
    open_now: int = 0
    refuse_to_open: Exception | None = None

    async def jobs(self, references: Sequence[str]) -> list[Job]:
        self.calls.append(list(references))
        await asyncio.sleep(0)
        if (error := self.fail(references)) is not None:
            raise error
        return [Job(each, self.jobs_by_reference[each]) for each in references if each in self.jobs_by_reference]

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[LearnosityClient]:
        self.opened += 1
        if self.refuse_to_open is not None:
            raise self.refuse_to_open
        self.open_now += 1
        try:
            yield cast(LearnosityClient, self)
        finally:
            self.open_now -= 1


@dataclass
class HangingApi(FakeApi):
    """Does not answer its first call until it is let."""

    answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def jobs(self, references: Sequence[str]) -> list[Job]:
        hangs = not self.calls
        found = await super().jobs(references)
        if hangs:
            await self.answers.wait()
        return found


def parse_error(http_status: int) -> Exception:
    """What a reply becomes that is not from the API."""
    with pytest.raises(ApiError) as caught:
        parse_reply(http_status, b"<html>")
    return caught.value


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll_intervals, "poll_delay", lambda rounds, interval: 0.02)
    monkeypatch.setattr(polling, "GATHER_SECONDS", 0.005)


async def wait_for(api: FakeApi, reference: str, deadline: float = LATER) -> list[PollResult]:
    """All looks of one wait."""
    async with shared_poller("conn", api.connect) as poller:
        with poller.watch(reference, poll_interval=15, deadline=deadline) as looks:
            seen = [await looks.get()]
            while not seen[-1].final:
                seen.append(await looks.get())
    return seen


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not reached():  # noqa: ASYNC110  (a fake that signalled would be no test)
            await asyncio.sleep(0.001)


class TestSharing:
    async def test_a_thousand_waits_cost_twenty_calls_a_round(self) -> None:
        api = FakeApi({f"job-{n}": "completed" for n in range(1000)})
        ends = await asyncio.gather(*(wait_for(api, f"job-{n}") for n in range(1000)))
        assert all(looks[-1].job and looks[-1].job.is_completed for looks in ends)
        assert len(api.calls) <= 25
        assert max(map(len, api.calls)) == 50
        assert api.opened == 1

    async def test_a_call_that_hangs_delays_only_the_jobs_that_it_asks_for(self) -> None:
        api = HangingApi({f"job-{n}": "completed" for n in range(200)})
        waits = [asyncio.create_task(wait_for(api, f"job-{n}")) for n in range(200)]
        await until(lambda: api.calls != [] and sum(wait.done() for wait in waits) == 200 - len(api.calls[0]))
        assert max(map(len, api.calls)) == 50
        api.answers.set()
        await asyncio.gather(*waits)

    async def test_while_a_call_hangs_new_waits_are_served(self) -> None:
        api = HangingApi({f"job-{n}": "completed" for n in range(51)})
        hanging = [asyncio.create_task(wait_for(api, f"job-{n}")) for n in range(50)]
        await until(lambda: api.calls != [])
        await wait_for(api, "job-50")
        assert not any(wait.done() for n, wait in enumerate(hanging) if f"job-{n}" in api.calls[0])
        api.answers.set()
        await asyncio.gather(*hanging)

    async def test_two_waits_for_one_job_ask_for_it_once(self) -> None:
        api = FakeApi({"job": "completed"})
        ends = await asyncio.gather(wait_for(api, "job"), wait_for(api, "job"))
        assert [looks[-1].job for looks in ends] == [Job("job", "completed")] * 2
        assert api.calls == [["job"]]

    async def test_other_connections_have_pollers_of_their_own(self) -> None:
        api, other = FakeApi({"job": "running"}), FakeApi({"job": "running"})
        async with shared_poller("a", api.connect) as one, shared_poller("b", other.connect) as two:
            assert one is not two
            async with shared_poller("a", api.connect) as again:
                assert again is one

    async def test_open_waits_of_all_connections_are_told_as_one_figure(self) -> None:
        api, figures = FakeApi({"job": "running"}), Figures()
        async with (
            shared_poller("a", api.connect, figures) as one,
            shared_poller("b", api.connect, figures) as two,
        ):
            with one.watch("job", poll_interval=15, deadline=LATER):
                with two.watch("job", poll_interval=15, deadline=LATER):
                    assert figures.gauges["waits_open"][-1] == 2
                assert figures.gauges["waits_open"][-1] == 1
        assert figures.gauges["waits_open"] == [1, 2, 1, 0]

    async def test_the_session_is_closed_and_the_task_gone_when_the_last_wait_leaves(self) -> None:
        api = FakeApi({"quick": "completed", "slow": "running"})
        before = asyncio.all_tasks()
        slow = asyncio.create_task(wait_for(api, "slow"))
        await wait_for(api, "quick")
        assert api.open_now == 1
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        assert api.open_now == 0
        assert asyncio.all_tasks() == before

    async def test_waits_that_come_and_go_leave_nothing_behind(self) -> None:
        api = FakeApi({f"job-{n}": "running" for n in range(300)})
        before = asyncio.all_tasks()
        for turn in range(3):
            api.calls.clear()
            waits = [asyncio.create_task(wait_for(api, f"job-{n + turn * 100}")) for n in range(100)]
            await until(lambda: bool(api.calls))
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
            assert api.open_now == 0
        assert asyncio.all_tasks() == before
        assert not polling._POLLERS[asyncio.get_running_loop()]

    def test_every_event_loop_has_its_own(self) -> None:
        api = FakeApi({"job": "completed"})
        for _ in range(3):
            assert asyncio.run(wait_for(api, "job"))[-1].job == Job("job", "completed")
        assert api.opened == 3
        gc.collect()
        assert not any(polling._POLLERS.values())


class TestTrouble:
    async def test_a_blip_ends_no_wait(self) -> None:
        api = FakeApi({"job": "completed"})
        api.fail = lambda references: TransientApiError("502") if len(api.calls) < 4 else None
        looks = await wait_for(api, "job")
        assert [look.error is not None for look in looks] == [True, True, True, False]
        assert looks[-1].job == Job("job", "completed")

    async def test_an_unknown_reference_harms_no_neighbour(self) -> None:
        api = FakeApi({"known": "completed"})
        unknown = asyncio.create_task(wait_for(api, "unknown"))
        assert (await wait_for(api, "known"))[-1].job == Job("known", "completed")
        assert not unknown.done()
        unknown.cancel()
        await asyncio.gather(unknown, return_exceptions=True)

    async def test_a_reference_that_the_api_refuses_harms_no_neighbour(self) -> None:
        api = FakeApi({f"job-{n}": "completed" for n in range(49)})
        api.fail = lambda references: PermanentApiError("20004", code=20004) if "bad" in references else None
        bad = asyncio.create_task(wait_for(api, "bad"))
        ends = await asyncio.gather(*(wait_for(api, f"job-{n}") for n in range(49)))
        assert all(looks[-1].job and looks[-1].job.is_completed for looks in ends)
        assert not bad.done()
        bad.cancel()
        await asyncio.gather(bad, return_exceptions=True)

    @pytest.mark.parametrize(
        "error",
        [
            *(AuthenticationError(str(code), code=code) for code in (40000, 40003)),
            *(PermanentApiError(str(code), code=code) for code in (20000, 20012, 30001, 44000)),
            PermanentApiError("no reason given", http_status=403),
            *(parse_error(status) for status in (400, 403, 404, 410)),
            UnexpectedReplyError("a record without a reference"),
        ],
        ids=str,
    )
    async def test_whatever_is_refused_about_one_job_harms_no_neighbour(self, error: Exception) -> None:
        api = FakeApi({f"job-{n}": "completed" for n in range(49)})
        api.fail = lambda references: error if "bad" in references else None
        bad = asyncio.create_task(wait_for(api, "bad"))
        ends = await asyncio.gather(*(wait_for(api, f"job-{n}") for n in range(49)))
        assert all(looks[-1].job and looks[-1].job.is_completed for looks in ends)
        assert not bad.done()
        bad.cancel()
        await asyncio.gather(bad, return_exceptions=True)

    @pytest.mark.parametrize("bad", [1, 2, 10])
    @pytest.mark.parametrize(
        "error",
        [
            AuthenticationError("40003", code=40003),
            PermanentApiError("20012", code=20012),
            parse_error(404),
            UnexpectedReplyError("odd"),
        ],
        ids=str,
    )
    async def test_several_jobs_that_are_refused_alike_harm_no_neighbour(self, error: Exception, bad: int) -> None:
        api = FakeApi({f"job-{n}": "completed" for n in range(50)})
        refused = {f"job-{n * 50 // bad}" for n in range(bad)}
        api.fail = lambda references: error if refused & set(references) else None
        waits = {each: asyncio.create_task(wait_for(api, each)) for each in api.jobs_by_reference}
        ends = await asyncio.gather(*(wait for each, wait in waits.items() if each not in refused))
        assert all(looks[-1].job and looks[-1].job.is_completed for looks in ends)
        api.fail = lambda references: None
        await asyncio.gather(*waits.values())

    REFUSALS = (
        *(AuthenticationError(str(code), code=code) for code in (40000, 40001, 40002, 40003, 41002)),
        *(PermanentApiError(str(code), code=code) for code in (20012, 43000)),
        *(parse_error(status) for status in (301, 403, 404)),
    )

    @pytest.mark.parametrize("number", [2, 3, 4, 50])
    @pytest.mark.parametrize("error", REFUSALS, ids=str)
    async def test_a_refusal_of_the_whole_account_costs_few_calls_a_round(
        self, error: Exception, number: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(polling, "EARLY_SHARE", 1.0)
        api = FakeApi({f"job-{n}": "completed" for n in range(number)}, fail=lambda references: error)
        async with shared_poller("conn", api.connect) as poller:
            with ExitStack() as open_waits:
                waits = [
                    open_waits.enter_context(poller.watch(f"job-{n}", poll_interval=15, deadline=LATER))
                    for n in range(number)
                ]
                for round_ in (1, 2, 3):
                    looks = await asyncio.gather(*(wait.get() for wait in waits))
                    assert [look.error for look in looks] == [error] * number
                    assert len(api.calls) <= 5 * round_

    @pytest.mark.parametrize("number", [1, 3, 120])
    @pytest.mark.parametrize(
        ("error", "halved"),
        [
            *(
                (AuthenticationError(str(code), code=code), False)
                for code in (40001, 40002, 41000, 41002, 41003, 41009)
            ),
            *((AuthenticationError(str(code), code=code), True) for code in (40000, 40003)),
            (PermanentApiError("20012", code=20012), True),
            *((PermanentApiError(str(code), code=code), False) for code in (42001, 43000)),
            (ConnectionConfigError("there is no such proxy"), False),
            *((parse_error(status), True) for status in (301, 307, 400, 401, 403, 404)),
            (TransientApiError("the proxy cannot be reached"), False),
            (parse_error(503), False),
        ],
        ids=str,
    )
    async def test_after_an_error_that_is_about_no_job_alone_the_connection_is_read_again(
        self, error: Exception, halved: bool, number: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A person corrects the connection while the jobs run: the waits must see that."""
        monkeypatch.setattr(refusals, "REREAD_SECONDS", 0.05)
        api = FakeApi({f"job-{n}": "completed" for n in range(number)})
        api.fail = lambda references: error if api.opened < 3 else None
        async with asyncio.timeout(20):
            ends = await asyncio.gather(*(wait_for(api, f"job-{n}") for n in range(number)))
        assert all(looks[-1].job and looks[-1].job.is_completed for looks in ends)
        assert api.opened == 3
        assert api.open_now == 0
        if number == 3 and len(first := api.calls[0]) > 1:
            assert (api.calls[1] == first[: len(first) // 2]) is halved

    async def test_a_short_failure_does_not_open_the_connection_again(self) -> None:
        api = FakeApi({"job": "completed"})
        api.fail = lambda references: TransientApiError("502") if len(api.calls) < 10 else None
        await wait_for(api, "job")
        assert api.opened == 1

    async def test_a_call_that_hangs_holds_up_no_new_connection(self) -> None:
        api = HangingApi({f"job-{n}": "completed" for n in range(60)})
        wrong_key = AuthenticationError("41002", code=41002)
        api.fail = lambda references: wrong_key if api.opened == 1 and references != api.calls[0] else None
        waits = [asyncio.create_task(wait_for(api, f"job-{n}")) for n in range(60)]
        await until(lambda: api.calls != [] and sum(wait.done() for wait in waits) == 60 - len(set(api.calls[0])))
        assert api.opened > 1
        assert api.open_now == 2, "the call that hangs keeps its own"
        api.answers.set()
        ends = await asyncio.gather(*waits)
        assert all(looks[-1].job and looks[-1].job.is_completed for looks in ends)
        assert api.open_now == 0

    async def test_a_refused_key_is_read_again_and_the_wait_goes_on(self) -> None:
        api = FakeApi({"job": "completed"})
        api.fail = lambda references: AuthenticationError("41002", code=41002) if api.opened < 3 else None
        looks = await wait_for(api, "job")
        assert looks[-1].job == Job("job", "completed")
        assert api.opened == 3
        assert [isinstance(look.error, AuthenticationError) for look in looks] == [True, True, False]

    async def test_a_key_that_stays_refused_ends_the_wait_with_what_the_api_said(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(refusals, "REFUSAL_SECONDS", 0.1)
        api = FakeApi(fail=lambda references: AuthenticationError("not a valid consumer", code=41002))
        looks = await wait_for(api, "job")
        assert "not a valid consumer" in str(looks[-1].error)
        assert len(looks) > 1

    async def test_a_connection_that_cannot_be_used_ends_the_wait_sooner(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(refusals, "MISCONFIGURED_SECONDS", 0.1)
        api = FakeApi(refuse_to_open=ConnectionConfigError("The connection 'x' does not exist."))
        looks = await wait_for(api, "job")
        assert "does not exist" in str(looks[-1].error)
        assert len(looks) > 1

    async def test_a_person_may_edit_the_connection_although_the_key_was_refused_before(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(refusals, "REFUSAL_SECONDS", 100.0)
        monkeypatch.setattr(refusals, "MISCONFIGURED_SECONDS", 0.3)
        api = FakeApi({"job": "completed"})
        api.fail = lambda references: AuthenticationError("41002", code=41002)
        wait = asyncio.create_task(wait_for(api, "job"))
        await until(lambda: bool(api.calls))
        refused = time.monotonic()
        await until(lambda: time.monotonic() > refused + refusals.MISCONFIGURED_SECONDS)
        api.refuse_to_open = ConnectionConfigError("edited just now")
        await until(lambda: api.opened > 2 and api.open_now == 0)
        opened = api.opened
        await until(lambda: api.opened > opened + 2)
        assert not wait.done()
        api.refuse_to_open, api.fail = None, lambda references: None
        assert (await wait)[-1].job == Job("job", "completed")

    async def test_a_client_that_cannot_be_closed_ends_no_wait(self) -> None:
        api = FakeApi({"job": "completed"})
        api.fail = lambda references: AuthenticationError("41002", code=41002) if api.opened < 3 else None

        @asynccontextmanager
        async def connect() -> AsyncIterator[LearnosityClient]:
            async with api.connect() as client:
                yield client
            raise TransientApiError("the session cannot be closed")

        async with shared_poller("conn", connect) as poller:
            with poller.watch("job", poll_interval=15, deadline=LATER) as looks:
                seen = [await looks.get() for _ in range(3)]
        assert [look.error and str(look.error) for look in seen] == ["41002", "41002", None]
        assert seen[-1].job == Job("job", "completed")

    async def test_an_unforeseen_error_wakes_every_wait_and_the_next_one_begins_anew(self) -> None:
        api = FakeApi({"job": "completed"}, fail=lambda references: ZeroDivisionError("secret"))
        for looks in await asyncio.gather(wait_for(api, "job"), wait_for(api, "other")):
            error = looks[-1].error
            assert error is not None
            assert error.transient
            assert "(ZeroDivisionError)" in str(error)
            assert "secret" not in str(error)
        api.fail = lambda references: None
        assert (await wait_for(api, "job"))[-1].job == Job("job", "completed")


class TestOddRecords:
    """One wait whose job is listed oddly, beside waits whose jobs are sound."""

    class Client(LearnosityClient):
        def __init__(self, records: dict[str, Any]) -> None:
            self.records, self.asked = records, 0

        async def _call(self, action: str, endpoint: str, request: Any, before_send: Any = None) -> Reply:
            self.asked += 1
            await asyncio.sleep(0)
            found = [self.records[each] for each in request["references"]]
            return Reply({"status": True}, found)

        @asynccontextmanager
        async def connect(self) -> AsyncIterator[LearnosityClient]:
            yield self

    @pytest.mark.parametrize(
        "odd",
        [{}, None, {"status": "completed"}, {"reference": None, "status": "running"}, {"jobs": []}],
        ids=repr,
    )
    async def test_end_their_own_wait_alone_and_in_the_end(self, odd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(refusals, "REFUSAL_SECONDS", 0.2)
        sound = {f"job-{n}": {"reference": f"job-{n}", "status": "completed"} for n in range(20)}
        client = self.Client({**sound, "odd": odd})
        async with asyncio.timeout(20):
            ends = await asyncio.gather(*(wait_for(cast(FakeApi, client), each) for each in client.records))
        for looks in ends[:-1]:
            assert looks[-1].job is not None
            assert looks[-1].job.is_completed
        assert isinstance(ends[-1][-1].error, UnexpectedReplyError)

    @pytest.mark.parametrize("status", ["failed", "cancelled", "complete"])
    async def test_of_a_job_that_has_ended_otherwise_end_its_wait_alone_and_in_the_end(
        self, status: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(refusals, "ODD_END_SECONDS", 0.2)
        odd = {"reference": "odd", "status": status, "error": "Out of memory", "dt_completed": "2026-01-01 00:00:09"}
        client = self.Client({"odd": odd, "sound": {"reference": "sound", "status": "completed"}})
        async with asyncio.timeout(20):
            ends = await asyncio.gather(*(wait_for(cast(FakeApi, client), each) for each in client.records))
        error = ends[0][-1].error
        assert isinstance(error, OddEndError)
        assert all(each in str(error) for each in (repr(status), "Out of memory", "2026-01-01 00:00:09"))
        assert not ends[0][-1].timed_out
        assert len(ends[0]) > 2
        assert ends[1][-1].job is not None
        assert ends[1][-1].job.is_completed

    async def test_of_a_job_that_completes_in_the_end_end_no_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(refusals, "ODD_END_SECONDS", 3600.0)
        record = {"reference": "odd", "status": "finalising", "dt_completed": "2026-01-01 00:00:09"}
        client = self.Client({"odd": record})
        waiting = asyncio.create_task(wait_for(cast(FakeApi, client), "odd"))
        await until(lambda: client.asked > 3)
        record["status"] = "completed"
        async with asyncio.timeout(20):
            assert (await waiting)[-1].job is not None

    async def test_do_no_harm_where_they_are_deep(self) -> None:
        deep: Any = "x"
        for _ in range(600):
            deep = [deep]
        client = self.Client({
            "deep": {"reference": "deep", "status": "halted", "error": deep},
            "sound": {"reference": "sound", "status": "completed"},
        })  # fmt: skip
        async with asyncio.timeout(20):
            halted, done = await asyncio.gather(*(wait_for(cast(FakeApi, client), each) for each in client.records))
        assert halted[-1].job is not None
        assert halted[-1].job.is_halted
        assert done[-1].job is not None
        assert done[-1].job.is_completed


@pytest.mark.parametrize("asked", ["9FD443D0-A", "9fd443d0-a", "9fd443D0-A"])
@pytest.mark.parametrize("listed", ["9FD443D0-A", "9fd443d0-a"])
async def test_a_job_is_found_whatever_the_case_of_its_reference(asked: str, listed: str) -> None:
    class Api(FakeApi):
        async def jobs(self, references: Sequence[str]) -> list[Job]:
            await super().jobs(references)
            return [Job(listed, "completed")]

    async with asyncio.timeout(10):
        looks = await wait_for(Api(), asked)
    assert looks[-1].job == Job(listed, "completed")
    assert Job(listed, "completed").is_named(asked)


class TestDeadline:
    async def test_a_last_look_is_taken_at_the_deadline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        api = FakeApi({"job": "completed"})
        looks = await wait_for(api, "job", deadline=time.time() - 1)
        assert looks == [PollResult(Job("job", "completed"), final=True)]

    @pytest.mark.parametrize("error", [None, TransientApiError("502"), AuthenticationError("41002")])
    async def test_passes_whatever_the_api_says(self, error: Exception | None) -> None:
        api = FakeApi({"job": "running"}, fail=lambda references: error)
        looks = await wait_for(api, "job", deadline=time.time() - 1)
        assert (looks[-1].final, looks[-1].timed_out) == (True, True)
        assert looks[-1].error is error, "the task says it"
        assert looks[-1].job in (None, Job("job", "running"))

    async def test_a_status_that_is_not_known_counts_as_running(self) -> None:
        api = FakeApi({"job": "blocked"})
        wait = asyncio.create_task(wait_for(api, "job"))
        await until(lambda: len(api.calls) >= 3)
        assert not wait.done()
        api.jobs_by_reference["job"] = "halted"
        job = (await wait)[-1].job
        assert job is not None
        assert job.is_halted


def test_looks_grow_apart_from_five_seconds_to_the_poll_interval() -> None:
    assert 4.5 <= poll_delay(0, 60) <= 5.5
    assert 54 <= poll_delay(30, 60) <= 66
    assert poll_delay(10**6, 10**6) <= 66


class TestFreePlaces:
    """A call asks for other jobs, too, as far as it has room: `often` is due again and again, `seldom` is not."""

    @pytest.fixture(autouse=True)
    def paced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(poll_intervals, "poll_delay", lambda rounds, interval: interval)
        monkeypatch.setattr(polling, "SETTLED_SECONDS", 0.0)

    @asynccontextmanager
    async def watched(self, api: FakeApi, *seldom: str) -> AsyncIterator[list[asyncio.Queue[PollResult]]]:
        async with shared_poller("conn", api.connect) as poller:
            with ExitStack() as watches:
                queues = [
                    watches.enter_context(poller.watch(each, poll_interval=1000, deadline=LATER)) for each in seldom
                ]
                watches.enter_context(poller.watch("often", poll_interval=0.02, deadline=LATER))
                yield queues

    async def test_the_end_of_a_job_is_seen_by_the_next_call_for_any_job(self) -> None:
        api = FakeApi({"often": "running", "seldom": "running"})
        async with self.watched(api, "seldom") as (seldom,):
            await until(lambda: len(api.calls) > 2)
            assert seldom.empty()
            assert all("often" in call for call in api.calls)
            api.jobs_by_reference["seldom"] = "completed"
            result = await asyncio.wait_for(seldom.get(), 10)
        assert result == PollResult(Job("seldom", "completed"), final=True)

    async def test_a_wait_that_has_just_begun_is_not_resumed_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(polling, "SETTLED_SECONDS", 1000.0)
        api = FakeApi({"often": "running", "seldom": "completed"})
        async with self.watched(api, "seldom") as (seldom,):
            await until(lambda: len(api.calls) > 5)
            assert seldom.empty()
        assert set(map(tuple, api.calls)) == {("often",)}

    async def test_no_call_asks_for_more_than_fits(self) -> None:
        api = FakeApi({"often": "running"})
        async with self.watched(api, *(f"job-{number}" for number in range(120))):
            await until(lambda: len(api.calls) > 3)
        assert {len(call) for call in api.calls} == {50}

    async def test_a_job_that_is_asked_for_by_the_way_is_still_polled_by_itself_when_that_call_hangs(self) -> None:
        api = HangingApi({"often": "running", "seldom": "running"})
        async with shared_poller("conn", api.connect) as poller:
            with (
                poller.watch("seldom", poll_interval=0.3, deadline=LATER) as seldom,
                poller.watch("often", poll_interval=0.02, deadline=LATER),
            ):
                await until(lambda: api.calls != [])
                assert set(api.calls[0]) == {"often", "seldom"}
                assert (await asyncio.wait_for(seldom.get(), 10)).job == Job("seldom", "running")
                api.answers.set()

    @pytest.mark.parametrize("error", [PermanentApiError("refused"), TransientApiError("reset")])
    async def test_a_failure_of_the_call_is_none_of_theirs(self, error: Exception) -> None:
        api = FakeApi({"often": "running", "seldom": "running"}, fail=lambda references: error)
        async with self.watched(api, "seldom") as (seldom,):
            await until(lambda: len(api.calls) > 4)
            assert seldom.empty()

    @pytest.mark.parametrize("error", [AuthenticationError("40003", code=40003), parse_error(404)], ids=str)
    async def test_after_a_refusal_of_all_jobs_that_has_passed_calls_ask_for_others_again(
        self, error: Exception
    ) -> None:
        api = FakeApi({"often": "running", "seldom": "running"}, fail=lambda references: error)
        async with self.watched(api, "seldom"):
            await until(lambda: len(api.calls) > 4)
            api.fail = lambda references: None
            await until(lambda: set(api.calls[-1]) == {"often", "seldom"})

    async def test_after_a_refusal_calls_ask_only_for_what_is_due(self) -> None:
        def fail(references: Sequence[str]) -> Exception | None:
            return PermanentApiError("refused") if "bad" in references else None

        api = FakeApi({"often": "running"}, fail=fail)
        async with self.watched(api, "bad") as (bad,):
            await until(lambda: len(api.calls) > 5)
            assert bad.empty()
        assert api.calls[1:] == [["often"]] * (len(api.calls) - 1)
