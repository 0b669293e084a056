"""README's tables of params and of dataset types, written from the one table of fields: `make docs-tables`."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devstack.environment import REPOSITORY
from learnosity.api.dataset_request import KNOWN_TYPES
from learnosity.run_config import DESTINATION_VARIABLE, FIELDS

README = REPOSITORY / "README.md"
BEGIN, END = "<!-- {name}: made by make docs-tables -->", "<!-- {name} end -->"
# Words that README.md has in backticks, as code, and the trigger form as plain text: names with an underscore, dataset
# types, and URIs.
_CODE = re.compile(r"(?:[a-z0-9+]+://[^\s,;]*[^\s,;.:]|\b[a-z]+(?:-[a-z]+){3}\b|\b[a-z]+(?:\.[a-z]+)?(?:_[a-z]+)+\b)")


def tables() -> dict[str, str]:
    """Each table that README has from here, by its name."""
    params = [("param", "default", "meaning"), ("---", "---", "---")]
    for field in FIELDS:
        if field.name == "destination_uri":
            default = f"Variable `{DESTINATION_VARIABLE}`"
        elif field.default is None:
            default = "none"
        else:
            default = f"`{field.default if isinstance(field.default, str) else json.dumps(field.default)}`"
        # The description is cut before the sentence "What each needs …", because README.md has its own table of these
        # needs.
        meaning = as_markdown(field.description.partition(" What each needs")[0])
        params.append((f"`{field.name}`", default, f"**{field.title}.** {meaning}{_range(field.schema)}"))
    types = [("dataset type", "needs"), ("---", "---")]
    types += [(f"`{each.name}`", each.needs) for each in KNOWN_TYPES.values()]
    return {
        name: "".join(f"| {' | '.join(row)} |\n" for row in rows)
        for name, rows in (("params", params), ("types", types))
    }


def _range(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    return f" {least} to {most:,}." if least is not None and most is not None else ""


def as_markdown(text: str) -> str:
    """A description of the form with what is code marked as such."""
    found, position = [], 0
    while position < len(text):
        start = min((at for at in (text.find("{", position), text.find("[", position)) if at >= 0), default=len(text))
        found.append(_CODE.sub(lambda match: f"`{match[0]}`", text[position:start]))
        position = _closed(text, start)
        if position > start:
            found.append(f"`{text[start:position]}`")
    return "".join(found).replace("|", "\\|").replace("paths; * also", "paths; `*` also")


def _closed(text: str, start: int) -> int:
    """Behind the bracket that closes the one at `start`."""
    depth = 0
    for position in range(start, len(text)):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(text[position], 0)
        if depth == 0:
            return position + 1
    return len(text)


def written(page: str) -> str:
    """A page with its tables as they have to be.

    :raises ValueError: the marks of one are not there
    """
    for name, table in tables().items():
        begin, end = BEGIN.format(name=name), END.format(name=name)
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page has no marks {begin} and {end}")
        page = f"{before}{begin}\n{table}{end}{after}"
    return page


def main(arguments: list[str] | None = None, path: Path = README) -> int:
    """Write them. Says whether something has changed."""
    argparse.ArgumentParser(prog="python -m devstack.tables", description=__doc__).parse_args(arguments)
    text = path.read_text()
    made = written(text)
    path.write_text(made)
    sys.stdout.write(
        f"{path.name}: {'its tables have changed' if made != text else 'its tables are those of the code'}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
