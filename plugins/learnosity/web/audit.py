"""Writes a row into Airflow's audit log before a page of a dataset is sent: who reads what.

The row outlives the dataset, and other people may read it. So it names no file and no group, whose names may be those
of pupils, but the line of the file in `files.ndjson` and its digest. While the dataset exists, they lead to the name.
"""

from __future__ import annotations

import json

from airflow.models.log import Log
from airflow.utils.session import create_session

from learnosity.dataset.manifest import FileEntry
from learnosity.dataset.page_threads import reading
from learnosity.dataset.published import PublishedDataset
from learnosity.web.open_dataset import Shown


async def note_reading(shown: Shown, event: str, entry: FileEntry | None = None) -> None:
    """Write the row. If that fails, the page fails, too: nobody reads without a row.

    :param event: name of the event, at most 60 characters.
    :param entry: the file that is read; None = the page shows no single file.
    """
    await reading(_write, shown, event, entry)


def _write(shown: Shown, event: str, entry: FileEntry | None) -> None:
    layout = shown.publication.layout
    extra: dict[str, object] = {"dataset_type": layout.dataset_type, "dataset_id": layout.dataset_id}
    if entry is not None:
        extra |= {"file_line": _line(shown.dataset, entry), "file_sha256": entry.sha256}
    with create_session() as session:
        session.add(
            Log(
                event=event,
                owner=shown.reader,
                owner_display_name=shown.reader,
                dag_id=shown.run.dag_id,
                run_id=shown.run.run_id,
                task_id=None,
                extra=json.dumps(extra),
            )
        )


def _line(dataset: PublishedDataset, entry: FileEntry) -> int:
    """The line of a file in files.ndjson, from 1. The files are in its order."""
    return next(number for number, path in enumerate(dataset.files, start=1) if path == entry.path)
