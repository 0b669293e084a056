"""Reads the tasks of a run and what they returned: rows of Airflow's database. The caller checks who may see them.

The tab of every run asks for this, whatever the run is, and asks again while it goes on. Other tasks may return a lot.
So only rows that may tell of a dataset are read, a limited number of them, and of each only a limited length.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, cast

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.sdk.bases.xcom import BaseXCom
from sqlalchemy import Text, and_, case, func, or_, select
from sqlalchemy import cast as as_type
from sqlalchemy.orm import Session

log = logging.getLogger(__name__)

CREATE_OPERATOR = "LearnosityCreateDatasetOperator"
PUBLISH_OPERATOR = "LearnosityPublishOperator"
# The XComs of tasks with these operators are not needed, so they are not read. If Airflow keeps XComs in object
# storage, to read one XCom costs a request.
NOT_READ = frozenset({"LearnosityJobSensor", "LearnosityListFilesOperator", "LearnosityLandFilesOperator"})
# The ids of the tasks that make and land a dataset, in their order, as `dataset_tasks` gives them. In a task group,
# the id of the group is in front: `item_bank.create_dataset`.
STEPS = ("create_dataset", "wait_for_job", "land.list_files", "land.land_files", "land.publish")
PUBLISH_STEP = STEPS[-1]
PUBLISHED_KEYS = frozenset({"dataset_id", "dataset_type", "manifest_uri", "destination_uri"})
# The pages use only these keys of the value that a publish task returned. If a value is longer than `MAX_VALUE`, only
# these keys are read from it.
_USED = (*sorted(PUBLISHED_KEYS), "learnosity_conn_id", "file_count", "total_bytes")
# Maximum number of XComs that are read for the datasets of a run. A dataset has two of them, from its create task and
# from its publish task, so this is enough for 2,000 datasets.
MAX_ROWS = 4_000
# If Airflow keeps XComs in object storage, the database has only the address of a value, as a text. This text does not
# say whether the value names a dataset, and to get the value costs a request. So of tasks that have no operator of this
# package, at most this many texts are read, in addition to the `MAX_ROWS` XComs.
MAX_TEXTS = 50
MAX_VALUE = 20_000  # an XCom with more characters is not read whole
# From an XCom with more than `MAX_VALUE` characters, only the values of the keys `_USED` are read, as texts. Each text
# may have at most `MAX_USED` characters, so all of them together have at most `MAX_VALUE`.
MAX_USED = MAX_VALUE // len(_USED)

TOO_LONG = (
    f"What this task returned is longer than {MAX_VALUE:,} characters, and does not name its dataset in texts of at "
    f"most {MAX_USED:,} characters each, so a page does not read it."
)


class Instance(Protocol):
    """One task instance of a run: the columns of Airflow's table that are read."""

    task_id: str
    map_index: int
    operator: str | None
    state: str | None
    start_date: datetime | None
    end_date: datetime | None
    try_number: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for a value that could not be read."""

    why: str


@dataclass(frozen=True, slots=True)
class Returned:
    """What a task returned. `value` is an `Unreadable` if it could not be read."""

    task_id: str
    map_index: int
    value: Any
    timestamp: datetime | None


def task_instances(session: Session, dag_id: str, run_id: str) -> Sequence[Instance]:
    """All task instances of a run."""
    table = TaskInstance
    found = session.execute(
        select(
            table.task_id,
            table.map_index,
            table.operator,
            table.state,
            table.start_date,
            table.end_date,
            table.try_number,
        )
        .where(table.dag_id == dag_id, table.run_id == run_id)
        .order_by(table.task_id, table.map_index)
    )
    return cast("Sequence[Instance]", found.all())


def returned_values(
    session: Session, dag_id: str, run_id: str, instances: Sequence[Instance], fetch: Callable[[Any], Any]
) -> tuple[list[Returned], bool]:
    """What tasks of a run returned, as far as it may tell of a dataset; and whether there is more that was not read.

    :param fetch: gives the value of an XCom that may be in object storage.
    """
    table, text = XComModel, as_type(XComModel.value, Text)
    published = {each.task_id for each in instances if each.operator == PUBLISH_OPERATOR}
    created = {each.task_id for each in instances if each.operator == CREATE_OPERATOR}
    left_out = {each.task_id for each in instances if each.operator in NOT_READ}
    # The author of a DAG may put a task of another operator in the place of the create task, under the same id. What
    # this task returned may name the dataset, so it is read, too. The task is found by its id: the create task of the
    # publish task `land.publish` has the id `create_dataset` (`siblings`).
    created |= {several[0] for each in instances if len(several := siblings(each.task_id)) > 1} - published - left_out
    other = table.task_id.not_in(published | created | left_out)
    # A task without an operator of this package may also return a dataset. Then its XCom is a JSON object with the key
    # `manifest_uri`. Of such tasks, only XComs of this form are read here.
    telling = and_(other, text.startswith("{"), text.contains('"manifest_uri"', autoescape=True))
    short = func.length(text) <= MAX_VALUE
    # A value may be long because of keys that the pages do not use. For example, a create task also returns its whole
    # request. Of a long value, only the keys `_USED` are read.
    long = and_(text.startswith("{"), ~short)
    used = [case((long, func.substr(table.value[name].as_string(), 1, MAX_USED + 1)), else_=None) for name in _USED]
    query = select(
        table.task_id, table.map_index, case((short, table.value), else_=None), table.timestamp, short, long, *used
    )
    query = query.where(table.dag_id == dag_id, table.run_id == run_id, table.key == "return_value")
    making = and_(table.task_id.in_(created), or_(short, long))
    # At most `MAX_ROWS` values are read, so the last ones may be left out. Values of publish tasks come first. Values
    # of create tasks come last, because they matter least: they only name a dataset that is not published yet.
    place = case((table.task_id.in_(published), 0), (table.task_id.in_(created), 2), else_=1)
    first = query.where(or_(table.task_id.in_(published), making, telling))
    first = first.order_by(place, table.task_id, table.map_index)
    rows = session.execute(first.limit(MAX_ROWS + 1)).all()
    texts: Sequence[Any] = ()
    # Airflow's own XCom backend keeps each value in the database. If another backend is set, it may keep values in
    # object storage. Then the database has only their addresses. These are texts, so texts are read here, too.
    if fetch is not BaseXCom.deserialize_value:
        # At most `MAX_TEXTS` are read, and one mapped task may have more instances than that. So the first instance of
        # each task comes first, then the second instance of each, and so on. Otherwise, it might happen that only the
        # instances of one task are read.
        others = query.where(other, text.startswith('"'), short).order_by(table.map_index, table.task_id)
        texts = session.execute(others.limit(MAX_TEXTS + 1)).all()
    kept = [*rows[:MAX_ROWS], *texts[:MAX_TEXTS]]
    return list(_resolved(kept, fetch)), len(rows) > MAX_ROWS or len(texts) > MAX_TEXTS


def siblings(task_id: str) -> tuple[str, ...]:
    """The tasks of the dataset that this task publishes; the task alone if `dataset_tasks` did not name it."""
    group = task_id.removesuffix(PUBLISH_STEP)
    return tuple(group + name for name in STEPS) if group != task_id and group[-1:] in ("", ".") else (task_id,)


def label(task_id: str, map_index: int) -> str:
    """The name of a task instance."""
    return task_id if map_index < 0 else f"{task_id}[{map_index}]"


def _resolved(rows: Collection[Any], fetch: Callable[[Any], Any]) -> Iterator[Returned]:
    for row in rows:
        task_id, map_index, value, at, short, long, *used = row
        if short is not None and not short:  # `short` is None if the database has no value (NULL)
            value = _shortened(used) if long else None
            if value is None:
                log.warning("The XCom of %s is not read. %s", label(task_id, map_index), TOO_LONG)
                value = Unreadable(TOO_LONG)
        elif isinstance(value, str):
            value = _fetched(Returned(task_id, map_index, value, at), fetch)
        yield Returned(task_id, map_index, value, at)


def _shortened(used: Sequence[Any]) -> dict[str, Any] | None:
    """What is used of a long value; None if a text in it is too long as well."""
    if any(len(str(each)) > MAX_USED for each in used):
        return None
    found = {name: each for name, each in zip(_USED, used, strict=True) if each is not None}
    # The query reads the value of every key as a text, also the two numbers. Here they become numbers again.
    return {
        name: int(each) if name in ("file_count", "total_bytes") and str(each).isdecimal() else each
        for name, each in found.items()
    }


def _fetched(row: Returned, fetch: Callable[[Any], Any]) -> Any:
    """The value of an XCom. If Airflow keeps XComs in object storage, the database has only their address."""
    try:
        return fetch(row)
    # Each XCom backend raises its own errors. All are caught, because one unreadable XCom must not hide the others.
    except Exception as error:
        kind = type(error).__name__
        log.warning("The XCom of %s cannot be read from object storage: %s", label(row.task_id, row.map_index), kind)
        return Unreadable(
            f"What this task returned cannot be read from object storage ({kind}). The log of the API server has this "
            "message too. Reload this page later."
        )
