"""A real S3 server for one stack: SeaweedFS, one process, its data in one folder.

Two identities exist: an administrator, and a landing identity that can reach exactly one bucket. That is what the
Airflow connection gets, so that nothing here works only because it may do everything.
"""

from __future__ import annotations

import datetime
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec
import obstore
from obstore.store import S3Store

from devstack import http
from devstack.certificate import Tls
from devstack.environment import inherited_environment, tool
from devstack.errors import DevstackError
from devstack.ports import LOOPBACK, free_ports
from devstack.processes import ManagedProcess
from devstack.secrets import KeyPair, write_private

if TYPE_CHECKING:
    from obstore.store import ClientConfig

REGION = "us-east-1"
READY_SECONDS = 60.0
# The server is killed this many seconds after it was told to stop. It would wait 15 s for its own connections to end.
# No data is lost: when the server replies to a write, the operating system already has the data.
STOP_SECONDS = 1.0


@dataclass(slots=True)
class SeaweedFS:
    """A running S3 server.

    :param endpoint: its base URL
    :param tls_endpoint: its base URL over TLS, where it has that
    :param certificate: what its certificate is checked with there
    :param bucket: the bucket that the landing identity can reach
    :param metrics: where it counts its requests, for Prometheus
    :param sockets: files that it makes outside of its folder, and does not always remove
    """

    endpoint: str
    tls_endpoint: str | None
    certificate: Path | None
    bucket: str
    admin: KeyPair
    landing: KeyPair
    process: ManagedProcess
    metrics: str
    sockets: tuple[Path, ...]

    @classmethod
    def start(
        cls,
        root: Path,
        *,
        bucket: str,
        admin: KeyPair,
        landing: KeyPair,
        log: Path,
        tls: Tls | None = None,
        others: Mapping[str, KeyPair] = MappingProxyType({}),
    ) -> SeaweedFS:
        """Start the server with its data under ``root``; call :meth:`wait_until_ready` before using it.

        :param others: more identities, each for the bucket that it stands with; none by default
        :param tls: speak TLS as well
        :raises ProcessFailed: when the ``weed`` binary is missing
        """
        data = root / "data"
        data.mkdir(parents=True, exist_ok=True)
        identities = root / "identities.json"
        write_private(identities, msgspec.json.encode(_identities(admin, {bucket: landing, **others})))
        names = ("master", "volume", "filer", "s3")
        ports = free_ports(2 * len(names) + 2)
        port = dict(zip(names, ports[: len(names)], strict=True))
        grpc = dict(zip(names, ports[len(names) : -2], strict=True))
        options = {
            "ip": LOOPBACK,
            "ip.bind": LOOPBACK,
            "dir": data,
            "filer": "true",
            "s3": "true",
            **{f"{name}.port": port[name] for name in names},
            **{f"{name}.port.grpc": grpc[name] for name in names},
            "metricsPort": ports[-2],
            "s3.config": identities,
            "s3.iam": "false",  # no IAM API, because nobody uses it; the two zeros below = no table catalogues
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.autoCreateBucket": "false",  # a misspelt bucket name must fail, as it does in the cloud
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 256,
            "volume.max": 64,
            "volume.minFreeSpace": "1",  # percent of the disk that must stay free
            "volume.preStopSeconds": 0,
        }
        if tls is not None:
            options |= {"s3.port.https": ports[-1], "s3.cert.file": tls.certificate, "s3.key.file": tls.key}
        process = ManagedProcess.start(
            "SeaweedFS",
            [
                tool("weed"),
                "-logtostderr=true",
                "server",
                *(f"-{key}={value}" for key, value in options.items()),
            ],
            log=log,
            env=inherited_environment(),
            cwd=root,
            grace=STOP_SECONDS,
        )
        # The server makes sockets in the temporary folder and does not remove all of them, so `stop` has to know them.
        temporary = {Path("/tmp"), Path(tempfile.gettempdir())}
        sockets = tuple(
            folder / name
            for folder in temporary
            for name in (
                *(f"seaweedfs-{name}-grpc-{grpc[name]}.sock" for name in names),
                *(f"seaweedfs-{name}-{port[name]}.sock" for name in names),
            )
        )
        tls_endpoint = f"https://{LOOPBACK}:{ports[-1]}" if tls else None
        certificate = tls.certificate if tls else None
        endpoint = f"http://{LOOPBACK}:{port['s3']}"
        metrics = f"http://{LOOPBACK}:{ports[-2]}/metrics"
        return cls(endpoint, tls_endpoint, certificate, bucket, admin, landing, process, metrics, sockets)

    def wait_until_ready(self) -> None:
        """Wait for the server and make the bucket.

        :raises ProcessFailed: when the server ends
        :raises NotReady: after a minute
        """
        self.process.wait_until_ready(lambda: http.answers_ok(f"{self.endpoint}/healthz"), timeout=READY_SECONDS)
        self.process.wait_until_ready(lambda: self._made_bucket(self.bucket), timeout=READY_SECONDS)

    def requests(self) -> dict[str, int]:
        """How many S3 requests it has answered since its start, by kind, such as `PUT`."""
        text = http.call("GET", self.metrics).body.decode()
        counted: dict[str, int] = {}
        for kind, number in re.findall(r'^SeaweedFS_s3_request_total\{.*type="(\w+)".*\} (\S+)$', text, re.MULTILINE):
            counted[kind] = counted.get(kind, 0) + int(float(number))
        return counted

    def make_bucket(self, name: str) -> None:
        """Make another bucket; one that exists is fine.

        :raises DevstackError: when the server refuses
        """
        if not self._made_bucket(name):
            raise DevstackError(f"SeaweedFS does not make the bucket {name}; {self.process.log} says why")

    def store(
        self,
        bucket: str | None = None,
        *,
        prefix: str | None = None,
        keys: KeyPair | None = None,
        patience: datetime.timedelta = datetime.timedelta(minutes=3),
        tls: bool = False,
    ) -> S3Store:
        """An object store to read and write with.

        :param bucket: default: the landing bucket
        :param prefix: everything happens below this
        :param keys: default: the landing identity
        :param patience: how long a call is tried again while the server is away
        :param tls: over TLS, where the server was started with it; nothing is hashed for the signature then
        """
        keys = keys or self.landing
        endpoint = self.endpoint
        client: ClientConfig = {"allow_http": True}
        if tls:
            if self.tls_endpoint is None or self.certificate is None:
                raise DevstackError("this SeaweedFS was started without TLS")
            endpoint = self.tls_endpoint
            client = {"root_certificate": self.certificate.read_bytes()}
        return S3Store(
            bucket or self.bucket,
            prefix=prefix,
            endpoint=endpoint,
            region=REGION,
            access_key_id=keys.access_key,
            secret_access_key=keys.secret_key,
            unsigned_payload=tls,
            client_options=client,
            retry_config={"max_retries": 10, "retry_timeout": patience},
        )

    def stop(self) -> None:
        """Stop the server; its data stays."""
        self.process.stop()
        for socket in self.sockets:
            socket.unlink(missing_ok=True)

    def _made_bucket(self, name: str) -> bool:
        url = obstore.sign(self.store(name, keys=self.admin), "PUT", "", datetime.timedelta(minutes=1))
        try:
            reply = http.call("PUT", url)
        except OSError:
            return False  # the server does not listen yet, or has ended. The caller checks whether it has ended
        if reply.status == 400:
            raise DevstackError(f"SeaweedFS refuses the bucket name {name!r}: {reply.body.decode(errors='replace')}")
        return reply.status in (200, 409)  # 409: the bucket exists already


def _identities(admin: KeyPair, reached: Mapping[str, KeyPair]) -> dict[str, object]:
    """An administrator, and for each bucket an identity that reaches nothing else."""

    def identity(name: str, keys: KeyPair, actions: list[str]) -> dict[str, object]:
        credentials = [{"accessKey": keys.access_key, "secretKey": keys.secret_key}]
        return {"name": name, "credentials": credentials, "actions": actions}

    def only(bucket: str) -> list[str]:
        return [f"{action}:{bucket}" for action in ("Read", "Write", "List", "Tagging")]

    return {
        "identities": [
            identity("admin", admin, ["Admin", "Read", "Write", "List", "Tagging"]),
            *(identity(f"only-{bucket}", keys, only(bucket)) for bucket, keys in reached.items()),
        ]
    }
