"""The run config as a form: every param of the design with its JSON schema, section and description.

Kept apart from the DAG so that every DAG of this project shows the same form. Each param has a valid default,
because a scheduled DAG must not ask; what is required in fact is checked by the first task.
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import Param, Variable

from learnosity.api.dataset_request import ACTIVITY_SUMMARY, KNOWN_TYPES
from learnosity.landing.plan import MAX_SHARDS

DESTINATION_VARIABLE = "learnosity_destination_uri"

DATASET = "Dataset"
SELECTION = "What to aggregate"
LANDING = "Landing"
RUNNING = "Waiting and connection"

UUID_PATTERN = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
URI_PATTERN = r"^[A-Za-z][A-Za-z0-9+.-]*://\S.*$"

EXAMPLE_FIELDS = ["population", "mean_percent", "median_percent", "p25_percent", "p75_percent"]
EXAMPLE_USER_FIELDS = ["score", "max_score"]
TYPE_LABELS = {
    "activity-summary-by-group": "Activity summary by group (large group report)",
    "sessions-summary-by-group": "Sessions summary by group (large group report)",
    "ibk-analysis-by-question": "Item bank analysis by question",
    "activity-analysis-by-question": "Activity analysis by question",
}


def default_destination() -> str:
    """Where datasets land unless the run says otherwise: the Airflow Variable, else a folder of AIRFLOW_HOME.

    Read when the DAG is parsed, so that the form shows the real place.
    """
    home = Path(os.environ.get("AIRFLOW_HOME") or Path.home() / "airflow")
    return str(Variable.get(DESTINATION_VARIABLE, default=f"file://{home.absolute()}/datasets"))


def dataset_params() -> dict[str, Param]:
    """A fresh set of the params of design section 4.1."""
    # No code marks in descriptions: Airflow draws them over their neighbours where a line wraps.
    return {
        "dataset_type": Param(
            ACTIVITY_SUMMARY,
            type="string",
            minLength=1,
            pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
            title="Dataset type",
            examples=list(KNOWN_TYPES),
            values_display=TYPE_LABELS,
            description_md="One of the four known types, or the name of another one.",
            section=DATASET,
        ),
        "input_uri": Param(
            None,
            type=["null", "string"],
            pattern=URI_PATTERN,
            title="Input files",
            description_md=(
                "NDJSON on any object storage: a file, a folder or a glob, such as "
                "s3://connection@bucket/users/*.ndjson or file:///data/users.ndjson.gz. The two group types "
                "need it: one line a user with user_id and groups. Empty = no input files."
            ),
            section=DATASET,
        ),
        "groups": Param(
            [],
            type="array",
            items={
                "type": "object",
                "required": ["key", "label"],
                "properties": {"key": {"type": "string", "minLength": 1}, "label": {"type": "string"}},
            },
            title="Hierarchy",
            description_md=(
                'Levels of the report, top level first: [{"key": "district", "label": "District"}, {"key": '
                '"school", "label": "School"}]. Every line of the input names its group of each level.'
            ),
            section=DATASET,
        ),
        "filters": Param(
            {},
            type="object",
            title="Filters",
            description_md=(
                'Sent as they are: {"activity_id": ["…"], "mintime": "2026-11-01T00:00:00Z", "maxtime": "…"}. At '
                "most ten activities. The analysis types take either input files or filters."
            ),
            section=SELECTION,
        ),
        "options": Param(
            {},
            type="object",
            title="Options",
            description_md=(
                "Sent as they are: fields to compute for every group or question, user_fields to keep for "
                f"every user, sort fields and orders. An example: fields: {EXAMPLE_FIELDS}, user_fields: "
                f"{EXAMPLE_USER_FIELDS}."
            ),
            section=SELECTION,
        ),
        "organisation_id": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Item bank (organisation id)",
            description_md="Empty = the one of the connection, or else the consumer's primary item bank.",
            section=SELECTION,
        ),
        "dataset_id": Param(
            None,
            type=["null", "string"],
            format="uuid",
            pattern=UUID_PATTERN,
            title="Dataset id",
            description_md="A UUID of your own. Empty = a new one, which is nearly always right.",
            section=DATASET,
        ),
        "destination_uri": Param(
            default_destination(),
            type="string",
            minLength=1,
            title="Destination",
            description_md=(
                "Prefix below which datasets land: s3://connection@bucket/datasets, gs://…, abfs://… or "
                f"file:///…. The default comes from the Airflow Variable {DESTINATION_VARIABLE}."
            ),
            section=LANDING,
        ),
        "include": Param(
            ["*"],
            type="array",
            items={"type": "string", "minLength": 1},
            minItems=1,
            examples=["*", "*.json", "*.csv"],
            title="Files to land",
            description_md="Globs over the files' paths; * also matches /.",
            section=LANDING,
        ),
        "overwrite": Param(
            False,
            type="boolean",
            title="Land again",
            description_md="Land again what is published already for this dataset.",
            section=LANDING,
        ),
        "landing_shards": Param(
            1,
            type="integer",
            minimum=1,
            maximum=MAX_SHARDS,
            title="Landing tasks",
            description_md="How many mapped tasks share the landing; more only helps over several workers.",
            section=LANDING,
        ),
        "poll_interval": Param(
            15,
            type="number",
            minimum=1,
            maximum=60,
            title="Poll interval (seconds)",
            description_md="Longest time between two looks at the job. Looks begin 5 s apart, or less.",
            section=RUNNING,
        ),
        "job_timeout": Param(
            360,
            type="number",
            exclusiveMinimum=0,
            title="Job time-out (minutes)",
            description_md="After this long the wait fails; the job may still run.",
            section=RUNNING,
        ),
        "learnosity_conn_id": Param(
            "learnosity_default",
            type="string",
            minLength=1,
            title="Learnosity connection",
            description_md="Airflow connection with the consumer key and secret.",
            section=RUNNING,
        ),
    }
