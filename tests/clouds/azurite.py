"""Microsoft's own emulator of Azure's blobs: Azurite, with its data in memory."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from devstack.environment import REPOSITORY, inherited_environment
from devstack.ports import LOOPBACK, free_ports
from devstack.processes import ManagedProcess

ACCOUNT = "devstoreaccount1"
# The account key of every Azurite, as its documentation names it. So it is no secret.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
BLOB = REPOSITORY / ".clouds" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


class Azurite:
    """A running server. Its endpoint is also the `host` of a connection."""

    def __init__(self, root: Path) -> None:
        (port,) = free_ports(1)
        self.endpoint = f"http://{LOOPBACK}:{port}/{ACCOUNT}"
        command = ["node", str(BLOB), "--blobHost", LOOPBACK, "--blobPort", str(port), "--inMemoryPersistence"]
        command += ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        self.process = ManagedProcess.start(
            "Azurite", command, log=root / "azurite.log", env=inherited_environment(), cwd=root
        )

    def wait_until_ready(self) -> None:
        """Wait for the server and make the container `landing`."""
        self.process.wait_until_ready(self._made_container, timeout=60)

    def _made_container(self) -> bool:
        from azure.core.exceptions import AzureError

        try:
            self.client().create_container("landing")
        except AzureError:
            return False
        return True

    def client(self) -> Any:
        """Azure's own client."""
        from azure.storage.blob import BlobServiceClient

        return BlobServiceClient(self.endpoint, credential=KEY, retry_total=0)

    @property
    def connection(self) -> str:
        """An Airflow connection to it."""
        return json.dumps({"conn_type": "wasb", "host": self.endpoint, "login": ACCOUNT, "password": KEY})

    def stop(self) -> None:
        """End the server."""
        self.process.stop()


def node_is_missing() -> str:
    """Why Azurite cannot run; "" = it can."""
    if not BLOB.exists():
        return "Azurite is not installed: make test-clouds installs it"
    return "" if not subprocess.run(["node", "--version"], capture_output=True).returncode else "there is no Node.js"
