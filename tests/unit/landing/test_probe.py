"""The report about an account says what kinds of files a dataset has, and never how they are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.api.client import LearnosityClient
from learnosity.api.replies import Reply
from learnosity.errors import LearnosityError, PermanentError, TransientError
from learnosity.landing.probe import probe

ID = "a951cc14-0316-4c12-bb13-1f386338a094"


class FakeClient:
    config = SimpleNamespace(base_url="https://data.learnosity.com", version="v1", results=None)

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    async def check(self) -> str:
        return "v1"

    async def server_time(self) -> None:
        return None

    async def job_records(self) -> list[Any]:
        return []

    async def dataset(self, dataset_type: str, dataset_id: str) -> Reply:
        url = f"https://bucket.example/{ID}/file?Signature=1&n="
        files = [{"name": name, "url": f"{url}{number}"} for number, name in enumerate(self.names)]
        return Reply({"status": True}, {"files": files})


async def report(*names: str) -> str:
    return "\n".join([line async for line in probe(cast(LearnosityClient, FakeClient(names)), ["t"], ID)])


async def test_known_endings_are_counted_and_others_are_not_told() -> None:
    said = await report("a.json", "b/c.JSON", "d.csv", "e.gz", "Anna Schmidt", "grade.Müller", "json", "f.", ".csv")
    assert "a list of 9 files (1 csv, 1 gz, 2 json, 5 other; 0 with a size)" in said


async def test_files_of_one_name_and_a_reply_that_is_not_understood_are_told_with_what_to_declare(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "2 json; 0 with a size); this is the only page\n" in await report("a.json", "b.json")
    assert "only 1 names, declare `name` in the extra `results`" in await report("a.json", "a.json")
    monkeypatch.setattr(FakeClient, "dataset", AsyncMock(return_value=Reply({"status": True}, {"x": 1})))
    assert "declare where the files stand in the extra `results`" in await report()


async def test_what_stands_beside_the_data_is_read_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    names = FakeClient(["a.json"])
    for beside, headers, told in (
        ({"next": "Schmidt"}, {}, "there are further pages"),
        ({"has_more": True}, {}, "not understood: it says by `has_more` that there is more"),
        ({}, {":status": "206"}, "not understood: its HTTP status 206 says that it is a part"),
    ):
        reply = replace(await names.dataset("t", ID), beside=beside, headers=headers)
        monkeypatch.setattr(FakeClient, "dataset", AsyncMock(return_value=reply))
        said = await report()
        monkeypatch.undo()
        assert told in said
        assert all(f'"{key}": ' in said for key in beside)
        assert "Schmidt" not in said


@pytest.mark.parametrize("name", ["../Schmidt.json", "Schmidt\n.json", "Schmidt/../x", "/Schmidt.json"])
async def test_a_name_that_is_no_path_is_not_quoted(name: str) -> None:
    said = await report("a.json", name)
    assert "Schmidt" not in said
    assert "a name that cannot be used as a path" in said


@pytest.mark.parametrize("call", ["check", "server_time", "job_records"])
@pytest.mark.parametrize("error", [PermanentError("refused"), TransientError("503")])
async def test_a_first_call_that_fails_is_told_and_keeps_its_error(
    monkeypatch: pytest.MonkeyPatch, call: str, error: LearnosityError
) -> None:
    async def fails(self: FakeClient) -> None:
        raise error

    monkeypatch.setattr(FakeClient, call, fails)
    said = []
    with pytest.raises(LearnosityError) as caught:
        async for line in probe(cast(LearnosityClient, FakeClient([])), ["t"], ID):
            said.append(line)
    assert caught.value is error
    assert said[-1] == f"Stopped: a first call failed. {error}"


@given(st.lists(st.text("aZäß. /-_", min_size=1, max_size=8).map(lambda name: f"{name}.Schmidt{name}"), max_size=3))
async def test_no_part_of_a_name_is_told(names: list[str]) -> None:
    assert "Schmidt" not in await report("x.json", *names)
