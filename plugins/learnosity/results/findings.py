"""What was found in one reply, and the names that its files get."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from learnosity.dataset.file_names import safe_path
from learnosity.results.outcomes import ResultFile
from learnosity.results.signals import Signals


class FoundFile(NamedTuple):
    """A file with its address or its content, not yet named for good."""

    name: str
    keys: tuple[str, ...]
    """Keys above it that could be folders. They are used where two lists give the same name."""
    url: str | None
    content: bytes | None
    bytes: int | None
    content_type: str | None


@dataclass(slots=True)
class Findings:
    """Everything that was found in a reply; it is judged when the reply has been read whole.

    :param signals: what the reply says about itself.
    """

    signals: Signals
    files: list[FoundFile] = field(default_factory=list, repr=False)
    rows: int = 0
    row_lists: set[int] = field(default_factory=set)
    """How long the lists of rows are."""
    proven_rows: int = 0
    """Rows that cannot be anything else: entries of a list, or objects with a subject and a measure."""
    nameless_rows: int = 0
    """Rows that do not say what they are about."""
    groups: list[tuple[str, ...]] = field(default_factory=list, repr=False)
    group_paths: list[tuple[str, ...] | None] = field(default_factory=list, repr=False)
    """The path that each group in the reply states for itself."""
    lone_files: int = 0
    """Files that stand in no list and under no name."""
    empty_lists: int = 0
    """Lists of files with nothing in them."""
    known: set[str] = field(default_factory=set, repr=False)
    """Texts whose addresses are accounted for."""
    names: set[str] = field(default_factory=set, repr=False)
    """Names of files that the reply mentions outside of an entry."""
    problems: list[str] = field(default_factory=list)
    """Why the reply is not understood."""
    leftovers: list[str] = field(default_factory=list)
    """What would be lost if only the files landed."""
    asides: int = 0
    """Objects in which nothing was found."""
    parts: int = 0
    """How many things were found; it grows with each."""

    def add_file(self, file: FoundFile) -> None:
        """Take in a file."""
        self.files.append(file)
        self.parts += 1

    def add_row(self, *, proven: bool) -> None:
        """Take in a row of content."""
        self.rows += 1
        self.proven_rows += proven
        self.parts += 1

    def add_empty_list(self) -> None:
        """Take in an empty list of files."""
        self.empty_lists += 1
        self.parts += 1


def named(files: list[FoundFile]) -> list[tuple[ResultFile, FoundFile]]:
    """Each file under the name that it lands with.

    A name that stands in two lists gets the keys above the lists as its folders.

    :raises UnsafeNameError: when a name must not become a path.
    """
    places: dict[str, tuple[str, ...]] = {}
    prefixed = any(places.setdefault(file.name, file.keys) != file.keys for file in files)
    return [(_result_file(file, prefixed), file) for file in files]


def _result_file(file: FoundFile, prefixed: bool) -> ResultFile:
    name = safe_path(join("/".join(file.keys), file.name) if prefixed else file.name)
    if file.content is not None:
        return ResultFile(name, "inline", len(file.content), file.content_type)
    return ResultFile(name, "url", file.bytes, file.content_type)


def join(folder: str, name: str) -> str:
    """`name` below `folder`. A name that begins with its folder already is whole."""
    return name if not folder or name.startswith(f"{folder}/") else f"{folder}/{name}"
