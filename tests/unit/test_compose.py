"""What docker-compose.yaml promises, read off the file itself: nothing open, nothing secret, everything watched."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from compose.env import TEMPLATE, main, render

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
