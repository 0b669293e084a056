"""Writes a note on the run that published a dataset: its id, what landed and where. The list of runs shows notes.

A task cannot write a note through the Task SDK. So this listener writes the note, in the API server, when the asset
event of the publishing task is registered. A note that a user wrote is not changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

from learnosity.api.dataset_request import ASSET_PREFIX
from learnosity.progress import size

if TYPE_CHECKING:
    from airflow.listeners.types import AssetEvent

# Saved as the user id of a note. When a run publishes again, only a note with this author is replaced.
AUTHOR = "learnosity-plugin"
MAX_NOTE_CHARS = 1000  # the limit of Airflow's database for a note


@hookimpl
def on_asset_event_emitted(asset_event: AssetEvent) -> None:
    """Write the note if the event is about a dataset that a run has published."""
    if not asset_event.asset.uri.startswith(ASSET_PREFIX) or asset_event.source_run_id is None:
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
        written, text = run.dag_run_note, note_text(asset_event.extra)
        if written is None:
            run.note = (text, AUTHOR)
        elif written.user_id == AUTHOR:
            written.content = text


def note_text(published: Mapping[str, Any]) -> str:
    """The note about a published dataset.

    :param published: the extra of its asset event.
    """
    landed = f"published {published['file_count']:,} files, {size(published['total_bytes'])}"
    folder = str(published["manifest_uri"]).removesuffix("/manifest.json")
    return f"dataset {published['dataset_id']} · {landed} · {folder}"[:MAX_NOTE_CHARS]
