"""The operators of this package. DAG authors import them from here.

An operator checks its parameters, opens the Airflow connection and the store, and returns ids and counts. No template
field, no XCom and no log line contains a secret.
"""

from __future__ import annotations

from learnosity.assets import ANY_DATASET, OTHER_DATASETS, dataset_asset
from learnosity.create_operator import LearnosityCreateDatasetOperator
from learnosity.landing_operators import (
    LearnosityLandFilesOperator,
    LearnosityListFilesOperator,
    LearnosityPublishOperator,
)

__all__ = [
    "ANY_DATASET",
    "OTHER_DATASETS",
    "LearnosityCreateDatasetOperator",
    "LearnosityLandFilesOperator",
    "LearnosityListFilesOperator",
    "LearnosityPublishOperator",
    "dataset_asset",
]
