"""Writes a note on the run that published a dataset: its id, what landed and where. The list of runs shows notes.

A task cannot write a note through the Task SDK. So this listener writes the note, in the API server, when the asset
event of the publishing task is registered. A note that a user wrote is not changed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

from learnosity.api.dataset_request import ASSET_PREFIX
from learnosity.dataset.announcement import AnnouncementError, read_announcement
from learnosity.progress import size

if TYPE_CHECKING:
    from airflow.listeners.types import AssetEvent

log = logging.getLogger(__name__)

# Saved as the user id of a note. When a run publishes again, only a note with this author is replaced.
AUTHOR = "learnosity-plugin"
MAX_NOTE_CHARS = 1000  # the limit of Airflow's database for a note


@hookimpl
def on_asset_event_emitted(asset_event: AssetEvent) -> None:
    """Write the note if the event is about a dataset that a run has published."""
    if not asset_event.asset.uri.startswith(ASSET_PREFIX) or asset_event.source_run_id is None:
        return
    try:
        text = note_text(asset_event.extra)
    except AnnouncementError as error:
        # Any task may emit an event of this asset. An event that names no dataset changes nothing.
        log.warning(
            "No note on run %s of %s, whose asset event names no dataset: %s",
            asset_event.source_run_id,
            asset_event.source_dag_id,
            error,
        )
        return
    # Imported only here: workers load this module too, and must not use the database.
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        run = session.scalar(
            select(DagRun).where(DagRun.dag_id == asset_event.source_dag_id, DagRun.run_id == asset_event.source_run_id)
        )
        if run is None:
            return
        written = run.dag_run_note
        if written is None:
            run.note = (text, AUTHOR)
        elif written.user_id == AUTHOR:
            written.content = text


def note_text(extra: Any) -> str:
    """The note about a published dataset.

    :param extra: the extra of its asset event.
    :raises AnnouncementError: the extra does not name a dataset.
    """
    published = read_announcement(extra)
    parts = [f"dataset {published.layout.dataset_id}"]
    if published.file_count is not None and published.total_bytes is not None:
        parts.append(f"published {published.file_count:,} files, {size(published.total_bytes)}")
    parts.append(published.manifest_uri.removesuffix("/manifest.json"))
    parts += [f"Gap: {gap}" for gap in published.gaps]
    return " · ".join(parts)[:MAX_NOTE_CHARS]
