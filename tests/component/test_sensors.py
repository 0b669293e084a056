"""The sensor: looks once, defers, and turns every end of the wait into the right end of the task."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.listeners import hookimpl
from airflow.sdk import DAG, Asset, Context, task, task_group
from airflow.sdk.bases.operator import TriggerFailureReason
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowRuntimeError,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    ErrorType,
    TaskDeferralError,
    TaskDeferred,
)
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.sdk.listener import get_listener_manager

from learnosity.api.jobs import Job
from learnosity.api.poll_intervals import PollResult
from learnosity.api.refusals import MISCONFIGURED_SECONDS, ODD_END_SECONDS, REFUSAL_SECONDS
from learnosity.end_in_triggerer import needed_in_worker
from learnosity.errors import (
    ApiError,
    AuthenticationError,
    ConnectionConfigError,
    JobHaltedError,
    LearnosityError,
    MissingExtraError,
    OddEndError,
    PermanentApiError,
    RequestError,
    TransientError,
    UnexpectedReplyError,
    WrongAddressError,
)
from learnosity.kept_refusals import KEY
from learnosity.sensors import LearnosityJobSensor
from learnosity.task_report import FAILURE_KEY
from learnosity.triggers import LearnosityJobTrigger
from simulator import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET, FaultRule, Simulator, SimulatorConfig, running

CONN = "learnosity_sensor_test"
NO_CONTEXT = cast(Context, {})
CONNECTION = {"conn_type": "learnosity", "login": DEMO_CONSUMER_KEY, "password": DEMO_CONSUMER_SECRET}


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with running(SimulatorConfig(job_seconds=0.0)) as simulator:
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONN.upper()}", json.dumps(CONNECTION | {"host": simulator.url}))
        yield simulator


def sensor(**kwargs: Any) -> LearnosityJobSensor:
    given: dict[str, Any] = {"job_reference": "a-job", "learnosity_conn_id": CONN, "deferrable": True, **kwargs}
    return LearnosityJobSensor(task_id="wait_for_job", **given)


def a_job(simulator: Simulator, ends: str = "completed") -> str:
    """A job that has got as far as it will."""
    from learnosity.api.client import LearnosityClient
    from learnosity.api.config import build_config

    async def begin() -> str:
        config = build_config("test", login=DEMO_CONSUMER_KEY, password=DEMO_CONSUMER_SECRET, host=simulator.url)
        async with LearnosityClient(config) as client:
            reply = await client.initialise({"dataset_type": "ibk-analysis-by-question", "file_count": 0})
            reference = str(reply.find("job_reference"))
            async with asyncio.timeout(20):
                while (await client.jobs([reference]))[0].status != ends:
                    continue
        return reference

    return asyncio.run(begin())


class TestLooksOnce:
    def test_and_is_done_when_the_job_is(self, simulator: Simulator) -> None:
        reference = a_job(simulator)
        assert sensor(job_reference=reference).execute(NO_CONTEXT) == reference

    @pytest.mark.parametrize("pasted", ["{} ", "\t{}", "{}\n"], ids=repr)
    @pytest.mark.parametrize("handed_on", [False, True], ids=["alone", "from create_dataset"])
    def test_and_is_done_when_its_reference_was_pasted_with_blanks(
        self, simulator: Simulator, pasted: str, handed_on: bool
    ) -> None:
        reference = a_job(simulator)
        given: Any = pasted.format(reference)
        if handed_on:
            given = {"dataset_id": "d", "job_reference": given, "learnosity_conn_id": CONN}
        assert sensor(job_reference=given).execute(NO_CONTEXT) == reference

    def test_and_finds_its_job_in_another_case(self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
        async def jobs(*args: Any, **kwargs: Any) -> list[Job]:
            return [Job("9fd443d0-a", "completed")]

        monkeypatch.setattr("learnosity.api.client.LearnosityClient.jobs", jobs)
        assert sensor(job_reference="9FD443D0-A").execute(NO_CONTEXT)

    @pytest.mark.promise("permanent at once")
    def test_and_fails_when_the_job_was_halted(self, simulator: Simulator) -> None:
        simulator.faults.add(FaultRule(match="job", kind="job_halt", message="line 3 is no record"))
        with pytest.raises(JobHaltedError, match=r"line 3 is no record.*clear create_dataset"):
            sensor(job_reference=a_job(simulator, "halted")).execute(NO_CONTEXT)

    def test_and_defers_when_it_runs(self, simulator: Simulator) -> None:
        simulator.faults.add(FaultRule(match="job", kind="job_hang"))
        with pytest.raises(TaskDeferred) as deferred:
            sensor(job_reference=a_job(simulator, "running"), poll_interval="90", job_timeout=2).execute(NO_CONTEXT)
        trigger = deferred.value.trigger
        assert isinstance(trigger, LearnosityJobTrigger)
        assert trigger.poll_interval == 60
        assert trigger.deadline == pytest.approx(time.time() + 120, abs=10)
        assert deferred.value.method_name == "execute_complete"
        backstop = deferred.value.timeout
        assert backstop is not None
        assert not isinstance(backstop, int)
        assert backstop.total_seconds() > 120, "the trigger's own deadline must come first"

    @pytest.mark.parametrize(
        ("task", "worker"),
        [
            ({}, ""),
            ({"end_in_triggerer": False}, "asked for"),
            ({"on_success_callback": lambda context: None}, "on_success_callback"),
            ({"on_success_callback": [print]}, "on_success_callback"),
            ({"on_failure_callback": print, "on_execute_callback": print, "on_skipped_callback": print}, ""),
            ({"post_execute": lambda context, result: None}, "post_execute"),
            ({"pre_execute": lambda context: None}, ""),
            ({"outlets": [Asset("a")]}, "outlets"),
            ({"inlets": [Asset("a")]}, ""),
            ({"do_xcom_push": False}, "do_xcom_push=False"),
            ({"map_index_template": "{{ task.job_reference }}"}, "a map_index_template"),
            ({"soft_fail": True}, ""),
        ],
    )
    def test_and_lets_the_triggerer_end_it_unless_a_worker_is_needed(
        self, simulator: Simulator, task: dict[str, Any], worker: str
    ) -> None:
        assert self.ends_in_triggerer(sensor(**task)) is not bool(worker)
        assert needed_in_worker(sensor(**task), LearnosityJobSensor) == ("" if worker == "asked for" else worker)

    def ends_in_triggerer(self, waits: LearnosityJobSensor) -> bool:
        waits.poke = lambda context: False  # type: ignore[method-assign]
        with pytest.raises(TaskDeferred) as deferred:
            waits.execute(NO_CONTEXT)
        assert isinstance(deferred.value.trigger, LearnosityJobTrigger)
        return deferred.value.trigger.end_in_triggerer

    @pytest.mark.parametrize(
        "name", ["execute_complete", "resume_execution", "post_execute", "operator_extra_links", "execute"]
    )
    def test_and_a_worker_runs_what_a_subclass_has_added(self, name: str) -> None:
        subclass = type("Wait", (LearnosityJobSensor,), {name: getattr(LearnosityJobSensor, name)})
        assert needed_in_worker(subclass(task_id="wait", job_reference="a-job"), LearnosityJobSensor) == ""
        changed: Any = [] if name == "operator_extra_links" else lambda self, *_: None
        subclass = type("Wait", (LearnosityJobSensor,), {name: changed})
        needed = needed_in_worker(subclass(task_id="wait", job_reference="a-job"), LearnosityJobSensor)
        assert needed == ("" if name == "execute" else name)

    def test_and_a_worker_ends_it_for_the_tasks_that_take_its_result_apart(self) -> None:
        with DAG("waits", schedule=None) as dag:
            waits = sensor()
            task(lambda job: job).expand(job=waits.output)
        assert needed_in_worker(waits, LearnosityJobSensor) == "tasks that are mapped over its result"
        with DAG("result", schedule=None) as dag:
            waits = sensor()
            dag.add_result(waits.output)
        assert needed_in_worker(waits, LearnosityJobSensor) == "the result of the DAG"

    def test_and_a_mapped_one_ends_in_the_triggerer_too(self, simulator: Simulator) -> None:
        simulator.faults.add(FaultRule(match="job", kind="job_hang"))
        reference = a_job(simulator, "running")
        with DAG("waits", schedule=None) as dag:

            @task_group
            def one(job: str) -> None:
                LearnosityJobSensor(task_id="in_a_group", job_reference=job, deferrable=True)

            one.expand(job=[reference])
            waits = LearnosityJobSensor.partial(task_id="alone", learnosity_conn_id=CONN, deferrable=True)
            alone = waits.expand(job_reference=[reference])
        in_a_group, unmapped = dag.get_task("one.in_a_group"), alone.unmap({"job_reference": reference})
        assert isinstance(in_a_group, LearnosityJobSensor)
        assert needed_in_worker(in_a_group, LearnosityJobSensor) == ""
        assert isinstance(unmapped, LearnosityJobSensor)
        assert self.ends_in_triggerer(unmapped)

    def test_and_a_worker_ends_it_where_a_success_clears_the_state_store(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", "True")
        assert needed_in_worker(sensor(), LearnosityJobSensor) == "[state_store] clear_on_success"

    def test_and_a_worker_ends_it_for_listeners_of_tasks_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Listener:
            @hookimpl
            def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None: ...

        class OtherListener:
            @hookimpl
            def on_task_instance_running(self, previous_state: Any, task_instance: Any) -> None: ...

        manager = get_listener_manager()
        for listener, needed in ((OtherListener(), ""), (Listener(), "a listener of the end of tasks")):
            manager.pm.register(listener)
            try:
                assert needed_in_worker(sensor(), LearnosityJobSensor) == needed
            finally:
                manager.pm.unregister(listener)

    def test_and_each_try_has_a_deadline_of_its_own(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        simulator.faults.add(FaultRule(match="job", kind="job_hang"))
        reference = a_job(simulator, "running")

        def deadline() -> float:
            with pytest.raises(TaskDeferred) as deferred:
                sensor(job_reference=reference, job_timeout=2).execute(NO_CONTEXT)
            assert isinstance(deferred.value.trigger, LearnosityJobTrigger)
            return deferred.value.trigger.deadline

        first, now = deadline(), time.time
        monkeypatch.setattr(time, "time", lambda: now() + 3600)
        assert deadline() - first >= 3600

    def test_and_defers_when_the_api_fails_for_now(self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
        async def failing(self: LearnosityJobSensor) -> Job | None:
            raise TransientError("502")

        monkeypatch.setattr(LearnosityJobSensor, "_poll", failing)
        with pytest.raises(TaskDeferred):
            sensor().execute(NO_CONTEXT)

    def test_and_defers_when_the_job_is_not_listed(self, simulator: Simulator) -> None:
        with pytest.raises(TaskDeferred):
            sensor(job_reference="never-heard-of").execute(NO_CONTEXT)

    def test_and_fails_at_once_when_the_key_is_wrong(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = {
            "conn_type": "learnosity",
            "host": simulator.url,
            "login": DEMO_CONSUMER_KEY,
            "password": "0" * 40,
        }
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONN.upper()}", json.dumps(connection))
        with pytest.raises(PermanentApiError, match="consumer secret"):
            sensor().execute(NO_CONTEXT)

    @pytest.mark.parametrize(
        "wrong",
        [{"poll_interval": 0}, {"poll_interval": "often"}, {"job_timeout": -1}, {"job_timeout": float("inf")}],
        ids=str,
    )
    def test_and_refuses_numbers_that_are_none(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(RequestError, match="must be a number above 0"):
            sensor(**wrong).execute(NO_CONTEXT)

    @pytest.mark.parametrize("given", [1e9, 4.2e9, 1e10, 1e13, "1e13", 1e300], ids=repr)
    def test_and_waits_as_long_as_dates_reach(self, simulator: Simulator, given: Any) -> None:
        with pytest.raises(TaskDeferred) as deferred:
            sensor(job_reference="never-heard-of", job_timeout=given).execute(NO_CONTEXT)
        backstop = cast(timedelta, deferred.value.timeout)
        assert (datetime.now(UTC) + backstop).year > 3000
        assert isinstance(deferred.value.trigger, LearnosityJobTrigger)
        assert datetime.fromtimestamp(deferred.value.trigger.deadline, UTC).year > 3000


class TestTheEndOfTheWait:
    def test_a_completed_job_ends_the_task_well(self) -> None:
        assert sensor().execute_complete(NO_CONTEXT, {"status": "completed", "job_reference": "r"}) == "r"

    @pytest.mark.parametrize(
        ("event", "error", "says"),
        [
            ({"status": "halted", "job_reference": "r", "error": "no sessions"}, JobHaltedError, "no sessions"),
            ({"status": "halted", "job_reference": "r"}, JobHaltedError, "no reason given"),
            ({"status": "timeout", "job_reference": "r"}, AirflowSensorTimeout, "may still run at Learnosity"),
            ({"status": "error", "message": "wrong secret"}, PermanentApiError, "wrong secret"),
            ({"status": "interrupted", "message": "came to an end."}, TransientError, "goes on waiting"),
            ({"status": "cancelled"}, PermanentApiError, "unknown status"),
            ({}, PermanentApiError, "unknown status"),
            (None, PermanentApiError, "unknown status"),
        ],
        ids=lambda value: str(value)[:40],
    )
    @pytest.mark.promise("advice")
    def test_everything_else_is_a_failure_that_says_what_to_do(
        self, event: dict[str, Any] | None, error: type[Exception], says: str
    ) -> None:
        with pytest.raises(error, match=says) as caught:
            sensor().execute_complete(NO_CONTEXT, event)
        if isinstance(caught.value, LearnosityError) and error is not TransientError:
            assert not caught.value.transient, "a retry would wait for a job that has ended"


CREATED = {"dataset_id": "d", "job_reference": "a-job", "learnosity_conn_id": CONN}


class TestAWaitThatIsRefused:
    """The report is the same, whether the first poll was refused or the triggerer has ended the wait."""

    def told(self, given: Any, act: Callable[[LearnosityJobSensor, Any], Any]) -> tuple[type[BaseException], Any]:
        notes = Notes()
        context = context_of(notes=notes)
        waits = sensor(job_reference=given, learnosity_conn_id=None)
        context["ti"] = SimpleNamespace(task_id="wait_for_job", task=waits)
        with pytest.raises(LearnosityError) as ended:
            act(waits, context)
        return type(ended.value), notes[FAILURE_KEY]

    @pytest.mark.parametrize("given", [CREATED, "a-job"], ids=str)
    @pytest.mark.parametrize(
        "refusal",
        [
            AuthenticationError("wrong key.", code=41003),
            ConnectionConfigError("no consumer secret."),
            WrongAddressError("a redirect."),
            UnexpectedReplyError("no list of jobs."),
            MissingExtraError("a package is missing."),
            RequestError("the job is no job."),
            PermanentApiError("refused."),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_with_the_same_error_connection_and_advice(
        self, monkeypatch: pytest.MonkeyPatch, refusal: LearnosityError, given: Any
    ) -> None:
        async def refused(self: LearnosityJobSensor) -> Job | None:
            raise refusal

        monkeypatch.setattr(LearnosityJobSensor, "_poll", refused)
        trigger = LearnosityJobTrigger("a-job", CONN, 15, 0.0, 0.0)
        event = json.loads(json.dumps(trigger._event(PollResult(error=refusal, final=True))))
        at_once = self.told(given, lambda waits, context: waits.execute(context))
        deferred = self.told(given, lambda waits, context: waits.execute_complete(context, event))
        assert deferred == at_once
        connection = CONN if given is CREATED else "learnosity_default"
        assert (f"connection was '{connection}'" in deferred[1]["message"]) == isinstance(refusal, ApiError)

    UNKNOWN = (None, "", 7, ["x"], "Unheard", "KeyError", "LearnosityError", "TransientError", "dataclass", "Findings")

    @pytest.mark.parametrize("more", [{}, *({"kind": kind} for kind in UNKNOWN)], ids=str)
    def test_with_a_permanent_error_where_the_event_does_not_tell_a_kind_that_is_known(self, more: Any) -> None:
        """Events of an earlier release tell none, and those of a later one may tell another."""
        event = {"status": "error", "job_reference": "a-job", "message": "refused.", **more}
        found, report = self.told(CREATED, lambda waits, context: waits.execute_complete(context, event))
        assert found is PermanentApiError
        assert report["message"] == f"refused. The Learnosity connection was '{CONN}'."

    @pytest.mark.parametrize("given", [None, {}, [], {"dataset_id": "d"}, 7.5], ids=repr)
    def test_also_where_what_create_dataset_returned_cannot_be_read(self, given: Any) -> None:
        event = {"status": "error", "job_reference": "a-job", "message": "refused.", "kind": "AuthenticationError"}
        found, report = self.told(given, lambda waits, context: waits.execute_complete(context, event))
        assert (found, report["message"]) == (AuthenticationError, "refused.")
        completed = {"status": "completed", "job_reference": "a-job"}
        assert sensor(job_reference=given).execute_complete(NO_CONTEXT, completed) == "a-job"


class TestAnEndThatAirflowItselfGivesTheWait:
    """The triggerer did not end it: none ran, or it failed. Airflow's own words do not say which job it was."""

    def resumed(self, reason: Any, given: Any = CREATED, **more: Any) -> tuple[BaseException, dict[str, Any]]:
        notes = Notes()
        context = context_of(notes=notes) | {"dag_run": SimpleNamespace(conf={"job_timeout": 7})}
        context["ti"].task_id = "wait_for_job"
        waits = sensor(job_reference=given, run_config=("job_timeout",), **more)
        with pytest.raises((AirflowException, LearnosityError)) as ended:
            waits.resume_execution("__fail__", {"error": reason, "traceback": ["a", "b"]}, context)
        return ended.value, notes.get(FAILURE_KEY, {})

    @pytest.mark.parametrize("given", [CREATED, "a-job"], ids=str)
    def test_by_the_time_names_the_job_and_the_triggerer(self, given: Any) -> None:
        error, report = self.resumed(TriggerFailureReason.TRIGGER_TIMEOUT, given)
        assert isinstance(error, AirflowSensorTimeout)
        for words in ("job a-job", "7 minutes", "a triggerer runs", "may still run at Learnosity", "clear this task"):
            assert words in str(error)
        assert report["message"] == str(error)

    @pytest.mark.parametrize("reason", [TriggerFailureReason.TRIGGER_FAILURE, "Unknown", "secret", None], ids=str)
    def test_by_an_error_is_tried_again_and_names_the_job(self, reason: Any) -> None:
        error, report = self.resumed(reason)
        assert isinstance(error, TransientError)
        assert "next try goes on waiting for job a-job" in str(error)
        assert "secret" not in str(error)
        assert report["message"].startswith(str(error))

    UNREADABLE: tuple[Any, ...] = (None, {}, [], {"dataset_id": "d", "job_reference": "a-job"}, "{{ xcom", 7.5)

    @pytest.mark.parametrize("given", UNREADABLE[:4], ids=repr)
    def test_is_told_in_the_words_of_airflow_where_the_job_cannot_be_read(self, given: Any) -> None:
        more = {"learnosity_conn_id": None}
        error, report = self.resumed(TriggerFailureReason.TRIGGER_TIMEOUT, given, **more)
        assert isinstance(error, AirflowSensorTimeout)
        assert report["message"].startswith(str(error))
        error, _ = self.resumed(TriggerFailureReason.TRIGGER_FAILURE, given, **more)
        assert isinstance(error, TaskDeferralError)

    @pytest.mark.parametrize("given", [CREATED, *UNREADABLE], ids=repr)
    @pytest.mark.parametrize("reason", TriggerFailureReason)
    @pytest.mark.parametrize("soft", ["soft_fail", "never_fail"])
    def test_skips_the_task_where_it_is_to(self, reason: Any, soft: str, given: Any) -> None:
        error, report = self.resumed(reason, given, **{soft: True, "learnosity_conn_id": None})
        assert isinstance(error, AirflowSkipException)
        assert not report

    def test_is_told_once_where_the_triggerer_has_ended_it(self, caplog: pytest.LogCaptureFixture) -> None:
        with pytest.raises(JobHaltedError):
            sensor().resume_execution("execute_complete", {"event": {"status": "halted"}}, NO_CONTEXT)
        assert caplog.text.count("Learnosity halted job") == 1


class TestWhatItIsGiven:
    def test_takes_job_and_connection_from_what_the_create_task_returned(self, simulator: Simulator) -> None:
        with pytest.raises(TaskDeferred) as deferred:
            sensor(job_reference=CREATED, learnosity_conn_id=None).execute(NO_CONTEXT)
        trigger = deferred.value.trigger
        assert isinstance(trigger, LearnosityJobTrigger)
        assert (trigger.job_reference, trigger.learnosity_conn_id) == ("a-job", CONN)

    def test_has_nothing_to_wait_for_where_the_dataset_is_finished(self) -> None:
        assert sensor(job_reference=CREATED | {"job_reference": ""}).execute(NO_CONTEXT) == ""

    @pytest.mark.parametrize("nothing", [None, {}, []], ids=repr)
    @pytest.mark.promise("permanent at once")
    def test_says_what_to_do_where_the_create_task_was_marked_as_success(self, nothing: Any) -> None:
        with pytest.raises(RequestError, match="was it marked as success by hand"):
            sensor(job_reference=nothing).execute(NO_CONTEXT)

    def test_does_not_guess_the_connection_of_an_earlier_release(self) -> None:
        created = {"dataset_id": "d", "job_reference": "a-job"}
        with pytest.raises(RequestError, match="did not hand on its learnosity_conn_id"):
            sensor(job_reference=created, learnosity_conn_id=None).execute(NO_CONTEXT)

    @pytest.mark.parametrize(
        ("arguments", "conf", "seconds", "interval"),
        [
            pytest.param({}, None, 360 * 60, 15, id="defaults"),
            pytest.param({"timeout": 60, "poke_interval": 7}, None, 60, 7, id="names of Airflow"),
            pytest.param(
                {"timeout": timedelta(minutes=2), "poke_interval": timedelta(seconds=9)}, None, 120, 9, id="durations"
            ),
            pytest.param({"job_timeout": 3, "timeout": 60}, None, 180, 15, id="own name first"),
            pytest.param({"timeout": None, "poke_interval": None}, None, 360 * 60, 15, id="none"),
            pytest.param({"job_timeout": "", "poll_interval": None}, None, 360 * 60, 15, id="empty"),
            pytest.param({"job_timeout": 3}, {"job_timeout": 4, "poll_interval": 20}, 240, 20, id="run config"),
            pytest.param({"job_timeout": 3}, {"job_timeout": None, "poll_interval": ""}, 180, 15, id="empty conf"),
        ],
    )
    def test_knows_its_limits_by_both_names(
        self, simulator: Simulator, arguments: dict[str, Any], conf: Any, seconds: float, interval: float
    ) -> None:
        context: Any = {"dag_run": SimpleNamespace(conf=conf)}
        with pytest.raises(TaskDeferred) as deferred:
            sensor(run_config=("job_timeout", "poll_interval"), **arguments).execute(context)
        trigger = deferred.value.trigger
        assert isinstance(trigger, LearnosityJobTrigger)
        assert trigger.deadline - trigger.started == seconds
        assert trigger.poll_interval == interval


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("mode", ["poke", "reschedule"])
class TestAsAirflowsOwnSensors:
    """`soft_fail`, `never_fail`, `deferrable` and `mode` do what they do in Airflow's own sensors."""

    @pytest.mark.parametrize("soft", ["soft_fail", "never_fail"])
    def test_a_halted_job_skips_the_task_where_it_is_to(
        self, simulator: Simulator, deferrable: bool, mode: str, soft: str
    ) -> None:
        simulator.faults.add(FaultRule(match="job", kind="job_halt", message="no record"))
        reference = a_job(simulator, "halted")
        with pytest.raises(AirflowSkipException, match="no record|never_fail"):
            sensor(job_reference=reference, deferrable=deferrable, mode=mode, **{soft: True}).execute(context_of())

    @pytest.mark.parametrize(
        "error",
        [
            AuthenticationError("wrong key"),
            ConnectionConfigError("no secret"),
            PermanentApiError("refused"),
            AirflowFailException("x"),
            AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR)),
            AirflowTaskTimeout("execution_timeout"),
            AirflowSkipException("a subclass skips it"),
            KeyError("a fault of the program"),
        ],
        ids=lambda error: type(error).__name__,
    )
    @pytest.mark.parametrize("soft", ["soft_fail", "never_fail", ""])
    def test_an_error_of_a_poll_skips_the_task_as_airflow_does_it(
        self, deferrable: bool, mode: str, soft: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fails(self: LearnosityJobSensor) -> Job | None:
            raise error

        monkeypatch.setattr(LearnosityJobSensor, "_poll", fails)
        context = context_of() | {"ti": SimpleNamespace(get_first_reschedule_date=lambda _: None)}
        also_soft = isinstance(error, (AirflowTaskTimeout, AirflowFailException))
        skips = soft == "never_fail" or (also_soft and soft == "soft_fail")
        with pytest.raises(AirflowSkipException if skips else type(error)):
            sensor(deferrable=deferrable, mode=mode, **({soft: True} if soft else {})).execute(context)

    @pytest.mark.parametrize("soft", ["soft_fail", "never_fail", ""])
    @pytest.mark.parametrize("status", ["halted", "timeout", "interrupted", "error", "unheard of"])
    def test_an_end_of_a_deferred_wait_skips_the_task_likewise(
        self, deferrable: bool, mode: str, soft: str, status: str
    ) -> None:
        event = {"status": status, "message": "why", "job_reference": "a-job"}
        waits = sensor(deferrable=deferrable, mode=mode, **({soft: True} if soft else {}))
        skips = soft == "never_fail" or (soft == "soft_fail" and status in ("halted", "timeout"))
        notes = Notes()
        with pytest.raises((LearnosityError, AirflowException)) as ended:
            waits.execute_complete(context_of(notes=notes), event)
        assert isinstance(ended.value, AirflowSkipException) is skips
        assert (FAILURE_KEY in notes) is not skips
        assert ("next try" in str(ended.value)) is (status == "interrupted" and not skips)
        assert waits.execute_complete(NO_CONTEXT, event | {"status": "completed"}) == "a-job"

    @pytest.mark.parametrize("soft", ["soft_fail", "never_fail"])
    @pytest.mark.parametrize("wrong", [{"job_reference": None}, {"job_timeout": -1}], ids=str)
    def test_arguments_that_cannot_be_used_fail_the_task_all_the_same(
        self, deferrable: bool, mode: str, soft: str, wrong: dict[str, Any]
    ) -> None:
        with pytest.raises(RequestError):
            sensor(deferrable=deferrable, mode=mode, **{soft: True}, **wrong).execute(context_of())

    @pytest.mark.parametrize("soft", ["soft_fail", "never_fail"])
    def test_a_job_that_runs_is_waited_for(
        self, deferrable: bool, mode: str, soft: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def away(self: LearnosityJobSensor) -> Job | None:
            raise TransientError("502")

        def slept(seconds: float) -> None:
            raise InterruptedError

        monkeypatch.setattr(LearnosityJobSensor, "_poll", away)
        monkeypatch.setattr("airflow.sdk.bases.sensor.time.sleep", slept)
        kind = TaskDeferred if deferrable else InterruptedError if mode == "poke" else AirflowRescheduleException
        with pytest.raises(kind):
            sensor(deferrable=deferrable, mode=mode, **{soft: True}).execute(context_of())

    def test_a_halted_job_fails_the_task_otherwise(self, simulator: Simulator, deferrable: bool, mode: str) -> None:
        simulator.faults.add(FaultRule(match="job", kind="job_halt", message="no record"))
        with pytest.raises(JobHaltedError):
            sensor(job_reference=a_job(simulator, "halted"), deferrable=deferrable, mode=mode).execute(context_of())

    def test_a_completed_job_ends_it(self, simulator: Simulator, deferrable: bool, mode: str) -> None:
        reference = a_job(simulator)
        assert sensor(job_reference=reference, deferrable=deferrable, mode=mode).execute(context_of()) == reference

    @pytest.mark.parametrize("soft", [True, False])
    def test_the_end_of_the_time(self, simulator: Simulator, deferrable: bool, mode: str, soft: bool) -> None:
        simulator.faults.add(FaultRule(match="job", kind="job_hang"))
        waits = sensor(
            job_reference=a_job(simulator, "running"), deferrable=deferrable, mode=mode, soft_fail=soft,
            job_timeout=0.0001, poll_interval=0.01,
        )  # fmt: skip
        with pytest.raises(AirflowSkipException if soft else AirflowSensorTimeout):
            if deferrable:
                waits.execute_complete(NO_CONTEXT, {"status": "timeout", "job_reference": "a-job"})
            else:
                waits.execute(context_of(ago=60))


class Notes(dict[str, Any]):
    """Airflow's task state store. It outlives the process of a rescheduled sensor."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


def context_of(ago: float = 0, notes: Notes | None = None) -> Any:
    """The context of a sensor that was rescheduled `ago` seconds before."""
    first = datetime.now(UTC) - timedelta(seconds=ago)
    return {
        "ti": SimpleNamespace(get_first_reschedule_date=lambda _: first),
        "task_state_store": Notes() if notes is None else notes,
    }


@pytest.mark.parametrize("error", [None, "", "3 of 4 input files could not be read"])
def test_a_completed_job_with_an_error_completes_the_task_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, error: str | None
) -> None:
    async def jobs(*args: Any, **kwargs: Any) -> list[Job]:
        return [Job("a-job", "completed", error=error)]

    monkeypatch.setattr("learnosity.api.client.LearnosityClient.jobs", jobs)
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN.upper()}", json.dumps(CONNECTION))
    warnings, waits = list[str](), sensor()
    monkeypatch.setattr(waits.log, "warning", lambda said, *values: warnings.append(said % values))
    assert waits.poke(NO_CONTEXT)
    assert waits.execute_complete(NO_CONTEXT, {"status": "completed", "error": error}) == "a-job"
    said = f"Job a-job is completed, but its record has an error: {error}"
    assert [each for each in warnings if "a-job" in each] == ([said] * 2 if error else [])


class TestAWaitWithoutTheTriggererThatIsRefused:
    """The key may be changed while the job runs. The trigger bears it as long."""

    @pytest.fixture
    def poll(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        """What the next polls give: an error, or a job."""
        replies: list[Any] = []

        async def polled(self: LearnosityJobSensor) -> Job | None:
            if isinstance(reply := replies.pop(0), Exception):
                raise reply
            return cast(Job | None, reply)

        monkeypatch.setattr(LearnosityJobSensor, "_poll", polled)
        return replies

    @pytest.mark.parametrize("refusal", [AuthenticationError("wrong key"), ConnectionConfigError("edited just now")])
    def test_goes_on_in_a_later_poll(self, poll: list[Any], refusal: Exception) -> None:
        poll += [refusal, refusal, None]
        notes = Notes()
        context = context_of(ago=60, notes=notes)
        for _ in range(2):
            assert not rescheduled().poke(context)
        (since,) = notes[KEY]["since"].values()
        assert 0 < time.time() - since < 600
        assert not rescheduled().poke(context)
        assert not notes[KEY], "a poll that is not refused ends the series"

    @pytest.mark.parametrize(
        ("refusal", "patience"),
        [
            (AuthenticationError("wrong key"), REFUSAL_SECONDS),
            (ConnectionConfigError("no such connection"), MISCONFIGURED_SECONDS),
        ],
    )
    def test_ends_when_the_trigger_would_end_it(self, poll: list[Any], refusal: Exception, patience: float) -> None:
        poll += [refusal, refusal]
        notes = Notes()
        context = context_of(ago=patience, notes=notes)
        assert not rescheduled().poke(context)
        let_pass(notes, patience + 1)
        with pytest.raises(type(refusal)):
            rescheduled().poke(context)

    @pytest.mark.parametrize("mode", ["poke", "reschedule"])
    def test_a_person_who_edits_the_connection_has_time_although_the_key_was_refused_before(
        self, poll: list[Any], mode: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key, edited = AuthenticationError("wrong key"), ConnectionConfigError("edited just now")
        poll += [key, edited, edited, key, edited, key]
        now = time.time()
        monkeypatch.setattr("learnosity.kept_refusals.time", SimpleNamespace(time=lambda: now))
        context, waits = context_of(ago=60), sensor(deferrable=False, mode=mode)
        waits._polled = True
        for minutes in (0, 20, 24, 30, 34.9):
            monkeypatch.setattr("learnosity.kept_refusals.time.time", lambda then=now + minutes * 60: then)
            assert not waits.poke(context), minutes
        monkeypatch.setattr("learnosity.kept_refusals.time.time", lambda: now + 35 * 60)
        with pytest.raises(AuthenticationError):
            waits.poke(context)

    @pytest.mark.parametrize("kept", [..., 0.0, 1764000000.0, None, "x", {"since": "x", "attempt": 2}], ids=repr)
    def test_each_try_has_patience_of_its_own(self, poll: list[Any], kept: Any) -> None:
        poll += [AuthenticationError("wrong key"), AuthenticationError("wrong key")]
        notes = Notes()
        context = context_of(ago=6000, notes=notes)
        if kept is ...:
            assert not rescheduled().poke(context)
            let_pass(notes, REFUSAL_SECONDS + 1)
        else:
            notes[KEY] = kept  # of an earlier release, or damaged
        context["ti"].try_number = 2
        assert not rescheduled().poke(context)

    def test_a_job_that_has_ended_otherwise_ends_it_after_some_minutes(self, poll: list[Any]) -> None:
        poll += [Job("a-job", "failed", dt_completed="2026-01-01 00:00:09")] * 4
        notes = Notes()
        context = context_of(notes=notes) | {"ti": SimpleNamespace(get_first_reschedule_date=lambda _: None)}
        assert not sensor().poke(context), "the trigger goes on"
        for _ in range(2):
            assert not rescheduled().poke(context)
        let_pass(notes, ODD_END_SECONDS + 1)
        with pytest.raises(OddEndError, match="'failed'.*then clear create_dataset"):
            rescheduled().poke(context)

    @pytest.mark.parametrize("mode", ["poke", "reschedule"])
    def test_fails_at_once_in_the_first_poll(self, poll: list[Any], mode: str) -> None:
        poll += [AuthenticationError("wrong key")]
        context = context_of() | {"ti": SimpleNamespace(get_first_reschedule_date=lambda _: None)}
        with pytest.raises(AuthenticationError):
            sensor(deferrable=False, mode=mode).poke(context)

    @pytest.mark.parametrize("method", ["get", "set"])
    def test_goes_on_while_airflow_keeps_no_state(self, poll: list[Any], method: str) -> None:
        class Away(Notes):
            def __getattribute__(self, name: str) -> Any:
                if name == method:
                    raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))
                return super().__getattribute__(name)

        job = Job("a-job", "running")
        poll += [AuthenticationError("wrong key"), job, TransientError("502"), None, Job("a-job", "completed")]
        context = context_of(ago=60, notes=Away())
        assert [rescheduled().poke(context) for _ in range(5)] == [False, False, False, False, True]

    @pytest.mark.parametrize("mode", ["poke", "reschedule"])
    def test_goes_on_after_a_first_poll_that_failed_for_now(self, poll: list[Any], mode: str) -> None:
        poll += [TransientError("502"), AuthenticationError("wrong key")]
        waits = sensor(deferrable=False, mode=mode)
        context = context_of() | {"ti": SimpleNamespace(get_first_reschedule_date=lambda _: None)}
        assert not waits.poke(context)
        assert not waits.poke(context)

    def test_goes_on_in_one_process_too(self, poll: list[Any]) -> None:
        poll += [None, AuthenticationError("wrong key"), AuthenticationError("wrong key")]
        waits = sensor(deferrable=False, mode="poke")
        assert not any(waits.poke(NO_CONTEXT) for _ in range(3))


def let_pass(notes: Notes, seconds: float) -> None:
    """Make what was kept older."""
    notes[KEY]["since"] = {kind: since - seconds for kind, since in notes[KEY]["since"].items()}


def rescheduled() -> LearnosityJobSensor:
    """A sensor as the next process has it."""
    return sensor(deferrable=False, mode="reschedule")


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_end_of_the_time_names_the_limit_of_the_run_config(simulator: Simulator, deferrable: bool) -> None:
    simulator.faults.add(FaultRule(match="job", kind="job_hang"))
    waits = sensor(job_reference=a_job(simulator, "running"), deferrable=deferrable, run_config=("job_timeout",))
    context = context_of(ago=6000) | {"dag_run": SimpleNamespace(conf={"job_timeout": 7})}
    with pytest.raises(AirflowSensorTimeout, match="within 7 minutes. It may still run"):
        if deferrable:
            waits.execute_complete(context, {"status": "timeout", "job_reference": "a-job"})
        else:
            waits.execute(context)


WHY = {
    "failed": (FaultRule(match="get jobs", kind="status", status=502), "The last poll failed: .*10000"),
    "refused": (FaultRule(match="get jobs", kind="status", status=403, code=41003), "The last poll failed: .*41003"),
    "not listed": (FaultRule(match="job", kind="job_vanish"), "did not list it: check job_reference"),
}


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
@pytest.mark.parametrize(("fault", "says"), WHY.values(), ids=WHY)
def test_the_end_of_the_time_says_what_the_last_poll_saw(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, mode: str, fault: FaultRule, says: str
) -> None:
    monkeypatch.setattr("learnosity.api.client.FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr("learnosity.api.client.MOST_WAIT_SECONDS", 0.001)
    simulator.faults.add(fault)
    waits = sensor(job_reference="a-job", deferrable=False, mode=mode, job_timeout=0.00001)
    waits._polled = True  # as after a first poll, because an error of the first poll ends the task at once
    with pytest.raises(AirflowSensorTimeout, match=f"{says}.* It may still run at Learnosity: clear this task"):
        waits.execute(context_of(ago=6000))


def test_an_event_of_an_earlier_release_ends_the_time_without_a_reason() -> None:
    for event in ({"status": "timeout"}, {"status": "timeout", "message": None}):
        with pytest.raises(AirflowSensorTimeout, match=r"within 360.* minutes\. It may still run"):
            sensor().execute_complete(NO_CONTEXT, event)
    with pytest.raises(AirflowSensorTimeout, match=r"minutes\. The last poll failed: HTTP 502\. It may still run"):
        sensor().execute_complete(NO_CONTEXT, {"status": "timeout", "message": "The last poll failed: HTTP 502."})
