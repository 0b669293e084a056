"""Write `.env` for docker-compose.yaml: `.env.example` with a random value for each `<...>`; then say what is missing.

It needs nothing but Python, so that it runs before anything is installed. It never overwrites a file: the keys in it
are what the data of a running deployment is encrypted and reached with.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parent.parent / ".env.example"
# What connects to the simulator of the profile `demo` instead of Learnosity.
DEMO = {
    "COMPOSE_PROFILES": "s3,demo",
    "LEARNOSITY_CONSUMER_KEY": "<HEX8>",
    "LEARNOSITY_CONSUMER_SECRET": "<hex20>",
    "LEARNOSITY_URL": "http://simulator:8500",
    "LEARNOSITY_ALLOW_HTTP": "true",
}
# The settings without which docker-compose.yaml does not start.
REQUIRED = (
    "LEARNOSITY_CONSUMER_KEY",
    "LEARNOSITY_CONSUMER_SECRET",
    "AIRFLOW_ADMIN_PASSWORD",
    "AIRFLOW_FERNET_KEY",
    "AIRFLOW_JWT_SECRET",
    "AIRFLOW_API_SECRET_KEY",
    "POSTGRES_PASSWORD",
    "VALKEY_PASSWORD",
)
STORE_KEYS = ("S3_ADMIN", "S3_LANDING", "S3_AIRFLOW")
BUNDLED_STORE = "http://s3:8333"
_PLACEHOLDER = re.compile(r"<(fernet|hex|HEX)(\d*)>")
_SETTING = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")


def render(template: str, *, demo: bool = False) -> str:
    """The template with every placeholder replaced: `<hexN>` and `<HEXN>` by N random bytes, `<fernet>` by a key.

    :param demo: whether to connect to the simulator
    """
    lines = []
    for line in template.splitlines():
        name, separator, _ = line.partition("=")
        if demo and separator and name in DEMO:
            line = f"{name}={DEMO[name]}"
        lines.append(line if line.startswith("#") else _PLACEHOLDER.sub(_generate, line))
    return "\n".join([*lines, ""])


def new_fernet_key() -> str:
    """A key as Airflow takes it."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _generate(placeholder: re.Match[str]) -> str:
    kind, size = placeholder.groups()
    if kind == "fernet":
        return new_fernet_key()
    text = secrets.token_hex(int(size))
    return text.upper() if kind == "HEX" else text


def settings(text: str) -> dict[str, str]:
    """The settings of an `.env` by name. Quotes around a value are taken away; it is only checked, not used."""
    found = (_SETTING.match(line) for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {match[1]: match[2].strip("'\"") for match in found if match}


def problems(given: Mapping[str, str]) -> list[str]:
    """What keeps docker-compose.yaml from starting with these settings, one text each."""
    found = [f"{name} is missing" for name in REQUIRED if not given.get(name)]
    profiles = {each.strip() for each in given.get("COMPOSE_PROFILES", "").split(",")}
    bundled = given.get("S3_ENDPOINT", BUNDLED_STORE) == BUNDLED_STORE
    if bundled and "s3" not in profiles:
        found.append("S3_ENDPOINT is that of the profile s3, which COMPOSE_PROFILES does not name")
    if not bundled and "s3" in profiles:
        found.append("COMPOSE_PROFILES names s3, but S3_ENDPOINT is another store: take s3 out")
    for name in STORE_KEYS if bundled else STORE_KEYS[1:]:
        key, secret = (bool(given.get(f"{name}_{each}_KEY")) for each in ("ACCESS", "SECRET"))
        if key != secret:
            found.append(f"of {name}_ACCESS_KEY and {name}_SECRET_KEY one is missing")
        elif bundled and not key:
            found.append(f"{name}_ACCESS_KEY and {name}_SECRET_KEY are missing, which the profile s3 needs")
    path = given.get("AIRFLOW_PATH", "")
    if path and (not path.startswith("/") or path.endswith("/")):
        found.append("AIRFLOW_PATH begins with / and does not end with one, such as /airflow")
    return found


def write(path: Path, *, demo: bool = False) -> None:
    """Write the file, readable by its owner alone.

    :raises FileExistsError: when it is there already
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(render(TEMPLATE.read_text(), demo=demo))


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 when the file was written, or is complete."""
    parser = argparse.ArgumentParser(prog="python -m compose.env", description="Write .env with generated keys.")
    parser.add_argument("--demo", action="store_true", help="connect to the simulator of the profile demo")
    parser.add_argument("--output", type=Path, default=TEMPLATE.with_name(".env"), help="default: %(default)s")
    options = parser.parse_args(arguments)
    path: Path = options.output
    try:
        write(path, demo=options.demo)
        there = False
    except FileExistsError:
        there = True
    done = "is there, and was not changed" if there else "is written"
    missing = problems(settings(path.read_text()))
    if not missing:
        sys.stdout.write(f"{path} {done}. It is complete: docker compose up --build --detach\n")
        return 0
    sys.stderr.write(f"{path} {done}. Before docker compose up, correct in it:\n")
    sys.stderr.write("".join(f"  {each}\n" for each in missing))
    return 1 if there else 0


if __name__ == "__main__":
    sys.exit(main())
