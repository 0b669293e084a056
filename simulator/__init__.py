"""A stand-in for the Learnosity Data API to develop and test against, with faults on demand.

It answers as the public documentation says that the real API does (docs/learnosity-api.md). Where that is not known, a
switch decides (`simulator.config`). The simulator is not part of what is deployed, and imports nothing of it.
"""

from __future__ import annotations

from .app import Simulator
from .config import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET, SimulatorConfig
from .faults import FaultRule
from .threaded import running

__all__ = [
    "DEMO_CONSUMER_KEY",
    "DEMO_CONSUMER_SECRET",
    "FaultRule",
    "Simulator",
    "SimulatorConfig",
    "running",
]
