"""No value that is sent comes back in a text of the API: not in errors, events or notes. The API's own words stay."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from learnosity.api.dataset_request import KNOWN_TYPES, DatasetRequest
from learnosity.api.jobs import parse_job
from learnosity.api.message_redaction import wording
from learnosity.api.replies import parse_reply
from learnosity.errors import ApiError
from learnosity.inputs.records import schema_for
from simulator.errors import ERRORS

UUID = "7c1dd6a0-95c6-4f0d-8a6b-0d5b21c9c7e1"
REQUEST = DatasetRequest(
    dataset_type="made-up-type",
    filters={"activity_id": ["Algebra 2b"], "mintime": "2026-11-05T00:00:00Z", "maxtime": 1795852800},
    options={"fields": ["own_field"], "user_fields": ["own_user_field"], "default_sort_field": "own_sort"},
    groups=[{"key": "campus_x", "label": "Springfield Elementary"}],
    organisation_id=4711,
).body(UUID, 1)
RECORD = {
    "user_id": "grace.hopper@example.org",
    "session_id": ["9d1e6a0c-95c6-4f0d-8a6b-0d5b21c9c7e2"],
    "groups": {"campus_x": "Room Seven", "class": "4b"},
    "birthday": "2015-03-01",
    "phone": "+49 170 1234567",
    "points": 4713,
}
SENT: Mapping[str, Any] = {
    "request": REQUEST,
    "organisation": {"organisation_id": 4711},
    "jobs": {"references": ["job_6f1c_Ünïcode"], "mintime": 1795852801},
    "group": {"group_path": ["Lincoln High", "Müller, Zoë"], "next": "1729854752.211087"},
    "record": RECORD,
}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each value in `value` with its path, and each key that is not documented."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from leaves(child, f"{path}.{key}")
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from leaves(child, f"{path}[{number}]")
    elif not isinstance(value, bool):
        yield path, str(value)


FIELDS = {path: value for path, value in leaves(SENT) if not path.endswith("file_count")}
SAYINGS: dict[str, Callable[[str, str], str]] = {
    "in quotes": lambda field, value: f"Invalid parameter value: '{value}' is not a valid {field}",
    "in double quotes": lambda field, value: f'The {field} "{value}" does not exist.',
    "in backticks": lambda field, value: f"The {field} `{value}` does not exist.",
    "bare": lambda field, value: f"Invalid {field} {value} in line 3",
    "at the begin": lambda field, value: f"{value} is not a valid {field}",
    "after a stop": lambda field, value: f"Not found. {value} does not exist",
    "after a colon": lambda field, value: f"{field}: {value}",
    "after an equals sign": lambda field, value: f"{field}={value}; line 3",
    "JSON": lambda field, value: f"Line 3 is invalid: {json.dumps({field: value})}",
    "JSON in ASCII in JSON": lambda field, value: json.dumps(json.dumps({field: [value]})),
    "Python": lambda field, value: f"unknown {field}: {[value]!r}",
    "URL": lambda field, value: f"cannot read https://host.example/{field}/{quote(value)}?q={quote(value)}",
    "in brackets": lambda field, value: f"user ({value}) has no sessions",
    "in a list": lambda field, value: f"users a, {value}, b have no sessions",
    "in capitals": lambda field, value: f"INVALID {field.upper()} {value.upper()}",
}


def parts(value: str) -> list[str]:
    """What must not show of a value: all of it, and each of its words that could name somebody."""
    words = [word for word in value.replace(",", " ").split() if len(word) > 3]
    return [value, *words]


def raised(text: str, sent: Any) -> str:
    body = json.dumps({"meta": {"status": False, "code": 20004, "message": text, "request_uuid": text[:64]}}).encode()
    with pytest.raises(ApiError) as caught:
        parse_reply(400, body, sent=sent)
    return str(caught.value)


@pytest.mark.parametrize("saying", SAYINGS.values(), ids=SAYINGS)
@pytest.mark.parametrize("path", FIELDS)
@pytest.mark.promise("no secret")
def test_no_value_of_any_field_comes_back(path: str, saying: Callable[[str, str], str]) -> None:
    value = FIELDS[path]
    field = path.rpartition(".")[2].partition("[")[0]
    text = saying(field, value)
    # For the errors of a request, it is known what was sent, so these values can be looked for. For the errors of a job
    # it is not known. A value must be hidden in both cases.
    halted = {"reference": "r", "status": "halted"}
    told = [
        wording(text),
        raised(text, None),
        raised(text, SENT["request"]),
        *(
            f"{job.status} {job.error}"
            for job in map(
                parse_job,
                (
                    {**halted, "error": text},
                    {**halted, "error": {"message": text, field: value, value: 1}},
                    {**halted, "status": value},
                ),
            )
        ),
    ]
    for each in told:
        for part in parts(value):
            assert part.lower() not in each.lower()


def test_the_table_has_each_field_that_is_sent() -> None:
    fields = {path.rpartition(".")[2].partition("[")[0] for path in FIELDS} | {"file_count"}
    everything = {"filters": {"activity_id": ["a"]}, "groups": [{"key": "a", "label": "b"}]}
    for kind in KNOWN_TYPES:
        body = DatasetRequest.from_mapping({"dataset_type": kind, "organisation_id": 1, **everything}).body(UUID, 1)
        assert {path.rpartition(".")[2].partition("[")[0] for path, _ in leaves(body)} <= fields
        assert schema_for(kind) is not None
    assert {"user_id", "session_id", "references", "group_path", "next"} <= fields


@given(value=st.text(min_size=1, max_size=40))
@example("Jean-Luc O'Neill")
@example("no such user")
@example("Ümit")
@example("42")
def test_no_value_of_the_request_comes_back_even_if_it_is_of_usual_words(value: str) -> None:
    request = {"groups": [{"key": value, "label": "x"}], "filters": {"activity_id": [value]}}
    told = wording(f'Group "{value}" not found; {value}', request)
    assert set(re.findall(r"\w+", told)) <= {"Group", "not", "found"}


@given(st.text(max_size=3000))
def test_any_text_can_be_told_in_one_piece_of_bounded_length(text: str) -> None:
    assert len(wording(text)) <= 2 * 2000
    assert wording(wording(text)) is not None


@pytest.mark.parametrize("message", sorted({message for _, message in ERRORS.values()}))
def test_the_messages_of_the_api_stay(message: str) -> None:
    assert wording(message) == message


@pytest.mark.parametrize(
    "text",
    [
        "Too many requests",
        "Invalid parameter value: filters.mintime is after filters.maxtime",
        "file_count must be between 0 and 100",
        "filters.activity_id holds more than 10 values",
        "line 3 is no record: user_id is missing",
        "No sessions were found",
        "Unrecognised dataset_type",
        "options.fields: mean_score",
        "The dataset isn't ready; try again in 5 seconds.",
        "activity-summary-by-group needs at least one input file",
        "JSON failed schema validation",
    ],
)
def test_words_documented_names_and_counts_stay(text: str) -> None:
    assert wording(text) == text


QUOTES = [
    *('""', "''", "``", "\u00b4\u00b4", "\uff02\uff02", "\u201c\u201d", "\u201d\u201d", "\u201e\u201c", "\u201e\u201d"),
    *("\u00ab\u00bb", "\u00bb\u00ab", "\u2039\u203a", "\u203a\u2039", "\u300c\u300d", "\u300e\u300f"),
    *("\u2018\u2019", "\u2019\u2019", "\u201a\u2018", "\u201a\u2019"),
]


@pytest.mark.parametrize("quotes", QUOTES)
@pytest.mark.parametrize("value", ["no group", "reading", "page 7", "u17", "user\u2019s group", "user's group"])
def test_what_is_quoted_is_hidden_whatever_the_quotes_and_the_words(quotes: str, value: str) -> None:
    before, after = quotes[0], quotes[1]
    if before == after and before in value:
        return  # the text does not tell where the value ends
    assert wording(f"The group {before}{value}{after} was not found.") == "The group … was not found."
    assert wording(f"Not found: {before}{value}{after}") == "Not found: …"
    assert wording(f"{before}user_id{after} is missing") == f"{before}user_id{after} is missing"


@pytest.mark.parametrize(
    "text",
    [
        "The dataset isn\u2019t ready, and the user\u2019s groups aren\u2019t valid",
        "The dataset isn't ready, or doesn't exist",
        "The dataset isn\u00b4t ready, and the user\u00b4s groups aren\u00b4t valid",
    ],
)
def test_an_apostrophe_is_no_quote(text: str) -> None:
    assert wording(text) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("The limit of 5\u201d is not \u201cno group\u201d", "The limit of …\u201d is not …"),
        ("Column\u00b4s value 'page\u00b4s group' is not valid", "Column\u00b4s value … is not valid"),
        ("isn\u00b4t \u201cthe students\u00b4 group\u201d", "isn\u00b4t …"),
        ('The user\u00b4s group "all students\u00b4 group" is unknown', "The user\u00b4s group … is unknown"),
        ("user \u00b4student\u00b4s page\u00b4 is unknown", "user …s page\u00b4 is unknown"),
        ("the group\uff02all students\uff02 is unknown", "the group… is unknown"),
        ("user Grace has no sessions", "user … has no sessions"),
        ("user grace has no sessions", "user … has no sessions"),
        ("user 4711 has no sessions", "user … has no sessions"),
        ("Invalid value 'u1' for user_id", "Invalid value … for user_id"),
        ("group 'No School' is empty", "group … is empty"),
        ("", ""),
        ({"code": 50100, "message": "line 3 is no record"}, "{code: 50100, message: line 3 is no record}"),
        (["u1", "u2", None, True], "[…, …, null, true]"),
        (12345, "…"),
    ],
)
def test_samples(text: Any, told: str) -> None:
    assert wording(text) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Duplicate student in line 3: 4711", "Duplicate student in line 3: …"),
        ("code 41003, 123456789", "code 41003, …"),
        ("Expected at least 5. 987654321 is unknown", "Expected at least 5. … is unknown"),
        ("line 3 4711", "line 3 …"),
        ("line 3 (4711)", "line 3 (…)"),
        ("line: 4711", "line: …"),
        ("line … 4711", "line …"),
        ("status 400; 4711", "status 400; …"),
        ("line 3 is wrong, and 4711 is unknown", "line 3 is wrong, and … is unknown"),
        ("line 3, and 4711", "line 3, and …"),
        ("student 4711, rows are missing", "student …, rows are missing"),
        ("at least 5 students: 4711, 4712 and 4713", "at least 5 students: … and …"),
        ("between 1 and 10 and 4711 user", "between 1 and 10 and … user"),
        ("between 1 and 10 users", "between 1 and 10 users"),
        ("at least 0.5 seconds", "at least 0.5 seconds"),
        ("after 7 bytes", "after 7 bytes"),
        ("line 3, column 5", "line 3, column 5"),
    ],
)
def test_only_a_number_right_beside_its_word_is_shown(text: str, told: str) -> None:
    assert wording(text) == told


@pytest.mark.parametrize("mark", [":", ";", " (", ",", ":\n", "        ", "; (", " - "])
def test_a_name_after_a_mark_that_ends_no_sentence_is_hidden(mark: str) -> None:
    assert "Page" not in wording(f"Unknown student{mark} Page")
    assert "Page" not in wording(f"Unknown student{mark} Page is missing")


@pytest.mark.parametrize(
    "text",
    [
        "JSON failed schema validation: Invalid value",
        "Not found. Check the host",
        "Not found. (Check the host)",
        "Is it so? Check the host! No data",
        "(Not found)",
    ],
)
def test_a_word_that_begins_a_sentence_stays(text: str) -> None:
    assert wording(text) == text


@pytest.mark.parametrize("length", [1990, 1999, 2000, 2001, 2500])
def test_a_quoted_value_is_hidden_where_a_long_text_is_cut(length: int) -> None:
    begin = "user " * 400
    assert "school" not in wording(f'{begin[: length - 10]} "no school no school no school"')
    assert "hunter" not in wording(f'{begin[: length - 10]} password="hunter in line"')


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Invalid request (Unknown field)", "Invalid request (Unknown field)"),
        ("HTTP 404: Not Found", "HTTP 404: Not …"),
        ("Unknown student: Must", "Unknown student: …"),
        ("Unknown user: No Page", "Unknown user: …"),
        ("Invalid user (Page)", "Invalid user (…)"),
        ("Not found: (Page)", "Not found: (…)"),
    ],
)
def test_behind_a_bracket_only_words_that_name_nobody_are_shown(text: str, told: str) -> None:
    assert wording(text) == told
