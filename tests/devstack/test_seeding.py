"""Connections and Variables that a stack writes into Airflow's database, and what becomes of a user's changes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.models import Connection, Variable
from airflow.models.base import Base
from airflow.models.team import Team
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from devstack import seeding
from devstack.environment import REPOSITORY
from devstack.seeding import seed

LEARNOSITY = {
    "conn_type": "learnosity",
    "schema": "http",
    "host": "127.0.0.1",
    "port": 4001,
    "login": "key",
    "password": "the-secret-of-the-consumer",
    "extra": {"reports_url": "http://127.0.0.1:4001/reports"},
}
WANTED = {"connections": {"learnosity_default": LEARNOSITY}, "variables": {"learnosity_destination_uri": "s3://a@b/c"}}
NEXT = {
    "connections": {"learnosity_default": LEARNOSITY | {"port": 4002, "password": "another-secret"}},
    "variables": {"learnosity_destination_uri": "s3://a@other/c"},
}


@pytest.fixture
def session() -> Iterator[Session]:
    """A database with the tables of Airflow."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(
        engine, tables=[Base.metadata.tables[name] for name in (Team.__tablename__, "connection", "variable")]
    )
    with Session(engine) as session:
        yield session
    engine.dispose()


def connection(session: Session) -> Connection:
    session.expire_all()
    return session.scalars(select(Connection)).one()


def variable(session: Session) -> Variable:
    session.expire_all()
    return session.scalars(select(Variable)).one()


def test_what_is_wanted_is_there_and_says_where_it_comes_from(session: Session) -> None:
    assert seed(session, WANTED) == [
        "connection learnosity_default: added",
        "Variable learnosity_destination_uri: added",
    ]
    session.commit()
    found = connection(session)
    assert {name: getattr(found, name) for name in LEARNOSITY if name != "extra"} == {
        name: value for name, value in LEARNOSITY.items() if name != "extra"
    }
    assert found.extra_dejson == LEARNOSITY["extra"]
    assert variable(session).val == "s3://a@b/c"
    assert "changes in the UI are kept" in (found.description or "")


def test_a_second_time_changes_nothing(session: Session) -> None:
    seed(session, WANTED)
    session.commit()
    assert all(line.endswith(": is there") for line in seed(session, WANTED))
    assert not session.dirty


def test_what_nobody_has_changed_follows_the_stack(session: Session) -> None:
    for wanted in (WANTED, NEXT, WANTED, NEXT):
        seed(session, wanted)
        session.commit()
    assert (connection(session).port, connection(session).password) == (4002, "another-secret")
    assert variable(session).val == "s3://a@other/c"


CHANGES: dict[str, Callable[[Connection], Any]] = {
    "host": lambda row: setattr(row, "host", "data.learnosity.com"),
    "login": lambda row: setattr(row, "login", "my-key"),
    "password": lambda row: setattr(row, "password", "my-secret"),
    "port": lambda row: setattr(row, "port", None),
    "schema": lambda row: setattr(row, "schema", "https"),
    "type": lambda row: setattr(row, "conn_type", "http"),
    "extra": lambda row: setattr(row, "extra", json.dumps({"version": "latest"})),
    "no extra": lambda row: setattr(row, "extra", None),
    "description": lambda row: setattr(row, "description", "mine"),
}


CHANGED: dict[str, Any] = {
    "host": "data.learnosity.com",
    "login": "my-key",
    "password": "my-secret",
    "port": None,
    "schema": "https",
    "conn_type": "http",
    "extra": {"version": "latest"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_connection_that_a_user_has_changed_is_kept(session: Session, change: str) -> None:
    seed(session, WANTED)
    CHANGES[change](connection(session))
    session.commit()
    before = seeding.connection_values({name: getattr(connection(session), name) for name in seeding.FIELDS})
    assert seed(session, NEXT)[0] == "connection learnosity_default: was changed by a user, and is kept"
    session.commit()
    after = seeding.connection_values({name: getattr(connection(session), name) for name in seeding.FIELDS})
    assert after == before


THIRD = {
    "connections": {"learnosity_default": {name: f"third-{name}" for name in ("conn_type", "host", "schema")}},
    "variables": {"learnosity_destination_uri": "s3://a@third/c"},
}


@pytest.mark.parametrize(
    "fields",
    [*({name: value} for name, value in CHANGED.items()), CHANGED],
    ids=lambda fields: " ".join(fields),
)
def test_what_a_user_has_changed_to_what_is_wanted_follows_the_stack_again(
    session: Session, fields: dict[str, Any]
) -> None:
    seed(session, WANTED)
    row = connection(session)
    for name, value in fields.items():
        setattr(row, name, json.dumps(value) if name == "extra" else value)
    session.commit()
    variable(session).set_val("s3://a@other/c")
    session.commit()
    rotated = {"connections": {"learnosity_default": LEARNOSITY | fields}, "variables": NEXT["variables"]}
    assert all(line.endswith(": is there") for line in seed(session, rotated))
    session.commit()
    assert all(line.endswith(": brought up to date") for line in seed(session, THIRD))
    session.commit()
    assert (connection(session).host, variable(session).val) == ("third-host", "s3://a@third/c")


@pytest.mark.parametrize("words", [None, "", "mine"])
def test_what_a_user_has_made_as_it_is_wanted_stays_that_of_the_user(session: Session, words: str | None) -> None:
    fields: dict[str, Any] = {
        name: json.dumps(value) if name == "extra" else value for name, value in LEARNOSITY.items()
    }
    session.add(Connection("learnosity_default", description=words, **fields))
    session.add(Variable("learnosity_destination_uri", "s3://a@b/c", description=words))
    session.commit()
    assert all(line.endswith(": is there") for line in seed(session, WANTED))
    session.commit()
    assert [connection(session).description, variable(session).description] == [words, words]
    assert all(line.endswith(": was changed by a user, and is kept") for line in seed(session, NEXT))


def test_an_extra_that_is_only_written_in_another_way_is_no_change(session: Session) -> None:
    seed(session, WANTED)
    connection(session).extra = json.dumps(LEARNOSITY["extra"], indent=4)
    session.commit()
    seed(session, NEXT)
    assert connection(session).port == 4002


@pytest.mark.parametrize("made_by", ["the stack", "a user"])
def test_a_variable_of_a_user_is_kept(session: Session, made_by: str) -> None:
    if made_by == "the stack":
        seed(session, WANTED)
        variable(session).set_val("s3://my@bucket/mine")
    else:
        session.add(Variable("learnosity_destination_uri", "s3://my@bucket/mine"))
    session.commit()
    assert seed(session, NEXT)[-1] == "Variable learnosity_destination_uri: was changed by a user, and is kept"
    assert variable(session).val == "s3://my@bucket/mine"


def test_a_connection_that_was_there_before_the_stack_is_kept(session: Session) -> None:
    session.add(Connection("learnosity_default", "learnosity", login="mine"))
    session.commit()
    seed(session, WANTED)
    assert connection(session).login == "mine"


def test_a_description_shows_no_more_of_a_secret_than_32_bits() -> None:
    text = seeding.note(seeding.connection_values(LEARNOSITY))
    assert len(text.removeprefix(seeding.NOTE).strip(" ()")) == 8


@pytest.mark.parametrize(
    ("fields", "problem"),
    [({"conn_type": "aws", "user": "x"}, "no field user"), ({"conn_type": "aws", "extra": "[1]"}, "JSON object")],
)
def test_what_airflow_would_not_understand_is_refused(session: Session, fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        seed(session, {"connections": {"c": fields}})


def test_a_seed_that_is_cut_off_fails_and_says_no_secret(tmp_path: Path) -> None:
    script = REPOSITORY / "devstack" / "seeding.py"
    given = json.dumps(WANTED)[:-20]
    done = subprocess.run(
        [sys.executable, "-P", script], input=given, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode != 0
    assert "JSONDecodeError" in done.stderr
    assert "the-secret-of-the-consumer" not in done.stdout + done.stderr
