"""Compares what came back with what was uploaded, before a dataset is published. `dataset.completeness` decides."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from msgspec.structs import replace

from learnosity.api.dataset_request import KNOWN_TYPES, dataset_type
from learnosity.dataset.completeness import Returned, gaps, groups_returned, is_empty
from learnosity.dataset.group_files import group_files, stem_of
from learnosity.dataset.input_info import InputInfo
from learnosity.dataset.key_figures import figures_of_groups
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.limits import Limits
from learnosity.dataset.manifest import FileEntry, Manifest
from learnosity.dataset.published import PublishedDataset
from learnosity.dataset.question_files import CANDIDATES, MOST_PARTS, Questions, likely_files
from learnosity.errors import GapError
from learnosity.storage.store import Store

log = logging.getLogger(__name__)

_MIB = 1024 * 1024
# To compare a result file with the input, the task has to read the whole file. A file with more bytes, or with more
# objects and lists of JSON (`containers`), is not compared.
_LIMITS = Limits(file_bytes=8 * _MIB, shown_bytes=8 * _MIB, containers=300_000)
# A dataset with more files than this is not compared with its input, because the names of all its files have to be in
# memory.
COMPARED_FILES = 200_000
_POPULATION = re.compile(r'"population"\s*:\s*"?[1-9]')
# `_read` uses this to see whether all scores of a group are null. In the JSON text of a file, it finds each key that
# ends with `_score` or `_percent`, such as `"mean_score": null`, and captures `null` or the first digit. Keys that
# begin with `max` or `unscored_max` are not found: the highest possible score may be a number even if no session was
# counted.
_STATISTIC = re.compile(r'"(?!unscored_max|max)\w*_(?:score|percent)"\s*:\s*(null|-?\d)')
_HOW_TO_PUBLISH = "To publish it as it is, trigger a run with create false, dataset_id {} and require_complete false."


async def reconciled(
    store: Store,
    layout: DatasetLayout,
    manifest: Manifest,
    files: Sequence[FileEntry] | None,
    *,
    sent: InputInfo | None,
    left_out: int = 0,
    require_complete: bool = False,
) -> Manifest:
    """The manifest with what was sent and what came back. Every gap is logged as a warning.

    :param files: the files of the dataset, which have landed. None = there are more than `COMPARED_FILES`.
    :param sent: the input; None = not known.
    :param left_out: how many result files were not landed, because `include` leaves them out.
    :param require_complete: a gap is an error. So is a comparison that cannot be made, when users were uploaded.
    :raises GapError: see `require_complete`. Nothing is published.
    """
    returned = Returned() if left_out or files is None else await _read(store, layout, manifest, files)
    found = gaps(returned, sent, manifest.request)
    if manifest.file_count == 0 and not left_out:
        found = ("Nothing came back: the dataset has no result files.", *found)
    for gap in found:
        log.warning("%s", gap)
    unknown = sent is not None and sent.users is not None and returned.population is None and not found
    if require_complete and (found or unknown):
        said = " ".join(found) or _why_unknown(left_out, manifest.file_count)
        raise GapError(
            f"require_complete is on, so dataset {layout.dataset_id} is not published. {said} "
            + _HOW_TO_PUBLISH.format(layout.dataset_id)
        )
    if require_complete and _is_analysis(layout) and returned.questions is None:
        log.warning(
            "require_complete is on, and it is not known whether any session was counted: the questions of this "
            "analysis are in no shape that is recognised, or in more than %d files. It is published.",
            MOST_PARTS,
        )
    if unknown or files is None:
        log.info("It is not known whether all users came back. %s", _why_unknown(left_out, manifest.file_count))
    return replace(manifest, input=sent, returned=replace(returned, gaps=found))


def check_published(manifest: Manifest) -> None:
    """Check a dataset that is published already, where `require_complete` is on.

    :raises GapError: its manifest has gaps, or files were left out, or it is not known whether all users came back.
    """
    returned, sent = manifest.returned or Returned(), manifest.input
    if returned.gaps:
        raise GapError(
            f"require_complete is on, and dataset {manifest.dataset_id} was published with gaps. "
            + " ".join(returned.gaps)
        )
    if manifest.left_out or (sent is not None and sent.users is not None and returned.population is None):
        raise GapError(
            f"require_complete is on, and dataset {manifest.dataset_id} was published without a comparison with what "
            f"was uploaded. {_why_unknown(manifest.left_out or 0, manifest.file_count)}"
        )


def _why_unknown(left_out: int, files: int) -> str:
    if files > COMPARED_FILES:
        return f"More than {COMPARED_FILES:,} files are not compared with the input."
    if left_out:
        return f"include leaves out {left_out:,} result file(s)."
    return "The root group has no population that is recognised: name population in options.fields."


def _is_analysis(layout: DatasetLayout) -> bool:
    return layout.dataset_type in KNOWN_TYPES and not dataset_type(layout.dataset_type).by_group


async def _read(store: Store, layout: DatasetLayout, manifest: Manifest, files: Sequence[FileEntry]) -> Returned:
    by_path = {file.path: file for file in files}
    groups = group_files(by_path)
    dataset = PublishedDataset(store, layout, manifest, b"", by_path, groups, _LIMITS)
    if dataset_type(layout.dataset_type).by_group:
        root = dataset.group_file(())
        document = await dataset.unfolded(root) if root else None
        keys = [str(group.get("key")) for group in manifest.request.get("groups") or ()]
        if root is None or document is None:
            return Returned()
        # In two cases, the lists of the root group are empty, and no other group has a file. Either no session matched
        # the filters, so nothing came back. Or no user is in a group below the root, but the root counts their
        # sessions. `has_users` recognises the second case: `population` is above 0, and the scores are not all null.
        has_users = _POPULATION.search(document.text) and set(_STATISTIC.findall(document.text)) != {"null"}
        if is_empty(document) and not has_users and all(stem_of(path) == stem_of(root.path) for path in by_path):
            return Returned(nothing_matched=True)
        return replace(groups_returned(document, groups, keys), figures=figures_of_groups(document))
    if not _is_analysis(layout):
        return Returned()
    likely, questions, count = likely_files(by_path), Questions(), 0
    for path in likely[:MOST_PARTS]:
        if count >= CANDIDATES and not questions.goes_on:
            break
        questions.add(path, await dataset.unfolded(by_path[path]))
        count += 1
    return questions.returned(likely[count:])
