"""What `make compose-test` does without Docker: settings, names, the commands that the docs show, and its order."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from airflow.configuration import conf
from hypothesis import example, given
from hypothesis import strategies as st

from compose import proof as package
from compose.env import TEMPLATE, main, problems, settings
from compose.proof import __main__ as command_line
from compose.proof import deployment, keeping, teams, upgrade
from compose.proof.deployment import REPOSITORY, Deployment
from compose.standins.statsd import Metrics
from devstack.rest import AirflowApi

OPERATIONS = (REPOSITORY / "docs" / "operations.md").read_text()
COMPOSE = (REPOSITORY / "docker-compose.yaml").read_text()


@pytest.fixture
def stack(tmp_path: Path) -> Deployment:
    """A stack with a fresh `.env` that nobody has started."""
    assert main(["--demo", "--output", str(tmp_path / "env")]) == 0
    return Deployment({}, tmp_path / "env", 8080)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The docker commands that are run, instead of running them."""
    commands: list[list[str]] = []

    def run(*command: Any, **options: Any) -> str:
        commands.append([str(part) for part in command])
        return ""

    monkeypatch.setattr(deployment, "run", run)
    return commands


def test_a_changed_setting_takes_the_place_of_the_old_one_and_the_others_stay(stack: Deployment) -> None:
    before = stack.settings
    stack.change(AIRFLOW_PATH="/airflow", AIRFLOW__API__PAGE_SIZE="37")
    assert stack.settings == before | {"AIRFLOW_PATH": "/airflow", "AIRFLOW__API__PAGE_SIZE": "37"}
    assert stack.env_file.read_text().count("AIRFLOW_PATH=") == 1


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60))
@example(teams.SECRET)
@example("a\\")
@example("a\\'b")
def test_any_value_is_quoted_so_that_it_comes_back_or_is_refused(value: str) -> None:
    # Compose 2.26 was tried: between single quotes, a backslash before a quote escapes the quote. So a value with `\'`,
    # or with a backslash at its end, cannot be written.
    unwritable = "\\'" in value or value.endswith("\\")
    if unwritable:
        with pytest.raises(ValueError, match="backslash"):
            teams.quoted(value)
        return
    text = teams.quoted(value)
    assert (text[0], text[-1]) == ("'", "'")
    assert text[1:-1].replace("\\'", "'") == value


def test_the_settings_of_a_store_of_ones_own_do_not_contradict_each_other(stack: Deployment) -> None:
    stack.change(
        COMPOSE_PROFILES="demo", S3_ENDPOINT="http://own:8333", S3_LANDING_SECRET_KEY=teams.quoted(teams.SECRET)
    )
    assert problems(stack.settings) == []


def test_metrics_that_are_not_there_are_named() -> None:
    scraped = '# HELP x\nairflow_learnosity_api_calls{endpoint="jobs"} 3\nairflow_learnosity_landed_files_total 4\n'
    assert teams.missing_metrics(scraped) == ["airflow_learnosity_datasets_published"]


def test_the_metrics_that_are_looked_for_are_those_that_airflow_sends() -> None:
    """As StatsD gets them from Airflow (tests/integration/test_metrics.py), read by what stands in for the exporter."""
    metrics = Metrics()
    for each in ("api_calls,endpoint=jobs,action=get:1|c", "landed_files,dataset_type=a:446|c"):
        metrics.take(f"{conf.get('metrics', 'statsd_prefix')}.learnosity.{each}\n")
    assert teams.missing_metrics(metrics.text()) == ["airflow_learnosity_datasets_published"]
    assert 'airflow_learnosity_api_calls{endpoint="jobs",action="get"} 1\n' in metrics.text()


def test_what_stands_in_for_the_exporter_adds_counts_and_keeps_gauges() -> None:
    metrics = Metrics()
    metrics.take('a.b:1|c\na.b:2|c|@0.5\nw,host=x"y:7|g\nw,host=x"y:-2|g\nt:31.5|ms\nt:3|ms\nno metric\n:1|c\n')
    assert metrics.text() == 'a_b 5\nt_count 2\nw{host="x\\"y"} 5\n'


def test_backup_and_restore_are_the_commands_of_the_docs(stack: Deployment, tmp_path: Path, monkeypatch: Any) -> None:
    piped: list[str] = []
    monkeypatch.setattr(keeping, "_piped", lambda proof, command, **pipes: piped.append(" ".join(command)))
    keeping.dump(stack, tmp_path / "dump")
    keeping.load(stack, tmp_path / "dump")
    assert len(piped) == 2
    for command in piped:
        assert f"docker compose {command}" in OPERATIONS


def test_the_fernet_key_is_rotated_by_the_command_of_the_docs() -> None:
    assert f"docker compose exec scheduler {' '.join(keeping.ROTATE)}" in OPERATIONS
    assert "compose/rotate_fernet.py" in (REPOSITORY / "Dockerfile").read_text()


def test_each_command_names_project_file_and_folder(stack: Deployment, ran: list[list[str]]) -> None:
    stack.compose("ps")
    (command,) = ran
    assert command[:2] == ["docker", "compose"]
    assert command[command.index("--env-file") + 1] == str(stack.env_file)
    assert command[command.index("--project-directory") + 1] == str(REPOSITORY)
    assert stack.env["LEARNOSITY_ENV_FILE"] == str(stack.env_file)


def test_taking_down_removes_the_volumes_unless_they_are_kept(stack: Deployment, ran: list[list[str]]) -> None:
    stack.down()
    stack.down(volumes=False)
    assert ["--volumes" in command for command in ran] == [True, False]


def test_the_images_of_the_earlier_commit_have_names_that_the_file_takes() -> None:
    for name in upgrade.EARLIER:
        assert f"${{{name}:-" in COMPOSE
    for name, image in deployment.IMAGES.items():
        assert f"${{{name}:-{image}" in COMPOSE, "the proof runs on the images of the file"


def test_an_upgrade_begins_with_the_command_of_the_docs(
    stack: Deployment, ran: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Deployment, "services", lambda stack: ["postgres", "s3", "simulator", "worker"])
    monkeypatch.setattr(Deployment, "wait", lambda *given, **options: None)
    for name in ("start_run", "finish", "verify", "control", "seed"):
        monkeypatch.setattr(Deployment, name, lambda *given, **options: "")
    monkeypatch.setattr(AirflowApi, "dag_runs", lambda *given: [1, 2])
    upgrade.upgraded(stack, tmp_path / "earlier", "HEAD")
    (removed,) = [" ".join(command) for command in ran if "rm" in command]
    assert removed.endswith(" rm --stop --force --volumes worker"), "database and store stay, and so do their volumes"
    assert "    docker compose rm --stop --force --volumes " in OPERATIONS


def test_it_leaves_a_real_stack_and_the_tests_of_other_checkouts_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No name of a container, volume or image is that of the file, or that of another folder."""
    assert len({deployment.project_name(Path(each)) for each in ("/srv/one", "/srv/two", str(REPOSITORY))}) == 3
    names = {deployment.PROJECT, *deployment.built("now").values(), *upgrade.EARLIER.values()}
    assert len(names) == 7
    assert [each for each in names if not each.startswith(deployment.project_name(REPOSITORY))] == []
    given: list[dict[str, str]] = []
    monkeypatch.setattr(command_line, "FOLDER", tmp_path)
    monkeypatch.setattr(command_line, "engine", lambda *_, **__: nullcontext({}))
    monkeypatch.setattr(command_line, "_prove", lambda proof, options: given.append(proof.env))
    command_line.main([])
    assert deployment.built("now").items() <= given[0].items()


def test_the_files_of_a_commit_are_unpacked(tmp_path: Path) -> None:
    upgrade.unpack("HEAD", tmp_path / "earlier")
    assert (tmp_path / "earlier" / "docker-compose.yaml").exists()
    assert not list(tmp_path.glob("*.tar"))


def test_the_team_begins_with_an_empty_clone_and_the_env_of_the_first_line(stack: Deployment, tmp_path: Path) -> None:
    clone = stack.cloned(tmp_path / "clone", path="/airflow")
    assert clone.folder == tmp_path / "clone"
    assert (clone.folder / "docker-compose.yaml").exists()
    assert clone.settings["COMPOSE_PROFILES"] == "s3,demo"
    assert clone.api.url.endswith("/airflow")


def test_the_parts_run_in_their_order_and_only_those_that_were_asked_for(
    stack: Deployment, ran: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(command_line, "FOLDER", tmp_path)
    monkeypatch.setattr(Deployment, "cloned", lambda stack, folder, *, path: stack)
    for name in ("disturbed", "rotated", "restored", "as_teams_do", "upgraded"):
        monkeypatch.setattr(command_line, name, lambda *given, name=name: done.append(name))
    command_line.phases(stack, command_line.parse([]))
    assert done == ["disturbed", "rotated", "restored", "as_teams_do", "upgraded"]
    done.clear()
    command_line.phases(stack, command_line.parse(["--parts", "teams"]))
    assert done == ["as_teams_do"]


def test_it_is_started_by_the_target_of_the_makefile() -> None:
    assert f"-m {package.__name__} " in (REPOSITORY / "Makefile").read_text()
    assert settings(TEMPLATE.read_text())["COMPOSE_PROFILES"] == "s3"
