"""Reads the locks, `locks/*.txt`: every package that is installed, with the SHA-256 of each of its files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

LOCKS = tuple(sorted((Path(__file__).resolve().parent.parent / "locks").glob("*.txt")))
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Pin:
    """One pinned package.

    :param name: in the index's form: lower case, with dashes.
    :param hashes: SHA-256 of its files; empty = the lock has none.
    """

    name: str
    version: str
    hashes: tuple[str, ...] = ()


class LockError(Exception):
    """The lock has a line that is not understood, so nobody would know of that package."""


def read_pins(*paths: Path) -> list[Pin]:
    """All packages of some locks, each version once, by name.

    :param paths: default: all locks of the repository
    :raises LockError: a line is neither a pin, a hash nor a comment; or a lock pins nothing.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for path in paths or LOCKS:
        _read(path, found)
    return [Pin(name, version, tuple(dict.fromkeys(hashes))) for (name, version), hashes in sorted(found.items())]


def _read(path: Path, found: dict[tuple[str, str], list[str]]) -> None:
    current: list[str] | None = None
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if pin := _PIN.match(text):
            current = found.setdefault((canonical(pin[1]), pin[2]), [])
        elif current is None or not text.startswith("--hash="):
            raise LockError(f"{path.name}:{number} is not understood: {text[:100]!r}.")
        current += _HASH.findall(text)
    if current is None:
        raise LockError(f"{path.name} pins nothing.")


def canonical(name: str) -> str:
    """The name of a package as the index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()
