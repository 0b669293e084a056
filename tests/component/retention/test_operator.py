"""The tasks of the DAG `learnosity_retention`: what a run may say, what it may touch, and that no removal is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.context import OutletEventAccessors

from learnosity import retention_operator
from learnosity.dataset.manifest import sha256_hex
from learnosity.destination import resolve_destination
from learnosity.errors import (
    ConnectionConfigError,
    LearnosityError,
    PermanentError,
    RequestError,
    StorageError,
    TransientStorageError,
)
from learnosity.lookups import LookupFailedError
from learnosity.retention import remove as removing
from learnosity.retention import sweep as sweeping
from learnosity.retention.decide import Found, Latest
from learnosity.retention.inventory import latest, read_dataset, types
from learnosity.retention.rules import RetentionRules, Rule
from learnosity.retention_notes import KEY
from learnosity.retention_operator import (
    REMOVED_DATASETS,
    LearnosityRetentionCheckOperator,
    LearnosityRetentionOperator,
)
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.storage.uris import parse_uri
from tests.memory_store import Killed, MemoryStore
from tests.unit.retention.scenes import TYPE, layout_of, publish

RULES = RetentionRules([Rule(TYPE, keep_newest=1)], dry_run=False)


class State:
    """Airflow's task state store."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: Any) -> None:
        self.values[key] = json.loads(json.dumps(value))


class Run:
    """One run, with as many tries as are asked for."""

    def __init__(self, rules: RetentionRules | None = RULES, problems: tuple[str, ...] = ()) -> None:
        self.state = State()
        self.rules, self.problems = rules, problems
        self.tries = 0
        self.event: Mapping[str, Any] | None = None

    def go(self, conf: Mapping[str, Any] | None = None, *, max_tries: int = 7) -> dict[str, Any]:
        self.tries += 1
        task = LearnosityRetentionOperator(task_id="remove_datasets", rules=self.rules, file_problems=self.problems)
        events = OutletEventAccessors()
        context = {
            "dag_run": SimpleNamespace(dag_id="learnosity_retention", run_id="r", conf=conf),
            "ti": SimpleNamespace(try_number=self.tries, max_tries=max_tries),
            "task_state_store": self.state,
            "outlet_events": events,
        }
        result: dict[str, Any] = asyncio.run(task.aexecute(context))  # type: ignore[arg-type]
        self.event = events[REMOVED_DATASETS].extra if task.outlets else None
        return result


# A removal writes its mark and then reads the dataset again: the second look. Each case is a reason to keep the dataset
# after all. Its values: what is changed in the `Found` of the dataset, what latest.json then says (None = as it is),
# and whether there is a mark of another run.
SECOND_LOOKS: dict[str, tuple[dict[str, Any], Latest | None, bool]] = {
    "latest.json names it": ({}, Latest(layout_of(1).dataset_id), False),
    "latest.json cannot be read": ({}, Latest(problem="403"), False),
    "a landing is in flight": ({"has_notes": True}, None, False),
    "it cannot be read": ({"is_published": False, "published_at": "", "problem": "403"}, None, False),
    "another run has marked it": ({}, None, True),
    "another run has removed its manifest": ({"is_published": False, "published_at": ""}, None, True),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default destination, with three datasets. The third is the newest, and latest.json names it."""
    place = tmp_path / "datasets"
    monkeypatch.setenv("AIRFLOW_VAR_LEARNOSITY_DESTINATION_URI", place.as_uri())
    scene = MemoryStore()
    for number in (1, 2, 3):
        publish(scene, layout_of(number), 0)
    scene.objects[layout_of(3).latest] = scene.objects[layout_of(3).manifest]
    for path, stored in scene.objects.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(stored.content)
    return place


def there(place: Path) -> set[int]:
    """The numbers of the datasets of which anything is there."""
    return {
        number for number in (1, 2, 3) if any(each.is_file() for each in (place / layout_of(number).prefix).rglob("*"))
    }


def ids(*numbers: int) -> list[str]:
    return [layout_of(number).dataset_id for number in numbers]


def throw(error: Exception) -> Any:
    raise error


def removed(run: Run) -> set[str]:
    return {each["dataset_id"] for each in run.event["removed"]} if run.event else set()


def test_rules_remove_what_is_superseded_and_the_event_names_it(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    run = Run()
    result = run.go()
    assert there(place) == {3}
    assert (result["removed"], result["kept"], result["problems"]) == (2, 1, [])
    assert removed(run) == set(ids(1, 2))
    for dataset_id in ids(1, 2):
        assert any(f"{dataset_id} (superseded" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("other", ["{uri}", "{uri}/", "{uri}//", "{link}"])
@pytest.mark.parametrize("dry_run", [True, False])
def test_two_rules_for_one_place_remove_nothing_however_it_is_written(
    place: Path, tmp_path: Path, other: str, dry_run: bool
) -> None:
    (tmp_path / "link").symlink_to(place)
    uri = other.format(uri=place.as_uri(), link=(tmp_path / "link").as_uri())
    run = Run(RetentionRules([Rule(TYPE, keep_newest=3), Rule(TYPE, uri, keep_newest=1)], dry_run=dry_run))
    with pytest.raises(RequestError, match=r"Rules 1 and 2 are both for .+ Nothing was removed\."):
        run.go()
    assert there(place) == {1, 2, 3}


ERRORS = [TransientStorageError, StorageError, ConnectionConfigError, LookupFailedError, RequestError]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("cannot", ["open", "check"])
@pytest.mark.parametrize("which", [0, 1, None])
def test_two_rules_for_one_place_remove_nothing_whichever_of_them_cannot_be_reached(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[LearnosityError],
    cannot: str,
    which: int | None,
) -> None:
    (tmp_path / "link").symlink_to(place)
    uris = [place.as_uri(), (tmp_path / "link").as_uri()]
    named: list[str | None] = [uris[0], uris[1]] if which is not None else [None, uris[1]]
    rules = [Rule(TYPE, named[0], keep_newest=3), Rule(TYPE, named[1], keep_newest=1)]
    run = Run(RetentionRules(rules, dry_run=False))
    failing = uris[which or 0] if cannot == "open" else named[which or 0]
    name = "_opened" if cannot == "open" else "check_places"
    real = getattr(retention_operator, name)

    def fails(*given: Any) -> Any:
        if given[-1] == failing:
            raise error("away")
        return real(*given)

    monkeypatch.setattr(retention_operator, name, fails)
    with pytest.raises(RequestError, match=r"Rules 1 and 2 are both for .+ Nothing was removed\."):
        run.go()
    assert there(place) == {1, 2, 3}


@pytest.mark.parametrize("error", ERRORS)
def test_while_the_default_destination_is_not_known_no_rule_of_its_type_is_applied(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[LearnosityError]
) -> None:
    real, failing = resolve_destination, [None]

    async def fails(given: object) -> str:
        if given in failing:
            raise error("away")
        return await real(given)

    monkeypatch.setattr(retention_operator, "resolve_destination", fails)
    rules = [Rule(TYPE, keep_newest=3), Rule(TYPE, place.as_uri(), keep_newest=1)]
    run = Run(RetentionRules(rules, dry_run=False))
    if error is RequestError:  # no default destination is set, so only the second rule counts
        assert any("away" in each for each in run.go()["problems"])
        assert there(place) == {3}
        return
    if error.transient:
        with pytest.raises(TransientStorageError, match="away"):
            run.go()
    assert any("Rules 1 and 2 are both".lower() in each for each in run.go(max_tries=0)["problems"])
    assert there(place) == {1, 2, 3}
    failing.clear()
    with pytest.raises(RequestError, match=r"Nothing was removed\."):
        run.go()


def test_while_a_link_leads_nowhere_it_may_be_any_other_folder(place: Path, tmp_path: Path) -> None:
    link = tmp_path / "not-mounted"
    link.symlink_to(tmp_path / "away")
    rules = [
        Rule(TYPE, link.as_uri(), keep_newest=3),
        Rule(TYPE, keep_newest=1),
        Rule("another", place.as_uri(), keep_newest=1),
    ]
    run = Run(RetentionRules(rules, dry_run=False))
    assert any("rules 1 and 2 are both" in each for each in run.go()["problems"])
    assert there(place) == {1, 2, 3}
    link.unlink()
    link.symlink_to(place)
    with pytest.raises(RequestError, match=r"Nothing was removed\."):
        run.go()


def test_a_folder_that_nothing_has_landed_to_yet_keeps_no_rule_from_the_other_place(
    place: Path, tmp_path: Path
) -> None:
    never = (tmp_path / "never").as_uri()
    run = Run(RetentionRules([Rule(TYPE, never, keep_newest=3), Rule(TYPE, keep_newest=1)], dry_run=False))
    assert not any("rules 1 and 2 are both" in each for each in run.go()["problems"])
    assert there(place) == {3}


@pytest.mark.parametrize("error", [*ERRORS, "pair", "rules file", "run config"])
@pytest.mark.parametrize("last", [True, False])
def test_whatever_ends_a_later_try_the_event_of_what_was_removed_comes(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[LearnosityError] | str, last: bool
) -> None:
    run, real = Run(), read_dataset

    async def failing_read(store: Any, layout: Any) -> Any:
        if layout.dataset_id == ids(2)[0]:
            raise TransientStorageError("503 for now")
        return await real(store, layout)

    with monkeypatch.context() as patch:
        patch.setattr(removing, "read_dataset", failing_read)
        with pytest.raises(TransientStorageError, match="503 for now"):
            run.go()
    conf: dict[str, Any] = {}
    if error == "pair":
        run.rules = RetentionRules([*RULES.rules, Rule(TYPE, place.as_uri(), keep_newest=1)], dry_run=False)
    elif error == "rules file":
        run.problems = ("line 3 is wrong",)
    elif error == "run config":
        conf = {"destination_uri": place.as_uri()}
    else:

        def fails(uri: str) -> Any:
            raise error("away")  # type: ignore[operator]

        monkeypatch.setattr(retention_operator, "_opened", fails)
    if not last and not isinstance(error, str) and error.transient:
        with pytest.raises(error):
            run.go()
        return
    result = run.go(conf, max_tries=1 if last else 7)
    assert removed(run) == set(ids(1))
    assert (result["removed"], len(result["problems"])) == (1, 1)
    assert "Nothing was removed" not in result["problems"][0]
    assert error != "pair" or "Nothing more was removed." in result["problems"][0]


def test_a_removal_that_was_cut_off_is_not_forgotten_while_its_store_is_away(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    shutil.copytree(place, other)
    monkeypatch.setenv("AIRFLOW_VAR_LEARNOSITY_ALLOWED_URIS", json.dumps([tmp_path.as_uri()]))
    shutil.rmtree(place / layout_of(1).prefix)
    run = Run(RetentionRules([Rule(TYPE, keep_newest=2), Rule(TYPE, other.as_uri(), keep_newest=1)], dry_run=False))
    begun = {"destination_uri": place.as_uri(), "dataset_type": TYPE, "dataset_id": ids(1)[0], "why": "superseded"}
    run.state.values[KEY] = {"removed": [], "begun": begun}
    real, away = retention_operator._opened, [place.as_uri()]

    def fails(uri: str) -> Any:
        if uri in away:
            raise TransientStorageError("away")
        return real(uri)

    monkeypatch.setattr(retention_operator, "_opened", fails)
    with pytest.raises(TransientStorageError, match="away"):
        run.go()
    assert run.state.values[KEY]["begun"]
    result = run.go(max_tries=0)
    assert any("not known whether that has ended" in each for each in result["problems"])
    away.clear()
    run.go()
    assert run.event is not None
    assert sorted(each["destination_uri"] for each in run.event["removed"]) == sorted(
        [other.as_uri(), other.as_uri(), place.as_uri()]
    )


def test_two_rules_for_two_types_or_two_places_are_no_problem(place: Path, tmp_path: Path) -> None:
    other = (tmp_path / "other").as_uri()
    (tmp_path / "other").mkdir()
    rules = [Rule(TYPE, keep_newest=1), Rule("another-type", keep_newest=1), Rule(TYPE, other, keep_newest=1)]
    Run(RetentionRules(rules, dry_run=False)).go()
    assert there(place) == {3}


def test_a_dry_run_shows_a_table_and_has_no_event(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    run = Run()
    result = run.go({"dry_run": True})
    assert there(place) == {1, 2, 3}
    assert (result["dry_run"], result["would_remove"], result["removed"], run.event) == (True, 2, 0, None)
    shown = next(record.getMessage() for record in caplog.records if "Would be removed" in record.getMessage())
    assert all(dataset_id in shown for dataset_id in ids(1, 2))
    assert ids(3)[0] not in shown


def test_without_a_word_a_run_is_dry(place: Path) -> None:
    assert Run(RetentionRules([Rule(TYPE, keep_newest=1)])).go()["dry_run"] is True
    assert Run(None).go({"dataset_ids": ids(1)})["dry_run"] is True
    assert there(place) == {1, 2, 3}


def test_ids_remove_just_those_whatever_the_rules_say(place: Path) -> None:
    run = Run(RetentionRules([Rule(TYPE, keep_newest=10)], dry_run=False))
    result = run.go({"dataset_ids": [ids(2)[0].upper()]})
    assert there(place) == {1, 3}
    assert (result["removed"], removed(run)) == (1, set(ids(2)))


def test_what_latest_names_stays_and_an_id_that_is_nowhere_is_a_problem(place: Path) -> None:
    run = Run(None)
    result = run.go({"dataset_ids": [*ids(3), *ids(99)], "dry_run": False})
    assert there(place) == {1, 2, 3}
    assert [each.partition(": ")[2] for each in result["problems"]] == [
        "kept: latest.json names it",
        "there is no dataset with this id; check the id and the destination",
    ]
    with pytest.raises(PermanentError, match="latest.json names it"):
        LearnosityRetentionCheckOperator(task_id="check", report=result).execute({})


@pytest.mark.parametrize(
    ("conf", "what"),
    [
        ({"dataset_ids": "x"}, "list of UUIDs"),
        ({"dataset_ids": ["../../etc"]}, "is not a UUID"),
        ({"dataset_ids": [1]}, "list of UUIDs"),
        ({"dryrun": False}, "did you mean 'dry_run'"),
        ({"dry_run": "perhaps"}, "must be true or false"),
        ({"destination_uri": "file:///tmp/elsewhere"}, "for dataset_ids only"),
        ({"dataset_ids": ids(1), "destination_uri": "s3://somebody-elses-bucket/x"}, "may not write to"),
        ({"dataset_ids": ids(1), "destination_uri": "file:///etc"}, "may not write to"),
    ],
)
def test_a_run_config_that_cannot_be_meant_is_refused(place: Path, conf: dict[str, Any], what: str) -> None:
    with pytest.raises(RequestError, match=what):
        Run().go(conf)
    assert there(place) == {1, 2, 3}


def test_a_rule_may_not_name_a_place_that_is_not_allowed(place: Path) -> None:
    with pytest.raises(RequestError, match="may not write to"):
        Run(RetentionRules([Rule(TYPE, "s3://somebody-elses-bucket/x", keep_newest=1)], dry_run=False)).go()


def test_neither_rules_nor_ids_is_refused_and_says_what_to_do(place: Path) -> None:
    with pytest.raises(RequestError, match=r"retention\.yaml\.example"):
        Run(None).go()
    with pytest.raises(RequestError, match="line 3 is wrong"):
        Run(None, ("line 3 is wrong",)).go()


@pytest.mark.parametrize("found", [True, False])
@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("named", [True, False])
def test_ids_without_usable_rules_are_removed_and_the_run_says_where_nobody_looked(
    place: Path, found: bool, dry_run: bool, named: bool
) -> None:
    run = Run(None, ("line 3 is wrong",))
    conf = {"dataset_ids": ids(1 if found else 99), "dry_run": dry_run}
    result = run.go({**conf, "destination_uri": place.as_uri()} if named else conf)
    assert there(place) == ({2, 3} if found and not dry_run else {1, 2, 3})
    said = [each for each in result["problems"] if "line 3 is wrong" in each and "destination_uri" in each]
    assert len(said) == (0 if named else 1)
    assert not [each for each in Run(None).go(conf)["problems"] if "file of rules" in each], "there is no file"


def test_a_destination_that_is_not_there_is_a_problem_and_never_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_LEARNOSITY_DESTINATION_URI", (tmp_path / "not-mounted").as_uri())
    with pytest.raises(StorageError, match="There is no file and no folder"):
        Run().go()
    assert not (tmp_path / "not-mounted").exists()


@pytest.mark.parametrize("bad", ["s3://somebody-elses-bucket/x", "s3://no_such_connection@bucket/x"])
def test_one_destination_that_cannot_be_used_keeps_no_other_one(
    place: Path, bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "@" in bad:
        monkeypatch.setenv("AIRFLOW_VAR_LEARNOSITY_ALLOWED_URIS", json.dumps([bad, place.as_uri()]))
    rules = [Rule(TYPE, bad, keep_newest=1), Rule(TYPE, keep_newest=1)]
    run = Run(RetentionRules(rules, dry_run=False))
    result = run.go()
    assert there(place) == {3}
    assert removed(run) == set(ids(1, 2))
    assert len(result["problems"]) == 1
    by_ids = Run(RetentionRules(rules, dry_run=False)).go({"dataset_ids": ids(3)})
    assert any("latest.json names it" in each for each in by_ids["problems"])


def test_a_worker_that_is_killed_loses_no_event(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, real = Run(), ObstoreStore.discard_unfinished

    async def dies(*_: Any) -> int:
        raise Killed

    monkeypatch.setattr(ObstoreStore, "discard_unfinished", dies)
    with pytest.raises(Killed):
        run.go()
    assert there(place) == {1, 2, 3}  # of dataset 1, only the mark of its removal is left
    assert not (place / layout_of(1).manifest).exists()
    monkeypatch.setattr(ObstoreStore, "discard_unfinished", real)
    run.go()
    assert there(place) == {3}
    assert removed(run) == set(ids(1, 2))


def test_a_worker_that_is_killed_between_the_removal_and_its_note_loses_no_event(place: Path) -> None:
    run = Run()
    run.go()
    entry = run.state.values[KEY]["removed"].pop()
    run.state.values[KEY]["begun"] = entry
    run.go()
    assert removed(run) == set(ids(1, 2))


@pytest.fixture(params=[*SECOND_LOOKS])
def kept_at_the_second_look(
    request: pytest.FixtureRequest, place: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    """After its mark is written, the first dataset has to stay. Undo the patch, and it may go again."""
    real, one = read_dataset, ids(1)[0]
    found, newest, mark = SECOND_LOOKS[request.param]

    async def second_look(store: Any, layout: Any) -> Found:
        there = await real(store, layout)
        return replace(there, **found) if layout.dataset_id == one else there

    async def second_latest(store: Any, dataset_type: str) -> Latest:
        return newest or await latest(store, dataset_type)

    if mark:
        (place / layout_of(1).removal_prefix).mkdir(parents=True)
        (place / layout_of(1).removal_prefix / "another-run").write_bytes(b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(removing, "read_dataset", second_look)
        patch.setattr(removing, "latest", second_latest)
        yield patch


@pytest.mark.parametrize("conf", [None, {"dataset_ids": ids(1), "dry_run": False}], ids=["rules", "ids"])
def test_a_removal_that_is_given_up_is_not_counted_when_somebody_else_removes_the_dataset(
    place: Path, conf: Any, kept_at_the_second_look: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(RetentionRules([Rule(TYPE, keep_newest=2)], dry_run=False))
    result = run.go(conf)
    assert there(place) == {1, 2, 3}
    assert (result["removed"], len(result["problems"])) == (0, 1)
    assert run.state.values[KEY]["begun"] == []
    shutil.rmtree(place / layout_of(1).prefix)
    with monkeypatch.context() as patch:
        patch.setattr(retention_operator, "_opened", lambda uri: throw(TransientStorageError("away")))
        with pytest.raises(TransientStorageError, match="^away"):
            run.go(conf, max_tries=0)
    run.go()
    assert removed(run) == set()


def test_a_removal_that_an_earlier_try_has_cut_off_stays_noted_while_the_rest_cannot_be_judged(place: Path) -> None:
    run = Run(RetentionRules([Rule(TYPE, keep_newest=2)], dry_run=False))
    whole = {"destination_uri": place.as_uri(), "dataset_type": TYPE, "dataset_id": ids(1)[0], "why": "superseded"}
    run.state.values[KEY] = {"removed": [], "begun": [whole | {"files": 3, "published_at": "2026", "connection": ""}]}
    (place / layout_of(1).manifest).unlink()
    mark = place / layout_of(1).removal_prefix / sha256_hex(b"learnosity_retention/r")[:16]
    mark.parent.mkdir(parents=True)
    mark.write_bytes(b"")

    async def unread(*_: object) -> Latest:
        return Latest(problem="403")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(removing, "latest", unread)
        assert run.go()["problems"]
    assert there(place) == {1, 2, 3}
    run.go()
    assert there(place) == {2, 3}
    assert run.event is not None
    assert [(each["dataset_id"], each["published_at"]) for each in run.event["removed"]] == [(ids(1)[0], "2026")]


@pytest.mark.parametrize("last", [False, True])
def test_a_store_that_fails_for_now_is_tried_again_and_the_last_try_tells_what_was_removed(
    place: Path, monkeypatch: pytest.MonkeyPatch, last: bool
) -> None:
    real, failing = read_dataset, ids(2)[0]

    async def failing_read(store: Any, layout: Any) -> Any:
        if layout.dataset_id == failing:
            raise TransientStorageError("503 for now")
        return await real(store, layout)

    monkeypatch.setattr(removing, "read_dataset", failing_read)
    run = Run()
    if last:
        result = run.go(max_tries=0)
        assert "503 for now" in result["problems"][0]
        assert removed(run) == set(ids(1))
    else:
        with pytest.raises(TransientStorageError, match="503 for now"):
            run.go()
        monkeypatch.setattr(removing, "read_dataset", real)
        run.go()
        assert there(place) == {3}
        assert removed(run) == set(ids(1, 2))


def test_a_refusal_of_one_dataset_keeps_no_other_one(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = read_dataset

    async def failing_read(store: Any, layout: Any) -> Any:
        if layout.dataset_id == ids(1)[0]:
            raise StorageError("403 for good")
        return await real(store, layout)

    monkeypatch.setattr(removing, "read_dataset", failing_read)
    result = Run().go()
    assert there(place) == {1, 3}
    assert "403 for good" in result["problems"][0]


@pytest.mark.parametrize("conf", [{}, {"dataset_ids": ids(1)}])
@pytest.mark.parametrize("error", [StorageError("403"), TransientStorageError("503")])
def test_a_removal_whose_unfinished_uploads_stay_is_never_a_plain_success(
    place: Path, monkeypatch: pytest.MonkeyPatch, conf: dict[str, Any], error: LearnosityError
) -> None:
    run, failing = Run(), [layout_of(1).prefix]
    left = place / f"{layout_of(1).data_prefix}/large.csv#1"
    left.write_text("half")
    real = ObstoreStore.discard_unfinished

    async def fails(self: Any, prefix: str, is_own: Any) -> int:
        if prefix in failing:
            raise error
        return await real(self, prefix, is_own)

    monkeypatch.setattr(ObstoreStore, "discard_unfinished", fails)
    if not error.transient:
        result = run.go(conf)
        assert ids(1)[0] in removed(run), "its objects are gone"
        assert [each for each in result["problems"] if "docs/security.md" in each and ids(1)[0] in each]
        return
    with pytest.raises(TransientStorageError, match="503"):
        run.go(conf)
    assert ids(1)[0] not in removed(run)
    assert left.exists()
    failing.clear()
    assert run.go(conf)["problems"] == []
    assert ids(1)[0] in removed(run)
    assert not left.exists()


@pytest.mark.parametrize("conf", [{}, {"dataset_ids": ids(1, 2)}])
def test_a_store_that_always_fails_to_list_uploads_is_asked_once_a_try_and_the_last_try_ends_the_removal(
    place: Path, monkeypatch: pytest.MonkeyPatch, conf: dict[str, Any]
) -> None:
    run, asked = Run(), [0]

    async def fails(self: Any, prefix: str, is_own: Any) -> int:
        asked[0] += 1
        raise TransientStorageError("500 for uploads")

    monkeypatch.setattr(ObstoreStore, "discard_unfinished", fails)
    for tries in (1, 2):
        with pytest.raises(TransientStorageError, match="500 for uploads"):
            run.go(conf)
        assert (asked, removed(run)) == ([tries], set()), "each further request would fail after half a minute"
    result = run.go(conf, max_tries=0)
    assert asked == [3]
    assert removed(run) == set(ids(1, 2))
    problems = [each for each in result["problems"] if "parts of its files may be left" in each]
    assert [dataset_id in " ".join(problems) for dataset_id in ids(1, 2)] == [True, True]
    assert there(place) == {3}, "no mark is left, so no later run begins again"


@pytest.mark.parametrize("error", [StorageError("403"), TransientStorageError("503")])
def test_the_clean_up_of_what_stays_goes_on_in_the_next_try_if_the_store_fails_for_now(
    place: Path, monkeypatch: pytest.MonkeyPatch, error: LearnosityError
) -> None:
    run, asked, failing = Run(RetentionRules([Rule(TYPE, keep_newest=5)], dry_run=False)), [0], [True]
    real = ObstoreStore.discard_unfinished

    async def fails(self: Any, prefix: str, is_own: Any) -> int:
        asked[0] += 1
        if failing:
            raise error
        return await real(self, prefix, is_own)

    monkeypatch.setattr(ObstoreStore, "discard_unfinished", fails)
    if error.transient:
        with pytest.raises(TransientStorageError, match="503"):
            run.go()
    else:
        assert run.go()["problems"] == []
    assert asked == [1], "each further request would fail in the same way"
    failing.clear()
    run.go()
    assert asked == [4]


@pytest.mark.parametrize("most", [1, 2, 3])
@pytest.mark.parametrize("dry_run", [True, False])
def test_ids_that_are_too_many_for_one_run_are_named_as_problems(
    place: Path, monkeypatch: pytest.MonkeyPatch, most: int, dry_run: bool
) -> None:
    monkeypatch.setattr(sweeping, "MOST_DATASETS", most)
    (place / layout_of(3).latest).unlink()
    run = Run(None)
    result = run.go({"dataset_ids": ids(1, 2, 3), "dry_run": dry_run})
    assert (result["would_remove" if dry_run else "removed"], result["later"]) == (most, 0)
    assert len(there(place)) == (3 if dry_run else 3 - most)
    left = zip(ids(*range(most + 1, 4)), result["problems"], strict=True)
    assert all(dataset_id in problem for dataset_id, problem in left)
    assert all(f"at most {most} datasets go in a run" in problem for problem in result["problems"])


@pytest.mark.parametrize("conf", [{}, {"dataset_ids": ids(1, 2, 3)}])
def test_a_run_removes_no_more_datasets_with_several_tries_than_with_one(
    place: Path, monkeypatch: pytest.MonkeyPatch, conf: dict[str, Any]
) -> None:
    monkeypatch.setattr(sweeping, "MOST_DATASETS", 1)
    run, failing = Run(), [True]
    real = types

    async def fails(store: Any) -> Any:
        if failing and run.state.values:
            raise TransientStorageError("503")
        return await real(store)

    monkeypatch.setattr(sweeping, "types", fails)
    run.go(conf)
    for _ in range(2):
        with pytest.raises(TransientStorageError):
            run.go(conf)
    failing.clear()
    run.go(conf)
    assert there(place) == {2, 3}
    assert removed(run) == set(ids(1))


def test_a_report_with_many_problems_says_that_there_are_more(place: Path) -> None:
    result = Run(None).go({"dataset_ids": [layout_of(number).dataset_id for number in range(100, 130)]})
    assert len(result["problems"]) == 21
    assert result["problems"][-1] == "and 10 more, which are in the log of remove_datasets"


@pytest.mark.parametrize("error", [Killed(), TransientStorageError("503")])
@pytest.mark.parametrize("call", range(1, 6))
@pytest.mark.parametrize("conf", [{}, {"dataset_ids": ids(1)}])
@pytest.mark.parametrize("published", [True, False])
def test_after_a_cut_the_event_has_the_figures_of_the_whole_dataset(
    place: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, call: int, conf: dict[str, Any], published: bool
) -> None:
    """Whichever deletion of the removal fails, and whether before or after it has removed something."""
    if not published:
        (place / layout_of(1).manifest).unlink()
        for path in (place / layout_of(1).prefix).rglob("*"):
            os.utime(path, (1_000_000_000, 1_000_000_000))
        if conf:
            work = place / layout_of(1).work_prefix("run", "plan") / "plan-0000.ndjson"
            work.parent.mkdir(parents=True)
            work.touch()
            os.utime(work, (1_000_000_000, 1_000_000_000))
    spare = place.with_name("spare")
    shutil.copytree(place, spare)
    whole = Run()
    whole.go(conf)
    assert whole.event is not None
    expected = [each for each in whole.event["removed"] if each["dataset_id"] == ids(1)[0]]
    shutil.rmtree(place)
    shutil.copytree(spare, place)
    calls, real, discard = [0], ObstoreStore.delete, ObstoreStore.discard_unfinished

    async def cut_delete(self: Any, paths: Any) -> None:
        calls[0] += 1
        if calls[0] == call:
            await real(self, list(paths)[:1])
            raise error
        await real(self, paths)

    async def cut_discard(self: Any, prefix: str, is_own: Any) -> int:
        calls[0] += 1
        if calls[0] == call:
            raise error
        return await discard(self, prefix, is_own)

    monkeypatch.setattr(ObstoreStore, "delete", cut_delete)
    monkeypatch.setattr(ObstoreStore, "discard_unfinished", cut_discard)
    run = Run()
    with contextlib.suppress(Killed, TransientStorageError):
        run.go(conf)
    run.go(conf)
    assert run.event is not None
    assert [each for each in run.event["removed"] if each["dataset_id"] == ids(1)[0]] == expected


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> dict[str, MemoryStore]:
    """Two servers, through the connections `prod` and `eu`: buckets of one name, with the same three datasets."""
    stores = {}
    for connection in ("prod", "eu"):
        stores[connection] = store = MemoryStore("s3://landing/datasets")
        for number in (1, 2, 3):
            publish(store, layout_of(number), 10 - number)
        store.objects[layout_of(3).latest] = store.objects[layout_of(3).manifest]
    monkeypatch.setenv("AIRFLOW_VAR_LEARNOSITY_DESTINATION_URI", "s3://prod@landing/datasets")
    monkeypatch.setenv("AIRFLOW_VAR_LEARNOSITY_ALLOWED_URIS", '["s3://prod@landing/", "s3://eu@landing/"]')
    monkeypatch.setattr(retention_operator, "_opened", lambda uri: stores[parse_uri(uri).conn_id or ""])
    return stores


BOTH = RetentionRules([Rule(TYPE, keep_newest=1), Rule("other", "s3://eu@landing/datasets", keep_newest=1)])


def on(store: MemoryStore) -> set[int]:
    return {number for number in (1, 2, 3) if any(path.startswith(layout_of(number).prefix) for path in store.objects)}


def places(run: Run) -> list[tuple[str, str]]:
    assert run.event
    return sorted((each["connection"], each["dataset_id"]) for each in run.event["removed"])


def test_ids_are_looked_for_at_both_of_two_servers_with_a_bucket_of_one_name(servers: dict[str, MemoryStore]) -> None:
    run = Run(BOTH)
    result = run.go({"dataset_ids": ids(1), "dry_run": False})
    assert (on(servers["prod"]), on(servers["eu"])) == ({2, 3}, {2, 3})
    assert (result["removed"], result["problems"]) == (2, [])
    assert places(run) == [("eu", ids(1)[0]), ("prod", ids(1)[0])]


def test_two_connections_of_one_server_are_two_places(
    servers: dict[str, MemoryStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = retention_operator._opened
    monkeypatch.setattr(retention_operator, "_opened", lambda uri: real("s3://prod@landing/datasets"))
    assert Run(BOTH).go({"dataset_ids": ids(1), "dry_run": True})["would_remove"] == 2
    one = {"dataset_ids": ids(1), "dry_run": True, "destination_uri": "s3://prod@landing/datasets"}
    assert Run(BOTH).go(one)["would_remove"] == 1

    def refuses(uri: str) -> Any:
        if "eu@" in uri:
            raise StorageError("no rights")
        return real(uri)

    monkeypatch.setattr(retention_operator, "_opened", refuses)
    assert any("no rights" in each for each in Run(BOTH).go({"dataset_ids": ids(1), "dry_run": True})["problems"])
    assert Run(BOTH).go(one)["problems"] == []


def test_a_server_that_is_away_is_not_another_one_with_a_bucket_of_that_name(
    servers: dict[str, MemoryStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, real = Run(BOTH), retention_operator._opened

    def fails(uri: str) -> Any:
        if "eu@" in uri:
            raise TransientStorageError("away")
        return real(uri)

    monkeypatch.setattr(retention_operator, "_opened", fails)
    with pytest.raises(TransientStorageError, match="away"):
        run.go({"dataset_ids": ids(1), "dry_run": False})
    assert (on(servers["prod"]), on(servers["eu"])) == ({2, 3}, {1, 2, 3})
    monkeypatch.setattr(retention_operator, "_opened", real)
    assert run.go({"dataset_ids": ids(1), "dry_run": False})["problems"] == []
    assert (on(servers["prod"]), on(servers["eu"])) == ({2, 3}, {2, 3})
    assert len(places(run)) == 2


@pytest.mark.parametrize("noted", ["prod", "eu", None])
@pytest.mark.parametrize("gone", [("prod",), ("eu",), ("prod", "eu")])
def test_a_removal_that_was_cut_off_has_ended_only_if_its_own_server_has_nothing_of_it(
    servers: dict[str, MemoryStore], noted: str | None, gone: tuple[str, ...]
) -> None:
    """Of a note of an earlier release, which does not tell the connection, only if no server has."""
    for name in gone:
        for path in [path for path in servers[name].objects if path.startswith(layout_of(1).prefix)]:
            del servers[name].objects[path]
    run = Run(BOTH)
    begun = {"destination_uri": "s3://landing/datasets", "dataset_type": TYPE, "dataset_id": ids(1)[0], "why": "old"}
    run.state.values[KEY] = {"removed": [], "begun": [begun if noted is None else begun | {"connection": noted}]}
    run.go({"dataset_ids": ids(2), "dry_run": False})
    ended = set(gone) == {"prod", "eu"} if noted is None else noted in gone
    assert (ids(1)[0] in removed(run)) == ended
    assert bool(run.state.values[KEY]["begun"]) == (not ended)


@pytest.mark.parametrize("noted", ["prod", "eu", None])
@pytest.mark.parametrize("away", ["prod", "eu"])
def test_a_removal_that_was_cut_off_is_open_while_a_server_that_may_have_it_is_away(
    servers: dict[str, MemoryStore], noted: str | None, away: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for store in servers.values():
        for path in [path for path in store.objects if path.startswith(layout_of(1).prefix)]:
            del store.objects[path]
    real = retention_operator._opened

    def fails(uri: str) -> Any:
        if f"{away}@" in uri:
            raise TransientStorageError("away")
        return real(uri)

    monkeypatch.setattr(retention_operator, "_opened", fails)
    run = Run(BOTH)
    begun = {"destination_uri": "s3://landing/datasets", "dataset_type": TYPE, "dataset_id": ids(1)[0], "why": "old"}
    run.state.values[KEY] = {"removed": [], "begun": [begun if noted is None else begun | {"connection": noted}]}
    result = run.go({"dataset_ids": ids(2), "dry_run": False}, max_tries=0)
    is_known = noted not in (None, away)
    assert (ids(1)[0] in removed(run)) == is_known
    assert bool(run.state.values[KEY]["begun"]) == (not is_known)
    assert any("not known whether that has ended" in each for each in result["problems"]) == (not is_known)


def test_one_server_that_cannot_list_uploads_does_not_count_as_the_other_one(
    servers: dict[str, MemoryStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(prefix: str, is_own: Any) -> int:
        raise TransientStorageError("503")

    monkeypatch.setattr(servers["prod"], "discard_unfinished", fails)
    result = Run(BOTH).go({"dataset_ids": ids(1), "dry_run": False}, max_tries=0)
    assert [each.partition("/datasets/")[0] for each in result["problems"]] == ["s3://prod@landing"]


def test_one_destination_that_is_named_twice_is_looked_through_once(servers: dict[str, MemoryStore]) -> None:
    rules = RetentionRules([Rule(TYPE, keep_newest=1), Rule("other", "s3://prod@landing/datasets/", keep_newest=1)])
    result = Run(rules).go({"dataset_ids": ids(1), "dry_run": True})
    assert result["would_remove"] == 1
