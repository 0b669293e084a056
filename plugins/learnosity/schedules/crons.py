"""Cron expressions: presets, whether they ever match a time, the gaps between runs, and times that do not exist."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from croniter import CroniterError, croniter  # type: ignore[import-untyped]

PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
# croniter replaces `r` in a cron expression by a random number, so each parse of the file would give another schedule.
# For `h`, croniter needs an id to hash, and Airflow passes none. So `cron_problem` refuses both letters.
_RANDOM = re.compile(r"[hr](\(.*\))?(/.*)?", re.IGNORECASE)
# `longest_gap` computes the runs of two years, from this day on. They contain a 29 February, so a cron for that day
# has a run in them.
_FROM, _DAYS = date(2027, 1, 1), 731
_DAY_MINUTES = 24 * 60


def expanded(cron: str) -> str:
    """The cron expression of a preset; any other text as it is, with single spaces."""
    return PRESETS.get(cron.strip(), " ".join(cron.split()))


def cron_problem(cron: str) -> str | None:
    """What is wrong with a cron expression or preset; None = it can be used."""
    found = expanded(cron)
    parts = found.split()
    if len(parts) != 5 or any(_RANDOM.fullmatch(part) for each in parts for part in each.split(",")):
        return f"{cron[:60]!r} is not a cron expression of five fields, nor one of {', '.join(PRESETS)}."
    try:
        croniter(found, datetime.combine(_FROM, datetime.min.time())).get_next()
    except CroniterError as error:
        if croniter.is_valid(found):
            return f"{cron[:60]!r} never comes: no day has this date."
        return f"{cron[:60]!r} is not a cron expression of five fields: {str(error)[:200]}."
    return None


@lru_cache(maxsize=256)
def longest_gap(crons: Sequence[str]) -> timedelta:
    """The longest time between two runs of several crons together, without clock changes.

    :param crons: expressions without presets.
    """
    on_day: dict[int, set[int]] = {}
    for number, cron in enumerate(crons):
        for day in _days(" ".join(cron.split()[2:])):
            on_day.setdefault(day, set()).add(number)
    minutes = [_minutes(cron) for cron in crons]
    seen: dict[frozenset[int], list[int]] = {}
    longest, last = 0, None
    for day in sorted(on_day):
        together = frozenset(on_day[day])
        if together not in seen:
            seen[together] = sorted(set().union(*(minutes[number] for number in together)))
        times = seen[together]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        if last is not None:
            gaps.append(day * _DAY_MINUTES + times[0] - last)
        longest, last = max(longest, *gaps, 0), day * _DAY_MINUTES + times[-1]
    return timedelta(minutes=longest or _DAYS * _DAY_MINUTES)


def skipped_time(crons: Sequence[str], zone: str, year: int) -> str | None:
    """The first time of a cron that a clock change skips, in this year or the next; None = there is none.

    :param crons: expressions without presets. Those that run every hour are left out: they run in the next hour.
    :param zone: name of the time zone.
    """
    for start, end in _skipped_hours(zone, year):
        for cron in crons:
            if cron.split()[1].startswith("*"):
                continue
            comes = croniter(cron, start - timedelta(seconds=1)).get_next(datetime)
            if comes < end:
                return f"{comes:%H:%M} does not exist on {comes:%Y-%m-%d} in {zone}"
    return None


@lru_cache(maxsize=256)
def _days(fields: str) -> tuple[int, ...]:
    """Days that the last three fields of a cron name, counted from `_FROM`."""
    start = datetime.combine(_FROM, datetime.min.time())
    days = croniter(f"0 0 {fields}", start - timedelta(seconds=1), ret_type=datetime)
    found = []
    while (day := (days.get_next() - start).days) < _DAYS:
        found.append(day)
    return tuple(found)


def _minutes(cron: str) -> set[int]:
    """The minutes of a day that the first two fields of a cron name."""
    minutes, hours = croniter.expand(cron)[0][:2]
    return {
        hour * 60 + minute
        for hour in (range(24) if hours == ["*"] else hours)
        for minute in (range(60) if minutes == ["*"] else minutes)
    }


@lru_cache(maxsize=256)
def _skipped_hours(zone: str, year: int) -> tuple[tuple[datetime, datetime], ...]:
    """The wall-clock times that do not exist in a zone, in this year and the next: from, up to."""
    info = ZoneInfo(zone)
    found = []
    for hour in range(0, 731 * 24, 24):
        before = datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
        if _offset(info, before + timedelta(days=1)) <= _offset(info, before):
            continue
        while _offset(info, before + timedelta(minutes=1)) == _offset(info, before):
            before += timedelta(minutes=1)
        change = (before + timedelta(minutes=1)).replace(tzinfo=None)
        found.append((change + _offset(info, before), change + _offset(info, before + timedelta(minutes=1))))
    return tuple(found)


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()
