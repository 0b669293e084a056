"""Each claim that was not so is settled by a test that exists, or by a sentence that stands where it is looked for."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from learnosity.api.defaults import CALL_ATTEMPTS
from learnosity.dataset.limits import MAX_SHARDS
from learnosity.inputs.lines import MAX_LINE_BYTES
from learnosity.inputs.records import MAX_SESSIONS_PER_USER, MAX_USERS
from learnosity.inputs.spool import MAX_INPUT_BYTES
from tests.unit.audited import CLAIMS

REPOSITORY = Path(__file__).resolve().parents[2]
OPERATIONS = (REPOSITORY / "docs" / "operations.md").read_text()


def test_all_are_there() -> None:
    numbers = [name[1:] for name in CLAIMS if name[0] != "D"]
    assert numbers == [str(number) for number in range(1, 43)]
    assert [name for name in CLAIMS if name[0] == "D"] == [f"D{number}" for number in range(1, 11)]


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_is_settled(name: str) -> None:
    _, settled = CLAIMS[name]
    for each in settled:
        if "::" in each:
            path, _, test = each.partition("::")
            assert re.search(rf"def {test}\b", (REPOSITORY / "tests" / path).read_text()), each
        else:
            path, _, sentence = each.partition(": ")
            text = " ".join((REPOSITORY / path).read_text().split())
            assert " ".join(sentence.split()) in text, each


def test_the_largest_xcom_has_the_size_that_is_said() -> None:
    shard = {"shard": 1023, "files": 10_000, "plan": "0" * 16, "host": "airflow-worker-5f7c9-x2x9z"}
    size = len(msgspec.json.encode([shard] * MAX_SHARDS))
    assert 80 * MAX_SHARDS < size < 100 * MAX_SHARDS
    assert "about 90 bytes per shard (90 KB at 1,024)" in OPERATIONS


def test_attempts_and_processes_are_those_of_the_code() -> None:
    assert CALL_ATTEMPTS == 6
    quota = (REPOSITORY / "tests" / "unit" / "api" / "test_shared_quota.py").read_text()
    assert '(12, "get", 64)' in quota
    assert "12 processes that could send 9.6 times the quota are refused less than 15 %" in OPERATIONS


def test_the_limits_of_the_input_are_those_of_the_code() -> None:
    assert (MAX_INPUT_BYTES, MAX_LINE_BYTES) == (4 * 1024**3, 1024**2)
    assert (MAX_USERS, MAX_SESSIONS_PER_USER) == (200_000, 50)
