"""Before a dataset is published, what came back is compared with what was uploaded."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from msgspec.structs import replace

from learnosity.dataset.input_info import InputInfo, LevelInfo
from learnosity.errors import GapError
from tests.component.landing_scene import StartScene, scene

__all__ = ["scene"]

LEVELS = (LevelInfo("school", 4, 48, 0), LevelInfo("class", 12, 48, 0))


def uploaded(**changes: Any) -> InputInfo:
    """What the scene has uploaded, but for what `changes` say."""
    sent = InputInfo(("s3://bucket/users.ndjson",), 1, 48, 100, "x", users=48, levels=LEVELS)
    return replace(sent, **changes)


async def test_the_manifest_says_what_was_sent_and_what_came_back(
    scene: StartScene, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = await scene()
    await dataset.plan()
    await dataset.land()
    manifest = await dataset.publish(sent=uploaded(), require_complete=True)
    assert manifest == await dataset.manifest()
    assert manifest.input == uploaded()
    assert manifest.returned is not None
    assert (manifest.returned.population, manifest.returned.groups) == (48, {"school": 4, "class": 12})
    assert manifest.returned.gaps == ()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_gap_is_a_warning_and_with_require_complete_an_error_before_publication(
    scene: StartScene, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = await scene()
    await dataset.plan()
    await dataset.land()
    sent = uploaded(users=50, levels=(LevelInfo("school", 5, 50, 0), LEVELS[1]))
    with pytest.raises(GapError, match="50 users were uploaded, and 48 came back") as caught:
        await dataset.publish(sent=sent, require_complete=True)
    assert "create false" in str(caught.value)
    assert "require_complete false" in str(caught.value)
    assert await dataset.manifest() is None
    assert await dataset.listed() == []

    caplog.clear()
    manifest = await dataset.publish(sent=sent)
    assert manifest.returned is not None
    assert len(manifest.returned.gaps) == 2
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warned == list(manifest.returned.gaps)

    with pytest.raises(GapError, match="was published with gaps"):
        await dataset.publish(sent=sent, require_complete=True)
    assert await dataset.manifest() == manifest, "what is published stays"


async def test_what_cannot_be_compared_is_no_gap_but_with_require_complete_it_is_an_error(scene: StartScene) -> None:
    dataset = await scene()
    (shard,) = await dataset.plan(include=["*.csv"])
    assert shard.left_out == len(dataset.served) - shard.files > 0
    await dataset.land()
    with pytest.raises(GapError, match=f"include leaves out {shard.left_out} result file"):
        await dataset.publish(sent=uploaded(), left_out=shard.left_out, include=["*.csv"], require_complete=True)
    manifest = await dataset.publish(sent=uploaded(), left_out=shard.left_out, include=["*.csv"])
    assert manifest.returned is not None
    assert (manifest.returned.population, manifest.returned.gaps) == (None, ())
    with pytest.raises(GapError, match=f"without a comparison.*include leaves out {shard.left_out} result file"):
        await dataset.publish(sent=uploaded(), require_complete=True)
    assert await dataset.publish() == manifest


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"group": 7}', b"[" * 500_000])
async def test_a_root_file_that_is_not_understood_is_no_gap(scene: StartScene, content: bytes) -> None:
    dataset = await scene()
    dataset.add_file("groups/group.json", content)
    await dataset.plan()
    await dataset.land()
    manifest = await dataset.publish(sent=uploaded())
    assert manifest.returned is not None
    assert (manifest.returned.population, manifest.returned.gaps) == (None, ())


async def test_a_dataset_without_files_has_a_gap(scene: StartScene) -> None:
    dataset = await scene()
    for name in list(dataset.served):
        dataset.remove_file(name)
    await dataset.plan()
    await dataset.land()
    with pytest.raises(GapError, match="Nothing came back"):
        await dataset.publish(require_complete=True)


async def test_a_dataset_with_too_many_files_to_compare_says_so_whatever_was_sent(
    scene: StartScene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("publish", "reconcile"):
        monkeypatch.setattr(f"learnosity.landing.{module}.COMPARED_FILES", 3)
    dataset = await scene()
    await dataset.plan()
    await dataset.land()
    with pytest.raises(GapError, match="More than 3 files are not compared"):
        await dataset.publish(sent=uploaded(), require_complete=True)
    with caplog.at_level(logging.INFO, logger="learnosity"):
        await dataset.publish()
    assert "More than 3 files are not compared with the input." in caplog.text
