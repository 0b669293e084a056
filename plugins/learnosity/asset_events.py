"""For DAGs that run after a publication: opens the datasets that asset events announce.

An event has the manifest's URI without an Airflow connection. The XCom of the publishing task has the destination with
its connection. Anybody can create an event, so one that cannot be used must not stop the work on the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.lineage import get_hook_lineage_collector

from learnosity.connections import open_store
from learnosity.dataset.event_extra import NEEDED, AnnouncementError, read_announcement
from learnosity.dataset.published import PublishedDataset
from learnosity.destination import resolve_destination
from learnosity.errors import LearnosityError, PermanentError, StorageError, TransientError
from learnosity.storage.store import Store
from learnosity.storage.uris import parse_uri

log = logging.getLogger(__name__)

T = TypeVar("T")

SHOWN = 10  # an error message names at most this many events

HOW = (
    f"An event that is made by hand must carry {', '.join(NEEDED)} of a published dataset in its extra. The "
    "XCom of the task that published the dataset has these values."
)


class Source(Protocol):
    """The task that emitted an event."""

    def xcom_pull(self) -> Any:
        """The XCom that the task returned."""


class DatasetEvent(Protocol):
    """The attributes of a triggering asset event that this module uses."""

    @property
    def extra(self) -> Any:
        """The extra of the event (see `dataset.event_extra`). An event that was made by hand may have any extra."""

    @property
    def source_task_instance(self) -> Source | None:
        """The publishing task. None for an event that a person created by hand."""


def announced(events: Mapping[Any, Sequence[DatasetEvent]]) -> list[DatasetEvent]:
    """One event per dataset: the last event of a task, else the last event that was made by hand.

    A manifest's URI names no server. So events of tasks that published with different connections are events of
    different datasets, also where the URI is the same.

    An event that does not name a dataset is reported in a warning, and passed over.

    :param events: `triggering_asset_events` of the task's context.
    :returns: one event per dataset; no event if the run was started without events.
    :raises PermanentError: there are events, but none can be used. The run fails instead of being skipped: a skipped
        run looks like a success, and nobody would read the warning.
    """
    found: dict[str, list[DatasetEvent]] = {}
    unusable: list[str] = []
    for asset, several in events.items():
        for event in several:
            try:
                manifest_uri = read_announcement(event.extra).manifest_uri
            except AnnouncementError as error:
                unusable.append(f"{_named(asset, event)}: {error}")
                log.warning("Passed over an asset event that names no dataset. %s %s", unusable[-1], HOW)
                continue
            found.setdefault(manifest_uri, []).append(event)
    if unusable and not found:
        raise PermanentError("\n  ".join([f"No asset event of this run names a dataset. {HOW}", *unusable[:SHOWN]]))
    return [event for several in found.values() for event in _one_per_server(several)]


async def for_each_announced(
    events: Mapping[Any, Sequence[DatasetEvent]], work: Callable[[DatasetEvent], Awaitable[T]]
) -> list[T]:
    """Call `work` for each dataset that is announced. If one call fails, the others are made all the same.

    :param events: `triggering_asset_events` of the task's context.
    :param work: called with one event per dataset, one after the other; see `announced`.
    :returns: what `work` returned.
    :raises LearnosityError: the work failed for a dataset. A transient error is raised first, so that Airflow tries
        again; then the work is done again for all datasets.
    """
    done: list[T] = []
    errors: list[LearnosityError] = []
    for event in await asyncio.to_thread(announced, events):
        try:
            done.append(await work(event))
        except LearnosityError as error:
            log.error("%s", error)
            errors.append(error)
    if errors:
        raise min(errors, key=lambda error: not error.transient)
    return done


async def destination_of(event: DatasetEvent, elsewhere: str | None = None) -> str:
    """The destination where the announced dataset landed, with the Airflow connection in it.

    :param elsewhere: destination to use if no XCom of a task tells it: the event was created by hand, or the run or its
        XCom was deleted; None = the Airflow Variable.
    :raises PermanentError: no XCom tells it, and no destination is given.
    :raises TransientError: Airflow did not answer.
    """
    return await asyncio.to_thread(_published_to, event) or await resolve_destination(elsewhere)


async def open_announced(event: DatasetEvent, elsewhere: str | None = None) -> PublishedDataset:
    """Open the dataset that an event announces.

    :param elsewhere: see `destination_of`.
    :raises AnnouncementError: the event does not name a dataset.
    :raises IncompleteDatasetError: the dataset does not exist any more.
    :raises LearnosityError: the destination's Airflow connection cannot be used, or the store refuses.
    """
    said = read_announcement(event.extra)
    store = await asyncio.to_thread(open_store, await destination_of(event, elsewhere))
    return await PublishedDataset.open(store, said.manifest_uri, said.layout)


def tell_lineage(task: Any, dataset: PublishedDataset, target: Store) -> None:
    """Report to Airflow's lineage from which folder a dataset was read, and to which folder its rows were written."""
    collector = get_hook_lineage_collector()
    collector.add_input_asset(task, uri=f"{dataset.store.uri}/{dataset.layout.dataset_type}")
    collector.add_output_asset(task, uri=f"{target.uri}/{dataset.layout.dataset_type}")


def _named(asset: Any, event: DatasetEvent) -> str:
    """An event for a message: its asset and its time. The values in its extra are not shown."""
    name, when = getattr(asset, "name", asset), getattr(event, "timestamp", None)
    return f"Event of {name}{f' at {when}' if when else ''}"


def _one_per_server(several: Sequence[DatasetEvent]) -> Sequence[DatasetEvent]:
    """Of the events for one manifest URI, the last one of each connection that a task published it with.

    Airflow is asked only where there are several events. An event of which it gives no answer counts only if no newer
    one has an answer. Then the work on it asks again, and fails alone.
    """
    by_task = [event for event in several if _may_be_of_task(event)] if len(several) > 1 else []
    if len(by_task) < 2:
        return (by_task or several)[-1:]
    last: dict[str | None, DatasetEvent] = {}
    unanswered: list[DatasetEvent] = []
    for event in by_task:
        try:
            last[_connection(_published_to(event))] = event
            unanswered = []
        except TransientError as error:
            log.warning("Of an asset event it is not known where its dataset landed. %s", error)
            unanswered = [event]
    known = [event for connection, event in last.items() if connection is not None]
    return [*known, *unanswered] or by_task[-1:]


def _may_be_of_task(event: DatasetEvent) -> bool:
    try:
        return _source(event) is not None
    except TransientError:
        return True


def _connection(destination_uri: str | None) -> str | None:
    """The connection in a destination, "" for one without; None = the destination is not known."""
    try:
        return destination_uri and (parse_uri(destination_uri).conn_id or "")
    except StorageError:
        # The URI is not valid. An error here would stop the work on all events. So the URI itself is returned, as if it
        # were a connection: `_one_per_server` keeps its event beside the other events, and later only the work on its
        # event fails.
        return destination_uri


def _source(event: DatasetEvent) -> Source | None:
    """The task that emitted an event; None for an event that was made by hand, and when its run was deleted."""
    try:
        return event.source_task_instance
    except AirflowRuntimeError as error:
        _check_gone(error)
        return None


def _published_to(event: DatasetEvent) -> str | None:
    source = _source(event)
    try:
        returned = source.xcom_pull() if source else None
    except AirflowRuntimeError as error:
        _check_gone(error)
        return None
    except OSError as error:  # an XCom can be stored in object storage, and reading it there can fail
        raise TransientError(f"The XCom of the publishing task cannot be read: {type(error).__name__}.") from None
    found = returned.get("destination_uri") if isinstance(returned, Mapping) else None
    return found if isinstance(found, str) else None


def _check_gone(error: AirflowRuntimeError) -> None:
    """Accept Airflow's answer that there is no such run.

    :raises TransientError: Airflow gave no answer.
    """
    if (error.error.detail or {}).get("status_code") != 404:
        raise TransientError(f"Airflow did not say which task published a dataset: {error}") from None
