"""Makes one DAG per file in `datasets/`: the DAG `learnosity_<name>` runs as its file says.

A file that cannot be used becomes the DAG `learnosity_invalid_<file>`, which says why. Other files are not affected.
"""

from __future__ import annotations

from pathlib import Path

# Keep this comment: Airflow reads a Python file as a DAG file only if its text has the word `airflow`, and `dag` or
# `asset`. In this file, only this comment has the word `airflow`.
from learnosity.dags import scheduled_dags

globals().update(scheduled_dags(Path(__file__).parent / "datasets"))
