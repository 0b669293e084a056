"""Write `.env` for docker-compose.yaml: `.env.example` with a random value for each `<...>`.

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
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parent.parent / ".env.example"
# What connects to the simulator of the profile `demo` instead of Learnosity.
DEMO = {
    "LEARNOSITY_CONSUMER_KEY": "<HEX8>",
    "LEARNOSITY_CONSUMER_SECRET": "<hex20>",
    "LEARNOSITY_URL": "http://simulator:8500",
    "LEARNOSITY_ALLOW_HTTP": "true",
}
_PLACEHOLDER = re.compile(r"<(fernet|hex|HEX)(\d*)>")


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


def _generate(placeholder: re.Match[str]) -> str:
    kind, size = placeholder.groups()
    if kind == "fernet":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    text = secrets.token_hex(int(size))
    return text.upper() if kind == "HEX" else text


def write(path: Path, *, demo: bool = False) -> None:
    """Write the file, readable by its owner alone.

    :raises FileExistsError: when it is there already
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(render(TEMPLATE.read_text(), demo=demo))


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 when the file was written."""
    parser = argparse.ArgumentParser(prog="python -m compose.env", description="Write .env with generated keys.")
    parser.add_argument("--demo", action="store_true", help="connect to the simulator of the profile demo")
    parser.add_argument("--output", type=Path, default=TEMPLATE.with_name(".env"), help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        write(options.output, demo=options.demo)
    except FileExistsError:
        sys.stderr.write(f"{options.output} exists; it is left as it is. Move it away to make a new one.\n")
        return 1
    sys.stdout.write(f"{options.output} is written.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
