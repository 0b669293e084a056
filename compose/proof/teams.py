"""Phases: the stack as teams use it, from an empty clone. A store with any key, TLS and a path, metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compose.proof.deployment import PROJECT, Deployment, ProofError, docker
from devstack.browser import Ui, browser
from devstack.output import say
from devstack.ports import LOOPBACK, free_ports
from devstack.proxy import PATH, start_proxy
from devstack.samples import DAG_ID

# A secret with every printable character, so that no secret of a store can have one that was not tried. In `.env`, it
# stands in single quotes.
SECRET = "".join(map(chr, range(33, 127)))
STORE = f"{PROJECT}-own-store"
STORE_HOST = "own-store"
# Names of metrics as Prometheus shows them: with the prefix of `[metrics] statsd_prefix`, and `_` in place of each dot.
NEEDED_METRICS = tuple(f"airflow_learnosity_{each}" for each in ("api_calls", "landed_files", "datasets_published"))


def quoted(value: str) -> str:
    """A value as it stands in `.env`: in single quotes, which are escaped in it.

    :raises ValueError: it ends with a backslash or has one before a single quote; `.env` has no way to write that.
    """
    if re.search(r"\\('|$)", value):
        raise ValueError("A value of .env may not have a backslash at its end or before a single quote.")
    return "'" + value.replace("'", "\\'") + "'"


def as_teams_do(proof: Deployment, folder: Path) -> None:
    """A run on a store of one's own, its page and its report in a browser behind TLS, its metrics."""
    (tls_port,) = free_ports(1)
    address = f"https://{LOOPBACK}:{tls_port}"
    proof.change(
        COMPOSE_PROFILES="demo,metrics",
        S3_ENDPOINT=f"http://{STORE_HOST}:8333",
        S3_LANDING_SECRET_KEY=quoted(SECRET),
        S3_AIRFLOW_SECRET_KEY=quoted(SECRET[::-1].replace("\\", "")),
        AIRFLOW_ADDRESS=address,
        AIRFLOW_PATH=PATH,
        FORWARDED_ALLOW_IPS="*",
        AIRFLOW_STATSD_ON="true",
        AIRFLOW__API__PAGE_SIZE="37",
    )
    with own_store(proof), proof.phase("up on a store of one's own, with a key of all printable characters"):
        proof.compose("up", "--build", "--detach")  # exactly the command that README names
        proof.up()
        proof.seed()
        given = proof.compose("exec", "-T", "worker", "printenv", "AIRFLOW__API__PAGE_SIZE").strip()
        if given != "37":
            raise ProofError(f"a setting of .env did not reach a worker: {given!r}")
        with proof.phase("a run there; page and report in a browser, behind TLS and below a path"):
            proof.finish(run_id := proof.start_run("own-store"), timeout=400)
            proxy = start_proxy(folder / "nginx", port=tls_port, upstream=f"{LOOPBACK}:{proof.port}")
            try:
                look(proof, f"{address}{PATH}", run_id)
            finally:
                proxy.stop()
        say(f"           verified: {proof.verify(run_id)}")
        with proof.phase("metrics scraped from the exporter"):
            scraped = proof.compose("exec", "-T", "statsd", "wget", "-q", "-O", "-", "http://127.0.0.1:9102/metrics")
            if missing := missing_metrics(scraped):
                raise ProofError(f"the exporter does not know {', '.join(missing)}")
        proof.down()


def missing_metrics(scraped: str) -> list[str]:
    """Which of the metrics that a run has to report are not in the text that Prometheus would read."""
    found = {line.partition("{")[0].partition(" ")[0] for line in scraped.splitlines() if not line.startswith("#")}
    return [name for name in NEEDED_METRICS if not {name, f"{name}_total"} & found]


@contextmanager
def own_store(proof: Deployment) -> Iterator[None]:
    """A store that is no service of the stack, on its network, with both buckets."""
    proof.compose("up", "--no-start", "postgres")
    keys = [f"S3_{name}_{kind}_KEY" for name in ("ADMIN", "LANDING", "AIRFLOW") for kind in ("ACCESS", "SECRET")]
    given = json.loads(proof.compose("config", "--format", "json"))["services"]["init"]["environment"]
    given |= {name: proof.settings[name] for name in keys if name.startswith("S3_ADMIN")}
    # `config` writes each `$` as `$$`, because its output can be used as a Compose file. So it is changed back.
    environment = {name: given[name].replace("$$", "$") for name in keys}
    environment |= {"S3_LANDING_BUCKET": "learnosity", "S3_AIRFLOW_BUCKET": "airflow"}
    # `--env=NAME` has no value: Docker takes it from the environment of the command. As an argument, any user of the
    # machine could see it.
    passed = [f"--env={name}" for name in environment]
    network = (f"--network={PROJECT}_default", f"--network-alias={STORE_HOST}")
    docker(proof, "rm", "--force", STORE, check=False)
    docker(proof, "run", "--detach", f"--name={STORE}", *network, *passed, proof.image("s3"), env=environment)
    try:
        ready = "echo cluster.ps | weed shell -master=127.0.0.1:9333 -filer=127.0.0.1:8888 | grep -q volume"
        proof.wait(
            "the store",
            lambda: "ok" in docker(proof, "exec", STORE, "sh", "-c", f"{ready} && echo ok", check=False),
            timeout=120,
        )
        docker(proof, "exec", STORE, "sh", "/usr/local/bin/s3-buckets.sh")
        yield
    finally:
        docker(proof, "rm", "--force", STORE, check=False)


def look(proof: Deployment, address: str, run_id: str) -> None:
    """Open the page of a dataset and its report as a person does."""
    with browser() as running:
        ui = Ui.open(running, address, any_certificate=True)
        ui.log_in(proof.settings["AIRFLOW_ADMIN_USER"], proof.settings["AIRFLOW_ADMIN_PASSWORD"])
        ui.goto(f"/learnosity/run/{DAG_ID}/{run_id}")
        ui.page.get_by_role("link", name="district_1", exact=True).wait_for()
        ui.goto(f"/learnosity/run/{DAG_ID}/{run_id}/report")
        # The browser cannot reach the simulator, which has no address outside of the stack. So the page shows the local
        # view of the same numbers instead of the report.
        ui.page.get_by_role("link", name="district_1", exact=True).wait_for()
        ui.close()
