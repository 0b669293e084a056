"""The operators of the DAG `learnosity_retention`: remove datasets, and fail where a person should look."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.sdk import Asset, BaseOperator, XComArg

from learnosity.api.dataset_request import check_dataset_id
from learnosity.async_operator import AsyncOperator
from learnosity.connections import open_input_store, open_store
from learnosity.dataset.manifest import sha256_hex
from learnosity.destination import check_places, resolve_destination
from learnosity.errors import LearnosityError, PermanentError, RequestError, TransientStorageError
from learnosity.metrics import METRICS
from learnosity.retention.report import Entry, Report, tell, texts
from learnosity.retention.rules import RetentionRules, Rule, rules_for_one_place, rules_held_back
from learnosity.retention.sweep import Sweep
from learnosity.retention_notes import Notes, is_at, may_be_at
from learnosity.run_config import flag, read_run_config
from learnosity.storage.store import Store
from learnosity.storage.uris import parse_uri

if TYPE_CHECKING:
    from airflow.sdk import Context

# An asset event counts as the publication of a dataset if the asset's URI begins with `x-learnosity://datasets/`: the
# pages of datasets show it, and its run gets a note. This asset is about removals, so its URI begins differently.
REMOVED_DATASETS = Asset(name="learnosity-removed-datasets", uri="x-learnosity://removed-datasets")
FIELDS = ("dataset_ids", "dry_run", "destination_uri")
_UNKNOWN_PLACES = (
    "The ids were looked for at the default destination only: the file of rules cannot be used, so the destinations of "
    "the rules are not known. Correct it and trigger a run with the ids again, or name each place in destination_uri."
)


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
        notes, report = Notes(context["task_state_store"]), Report()
        await notes.load()
        try:
            dry_run = await self._work(context["dag_run"], notes, report, is_last=not _has_more_tries(context["ti"]))
        except LearnosityError as error:
            # The asset event says what was removed, and is lost if this task fails. So if datasets were removed,
            # and the error is permanent or this is the last try, the next task, `report_problems`, fails instead.
            if not notes.removed or (error.transient and _has_more_tries(context["ti"])):
                raise
            dry_run = False
            if not any(entry.why == str(error) for entry in report.problems):
                report.problems.append(Entry("", "", "", str(error)))
        notes.add_figures(report.problems)
        tell(report, dry_run)
        # Airflow reads `outlets` only after the task has run, and then adds an asset event for each outlet. If nothing
        # was removed, the list is empty, so that there is no event.
        self.outlets = [REMOVED_DATASETS] if notes.removed else []
        if self.outlets:
            context["outlet_events"][REMOVED_DATASETS].extra = {"removed": msgspec.to_builtins(notes.removed)}
        METRICS.count("datasets_removed", 0 if dry_run else len(report.goes))
        _check_failed(report, context["ti"])
        return {
            "dry_run": dry_run,
            "removed": len(notes.removed),
            "would_remove": len(report.goes) if dry_run else 0,
            "kept": report.kept,
            "later": report.later,
            "unfinished_uploads": report.uploads,
            "problems": texts(report.problems),
        }

    async def _work(self, run: Any, notes: Notes, report: Report, *, is_last: bool) -> bool:
        """Do what the run config asks for, and return whether it is a dry run."""
        given = read_run_config(run.conf, FIELDS)
        ids = _ids(given.get("dataset_ids"))
        dry_run = flag("dry_run", given.get("dry_run"), self.rules.dry_run if self.rules else True)
        wanted = given.get("destination_uri")
        by_rules = self._checked_rules() if not ids else None
        if by_rules and wanted:
            raise RequestError("destination_uri is for dataset_ids only: each rule names its own destination.")
        named: set[str | None] = {wanted} if wanted else {None, *(rule.destination_uri for rule in self._rules())}
        if by_rules:
            named = {rule.destination_uri for rule in by_rules.rules}
        if ids and self.file_problems and not wanted:
            report.problems.append(Entry("", "", "", _UNKNOWN_PLACES + "\n  ".join(["", *self.file_problems])))
        resolved = {each: await _resolved(each) for each in sorted(named, key=str)}
        places = await _places(resolved, report, must_have_default=by_rules is not None)
        await _settle(places, resolved, notes, report)
        name = sha256_hex(f"{run.dag_id}/{run.run_id}".encode())[:16]
        connections = {id(place.store): place.connection for place in places.values()}
        sweep = Sweep(
            name, dry_run, notes.begin, notes.done, report, [*notes.removed], is_last, lambda at: connections[id(at)]
        )
        if by_rules:
            for rule in _applicable(by_rules.rules, resolved, notes, report):
                if (place := places.get(rule.destination_uri)) is not None:
                    await sweep.apply(place.store, rule)
        elif places:
            await sweep.named([place.store for place in _once(places.values())], ids)
        return dry_run

    def _checked_rules(self) -> RetentionRules:
        if self.file_problems:
            raise RequestError("Correct the file of rules:\n  " + "\n  ".join(self.file_problems))
        if self.rules is None:
            raise RequestError(
                "There is nothing to do: no rules are configured, and the run config names no dataset_ids. Copy "
                "datasets/retention.yaml.example to datasets/retention.yaml, or trigger a run with dataset_ids."
            )
        return self.rules

    def _rules(self) -> Sequence[Rule]:
        return self.rules.rules if self.rules else ()


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


def _ids(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, str) and each.strip() for each in value):
        raise RequestError('dataset_ids must be a list of UUIDs, such as ["a951cc14-0316-4c12-bb13-1f386338a094"].')
    return sorted({str(check_dataset_id(each.strip())) for each in value})


async def _resolved(named: str | None) -> str | LearnosityError:
    """The URI of a destination, with its connection, or why it is not known. None = the default destination."""
    try:
        return await resolve_destination(named)
    except LearnosityError as error:
        return error


@dataclass(frozen=True, slots=True)
class _Place:
    """An open destination. Two of them can have one URI: the same bucket name on two servers.

    :param connection: its Airflow connection; "" = none.
    """

    store: Store
    connection: str


async def _places(
    resolved: Mapping[str | None, str | LearnosityError], report: Report, *, must_have_default: bool
) -> dict[str | None, _Place]:
    """The destinations that can be opened. The same destination is opened once.

    :param resolved: the URI of each destination, or why it is not known.
    :param must_have_default: whether it is an error if other destinations are known, but no default one is set.
    """
    places: dict[str | None, _Place] = {}
    refused: list[LearnosityError] = []
    for each, uri in resolved.items():
        try:
            await check_places(None, each)
            if isinstance(uri, LearnosityError):
                raise uri
            place = _Place(await asyncio.to_thread(_opened, uri), _connection(uri))
            places[each] = next((known for known in places.values() if _is_same(known, place)), place)
        except LearnosityError as error:
            if each is None and isinstance(error, RequestError) and len(resolved) > 1 and not must_have_default:
                # It is no error here that no default is set: the ids are looked for at the destinations of the rules.
                continue
            refused.append(error)
            report.failed.append(error)
            report.problems.append(Entry(each or "the default destination", "", "", str(error)))
    if refused and not places:
        raise refused[0]  # no destination is open, so nothing can be done; if one is open, the run goes on there
    return places


def _connection(uri: str) -> str:
    """The Airflow connection of a destination; "" = none. For a local folder, none counts."""
    where = parse_uri(uri)
    return "" if where.scheme == "file" else where.conn_id or ""


def _is_same(one: _Place, other: _Place) -> bool:
    return (one.store.uri, one.connection) == (other.store.uri, other.connection)


def _once(places: Iterable[_Place]) -> list[_Place]:
    return list({id(place): place for place in places}.values())


async def _settle(
    places: Mapping[str | None, _Place],
    resolved: Mapping[str | None, str | LearnosityError],
    notes: Notes,
    report: Report,
) -> None:
    """Find out which removals of killed tries have ended."""
    failed: set[int] = set()
    closed = {each: uri for each, uri in resolved.items() if each not in places}
    for entry in list(notes.begun):
        homes = [place for place in _once(places.values()) if is_at(entry, place.store.uri, place.connection)]
        if not homes or may_be_at(entry, closed.values()):
            why = "an earlier try has begun to remove it, and it is not known whether that has ended"
            report.problems.append(msgspec.structs.replace(entry, why=why))
            continue
        if failed & {id(place) for place in homes}:
            continue  # a request to this store has failed in this loop, so the store is not asked again
        try:
            await notes.settle(entry, [place.store for place in homes])
        except TransientStorageError as error:
            failed |= {id(place) for place in homes}
            report.failed.append(error)
            report.problems.append(Entry(entry.destination_uri, "", "", str(error), connection=entry.connection))


def _applicable(
    rules: Sequence[Rule], resolved: Mapping[str | None, str | LearnosityError], notes: Notes, report: Report
) -> list[Rule]:
    """The rules that may be applied now: no other rule is, or may be, for the same datasets.

    :raises RequestError: two rules are for the same datasets.
    """
    places = {each: uri for each, uri in resolved.items() if isinstance(uri, str)}
    # A given URI is resolved to itself, so only the default destination (None) can have an error here. `RequestError`:
    # no default is set, so its rules are applied nowhere. Any other error: the default could not be read. It may be the
    # same place as that of another rule, and one rule might remove what the other keeps. So both are held back.
    unknown = {each for each, uri in resolved.items() if not isinstance(uri, str | RequestError)}
    if problems := rules_for_one_place(rules, places):
        so_far = "Nothing more was removed." if notes.removed or notes.begun else "Nothing was removed."
        raise RequestError(f"{' '.join(problems)} {so_far}")
    held = rules_held_back(rules, places, unknown)
    for number, why in held.items():
        rule = rules[number - 1]
        report.problems.append(Entry(rule.destination_uri or "the default destination", rule.dataset_type, "", why))
    return [rule for number, rule in enumerate(rules, 1) if number not in held]


def _has_more_tries(ti: Any) -> bool:
    return bool(getattr(ti, "try_number", 1) <= getattr(ti, "max_tries", 0))


def _check_failed(report: Report, ti: Any) -> None:
    """Fail for a retry after transient errors. The last try does not fail: Airflow would drop its asset event."""
    passing = [error for error in report.failed if error.transient]
    if passing and _has_more_tries(ti):
        raise TransientStorageError(f"{len(passing)} step(s) failed for now, and the next try goes on: {passing[0]}")


def _opened(uri: str) -> Store:
    # If a local folder does not exist, `open_input_store` raises an error; `open_store` would make the folder. Perhaps
    # its volume is not mounted at this time, so it must not count as a destination without datasets.
    open_input_store(uri)
    return open_store(uri)


__all__ = ["REMOVED_DATASETS", "LearnosityRetentionCheckOperator", "LearnosityRetentionOperator"]
