"""Encrypt everything in Airflow's database with the first of its Fernet keys: `python rotate_fernet.py`.

What `airflow rotate-fernet-key` does, but it works while tasks are deferred, too: Airflow 3.3.2 stores the arguments of
their triggers without encryption, and its command ends with `InvalidToken` as soon as it meets one.
"""

from __future__ import annotations

import sys

from airflow.models import Connection, Trigger, Variable
from airflow.models.connection_test import ConnectionTestRequest
from airflow.utils.session import create_session
from sqlalchemy import select


def main() -> None:
    """Rotate in one transaction, and say how many entries there were."""
    encrypted = (
        select(Connection).where(Connection.is_encrypted | Connection.is_extra_encrypted),
        select(Variable).where(Variable.is_encrypted),
        # A value that begins with `{` is plain JSON. It was never encrypted, so decrypting it would fail.
        select(Trigger).where(~Trigger.encrypted_kwargs.startswith("{")),
        select(ConnectionTestRequest).where(
            ConnectionTestRequest.is_encrypted | ConnectionTestRequest.is_extra_encrypted
        ),
    )
    with create_session() as session:
        found = [item for query in encrypted for item in session.scalars(query)]
        for item in found:
            item.rotate_fernet_key()
    sys.stdout.write(f"{len(found)} entries are encrypted with the first key\n")


if __name__ == "__main__":
    main()
