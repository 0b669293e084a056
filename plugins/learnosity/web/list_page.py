"""The list of all datasets: its route. What it shows is checked for each DAG; see `rights`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, fields
from datetime import date
from typing import Annotated, Any, Literal

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.utils.session import create_session
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response

from learnosity.dataset.page_threads import reading, working
from learnosity.web import list_rows
from learnosity.web.exports import csv_of
from learnosity.web.list_filters import STATES, Wanted, chosen
from learnosity.web.rendering import DOWNLOAD_HEADERS, render
from learnosity.web.rights import readable_dags
from learnosity.web.tables import Pager

ROWS = 50
LONGEST = 200  # maximum number of characters of a search text, and of a name in a filter

Text = Annotated[str, Query(max_length=LONGEST)]

router = APIRouter()


def wanted(
    q: Text = "",
    type: Text = "",
    dag: Text = "",
    state: Text = "",
    since: Text = "",
    until: Text = "",
    zone: Text = "",
    sort: Text = "at",
    direction: Literal["asc", "desc"] = "desc",
) -> Wanted:
    """Search, filters and sorting from the query of the address."""
    return Wanted(q, type, dag, state, _day("since", since), _day("until", until), zone, sort, direction)


@router.get("/", response_class=HTMLResponse)
async def index(
    request: Request,
    user: GetUserDep,
    wanted: Annotated[Wanted, Depends(wanted)],
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
) -> Response:
    """The datasets, and the queued, running and failed runs, of all DAGs whose runs and XComs the user may read."""

    def shown() -> Response:
        rows = chosen(found.rows, wanted)
        pager = Pager.of(len(rows), page, ROWS)
        return render(
            request,
            "index.html",
            rows=rows[pager.start : pager.stop],
            pager=pager,
            total=len(found.rows),
            more=found.more,
            newest=list_rows.NEWEST,
            wanted=wanted,
            types=_with(wanted.type, {row.dataset_type for row in found.rows}),
            dags=_with(wanted.dag, set(readable)),
            states=STATES,
            longest=LONGEST,
        )

    readable, found = await _found(user, wanted)
    return await working(shown)


@router.get("/datasets.csv")
async def index_csv(user: GetUserDep, wanted: Annotated[Wanted, Depends(wanted)]) -> Response:
    """The same list as CSV, all pages of it."""
    _, found = await _found(user, wanted)

    def made() -> bytes:
        names = [each.name for each in fields(list_rows.Listed)]
        return csv_of(names, (_plain(row) for row in chosen(found.rows, wanted)))

    headers = {**DOWNLOAD_HEADERS, "Content-Disposition": "attachment; filename=learnosity-datasets.csv"}
    return Response(await working(made), media_type="text/csv; charset=utf-8", headers=headers)


async def _found(user: BaseUser, wanted: Wanted) -> tuple[Collection[str], list_rows.Found]:
    """The DAGs that the user may read, and what is listed of them."""

    def load() -> tuple[Collection[str], list_rows.Found]:
        since, until = wanted.times
        with create_session() as session:
            readable = readable_dags(session, user)
            return readable, list_rows.listed(session, readable, since=since, until=until)

    return await reading(load)


def _plain(row: list_rows.Listed) -> dict[str, Any]:
    return {**asdict(row), "at": row.at.isoformat(), "activities": ", ".join(row.activities)}


def _day(name: str, text: str) -> date | None:
    """A day of the form; None for the empty text that it sends for a day that is not set."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise HTTPException(422, f"{name} is no day. Write it like 2026-11-28.") from None


def _with(chosen_now: str, names: set[str]) -> list[str]:
    """The names that a filter offers, always with the one that is chosen now."""
    return sorted(each for each in {*names, chosen_now} if each)
