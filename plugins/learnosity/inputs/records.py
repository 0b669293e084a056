"""What one line of an input file, or one row of a table, must look like: one class per dataset type.

The format of the lines is an assumption, because its description was not available ("Input records" in
docs/learnosity-api.md). To correct a format, change its class or replace it in `SCHEMAS`. Lines are checked, but never
changed. No message contains the content of a line, because ids can be personal data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Final, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from learnosity.errors import RequestError
from learnosity.inputs.columns import GROUPS, RowField, check_input_columns
from learnosity.inputs.odd_ids import BlankIdError, padded_records

MAX_USERS: Final = 200_000
"""Maximum number of users in one dataset: a limit of Learnosity."""
MAX_SESSIONS_PER_USER: Final = 50
"""Maximum number of session ids of one user: a limit of Learnosity."""
MAX_USER_ID: Final = 50
"""Maximum number of characters of a user id: a limit of Learnosity."""

Text = Annotated[str, Meta(min_length=1)]
UserId = Annotated[str, Meta(min_length=1, max_length=MAX_USER_ID)]
SessionIds = Annotated[list[Text], Meta(min_length=1, max_length=MAX_SESSIONS_PER_USER)]


class RecordError(ValueError):
    """A line is not a record of this dataset type. The message names keys and types, never values."""


class Checked(NamedTuple):
    """Ids and groups of some lines.

    :param ids: the value of `identity_key` of each line; empty for types without that key.
    :param groups: for each level of the hierarchy, the group of each line; UNSET = the user is in no group of this
        level. Empty for types without groups.
    :param padded: the places of the lines with an id that begins or ends with a blank.
    """

    ids: list[str]
    groups: list[list[str | UnsetType]]
    padded: list[int]


class RecordSchema:
    """Checks lines of a dataset type that is not in `SCHEMAS`: any JSON object is accepted.

    :param group_keys: the `key` of each entry of the request's `groups`.
    :param input_columns: which column of a table holds which key, where the names differ; default none.
    :raises RequestError: a group key is empty or repeated, or has a quote, backslash or control character; or
        `input_columns` names a key that a record does not have.
    """

    noun: ClassVar[str] = "record"
    """What one line describes, for messages."""
    identity_key: ClassVar[str | None] = None
    """The key whose value must be different in every line; None = this type has no such key."""
    max_records: ClassVar[int | None] = None
    """Maximum number of lines in one dataset; None = no documented limit."""
    gathers = False
    """Whether several rows of a table may make one record: one for each session of a user."""

    def __init__(self, group_keys: Sequence[str] = (), input_columns: Mapping[str, object] | None = None) -> None:
        self.group_keys = tuple(group_keys)
        self.fields = self.row_fields(group_keys, input_columns or {})
        """The keys of a record that a row of a table has. Empty = not known: every column becomes a key of its name."""
        self.lenient = False
        """Whether rows are not checked, and may lack columns (extra `input_check`: `json`)."""
        keys = [field.key for field in self.fields]
        self.input_columns = check_input_columns(input_columns or {}, keys, any_key=not self.fields)
        self._decode = msgspec.json.Decoder(self._record(group_keys)).decode
        self._identity = attrgetter(self.identity_key) if self.identity_key else None
        self._levels = [attrgetter(f"groups.level_{level}") for level in range(len(self.levels))]

    @property
    def levels(self) -> tuple[str, ...]:
        """Keys of the hierarchy that every record has, top level first."""
        return ()

    @classmethod
    def row_fields(cls, group_keys: Sequence[str], input_columns: Mapping[str, object]) -> tuple[RowField, ...]:
        """The keys of a record, each with the columns of a table that may hold it."""
        return ()

    def _record(self, group_keys: Sequence[str]) -> type[msgspec.Struct]:
        """The struct of one record. Keys that it does not name are allowed."""
        return msgspec.defstruct("Record", ())

    def identities(self, lines: Sequence[bytes], text: bytes | None = None) -> list[str]:
        """The ids of lines; parameters and errors as for `check`."""
        return self.check(lines, text).ids

    def check(self, lines: Sequence[bytes], text: bytes | None = None) -> Checked:
        """Check lines and return their ids and groups.

        Each line is decoded by itself: msgspec's `decode_lines` is a little faster, but it accepts two records in one
        line and one record in two lines.

        :param lines: the lines, without line ends and without blanks around them.
        :param text: all lines in one text, if the caller has that.
        :raises RecordError: at least one line is bad. Check the lines one at a time to find the bad line.
        """
        try:
            if text is None:
                text = b"\n".join(lines)
            if not text.isascii():
                # The JSON decoder skips the value of a key that it does not know, and accepts invalid UTF-8 in it. So
                # all bytes are checked here: `str` raises an error if they are not valid UTF-8.
                str(text, "utf-8")
            records = list(map(self._decode, lines))
            ids = [] if self._identity is None else list(map(self._identity, records))
            groups = [list(map(level, records)) for level in self._levels]
            if any(UNSET in level for level in groups):
                self._check_nesting(groups)
            return Checked(ids, groups, padded_records(ids, self._more_ids(records)))
        except BlankIdError as error:
            raise RecordError(str(error)) from None
        except UnicodeDecodeError as error:
            # `from None`: the original error contains the bytes of the lines, which must not get into a log.
            raise RecordError(f"not valid UTF-8: {error.reason}") from None
        except msgspec.ValidationError as error:
            without = re.search(r"(null`|length >= 1) - at `\$\.groups\.", str(error))
            advice = "; for a user without a group, leave the key out" if without else ""
            if "field `groups`" in str(error):
                advice = "; a user without a group has {}; rows with a column for each level are read as CSV or Parquet"
            raise RecordError(f"not a {self.noun} record: {error}{advice}") from None
        except msgspec.DecodeError as error:
            raise RecordError(f"not valid JSON: {error}") from None
        except RecursionError:
            raise RecordError("objects or arrays are nested too deeply") from None

    def _more_ids(self, records: Sequence[Any]) -> Iterable[Sequence[str]]:
        """For each record, its ids besides that of `identity_key`. Empty = no record has any."""
        return ()

    def _check_nesting(self, groups: Sequence[Sequence[Any]]) -> None:
        """Check that a record with a group of a level also has a group of the level above it.

        :raises RecordError: a line has a group of a level, and none of the level above it.
        """
        for path in zip(*groups, strict=True):
            if level := level_above_nothing(path):
                above, below = self.levels[level - 1], self.levels[level]
                raise RecordError(f'it has a group of the level "{below}", and none of the level "{above}" above it')


def level_above_nothing(path: Sequence[Any]) -> int:
    """The first level of a path that has a group where the level above it has none; 0 = there is no such level."""
    for level in range(1, len(path)):
        if path[level] and not path[level - 1]:
            return level
    return 0


class _GroupSchema(RecordSchema):
    """A user and the groups the user belongs to: `{"user_id": "u1", "groups": {"district": "d1"}}`."""

    noun = "user"
    identity_key = "user_id"
    max_records = MAX_USERS
    base: ClassVar[type[msgspec.Struct] | None] = None
    """A struct with the other fields of a record."""

    @property
    def levels(self) -> tuple[str, ...]:
        """Keys of the hierarchy."""
        return self.group_keys

    @classmethod
    def row_fields(cls, group_keys: Sequence[str], input_columns: Mapping[str, object]) -> tuple[RowField, ...]:
        levels = (RowField(f"{GROUPS}{key}", (f"{GROUPS}{key}", key)) for key in group_keys)
        return (RowField("user_id", ("user_id",), MAX_USER_ID), *levels)

    def _record(self, group_keys: Sequence[str]) -> type[msgspec.Struct]:
        fields: list[tuple[str, Any]] = [("user_id", UserId)]
        if group_keys:
            fields.append(("groups", _groups(group_keys)))
        bases = (self.base,) if self.base else None
        return msgspec.defstruct("Record", fields, bases=bases, kw_only=True)


class ActivitySummarySchema(_GroupSchema):
    """`activity-summary-by-group`: a user with groups."""


class _Sessions(msgspec.Struct, kw_only=True):
    """The session ids of a user. Their key is not documented, so three possible keys are accepted."""

    session_id: SessionIds | UnsetType = UNSET
    session_ids: SessionIds | UnsetType = UNSET
    sessions: SessionIds | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.session_id, self.session_ids, self.sessions).count(UNSET) != 2:
            raise ValueError("exactly one of `session_id`, `session_ids`, `sessions` must list the session ids")


class SessionsSummarySchema(_GroupSchema):
    """`sessions-summary-by-group`: a user with groups and 1 to 50 session ids."""

    base = _Sessions
    gathers = True

    @classmethod
    def row_fields(cls, group_keys: Sequence[str], input_columns: Mapping[str, object]) -> tuple[RowField, ...]:
        sessions = RowField("session_id", ("session_id", "session_ids", "sessions"), many=True)
        return (*super().row_fields(group_keys, input_columns), sessions)

    def _more_ids(self, records: Sequence[Any]) -> Iterable[Sequence[str]]:
        return (record.session_id or record.session_ids or record.sessions for record in records)


class AnalysisSchema(RecordSchema):
    """The two analysis types: one session per line, `{"session_id": "<uuid>"}`."""

    noun = "session"
    identity_key = "session_id"

    @classmethod
    def row_fields(cls, group_keys: Sequence[str], input_columns: Mapping[str, object]) -> tuple[RowField, ...]:
        # A table often has a column `user_id`, and the analysis types do not need user ids. So the user ids of a table
        # are sent only if `input_columns` names their column. A line of NDJSON is never changed: if it has a `user_id`,
        # the `user_id` is sent, too.
        user = (RowField("user_id", ("user_id",), MAX_USER_ID),) if "user_id" in input_columns else ()
        return (RowField("session_id", ("session_id",)), *user)

    def _record(self, group_keys: Sequence[str]) -> type[msgspec.Struct]:
        return msgspec.defstruct("Record", [("session_id", Text), ("user_id", UserId | UnsetType, UNSET)])

    def _more_ids(self, records: Sequence[Any]) -> Iterable[Sequence[str]]:
        if not any(record.user_id for record in records):
            return ()
        return ([record.user_id] if record.user_id else () for record in records)


SCHEMAS: Final[dict[str, type[RecordSchema]]] = {
    "activity-summary-by-group": ActivitySummarySchema,
    "sessions-summary-by-group": SessionsSummarySchema,
    "ibk-analysis-by-question": AnalysisSchema,
    "activity-analysis-by-question": AnalysisSchema,
}


def schema_for(
    dataset_type: str,
    group_keys: Sequence[str] = (),
    *,
    input_columns: Mapping[str, object] | None = None,
    any_object: bool = False,
) -> RecordSchema:
    """The schema of the input lines of a dataset type.

    :param dataset_type: any type. For a type that is not in `SCHEMAS`, any JSON object is accepted.
    :param group_keys: the `key` of each entry of the request's `groups`. A user may lack the lower ones, or all.
    :param input_columns: which column of a table holds which key, where the names differ; default none.
    :param any_object: whether a line of a known type, too, has to be a JSON object and no more; default False.
    :raises RequestError: the group keys cannot be keys of a record, or `input_columns` names a key that is none.
    """
    kind = SCHEMAS.get(dataset_type, RecordSchema)
    if any_object:
        return _AnyObject(kind, group_keys, input_columns)
    return kind(group_keys, input_columns)


class _AnyObject(RecordSchema):
    """Accepts any JSON object in a line. A table has the columns of its dataset type, but its rows are not checked."""

    def __init__(
        self, kind: type[RecordSchema], group_keys: Sequence[str], input_columns: Mapping[str, object] | None
    ) -> None:
        super().__init__(group_keys)
        given = input_columns or {}
        typed = kind.row_fields(group_keys, given)
        more = set(given) - {field.key for field in typed} if typed else ()
        extra = [RowField(key, ()) for key in given if key in more]
        # The field of the session ids must stay the last one: `TableInput` looks for session ids in the last column
        # only. If they are in another column, it does not gather the sessions of a user from several rows.
        self.fields = (*typed[:-1], *extra, typed[-1]) if kind.gathers and typed else (*typed, *extra)
        self.input_columns = check_input_columns(given, [field.key for field in self.fields], any_key=True)
        self.lenient = True
        self.gathers = kind.gathers


def _groups(keys: Sequence[str]) -> type[msgspec.Struct]:
    """A struct with these keys. Its fields are numbered, because a key may not be a valid Python name."""
    for key in keys:
        if not key or any(c in '"\\' or ord(c) < 0x20 for c in key):
            raise RequestError(f'groups: {key!r} cannot be a key: use one or more characters other than " and \\')
    if len(set(keys)) != len(keys):
        raise RequestError("groups: two levels have the same key; give each level its own")
    names = {f"level_{level}": key for level, key in enumerate(keys)}
    return msgspec.defstruct("Groups", [(name, Text | UnsetType, UNSET) for name in names], rename=names)
