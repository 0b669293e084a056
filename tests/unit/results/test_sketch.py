"""An error shows the keys and types of a reply, and none of its values."""

from __future__ import annotations

import pytest

from learnosity.errors import (
    UnexpectedReplyError,
)
from learnosity.results.reading import (
    sketch,
    understood,
)
from tests.unit.results.replies import (
    ID,
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
