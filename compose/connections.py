"""The connections and Variables of docker-compose.yaml, made of `.env`: `python connections.py | python seeding.py`.

A pipe carries them, so that no secret is in a command line or a file. `init.sh` calls it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

PORTS = {"https": 443, "http": 80}


def wanted(env: Mapping[str, str]) -> dict[str, Any]:
    """What `seeding.py` has to write.

    :param env: the environment of the service `init`.
    :raises KeyError: a setting is missing.
    :raises ValueError: `LEARNOSITY_URL` or `LEARNOSITY_ALLOW_HTTP` cannot be read.
    """
    url = urlsplit(env["LEARNOSITY_URL"])
    if url.scheme not in PORTS or not url.hostname:
        raise ValueError("LEARNOSITY_URL must be an address such as https://data.learnosity.com")
    extra: dict[str, Any] = {"domain": env["LEARNOSITY_DOMAIN"]}
    if json.loads(env["LEARNOSITY_ALLOW_HTTP"]):
        extra["allow_http"] = True
    learnosity = {
        "conn_type": "learnosity",
        "schema": url.scheme,
        "host": url.hostname,
        # Airflow 3.3.2 can only test a saved connection that has a port.
        "port": url.port or PORTS[url.scheme],
        "login": env["LEARNOSITY_CONSUMER_KEY"],
        "password": env["LEARNOSITY_CONSUMER_SECRET"],
        "extra": extra,
    }
    store = {"endpoint_url": env["S3_ENDPOINT"], "region_name": env["S3_REGION"]}

    def aws(name: str) -> dict[str, Any]:
        keys = {"login": env[f"S3_{name}_ACCESS_KEY"], "password": env[f"S3_{name}_SECRET_KEY"]}
        return {"conn_type": "aws", **keys, "extra": store}

    return {
        "connections": {
            "learnosity_default": learnosity,
            "aws_landing": aws("LANDING"),
            "aws_airflow": aws("AIRFLOW"),
        },
        "variables": {"learnosity_destination_uri": f"s3://aws_landing@{env['S3_LANDING_BUCKET']}/datasets"},
    }


if __name__ == "__main__":
    json.dump(wanted(os.environ), sys.stdout)
