"""The paths of a dataset in the object store. `file_names` checks the names of result files."""

from __future__ import annotations

import re
from dataclasses import dataclass

from learnosity.errors import RequestError

MANIFEST = "manifest.json"
FILES = "files.ndjson"
NAMES = "names.tsv"
LATEST = "latest.json"


_SAFE_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


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
        """Path of the manifest. It is written last: when it exists, the dataset is complete."""
        return f"{self.prefix}/{MANIFEST}"

    @property
    def files(self) -> str:
        """Path of the list of files. It has one line per file, sorted by path."""
        return f"{self.prefix}/{FILES}"

    @property
    def names(self) -> str:
        """Path of the index of names. See `dataset.names_tsv`."""
        return f"{self.prefix}/{NAMES}"

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

    @property
    def removal_prefix(self) -> str:
        """Folder of the marks of those who remove this dataset. See `removal_marks`."""
        return f"{self.prefix}/_removal"

    def is_own(self, path: str) -> bool:
        """Whether an object in the folder of this dataset is one that landing or removing has written."""
        inside = path.removeprefix(f"{self.prefix}/")
        return inside in (MANIFEST, FILES, NAMES) or inside.startswith(("data/", "_landing/", "_removal/"))
