"""Cron expressions: presets, whether they ever match a time, the gaps between runs, and times that do not exist."""

from __future__ import annotations

import re
from calendar import isleap
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
# Dates fall on the same weekdays again after 28 years (except around years such as 2100, which have no 29 February). So
# the runs of 28 years are enough to find the longest gap between two runs of a cron. The 28 years begin at `_FROM`.
_FROM, _YEARS, _DAYS = date(2027, 1, 1), 28, 28 * 365 + 7
_WEEK = 7
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
    fields = [" ".join(cron.split()[2:]) for cron in crons]
    cycle = _WEEK if all(map(_is_weekly, fields)) else _DAYS
    on_day: dict[int, set[int]] = {}
    for number, each in enumerate(fields):
        for day in _days(each, cycle):
            on_day.setdefault(day, set()).add(number)
    minutes = [_minutes(cron) for cron in crons]
    seen: dict[frozenset[int], tuple[int, int, int]] = {}
    first, last, longest = None, 0, 0
    for day in sorted(on_day):
        together = frozenset(on_day[day])
        if together not in seen:
            times = sorted(set().union(*(minutes[number] for number in together)))
            seen[together] = times[0], times[-1], max((b - a for a, b in pairwise(times)), default=0)
        begin, end, within = seen[together]
        if first is None:
            first = day * _DAY_MINUTES + begin
        else:
            longest = max(longest, day * _DAY_MINUTES + begin - last)
        longest, last = max(longest, within), day * _DAY_MINUTES + end
    return timedelta(minutes=max(longest, (first or 0) + cycle * _DAY_MINUTES - last))


def skipped_time(crons: Sequence[str], zone: str, year: int) -> str | None:
    """The first time of a cron that a clock change skips, in this year or the next; None = there is none.

    :param crons: expressions without presets. Those that run every hour are left out: they run in the next hour.
    :param zone: name of the time zone.
    """
    for start, end in _skipped_hours(zone, year):
        for cron in crons:
            if croniter.expand(cron)[0][1] == ["*"]:
                continue
            comes = croniter(cron, start - timedelta(seconds=1)).get_next(datetime)
            if comes < end:
                return f"{comes:%H:%M} does not exist on {comes:%Y-%m-%d} in {zone}"
    return None


@lru_cache(maxsize=256)
def _days(fields: str, cycle: int) -> tuple[int, ...]:
    """Days that the last three fields of a cron name, counted from `_FROM`, up to the end of the cycle."""
    if _is_weekly(fields):
        week = set(_days_from(_FROM, _WEEK, fields))
        return tuple(day for day in range(cycle) if day % _WEEK in week)
    of_month, _, of_week = fields.lower().split()
    weekdays_count = of_week != "*" or "w" in of_month
    named = _named(fields)
    years: dict[tuple[int, int], list[int]] = {}
    found: list[int] = []
    for year in range(_FROM.year, _FROM.year + _YEARS):
        begin, length = date(year, 1, 1), 365 + isleap(year)
        kind = length, begin.weekday() if weekdays_count else 0
        if kind not in years:
            # croniter is slow. So `_counted` computes the days of most crons, croniter those of the others, and each of
            # them only once for all years of the same length and, if weekdays matter, the same first weekday.
            years[kind] = _counted(*kind, *named) if named else _days_from(begin, length, fields)
        found += [(begin - _FROM).days + day for day in years[kind]]
    return tuple(found)


def _named(fields: str) -> tuple[set[int | str], set[int | str], set[int | str]] | None:
    """What the last three fields of a cron name; None = it takes croniter to count their days."""
    expanded_fields, nth = croniter.expand(f"0 0 {fields}")
    days, months, weekdays = map(set, expanded_fields[2:])
    clear = all("*" not in each or len(each) == 1 for each in (days, months, weekdays))
    return (days, months, weekdays) if clear and not nth and "w" not in fields.split()[0].lower() else None


def _counted(
    length: int, first: int, days: set[int | str], months: set[int | str], weekdays: set[int | str]
) -> list[int]:
    """The days of a year that a cron names, counted from its first. Of days and weekdays, either is enough, as in cron.

    :param length: days of the year.
    :param first: its first weekday; 0 = Monday.
    """
    found = []
    for number, (month, day, is_last) in enumerate(_calendar(length)):
        if "*" not in months and month not in months:
            continue
        in_days = "*" in days or day in days or (is_last and "l" in days)
        in_week = "*" in weekdays or (first + number + 1) % _WEEK in weekdays
        either = "*" not in days and "*" not in weekdays
        if (in_days or in_week) if either else (in_days and in_week):
            found.append(number)
    return found


@lru_cache(maxsize=2)
def _calendar(length: int) -> tuple[tuple[int, int, bool], ...]:
    """Month and day of each day of a year of some length, and whether it is the last of its month."""
    first = date(2028 if length > 365 else 2027, 1, 1)
    dates = [first + timedelta(days=day) for day in range(length + 1)]
    return tuple((day.month, day.day, after.day == 1) for day, after in pairwise(dates))


def _is_weekly(fields: str) -> bool:
    """Whether the last three fields of a cron name the same days in each week."""
    of_month, month, of_week = fields.split()
    return (of_month, month) == ("*", "*") and not re.search("[#l]", of_week, re.IGNORECASE)


def _days_from(first: date, length: int, fields: str) -> list[int]:
    """The days that three fields of a cron name among `length` days, counted from the first of these."""
    start = datetime.combine(first, datetime.min.time())
    days = croniter(f"0 0 {fields}", start - timedelta(seconds=1), ret_type=datetime)
    found = []
    while (day := (days.get_next() - start).days) < length:
        found.append(day)
    return found


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
