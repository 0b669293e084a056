"""The web app of the dataset pages: its routes, and who may see them. Nothing here writes.

Every route that shows data asks Airflow's auth manager whether the user may read that DAG. A route finds its data
from the run (its XCom and its manifest), never from a storage address in the URL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.configuration import conf
from airflow.utils.session import create_session
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles

from learnosity.api.report_definition import has_report, report_definition
from learnosity.api.signing import sign_report
from learnosity.connections import open_store
from learnosity.dataset.manifest import FileEntry
from learnosity.dataset.published import MAX_SHOWN_BYTES, PublishedDataset
from learnosity.errors import LearnosityError, TransientStorageError
from learnosity.hooks import DEFAULT_CONN_ID, LearnosityHook
from learnosity.web import runs
from learnosity.web.plots import PLOT_WIDTH
from learnosity.web.rendering import DOWNLOAD_HEADERS, HERE, render
from learnosity.web.results import NoSuchGroupError, Sorting, results, script_json, views
from learnosity.web.tables import Pager

FILES_PAGE = 100
DATASETS_PAGE = 50
REPORT_ELEMENT = "learnosity-report"

PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
GroupPath = Annotated[list[str], Query(max_length=20)]


def sorting(sort: str = "", direction: str = "asc", page: PageNumber = 1) -> Sorting:
    """The query parameters that sort a table."""
    return Sorting(sort, direction, page)


def _may_read(entity: DagAccessEntity | None = None) -> Any:
    return Depends(requires_access_dag("GET", entity))


# Result files are the output of a task, so a user who reads them needs the right to read XComs.
READ_RUN = [_may_read(), _may_read(DagAccessEntity.RUN), _may_read(DagAccessEntity.XCOM)]

# FastAPI's documentation pages are off: they load scripts from other sites, and no program needs these routes.
app = FastAPI(title="Learnosity datasets", docs_url=None, redoc_url=None, openapi_url=None)
app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")


@app.get("/", response_class=HTMLResponse)
def index(request: Request, user: GetUserDep, page: PageNumber = 1) -> Response:
    """All published datasets of the DAGs that the user may read, newest first."""
    manager = get_auth_manager()
    with create_session() as session:
        readable = manager.get_authorized_dag_ids(user=user, method="GET", session=session)
        offset = (page - 1) * DATASETS_PAGE
        listed, total = runs.published_datasets(session, readable, offset=offset, limit=DATASETS_PAGE)
    return render(request, "index.html", datasets=listed, pager=Pager.of(total, page, DATASETS_PAGE))


@app.get("/run/{dag_id}/{run_id}", response_class=HTMLResponse, dependencies=READ_RUN)
async def run_page(
    request: Request,
    dag_id: str,
    run_id: str,
    wanted: Annotated[Sorting, Depends(sorting)],
    group: GroupPath = [],  # noqa: B006 - FastAPI copies this default, so no request can change it
) -> Response:
    """The dataset of a run, and its results."""
    run = await _run(dag_id, run_id)
    if run.publication is None:
        return render(request, "waiting.html", run=run)
    dataset = await _dataset(run)
    shown = await results(dataset, group, wanted, _here(request, run))
    return render(request, "run.html", run=run, dataset=dataset, shown=shown, **_chrome(dataset))


@app.get("/run/{dag_id}/{run_id}/files", response_class=HTMLResponse, dependencies=READ_RUN)
async def files_page(request: Request, dag_id: str, run_id: str, q: str = "", page: PageNumber = 1) -> Response:
    """The files of a dataset. They are searched and paged on the server, so that a long list opens quickly."""
    run = await _run(dag_id, run_id)
    dataset = await _dataset(run)
    found = dataset.search(q)
    pager = Pager.of(len(found), page, FILES_PAGE)
    listed = found[pager.start : pager.stop]
    return render(
        request, "files.html", run=run, dataset=dataset, files=listed, pager=pager, query=q, **_chrome(dataset)
    )


@app.get("/run/{dag_id}/{run_id}/view/{path:path}", response_class=HTMLResponse, dependencies=READ_RUN)
async def file_page(
    request: Request, dag_id: str, run_id: str, path: str, wanted: Annotated[Sorting, Depends(sorting)]
) -> Response:
    """One file as tables, or as text."""
    run = await _run(dag_id, run_id)
    dataset = await _dataset(run)
    entry = _entry(dataset, path)
    document = await dataset.document(entry)
    tables = [] if document is None else views(document, wanted)
    return render(
        request,
        "file.html",
        run=run,
        dataset=dataset,
        entry=entry,
        tables=tables,
        text=document.text if document else None,
        limit=MAX_SHOWN_BYTES,
        plot_width=PLOT_WIDTH,
        **_chrome(dataset),
    )


@app.get("/run/{dag_id}/{run_id}/file/{path:path}", dependencies=READ_RUN)
async def download(dag_id: str, run_id: str, path: str) -> Response:
    """One file, streamed."""
    dataset = await _dataset(await _run(dag_id, run_id))
    entry = _entry(dataset, path)
    first, rest = await asyncio.to_thread(_begun, dataset.stream(entry))
    name = quote(entry.path.rpartition("/")[2], safe="")
    headers = {
        **DOWNLOAD_HEADERS,
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Content-Length": str(entry.bytes),
    }
    if entry.content_encoding:
        headers["Content-Encoding"] = entry.content_encoding  # the browser decompresses the file
    return StreamingResponse(_joined(first, rest), media_type="application/octet-stream", headers=headers)


@app.get("/run/{dag_id}/{run_id}/manifest.json", dependencies=READ_RUN)
async def manifest(dag_id: str, run_id: str) -> Response:
    """The manifest, as it was published."""
    dataset = await _dataset(await _run(dag_id, run_id))
    return Response(dataset.manifest_bytes, media_type="application/json", headers=DOWNLOAD_HEADERS)


@app.get("/run/{dag_id}/{run_id}/report", response_class=HTMLResponse, dependencies=READ_RUN)
async def report_page(
    request: Request,
    dag_id: str,
    run_id: str,
    wanted: Annotated[Sorting, Depends(sorting)],
    group: GroupPath = [],  # noqa: B006 - FastAPI copies this default, so no request can change it
) -> Response:
    """The report of the Reports API, signed for this view. The page has the local view too, if the report fails."""
    run = await _run(dag_id, run_id)
    dataset = await _dataset(run)
    if not has_report(dataset.manifest.dataset_type):
        raise HTTPException(404, "The Reports API has no report for this type of dataset.")
    publication = run.publication
    conn_id = (publication.learnosity_conn_id if publication else "") or DEFAULT_CONN_ID
    config = await asyncio.to_thread(LearnosityHook(conn_id).get_config)
    definition = report_definition(dataset.manifest.request, element_id=REPORT_ELEMENT, group_path=group)
    signed = sign_report(config.credentials, definition, domain=_domain(request))
    shown = await results(dataset, group, wanted, _here(request, run))
    return render(
        request,
        "report.html",
        reports_url=config.reports_url,
        run=run,
        dataset=dataset,
        shown=shown,
        script=f"{config.reports_url}/?{config.version}",
        element=REPORT_ELEMENT,
        signed=script_json(signed),
        **_chrome(dataset),
    )


@app.exception_handler(HTTPException)
async def refused(request: Request, error: HTTPException) -> Response:
    """A page for 401, 403 and 404 that says what is wrong."""
    return render(request, "problem.html", status=error.status_code, code=error.status_code, detail=str(error.detail))


@app.exception_handler(NoSuchGroupError)
async def unknown_group(request: Request, error: NoSuchGroupError) -> Response:
    """A page for a group that the dataset does not have."""
    return render(request, "problem.html", status=404, code=404, detail=str(error))


@app.exception_handler(LearnosityError)
async def failed(request: Request, error: LearnosityError) -> Response:
    """A page for an error of this package. Its message has no secrets and says what to do."""
    status = 503 if isinstance(error, TransientStorageError) else 409
    return render(request, "problem.html", status=status, code=status, detail=str(error))


async def _run(dag_id: str, run_id: str) -> runs.Run:
    def load() -> runs.Run | None:
        with create_session() as session:
            return runs.load_run(session, dag_id, run_id)

    run = await asyncio.to_thread(load)
    if run is None:
        raise HTTPException(404, "There is no such run.")
    return run


async def _dataset(run: runs.Run) -> PublishedDataset:
    found = run.publication
    if found is None:
        raise HTTPException(404, "This run has published no dataset yet.")
    store = await asyncio.to_thread(open_store, found.destination_uri)
    dataset = await PublishedDataset.open(store, found.manifest_uri, found.layout)
    # A user can edit an XCom. The edited XCom must not open a dataset that another DAG has landed.
    if dataset.manifest.run.dag_id != run.dag_id:
        raise HTTPException(403, "Another DAG has landed this dataset.")
    return dataset


def _entry(dataset: PublishedDataset, path: str) -> FileEntry:
    entry = dataset.entry(path)
    if entry is None:
        raise HTTPException(404, "This dataset lists no such file.")
    return entry


def _chrome(dataset: PublishedDataset) -> dict[str, Any]:
    return {"reportable": has_report(dataset.manifest.dataset_type)}


def _domain(request: Request) -> str:
    """Host name of the page, for which a report is signed. Airflow's setting is used before the request's own host."""
    return urlsplit(conf.get("api", "base_url", fallback="")).hostname or request.url.hostname or "localhost"


def _begun(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first chunk and the rest. So an error on opening becomes an error page, not a broken download."""
    return next(chunks, b""), chunks


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _here(request: Request, run: runs.Run) -> str:
    base = str(request.scope.get("root_path", ""))
    return f"{base}/run/{quote(run.dag_id, safe='')}/{quote(run.run_id, safe='')}"
