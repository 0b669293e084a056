"""The hook: makes a client of the Data API from an Airflow connection.

The options `proxy`, `verify`, `timeout` and `trust_env` are those of Airflow's http provider. The code of that provider
is not used: it sends basic authentication, turns other extras into headers and follows redirects.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from learnosity.api.defaults import CALL_ATTEMPTS
from learnosity.errors import ConnectionConfigError, LearnosityError
from learnosity.lookups import afind_connection, checked_extra, cleaned, find_connection
from learnosity.metrics import METRICS

# DAG files import this module, and must load fast. So the HTTP client is imported inside the methods that use it.
if TYPE_CHECKING:
    from learnosity.api.client import LearnosityClient
    from learnosity.api.config import ApiConfig

DEFAULT_CONN_ID = "learnosity_default"


class LearnosityHook(BaseHook):
    """Access to the Data API with the key set of one Airflow connection.

    :param learnosity_conn_id: Airflow connection of type `learnosity` or `http`: login = consumer key, password =
        consumer secret, host (+ schema, port) = Data API, extra = `version`, `domain`, `organisation_id`, `region`,
        `reports_url`, `allow_http`, `timeout`, `proxy`, `verify`, `trust_env`, `private_hosts`, `results`,
        `input_check`.
    """

    conn_name_attr = "learnosity_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = "learnosity"
    hook_name = "Learnosity"

    def __init__(self, learnosity_conn_id: str = DEFAULT_CONN_ID) -> None:
        super().__init__()
        self.learnosity_conn_id = learnosity_conn_id
        self._config: ApiConfig | None = None

    async def aget_config(self) -> ApiConfig:
        """The checked Airflow connection. It is read once. Call this only inside an event loop.

        :raises ConnectionConfigError: the Airflow connection is missing or cannot be used.
        :raises LookupFailedError: it could not be read. Whether it exists is not known.
        """
        if self._config is None:
            connection = await afind_connection(self.learnosity_conn_id)
            if connection is None:
                raise missing(self.learnosity_conn_id)
            self._config = checked_config(self.learnosity_conn_id, connection)
        return self._config

    def get_config(self) -> ApiConfig:
        """The checked Airflow connection, for code outside an event loop. Raises the errors of `aget_config`."""
        if self._config is None:
            connection = find_connection(self.learnosity_conn_id)
            if connection is None:
                raise missing(self.learnosity_conn_id)
            self._config = checked_config(self.learnosity_conn_id, connection)
        return self._config

    @asynccontextmanager
    async def client(self, *, attempts: int = CALL_ATTEMPTS) -> AsyncIterator[LearnosityClient]:
        """An open client. One HTTP session serves all calls inside the `async with` block.

        :param attempts: largest number of attempts of one call; default 6.
        """
        from learnosity.api.client import LearnosityClient

        async with LearnosityClient(await self.aget_config(), attempts=attempts, metrics=METRICS) as client:
            yield client

    def test_connection(self) -> tuple[bool, str]:
        """Make one harmless signed call: the **Test** button of the connection form runs this."""
        from learnosity.api.client import LearnosityClient

        async def check(config: ApiConfig) -> str:
            async with LearnosityClient(config, attempts=2) as client:
                return await client.check()

        try:
            # Airflow tests a copy of the connection. The copy is not saved. It is only in an environment variable of
            # this process. `get_connection`, Airflow's own look-up, finds it there even while a secrets backend fails.
            # `find_connection` would raise an error then.
            found = cleaned(self.learnosity_conn_id, self.get_connection(self.learnosity_conn_id))
            config = checked_config(self.learnosity_conn_id, found)
            served = asyncio.run(check(config))
        except AirflowNotFoundException:
            return False, str(missing(self.learnosity_conn_id))
        except LearnosityError as error:
            # The copy that Airflow tests has a random id, which the user does not know. So the message says "this
            # connection" instead of the id.
            named = repr(self.learnosity_conn_id)
            said = str(error).replace(f"Connection {named}", "This connection")
            return False, said.replace(f"connection {named}", "this connection")
        return True, f"{config.base_url} accepted key, secret and domain; it serves {served}."


def checked_config(conn_id: str, connection: Any) -> ApiConfig:
    """Check an Airflow connection and make a config of it.

    :param connection: of the Task SDK, or of Airflow's database model.
    :raises ConnectionConfigError: the Airflow connection cannot be used.
    """
    from learnosity.api.config import build_config

    return build_config(
        conn_id,
        conn_type=connection.conn_type,
        login=connection.login,
        password=connection.password,
        host=connection.host,
        schema=connection.schema,
        port=connection.port,
        extra=checked_extra(connection),
    )


def missing(conn_id: str) -> ConnectionConfigError:
    """The error for a connection that does not exist."""
    return ConnectionConfigError(
        f"The connection {conn_id!r} does not exist. Add it in Airflow under Admin → Connections (type Learnosity or "
        "HTTP: login = consumer key, password = consumer secret), or name another one as learnosity_conn_id."
    )
