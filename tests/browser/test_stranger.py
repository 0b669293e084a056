"""A stranger's path: an empty clone, README's lines for a team, a store of one's own, TLS, a path, metrics.

Instead of `docker compose up`, the stack of docker-compose.yaml runs as plain processes (`compose/plain.py`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import obstore
import pytest
from playwright.sync_api import expect

from compose.plain import PlainStack, start_store
from compose.proof.deployment import Deployment
from compose.proof.teams import SECRET, quoted
from devstack.browser import INSTALL_HINT, Ui, browser, find_browser
from devstack.environment import REPOSITORY, inherited_environment
from devstack.landed import LandedDataset, paths
from devstack.ports import LOOPBACK, free_ports
from devstack.proxy import INSTALL_HINT as NO_NGINX
from devstack.proxy import PATH, find_nginx, start_proxy
from devstack.samples import DAG_ID, group_conf
from devstack.seaweedfs import SeaweedFS
from devstack.secrets import KeyPair
from devstack.simulator import Simulator
from simulator.population import records
from tests.integration.statsd import Statsd

pytestmark = [pytest.mark.integration, pytest.mark.slow]

README = (REPOSITORY / "README.md").read_text()
RUN_SECONDS = 400.0
COMMAND_SECONDS = 120.0
OWN = {"S3_LANDING_BUCKET": "school-data", "S3_AIRFLOW_BUCKET": "airflow-logs"}


@dataclass(frozen=True)
class Site:
    """What the stranger has."""

    clone: Path
    stack: PlainStack
    store: SeaweedFS
    metrics: Statsd
    address: str
    certificate: Path


def shell(text: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """A line in the stranger's shell, which knows nothing of this repository's environment."""
    environment = inherited_environment() | more
    return subprocess.run(
        ["bash", "-euc", text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


def for_a_team() -> list[str]:
    """The commands of README's paragraph for a team, in their order."""
    paragraph = README.partition("For a team: ")[2].partition("\n\n")[0]
    return [each for each in re.findall(r"`([^`]+)`", paragraph) if each.startswith(("make compose-env", "docker "))]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    for found, hint in ((find_browser(), INSTALL_HINT), (find_nginx(), NO_NGINX), (shutil.which("curl"), "no curl")):
        if found is None:
            pytest.skip(hint)
    root = tmp_path_factory.mktemp("stranger")
    clone = root / "clone"
    subprocess.run(["git", "clone", "--quiet", REPOSITORY, clone], check=True)
    make_env, up = for_a_team()
    assert (make_env, up) == ("make compose-env", "docker compose up --build --detach")

    # README's first command, while `.env` has no values yet: its message must name what is missing.
    first = shell(make_env, clone)
    assert first.returncode == 0, first.stderr
    assert "LEARNOSITY_CONSUMER_KEY is missing" in first.stderr

    keys = KeyPair("0123456789abcdef", "0123456789abcdef0123456789abcdef01234567")
    learnosity = Simulator.start(root / "learnosity", consumer=keys, job_seconds=2.0, log=root / "learnosity.log")
    port, tls_port = free_ports(2)
    address = f"https://{LOOPBACK}:{tls_port}"
    env_file = clone / ".env"
    settings = Deployment({}, env_file, port)
    # "Put your key set into `.env`", and what docs/operations.md says for a store and a domain of one's own.
    settings.change(
        COMPOSE_PROFILES="",
        LEARNOSITY_CONSUMER_KEY=keys.access_key,
        LEARNOSITY_CONSUMER_SECRET=keys.secret_key,
        LEARNOSITY_URL=learnosity.url,
        LEARNOSITY_REPORTS_URL=f"{learnosity.url}/reports",
        S3_LANDING_SECRET_KEY=quoted(SECRET),
        S3_AIRFLOW_SECRET_KEY=quoted(SECRET[::-1].replace("\\", "")),
        AIRFLOW_PORT=str(port),
        AIRFLOW_ADDRESS=address,
        AIRFLOW_PATH=PATH,
        FORWARDED_ALLOW_IPS="*",
        AIRFLOW_STATSD_ON="true",
        **OWN,
    )
    stack = PlainStack(clone, env_file, root / "data")
    store = proxy = None
    metrics = Statsd()
    metrics.__enter__()
    try:
        # With docker compose, Airflow sends its metrics to a container of the profile `metrics`. Here is no such
        # container, so host and port of the receiver of this test are set in its place.
        where = metrics.airflow_env
        settings.change(**{name: where[name] for name in where if name.endswith(("_HOST", "_PORT"))})
        learnosity.wait_until_ready()
        store = start_store(root / "own-store", settings.settings, root / "own-store.log")
        settings.change(S3_ENDPOINT=store.endpoint)
        again = shell(make_env, clone)
        assert again.returncode == 0, again.stderr
        assert f"It is complete: {up}" in again.stdout
        stack.up()
        proxy = start_proxy(root / "nginx", port=tls_port, upstream=urlsplit(stack.url).netloc)
        certificate = root / "nginx" / "certificate.pem"
        yield Site(clone, stack, store, metrics, f"{address}{PATH}", certificate)
    finally:
        metrics.__exit__()
        for part in (proxy, store, learnosity):
            if part is not None:
                part.stop()
        stack.down()


def test_the_block_of_readme_starts_a_run_through_the_proxy(site: Site) -> None:
    site.stack.api.wait_for_dag(DAG_ID, timeout=240)
    (block,) = re.findall(r"```bash\n(# AIRFLOW and PASSWORD.*?)```", README, re.DOTALL)
    given = {"AIRFLOW": site.address, "PASSWORD": site.stack.settings["AIRFLOW_ADMIN_PASSWORD"]}
    done = shell(block, site.clone, CURL_CA_BUNDLE=os.fspath(site.certificate), **given)
    assert done.returncode == 0, done.stderr
    run_id = json.loads(done.stdout)["dag_run_id"]
    assert site.stack.api.wait_for_run(DAG_ID, run_id, timeout=RUN_SECONDS).state == "success"
    assert LandedDataset.of_run(site.store.store(prefix="datasets"), run_id).problems() == []


def test_a_dataset_lands_in_the_own_store_and_its_page_and_report_open(site: Site) -> None:
    api = site.stack.api
    api.wait_for_dag(DAG_ID, timeout=240)
    lines = (msgspec.json.encode(record) + b"\n" for record in records(200))
    obstore.put(site.store.store(), "input/users.ndjson", b"".join(lines))
    conf = group_conf(f"s3://aws_landing@{OWN['S3_LANDING_BUCKET']}/input/users.ndjson", poll_interval=1)
    run_id = api.trigger(DAG_ID, conf).dag_run_id
    assert api.wait_for_run(DAG_ID, run_id, timeout=RUN_SECONDS).state == "success"
    assert LandedDataset.of_run(site.store.store(prefix="datasets"), run_id).problems() == []
    pools = {each.task_id: each.pool for each in api.task_instances(DAG_ID, run_id)}
    assert pools["create_dataset"] == "learnosity_api", "by the cluster policy, in the pool that init.sh has made"
    given = site.stack.settings
    airflow = KeyPair(given["S3_AIRFLOW_ACCESS_KEY"], given["S3_AIRFLOW_SECRET_KEY"])
    sent = {each.partition("|")[0].partition(",")[0] for each in site.metrics.seen}
    assert {f"airflow.learnosity.{name}" for name in ("api_calls", "landed_files", "datasets_published")} <= sent
    logs = paths(site.store.store(OWN["S3_AIRFLOW_BUCKET"], keys=airflow), "logs/")
    assert any(run_id in path for path in logs), "logs of tasks are in the bucket of Airflow"
    with browser() as running:
        ui = Ui.open(running, site.address, any_certificate=True)
        ui.log_in(given["AIRFLOW_ADMIN_USER"], given["AIRFLOW_ADMIN_PASSWORD"])
        dataset = ui.dataset(DAG_ID, run_id)
        expect(dataset.get_by_role("link", name="district_1", exact=True)).to_be_visible()
        dataset.get_by_role("link", name="Report", exact=True).click()
        report = dataset.frame_locator("iframe[title=Report]").locator("#learnosity-report")
        expect(report.get_by_role("button", name="district_1")).to_be_visible()
        assert ui.page.url.startswith(site.address)
        ui.close()
