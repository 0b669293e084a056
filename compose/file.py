"""What docker-compose.yaml says of a service, read without Docker: values are put in as Compose does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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
    """A text with its variables: `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?message}`; `$$` is `$`.

    :raises ComposeFileError: a variable with `?` is missing
    """
    found, position = [], 0
    while (start := text.find("$", position)) >= 0:
        found.append(text[position:start])
        if text[start + 1 : start + 2] != "{":
            found.append("$")
            position = start + (2 if text[start + 1 : start + 2] == "$" else 1)
            continue
        position = _end(text, start + 2)
        found.append(_value(text[start + 2 : position - 1], given))
    return "".join([*found, text[position:]])


def _end(text: str, position: int) -> int:
    """Behind the brace that closes the one before `position`."""
    depth = 1
    while depth:
        if position == len(text):
            raise ComposeFileError(f"a brace is not closed in {text!r}")
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        position += 1
    return position


def _value(expression: str, given: Mapping[str, str]) -> str:
    match = _NAME.match(expression)
    if match is None:
        raise ComposeFileError(f"{expression!r} names no variable")
    name, rest = match[0], expression[match.end() :]
    empty_counts = rest.startswith(":")
    kind, default = rest.removeprefix(":")[:1], rest.removeprefix(":")[1:]
    value = given.get(name)
    if value is not None and (value or not empty_counts):
        return value
    if kind == "?":
        raise ComposeFileError(f"{name}: {default}")
    return interpolate(default, given) if kind == "-" else ""
