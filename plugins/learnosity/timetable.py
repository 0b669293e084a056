"""The timetable of several crons together: each run covers the time from one of their times to the next.

Airflow's own `MultipleCronTriggerTimetable` has intervals of one fixed length. The interval of a run may then begin
before the first day of the schedule, and for such a run Airflow makes no tasks.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.timetables.base import DagRunInfo, DataInterval

# `airflow.sdk` has a class of the same name, but that class computes no times. This class of Airflow's core computes
# them, and a DAG accepts it, too.
from airflow.timetables.interval import CronDataIntervalTimetable

if TYPE_CHECKING:
    from airflow.timetables.base import TimeRestriction

# Maximum number of characters of `description`. Airflow's database holds 1,000, and Airflow adds some words before the
# description if a schedule also has assets. On PostgreSQL, a longer text is an error that keeps all DAGs of the same
# DAG file out of the database.
MAX_DESCRIPTION = 900
_CLOCK_CHANGE = timedelta(hours=3)  # longer than any change between summer time and winter time


class CronsTimetable(CronDataIntervalTimetable):
    """Airflow's timetable of one cron, with the times of several. The plugin registers it.

    The base class makes everything else of the next and the previous time.

    :param crons: expressions without presets.
    :param timezone: name of the time zone.
    """

    def __init__(self, *crons: str, timezone: str) -> None:
        self._each = [CronDataIntervalTimetable(cron, timezone) for cron in crons]
        self._zone, self._timezone = timezone, self._each[0]._timezone
        # Airflow shows this text as the schedule (`summary` of the base class), so it names all crons.
        self._expression = ", ".join(crons)
        described = ", ".join(each.description for each in self._each if each.description)
        self.description = described if len(described) <= MAX_DESCRIPTION else f"{described[: MAX_DESCRIPTION - 1]}…"

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> CronsTimetable:
        """Made from what Airflow's database holds."""
        return cls(*data["crons"], timezone=data["timezone"])

    def serialize(self) -> dict[str, Any]:
        """What Airflow's database holds."""
        return {"crons": [each.summary for each in self._each], "timezone": self._zone}

    def validate(self) -> None:
        """Airflow asks whether all of it can be used."""
        for each in self._each:
            each.validate()

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The next run: it begins where the last one ended, on or after the first day, and not after the last.

        Airflow's own may find no next run near a clock change, because some times of a cron then change places.
        """
        last = last_automated_data_interval.end if last_automated_data_interval else None
        begins = [] if last is None else [last]
        if restriction.earliest is not None:
            begins.append(self._align_to_next(restriction.earliest))
        if not restriction.catchup:
            newest = self.infer_manual_data_interval(run_after=pendulum.now("UTC"))
            # `newest` is the last interval that has ended. Without catchup, an interval that was missed before `newest`
            # gets no run: the next run covers `newest`. If none was missed, the next run begins at `last`, and not at
            # `newest.start`: near a clock change, `newest.start` may be a little later than `last`, and no run would
            # cover the time between the two.
            if last is None or self._get_next(last) < newest.end:
                begins.append(newest.start)
        begin = max(begins, default=None)
        if begin is None or (restriction.latest is not None and begin > restriction.latest):
            return None
        return DagRunInfo.interval(begin, self._get_next(begin))

    def _get_next(self, current: pendulum.DateTime) -> pendulum.DateTime:
        return min(each._get_next(current) for each in self._each)

    def _get_prev(self, current: pendulum.DateTime) -> pendulum.DateTime:
        found = [each._get_prev(current) for each in self._each]
        # In spring, clocks skip an hour: a cron for 02:30 then runs at 03:30. For `current` = 03:05, Airflow returns
        # 03:30 as the time before `current`, although 03:30 is later. Then Airflow is asked again, with a time that is
        # `_CLOCK_CHANGE` earlier.
        return max(
            moment if moment < current else each._get_prev(current - _CLOCK_CHANGE)
            for each, moment in zip(self._each, found, strict=True)
        )
