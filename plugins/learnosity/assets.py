"""The assets that represent published datasets. Schedule a DAG on one of them to run after each landing."""

from __future__ import annotations

from airflow.sdk import Asset, AssetAlias

from learnosity.api.dataset_request import ASSET_PREFIX

# This alias gets an event for each published dataset of any type. Each type also has its own asset.
DATASETS_ALIAS = AssetAlias("learnosity_datasets")


def dataset_asset(dataset_type: str) -> Asset:
    """The asset that represents the datasets of one type. Schedule a DAG on it to run after each landing."""
    return Asset(name=f"learnosity_{dataset_type}", uri=f"{ASSET_PREFIX}{dataset_type}")
