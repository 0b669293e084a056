"""Finds out early that the host of a connection does not exist. Otherwise a misspelt host is retried for an hour."""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit

from learnosity.api.config import ApiConfig
from learnosity.errors import ConnectionConfigError
from learnosity.network import CONNECT_SECONDS

# Seconds between the three DNS look-ups. A name server may know a new name only after some seconds, so a host counts as
# missing only if all three look-ups answer "no such name".
WAITS_SECONDS = (1.0, 3.0)


async def check_host(config: ApiConfig, conn_id: str) -> None:
    """Refuse the connection if its host does not exist. If no name server can say, the host is taken to exist.

    Behind a proxy, the proxy resolves the name, so it is not looked up here.

    :param conn_id: the Airflow connection, for the message.
    :raises ConnectionConfigError: the name server says that there is no such name.
    """
    if config.egress.proxy_for(config.base_url):
        return
    host = urlsplit(config.base_url).hostname or ""
    for wait in (*WAITS_SECONDS, None):
        if not await _is_unknown(host):
            return
        if wait is not None:
            await asyncio.sleep(wait)
    raise ConnectionConfigError(
        f"The host {host!r} of the connection {conn_id} does not exist: no name server knows it. Correct the host of "
        "the connection; empty means https://data.learnosity.com. Where only a proxy knows the names of the internet, "
        "name it in the extra `proxy` or in HTTPS_PROXY (docs/network.md)."
    )


async def _is_unknown(host: str) -> bool:
    """Whether the name server answered that there is no such name. Any other failure may pass, so it is False."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
    except UnicodeError:
        # `host` cannot be a DNS name: it has a wrong character, or a part that is empty or too long.
        return True
    except (OSError, TimeoutError):
        return False
    return False
