"""Where things are and which environment the processes of the stack get.

A stack must behave the same on every machine: settings of another Airflow, credentials and proxies of the user who
starts it are kept away from it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
_FOREIGN = ("AIRFLOW", "_AIRFLOW", "AWS_", "WEED_", "S3_", "PYTHONPATH", "PYTHONHOME", "LEARNOSITY_")
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "ftp_proxy"})


def tool(name: str) -> Path:
    """A program of the virtual environment that this very Python runs in."""
    return Path(sys.executable).parent / name


def inherited_environment() -> dict[str, str]:
    """The caller's environment without what would make this stack differ from the next one."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.upper().startswith(_FOREIGN) and key.lower() not in _PROXIES
    }
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    kept["PYTHONUNBUFFERED"] = "1"
    kept["NO_PROXY"] = kept["no_proxy"] = "*"
    return kept
