"""Put connections and Variables into Airflow's database: `python seeding.py [--migrate] < wanted.json`.

With `--migrate`, it makes the tables first, as `airflow db migrate` does.

They are real ones: the UI lists them, and what a user changes there takes effect. An entry that a user has changed is
left alone. Once it has what is wanted, it is updated again like an entry that nobody has changed: ports and keys of a
stack change.

It imports nothing of this repository, so that a container can run it as it is. Secrets come through standard input,
never through the command line, and are not printed.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

NOTE = "Made by the stack; changes in the UI are kept"
FIELDS = ("conn_type", "host", "login", "password", "port", "schema", "extra")


def connection_values(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a connection in one form: what is empty is None, and the extra is an object.

    :raises ValueError: a field is not known; the extra is not a JSON object.
    """
    if unknown := sorted(set(fields) - set(FIELDS)):
        raise ValueError(f"A connection has no field {', '.join(unknown)}.")
    values = {name: fields.get(name) or None for name in FIELDS}
    extra = values["extra"]
    values["extra"] = json.loads(extra) if isinstance(extra, str) else dict(extra or {})
    if not isinstance(values["extra"], dict):
        raise ValueError("The extra of a connection must be a JSON object.")
    return values


def note(values: Any) -> str:
    """The description of an entry with these values. It shows whether the entry is still as it was written.

    It holds 32 bits of a digest. They reveal a change, and are too few to find a secret with.
    """
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
    return f"{NOTE} ({digest})"


def seed(session: Session, wanted: Mapping[str, Any]) -> list[str]:
    """Write what is wanted, and say for each entry what was done.

    :param wanted: `connections` (fields by connection id) and `variables` (text by key).
    """
    done = [_seed_connection(session, name, fields) for name, fields in wanted.get("connections", {}).items()]
    return done + [_seed_variable(session, name, value) for name, value in wanted.get("variables", {}).items()]


def _seed_connection(session: Session, conn_id: str, fields: Mapping[str, Any]) -> str:
    from airflow.models import Connection
    from sqlalchemy import select

    values = connection_values(fields)
    found = session.scalar(select(Connection).where(Connection.conn_id == conn_id))
    if found is not None:
        present = connection_values({name: getattr(found, name) for name in FIELDS})
        if present == values:
            _renew_note(found, values)
            return f"connection {conn_id}: is there"
        if found.description != note(present):
            return f"connection {conn_id}: was changed by a user, and is kept"
    row = found or Connection(conn_id=conn_id)
    for name in FIELDS:
        setattr(row, name, json.dumps(values[name]) if name == "extra" else values[name])
    row.description = note(values)
    session.add(row)
    return f"connection {conn_id}: {'added' if found is None else 'brought up to date'}"


def _renew_note(row: Any, values: Any) -> None:
    """Of an entry that the stack made, and that has what is wanted: it follows the stack again from now on.

    A user may have changed it to just that: a new secret, in the UI and in `.env`. What a user made stays the user's.
    """
    if (row.description or "").startswith(NOTE) and row.description != note(values):
        row.description = note(values)


def _seed_variable(session: Session, key: str, value: str) -> str:
    from airflow.models import Variable
    from sqlalchemy import select

    found = session.scalar(select(Variable).where(Variable.key == key))
    if found is not None:
        if found.val == value:
            _renew_note(found, value)
            return f"Variable {key}: is there"
        if found.description != note(found.val):
            return f"Variable {key}: was changed by a user, and is kept"
    row = found or Variable(key=key)
    row.set_val(value)
    row.description = note(value)
    session.add(row)
    return f"Variable {key}: {'added' if found is None else 'brought up to date'}"


def main() -> None:
    """Read what is wanted from standard input, and write it in one transaction."""
    from airflow.utils.session import create_session

    wanted = json.load(sys.stdin)
    if "--migrate" in sys.argv[1:]:
        from airflow.utils.db import upgradedb

        upgradedb()
    with create_session() as session:
        done = seed(session, wanted)
    sys.stdout.write("".join(f"{line}\n" for line in done))


if __name__ == "__main__":
    main()
