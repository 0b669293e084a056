"""What a dataset was made from: the section `input` of its manifest. It has counts and places, never a value."""

from __future__ import annotations

import msgspec


class LevelInfo(msgspec.Struct, frozen=True):
    """One level of the hierarchy, as the input has it."""

    key: str
    groups: int
    """Groups of this level. Two of the same name below different groups count as two."""
    users: int
    """Users that belong to a group of this level."""
    single_user_groups: int
    """Groups with one user. Their statistics are those of that user."""
    users_without_group: int = 0
    """Users that belong to no group of this level."""
    users_in_several_groups: int = 0
    """Users that belong to more than one group of this level. They are counted once in `users`."""


class InputInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """The input of a dataset."""

    uris: tuple[str, ...]
    """Where it was read: a file, a folder or a glob, without the Airflow connection."""
    files: int
    """Files that were read there."""
    records: int
    bytes: int
    """Size of what was uploaded: the records as NDJSON."""
    sha256: str
    """Digest of what was uploaded."""
    users: int | None = None
    """Users in it; None = not counted for this dataset type."""
    sessions: int | None = None
    """Sessions in it; None = not counted for this dataset type."""
    levels: tuple[LevelInfo, ...] = ()
    """The levels of the hierarchy, top level first."""
    odd_names: int = 0
    """Group names that were warned about: blanks at an end, characters that are not seen, names that look alike."""
