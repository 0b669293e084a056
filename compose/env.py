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
from collections.abc import Iterator, Mapping
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parent.parent / ".env.example"
# The settings with which the stack calls the simulator (profile `demo`) and not Learnosity.
DEMO = {
    "COMPOSE_PROFILES": "s3,demo",
    "LEARNOSITY_CONSUMER_KEY": "<HEX8>",
    "LEARNOSITY_CONSUMER_SECRET": "<hex20>",
    "LEARNOSITY_URL": "http://simulator:8500",
    "LEARNOSITY_ALLOW_HTTP": "true",
}
# docker-compose.yaml does not start if one of these settings is missing.
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
_SETTING = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
# Two regular expressions for a value in single and in double quotes. A quote after a backslash does not end the value.
_SINGLE = re.compile(r"'(.*?)(?<!\\)'\s*(?:#.*)?")
_DOUBLE = re.compile(r'"(.*?)(?<!\\)"\s*(?:#.*)?')
_ESCAPED = re.compile(r'\\(["\\$])')
_DOLLAR = re.compile(r"\$(?:\$|\{(?P<braced>\w+)(?P<rest>:?[-+?][^}]*)?\}|(?P<name>[A-Za-z_]\w*))?")
# Characters that a password must not contain if it is a part of an address: a URL or the broker's configuration would
# need them escaped, and Celery reads the next address after a `;`.
_NOT_IN_ADDRESS = re.compile(r"[\s\"'\\;#%/?@\[\]]")
# Matches an address: scheme, host and optionally a port, such as `https://airflow.example.com:8443`.
_ADDRESS = re.compile(r"https?://([\w.-]+|\[[0-9a-f:.%]+\])(:\d+)?", re.IGNORECASE)
# Passwords that become a part of addresses. The settings beside each password replace these addresses: if `.env` has
# all of them, no address contains the password.
IN_ADDRESSES = {
    "POSTGRES_PASSWORD": ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",),
    "VALKEY_PASSWORD": ("AIRFLOW__CELERY__BROKER_URL", "AIRFLOW__CELERY__RESULT_BACKEND"),
}


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
    """The settings of an `.env` by name, as Compose reads them; of two equal names the last counts.

    A value in single quotes is taken as it stands, but for an escaped single quote. A remark behind a value is none of
    it. Variables in a value stay as they are: `unclear` says which values have some.
    """
    return {name: value for name, value, _ in _lines(text)}


def unclear(text: str) -> list[str]:
    """Settings of an `.env` with a `$` that Compose takes for a variable which is not there, one text each."""
    lines = list(_lines(text))
    known = {name for name, _, _ in lines} | set(os.environ)
    found = []
    for name, _, searched in lines:
        for match in _DOLLAR.finditer(searched):
            variable, rest = match["name"] or match["braced"], match["rest"] or ""
            if match[0] == "$$" or variable in known or rest.lstrip(":")[:1] in ("-", "+"):
                continue
            if rest:
                found.append(f"{name} needs the variable {variable}, which is not set")
            else:
                found.append(f"{name} has a $ that stands for a variable: put the value into single quotes")
            break
    return found


def _lines(text: str) -> Iterator[tuple[str, str, str]]:
    """Of each setting: name, value, and the text in which Compose looks for variables."""
    for line in text.splitlines():
        match = _SETTING.fullmatch(line)
        if not match:
            continue
        name, value = match.groups()
        if quoted := _SINGLE.fullmatch(value):
            yield name, quoted[1].replace("\\'", "'"), ""
        elif quoted := _DOUBLE.fullmatch(value):
            yield name, _ESCAPED.sub(r"\1", quoted[1]), _ESCAPED.sub(" ", quoted[1])
        else:
            bare = re.split(r"(?:^|\s)#", value, maxsplit=1)[0].rstrip()
            yield name, bare, bare


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
    for name, instead in IN_ADDRESSES.items():
        if not all(given.get(each) for each in instead) and _NOT_IN_ADDRESS.search(given.get(name, "")):
            found.append(f"{name} is a part of an address: no blanks and none of \" ' \\ ; # % / ? @ [ ] may be in it")
    path = given.get("AIRFLOW_PATH", "")
    if path and (not path.startswith("/") or path.endswith("/")):
        found.append("AIRFLOW_PATH begins with / and does not end with one, such as /airflow")
    address = given.get("AIRFLOW_ADDRESS", "")
    if address and not given.get("AIRFLOW__API__BASE_URL") and not _is_address(address, path):
        example = "such as https://airflow.example.com"
        found.append(f"AIRFLOW_ADDRESS is http:// or https:// with a host, {example}: what follows is AIRFLOW_PATH")
    return found


def _is_address(address: str, path: str) -> bool:
    """Whether the path can follow the address. With no path, a / at the end does no harm."""
    without = address if path else address.removesuffix("/")
    return bool(_ADDRESS.fullmatch(without))


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
    text = path.read_text()
    missing = problems(settings(text)) + unclear(text)
    if not missing:
        sys.stdout.write(f"{path} {done}. It is complete: docker compose up --build --detach\n")
        return 0
    sys.stderr.write(f"{path} {done}. Before docker compose up, correct in it:\n")
    sys.stderr.write("".join(f"  {each}\n" for each in missing))
    return 1 if there else 0


if __name__ == "__main__":
    sys.exit(main())
