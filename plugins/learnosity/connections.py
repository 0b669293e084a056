"""Opens the store of an object-storage URI, with the credentials of the Airflow connection in the URI.

URIs have the form of Airflow's ObjectStoragePath: `scheme://conn_id@bucket/key`. Without `conn_id@`, the credentials of
the environment are used. Call this outside an event loop, because reading an Airflow connection blocks: inside an event
loop, Airflow loses the credentials without an error. Stores have threads: open them in tasks, not at import.
"""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import Connection
from obstore.exceptions import BaseError as ObstoreError
from obstore.store import LocalStore

from learnosity.errors import ConnectionConfigError, FolderNotFoundError, StorageError
from learnosity.lookups import FINDER, find_connection
from learnosity.optional_packages import needs_extra
from learnosity.storage.errors import first_line
from learnosity.storage.object_names import local_keys, unreadable
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.storage.store import Store
from learnosity.storage.unfinished_uploads import local_files
from learnosity.storage.uris import AZURE_SCHEMES, GCS_SCHEMES, S3_SCHEMES, StorageUri, parse_uri


# `s3_connection`, `gcs_connection` and `azure_connection` need packages that may not be installed. So each is imported
# only in the function that uses it.
def _s3(where: StorageUri, connection: Connection | None) -> Store:
    from learnosity.s3_connection import s3_store

    return s3_store(where, connection)


def _gcs(where: StorageUri, connection: Connection | None) -> Store:
    from learnosity.gcs_connection import gcs_store

    return gcs_store(where, connection)


def _azure(where: StorageUri, connection: Connection | None) -> Store:
    from learnosity.azure_connection import azure_store

    return azure_store(where, connection)


_CLOUDS = (
    (S3_SCHEMES, _s3, "s3", ("aws", "s3")),
    (GCS_SCHEMES, _gcs, "gcs", ("google_cloud_platform",)),
    (AZURE_SCHEMES, _azure, "azure", ("wasb", "adls", "azure", "azure_data_lake")),
)
"""Schemes, the function that opens their store, the extra with the packages that it imports, and the types of Airflow
connections that fit. Without the check of the type, a URI could send the password of any connection to its host."""


def open_store(uri: str, *, must_exist: bool = False) -> Store:
    """The store at the prefix `uri`. Nothing is read or written yet, but a local folder is made.

    :param must_exist: if a local folder does not exist, do not make it, but raise `FolderNotFoundError`.
    :raises StorageError: when the URI is not valid, or no driver for its scheme is installed.
    :raises ConnectionConfigError: when its Airflow connection is missing or incomplete.
    :raises TransientStorageError: when the connection's credentials cannot be reached.
    :raises MissingExtraError: when the packages of its cloud are not installed.
    """
    where = parse_uri(uri)
    if where.scheme == "file":
        return _local(where, must_exist)
    connection = _connection(where.conn_id) if where.conn_id else None
    for schemes, build, extra, types in _CLOUDS:
        if where.scheme in schemes:
            if connection is not None and connection.conn_type not in types:
                raise ConnectionConfigError(
                    f"The connection {where.conn_id!r} is of type {connection.conn_type!r}, which does not fit "
                    f"{where.scheme}://. Name a connection of type {' or '.join(types[:2])}."
                )
            if where.key and (reason := unreadable(where.key)):
                raise StorageError(f"{where.text!r} cannot be opened: {reason}. Write the URI without it.")
            try:
                with needs_extra(extra, where.text):
                    return build(where, connection)
            except (ObstoreError, ValueError) as error:
                named = f"connection {where.conn_id!r}" if where.conn_id else "environment"
                raise ConnectionConfigError(
                    f"The {named} does not give access to {where.text}: {first_line(error)}. Check its fields."
                ) from None
    # Any other scheme is opened below by an fsspec driver, which asks Airflow for the connection by itself. In Airflow,
    # a connection may belong to a team. A page that shows a run of a team's DAG sets `FINDER`, which finds the
    # connections of this team. The driver does not use `FINDER`, so it could get another connection than the tasks of
    # the run. Therefore an error is raised.
    if where.conn_id and FINDER.get() is not None:
        raise ConnectionConfigError(
            f"Pages cannot read {where.scheme}:// with the connection {where.conn_id!r} for a DAG of a team. Read the "
            "dataset in a task, or land it in S3, Google Cloud Storage or Azure."
        )
    from learnosity.fsspec_store import open_fsspec_store

    return open_fsspec_store(uri, where.text)


def open_input_store(uri: str) -> Store:
    """The store at `uri` for reading. A missing local folder is not made.

    :raises FolderNotFoundError: the local folder does not exist.
    """
    return open_store(uri, must_exist=True)


def _connection(conn_id: str) -> Connection:
    if (connection := find_connection(conn_id)) is not None:
        return connection
    raise ConnectionConfigError(
        f"The storage connection {conn_id!r} does not exist. Add it in Airflow under Admin → Connections, or "
        "name another one before the @ of the URI."
    )


def azure_account(where: StorageUri) -> str:
    """The storage account of an Azure URI and its Airflow connection; empty when they name no account."""
    from learnosity.azure_address import azure_account as account_of

    return account_of(where, _connection(where.conn_id) if where.conn_id else None)


def _local(where: StorageUri, must_exist: bool) -> Store:
    try:
        # `must_exist` is set for a folder that is only read. obstore must not create it (`mkdir`), nor delete it when
        # it becomes empty (`automatic_cleanup`).
        store = LocalStore(where.key, automatic_cleanup=not must_exist, mkdir=not must_exist)
    except (OSError, ObstoreError) as error:
        if must_exist and not Path(where.key).is_dir():
            raise FolderNotFoundError(f"There is no file and no folder {where.text} on this worker.") from None
        raise StorageError(
            f"Could not open {where.text}: {first_line(error)}. Check the path, and that Airflow may write there."
        ) from None
    return ObstoreStore(store, where.text, is_local=True, discard=local_files(where.key), keys=local_keys(where.key))
