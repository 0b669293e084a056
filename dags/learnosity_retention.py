"""The DAG `learnosity_retention`: removes datasets by the rules in `datasets/retention.yaml`, or by their ids.

Without that file it has no schedule. Airflow reads a file as a DAG file only if it contains both words: airflow, dag.
"""

from __future__ import annotations

from pathlib import Path

from learnosity.retention_dag import retention_dags

globals().update(retention_dags(Path(__file__).parent / "datasets"))
