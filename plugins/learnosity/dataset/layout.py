"""Where things lie in the object store, and which names may become paths there.

File names come from a server: they are untrusted. A name that could leave the prefix, hide, or clash with
another one is refused before anything is written; none is ever repaired in silence, because a repaired name
is a file that nobody finds.
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

# S3 keys hold 1,024 bytes; what is left is for the destination prefix. File systems hold 255 a segment.
MAX_PATH_BYTES = 700
MAX_SEGMENT_BYTES = 240
_SHOWN = 10

_SAFE_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PLAIN = re.compile(r"(?:[A-Za-z0-9_%+=,@-][A-Za-z0-9_.%+=,@ -]*/)*[A-Za-z0-9_%+=,@-][A-Za-z0-9_.%+=,@ -]*")
# Bidirectional controls make a name read as another one; line separators break a line of files.ndjson viewers.
_DECEPTIVE = frozenset("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
# The local file store keeps the first kind for its own temporary files, and takes the second for drive letters.
_LOCAL_RESERVED = re.compile(r"#\d+$|[A-Za-z][:|]$")


@dataclass(frozen=True, slots=True)
class DatasetLayout:
    """Paths of one dataset below the destination prefix (design section 4.3)."""

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
        """Where a result file lies."""
        return f"{self.data_prefix}/{path}"

    @property
    def manifest(self) -> str:
        """Written last: its presence means that the dataset is complete."""
        return f"{self.prefix}/{MANIFEST}"

    @property
    def files(self) -> str:
        """One line a file, sorted by path."""
        return f"{self.prefix}/{FILES}"

    @property
    def latest(self) -> str:
        """Copy of the newest manifest of this type."""
        return f"{self.dataset_type}/{LATEST}"

    def work_prefix(self, token: str) -> str:
        """Folder of one run's own notes while it lands; gone after publishing."""
        return f"{self.prefix}/_landing/{token}"


def safe_path(name: object) -> str:
    """`name` itself, if it is fit to be a relative path.

    :raises UnsafeNameError: saying what is wrong with it.
    """
    if not isinstance(name, str) or not name:
        raise UnsafeNameError("A result file has no name.")
    # Nearly every name is plain; the slow rules are for the rest.
    plain = _PLAIN.fullmatch(name) is not None and len(name) <= MAX_SEGMENT_BYTES
    reason = None if plain and " /" not in name and not name.endswith(" ") else _refusal(name)
    if reason:
        raise UnsafeNameError(f"The result file {name[:80]!a} cannot be landed: {reason}. Nothing was written.")
    return name


def check_names(names: Iterable[str], *, local: bool = False) -> None:
    """Refuse a listing in which names repeat, collide after normalisation, or are both file and folder.

    :param names: names that `safe_path` let through.
    :param local: the destination is a file system, whose rules are stricter.
    :raises UnsafeNameError: with the first ten of them, and their number.
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
