"""What the landing tasks do when they run. Only they import this module: DAG files need nothing of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow.sdk.exceptions import AirflowSkipException

from learnosity.api.dataset_request import DatasetRequest
from learnosity.api.field_checks import check_organisation_id
from learnosity.api.signed_urls import SignedTransfer
from learnosity.connections import open_store
from learnosity.created_dataset import check_created, decided, item_bank, levels_of, sent_input
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import RunInfo, sha256_hex
from learnosity.hooks import LearnosityHook
from learnosity.landing.begin import begin_landing
from learnosity.landing.land import land_shard
from learnosity.landing.listing import ResultSet
from learnosity.landing.plan import check_include, check_shards
from learnosity.landing.publish import publish
from learnosity.landing_xcoms import (
    FIRST_RELEASE,
    included,
    landing_of,
    left_out,
    plan_of,
    published_xcom,
    rendered,
    shard_xcoms,
)
from learnosity.metrics import METRICS
from learnosity.progress_log import Progress, size
from learnosity.task_report import report_plan, report_progress

if TYPE_CHECKING:
    from airflow.sdk import Context

    from learnosity.storage.store import Store

log = logging.getLogger(__name__)


class LandingTask:
    """One landing task that runs.

    :param context: what Airflow gives to the task.
    :param dataset: what `create_dataset` returned.
    :param destination_uri: None = as in `dataset`.
    :param organisation_id: None = as in `dataset`.
    :param learnosity_conn_id: None = as in `dataset`.
    :raises RequestError: `create_dataset` did not run.
    """

    def __init__(
        self,
        context: Context,
        dataset: object,
        destination_uri: str | None,
        organisation_id: int | str | None,
        learnosity_conn_id: str | None,
    ) -> None:
        self._context = context
        self._created = created = check_created(dataset)
        self._organisation_id = organisation_id
        self.layout = DatasetLayout(str(created["dataset_type"]), str(created["dataset_id"]))
        self.destination = str(destination_uri or decided(created, "destination_uri"))
        self.conn_id = str(learnosity_conn_id or decided(created, "learnosity_conn_id"))

    async def list_files(
        self, *, include: Sequence[str] | str, shards: int | str, overwrite: bool
    ) -> list[dict[str, Any]]:
        """Make the plan and write it under a new name. The parameters are those of `LearnosityListFilesOperator`."""
        number, store, plan = check_shards(shards), await self._store(), uuid4().hex[:16]
        globs = check_include(include)
        async with self._results() as results:
            made = await begin_landing(
                store,
                self.layout,
                results,
                work=self._work(plan),
                include=globs,
                shards=number,
                overwrite=overwrite,
            )
        await report_plan(self._context, sum(each.files for each in made))
        return shard_xcoms(made, plan, globs)

    async def land_files(self, shard: object) -> dict[str, int] | list[dict[str, int]]:
        """Copy the files that are still missing.

        :param shard: one entry of what `list_files` returned, or all of it.
        """
        config = await LearnosityHook(self.conn_id).aget_config()
        shards = [shard] if isinstance(shard, Mapping) else rendered(shard)
        landed, counts = [], list[Progress]()
        is_retry = getattr(self._context.get("ti"), "try_number", 1) > 1
        land = partial(land_shard, watch=counts.append, is_retry=is_retry)
        async with (
            self._results() as results,
            SignedTransfer(config, METRICS) as transfer,
            report_progress(self._context, lambda: landing_of(shards, counts)),
        ):
            store = await self._store()
            for each in shards:
                work, number, host = self._work(plan_of(each)), int(each["shard"]), each.get("host")
                landed.append(
                    await land(store, self.layout, results, transfer, work=work, shard=number, planned_on=host)
                )
        fetched = sum(each.files - each.skipped for each in landed)
        METRICS.count("landed_files", fetched, dataset_type=self.layout.dataset_type)
        return asdict(landed[0]) if isinstance(shard, Mapping) else [asdict(each) for each in landed]

    async def publish(self, *, shards: object, request: Mapping[str, Any], require_complete: bool) -> dict[str, Any]:
        """Verify and publish.

        :param shards: what `list_files` returned.
        :param request: of the create task, for a dataset of the first release, whose XCom has none.
        :param require_complete: publish only if all that was uploaded came back.
        :returns: what the asset event carries.
        """
        layout, store, run = self.layout, await self._store(), self._context["dag_run"]
        logical_date = run.logical_date
        planned = rendered(shards)
        manifest = await publish(
            store,
            layout,
            work=self._work(plan_of(planned[0]) if planned else FIRST_RELEASE),
            shards=len(planned),
            job_reference=str(self._created.get("job_reference") or ""),
            request=self._sent_request(request),
            run=RunInfo(run.dag_id, run.run_id, logical_date.isoformat() if logical_date else None),
            planned_on=planned[0].get("host") if planned else None,
            sent=sent_input(self._created),
            left_out=left_out(planned),
            include=included(planned),
            require_complete=require_complete,
        )
        result = published_xcom(store, layout, manifest)
        METRICS.count("datasets_published", 1, dataset_type=layout.dataset_type)
        METRICS.count("published_files", manifest.file_count, dataset_type=layout.dataset_type)
        METRICS.count("published_bytes", manifest.total_bytes, dataset_type=layout.dataset_type)
        log.info(
            "Published %s files, %s: %s", f"{manifest.file_count:,}", size(manifest.total_bytes), result["manifest_uri"]
        )
        return result

    async def _store(self) -> Store:
        """The destination. Its Airflow connection is read in a thread: that call must not run in an event loop."""
        return await asyncio.to_thread(open_store, self.destination)

    def _work(self, plan: str) -> str:
        """The folder for the plan and the notes of this landing.

        :param plan: the name that `list_files` gave to its plan.
        """
        run = self._context["dag_run"]
        return self.layout.work_prefix(sha256_hex(f"{run.dag_id}/{run.run_id}".encode())[:16], plan)

    @asynccontextmanager
    async def _results(self) -> AsyncIterator[ResultSet]:
        """The result files of the dataset at Learnosity."""
        organisation_id = check_organisation_id(self._organisation_id)
        extra = {"organisation_id": organisation_id} if organisation_id else item_bank(self._created)
        async with LearnosityHook(self.conn_id).client() as client:
            yield ResultSet(
                client,
                self.layout.dataset_type,
                self.layout.dataset_id,
                extra,
                levels=levels_of(self._created),
                has_job=bool(self._created.get("job_reference")),
            )

    def _sent_request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The request that `create_dataset` sent. The template of this task may now render differently."""
        if sent := self._created.get("request"):
            return dict(sent)
        return DatasetRequest.from_mapping(request).body(self.layout.dataset_id, int(self._created["file_count"]))


async def skip_after_skipped(context: Context, task_ids: Sequence[str]) -> None:
    """Skip the task if one of these tasks was skipped. It was not, where a person has marked it as success.

    :raises AirflowSkipException: one was skipped.
    """
    ti = context["ti"]
    # This call waits for Airflow's supervisor process. It runs in a thread, so that it does not block the event loop.
    states = await asyncio.to_thread(
        ti.get_task_states, dag_id=ti.dag_id, map_index=ti.map_index, task_ids=[*task_ids], run_ids=[ti.run_id]
    )
    if skipped := sorted(name for name, state in states.get(ti.run_id, {}).items() if state == "skipped"):
        raise AirflowSkipException(f"Skipped, because {', '.join(skipped)} was skipped: there is nothing to publish.")
