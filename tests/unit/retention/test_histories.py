"""Whatever lies in the store, and wherever the worker dies: what must stay stays, and what goes goes whole."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import RunInfo, sha256_hex
from learnosity.dataset.removal_marks import claim_landing
from learnosity.errors import LearnosityError
from learnosity.landing.begin import begin_landing
from learnosity.landing.ledger import Landed, Ledger
from learnosity.landing.listed_files import Listing
from learnosity.landing.plan import read_plan
from learnosity.landing.publish import publish as publish_landing
from learnosity.results.outcomes import ResultFile
from learnosity.retention.rules import Rule
from tests.memory_store import Killed, MemoryStore
from tests.unit.retention.scenes import DAY, TYPE, begin, check_promises, finish, layout_of, publish, sweep

KINDS = ("published", "landing", "published and landing", "data alone", "foreign")


@dataclass(frozen=True)
class Case:
    """One dataset folder.

    Ages are in days. They stay below the next whole day while four workers die, for 12 hours in all.
    """

    kind: str
    age: float
    notes: float
    has_stale_mark: bool


CASES = st.builds(
    Case,
    kind=st.sampled_from(KINDS),
    age=st.integers(0, 40).map(lambda days: days + 0.25),
    notes=st.integers(0, 40).map(lambda days: days + 0.25),
    has_stale_mark=st.booleans(),
)
RULES = st.builds(
    Rule,
    dataset_type=st.just(TYPE),
    keep_newest=st.one_of(st.none(), st.integers(1, 4)),
    keep_days=st.one_of(st.none(), st.integers(1, 30)),
    abandoned_days=st.integers(2, 20),
)


def scene(cases: list[Case], latest: int | None) -> tuple[MemoryStore, dict[str, bytes]]:
    """The store, and the objects that are nobody's business."""
    store, foreign = MemoryStore(), dict[str, bytes]()

    def other(path: str) -> None:
        store.place(path, b"not ours", 1000 * DAY)
        foreign[path] = b"not ours"

    other("somebody-else/2024/data/x.csv")
    other(f"{TYPE}/2024/data/x.csv")
    other(f"{TYPE}/{TYPE}/manifest.json.bak")
    for number, case in enumerate(cases):
        layout = layout_of(number)
        if case.kind.startswith("published"):
            publish(store, layout, case.age)
        if case.kind.endswith("landing"):
            begin(store, layout, case.notes, files=0 if "published" in case.kind else 2)
        if case.kind == "data alone":
            store.place(layout.data("x.json"), b"half", case.notes * DAY)
        if case.has_stale_mark and case.kind != "foreign":
            store.place(f"{layout.removal_prefix}/killed", b"", 3 * 3600)
        other(f"{layout.prefix}/readme.txt")
        other(f"{layout.prefix}/data-of-others/x.csv")
    if latest is not None and latest < len(cases) and cases[latest].kind.startswith("published"):
        store.objects[layout_of(0).latest] = store.objects[layout_of(latest).manifest]
    return store, foreign


def stays(number: int, cases: list[Case], latest: int | None, rule: Rule) -> bool:
    """The rules in other words than the code has them: whether a dataset is kept."""
    case = cases[number]
    published = sorted((each.age, -place) for place, each in enumerate(cases) if each.kind.startswith("published"))
    named = latest is not None and latest < len(cases) and cases[latest].kind.startswith("published")
    if named and number == latest:
        return True
    if case.kind.endswith("landing") and case.notes * 24 < 26:
        return True
    if not case.kind.startswith("published"):
        return not case.has_stale_mark and case.notes < rule.abandoned_days
    younger = sum(age < case.age for age, _ in published)
    return younger < max(rule.keep_newest or 0, 0 if named else 1) or case.age < (rule.keep_days or 0)


def ours(store: MemoryStore, layout: DatasetLayout) -> set[str]:
    return {path for path in store.objects if path.startswith(f"{layout.prefix}/") and layout.is_own(path)}


@given(
    cases=st.lists(CASES, max_size=6, unique_by=lambda case: case.age),
    latest=st.one_of(st.none(), st.integers(0, 5)),
    rule=RULES,
    deaths=st.lists(st.integers(1, 60), max_size=4),
    same_run=st.booleans(),
)
def test_what_must_stay_stays_and_the_rest_goes_wherever_the_worker_dies(
    cases: list[Case], latest: int | None, rule: Rule, deaths: list[int], same_run: bool
) -> None:
    store, foreign = scene(cases, latest)
    kept = {number for number in range(len(cases)) if stays(number, cases, latest, rule)}
    before = {number: {path: store.objects[path] for path in ours(store, layout_of(number))} for number in kept}
    store.changed = lambda: check_promises(store)
    check_promises(store)
    for attempt, death in enumerate([*deaths, None]):
        store.die_at = None if death is None else store.calls + death
        try:
            finish(sweep("run" if same_run else f"run-{attempt}").apply(store, rule))
        except Killed:
            # The killed run has left its mark at the dataset: "this is being removed". The same run may go on at once.
            # Another run may go on only when the mark is stale, after two hours.
            store.clock += 0 if same_run else 3 * 3600
        check_promises(store)
    for number, case in enumerate(cases):
        if case.kind == "foreign":
            continue
        left = ours(store, layout_of(number))
        if number in kept:
            marks = {path for path in before[number] if "/_removal/" in path}
            assert {path: store.objects[path] for path in left - marks} == {
                path: stored for path, stored in before[number].items() if path not in marks
            }
        else:
            assert left == set()
    assert {path: stored.content for path, stored in store.objects.items() if path in foreign} == foreign


@given(
    days=st.lists(st.integers(1, 3), min_size=1, max_size=6),
    latest=st.one_of(st.none(), st.integers(0, 5)),
    keep_newest=st.integers(1, 4),
)
def test_of_datasets_of_one_second_the_newest_by_their_manifests_stay(
    days: list[int], latest: int | None, keep_newest: int
) -> None:
    """A bucket was copied: the store has one time for all of its objects."""
    store = MemoryStore()
    for number, day in enumerate(days):
        publish(store, layout_of(number), 5, published_at=f"2026-01-0{day}T00:00:00+00:00")
    named = latest if latest is not None and latest < len(days) else None
    if named is not None:
        store.objects[layout_of(0).latest] = store.objects[layout_of(named).manifest]
    work = sweep()
    finish(work.apply(store, Rule(TYPE, keep_newest=keep_newest)))
    newest = sorted(range(len(days)), key=lambda number: (days[number], number), reverse=True)[:keep_newest]
    left = {number for number in range(len(days)) if layout_of(number).manifest in store.objects}
    assert left == {*newest, *([] if named is None else [named])}
    assert work.report.problems == []


@given(
    cases=st.lists(CASES, max_size=5, unique_by=lambda case: case.age),
    latest=st.one_of(st.none(), st.integers(0, 4)),
    rule=RULES,
)
def test_a_dry_run_writes_nothing_and_names_what_goes(cases: list[Case], latest: int | None, rule: Rule) -> None:
    store, _ = scene(cases, latest)
    dry = sweep(dry_run=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("learnosity.retention.sweep.time.time", lambda: store.clock)
        finish(dry.apply(store, rule))
    assert store.writes == 0
    expected = {
        layout_of(number).dataset_id
        for number, case in enumerate(cases)
        if case.kind != "foreign" and not stays(number, cases, latest, rule)
    }
    assert {entry.dataset_id for entry in dry.report.goes} == expected
    wet = sweep()
    finish(wet.apply(store, rule))
    assert wet.report.goes == dry.report.goes


class Results:
    """What Learnosity has of the dataset."""

    async def list(self) -> Listing:
        listing = Listing()
        for number in range(2):
            listing.add(ResultFile(path=f"{number}.json", bytes=4))
        return listing


async def land(store: MemoryStore, layout: DatasetLayout, run: str, *, overwrite: bool) -> None:
    """One try of the three landing tasks."""
    work = layout.work_prefix(run, "plan")
    shards = await begin_landing(store, layout, Results(), work=work, overwrite=overwrite)  # type: ignore[arg-type]
    for shard in shards:
        await claim_landing(store, layout, work, f"land-{shard.shard}")
        ledger = Ledger(store, work, shard.shard)
        for file in await read_plan(store, work, shard.shard):
            body = f"{run[-1]}new".encode()
            etag = await store.put(layout.data(file.path), body)
            await ledger.add(Landed(file.path, len(body), sha256_hex(body), "application/json", etag=etag))
        await ledger.flush()
    await publish_landing(
        store, layout, work=work, shards=len(shards), job_reference="", request={}, run=RunInfo("d", run, None)
    )


@given(
    seed=st.integers(0, 2**32),
    before=st.sampled_from(["published", "landing", "nothing", "cut off"]),
    overwrite=st.booleans(),
    newer=st.booleans(),
    death=st.one_of(st.none(), st.integers(1, 80)),
    removals=st.integers(1, 3),
    by_ids=st.booleans(),
)
def test_no_order_of_a_landing_and_removals_leaves_a_manifest_that_promises_absent_data(
    seed: int, before: str, overwrite: bool, newer: bool, death: int | None, removals: int, by_ids: bool
) -> None:
    store, layout = MemoryStore(mix=Random(seed)), layout_of(1)
    if before == "published":
        publish(store, layout, 50)
    elif before == "landing":
        begin(store, layout, 50)
    elif before == "cut off":
        store.place(layout.data("0.json"), b"half", 50 * DAY)
        store.place(f"{layout.removal_prefix}/old", b"", 50 * DAY)
    if newer:
        publish(store, layout_of(2), 1)
        store.objects[layout.latest] = store.objects[layout_of(2).manifest]
    store.changed = lambda: check_promises(store)
    store.die_at = death
    rule = Rule(TYPE, keep_newest=1)

    async def remove(name: str) -> None:
        one = sweep(name)
        await (one.named([store], [layout.dataset_id]) if by_ids else one.apply(store, rule))

    async def all_at_once() -> list[object]:
        tasks = [land(store, layout, "run-a", overwrite=overwrite)]
        tasks += [remove(f"removal-{number}") for number in range(removals)]
        return list(await asyncio.gather(*map(_survived, tasks)))

    finish(all_at_once())
    check_promises(store)
    # A killed landing or removal has left notes or marks, which stop others for up to 26 hours. After that, a landing
    # with nothing beside it succeeds.
    store.mix, store.die_at = None, None
    store.clock += 30 * 3600
    finish(remove("later"))
    finish(land(store, layout, "run-b", overwrite=True))
    check_promises(store)
    assert layout.manifest in store.objects


@given(
    before=st.sampled_from(["published", "landing", "cut off"]),
    overwrite=st.booleans(),
    newer=st.booleans(),
    call=st.integers(1, 40),
    landing_first=st.booleans(),
    by_ids=st.booleans(),
)
def test_one_may_do_all_of_its_work_within_a_single_call_of_the_other(
    before: str, overwrite: bool, newer: bool, call: int, landing_first: bool, by_ids: bool
) -> None:
    store, layout = MemoryStore(), layout_of(1)
    if before == "published":
        publish(store, layout, 50)
    elif before == "landing":
        begin(store, layout, 50)
    else:
        store.place(layout.data("0.json"), b"half", 50 * DAY)
        store.place(f"{layout.removal_prefix}/old", b"", 50 * DAY)
    if newer:
        publish(store, layout_of(2), 1)
        store.objects[layout.latest] = store.objects[layout_of(2).manifest]
    store.changed = lambda: check_promises(store)
    one = sweep("removal")

    async def remove() -> None:
        await (one.named([store], [layout.dataset_id]) if by_ids else one.apply(store, Rule(TYPE, keep_newest=1)))

    def landing() -> Coroutine[Any, Any, None]:
        return land(store, layout, "run-a", overwrite=overwrite)

    store.meets_at = call
    store.other = lambda: _survived(remove() if landing_first else landing())
    ended = finish(_survived(landing() if landing_first else remove()))
    check_promises(store)
    assert ended is None or isinstance(ended, LearnosityError)
    if landing_first and ended is None and not one.report.goes:
        assert layout.manifest in store.objects
    assert not [path for path in store.objects if "/_landing/" in path and "claim" in path and not landing_first]


async def _survived(work: object) -> object:
    try:
        return await work  # type: ignore[misc]
    except (Killed, LearnosityError) as error:
        return error
