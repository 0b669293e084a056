"""The plugin of the installed package: the entry point group `airflow.plugins` leads here.

It is None where Airflow has loaded `learnosity_plugin.py` from its plugins folder, which it does first. A second plugin
of one name is an import error in the UI, and in a task Airflow then ignores the plugins of all other packages.
"""

from __future__ import annotations

import sys

from learnosity.plugin import LearnosityPlugin

PLUGIN = None if hasattr(sys.modules.get("learnosity_plugin"), "LearnosityPlugin") else LearnosityPlugin
