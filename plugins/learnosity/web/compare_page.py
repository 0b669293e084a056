"""The route of the page that compares a dataset with one that its DAG has published before."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from airflow.utils.session import create_session
from fastapi import HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response

from learnosity.dataset.page_threads import reading, working
from learnosity.dataset.published import PublishedDataset
from learnosity.errors import LearnosityError
from learnosity.web.addresses import segment
from learnosity.web.audit import note_reading
from learnosity.web.compare_view import (
    ONLY,
    Compared,
    Side,
    asked_differently,
    check_group,
    compared,
    figures,
    kept,
    side,
)
from learnosity.web.history import PastDataset, past_datasets
from learnosity.web.open_dataset import OtherDagError, Shown, opened, run_page_of
from learnosity.web.rendering import DOWNLOAD_HEADERS
from learnosity.web.results import address
from learnosity.web.routes import GroupPath, ShownDataset, SortedBy, Words, loaded_run, page
from learnosity.web.run_datasets import Publication, exact_names
from learnosity.web.trend import charts, figure_names, figure_texts

log = logging.getLogger(__name__)


@page("/compare", response_class=HTMLResponse)
async def compare_page(
    request: Request,
    shown: ShownDataset,
    wanted: SortedBy,
    chosen: Annotated[Words, Query(alias="with")] = "",
    only: Literal["", "new", "gone"] = "",
    form: Literal["page", "csv"] = "page",
    group: GroupPath = [],  # noqa: B006 - FastAPI copies this default, so no request can change it
) -> Response:
    """The dataset beside an earlier one: key figures, rows, and the trend over the last ones.

    :param form: `csv` = the rows alone, as CSV.
    """
    check_group(shown.dataset, group)
    await note_reading(shown, "learnosity_compare", shown.dataset.group_file(group))
    past = await _past(shown)
    now, earlier = past[0], past[1:]
    other = next((each for each in earlier if each.dataset_id == chosen), None) if chosen else next(iter(earlier), None)
    if chosen and other is None:
        raise HTTPException(404, "This dataset is none of those that this DAG has published before it.")
    theirs: Shown | None = None
    denied = False
    try:
        theirs = await _earlier(request, shown, other) if other else None
    except OtherDagError:
        denied = True
    here, rest = f"{shown.here}/compare", kept(chosen, "")
    before: Side | None = None
    if theirs is not None:
        await note_reading(theirs, "learnosity_compare", theirs.dataset.group_file(group))
        try:
            before = await side(theirs.dataset, group, wanted.rows)
        except LearnosityError as error:
            _log_unreadable(theirs.publication.layout.dataset_id, error)
            theirs = None
    found, ours = Compared(None), Side(None, cut=False)
    if before is not None:
        ours = await side(shown.dataset, group, wanted.rows)
        places = {"here": here, "rest": rest, "dataset": shown.here}
        found = await working(compared, shown.dataset, ours, before, group, wanted, places, only)
    if form == "csv":
        content = await working(found.csv, wanted)
        if content is None:
            raise HTTPException(404, "There are no rows to compare, so there is no CSV of them.")
        headers = {**DOWNLOAD_HEADERS, "Content-Disposition": "attachment; filename=compared.csv"}
        return Response(content, media_type="text/csv; charset=utf-8", headers=headers)
    names = figure_names(past)
    return await shown.page(
        request,
        "compare.html",
        now=now,
        other=other,
        theirs=theirs,
        denied=denied,
        found=found,
        figures=figures(now, other) if other else (),
        differing=asked_differently(shown.dataset, theirs.dataset) if theirs else (),
        past=past,
        names=names,
        texts=figure_texts(past, names),
        charts=charts(past),
        crumbs=_crumbs(here, rest, group),
        path=group,
        chosen=chosen,
        only=only,
        choices=[(each, kept(chosen, each, wanted.rows)) for each in ONLY],
        kinds=[(each, kept(chosen, only, each.kind)) for each in ours.choices],
        kept=kept(chosen, only, wanted.rows),
    )


async def _past(shown: Shown) -> Sequence[PastDataset]:
    """The dataset of the page, and those before it. Its own figures are those of its manifest."""
    layout = shown.publication.layout

    def load() -> Sequence[PastDataset]:
        with create_session() as session:
            return past_datasets(session, shown.run.dag_id, layout.dataset_type, layout.dataset_id)

    found = list(await reading(load))
    own = next((each for each in found if each.dataset_id == layout.dataset_id), None)
    others = [each for each in found if each is not own]
    returned = shown.dataset.manifest.returned
    said = own or PastDataset(shown.run.run_id, layout.dataset_id, shown.published)
    return [replace(said, figures=returned.figures) if returned and returned.figures else said, *others]


async def _earlier(request: Request, shown: Shown, other: PastDataset) -> Shown | None:
    """An earlier dataset, opened; None = it is gone, or cannot be read. Only a run of the same DAG is looked at.

    :raises OtherDagError: another DAG has landed it, and the user may not read that DAG.
    """
    try:
        run = await loaded_run(shown.run.dag_id, other.run_id)
        several = run.named(f"{shown.publication.layout.dataset_type}:{other.dataset_id}")
        if not several:
            return None
        found = _beside(shown.publication, several)
        dataset: PublishedDataset = await opened(run, found, shown.may_read)
        dataset.check_listed()
    except OtherDagError:
        raise
    except (HTTPException, LearnosityError) as error:
        _log_unreadable(other.dataset_id, error)
        return None
    here = f"{run_page_of(request, run)}/dataset/{segment(exact_names(run.publications)[found.names[-1]])}"
    return Shown(run, found, dataset, here, (), shown.reader, shown.may_read)


def _beside(own: Publication, several: Sequence[Publication]) -> Publication:
    """Of one dataset at several places: that at the place of the page's dataset, or else the last one published."""
    place = own.destination_uri.rstrip("/")
    here = [each for each in several if each.destination_uri.rstrip("/") == place]
    return max(here or several, key=lambda each: each.published.timestamp() if each.published else 0.0)


def _log_unreadable(dataset_id: str, error: Exception) -> None:
    log.warning("The dataset %s cannot be compared: %s", dataset_id, type(error).__name__)


def _crumbs(here: str, rest: str, group: Sequence[str]) -> list[tuple[str, str]]:
    places = [(name, address(here, group[:depth])) for depth, name in enumerate(["All", *group])]
    return [(name, f"{place}{'&' if '?' in place else '?'}{rest}" if rest else place) for name, place in places]
