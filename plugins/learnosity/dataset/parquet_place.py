"""Where the Parquet files of datasets are by default. The sample `learnosity_to_parquet` writes there."""

from __future__ import annotations

from learnosity.errors import StorageError
from learnosity.storage.uris import parse_uri

NAMES = ("groups", "users", "items")  # names of the Parquet files of a dataset, without extension


def beside(destination_uri: str) -> str:
    """The default folder for Parquet files: next to the destination of the datasets, never inside it.

    :raises StorageError: the destination is a whole bucket, so there is no place next to it.
    """
    if not parse_uri(destination_uri).key:
        raise StorageError(f"{destination_uri} is a whole bucket. Set parquet_uri to a place in another bucket.")
    return f"{destination_uri.strip().rstrip('/')}_parquet"
