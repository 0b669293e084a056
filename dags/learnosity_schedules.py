"""Makes one DAG per file in `datasets/`: the DAG `learnosity_<name>` runs as its file says.

A file that cannot be used becomes the DAG `learnosity_invalid_<file>`, which says why. Other files are not affected.
"""

from __future__ import annotations

from pathlib import Path

# Airflow skips a Python file without the word `airflow`, or with neither `dag` nor `asset`. This comment has the words.
from learnosity.dags import scheduled_dags

globals().update(scheduled_dags(Path(__file__).parent / "datasets"))
