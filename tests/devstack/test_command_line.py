"""The stack from outside: started, used, found again and stopped by commands, also where well-known ports are taken."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from airflow_client.client import ConnectionApi, ConnectionBody, VariableApi

from devstack import background, http
from devstack.airflow import JWT_SECRET
from devstack.environment import REPOSITORY, tool
from devstack.errors import ApiError
from devstack.first_visit import GROUPS_RUN, ITEMS_RUN
from devstack.rest import AirflowApi
from devstack.secrets import load_or_create
from devstack.simulator import control
from devstack.stack import DESTINATION_VARIABLE, LANDING_CONN_ID, LEARNOSITY_CONN_ID

WELL_KNOWN = (8080, 8888, 9000, 8793, 8794, 8974, 9333, 8333, 18333, 19333, 10000)


def devstack(*arguments: str | Path, timeout: float = 540) -> subprocess.CompletedProcess[str]:
    """Run one command as people do."""
    command = [sys.executable, "-m", "devstack", *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="module")
def taken_ports() -> Iterator[None]:
    """Somebody else listens on the ports that such services use by default."""
    with contextlib.ExitStack() as held:
        for port in WELL_KNOWN:
            with contextlib.suppress(OSError):  # it is taken already, which is just as well
                held.enter_context(socket.create_server(("", port)))
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, taken_ports: None) -> Iterator[Path]:
    """The folder of a stack that was started by ``up``."""
    root = tmp_path_factory.mktemp("up")
    root.chmod(0o755)
    started = devstack("up", "--root", root)
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        yield root
    finally:
        devstack("down", "--root", root)


def test_nobody_else_on_the_machine_can_read_the_folder(root: Path) -> None:
    assert root.stat().st_mode & 0o777 == 0o700


def environments(root: Path) -> dict[str, dict[str, str]]:
    """The environment of each process of the running stack, by its name."""
    running = background.find(root)
    assert running is not None
    processes = {service.name: service.leader.process() for service in running.services}
    return {name: process.environ() for name, process in processes.items() if process}


def test_only_who_signs_tokens_has_the_key(root: Path) -> None:
    key = load_or_create(root / "secrets.json").jwt_secret
    found = environments(root)
    assert {"api-server", "scheduler", "dag-processor", "triggerer"} <= set(found)
    # The API server may have the key, too: it signs tokens. It is left out, because the title that it gives its process
    # overwrites the environment that is read here.
    assert {name for name, each in found.items() if key in str(each)} - {"api-server"} == {"scheduler"}
    # The others must not fall back to a key of the configuration file either.
    assert {each.get(JWT_SECRET) for name, each in found.items() if name in ("dag-processor", "triggerer")} == {""}
    assert key not in (root / "airflow" / "airflow.cfg").read_text()


def test_connections_are_not_tested_unless_that_is_asked_for(root: Path) -> None:
    running = background.find(root)
    assert running is not None
    client = AirflowApi(running.airflow_url, *background.login(root)).client
    with pytest.raises(ApiError, match="Testing connections is disabled"):
        ConnectionApi(client).test_connection(ConnectionBody(connection_id="any", conn_type="http", host="127.0.0.1"))
    assert [name for name in environments(root)["api-server"] if "TEST_CONNECTION" in name] == []


def test_the_control_of_the_simulator_needs_the_token_of_the_stack(root: Path) -> None:
    running = background.find(root)
    assert running is not None
    assert http.call("GET", f"{running.simulator_url}/_control/stats").status == 403
    token = load_or_create(root / "secrets.json").control_token
    assert control(running.simulator_url, "stats", token=token)["jobs_started"]
    assert token not in (root / "logs" / "simulator.log").read_text()
    command = next(service for service in running.services if "simulator" in service.name).leader.process()
    assert command is not None
    assert token not in str(command.cmdline())
    assert "--host=127.0.0.1" in command.cmdline()


def connection_port(root: Path, conn_id: str) -> int | None:
    """The port of a connection, as the UI of the running stack shows it."""
    running = background.find(root)
    assert running is not None
    client = AirflowApi(running.airflow_url, *background.login(root)).client
    return ConnectionApi(client).get_connection(conn_id).port


@pytest.mark.integration
class TestUp:
    def test_a_second_up_says_that_it_runs_and_where(self, root: Path) -> None:
        again = devstack("up", "--root", root)
        assert again.returncode == 0
        assert "runs already" in again.stdout
        assert re.search(r"Airflow +http://127\.0\.0\.1:\d+\n +login +admin / \S+", again.stdout)

    def test_status_names_all_services(self, root: Path) -> None:
        status = devstack("status", "--root", root)
        assert status.returncode == 0
        for service in ("SeaweedFS", "simulator", "api-server", "scheduler", "dag-processor", "triggerer"):
            assert re.search(rf"{service} +pid \d+", status.stdout)

    def test_the_state_file_holds_no_secret(self, root: Path) -> None:
        state = background.state_file(root).read_text()
        _, password = background.login(root)
        assert password not in state

    def test_the_login_works_and_a_wrong_run_config_is_refused(self, root: Path) -> None:
        running = background.find(root)
        assert running is not None
        api = AirflowApi(running.airflow_url, *background.login(root))
        api.wait_for_dag("learnosity_dataset")
        assert api.import_errors() == []
        with pytest.raises(ApiError, match="landing_shards"):
            api.trigger("learnosity_dataset", {"landing_shards": 0})

    def test_two_samples_are_landed_and_one_can_be_triggered_again_as_it_is(self, root: Path) -> None:
        running = background.find(root)
        assert running is not None
        api = AirflowApi(running.airflow_url, *background.login(root))
        for run_id in (GROUPS_RUN, ITEMS_RUN):
            run = api.dag_run("learnosity_dataset", run_id)
            assert run.state == "success"
            assert f"/runs/{run_id}\n" in devstack("status", "--root", root).stdout
        again = api.trigger("learnosity_dataset", api.dag_run("learnosity_dataset", GROUPS_RUN).conf)
        assert api.wait_for_run("learnosity_dataset", again.dag_run_id, timeout=240).state == "success"

    def test_the_examples_of_the_readme_trigger_runs(self, root: Path) -> None:
        running = background.find(root)
        assert running is not None
        api = AirflowApi(running.airflow_url, *background.login(root))
        examples = re.findall(r"```bash\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
        assert [name in text for name, text in zip(("curl", "airflow dags"), examples, strict=True)] == [True, True]
        settings = {"AIRFLOW": running.airflow_url, "PASSWORD": background.login(root)[1], "PATH": os.environ["PATH"]}
        for text in examples:
            before = {run.dag_run_id for run in api.dag_runs("learnosity_dataset")}
            script = text.replace(".devstack/airflow", str(root / "airflow"))
            script = script.replace(".venv/bin/airflow", str(tool("airflow")))
            ended = subprocess.run(
                ["bash", "-euc", script], env=settings, cwd=REPOSITORY, capture_output=True, text=True, check=False
            )
            assert ended.returncode == 0, ended.stdout + ended.stderr
            (made,) = {run.dag_run_id for run in api.dag_runs("learnosity_dataset")} - before
            assert api.wait_for_run("learnosity_dataset", made, timeout=240).state == "success"

    def test_its_connections_are_in_the_database_alone(self, root: Path) -> None:
        running = background.find(root)
        assert running is not None
        processes = [service.leader.process() for service in running.services]
        names = [name for process in processes if process for name in process.environ()]
        assert "AIRFLOW_HOME" in names
        assert [name for name in names if name.startswith(("AIRFLOW_CONN_", "AIRFLOW_VAR_"))] == []
        client = AirflowApi(running.airflow_url, *background.login(root)).client
        assert connection_port(root, LEARNOSITY_CONN_ID) == urlsplit(running.simulator_url).port
        assert VariableApi(client).get_variable(DESTINATION_VARIABLE).value == running.destination_uri
        secrets = load_or_create(root / "secrets.json")
        log = (root / "logs" / "database.log").read_text()
        assert f"connection {LANDING_CONN_ID}: added" in log
        assert [each for each in (secrets.consumer, secrets.s3_landing) if each.secret_key in log] == []

    def test_down_stops_everything_and_the_data_stays(self, root: Path) -> None:
        running = background.find(root)
        assert running is not None
        assert devstack("down", "--root", root).returncode == 0
        assert running.dead() == running.services
        assert not [service.name for service in running.services if service.leader.family()]
        assert (root / "airflow" / "airflow.db").exists()
        assert devstack("down", "--root", root).stdout == "No stack runs here.\n"

    def test_a_second_start_keeps_what_a_user_has_changed_and_follows_its_own_ports(self, root: Path) -> None:
        assert devstack("up", "--root", root).returncode == 0
        running = background.find(root)
        assert running is not None
        assert connection_port(root, LEARNOSITY_CONN_ID) == urlsplit(running.simulator_url).port
        client = AirflowApi(running.airflow_url, *background.login(root)).client
        mine = ConnectionBody(connection_id=LEARNOSITY_CONN_ID, conn_type="learnosity", login="my-key", port=443)
        ConnectionApi(client).patch_connection(LEARNOSITY_CONN_ID, mine, update_mask=["login", "port"])
        assert devstack("down", "--root", root).returncode == 0
        assert devstack("up", "--root", root).returncode == 0
        assert connection_port(root, LEARNOSITY_CONN_ID) == 443


def test_status_without_a_stack_says_how_to_start_one(tmp_path: Path) -> None:
    status = devstack("status", "--root", tmp_path)
    assert status.returncode == 1
    assert "make up" in status.stdout


@pytest.mark.parametrize("command", ["demo", "up", "down", "status"])
def test_every_command_explains_itself(command: str) -> None:
    shown = devstack(command, "--help")
    assert shown.returncode == 0
    assert f"usage: python -m devstack {command}" in shown.stdout


def test_make_lists_every_target() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    shown = subprocess.run(["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    (targets,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert re.findall(r"^  make (\S+)", shown, re.MULTILINE) == targets.split()
