"""The assets that represent published datasets. Schedule a DAG on one of them to run after each landing.

Each publication adds an event to the asset of its dataset type. No asset alias is used: Airflow 3.3 connects an alias
with an asset when the first event is added, and fails one of two tasks that do this at the same moment. These assets
are declared by DAGs, so Airflow creates them when it parses the DAGs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from airflow.sdk import Asset, AssetAny

from learnosity.api.dataset_request import ASSET_PREFIX, KNOWN_TYPES
from learnosity.api.dataset_request import OTHER_DATASETS as OTHER_DATASETS_NAME
from learnosity.dataset.layout import DatasetLayout
from learnosity.errors import RequestError


def dataset_asset(dataset_type: str) -> Asset:
    """The asset that represents the datasets of one type. Schedule a DAG on it to run after each landing."""
    return Asset(name=f"learnosity_{dataset_type}", uri=f"{ASSET_PREFIX}{dataset_type}")


KNOWN_DATASETS = [dataset_asset(name) for name in KNOWN_TYPES]
# This asset gets an event for each dataset whose type is not in `KNOWN_TYPES`. No dataset type can be called `*`, so no
# asset of a single type has the same URI.
OTHER_DATASETS = Asset(name=OTHER_DATASETS_NAME, uri=f"{ASSET_PREFIX}*")
# A DAG with this as its schedule runs after a dataset of any type has been published.
ANY_DATASET = AssetAny(*KNOWN_DATASETS, OTHER_DATASETS)


def published_assets(dataset_type: str) -> list[Asset]:
    """The assets that get an event when a dataset of this type is published.

    Airflow drops an event of an asset that no DAG declares. Therefore a type that is not known has a second asset,
    which the publishing task declares.
    """
    own = dataset_asset(dataset_type)
    return [own] if own in KNOWN_DATASETS else [own, OTHER_DATASETS]


def fixed_type(request: object, run_config: Collection[str] | None = None) -> str | None:
    """The dataset type of every run of a DAG; None = it is decided when a run starts.

    :param request: the request of the create task; its `dataset_type` may be a template.
    :param run_config: fields that the run config of a run may give instead; default none.
    """
    named = request.get("dataset_type") if isinstance(request, Mapping) else None
    if not isinstance(named, str) or "dataset_type" in (run_config or ()):
        return None
    try:
        return DatasetLayout(named.strip(), "any").dataset_type
    except RequestError:
        # Either `named` is a Jinja template, so the type is known only when a task of a run renders it. Or `named` is
        # no valid type, and every run fails.
        return None


def declared_ports(declared_type: str | None) -> dict[str, list[Asset]]:
    """The inlets and outlets of a publishing task.

    :param declared_type: see `fixed_type`.
    """
    if declared_type:
        return {"outlets": published_assets(declared_type)}
    # Runs may publish datasets of any type. Airflow drops an event of an asset that no task declares, so the assets of
    # all known types are declared here. They are inlets, because a user can materialize an asset in Airflow's UI only
    # if exactly one DAG has it as an outlet. If they were outlets, this DAG could be the second one.
    return {"outlets": [OTHER_DATASETS], "inlets": [*KNOWN_DATASETS]}


def outlets_for(dataset_type: str, declared_type: str | None) -> list[Asset]:
    """The outlets of a publishing task that runs.

    :param dataset_type: the type of the dataset.
    :param declared_type: see `fixed_type`.
    :raises RequestError: they differ, so the assets of the dataset may not exist.
    """
    if declared_type not in (None, dataset_type):
        raise RequestError(
            f"The dataset is of the type {dataset_type}, but the request of this task names {declared_type}. Give the "
            "create task and the publish task the same request and run_config."
        )
    return published_assets(dataset_type)
