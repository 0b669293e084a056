"""Links on tasks to what they made. A link is computed from the task's XCom, because Airflow overwrites its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink
from airflow.sdk.execution_time.xcom import XCom

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


def _returned(ti_key: TaskInstanceKey) -> dict[str, Any]:
    value = XCom.get_one(
        key="return_value",
        dag_id=ti_key.dag_id,
        task_id=ti_key.task_id,
        run_id=ti_key.run_id,
        map_index=ti_key.map_index,
    )
    return value if isinstance(value, dict) else {}


class ManifestLink(BaseOperatorLink):
    """Where the manifest of the published dataset lies."""

    name = "Manifest"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """URI of the manifest; empty before the task has run."""
        return str(_returned(ti_key).get("manifest_uri", ""))


class DatasetFolderLink(BaseOperatorLink):
    """Where the dataset lies."""

    name = "Dataset folder"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """URI of the dataset's folder; empty before the task has run."""
        return str(_returned(ti_key).get("manifest_uri", "")).removesuffix("manifest.json")
