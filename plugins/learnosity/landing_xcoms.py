"""The small values that the landing tasks hand to each other, and to the tasks after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from learnosity.dataset.event_extra import activities_of
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import Manifest
from learnosity.errors import RequestError
from learnosity.landing.plan import Shard, host_name
from learnosity.progress_log import Progress
from learnosity.storage.store import Store
from learnosity.task_report import Landing

# This name is used if an XCom names no landing plan. The first release (1.0.0) made only one plan for a run, so its
# XComs do not name it. A run that began with 1.0.0 may go on with a later release, after an upgrade. Then `plan_of`
# reads such XComs.
FIRST_RELEASE = "plan"


def shard_xcoms(shards: Sequence[Shard], plan: str, include: Sequence[str]) -> list[dict[str, Any]]:
    """What `list_files` returns: one entry for each shard.

    :param plan: name of the plan.
    :param include: the globs of the run config. They are in the entries only if they left files out.
    """
    host = host_name()
    return [
        {"shard": shard.shard, "files": shard.files, "plan": plan, "host": host}
        | ({"left_out": shard.left_out, "include": list(include)} if shard.left_out else {})
        for shard in shards
    ]


def left_out(shards: Sequence[Any]) -> int:
    """How many result files `include` leaves out, by what `list_files` returned."""
    return int(shards[0].get("left_out") or 0) if shards else 0


def included(shards: Sequence[Any]) -> Sequence[str] | None:
    """The globs that left result files out, by what `list_files` returned; None = no file was left out."""
    return shards[0].get("include") if left_out(shards) else None


def rendered(shards: object) -> Sequence[Any]:
    """The XCom of `list_files`. Without it, an incomplete dataset would look complete, so it must be a list."""
    if isinstance(shards, Sequence) and not isinstance(shards, str):
        return shards
    raise RequestError(
        f"list_files returned {type(shards).__name__} instead of the list of shards: was it marked as success by hand? "
        "Clear list_files with its downstream tasks."
    )


def plan_of(shard: Mapping[str, Any]) -> str:
    """The name of the plan of a shard."""
    return str(shard.get("plan") or FIRST_RELEASE)


def published_xcom(store: Store, layout: DatasetLayout, manifest: Manifest) -> dict[str, Any]:
    """The values about a published dataset for the XCom of `publish` and for the asset event."""
    return {
        "dataset_id": manifest.dataset_id,
        "dataset_type": manifest.dataset_type,
        "manifest_uri": f"{store.uri}/{layout.manifest}",
        "file_count": manifest.file_count,
        "total_bytes": manifest.total_bytes,
        "gaps": list(manifest.returned.gaps) if manifest.returned else [],
        "figures": dict(manifest.returned.figures) if manifest.returned else {},
        "records": manifest.input.records if manifest.input else None,
        "activities": list(activities_of(manifest.request.get("filters"))),
    } | ({"left_out": manifest.left_out, "include": list(manifest.include or ())} if manifest.left_out else {})


def landing_of(shards: Sequence[Any], counts: Sequence[Progress]) -> Landing | None:
    """How far a task is that lands these shards, one after the other.

    :param counts: of the shards that were begun.
    """
    if not counts:
        return None
    files, total = sum(each.files for each in counts), sum(int(each["files"]) for each in shards)
    return Landing(
        files, total, sum(each.bytes for each in counts), counts[-1].byte_rate(), counts[-1].left(total - files)
    )
