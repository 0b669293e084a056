"""What runs after a publication finds the dataset by its event, wherever it landed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse
from hypothesis import given
from hypothesis import strategies as st

from learnosity.asset_events import DatasetEvent, announced, destination_of, for_each_announced, open_announced
from learnosity.errors import IncompleteDatasetError, PermanentError, StorageError, TransientError
from tests.unit.dataset.test_event_extra import EXTRAS
from tests.unit.dataset.test_parquet import LAYOUT, group, published


@dataclass(frozen=True)
class Publish:
    """A publishing task."""

    returned: Any

    def xcom_pull(self) -> Any:
        return self.returned


@dataclass(frozen=True)
class Event:
    """A triggering asset event."""

    extra: Any
    source_task_instance: Any = None


def event_of(folder: Path, source: Publish | None = None) -> Event:
    return Event(
        {
            "dataset_id": LAYOUT.dataset_id,
            "dataset_type": LAYOUT.dataset_type,
            "manifest_uri": f"{folder.as_uri()}/{LAYOUT.manifest}",
        },
        source,
    )


@pytest.fixture
async def landed(tmp_path: Path) -> Path:
    """A destination with one dataset."""
    folder = tmp_path / "landed"
    await published(folder, {"groups/group.json": group("all", ["north"], [])})
    return folder


async def test_a_dataset_is_read_where_the_run_landed_it(landed: Path, tmp_path: Path) -> None:
    event = event_of(landed, Publish({"destination_uri": landed.as_uri()}))
    dataset = await open_announced(event, (tmp_path / "default").as_uri())
    assert list(dataset.files) == ["groups/group.json"]


@pytest.mark.parametrize("source", [None, Publish(None), Publish("something else")])
async def test_an_event_made_by_hand_is_looked_for_at_the_default(landed: Path, source: Publish | None) -> None:
    dataset = await open_announced(event_of(landed, source), landed.as_uri())
    assert dataset.manifest.dataset_id == LAYOUT.dataset_id


async def test_nothing_outside_of_the_destination_is_read(landed: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not lie at"):
        await open_announced(event_of(landed), (tmp_path / "default").as_uri())


def test_a_dataset_is_announced_once_however_often_its_event_comes(tmp_path: Path) -> None:
    one, again, other = event_of(tmp_path), event_of(tmp_path, Publish(None)), event_of(tmp_path / "other")
    assert announced({"asset": [one, other, again], "another asset": [one, other, again]}) == [again, other]


def test_an_event_by_hand_does_not_hide_the_one_that_knows_the_destination(tmp_path: Path) -> None:
    real, by_hand = event_of(tmp_path, Publish({"destination_uri": "s3://conn@bucket/x"})), event_of(tmp_path)
    assert announced({"asset": [real, by_hand]}) == [real]


def at(folder: Path, *destinations: str) -> list[Event]:
    """Events of tasks for one manifest URI, each with the destination that its task returned."""
    return [event_of(folder, Publish({"destination_uri": uri} if uri else None)) for uri in destinations]


@pytest.mark.parametrize(
    ("destinations", "kept"),
    [
        # Two connections, so perhaps two servers, each with a bucket of this name: two datasets under one URI.
        (("s3://here@bucket/x", "s3://there@bucket/x"), (0, 1)),
        (("s3://here@bucket/x", "s3://there@bucket/x", "s3://here@bucket/x/"), (2, 1)),
        (("s3://here@bucket/x", "s3://bucket/x"), (0, 1)),
        # One connection: the last event is kept, however its destination is written.
        (("s3://here@bucket/x", "s3://here@bucket/x"), (1,)),
        (("s3://here@bucket/x", "S3://here@bucket/x/"), (1,)),
        # "": the run was deleted, so its destination is not known. Its event is kept only if no destination is known.
        (("", "s3://here@bucket/x", ""), (1,)),
        (("", ""), (1,)),
        # A destination that is no valid URI counts as a connection of its own.
        (("no uri", "s3://here@bucket/x"), (0, 1)),
    ],
)
@pytest.mark.parametrize("by_hand", [0, 1, 2])
def test_one_uri_at_two_servers_is_two_datasets(
    tmp_path: Path, destinations: tuple[str, ...], kept: tuple[int, ...], by_hand: int
) -> None:
    events = at(tmp_path, *destinations)
    for place in range(len(events) + 1):
        mixed = [*events[:place], *[event_of(tmp_path)] * by_hand, *events[place:]]
        assert [id(each) for each in announced({"asset": mixed})] == [id(events[number]) for number in kept]


def test_of_events_by_hand_the_last_one_counts(tmp_path: Path) -> None:
    several = [event_of(tmp_path) for _ in range(3)]
    assert [id(each) for each in announced({"asset": several[:2], "another": several[2:]})] == [id(several[2])]


def test_the_destination_is_asked_for_only_where_it_decides(tmp_path: Path) -> None:
    silent = Unanswered(event_of(tmp_path).extra, 500)
    assert announced({"asset": [silent, event_of(tmp_path / "other")]})[0] is silent


def test_a_run_without_events_announces_nothing() -> None:
    assert announced({}) == []


def test_an_event_that_names_no_dataset_is_reported_and_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    real = event_of(tmp_path)
    assert announced({Asset("learnosity_x"): [Event({"from_rest_api": True}), real, Event(None)]}) == [real]
    (first, second) = caplog.messages
    assert "Event of learnosity_x: dataset_type is missing, dataset_id is missing, manifest_uri is missing." in first
    assert "must carry dataset_type, dataset_id, manifest_uri" in first
    assert "its extra is not a JSON object" in second


def test_where_none_names_a_dataset_one_error_says_what_an_event_must_carry() -> None:
    with pytest.raises(PermanentError) as caught:
        announced({"asset": [Event({}), Event([])]})
    assert "must carry dataset_type, dataset_id, manifest_uri" in str(caught.value)
    assert str(caught.value).count("Event of asset") == 2


@given(st.lists(EXTRAS, max_size=4), st.integers(0, 4))
def test_no_extra_takes_the_publication_beside_it_along(extras: list[Any], place: int) -> None:
    real = event_of(Path("/somewhere"), Publish(None))
    events = [Event(extra) for extra in extras]
    events.insert(place, real)
    assert real in announced({"asset": events})


class Unanswered:
    """An event of which Airflow cannot say who emitted it."""

    def __init__(self, extra: Mapping[str, Any], status: int) -> None:
        self.extra = extra
        self._error = ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": status})

    @property
    def source_task_instance(self) -> Any:
        raise AirflowRuntimeError(self._error)

    def xcom_pull(self) -> Any:
        raise AirflowRuntimeError(self._error)


@pytest.mark.parametrize("asked", ["run", "xcom"])
async def test_an_answer_that_did_not_come_is_not_taken_for_an_event_by_hand(
    landed: Path, asked: Literal["run", "xcom"]
) -> None:
    extra = event_of(landed).extra
    silent = Unanswered(extra, 500)
    with pytest.raises(TransientError, match="did not say which task"):
        await open_announced(silent if asked == "run" else Event(extra, silent), landed.as_uri())


class Unreadable:
    """A publishing task whose XCom is in object storage, which does not answer."""

    def xcom_pull(self) -> Any:
        raise ConnectionResetError("s3://bucket/xcom")


async def test_an_xcom_that_cannot_be_read_now_is_read_at_the_next_try(landed: Path) -> None:
    with pytest.raises(TransientError, match="ConnectionResetError"):
        await open_announced(Event(event_of(landed).extra, Unreadable()), landed.as_uri())


def unread(folder: Path, how: str) -> DatasetEvent:
    """An event of a task, of which it cannot be read now where the task published."""
    extra = event_of(folder).extra
    if how == "run":
        return Unanswered(extra, 500)
    return Event(extra, Unreadable() if how == "store" else Unanswered(extra, 500))


@pytest.mark.parametrize("how", ["run", "xcom", "store"])
@pytest.mark.parametrize(
    ("events", "worked", "failed"),
    [
        # Events of one dataset, the newest last. `x` cannot be read. The others can: `k` says where it landed, `?` does
        # not, and `h` was made by hand. A newer event by a task (`k`, `?`) takes the place of `x`.
        ("xk", "k", 0),
        ("xxk", "k", 0),
        ("kxk", "k", 0),
        ("x?", "?", 0),
        ("xh", "", 1),
        # The newest event cannot be read. So its own work fails, and that of no other event.
        ("kx", "k", 1),
        ("?x", "", 1),
        ("kxx", "k", 1),
        ("xx", "", 1),
        ("hx", "", 1),
        ("x", "", 1),
    ],
)
async def test_an_event_that_cannot_be_read_stops_no_other(
    tmp_path: Path, how: str, events: str, worked: str, failed: int
) -> None:
    known, unknown = at(tmp_path, "s3://here@bucket/x", "")
    by_hand, other = event_of(tmp_path), event_of(tmp_path / "other")
    made = {"k": known, "?": unknown, "h": by_hand}
    several = [made.get(each) or unread(tmp_path, how) for each in events]
    done: list[DatasetEvent] = []
    tried = 0

    async def work(event: DatasetEvent) -> None:
        nonlocal tried
        tried += 1
        if event is not other:
            await destination_of(event, "s3://default/x")
        done.append(event)

    if failed:
        with pytest.raises(TransientError):
            await for_each_announced({"asset": several, "another": [other]}, work)
    else:
        await for_each_announced({"asset": several, "another": [other]}, work)
    assert done == [*(made[each] for each in worked), other]
    assert tried == len(done) + failed


@pytest.mark.parametrize("asked", ["run", "xcom"])
async def test_the_event_of_a_run_that_was_deleted_is_looked_for_at_the_default(
    landed: Path, asked: Literal["run", "xcom"]
) -> None:
    extra = event_of(landed).extra
    gone = Unanswered(extra, 404)
    dataset = await open_announced(gone if asked == "run" else Event(extra, gone), landed.as_uri())
    assert dataset.manifest.dataset_id == LAYOUT.dataset_id


async def test_the_default_is_the_variable_as_it_is_when_the_task_runs(
    landed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_LEARNOSITY_DESTINATION_URI", landed.as_uri())
    assert (await open_announced(event_of(landed))).manifest.dataset_id == LAYOUT.dataset_id


async def test_one_dataset_that_cannot_be_done_leaves_the_others_and_fails_the_task(tmp_path: Path) -> None:
    events = [event_of(tmp_path / name, Publish(None)) for name in ("a", "gone", "away", "b")]
    done: list[str] = []

    async def work(event: DatasetEvent) -> str:
        name = str(event.extra["manifest_uri"]).removeprefix(f"{tmp_path.as_uri()}/").partition("/")[0]
        if name == "gone":
            raise IncompleteDatasetError("gone")
        if name == "away":
            raise TransientError("away")
        done.append(name)
        return name

    # The next try can help one of them, so Airflow has to try again.
    with pytest.raises(TransientError, match="away"):
        await for_each_announced({"asset": events}, work)
    assert done == ["a", "b"]
    with pytest.raises(IncompleteDatasetError):
        await for_each_announced({"asset": events[:2]}, work)
    assert await for_each_announced({"asset": [events[0], events[3]]}, work) == ["a", "b"]


async def test_an_error_in_the_code_of_a_consumer_ends_it_at_once(tmp_path: Path) -> None:
    async def work(event: DatasetEvent) -> None:
        raise KeyError("a mistake")

    with pytest.raises(KeyError):
        await for_each_announced({"asset": [event_of(tmp_path)]}, work)
