"""`compose/init.sh`, as the container `init` runs it, on a database of its own: twice, as at a second start."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from compose.env import TEMPLATE, render
from devstack.environment import REPOSITORY, inherited_environment

pytestmark = pytest.mark.slow

SECONDS = 300.0
# What the image has in the folder of the script.
SCRIPTS = ("compose/init.sh", "compose/connections.py", "compose/admin.py", "devstack/seeding.py")
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of the container, with a fresh `.env`."""
    home = tmp_path_factory.mktemp("init")
    lines = [line for line in render(TEMPLATE.read_text(), demo=True).splitlines() if line and not line.startswith("#")]
    settings = dict(line.split("=", 1) for line in lines)
    return {
        **inherited_environment(),
        **settings,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__AUTH_MANAGER": FAB,
        "AIRFLOW__CORE__FERNET_KEY": settings["AIRFLOW_FERNET_KEY"],
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "PYTHONPATH": str(REPOSITORY / "plugins"),
    }


def secrets_of(env: dict[str, str]) -> list[str]:
    return [env[name] for name in env if re.search(r"PASSWORD|SECRET_KEY|CONSUMER_SECRET|FERNET|JWT", name)]


def run_init(env: dict[str, str], folder: Path) -> tuple[str, list[str]]:
    """Run the script: what it prints, and every command line that was seen meanwhile."""
    for script in SCRIPTS:
        shutil.copy(REPOSITORY / script, folder)
    seen: set[str] = set()
    log = folder / "log"
    with log.open("wb") as output:
        process = psutil.Popen(
            ["bash", folder / "init.sh"],
            env=env,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + SECONDS
        while process.poll() is None:
            if time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"init.sh did not end:\n{log.read_text()[-3000:]}")
            for child in process.children(recursive=True):
                try:
                    seen.add(" ".join(child.cmdline()))
                except psutil.NoSuchProcess:
                    continue  # it has ended since
            time.sleep(0.02)
    text = log.read_text()
    assert process.returncode == 0, text[-3000:]
    return text, sorted(seen)


def airflow(env: dict[str, str], *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("airflow")), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


def test_it_makes_everything_once_and_shows_no_secret(env: dict[str, str], tmp_path: Path) -> None:
    first, commands = run_init(env, tmp_path)
    assert "connection learnosity_default: added" in first
    assert "administrator admin: created" in first
    # At the second start nothing is made again, and a password that was changed in .env counts.
    changed = env | {"AIRFLOW_ADMIN_PASSWORD": "another-" + "p" * 16}
    again, more = run_init(changed, tmp_path)
    assert "connection learnosity_default: is there" in again
    assert "administrator admin: has the new password of .env" in again
    assert any("seeding.py" in command for command in commands), "this has to see the commands"
    shown = "\n".join([first, again, *commands, *more])
    assert [secret for secret in {*secrets_of(env), *secrets_of(changed)} if secret in shown] == []

    listed = airflow(env, "connections", "list", "--output", "plain")
    assert {"learnosity_default", "aws_landing", "aws_airflow"} <= set(listed.split())
    assert "s3://aws_landing@learnosity/datasets" in airflow(env, "variables", "get", "learnosity_destination_uri")
    roles = airflow(env, "roles", "list", "--permission", "--output", "plain")
    readers = {line.split()[0] for line in roles.splitlines() if re.search(r"\bPlugins\s+.*can_read", line)}
    assert {"Viewer", "User"} <= readers
    assert log_in(env, changed["AIRFLOW_ADMIN_PASSWORD"])
    assert not log_in(env, env["AIRFLOW_ADMIN_PASSWORD"])


def test_another_auth_manager_has_users_of_its_own(env: dict[str, str], tmp_path: Path) -> None:
    simple = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
    own = {
        "AIRFLOW__CORE__AUTH_MANAGER": simple,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path / 'airflow.db'}",
    }
    said, _ = run_init(env | own, tmp_path)
    assert f"{simple} is not FAB's: no administrator is made, and no role is given a permission" in said
    assert "learnosity_api" in airflow(env | own, "pools", "list", "--output", "plain")


def log_in(env: dict[str, str], password: str) -> bool:
    """Whether FAB lets the administrator in with a password."""
    code = """
import sys
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils.providers_configuration_loader import providers_configuration_loaded
from werkzeug.security import check_password_hash

@providers_configuration_loaded
def fits():
    with get_application_builder() as builder:
        return check_password_hash(builder.sm.find_user("admin").password, sys.stdin.read())

sys.exit(0 if fits() else 3)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], input=password, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 3), done.stderr[-2000:]
    return done.returncode == 0


def test_a_setting_that_is_missing_ends_it_at_once(env: dict[str, str], tmp_path: Path) -> None:
    for script in SCRIPTS:
        shutil.copy(REPOSITORY / script, tmp_path)
    broken = env | {"LEARNOSITY_CONSUMER_SECRET": "", "S3_LANDING_SECRET_KEY": ""}
    done = subprocess.run(["bash", tmp_path / "init.sh"], env=broken, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"Correct these in .env: .*LEARNOSITY_CONSUMER_SECRET.*S3_LANDING_SECRET_KEY.*\n", done.stderr)
