"""Rosters on S3 through the operator: each format and packing makes the same upload; what is hostile makes none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import obstore
import pytest
from airflow.sdk import Context

from devstack.seaweedfs import SeaweedFS
from learnosity.creation import decide
from learnosity.errors import InputError
from learnosity.operators import LearnosityCreateDatasetOperator
from simulator import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET, Simulator, SimulatorConfig, running
from tests.roster_files import FORMATS, HOSTILE, LEVELS, PACKINGS, people, written
from tests.waiting import no_waiting

ROWS = people(40)
EXPECTED = hashlib.sha256(written("ndjson", ROWS)).hexdigest()
REQUEST = {
    "dataset_type": "activity-summary-by-group",
    "filters": {"activity_id": ["maths"]},
    "options": {"fields": ["population"]},
    "groups": [{"key": level, "label": level.title()} for level in LEVELS],
}
Create = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running(SimulatorConfig(job_seconds=0.0)) as simulator:
        yield simulator


@pytest.fixture
def folder() -> str:
    return f"in-{uuid4()}"


@pytest.fixture
def create(simulator: Simulator, s3_server: SeaweedFS, folder: str, monkeypatch: pytest.MonkeyPatch) -> Create:
    """Puts files into a folder of the bucket, and makes a dataset of them. Returns what the operator returned."""
    no_waiting(monkeypatch)
    monkeypatch.setattr(decide, "POLL_WAITS_SECONDS", (0.0,) * len(decide.POLL_WAITS_SECONDS))
    keys = s3_server.landing
    lake = {"conn_type": "aws", "login": keys.access_key, "password": keys.secret_key}
    extra = {"endpoint_url": s3_server.endpoint, "region_name": "us-east-1"}
    api = {"conn_type": "learnosity", "host": simulator.url, "login": DEMO_CONSUMER_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(lake | {"extra": extra}))
    monkeypatch.setenv("AIRFLOW_CONN_LEARNOSITY_DEFAULT", json.dumps(api | {"password": DEMO_CONSUMER_SECRET}))
    monkeypatch.setenv("AIRFLOW_VAR_LEARNOSITY_DESTINATION_URI", "s3://lake@landing/datasets")
    store = s3_server.store(prefix=folder)

    def made(files: Mapping[str, bytes], **arguments: Any) -> dict[str, Any]:
        for name, content in files.items():
            obstore.put(store, name, content)
        task = LearnosityCreateDatasetOperator(
            task_id="create_dataset", request=REQUEST, input_uri=f"s3://lake@landing/{folder}/", **arguments
        )
        values: dict[str, Any] = {}
        ti = SimpleNamespace(
            dag_id="a_dag",
            run_id=folder,
            task_id=task.task_id,
            map_index=-1,
            try_number=1,
            xcom_pull=lambda **_: None,
        )
        context = {
            "ti": ti,
            "dag_run": SimpleNamespace(dag_id="a_dag", run_id=folder, logical_date=None, conf=None),
            "params": {},
            "task_state_store": SimpleNamespace(get=values.get, set=values.__setitem__),
        }
        created: dict[str, Any] = task.execute(cast(Context, context))
        return created

    return made


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("packing", PACKINGS, ids=lambda suffix: suffix or "plain")
def test_every_format_and_packing_makes_the_same_upload(create: Create, kind: str, packing: str) -> None:
    parts = {
        f"part-{number:05}.{kind}{packing}": PACKINGS[packing](written(kind, ROWS[number * 20 : number * 20 + 20]))
        for number in range(2)
    }
    created = create(parts | {"_SUCCESS": b"", f".part-00000.{kind}{packing}.crc": b"crc"})
    assert created["input"]["sha256"] == EXPECTED
    assert (created["input"]["files"], created["records"]) == (2, len(ROWS))


@pytest.mark.parametrize(
    ("encoding", "dialect"),
    [
        pytest.param("utf-8-sig", {"delimiter": ";", "lineterminator": "\r\n"}, id="mark, semicolons, CRLF"),
        pytest.param("utf-16", {"delimiter": "\t", "quoting": 1}, id="UTF-16, tabs, all quoted"),
        pytest.param("cp1252", {"delimiter": "|", "lineterminator": "\n"}, id="Windows-1252, bars, LF"),
        pytest.param("utf-8", {"lineterminator": "\r", "quoting": 1}, id="CR alone"),
    ],
)
def test_a_mark_line_ends_and_encodings_make_no_difference(
    create: Create, encoding: str, dialect: dict[str, Any]
) -> None:
    content = written("csv", ROWS, **dialect).decode().encode(encoding)
    assert create({"users.csv": content})["input"]["sha256"] == EXPECTED


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_is_one_clear_error_and_nothing_is_sent(
    create: Create, simulator: Simulator, folder: str, name: str
) -> None:
    before = simulator.stats.calls.copy()
    case = HOSTILE[name]
    with pytest.raises(InputError) as caught:
        create(case.files(), input_columns=dict(case.columns))
    said = str(caught.value)
    for expected in case.says:
        assert expected.replace("{}", f"s3://landing/{folder}/") in said
    assert len(caught.value.problems) == (0 if case.whole else 1)
    assert len(said) < 600
    assert simulator.stats.calls == before
