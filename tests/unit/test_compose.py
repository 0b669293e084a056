"""What docker-compose.yaml promises, read off the file itself: nothing open, nothing secret, everything watched."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import stat
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

import pytest
import yaml  # type: ignore[import-untyped]
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager
from airflow.utils.net import getfqdn
from hypothesis import HealthCheck, example, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from kombu.utils.url import parse_url
from psycopg2.extensions import parse_dsn  # type: ignore[import-untyped]
from sqlalchemy.engine import make_url
from werkzeug.security import generate_password_hash

from compose import heartbeat
from compose.admin import OTHER_AUTH_MANAGER, Step, decide
from compose.admin import main as admin_main
from compose.connections import wanted
from compose.env import IN_ADDRESSES, TEMPLATE, main, new_fernet_key, problems, render, settings
from compose.file import interpolate, read_services
from compose.seed import landing_store
from learnosity.api.config import build_config
from learnosity.egress import Egress

REPOSITORY = Path(__file__).resolve().parents[2]
TEXT = (REPOSITORY / "docker-compose.yaml").read_text()
ONE_SHOT = {"init", "s3-buckets", "demo-input"}
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z0-9_]+)(?::?[-?][^}]*)?\}")
# Names in `.env` of settings that are secret. Only `init` may get a value under such a name, no other container of
# Airflow.
SECRET = re.compile(r"PASSWORD|SECRET|FERNET|TOKEN|_KEY$")
OF_AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer", "worker", "init")


SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
LASTING = sorted(set(SERVICES) - ONE_SHOT)


def values(template: str) -> dict[str, str]:
    """The settings of an `.env`."""
    return dict(line.split("=", 1) for line in template.splitlines() if line and not line.startswith("#"))


def test_two_stacks_on_one_machine_share_nothing_when_name_and_port_differ() -> None:
    """Containers, networks and volumes have the name of the project before them, unless the file names them itself."""
    whole = yaml.safe_load(TEXT)
    assert whole["name"] == values(TEMPLATE.read_text())["COMPOSE_PROJECT_NAME"]
    named = [*SERVICES.values(), *whole["networks"].values(), *whole["volumes"].values()]
    assert [each for each in named if {"container_name", "name", "external"} & set(each)] == []
    for service in SERVICES.values():
        mounts = [str(each).partition(":")[0] for each in service.get("volumes", [])]
        assert [each for each in mounts if each not in whole["volumes"] and each != "/opt/airflow/spool"] == []
        if "build" in service:
            images = {interpolate(service["image"], {"COMPOSE_PROJECT_NAME": name}) for name in ("one", "two")}
            assert len(images) == 2, service["image"]


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
    assert 0 < service["pids_limit"] <= 1024
    assert "privileged" not in service
    assert not str(service.get("user", "")).startswith(("0", "root"))


@pytest.mark.parametrize("name", OF_AIRFLOW)
def test_airflow_runs_as_the_user_of_the_image_whatever_env_says(name: str) -> None:
    """`AIRFLOW_UID` is a setting of Airflow's own Compose file. Another user has no name here, and no spool."""
    assert SERVICES[name]["user"] == "50000:0"
    assert "useradd --uid 50000 " in (REPOSITORY / "compose" / "standins" / "airflow.Dockerfile").read_text()


@pytest.mark.parametrize("name", OF_AIRFLOW)
def test_the_spool_of_a_container_is_a_volume_without_a_name(name: str) -> None:
    """It has the temporary folder in it, and is shared with nobody: logs of one task in two containers would mix."""
    assert SERVICES[name]["volumes"] == ["/opt/airflow/spool"]
    assert "TMPDIR=/opt/airflow/spool\n" in (REPOSITORY / "Dockerfile").read_text()


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
    """Whichever it is: the stack's own, or one that `.env` names in any of the settings that Airflow has for it."""
    named = {
        f"AIRFLOW__DATABASE__{option.upper()}": f"postgresql+psycopg2://me:{option}@db.example.com/airflow"
        for option in ("sql_alchemy_conn", "sql_alchemy_conn_async")
    }
    for own in ({}, named):
        settings_given = values(render(TEMPLATE.read_text(), demo=True)) | own
        told = {name: read_services(REPOSITORY, settings_given)[name].environment for name in OF_AIRFLOW}
        secrets = ("db.example.com", settings_given["POSTGRES_PASSWORD"])
        assert [each for each in secrets if each in str(told["worker"])] == []
        # Airflow does not start without an address of a database. So a worker gets Airflow's default: a file that does
        # not exist in the image.
        assert told["worker"]["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "sqlite:////opt/airflow/airflow.db"
        wanted_address = own.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN") or (
            f"postgresql+psycopg2://airflow:{settings_given['POSTGRES_PASSWORD']}@postgres/airflow"
        )
        others = {each["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] for name, each in told.items() if name != "worker"}
        assert others == {wanted_address}


SIGNING = {"api-server", "scheduler"}
"""Who may sign tokens, by Airflow's own table: the API server and the scheduler."""


def test_only_who_signs_tokens_has_the_key() -> None:
    named = {
        name: each["environment"]["AIRFLOW__API_AUTH__JWT_SECRET"]
        for name, each in SERVICES.items()
        if name in OF_AIRFLOW
    }
    assert {name for name, value in named.items() if "JWT_SECRET" in value} == SIGNING
    # Every container of Airflow gets all of `.env`, and so the key. An empty value in `environment` takes it away.
    assert {value for name, value in named.items() if name not in SIGNING} == {""}


def test_a_connection_can_be_tested_only_where_that_is_asked_for() -> None:
    for name in OF_AIRFLOW:
        assert SERVICES[name]["environment"]["AIRFLOW__CORE__TEST_CONNECTION"].endswith(":-Disabled}")


def test_no_secret_is_in_an_argument_or_in_the_history_of_an_image() -> None:
    for name, service in SERVICES.items():
        words = str([service.get("command"), service.get("entrypoint"), service.get("build", {})])
        for secret in re.findall(r"\$\{(\w+)", words):
            assert not SECRET.search(secret) or secret == "LEARNOSITY_CONSUMER_KEY", (name, secret)
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    assert not [each for each in re.findall(r"^(?:ARG|ENV)\s+(\w+)", dockerfile, re.MULTILINE) if SECRET.search(each)]


def test_of_what_an_image_is_told_only_the_index_could_hold_a_password() -> None:
    told = {name for service in SERVICES.values() for name in (service.get("build") or {}).get("args", {})}
    assert told == {"AIRFLOW_IMAGE", "SEAWEEDFS_IMAGE", "PIP_INDEX_URL"}
    assert told == set(re.findall(r"^ARG\s+(\w+)", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE))
    assert "PIP_INDEX_URL" in PUBLIC


def test_connections_are_in_the_database_where_the_ui_shows_them() -> None:
    assert not re.search(r"AIRFLOW_(CONN|VAR)_", TEXT)


# What every container of Airflow may know. The index of pip is among it, because tasks that install packages ask it.
PUBLIC = {
    *("COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME", "DEMO_USERS", "FORWARDED_ALLOW_IPS", "PIP_INDEX_URL"),
    *(f"{each}_IMAGE" for each in ("AIRFLOW", "POSTGRES", "VALKEY", "SEAWEEDFS", "STATSD")),
    *(f"LEARNOSITY_{each}_IMAGE" for each in ("AIRFLOW", "S3", "DEMO")),
    *(f"LEARNOSITY_{each}" for each in ("DOMAIN", "VERSION", "ORGANISATION_ID", "REPORTS_URL", "ALLOW_HTTP")),
    *("LEARNOSITY_API_SLOTS", "LEARNOSITY_ENV_FILE"),
    *(f"AIRFLOW_{each}" for each in ("ADDRESS", "ADMIN_USER", "HEARTBEAT_TIMEOUT", "PARALLELISM", "PATH", "PORT")),
    *(f"AIRFLOW_{each}" for each in ("QUEUED_TIMEOUT", "START_PERIOD", "STATSD_ON", "WORKER_CONCURRENCY")),
    *("AIRFLOW_XCOM_THRESHOLD", "NO_PROXY", "S3_ENDPOINT", "S3_REGION"),
    *(f"S3_{name}_{kind}" for name in ("LANDING", "AIRFLOW") for kind in ("BUCKET", "ROLE_ARN")),
}
# Without Airflow's own settings (`AIRFLOW__…`): all its containers may have them. The exceptions are the address of the
# database and the key that signs tokens, which have tests above.
VARIABLES = {
    *values(TEMPLATE.read_text()),
    *(each for each in re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", TEXT) if not each.startswith("AIRFLOW__")),
}


def test_what_every_container_may_know_is_told_from_what_is_secret() -> None:
    """A new setting has to be put on one of the two sides."""
    told = SERVICES["dag-processor"]["environment"]
    secret = {each for each, value in told.items() if not value and not each.startswith("AIRFLOW__")}
    assert PUBLIC | secret == VARIABLES
    assert PUBLIC & secret == set()
    assert {each for each in VARIABLES if SECRET.search(each)} <= secret


@pytest.mark.parametrize("name", OF_AIRFLOW)
def test_of_all_settings_in_env_no_secret_reaches_a_container_that_does_not_need_it(name: str) -> None:
    service = SERVICES[name]
    assert service["env_file"] == [{"path": "${LEARNOSITY_ENV_FILE:-.env}", "required": False}]
    # What `environment` says wins over the file. `init` makes connections and the administrator, and nothing else.
    told = read_services(REPOSITORY, {each: f"value of {each}" for each in VARIABLES})[name].environment
    known = {each for each in VARIABLES if told.get(each)}
    connections = ("LEARNOSITY_", "S3_LANDING", "S3_AIRFLOW", "AIRFLOW_ADMIN")
    needed = {each for each in VARIABLES - PUBLIC if each.startswith(connections)}
    assert known - PUBLIC == (needed if name == "init" else set())
    if name != "init":  # and under no other name either
        inside = {each for each in needed for value in told.values() if f"value of {each}" in value}
        assert inside == set()


@pytest.mark.parametrize("name", OF_AIRFLOW)
def test_every_setting_of_airflow_can_be_set_under_its_own_name(name: str) -> None:
    own = {key: value for key, value in SERVICES[name]["environment"].items() if key.startswith("AIRFLOW__")}
    if name == "worker":  # must not get the database's address, whatever `.env` says
        for each in ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC"):
            own.pop(each)
    if name not in SIGNING:
        own.pop("AIRFLOW__API_AUTH__JWT_SECRET")
    assert len(own) > 20
    assert [key for key, value in own.items() if not value.startswith(f"${{{key}:-")] == []


def test_nothing_waits_for_the_store_of_this_stack_where_it_is_not_wanted() -> None:
    optional = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}
    assert optional["s3"] == optional["s3-buckets"] == ["s3"]
    waited_for = {
        (name, other): how.get("required", True)
        for name, service in SERVICES.items()
        for other, how in service.get("depends_on", {}).items()
    }
    needed = {other for (name, other), required in waited_for.items() if required and name not in optional}
    assert needed.isdisjoint(optional), "a service of a profile is not there where the profile is not"
    assert waited_for["init", "s3-buckets"] is False


def test_below_a_path_the_health_check_and_the_workers_use_the_path() -> None:
    assert "8080${AIRFLOW_PATH:-}/api/" in str(SERVICES["api-server"]["healthcheck"])
    assert (
        "8080${AIRFLOW_PATH:-}/execution/"
        in SERVICES["worker"]["environment"]["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
    )


class Asked:
    """A database that answers one beat of the host `noted`, and is every part of its own connection."""

    def __init__(self, noted: str) -> None:
        self.noted, self.alive = noted, 0

    def __enter__(self) -> Asked:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def cursor(self) -> Asked:
        return self

    def execute(self, _query: str, values: tuple[str, str, int]) -> None:
        self.alive = int(values[:2] == ("TriggererJob", self.noted))

    def fetchone(self) -> tuple[int]:
        return (self.alive,)


@pytest.mark.parametrize("named", [None, "", "socket.gethostname", "airflow.utils.net.get_host_ip_address"])
def test_a_beat_is_looked_for_under_the_name_that_airflow_notes(
    named: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "localhost")
    monkeypatch.delenv("AIRFLOW__CORE__HOSTNAME_CALLABLE", raising=False)
    # In a container, both functions return the same name. On this machine they may not, so one stands for both.
    monkeypatch.setattr(socket, "getfqdn", getfqdn.__wrapped__)
    if named is not None:
        monkeypatch.setenv("AIRFLOW__CORE__HOSTNAME_CALLABLE", named)
    noted = (
        getattr(import_module(named.rpartition(".")[0]), named.rpartition(".")[2])() if named else getfqdn.__wrapped__()
    )
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql+psycopg2://a:b@c/d")
    for host, code in ((noted, 0), ("another", 1)):
        monkeypatch.setattr("psycopg2.connect", lambda *_, host=host, **__: Asked(host))
        monkeypatch.setattr("sys.argv", ["heartbeat.py", "TriggererJob"])
        assert heartbeat.main() == code


def test_no_password_is_in_the_command_line_of_a_health_check() -> None:
    for name, service in SERVICES.items():
        line = str(service.get("healthcheck", {}).get("test", ""))
        # An assignment before a command is in the environment of the command, not among its arguments.
        assert not re.search(r"PASSWORD|SECRET|BROKER_URL", re.sub(r"\w+=\"\$\$\w+\" ", "", line)), name


def environment_of_init(*, demo: bool) -> dict[str, str]:
    """What `init` gets with a fresh `.env`."""
    given = values(render(TEMPLATE.read_text(), demo=demo))
    return {name: value for name, value in given.items() if name in SERVICES["init"]["environment"]}


FERNET = new_fernet_key()
OWN_KEY = {"LEARNOSITY_CONSUMER_KEY": "k" * 16, "LEARNOSITY_CONSUMER_SECRET": "s" * 40}


@pytest.mark.parametrize(("demo", "url"), [(False, "https://data.learnosity.com"), (True, "http://simulator:8500")])
def test_the_connection_to_learnosity_is_one_that_the_hook_accepts(demo: bool, url: str) -> None:
    env = environment_of_init(demo=demo) | {"LEARNOSITY_CONSUMER_KEY": "k" * 16, "LEARNOSITY_CONSUMER_SECRET": 's"\\'}
    fields = wanted(env)["connections"]["learnosity_default"]
    assert fields.pop("conn_type") == "learnosity"
    assert fields["port"] is not None, "the Test button needs it"
    assert fields.pop("password") == 's"\\', "every character arrives as it is"
    assert build_config("learnosity_default", password="s" * 40, **fields).base_url == url


def test_each_field_of_the_connection_has_a_setting() -> None:
    more = {
        "LEARNOSITY_VERSION": "v2025.3.LTS",
        "LEARNOSITY_ORGANISATION_ID": "17",
        "LEARNOSITY_REPORTS_URL": "https://reports-ie.learnosity.com",
        "LEARNOSITY_EXTRA": '{"timeout": 90}',
    }
    fields = wanted(environment_of_init(demo=False) | OWN_KEY | more)["connections"]["learnosity_default"]
    config = build_config("learnosity_default", **{key: each for key, each in fields.items() if key != "conn_type"})
    assert (config.version, config.organisation_id, config.timeout) == ("v2025.3.LTS", 17, 90)
    assert fields["extra"]["reports_url"] == "https://reports-ie.learnosity.com"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        *(({"LEARNOSITY_URL": url}, "LEARNOSITY_URL") for url in ("", "data.learnosity.com", "ftp://x", "https://")),
        *(({"LEARNOSITY_URL": url}, "LEARNOSITY_URL") for url in ("https://x:99999", "https://[::1", "https://x/?a")),
        ({"LEARNOSITY_URL": "https://x/v1"}, "LEARNOSITY_URL"),
        ({"LEARNOSITY_CONSUMER_SECRET": ""}, "LEARNOSITY_CONSUMER_SECRET"),
        ({"LEARNOSITY_ORGANISATION_ID": "my bank"}, "LEARNOSITY_ORGANISATION_ID"),
        ({"LEARNOSITY_ALLOW_HTTP": "perhaps"}, "LEARNOSITY_ALLOW_HTTP"),
        ({"LEARNOSITY_EXTRA": "[1]"}, "LEARNOSITY_EXTRA"),
        ({"LEARNOSITY_EXTRA": "{"}, "LEARNOSITY_EXTRA"),
        ({"S3_LANDING_SECRET_KEY": ""}, "S3_LANDING_SECRET_KEY"),
        ({"S3_AIRFLOW_ACCESS_KEY": ""}, "S3_AIRFLOW_ACCESS_KEY"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_not_quoted(changed: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named) as raised:
        wanted(environment_of_init(demo=True) | changed)
    secrets = [value for name, value in environment_of_init(demo=True).items() if SECRET.search(name)]
    assert [each for each in ("my bank", "perhaps", *secrets) if each in str(raised.value)] == []
    # `make compose-env` names the same setting, before anything is started. But it accepts an empty LEARNOSITY_URL, for
    # which docker-compose.yaml has a default.
    said = problems(settings(render(TEMPLATE.read_text(), demo=True)) | changed)
    assert changed == {"LEARNOSITY_URL": ""} or [named in each for each in said] == [True]


@pytest.mark.parametrize(
    ("given", "extra", "called"),
    [
        ({}, {"timeout": 60}, "https://data.learnosity.com"),
        *(
            (url, {"region": "ie", "timeout": 60}, "https://data-ie.learnosity.com")
            for url in (
                {},
                {"LEARNOSITY_URL": ""},
                {"LEARNOSITY_URL": "https://data.learnosity.com/"},
                {"LEARNOSITY_URL": "https://data.learnosity.com:443"},
                {"LEARNOSITY_URL": "https://data-ie.learnosity.com"},
            )
        ),
        ({"LEARNOSITY_URL": "https://data-au.learnosity.com"}, {"region": "ie"}, "https://data-au.learnosity.com"),
        ({"LEARNOSITY_URL": "http://127.0.0.1:8500"}, {"region": "ie"}, "http://127.0.0.1:8500"),
    ],
)
def test_a_region_counts_unless_another_address_is_given(
    given: dict[str, str], extra: dict[str, Any], called: str
) -> None:
    """The example of `.env.example` is among them."""
    all_given = values(render(TEMPLATE.read_text())) | OWN_KEY | given | {"LEARNOSITY_EXTRA": json.dumps(extra)}
    assert problems(all_given) == []
    env = read_services(REPOSITORY, all_given)["init"].environment
    fields = wanted(env)["connections"]["learnosity_default"]
    assert fields["port"] is not None, "the Test button needs it"
    assert build_config("x", **{key: each for key, each in fields.items() if key != "conn_type"}).base_url == called


def test_without_keys_the_machines_own_identity_is_used_and_without_an_address_aws() -> None:
    role = "arn:aws:iam::123456789012:role/landing"
    empty = dict.fromkeys(("S3_LANDING_ACCESS_KEY", "S3_LANDING_SECRET_KEY", "S3_ENDPOINT"), "")
    made = wanted(environment_of_init(demo=True) | empty | {"S3_LANDING_ROLE_ARN": role})["connections"]
    assert made["aws_landing"] == {"conn_type": "aws", "extra": {"region_name": "us-east-1", "role_arn": role}}
    assert made["aws_airflow"]["login"]


@pytest.mark.parametrize("keys", [("", ""), ("key", "secret")])
def test_the_input_of_the_demo_is_written_with_the_keys_or_with_the_machines_identity(
    keys: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = values(render(TEMPLATE.read_text(), demo=True)) | {"S3_ENDPOINT": "https://s3.example.com"}
    given |= dict(zip(("S3_LANDING_ACCESS_KEY", "S3_LANDING_SECRET_KEY"), keys, strict=True))
    for name, value in read_services(REPOSITORY, given)["demo-input"].environment.items():
        monkeypatch.setenv(name, value)
    used = {value for name, value in landing_store().config.items() if "access_key" in name}
    assert used == ({"key", "secret"} if keys[0] else set())


PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=60)


@settings_of_hypothesis(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=PRINTABLE)
@example(secret="".join(map(chr, range(32, 127))))
def test_the_store_takes_a_key_of_any_printable_characters(secret: str, tmp_path: Path) -> None:
    server = tmp_path / "weed"
    if not server.exists():
        server.write_text('#!/bin/sh\ncat "$TMPDIR/identities.json"\n')
        server.chmod(0o755)
    env = values(render(TEMPLATE.read_text())) | {"WEED": str(server), "TMPDIR": str(tmp_path), "PATH": os.defpath}
    script = REPOSITORY / "compose" / "s3.sh"
    done = subprocess.run(["sh", script], env=env | {"S3_LANDING_SECRET_KEY": secret}, capture_output=True, check=True)
    identities = {each["name"]: each for each in json.loads(done.stdout)["identities"]}
    assert identities["landing"]["credentials"][0]["secretKey"] == secret


# Lists, makes and refuses buckets with the words of SeaweedFS 4.48, and ends with 0 whatever it says. It prints its
# prompt before each command and at the end of its input, as some releases do.
WEED = """#!/bin/sh
printf '%s' "$PROMPT"
read -r command _ name
case "$command" in
  s3.bucket.list) while read -r each; do printf '  %s\\tsize:0\\tlogical:0\\tchunk:0\\n' "$each"; done < "$BUCKETS" ;;
  *) echo "create bucket under /buckets"
     case "$name" in
       *[!a-z0-9.-]*) echo "error: bucket name can only contain lower case characters, numbers, dots, and hyphens" ;;
       *) echo "created bucket $name"; echo "$name" >> "$BUCKETS" ;;
     esac ;;
esac
printf '%s' "$PROMPT"
"""


@pytest.mark.parametrize("prompt", ["", "> ", "> > "])
@pytest.mark.parametrize(
    ("there", "wanted_buckets", "made"),
    [
        ([], ("learnosity", "airflow"), ["learnosity", "airflow"]),
        (["airflow", "learnosity"], ("learnosity", "airflow"), []),
        (["airflow"], ("learnosity", "airflow"), ["learnosity"]),
        (["learnosity-airflow", "airflow-old", "my.airflow"], ("learnosity", "airflow"), ["learnosity", "airflow"]),
        (["airflowx", "size:0"], ("a.rflow", "airflow"), ["a.rflow", "airflow"]),
        ([], ("one", "one"), ["one"]),
        ([], ("Learnosity", "airflow"), None),
        ([], ("learnosity", "air_flow"), None),
    ],
)
def test_each_bucket_is_there_afterwards_or_the_one_shot_fails(
    there: list[str], wanted_buckets: tuple[str, str], made: list[str] | None, prompt: str, tmp_path: Path
) -> None:
    server, buckets = tmp_path / "weed", tmp_path / "buckets"
    server.write_text(WEED)
    server.chmod(0o755)
    buckets.write_text("".join(f"{each}\n" for each in there))
    env = {"WEED": str(server), "BUCKETS": str(buckets), "PROMPT": prompt, "PATH": os.defpath}
    env |= dict(zip(("S3_LANDING_BUCKET", "S3_AIRFLOW_BUCKET"), wanted_buckets, strict=True))
    script = REPOSITORY / "compose" / "s3-buckets.sh"
    done = subprocess.run(["sh", script], env=env, capture_output=True, text=True, check=False)
    if made is None:
        assert done.returncode == 1
        assert "could not be made" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert buckets.read_text().split() == [*there, *made]


def test_no_secret_is_an_argument_of_a_program() -> None:
    script = (REPOSITORY / "compose" / "init.sh").read_text().replace("\\\n", " ")
    secret = re.compile(r"\$\{?[A-Z0-9_]*(PASSWORD|SECRET|_KEY)")
    # `printf` is a part of the shell and no process.
    found = [line for line in script.splitlines() if secret.search(line) and not line.startswith("printf ")]
    assert found == []


def test_the_one_shot_gives_the_permission_that_the_tab_needs() -> None:
    script = (REPOSITORY / "compose" / "init.sh").read_text()
    assert "airflow roles add-perms Viewer User --action can_read --resource Plugins" in script


@pytest.mark.parametrize(
    ("admin", "code", "made"),
    [
        (0, 0, ["db migrate", "roles add-perms", "pools set"]),
        (OTHER_AUTH_MANAGER, 0, ["db migrate", "pools set"]),
        (1, 1, ["db migrate"]),
        (2, 2, ["db migrate"]),
    ],
)
def test_the_one_shot_makes_no_roles_where_the_users_are_not_fabs(
    tmp_path: Path, admin: int, code: int, made: list[str]
) -> None:
    shutil.copy(REPOSITORY / "compose" / "init.sh", tmp_path)
    programs = {
        "python": f'case "$1" in */admin.py) exit {admin};; */seeding.py) cat >/dev/null;; esac',
        "airflow": f'echo "$1 $2" >>{tmp_path}/made',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(["bash", tmp_path / "init.sh"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert done.returncode == code
    assert (tmp_path / "made").read_text().splitlines() == made


class OwnFab(FabAuthManager):
    """An auth manager that a team made of FAB's."""


class OwnUsers(SimpleAuthManager):
    """One that has nothing of FAB."""


@pytest.mark.parametrize("manager", [FabAuthManager, OwnFab, SimpleAuthManager, OwnUsers])
def test_an_administrator_is_made_for_fab_alone(
    manager: type, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", f"{manager.__module__}.{manager.__qualname__}")
    made: list[str] = []
    monkeypatch.setattr("compose.admin.make_administrator", lambda: made.append("admin"))
    if issubclass(manager, FabAuthManager):
        assert (admin_main(), made) == (0, ["admin"])
    else:
        assert (admin_main(), made) == (OTHER_AUTH_MANAGER, [])
        said = capsys.readouterr().out
        assert manager.__qualname__ in said
        assert "no administrator is made" in said


def test_nothing_secret_has_a_default_in_the_file() -> None:
    secret = re.compile(r"\$\{([A-Z0-9_]*(?:PASSWORD|SECRET|_KEY)[A-Z0-9_]*):-[^}$]")
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
    required = {match[1] for match in VARIABLE.finditer(TEXT) if "-" not in match[0]}
    assert required <= known


def test_the_file_is_for_its_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "env"
    assert main(["--output", str(target)]) == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    before = target.read_text()
    assert main(["--output", str(target)]) == 1
    assert target.read_text() == before


def test_one_message_names_all_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "env"
    target.write_text("LEARNOSITY_CONSUMER_KEY=a\nCOMPOSE_PROFILES=s3\nS3_LANDING_ACCESS_KEY=b\n")
    assert main(["--output", str(target)]) == 1
    said = capsys.readouterr().err
    needed = set(re.findall(r"\$\{([A-Z0-9_]+):\?", TEXT)) - {"LEARNOSITY_CONSUMER_KEY"}
    assert [name for name in (*needed, "S3_LANDING_SECRET_KEY", "S3_ADMIN_ACCESS_KEY") if name not in said] == []
    assert "LEARNOSITY_CONSUMER_KEY is" not in said


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("LEARNOSITY_CONSUMER_SECRET= # from Console", "LEARNOSITY_CONSUMER_SECRET is missing"),
        ("AIRFLOW_ADMIN_PASSWORD=abc$def", "AIRFLOW_ADMIN_PASSWORD has a $"),
        ("POSTGRES_PASSWORD='p@ss/w0rd#1'", "POSTGRES_PASSWORD is a part of an address"),
    ],
)
def test_a_file_that_compose_reads_otherwise_is_not_complete(
    line: str, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "env"
    assert main(["--demo", "--output", str(target)]) == 0
    target.write_text(f"{target.read_text()}{line}\n")
    assert main(["--output", str(target)]) == 1
    said = capsys.readouterr().err
    assert named in said
    assert line.partition("=")[2] not in said


def test_a_file_that_was_copied_by_hand_is_not_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its keys and passwords are known to everybody."""
    target = tmp_path / "env"
    target.write_text(TEMPLATE.read_text() + "".join(f"{name}={value}\n" for name, value in OWN_KEY.items()))
    assert main(["--output", str(target)]) == 1
    (said,) = capsys.readouterr().err.splitlines()[1:]
    copied = {name for name, value in values(TEMPLATE.read_text()).items() if value.startswith("<")}
    assert {each.strip() for each in said.partition(":")[0].split(",")} == copied
    other = tmp_path / "other"
    assert main(["--output", str(other)]) == 0
    target.write_text(other.read_text() + "".join(f"{name}={value}\n" for name, value in OWN_KEY.items()))
    assert main(["--output", str(target)]) == 0


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_file_with_variables_and_values_of_several_lines_is_complete(mark: str, tmp_path: Path) -> None:
    target = tmp_path / "env"
    given = settings(render(TEMPLATE.read_text(), demo=True))
    own = {"SITE": "example.com", "AIRFLOW_ADDRESS": "https://airflow.${SITE}", "BELOW": "/a", "AIRFLOW_PATH": "$BELOW"}
    own |= {"LEARNOSITY_EXTRA": "'{\n  \"timeout\": 60\n}'", "S3_ENDPOINT": "http://${STORE:-s3}:8333"}
    lines = [f"{name}={value}\n" for name, value in (own | given | own).items()]
    target.write_text(mark + "".join(lines))
    assert main(["--output", str(target)]) == 0
    assert settings(target.read_text(encoding="utf-8-sig"))["AIRFLOW_ADDRESS"] == "https://airflow.example.com"


def test_a_complete_file_is_said_to_be_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "env"
    assert main(["--demo", "--output", str(target)]) == 0
    assert main(["--output", str(target)]) == 0
    assert "It is complete" in capsys.readouterr().out


NO_ADDRESSES = (
    *("airflow.example.com", "airflow.example.com:8080", "//airflow.example.com", "127.0.0.1:8080", "/airflow"),
    *("https://airflow.example.com/airflow", "https://airflow.example.com/airflow/", "https://airflow.example.com//"),
    *(
        "https://",
        "https:///",
        "https:airflow.example.com",
        "ftp://airflow.example.com",
        "https://air flow.example.com",
    ),
    *("https://airflow.example.com?a=b", "https://airflow.example.com#a", "https://airflow.example.com:port"),
    *("https://[::1", "https://airflow.example.com:"),
)


@pytest.mark.parametrize(
    "changed",
    [
        *(
            {"AIRFLOW_ADDRESS": f"{scheme}://{host}", "AIRFLOW_PATH": path}
            for scheme in ("http", "https", "HTTPS")
            for host in ("airflow.example.com", "airflow:8443", "127.0.0.1", "10.0.0.1:80", "[::1]:8080", "[fd00::1]")
            for path in ("", "/airflow", "/a/b")
        ),
        {"AIRFLOW_ADDRESS": "https://airflow.example.com/"},  # the slash does no harm, because AIRFLOW_PATH is empty
        {"AIRFLOW_ADDRESS": "unused", "AIRFLOW__API__BASE_URL": "https://airflow.example.com"},
        {"AIRFLOW__API__BASE_URL": "https://airflow.example.com/"},
        *(
            {"AIRFLOW__API__BASE_URL": f"https://airflow.example.com:8443{path}{end}", "AIRFLOW_PATH": path}
            for path in ("/airflow", "/a/b")
            for end in ("", "/")
        ),
    ],
)
def test_an_address_that_airflow_can_have_is_taken(changed: dict[str, str]) -> None:
    # Airflow serves all of its paths below that of its address: the execution API of the workers, and its health.
    services = read_services(REPOSITORY, settings(render(TEMPLATE.read_text(), demo=True)) | changed)
    told = services["worker"].environment
    below = urlsplit(told["AIRFLOW__API__BASE_URL"]).path.rstrip("/")
    assert urlsplit(told["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]).path == f"{below}/execution/"
    assert problems(settings(render(TEMPLATE.read_text(), demo=True)) | changed) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"COMPOSE_PROFILES": ""}, "S3_ENDPOINT"),
        ({"S3_ENDPOINT": "https://s3.example.com"}, "COMPOSE_PROFILES"),
        ({"S3_LANDING_SECRET_KEY": ""}, "S3_LANDING_SECRET_KEY"),
        ({"S3_AIRFLOW_SECRET_KEY": "", "S3_AIRFLOW_ACCESS_KEY": ""}, "S3_AIRFLOW_ACCESS_KEY"),
        ({"S3_ENDPOINT": "s3.example.com:9000", "COMPOSE_PROFILES": ""}, "S3_ENDPOINT is"),
        ({"S3_ENDPOINT": "http://s3:8333/", "COMPOSE_PROFILES": ""}, "COMPOSE_PROFILES does not name"),
        ({"S3_ENDPOINT": "", "COMPOSE_PROFILES": "*"}, "take s3 out"),
        *(({"AIRFLOW_FERNET_KEY": key}, "AIRFLOW_FERNET_KEY is") for key in ("a", "a" * 64, f"{FERNET},", "ü")),
        ({"AIRFLOW__CORE__FERNET_KEY": "a"}, "AIRFLOW_FERNET_KEY is"),
        *(({"LEARNOSITY_API_SLOTS": slots}, "LEARNOSITY_API_SLOTS") for slots in ("many", "8.5")),
        *(
            ({"AIRFLOW__API__BASE_URL": f"https://airflow.example.com{of_url}", "AIRFLOW_PATH": path}, "AIRFLOW_PATH")
            for of_url, path in (("/airflow", ""), ("/airflow/", "/b"), ("", "/airflow"), ("/a/b", "/b"))
        ),
        *(
            ({proxy: "http://proxy:3128", "NO_PROXY": exceptions}, "NO_PROXY must also name api-server and s3")
            for proxy in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
            for exceptions in ("localhost", "localhost,s3", "api-server", ".example.com")
        ),
        ({"AIRFLOW_PATH": "airflow"}, "AIRFLOW_PATH"),
        ({"AIRFLOW_PATH": "/airflow/"}, "AIRFLOW_PATH"),
        *(({"AIRFLOW_ADDRESS": address}, "AIRFLOW_ADDRESS is") for address in NO_ADDRESSES),
        *(
            ({"AIRFLOW_ADDRESS": address, "AIRFLOW_PATH": "/airflow"}, "AIRFLOW_ADDRESS is")
            for address in [*NO_ADDRESSES, "https://airflow.example.com/", "http://127.0.0.1:8080/"]
        ),
    ],
)
def test_settings_that_contradict_each_other_are_named(changed: dict[str, str], said: str) -> None:
    given = settings(render(TEMPLATE.read_text(), demo=True))
    assert problems(given) == []
    (problem,) = problems(given | changed)
    assert said in problem


@pytest.mark.parametrize(
    "changed",
    [
        {"COMPOSE_PROFILES": "*"},
        {"COMPOSE_PROFILES": " s3 , metrics "},
        {"S3_ENDPOINT": "http://s3:8333/"},
        {"S3_ENDPOINT": "https://s3.example.com/storage/v1/s3", "COMPOSE_PROFILES": "metrics"},
        {"S3_ENDPOINT": "HTTPS://s3.example.com", "COMPOSE_PROFILES": ""},
        {"AIRFLOW_FERNET_KEY": f"{FERNET},{FERNET}"},
        {"AIRFLOW_FERNET_KEY": f"{FERNET}, {FERNET}"},
        {"AIRFLOW_FERNET_KEY": "unused", "AIRFLOW__CORE__FERNET_KEY": FERNET},
        {"LEARNOSITY_API_SLOTS": "-1"},
        {"LEARNOSITY_API_SLOTS": ""},
        {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "localhost"},  # the stack speaks plain http with itself
        {"HTTP_PROXY": "http://proxy:3128"},
        {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": ""},
        {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "*"},
        {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "localhost, api-server:8080, s3"},
        {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "api-server", "S3_ENDPOINT": "", "COMPOSE_PROFILES": ""},
    ],
)
def test_other_settings_that_work_are_complete(changed: dict[str, str]) -> None:
    assert problems(settings(render(TEMPLATE.read_text(), demo=True)) | changed) == []


@pytest.mark.parametrize("proxy", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_no_proxy_is_asked_for_what_the_stack_asks_of_itself(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    given = settings(render(TEMPLATE.read_text(), demo=True)) | {proxy: "http://proxy:3128"}
    told = read_services(REPOSITORY, given)["worker"].environment
    for name, value in told.items():
        if name.lower().endswith("_proxy"):
            monkeypatch.setenv(name, value)
    inside = (told["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"], given["S3_ENDPOINT"], given["LEARNOSITY_URL"])
    for url in inside:
        assert proxy_bypass(urlsplit(url).hostname or "")
        assert Egress().proxy_for(url) is None
    assert Egress().proxy_for("http://elsewhere.example.com") == "http://proxy:3128"


def works_in_addresses(password: str) -> bool:
    """Whether all that read the addresses of the stack find the password in them, and so does the broker."""
    database, broker = (f"{scheme}:{password}@there" for scheme in ("postgresql://airflow", "redis://"))
    try:
        read = [
            (make_url(f"{database}/airflow").password, make_url(f"{database}/airflow").host),
            (urlsplit(f"{database}/airflow").password, urlsplit(f"{database}/airflow").hostname),
            tuple(parse_dsn(f"{database}/airflow")[each] for each in ("password", "host")),
            tuple(parse_url(f"{broker}:6379/0")[each] for each in ("password", "hostname")),
        ]
    except Exception:  # each of them has errors of its own
        return False
    # Valkey reads a line of words, which may be quoted; Celery takes a list of addresses apart at each semicolon.
    return set(read) == {(password, "there")} and not set(password) & set(" \"'\\;")


@pytest.mark.parametrize("name", IN_ADDRESSES)
@pytest.mark.parametrize("pattern", ["a{}b", "{}b", "a{}", "a{}41"])
def test_a_password_that_cannot_stand_in_an_address_is_named(name: str, pattern: str) -> None:
    complete = settings(render(TEMPLATE.read_text(), demo=True))
    for letter in map(chr, range(32, 127)):
        password = pattern.format(letter)
        found = problems(complete | {name: password})
        if not works_in_addresses(password):
            assert [each.partition(" ")[0] for each in found] == [name], password
        elif letter not in "#%/?@[]":  # refused always, also where it happens to do no harm
            assert found == [], password
        # With addresses of other servers (`own`), the passwords of the stack are in no address, so any letter is taken.
        # But the valkey of the stack still reads VALKEY_PASSWORD from its configuration, as one word.
        own = dict.fromkeys(IN_ADDRESSES[name], "redis://db.example.com")
        found = problems(complete | own | {name: password})
        assert len(found) == (name == "VALKEY_PASSWORD" and letter in " \"'"), password


def test_a_store_of_ones_own_needs_neither_keys_nor_the_profile() -> None:
    own = {"COMPOSE_PROFILES": "", "S3_ENDPOINT": "", "S3_ADMIN_ACCESS_KEY": ""}
    keys = {name: "" for name in values(TEMPLATE.read_text()) if name.startswith(("S3_LANDING", "S3_AIRFLOW"))}
    assert problems(settings(render(TEMPLATE.read_text(), demo=True)) | own | keys) == []


def test_the_admins_password_of_env_counts_when_it_changes_and_only_then() -> None:
    noted = generate_password_hash("first")
    assert decide("first", None, exists=False) is Step.CREATE
    assert decide("first", noted, exists=True) is Step.KEEP, "one that was changed in the UI is kept"
    assert decide("second", noted, exists=True) is Step.RESET
    assert decide("second", None, exists=True) is Step.KEEP, "it may be a person's choice"
