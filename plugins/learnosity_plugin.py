"""Airflow finds the plugin here when `plugins/` is its plugins folder."""

from learnosity.plugin import LearnosityPlugin

__all__ = ["LearnosityPlugin"]
