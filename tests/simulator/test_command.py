"""The two commands: the server as a process of its own, and the writer of input files."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import requests

from simulator.population import group_counts, records, write_population
from simulator.validation import DATASET_TYPES

ROOT = Path(__file__).parents[2]


def run(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_server_says_where_it_listens_and_stops_cleanly(tmp_path: Path, stop: signal.Signals) -> None:
    ready, config = tmp_path / "ready.json", tmp_path / "config.json"
    rule = {"match": "get jobs", "kind": "reset"}
    config.write_text(json.dumps({"config": {"results_shape": "urls"}, "faults": [rule]}))
    with run("simulator", "--ready-file", str(ready), "--config", str(config), "--job-seconds", "0.1") as process:
        assert process.stdout is not None
        line = json.loads(process.stdout.readline())
        assert line["pid"] == process.pid
        assert requests.get(line["url"] + "/healthz", timeout=10).json() == {"ok": True}
        faults = requests.get(line["url"] + "/_control/faults", timeout=10).json()
        assert [each["kind"] for each in faults] == ["reset"]
        process.send_signal(stop)
        assert process.wait(timeout=20) == 0
        assert process.stdout.read() == ""
    assert json.loads(ready.read_text()) == line


def test_a_wrong_configuration_is_told_and_nothing_is_served(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"config": {"colour": "blue"}}')
    with run("simulator", "--config", str(config)) as process:
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "colour" in output


def test_twenty_thousand_users_make_ten_districts_hundred_schools_thousand_classes() -> None:
    assert group_counts(20_000, 3) == [10, 100, 1000]
    groups = [record["groups"] for record in records(20_000)]
    assert [len({group[level] for group in groups}) for level in ("district", "school", "class")] == [10, 100, 1000]


@pytest.mark.parametrize("users", [1, 7, 150, 999, 4321])
@pytest.mark.parametrize("levels", [("a",), ("a", "b", "c", "d")])
def test_no_group_lies_in_two_parents(users: int, levels: tuple[str, ...]) -> None:
    parents: dict[tuple[str, str], str] = {}
    for record in records(users, levels=levels):
        for upper, lower in pairwise(levels):
            parent, child = record["groups"][upper], record["groups"][lower]
            assert parents.setdefault((lower, child), parent) == parent


@pytest.mark.parametrize("dataset_type", DATASET_TYPES)
def test_the_same_seed_writes_the_same_file(tmp_path: Path, dataset_type: str) -> None:
    one, two, other = (tmp_path / name for name in ("one.ndjson.gz", "two.ndjson.gz", "other.ndjson"))
    lines = write_population(one, 50, dataset_type)
    write_population(two, 50, dataset_type)
    write_population(other, 50, dataset_type, seed=2)
    assert one.read_bytes() == two.read_bytes()
    plain = gzip.decompress(one.read_bytes())
    assert plain != other.read_bytes()
    assert len([json.loads(line) for line in plain.splitlines()]) == lines


def test_nothing_is_left_of_a_file_that_could_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sessions"):
        write_population(tmp_path / "x.ndjson", 5, sessions_per_user=51)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_the_file_it_is_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "users.ndjson"
    with run("simulator.population", "--users", "30", "--levels", "region,site", str(out)) as process:
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    assert json.loads(out.read_text().splitlines()[0])["groups"].keys() == {"region", "site"}
