"""Reads scheduled datasets from YAML files and checks them. Every problem is reported by file, line and key.

One file is one dataset. Whatever a file holds, and whatever kind of file it is, it does not affect the others. Nothing
here needs Airflow; `schedules.dags` makes the DAGs.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from learnosity.schedules.checks import ScheduleProblem, check, printable
from learnosity.schedules.keys import SCHEMA, Schedule
from learnosity.schedules.yaml_text import YamlTextError, read_yaml

__all__ = ["SCHEMA", "Reading", "Schedule", "ScheduleProblem", "parse", "read_folder"]

log = logging.getLogger(__name__)

T = TypeVar("T")
Found = Schedule | Sequence[ScheduleProblem]
"""The schedule of a file, or its problems."""

SUFFIXES = (".yaml", ".yml")
# These files lie beside the schedules, but are no schedules: they have the rules of the DAG `learnosity_retention`.
RETENTION_FILES = ("retention.yaml", "retention.yml")
MAX_BYTES = 256 * 1024
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """The content of a folder: the schedules that can be used, and the problems of the other files, by file name."""

    schedules: Sequence[Schedule] = ()
    problems: Mapping[str, Sequence[ScheduleProblem]] = field(default_factory=dict)


def read_folder(folder: Path, *, only: str | None = None) -> Reading:
    """All schedules of a folder, in the order of their file names. It never raises.

    Files whose names begin with a dot are left out: editors and Kubernetes make them.

    :param only: the name of one schedule: files that cannot have it are passed over. None = all; default.
    """
    schedules: list[Schedule] = []
    problems: dict[str, Sequence[ScheduleProblem]] = {}
    taken: dict[str, str] = {}
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208  # the loop needs the names as texts
    except FileNotFoundError:
        log.warning("There is no folder %s, so there are no schedules.", folder)
        return Reading()
    except OSError as error:
        name = printable(folder.name)
        return Reading((), {name: [ScheduleProblem(name, 1, "", f"the folder cannot be read: {error.strerror}.")]})
    for name in names:
        path = folder / name
        if name.startswith(".") or path.suffix.lower() not in SUFFIXES or name in RETENTION_FILES:
            continue
        shown = printable(name)
        found = _read_file(shown, path, only)
        if found is None:
            continue
        if isinstance(found, Schedule) and found.name in taken:
            found = [ScheduleProblem(shown, 1, "name", f"{found.name!r} is the name of {taken[found.name]} already.")]
        if isinstance(found, Schedule):
            taken[found.name] = shown
            schedules.append(found)
        else:
            problems[shown] = found
    return Reading(schedules, problems)


def _read_file(shown: str, path: Path, only: str | None) -> Found | None:
    """The content of a file; None = it cannot have the name `only`, because its text does not hold it.

    A name can be written with a backslash, too. Such a text is parsed.
    """

    def read() -> Found | None:
        text = _text(path)
        return _parse(shown, text) if only is None or only in text or "\\" in text else None

    return _bounded(shown, read)


def parse(file: str, text: str) -> Found:
    """The schedule in the text of one file, or the problems of the file. It never raises.

    :param file: name of the file, for messages.
    """
    return _bounded(file, lambda: _parse(file, text))


def read_text(path: Path) -> str | Sequence[ScheduleProblem]:
    """The text of a file, or why it cannot be read. It never raises."""
    return _bounded(printable(path.name), lambda: _text(path))


def _bounded(file: str, read: Callable[[], T]) -> T | Sequence[ScheduleProblem]:
    """The result of `read`, or the problem of the file: no error of one file may affect the others."""
    try:
        return read()
    except OSError as error:
        return [ScheduleProblem(file, 1, "", f"the file cannot be read: {error.strerror or error}.")]
    except UnreadableFileError as error:
        return [ScheduleProblem(file, 1, "", str(error))]
    except Exception as error:
        log.exception("%s cannot be read.", file)
        return [ScheduleProblem(file, 1, "", f"the file cannot be read: {type(error).__name__}: {error}.")]


# The cache saves parsing the same text again in one process. The `Schedule` is never changed, so several callers may
# have the same object.
@lru_cache(maxsize=1024)
def _parse(file: str, text: str) -> Found:
    try:
        content = read_yaml(text)
    except YamlTextError as error:
        return [ScheduleProblem(file, error.line, ".".join(map(str, error.place)), error.what)]
    return check(file, content)


class UnreadableFileError(Exception):
    """A file is not one that can hold a schedule. The message says why."""


def _text(path: Path) -> str:
    """The text of a file.

    :raises UnreadableFileError: it is not a file, is too large, or is not UTF-8.
    :raises OSError: the system refuses to read it.
    """
    # The kind of the file is checked before it is opened, because opening a device can have side effects.
    _check_kind(path.stat().st_mode)
    # After the check, somebody may have replaced the file by a pipe. Without O_NONBLOCK, opening the pipe would wait
    # for a writer. With it, the pipe is opened at once, and the second check refuses it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        _check_kind(os.fstat(descriptor).st_mode)
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UnreadableFileError(f"the file is larger than {MAX_BYTES // 1024} KB.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableFileError(f"line {line} is not UTF-8; save the file as UTF-8.") from None


def _check_kind(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise UnreadableFileError(f"it is {kind}, not a file.")
