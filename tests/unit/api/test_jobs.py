"""Jobs as the API tells of them, and the rhythm of looking."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.api.jobs import MAX_PAGES, Job, listed, parse_job, read_jobs, started_job
from learnosity.api.poll_intervals import MAX_POLL_SECONDS, MIN_POLL_SECONDS, poll_delay
from learnosity.api.replies import Reply, parse_reply
from learnosity.errors import AuthenticationError, PermanentApiError, UnexpectedReplyError, WrongAddressError

REFERENCE = "9fd443d0-2b4f-4315-aec6-708da3d30d49"


def job(**properties: Any) -> Job:
    return parse_job({"reference": REFERENCE, "status": "running", **properties})


def test_the_documented_record_is_read() -> None:
    found = job(
        type="manualresponseupdate",
        status="completed",
        dt_created="2015-04-24 01:30:02",
        dt_completed="2015-04-24 01:30:03",
    )
    assert (found.reference, found.status, found.error) == (REFERENCE, "completed", None)
    assert (found.dt_created, found.dt_completed) == ("2015-04-24 01:30:02", "2015-04-24 01:30:03")


@pytest.mark.parametrize(
    ("status", "terminal"),
    [
        ("queued", False),
        ("running", False),
        ("completed", True),
        ("halted", True),
        ("paused", False),
        ("failed", False),
    ],
)
def test_completed_and_halted_are_the_only_ends(status: str, terminal: bool) -> None:
    found = job(status=status)
    assert found.is_terminal == terminal
    assert (found.is_completed, found.is_halted) == (status == "completed", status == "halted")
    assert job(status=f" {status.upper()} ") == found


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (None, None),
        ("", None),
        ("Bad line 3", "Bad line 3"),
        ({"code": 50100, "message": "Bad"}, "{code: 50100, message: Bad}"),
        (["a", 1], "[a, …]"),
        (17, "…"),
        (False, "false"),
    ],
)
def test_an_error_is_text_whatever_its_shape(error: Any, text: str | None) -> None:
    assert job(error=error).error == text


def test_an_error_that_quotes_a_signed_url_loses_its_query_and_an_endless_one_its_end() -> None:
    url = "https://b.s3.amazonaws.com/x.ndjson?AWSAccessKeyId=K&Signature=S%2B"
    for error in (f"cannot read {url}", {"message": f"cannot read {url}"}):
        shown = job(error=error).error
        assert shown is not None
        assert "Signature" not in shown
        assert "cannot read …" in shown
    assert len(job(error="x" * 1_000_000).error or "") < 10_000


@pytest.mark.parametrize("missing", [{}, {"dt_completed": None}, {"dt_completed": 17}])
def test_a_running_job_has_no_end_whether_null_or_absent(missing: dict[str, Any]) -> None:
    assert job(**missing).dt_completed is None


@pytest.mark.parametrize(
    "record",
    [None, "x", [], {}, {"status": "running"}, {"reference": "", "status": "running"}, {"jobs": [{"reference": "r"}]},
     {"reference": True, "status": "running"}, {"reference": None}, {"reference": ["r"]}],
)  # fmt: skip
def test_a_record_without_a_reference_is_an_error_and_not_no_job(record: Any) -> None:
    with pytest.raises(UnexpectedReplyError, match="a record without a reference"):
        parse_job(record)


@pytest.mark.parametrize(
    "status",
    [
        None,
        "",
        " ",
        3,
        [],
        [None],
        ["completed", "running"],
        [["completed"]],
        {"completed": True},
        {"name": "completed"},
    ],
)
@pytest.mark.parametrize("reference", [{"reference": "17"}, {"reference": 17}, {"job_reference": "17"}])
def test_a_job_without_a_readable_status_counts_as_running(status: Any, reference: dict[str, Any]) -> None:
    for record in (reference, {**reference, "status": status}):
        found = parse_job(record)
        assert found.reference == "17"
        assert not found.is_terminal


RECORD = {"reference": "17"}


@pytest.mark.parametrize("records", [..., None, 0, 1, 2, 49, 50, 51, "0", "2", "many", -1, True], ids=repr)
@pytest.mark.parametrize("data", [..., None, [], [RECORD], [RECORD] * 2, [RECORD] * 50, RECORD], ids=str)
def test_a_list_of_jobs_is_whole_or_an_error(records: Any, data: Any) -> None:
    """An empty list means that there is no job, and then one is started. So a list that is not there is not empty."""
    meta = {"status": True} | ({} if records is ... else {"records": records})
    reply = parse_reply(200, json.dumps({"meta": meta} | ({} if data is ... else {"data": data})).encode())
    there = data if isinstance(data, list) else [] if data in (..., None) else [data]
    said = int(records) if str(records).isdigit() and records is not True else None
    absent = data in (..., None) and said != 0
    if absent or (said is not None and said > len(there) and len(there) < 50):
        with pytest.raises(UnexpectedReplyError, match="whether a job runs is not known"):
            listed(reply, 50)
    else:
        assert listed(reply, 50) == there


Page = tuple[Sequence[str], Mapping[str, Any]]
"""The references of a page, and what its `meta` has."""


async def read(*pages: Page, references: Sequence[str] = ()) -> tuple[list[str], list[Any]]:
    """The jobs of a list in pages, and the cursors that were sent."""
    sent: list[Any] = []

    async def ask(request: Mapping[str, Any]) -> Reply:
        sent.append(request.get("next"))
        assert request.get("references", []) == list(references)
        listing, meta = pages[len(sent) - 1]
        return Reply({"status": True, **meta}, [{"reference": each, "status": "running"} for each in listing])

    request = {"limit": 50} | ({"references": list(references)} if references else {})
    return [job.reference for job in await read_jobs(ask, request)], sent


class TestPages:
    """Nothing says that a list of jobs has pages. If it has, a job on a later page must not count as not listed."""

    @pytest.mark.parametrize("end", [{}, {"next": None}, {"next": ""}, {"next": []}, {"has_more": False}], ids=repr)
    @pytest.mark.parametrize("references", [(), ("d", "x")])
    async def test_are_read_to_the_last(self, references: Sequence[str], end: dict[str, Any]) -> None:
        pages: list[Page] = [(["a", "b"], {"next": "1", "records": 2, "has_more": True}), (["c"], {"next": 2})]
        assert await read(*pages, (["d"], end), references=references) == (["a", "b", "c", "d"], [None, "1", "2"])

    @pytest.mark.parametrize("references", [(), ("x",)])
    @pytest.mark.parametrize("first", [[], ["a"]], ids=["empty", "a job"])
    async def test_may_end_with_an_empty_one_that_has_a_cursor(
        self, first: list[str], references: Sequence[str]
    ) -> None:
        found = await read((first, {"next": "1"}), ([], {"next": "1"}), references=references)
        assert found == (first, [None, "1"])

    async def test_are_read_until_all_jobs_that_were_asked_for_are_there(self) -> None:
        pages: list[Page] = [(["a", "b"], {"next": "1"}), (["C", "d"], {"next": "2", "has_more": True})]
        assert await read(*pages, references=("a", "c")) == (["a", "b", "C", "d"], [None, "1"])

    async def test_of_all_jobs_are_read_until_as_many_are_there_as_one_reply_may_have(self) -> None:
        pages: list[Page] = [([f"{page}-{n}" for n in range(20)], {"next": str(page)}) for page in range(9)]
        assert len((await read(*pages))[0]) == 60
        whole = [str(n) for n in range(50)]
        assert await read((whole, {"next": "1", "has_more": True, "records": 1234})) == (whole, [None])

    @pytest.mark.parametrize("references", [(), ("x",)])
    @pytest.mark.parametrize(
        "pages",
        [
            pytest.param([(["a"], {"has_more": True})], id="more, and no cursor"),
            pytest.param([([], {"has_more": True})], id="none, and more"),
            pytest.param([(["a"], {"next": "1"}), ([], {"next": "2", "has_more": True})], id="an empty page, and more"),
            pytest.param([(["a"], {"next": "1"}), (["b"], {"next": "1"})], id="a cursor twice"),
            pytest.param([([*"abcde"], {"next": "1"}), ([*"abcde"], {"next": "2"})], id="the same page twice"),
            pytest.param(
                [(["a"], {"next": "1"}), (["b"], {"next": "2"}), (["b"], {"next": "3"})], id="the last page twice"
            ),
            pytest.param([(["a"], {"next": "1"}), (["b"], {"records": 3})], id="fewer than it says"),
            pytest.param([([str(n)], {"next": str(n)}) for n in range(MAX_PAGES + 1)], id="too many"),
        ],
    )
    async def test_that_are_not_whole_are_an_error(self, pages: list[Page], references: Sequence[str]) -> None:
        with pytest.raises(UnexpectedReplyError, match="whether a job runs is not known"):
            await read(*pages, references=references)


@pytest.mark.parametrize("records", [..., None, 0, "0", 1, 2], ids=repr)
@pytest.mark.parametrize("data", [{}, False, "", []], ids=repr)
def test_whatever_is_empty_is_a_list_without_jobs_if_the_reply_says_that_it_has_none(data: Any, records: Any) -> None:
    """PHP writes an empty list as an object or as false."""
    reply = Reply({"status": True} | ({} if records is ... else {"records": records}), data)
    if str(records) == "0" or (data == [] and records in (..., None)):
        assert listed(reply, 50) == []
    else:
        with pytest.raises(UnexpectedReplyError):
            [parse_job(each) for each in listed(reply, 50)]


@pytest.mark.parametrize("records", [2, 50, 1234])
async def test_a_count_of_more_jobs_than_were_asked_for_is_no_error_if_these_are_listed(records: int) -> None:
    """It may count the jobs of the account."""
    assert await read((["A"], {"records": records}), references=["a"]) == (["A"], [None])
    for references in ([], ["a", "b"]):
        with pytest.raises(UnexpectedReplyError, match=f"it has {records} records, and has 1"):
            await read((["a"], {"records": records}), references=references)


@pytest.mark.parametrize("value", ["a-job", 17])
@pytest.mark.parametrize("key", ["job_reference", "reference"])
@pytest.mark.parametrize(
    "more", [{}, {"status": "queued", "dataset_id": "a-dataset"}, {"job_reference": None}], ids=repr
)
def test_the_reply_to_starting_a_job_may_be_its_record(more: dict[str, Any], key: str, value: Any) -> None:
    for data in ({**more, key: value}, [{**more, key: value}]):
        assert started_job(Reply({"status": True}, data), "a-dataset") == str(value)


def test_the_documented_key_counts_first_wherever_it_stands() -> None:
    data = {"reference": "another", "job": {"job_reference": "a-job"}}
    assert started_job(Reply({"status": True}, data), "a-dataset") == "a-job"


@pytest.mark.parametrize(
    "data",
    [None, [], {}, "a-job", ["a-job"], {"reference": None}, {"reference": ""}, {"reference": True},
     {"reference": ["r"]},
     {"reference": "A-Dataset"}, {"item": {"reference": "r"}}, [{"reference": "a"}, {"reference": "b"}]],
    ids=repr,
)  # fmt: skip
def test_a_reply_to_starting_a_job_that_names_no_job_for_certain_is_an_error(data: Any) -> None:
    with pytest.raises(UnexpectedReplyError, match="no `job_reference`"):
        started_job(Reply({"status": True}, data), "a-dataset")


@pytest.mark.parametrize("status", ["queued", "completed", "halted", " Completed "])
def test_a_status_in_a_list_of_one_is_that_status(status: str) -> None:
    assert parse_job({"reference": "17", "status": [status]}) == parse_job({"reference": "17", "status": status})


@pytest.mark.parametrize(
    "statuses", [["completed", "running"], ["running", "completed"], ["queued", "halted", "queued"]]
)
@pytest.mark.parametrize("pages", [True, False])
async def test_of_several_records_of_a_job_the_one_that_has_ended_counts(statuses: list[str], pages: bool) -> None:
    records = [{"reference": each, "status": status} for status, each in zip(statuses, ("a", "A", "a"), strict=False)]
    rest = [[each] for each in records] if pages else [records]
    number = len(rest)

    async def ask(request: Mapping[str, Any]) -> Reply:
        page = rest.pop(0)
        return Reply({"next": len(rest)}, [*page, {"reference": f"b{len(rest)}"}])

    jobs = await read_jobs(ask, {"limit": 50})
    assert len(jobs) == len(records) + number, "a full list must stay a full one"
    assert {job.is_terminal for job in jobs if job.is_named("a")} == {True}


@pytest.mark.parametrize("ended", [None, "", 17, "soon", "0000-00-00 00:00:00", "2026-01-01 00:00:09", "2026-01-01"])
@pytest.mark.parametrize("status", ["queued", "running", "completed", "halted", None, "failed", "complete", "Ada"])
def test_only_a_job_with_another_status_and_a_time_of_its_end_has_ended_oddly(status: Any, ended: Any) -> None:
    odd = status in ("failed", "complete", "Ada") and str(ended).startswith("2026")
    assert job(status=status, dt_completed=ended).has_odd_end is odd


@pytest.mark.parametrize(
    "ended",
    [
        *("1970-01-01 00:00:00", "0001-01-01 00:00:00", "1999-12-31", "2026-01-01 00:00:00", "2025-12-31 23:59:59"),
        (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        (datetime.now() + timedelta(days=2)).isoformat(),
    ],
)
def test_a_time_before_the_job_began_or_in_the_future_is_no_end(ended: str) -> None:
    assert not job(status="finishing", dt_created="2026-01-01 00:00:00", dt_completed=ended).has_odd_end


@pytest.mark.parametrize("cursor", ["CUR", "0", 50, True])
@pytest.mark.parametrize("number", [1, 7, 49])
@pytest.mark.parametrize("refuses", [True, False])
async def test_a_cursor_that_the_api_sends_with_each_list_and_cannot_read_changes_nothing(
    cursor: Any, number: int, refuses: bool
) -> None:
    asked = list[Mapping[str, Any]]()

    async def ask(request: Mapping[str, Any]) -> Reply:
        asked.append(request)
        if refuses and "next" in request:
            raise PermanentApiError("unknown field", code=20009)
        return Reply({"next": cursor}, [{"reference": f"r{each}"} for each in range(number)])

    assert [each.reference for each in await read_jobs(ask, {"limit": 50})] == [f"r{each}" for each in range(number)]
    assert len(asked) == (1 if cursor is True else 2)


@pytest.mark.parametrize(
    ("first", "error"),
    [
        ({"next": "C", "has_more": True}, PermanentApiError("unknown field", code=20009)),
        ({"next": "C", "records": 12}, PermanentApiError("unknown field", code=20009)),
        ({"next": "C"}, AuthenticationError("no rights", code=41002)),
        ({"next": "C"}, WrongAddressError("a page")),
        ({"next": "C"}, PermanentApiError("no such endpoint", code=20012)),
        ({"next": "C"}, UnexpectedReplyError("not JSON")),
    ],
    ids=repr,
)
async def test_a_second_page_that_fails_otherwise_is_an_error(first: dict[str, Any], error: Exception) -> None:
    async def ask(request: Mapping[str, Any]) -> Reply:
        if "next" in request:
            raise error
        return Reply(first, [{"reference": f"r{each}"} for each in range(7)])

    with pytest.raises(type(error)):
        await read_jobs(ask, {"limit": 50})


async def test_a_last_page_may_show_a_job_again() -> None:
    pages = [Reply({"next": "C"}, [{"reference": each} for each in "abcde"]), Reply({}, [{"reference": "e"}])]

    async def ask(request: Mapping[str, Any]) -> Reply:
        return pages.pop(0)

    assert [job.reference for job in await read_jobs(ask, {"limit": 50})] == [*"abcdee"]


async def test_a_page_with_a_part_of_the_first_one_and_a_cursor_is_an_error() -> None:
    pages = [Reply({"next": "C"}, [{"reference": each} for each in "abc"]), Reply({"next": "D"}, [{"reference": "c"}])]

    async def ask(request: Mapping[str, Any]) -> Reply:
        return pages.pop(0)

    with pytest.raises(UnexpectedReplyError, match="same page twice"):
        await read_jobs(ask, {"limit": 50})


@pytest.mark.parametrize("number", [0, 5, 20, 25])
async def test_a_flag_instead_of_a_cursor_may_say_that_there_is_more(number: int) -> None:
    async def ask(request: Mapping[str, Any]) -> Reply:
        return Reply({"next": True}, [{"reference": f"r{each}"} for each in range(number)])

    with pytest.raises(UnexpectedReplyError, match="not how to get them"):
        await read_jobs(ask, {"limit": 50})


@pytest.mark.parametrize("number", [5, 10, 20, 25])
async def test_a_list_that_may_be_cut_at_the_size_of_a_page_is_not_the_whole(number: int) -> None:
    async def ask(request: Mapping[str, Any]) -> Reply:
        return Reply({"next": "CUR"}, [{"reference": f"r{each}"} for each in range(number)])

    with pytest.raises(UnexpectedReplyError, match="same page twice"):
        await read_jobs(ask, {"limit": 50})


@pytest.mark.parametrize("depth", [19, 25, 300, 450, 600, 900])
@pytest.mark.parametrize("key", ["error", "results"])
@pytest.mark.parametrize("brackets", ["[]", ('{"message":', "}")], ids=["lists", "objects"])
def test_a_deep_record_is_read_like_any_other(depth: int, key: str, brackets: Sequence[str]) -> None:
    value = brackets[0] * depth + '"secret"' + brackets[1] * depth
    found = parse_job(json.loads(f'{{"reference": "r", "status": "halted", "{key}": {value}}}'))
    assert found.is_halted
    assert "secret" not in (found.error or "")
    assert len(found.error or "") < 1000


@pytest.mark.parametrize(
    "where", [{"data": {"dataset_id": "ABC-1"}}, {"results": ["x/abc-1/y"]}, {"abc-1": None}, {"error": "in abc-1"}]
)
def test_a_dataset_is_recognised_wherever_the_record_names_it(where: dict[str, Any]) -> None:
    assert job(**where).mentions("abc-1")
    assert not job(**where).mentions("abc-2")


def test_neither_reference_nor_status_counts_as_naming_a_dataset() -> None:
    assert not job().mentions(REFERENCE)
    assert not job().mentions("running")


@given(st.integers(-5, 10**6), st.floats(allow_nan=False))
def test_the_wait_stays_between_a_second_and_a_minute_and_below_what_was_asked(turn: int, interval: float) -> None:
    ceiling = min(max(interval, 1.0), MAX_POLL_SECONDS)
    delay = poll_delay(turn, interval)
    assert min(MIN_POLL_SECONDS, ceiling) * 0.9 <= delay <= ceiling * 1.1


def test_the_wait_grows_by_half_a_round_up_to_its_bound() -> None:
    middles = [sum(poll_delay(turn, 60) for _ in range(400)) / 400 for turn in range(9)]
    expected = [min(60.0, 5 * 1.5**turn) for turn in range(9)]
    assert middles == pytest.approx(expected, rel=0.03)
