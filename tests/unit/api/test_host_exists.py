"""A host that does not exist is found out at the first try; anything that may pass is left to the call itself."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from learnosity.api import host_exists
from learnosity.api.config import ApiConfig, build_config
from learnosity.errors import ConnectionConfigError


def config(**extra: Any) -> ApiConfig:
    return build_config("mine", login="k" * 16, password="s" * 40, host="https://data.lernosity.test", extra=extra)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Let the name server give these answers, one after the other; the names that were asked for."""

    def let(*given: Exception | None) -> list[str]:
        asked: list[str] = []
        waiting = list(given)

        async def getaddrinfo(self: Any, host: str, *more: Any, **options: Any) -> list[Any]:
            asked.append(host)
            if error := waiting.pop(0):
                raise error
            return []

        monkeypatch.setattr(host_exists, "WAITS_SECONDS", (0.0, 0.0))
        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
        return asked

    return let


UNKNOWN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def test_a_host_that_no_name_server_knows_is_named_with_its_connection(answers: Callable[..., list[str]]) -> None:
    asked = answers(UNKNOWN, UNKNOWN, UNKNOWN)
    with pytest.raises(ConnectionConfigError, match=r"data\.lernosity\.test.*connection mine.*only a proxy"):
        asyncio.run(host_exists.check_host(config(), "mine"))
    assert asked == ["data.lernosity.test"] * 3


@pytest.mark.parametrize(
    "given",
    [
        pytest.param([None], id="it has an address"),
        pytest.param([UNKNOWN, UNKNOWN, None], id="known a moment later"),
        pytest.param([socket.gaierror(socket.EAI_AGAIN, "try again")], id="the name server does not answer"),
        pytest.param([TimeoutError()], id="nothing within the time limit"),
        pytest.param([OSError("no network")], id="no network"),
    ],
)
def test_what_may_pass_is_no_error_here(given: list[Exception | None], answers: Callable[..., list[str]]) -> None:
    answers(*given)
    asyncio.run(host_exists.check_host(config(), "mine"))


def test_behind_a_proxy_no_name_is_looked_up(answers: Callable[..., list[str]]) -> None:
    asked = answers(UNKNOWN)
    asyncio.run(host_exists.check_host(config(proxy="http://127.0.0.1:3128"), "mine"))
    assert asked == []
