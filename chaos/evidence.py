"""What a run left behind, held against the truth of the simulator that it talked to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from obstore.store import ObjectStore

from chaos.plans import Plan
from devstack.errors import DevstackError, Unreachable
from devstack.landed import LandedDataset, paths, published
from devstack.simulator import control, made_files
from simulator import Simulator

# Each signed request or URL contains one of these texts. A log that contains one of them gives away a signature.
SIGNED = (b"Signature=", b"X-Amz-Signature", b"$02$")


class Outcome(msgspec.Struct, frozen=True):
    """A run and what was found out about it; empty lists are good news."""

    seed: int
    fault: str
    step: str
    moment: str
    state: str
    seconds: float
    tries: int
    jobs: int
    datasets: int
    lost: list[str]
    duplicated: list[str]
    incomplete: list[str]
    leaked: list[str]
    stuck: list[str]
    orphans: list[str]

    @property
    def problems(self) -> list[str]:
        """All that is wrong with it."""
        return [*self.lost, *self.duplicated, *self.incomplete, *self.leaked, *self.stuck, *self.orphans]


class Evidence:
    """Looks at one run's destination and simulator.

    :param store: the object store, at the run's own prefix.
    :param before: ids of datasets that the simulator knew before.
    """

    def __init__(self, plan: Plan, store: ObjectStore, simulator: Simulator, before: Iterable[str]) -> None:
        self.plan = plan
        self._store = store
        self._simulator = simulator
        self._before = set(before)
        self._checked: set[str] = set()
        self.incomplete: list[str] = []

    def datasets(self) -> dict[str, int]:
        """How many jobs were started, by dataset of this run."""
        return {each: count for each, count in jobs_by_dataset(self._simulator).items() if each not in self._before}

    def read_as_consumer(self) -> list[str]:
        """Read every dataset whose manifest is visible now: it must be whole now. Returns the dataset ids.

        :raises Unreachable: when the store cannot be asked; the next call reads again
        """
        found = []
        for folder in published(self._store):
            dataset_type, _, dataset_id = folder.partition("/")
            found.append(dataset_id)
            if dataset_id not in self._checked:
                self.incomplete += self._incomplete(dataset_type, dataset_id)
                self._checked.add(dataset_id)
        return found

    def duplicated(self) -> list[str]:
        """Datasets with two jobs, and jobs beyond the one that the run needs."""
        jobs = self.datasets()
        found = [f"dataset {each} has {count} jobs" for each, count in jobs.items() if count > 1]
        # After a lost reply, a run looks for its job in the job records. If these do not name their dataset, it cannot
        # know whether its job has started, and makes a new dataset with another job (as docs/reliability.md says). So a
        # second job is only wrong if job records name their dataset.
        if self.plan.named and sum(jobs.values()) > 1:
            found.append(f"{sum(jobs.values())} jobs were started")
        return found

    def orphans(self, succeeded: bool) -> list[str]:
        """Objects that nothing will ever remove."""
        if not succeeded:
            return []
        temporary = (path for path in paths(self._store) if "/_landing/" in path or "learnosity-probe" in path)
        return [f"{path} was left behind" for path in temporary]

    def _incomplete(self, dataset_type: str, dataset_id: str) -> list[str]:
        made = made_files(self._simulator.url, dataset_id)
        try:
            wrong = LandedDataset.of(self._store, dataset_type, dataset_id).problems(made)
        except Unreachable:
            raise
        except DevstackError as error:
            wrong = [str(error)]
        return [f"dataset {dataset_id}: {each}" for each in wrong]


def jobs_by_dataset(simulator: Simulator) -> dict[str, int]:
    """Jobs started by dataset, of datasets without a job too."""
    started = dict(simulator.stats.jobs_started)
    return {each: started.get(each, 0) for each in control(simulator.url, "datasets")}


def leaks(folder: Path, secrets: Sequence[str]) -> list[str]:
    """Files below `folder` that hold a secret or something signed, and which kind."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [leak for path in paths for leak in leaks_in(path.name, path.read_bytes(), secrets)]


def leaks_in(name: str, content: bytes, secrets: Sequence[str]) -> list[str]:
    """Which kinds of secrets and signed things `content` holds; `name` is what to call it."""
    needles = {f"secret {number}": secret.encode() for number, secret in enumerate(secrets, start=1)}
    needles |= {mark.decode(): mark for mark in SIGNED}
    return [f"{name} holds {kind}" for kind, needle in needles.items() if needle in content]
