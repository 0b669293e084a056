"""`python -m learnosity.probe`: tests a Learnosity account before any job is started.

It is read-only. Its output can be shared: it contains no value of a reply, no file name and no address.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence

from airflow.models.connection import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from learnosity.api.client import LearnosityClient
from learnosity.api.config import ApiConfig
from learnosity.api.dataset_request import KNOWN_TYPES, check_dataset_id
from learnosity.errors import LearnosityError
from learnosity.hooks import DEFAULT_CONN_ID, checked_config, missing
from learnosity.landing.probe import probe
from learnosity.lookups import cleaned


async def lines(client: LearnosityClient, dataset_type: str | None, dataset_id: str | None) -> AsyncIterator[str]:
    """The lines of the report.

    :param dataset_type: type of the dataset; None = each known type is tried.
    :param dataset_id: a finished dataset; None = results are not tried.
    :raises LearnosityError: `dataset_id` is no UUID; or one of the first calls failed, as the last line says.
    """
    async for line in probe(
        client, [dataset_type] if dataset_type else list(KNOWN_TYPES), check_dataset_id(dataset_id)
    ):
        yield line


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns 1 when the Airflow connection cannot be used or the test stopped early, otherwise 0."""
    parser = argparse.ArgumentParser(prog="python -m learnosity.probe", description=__doc__)
    parser.add_argument("--conn-id", default=DEFAULT_CONN_ID, help="Airflow connection; default: %(default)s")
    parser.add_argument("--dataset-id", help="UUID of a finished dataset: how its results are listed is tried, too")
    parser.add_argument("--dataset-type", help=f"its type; default: each of {', '.join(KNOWN_TYPES)} is tried")
    options = parser.parse_args(arguments)

    async def run() -> None:
        async with LearnosityClient(_config(options.conn_id), attempts=2) as client:
            async for line in lines(client, options.dataset_type, options.dataset_id):
                sys.stdout.write(f"{line}\n")

    try:
        asyncio.run(run())
    except LearnosityError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _config(conn_id: str) -> ApiConfig:
    """The checked connection, as the tasks have it."""
    try:
        found = Connection.get_connection_from_secrets(conn_id)
    except AirflowNotFoundException:
        raise missing(conn_id) from None
    return checked_config(conn_id, cleaned(conn_id, found))


if __name__ == "__main__":
    sys.exit(main())
