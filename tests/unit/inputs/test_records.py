"""What a line must be, type by type."""

from __future__ import annotations

import json

import pytest

from learnosity.errors import RequestError
from learnosity.inputs.duplicates import Identities
from learnosity.inputs.records import (
    MAX_SESSIONS_PER_USER,
    MAX_USER_ID,
    MAX_USERS,
    SCHEMAS,
    RecordError,
    RecordSchema,
    schema_for,
)

GROUPS = {"district": "d1", "school": "s1"}
KEYS = ("district", "school")


def line(**keys: object) -> bytes:
    return json.dumps(keys).encode()


def problem(schema: RecordSchema, *lines: bytes) -> str:
    with pytest.raises(RecordError) as caught:
        schema.identities(lines)
    return str(caught.value)


class TestActivitySummary:
    schema = schema_for("activity-summary-by-group", KEYS)

    def test_takes_a_user_with_every_requested_group(self) -> None:
        lines = [line(user_id="u1", groups=GROUPS), line(user_id="ü" * MAX_USER_ID, groups=GROUPS)]
        assert self.schema.identities(lines) == ["u1", "ü" * MAX_USER_ID]

    def test_lets_unknown_keys_through(self) -> None:
        extra = line(user_id="u1", groups={**GROUPS, "class": 7}, note={"a": [1, None]})
        assert self.schema.identities([extra]) == ["u1"]

    @pytest.mark.parametrize(
        ("bad", "said"),
        [
            pytest.param(line(groups=GROUPS), "user_id", id="no user id"),
            pytest.param(line(user_id="", groups=GROUPS), "user_id", id="empty user id"),
            pytest.param(line(user_id="x" * 51, groups=GROUPS), "<= 50", id="long user id"),
            pytest.param(line(user_id=4711, groups=GROUPS), "got `int`", id="number as user id"),
            pytest.param(line(user_id=None, groups=GROUPS), "got `null`", id="null as user id"),
            pytest.param(line(user_id="u1", district="d1"), "are read as CSV or Parquet", id="no groups"),
            pytest.param(line(user_id="u1", groups=["d1"]), "got `array`", id="groups as array"),
            pytest.param(line(user_id="u1", groups={"school": "s1"}), 'none of the level "district"', id="no parent"),
            pytest.param(
                line(user_id="u1", groups={**GROUPS, "school": None}), "leave the key out", id="null as group"
            ),
            pytest.param(line(user_id="u1", groups={**GROUPS, "school": ""}), "groups.school", id="empty group"),
            pytest.param(line(user_id="u1", groups={**GROUPS, "school": 4}), "got `int`", id="number as group"),
            pytest.param(b'[{"user_id": "u1"}]', "got `array`", id="an array"),
            pytest.param(b'"u1"', "got `str`", id="a string"),
            pytest.param(b"null", "got `null`", id="null"),
        ],
    )
    def test_refuses_what_is_not_such_a_user_and_names_the_key_or_type(self, bad: bytes, said: str) -> None:
        assert said in problem(self.schema, bad)

    def test_asks_for_no_groups_when_none_are_requested(self) -> None:
        assert schema_for("activity-summary-by-group").identities([line(user_id="u1")]) == ["u1"]

    @pytest.mark.parametrize("key", ["class", "Straße", "a b", "user_id", "level_0", "$.x"])
    def test_takes_any_word_as_a_group_key(self, key: str) -> None:
        schema = schema_for("activity-summary-by-group", [key])
        assert schema.identities([line(user_id="u1", groups={key: "g"})]) == ["u1"]
        assert problem(schema, line(user_id="u1", groups={key: 4}))

    @pytest.mark.parametrize("keys", [[""], ["a", "a"], ['a"b'], ["a\\b"], ["a\nb"]])
    def test_refuses_group_keys_that_cannot_be_keys_of_a_record(self, keys: list[str]) -> None:
        with pytest.raises(RequestError, match="groups"):
            schema_for("activity-summary-by-group", keys)


class TestSessionsSummary:
    schema = schema_for("sessions-summary-by-group", KEYS)

    @pytest.mark.parametrize("key", ["session_id", "session_ids", "sessions"])
    @pytest.mark.parametrize("count", [1, MAX_SESSIONS_PER_USER])
    def test_takes_one_to_fifty_sessions_under_each_known_key(self, key: str, count: int) -> None:
        ids = [f"s{number}" for number in range(count)]
        assert self.schema.identities([line(user_id="u1", groups=GROUPS, **{key: ids})]) == ["u1"]

    @pytest.mark.parametrize(
        ("sessions", "said"),
        [
            pytest.param({}, "session_id", id="none"),
            pytest.param({"session_id": []}, "length >= 1", id="an empty list"),
            pytest.param({"session_id": ["s"] * 51}, "length <= 50", id="fifty-one"),
            pytest.param({"session_id": "s1"}, "got `str`", id="a bare string"),
            pytest.param({"session_id": ["s1", ""]}, "session_id[1]", id="an empty id"),
            pytest.param({"session_id": ["s1", 2]}, "got `int`", id="a number"),
            pytest.param({"session_id": ["s1"], "sessions": ["s2"]}, "exactly one", id="two keys"),
        ],
    )
    def test_refuses_other_lists_of_sessions(self, sessions: dict[str, object], said: str) -> None:
        assert said in problem(self.schema, line(user_id="u1", groups=GROUPS, **sessions))

    def test_asks_for_the_user_and_the_groups_as_well(self) -> None:
        assert "user_id" in problem(self.schema, line(groups=GROUPS, session_id=["s1"]))
        assert "groups" in problem(self.schema, line(user_id="u1", session_id=["s1"]))


@pytest.mark.parametrize("dataset_type", ["ibk-analysis-by-question", "activity-analysis-by-question"])
class TestAnalysis:
    def test_takes_a_session_and_perhaps_its_user(self, dataset_type: str) -> None:
        lines = [line(session_id="s1"), line(session_id="s2", user_id="u1")]
        assert schema_for(dataset_type).identities(lines) == ["s1", "s2"]

    @pytest.mark.parametrize(
        "bad", [line(user_id="u1"), line(session_id=["s1"]), line(session_id=""), line(session_id="s", user_id=1)]
    )
    def test_refuses_everything_else(self, dataset_type: str, bad: bytes) -> None:
        assert "not a session record" in problem(schema_for(dataset_type), bad)


class TestUnknownType:
    schema = schema_for("next-years-type", KEYS)

    def test_takes_any_object_and_knows_no_identity(self) -> None:
        assert self.schema.identities([b"{}", line(a=1), line(a=1)]) == []
        assert self.schema.identity_key is None

    @pytest.mark.parametrize("bad", [b"[]", b"1", b"{", b"{}{}", b"{} {}", b'{"a":1,}', b"", b"\xef\xbb\xbf{}"])
    def test_refuses_what_is_not_one_object(self, bad: bytes) -> None:
        assert problem(self.schema, b"{}", bad)


@pytest.mark.parametrize("dataset_type", [*SCHEMAS, "next-years-type"])
class TestEveryType:
    @pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"01", b"1.", b"+1"])
    def test_refuses_numbers_that_json_does_not_have(self, dataset_type: str, number: bytes) -> None:
        bad = b'{"extra": ' + number + b', "user_id": "u1", "session_id": ["s"]}'
        assert "not valid JSON" in problem(schema_for(dataset_type), bad)

    @pytest.mark.parametrize("bad", [b'{"user_id": "\xff"}', b'{"extra": "\xc3"}', b'{"\xff": 1}'])
    def test_refuses_text_that_is_not_utf8_even_under_unknown_keys(self, dataset_type: str, bad: bytes) -> None:
        assert "not valid UTF-8" in problem(schema_for(dataset_type), bad)

    def test_refuses_bottomless_nesting(self, dataset_type: str) -> None:
        assert "too deeply" in problem(schema_for(dataset_type), b'{"extra": ' + b"[" * 50_000)

    def test_never_quotes_what_a_line_holds(self, dataset_type: str) -> None:
        schema = schema_for(dataset_type, KEYS)
        for bad in (
            b'{"user_id": "12345678", "session_id": {"12345678": 12345678}, "groups": {"12345678": 1}',
            b'{"user_id": "12345678\xff"}',
            b"12345678",
        ):
            assert "12345678" not in problem(schema, bad)


@pytest.mark.parametrize("dataset_type", SCHEMAS)
def test_never_quotes_an_id_of_the_wrong_type(dataset_type: str) -> None:
    bad = b'{"user_id": 12345678, "session_id": 12345678}'
    assert "12345678" not in problem(schema_for(dataset_type, KEYS), bad)


def test_only_the_group_types_have_a_limit_of_users() -> None:
    assert {name: schema_for(name).max_records for name in [*SCHEMAS, "other"]} == {
        "activity-summary-by-group": MAX_USERS,
        "sessions-summary-by-group": MAX_USERS,
        "ibk-analysis-by-question": None,
        "activity-analysis-by-question": None,
        "other": None,
    }


@pytest.mark.parametrize("in_memory", [0, 2, 1000], ids=["on disk", "moving to disk", "in memory"])
class TestIdentities:
    def test_adds_what_is_new_and_refuses_what_is_known(self, in_memory: int) -> None:
        seen = Identities(in_memory)
        assert seen.add(["a", "b"])
        assert seen.add(["c", "d"])
        assert not seen.add(["a"])
        assert not seen.add(["d"])
        assert seen.add(["A", "ä", "a\0b", "a\0c", " a"])
        seen.close()

    def test_adds_all_or_nothing(self, in_memory: int) -> None:
        seen = Identities(in_memory)
        assert seen.add(["a", "b", "z"])
        assert not seen.add(["x", "y", "z"])
        assert not seen.add(["x", "y", "y"])
        assert seen.add(["x", "y"])
        seen.close()
