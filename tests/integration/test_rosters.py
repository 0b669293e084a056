"""Rosters on S3 through the whole DAG: every format and packing lands, and what is hostile fails at once.

`make test-rosters`. More files, and each packing by itself, go through the operator alone, which is much faster, in
tests/component/test_rosters.py.
"""

from __future__ import annotations

import hashlib
from typing import Any

import obstore
import pytest

from devstack.errors import ApiError
from devstack.samples import DAG_ID, GROUP_TYPE, group_conf
from devstack.stack import Stack
from tests.integration.scenarios import Control, Runs, landed, manifest_of, published
from tests.roster_files import FORMATS, HOSTILE, PACKINGS, people, written

pytestmark = pytest.mark.slow

ROWS = people(60)
EXPECTED = hashlib.sha256(written("ndjson", ROWS)).hexdigest()
ODD = "users-in-no-group-and-in-several"
REFUSED = (
    "wrong-column", "missing-header", "ragged-row", "half-gzip", "half-parquet", "empty-file", "nul-byte", "huge-cell",
)  # fmt: skip


def parts_of(kind: str) -> dict[str, bytes]:
    """The users in a folder of files, each packed in another way. In CSV, one has a byte order mark and CRLF, too."""
    files = {"_SUCCESS": b""}
    for number, (packing, pack) in enumerate(PACKINGS.items()):
        content = written(kind, ROWS[number * 20 : number * 20 + 20])
        if kind == "csv":
            content = b"\xef\xbb\xbf" + content if number else content.replace(b"\r\n", b"\n")
        files[f"part-{number}.{kind}{packing}"] = pack(content)
    return files


@pytest.fixture(scope="session")
def rosters(stack: Stack) -> Runs:
    """A run for each case, already triggered."""
    runs, store = Runs(stack, timeout=1200), stack.seaweedfs.store("learnosity")

    def start(name: str, files: dict[str, bytes], **more: Any) -> None:
        for file, content in files.items():
            obstore.put(store, f"rosters/{name}/{file}", content)
        runs.start(f"roster-{name}", group_conf(stack.uri(f"rosters/{name}/"), poll_interval=1, **more))

    stack.airflow.api.pause(DAG_ID)
    for kind in FORMATS:
        start(kind, parts_of(kind), require_complete=True)
    odd = [
        *ROWS,
        (ROWS[0][0], "d1", "s1", "another class"),
        ("u-school-alone", "d0", "s0", ""),
        ("u-alone", "", "", ""),
    ]
    start(ODD, {"users.csv": written("csv", odd)}, require_complete=True)
    for name in REFUSED:
        start(name, dict(HOSTILE[name].files()), input_columns=dict(HOSTILE[name].columns))
    stack.airflow.api.unpause(DAG_ID)
    return runs


def manifest(rosters: Runs, name: str) -> dict[str, Any]:
    """The manifest of a run that has to succeed."""
    return manifest_of(rosters.stack, GROUP_TYPE, published(rosters, f"roster-{name}")["dataset_id"])


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.promise("permanent at once")
def test_what_is_hostile_fails_at_once_and_nothing_is_sent(rosters: Runs, name: str) -> None:
    run = f"roster-{name}"
    assert rosters.finish(run).state == "failed"
    task = rosters.tasks(run)["create_dataset"]
    assert task.state == "failed"
    log = rosters.log(run, task)
    for expected in HOSTILE[name].says:
        assert expected.replace("{}", f"s3://learnosity/rosters/{name}/") in log
    assert "Initialising dataset" not in log
    # On a busy machine, Airflow may queue a task again before it has run. So `try_number` may be more than 1. But no
    # earlier try has a log, as a try that failed would have.
    for number in range(1, task.try_number):
        with pytest.raises(ApiError, match="not found"):
            rosters.api.log(DAG_ID, rosters.started[run], task, try_number=number)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_and_packing_lands_whole_from_the_same_upload(
    rosters: Runs, simulator_control: Control, kind: str
) -> None:
    found = manifest(rosters, kind)
    made = simulator_control.made_files(found["dataset_id"])
    assert landed(rosters.stack, GROUP_TYPE, found["dataset_id"]).problems(made) == []
    assert found["input"]["sha256"] == EXPECTED
    assert (found["input"]["files"], found["input"]["users"]) == (len(PACKINGS), len(ROWS))
    assert found["returned"]["population"] == len(ROWS)
    assert found["returned"]["groups"] == {"district": 2, "school": 4, "class": 12}


def test_users_in_no_group_and_in_several_are_in_the_log_and_in_the_manifest(rosters: Runs) -> None:
    found = manifest(rosters, ODD)
    levels = found["input"]["levels"]
    assert [level["users_without_group"] for level in levels] == [1, 1, 2]
    assert [level["users_in_several_groups"] for level in levels] == [1, 1, 1]
    assert (found["input"]["records"], found["input"]["users"]) == (63, 62)
    log = rosters.log(f"roster-{ODD}", rosters.tasks(f"roster-{ODD}")["create_dataset"])
    assert '2 user(s) are in no group of the level "class"' in log
