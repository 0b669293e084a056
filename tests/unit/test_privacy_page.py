"""The commands of docs/privacy.md run: its queries find whom they should, and Airflow knows its commands."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import duckdb
import pytest
from airflow.cli.cli_parser import get_parser

from tests.memory_store import MemoryStore
from tests.unit.retention.scenes import layout_of

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "privacy.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)


BODIES = {
    1: b'{"users": [{"user_id": "u17", "score": 4}]}',
    2: b'{"users": [{"user_id": "u171"}, {"user_id": "xu17"}]}',
    3: b"user_id,score\nu17,4\n",
    4: b'{"users":[{"user_id":"\\u00751\\u0037"}]}',
    5: b"{}",
    6: b"score\n4\n",
}


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        ("u17", {1: (1, 0), 3: (1, 0), 4: (1, 0), 5: (1, 0), 7: (0, 1)}),
        ("jo\u00e3o o'neil/3", {7: (0, 1), 8: (1, 0), 9: (1, 0)}),
        ("nobody", {7: (0, 1)}),
    ],
)
def test_the_query_finds_the_datasets_of_one_person(
    tmp_path: Path, person: str, expected: dict[int, tuple[int, int]]
) -> None:
    store = MemoryStore()
    for number, body in BODIES.items():
        name = "of-u17.json" if number == 5 else "groups/a.csv" if number in (3, 6) else "groups/a.json"
        store.place(layout_of(number).data(name), body)
    store.place(layout_of(7).data("groups/a.json"), gzip.compress(BODIES[1]))
    entry = {"path": "groups/a.json", "bytes": 9, "sha256": "", "content_type": "", "content_encoding": "gzip"}
    store.place(layout_of(7).files, json.dumps(entry).encode() + b"\n")
    store.place(layout_of(8).data("a.json"), json.dumps({"user_id": "jo\u00e3o o'neil/3"}).encode())
    store.place(layout_of(9).data("a.json"), '{"user_id": "jo\u00e3o o\'neil\\/3"}'.encode())
    for path, stored in store.objects.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(stored.content)
    first, second = (
        block.replace("'/data/datasets'", f"'{tmp_path}'").replace("'u17'", "'" + person.replace("'", "''") + "'")
        for block in blocks("sql")
    )
    database = duckdb.connect()
    found = database.execute(first).fetchall()
    assert {row[1]: (row[2], row[3]) for row in found} == {
        layout_of(number).dataset_id: counts for number, counts in expected.items()
    }
    compressed = {row[0] for row in database.execute(second).fetchall()}
    assert compressed == ({layout_of(7).dataset_id} if person == "u17" else set())


WRITTEN: dict[str, Callable[[str], str]] = {
    "JSON": lambda person: json.dumps({"user_id": person}, ensure_ascii=False),
    "JSON in ASCII": lambda person: json.dumps({"user_id": person}),
    "JSON of PHP": lambda person: json.dumps({"user_id": person}).replace("/", "\\/"),
    "JSON in capitals": lambda person: re.sub(
        r"\\u[0-9a-f]{4}", lambda found: "\\u" + found[0][2:].upper(), json.dumps({"user_id": person})
    ),
    "CSV": lambda person: f"user_id,score\n{person},4\n" if '"' not in person else "",
    "CSV with quotes": lambda person: 'score,user_id\n4,"' + person.replace('"', '""') + '"\n',
}
PEOPLE = [
    "7",
    "anna@example.org",
    "o'neil/3",
    'j "jo" d',
    "a\\b",
    "jo\u00e3o",
    "e\u0301ric",
    "\u0928\u092e\u0938\u094d\u0924\u0947",
    "\U00020bb7\u7530",
    "\U0001f44d",
    "\U0010fffd",
    "(.*)[x]{2}^$|+?",
]


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN)
def test_the_query_finds_an_id_however_it_is_written(tmp_path: Path, write: Callable[[str], str], person: str) -> None:
    file = tmp_path / layout_of(1).data("a")
    file.parent.mkdir(parents=True)
    file.write_text(text := write(person), encoding="utf-8")
    query = blocks("sql")[0].replace("'/data/datasets'", f"'{tmp_path}'")
    query = query.replace("'u17'", "'" + person.replace("'", "''") + "'")
    assert [row[2] for row in duckdb.connect().execute(query).fetchall()] == [1] * bool(text)


@pytest.mark.parametrize("person", ["anna@example.org", "jo\u00e3o", "\U00020bb7\u7530"])
def test_the_query_finds_an_id_in_the_name_of_a_file_as_it_is_or_percent_encoded(tmp_path: Path, person: str) -> None:
    names = [f"of {person}", f"50%/of-{person}.json", f"%ff {person}", f"50%/{quote(person, safe='')}.json"]
    for number, name in enumerate(names, start=1):
        file = tmp_path / layout_of(number).data(name)
        file.parent.mkdir(parents=True)
        file.write_text("{}")
    query = blocks("sql")[0].replace("'/data/datasets'", f"'{tmp_path}'").replace("'u17'", f"'{person}'")
    assert [row[2] for row in duckdb.connect().execute(query).fetchall()] == [1] * len(names)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("airflow ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_airflow_knows_the_commands(command: str) -> None:
    known = get_parser().parse_args(shlex.split(command)[1:])
    assert callable(known.func)
    if conf := getattr(known, "conf", None):
        assert set(json.loads(conf)) == {"dataset_ids", "dry_run"}


def test_its_find_commands_take_what_is_old_and_ours_and_nothing_else(tmp_path: Path) -> None:
    old, logs, temporary = time.time() - 200 * 86_400, tmp_path / "logs", tmp_path / "tmp"
    files = {
        logs / "dag_id=learnosity_dataset" / "run_id=a" / "attempt=1.log": old,
        logs / "dag_id=learnosity_dataset" / "run_id=b" / "attempt=1.log": time.time(),
        logs / "dag_id=another" / "run_id=a" / "attempt=1.log": old,
        temporary / "learnosity-parquet-abc" / "0.parquet": old,
        temporary / "learnosity-parquet-new" / "0.parquet": time.time(),
        temporary / "of-others" / "0.parquet": old,
    }
    for path, moment in files.items():
        path.parent.mkdir(parents=True)
        path.write_text("x")
        os.utime(path, (moment, moment))
        os.utime(path.parent, (moment, moment))
    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("find ")]
    assert len(commands) == 2
    for command in commands:
        environment = os.environ | {"AIRFLOW_HOME": str(tmp_path), "TMPDIR": str(temporary)}
        subprocess.run(["sh", "-ec", command], env=environment, check=True)
    gone = {path for path in files if not path.exists()}
    assert gone == {
        path for path, moment in files.items() if moment == old and "learnosity" in str(path.relative_to(tmp_path))
    }


def test_the_page_has_commands_of_airflow() -> None:
    assert len(COMMANDS) == 5
