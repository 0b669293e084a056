"""The text of a schedule file: it becomes what JSON can hold, or a problem with its line."""

from __future__ import annotations

from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from learnosity.schedules import yaml_text
from learnosity.schedules.files import MAX_BYTES
from learnosity.schedules.yaml_text import MAX_CHARACTERS, MAX_DEPTH, MAX_VALUES, YamlTextError, read_yaml


@pytest.fixture(params=["in C", "in Python"], autouse=True)
def _loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers of PyYAML: some builds come without the one in C."""
    monkeypatch.setattr(yaml_text, "_LOADER", {"in C": yaml.CSafeLoader, "in Python": yaml.SafeLoader}[request.param])


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *[(text, text) for text in ("2026-02-30", "2026-11-01T00:00:00Z", "12:30", "NO", "yes", "on", "off", "y")],
        *[(text, text) for text in ("007", "1e5", "0x1F", "1_000", "+5", ".nan", ".inf", "-.inf", "1.", ".5", "=")],
        ("12345678901234567890", "12345678901234567890"),
        *[(text, None) for text in ("", "~", "null", "Null")],
        *[(text, True) for text in ("true", "True", "TRUE")],
        *[(text, False) for text in ("false", "False", "FALSE")],
        ("0", 0),
        ("-12", -12),
        ("0.05", 0.05),
        ('"1"', "1"),
        ("'null'", "null"),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
        ('"{{ x }}"', "{{ x }}"),
        ("[a, 1, {b: 2}]", ["a", 1, {"b": 2}]),
        ("[&one a, *one]", ["a", "a"]),
        ("[&list [1, 2], *list]", [[1, 2], [1, 2]]),
    ],
)
def test_only_null_true_false_and_plain_numbers_are_not_texts(written: str, value: Any) -> None:
    found = read_yaml(f"key: {written}").value["key"]
    assert (found, type(found)) == (value, type(value))


def test_keys_are_texts_and_on_is_one_of_them() -> None:
    assert read_yaml("on: [failure]\nno: 1").value == {"on": ["failure"], "no": 1}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        pytest.param("a: 1\nb: {{ data_interval_start | iso }}", 2, "Write templates in quotes", id="template"),
        pytest.param("b: {% if x %}1{% endif %}", 1, "Write templates in quotes", id="statement"),
        pytest.param("a: 1\n{{ x }}: 2", 2, "Write templates in quotes", id="template as key"),
        pytest.param("? [a, b]\n: 1", 1, "a key must be a text", id="list as key"),
        pytest.param("a: &a x\n*a : 1", 2, "a key must be a text, and *a is an alias; write", id="alias as key"),
        pytest.param("a: &a x\nb: {c: 1, *a : 1}", 2, "*a is an alias; write", id="alias as key in braces"),
        pytest.param("a: &a x\n? *a\n: 1", 2, "*a is an alias; write", id="alias as long key"),
        pytest.param("a: 1\n*b : 1", 2, "*b is an alias; write", id="unknown alias as key"),
        pytest.param("1: x", 1, "the key '1' is not a text", id="number as key"),
        pytest.param("true: x", 1, "the key 'true' is not a text", id="boolean as key"),
        pytest.param("~: x", 1, "the key '~' is not a text", id="null as key"),
        pytest.param("a: &a {b: 1}\nc:\n  <<: *a", 3, "merging with <<", id="merge"),
        pytest.param("a: 1\n---\nb: 2", 2, "several documents", id="documents"),
        pytest.param("a: !!binary aGk=", 1, "the tag 'tag:yaml.org,2002:binary' is not supported", id="binary"),
        pytest.param("a: !!python/object/apply:os.system [x]", 1, "is not supported", id="python"),
        pytest.param("a: !!set {x}", 1, "is not supported", id="set"),
        pytest.param("a: !!timestamp 2026-02-30", 1, "is not supported", id="timestamp"),
        pytest.param("a: !mine x", 1, "the tag '!mine' is not supported", id="own tag"),
        pytest.param('a: "x\\0y"', 1, "the character 0x0000", id="escaped NUL"),
        pytest.param('"\\0": y', 1, "the character 0x0000", id="escaped NUL in a key"),
        pytest.param("a: x\0y", 1, "This is not YAML", id="NUL"),
        pytest.param('a: "\\x1b[31m"', 1, "the character 0x001b", id="escape sequence"),
        pytest.param("a: *nothing", 1, "no value with the anchor &nothing", id="unknown alias"),
        pytest.param("a: &a [*a]", 1, "no value with the anchor &a", id="alias of itself"),
        pytest.param("a:\n\t- b", 2, "This is not YAML", id="tab"),
        pytest.param("a: [", 1, "This is not YAML", id="open"),
        pytest.param("a: %b", 1, "This is not YAML", id="percent"),
    ],
)
def test_what_is_not_data_is_named_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(YamlTextError) as error:
        read_yaml(text)
    assert message in error.value.what
    # An error at the end of a file: PyYAML's parser in C says the line after it, and that in Python the last line.
    assert error.value.line in (line, line + 1)


@pytest.mark.parametrize("letter", ["e", "é", "校", "😀", "\ufeff"], ids=ascii)
@pytest.mark.parametrize("before", [1, 3, 100])
@pytest.mark.parametrize("place", ["a comment", "a value", "behind"])
def test_letters_beyond_ascii_move_no_line(place: str, before: int, letter: str) -> None:
    text = {"a comment": "# {}\n", "a value": "a: {}\n", "behind": "b: 1\n"}[place].format(letter * before)
    text += "c: 1\n" * 3 + "d: \x01\n" + "e: 1\n" * 200 + f"# {letter}\n"
    with pytest.raises(YamlTextError, match=r"character 0x1\)\. This is not YAML") as error:
        read_yaml(text)
    assert error.value.line == 5


def test_a_key_that_stands_twice_is_noted_with_its_line() -> None:
    assert read_yaml("a: 1\nb: {c: 1,\n c: 2}\na: 3").doubled == [(("b", "c"), 3), (("a",), 4)]


def laughs(levels: int) -> str:
    """A small text that is nine times as large with each level, when its aliases are written out."""
    lines = ["l0: &l0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    return "\n".join([*lines, *(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, levels))])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(laughs(9), f"more than {MAX_VALUES:,} values", id="billion laughs"),
        pytest.param("[" + "1, " * MAX_VALUES + "]", f"more than {MAX_VALUES:,} values", id="wide"),
        # libyaml has its own limit of nesting, which may be reached first. Then the message is the second one.
        pytest.param("[" * 100_000, f"more than {MAX_DEPTH} levels|maximum nesting depth", id="deep list"),
        pytest.param("{a: " * 50_000, f"more than {MAX_DEPTH} levels|maximum nesting depth", id="deep mapping"),
        pytest.param("- " * 100_000, f"more than {MAX_DEPTH} levels", id="deep block"),
    ],
)
def test_what_is_made_to_be_large_ends_early(text: str, message: str) -> None:
    with pytest.raises(YamlTextError, match=message):
        read_yaml(text)


@pytest.mark.parametrize("form", ["[{}]", "{{a: {}}}", "[{{a: [{}]}}]"])
def test_aliases_count_with_their_levels(form: str) -> None:
    per = form.count("[") + form.count("{") // 2

    def text(times: int) -> str:
        lines = [f"k0: &a0 {form.format('x')}"]
        return "\n".join([*lines, *(f"k{n}: &a{n} {form.format(f'*a{n - 1}')}" for n in range(1, times))])

    most = (MAX_DEPTH - 1) // per
    read_yaml(text(most))
    with pytest.raises(YamlTextError, match=f"more than {MAX_DEPTH} levels deep, aliases written out"):
        read_yaml(text(most + 1))


LONG = "x" * 100_000
TIMES = MAX_CHARACTERS // len(LONG)


@pytest.mark.parametrize(
    "anchored",
    [LONG, f"'{LONG}'", f"[{LONG}]", f"{{b: {LONG}}}", f"{{? {LONG} : 1}}", f"[[{{b: [{LONG}]}}]]", f"|\n  {LONG}\n"],
    ids=["plain", "quoted", "list", "mapping", "key", "nested", "block"],
)
def test_aliases_count_with_their_texts_written_out(anchored: str) -> None:
    def text(times: int) -> str:
        return f"a: &a {anchored}\nb: [{', '.join(['*a'] * times)}]"

    assert len(read_yaml(text(TIMES - 2)).value["b"]) == TIMES - 2
    with pytest.raises(YamlTextError, match=f"more than {MAX_CHARACTERS:,} characters, aliases written out"):
        read_yaml(text(TIMES))


def test_a_key_with_an_anchor_counts_as_its_text() -> None:
    with pytest.raises(YamlTextError, match="characters, aliases written out"):
        read_yaml(f"? &a {LONG}\n: [{', '.join(['*a'] * TIMES)}]")


def test_without_aliases_a_file_of_any_legal_size_is_read() -> None:
    assert read_yaml(f"a: {'x' * MAX_BYTES}").value == {"a": "x" * MAX_BYTES}


def test_a_few_aliases_are_fine() -> None:
    assert len(read_yaml(laughs(3)).value["l2"]) == 9
