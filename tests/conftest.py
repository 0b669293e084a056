"""What tests of every kind share: an Airflow home of their own, and one real S3 server for those that ask for it."""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
from asyncio import AbstractEventLoop, new_event_loop
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, settings

# A test must not fail because the machine is busy: how long things take is told by benchmarks.
_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Property tests have the same inputs in every run, so that a run can be repeated. `make test-random` tries others.
settings.register_profile("repeatable", _UNTIMED, derandomize=True)
settings.register_profile("random", _UNTIMED, max_examples=1000, print_blob=True)
settings.load_profile("repeatable")

# Airflow reads these when it is imported; a developer's own home must be neither read nor written.
_HOME = tempfile.TemporaryDirectory(prefix="airflow-home-of-tests-")
os.environ["AIRFLOW_HOME"] = _HOME.name
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "false")
for _name in [name for name in os.environ if name.startswith(("AIRFLOW_CONN_", "AWS_", "AZURE_", "GOOGLE_"))]:
    del os.environ[_name]
# Without credentials of its own a store asks the machine's metadata service, which is not there.
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

from devstack import seaweedfs  # noqa: E402
from devstack.certificate import make_certificate  # noqa: E402
from devstack.seaweedfs import SeaweedFS  # noqa: E402
from devstack.secrets import KeyPair, Secrets  # noqa: E402


@pytest.fixture(autouse=True)
def airflow_forgets_the_secrets_of_a_test() -> Iterator[None]:
    """Airflow masks all secrets that its process has seen, with one pattern. Thousands of tests would slow it down."""
    yield
    if (masking := sys.modules.get("airflow.sdk._shared.secrets_masker")) is not None:
        masking.reset_secrets_masker()


@pytest.fixture(scope="session")
def s3_reader() -> KeyPair:
    """An identity of the S3 server that may look at the bucket `landing` and not write to it."""
    return Secrets().s3_landing


# Test modules of code that runs in the triggerer, in a sensor or in the simulator: there, the event loop is asyncio's.
# In the operators it is uvloop's. The API client runs in both, so `contract`, which tests it, has both loops.
ON_ASYNCIO = {"test_notifications", "test_polling", "test_sensors", "test_triggers"}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], AbstractEventLoop]]:
    """Each test runs in the event loop that its code meets in production."""
    if item.path.stem in ON_ASYNCIO or item.path.parent.name == "simulator":
        return {"asyncio": new_event_loop}
    if item.path.parent.name == "contract":
        return {"asyncio": new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}


def pytest_configure() -> None:
    """A run that is told to stop tidies up as after Ctrl-C: fixtures stop the services that they started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory, s3_reader: KeyPair) -> Iterator[SeaweedFS]:
    """A running SeaweedFS, with TLS and without, with one bucket, `landing`, and an identity that reaches only that."""
    root = tmp_path_factory.mktemp("seaweedfs")
    keys = Secrets()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seaweedfs, "_identities", _with_reader(seaweedfs._identities, s3_reader))
        server = SeaweedFS.start(
            root,
            bucket="landing",
            admin=keys.s3_admin,
            landing=keys.s3_landing,
            log=root / "seaweedfs.log",
            tls=make_certificate(root),
        )
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()


def _with_reader(identities: Callable[..., Any], keys: KeyPair) -> Callable[..., Any]:
    """The identities of the local stack, and one more."""

    def more(admin: KeyPair, reached: Mapping[str, KeyPair]) -> Any:
        document = identities(admin, reached)
        credentials = [{"accessKey": keys.access_key, "secretKey": keys.secret_key}]
        actions = [f"{action}:{bucket}" for bucket in reached for action in ("Read", "List")]
        document["identities"].append({"name": "reader", "credentials": credentials, "actions": actions})
        return document

    return more


@pytest.fixture(scope="session")
def closed_port() -> Iterator[int]:
    """A port of this machine on which nothing listens. It stays taken, or a server of a test beside could get it."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])
