"""The operators: create a dataset, list its files, land them, publish them.

Each is a thin life cycle: check the parameters, open connection and store, call the domain, give back ids and
counts. Nothing secret is a template field, an XCom or a log line.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow.sdk import BaseOperatorLink, XComArg

from learnosity.api.dataset_request import DatasetRequest, check_dataset_id
from learnosity.api.signed_urls import SignedTransfer
from learnosity.assets import DATASETS_ALIAS, dataset_asset
from learnosity.async_operator import AsyncOperator
from learnosity.connections import open_store
from learnosity.creation.create import Upload, create_dataset
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import Manifest, RunInfo, sha256_hex
from learnosity.errors import RequestError
from learnosity.hooks import DEFAULT_CONN_ID, LearnosityHook
from learnosity.inputs.find import find_input
from learnosity.inputs.records import schema_for
from learnosity.inputs.spool import plan_parts, spool_input
from learnosity.landing.land import land_shard
from learnosity.landing.listing import ResultSet
from learnosity.landing.plan import check_shards, make_plan
from learnosity.landing.publish import publish
from learnosity.lineage import lineage_of_creation, lineage_of_publication
from learnosity.links import DatasetLink, ManifestLink, ReportLink, StorageConsoleLink
from learnosity.metrics import METER
from learnosity.storage.store import Store
from learnosity.task_state import START_OVER, TaskHandleStore
from learnosity.telemetry import size

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

log = logging.getLogger(__name__)


class LearnosityCreateDatasetOperator(AsyncOperator):
    """Initialise a dataset, upload its input and start its job; returns when the job is started.

    A retry, a clear or a killed worker re-attaches to what was started (see `creation`). To get a new dataset
    from a cleared task on purpose, delete its state first (see `task_state.START_OVER`).

    :param request: `dataset_type`, `filters`, `options`, `groups`, `organisation_id`. Templated.
    :param input_uri: NDJSON input: a file, folder or glob on object storage; None = no input files. Templated.
    :param dataset_id: UUID to use; None = a new one. Templated.
    :param learnosity_conn_id: connection. Templated.
    :returns: XCom with `dataset_id`, `dataset_type`, `job_reference`, `file_count`, `records`, `bytes`.
    """

    template_fields: Sequence[str] = ("request", "input_uri", "dataset_id", "learnosity_conn_id", "destination_uri")
    operator_extra_links = (DatasetLink(),)
    ui_color = "#dcecf8"

    def __init__(
        self,
        *,
        request: Mapping[str, Any],
        input_uri: str | None = None,
        dataset_id: str | None = None,
        destination_uri: str | None = None,
        learnosity_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.request = request
        self.input_uri = input_uri
        self.dataset_id = dataset_id
        self.destination_uri = destination_uri
        self.learnosity_conn_id = learnosity_conn_id
        self.created: dict[str, Any] | None = None

    async def aexecute(self, context: Context) -> dict[str, Any]:
        """Check everything that can be known beforehand, then create or re-attach."""
        request = DatasetRequest.from_mapping(self.request)
        input_uri = str(self.input_uri).strip() if self.input_uri else None
        dataset_id = check_dataset_id(self.dataset_id)
        request.check(has_input=input_uri is not None)
        schema = schema_for(request.dataset_type, request.group_keys)
        DatasetLayout(request.dataset_type, dataset_id or "new")
        hook = LearnosityHook(self.learnosity_conn_id)
        config = await hook.config()
        if self.destination_uri:
            await _check_destination(str(self.destination_uri))
        fingerprint = request.fingerprint(str(input_uri), str(dataset_id), self.learnosity_conn_id)
        with tempfile.TemporaryFile(prefix="learnosity-") as spool:

            async def prepare() -> Upload | None:
                return None if input_uri is None else await _spool(input_uri, schema, spool)

            async with hook.client() as client, SignedTransfer(config, METER) as transfer:
                created = await create_dataset(
                    client,
                    transfer,
                    request,
                    TaskHandleStore(context["task_state_store"]),
                    fingerprint=fingerprint,
                    prepare=prepare,
                    dataset_id=dataset_id,
                )
        if created.reattached:
            log.info("For a new dataset instead: %s.", START_OVER)
            METER.count("jobs_reattached", 1, dataset_type=request.dataset_type)
        else:
            METER.count("jobs_started", 1, dataset_type=request.dataset_type)
            METER.count("uploaded_records", created.records, dataset_type=request.dataset_type)
            METER.count("uploaded_bytes", created.bytes, dataset_type=request.dataset_type)
        result = asdict(created)
        del result["reattached"]
        self.created = {**result, "dataset_type": request.dataset_type}
        return self.created

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """What was read and made, for the OpenLineage provider."""
        return lineage_of_creation(self.input_uri, self.created)


class _LandingOperator(AsyncOperator):
    """What the three landing tasks share: the dataset, the destination, the run's work folder.

    :param dataset: XCom of the create task. Templated.
    :param destination_uri: object-storage prefix below which datasets land. Templated.
    :param organisation_id: item bank; None = the connection's. Templated.
    :param learnosity_conn_id: connection. Templated.
    """

    template_fields: Sequence[str] = ("dataset", "destination_uri", "organisation_id", "learnosity_conn_id")
    ui_color = "#f4ecd8"
    operator_extra_links: Sequence[BaseOperatorLink] = (DatasetLink(),)

    def __init__(
        self,
        *,
        dataset: Mapping[str, Any],
        destination_uri: str,
        organisation_id: int | None = None,
        learnosity_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.destination_uri = destination_uri
        self.organisation_id = organisation_id
        self.learnosity_conn_id = learnosity_conn_id

    @property
    def layout(self) -> DatasetLayout:
        """Where the dataset lies below the destination."""
        return DatasetLayout(str(self.dataset["dataset_type"]), str(self.dataset["dataset_id"]))

    async def store(self) -> Store:
        """The destination; its connection is looked up outside the event loop, where that is safe."""
        return await asyncio.to_thread(open_store, str(self.destination_uri))

    def work(self, context: Context) -> str:
        """The folder of this run's notes; two runs that land the same dataset do not share one."""
        run = context["dag_run"]
        return self.layout.work_prefix(sha256_hex(f"{run.dag_id}/{run.run_id}".encode())[:16])

    @asynccontextmanager
    async def results(self) -> AsyncIterator[ResultSet]:
        """The dataset's files at Learnosity."""
        extra = {"organisation_id": self.organisation_id} if self.organisation_id else {}
        async with LearnosityHook(self.learnosity_conn_id).client() as client:
            yield ResultSet(client, self.layout.dataset_type, self.layout.dataset_id, extra)


class LearnosityListFilesOperator(_LandingOperator):
    """List a finished dataset's files and share them out over shards; returns one small value a shard.

    :param include: globs over the files' paths; `*` also matches `/`. Templated.
    :param overwrite: land again what is published already. Templated.
    :param landing_shards: how many mapped tasks share the landing. Templated.
    """

    template_fields: Sequence[str] = (*_LandingOperator.template_fields, "include", "overwrite", "landing_shards")

    def __init__(
        self,
        *,
        include: Sequence[str] | str = ("*",),
        overwrite: bool | str = False,
        landing_shards: int | str = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.include = include
        self.overwrite = overwrite
        self.landing_shards = landing_shards

    async def aexecute(self, context: Context) -> list[dict[str, int]]:
        """Make and write the plan."""
        include = [self.include] if isinstance(self.include, str) else list(self.include or ["*"])
        async with self.results() as results:
            plan = await make_plan(
                await self.store(),
                self.layout,
                results,
                work=self.work(context),
                include=include,
                overwrite=self.overwrite is True,
                shards=check_shards(self.landing_shards),
            )
        return [{"shard": shard.shard, "files": shard.files} for shard in plan.shards]


class LearnosityLandFilesOperator(_LandingOperator):
    """Land the files of one shard; mapped over the shards.

    :param shard: one entry of what `list_files` returned. Templated.
    :returns: XCom with `shard`, `files`, `total_bytes`, `skipped`.
    """

    template_fields: Sequence[str] = (*_LandingOperator.template_fields, "shard")

    def __init__(self, *, shard: Mapping[str, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shard = shard

    async def aexecute(self, context: Context) -> dict[str, int]:
        """Copy what is missing."""
        config = await LearnosityHook(self.learnosity_conn_id).config()
        async with self.results() as results, SignedTransfer(config, METER) as transfer:
            landed = await land_shard(
                await self.store(),
                self.layout,
                results,
                transfer,
                work=self.work(context),
                shard=int(self.shard["shard"]),
            )
        METER.count("landed_files", landed.files - landed.skipped, dataset_type=self.layout.dataset_type)
        return asdict(landed)


class LearnosityPublishOperator(_LandingOperator):
    """Check that everything has landed, write the manifest last, and emit the asset event.

    :param request: as given to the create task, for the manifest. Templated.
    :param shards: what `list_files` returned. Templated.
    :returns: XCom with `dataset_id`, `dataset_type`, `manifest_uri`, `file_count`, `total_bytes`, and, for reading it
        again, `destination_uri` and `learnosity_conn_id`.
    """

    template_fields: Sequence[str] = (*_LandingOperator.template_fields, "request", "shards")
    operator_extra_links: Sequence[BaseOperatorLink] = (
        DatasetLink(),
        ReportLink(),
        ManifestLink(),
        StorageConsoleLink(),
    )

    def __init__(self, *, request: Mapping[str, Any], shards: Sequence[Any] | XComArg, **kwargs: Any) -> None:
        super().__init__(**{"outlets": [DATASETS_ALIAS], **kwargs})
        self.request = request
        self.shards = shards
        self.published: dict[str, Any] | None = None

    async def aexecute(self, context: Context) -> dict[str, Any]:
        """Verify and publish."""
        layout, store, run = self.layout, await self.store(), context["dag_run"]
        logical_date = run.logical_date
        manifest = await publish(
            store,
            layout,
            work=self.work(context),
            shards=_count(self.shards),
            job_reference=str(self.dataset["job_reference"]),
            request=DatasetRequest.from_mapping(self.request).body(layout.dataset_id, int(self.dataset["file_count"])),
            run=RunInfo(run.dag_id, run.run_id, logical_date.isoformat() if logical_date else None),
        )
        self.published = result = _published(store, layout, manifest)
        METER.count("datasets_published", 1, dataset_type=layout.dataset_type)
        METER.count("published_files", manifest.file_count, dataset_type=layout.dataset_type)
        METER.count("published_bytes", manifest.total_bytes, dataset_type=layout.dataset_type)
        context["outlet_events"][DATASETS_ALIAS].add(dataset_asset(layout.dataset_type), extra=result)
        log.info(
            "Published %s files, %s: %s", f"{manifest.file_count:,}", size(manifest.total_bytes), result["manifest_uri"]
        )
        # For the pages of the UI: by which connections the dataset can be read again. Not part of the event.
        return {
            **result,
            "destination_uri": str(self.destination_uri),
            "learnosity_conn_id": str(self.learnosity_conn_id),
        }

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """What was landed from where, for the OpenLineage provider."""
        return lineage_of_publication(str(self.destination_uri), self.published)


def _published(store: Store, layout: DatasetLayout, manifest: Manifest) -> dict[str, Any]:
    return {
        "dataset_id": manifest.dataset_id,
        "dataset_type": manifest.dataset_type,
        "manifest_uri": f"{store.uri}/{layout.manifest}",
        "file_count": manifest.file_count,
        "total_bytes": manifest.total_bytes,
    }


def _count(shards: Sequence[Any] | XComArg) -> int:
    if isinstance(shards, XComArg):
        raise RequestError("shards has not been rendered; is it still a template field?")
    return len(shards)


async def _spool(input_uri: str, schema: Any, spool: BinaryIO) -> Upload:
    """Validate the input into a local file, and cut it into parts."""
    files = await find_input(input_uri)
    log.info("Reading %d input file(s) from %s.", len(files), files[0].name if len(files) == 1 else input_uri)
    summary = await asyncio.to_thread(spool_input, files, schema, spool)
    parts = await asyncio.to_thread(plan_parts, spool, summary.bytes, summary.records)
    log.info(
        "Input is sound: %s records, %s, in %d file(s) to upload.",
        f"{summary.records:,}", size(summary.bytes), len(parts),
    )  # fmt: skip
    return Upload(spool, parts, summary.records, summary.bytes, summary.sha256)


async def _check_destination(uri: str) -> None:
    """Write and remove a marker: a destination without permission is found out before a job is started."""
    store = await asyncio.to_thread(open_store, uri)
    probe = f".learnosity-probe-{sha256_hex(uri.encode())[:12]}"
    await store.put(probe, b"")
    await store.delete([probe])


__all__ = [
    "DATASETS_ALIAS",
    "LearnosityCreateDatasetOperator",
    "LearnosityLandFilesOperator",
    "LearnosityListFilesOperator",
    "LearnosityPublishOperator",
    "dataset_asset",
]
