"""docker-compose.yaml and `.env` are read as Compose reads them, for the proof on plain processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compose.env import TEMPLATE, render, settings, unclear
from compose.file import ComposeFileError, interpolate, read_services
from compose.plain import AIRFLOW_SERVICES, SCRIPTS
from compose.proof.teams import SECRET, quoted

REPOSITORY = Path(__file__).resolve().parents[2]
GIVEN = {"NAME": "value", "EMPTY": "", "OTHER": "$NAME"}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("$NAME", "value"),
        ("${NAME:+other}", "other"),
        ("${EMPTY:+other}${ABSENT+other}", ""),
        ("${NAME}", "value"),
        ("a-${NAME}-b", "a-value-b"),
        ("${ABSENT}", ""),
        ("${NAME:-default}", "value"),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY-default}", ""),
        ("${ABSENT-default}", "default"),
        ("${ABSENT:-${NAME}}", "value"),
        ("${ABSENT:-a${EMPTY:-${NAME}}b}", "avalueb"),
        ("$$NAME $${NAME}", "$NAME ${NAME}"),
        ("${OTHER}", "$NAME"),
        ("5 $", "5 $"),
    ],
)
def test_variables_are_put_in_as_compose_does(text: str, read: str) -> None:
    assert interpolate(text, GIVEN) == read


@pytest.mark.parametrize("text", ["${ABSENT:?make it}", "${EMPTY:?make it}", "${NAME", "${}"])
def test_what_is_missing_or_cannot_be_read_is_an_error(text: str) -> None:
    with pytest.raises(ComposeFileError):
        interpolate(text, GIVEN)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="\\"), max_size=40))
def test_a_value_in_single_quotes_comes_back_as_it_was(value: str) -> None:
    text = f"# text\nNAME={quoted(value)}\n"
    assert settings(text) == settings(text.replace("\n", " # a remark\n")) == {"NAME": value}
    assert unclear(text) == []


@pytest.mark.parametrize(
    ("line", "value", "clear"),
    [
        ("A=b", "b", True),
        ("  export A = b  ", "b", True),
        ("A=", "", True),
        ("A= # from Console", "", True),
        ("A=# from Console", "", True),
        ("A=\t# from Console", "", True),
        ("A=b # from Console", "b", True),
        ("A=b\t# from Console", "b", True),
        ("A=b#c", "b#c", True),
        ("A='' # from Console", "", True),
        ("A='b # c' # d", "b # c", True),
        ("A='b\\'c'", "b'c", True),
        ('A="b # c" # d', "b # c", True),
        ('A="b\\"c"', 'b"c', True),
        ("A=a'b", "a'b", True),
        ("A='b # c' # d'e", "b # c", True),
        ("A=abc$def", "abc$def", False),
        ("A=abc${def}", "abc${def}", False),
        ("A=abc$", "abc$", False),
        ("A=abc$1", "abc$1", False),
        ("A=$OTHER$def", "o$def", False),
        ('A="abc$def"', "abc$def", False),
        ("A='abc$def'", "abc$def", True),
        ("A=b # $def", "b", True),
        ("A=abc$$def", "abc$def", True),
        ("A='$OTHER'", "$OTHER", True),
        ("A=$OTHER", "o", True),
        ("A=${OTHER}/x", "o/x", True),
        ('A="${OTHER}/x" # y', "o/x", True),
        ("A=${LATER}/x", "${LATER}/x", False),  # only lines before count
        ("A=${OTHER}${EMPTY}/x", "o/x", True),
        ("A=${EMPTY:-x}", "x", True),
        ("A=${EMPTY-x}", "", True),
        ("A=${EMPTY:+x}", "", True),
        ("A=${EMPTY+x}", "x", True),
        ("A=${EMPTY?x}", "", True),
        ("A=${EMPTY:?x}", "${EMPTY:?x}", False),
        ("A=${def:-${OTHER}x}y", "oxy", True),
        ("A=${OTHER:-${def}}y", "oy", True),
        *(
            (f"A={quote}${{{name}{colon}{sign}x}}{quote}", value, True)
            for quote in ("", '"')
            for colon in ("", ":")
            for name, sign, value in (
                *(("OTHER", "-", "o"), ("OTHER", "+", "x"), ("OTHER", "?", "o")),
                *(("def", "-", "x"), ("def", "+", "")),
            )
        ),
        *((f"A={each}", each, False) for each in ("${def?x}", "${def:?x}")),
        *((f'A="{each}"', each, False) for each in ("${def?x}", "${def:?x}")),
        ("A=${OTHER?}", "o", True),
        ('A=\'{\n  "region": "ie"\n}\' # x', '{\n  "region": "ie"\n}', True),
        ('A="b\nc=d\ne"', "b\nc=d\ne", True),
        ("A='b", "'b", False),
        ("A='b\\'", "'b\\'", False),
        ("A='b'c", "'b'c", False),
        ('A="abc\\$def"', "abc$def", True),
        ('A="abc\\${def}"', "abc${def}", True),
        ('A="abc\\$def$OTHER"', "abc$defo", True),
        ('A="abc\\$def$def"', "abc$def$def", False),
        ('A="abc\\\\$def"', "abc\\$def", False),  # the backslash is escaped, and the $ is not
        ('A="abc\\\\\\$def"', "abc\\$def", True),
        ("A=abc\\$def", "abc\\$def", False),  # without quotes, Compose takes a backslash as it stands
        ("#A=b", None, True),
    ],
)
def test_a_line_of_env_is_read_as_compose_reads_it(line: str, value: str | None, clear: bool) -> None:
    text = f"OTHER=o\nEMPTY=\n{line}\nLATER=l\n"
    others = {"OTHER": "o", "EMPTY": "", "LATER": "l"}
    assert settings(text) == others | ({} if value is None else {"A": value})
    assert [each.partition(" ")[0] for each in unclear(text)] == ([] if clear else ["A"])


def test_a_variable_of_the_shell_comes_before_one_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER", "of the shell")
    assert settings("OTHER=o\nA=${OTHER}\n")["A"] == "of the shell"


def test_a_variable_that_a_value_needs_is_named() -> None:
    (found,) = unclear("A=${def:?set it}\n")
    assert found == "A needs the variable def, which is not set"


def test_every_part_of_airflow_gets_what_the_file_says() -> None:
    given_settings = settings(render(TEMPLATE.read_text(), demo=True)) | {"S3_LANDING_SECRET_KEY": SECRET}
    services = read_services(REPOSITORY, given_settings)
    for name in AIRFLOW_SERVICES:
        environment = services[name].environment
        assert environment["AIRFLOW__CORE__FERNET_KEY"] == given_settings["AIRFLOW_FERNET_KEY"]
        assert environment["S3_LANDING_SECRET_KEY"] == "", "the service's own wins over .env"
        assert services[name].command
        assert not [value for value in environment.values() if "${" in value]
    assert given_settings["POSTGRES_PASSWORD"] not in str(services["worker"].environment)
    assert services["init"].environment["S3_LANDING_SECRET_KEY"] == SECRET


def test_what_stands_for_the_image_holds_what_the_dockerfile_copies() -> None:
    dockerfile = (REPOSITORY / "Dockerfile").read_text().partition(" AS demo")[0]
    assert [name for name in SCRIPTS if name not in dockerfile] == []
    (line,) = [each for each in dockerfile.replace("\\\n", " ").splitlines() if "compose/init.sh" in each]
    assert sorted(line.split()[2:-1]) == sorted(SCRIPTS)
