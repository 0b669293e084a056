"""Which column of a table holds which key of a record.

A message never quotes the names in a file's first row: without a header, that row is data of pupils.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from unicodedata import normalize

from learnosity.api.field_checks import ended
from learnosity.errors import RequestError
from learnosity.inputs.dialects import DELIMITERS

GROUPS = "groups."
"""Prefix of a key that holds the group of one level, as in `groups.district`."""


class ColumnError(ValueError):
    """A table does not have the columns that are needed. The message says what is missing and what to do.

    :param missing: for each column that is missing, the names that it may have.
    """

    def __init__(self, message: str, missing: Sequence[Sequence[str]] = ()) -> None:
        super().__init__(message)
        self._missing = missing

    def lacks(self, names: Iterable[str]) -> bool:
        """Whether a column with one of these names is missing."""
        return not set(folded(names)).isdisjoint(folded(name for each in self._missing for name in each))

    def about(self, path: str) -> str:
        """The message for a file. It says which columns stand in the names of its folders alone, as Hive writes them.

        :param path: path of the file below the place that `input_uri` names.
        """
        keys = folded(part.partition("=")[0] for part in path.split("/")[:-1] if "=" in part)
        held = [name for names in self._missing for name in names if folded([name])[0] in keys]
        if not held:
            return str(self)
        return (
            f"{self}; or write {', '.join(map(_quoted, held))} into the files as a column: only the name of a folder "
            f"has it ({held[0]}=…), and that is not read"
        )


@dataclass(frozen=True, slots=True)
class RowField:
    """One key of a record that a row of a table holds.

    :param key: `user_id`, `session_id`, or `groups.` and the key of a level.
    :param own_names: names of its column if `input_columns` does not give one. The first of them that the file has is
        used.
    :param most: most characters; None = only the limit of every cell.
    :param many: whether a cell may hold several values. Then only one of `own_names` may be there. Default False.
    """

    key: str
    own_names: tuple[str, ...]
    most: int | None = None
    many: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its key, its name in the file, and its index from 0. `most` and `many` as in `RowField`."""

    key: str
    name: str
    index: int
    most: int | None = None
    many: bool = False


def check_input_columns(given: Mapping[str, object], keys: Collection[str], *, any_key: bool) -> dict[str, str]:
    """The checked run config field `input_columns`.

    :param keys: the keys that a record of the dataset type has.
    :param any_key: whether other keys are allowed, too.
    :raises RequestError: a key is unknown, or the name of a column is no text.
    """
    problems = []
    for key, name in given.items():
        if not isinstance(name, str) or not name:
            problems.append(f"{key!r} has to be the name of a column, as a text")
        if not any_key and key not in keys:
            near = get_close_matches(key, [*keys, *(f"{GROUPS}{key}",)], n=1)
            problems.append(f"{key!r} is no key of a record" + (f"; did you mean {near[0]!r}?" if near else ""))
    if problems:
        known = f"The keys are {', '.join(keys)}," if keys else "Write it"
        raise RequestError(
            f'input_columns cannot be used: {ended("; ".join(problems))} {known} as in {{"user_id": "student_no"}}.'
        )
    return {key: str(name) for key, name in given.items()}


def find_columns(
    fields: Sequence[RowField],
    names: Sequence[str],
    given: Mapping[str, str],
    *,
    optional: bool = False,
    in_text: bool = False,
) -> tuple[Column, ...]:
    """Find the column of each field. The result has the order of the fields.

    A name counts if it is the same to the letter, or else if it differs in case alone: warehouses write names in upper
    case.

    :param names: the names of the columns in the file.
    :param given: names from `input_columns`, by key.
    :param optional: whether fields whose column is missing, and which `given` does not name, are left out.
    :param in_text: whether the names are the first row of a text, which may be no header; default False.
    :raises ColumnError: columns are missing, or are there twice. The message names all of them.
    """
    found, missing, problems = [], [], []
    absent: list[Sequence[str]] = []
    for field in fields:
        wanted = (given[field.key],) if field.key in given else field.own_names
        try:
            places = [place for name in wanted if (place := _place(names, name)) is not None]
        except ColumnError as error:
            problems.append(str(error))
            continue
        if field.many and len(set(places)) > 1:
            problems.append(f"it has more than one of the columns {_listed(wanted)}: name one in input_columns")
        elif places:
            found.append(Column(field.key, names[places[0]], places[0], field.most, field.many))
        elif not optional or field.key in given:
            absent.append(wanted)
            name = wanted[0 if field.many else -1]
            missing.append(f"{_listed(wanted)}, which holds {field.key}" if field.key in given else name)
    if missing:
        advice = "name them in input_columns"
        if in_text and not found and len(names) == 1 < len(fields):
            known = ", ".join(DELIMITERS.values())
            advice = f"name the columns in the first row, with a delimiter that is read between them ({known})"
        elif not found and not given:
            advice = "say in input_columns which of its columns hold what"
            advice = f"name the columns in the first row, or {advice}" if in_text else advice
        plain = [_quoted(name) if "which holds" not in name else name for name in missing]
        problems.append(f"it has no column {', '.join(plain)} among its {len(names)}: {advice}")
    if problems:
        raise ColumnError("; ".join(problems), absent)
    return tuple(found)


def all_columns(names: Sequence[str], group_keys: Sequence[str], given: Mapping[str, str]) -> tuple[Column, ...]:
    """Every column under its own name, or under the key that `given` has for it. For records of an unknown format.

    :param group_keys: the columns with these names hold levels of the hierarchy. Names count as for `find_columns`.
    :raises ColumnError: a name cannot be a key, or two columns have the same one, or a column of `given` is missing or
        there for two keys.
    """
    named: dict[int, str] = {}
    for key, name in given.items():
        if (place := _place(names, name)) is None:
            raise ColumnError(f"it has no column {_quoted(name)}, which input_columns names for {key}", [(name,)])
        if place in named:
            raise ColumnError(f"input_columns names the column {_quoted(name)} for {named[place]} and for {key}")
        named[place] = key
    for level in group_keys:
        for name in (f"{GROUPS}{level}", level):
            if (place := _place(names, name)) is not None:
                named.setdefault(place, f"{GROUPS}{level}")
    keys = [named.get(index, name) for index, name in enumerate(names)]
    if any(not key.removeprefix(GROUPS) or any(c in '"\\' or ord(c) < 0x20 for c in key) for key in keys):
        raise ColumnError("the name of a column is empty, or holds a quote, a backslash or a control character")
    if len(set(keys)) < len(keys) or ("groups" in keys and any(key.startswith(GROUPS) for key in keys)):
        raise ColumnError("two columns have the same name")
    return tuple(Column(key, names[index], index) for index, key in enumerate(keys))


def folded(names: Iterable[str]) -> list[str]:
    """Names of columns without what may differ between two names of one column: case, blanks, Unicode form."""
    return [(name if name.isascii() else normalize("NFC", name)).strip().casefold() for name in names]


def is_header(row: Sequence[str], header: Sequence[str], columns: Sequence[Column]) -> bool:
    """Whether a row is the header of another file, in any order: all its cells are names, or those of the columns are.

    :param columns: the columns that are needed.
    """
    cells, names = folded(row), folded(header)
    needed = [column.index for column in columns]
    return sorted(cells) == sorted(names) or sorted(cells[each] for each in needed) == sorted(
        names[each] for each in needed
    )


def _place(names: Sequence[str], wanted: str) -> int | None:
    exact = [index for index, name in enumerate(names) if name == wanted]
    (same,) = folded([wanted])
    places = exact or [index for index, name in enumerate(folded(names)) if name == same]
    if len(places) > 1:
        raise ColumnError(f"it has the column {_quoted(wanted)} {len(places)} times")
    return places[0] if places else None


def _listed(names: Sequence[str]) -> str:
    return " or ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    return f'"{name}"'
