"""What docker-compose.yaml promises, read off the file itself: nothing open, nothing secret, everything watched."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from compose.connections import wanted
from compose.env import TEMPLATE, main, render
from learnosity.api.config import build_config

REPOSITORY = Path(__file__).resolve().parents[2]
TEXT = (REPOSITORY / "docker-compose.yaml").read_text()
ONE_SHOT = {"init", "s3-buckets", "demo-input"}
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z0-9_]+)(?::?[-?][^}]*)?\}")


SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
LASTING = sorted(set(SERVICES) - ONE_SHOT)


def values(template: str) -> dict[str, str]:
    """The settings of an `.env`."""
    return dict(line.split("=", 1) for line in template.splitlines() if line and not line.startswith("#"))


def test_only_the_ui_is_published_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"api-server": ["127.0.0.1:${AIRFLOW_PORT:-8080}:8080"]}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_container_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert "privileged" not in service
    assert not str(service.get("user", "")).startswith(("0", "root"))


@pytest.mark.parametrize("name", LASTING)
def test_every_lasting_service_has_a_health_check_and_comes_back(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(ONE_SHOT))
def test_a_one_shot_is_not_started_again(name: str) -> None:
    assert SERVICES[name]["restart"] == "no"


def test_database_broker_and_objects_have_no_way_out() -> None:
    networks = yaml.safe_load(TEXT)["networks"]
    assert networks["backend"] == {"internal": True}
    for name in ("postgres", "valkey", "s3"):
        assert SERVICES[name]["networks"] == ["backend"], name


def test_workers_are_not_told_how_to_reach_the_database() -> None:
    assert not [key for key in SERVICES["worker"]["environment"] if "SQL_ALCHEMY" in key]
    assert "POSTGRES_PASSWORD" not in str(SERVICES["worker"])


def test_connections_are_in_the_database_where_the_ui_shows_them() -> None:
    assert not re.search(r"AIRFLOW_(CONN|VAR)_", TEXT)


@pytest.mark.parametrize("name", ["api-server", "scheduler", "dag-processor", "triggerer", "worker"])
def test_only_the_one_shot_is_told_the_secrets_of_connections(name: str) -> None:
    secrets = ("LEARNOSITY_CONSUMER", "S3_LANDING_SECRET", "S3_AIRFLOW_SECRET")
    assert [each for each in secrets if each in str(SERVICES[name])] == []
    assert [each for each in secrets if each not in str(SERVICES["init"]["environment"])] == []


def environment_of_init(*, demo: bool) -> dict[str, str]:
    """What `init` gets with a fresh `.env`."""
    given = values(render(TEMPLATE.read_text(), demo=demo))
    environment = SERVICES["init"]["environment"]
    return {name: VARIABLE.sub(lambda each: given[each[1]], environment[name]) for name in given.keys() & environment}


@pytest.mark.parametrize(("demo", "url"), [(False, "https://data.learnosity.com"), (True, "http://simulator:8500")])
def test_the_connection_to_learnosity_is_one_that_the_hook_accepts(demo: bool, url: str) -> None:
    env = environment_of_init(demo=demo) | {"LEARNOSITY_CONSUMER_KEY": "k" * 16, "LEARNOSITY_CONSUMER_SECRET": 's"\\'}
    fields = wanted(env)["connections"]["learnosity_default"]
    assert fields.pop("conn_type") == "learnosity"
    assert fields["port"] is not None, "the Test button needs it"
    assert fields.pop("password") == 's"\\', "every character arrives as it is"
    assert build_config("learnosity_default", password="s" * 40, **fields).base_url == url


@pytest.mark.parametrize("url", ["", "data.learnosity.com", "ftp://x", "https://"])
def test_an_address_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="LEARNOSITY_URL"):
        wanted(environment_of_init(demo=True) | {"LEARNOSITY_URL": url})


def test_no_secret_is_an_argument_of_a_program() -> None:
    script = (REPOSITORY / "compose" / "init.sh").read_text().replace("\\\n", " ")
    secret = re.compile(r"\$\{?[A-Z0-9_]*(PASSWORD|SECRET|_KEY)")
    # `printf` is a part of the shell and no process.
    found = [line for line in script.splitlines() if secret.search(line) and not line.startswith("printf ")]
    assert found == []


def test_the_one_shot_gives_the_permission_that_the_tab_needs() -> None:
    script = (REPOSITORY / "compose" / "init.sh").read_text()
    assert "airflow roles add-perms Viewer User --action can_read --resource Plugins" in script


def test_nothing_secret_has_a_default_in_the_file() -> None:
    secret = re.compile(r"\$\{([A-Z0-9_]*(?:PASSWORD|SECRET|_KEY)[A-Z0-9_]*):-[^}]")
    assert secret.findall(TEXT) == []


def test_every_secret_of_the_example_is_generated_anew() -> None:
    template = TEMPLATE.read_text()
    first, second = values(render(template)), values(render(template))
    generated = {name for name, value in values(template).items() if value.startswith("<")}
    assert len(generated) > 8
    for name in generated:
        assert first[name] != second[name]
        assert len(first[name]) >= 16
    assert first["LEARNOSITY_CONSUMER_SECRET"] == ""
    assert not re.search(r"[<>]", str(first))


def test_the_demo_connects_to_the_simulator() -> None:
    demo = values(render(TEMPLATE.read_text(), demo=True))
    assert demo["LEARNOSITY_URL"] == "http://simulator:8500"
    assert re.fullmatch(r"[0-9A-F]{16}", demo["LEARNOSITY_CONSUMER_KEY"])


def test_every_variable_is_in_the_example_or_has_a_default() -> None:
    known = set(values(TEMPLATE.read_text()))
    required = {match[1] for match in VARIABLE.finditer(TEXT) if ":-" not in match[0]}
    assert required <= known


def test_the_file_is_for_its_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "env"
    assert main(["--output", str(target)]) == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    before = target.read_text()
    assert main(["--output", str(target)]) == 1
    assert target.read_text() == before
