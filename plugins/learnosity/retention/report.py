"""What a run of retention has done, or would do: an entry for each dataset, and the table of them for the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from learnosity.errors import LearnosityError

log = logging.getLogger(__name__)

SHOWN = 20  # maximum number of problems in the XCom; the log has all of them


class Entry(msgspec.Struct, frozen=True):
    """One dataset that is removed, or that a person should look at."""

    destination_uri: str
    """Without the Airflow connection."""
    dataset_type: str
    dataset_id: str
    why: str
    files: int = 0
    total_bytes: int = 0
    published_at: str = ""
    connection: str | None = None
    """The Airflow connection of the destination; "" = the credentials of the environment; None = not known: early
    versions of retention did not note it."""

    @property
    def place(self) -> str:
        """The destination with its connection, for people. One bucket name can be that of two servers."""
        return shown(self.destination_uri, self.connection)


@dataclass(slots=True)
class Report:
    """The result of a run, or what a dry run would have done.

    :param goes: what was removed; in a dry run, what would be.
    :param problems: what a person should look at.
    :param kept: how many datasets stay.
    :param later: how many more go in later runs.
    :param uploads: how many unfinished uploads were removed.
    :param failed: errors that another try may not meet.
    """

    goes: list[Entry] = field(default_factory=list)
    problems: list[Entry] = field(default_factory=list)
    kept: int = 0
    later: int = 0
    uploads: int = 0
    failed: list[LearnosityError] = field(default_factory=list)


def shown(uri: str, connection: str | None) -> str:
    """A destination for people, with its Airflow connection, if it has one."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{connection}@{rest}" if connection else uri


def table(entries: Sequence[Entry]) -> str:
    """The entries as a table for the log."""
    heads = ("type", "dataset", "published", "files", "bytes", "why", "destination")
    rows = [
        (
            each.dataset_type,
            each.dataset_id,
            each.published_at or "-",
            f"{each.files:,}",
            f"{each.total_bytes:,}",
            each.why,
            each.place,
        )
        for each in entries
    ]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [heads, tuple("-" * width for width in widths), *rows]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def tell(report: Report, dry_run: bool) -> None:
    """Log what was done, or what would be."""
    if report.goes:
        said = "Would be removed (dry run: nothing was)" if dry_run else "Removed"
        log.info("%s: %d dataset(s)\n%s", said, len(report.goes), table(report.goes))
    else:
        log.info("No dataset goes.")
    log.info(
        "%d dataset(s) are kept. %d unfinished upload(s) were removed.%s",
        report.kept,
        report.uploads,
        f" {report.later} more dataset(s) go in the next runs." if report.later else "",
    )
    for entry in report.problems:
        log.warning("%s", _text(entry))


def texts(problems: Sequence[Entry]) -> list[str]:
    """The first problems, as texts."""
    more = len(problems) - SHOWN
    rest = [f"and {more} more, which are in the log of remove_datasets"] if more > 0 else []
    return [*map(_text, problems[:SHOWN]), *rest]


def _text(entry: Entry) -> str:
    place = "/".join(part for part in (entry.place, entry.dataset_type, entry.dataset_id) if part)
    return f"{place}: {entry.why}" if place else entry.why
