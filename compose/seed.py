"""Put a seeded input file into the landing bucket, for the profile `demo`: `python seed.py USERS`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import msgspec
import obstore
from obstore.store import S3Store

from simulator.population import records

if TYPE_CHECKING:
    from obstore.store import S3Config

KEY = "input/users.ndjson"


def landing_store(prefix: str | None = None) -> S3Store:
    """The landing bucket, reached as the environment of the container says.

    :param prefix: everything happens below this
    """
    keys: S3Config = {}
    if key := os.environ["S3_LANDING_ACCESS_KEY"]:  # else the client finds the identity of the machine
        keys = {"access_key_id": key, "secret_access_key": os.environ["S3_LANDING_SECRET_KEY"]}
    return S3Store(
        os.environ["S3_LANDING_BUCKET"],
        prefix=prefix,
        config=keys,
        endpoint=os.environ["S3_ENDPOINT"] or None,
        region=os.environ["S3_REGION"],
        client_options={"allow_http": True},
    )


def main() -> None:
    """Make the records and upload them; the same number of users gives the same file."""
    users = int(sys.argv[1])
    encoder = msgspec.json.Encoder()
    content = b"".join(encoder.encode(line) + b"\n" for line in records(users))
    obstore.put(landing_store(), KEY, content)
    sys.stdout.write(f"{KEY}: {users:,} users, {len(content):,} bytes\n")


if __name__ == "__main__":
    main()
