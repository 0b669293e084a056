"""Item analysis: the statistics of each question over all sessions (docs/learnosity-api.md, "Initialise a dataset").

It works item by item, so that memory grows with the number of sessions and not with that of answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from . import statistics
from .config import SimulatorConfig
from .district import Activity, District
from .records import SessionRecord
from .validation import DatasetSpec


@dataclass(frozen=True, slots=True)
class _Session:
    percent: float
    key: str
    right: bytes
    attempted: bytes


def analyse(
    spec: DatasetSpec,
    config: SimulatorConfig,
    records: Iterable[SessionRecord] | None,
    check: Callable[[], None],
) -> list[dict[str, Any]]:
    """One row per question, in order of item reference.

    :param records: the sessions to analyse; None means those of the synthetic item bank that the filters select.
    :param check: called from time to time; raises to stop the computation.
    """
    district = District(config.seed)
    found = _listed(district, records) if records is not None else _selected(district, spec, config)
    by_activity: dict[str, list[_Session]] = {}
    for number, (name, session, ability) in enumerate(found):
        if number % 2048 == 0:
            check()
        by_activity.setdefault(name, []).append(_session(district, district.activity(name), session, ability))
    places: dict[int, list[tuple[str, int]]] = {}
    for name in sorted(by_activity):
        for position, item in enumerate(district.activity(name).items):
            places.setdefault(item, []).append((name, position))
    rows = []
    for item in sorted(places):
        check()
        rows.append(_row(district, spec, config, item, places[item], by_activity))
    return rows


def _listed(district: District, records: Iterable[SessionRecord]) -> Iterable[tuple[str, str, int]]:
    for record in records:
        session = record.session_id
        yield district.activity_of_session(session), session, district.ability(record.user_id or session)


def _selected(district: District, spec: DatasetSpec, config: SimulatorConfig) -> Iterable[tuple[str, str, int]]:
    for name in spec.activity_ids or district.bank_activities():
        for number in range(config.analysis_users):
            user_id = f"bank_user_{number}"
            session = district.latest_session(user_id, name, spec.mintime, spec.maxtime)
            if session is not None:
                yield name, session, district.ability(user_id)


def _session(district: District, activity: Activity, session_id: str, ability: int) -> _Session:
    right, attempted = district.answers(session_id, activity, ability)
    score = sum(points for points, flag in zip(activity.points, right, strict=True) if flag)
    return _Session(100 * score / activity.max_score, session_id, right, attempted)


def _row(
    district: District,
    spec: DatasetSpec,
    config: SimulatorConfig,
    item: int,
    places: list[tuple[str, int]],
    by_activity: dict[str, list[_Session]],
) -> dict[str, Any]:
    answers = [
        (session.percent, session.key, session.right[position], session.attempted[position])
        for name, position in places
        for session in by_activity[name]
    ]
    answers.sort()
    ratios = [float(right) for _, _, right, _ in answers]
    attempted = [float(right) for _, _, right, flag in answers if flag]
    positions = {position for _, position in places}
    reference = district.item_reference(item)
    values: dict[str, Any] = {
        "item_position": positions.pop() + 1
        if len(positions) == 1 and spec.dataset_type == "activity-analysis-by-question"
        else None,
        "item_reference": reference,
        "organisation_id": spec.organisation_id,
        "question_number": 1,
        "question_reference": f"{reference}_q1",
        "count_sessions": len(ratios),
        "count_attempted": len(attempted),
        "p_value": statistics.mean(ratios),
        "stddev_p_value": statistics.stddev(ratios, config.stddev_method),
        "p_value_if_attempted": statistics.mean(attempted),
        "stddev_p_value_if_attempted": statistics.stddev(attempted, config.stddev_method),
        "discrimination_index": statistics.discrimination_index(ratios),
    }
    row = {
        field: statistics.rounded(values[field]) if isinstance(values[field], float) else values[field]
        for field in spec.fields
    }
    # The reference identifies the row, so it is returned even if it was not requested.
    return {"item_reference": reference, **row}
