"""A secrets backend of a deployment. It has nothing, and fails for the names in a file: an outage on demand."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


class FailingVault:
    """The backend, in every process of Airflow. Airflow loads it while it starts, so it imports nothing of Airflow.

    :param outage: file with the names whose look-ups fail.
    """

    def __init__(self, outage: str) -> None:
        self.outage = Path(outage)

    def _set_connection_class(self, kind: type) -> None:
        self.connection_class = kind

    def get_connection(self, conn_id: str, team_name: str | None = None) -> None:
        """No connection; an error during an outage."""
        self._fail(conn_id)

    def get_variable(self, key: str, team_name: str | None = None) -> None:
        """No Variable; an error during an outage."""
        self._fail(key)

    def get_config(self, key: str) -> None:
        """No setting."""

    def _fail(self, name: str) -> None:
        if self.outage.exists() and name in self.outage.read_text().split():
            raise ConnectionError(f"the vault does not answer for {name}")


@dataclass(frozen=True)
class Outage:
    """Begins and ends outages."""

    file: Path

    @property
    def airflow_env(self) -> dict[str, str]:
        """The settings that make Airflow use the backend."""
        return {
            "AIRFLOW__SECRETS__BACKEND": "failing_vault.FailingVault",
            # learnosity_sdk installs a package `tests`, which hides the folder `tests` here. So this module is imported
            # from its own folder, under its own name. No other module is in this folder: `statsd.py` of
            # `tests/integration`, for example, would hide the package `statsd`.
            "PYTHONPATH": os.pathsep.join(map(str, (REPOSITORY / "plugins", REPOSITORY, Path(__file__).parent))),
            "AIRFLOW__SECRETS__BACKEND_KWARGS": f'{{"outage": "{self.file}"}}',
        }

    def of(self, *names: str) -> None:
        """From now on, look-ups of these names fail, and no others."""
        self.file.write_text("\n".join(names))
