"""Replies for the tests of reading, and what is read from them."""

from __future__ import annotations

from typing import Any

import pytest

from learnosity.results.reading import Files, Inline, NotUnderstood, Reading, classify, parse_declaration

ID = "11111111-2222-4333-8444-555555555555"
OTHER = "99999999-2222-4333-8444-555555555555"
SIGNATURE = "?X-Amz-Expires=3600&X-Amz-Signature=00ff00ff"
FOLDER = f"https://results.example.com/r/0099/ibk-analysis-by-question/{ID}"
CDN = "https://cdn.example/q"


def at(name: str, base: str = FOLDER) -> str:
    """A signed address."""
    return f"{base}/{name}{SIGNATURE}"


def entry(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "url": at(name)} | more


A, B = entry("a.json"), entry("b.csv")
AB = ["a.json", "b.csv"]
ROW = {"item_reference": "i1", "p_value": 0.4}
LINK = "https://authoring.example.com/items/i1"
GROUP = {"group_path": [], "groups": [{"group_name": "north"}, {"group_name": "south"}]}


def cases(arguments: str | tuple[str, ...], table: dict[str, Any]) -> pytest.MarkDecorator:
    """Run a test once per row of a table; what is special about a row is its key."""
    return pytest.mark.parametrize(arguments, list(table.values()), ids=list(table))


def read(data: Any, results: Any = None, *, first_page: bool = True, **meta: Any) -> Reading:
    declaration = parse_declaration({"results": results})
    return classify({"status": True, **meta}, data, dataset_id=ID, declaration=declaration, first_page=first_page)


def names(reading: Reading) -> list[str]:
    assert isinstance(reading, Files | Inline), reading
    return [file.path for file, _ in reading.files]


def types(reading: Reading) -> list[str | None]:
    assert isinstance(reading, Files | Inline), reading
    return [file.content_type for file, _ in reading.files]


def urls(reading: Reading) -> list[str]:
    assert isinstance(reading, Files), reading
    return [url for _, url in reading.files]


def why(reading: Reading) -> str:
    assert isinstance(reading, NotUnderstood), reading
    return reading.why


def deep(value: Any, levels: int) -> Any:
    for number in range(levels):
        value = {f"x{number}": value}
    return value
