"""Opens the dataset that a page shows: the one that its address names, or the only one of its run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from fastapi import HTTPException, Request
from fastapi.responses import Response

from learnosity.api.report_definition import has_report
from learnosity.connections import open_input_store
from learnosity.dataset.limits import PAGE
from learnosity.dataset.page_threads import reading, working
from learnosity.dataset.published import ElsewhereError, MissingManifestError, PublishedDataset, check_is_at
from learnosity.errors import ConnectionConfigError, MissingExtraError, StorageError, TransientError
from learnosity.storage.uris import parse_uri
from learnosity.web.addresses import segment
from learnosity.web.completeness import completeness
from learnosity.web.rendering import render
from learnosity.web.run_datasets import Publication, Step
from learnosity.web.runs import Run
from learnosity.web.team_connections import with_connections_of

log = logging.getLogger(__name__)

UNREADABLE = (
    "The dataset cannot be read at its place. It was moved or deleted, or the connection of its place does not work. "
    "Reload this page later. The log of the API server names the reason."
)
RUN = "/run/{dag_id}/{run_id}"
MayRead = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Shown:
    """The dataset that a page shows.

    :param here: address of its page.
    :param steps: its tasks; of a run with one dataset: all tasks.
    :param reader: name of the account that sees it.
    :param may_read: whether that account may read another DAG; None = it may not.
    """

    run: Run
    publication: Publication
    dataset: PublishedDataset
    here: str
    steps: tuple[Step, ...]
    reader: str = ""
    may_read: MayRead | None = None

    @property
    def published(self) -> datetime:
        """When it was published, by its manifest; now, if that cannot be read."""
        try:
            at = datetime.fromisoformat(self.dataset.manifest.published_at)
        except ValueError:
            return datetime.now(UTC)
        return at if at.tzinfo else at.replace(tzinfo=UTC)

    async def page(self, request: Request, template: str, **values: Any) -> Response:
        """Render a page of the dataset. `values` are for the template, and `reports_url` is for `render`."""
        return await working(
            render,
            request,
            template,
            run=self.run,
            run_page=run_page_of(request, self.run),
            dataset=self.dataset,
            complete=completeness(self.dataset.manifest),
            here=self.here,
            steps=self.steps,
            reportable=has_report(self.publication.layout.dataset_type),
            **values,
        )


class NoOneDatasetError(Exception):
    """The address names no dataset, and the run has not exactly one; or it names several datasets of the run.

    :param tail: what follows the run, or the dataset, in the address: "" for the main page, or for example `/files`.
    :param query: the query of the address.
    """

    def __init__(self, run: Run, tail: str, query: str) -> None:
        super().__init__(run.run_id)
        self.run = run
        self.tail = tail
        self.query = query


class OtherDagError(HTTPException):
    """Another DAG has landed the dataset, and the user may not read that DAG. The error does not name it."""

    def __init__(self, run: Run, found: Publication) -> None:
        self.run = run
        super().__init__(
            403,
            "Another DAG has landed this dataset, and your Airflow user may not read that DAG with its runs and XComs. "
            f"Ask an administrator for the right to read it: {found.manifest_uri} names it under run.dag_id.",
        )


async def shown_dataset(request: Request, run: Run, may_read: MayRead) -> Shown:
    """The dataset that the address of a page names, opened.

    :param may_read: as of `opened`.
    :raises NoOneDatasetError: the address names none, and the run has not exactly one; or it names several.
    :raises HTTPException: 404: the run has published no such dataset. Also as `opened`.
    """
    here = run_page_of(request, run)
    wanted = request.path_params.get("dataset_id")
    if wanted is None:
        if run.only is None:
            raise NoOneDatasetError(run, _tail(request), request.url.query)
        return Shown(run, run.only, await opened(run, run.only, may_read), here, run.steps)
    several = run.named(wanted)
    if not several:
        raise HTTPException(404, _missing(run, str(wanted)))
    if len(several) > 1:
        raise NoOneDatasetError(run, _tail(request), request.url.query)
    found = several[0]
    own = next(each.steps for each in run.datasets if each.publication is found)
    steps = own if len(run.datasets) > 1 and own else run.steps
    return Shown(run, found, await opened(run, found, may_read), f"{here}/dataset/{segment(wanted)}", steps)


def run_page_of(request: Request, run: Run) -> str:
    """Address of the page of a run."""
    base = str(request.scope.get("root_path", ""))
    return f"{base}/run/{segment(run.dag_id)}/{segment(run.run_id)}"


async def opened(run: Run, found: Publication, may_read: MayRead | None = None) -> PublishedDataset:
    """Open a dataset of a run.

    :param may_read: whether the user may read another DAG, which has landed the dataset; None = no other DAG.
    :raises HTTPException: 503: it cannot be read. `OtherDagError`: another DAG has landed it.
    """
    try:
        # This check comes before the connection in the URI is looked up. In the other order, a user who can edit XComs
        # could find out whether a connection exists: with a wrong manifest URI, an existing connection would lead to
        # the error of this check, and a missing one to a 503.
        check_is_at(parse_uri(found.destination_uri).text, found.manifest_uri, found.layout)
        store = await reading(with_connections_of, run.team, open_input_store, found.destination_uri)
        dataset = await PublishedDataset.open(store, found.manifest_uri, found.layout, PAGE, unlisted=True)
    except ElsewhereError:
        # The error page shows this error's message to the user. The message has no secret: it has only the URIs of the
        # manifest and of the destination. Both are in the XCom, which this user may read.
        raise
    except (ConnectionConfigError, MissingExtraError, StorageError, TransientError, MissingManifestError) as error:
        # All of these errors get the same reply. Otherwise, a user who can edit XComs could find out which connections
        # exist.
        log.warning("The dataset of run %s of DAG %s cannot be read: %s", run.run_id, run.dag_id, error)
        raise HTTPException(503, UNREADABLE) from None
    # An XCom can name a dataset that another DAG has landed: this run found the dataset published already, or a user
    # has edited the XCom. Such a dataset is shown only to users who may read the other DAG.
    landed_by = dataset.manifest.run.dag_id
    if landed_by != run.dag_id and (may_read is None or not await reading(may_read, landed_by)):
        raise OtherDagError(run, found)
    return dataset


def _missing(run: Run, dataset_id: str) -> str:
    """Why a run has no such dataset."""
    for each in run.datasets:
        if dataset_id in (each.dataset_id, f"{each.dataset_type}:{each.dataset_id}") and each.at:
            return f"Dataset {dataset_id} is not published yet. {each.at.task_id} of {each.label}: {each.at.state}."
    unread = "The tasks of this run returned more than a page reads, so it may be missing. " if run.more else ""
    return (
        f"This run has published no dataset with the id {dataset_id[:60]!r}. {unread}"
        "The page of the run, which is the tab Dataset, shows what it has published."
    )


def _tail(request: Request) -> str:
    route = str(request.scope["route"].path).removeprefix(RUN).removeprefix("/dataset/{dataset_id}")
    return route.replace("{path:path}", quote(str(request.path_params.get("path", "")), safe="/"))
