"""Learnosity datasets on Apache Airflow: generate a dataset, wait for it without a worker, land all of its files.

Only the top-level modules, `web/` and `schedules/dags.py` may import Airflow. The folders:
`api/` calls the Data API, reads its replies and signs requests and reports.
`inputs/` reads and checks the input files.
`creation/` initialises a dataset, uploads its input and starts its job.
`results/` finds the result files in the replies of the API.
`landing/` copies the result files to object storage and publishes them.
`dataset/` describes a landed dataset: its paths, its manifest and its rows.
`retention/` decides which datasets are removed, and removes them.
`storage/` is one interface to every object store.
`schedules/` reads the schedule files and makes DAGs of them.
`web/` shows the dataset pages in Airflow's UI.
"""

__version__ = "1.0.0"
