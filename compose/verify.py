"""Check every byte of the dataset of a run: `python -m compose.verify RUN_ID`, in a container that reaches the store.

It prints the dataset's id, and how much was read. `make compose-test` mounts what it imports into the container.
"""

from __future__ import annotations

import sys

from compose.seed import landing_store
from devstack.errors import DevstackError
from devstack.landed import LandedDataset

PREFIX = "datasets"


def main() -> int:
    """1 when something is wrong; what it is goes to standard error."""
    try:
        dataset = LandedDataset.of_run(landing_store(PREFIX), sys.argv[1])
        problems = dataset.problems()
    except DevstackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if problems:
        sys.stderr.write("\n".join([*problems[:20], ""]))
        return 1
    sys.stdout.write(f"{dataset.manifest.dataset_id}\n")
    sys.stdout.write(f"{len(dataset.listed)} files, {dataset.manifest.total_bytes} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
