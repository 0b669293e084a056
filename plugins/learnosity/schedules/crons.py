"""Cron expressions: presets, whether they ever match a time, and times that do not exist."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
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
# In croniter, a field of a cron expression may be `r` or `h`. For `r`, croniter takes a random number, so the schedule
# would change each time the file is read. For `h`, croniter needs an id: Airflow passes none, so croniter would raise
# an error. So `cron_problem` refuses both letters.
_RANDOM = re.compile(r"[hr](\(.*\))?(/.*)?", re.IGNORECASE)
# `cron_problem` asks croniter for the first time after this one that a cron expression matches. If there is none, as
# for 30 February, the expression is refused. Any other start would do as well.
_FROM = datetime(2027, 1, 1)


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
        croniter(found, _FROM).get_next()
    except CroniterError as error:
        if croniter.is_valid(found):
            return f"{cron[:60]!r} never comes: no day has this date."
        return f"{cron[:60]!r} is not a cron expression of five fields: {str(error)[:200]}."
    return None


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
