"""The shapes in which GET reports/datasets may return a finished dataset (docs/learnosity-api.md, "Retrieve results").

The real shape is not known (U2). `SimulatorConfig.results_shape` says which one is served, and what each one is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from .errors import ApiError
from .results import JSON_TYPE, ResultFile, ResultSet
from .state import Dataset, State
from .storage import BUCKET, result_path

_AUTHORING = "https://authoring.example.com/items"


def get_datasets(
    state: State, dataset: Dataset, results: ResultSet, request: dict[str, Any], urls_expired: bool
) -> tuple[Any, int, str | None]:
    """The `data`, the number of records and the cursor of the reply.

    The shapes of groups are for summary datasets only, and `rows` is for analyses only. The other kind of dataset is
    then listed as `files`.

    :raises ApiError: 20003 or 20004 for a group path or a cursor that is wrong.
    """
    shape = state.config.results_shape
    files = list(results.files.values())
    if shape in ("groups", "groups_in_lists") and dataset.spec.summary:
        group = group_view(results, request.get("group_path", []))
        return [group] if shape == "groups_in_lists" else group, 1, None
    if shape == "rows" and not dataset.spec.summary:
        found = msgspec.json.decode(results.content("items.json"), type=list[dict[str, Any]])
        return {"rows": [{**row, "link": f"{_AUTHORING}/{row['item_reference']}"} for row in found]}, len(found), None
    if shape == "inline":
        return {file.name: _content(state, results, file) for file in files}, len(files), None
    following = None
    if shape == "empty":
        files = []
    if shape == "paged":
        start = _cursor(request.get("next"))
        stop = start + state.config.page_size
        following = str(stop) if stop < len(files) else None
        files = files[start:stop]
    return _listed(state, dataset, files, urls_expired), len(files), following


def group_view(results: ResultSet, group_path: Any) -> dict[str, Any]:
    """One group of a summary dataset: itself, its ancestors, child groups and users.

    :param group_path: names from the top level down; empty means the root.
    :raises ApiError: 20003 when it is not a list of names, 20004 when there is no such group.
    """
    if not isinstance(group_path, Sequence) or isinstance(group_path, str):
        raise ApiError(20003, "group_path must be an array of strings")
    if not all(isinstance(name, str) for name in group_path):
        raise ApiError(20003, "group_path must be an array of strings")
    view = results.group_view(group_path)
    if view is None:
        raise ApiError(20004, "group_path names no group of this dataset")
    return view


def _listed(state: State, dataset: Dataset, files: Sequence[ResultFile], urls_expired: bool) -> Any:
    shape = state.config.results_shape
    if shape == "urls":
        return [_url(state, dataset, file.name, urls_expired) for file in files]
    rows = [_row(state, dataset, file, urls_expired) for file in files]
    if shape == "deep":
        return {"report": {"set": {"parts": {"entries": rows}}}}
    if shape == "self_link":
        return {"link": _url(state, dataset, "index.json", urls_expired), "files": rows}
    return {"dataset_id": dataset.spec.dataset_id, "dataset_type": dataset.spec.dataset_type, "files": rows}


def _row(state: State, dataset: Dataset, file: ResultFile, urls_expired: bool) -> dict[str, Any]:
    s3 = state.config.results_shape == "s3"
    url = f"s3://{BUCKET}/{file.name}" if s3 else _url(state, dataset, file.name, urls_expired)
    row: dict[str, Any] = {"name": file.name, "url": url}
    if state.config.list_bytes:
        row["bytes"] = file.size
    if state.config.list_content_type:
        row["content_type"] = file.content_type
    return row


def _url(state: State, dataset: Dataset, name: str, urls_expired: bool) -> str:
    spec = dataset.spec
    path = result_path(spec.organisation_id, spec.dataset_type, spec.dataset_id, name)
    seconds = -60.0 if urls_expired else state.config.result_url_seconds
    return state.signer.sign(state.base_url, "GET", path, "", seconds)


def _content(state: State, results: ResultSet, file: ResultFile) -> Any:
    body = results.content(file.name)
    if state.config.inline_content == "json" and file.content_type == JSON_TYPE:
        return msgspec.Raw(body)
    return body.decode()


def _cursor(value: Any) -> int:
    if value is None:
        return 0
    if not isinstance(value, str) or not (value.isascii() and value.isdigit()):
        raise ApiError(20004, "next is not a cursor of this dataset")
    return int(value)
