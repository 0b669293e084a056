"""Counts users, groups, questions and sessions in a finished dataset, and compares them with what was uploaded.

The format of result files is not documented, so only what is recognised is compared. What is not recognised is not
known, which is another thing than a gap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from learnosity.dataset.input_info import InputInfo
from learnosity.dataset.nested_rows import OWN
from learnosity.dataset.shapes import ANCESTORS
from learnosity.dataset.tables import Document, Kind, Table
from learnosity.results.known_keys import STRUCTURE_KEYS, plain_key

_STATISTICS: Final = ("_score", "_percent")
# A file may have a single row beside a list with one group: `{"root": {…}, "groups": [{…}]}`. Under one of these keys,
# the row is taken for the root group. Under another key, such as `nation`, it is taken for the root group only if it
# has no `group_name`. A row with a name may be a benchmark: figures that groups are compared with. The keys are in the
# form of `plain_key`: `Root_Group` becomes `rootgroup`.
_ROOTS: Final = STRUCTURE_KEYS | {"root", "rootgroup"}
# Only under one of these keys, a single row is taken for the root group even beside a list of several groups: these
# keys can mean nothing else. Under the other keys of `_ROOTS`, such as `data`, the row may also be a benchmark.
_ONLY_ROOTS: Final = frozenset({"root", "rootgroup"})


class Returned(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was recognised in a dataset: the section `returned` of its manifest."""

    population: int | None = None
    """Users of the root group; None = not recognised."""
    groups: dict[str, int] = {}
    """Groups of each level, by the level's key. A level that is not recognised is missing."""
    questions: int | None = None
    """Questions of an analysis; None = not recognised, or no analysis."""
    sessions: int | None = None
    """Sessions of the question that has the most; None = not recognised, or no analysis."""
    nothing_matched: bool = False
    """Whether it is certain that no session was counted."""
    gaps: tuple[str, ...] = ()
    """What is missing, in words."""
    figures: dict[str, float] = {}
    """Key figures, by which datasets are compared: see `dataset.key_figures`. Empty = not recognised."""


def groups_returned(root: Document, files: Mapping[tuple[str, ...], str], keys: Sequence[str]) -> Returned:
    """Count users and groups in the result files of a group dataset.

    :param root: the content of the file of the root group.
    :param files: the files of the groups, by group path (`group_files.group_files`).
    :param keys: keys of the levels, top level first.
    """
    tables = [table for table in root.tables if table.kind is Kind.GROUPS and table.name != "ancestors"]
    own = next((table.rows[0] for table in tables if table.name == "group"), None)
    others = [table for table in tables if table.name != "group"]
    below = max(others, key=lambda table: (not table.lone, len(table.rows)), default=None)
    lone = [table.rows[0] for table in others if table.lone and _may_be_root(table)]
    roots = [table.rows[0] for table in others if below is not None and _is_root(table, below)]
    if own is None and len(roots) == 1 and _population(roots) is not None:
        own = roots[0]
    elif own is None and below is not None and not below.lone and len(below.rows) == len(lone) == 1:
        # Beside a list with one group, there is a single row under another key than `group`. This single row is taken
        # for the root group. Its `population` is used, and not that of the group in the list: some users may be in no
        # group. Beside several groups, a single row may be a benchmark, and is not used: see `_ONLY_ROOTS`.
        own = lone[0]
    if root.cut or (own is None and below is None):
        return Returned()
    rows: Sequence[Mapping[str, Any]] = below.rows if below else ()
    population = _population([own]) if own is not None else _population(rows)
    return Returned(
        population=population,
        groups=_groups(below, files, keys),
        nothing_matched=(population == 0 or _has_no_statistics(rows if own is None else [own]))
        and not (own in roots and any(_was_counted(each) for each in others if _may_be_groups(each, below))),
    )


def _may_be_groups(table: Table, below: Table | None) -> bool:
    """Whether a table may have groups: it is a list in the same object as the longest one, and not of benchmarks."""
    if below is None or table.lone or "benchmark" in plain_key(table.name):
        return False
    return table.keys[:-1] == below.keys[:-1]


def _was_counted(groups: Table) -> bool:
    """Whether statistics of the groups say that sessions were counted, whatever the row of their root group says.

    A group without users may have a mean score of 0.
    """
    people = _population(groups.rows)
    if people == 0:
        return False
    figures = [row[name] for row in groups.rows for name in row if name.endswith(_STATISTICS)]
    # If the population is not known, only a figure other than 0 proves that sessions were counted.
    return any(figure is not None if people else bool(figure) for figure in figures)


def _is_root(table: Table, below: Table) -> bool:
    """Whether a table surely has the root group of the groups in `below`: both are in the same object."""
    return plain_key(table.name) in _ONLY_ROOTS and len(table.rows) == 1 and table.keys[:-1] == below.keys[:-1]


def _may_be_root(table: Table) -> bool:
    """Whether a single row is the root group, which often has no name. A row with a name may also be a benchmark."""
    return plain_key(table.name) in _ROOTS or not table.rows[0].get("group_name")


def questions_returned(document: Document) -> Returned:
    """Count questions and sessions in a result file of an analysis."""
    table = document.first(Kind.ITEMS)
    if table is None:
        return Returned(questions=0, nothing_matched=True) if is_empty(document) else Returned()
    if document.cut:
        return Returned()
    counts = [count for row in table.rows if (count := _whole(row.get("count_sessions"))) is not None]
    sessions = max(counts, default=None)
    return Returned(questions=len(table.rows), sessions=sessions, nothing_matched=sessions == 0)


def gaps(returned: Returned, sent: InputInfo | None, request: Mapping[str, Any]) -> tuple[str, ...]:
    """Each gap between input and result, as a sentence. A count that was not recognised is no gap.

    :param sent: the input; None = not known.
    :param request: the SET request that made the dataset.
    """
    return tuple(_gaps(returned, sent, request))


def _gaps(returned: Returned, sent: InputInfo | None, request: Mapping[str, Any]) -> Iterator[str]:
    if returned.nothing_matched:
        yield f"Nothing matched: no session {_interval(request)}was counted."
    if sent is None:
        return
    came, went = returned.population, sent.users
    if came is not None and went is not None and came not in (accepted_population(sent) or ()):
        yield f"{went:,} users were uploaded, and {came:,} came back."
    for level in sent.levels:
        found = returned.groups.get(level.key)
        if found is not None and found != level.groups:
            yield f'{level.groups:,} groups of the level "{level.key}" were uploaded, and {found:,} came back.'


def accepted_population(sent: InputInfo) -> range | None:
    """The numbers of users that may come back without a gap; None = no users were counted.

    It is not documented whether a user in several groups is counted once, nor whether one without a group is counted.
    """
    if sent.users is None:
        return None
    least = sent.users - (sent.levels[0].users_without_group if sent.levels else 0)
    return range(least, max(sent.users, sent.records) + 1)


def _interval(request: Mapping[str, Any]) -> str:
    filters = request.get("filters")
    begin, end = (filters.get("mintime"), filters.get("maxtime")) if isinstance(filters, Mapping) else (None, None)
    if begin and end:
        return f"between {begin} and {end} "
    return f"since {begin} " if begin else f"until {end} " if end else "of any time "


def _groups(below: Table | None, files: Mapping[tuple[str, ...], str], keys: Sequence[str]) -> dict[str, int]:
    """Groups of each level. The top level is counted by its rows, and deeper levels by the files of the groups."""
    # `below` should have a row for each group of the top level. But if it is a single object, or a list with one row
    # that is the whole file, this row may be the root group, with the other groups inside of it. Then the number of
    # groups is not known.
    if below is None or not keys or below.lone or (below.name == "" and len(below.rows) == 1):
        return {}
    found = {keys[0]: len(below.rows)}
    # `files` maps group paths to files. A file whose name is percent-encoded may be there under two group paths: as it
    # is written, `("a%20b",)`, and decoded, `("a b",)`. So the files are counted, not the group paths.
    depths = Counter({file: len(path) for path, file in files.items()}.values())
    # Usually each group has one file, so the number of files is taken as the number of groups. At the top level, both
    # numbers are known. If they differ there, the dataset does not have one file per group, so deeper levels are not
    # counted.
    if depths[1] == len(below.rows):
        found |= {key: depths[depth] for depth, key in enumerate(keys[1:], 2) if depths[depth]}
    return found


def _population(rows: Sequence[Mapping[str, Any]]) -> int | None:
    counts = [_whole(row.get("population")) for row in rows]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) and counts else None


def _has_no_statistics(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether there are statistics, and all of them are null: no session was counted."""
    values = [value for row in rows for name, value in row.items() if name.endswith(_STATISTICS)]
    return bool(values) and all(value is None for value in values)


def _whole(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON has one kind of numbers: 5.0 is 5
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def is_empty(document: Document) -> bool:
    """Whether a document has lists, and all of them are empty."""
    if document.tables or document.cut:
        return False
    try:
        value = msgspec.json.decode(document.text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return _lists(value) == {0}


def has_no_rows(document: Document) -> bool:
    """Whether it is certain that the file of a group has no row but the group's own."""
    tables = [table for table in document.tables if table.name != ANCESTORS]
    if not tables:
        return is_empty(document)
    own = tables[0]
    if len(tables) > 1 or own.kind is not Kind.GROUPS or not own.lone or own.name not in (OWN, ""):
        return False
    if document.cut or document.hidden:
        return False
    inside = {key: cell for row in own.rows for key, cell in row.items() if key != ANCESTORS}
    return document.vacant or _lists(inside) == {0}


def _lists(value: Any) -> set[int]:
    """The lengths of the lists in a JSON value."""
    if isinstance(value, list):
        return {len(value)}
    return set().union(*map(_lists, value.values())) if isinstance(value, dict) else set()
