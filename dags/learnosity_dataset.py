"""The DAG `learnosity_dataset`: the dataset that its run config describes. See `learnosity.dags`.

Airflow reads a file as a DAG file only if it contains both words: airflow, dag.
"""

from __future__ import annotations

from learnosity.dags import dataset_dag

dag = dataset_dag()
