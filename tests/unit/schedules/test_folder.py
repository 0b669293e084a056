"""A folder of schedules: whatever one file is or holds, it is named, and the others run."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization
from hypothesis import example, given, settings
from hypothesis import strategies as st

from learnosity.schedules import dags
from learnosity.schedules.dags import scheduled_dags
from learnosity.schedules.files import MAX_BYTES, SCHEMA, Reading, Schedule, read_folder

GOOD = """\
name: good
schedule: "0 4 * * 1"
params: {dataset_type: ibk-analysis-by-question, filters: {mintime: "{{ data_interval_start | iso }}"}}
"""
CASES = {
    "unquoted template": (
        GOOD.replace('"{{ data_interval_start | iso }}"', "{{ data_interval_start | iso }}"),
        "quotes",
    ),
    "no such day": (GOOD + 'start_date: "2026-02-30"\n', "start_date: '2026-02-30' is not a day"),
    "no such day, unquoted": (GOOD + "start_date: 2026-02-30\n", "start_date: '2026-02-30' is not a day"),
    "too early": (GOOD + "start_date: 0001-01-01\n", "start_date: '0001-01-01' is not between 1970"),
    "no such last day": (GOOD + "end_date: 2026-13-01\n", "end_date: '2026-13-01' is not a day"),
    "ends before it starts": (GOOD + "end_date: 2025-01-01\n", "end_date: the last day, 2025-01-01, is before"),
    "cron that never comes": (GOOD.replace("0 4 * * 1", "0 0 30 2 *"), "schedule: '0 0 30 2 *' never comes"),
    "random cron": (GOOD.replace("0 4 * * 1", "R 4 * * 1"), "is not a cron expression"),
    "six fields": (GOOD.replace("0 4 * * 1", "0 4 * * 1 0"), "is not a cron expression"),
    "once": (GOOD.replace("0 4 * * 1", "@once"), "is not a cron expression"),
    "one bad cron of two": (GOOD.replace('"0 4 * * 1"', '["@daily", often]'), "'often' is not a cron"),
    "secret": (GOOD.replace("data_interval_start | iso", "conn.aws.password"), "do not know conn"),
    "secret of a Variable": (GOOD.replace("data_interval_start | iso", "var.value.api_secret"), "do not know var"),
    "secret of a Variable, by get": (
        GOOD.replace("data_interval_start | iso", "var.value.get('db_' ~ 'pass' ~ 'word')"),
        "do not know var",
    ),
    "secret by the task": (GOOD.replace("data_interval_start | iso", "ti.get_template_context()"), "do not know ti"),
    "other file": (GOOD.replace("{{ data_interval_start | iso }}", "{% include 'x' %}"), "cannot include"),
    "unknown filter": (GOOD.replace("| iso", "| isso"), "do not know the filter isso"),
    "deep template": (GOOD.replace("data_interval_start", "(" * 5000), "too deep inside each other"),
    "deep statements": (GOOD.replace("{{ data_interval_start | iso }}", "{% if x %}" * 5000), "too deep"),
    "asset that it updates itself": (
        GOOD.replace('"0 4 * * 1"', "{assets: [learnosity_ibk-analysis-by-question]}"),
        "would start the next one, without end",
    ),
    "asset of all types that are not known": (
        GOOD.replace('"0 4 * * 1"', "{assets: [learnosity-other-datasets]}").replace("ibk-analysis-by-question", "new"),
        "would start the next one, without end",
    ),
    "the URI of that asset": (
        GOOD.replace('"0 4 * * 1"', '{assets: ["x-learnosity://datasets/*"]}').replace(
            "ibk-analysis-by-question", "new"
        ),
        "would start the next one, without end",
    ),
    "no assets": (GOOD.replace('"0 4 * * 1"', "{assets: []}"), "schedule.assets: [] should be non-empty"),
    "asset too long for an index": (
        GOOD.replace('"0 4 * * 1"', f"{{assets: [{'表' * 834}]}}"),
        "has more than 2,500 bytes in UTF-8",
    ),
    "any and all": (GOOD.replace('"0 4 * * 1"', "{assets: {any: [a], all: [b]}}"), "too many properties"),
    "notify about what": (GOOD + "notify: {http_conn_id: chat, on: [start]}\n", "notify.on.0: 'start' is not one of"),
    "notify whom": (GOOD + "notify: {on: [failure]}\n", "'http_conn_id' is a dependency of 'on'"),
    "webhook from a template": (GOOD + 'notify: {http_conn_id: "{{ x }}"}\n', "does not match"),
    "deadline without end": (GOOD + "deadline_minutes: 1000000000\n", "is greater than the maximum"),
    "not a number": (GOOD + "deadline_minutes: .nan\n", "'.nan' is not of type 'number'"),
    "long tag": (GOOD + f"tags: [{'x' * 101}]\n", "is too long"),
    "line feed in the name": (GOOD.replace("name: good", 'name: "good\\n"'), "does not match"),
    "empty": ("", "the file is empty"),
    "only a comment": ("# later\n", "the file is empty"),
    "list": ("- a\n", "is not of type 'object'"),
    **{
        f"name {name}": (GOOD.replace("name: good", f"name: {name}"), "is the id of another DAG")
        for name in (
            *("dataset", "to_parquet", "from_warehouse", "retention", "probe"),
            *("invalid_", "invalid_good"),
        )
    },
    "many problems": ("\n".join(f"k{number}: 1" for number in range(5000)), "problems"),
}


def folder_of(tmp_path: Path, **files: str | bytes) -> Path:
    """A folder with a good schedule, and these files."""
    (tmp_path / "good.yaml").write_text(GOOD)
    for name, content in files.items():
        path = tmp_path / f"{name}.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return tmp_path


def test_a_name_that_only_a_dag_file_has_is_free(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, other=GOOD.replace("name: good", "name: schedules"))
    assert set(scheduled_dags(folder)) == {"learnosity_good", "learnosity_schedules"}


def problems(folder: Path, file: str = "bad.yaml") -> str:
    """The problems of one file. Its DAG shows them, and the good neighbour runs."""
    dags = scheduled_dags(folder)
    assert set(dags) == {"learnosity_good", f"learnosity_invalid_{file.rpartition('.')[0]}"}
    for dag in dags.values():
        DagSerialization.to_dict(dag)
    found = "\n".join(map(str, read_folder(folder).problems[file]))
    assert all(line.startswith(f"{file}:") for line in found.splitlines())
    assert found.splitlines()[0] in str(dags[f"learnosity_invalid_{file.rpartition('.')[0]}"].doc_md)
    return found


@pytest.mark.parametrize(("text", "message"), CASES.values(), ids=CASES.keys())
def test_a_bad_file_is_named_and_its_neighbour_runs(tmp_path: Path, text: str, message: str) -> None:
    found = problems(folder_of(tmp_path, bad=text))
    assert message in found
    assert len(found) < 20_000


ENCODINGS = {
    "UTF-16": GOOD.encode("utf-16"),
    "UTF-32": GOOD.encode("utf-32"),
    "latin-1": "name: é".encode("latin-1"),
    "UTF-7 surrogates": b"name: \xed\xa0\x80",
    "NUL": b"\0" * 10,
    "not text": bytes(range(256)),
}


@pytest.mark.parametrize("content", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_an_odd_encoding_is_named_and_the_neighbour_runs(tmp_path: Path, content: bytes) -> None:
    assert "UTF-8" in problems(folder_of(tmp_path, bad=content)) or "not YAML" in problems(tmp_path)


def test_a_byte_order_mark_is_fine(tmp_path: Path) -> None:
    folder_of(tmp_path, other=b"\xef\xbb\xbf" + GOOD.replace("name: good", "name: other").encode())
    assert [each.name for each in read_folder(tmp_path).schedules] == ["good", "other"]


def test_a_large_file_is_named_and_the_neighbour_runs(tmp_path: Path) -> None:
    assert "larger than 256 KB" in problems(folder_of(tmp_path, bad=b"#" * (MAX_BYTES + 1)))


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "folder": (Path.mkdir, "it is a folder, not a file"),
    "pipe": (os.mkfifo, "it is a pipe, not a file"),
    "socket": (_socket, "it is a socket, not a file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a file"),
    "link to a folder": (lambda path: path.symlink_to("/"), "it is a folder, not a file"),
    "dangling link": (lambda path: path.symlink_to("nothing"), "the file cannot be read: No such file"),
    "link to itself": (lambda path: path.symlink_to(path), "the file cannot be read: Too many levels"),
    "file that the system does not let read": (
        lambda path: path.symlink_to("/proc/self/mem"),
        "the file cannot be read",
    ),
}


@pytest.mark.parametrize(("make", "message"), KINDS.values(), ids=KINDS.keys())
def test_what_is_not_a_file_is_named_and_the_neighbour_runs(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    folder_of(tmp_path)
    make(tmp_path / "bad.yaml")
    assert message in problems(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    folder_of(tmp_path, bad=GOOD)
    (tmp_path / "bad.yaml").chmod(0)
    assert "the file cannot be read: Permission denied" in problems(tmp_path)


def test_a_folder_that_is_missing_or_is_a_file(tmp_path: Path) -> None:
    assert read_folder(tmp_path / "missing") == Reading()
    (tmp_path / "file").write_text("")
    assert "the folder cannot be read: Not a directory" in str(read_folder(tmp_path / "file").problems["file"][0])
    assert set(scheduled_dags(tmp_path / "file")) == {"learnosity_invalid_file"}


def test_hidden_files_are_left_out_and_suffixes_have_any_case(tmp_path: Path) -> None:
    folder_of(tmp_path)
    (tmp_path / ".#good.yaml").symlink_to("me@host.123")  # as Emacs marks a file that is open
    (tmp_path / "other.YAML").write_text(GOOD.replace("name: good", "name: other"))
    (tmp_path / "sample.yaml.example").write_text(GOOD)
    reading = read_folder(tmp_path)
    assert [each.file for each in reading.schedules] == ["good.yaml", "other.YAML"]
    assert reading.problems == {}


def test_bad_files_with_like_names_have_dags_of_their_own(tmp_path: Path) -> None:
    names = [
        "a b.yaml",
        "a_b.yaml",
        "a_b.yml",
        "A_b.yaml",
        "é.yaml",
        "ü.yaml",
        "x" * 240 + "1.yaml",
        "x" * 240 + "2.yaml",
    ]
    for name in names:
        (tmp_path / name).write_text("name: [")
    (tmp_path / os.fsdecode(b"\xff\n.yaml")).write_text("name: [")
    dags = scheduled_dags(tmp_path)
    assert len(dags) == len(names) + 1
    assert all(len(dag_id) < 200 and dag_id.isascii() for dag_id in dags)
    assert set(dags) == set(scheduled_dags(tmp_path)), "an id must not change from parse to parse"
    for dag in dags.values():
        f"{dag.description}{dag.doc_md}".encode()


def test_a_dag_that_cannot_be_made_is_a_problem_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = dags.build_dag

    def fail(schedule: Schedule) -> DAG:
        if schedule.name == "bad":
            raise TypeError("Airflow refuses this")
        return build(schedule)

    monkeypatch.setattr(dags, "build_dag", fail)
    found = scheduled_dags(folder_of(tmp_path, bad=GOOD.replace("good", "bad")))
    assert set(found) == {"learnosity_good", "learnosity_invalid_bad"}
    assert "no DAG can be made of this file: TypeError: Airflow refuses this" in str(
        found["learnosity_invalid_bad"].doc_md
    )


def test_a_parse_of_the_same_files_gives_the_same_dags(tmp_path: Path) -> None:
    """Otherwise Airflow would store a new version of a DAG after each parse."""
    folder_of(tmp_path, **{f"bad{number}": text for number, (text, _) in enumerate(CASES.values())})
    first, second = (
        {key: DagSerialization.to_dict(dag) for key, dag in scheduled_dags(tmp_path).items()} for _ in "12"
    )
    assert first == second


def kept(content: bytes) -> dict[str, DAG]:
    """The DAGs of a folder with a file of this content. The good neighbour is among them; Airflow can store all."""
    with tempfile.TemporaryDirectory() as name:
        dags = scheduled_dags(folder_of(Path(name), bad=content))
    assert len(dags) == 2
    assert "learnosity_good" in dags
    for dag in dags.values():
        DagSerialization.from_dict(DagSerialization.to_dict(dag))
        f"{dag.description}{dag.doc_md}{sorted(dag.tags)}".encode()
    return dags


@given(st.binary(max_size=400) | st.text(alphabet="a:-[]{}&*!|>'\"%@`#?, \n\t0~<", max_size=120).map(str.encode))
def test_no_content_affects_the_neighbour(content: bytes) -> None:
    kept(content)


FIELDS = [
    *((name,) for name in SCHEMA["properties"]),
    *(("params", name) for name in SCHEMA["properties"]["params"]["properties"]),
    *(("notify", name) for name in SCHEMA["properties"]["notify"]["properties"]),
    *(("schedule", name) for name in SCHEMA["properties"]["schedule"]["properties"]),
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=10)
    | st.dates()
    | st.datetimes()
    | st.sampled_from(
        ["{{ x }}", "{{ dag_run.run_after | iso }}", "@daily", "0 0 30 2 *", "2026-02-30", "UTC", "\0", "a\n"]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(SCALARS, inner, max_size=4)
        | st.dictionaries(st.sampled_from(["assets", "any", "all", "cron", "on", "http_conn_id"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=150)
@given(st.sampled_from(FIELDS), VALUES)
@example(("schedule",), {"assets": ["a", "s3://b/c"], "cron": ["@daily", "@weekly"]})
@example(("max_active_runs",), 1.0)
@example(("timezone",), "Pacific/Apia")
def test_no_value_of_any_field_affects_the_neighbour(place: tuple[str, ...], value: Any) -> None:
    content = yaml.safe_load(GOOD) | {"name": "bad"}
    inside = content
    for key in place[:-1]:
        if not isinstance(inside.get(key), dict):
            inside[key] = {}
        inside = inside[key]
    inside[place[-1]] = value
    kept(yaml.safe_dump(content).encode())


def test_the_schema_has_a_field_for_each_key() -> None:
    assert {"pool", "queue", "priority_weight", "dagrun_timeout", "end_date", "notify"} <= set(SCHEMA["properties"])
    assert SCHEMA["required"] == ["name", "schedule", "params"]
