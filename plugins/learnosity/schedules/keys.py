"""The keys of a schedule file. `Schedule` is their one table: the JSON schema and the defaults are made from it.

To add a key, add a field to `Schedule`, use it in `schedules.dags`, and make `dags/datasets/dataset.schema.json` again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from learnosity.run_config import FIELDS
from learnosity.schedules.crons import PRESETS, expanded

# The ids of the other DAGs of this project are `learnosity_` and one of these names, such as `learnosity_probe`. A
# schedule must not have such a name, because its DAG would have the same id.
SHIPPED = ("dataset", "from_warehouse", "probe", "retention", "to_parquet")
NOTIFIED = ("failure", "success", "deadline")

_TEXT = {"type": "string", "minLength": 1}
# Airflow refuses a tag of more than 100 characters. Airflow allows longer owners, pools, queues and time zones, but one
# limit for all of these keys is simpler, and no real name needs more.
_WORD = {**_TEXT, "maxLength": 100}
_DAY = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
_MINUTES = {"type": "number", "exclusiveMinimum": 0, "maximum": 525_600}
_CRON: dict[str, Any] = {"type": ["string", "array"], "minLength": 1, "items": _TEXT, "minItems": 1, "maxItems": 50}
_ASSETS = {"type": "array", "items": {**_TEXT, "maxLength": 1500}, "minItems": 1, "maxItems": 100}
# The characters and the length that Airflow allows in the id of a connection. In Python, `$` also matches before a line
# feed at the end of the text. `(?!\n)` excludes this case.
_CONNECTION = {"type": "string", "pattern": r"^[\w#!()\-.:/\\]{1,250}$(?!\n)"}


def _key(schema: Mapping[str, Any], description: str, default: Any = MISSING) -> Any:
    """A key of the file. Without a default, it is required."""
    shown = {"default": default} if isinstance(default, (bool, int)) or (isinstance(default, str) and default) else {}
    return field(default=default, metadata={"schema": {**schema, **shown, "description": description}})


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One scheduled dataset. Strings in `params` may be templates.

    :param file: name of its file.
    """

    file: str
    name: str = _key(
        {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,79}$(?!\n)"}, "The DAG is called learnosity_<name>."
    )
    description: str = _key({**_TEXT, "maxLength": 1000}, "One line about what it is for.", "")
    schedule: str | Sequence[str] | Mapping[str, Any] = _key(
        {
            **_CRON,
            "type": ["string", "array", "object"],
            "additionalProperties": False,
            "required": ["assets"],
            "properties": {
                "assets": {
                    **_ASSETS,
                    "type": ["array", "object"],
                    "additionalProperties": False,
                    "minProperties": 1,
                    "maxProperties": 1,
                    "properties": {
                        "all": {**_ASSETS, "description": "A run starts when each of them was updated."},
                        "any": {**_ASSETS, "description": "A run starts when one of them was updated."},
                    },
                    "description": "Names or URIs of Airflow assets. A list means all of them.",
                },
                "cron": {**_CRON, "description": "The DAG also runs at these times."},
            },
        },
        "When it runs, in the time zone below: a cron expression of five fields, or one of "
        f"{', '.join(PRESETS)}; or a list of those; or assets: [name or URI, …].",
    )
    timezone: str = _key(_WORD, "Such as Australia/Sydney; wall-clock times follow it.", "UTC")
    start_date: str = _key(_DAY, "The first day: no scheduled interval begins before it.", "2026-01-01")
    end_date: str | None = _key(_DAY, "The last day: no scheduled interval begins after it. None = no end.", None)
    catchup: bool = _key({"type": "boolean"}, "Run for the intervals that were missed, too.", False)
    max_active_runs: int = _key({"type": "integer", "minimum": 1, "maximum": 1000}, "Runs at the same time.", 1)
    owner: str = _key(_WORD, "Owner in Airflow's list of DAGs.", "data-engineering")
    tags: Sequence[str] = _key({"type": "array", "items": _WORD, "maxItems": 50}, "More tags of the DAG.", ())
    pool: str | None = _key(_WORD, "Airflow pool of all tasks; it has to exist. None = Airflow's default pool.", None)
    queue: str | None = _key(_WORD, "Queue of the workers for all tasks. None = Airflow's default queue.", None)
    priority_weight: int = _key(
        {"type": "integer", "minimum": 1, "maximum": 100_000}, "A higher number goes first where tasks wait.", 1
    )
    dagrun_timeout: float | None = _key(_MINUTES, "A run fails after this many minutes. None = no limit.", None)
    deadline_minutes: float | None = _key(
        _MINUTES, "A run that is not done this long after it was queued is reported.", None
    )
    notify: Mapping[str, Any] | None = _key(
        {
            "type": "object",
            "additionalProperties": False,
            "dependentRequired": {"on": ["http_conn_id"]},
            "properties": {
                "http_conn_id": {
                    **_CONNECTION,
                    "description": 'HTTP connection of a webhook that takes {"text": …} as JSON.',
                },
                "on": {
                    "type": "array",
                    "items": {"enum": list(NOTIFIED)},
                    "minItems": 1,
                    "default": ["failure", "deadline"],
                    "description": "What is reported.",
                },
            },
        },
        "Where failures, successes and missed deadlines are reported. Airflow's log has them in any case.",
        None,
    )
    params: Mapping[str, Any] = _key(
        {
            "type": "object",
            "required": ["dataset_type"],
            "additionalProperties": False,
            "properties": {
                each.name: {**each.schema, "description": each.description} for each in FIELDS if each.scheduled
            },
        },
        "Run config, as the form has it.",
    )

    @property
    def dag_id(self) -> str:
        """Id of its DAG."""
        return f"learnosity_{self.name}"

    @property
    def crons(self) -> tuple[str, ...]:
        """Its cron expressions, each once and without presets; empty when only assets start it."""
        written = self.schedule.get("cron", ()) if isinstance(self.schedule, Mapping) else self.schedule
        return tuple(dict.fromkeys(map(expanded, [written] if isinstance(written, str) else written)))

    @property
    def assets(self) -> tuple[str, ...]:
        """Names or URIs of the assets that start it."""
        assets = self.schedule["assets"] if isinstance(self.schedule, Mapping) else ()
        return tuple(assets if not isinstance(assets, Mapping) else next(iter(assets.values())))

    @property
    def any_asset(self) -> bool:
        """Whether an update of one of the assets is enough."""
        return isinstance(self.schedule, Mapping) and "any" in self.schedule["assets"]

    def notifies(self, event: str) -> bool:
        """Whether an event is sent to its webhook: `failure`, `success` or `deadline`."""
        notify = self.notify or {}
        return "http_conn_id" in notify and event in notify.get("on", ("failure", "deadline"))


_KEYS = [each for each in fields(Schedule) if "schema" in each.metadata]
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Scheduled Learnosity dataset",
    "type": "object",
    "required": [each.name for each in _KEYS if each.default is MISSING],
    "additionalProperties": False,
    "properties": {each.name: each.metadata["schema"] for each in _KEYS},
}
