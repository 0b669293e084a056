"""Names of files that tools write beside their data: markers, checksums, metadata, and files that are not finished."""

from __future__ import annotations

import re
from typing import Final

_MARKERS: Final = re.compile(
    "|".join(
        (
            r".*\._COPYING_",  # Hadoop: a file that is still being copied
            r".*\.(crc|sha1|sha256|sha512|md5)",  # the checksum of another file
            # A file that is not finished, or a backup copy; some tools add a random ending, such as `.5f3a09c2`.
            r".*\.(tmp|temp|part|partial|filepart|crdownload|inprogress|incomplete|swp|bak)(\.[0-9a-f-]{8,})?",
            r".*_\$folder\$",  # Hadoop on S3: an empty object that stands for a folder
            r".*\.(csv|txt|parquet|orc|avro)\.metadata",  # Athena: the columns of a query's result
            # Athena (UNLOAD, CREATE TABLE AS, INSERT INTO): `<query id>-manifest.csv` lists the data files, and
            # `<query id>.metadata` has their columns.
            r"[0-9a-f-]{36}(-manifest\.csv|\.metadata)",
            r".*(?<![A-Za-z0-9])manifest(\.json)?",  # Redshift (UNLOAD … MANIFEST): the list of the data files
            r".*\.manifest",
            # Lock files and temporary files of Office; `Thumbs.db` and `desktop.ini`, which Windows puts into folders.
            r"~\$.*|~.*\.tmp|Thumbs\.db|desktop\.ini",
            r".*~",  # backup files of editors
        )
    ),
    re.IGNORECASE,
)


def is_marker(name: str) -> bool:
    """Whether a tool gives this name to a file that holds no data."""
    return _MARKERS.fullmatch(name) is not None


def is_hidden(name: str) -> bool:
    """Whether a name begins with `.` or `_`, as `_SUCCESS`, `_temporary`, `_committed_…` and `.part-0.csv.crc` do."""
    return name.startswith((".", "_")) and name not in (".", "..")
