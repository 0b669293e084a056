"""Every command that README and docs show in a block: whether `make docs-test` runs it, or why not and what does.

`tests/integration/test_docs_commands.py` runs them in a clone, beside what `make up` started there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("*/results.md")],
    key=lambda page: page.as_posix(),
)
FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:\A|(?<=\n\n))((?:    [^\n]*\S[^\n]*\n)+)")
_COMMAND = re.compile(r"(\w+=\S+ )*(\S*/)?(make|docker|airflow|python|git|kubectl|pip) ")

RUN: Final = "run"
"""Run by `make docs-test`."""

_DOCKER = "needs Docker: make compose-test runs it, make test-upgrade and make test-stranger what can be had without"
_DOCKER_UNTRIED: Final = "needs Docker: make compose-test removes the services so, which has not been run since"
COMMANDS: Final[dict[str, str]] = {
    "make demo": RUN,
    "make test": "is what runs all tests",
    "make compose-env": RUN,
    "make compose-env ARGS=--demo": RUN,
    "docker compose up --build --detach": _DOCKER,
    "docker compose up --detach": _DOCKER,
    "docker compose rm --stop --force --volumes": _DOCKER_UNTRIED,
    "git pull && docker compose build --pull": _DOCKER,
    "airflow backfill create --dag-id <your nightly DAG> --from-date 2025-08-01 --to-date 2026-08-01 "
    "--max-active-runs 4": RUN,
    "airflow db clean --clean-before-timestamp <90 days ago> --skip-archive --yes": RUN,
    "airflow state-store clean": RUN,
    "airflow roles add-perms Viewer User --action can_read --resource Plugins": "needs FAB: compose/init.sh has it, "
    "which tests/integration/test_compose_init.py runs",
    '.venv/bin/python -c "import json; from learnosity.schedules.files import SCHEMA; '
    'print(json.dumps(SCHEMA, indent=2, ensure_ascii=False))" > dags/datasets/dataset.schema.json': RUN,
}
# Fenced blocks are run whole: page and number of the block on it.
BLOCKS: Final[dict[str, str]] = {
    "README.md 1": RUN,
    "README.md 2": RUN,
    **{f"docs/privacy.md {number}": RUN for number in range(1, 7)},
}


def blocks() -> dict[str, str]:
    """The fenced blocks of shell, by page and number."""
    found: dict[str, str] = {}
    for page in PAGES:
        shell = [text for _, language, text in FENCED.findall(page.read_text()) if language in ("bash", "sh")]
        name = page.relative_to(REPOSITORY).as_posix()
        found |= {f"{name} {number}": text for number, text in enumerate(shell, 1)}
    return found


def commands() -> list[tuple[str, str]]:
    """Every command line of an indented block, with its page. Remarks are cut off."""
    found = []
    for page in PAGES:
        for block in _INDENTED.findall(FENCED.sub("", page.read_text())):
            for line in block.replace("\\\n", " ").splitlines():
                command = re.sub(r"(^|\s)#.*", "", line).strip()
                if _COMMAND.match(f"{command} "):
                    found.append((page.relative_to(REPOSITORY).as_posix(), command))
    return found
