"""Reads the lock, `constraints.txt`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "constraints.txt"
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


def read_pins(path: Path = LOCK) -> list[Pin]:
    """All packages of a lock, each version once.

    :raises LockError: a line is neither a pin, a hash nor a comment; or there is no pin.
    """
    found: dict[tuple[str, str], list[str]] = {}
    current: list[str] = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if pin := _PIN.match(text):
            current = found.setdefault((canonical(pin[1]), pin[2]), [])
        elif not text.startswith("--hash="):
            raise LockError(f"{path.name}:{number} is not understood: {text[:100]!r}.")
        current += _HASH.findall(text)
    if not found:
        raise LockError(f"{path.name} pins nothing.")
    return [Pin(name, version, tuple(dict.fromkeys(hashes))) for (name, version), hashes in found.items()]


def canonical(name: str) -> str:
    """The name of a package as the index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()
