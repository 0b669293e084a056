"""Names of files that tools write beside their data: markers, checksums, metadata, and files that are not finished."""

from __future__ import annotations

import re
from typing import Final

_MARKERS: Final = re.compile(
    "|".join(
        (
            r".*\._COPYING_",  # Hadoop, while a file is copied
            r".*\.(crc|sha256|md5)",  # checksums beside a file
            r".*\.(tmp|temp|part|partial|inprogress|incomplete|swp|bak)(\.[0-9a-f-]{8,})?",  # not finished, or old
            r".*_\$folder\$",  # Hadoop on S3: stands for a folder
            r".*\.(csv|txt|parquet|orc|avro)\.metadata",  # Athena, beside each result of a query
            r"[0-9a-f-]{36}-manifest\.csv",  # Athena, UNLOAD and CREATE TABLE AS: a list of the data files
            r".*(?<![A-Za-z0-9])manifest(\.json)?",  # Redshift, UNLOAD … MANIFEST
            r".*\.manifest",
            r"~\$.*|~.*\.tmp|Thumbs\.db|desktop\.ini",  # Office and Windows
            r".*~",  # editors
        )
    ),
    re.IGNORECASE,
)


def is_marker(name: str) -> bool:
    """Whether the name of a file is one that a tool gives to what is no data."""
    return _MARKERS.fullmatch(name) is not None


def is_hidden(name: str) -> bool:
    """Whether a name begins with `.` or `_`, as `_SUCCESS`, `_temporary`, `_committed_…` and `.part-0.csv.crc` do."""
    return name.startswith((".", "_")) and name not in (".", "..")
