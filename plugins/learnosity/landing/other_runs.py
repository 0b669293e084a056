"""What other runs have published of the dataset that this run publishes, before it and at the same time.

Two runs may write their files.ndjson and their manifests in turns. Then a manifest may stand beside the list of the
other run, and no reader takes that dataset. The run that finds this publishes again, or leaves it to the other run.
"""

from __future__ import annotations

import logging

from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import (
    LAND_AGAIN,
    Manifest,
    RunInfo,
    check_digest,
    check_files,
    decode_files,
    read_manifest,
)
from learnosity.dataset.removal_marks import is_claim
from learnosity.errors import IncompleteDatasetError, TransientStorageError
from learnosity.landing.announce import withdraw
from learnosity.landing.files_ndjson import FilesList
from learnosity.landing.landed_files import LandedFiles
from learnosity.landing.ledger import Landed
from learnosity.landing.written import digest_of, is_whole
from learnosity.storage.store import Store

log = logging.getLogger(__name__)


async def is_enough(
    store: Store,
    layout: DatasetLayout,
    published: Manifest,
    landed: LandedFiles,
    *,
    work: str,
    run: RunInfo,
    left_out: int,
) -> bool:
    """Whether each file that this run landed is in the published dataset, with the same content.

    If that dataset is not whole, this run publishes what it landed, unless it landed only a part of the dataset.

    :param work: folder of the notes of this landing.
    :param run: this run. `published` may be of an earlier attempt of it.
    :param left_out: how many files of the dataset this run has not landed.
    :raises IncompleteDatasetError: they are not, or that dataset is not whole, and this run landed only a part of it.
    :raises TransientStorageError: the same, but another run changes that dataset now.
    """
    with FilesList(landed.planned()) as listed:
        ours = listed.sha256
    if not await is_whole(store, layout, published):
        found = await digest_of(store, layout.files)
        # `found == ours`: files.ndjson at the destination lists the files of this run. So an earlier try of this run
        # wrote it, and had already begun to replace the published dataset. This try goes on with that.
        if not left_out or published.run == run or found == ours:
            log.warning("What run %s has published is not whole. This run publishes its files.", published.run.run_id)
            return False
        try:
            # `is_whole` has also compared names.tsv. If only names.tsv is wrong (another run has written it), this
            # check raises no error, because the comparison of the files below does not need names.tsv.
            check_digest(found, store, layout, published)
        except IncompleteDatasetError as error:
            await check_is_still(store, layout, published, error, work=work)
            raise
    if ours == published.files_sha256:
        return True
    try:
        content = check_files(await store.get(layout.files), store, layout, published)
    except IncompleteDatasetError as error:
        raise TransientStorageError(f"Another run publishes this dataset at the same time. {error}") from None
    known = {entry.path: entry.sha256 for entry in decode_files(content)}
    if all(known.get(entry.path) == entry.sha256 for entry in landed.planned()):
        return True
    if left_out:
        raise IncompleteDatasetError(
            f"Run {published.run.run_id} of {published.run.dag_id} has published other files of this dataset "
            f"since this run made its plan. {LAND_AGAIN}"
        )
    log.warning("Run %s has published other files meanwhile. They are replaced.", published.run.run_id)
    return False


async def check_is_still(
    store: Store, layout: DatasetLayout, published: Manifest, fault: IncompleteDatasetError, *, work: str
) -> None:
    """Check that no other run changes a published dataset now. If one does, a fault of it may end by itself.

    :param fault: what is wrong with the dataset. The error says it, too, because the other run may be dead.
    :raises TransientStorageError: another run has changed the manifest, or has notes of a landing.
    """
    if await read_manifest(store, layout) != published or await is_landed_by_others(store, layout, work):
        raise TransientStorageError(
            f"{fault} Perhaps another run lands or publishes it just now: its notes are below "
            f"{store.uri}/{layout.landing_prefix}."
        ) from None


async def is_landed_by_others(store: Store, layout: DatasetLayout, work: str) -> bool:
    """Whether there are notes of another run that lands the dataset. Its claim for publishing is none.

    A run that has landed files has other notes, too. One that only looked at a published dataset, and failed, has none.

    :param work: folder of the notes of this landing.
    """
    run = f"{work.rpartition('/')[0]}/"
    async for batch in store.list(layout.landing_prefix):
        notes = [info.path for info in batch if not info.marks_folder and not is_claim(info.path, "publish")]
        if not all(path.startswith(run) for path in notes):
            return True
    return False


async def published_instead(store: Store, layout: DatasetLayout, ours: Manifest, written: Landed) -> Manifest | None:
    """What is published where the manifest that this run has just written was not found, or what belongs to it.

    :param ours: that manifest.
    :param written: its object.
    :returns: the manifest of another run, or of an earlier attempt, with the same files. Or `ours`, if the store has
        shown it late. None = there is no such dataset. If the manifest is `ours`, it is removed then.
    """
    try:
        found = await read_manifest(store, layout)
    except IncompleteDatasetError:
        await withdraw(store, layout)  # the manifest cannot be read, because the store has kept only a part of it
        return None
    is_kept = found != ours or await digest_of(store, written.path) == written.sha256
    if is_kept and found and found.files_sha256 == ours.files_sha256 and await is_whole(store, layout, found):
        return found
    if found == ours:
        await withdraw(store, layout)
    return None
