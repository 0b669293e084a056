"""The run config as the form of Airflow's trigger dialog. `run_config` defines the fields."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.sdk import Param, Variable

from learnosity.run_config import DESTINATION_VARIABLE, FIELDS, Field


def default_destination() -> str:
    """The default destination: the Airflow Variable `learnosity_destination_uri`, else a folder in AIRFLOW_HOME.

    It is read when Airflow parses the DAG, so that the form shows the real destination.
    """
    home = Path(os.environ.get("AIRFLOW_HOME") or Path.home() / "airflow")
    return str(Variable.get(DESTINATION_VARIABLE, default=f"file://{home.absolute()}/datasets"))


def dataset_params() -> dict[str, Param]:
    """A new set of the params, by name."""
    return {each.name: _param(each) for each in FIELDS}


def _param(each: Field) -> Param:
    default = default_destination() if each.name == "destination_uri" else each.default
    proposals: dict[str, Any] = {"examples": list(each.examples)} if each.examples else {}
    if each.labels:
        proposals["values_display"] = dict(each.labels)
    return Param(
        default, title=each.title, description_md=each.description, section=each.section, **each.schema, **proposals
    )
