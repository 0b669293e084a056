"""Everything one simulator holds while it runs: configuration, datasets, jobs, faults and counts.

It is used in one event loop. Only results are computed in another thread, from values that do not change.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .config import SimulatorConfig
from .errors import ApiError
from .faults import FaultBook
from .jobs import Job, Status
from .ratelimit import RateLimiter
from .records import InputError
from .results import ResultSet, build
from .stats import Stats
from .storage import UrlSigner
from .validation import DatasetSpec


class Stopped(Exception):
    """The simulator is stopping; the computation ends early."""


@dataclass(slots=True)
class Dataset:
    """A dataset from its initialisation on; `uploads` maps part number -> stored file.

    :param retrievals: how often its results were asked for since its job completed.
    """

    spec: DatasetSpec
    created: float
    uploads: dict[int, Path] = field(default_factory=dict)
    job: Job | None = None
    results: ResultSet | None = None
    retrievals: int = 0

    @property
    def missing_parts(self) -> list[int]:
        """The numbers of the input files that were not uploaded yet."""
        return [part for part in range(self.spec.file_count) if part not in self.uploads]


class State:
    """The state of one simulator, and what changes it.

    :param folder: an empty directory for uploads and rendered results.

    `ending` is set when the simulator stops: a request that is held up on purpose ends then.
    """

    def __init__(self, config: SimulatorConfig, folder: Path) -> None:
        self.config = config
        self.folder = folder
        self.base_url = ""
        self.datasets: dict[str, Dataset] = {}
        self.jobs: dict[str, Job] = {}
        self.faults = FaultBook(config.seed)
        self.stats = Stats()
        self.limiter = RateLimiter()
        self.signer = UrlSigner()
        self.ending = asyncio.Event()
        self._stopping = threading.Event()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="simulator-job")
        self._running: set[asyncio.Task[None]] = set()

    @property
    def now(self) -> float:
        """Unix seconds by the API's clock."""
        return time.time() + self.config.clock_offset_seconds

    def initialise(self, spec: DatasetSpec) -> Dataset:
        """Register a dataset.

        :raises ApiError: its id is taken (U5).
        """
        if spec.dataset_id in self.datasets:
            raise ApiError(self.config.duplicate_code, "dataset_id is already in use")
        dataset = self.datasets[spec.dataset_id] = Dataset(spec, self.now)
        return dataset

    def upload_target(self, part: int, dataset_id: str) -> Path:
        """A fresh file for the bytes of a part while they arrive."""
        return self.folder / f"{dataset_id}.{part}.{uuid.uuid4().hex}.part"

    def uploaded(self, dataset_id: str, part: int, path: Path) -> None:
        """Keep a complete upload; it replaces an earlier one, as on S3."""
        kept = self.folder / f"{dataset_id}.{part}.ndjson"
        path.replace(kept)
        self.datasets[dataset_id].uploads[part] = kept

    def commence(self, dataset: Dataset) -> Job:
        """Queue the job of a dataset, and run it in the background for `job_seconds`."""
        spec = dataset.spec
        job = Job(str(uuid.uuid4()), self.config.job_type, spec.organisation_id, self.now, spec.dataset_id)
        dataset.job = self.jobs[job.reference] = job
        self.stats.jobs_started[dataset.spec.dataset_id] += 1
        task = asyncio.get_running_loop().create_task(self._run(dataset, job))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return job

    async def close(self) -> None:
        """Stop all jobs and free what they hold."""
        self._stopping.set()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._executor.shutdown(cancel_futures=True)
        for dataset in self.datasets.values():
            if dataset.results is not None:
                dataset.results.close()

    async def _run(self, dataset: Dataset, job: Job) -> None:
        seconds = self.config.job_seconds
        halt_with: str | None = None
        for rule in self.faults.draw("job", dataset.spec.dataset_id):
            self.stats.faults[f"{rule.kind} job"] += 1
            if rule.kind == "job_vanish":
                del self.jobs[job.reference]
                return
            if rule.kind == "job_halt":
                halt_with = rule.message
            job.hangs = job.hangs or rule.kind == "job_hang"
        await asyncio.sleep(seconds / 4)
        job.status = Status.RUNNING
        if job.hangs:
            return
        finish_at = time.monotonic() + seconds * 3 / 4
        if halt_with is None:
            halt_with = await self._compute(dataset)
        await asyncio.sleep(max(0.0, finish_at - time.monotonic()))
        job.finish(self.now, halt_with)

    async def _compute(self, dataset: Dataset) -> str | None:
        """Build the results; returns the error that halts the job, if there is one."""
        if missing := dataset.missing_parts:
            return f"input files {missing} are missing"
        inputs = [dataset.uploads[part] for part in sorted(dataset.uploads)]
        if dataset.results is not None:
            dataset.results.close()
            dataset.results = None
        spool = self.folder / f"{dataset.spec.dataset_id}.{uuid.uuid4().hex}.results"
        try:
            dataset.results = await asyncio.get_running_loop().run_in_executor(
                self._executor, build, dataset.spec, self.config, inputs, spool, self._check
            )
        except InputError as error:
            return str(error)
        return None

    def _check(self) -> None:
        if self._stopping.is_set():
            raise Stopped


def truth(dataset: Dataset) -> dict[str, Any]:
    """Size and hash of every result file, for tests that compare what was landed with what was served."""
    if dataset.results is None:
        return {}
    return {file.name: {"bytes": file.size, "sha256": file.sha256} for file in dataset.results.files.values()}
