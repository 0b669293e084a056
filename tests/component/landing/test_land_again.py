"""What continues, continues the same plan: a new plan lands everything anew, and nothing of an old one stays."""

from __future__ import annotations

import os

import pytest

from tests.component.landing_scene import Scene, StartScene, scene

__all__ = ["scene"]


def another_plan(dataset: Scene, plan: str = "plan-2", run: str = "run-1") -> None:
    """What clearing list_files does: the same run, and a new plan."""
    dataset.work = dataset.layout.work_prefix(run, plan)


async def test_a_new_plan_fetches_again_what_an_earlier_one_had_landed(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan()
    await dataset.land()
    for name in list(dataset.served):
        dataset.add_file(name, os.urandom(dataset.served[name].size))
    another_plan(dataset)
    await dataset.plan()
    landed = await dataset.land()
    await dataset.publish()
    await dataset.check_whole()
    assert landed.skipped == 0


async def test_the_same_plan_continues_where_it_ended(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan()
    await dataset.land()
    assert (await dataset.land()).skipped == len(dataset.served)


async def test_what_is_not_listed_any_more_does_not_stay(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan()
    await dataset.land()
    gone = min(dataset.served)
    dataset.remove_file(gone)
    another_plan(dataset)
    await dataset.plan()
    await dataset.land()
    await dataset.publish()
    await dataset.check_whole()
    assert await dataset.data(gone) is None


async def test_what_another_run_is_landing_is_left_alone(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan(include=["*.json"])
    await dataset.land()
    other = Scene(dataset.sim, dataset.client, dataset.transfer, dataset.layout, dataset.store)
    another_plan(other, run="run-2")
    await other.plan(include=["*.csv"])
    await other.land()
    await dataset.publish()
    csv = next(name for name in dataset.served if name.endswith(".csv"))
    assert await dataset.data(csv) is not None


async def test_the_notes_of_every_plan_of_the_run_are_gone_after_publishing(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan()
    await dataset.land()
    another_plan(dataset)
    await dataset.landed()
    assert not await dataset.paths(dataset.layout.landing_prefix)


async def test_an_empty_dataset_is_published_as_no_files_with_a_warning(
    scene: StartScene, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = await scene()
    for name in list(dataset.served):
        dataset.remove_file(name)
    plan = await dataset.plan()
    assert [shard.files for shard in plan] == [0]
    await dataset.land()
    manifest = await dataset.publish(len(plan))
    assert (manifest.file_count, manifest.total_bytes) == (0, 0)
    assert "has no result files" in caplog.text


@pytest.mark.parametrize("shards", [1, 16])
async def test_a_tree_of_groups_is_walked_once_and_no_group_is_read_again(scene: StartScene, shards: int) -> None:
    dataset = await scene(results_shape="groups")
    dataset.sim.stats.reset()
    plan = await dataset.plan(shards=shards)
    groups = sum(shard.files for shard in plan)
    for shard in plan:
        await dataset.land(shard.shard)
    await dataset.publish(len(plan))
    assert dataset.sim.stats.calls["get reports/datasets"] == groups
