"""The commands that README and docs show are run as they stand, in a clone, beside what `make up` has started there."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from devstack.environment import REPOSITORY, inherited_environment
from devstack.rest import ENDED, AirflowApi
from devstack.waiting import wait_until
from tests.docs_commands import BLOCKS, COMMANDS, RUN, blocks

pytestmark = [pytest.mark.integration, pytest.mark.slow]

COMMAND_SECONDS = 500.0
NIGHTLY = "learnosity_nightly_group_report"
OLD = time.time() - 100 * 86400
# What the pages leave to the reader.
FILLED_IN = {"<your nightly DAG>": NIGHTLY, "<90 days ago>": f"{datetime.now(UTC) - timedelta(days=90):%Y-%m-%d}"}
(BACKFILL,) = (each for each in COMMANDS if "backfill" in each)
BESIDE_A_STACK = [each for each, how in COMMANDS.items() if how == RUN and "airflow " in each and each != BACKFILL]
ALONE = [each for each, how in COMMANDS.items() if how == RUN and each not in (*BESIDE_A_STACK, BACKFILL)]


@dataclass(frozen=True)
class Clone:
    """A clone, and the Airflow that runs in it."""

    folder: Path
    data: Path
    url: str = ""
    password: str = ""

    def run(self, text: str, **more: str) -> str:
        """Run a text in a shell, as a reader would, and return what it prints.

        :param more: more environment
        """
        for left, filled in FILLED_IN.items():
            text = text.replace(left, filled)
        # The examples of the docs use folders below /data. Here, these are in the temporary folder of the test.
        text = text.replace("/data/", f"{self.data}/")
        home = {"AIRFLOW_HOME": str(self.folder / ".devstack" / "airflow"), "TMPDIR": str(self.data / "tmp")}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder,
            env=inherited_environment() | home | more,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    root = tmp_path_factory.mktemp("docs")
    subprocess.run(["git", "clone", "--quiet", REPOSITORY, root / "clone"], check=True)
    (root / "clone" / ".venv").symlink_to(REPOSITORY / ".venv")
    (root / "data" / "tmp").mkdir(parents=True)
    found = Clone(root / "clone", root / "data")
    # The clone uses the virtual environment of this repository. make must not install into it again from the clone. It
    # would, because the stamp file of `make venv` is older than the files of the clone. So the stamp is touched.
    (stamp,) = re.findall(r"touch (\S+)", found.run("make --dry-run --always-make venv"))
    assert (found.folder / stamp).exists(), "make venv, and commit what is pinned: a clone has the same"
    (found.folder / stamp).touch()
    assert "install" not in found.run("make --dry-run venv")
    return found


@pytest.fixture(scope="module")
def running(clone: Clone) -> Iterator[Clone]:
    sample = clone.folder / "dags" / "datasets" / "nightly_group_report.yaml"
    sample.write_text(sample.with_suffix(".yaml.example").read_text())
    try:
        printed = clone.run("make up")
        (url,) = re.findall(r"^Airflow +(http\S+)", printed, re.MULTILINE)
        (password,) = re.findall(r"^ +login +admin / (\S+)", printed, re.MULTILINE)
        found = Clone(clone.folder, clone.data, url, password)
        AirflowApi(url, "admin", password).wait_for_dag(NIGHTLY, timeout=120)
        AirflowApi(url, "admin", password).pause(NIGHTLY)
        yield found
    finally:
        clone.run("make down")


@pytest.mark.parametrize("command", ALONE)
def test_a_command_that_needs_no_stack_does_what_it_says(clone: Clone, command: str) -> None:
    clone.run("rm -f .env")
    clone.run(command)
    if "compose-env" in command:
        assert (clone.folder / ".env").stat().st_mode & 0o777 == 0o600
    # A command may write a file that is in git, such as the JSON schema. It must be the same as the committed one.
    assert clone.run("git status --porcelain --untracked-files=no") == ""


def ended(running: Clone, dag_id: str, run_id: str) -> str:
    api = AirflowApi(running.url, "admin", running.password)
    wait_until(
        lambda: api.dag_run(dag_id, run_id).state in ENDED,
        timeout=300,
        late=lambda: f"{run_id} does not end",
        every=1.0,
    )
    return api.dag_run(dag_id, run_id).state.value


def test_readmes_blocks_start_runs_that_land(running: Clone) -> None:
    told = {"AIRFLOW": running.url, "PASSWORD": running.password}
    by_rest = json.loads(running.run(blocks()["README.md 1"], **told))["dag_run_id"]
    before = {
        each.dag_run_id for each in AirflowApi(running.url, "admin", running.password).dag_runs("learnosity_dataset")
    }
    # The block sets AIRFLOW_HOME by itself.
    running.run(blocks()["README.md 2"])
    after = {
        each.dag_run_id for each in AirflowApi(running.url, "admin", running.password).dag_runs("learnosity_dataset")
    }
    (by_command,) = after - before
    assert {ended(running, "learnosity_dataset", each) for each in (by_rest, by_command)} == {"success"}


@pytest.mark.parametrize("command", BESIDE_A_STACK)
def test_a_command_of_airflow_is_taken_by_it(running: Clone, command: str) -> None:
    running.run(command)


@pytest.mark.parametrize("name", [each for each, how in BLOCKS.items() if how == RUN and "privacy" in each])
def test_a_block_of_the_page_on_privacy_removes_what_it_names_and_nothing_else(running: Clone, name: str) -> None:
    text = blocks()[name]
    home = running.data / "home"
    folder = "activity-summary-by-group/a951cc14-0316-4c12-bb13-1f386338a094"
    made = {
        "datasets_parquet": running.data / "datasets_parquet" / folder / "a.parquet",
        "AIRFLOW_HOME": home / "logs" / "dag_id=learnosity_dataset" / "old.log",
        "learnosity-parquet-": running.data / "tmp" / "learnosity-parquet-x" / "a.parquet",
    }
    kept = [
        home / "logs" / "dag_id=other" / "old.log",
        running.data / "tmp" / "other" / "a",
        running.data / "datasets_parquet" / "b",
    ]
    listed = running.data / "datasets" / folder / "files.ndjson"
    listed.parent.mkdir(parents=True, exist_ok=True)
    listed.write_text("".join(f"line {number}\n" for number in range(1, 21)))
    for path in [*made.values(), *kept]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        for each in (path, path.parent):
            os.utime(each, (OLD, OLD))
    own = {"AIRFLOW_HOME": str(home)} if "AIRFLOW_HOME" in text else {}
    printed = running.run(text, **own)
    for word, path in made.items():
        assert path.exists() != (word in text), path
    assert all(path.exists() for path in kept)
    if "sed" in text:
        assert printed == "line 17\n"


def test_a_backfill_makes_a_run_for_each_night_of_a_year(running: Clone) -> None:
    # The scheduler and a command cannot both write to a database of SQLite for that long, as they can to PostgreSQL.
    running.run("make down")
    running.run(BACKFILL)
    with closing(sqlite3.connect(running.folder / ".devstack" / "airflow" / "airflow.db")) as database:
        ((made,),) = database.execute(
            "SELECT count(*) FROM dag_run WHERE run_type = 'backfill' AND dag_id = ?", [NIGHTLY]
        )
    assert made == 365
