"""The app behind the dataset pages: routes, who may see them, and nothing that writes.

Every route that shows data asks Airflow's auth manager whether the user may read that DAG. What a route reads is
found from the run (its XCom, its manifest), never from a storage address in the URL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import msgspec
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.configuration import conf
from airflow.utils.session import create_session
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles

from learnosity.api.reports import field_label, group_label, has_report, report_definition
from learnosity.api.signing import sign_report
from learnosity.connections import open_store
from learnosity.dataset.manifest import FileEntry
from learnosity.dataset.published import MAX_SHOWN_BYTES, PublishedDataset
from learnosity.dataset.tables import Document, Kind, Table
from learnosity.errors import LearnosityError, TransientStorageError
from learnosity.hooks import DEFAULT_CONN_ID, LearnosityHook
from learnosity.web import runs
from learnosity.web.plots import PLOT_WIDTH, points
from learnosity.web.rendering import DOWNLOAD_HEADERS, HERE, render
from learnosity.web.tables import Pager, TableView, view

FILES_PAGE = 100
DATASETS_PAGE = 50
REPORT_ELEMENT = "learnosity-report"

PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
GroupPath = Annotated[list[str], Query(max_length=20)]


@dataclass(frozen=True, slots=True)
class Sorting:
    """How the table of a page is to be sorted, and which part of it is wanted."""

    sort: str = ""
    direction: str = "asc"
    page: int = 1


def sorting(sort: str = "", direction: str = "asc", page: PageNumber = 1) -> Sorting:
    """Query parameters of a table."""
    return Sorting(sort, direction, page)


def _may_read(entity: DagAccessEntity | None = None) -> Any:
    return Depends(requires_access_dag("GET", entity))


# Files are what a task has left behind, so that reading them takes what reading an XCom takes.
READ_RUN = [_may_read(), _may_read(DagAccessEntity.RUN), _may_read(DagAccessEntity.XCOM)]

# No schema pages: their scripts come from elsewhere, and there is nothing here to call by program.
app = FastAPI(title="Learnosity datasets", docs_url=None, redoc_url=None, openapi_url=None)
app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")


@app.get("/", response_class=HTMLResponse)
def index(request: Request, user: GetUserDep, page: PageNumber = 1) -> Response:
    """All published datasets of DAGs that the user may read, the newest first."""
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
    group: GroupPath = [],  # noqa: B006 - FastAPI reads it as the default of the query, and copies it
) -> Response:
    """What the run's dataset is, and its results."""
    run = await _run(dag_id, run_id)
    if run.publication is None:
        return render(request, "waiting.html", run=run)
    dataset = await _dataset(run)
    shown = await _results(dataset, group, wanted, _here(request, run))
    return render(request, "run.html", run=run, dataset=dataset, shown=shown, **_chrome(dataset))


@app.get("/run/{dag_id}/{run_id}/files", response_class=HTMLResponse, dependencies=READ_RUN)
async def files_page(request: Request, dag_id: str, run_id: str, q: str = "", page: PageNumber = 1) -> Response:
    """The dataset's files, searched and cut into pages here, so that any number of them opens at once."""
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
    tables = [] if document is None else _views(document, wanted)
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
    group: GroupPath = [],  # noqa: B006 - FastAPI reads it as the default of the query, and copies it
) -> Response:
    """The report by the Reports API, signed for this view; the local view stands by in case it cannot load."""
    run = await _run(dag_id, run_id)
    dataset = await _dataset(run)
    if not has_report(dataset.manifest.dataset_type):
        raise HTTPException(404, "The Reports API has no report for this type of dataset.")
    publication = run.publication
    conn_id = (publication.learnosity_conn_id if publication else "") or DEFAULT_CONN_ID
    config = await asyncio.to_thread(LearnosityHook(conn_id).get_conn)
    definition = report_definition(dataset.manifest.request, element_id=REPORT_ELEMENT, group_path=group)
    signed = sign_report(config.credentials, definition, domain=_domain(request))
    shown = await _results(dataset, group, wanted, _here(request, run))
    return render(
        request,
        "report.html",
        reports_url=config.reports_url,
        run=run,
        dataset=dataset,
        shown=shown,
        script=f"{config.reports_url}/?{config.version}",
        element=REPORT_ELEMENT,
        signed=_script_json(signed),
        **_chrome(dataset),
    )


@app.exception_handler(HTTPException)
async def refused(request: Request, error: HTTPException) -> Response:
    """401, 403 and 404 as a page that says what to do."""
    return render(request, "problem.html", status=error.status_code, code=error.status_code, detail=str(error.detail))


@app.exception_handler(LearnosityError)
async def failed(request: Request, error: LearnosityError) -> Response:
    """What the domain says is wrong; its messages hold no secrets and name what to do."""
    status = 503 if isinstance(error, TransientStorageError) else 409
    return render(request, "problem.html", status=status, code=status, detail=str(error))


@dataclass(frozen=True, slots=True)
class Results:
    """The local view of a dataset, or of one of its groups.

    :param table: the rows; None when nothing was recognised.
    :param path: group path of what is shown.
    :param crumbs: name and address of each group above, the root first.
    :param scatter: JSON of the points of the item plot; None without one.
    """

    table: TableView | None
    text: str
    entry: FileEntry | None
    path: Sequence[str]
    crumbs: Sequence[tuple[str, str]]
    scatter: str | None
    plot_width: float = PLOT_WIDTH


async def _results(dataset: PublishedDataset, path: Sequence[str], wanted: Sorting, here: str) -> Results:
    entry = dataset.group_file(path)
    if entry is None and path:
        raise HTTPException(404, "No file of this dataset is named like this group. Look for it under Files.")
    document = await dataset.document(entry) if entry else None
    crumbs = [(name, _address(here, path[:depth])) for depth, name in enumerate(["All", *path])]
    if document is None:
        return Results(None, "", entry, path, crumbs, None)
    table = document.first(Kind.GROUPS) if has_report(dataset.manifest.dataset_type) else None
    users = document.first(Kind.USERS)
    items = document.first(Kind.ITEMS)
    chosen = users if users and (table is None or table.name == "group") else table
    chosen = chosen or items or next(iter(document.tables), None)
    if chosen is None:
        return Results(None, document.text, entry, path, crumbs, None)

    def below(row: Mapping[str, Any]) -> str | None:
        name = row.get("group_name")
        if chosen.kind is not Kind.GROUPS or not isinstance(name, str) or dataset.group_file([*path, name]) is None:
            return None
        return _address(here, [*path, name])

    label = group_label(dataset.manifest.request, len(path))
    caption = {Kind.GROUPS: label, Kind.USERS: "Users", Kind.ITEMS: "Questions"}.get(chosen.kind, "Rows")
    shown = view(chosen, caption=caption, sort=wanted.sort, direction=wanted.direction, page=wanted.page, link=below)
    return Results(shown, "", entry, path, crumbs, _scatter(chosen))


def _scatter(table: Table) -> str | None:
    if table.kind is not Kind.ITEMS:
        return None
    found = points(table.rows)
    return _script_json([[each.x, each.y, each.label, each.poor] for each in found]) if found else None


def _views(document: Document, wanted: Sorting) -> list[TableView]:
    return [
        view(
            table,
            caption=field_label(table.name) or field_label(table.kind),
            sort=wanted.sort,
            direction=wanted.direction,
            page=wanted.page,
        )
        for table in document.tables
    ]


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
    # An XCom can be edited: who may read this DAG may not thereby read what another one has landed.
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


def _here(request: Request, run: runs.Run) -> str:
    base = str(request.scope.get("root_path", ""))
    return f"{base}/run/{quote(run.dag_id, safe='')}/{quote(run.run_id, safe='')}"


def _address(here: str, path: Sequence[str]) -> str:
    query = "&".join(f"group={quote(name, safe='')}" for name in path)
    return f"{here}?{query}" if query else here


def _domain(request: Request) -> str:
    """Host name of the page (contract section 9); Airflow's own setting before what the client claims."""
    return urlsplit(conf.get("api", "base_url", fallback="")).hostname or request.url.hostname or "localhost"


def _script_json(value: Any) -> str:
    """JSON for a script element: nothing in it can end the element."""
    text = msgspec.json.encode(value).decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _begun(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first chunk and the rest: an error on opening becomes a page instead of a broken download."""
    return next(chunks, b""), chunks


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
