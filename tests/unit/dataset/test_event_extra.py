"""The extra of an asset event: anybody can write one, of any shape."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.dataset.event_extra import MAX_ACTIVITIES, AnnouncementError, activities_of, read_announcement

EXTRA = {
    "dataset_type": "activity-summary-by-group",
    "dataset_id": "33285a4b-0e6e-47e4-bade-78999ada14db",
    "manifest_uri": "s3://bucket/datasets/activity-summary-by-group/33285a4b-0e6e-47e4-bade-78999ada14db/manifest.json",
    "file_count": 2222,
    "total_bytes": 12_100_000,
    "gaps": ["5 users were uploaded, and 4 came back."],
}
# Every JSON value, with the texts that Python's JSON reader can return: also control characters and half characters.
TEXTS = st.text(st.characters(exclude_categories=()))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=8)
# Values of any shape, and extras that are almost right.
EXTRAS = VALUES | st.fixed_dictionaries({}, optional={key: st.just(value) | VALUES for key, value in EXTRA.items()})


def test_the_extra_of_a_publication_is_read_whole() -> None:
    said = read_announcement(EXTRA | {"from_rest_api": True})
    assert (said.layout.dataset_type, said.layout.dataset_id) == (EXTRA["dataset_type"], EXTRA["dataset_id"])
    assert (said.manifest_uri, said.file_count, said.total_bytes) == (EXTRA["manifest_uri"], 2222, 12_100_000)
    assert said.gaps == ("5 users were uploaded, and 4 came back.",)


@pytest.mark.parametrize("value", [None, "text", 7, {}, [None, 7, "", "a\nb", "a\x00b", "\ud800", ["x"]]], ids=ascii)
def test_gaps_that_are_no_texts_are_not_shown(value: Any) -> None:
    assert read_announcement(EXTRA | {"gaps": value}).gaps == ()


@pytest.mark.parametrize("name", ["dataset_type", "dataset_id", "manifest_uri"])
@pytest.mark.parametrize("value", [None, "", " ", 7, True, [], {}, "a\nb", "a\x00b", "\ud800"], ids=ascii)
def test_what_is_wrong_is_named(name: str, value: Any) -> None:
    with pytest.raises(AnnouncementError, match=name):
        read_announcement(EXTRA | {name: value})


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(
        AnnouncementError, match=r"^dataset_type is missing, dataset_id is missing, manifest_uri is missing\.$"
    ):
        read_announcement({"from_rest_api": True})


@pytest.mark.parametrize("value", ["..", "../etc", "a/b", "{{ x }}"])
def test_a_name_that_leaves_the_folder_is_refused(value: str) -> None:
    with pytest.raises(AnnouncementError, match="cannot be part of a path"):
        read_announcement(EXTRA | {"dataset_type": value})


@pytest.mark.parametrize("value", [None, "12", -1, 1.5, True, [], {}])
def test_a_count_that_is_none_is_not_shown(value: Any) -> None:
    assert read_announcement(EXTRA | {"file_count": value}).file_count is None


@given(EXTRAS)
def test_an_extra_of_any_shape_is_either_usable_or_refused(extra: Any) -> None:
    try:
        said = read_announcement(extra)
    except AnnouncementError as error:
        assert str(error)
    else:
        assert extra["manifest_uri"] == said.manifest_uri
        said.manifest_uri.encode()
        assert said.layout.prefix == f"{extra['dataset_type']}/{extra['dataset_id']}"


@pytest.mark.parametrize("key", ["activities", "activity_id"])
@pytest.mark.parametrize(
    ("count", "shown"), [(0, 0), (1, 1), (11, 11), (MAX_ACTIVITIES, MAX_ACTIVITIES), (5_000, MAX_ACTIVITIES)]
)
def test_more_activities_than_one_type_allows_are_named_as_other_types_may_have_them(
    key: str, count: int, shown: int
) -> None:
    names = [f"activity-{number}" for number in range(count)]
    assert activities_of({key: names}) == tuple(names[:shown])
