"""Makes one DAG per file in `datasets/`: the DAG `learnosity_<name>` runs as its file says.

A file that cannot be used becomes the DAG `learnosity_invalid_<file>`, which says why. Other files are not affected.
"""

from __future__ import annotations

import logging
from pathlib import Path

# Airflow skips a Python file that does not contain both words: airflow, dag.
from learnosity.schedules.dags import build_dag, invalid_dag
from learnosity.schedules.files import read_folder

reading = read_folder(Path(__file__).parent / "datasets")

for schedule in reading.schedules:
    globals()[schedule.dag_id] = build_dag(schedule)

for file, problems in reading.problems.items():
    for problem in problems:
        logging.getLogger(__name__).error("%s", problem)
    dag = invalid_dag(file, problems)
    globals()[dag.dag_id] = dag
