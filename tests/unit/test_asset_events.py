"""What runs after a publication finds the dataset by its event, wherever it landed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from learnosity.asset_events import announced, open_announced
from learnosity.errors import StorageError
from tests.unit.dataset.test_parquet import LAYOUT, group, published


@dataclass(frozen=True)
class Publish:
    """A publishing task."""

    returned: Any

    def xcom_pull(self) -> Any:
        return self.returned


@dataclass(frozen=True)
class Event:
    """A triggering asset event."""

    extra: Mapping[str, Any]
    source_task_instance: Publish | None = None


def event_of(folder: Path, source: Publish | None = None) -> Event:
    return Event(
        {
            "dataset_id": LAYOUT.dataset_id,
            "dataset_type": LAYOUT.dataset_type,
            "manifest_uri": f"{folder.as_uri()}/{LAYOUT.manifest}",
        },
        source,
    )


@pytest.fixture
async def landed(tmp_path: Path) -> Path:
    """A destination with one dataset."""
    folder = tmp_path / "landed"
    await published(folder, {"groups/group.json": group("all", ["north"], [])})
    return folder


async def test_a_dataset_is_read_where_the_run_landed_it(landed: Path, tmp_path: Path) -> None:
    event = event_of(landed, Publish({"destination_uri": landed.as_uri()}))
    dataset = await open_announced(event, (tmp_path / "default").as_uri())
    assert list(dataset.files) == ["groups/group.json"]


@pytest.mark.parametrize("source", [None, Publish(None), Publish("something else")])
async def test_an_event_made_by_hand_is_looked_for_at_the_default(landed: Path, source: Publish | None) -> None:
    dataset = await open_announced(event_of(landed, source), landed.as_uri())
    assert dataset.manifest.dataset_id == LAYOUT.dataset_id


async def test_nothing_outside_of_the_destination_is_read(landed: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not lie at"):
        await open_announced(event_of(landed), (tmp_path / "default").as_uri())


def test_a_dataset_is_announced_once_under_its_asset_and_its_alias(tmp_path: Path) -> None:
    one, again, other = event_of(tmp_path), event_of(tmp_path, Publish(None)), event_of(tmp_path / "other")
    assert announced({"asset": [one, other, again], "alias": [one, other, again]}) == [again, other]
