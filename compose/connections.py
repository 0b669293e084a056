"""The connections and Variables of docker-compose.yaml, made of `.env`. `init.sh` gives them to `seeding.py`.

They go through a pipe, so that no secret is in a command line or a file.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

PORTS = {"https": 443, "http": 80}
DEFAULT_HOST = "data.learnosity.com"
DEFAULT_URL = f"https://{DEFAULT_HOST}"


def wanted(env: Mapping[str, str]) -> dict[str, Any]:
    """What `seeding.py` has to write.

    :param env: the environment of the service `init`.
    :raises ValueError: a setting is missing or cannot be read. The message lists all of them, without a value.
    """
    problems: list[str] = []
    fields = {
        "learnosity_default": learnosity_connection(env, problems),
        "aws_landing": _aws(env, "LANDING", problems),
        "aws_airflow": _aws(env, "AIRFLOW", problems),
    }
    bucket = env.get("S3_LANDING_BUCKET") or "learnosity"
    if problems:
        raise ValueError(f"Correct these in .env: {'; '.join(problems)}.")
    return {
        "connections": fields,
        "variables": {"learnosity_destination_uri": f"s3://aws_landing@{bucket}/datasets"},
    }


def learnosity_connection(env: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    """The connection to Learnosity.

    :param problems: what is missing or cannot be read is added.
    """
    try:
        url = urlsplit(env.get("LEARNOSITY_URL") or "")
        port = url.port
    except ValueError:
        problems.append("LEARNOSITY_URL has no such host or port")
        url, port = urlsplit(DEFAULT_URL), None
    if url.scheme not in PORTS or not url.hostname or url.path.strip("/") or url.query:
        problems.append("LEARNOSITY_URL must be an address without a path, such as https://data.learnosity.com")
    missing = [name for name in ("LEARNOSITY_CONSUMER_KEY", "LEARNOSITY_CONSUMER_SECRET") if not env.get(name)]
    problems += [f"{name} is missing" for name in missing]
    extra, host = _extra(env, problems), url.hostname
    if extra.get("region") and (url.scheme, host, port or PORTS["https"]) == ("https", DEFAULT_HOST, PORTS["https"]):
        # The connection looks at `region` only if its host is empty. But LEARNOSITY_URL is never empty here: it has a
        # default. So if a region is given, a LEARNOSITY_URL with this default counts as empty.
        host = None
    return {
        "conn_type": "learnosity",
        "schema": url.scheme,
        "host": host,
        # Airflow 3.3.2 can test a saved connection only if it has a port. So the usual port of the scheme is filled in.
        "port": port or PORTS.get(url.scheme),
        "login": env.get("LEARNOSITY_CONSUMER_KEY"),
        "password": env.get("LEARNOSITY_CONSUMER_SECRET"),
        "extra": extra,
    }


def _extra(env: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    extra: dict[str, Any] = {"domain": env.get("LEARNOSITY_DOMAIN") or "localhost"}
    for name in ("version", "reports_url"):
        if text := env.get(f"LEARNOSITY_{name.upper()}"):
            extra[name] = text
    if text := env.get("LEARNOSITY_ORGANISATION_ID"):
        if text.isdecimal():
            extra["organisation_id"] = int(text)
        else:
            problems.append("LEARNOSITY_ORGANISATION_ID must be a number")
    allowed = (env.get("LEARNOSITY_ALLOW_HTTP") or "false").lower()
    if allowed not in ("true", "false"):
        problems.append("LEARNOSITY_ALLOW_HTTP must be true or false")
    elif allowed == "true":
        extra["allow_http"] = True
    try:
        more = json.loads(env.get("LEARNOSITY_EXTRA") or "{}")
    except ValueError:
        more = None
    if isinstance(more, dict):
        return extra | more
    problems.append("LEARNOSITY_EXTRA must be a JSON object")
    return extra


def _aws(env: Mapping[str, str], name: str, problems: list[str]) -> dict[str, Any]:
    """A connection with keys, or with none: boto3 then finds the identity of the machine, such as a role."""
    key, secret = env.get(f"S3_{name}_ACCESS_KEY"), env.get(f"S3_{name}_SECRET_KEY")
    if bool(key) != bool(secret):
        problems.append(f"S3_{name}_ACCESS_KEY and S3_{name}_SECRET_KEY are set together, or both are empty for a role")
    extra = {
        "endpoint_url": env.get("S3_ENDPOINT"),
        "region_name": env.get("S3_REGION"),
        "role_arn": env.get(f"S3_{name}_ROLE_ARN"),
    }
    keys = {"login": key, "password": secret} if key else {}
    return {"conn_type": "aws", **keys, "extra": {each: value for each, value in extra.items() if value}}


def main() -> int:
    """Write what is wanted to standard output; 1 when a setting cannot be used."""
    try:
        text = json.dumps(wanted(os.environ))
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
