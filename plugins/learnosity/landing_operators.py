"""The operators that land a finished dataset: list, land, publish. Import them from `learnosity.operators`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow.sdk import BaseOperatorLink, XComArg

from learnosity.api.dataset_request import DatasetRequest
from learnosity.api.field_checks import check_organisation_id
from learnosity.assets import declared_ports, fixed_type, outlets_for, published_assets
from learnosity.async_operator import AsyncOperator
from learnosity.connections import open_store
from learnosity.created_dataset import check_created, decided, sent_input
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import RunInfo, sha256_hex
from learnosity.hooks import LearnosityHook
from learnosity.landing.begin import begin_landing
from learnosity.landing.land import land_shard
from learnosity.landing.listing import ResultSet
from learnosity.landing.plan import check_include, check_shards
from learnosity.landing.publish import publish
from learnosity.landing_xcoms import FIRST_RELEASE, landing_of, left_out, plan_of, published_xcom, rendered, shard_xcoms
from learnosity.lineage import lineage_of_publication
from learnosity.links import DatasetLink, ManifestLink, ReportLink, StorageConsoleLink
from learnosity.metrics import METRICS
from learnosity.progress import Progress, size
from learnosity.run_config import chosen, flag, is_empty
from learnosity.storage.store import Store
from learnosity.task_report import progress_told

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

log = logging.getLogger(__name__)


class _LandingOperator(AsyncOperator):
    """What the three landing tasks share: the dataset, the destination and the folder of their notes.

    :param dataset: XCom of the create task, such as `create_dataset.output`. Templated.
    :param destination_uri: object-storage prefix below which datasets land; None = as in `dataset`. Templated.
    :param organisation_id: item bank; None = as in `dataset`. Templated.
    :param learnosity_conn_id: Airflow connection to Learnosity; None = as in `dataset`. Templated.
    """

    template_fields: Sequence[str] = ("dataset", "destination_uri", "organisation_id", "learnosity_conn_id")
    ui_color = "#f4ecd8"
    operator_extra_links: Sequence[BaseOperatorLink] = (DatasetLink(),)

    def __init__(
        self,
        *,
        dataset: Mapping[str, Any] | XComArg,
        destination_uri: str | None = None,
        organisation_id: int | None = None,
        learnosity_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.destination_uri = destination_uri
        self.organisation_id = organisation_id
        self.learnosity_conn_id = learnosity_conn_id

    @property
    def created(self) -> Mapping[str, Any]:
        """What the create task returned."""
        return check_created(self.dataset)

    @property
    def layout(self) -> DatasetLayout:
        """The paths of the dataset below the destination."""
        return DatasetLayout(str(self.created["dataset_type"]), str(self.created["dataset_id"]))

    @property
    def destination(self) -> str:
        """The prefix below which the dataset lands."""
        return str(self.destination_uri or decided(self.created, "destination_uri"))

    @property
    def conn_id(self) -> str:
        """The Airflow connection to Learnosity."""
        return str(self.learnosity_conn_id or decided(self.created, "learnosity_conn_id"))

    async def store(self) -> Store:
        """The destination. Its Airflow connection is read in a thread: that call must not run in an event loop."""
        return await asyncio.to_thread(open_store, self.destination)

    def work(self, context: Context, plan: str) -> str:
        """The folder for the plan and the notes of this landing.

        :param plan: the name that `list_files` gave to its plan.
        """
        run = context["dag_run"]
        return self.layout.work_prefix(sha256_hex(f"{run.dag_id}/{run.run_id}".encode())[:16], plan)

    @asynccontextmanager
    async def results(self) -> AsyncIterator[ResultSet]:
        """The result files of the dataset at Learnosity."""
        organisation_id = check_organisation_id(self.organisation_id) or self.created.get("organisation_id")
        extra = {"organisation_id": organisation_id} if organisation_id else {}
        async with LearnosityHook(self.conn_id).client() as client:
            yield ResultSet(client, self.layout.dataset_type, self.layout.dataset_id, extra)


class LearnosityListFilesOperator(_LandingOperator):
    """List a finished dataset's files and split them into shards.

    :param include: globs for the paths of the files; `*` also matches `/`; default: all files. Templated.
    :param overwrite: land the dataset again if it is already published; default False. Templated.
    :param landing_shards: number of mapped tasks that share the landing; default 1. Templated.
    :param run_config: names of those of the three that the run config of a run may give. They replace the arguments.
        None = the run config is not read; default.
    :returns: XCom with one small value per shard. Empty when the dataset is already published and `overwrite` is off.
    """

    template_fields: Sequence[str] = (*_LandingOperator.template_fields, "include", "overwrite", "landing_shards")

    def __init__(
        self,
        *,
        include: Sequence[str] | str = ("*",),
        overwrite: bool | str = False,
        landing_shards: int | str = 1,
        run_config: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_config = run_config
        self.include = include
        self.overwrite = overwrite
        self.landing_shards = landing_shards

    async def aexecute(self, context: Context) -> list[dict[str, Any]]:
        """Make the plan and write it under a new name. Files that landed under an earlier plan are landed again."""
        conf = context["dag_run"].conf or {}
        given = {name: conf.get(name) for name in self.run_config or ()}
        wanted, again, shards = (
            chosen(name, getattr(self, name) if is_empty(given.get(name)) else given[name])
            for name in ("include", "overwrite", "landing_shards")
        )
        shards, store = check_shards(shards), await self.store()
        overwrite, plan = flag("overwrite", again, False), uuid4().hex[:16]
        async with self.results() as results:
            made = await begin_landing(
                store,
                self.layout,
                results,
                work=self.work(context, plan),
                include=check_include(wanted),
                shards=shards,
                overwrite=overwrite,
            )
        return shard_xcoms(made, plan)


class LearnosityLandFilesOperator(_LandingOperator):
    """Land the files of one shard. A DAG maps this task over all shards, or lands them in one task.

    :param shard: one entry of what `list_files` returned, or all of it. Templated.
    :returns: XCom with `shard`, `files`, `total_bytes` and `skipped` (how many files had landed before); a list of
        these, if `shard` is a list.
    """

    template_fields: Sequence[str] = (*_LandingOperator.template_fields, "shard")
    longest = timedelta(hours=24)

    def __init__(self, *, shard: Mapping[str, Any] | Sequence[Any] | XComArg, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shard = shard

    async def aexecute(self, context: Context) -> dict[str, int] | list[dict[str, int]]:
        """Copy the files of the shard that are still missing."""
        from learnosity.api.signed_urls import SignedTransfer  # late: its libraries are large, and DAG files need none

        config = await LearnosityHook(self.conn_id).aget_config()
        shards = [self.shard] if isinstance(self.shard, Mapping) else rendered(self.shard)
        landed, counts = [], list[Progress]()
        land = partial(land_shard, watch=counts.append)
        async with (
            self.results() as results,
            SignedTransfer(config, METRICS) as transfer,
            progress_told(context, lambda: landing_of(shards, counts)),
        ):
            store = await self.store()
            for shard in shards:
                work, number, host = self.work(context, plan_of(shard)), int(shard["shard"]), shard.get("host")
                landed.append(
                    await land(store, self.layout, results, transfer, work=work, shard=number, planned_on=host)
                )
        fetched = sum(each.files - each.skipped for each in landed)
        METRICS.count("landed_files", fetched, dataset_type=self.layout.dataset_type)
        return asdict(landed[0]) if isinstance(self.shard, Mapping) else [asdict(each) for each in landed]


class LearnosityPublishOperator(_LandingOperator):
    """Check that everything has landed, write the manifest last, and emit the asset event.

    :param request: the request of the create task. If it names the dataset type in plain text, the asset of this type
        is the outlet; else the task chooses its outlet when it runs. See `learnosity.assets`. Templated.
    :param shards: what `list_files` returned. Templated.
    :param require_complete: publish only if all that was uploaded came back; default False. Templated.
    :param run_config: as of the create task: with `dataset_type` in it, the type of `request` is only a default. With
        `require_complete` in it, the run config of a run may give it.
    :param outlets: replaces the outlet that is described above.
    :returns: XCom with `dataset_id`, `dataset_type`, `manifest_uri`, `file_count`, `total_bytes`, `gaps` (what was
        uploaded and did not come back, in words), `destination_uri` and `learnosity_conn_id`.
    """

    template_fields: Sequence[str] = (*_LandingOperator.template_fields, "request", "shards", "require_complete")
    operator_extra_links: Sequence[BaseOperatorLink] = (
        DatasetLink(),
        ReportLink(),
        ManifestLink(),
        StorageConsoleLink(),
    )

    def __init__(
        self,
        *,
        request: Mapping[str, Any],
        shards: Any,
        require_complete: bool | str = False,
        run_config: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        declared = fixed_type(request, run_config)
        super().__init__(**(declared_ports(declared) | kwargs))
        self.declared_type = declared
        self.chooses_outlets = "outlets" not in kwargs
        self.run_config = run_config
        self.request = request
        self.shards = shards
        self.require_complete = require_complete
        self.published: dict[str, Any] | None = None

    async def aexecute(self, context: Context) -> dict[str, Any]:
        """Verify and publish."""
        layout, store, run = self.layout, await self.store(), context["dag_run"]
        logical_date = run.logical_date
        if self.chooses_outlets:
            # Airflow reads the outlets after the task has run, and adds an event to each.
            self.outlets = outlets_for(layout.dataset_type, self.declared_type)
        shards = rendered(self.shards)
        manifest = await publish(
            store,
            layout,
            work=self.work(context, plan_of(shards[0]) if shards else FIRST_RELEASE),
            shards=len(shards),
            job_reference=str(self.created.get("job_reference") or ""),
            request=self._sent_request(),
            run=RunInfo(run.dag_id, run.run_id, logical_date.isoformat() if logical_date else None),
            planned_on=shards[0].get("host") if shards else None,
            sent=sent_input(self.created),
            left_out=left_out(shards),
            require_complete=self._requires_complete(run.conf),
        )
        self.published = result = published_xcom(store, layout, manifest)
        METRICS.count("datasets_published", 1, dataset_type=layout.dataset_type)
        METRICS.count("published_files", manifest.file_count, dataset_type=layout.dataset_type)
        METRICS.count("published_bytes", manifest.total_bytes, dataset_type=layout.dataset_type)
        for asset in published_assets(layout.dataset_type):
            context["outlet_events"][asset].extra = dict(result)
        log.info(
            "Published %s files, %s: %s", f"{manifest.file_count:,}", size(manifest.total_bytes), result["manifest_uri"]
        )
        # The dataset pages in the UI need these two values. The values are not part of the asset event.
        return {
            **result,
            "destination_uri": self.destination,
            "learnosity_conn_id": self.conn_id,
        }

    def _requires_complete(self, conf: Mapping[str, Any] | None) -> bool:
        given = (conf or {}).get("require_complete") if "require_complete" in (self.run_config or ()) else None
        return flag("require_complete", self.require_complete if is_empty(given) else given, False)

    def _sent_request(self) -> dict[str, Any]:
        """The request that `create_dataset` sent. The template of this task may now render differently."""
        if sent := self.created.get("request"):
            return dict(sent)
        request = DatasetRequest.from_mapping(self.request)
        return request.body(self.layout.dataset_id, int(self.created["file_count"]))

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """The source and the folder of the landed dataset, for the OpenLineage provider."""
        return lineage_of_publication(self.destination, self.published)
