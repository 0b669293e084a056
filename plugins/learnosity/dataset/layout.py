"""The paths of a dataset in the object store, and which file names may become paths there.

File names come from a server, so they are not trusted. A name that leads out of the prefix, looks like another name
or clashes with one is refused before anything is written. Names are never changed: nobody would find such a file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from learnosity.errors import RequestError, UnsafeNameError

MANIFEST = "manifest.json"
FILES = "files.ndjson"
LATEST = "latest.json"

# Longest path of a result file, and longest part of it between two slashes. An S3 key may have 1,024 bytes, of which
# the destination prefix needs some. Most file systems allow 255 bytes per part.
MAX_PATH_BYTES = 700
MAX_SEGMENT_BYTES = 240
_SHOWN = 10  # names in one message

_SAFE_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PLAIN = re.compile(r"(?:[A-Za-z0-9_%+=,@-][A-Za-z0-9_.%+=,@ -]*/)*[A-Za-z0-9_%+=,@-][A-Za-z0-9_.%+=,@ -]*")
# Characters that change the direction of text make a name look like another one. Line separators split a line.
_DECEPTIVE = frozenset("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
# Names that obstore's local store cannot keep: it uses `name#1` for temporary files, and reads `C:` as a drive letter.
_LOCAL_RESERVED = re.compile(r"#\d+$|[A-Za-z][:|]$")


@dataclass(frozen=True, slots=True)
class DatasetLayout:
    """Paths of one dataset below the destination prefix. `RequestError` if its type or id cannot be in a path."""

    dataset_type: str
    dataset_id: str

    def __post_init__(self) -> None:
        for value in (self.dataset_type, self.dataset_id):
            if not _SAFE_SEGMENT.fullmatch(value) or ".." in value:
                raise RequestError(
                    f"{value[:60]!r} cannot be part of a path: dataset_type and dataset_id may hold letters, digits, "
                    "dots, dashes and underscores."
                )

    @property
    def prefix(self) -> str:
        """Folder of this dataset."""
        return f"{self.dataset_type}/{self.dataset_id}"

    @property
    def data_prefix(self) -> str:
        """Folder of the result files."""
        return f"{self.prefix}/data"

    def data(self, path: str) -> str:
        """Path of a result file."""
        return f"{self.data_prefix}/{path}"

    @property
    def manifest(self) -> str:
        """Path of the manifest. It is written last: when it is there, the dataset is complete."""
        return f"{self.prefix}/{MANIFEST}"

    @property
    def files(self) -> str:
        """Path of the list of files. It has one line per file, sorted by path."""
        return f"{self.prefix}/{FILES}"

    @property
    def latest(self) -> str:
        """Path of a copy of the newest manifest of this dataset type."""
        return f"{self.dataset_type}/{LATEST}"

    def work_prefix(self, run: str, plan: str) -> str:
        """Folder for the notes of one landing. It is removed after publishing.

        :param run: name of the run: two runs that land the same dataset do not share notes.
        :param plan: name of the plan: notes of an earlier plan do not apply to the files of this plan.
        """
        return f"{self.landing_prefix}/{run}/{plan}"

    @property
    def landing_prefix(self) -> str:
        """Folder of all notes."""
        return f"{self.prefix}/_landing"


def safe_path(name: object) -> str:
    """Return `name` unchanged if it may become a relative path.

    :raises UnsafeNameError: it may not; the message says why.
    """
    if not isinstance(name, str) or not name:
        raise UnsafeNameError("A result file has no name.")
    # Nearly every name passes this fast check. The slow rules are for the others.
    plain = _PLAIN.fullmatch(name) is not None and len(name) <= MAX_SEGMENT_BYTES
    reason = None if plain and " /" not in name and not name.endswith(" ") else _refusal(name)
    if reason:
        raise UnsafeNameError(f"The result file {name[:80]!a} cannot be landed: {reason}. Nothing was written.")
    return name


def check_names(names: Iterable[str], *, local: bool = False) -> None:
    """Refuse a listing with names that repeat, are equal after Unicode normalisation, or are both file and folder.

    :param names: names that `safe_path` has accepted.
    :param local: whether the destination is a file system, which has stricter rules.
    :raises UnsafeNameError: there are such names. The message has the first ten and their number.
    """
    seen: dict[str, str] = {}
    folders: set[str] = set()
    clashes: list[str] = []
    for name in names:
        key = name if name.isascii() else unicodedata.normalize("NFC", name)
        if key in seen:
            same = seen[key] == name
            clashes.append(f"{name[:80]!a} {'is listed twice' if same else 'collides with another name'}")
        seen[key] = name
        parent = key
        while (cut := parent.rfind("/")) > 0:
            parent = parent[:cut]
            if parent in folders:
                break
            folders.add(parent)
        if local and any(_LOCAL_RESERVED.search(segment) for segment in name.split("/")):
            clashes.append(f"{name[:80]!a} ends as '#1' or 'C:' do, which the local store cannot keep")
    clashes += [f"{seen[key][:80]!a} is both a file and a folder" for key in folders & seen.keys()]
    if clashes:
        shown = "\n  ".join(clashes[:_SHOWN])
        raise UnsafeNameError(
            f"{len(clashes)} result file names cannot be landed side by side; nothing was written:\n  {shown}"
        )


def _refusal(name: str) -> str | None:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "its name is not valid Unicode"
    if size > MAX_PATH_BYTES:
        return f"its name is longer than {MAX_PATH_BYTES} bytes"
    if name.startswith("/") or "\\" in name or re.match(r"[A-Za-z]:", name):
        return "its name is an absolute path or holds a backslash"
    if any(unicodedata.category(char) in ("Cc", "Cs") or char in _DECEPTIVE for char in name):
        return "its name holds control characters"
    for segment in name.split("/"):
        if segment in ("", ".", ".."):
            return "its name holds an empty, '.' or '..' part"
        if len(segment.encode()) > MAX_SEGMENT_BYTES:
            return f"a part of its name is longer than {MAX_SEGMENT_BYTES} bytes"
        if segment != segment.strip():
            return "a part of its name begins or ends with a blank"
    return None
