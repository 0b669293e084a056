"""deploy/: the values for the Helm chart name what the chart and Airflow know, and fit the image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from airflow.configuration import conf

from devstack.certificate import make_certificate
from devstack.proxy import configuration

REPOSITORY = Path(__file__).resolve().parents[2]
TEXT = (REPOSITORY / "deploy" / "values.yaml").read_text()
VALUES: dict[str, Any] = yaml.safe_load(TEXT)
# Of each value: the types that the chart's schema gives it.
SCHEMA: dict[str, list[str]] = {
    name: types.split("|")
    for name, _, types in (
        line.partition(" ")
        for line in Path(__file__).with_name("chart_keys.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
}
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
ROLE = "eks.amazonaws.com/role-arn"


TYPES = {bool: "boolean", int: "integer", str: "string", dict: "object", type(None): "null"}


def named(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each value's name and type, as the list of the schema has them."""
    below = f"{path}.*".lstrip(".")
    if isinstance(value, list):
        for each in value:
            yield from named(each, f"{path}[]")
    elif isinstance(value, dict) and below in SCHEMA:
        for each in value.values():
            yield below, TYPES[type(each)]
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from named(each, f"{path}.{key}".lstrip("."))
    else:
        yield path, TYPES[type(value)]


def test_every_value_is_one_of_the_charts_and_the_list_holds_no_other() -> None:
    assert sorted({name for name, _ in named(VALUES)}) == sorted(SCHEMA)
    assert "1.22.0" in TEXT.partition("\n")[0]


def test_every_value_has_a_type_that_the_chart_takes() -> None:
    assert [(name, kind) for name, kind in named(VALUES) if kind not in SCHEMA[name]] == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("triggerer: {replicas: '2'}", "triggerer.replicas"),
        ("defaultAirflowTag: 1", "defaultAirflowTag"),
        ("workers: {replicas: 2}", "workers.replicas"),
    ],
)
def test_a_wrong_type_and_an_unknown_name_are_noticed(text: str, wrong: str) -> None:
    found = [name for name, kind in named(yaml.safe_load(text)) if kind not in SCHEMA.get(name, [])]
    assert found == [wrong]


@pytest.mark.parametrize(
    ("section", "option"), [(section, option) for section, given in VALUES["config"].items() for option in given]
)
def test_every_setting_is_one_of_airflows(section: str, option: str) -> None:
    # What providers add is only known where they are loaded.
    provided = {("celery", "worker_concurrency"), ("celery", "worker_prefetch_multiplier")}
    assert (section, option) in provided or option in conf.configuration_description[section]["options"]


def test_the_image_leaves_the_places_of_the_charts_configuration_alone() -> None:
    assert "AIRFLOW_CONFIG" not in DOCKERFILE, "the chart's airflow.cfg would never be read"
    assert "/opt/airflow/airflow.cfg" in DOCKERFILE
    assert "airflow_local_settings.py /opt/airflow/config/" in DOCKERFILE
    assert VALUES["airflowLocalSettings"] is None, "the chart would mount its own over the policy"


def test_the_version_is_that_of_the_image() -> None:
    assert f"apache/airflow:{VALUES['airflowVersion']}-" in DOCKERFILE


def test_workers_api_server_and_triggerer_have_a_role() -> None:
    for part in (VALUES["apiServer"], VALUES["scheduler"], VALUES["triggerer"], VALUES["workers"]["celery"]):
        assert part["serviceAccount"]["annotations"][ROLE]


def test_inputs_are_spooled_on_a_volume_with_a_limit() -> None:
    celery = VALUES["workers"]["celery"]
    (mount,) = celery["extraVolumeMounts"]
    (volume,) = celery["extraVolumes"]
    assert mount["mountPath"] == next(each["value"] for each in VALUES["env"] if each["name"] == "TMPDIR")
    assert volume["name"] == mount["name"]
    assert volume["emptyDir"]["sizeLimit"]
    assert celery["persistence"]["enabled"] is False


def test_every_part_is_confined_and_limited() -> None:
    assert VALUES["securityContexts"]["pod"]["runAsNonRoot"] is True
    assert VALUES["securityContexts"]["containers"]["capabilities"] == {"drop": ["ALL"]}
    assert VALUES["networkPolicies"]["enabled"] is True
    ingress, own = VALUES["apiServer"]["networkPolicy"]["ingress"]["from"]
    assert "namespaceSelector" in ingress
    assert own["podSelector"]["matchLabels"]["release"] == "airflow", "the workers' calls of the execution API"
    assert VALUES["statsd"]["securityContexts"]["pod"]["runAsNonRoot"] is True
    parts = [VALUES[name] for name in ("apiServer", "scheduler", "dagProcessor", "triggerer")]
    for part in [*parts, VALUES["workers"]["celery"]]:
        assert part["resources"]["limits"]["memory"]
        assert part["resources"]["requests"]["cpu"]


def test_nobody_gets_in_with_a_password_that_is_the_same_everywhere() -> None:
    assert VALUES["createUserJob"] == {"enabled": False}, "the chart's own makes admin with the password admin"


def test_the_api_server_reads_logs_of_tasks_that_run() -> None:
    policy = yaml.safe_load((REPOSITORY / "deploy" / "network-policy.yaml").read_text())
    (rule,) = policy["spec"]["ingress"]
    assert rule["from"][0]["podSelector"]["matchLabels"]["component"] == "api-server"
    wanted = {"AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT", "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT"}
    ports = {conf.getint("logging", name.rpartition("__")[2].lower()) for name in wanted}
    assert {each["port"] for each in rule["ports"]} == ports
    assert "kubectl apply --filename deploy/network-policy.yaml" in TEXT


def test_the_commands_do_what_init_does_in_the_compose_stack() -> None:
    once = (REPOSITORY / "compose" / "init.sh").read_text()
    told = "\n".join(line for line in TEXT.splitlines() if line.startswith("#   kubectl exec"))
    for command in (
        "airflow roles add-perms Viewer User --action can_read --resource Plugins",
        "airflow pools set learnosity_api",
    ):
        assert command in once
        assert command in told
    assert "airflow users create --role Admin" in told, "admin.py"


def test_a_chart_is_installed_from_a_repository_that_was_added() -> None:
    (added,) = re.findall(r"^#   helm repo add (\S+) https://", TEXT, re.MULTILINE)
    assert re.findall(r"^#   helm install \S+ (\S+)/airflow ", TEXT, re.MULTILINE) == [added]
    assert TEXT.index("helm repo add") < TEXT.index("helm install")


def test_every_secret_that_is_named_is_made_by_a_command() -> None:
    names = {
        *(VALUES[each] for each in ("fernetKeySecretName", "jwtSecretName", "apiSecretKeySecretName")),
        *VALUES["data"].values(),
        *(each["secretRef"]["name"] for each in yaml.safe_load(VALUES["extraEnvFrom"])),
    }
    assert names == {line.split()[5] for line in TEXT.splitlines() if line.startswith("#   kubectl create secret")}


def test_no_secret_is_in_a_command_line() -> None:
    made = [line for line in TEXT.splitlines() if line.startswith("#   kubectl create secret")]
    assert [line for line in made if not re.search(r" --from-env-file=\w+\.env +#", line)] == []
    files = [re.findall(r"--from-env-file=(\S+)", line) for line in made]
    assert len({file for (file,) in files}) == len(made)


def test_the_key_that_signs_tokens_gets_to_no_pod_but_by_the_chart() -> None:
    """The chart 1.22.0 gives it to API server and scheduler alone, as long as nothing else names it."""
    assert [line for line in TEXT.splitlines() if "jwt" in line.lower() and not line.startswith("#")] == [
        "jwtSecretName: airflow-jwt-secret"
    ]
    assert "enableBuiltInSecretEnvVars" not in VALUES
    assert "api_auth" not in VALUES["config"]
    # What every pod gets are settings without a secret, and connections.
    assert {each["name"] for each in VALUES["env"]} == {"AIRFLOW_VAR_LEARNOSITY_DESTINATION_URI", "TMPDIR"}
    assert [each["secretRef"]["name"] for each in yaml.safe_load(VALUES["extraEnvFrom"])] == ["airflow-connections"]


def test_no_value_is_a_secret() -> None:
    assert not [line for line in TEXT.splitlines() if "password" in line.lower() and not line.startswith("#")]


def test_nginx_gets_the_values_of_this_machine_in_the_lines_that_are_to_be_changed(tmp_path: Path) -> None:
    text = configuration(tmp_path, port=8443, upstream="127.0.0.1:9999", tls=make_certificate(tmp_path))
    assert "listen 127.0.0.1:8443 ssl;" in text
    assert not [line for line in text.splitlines() if "example.com" in line and not line.lstrip().startswith("#")]


@pytest.mark.parametrize("path", ["/airflow", "/b", "/tools/airflow2"])
def test_another_path_takes_the_place_of_this_one_in_all_lines(path: str) -> None:
    """With the replacement of an editor, nothing else may change: `http://airflow` has the path in it, too."""
    text = (REPOSITORY / "deploy" / "nginx.conf").read_text().partition("\nworker_processes")[2]
    changed = text.replace("/airflow", path)
    assert re.findall(r"location (?:= )?(\S+) ", changed) == ["/", f"{path}/execution/", f"{path}/"]
    (upstream,) = re.findall(r"upstream (\S+) ", changed)
    assert re.findall(r"proxy_pass (\S+);", changed) == [f"http://{upstream}"]
