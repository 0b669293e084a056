"""Error pages, in words. None of them tells a viewer which connections exist."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response

from learnosity.dataset.listings import TooManyFilesError
from learnosity.dataset.page_threads import working
from learnosity.errors import ConnectionConfigError, LearnosityError, TransientError
from learnosity.lookups import LookupFailedError
from learnosity.web.addresses import KEPT, segment
from learnosity.web.open_dataset import RUN, NoOneDatasetError, OtherDagError, run_page_of
from learnosity.web.rendering import render
from learnosity.web.results import NoSuchGroupError
from learnosity.web.run_datasets import exact_names

log = logging.getLogger(__name__)

# If an error has one of these statuses, the user has not logged in, or has no right to see the run. Then all pages of
# the run give the same error. So the error page that `_problem` makes has no links to them.
NO_WAY = (401, 403)

# What follows the run or the dataset in the address of a download, such as `/zip` in `/run/my_dag/my_run/zip`. If an
# address does not say which dataset of the run it means, people get a page on which they choose one. For a download,
# the reply is an error instead, because a program may have asked for the file, and a program cannot choose.
DOWNLOADS = ("/manifest.json", "/file/", "/csv", "/files.csv", "/zip")


@dataclass(frozen=True, slots=True)
class RunName:
    """The run that an address names, whether it exists or not."""

    dag_id: str
    run_id: str


async def choose(request: Request, error: NoOneDatasetError) -> Response:
    """The datasets of the run, to choose from; or that there is none yet."""
    run, tail = error.run, error.tail
    if not run.has_choice:
        if tail:
            return _problem(request, 404, "This run has published no dataset yet.")
        return render(request, "waiting.html", run=run, steps=run.steps)
    names = exact_names(run.publications)
    if tail.startswith(DOWNLOADS) or (tail == "/compare" and request.query_params.get("form") == "csv"):
        listed = ", ".join(names.values()) or "none that can be read"
        return _problem(
            request,
            409,
            f"This run may have several datasets, and the address names none, or several. Published: "
            f"{listed}. Put /dataset/ and one of these names after the id of the run.",
        )
    kept = f"{tail}?{error.query}" if error.query else tail
    here = run_page_of(request, run)
    return await working(render, request, "datasets.html", run=run, steps=run.steps, here=here, tail=kept, names=names)


async def refused(request: Request, error: HTTPException) -> Response:
    """A page for an HTTP error, such as 401, 403, 404, 422 or 503, that says what is wrong."""
    return _problem(request, error.status_code, str(error.detail))


async def of_another_dag(request: Request, error: OtherDagError) -> Response:
    """A page for a dataset of a DAG that the user may not read. The user may read the run, so links to it stay."""
    run = error.run
    ways = [("All datasets of this run", run_page_of(request, run))] if len(run.datasets) > 1 else []
    return render(
        request, "problem.html", status=403, code=403, detail=str(error.detail), run=run, ways=ways, explained=True
    )


async def unknown_group(request: Request, error: NoSuchGroupError) -> Response:
    """A page for a group that the dataset does not have."""
    return _problem(request, 404, str(error))


async def not_listed(request: Request, error: TooManyFilesError) -> Response:
    """A page for everything that needs the files of a dataset, where they are too many. Its main page needs none."""
    return _problem(request, 409, str(error), files=False)


async def failed(request: Request, error: LearnosityError) -> Response:
    """A page for an error of this package. Its message has no secrets and says what to do."""
    if isinstance(error, ConnectionConfigError | LookupFailedError):
        # A viewer must not learn whether a connection exists, or what is wrong with it. So the message is only logged.
        log.warning("The connection of a report cannot be used: %s", error)
        return _problem(request, 503, "The connection cannot be used. The log of the API server names the reason.")
    return _problem(request, 503 if isinstance(error, TransientError) else 409, str(error))


async def not_understood(request: Request, error: RequestValidationError) -> Response:
    """A page for an address with a value that is not allowed, such as a query that is too long."""
    found = [f"{each['loc'][-1]}: {each['msg']}" for each in error.errors()]
    return _problem(
        request,
        422,
        f"A value that was sent is not allowed. {'; '.join(found)[:500]}.",
    )


async def unexpected(request: Request, error: Exception) -> Response:
    """A page for everything else. The server logs the error too."""
    return _problem(
        request, 500, f"This page could not be made ({type(error).__name__}). The log of the API server says more."
    )


def _login(request: Request) -> str:
    """Address of Airflow's login, which then leads back to this page."""
    airflow = str(request.scope.get("root_path", "")).rpartition("/")[0]
    page = quote(request.url.path, safe=f"/{KEPT}") + (f"?{request.url.query}" if request.url.query else "")
    return f"{airflow}/api/v2/auth/login?next={quote(page, safe='')}"


def _problem(request: Request, status: int, detail: str, *, files: bool = True) -> Response:
    told: dict[str, Any] = {"code": status, "detail": detail, "login": _login(request), "ways": (), "explained": False}
    return render(
        request,
        "problem.html",
        status=status,
        **told | (_ways_on(request, files=files) if status not in NO_WAY else {}),
    )


def _ways_on(request: Request, *, files: bool) -> dict[str, Any]:
    """Where a viewer can go on from an error below a run: the run in Airflow, and the pages of the dataset.

    :param files: whether the page of its files is one of them.
    """
    given = request.path_params
    if "dag_id" not in given or "run_id" not in given:
        return {}
    named = RunName(str(given["dag_id"]), str(given["run_id"]))
    run_page = f"{request.scope.get('root_path', '')}/run/{segment(named.dag_id)}/{segment(named.run_id)}"
    below = f"/dataset/{segment(str(given['dataset_id']))}" if "dataset_id" in given else ""
    ways = [("The dataset", run_page + below)]
    if files:
        ways.append(("Its files", f"{run_page}{below}/files"))
    # The page that failed may be the main page of the dataset. A link to it would fail again, and a link to the files
    # would probably fail, too. So both links are left out. If the failed address has a query, such as `?group=north`,
    # both links stay: they have no query, and the query may be the cause.
    if str(request.scope["route"].path) in (RUN, f"{RUN}/dataset/{{dataset_id}}") and not request.url.query:
        ways = []
    return {"run": named, "ways": [*ways, ("All datasets of this run", run_page)] if below else ways}


HANDLERS: dict[int | type[Exception], Any] = {
    NoOneDatasetError: choose,
    OtherDagError: of_another_dag,
    HTTPException: refused,
    NoSuchGroupError: unknown_group,
    TooManyFilesError: not_listed,
    LearnosityError: failed,
    RequestValidationError: not_understood,
    Exception: unexpected,
}
