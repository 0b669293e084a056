"""For DAGs that run after a publication: opens the datasets that asset events announce.

An event has the manifest's URI, but no Airflow connection. The XCom of the publishing task has the destination with it.
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
        """The XCom that the task returned."""


class Announcement(Protocol):
    """The attributes of a triggering asset event that this module uses."""

    @property
    def extra(self) -> Mapping[str, Any]:
        """`dataset_id`, `dataset_type`, `manifest_uri`, `file_count` and `total_bytes` of the published dataset."""

    @property
    def source_task_instance(self) -> Source | None:
        """The publishing task. None for an event that a person created by hand."""


def announced(events: Mapping[Any, Sequence[Announcement]]) -> list[Announcement]:
    """The last event of each dataset. A dataset may have several: for its asset, its alias and each landing.

    :param events: `triggering_asset_events` of the task's context.
    :returns: one event per dataset.
    """
    by_manifest = {event.extra["manifest_uri"]: event for several in events.values() for event in several}
    return list(by_manifest.values())


async def open_announced(event: Announcement, elsewhere: str) -> PublishedDataset:
    """Open the dataset that an event announces.

    :param elsewhere: destination to use for an event that was created by hand.
    :raises IncompleteDatasetError: the dataset does not exist any more.
    :raises LearnosityError: the destination's Airflow connection cannot be used, or the store refuses.
    """
    layout = DatasetLayout(str(event.extra["dataset_type"]), str(event.extra["dataset_id"]))
    destination = await asyncio.to_thread(_destination, event)
    store = await asyncio.to_thread(open_store, destination or elsewhere)
    return await PublishedDataset.open(store, str(event.extra["manifest_uri"]), layout)


def tell_lineage(task: Any, dataset: PublishedDataset, target: Store) -> None:
    """Report to Airflow's lineage from which folder a dataset was read, and to which folder its rows were written."""
    collector = get_hook_lineage_collector()
    collector.add_input_asset(task, uri=f"{dataset.store.uri}/{dataset.layout.dataset_type}")
    collector.add_output_asset(task, uri=f"{target.uri}/{dataset.layout.dataset_type}")


def _destination(event: Announcement) -> str | None:
    source = event.source_task_instance
    returned = source.xcom_pull() if source else None
    found = returned.get("destination_uri") if isinstance(returned, Mapping) else None
    return found if isinstance(found, str) else None
