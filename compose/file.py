"""What docker-compose.yaml says of a service, read without Docker: values are put in as Compose does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from compose import variables


class ComposeFileError(ValueError):
    """A setting is missing, or a text cannot be read."""


@dataclass(frozen=True, slots=True)
class Service:
    """What one container gets.

    :param environment: `.env` and the service's own, which wins
    :param command: its arguments
    """

    environment: dict[str, str]
    command: list[str]


def read_services(folder: Path, given: Mapping[str, str]) -> dict[str, Service]:
    """All services of a checkout's docker-compose.yaml.

    :param given: the settings of its `.env`
    :raises ComposeFileError: a required setting is missing
    """
    services: dict[str, dict[str, Any]] = yaml.safe_load((folder / "docker-compose.yaml").read_text())["services"]
    found = {}
    for name, service in services.items():
        own = {key: interpolate(str(value), given) for key, value in service.get("environment", {}).items()}
        told = dict(given) if "env_file" in service else {}
        command = service.get("command", [])
        words = command if isinstance(command, list) else [command]
        found[name] = Service(told | own, [interpolate(str(word), given) for word in words])
    return found


def interpolate(text: str, given: Mapping[str, str]) -> str:
    """A text with its variables.

    :raises ComposeFileError: a variable with `?` is missing, or what follows a `$` cannot be read
    """
    return variables.interpolate(text, given, _absent)


def _absent(written: str, name: str, message: str | None) -> str:
    if message is not None:
        raise ComposeFileError(f"{name}: {message}")
    if written.startswith("${") and not name:
        raise ComposeFileError(f"{written!r} names no variable, or its brace is not closed")
    return "" if name else written
