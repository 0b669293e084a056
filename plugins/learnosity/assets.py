"""The assets that published datasets stand for; schedule a DAG on them to run after each landing."""

from __future__ import annotations

from airflow.sdk import Asset, AssetAlias

from learnosity.api.dataset_request import ASSET_PREFIX

# Datasets of every type come as events of this alias; each type also has an asset of its own.
DATASETS_ALIAS = AssetAlias("learnosity_datasets")


def dataset_asset(dataset_type: str) -> Asset:
    """The asset that stands for the datasets of one type; schedule a DAG on it to run after each landing."""
    return Asset(name=f"learnosity_{dataset_type}", uri=f"{ASSET_PREFIX}{dataset_type}")
