"""Write `.env` for docker-compose.yaml: `.env.example` with a random value for each `<...>`; then say what is missing.

It needs nothing but Python, so that it runs before anything is installed. It never overwrites a file: the keys in it
are what the data of a running deployment is encrypted and reached with.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from compose.connections import DEFAULT_URL, learnosity_connection
from compose.variables import interpolate

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
_SETTING = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*", re.DOTALL)
# Two regular expressions for a value in single and in double quotes. A quote after a backslash does not end the value.
_SINGLE = re.compile(r"'(.*?)(?<!\\)'\s*(?:#.*)?", re.DOTALL)
_DOUBLE = re.compile(r'"(.*?)(?<!\\)"\s*(?:#.*)?', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\$])')
# Matches a setting whose value begins with a quote that this line does not close: the value goes on in the next line.
_OPEN = re.compile(r"\s*(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=\s*(?:'(?:[^']|(?<=\\)')*|\"(?:[^\"]|(?<=\\)\")*)")
# A password that becomes a part of a URL, such as that of the database, must not contain these characters. Each has a
# meaning of its own in the URL or in Valkey's configuration. Example: after a `;`, Celery reads a second URL.
_NOT_IN_ADDRESS = re.compile(r"[\s\"'\\;#%/?@\[\]]")
# Matches an address: scheme, host and optionally a port, such as `https://airflow.example.com:8443`.
_ADDRESS = re.compile(r"https?://([\w.-]+|\[[0-9a-f:.%]+\])(:\d+)?", re.IGNORECASE)
# Passwords that become a part of addresses. The settings beside each password replace these addresses: if `.env` has
# all of them, no address contains the password.
IN_ADDRESSES = {
    "POSTGRES_PASSWORD": ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",),
    "VALKEY_PASSWORD": ("AIRFLOW__CELERY__BROKER_URL", "AIRFLOW__CELERY__RESULT_BACKEND"),
}
# Valkey also reads its password from its configuration, where these characters would end or change it. So they are
# forbidden even if `.env` replaces all addresses that contain the password.
_NOT_IN_CONFIGURATION = re.compile(r"[\s\"']")
# Settings of a proxy for plain http. The parts of the stack speak plain http with each other, so their requests would
# go to this proxy, too, if NO_PROXY did not name their hosts.
HTTP_PROXIES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


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
    it. In all other values, a variable stands for one of this process or of a line before. One that is not there stays
    as it is: `unclear` says which values have some.
    """
    return {name: value for name, value, _ in _lines(text)}


def unclear(text: str) -> list[str]:
    """Settings of an `.env` that Compose does not read as they are written, one text each."""
    return [problem for _, _, problem in _lines(text) if problem]


def _lines(text: str) -> Iterator[tuple[str, str, str]]:
    """Of each setting: name, value, and what Compose would read otherwise; "" = nothing."""
    known: dict[str, str] = {}
    for line in _statements(text):
        match = _SETTING.fullmatch(line)
        if not match:
            continue
        name, value = match.groups()
        odd: list[str] = []
        if quoted := _SINGLE.fullmatch(value):
            value = quoted[1].replace("\\'", "'")
        elif quoted := _DOUBLE.fullmatch(value):
            parts = _ESCAPED.split(quoted[1])  # text, escaped character, text, …
            texts = [_with_variables(part, known, odd) for part in parts[::2]]
            value = "".join(each for pair in zip(texts, [*parts[1::2], ""], strict=True) for each in pair)
        elif value[:1] in ("'", '"'):
            odd.append("has a quote that is not closed, or text behind it")
        else:
            bare = re.split(r"(?:^|\s)#", value, maxsplit=1)[0].rstrip()
            value = _with_variables(bare, known, odd)
        known[name] = value
        yield name, value, f"{name} {odd[0]}" if odd else ""


def _statements(text: str) -> Iterator[str]:
    """The lines; a value in quotes may have several."""
    lines = text.splitlines()
    while lines:
        line = lines.pop(0)
        more = line
        for count, each in enumerate(lines if _OPEN.fullmatch(line) else [], 1):
            more = f"{more}\n{each}"
            if not _OPEN.fullmatch(more):
                line, lines = more, lines[count:]
                break
        yield line


def _with_variables(text: str, known: Mapping[str, str], problems: list[str]) -> str:
    """The text with its variables.

    :param problems: what is wrong with a variable that is not there is added.
    """

    def absent(written: str, name: str, message: str | None) -> str:
        if message is None:
            problems.append("has a $ that stands for a variable: put the value into single quotes")
        else:
            problems.append(f"needs the variable {name}, which is not set")
        return written

    return interpolate(text, {**known, **os.environ}, absent)


def problems(given: Mapping[str, str]) -> list[str]:
    """What keeps docker-compose.yaml from starting with these settings, one text each."""
    found = [f"{name} is missing" for name in REQUIRED if not given.get(name)]
    if copied := [name for name, value in given.items() if _PLACEHOLDER.fullmatch(value)]:
        how = 'make compose-env ARGS="--output other.env" writes a file that has values for them'
        found.append(f"{', '.join(copied)}: still as in .env.example; {how}")
    profiles = {each.strip() for each in given.get("COMPOSE_PROFILES", "").split(",")}
    has_store = bool({"s3", "*"} & profiles)
    bundled = given.get("S3_ENDPOINT", BUNDLED_STORE).rstrip("/") == BUNDLED_STORE
    if bundled and not has_store:
        found.append("S3_ENDPOINT is that of the profile s3, which COMPOSE_PROFILES does not name")
    if not bundled and has_store:
        found.append("COMPOSE_PROFILES names s3, but S3_ENDPOINT is another store: take s3 out")
    if (endpoint := given.get("S3_ENDPOINT")) and not re.match("https?://.", endpoint, re.IGNORECASE):
        found.append("S3_ENDPOINT is http:// or https:// with a host, or empty for AWS")
    for name in STORE_KEYS if bundled else STORE_KEYS[1:]:
        key, secret = (bool(given.get(f"{name}_{each}_KEY")) for each in ("ACCESS", "SECRET"))
        if key != secret:
            found.append(f"of {name}_ACCESS_KEY and {name}_SECRET_KEY one is missing")
        elif bundled and not key:
            found.append(f"{name}_ACCESS_KEY and {name}_SECRET_KEY are missing, which the profile s3 needs")
    for name, instead in IN_ADDRESSES.items():
        if not all(given.get(each) for each in instead) and _NOT_IN_ADDRESS.search(given.get(name, "")):
            found.append(f"{name} is a part of an address: no blanks and none of \" ' \\ ; # % / ? @ [ ] may be in it")
        elif name == "VALKEY_PASSWORD" and _NOT_IN_CONFIGURATION.search(given.get(name, "")):
            found.append(f"{name} stands in the configuration of valkey: no blanks and no quotes may be in it")
    keys = given.get("AIRFLOW__CORE__FERNET_KEY") or given.get("AIRFLOW_FERNET_KEY", "")
    if keys and not _PLACEHOLDER.fullmatch(keys) and not all(map(_is_fernet_key, keys.split(","))):
        found.append("AIRFLOW_FERNET_KEY is no key of Fernet, or several with commas: make compose-env makes them")
    if not re.fullmatch(r"-?\d+", given.get("LEARNOSITY_API_SLOTS") or "8"):
        found.append("LEARNOSITY_API_SLOTS must be a number")
    learnosity_connection({**given, "LEARNOSITY_URL": given.get("LEARNOSITY_URL") or DEFAULT_URL}, found)
    return list(dict.fromkeys([*found, *_wrong_places(given, bundled=bundled)]))


def _wrong_places(given: Mapping[str, str], *, bundled: bool) -> Iterator[str]:
    """What is wrong about the address of Airflow, and about proxies."""
    path = given.get("AIRFLOW_PATH", "")
    if path and (not path.startswith("/") or path.endswith("/")):
        yield "AIRFLOW_PATH begins with / and does not end with one, such as /airflow"
    if base := given.get("AIRFLOW__API__BASE_URL"):
        if base.partition("://")[2].partition("/")[2].rstrip("/") != path.strip("/"):
            yield "AIRFLOW_PATH must be the path of AIRFLOW__API__BASE_URL: workers and health checks go by it"
    elif (address := given.get("AIRFLOW_ADDRESS", "")) and not _is_address(address, path):
        example = "such as https://airflow.example.com"
        yield f"AIRFLOW_ADDRESS is http:// or https:// with a host, {example}: what follows is AIRFLOW_PATH"
    # If `.env` does not set NO_PROXY, docker-compose.yaml sets it to all hosts of the stack. So nothing is wrong then.
    exceptions = (given.get("no_proxy") or given.get("NO_PROXY") or "*").split(",")
    hosts = {each.strip().partition(":")[0] for each in exceptions}
    needed = ["api-server", "s3"] if bundled else ["api-server"]
    if any(given.get(each) for each in HTTP_PROXIES) and not hosts & {"*"} and not hosts.issuperset(needed):
        proxies = "HTTP_PROXY and ALL_PROXY count for what the stack asks of itself, too"
        yield f"NO_PROXY must also name {' and '.join(needed)}: {proxies}"


def _is_fernet_key(text: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(text)) == 32
    except (binascii.Error, ValueError):
        return False


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
    text = path.read_text(encoding="utf-8-sig")  # ignores the byte order mark of some editors, as Compose does
    missing = problems(settings(text)) + unclear(text)
    if not missing:
        sys.stdout.write(f"{path} {done}. It is complete: docker compose up --build --detach\n")
        return 0
    sys.stderr.write(f"{path} {done}. Before docker compose up, correct in it:\n")
    sys.stderr.write("".join(f"  {each}\n" for each in missing))
    return 1 if there else 0


if __name__ == "__main__":
    sys.exit(main())
