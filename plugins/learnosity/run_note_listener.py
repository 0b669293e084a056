"""Writes a note on a run: what it published, or why it failed. The list of runs shows notes.

A task cannot write a note through the Task SDK. So this listener writes the note: in the API server, when the asset
event of the publishing task is registered, and in the scheduler, when a run has failed. A note that a user wrote is not
changed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.listeners import hookimpl

from learnosity.advice import TIMED_OUT
from learnosity.api.dataset_request import ASSET_PREFIX
from learnosity.dataset.event_extra import AnnouncementError, read_announcement
from learnosity.progress_log import size
from learnosity.task_report import FAILURE_KEY, Failure, of_last_try

if TYPE_CHECKING:
    from airflow.listeners.types import AssetEvent
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)

# This module saves its notes with this user id. It replaces only notes with this user id, never those of people.
AUTHOR = "learnosity-plugin"
MOST_FAILURES = 3  # a note names at most this many failed tasks
MAX_NOTE_CHARS = 1000  # the limit of Airflow's database for a note
# A note has one part for each dataset that the run has published. If the run has failed, one more part says why.
# `BETWEEN` stands between two parts. `DATASET` begins a part about a dataset, and `GAP` begins each gap in this part.
BETWEEN = "\n\n"
DATASET = "dataset "
GAP = "Gap: "
BLANK_LINES = re.compile(r"\n\s*\n")
# On PostgreSQL: if a row that is needed for the note about a published dataset stays locked for longer than this, the
# note is not written.
LOCK_SECONDS = 10
MORE = "… and more: see the page of the run"


@hookimpl
def on_asset_event_emitted(asset_event: AssetEvent) -> None:
    """Write the note if the event is about a dataset that a run has published."""
    if not asset_event.asset.uri.startswith(ASSET_PREFIX) or asset_event.source_run_id is None:
        return
    try:
        note = note_text(asset_event.extra)
        same = f"{DATASET}{read_announcement(asset_event.extra).layout.dataset_id} "
    except AnnouncementError as error:
        # Any task of any DAG may emit an event of a dataset's asset, so the extra of the event may be anything.
        log.warning(
            "No note on run %s of %s, whose asset event names no dataset: %s",
            asset_event.source_run_id,
            asset_event.source_dag_id,
            error,
        )
        return
    # These imports are not at the top: workers load this module, too, and must not use Airflow's database.
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select, text
    from sqlalchemy.exc import OperationalError

    of_run = (DagRun.dag_id == asset_event.source_dag_id, DagRun.run_id == asset_event.source_run_id)
    try:
        with create_session(scoped=False) as session:
            if session.get_bind().dialect.name == "postgresql":
                # The API server has locked the row of the task in another session, and waits for this function. The
                # scheduler may wait for that row, and have locked the row of the run. If this function then waits for
                # the row of the run, nobody can go on. PostgreSQL does not notice this deadlock, because the API server
                # waits for a function, and not for a lock. So the wait for a lock gets a time limit.
                session.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
            run = session.scalar(select(DagRun).where(*of_run))
            if run is not None:
                _write(session, run, note, same)
    except OperationalError:
        log.warning(
            "No note on run %s of %s: the database did not write it.",
            asset_event.source_run_id,
            asset_event.source_dag_id,
            exc_info=True,
        )


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:
    """Write why a run failed, if one of its tasks has reported it. The caller's session is used: it holds locks."""
    from sqlalchemy import select
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None:
        return
    from airflow.models.task_state_store import TaskStateStoreModel
    from airflow.models.taskinstance import TaskInstance

    failed, told = TaskInstance, TaskStateStoreModel
    rows = session.execute(
        select(failed.task_id, failed.map_index, failed.try_number, told.value)
        .join(
            told,
            (told.dag_run_id == dag_run.id) & (told.task_id == failed.task_id) & (told.map_index == failed.map_index),
        )
        .where(
            failed.dag_id == dag_run.dag_id,
            failed.run_id == dag_run.run_id,
            failed.state == "failed",
            told.key == FAILURE_KEY,
        )
        .order_by(failed.end_date)
        .limit(MOST_FAILURES)
    ).all()
    texts = [text for row in rows if (text := _failure_text(*row))]
    if not texts and msg == "timed_out" and _is_ours(session, dag_run):
        texts = [f"failed: {TIMED_OUT}"]
    if texts:
        _write(session, dag_run, BLANK_LINES.sub("\n", " · ".join(texts)))


def _is_ours(session: Session, run: DagRun) -> bool:
    """Whether a run has a task of this package: Airflow calls this module for the runs of all DAGs."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    table = TaskInstance
    of_run = (table.dag_id == run.dag_id, table.run_id == run.run_id, table.operator.startswith("Learnosity"))
    return session.scalar(select(table.task_id).where(*of_run).limit(1)) is not None


def _joined(parts: Sequence[str], *, more: bool) -> str:
    """A note of several parts, those with gaps before other datasets, as many as there is room for.

    :param more: whether a part found no room before. The note goes on to say so, because that part is nowhere else.
    """
    ordered = sorted(parts, key=lambda part: part.startswith(DATASET) and GAP not in part)
    if not more and (len(whole := BETWEEN.join(ordered)) <= MAX_NOTE_CHARS or len(ordered) == 1):
        return whole[:MAX_NOTE_CHARS]
    room = MAX_NOTE_CHARS - len(BETWEEN + MORE)
    text = ordered[0][:room]
    for part in ordered[1:]:
        if len(text) + len(BETWEEN) + len(part) <= room:
            text += BETWEEN + part
    return text + BETWEEN + MORE


def _write(session: Session, run: DagRun, part: str, same: str | None = None) -> None:
    """Put a part into the note of a run, before the parts about datasets.

    :param same: how an older part about the same dataset begins. It is replaced.
    """
    from airflow.models.dagrun import DagRunNote
    from sqlalchemy import insert, select
    from sqlalchemy.exc import IntegrityError

    # A person can mark a run as failed and write its note in one request. Then the note may be only in this session,
    # and not yet in the database, where the lines below look for it.
    session.flush()
    if run.dag_run_note is None:
        # The first note of a run may be inserted for two of its tasks at the same time. The second insert waits until
        # the first one is committed, and then fails. `begin_nested` makes a savepoint, so that the failure undoes only
        # the insert. The connection makes the savepoint, because Airflow's scheduler forbids savepoints of the session.
        connection = session.connection()
        try:
            with connection.begin_nested():
                values = {"dag_run_id": run.id, "content": part[:MAX_NOTE_CHARS], "user_id": AUTHOR}
                connection.execute(insert(DagRunNote).values(values))
        except IntegrityError:
            log.debug("Another task has written the first note of run %s meanwhile.", run.run_id)
    # `with_for_update` locks the row of the note. If another task wants to change this note, too, it waits until this
    # change is committed. Then it reads the changed note, and keeps the part that is written here.
    query = select(DagRunNote).where(DagRunNote.dag_run_id == run.id).with_for_update()
    note = session.scalar(query.execution_options(populate_existing=True))
    # `run` may still have the old note in memory. If Airflow uses `run.dag_run_note` later in this session, `expire`
    # makes it read the note from the database again.
    session.expire(run, ["dag_run_note"])
    if note is None or note.user_id != AUTHOR:
        return
    parts = (note.content or "").split(BETWEEN)
    others = [each for each in parts if each.startswith(DATASET) and (same is None or not each.startswith(same))]
    note.content = _joined([part, *others], more=parts[-1] == MORE)


def _failure_text(task_id: str, map_index: int, try_number: int, value: Any) -> str:
    """The report of a failed task, with its name; "" if it cannot be read: a user may have changed it."""
    try:
        told = of_last_try(msgspec.json.decode(value, type=Failure), try_number)
    except (msgspec.MsgspecError, TypeError):
        return ""
    task = task_id if map_index < 0 else f"{task_id}[{map_index}]"
    return f"failed in {task}: {told.message} {told.advice}".strip()


def note_text(extra: Any) -> str:
    """The note about a published dataset.

    :param extra: the extra of its asset event.
    :raises AnnouncementError: the extra does not name a dataset.
    """
    published = read_announcement(extra)
    parts = [f"{DATASET}{published.layout.dataset_id}"]
    if published.file_count is not None and published.total_bytes is not None:
        parts.append(f"published {published.file_count:,} files, {size(published.total_bytes)}")
    parts.append(published.manifest_uri.removesuffix("/manifest.json"))
    if published.left_out:
        parts.append(f"a part: include left out {published.left_out:,} files")
    parts += [GAP + gap for gap in published.gaps]
    return " · ".join(parts)[:MAX_NOTE_CHARS]
