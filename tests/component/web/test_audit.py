"""The row of the audit log, in a real database of Airflow's models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import airflow.models
import pytest
from airflow.models.log import Log
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import FileEntry
from learnosity.web import audit

LAYOUT = DatasetLayout("activity-summary-by-group", "33285a4b-0e6e-47e4-bade-78999ada14db")


async def test_a_row_is_what_airflow_shows_under_audit_log(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow.models.import_all_models()
    engine = create_engine("sqlite://")
    Log.__table__.create(engine)

    @contextmanager
    def session() -> Iterator[Session]:
        with Session(engine) as made:
            yield made
            made.commit()

    # SQLite keeps a database in memory per thread, so the row is written in this thread, which also reads it.
    async def here(call: Any, *args: Any) -> Any:
        return call(*args)

    monkeypatch.setattr(audit, "reading", here)
    monkeypatch.setattr(audit, "create_session", session)
    entries = {name: FileEntry(name, 1, "ab" * 32, "text/csv") for name in ("a.csv", "of-a-pupil.csv")}
    shown: Any = SimpleNamespace(
        publication=SimpleNamespace(layout=LAYOUT),
        dataset=SimpleNamespace(files=entries),
        run=SimpleNamespace(dag_id="learnosity_dataset", run_id="manual__1"),
        reader="teacher",
    )
    await audit.note_reading(shown, "learnosity_view", entries["of-a-pupil.csv"])
    with Session(engine) as read:
        row = read.scalars(select(Log)).one()
    assert (row.event, row.owner, row.owner_display_name) == ("learnosity_view", "teacher", "teacher")
    assert (row.dag_id, row.run_id, row.task_id) == ("learnosity_dataset", "manual__1", None)
    assert row.dttm is not None
    assert json.loads(row.extra or "") == {
        "dataset_type": LAYOUT.dataset_type,
        "dataset_id": LAYOUT.dataset_id,
        "file_line": 2,
        "file_sha256": "ab" * 32,
    }
