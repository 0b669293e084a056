"""For DAGs that run after a publication: from asset events to the datasets that they announce.

An event names the manifest, and never a connection. The run that published the dataset says through which connection
it is read; so a consumer needs to know no destination.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from airflow.sdk.lineage import get_hook_lineage_collector

from learnosity.connections import open_store
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.published import PublishedDataset
from learnosity.storage.store import Store


class Source(Protocol):
    """The task that emitted an event."""

    def xcom_pull(self) -> Any:
        """What it returned."""


class Announcement(Protocol):
    """As much of a triggering asset event as is needed here."""

    @property
    def extra(self) -> Mapping[str, Any]:
        """What it carries (design section 4.3)."""

    @property
    def source_task_instance(self) -> Source | None:
        """The publishing task; None for an event that somebody made by hand."""


def announced(events: Mapping[Any, Sequence[Announcement]]) -> list[Announcement]:
    """One event a dataset, the last: each stands under asset and alias, and a dataset can be landed again.

    :param events: `triggering_asset_events` of the task's context.
    """
    by_manifest = {event.extra["manifest_uri"]: event for several in events.values() for event in several}
    return list(by_manifest.values())


async def open_announced(event: Announcement, elsewhere: str) -> PublishedDataset:
    """The dataset that an event announces.

    :param elsewhere: destination of a dataset whose event was made by hand.
    :raises IncompleteDatasetError: when it is no longer there.
    :raises LearnosityError: when the destination's connection cannot be used, or the store refuses.
    """
    layout = DatasetLayout(str(event.extra["dataset_type"]), str(event.extra["dataset_id"]))
    destination = await asyncio.to_thread(_destination, event)
    store = await asyncio.to_thread(open_store, destination or elsewhere)
    return await PublishedDataset.open(store, str(event.extra["manifest_uri"]), layout)


def tell_lineage(task: Any, dataset: PublishedDataset, target: Store) -> None:
    """Tell Airflow's lineage which place was read, and where was written to, by the names that `lineage` uses."""
    collector = get_hook_lineage_collector()
    collector.add_input_asset(task, uri=f"{dataset.store.uri}/{dataset.layout.dataset_type}")
    collector.add_output_asset(task, uri=f"{target.uri}/{dataset.layout.dataset_type}")


def _destination(event: Announcement) -> str | None:
    source = event.source_task_instance
    returned = source.xcom_pull() if source else None
    found = returned.get("destination_uri") if isinstance(returned, Mapping) else None
    return found if isinstance(found, str) else None
