"""An error shows the keys and types of a reply, and none of its values."""

from __future__ import annotations

from typing import Any

import pytest

from learnosity.errors import (
    UnexpectedReplyError,
)
from learnosity.results.reading import (
    Failed,
    NotReady,
    NotUnderstood,
    sketch,
    understood,
)
from learnosity.results.signal_keys import _VOCABULARY
from tests.unit.results.replies import (
    ID,
    ROW,
    A,
    at,
    deep,
    read,
)


class TestSketch:
    def test_the_error_shows_keys_and_types_and_says_what_to_declare(self) -> None:
        reading = read({"outputs": [{"where": at("secret-name"), "student": "Anna"}], "n": 3})
        with pytest.raises(UnexpectedReplyError) as caught:
            understood(reading)
        message = str(caught.value)
        assert '"outputs": [1 x {"where": https address, signed, "student": text}]' in message
        assert "extra `results`" in message
        assert '{"files": "data.files[]"' in message
        for secret in ("Anna", "secret-name", "Signature=", "results.example.com"):
            assert secret not in message

    @pytest.mark.parametrize(
        "key",
        [
            ID,
            "7f3a9b2c",
            "https://h.example/x",
            "user 7",
            "u12345",
            "x" * 60,
            "anna@school.example",
            "学校",
            "a\nb",
            "",
            "20261128",
        ],
    )
    def test_a_key_that_does_not_look_like_a_word_is_masked(self, key: str) -> None:
        drawn = sketch({key: 1})
        assert drawn == f"{{<key of {len(key)}>: number}}"

    @pytest.mark.parametrize(
        "key", ["files", "signedUrl", "_links", "group_path", "p25_score", "content-type", "$schema"]
    )
    def test_a_word_is_shown(self, key: str) -> None:
        assert f'"{key}"' in sketch({key: 1})

    def test_a_map_with_many_keys_shows_none_of_them(self) -> None:
        assert "anna" not in sketch({f"anna{'x' * number}": 1 for number in range(50)})

    def test_it_is_bounded_however_large_the_reply(self) -> None:
        wide = {f"k{'a' * number}": [{"x": "y" * number}] * 50 for number in range(30)}
        assert len(sketch(deep([wide] * 100, 200))) <= 1_501
        assert len(sketch([[[wide] * 20] * 20] * 20)) <= 1_501

    def test_it_names_kinds_of_addresses(self) -> None:
        assert sketch(["s3://b/x", "//h/x", at("x")]) == "[3 x s3 address or other address or https address, signed]"


_KEYS = (*(word for text in _VOCABULARY.values() for word in text.split()), "next_of_kin", "list_truncated", "cursor")
_NAME = "\u5b89\u5a1c"


class TestKeysInRefusals:
    @pytest.mark.parametrize("key", _KEYS)
    def test_a_key_that_does_not_look_like_a_word_is_masked(self, key: str) -> None:
        value: Any
        for key_with_name in (f"{_NAME} {key}", f"{key} {_NAME} of paging"):
            for value in (False, True, 7, "x7", {"x": "7"}):
                said: dict[str, Any] = {key_with_name: value}
                data: Any
                meta: dict[str, Any]
                for data, meta in (
                    ({"files": [A], **said}, {}),
                    ({"files": [A]}, said),
                    ({"files": [A | said]}, {}),
                    ({"url": at("a.json"), **said}, {}),
                    ({"rows": [ROW | said]}, {}),
                    ({"files": [A], "paging": said | {"limit": 5}}, {}),
                    ({"files": [A], "total": said}, {}),
                ):
                    for results in (None, {"files": "data.files", "url": "url", "next": "data.no.such"}):
                        reading = read(data, results, **meta)
                        said_of = reading.why if isinstance(reading, NotUnderstood) else ""
                        said_of += reading.status if isinstance(reading, NotReady | Failed) else ""
                        assert _NAME not in said_of, (said_of, data, meta)

    def test_a_name_with_blanks_or_digits_is_masked_wherever_it_stands(self) -> None:
        for reading in (
            read({"files": [A], "Next of kin: Anna Smith, 555-1234": "x"}),
            read({"rows": [ROW | {"x": [ROW], "Anna Smith 3fa92c is truncated": True}]}),
            read({"files": [A], "Nextdoor Anna": {"a": "b"}}),
        ):
            assert isinstance(reading, NotUnderstood)
            assert "<key of " in reading.why
            assert "Anna" not in reading.why

    def test_a_word_is_shown_with_the_box_that_it_is_in(self) -> None:
        data: Any
        for data, shown in (
            ({"files": [A], "items_next": "x"}, "`items_next`"),
            ({"files": [A], "paging": {"total_items": 5, "page": 1}}, "`total_items of paging`"),
        ):
            reading = read(data)
            assert isinstance(reading, NotUnderstood)
            assert shown in reading.why
