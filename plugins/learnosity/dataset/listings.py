"""Reads files.ndjson, the list of the files of a published dataset, within limits. Recent lists are kept in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any, NoReturn

from learnosity.dataset.bounded_reads import read_whole, size_of
from learnosity.dataset.file_names import MAX_PATH_BYTES
from learnosity.dataset.group_files import group_files
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.limits import Limits
from learnosity.dataset.manifest import FileEntry, Manifest, check_digest, check_files, decode_files
from learnosity.dataset.page_threads import working
from learnosity.errors import IncompleteDatasetError, TooLargeError
from learnosity.storage.store import Store

LARGEST = 2**63  # no file has this many bytes; a manifest or a files.ndjson that contains such a number is damaged
# Recently read lists of files are kept in memory, decoded. This limit counts the bytes of their files.ndjson, of all
# lists together. The decoded lists take more memory than that. A single list that is larger is not kept.
_KEPT_LISTINGS = 8 * 1024 * 1024

# A pair of mappings. The first leads from the path of each file to its entry in files.ndjson. The second leads from
# each group to the path of the file that describes this group. There, a group is written as the names from the top
# level down to it, such as `("district-1", "school-7")`; `()` is the root, the group above all other groups.
Listing = tuple[Mapping[str, FileEntry], Mapping[tuple[str, ...], str]]


class TooManyFilesError(IncompleteDatasetError):
    """A dataset has more files, or a longer list of files, than the limits allow.

    :param limits: the limits that it exceeds.
    """

    def __init__(self, limits: Limits) -> None:
        # The message does not say how many files there are, because the reader may have no right to read the dataset.
        super().__init__(
            f"The dataset is published, but it has too many files for a page: at most {limits.files:,}, and at most "
            f"{limits.listing_bytes:,} bytes in its list of files. Read it with code, by its manifest: the return "
            "value of publish has the address."
        )


class Unlisted(Mapping[Any, Any]):
    """Files that are not known. Whoever asks for one, or for their number, gets the error: no file counts as absent.

    :param error: why they are not known.
    """

    def __init__(self, error: TooManyFilesError) -> None:
        self.error = error

    def __getitem__(self, key: Any) -> NoReturn:
        raise self.error

    def __iter__(self) -> Iterator[Any]:
        raise self.error

    def __len__(self) -> int:
        raise self.error


class _Listings:
    """Decoded lists of files, by the digest of the list. The oldest are dropped when they are too large together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, tuple[int, Listing]] = OrderedDict()
        self._lock = Lock()

    def get(self, digest: str) -> Listing | None:
        with self._lock:
            if digest not in self._kept:
                return None
            self._kept.move_to_end(digest)
            return self._kept[digest][1]

    def put(self, digest: str, size: int, listing: Listing) -> None:
        if size > self._limit:
            return  # to make room for it, all other lists would be dropped, and in the end this one as well
        with self._lock:
            self._kept[digest] = size, listing
            while sum(each for each, _ in self._kept.values()) > self._limit:
                self._kept.popitem(last=False)


_LISTINGS = _Listings(_KEPT_LISTINGS)


async def read_listing(store: Store, layout: DatasetLayout, manifest: Manifest, limits: Limits) -> Listing:
    """Read files.ndjson, and compare it with the manifest.

    :raises TooManyFilesError: it exceeds the limits.
    :raises IncompleteDatasetError: it is missing, was changed after publishing, or has an entry that no landing writes.
    """
    if manifest.file_count > limits.files:
        if await size_of(store, layout.files) is None:
            check_digest(None, store, layout, manifest)
        raise TooManyFilesError(limits)
    try:
        content = await read_whole(store, layout.files, limits.listing_bytes)
    except TooLargeError:
        raise TooManyFilesError(limits) from None
    return await working(_listed, content, store, layout, manifest, limits)


def _listed(content: bytes | None, store: Store, layout: DatasetLayout, manifest: Manifest, limits: Limits) -> Listing:
    content = check_files(content, store, layout, manifest)
    if content.count(b"\n") > limits.files:
        raise TooManyFilesError(limits)
    if (known := _LISTINGS.get(manifest.files_sha256)) is not None:
        return known
    files = {entry.path: entry for entry in decode_files(content)}
    if not all(map(_is_plausible, files.values())):
        raise IncompleteDatasetError(f"{store.uri}/{layout.files} has an entry that no landing writes: it is not used.")
    # Usually JSON files describe the groups. There may be no JSON files, because `include` left them out, or because
    # Learnosity sent none. Then CSV and NDJSON files are taken.
    listing = files, group_files(files) or group_files(files, of_tables=True)
    _LISTINGS.put(manifest.files_sha256, len(content), listing)
    return listing


def _is_plausible(entry: FileEntry) -> bool:
    texts = entry.path, entry.sha256, entry.content_type, entry.content_encoding or ""
    return 0 <= entry.bytes < LARGEST and max(map(len, texts)) <= MAX_PATH_BYTES
