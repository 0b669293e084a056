"""Reads uploaded NDJSON as the job would: one JSON object per line (docs/learnosity-api.md, "Input records").

The real schemas are not known (U1). Unknown keys pass unless the switch `strict_records` is on. Files are read line by
line, so the size of an upload does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from .validation import DatasetSpec

MAX_SESSIONS_PER_USER: Final = 50


class InputError(Exception):
    """The input of a dataset is unusable: its job halts with this text as `error`."""


class UserRecord(msgspec.Struct, frozen=True):
    """A line of a summary dataset. The name of the sessions' key is not known: three are accepted."""

    user_id: str
    groups: dict[str, str]
    session_id: list[str] | str | None = None
    session_ids: list[str] | None = None
    sessions: list[str] | None = None

    @property
    def session_list(self) -> list[str]:
        """The sessions of this user, under whichever key they are."""
        found = self.session_id or self.session_ids or self.sessions or []
        return [found] if isinstance(found, str) else found


class SessionRecord(msgspec.Struct, frozen=True):
    """A line of an analysis dataset."""

    session_id: str
    user_id: str | None = None


class _StrictUserRecord(UserRecord, frozen=True, forbid_unknown_fields=True):
    pass


class _StrictSessionRecord(SessionRecord, frozen=True, forbid_unknown_fields=True):
    pass


def read_users(
    paths: Sequence[Path], spec: DatasetSpec, *, strict: bool = False, skip_malformed: bool = False
) -> Iterator[UserRecord]:
    """The users of all input files, checked against the group hierarchy.

    :param strict: unknown keys in a line are an error.
    :param skip_malformed: lines that are wrong are left out instead.
    :raises InputError: naming file and line of the first wrong record.
    """
    kind = _StrictUserRecord if strict else UserRecord
    wanted = [level.key for level in spec.levels]
    sessions_needed = spec.dataset_type == "sessions-summary-by-group"
    for place, record in _read(paths, kind, skip_malformed):
        fault = _fault(record, wanted, sessions_needed)
        if fault and not skip_malformed:
            raise InputError(f"{place}: {fault}")
        if not fault:
            yield record


def read_sessions(
    paths: Sequence[Path], *, strict: bool = False, skip_malformed: bool = False
) -> Iterator[SessionRecord]:
    """The sessions of all input files; parameters and errors as for `read_users`."""
    for _, record in _read(paths, _StrictSessionRecord if strict else SessionRecord, skip_malformed):
        yield record


def _fault(record: UserRecord, wanted: Sequence[str], sessions_needed: bool) -> str | None:
    if unknown := sorted(set(record.groups) - set(wanted)):
        return f"unknown group keys {unknown}"
    has = [level in record.groups for level in wanted]
    if has != sorted(has, reverse=True):
        return "a group without the group above it"
    if not all(record.groups.values()):
        return "a group name is empty"
    if not record.user_id or len(record.user_id) > 50:
        return "user_id must have 1 to 50 characters"
    if sessions_needed and not record.session_list:
        return "session_id is missing"
    if len(record.session_list) > MAX_SESSIONS_PER_USER:
        return f"more than {MAX_SESSIONS_PER_USER} sessions"
    return None


def _read(paths: Sequence[Path], kind: type[Any], skip_malformed: bool) -> Iterator[tuple[str, Any]]:
    decoder = msgspec.json.Decoder(kind)
    for path in paths:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    record = decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    if skip_malformed:
                        continue
                    raise InputError(f"{path.name} line {number}: {error}") from error
                yield f"{path.name} line {number}", record
