"""Whatever shape a reply has: all of its files are read and no others, or it is an error."""

from __future__ import annotations

import random
import sys
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaos.fuzzing.readings import check, check_any, check_case
from chaos.fuzzing.shapes import ID, damage, embed, embed_content, noise
from learnosity.results.reading import Files, Group, Inline, NotUnderstood, classify

chances = st.randoms(use_true_random=False)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
)
many = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])


@many
@given(chances)
def test_files_in_a_reply_of_any_shape_are_read_all_or_not_at_all(chance: random.Random) -> None:
    check_case(embed(chance))


@many
@given(chances)
def test_content_in_a_reply_of_any_shape_is_read_whole_or_not_at_all(chance: random.Random) -> None:
    check_case(embed_content(chance))


@many
@given(chances)
def test_a_damaged_reply_loses_nothing_and_stores_no_secret(chance: random.Random) -> None:
    case = embed(chance) if chance.random() < 0.5 else embed_content(chance)
    check_any(case.meta, damage(chance, case.data))


@many
@given(chances)
def test_noise_loses_nothing_and_stores_no_secret(chance: random.Random) -> None:
    check_any({"status": True}, noise(chance))


@many
@given(json_values, st.dictionaries(st.text(max_size=12), json_values, max_size=4))
def test_any_json_value_has_a_reading(data: Any, meta: dict[str, Any]) -> None:
    check_any(meta, data)


def test_ten_thousand_seeds() -> None:
    """A sample of `make fuzz`. A failure can be repeated by its seed."""
    kinds = {check(seed) for seed in range(10_000)}
    assert {"files: Files", "rows: Inline", "contents: Inline", "groups: Group", "empty: Empty"} <= kinds


@pytest.mark.parametrize("shape", ["entries", "addresses", "map", "rows", "groups", "tree"])
def test_a_large_reply_takes_work_in_proportion_to_its_size(shape: str) -> None:
    def calls(size: int) -> int:
        """Every call of a function, Python's own included, so that the answer is the same on a busy machine."""
        counted = 0

        def count(_frame: object, event: str, _argument: object) -> None:
            nonlocal counted
            counted += event in ("call", "c_call")

        data = _large(shape, size)
        sys.setprofile(count)
        try:
            reading = classify({"status": True}, data, dataset_id=ID)
        finally:
            sys.setprofile(None)
        assert isinstance(reading, Files | Inline | Group)
        return counted

    # Ten times as much takes ten times as many calls. A hundred times as many would be quadratic.
    assert calls(5_000) < 15 * calls(500)


def _large(shape: str, size: int) -> Any:
    urls = [f"https://b.example/r/{ID}/d{number // 100}/{number}.json?Signature=s" for number in range(size)]
    if shape == "addresses":
        return urls
    if shape == "map":
        return {"files": {f"{number}.json": url for number, url in enumerate(urls)}}
    if shape == "rows":
        return [{"item_reference": f"i{number}", "p_value": 0.5, "link": "https://a.example"} for number in range(size)]
    if shape == "groups":
        return {"group_path": [], "groups": [{"group_name": f"g{number}"} for number in range(size)]}
    entries = [{"name": f"{number}.json", "url": url, "bytes": 7} for number, url in enumerate(urls)]
    if shape == "tree":
        for level in range(25):
            entries = [{"name": f"d{level}", "children": entries}]
    return {"files": entries}


@pytest.mark.parametrize("text", ["a" * 1_000_000, "a:" * 500_000, "?a=" * 300_000, "://" * 300_000, "%25" * 300_000])
def test_a_long_text_is_looked_through_in_no_time(text: str) -> None:
    started = time.process_time()
    for data in (
        {"files": [], "x": text},
        {"rows": [{"user_id": "u", "score": 1, "x": text}]},
        {"a.csv": text},
        {text: 1},
    ):
        classify({"status": True}, data, dataset_id=ID)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("levels", [60, 65, 5_000, 200_000])
def test_a_reply_may_be_nested_as_deep_as_it_likes(levels: int) -> None:
    data: Any = ["https://b.example/a.json?Signature=s"]
    for level in range(levels - 3):
        data = {"files": data} if level % 2 else [data]
    reading = classify({"status": True}, data, dataset_id=ID)
    assert isinstance(reading, Files if levels <= 60 else NotUnderstood)
    # The value is taken apart here, level by level. So Python need not free it at once, which may take recursion.
    while isinstance(data, dict | list) and data:
        data = data.popitem()[1] if isinstance(data, dict) else data.pop()
