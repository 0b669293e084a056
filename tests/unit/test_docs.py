"""README and docs: links lead somewhere, commands and names exist, code can be read, tables are those of the code."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from airflow.configuration import conf

from devstack.tables import as_markdown, tables, written
from learnosity.run_config import FIELDS
from tests.docs_commands import BLOCKS, COMMANDS, FENCED, PAGES
from tests.docs_commands import blocks as shell_blocks
from tests.docs_commands import commands as indented_commands

REPOSITORY = Path(__file__).resolve().parents[2]
TEXTS = {page.relative_to(REPOSITORY).as_posix(): page.read_text() for page in PAGES}
# Paths that the pages name, and that are not in this repository: in the folder of an Airflow, in Learnosity's SDK, or
# written by a command.
NOT_OURS = ("dist/", "config/", "datasets/", "dags/datasets/", "request/", "benchmarks/latest.json")
LINK = re.compile(r"\]\(([^)\s]+)\)")
MAKEFILE = (REPOSITORY / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
SETTINGS = "\n".join(
    (REPOSITORY / name).read_text()
    for name in (
        "docker-compose.yaml",
        ".env.example",
        "Makefile",
        "Dockerfile",
        "compose/seed.py",
        "deploy/values.yaml",
    )
)


def blocks(text: str, *languages: str) -> list[str]:
    """The fenced blocks of a page in these languages."""
    return [content for _, language, content in FENCED.findall(text) if language in languages]


def commands() -> list[tuple[str, str]]:
    """Every command line that a page shows in a block, with its page. Continued lines are joined."""
    found = list(indented_commands())
    for name, text in TEXTS.items():
        for block in blocks(text, "bash", "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                command = re.sub(r"(^|\s)#.*", "", line).strip()
                if re.match(r"(\w+=\S+ )*(\S*/)?(make|docker|airflow|python|git|kubectl|pip) ", command):
                    found.append((name, command))
    return found


def test_every_command_is_run_or_it_is_said_why_not() -> None:
    assert {command for _, command in indented_commands()} == set(COMMANDS)
    assert set(shell_blocks()) == set(BLOCKS)
    named = {
        each
        for how in [*COMMANDS.values(), *BLOCKS.values()]
        for each in re.findall(r"tests/\S+\.py|make [a-z-]+", how)
    }
    missing = [each for each in named if each.startswith("make ") and each.removeprefix("make ") not in TARGETS]
    assert missing + [each for each in named if each.startswith("tests/") and not (REPOSITORY / each).exists()] == []


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    text = re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """All anchors of a page; a heading that stands twice has a number behind the second."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE):
        base = slug(heading)
        name, number = base, 0
        while name in found:
            number += 1
            name = f"{base}-{number}"
        found.add(name)
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_leads_to_a_file_and_a_heading(name: str) -> None:
    page = REPOSITORY / name
    broken = []
    for link in LINK.findall(FENCED.sub("", TEXTS[name])):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("name", TEXTS)
def test_every_make_target_exists(name: str) -> None:
    # In a block and in the text: `make demo`, `make lock` and so on.
    named = set(re.findall(r"`make ([a-z][a-z-]*)", TEXTS[name]))
    named |= {match for page, line in commands() if page == name for match in re.findall(r"^make ([a-z-]+)", line)}
    assert sorted(named - TARGETS) == []


def test_there_are_commands_to_check() -> None:
    assert len(commands()) > 10


@pytest.mark.parametrize("name", TEXTS)
def test_every_block_can_be_read_in_its_language(name: str) -> None:
    text = TEXTS[name]
    for content in blocks(text, "bash", "sh"):
        done = subprocess.run(["bash", "-n"], input=content, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    for content in blocks(text, "python"):
        tree = ast.parse(content)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("learnosity"):
                module = __import__(node.module or "", fromlist=["*"])
                assert [each.name for each in node.names if not hasattr(module, each.name)] == []
    for content in blocks(text, "yaml"):
        yaml.safe_load(content)
    for content in blocks(text, "json"):
        for part in re.split(r"\n(?=\{)", content.strip()):
            assert isinstance(json.loads(part.replace("…", "")), dict)


@pytest.mark.parametrize("name", TEXTS)
def test_every_module_that_is_run_exists(name: str) -> None:
    named = set(re.findall(r"python3? -m ([a-z_]+(?:\.[a-z_]+)*)", TEXTS[name]))
    assert [module for module in named if find_spec(module) is None] == []


AIRFLOW_COMMANDS = "db|pools|roles|backfill|state-store|celery|rotate|users|dags"
PARSE = """
import json, sys
from airflow.cli import cli_parser
parser = cli_parser.get_parser()
failed = []
for line in json.load(sys.stdin):
    try:
        parser.parse_args(line)
    except SystemExit as error:
        if error.code:
            failed.append(line)
print(json.dumps(failed))
"""


def test_every_airflow_command_is_one_that_airflow_takes(tmp_path: Path) -> None:
    # Also those inside of `docker compose exec` and `kubectl exec`, and those in the text.
    inline = [
        (name, each) for name, text in TEXTS.items() for each in re.findall(r"`([^`\n]*\bairflow [a-z][^`\n]*)`", text)
    ]
    lines = []
    for name, command in [*commands(), *inline]:
        match = re.search(rf"(?:^|/|exec (?:\S+ )*?|-- )airflow ((?:{AIRFLOW_COMMANDS}) ?.*)", command)
        if match and name != "CHANGELOG.md":
            text = re.sub(r"<[^>]+>", "2026-01-01", match[1]).replace("…", "")
            words = shlex.split(text)
            if len(words) > 2 or words[0] == "state-store":  # in the text, a command may be named without its arguments
                lines.append(words)
    assert len(lines) >= 5
    env = os.environ | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
    }
    done = subprocess.run(
        [sys.executable, "-c", PARSE], input=json.dumps(lines), env=env, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.strip().splitlines()[-1]) == [], done.stderr[-2000:]


def airflow_options() -> set[str]:
    """All settings of Airflow and its providers, as the names of environment variables."""
    return {
        f"AIRFLOW__{section.upper()}__{option.upper()}"
        for section, described in conf.configuration_description.items()
        for option in described["options"]
    }


def test_every_setting_of_airflow_that_is_named_is_one() -> None:
    named = {
        each for text in [*TEXTS.values(), SETTINGS] for each in re.findall(r"AIRFLOW__[A-Z_]+__[A-Z_]*[A-Z]", text)
    }
    # Described by their providers, which are not loaded here; and the pattern itself.
    provided = re.compile(r"AIRFLOW__(CELERY|COMMON_IO|FAB|OPENLINEAGE)__|AIRFLOW__SECTION__KEY")
    assert len(named) > 20
    assert sorted(each for each in named - airflow_options() if not provided.match(each)) == []


@pytest.mark.parametrize("name", TEXTS)
def test_every_variable_of_env_that_is_named_is_read_by_something(name: str) -> None:
    named = set(re.findall(r"`((?:LEARNOSITY|S3|AIRFLOW|POSTGRES|VALKEY|COMPOSE)_[A-Z0-9_]*[A-Z0-9])\b", TEXTS[name]))
    own = {"LEARNOSITY_RETRIES"}  # a name in Python
    known = {
        each
        for each in named
        if re.search(rf"\b{each}\b", SETTINGS)
        or each.startswith(("AIRFLOW__", "AIRFLOW_CONN", "AIRFLOW_VAR", "AIRFLOW_HOME"))
    }
    assert sorted(named - known - own) == []


@pytest.mark.parametrize("name", TEXTS)
def test_every_file_of_the_repository_that_is_named_exists(name: str) -> None:
    roots = (REPOSITORY, REPOSITORY / "plugins" / "learnosity", REPOSITORY / "tests")
    pattern = r"`((?:[a-z_]+/)+[A-Za-z0-9_.-]+\.(?:py|sh|md|yaml|yml|json|txt|conf))"
    named = {each for each in re.findall(pattern, TEXTS[name]) if not each.startswith(NOT_OURS)}
    assert sorted(each for each in named if not any((root / each).exists() for root in roots)) == []


def test_what_architecture_says_of_a_file_is_in_it() -> None:
    rows = re.findall(
        r"^\| [^|]+ \| (.+) \|$", TEXTS["docs/architecture.md"].partition("## To change")[2], re.MULTILINE
    )
    missing = []
    for row in rows:
        for path, inside in re.findall(r"`([a-z_/]+\.py)` \(([^)]+)\)", row):
            text = (REPOSITORY / "plugins" / "learnosity" / path).read_text()
            missing += [
                (path, name) for name in re.findall(r"`([A-Za-z_]+)`", inside) if not re.search(rf"\b{name}\b", text)
            ]
    assert len(rows) > 30
    assert missing == []


def test_the_tables_of_params_and_types_are_those_of_the_code() -> None:
    assert TEXTS["README.md"] == written(TEXTS["README.md"]), "make docs-tables writes them"


def test_every_field_has_a_row_and_what_is_code_is_marked_as_such() -> None:
    rows = tables()["params"].splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [each.name for each in FIELDS]
    assert as_markdown('of a_b: {"x": [1]} or s3://c@b/x, and a-b-c-d.') == (
        'of `a_b`: `{"x": [1]}` or `s3://c@b/x`, and `a-b-c-d`.'
    )
    with pytest.raises(ValueError, match="no marks"):
        written("a page")


def test_a_result_carries_its_date_and_its_command() -> None:
    for name in ("docs/performance.md", "docs/operations.md", "benchmarks/results.md", "chaos/results.md"):
        text = TEXTS[name]
        assert re.search(r"\b(2[0-9]|1[0-9]|[1-9]) Nov(ember)?\b|November 2026", text), name
        assert re.search(r"`make [a-z-]+", text), name
