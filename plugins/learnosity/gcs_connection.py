"""The store of a GCS URI, with the credentials of an Airflow connection of type `google_cloud_platform`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from obstore.store import GCSStore

from learnosity.storage.obstore_store import ObstoreStore
from learnosity.store_options import RETRY, client_options, extra_of

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from learnosity.storage.store import Store
    from learnosity.storage.uris import StorageUri


def gcs_store(where: StorageUri, connection: Connection | None) -> Store:
    """The store at `where`.

    :param connection: None = the credentials of the environment.
    """
    extra = extra_of(connection)
    options: dict[str, Any] = {}
    if keyfile := extra.get("keyfile_dict"):
        options["service_account_key"] = keyfile if isinstance(keyfile, str) else json.dumps(keyfile)
    elif key_path := extra.get("key_path"):
        options["service_account_path"] = str(key_path)
    endpoint = extra.get("endpoint_url")
    if endpoint:
        options["base_url"] = str(endpoint)
    store = GCSStore(
        where.bucket,
        prefix=where.key or None,
        client_options=client_options(extra, endpoint),
        retry_config=RETRY,
        **options,
    )
    return ObstoreStore(store, where.text)
