"""The operator that makes a dataset and starts its job. Import it from `learnosity.operators`."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from learnosity.api.field_checks import check_request
from learnosity.async_operator import AsyncOperator
from learnosity.created_dataset import check_job, existing_dataset, item_bank
from learnosity.errors import Findings
from learnosity.links import DatasetLink
from learnosity.run_config import DEFAULTS, REQUEST_KEYS, chosen, flag, is_empty, mapping, read_run_config

# Each task process loads the whole DAG file and this module. To keep this fast, the top of the module imports only what
# is needed to declare a task. What a running task needs is imported by the methods.
if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from learnosity.api.dataset_request import DatasetRequest
    from learnosity.creation.state import RequestIdentity
    from learnosity.creation.upload import Upload
    from learnosity.inputs.spool import InputFile
    from learnosity.storage.allowed_uris import AllowedUris

log = logging.getLogger(__name__)

# Arguments of the operator, besides `request`, that a run config may override.
_OWN_FIELDS = ("input_uri", "input_columns", "dataset_id", "create",
               "job_reference", "destination_uri", "learnosity_conn_id", "require_complete")  # fmt: skip


class LearnosityCreateDatasetOperator(AsyncOperator):
    """Initialise a dataset, upload its input and start its job. Ends when the job is started.

    After a retry, a clear or a killed worker, the next attempt uses the job that was started. A template that renders
    differently at each attempt, such as `now()`, does not start another job. A changed DAG or run config does; in a
    mapped task group, another value for the same map index does too. To get a new dataset from an unchanged task,
    delete the task's state first (`task_state.how_to_start_over`).

    :param request: `dataset_type`, `filters`, `options`, `groups`, `organisation_id`. Templated.
    :param input_uri: input: a file, folder or glob on object storage, in NDJSON, CSV, TSV or Parquet. None = no input
        files. Templated.
    :param input_columns: which column of a table holds which key of a record, where the names differ, such as
        `{"user_id": "student_no", "groups.district": "lea"}`; default none. Templated.
    :param dataset_id: UUID to use. None = a new one for each attempt that creates a dataset. Templated.
    :param create: False = the dataset of `dataset_id` exists already, so none is created; default True. Templated.
    :param job_reference: the job to wait for, if `create` is False. None = the dataset is finished. Templated.
    :param destination_uri: object-storage prefix below which the dataset will land. A test write is made there before
        the first call of the API. None = what the Airflow Variable `learnosity_destination_uri` says. Templated.
    :param learnosity_conn_id: Airflow connection to Learnosity; None = `learnosity_default`. Templated.
    :param require_complete: refuse a request whose result cannot be compared with its input; default False. Templated.
    :param run_config: fields of `run_config.FIELDS` that the run config of a run may give. They replace the arguments.
        Any other key of a run config is refused, except further params of the DAG, and so are places that the Airflow
        Variable `learnosity_allowed_uris` does not allow. None = the run config is not read; default.
    :param fixed: fields that a run config cannot change, with their values; default none.
    :returns: XCom with `dataset_id`, `dataset_type`, `job_reference`, `file_count`, `records`, `bytes`, `input` (what
        was uploaded), `request` (the request that was sent), `destination_uri`, `learnosity_conn_id` and
        `organisation_id`; and `existing` if the dataset existed before. The next tasks use these.
    :raises PermanentError: the run config, the input or an Airflow connection must change.
    :raises TransientError: a later try may succeed. The later try continues where this try ended.
    """

    template_fields: Sequence[str] = (
        "request",
        "input_uri",
        "input_columns",
        "dataset_id",
        "create",
        "job_reference",
        "learnosity_conn_id",
        "destination_uri",
        "require_complete",
    )
    operator_extra_links = (DatasetLink(),)
    ui_color = "#dcecf8"

    def __init__(
        self,
        *,
        request: Mapping[str, Any],
        input_uri: str | None = None,
        input_columns: Mapping[str, str] | None = None,
        dataset_id: str | None = None,
        create: bool | str = True,
        job_reference: str | None = None,
        destination_uri: str | None = None,
        learnosity_conn_id: str | None = None,
        require_complete: bool | str = False,
        run_config: Sequence[str] | None = None,
        fixed: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.require_complete = require_complete
        self.run_config = run_config
        self.fixed = fixed
        self.create = create
        self.job_reference = job_reference
        self.request = request
        self.input_uri = input_uri
        self.input_columns = input_columns
        self.dataset_id = dataset_id
        self.destination_uri = destination_uri
        self.learnosity_conn_id = learnosity_conn_id
        self.created: dict[str, Any] | None = None
        self._reads_input = True
        self._as_written: list[Any] = [copy.deepcopy(request), input_uri, dataset_id]
        if not is_empty(input_columns):
            self._as_written.append(copy.deepcopy(input_columns))
        """The arguments before templates are rendered. They show whether a person has changed the request."""

    async def aexecute(self, context: Context) -> dict[str, Any]:
        """Check everything that can be checked without a call, then create the dataset or use its existing job."""
        import msgspec

        from learnosity.api.dataset_request import DatasetRequest, check_dataset_id
        from learnosity.api.host_exists import check_host
        from learnosity.api.signed_urls import SignedTransfer
        from learnosity.connections import open_input_store, open_store
        from learnosity.creation.create import create_dataset
        from learnosity.creation.upload import prepare_upload
        from learnosity.dataset.layout import DatasetLayout
        from learnosity.destination import check_places, resolve_destination
        from learnosity.hooks import LearnosityHook
        from learnosity.inputs.find import find_input, input_identity
        from learnosity.inputs.records import schema_for
        from learnosity.metrics import METRICS
        from learnosity.storage.write_check import check_writable
        from learnosity.task_state import TaskCreationStates, how_to_start_over

        given = self._apply_run_config(context)
        request = DatasetRequest.from_mapping(self.request)
        input_uri = str(self.input_uri or "").strip() or None
        dataset_id = check_dataset_id(self.dataset_id)
        create = self._reads_input = flag("create", self.create, True)
        conn_id = str(chosen("learnosity_conn_id", self.learnosity_conn_id)).strip()
        hook = LearnosityHook(conn_id)
        findings = Findings()
        ti = context["ti"]
        task = (ti.dag_id, ti.run_id, ti.task_id, ti.map_index if ti.map_index is not None else -1)
        start_over = how_to_start_over(*task)
        states = TaskCreationStates(context["task_state_store"], start_over)
        with findings:
            if create and self.job_reference and await states.load():
                log.warning("job_reference is ignored: an earlier attempt of this task has begun a dataset of its own.")
            else:
                check_job(self.job_reference, create=create)
        with findings:
            if create:
                request.check(
                    has_input=input_uri is not None,
                    require_complete=flag("require_complete", self.require_complete, False),
                )
            else:
                request.check_existing(dataset_id)
            DatasetLayout(request.dataset_type, dataset_id or "new")
        with findings:
            config = await hook.aget_config()
            input_columns = mapping("input_columns", self.input_columns)
            # If `groups` is not valid, the check above has noted this, and `group_keys` is empty. Then columns such as
            # `groups.district` are left out: `schema_for` would refuse them, with a second error for the same mistake.
            if request.groups and not request.group_keys:
                input_columns = {key: name for key, name in input_columns.items() if not str(key).startswith("groups.")}
            schema = schema_for(
                request.dataset_type,
                request.group_keys,
                input_columns=input_columns,
                any_object=config.input_check == "json",
            )
        allowed: AllowedUris | None = None
        with findings:
            if self.run_config is not None:
                allowed = await check_places(input_uri, self.destination_uri)
            destination = await resolve_destination(self.destination_uri)
        findings.check()
        log.info("Learnosity: connection %s, %s. Destination: %s", conn_id, config.base_url, destination)
        await check_host(config, conn_id)
        store, kind = await asyncio.to_thread(open_store, destination), request.dataset_type
        await check_writable(store, json.dumps(task), ti.try_number, below=kind)
        decided = {"dataset_type": kind, "destination_uri": destination, "learnosity_conn_id": conn_id}
        if not create:
            log.info("Dataset %s exists already: nothing is created, and no input is uploaded.", dataset_id)
            result = existing_dataset(request, str(dataset_id), self.job_reference, config.organisation_id)
            self.created = {**result, **decided, **item_bank(result)}
            return self.created

        async def find() -> list[InputFile]:
            if input_uri is None:
                return []
            files = await find_input(input_uri, open_input_store)
            if allowed is not None:
                await asyncio.to_thread(allowed.check_found, input_uri, [file.name for file in files])
            return files

        async def identify_input() -> str:
            return input_identity(await find())

        with tempfile.TemporaryFile(prefix="learnosity-") as spool:

            async def prepare() -> Upload | None:
                if input_uri is None:
                    return None
                files = await find()
                log.info(
                    "Reading %d input file(s) from %s.", len(files), files[0].name if len(files) == 1 else input_uri
                )
                return await prepare_upload(files, schema, spool, uri=input_uri)

            async with hook.client() as client, SignedTransfer(config, METRICS) as transfer:
                created = await create_dataset(
                    client,
                    transfer,
                    request,
                    states,
                    identity=self._identity(
                        context, given, config.account, request, input_uri, dataset_id, *_columns_text(input_columns)
                    ),
                    prepare=prepare,
                    identify_input=identify_input,
                    dataset_id=dataset_id,
                )
        if created.reattached:
            log.info("For a new dataset instead: %s.", start_over)
            METRICS.count("jobs_reattached", 1, dataset_type=request.dataset_type)
        else:
            METRICS.count("jobs_started", 1, dataset_type=request.dataset_type)
            METRICS.count("uploaded_records", created.records, dataset_type=request.dataset_type)
            METRICS.count("uploaded_bytes", created.bytes, dataset_type=request.dataset_type)
        result = {**asdict(created), "input": msgspec.to_builtins(created.input)}
        del result["reattached"]
        # If release 1.0.0 started the job, and the package was upgraded before this attempt, the saved state does not
        # say which item bank was sent. Then the item bank is taken from the request of this run.
        sent = item_bank(result) or {"organisation_id": request.organisation_id}
        self.created = {**result, **decided, **sent}
        return self.created

    def _apply_run_config(self, context: Context) -> dict[str, Any]:
        """Replace arguments by the values of the run config, and return these values."""
        if self.run_config is None:
            return {}
        # A DAG may have further params, which its templates use. The run config has their values, too. They are left
        # out of `conf`, because `read_run_config` refuses every name that it does not know.
        dag = self.get_dag()
        own = set(dag.params if dag else ()) - set(DEFAULTS)
        conf = {name: value for name, value in (context["dag_run"].conf or {}).items() if name not in own}
        given = read_run_config(conf, self.run_config, self.fixed)
        self.request = {
            **check_request(self.request),
            **{key: given[key] for key in REQUEST_KEYS if key in given},
        }
        for name in _OWN_FIELDS:
            if name in given:
                setattr(self, name, given[name])
        return given

    def _identity(
        self, context: Context, given: Mapping[str, Any], account: str, request: DatasetRequest, *more: str | None
    ) -> RequestIdentity:
        """The identity of the request: as its author wrote it, and as it is rendered.

        :param given: the values of the run config.
        :param more: other values that make a different dataset.
        """
        from learnosity.creation.state import RequestIdentity
        from learnosity.written_values import digest, mapped_values, stable_text

        written = json.dumps(self._as_written, sort_keys=True, default=stable_text)
        # A new dataset is made if the identity has changed since an earlier attempt. So the identity has only values
        # that may change the dataset: the arguments; params that are named in the arguments, because a template there
        # may use them; the fields below, if the run config gives them; and values of a mapped task group. It does not
        # have `poll_interval`, for example: another interval must not start a second job.
        params = {key: value for key, value in dict(context.get("params") or {}).items() if key in written}
        params |= {
            key: given[key] for key in (*REQUEST_KEYS, "input_uri", "input_columns", "dataset_id") if key in given
        }
        rendered = [request.body("", 0), *more]
        mapped = mapped_values(self._as_written, [self.request, self.input_uri, self.dataset_id, self.input_columns])
        return RequestIdentity(account, digest([written, params, *mapped]), rendered=digest(rendered))

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """The input and the new dataset, for the OpenLineage provider."""
        from learnosity.lineage import lineage_of_creation

        return lineage_of_creation(self.input_uri if self._reads_input else None, self.created)


def _columns_text(columns: Mapping[str, Any]) -> list[str]:
    """The columns as a part of an identity. Without columns it is that of releases that had none."""
    return [json.dumps(columns, sort_keys=True)] if columns else []
