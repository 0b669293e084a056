"""Health check of a component that beats into Airflow's database: `python heartbeat.py TriggererJob`.

The same question as `airflow jobs check`, without loading Airflow: a tenth of a second instead of several, which
counts on a small machine where several containers ask it all the time.
"""

from __future__ import annotations

import os
import socket
import sys
from importlib import import_module

import psycopg2  # type: ignore[import-untyped]

MAX_AGE_SECONDS = 60
QUERY = """
    SELECT count(*) FROM job
    WHERE job_type = %s AND hostname = %s AND state = 'running'
      AND latest_heartbeat > now() - make_interval(secs => %s)
"""


def hostname() -> str:
    """The name of this host, as Airflow notes it with a beat."""
    module, _, function = os.environ.get("AIRFLOW__CORE__HOSTNAME_CALLABLE", "").rpartition(".")
    # If the setting is missing, Airflow uses a function of its own. In a container, `getfqdn` gives the same name, and
    # Airflow need not be loaded, which would take seconds.
    return str(getattr(import_module(module), function)()) if module else socket.getfqdn()


def main() -> int:
    """Exit code 0 when this host's component has beaten within a minute."""
    address = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    with psycopg2.connect(address, connect_timeout=5) as connection, connection.cursor() as cursor:
        cursor.execute(QUERY, (sys.argv[1], hostname(), MAX_AGE_SECONDS))
        (alive,) = cursor.fetchone() or (0,)
    return 0 if alive else 1


if __name__ == "__main__":
    sys.exit(main())
