"""The default types of DAGs: what one view reads, and what the next views find in memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from learnosity.web import default_types

DATA = {"dag": {"params": [["dataset_type", {"default": "session-reports-by-user"}]]}}


class Session:
    """A database whose serialized DAGs all have the same default type. It notes which ones are read."""

    def __init__(self) -> None:
        self.read: list[list[str]] = []

    def scalars(self, query: Any) -> list[SimpleNamespace]:
        (wanted,) = query.compile().params.values()
        self.read.append(list(wanted))
        return [SimpleNamespace(id=key, data=DATA) for key in wanted]


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(default_types, "_defaults", {})
    monkeypatch.setattr(default_types, "MAX_DAGS", 4)
    monkeypatch.setattr(
        default_types, "newest_versions", lambda _, dag_ids: {each: (f"hash of {each}", each) for each in dag_ids}
    )
    return Session()


def types(session: Session, *dag_ids: str) -> dict[str, str]:
    return dict(default_types.default_types(session, dag_ids))  # type: ignore[arg-type]


def test_each_dag_is_read_once_and_at_most_so_many_in_one_view(session: Session) -> None:
    dags = ("a", "b", "c", "d", "e")
    assert [len(types(session, *dags)) for _ in range(3)] == [4, 5, 5]
    assert session.read == [["a", "b", "c", "d"], ["e"]]


def test_a_full_cache_keeps_what_the_view_needs(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_types, "_KEPT", 5)
    types(session, "x", "y")
    types(session, "a", "b", "c")
    assert sorted(types(session, "a", "b", "c", "d")) == ["a", "b", "c", "d"]
    assert session.read == [["x", "y"], ["a", "b", "c"], ["d"]]
    assert len(default_types._defaults) == 4
