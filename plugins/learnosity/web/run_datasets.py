"""Finds the datasets of a run: what its publishing tasks returned, and how far the other datasets are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeGuard

from learnosity.dataset.layout import DatasetLayout
from learnosity.errors import RequestError
from learnosity.web.run_rows import (
    CREATE_OPERATOR,
    PUBLISH_OPERATOR,
    PUBLISHED_KEYS,
    Instance,
    Returned,
    Unreadable,
    siblings,
)
from learnosity.web.run_rows import label as instance_label

RETURNED_NOTHING = "This task returned no dataset. Was it marked as success by hand, or is its XCom gone?"
UNREAD = "What this task returned was not read: the tasks of this run returned more than a page reads."
FAILED = ("failed", "upstream_failed")
ENDED_WELL = ("success", "skipped")
# Airflow gives this state to a task instance that the DAG does not have any more. For example, a task ran with five
# mapped instances, a user cleared it, and then it had only three: the other two are `removed`.
REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Step:
    """One task of a run. All mapped instances of a task are one step."""

    task_id: str
    state: str
    started: datetime | None
    ended: datetime | None
    instances: int = 1
    tries: int = 1
    mapped: bool = False

    @property
    def seconds(self) -> float | None:
        """Seconds from the first start to the last end; None while it runs."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else None


@dataclass(frozen=True, slots=True)
class Publication:
    """What a run published: the return value of a publish task.

    :param published: when the task returned it; None = not known.
    """

    layout: DatasetLayout
    manifest_uri: str
    destination_uri: str
    learnosity_conn_id: str
    file_count: int = 0
    total_bytes: int = 0
    published: datetime | None = None

    @property
    def names(self) -> tuple[str, str, str]:
        """What names it in an address: its id, or its type and id where that is not enough, or its place, too."""
        named = f"{self.layout.dataset_type}:{self.layout.dataset_id}"
        place = sha256(self.destination_uri.rstrip("/").encode()).hexdigest()[:8]
        return self.layout.dataset_id, named, f"{named}:{place}"


@dataclass(frozen=True, slots=True)
class RunDataset:
    """One dataset of a run: its publish task, what that published, and how far the dataset is.

    :param task_id: the publish task.
    :param map_index: its map index; -1 = the task is not mapped.
    :param dataset_type: "" = not known yet.
    :param dataset_id: "" = not known yet.
    :param publication: None = the dataset is not published, or its publication cannot be read.
    :param problem: why there is no publication although the task has ended well; "" = no problem.
    :param steps: the tasks of this dataset.
    """

    task_id: str
    map_index: int
    dataset_type: str = ""
    dataset_id: str = ""
    publication: Publication | None = None
    problem: str = ""
    steps: tuple[Step, ...] = ()

    @property
    def label(self) -> str:
        """The name of the publish task, with its map index."""
        return instance_label(self.task_id, self.map_index)

    @property
    def at(self) -> Step | None:
        """The step that the dataset has reached. It is the one that failed, if one has failed."""
        order = [step for step in self.steps if step.state not in ("success", "skipped", "upstream_failed", REMOVED)]
        return order[0] if order else self.steps[-1] if self.steps else None


def steps(instances: Sequence[Instance], places: Mapping[str, int] | None = None) -> tuple[Step, ...]:
    """The tasks of a run in the order of the DAG.

    :param places: the place of each task in the DAG; a task without a place comes later, by its first start.
    """
    by_task: dict[str, list[Instance]] = {}
    for each in instances:
        by_task.setdefault(each.task_id, []).append(each)
    found = [_step(task_id, several) for task_id, several in by_task.items()]
    known = places or {}
    return tuple(sorted(found, key=lambda step: (known.get(step.task_id, len(known)), _began(step))))


def run_datasets(
    instances: Sequence[Instance], returned: Iterable[Returned], *, more: bool = False
) -> tuple[tuple[RunDataset, ...], tuple[str, ...]]:
    """The datasets of a run by publish task and map index, and the other tasks whose XCom cannot be read.

    A publish task is found by its operator, or by what it returned: a DAG may give it any name.

    :param more: whether tasks returned more than was read.
    """
    tasks: dict[str, dict[int, Instance]] = {}
    for each in instances:
        tasks.setdefault(each.task_id, {})[each.map_index] = each
    rows = {(row.task_id, row.map_index): row for row in returned}
    publishing = {each.task_id for each in instances if each.operator == PUBLISH_OPERATOR}
    publishing |= {task_id for (task_id, _), row in rows.items() if _is_published(row.value)}
    found = [
        _dataset(task_id, map_index, tasks, rows, more)
        for task_id in sorted(publishing)
        for map_index in _map_indexes(task_id, tasks, rows)
    ]
    unreadable = [
        instance_label(*key)
        for key, row in rows.items()
        if isinstance(row.value, Unreadable)
        and key[0] not in publishing
        and _operator(tasks.get(key[0], {}).get(key[1])) != CREATE_OPERATOR
    ]
    return tuple(found), tuple(sorted(unreadable))


def newest(datasets: Iterable[RunDataset]) -> tuple[Publication, ...]:
    """The published datasets in their order. Of two publications of one dataset, the newer one counts."""
    by_place: dict[tuple[DatasetLayout, str], Publication] = {}
    for each in datasets:
        if (new := each.publication) is not None:
            # One job of Learnosity may make two datasets with the same id, one of each group type. So two publications
            # are of one dataset only if their type, id (both in `layout`) and destination are the same.
            place = (new.layout, new.destination_uri.rstrip("/"))
            old = by_place.get(place)
            if old is None or _moment(new) >= _moment(old):
                by_place[place] = new
    return tuple(by_place.values())


def exact_names(publications: Sequence[Publication]) -> Mapping[str, str]:
    """The shortest name of each dataset that means no other one of them. The keys are their longest names."""
    used = Counter(name for each in publications for name in each.names)
    return {
        each.names[-1]: next((name for name in each.names if used[name] == 1), each.names[-1]) for each in publications
    }


def _dataset(
    task_id: str,
    map_index: int,
    tasks: Mapping[str, Mapping[int, Instance]],
    rows: Mapping[tuple[str, int], Returned],
    more: bool,
) -> RunDataset:
    key = (task_id, map_index)
    reached = tuple(
        _step(name, mine) for name in siblings(task_id) if (mine := _of_dataset(tasks.get(name, {}), map_index))
    )
    created = rows.get((siblings(task_id)[0], map_index))
    known = created.value if created is not None and isinstance(created.value, dict) else {}
    named = str(known.get("dataset_type") or ""), str(known.get("dataset_id") or "")
    publisher = tasks.get(task_id, {}).get(map_index)
    ended = publisher is not None and publisher.state == "success"
    value = rows[key].value if key in rows else None
    if not _is_published(value):
        problem = value.why if isinstance(value, Unreadable) else ""
        if ended and not problem:
            problem = UNREAD if more and key not in rows else RETURNED_NOTHING
        return RunDataset(*key, *named, None, problem, reached)
    try:
        layout = DatasetLayout(str(value["dataset_type"]), str(value["dataset_id"]))
    except RequestError as error:
        return RunDataset(*key, *named, None, f"What this task returned names no dataset. {error}", reached)
    publication = Publication(
        layout,
        str(value["manifest_uri"]),
        str(value["destination_uri"]),
        str(value.get("learnosity_conn_id") or ""),
        whole(value.get("file_count")),
        whole(value.get("total_bytes")),
        rows[key].timestamp,
    )
    return RunDataset(*key, layout.dataset_type, layout.dataset_id, publication, "", reached)


def _map_indexes(
    task_id: str, tasks: Mapping[str, Mapping[int, Instance]], rows: Iterable[tuple[str, int]]
) -> Sequence[int]:
    """The map indexes of a publish task, and of its create task: Airflow expands each task only when it can run."""
    names = (task_id, siblings(task_id)[0])
    found = {index for name in names for index, each in tasks.get(name, {}).items() if each.state != REMOVED}
    found |= {index for name, index in rows if name == task_id}
    return sorted(found - {-1}) or [-1]


def _of_dataset(instances: Mapping[int, Instance], map_index: int) -> list[Instance]:
    """The instances of one task that belong to a dataset, by the map index of its publish task.

    :param map_index: -1 = the publish task is not mapped, or not expanded yet: all instances belong to the dataset.
    """
    return [each for index, each in instances.items() if map_index < 0 or index in (map_index, -1)]


def _step(task_id: str, instances: Sequence[Instance]) -> Step:
    instances = [each for each in instances if each.state != REMOVED] or instances
    states = [str(each.state or "none") for each in instances]
    # All instances of a mapped task are shown with one state: a failure if there is one, or else the state of one that
    # has not ended, or else skipped, or else success.
    state = min(states, key=lambda each: (each not in FAILED, each in ENDED_WELL, each == "success"))
    starts = [each.start_date for each in instances if each.start_date]
    ends = [each.end_date for each in instances if each.end_date]
    return Step(
        task_id,
        state,
        min(starts, default=None),
        max(ends, default=None) if len(ends) == len(instances) else None,
        len(instances),
        max(each.try_number for each in instances),
        any(each.map_index >= 0 for each in instances),
    )


def _operator(instance: Instance | None) -> str | None:
    return instance.operator if instance else None


def _is_published(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and value.keys() >= PUBLISHED_KEYS


def _began(step: Step) -> float:
    return step.started.timestamp() if step.started else float("inf")


def _moment(publication: Publication) -> float:
    return publication.published.timestamp() if publication.published else 0.0


def whole(value: Any) -> int:
    """`value` if it is a whole number that a dataset can have, or else 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else 0
