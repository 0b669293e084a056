"""What one line of an input file must look like, one class per dataset type.

Learnosity's own description of the lines could not be read: the formats here are inferred (contract section 5,
U1), so each stands alone and is changed or replaced in one place, `SCHEMAS`. Lines are checked, never rewritten,
and no message may quote what a line holds: ids can be personal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from learnosity.errors import RequestError

MAX_USERS: Final = 200_000
"""Users in one dataset (contract section 4.3)."""
MAX_SESSIONS_PER_USER: Final = 50
"""Session ids of one user (contract section 4.3)."""
MAX_USER_ID: Final = 50
"""Characters of a user id (contract sections 1.3 and 5)."""

Text = Annotated[str, Meta(min_length=1)]
UserId = Annotated[str, Meta(min_length=1, max_length=MAX_USER_ID)]
SessionIds = Annotated[list[Text], Meta(min_length=1, max_length=MAX_SESSIONS_PER_USER)]


class RecordError(ValueError):
    """A line is not a record of this dataset type; the message names keys and types, never values."""


class RecordSchema:
    """Any JSON object: what is known about a dataset type that this package does not know.

    :param group_keys: the `key` of each entry of the request's `groups`.
    :raises RequestError: a group key is empty, repeated, or holds a quote, backslash or control character.
    """

    noun: ClassVar[str] = "record"
    """What one line stands for, in messages."""
    identity_key: ClassVar[str | None] = None
    """The key that may not have the same value in two lines."""
    max_records: ClassVar[int | None] = None
    """Lines that one dataset takes at most; None: no documented limit."""

    def __init__(self, group_keys: Sequence[str] = ()) -> None:
        self._decode = msgspec.json.Decoder(self._record(group_keys)).decode
        self._identity = attrgetter(self.identity_key) if self.identity_key else None

    def _record(self, group_keys: Sequence[str]) -> type[msgspec.Struct]:
        """The shape of one record; keys that it does not name are let through."""
        return msgspec.defstruct("Record", ())

    def identities(self, lines: Sequence[bytes], text: bytes | None = None) -> list[str]:
        """Check lines, all of them in C code, and say whom they are about.

        One decode per line: msgspec's `decode_lines` is a little faster, but accepts two records in one line
        and one record in two.

        :param lines: one line each, without its line end and without blanks around it.
        :param text: all of them in one, where the caller has that.
        :returns: the identity of each line in order; an empty list for types that have none.
        :raises RecordError: at least one line is bad; check them one at a time to learn which.
        """
        try:
            if text is None:
                text = b"\n".join(lines)
            if not text.isascii():
                str(text, "utf-8")  # the decoder does not look into text that it skips
            records = map(self._decode, lines)
            if self._identity is not None:
                return list(map(self._identity, records))
            deque(records, maxlen=0)
            return []
        except UnicodeDecodeError as error:
            # the original error holds the bytes themselves: it must not travel along
            raise RecordError(f"not valid UTF-8: {error.reason}") from None
        except msgspec.ValidationError as error:
            raise RecordError(f"not a {self.noun} record: {error}") from None
        except msgspec.DecodeError as error:
            raise RecordError(f"not valid JSON: {error}") from None
        except RecursionError:
            raise RecordError("objects or arrays are nested too deeply") from None


class _GroupSchema(RecordSchema):
    """A user and the groups the user belongs to: `{"user_id": "u1", "groups": {"district": "d1"}}`."""

    noun = "user"
    identity_key = "user_id"
    max_records = MAX_USERS
    base: ClassVar[type[msgspec.Struct] | None] = None
    """A struct with what else a record of the type holds."""

    def _record(self, group_keys: Sequence[str]) -> type[msgspec.Struct]:
        fields: list[tuple[str, Any]] = [("user_id", UserId)]
        if group_keys:
            fields.append(("groups", _groups(group_keys)))
        bases = (self.base,) if self.base else None
        return msgspec.defstruct("Record", fields, bases=bases, kw_only=True)


class ActivitySummarySchema(_GroupSchema):
    """`activity-summary-by-group`: a user with groups."""


class _Sessions(msgspec.Struct, kw_only=True):
    """The sessions of a user, under whichever of the keys that other endpoints use (contract section 5)."""

    session_id: SessionIds | UnsetType = UNSET
    session_ids: SessionIds | UnsetType = UNSET
    sessions: SessionIds | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.session_id, self.session_ids, self.sessions).count(UNSET) != 2:
            raise ValueError("exactly one of `session_id`, `session_ids`, `sessions` must list the session ids")


class SessionsSummarySchema(_GroupSchema):
    """`sessions-summary-by-group`: a user with groups and 1 to 50 session ids."""

    base = _Sessions


class AnalysisSchema(RecordSchema):
    """The two analysis types: a session, `{"session_id": "<uuid>"}`."""

    noun = "session"
    identity_key = "session_id"

    def _record(self, group_keys: Sequence[str]) -> type[msgspec.Struct]:
        return msgspec.defstruct("Record", [("session_id", Text), ("user_id", UserId | UnsetType, UNSET)])


SCHEMAS: Final[dict[str, type[RecordSchema]]] = {
    "activity-summary-by-group": ActivitySummarySchema,
    "sessions-summary-by-group": SessionsSummarySchema,
    "ibk-analysis-by-question": AnalysisSchema,
    "activity-analysis-by-question": AnalysisSchema,
}


def schema_for(dataset_type: str, group_keys: Sequence[str] = ()) -> RecordSchema:
    """The schema of the input lines of a dataset type.

    :param dataset_type: any type; one that is not in `SCHEMAS` takes any JSON object.
    :param group_keys: the `key` of each entry of the request's `groups`; every user must have each of them.
    :raises RequestError: the group keys cannot be keys of a record.
    """
    return SCHEMAS.get(dataset_type, RecordSchema)(group_keys)


def _groups(keys: Sequence[str]) -> type[msgspec.Struct]:
    """A struct that requires each key; fields are numbered because a key need not be a Python name."""
    for key in keys:
        if not key or any(c in '"\\' or ord(c) < 0x20 for c in key):
            raise RequestError(f'groups: {key!r} cannot be a key: use one or more characters other than " and \\')
    if len(set(keys)) != len(keys):
        raise RequestError("groups: two levels have the same key; give each level its own")
    names = {f"level_{level}": key for level, key in enumerate(keys)}
    return msgspec.defstruct("Groups", [(name, Text) for name in names], rename=names)
