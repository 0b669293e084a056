"""Learnosity datasets on Apache Airflow: generate a dataset, wait for it without a worker, land it whole.

The Airflow side is `hooks`, `operators`, `sensors`, `triggers`, `links` and `params`; everything else is the
domain side, imports no Airflow, and can be read and tested without it.
"""

__version__ = "1.0.0"
