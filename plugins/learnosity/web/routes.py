"""What the routes of a dataset's pages share: their router with its rights, their addresses, and their parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar

from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.utils.session import create_session
from fastapi import APIRouter, Depends, HTTPException, Query, Request

from learnosity.dataset.group_files import MAX_GROUP_DEPTH
from learnosity.dataset.page_threads import reading
from learnosity.web import rights, runs
from learnosity.web.item_analysis import ItemQuery, NotAThresholdError
from learnosity.web.open_dataset import RUN, Shown, shown_dataset
from learnosity.web.results import Sorting
from learnosity.web.rights import READ_RUN

LONGEST_QUERY = 200  # maximum number of characters of a search, and of other short texts in the query of an address

Page = TypeVar("Page", bound=Callable[..., Any])
PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
GroupPath = Annotated[list[str], Query(max_length=MAX_GROUP_DEPTH)]
Words = Annotated[str, Query(max_length=LONGEST_QUERY)]
# The type of all parameters of `item_query`: three numbers from a form, and `only`, a short word such as `flagged`. A
# number is a text here, because a browser sends an empty field of the form as an empty text. The links of the page
# repeat each number as Python writes it, with at most 24 characters. So 30 are enough.
Number = Annotated[str, Query(max_length=30)]

# All routes of this router show data of a DAG, so each of them needs these rights.
pages = APIRouter(dependencies=READ_RUN)


def page(path: str, *, methods: Sequence[str] = ("GET",), **options: Any) -> Callable[[Page], Page]:
    """Register a page of a dataset at both of its addresses.

    :param methods: HTTP methods; default GET.
    """

    def register(function: Page) -> Page:
        for before in (RUN, RUN + "/dataset/{dataset_id}"):
            pages.api_route(before + path, methods=list(methods), **options)(function)
        return function

    return register


def sorting(
    sort: Words = "",
    direction: Words = "asc",
    page: PageNumber = 1,
    rows: Literal["", "groups", "users", "items"] = "",
) -> Sorting:
    """The query parameters that choose and sort a table."""
    return Sorting(sort, direction, page, rows)


def item_query(hard: Number = "", easy: Number = "", poor: Number = "", only: Number = "") -> ItemQuery:
    """The query parameters that choose questions of an analysis.

    :raises HTTPException: 422: a value is not allowed.
    """
    try:
        return ItemQuery.of(hard=hard, easy=easy, poor=poor, only=only)
    except NotAThresholdError as error:
        raise HTTPException(422, f"These values cannot be used. {error}.") from None


AskedItems = Annotated[ItemQuery, Depends(item_query)]
SortedBy = Annotated[Sorting, Depends(sorting)]


async def loaded_run(dag_id: str, run_id: str) -> runs.Run:
    """A run. The caller checks that the user may read it.

    :raises HTTPException: 404: there is no such run.
    """

    def load() -> runs.Run | None:
        with create_session() as session:
            return runs.load_run(session, dag_id, run_id)

    run = await reading(load)
    if run is None:
        raise HTTPException(404, "There is no such run.")
    return run


async def _shown(request: Request, user: GetUserDep, dag_id: str, run_id: str) -> Shown:
    def may_read(other: str) -> bool:
        with create_session() as session:
            return rights.may_read(session, user, other)

    shown = await shown_dataset(request, await loaded_run(dag_id, run_id), may_read)
    return replace(shown, reader=user.get_name(), may_read=may_read)


ShownDataset = Annotated[Shown, Depends(_shown)]
