"""The hook: an Airflow connection as an open, signed client.

It reads the transport options of the http provider's connections (`proxy`, `verify`, `timeout`, `trust_env`) but
not its request code, which would send basic authentication, turn the other extras into headers, follow
redirects and lose the status of errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from learnosity.api.client import CALL_ATTEMPTS, LearnosityClient
from learnosity.api.config import ApiConfig, build_config
from learnosity.errors import ConnectionConfigError, LearnosityError
from learnosity.metrics import METER

DEFAULT_CONN_ID = "learnosity_default"


class LearnosityHook(BaseHook):
    """Access to the Data API with the key set of one Airflow connection.

    :param learnosity_conn_id: connection of type `learnosity` or `http`: login = consumer key, password =
        consumer secret, host (+ schema, port) = Data API, extra = `version`, `domain`, `organisation_id`, `region`,
        `reports_url`, `allow_http`, `timeout`, `proxy`, `verify`.
    """

    conn_name_attr = "learnosity_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = "learnosity"
    hook_name = "Learnosity"

    def __init__(self, learnosity_conn_id: str = DEFAULT_CONN_ID) -> None:
        super().__init__()
        self.learnosity_conn_id = learnosity_conn_id
        self._config: ApiConfig | None = None

    async def config(self) -> ApiConfig:
        """The connection, checked; looked up once. Safe in an event loop, and only there.

        :raises ConnectionConfigError: when it is missing or cannot be used.
        """
        if self._config is None:
            try:
                connection = await self.aget_connection(self.learnosity_conn_id)
            except AirflowNotFoundException:
                raise _missing(self.learnosity_conn_id) from None
            self._config = _config(self.learnosity_conn_id, connection, await connection.aextra_dejson())
        return self._config

    @asynccontextmanager
    async def client(self, *, attempts: int = CALL_ATTEMPTS) -> AsyncIterator[LearnosityClient]:
        """An open client; one HTTP session serves all calls within.

        :param attempts: how often one call is tried in all.
        """
        async with LearnosityClient(await self.config(), attempts=attempts, meter=METER) as client:
            yield client

    def get_conn(self) -> ApiConfig:
        """The connection, checked, for code outside an event loop."""
        if self._config is None:
            try:
                connection = self.get_connection(self.learnosity_conn_id)
            except AirflowNotFoundException:
                raise _missing(self.learnosity_conn_id) from None
            self._config = _config(self.learnosity_conn_id, connection, connection.extra_dejson)
        return self._config

    def test_connection(self) -> tuple[bool, str]:
        """What the **Test** button of the connection form runs: one harmless signed call."""

        async def check(config: ApiConfig) -> str:
            async with LearnosityClient(config, attempts=2) as client:
                return await client.check()

        try:
            config = self.get_conn()
            served = asyncio.run(check(config))
        except LearnosityError as error:
            return False, str(error)
        return True, f"{config.base_url} accepted key, secret and domain; it serves {served}."


def _config(conn_id: str, connection: Connection, extra: dict[str, Any]) -> ApiConfig:
    return build_config(
        conn_id,
        login=connection.login,
        password=connection.password,
        host=connection.host,
        schema=connection.schema,
        port=connection.port,
        extra=extra,
    )


def _missing(conn_id: str) -> ConnectionConfigError:
    return ConnectionConfigError(
        f"The connection {conn_id!r} does not exist. Add it in Airflow under Admin → Connections (type Learnosity or "
        "HTTP: login = consumer key, password = consumer secret), or name another one as learnosity_conn_id."
    )
