"""The web app of the dataset pages: its routes, and who may see them.

Nothing here writes, but for a row in Airflow's audit log before a page of a dataset is sent (`audit`).

A page of a dataset has two addresses: below the run, for a run with one dataset, and below the dataset's id.

Every route that shows data of a DAG has the rights of `rights.READ_RUN`. A route finds its data
from the run (its XCom and its manifest), never from a storage address in the URL.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, urlsplit

from airflow.configuration import conf
from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

from learnosity.api.report_definition import has_report, report_definition
from learnosity.api.signing import sign_report
from learnosity.dataset.bounded_reads import compression
from learnosity.dataset.file_names import MAX_PATH_BYTES
from learnosity.dataset.manifest import FileEntry
from learnosity.dataset.page_threads import reading, reading_on, working
from learnosity.dataset.published import PublishedDataset
from learnosity.hooks import DEFAULT_CONN_ID, LearnosityHook
from learnosity.web import compare_page, find_page, list_page, use_page
from learnosity.web.audit import note_reading
from learnosity.web.error_pages import HANDLERS
from learnosity.web.open_dataset import Shown
from learnosity.web.plots import PLOT_WIDTH
from learnosity.web.rendering import DOWNLOAD_HEADERS, HERE, streamed
from learnosity.web.results import NoSuchGroupError, address, results, script_json, views
from learnosity.web.routes import (
    LONGEST_QUERY,
    AskedItems,
    GroupPath,
    PageNumber,
    ShownDataset,
    SortedBy,
    Words,
    page,
    pages,
)
from learnosity.web.tables import Pager
from learnosity.web.team_connections import with_connections_of

FILES_PAGE = 100
REPORT_ELEMENT = "learnosity-report"

# Importing these modules registers their routes. No code reads `PAGES`: it only shows that the imports are needed.
PAGES = (compare_page, find_page, use_page)
# A stored file may be compressed. If its encoding is one of these, `download` sets the header `Content-Encoding`, and
# the browser decompresses the file. With any other encoding, the user gets the file still compressed.
ENCODINGS = ("gzip", "x-gzip", "deflate")


# FastAPI would add pages that document the routes of `app`. These pages are off, because they load scripts from other
# sites.
app = FastAPI(title="Learnosity datasets", docs_url=None, redoc_url=None, openapi_url=None, exception_handlers=HANDLERS)
app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")


@page("", response_class=HTMLResponse)
async def run_page(
    request: Request,
    shown: ShownDataset,
    wanted: SortedBy,
    asked: AskedItems,
    group: GroupPath = [],  # noqa: B006 - FastAPI copies this default, so no request can change it
) -> Response:
    """The dataset of a run, and its results."""
    await note_reading(shown, "learnosity_results", _group_entry(shown, group))
    return await shown.page(request, "run.html", shown=await results(shown.dataset, group, wanted, shown.here, asked))


@page("/files", response_class=HTMLResponse)
async def files_page(request: Request, shown: ShownDataset, q: Words = "", page: PageNumber = 1) -> Response:
    """The files of a dataset. They are searched and paged on the server, so that a long list opens quickly."""
    await note_reading(shown, "learnosity_files")
    found = await working(shown.dataset.search, q)
    pager = Pager.of(len(found), page, FILES_PAGE)
    return await shown.page(
        request, "files.html", files=found[pager.start : pager.stop], pager=pager, query=q, longest_query=LONGEST_QUERY
    )


@page("/view/{path:path}", response_class=HTMLResponse)
async def file_page(
    request: Request,
    shown: ShownDataset,
    path: str,
    wanted: SortedBy,
    file: Annotated[str, Query(max_length=MAX_PATH_BYTES)] = "",
) -> Response:
    """One file as tables, or as text. The query may name it instead of the path; see `addresses`."""
    entry = _entry(shown.dataset, file or path)
    await note_reading(shown, "learnosity_view", entry)
    document = await shown.dataset.unfolded(entry)
    tables = [] if document is None else await working(views, document, wanted)
    return await shown.page(
        request,
        "file.html",
        entry=entry,
        group=shown.dataset.group_of(entry),
        tables=tables,
        document=document,
        text=document.text if document else None,
        cut=document is not None and document.cut,
        plot_width=PLOT_WIDTH,
    )


@page("/file/{path:path}")
async def download(shown: ShownDataset, path: str) -> Response:
    """One file, streamed."""
    dataset = shown.dataset
    entry = _entry(dataset, path)
    await note_reading(shown, "learnosity_download", entry)
    name = quote(entry.path.rpartition("/")[2], safe="")
    headers = {
        **DOWNLOAD_HEADERS,
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Content-Length": str(entry.bytes),
    }
    if (coding := compression(entry.content_encoding)) in ENCODINGS:
        headers["Content-Encoding"] = str(coding)
    return await streamed(reading_on(await dataset.stream(entry)), "application/octet-stream", headers)


@page("/manifest.json")
async def manifest(shown: ShownDataset) -> Response:
    """The manifest, as it was published."""
    await note_reading(shown, "learnosity_manifest")
    return Response(shown.dataset.manifest_bytes, media_type="application/json", headers=DOWNLOAD_HEADERS)


@page("/report", response_class=HTMLResponse)
async def report_page(
    request: Request,
    shown: ShownDataset,
    wanted: SortedBy,
    group: GroupPath = [],  # noqa: B006 - FastAPI copies this default, so no request can change it
) -> Response:
    """The page around the report. It has the local view too, if the report fails."""
    _check_report(shown, group)
    await note_reading(shown, "learnosity_report", _group_entry(shown, group))
    local = await results(shown.dataset, group, wanted, shown.here)
    frame = address(f"{shown.here}/report/frame", group)
    return await shown.page(request, "report.html", shown=local, frame=frame)


@page("/report/frame", response_class=HTMLResponse)
async def report_frame(
    request: Request,
    shown: ShownDataset,
    group: GroupPath = [],  # noqa: B006 - FastAPI copies this default, so no request can change it
) -> Response:
    """The report of the Reports API, signed for this view: for a frame, because its script is of another site."""
    _check_report(shown, group)
    await note_reading(shown, "learnosity_report_signed", _group_entry(shown, group))
    conn_id = shown.publication.learnosity_conn_id or DEFAULT_CONN_ID
    config = await reading(with_connections_of, shown.run.team, LearnosityHook(conn_id).get_config)
    layout = shown.publication.layout
    definition = report_definition(
        layout.dataset_type,
        layout.dataset_id,
        shown.dataset.manifest.request,
        element_id=REPORT_ELEMENT,
        group_path=group,
    )
    signed = sign_report(config.credentials, definition, domain=_domain(request))
    return await shown.page(
        request,
        "report_frame.html",
        reports_url=config.reports_url,
        script=f"{config.reports_url}/?{config.version}",
        element=REPORT_ELEMENT,
        signed=script_json(signed),
    )


app.include_router(list_page.router)
app.include_router(pages)


def _check_report(shown: Shown, group: list[str]) -> None:
    if not has_report(shown.publication.layout.dataset_type):
        raise HTTPException(404, "The Reports API has no report for this type of dataset.")
    if group and shown.dataset.group_file(group) is None:
        raise NoSuchGroupError("No file of this dataset is named like this group. Look for it under Files.")


def _group_entry(shown: Shown, group: list[str]) -> FileEntry | None:
    """The file of the group that a page shows, for the audit log; None where there is none, or its files are not known.

    :raises TooManyFilesError: the files are not known, so a group cannot be found.
    """
    return None if shown.dataset.not_listed and not group else shown.dataset.group_file(group)


def _entry(dataset: PublishedDataset, path: str) -> FileEntry:
    entry = dataset.entry(path)
    if entry is None:
        raise HTTPException(404, "This dataset lists no such file.")
    return entry


def _domain(request: Request) -> str:
    """Host name of the page, for which a report is signed. Airflow's setting is used before the request's own host."""
    return urlsplit(conf.get("api", "base_url", fallback="")).hostname or request.url.hostname or "localhost"
