"""The page that finds a user, a group or a question of a dataset by its name.

A search may be for the id of a pupil. So its words are in the body of the request, and not in the address, which web
servers log. They are neither in the audit log nor in an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from learnosity.dataset.bounded_reads import read_whole
from learnosity.dataset.manifest import LAND_AGAIN, sha256_hex
from learnosity.dataset.names_tsv import MAX_BYTES, SHORTEST, Hits, Name, NameKind, search_names
from learnosity.dataset.page_threads import working
from learnosity.dataset.published import PublishedDataset
from learnosity.dataset.tables import Kind
from learnosity.errors import IncompleteDatasetError
from learnosity.web.addresses import file_address
from learnosity.web.audit import note_reading
from learnosity.web.results import Sorting, address
from learnosity.web.routes import LONGEST_QUERY, ShownDataset, page
from learnosity.web.tables import PAGE_ROWS

# Maximum length of the body of a search request in bytes; a longer body is refused. One character has up to 4 bytes in
# UTF-8. Percent-encoding makes 3 bytes of each byte (`%C3`), so one character may need 12 bytes.
_MAX_BODY = 12 * LONGEST_QUERY + len("q=")
_ROWS = {NameKind.USER: Kind.USERS, NameKind.QUESTION: Kind.ITEMS}
_KINDS = {NameKind.USER: "User", NameKind.GROUP: "Group", NameKind.QUESTION: "Question"}


@dataclass(frozen=True, slots=True)
class Place:
    """A name that was found, and where it leads.

    :param where: the groups from the top to the one that has it, or the path of its file.
    """

    kind: str
    name: str
    where: str
    link: str


async def words_of(request: Request) -> str:
    """What is searched for: the field `q` of a form that was sent; "" = nothing was sent.

    :raises HTTPException: 422: it is too long.
    """
    if request.method != "POST":
        return ""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            raise HTTPException(422, f"Search for at most {LONGEST_QUERY} characters.")
    try:
        found = parse_qs(body.decode("ascii"), max_num_fields=10, errors="replace").get("q", [""])[0].strip()
    except ValueError:
        found = ""
    if len(found) > LONGEST_QUERY:
        raise HTTPException(422, f"Search for at most {LONGEST_QUERY} characters.")
    return found


@page("/find", methods=("GET", "POST"), response_class=HTMLResponse)
async def find_page(request: Request, shown: ShownDataset, words: Annotated[str, Depends(words_of)]) -> Response:
    """Find a name. Only the index of the dataset is read."""
    shown.dataset.check_listed()
    await note_reading(shown, "learnosity_find")
    index = shown.dataset.manifest.names
    hits: Hits | None = None
    places: Sequence[Place] = ()
    if index is not None and words:
        content = await _index(shown.dataset)
        hits = await working(_search, shown.dataset, content, words)
        del content
        places = await working(_places, shown.dataset, hits.names, shown.here)
    return await shown.page(
        request,
        "find.html",
        index=index,
        words=words,
        hits=hits,
        places=places,
        shortest=SHORTEST,
        longest_query=LONGEST_QUERY,
    )


async def _index(dataset: PublishedDataset) -> bytes:
    """The index, as it was published.

    :raises IncompleteDatasetError: it is missing, or was changed since.
    """
    names, layout = dataset.manifest.names, dataset.layout
    content = await read_whole(dataset.store, layout.names, MAX_BYTES)
    if content is None or names is None or await working(sha256_hex, content) != names.sha256:
        raise IncompleteDatasetError(
            f"{dataset.store.uri}/{layout.names} is missing or was changed after publishing. {LAND_AGAIN}"
        )
    return content


def _search(dataset: PublishedDataset, content: bytes, words: str) -> Hits:
    groups = {path: " / ".join(steps) for steps, path in dataset.groups.items()} if len(words.split()) > 1 else {}
    return search_names(content, words, places=[groups.get(path, path) for path in dataset.files] if groups else ())


def _places(dataset: PublishedDataset, names: Sequence[Name], here: str) -> list[Place]:
    paths = list(dataset.files)
    # Nothing says whether the name of a file is percent-encoded. So `dataset.groups` may have the file `a%20b.json`
    # under two group paths: `("a%20b",)` and `("a b",)`. `group_files` puts the path that it takes for the right one
    # last. The keys of this dict are the files, so the dict keeps only this last path of each file.
    groups = {path: steps for steps, path in dataset.groups.items()}
    return list(_found(paths, groups, names, here))


def _found(
    paths: Sequence[str], groups: dict[str, tuple[str, ...]], names: Sequence[Name], here: str
) -> Iterator[Place]:
    for each in names:
        if each.file >= len(paths):
            continue  # names.tsv gives this name a file number that no file has, so the name is left out
        path = paths[each.file]
        steps = groups.get(path)
        at = f"page={each.row // PAGE_ROWS + 1}#row-{each.row}" if each.kind is not NameKind.GROUP else ""
        if at and steps is not None:
            # A file may have tables of several kinds, such as groups and users. `rows` in the query names the table in
            # which the name was found, so that the page shows this table.
            at = f"{Sorting(rows=_ROWS[each.kind]).rows_query}{at}"
        link = file_address(here, path) if steps is None else address(here, steps)
        link = f"{link}{'&' if '?' in link else '?'}{at}" if at else link
        yield Place(_KINDS[each.kind], each.name, " / ".join(steps) if steps else path, link)
