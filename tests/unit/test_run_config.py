"""The run config: each key is heard or refused by name, and null and empty mean the default for every field."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.api.dataset_request import KNOWN_TYPES
from learnosity.errors import RequestError
from learnosity.run_config import DEFAULTS, FIELDS, chosen, flag, is_empty, read_run_config

NAMES = tuple(each.name for each in FIELDS)
EMPTY: list[Any] = [None, "", "  ", "\n", [], {}, ()]
TEXTS_LIKE_OTHER_THINGS = ("20261", "1e5", "None", "true", "[1]", "{}", "0x10", "1_000", "'quoted'", "NaN", "007")
VALUES = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.lists(st.integers()))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", EMPTY, ids=repr)
def test_null_and_empty_mean_the_default_for_every_field(name: str, value: Any) -> None:
    assert read_run_config({name: value}, NAMES) == {}
    assert chosen(name, value) == DEFAULTS[name]


@pytest.mark.parametrize("value", [False, 0, 0.0], ids=repr)
def test_false_and_zero_are_values(value: Any) -> None:
    assert not is_empty(value)
    assert read_run_config({"create": value}, NAMES) == {"create": value}


@pytest.mark.parametrize("text", TEXTS_LIKE_OTHER_THINGS)
@pytest.mark.parametrize("name", [each.name for each in FIELDS if "string" in each.schema["type"]])
def test_a_text_stays_the_text_that_it_is(name: str, text: str) -> None:
    assert read_run_config({name: text}, NAMES) == {name: text}


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("filter", "filters"),
        ("grups", "groups"),
        ("destination", "destination_uri"),
        ("dataset-type", "dataset_type"),
        ("datasetid", "dataset_id"),
        ("shards", "landing_shards"),
        ("input_ur", "input_uri"),
        ("columns", "input_columns"),
    ],
)
def test_a_key_that_is_no_field_is_refused_with_the_nearest_one(wrong: str, meant: str) -> None:
    with pytest.raises(RequestError, match=f"'{wrong}' is not a field") as caught:
        read_run_config({wrong: 1, "create": True}, NAMES)
    assert meant in str(caught.value)
    assert "?." not in str(caught.value)


@given(key=st.text(alphabet=string.ascii_lowercase + "_-", max_size=40), value=VALUES)
def test_no_other_key_is_passed_over(key: str, value: Any) -> None:
    if key in NAMES:
        assert read_run_config({key: value}, NAMES) == ({} if is_empty(value) else {key: value})
    else:
        with pytest.raises(RequestError, match="is not a field"):
            read_run_config({key: value}, NAMES)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(RequestError) as caught:
        read_run_config({"filter": {}, "grups": [], "dataset_type": "other"}, NAMES, {"dataset_type": "this"})
    for part in ("'filter'", "'grups'", "dataset_type is always 'this'", "Trigger a new run"):
        assert part in str(caught.value)


@pytest.mark.parametrize("value", ["this", *EMPTY], ids=repr)
def test_a_fixed_field_may_be_named_with_its_own_value(value: Any) -> None:
    assert read_run_config({"dataset_type": value}, ("filters",), {"dataset_type": "this"}) == {}


@pytest.mark.parametrize("conf", [None, {}])
def test_a_run_without_config_has_the_values_of_its_dag(conf: Any) -> None:
    assert read_run_config(conf, NAMES) == {}


@pytest.mark.parametrize("value", ["yes", "0", 1, [True]], ids=repr)
def test_a_flag_that_is_neither_true_nor_false_is_refused(value: Any) -> None:
    with pytest.raises(RequestError, match="must be true or false"):
        flag("overwrite", value, False)


def test_the_readme_and_the_form_say_what_each_dataset_type_needs() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    form = next(each.description for each in FIELDS if each.name == "dataset_type")
    for kind in KNOWN_TYPES.values():
        assert f"| `{kind.name}` | {kind.needs} |" in readme
        assert f"{kind.name}: {kind.needs}" in form
