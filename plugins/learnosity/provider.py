"""Airflow's provider entry point: adds the connection type `learnosity` with its form and Test button."""

from __future__ import annotations

from typing import Any

from learnosity import __version__
from learnosity.api.defaults import DEFAULT_BASE_URL, DEFAULT_DOMAIN, DEFAULT_REPORTS_URL, DEFAULT_VERSION, REGION_NAMES


def get_provider_info() -> dict[str, Any]:
    """The description that Airflow reads through the entry point group `apache_airflow_provider`."""
    return {
        "package-name": "airflow-provider-learnosity",
        "name": "Learnosity",
        "description": "Learnosity datasets: generate, wait without a worker, land whole and verified.",
        "versions": [__version__],
        "connection-types": [
            {
                "connection-type": "learnosity",
                "hook-class-name": "learnosity.hooks.LearnosityHook",
                "hook-name": "Learnosity",
                "ui-field-behaviour": {
                    "hidden-fields": [],
                    "relabeling": {
                        "login": "Consumer key",
                        "password": "Consumer secret",
                        "host": "Data API host",
                        "port": "Port (443 for https)",
                    },
                    "placeholders": {
                        "host": DEFAULT_BASE_URL,
                        "login": "16 characters",
                        "schema": "https",
                        # If a saved connection without a port is tested, Airflow 3.3.2 sends port 0 to its own API, and
                        # the API refuses it. So the form advises a port.
                        "port": "443; without a port, Test answers Bad Request",
                    },
                },
                "conn-fields": {
                    "version": _field("API version", f"Pinned LTS version; empty = {DEFAULT_VERSION}."),
                    "domain": _field(
                        "Domain", f"A domain of the consumer's allow-list, without port; empty = {DEFAULT_DOMAIN}."
                    ),
                    "organisation_id": _field(
                        "Item bank (organisation id)",
                        "Whole number; empty = the consumer's primary item bank.",
                        "integer",
                    ),
                    "region": _field("Region", f"Used when the host is empty: {REGION_NAMES}."),
                    "reports_url": _field(
                        "Reports API", f"Where the browser loads reports from; empty = {DEFAULT_REPORTS_URL}."
                    ),
                    "results": _field(
                        "Place of the results",
                        'Only where results are not understood: JSON such as {"files": "data.files[]", "url": "url"}.',
                    ),
                    "input_check": _field(
                        "Check of the input",
                        "records, or json: a line has to be a JSON object and no more. Empty = records.",
                    ),
                    "allow_http": _field(
                        "Allow plain http", "Only for a test server that is not on this machine.", "boolean"
                    ),
                },
            }
        ],
    }


def _field(label: str, description: str, kind: str = "string") -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": [kind, "null"]}}
