"""Asset events on a real Airflow with PostgreSQL: first publications at once, events by hand, and "Materialize"."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from airflow_client.client import AssetApi, AssetEventResponse, CreateAssetEventsBody, DagRunApi, DAGRunResponse
from sqlalchemy import create_engine, text

from devstack.environment import REPOSITORY
from devstack.processes import undisturbed
from devstack.rest import AirflowApi
from devstack.servers import DATABASE, Server, query, start_postgres
from devstack.stack import Stack, StackOptions
from devstack.waiting import wait_until
from learnosity.api.dataset_request import ACTIVITY_ANALYSIS, ACTIVITY_SUMMARY, SESSIONS_SUMMARY
from learnosity.assets import OTHER_DATASETS, dataset_asset
from tests.unit.dataset.test_parquet import LAYOUT, group, published

pytestmark = pytest.mark.slow  # make test-postgres

NEW_TYPE = "a-type-of-next-year"
SAMPLE = "learnosity_to_parquet"
SCHEDULE = f"""
name: materialized
schedule: "0 0 1 1 *"
params: {{dataset_type: {ACTIVITY_ANALYSIS}, filters: {{activity_id: [reading-2026]}}, poll_interval: 1}}
"""
# How many transactions wait for another one in order to add something about assets.
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ILIKE 'insert into asset%'"
# Each DAG only publishes: a dataset that has landed before is checked, and announced again.
DAGS = f"""
from airflow.sdk import DAG, task
from learnosity.assets import OTHER_DATASETS, dataset_asset
from learnosity.dataset_tasks import RETRY_ARGS
from learnosity.operators import LearnosityPublishOperator

TEMPLATE = "{{{{ params.dataset_type }}}}"

for dag_id, named in (("form", TEMPLATE), ("another_form", TEMPLATE), ("fixed", "{ACTIVITY_SUMMARY}")):
    with DAG(dag_id, schedule=None, params={{"dataset_type": "", "dataset_id": "", "destination": ""}}):
        LearnosityPublishOperator(
            task_id="publish",
            dataset={{
                "dataset_type": TEMPLATE,
                "dataset_id": "{{{{ params.dataset_id }}}}",
                "destination_uri": "{{{{ params.destination }}}}",
                "learnosity_conn_id": "learnosity_default",
                "request": {{"dataset_type": TEMPLATE}},
            }},
            request={{"dataset_type": named}},
            shards=[],
            **RETRY_ARGS,
        )

for name, asset in (
    ("known", dataset_asset("{ACTIVITY_SUMMARY}")), ("new", dataset_asset("{NEW_TYPE}")), ("other", OTHER_DATASETS)
):
    with DAG(f"after_{{name}}", schedule=asset, max_active_runs=8):
        task(task_id="nothing")(lambda: None)()
"""


@dataclass(frozen=True)
class Site:
    """An Airflow, its database, and a folder of landed datasets."""

    stack: Stack
    postgres: Server
    landed: Path

    @property
    def api(self) -> AirflowApi:
        """The REST API."""
        return self.stack.airflow.api

    def dataset(self, dataset_type: str) -> dict[str, str]:
        """The run config for a dataset of this type that has landed."""
        dataset_id = str(uuid4())
        folder = self.landed / dataset_type / dataset_id
        shutil.copytree(self.landed / LAYOUT.prefix, folder)
        manifest = folder / "manifest.json"
        content = manifest.read_text().replace(LAYOUT.dataset_id, dataset_id)
        manifest.write_text(content.replace(LAYOUT.dataset_type, dataset_type))
        return {"dataset_type": dataset_type, "dataset_id": dataset_id, "destination": self.landed.as_uri()}

    def asset_id(self, name: str) -> int:
        """The id of an asset that a DAG declares."""

        def look() -> int | None:
            found = AssetApi(self.api.client).get_assets(name_pattern=name).assets
            return next((asset.id for asset in found if asset.name == name), None)

        return wait_until(look, timeout=60, late=lambda: f"no DAG has declared the asset {name}")

    def events(self, name: str) -> list[AssetEventResponse]:
        """The events of an asset."""
        api = AssetApi(self.api.client)
        return api.get_asset_events(asset_id=self.asset_id(name), limit=100).asset_events

    def finished(self, dag_id: str, run: DAGRunResponse) -> DAGRunResponse:
        """A run after its end."""
        return self.api.wait_for_run(dag_id, run.dag_run_id, timeout=180)

    def consumed(self, dag_id: str) -> set[str]:
        """The datasets whose events started the runs of a DAG."""
        api = DagRunApi(self.api.client)
        return {
            str((event.extra or {}).get("dataset_id"))
            for run in self.api.dag_runs(dag_id)
            for event in api.get_upstream_asset_events(dag_id, run.dag_run_id).asset_events
        }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An Airflow that has never seen a dataset."""
    root = tmp_path_factory.mktemp("assets")
    shutil.copytree(REPOSITORY / "dags", root / "dags")
    (root / "dags" / "publishing.py").write_text(DAGS)
    (root / "dags" / "datasets" / "materialized.yaml").write_text(SCHEDULE)
    asyncio.run(published(root / "landed", {"group.json": group("all", ["north"], ["u1"])}))
    with undisturbed():
        postgres = start_postgres(root / "postgres", secrets.token_hex(16), log=root / "logs" / "postgres.log")
    try:
        database = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{postgres.address}/{DATABASE}"}
        with Stack(root, StackOptions(job_seconds=1.0, dags=root / "dags", airflow_env=database)) as stack:
            for dag_id in ("form", "another_form", "fixed", "after_known", "after_new", "after_other"):
                stack.airflow.api.wait_for_dag(dag_id)
            yield Site(stack, postgres, root / "landed")
    finally:
        postgres.stop()


def at_once(site: Site, *publications: tuple[str, dict[str, str]]) -> list[str]:
    """Let DAGs publish, and hold the database so that all of them end in the same moment.

    :param publications: each DAG with its run config.
    :returns: the state of each run.
    """
    engine = create_engine(f"postgresql+psycopg2://{site.postgres.address}/{DATABASE}")
    with engine.connect() as connection:
        # The table may be read, but no event can be added.
        connection.execute(text("LOCK TABLE asset_event IN SHARE MODE"))
        runs = [(dag_id, site.api.trigger(dag_id, conf)) for dag_id, conf in publications]

        def all_wait() -> bool:
            states = [site.api.dag_run(dag_id, run.dag_run_id).state for dag_id, run in runs]
            assert not {"failed", "success"} & set(states), "a run has ended before its event was added"
            return int(query(site.postgres, WAITING)) == len(runs)

        wait_until(
            all_wait,
            timeout=120,
            late=lambda: f"not {len(runs)} tasks, but {query(site.postgres, WAITING)} wait for adding their event",
        )
    engine.dispose()
    return [str(site.finished(dag_id, run).state.value) for dag_id, run in runs]


def datasets(events: Iterable[AssetEventResponse]) -> list[str]:
    """The datasets that events announce, sorted."""
    return sorted(str((event.extra or {}).get("dataset_id")) for event in events)


def test_first_datasets_of_a_known_type_that_are_published_at_once_all_succeed(site: Site) -> None:
    confs = [site.dataset(ACTIVITY_SUMMARY) for _ in range(4)]
    states = at_once(site, *zip(("form", "form", "another_form", "fixed"), confs, strict=True))
    assert states == ["success"] * 4
    assert datasets(site.events(dataset_asset(ACTIVITY_SUMMARY).name)) == sorted(conf["dataset_id"] for conf in confs)


def test_first_datasets_of_a_new_type_that_are_published_at_once_all_succeed(site: Site) -> None:
    confs = [site.dataset(NEW_TYPE) for _ in range(3)]
    assert at_once(site, *zip(("form", "form", "another_form"), confs, strict=True)) == ["success"] * 3
    for name in (dataset_asset(NEW_TYPE).name, OTHER_DATASETS.name):
        assert datasets(site.events(name)) == sorted(conf["dataset_id"] for conf in confs)


@pytest.mark.parametrize(
    ("dag_id", "dataset_type", "consumers"),
    [
        pytest.param("form", ACTIVITY_SUMMARY, ["after_known"], id="known type"),
        pytest.param("fixed", ACTIVITY_SUMMARY, ["after_known"], id="fixed type"),
        pytest.param("form", NEW_TYPE, ["after_new", "after_other"], id="new type"),
        pytest.param("form", "no-dag-declares-it", ["after_other"], id="type that no DAG declares"),
    ],
)
def test_every_consumer_gets_the_event_of_a_publication(
    site: Site, dag_id: str, dataset_type: str, consumers: list[str]
) -> None:
    conf = site.dataset(dataset_type)
    assert site.finished(dag_id, site.api.trigger(dag_id, conf)).state == "success"
    wait_until(
        lambda: all(conf["dataset_id"] in site.consumed(consumer) for consumer in consumers),
        timeout=60,
        late=lambda: f"not all of {consumers} got the event",
    )


def test_the_asset_of_a_schedule_can_be_materialized(site: Site) -> None:
    dag_id, name = "learnosity_materialized", dataset_asset(ACTIVITY_ANALYSIS).name
    site.api.wait_for_dag(dag_id)
    run = AssetApi(site.api.client).materialize_asset(site.asset_id(name))
    assert run.dag_id == dag_id
    assert site.finished(dag_id, run).state == "success"
    (event,) = site.events(name)
    assert (event.source_dag_id, event.source_run_id) == (dag_id, run.dag_run_id)


def by_hand(site: Site, dataset_type: str, extra: dict[str, Any]) -> None:
    """Create an asset event as a person does in the UI."""
    body = CreateAssetEventsBody(asset_id=site.asset_id(dataset_asset(dataset_type).name), extra=extra)
    AssetApi(site.api.client).create_asset_event(body)


def sample_run(site: Site, known: set[str]) -> DAGRunResponse:
    """The run of the sample that its asset events start."""
    run = wait_until(
        lambda: next((run for run in site.api.dag_runs(SAMPLE) if run.dag_run_id not in known), None),
        timeout=60,
        late=lambda: f"{SAMPLE} was not started",
    )
    return site.finished(SAMPLE, run)


def test_an_event_by_hand_costs_the_sample_no_publication(site: Site) -> None:
    assert site.api.dag(SAMPLE).is_paused
    # A DAG that is paused is not started, but has all events in its next run.
    by_hand(site, SESSIONS_SUMMARY, {})
    by_hand(site, SESSIONS_SUMMARY, {"dataset_type": 7, "manifest_uri": "s3://bucket/manifest.json"})
    site.api.unpause(SAMPLE)
    conf = site.dataset(SESSIONS_SUMMARY)
    assert site.finished("form", site.api.trigger("form", conf)).state == "success"
    run = sample_run(site, set())
    (task,) = site.api.task_instances(SAMPLE, run.dag_run_id)
    log = site.api.log(SAMPLE, run.dag_run_id, task)
    assert run.state == "success", log[-3000:]
    assert log.count("Passed over an asset event") == 2
    assert "must carry dataset_type, dataset_id, manifest_uri" in log
    folder = site.landed.with_name("landed_parquet") / SESSIONS_SUMMARY / conf["dataset_id"]
    assert sorted(file.name for file in folder.iterdir()) == ["groups.parquet", "users.parquet"]
    written = {file["uri"] for file in site.api.xcom(SAMPLE, run.dag_run_id, "convert")}
    assert {f"{folder.as_uri()}/groups.parquet", f"{folder.as_uri()}/users.parquet"} <= written


def test_a_run_that_only_such_events_have_started_fails_once_and_says_what_to_do(site: Site) -> None:
    known = {run.dag_run_id for run in site.api.dag_runs(SAMPLE)}
    assert known, "the test before lets the sample run"
    by_hand(site, SESSIONS_SUMMARY, {})
    run = sample_run(site, known)
    (task,) = site.api.task_instances(SAMPLE, run.dag_run_id)
    assert (run.state, task.try_number) == ("failed", 1)
    log = site.api.log(SAMPLE, run.dag_run_id, task)
    assert "No asset event of this run names a dataset. An event that is made by hand must carry" in log


def test_a_run_that_a_person_starts_without_an_event_is_skipped(site: Site) -> None:
    run = site.finished(SAMPLE, site.api.trigger(SAMPLE))
    (task,) = site.api.task_instances(SAMPLE, run.dag_run_id)
    assert (run.state, task.state) == ("success", "skipped")


def test_a_run_for_an_event_that_airflow_does_not_name_is_no_success(site: Site) -> None:
    """Airflow passes over an event that was committed after the run that a later event has started."""
    known = {run.dag_run_id for run in site.api.dag_runs(SAMPLE)}
    asset_id = site.asset_id(dataset_asset(SESSIONS_SUMMARY).name)
    row = f"{asset_id}, '{SAMPLE}', now()"
    query(site.postgres, f"INSERT INTO asset_dag_run_queue (asset_id, target_dag_id, created_at) VALUES ({row})")
    run = sample_run(site, known)
    (task,) = site.api.task_instances(SAMPLE, run.dag_run_id)
    assert (run.state, task.try_number) == ("failed", 1)
    assert "but names no event" in site.api.log(SAMPLE, run.dag_run_id, task)
