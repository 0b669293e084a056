"""Inputs and outputs of the tasks, for OpenLineage. Only the OpenLineage provider calls this, if it is installed.

Names follow OpenLineage's naming of object stores. A dataset has the same name in every run, like a table: its folder
without the id. The id is its version. So a year of nightly runs is one node of the lineage graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from learnosity.api.dataset_request import ASSET_PREFIX
from learnosity.connections import azure_account
from learnosity.storage.uris import AZURE_SCHEMES, GCS_SCHEMES, S3_SCHEMES, parse_uri, split_glob

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage


def lineage_of_creation(input_uri: str | None, created: Mapping[str, Any] | None) -> OperatorLineage[Any, Any]:
    """Lineage from the input files to the dataset at Learnosity.

    :param created: what the task returned; None when it failed.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset

    read = [InputDataset(*object_name(split_glob(input_uri)[0]))] if input_uri else []
    made = [OutputDataset(*_learnosity(created), facets=_version(created))] if created else []
    return OperatorLineage(inputs=read, outputs=made)


def lineage_of_publication(destination_uri: str, published: Mapping[str, Any] | None) -> OperatorLineage[Any, Any]:
    """Lineage from the dataset at Learnosity to the folder where datasets of its type land.

    :param published: what the task returned; None when it failed.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset

    if published is None:
        return OperatorLineage()
    size = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        size=published["total_bytes"], fileCount=published["file_count"]
    )
    place = object_name(f"{destination_uri.rstrip('/')}/{published['dataset_type']}")
    return OperatorLineage(
        inputs=[InputDataset(*_learnosity(published), facets=_version(published))],
        outputs=[OutputDataset(*place, facets=_version(published), outputFacets={"outputStatistics": size})],
    )


def object_name(uri: str) -> tuple[str, str]:
    """Namespace and name of a folder on object storage, in the form that OpenLineage uses.

    :raises StorageError: `uri` is not an object-storage URI.
    :raises ConnectionConfigError: the Airflow connection of an Azure URI is missing.
    """
    where = parse_uri(uri)
    if where.scheme == "file":
        return "file", where.key
    if where.scheme in AZURE_SCHEMES:
        account = azure_account(where)
        return f"abfss://{where.bucket}{f'@{account}.dfs.core.windows.net' if account else ''}", where.key or "/"
    scheme = "s3" if where.scheme in S3_SCHEMES else "gs" if where.scheme in GCS_SCHEMES else where.scheme
    return f"{scheme}://{where.bucket}", where.key or "/"


def _learnosity(dataset: Mapping[str, Any]) -> tuple[str, str]:
    return ASSET_PREFIX.rstrip("/"), str(dataset["dataset_type"])


def _version(dataset: Mapping[str, Any]) -> dict[str, Any]:
    from openlineage.client.facet_v2 import dataset_version_dataset

    return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(str(dataset["dataset_id"]))}
