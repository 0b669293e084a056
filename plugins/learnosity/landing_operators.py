"""The operators that land a finished dataset: list, land, publish. Import them from `learnosity.operators`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink, XComArg

from learnosity.assets import declared_ports, fixed_type, outlets_for, published_assets
from learnosity.async_operator import AsyncOperator
from learnosity.links import DatasetLink, ManifestLink, ReportLink, StorageConsoleLink
from learnosity.run_config import chosen, flag, is_empty

# Each task process loads the whole DAG file and this module. To keep this fast, the top of the module imports only what
# is needed to declare a task. What a running task needs is imported inside the methods.
if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from learnosity.landing_tasks import LandingTask


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

    def _running(self, context: Context) -> LandingTask:
        """This task, as it runs."""
        from learnosity.landing_tasks import LandingTask

        return LandingTask(context, self.dataset, self.destination_uri, self.organisation_id, self.learnosity_conn_id)


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
        overwrite = flag("overwrite", again, False)
        return await self._running(context).list_files(include=wanted, shards=shards, overwrite=overwrite)


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
        return await self._running(context).land_files(self.shard)


class LearnosityPublishOperator(_LandingOperator):
    """Check that everything has landed, write the manifest last, and emit the asset event.

    Its trigger rule lets it run after tasks that were skipped. If the task that makes the dataset, or the one that
    lists its files, was skipped, there is nothing to publish, and this task is skipped, too.

    :param request: the request of the create task. If it names the dataset type in plain text, the asset of this type
        is the outlet; else the task chooses its outlet when it runs. See `learnosity.assets`. Templated.
    :param shards: what `list_files` returned. Templated.
    :param require_complete: publish only if all that was uploaded came back; default False. Templated.
    :param run_config: as of the create task: with `dataset_type` in it, the type of `request` is only a default. With
        `require_complete` in it, the run config of a run may give it.
    :param outlets: replaces the outlet that is described above.
    :returns: XCom with `dataset_id`, `dataset_type`, `manifest_uri`, `file_count`, `total_bytes`, `gaps` (what was
        uploaded and did not come back, in words), `figures` (of the whole), `records` (uploaded; None = not known),
        `activities`, `destination_uri` and `learnosity_conn_id`; with `left_out` and `include` if `include` left files
        out.
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
        self.sources = tuple(task.task_id for task, _ in XComArg.iter_xcom_references([self.dataset, shards]))
        self.declared_type = declared
        self.chooses_outlets = "outlets" not in kwargs
        self.run_config = run_config
        self.request = request
        self.shards = shards
        self.require_complete = require_complete
        self.published: dict[str, Any] | None = None

    async def aexecute(self, context: Context) -> dict[str, Any]:
        """Verify and publish."""
        if self.sources and (self.dataset is None or self.shards is None):
            from learnosity.landing_tasks import skip_after_skipped

            await skip_after_skipped(context, self.sources)
        task = self._running(context)
        dataset_type = task.layout.dataset_type
        if self.chooses_outlets:
            # Airflow reads `outlets` only after the task has run, and then adds an asset event for each outlet. So the
            # task can still choose its outlets here.
            self.outlets = outlets_for(dataset_type, self.declared_type)
        self.published = result = await task.publish(
            shards=self.shards,
            request=self.request,
            require_complete=self._requires_complete(context["dag_run"].conf),
        )
        for asset in published_assets(dataset_type):
            context["outlet_events"][asset].extra = dict(result)
        # `destination_uri` and `learnosity_conn_id` name Airflow connections, so they are only in the XCom. The dataset
        # pages read them there. They are not in the asset event: anybody can create such an event, and it must not
        # decide which connection is used.
        return {**result, "destination_uri": task.destination, "learnosity_conn_id": task.conn_id}

    def _requires_complete(self, conf: Mapping[str, Any] | None) -> bool:
        given = (conf or {}).get("require_complete") if "require_complete" in (self.run_config or ()) else None
        return flag("require_complete", self.require_complete if is_empty(given) else given, False)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """The source and the folder of the landed dataset, for the OpenLineage provider."""
        from learnosity.created_dataset import check_created, decided
        from learnosity.lineage import lineage_of_publication

        destination = self.destination_uri or decided(check_created(self.dataset), "destination_uri")
        return lineage_of_publication(destination, self.published)
