"""The landing plan: which files, in which shard; nothing is written before everything is known to be sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import LocalStore

from learnosity.dataset.limits import MAX_SHARDS
from learnosity.errors import RequestError, UnsafeNameError
from learnosity.landing.plan import check_shards, read_plan, split_into_shards
from learnosity.results.outcomes import ResultFile
from learnosity.storage.obstore_store import ObstoreStore
from tests.component.landing_scene import Passing, StartScene, scene

__all__ = ["scene"]


@pytest.mark.parametrize("shards", [0, -1, MAX_SHARDS + 1, True, 2.5, "four", "0", "-4"])
def test_a_number_of_shards_that_airflow_cannot_map_is_refused(shards: object) -> None:
    with pytest.raises(RequestError, match=rf"from 1 to {MAX_SHARDS}"):
        check_shards(shards)


@pytest.mark.parametrize("number", ["4", " 4 ", 4.0])
def test_a_number_as_templates_and_json_write_it_is_taken(number: object) -> None:
    assert check_shards(number) == 4


@pytest.mark.parametrize("shards", [1, MAX_SHARDS])
def test_the_bounds_themselves_are_fine(shards: int) -> None:
    assert check_shards(shards) == shards


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200), st.integers(1, 20))
def test_dealing_gives_every_file_to_exactly_one_shard_in_order(sizes: list[int], shards: int) -> None:
    files = [ResultFile(f"f{number:04d}", bytes=size) for number, size in enumerate(sizes)]
    parts = split_into_shards(files, shards)
    assert sorted((file for part in parts for file in part), key=lambda file: file.path) == files
    assert all(part == sorted(part, key=lambda file: file.path) for part in parts)
    counts = [len(part) for part in parts]
    assert len(parts) == min(shards, len(files))
    assert max(counts) - min(counts) <= 1


@given(st.lists(st.integers(1, 1000), min_size=4, max_size=200))
def test_no_shard_gets_much_more_than_another(sizes: list[int]) -> None:
    files = [ResultFile(f"f{number:04d}", bytes=size) for number, size in enumerate(sizes)]
    weights = [sum(file.bytes or 0 for file in part) for part in split_into_shards(files, 4)]
    assert max(weights) - min(weights) <= 2 * max(sizes)


@pytest.mark.promise("no secret")
async def test_the_plan_holds_no_url_and_every_file(scene: StartScene) -> None:
    dataset = await scene()
    plan = await dataset.plan(shards=3)
    texts = [await dataset.store.get(f"{dataset.work}/plan-{shard.shard:04d}.ndjson") for shard in plan]
    assert not any(b"http" in (text or b"") or b"Signature" in (text or b"") for text in texts)
    planned = [file for shard in plan for file in await read_plan(dataset.store, dataset.work, shard.shard)]
    assert {file.path: file.bytes for file in planned} == {name: f.size for name, f in dataset.served.items()}
    assert [shard.files for shard in plan] == [
        len(await read_plan(dataset.store, dataset.work, shard.shard)) for shard in plan
    ]


async def test_more_shards_than_files_make_as_many_as_there_are_files(scene: StartScene) -> None:
    dataset = await scene()
    plan = await dataset.plan(shards=1000)
    assert [shard.files for shard in plan] == [1] * len(dataset.served)


async def test_include_chooses_by_glob_and_only_that_lands(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan(include=["*.csv", "groups/s1/*"])
    await dataset.land()
    manifest = await dataset.publish()
    wanted = {name for name in dataset.served if name.endswith(".csv") or name.startswith("groups/s1/")}
    assert {entry.path for entry in await dataset.listed()} == wanted
    assert manifest.file_count == len(wanted) < len(dataset.served)


async def test_an_include_that_matches_nothing_is_refused_with_an_example(scene: StartScene) -> None:
    dataset = await scene()
    with pytest.raises(RequestError, match=r"matches none of the \d+ result files, such as 'groups/group.csv'"):
        await dataset.plan(include=["*.parquet"])
    assert not await dataset.paths()


@pytest.mark.promise("untrusted names")
async def test_a_hostile_name_is_refused_before_anything_is_written(scene: StartScene) -> None:
    dataset = await scene(hostile_names=("../../etc/passwd",))
    with pytest.raises(UnsafeNameError, match="Nothing was written"):
        await dataset.plan()
    assert not await dataset.paths()


class IgnoringCase(Passing):
    """A folder that ignores case, as on macOS or of an SMB share."""

    async def put(self, path: str, content: bytes | memoryview, *how: Any, **named: Any) -> str | None:
        return await self.inner.put(path.lower(), content, *how, **named)

    async def head(self, path: str) -> Any:
        return await self.inner.head(path.lower())

    async def delete(self, paths: Any) -> None:
        await self.inner.delete([path.lower() for path in paths])


@pytest.mark.parametrize("listed", [["groups/Grade/g.json", "groups/GRADE/g.json"], ["groups/S1/a", "groups/s1/b"]])
@pytest.mark.promise("untrusted names")
async def test_names_that_differ_by_case_are_refused_by_a_folder_that_ignores_it(
    scene: StartScene, tmp_path: Path, listed: list[str]
) -> None:
    dataset = await scene()
    for name in [*dataset.served, *listed]:
        (dataset.remove_file if name in dataset.served else lambda name: dataset.add_file(name, b"[]"))(name)
    folder = ObstoreStore(LocalStore(tmp_path, automatic_cleanup=True), tmp_path.as_uri(), is_local=True)
    dataset.store = IgnoringCase(folder)
    with pytest.raises(UnsafeNameError, match="differ by case alone"):
        await dataset.plan()
    assert not await dataset.paths()
    dataset.store = folder
    assert (await dataset.landed()).file_count == 2


async def test_a_published_dataset_is_planned_as_nothing_to_do(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.landed()
    dataset.sim.stats.reset()
    assert await dataset.plan() == ()
    assert not dataset.sim.stats.calls


async def test_overwrite_removes_the_manifest_once_the_landing_is_planned(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.landed()
    plan = await dataset.plan(overwrite=True)
    assert await dataset.manifest() is None
    assert sum(shard.files for shard in plan) == len(dataset.served)


async def test_an_overwrite_that_is_refused_leaves_the_published_dataset_alone(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.landed()
    with pytest.raises(RequestError):
        await dataset.plan(overwrite=True, include=["nothing-like-this"])
    await dataset.check_whole()
