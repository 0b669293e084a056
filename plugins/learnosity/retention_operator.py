"""The operators of the DAG `learnosity_retention`: remove datasets, and fail where a person should look."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.sdk import Asset, BaseOperator, XComArg

from learnosity.api.dataset_request import check_dataset_id
from learnosity.async_operator import AsyncOperator
from learnosity.connections import open_input_store, open_store
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import sha256_hex
from learnosity.destination import check_places, resolve_destination
from learnosity.errors import LearnosityError, PermanentError, RequestError, TransientStorageError
from learnosity.metrics import METRICS
from learnosity.retention.inventory import read_dataset
from learnosity.retention.rules import RetentionRules, rules_for_one_place
from learnosity.retention.sweep import Entry, Report, Sweep, table
from learnosity.run_config import flag, read_run_config
from learnosity.storage.store import Store
from learnosity.task_state import StateStore, patiently

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

# The dataset pages and the run notes treat each event of an asset whose URI begins with `ASSET_PREFIX` as a
# publication. This asset is about removals, so its URI begins differently.
REMOVED_DATASETS = Asset(name="learnosity-removed-datasets", uri="x-learnosity://removed-datasets")
FIELDS = ("dataset_ids", "dry_run", "destination_uri")
KEY = "learnosity_retention"
SHOWN = 20  # maximum number of problems in the XCom; the log has all of them


class RetentionProblemError(PermanentError):
    """Datasets could not be judged or removed. The message names them."""


class LearnosityRetentionOperator(AsyncOperator):
    """Remove datasets by rules or by their ids. The log has a table of the removed datasets.

    The run config may give `dataset_ids` (then the rules do not count), `dry_run`, and with ids `destination_uri`.

    :param rules: what the file of rules says; None = there is none, so a run needs `dataset_ids`.
    :param file_problems: why the file cannot be used; default none. Then a run needs `dataset_ids`, too.
    :returns: XCom with `dry_run`, `removed`, `would_remove`, `kept`, `later`, `unfinished_uploads` (numbers) and
        `problems` (texts). The asset event has what was removed.
    :raises TransientStorageError: a store failed for now. The next try goes on.
    """

    ui_color = "#f8e0dc"

    def __init__(self, *, rules: RetentionRules | None, file_problems: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**{"outlets": [REMOVED_DATASETS], **kwargs})
        self.rules = rules
        self.file_problems = file_problems

    async def aexecute(self, context: Context) -> dict[str, Any]:
        """Judge and remove."""
        run = context["dag_run"]
        given = read_run_config(run.conf, FIELDS)
        ids = _ids(given.get("dataset_ids"))
        dry_run = flag("dry_run", given.get("dry_run"), self.rules.dry_run if self.rules else True)
        by_rules = self._checked_rules() if not ids else None
        if by_rules and given.get("destination_uri"):
            raise RequestError("destination_uri is for dataset_ids only: each rule names its own destination.")
        notes = _Notes(context["task_state_store"])
        name = sha256_hex(f"{run.dag_id}/{run.run_id}".encode())[:16]
        sweep = Sweep(name, dry_run, notes.begin, notes.done)
        stores = await self._stores(by_rules, given.get("destination_uri"), sweep.report)
        uris = {named: store.uri for named, store in stores.items()}
        if by_rules and (problems := rules_for_one_place(by_rules.rules, uris)):
            raise RequestError(f"{' '.join(problems)} Nothing was removed.")
        await notes.load(list(stores.values()))
        if by_rules:
            for rule in by_rules.rules:
                if (store := stores.get(rule.destination_uri)) is not None:
                    await sweep.apply(store, rule)
        elif stores:
            unique = {store.uri: store for store in stores.values()}
            await sweep.named(list(unique.values()), ids, notes.removed)
        _tell(sweep.report, dry_run)
        # Airflow adds an asset event for each of the task's `outlets`, and reads them only after `execute` has
        # returned. So an empty list here means no event if nothing was removed.
        self.outlets = [REMOVED_DATASETS] if notes.removed and not dry_run else []
        if self.outlets:
            context["outlet_events"][REMOVED_DATASETS].extra = {"removed": msgspec.to_builtins(notes.removed)}
        METRICS.count("datasets_removed", 0 if dry_run else len(sweep.report.goes))
        self._check_failed(sweep.report, context["ti"])
        return {
            "dry_run": dry_run,
            "removed": 0 if dry_run else len(notes.removed),
            "would_remove": len(sweep.report.goes) if dry_run else 0,
            "kept": sweep.report.kept,
            "later": sweep.report.later,
            "unfinished_uploads": sweep.report.uploads,
            "problems": [_text(entry) for entry in sweep.report.problems[:SHOWN]],
        }

    def _checked_rules(self) -> RetentionRules:
        if self.file_problems:
            raise RequestError("Correct the file of rules:\n  " + "\n  ".join(self.file_problems))
        if self.rules is None:
            raise RequestError(
                "There is nothing to do: no rules are configured, and the run config names no dataset_ids. Copy "
                "datasets/retention.yaml.example to datasets/retention.yaml, or trigger a run with dataset_ids."
            )
        return self.rules

    async def _stores(
        self, by_rules: RetentionRules | None, wanted: str | None, report: Report
    ) -> dict[str | None, Store]:
        """The stores by their `destination_uri`, where None is the default destination."""
        named: set[str | None] = {wanted} if wanted else {None, *(rule.destination_uri for rule in self._rules())}
        if by_rules:
            named = {rule.destination_uri for rule in by_rules.rules}
        stores: dict[str | None, Store] = {}
        refused: list[LearnosityError] = []
        for each in sorted(named, key=str):
            try:
                await check_places(None, each)
                stores[each] = await asyncio.to_thread(_opened, await resolve_destination(each))
            except LearnosityError as error:
                if each is None and isinstance(error, RequestError) and len(named) > 1 and not by_rules:
                    # No default destination is set. This is no error: the run looks for its dataset ids at the other
                    # known destinations, which the rules name.
                    continue
                refused.append(error)
                report.failed.append(error)
                report.problems.append(Entry(each or "the default destination", "", "", str(error)))
        if refused and not stores:
            raise refused[0]  # no store could be opened
        return stores

    def _rules(self) -> Sequence[Any]:
        return self.rules.rules if self.rules else ()

    def _check_failed(self, report: Report, ti: Any) -> None:
        """Fail for a retry after transient errors. The last try does not fail: Airflow would drop its asset event."""
        passing = [error for error in report.failed if error.transient]
        if passing and getattr(ti, "try_number", 1) <= getattr(ti, "max_tries", 0):
            raise TransientStorageError(
                f"{len(passing)} step(s) failed for now, and the next try goes on: {passing[0]}"
            )


class LearnosityRetentionCheckOperator(BaseOperator):
    """Fail if `LearnosityRetentionOperator` has met problems. It does not fail itself: its asset event would be lost.

    :param report: the XCom of that task. Templated.
    """

    template_fields: Sequence[str] = ("report",)

    def __init__(self, *, report: Mapping[str, Any] | XComArg, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.report = report

    def execute(self, context: Context) -> None:
        """Check the report.

        :raises RetentionProblemError: it has problems.
        """
        problems = (
            self.report.get("problems") if isinstance(self.report, Mapping) else ["remove_datasets has no report"]
        )
        if problems:
            raise RetentionProblemError("Look at these datasets:\n  " + "\n  ".join(map(str, problems)))


class _Notes:
    """The datasets that this run has removed. They are kept in the task's state, so that no killed try loses them."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self.removed: list[Entry] = []
        self._begun: Entry | None = None

    async def load(self, stores: Sequence[Store]) -> None:
        """Read what earlier tries have noted. What they had begun counts as removed if nothing of it is there."""
        found = await patiently(self._store.get, KEY) or {}
        self.removed = msgspec.convert(found.get("removed", []), list[Entry])
        begun = msgspec.convert(found.get("begun"), Entry | None)
        for store in stores:
            if begun is not None and begun.destination_uri == store.uri:
                there = await read_dataset(store, DatasetLayout(begun.dataset_type, begun.dataset_id))
                if there.is_empty:
                    await self.done(begun)
                    break

    async def begin(self, entry: Entry) -> None:
        """Note that a removal begins."""
        self._begun = entry
        await self._save()

    async def done(self, entry: Entry) -> None:
        """Note that a dataset is removed."""
        self._begun = None
        self.removed.append(entry)
        await self._save()

    async def _save(self) -> None:
        await patiently(self._store.set, KEY, msgspec.to_builtins({"begun": self._begun, "removed": self.removed}))


def _ids(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, str) and each.strip() for each in value):
        raise RequestError('dataset_ids must be a list of UUIDs, such as ["a951cc14-0316-4c12-bb13-1f386338a094"].')
    return sorted({str(check_dataset_id(each.strip())) for each in value})


def _opened(uri: str) -> Store:
    open_input_store(uri)  # raises an error for a missing local folder: its volume may not be mounted
    return open_store(uri)


def _tell(report: Report, dry_run: bool) -> None:
    """Log what was done, or what would be."""
    if report.goes:
        said = "Would be removed (dry run: nothing was)" if dry_run else "Removed"
        log.info("%s: %d dataset(s)\n%s", said, len(report.goes), table(report.goes))
    else:
        log.info("No dataset goes.")
    log.info(
        "%d dataset(s) are kept. %d unfinished upload(s) were removed.%s",
        report.kept,
        report.uploads,
        f" {report.later} more dataset(s) go in the next runs." if report.later else "",
    )
    for entry in report.problems:
        log.warning("%s", _text(entry))


def _text(entry: Entry) -> str:
    place = "/".join(part for part in (entry.destination_uri, entry.dataset_type, entry.dataset_id) if part)
    return f"{place}: {entry.why}"


__all__ = ["REMOVED_DATASETS", "LearnosityRetentionCheckOperator", "LearnosityRetentionOperator"]
