"""What every measurement runs against: one source, one S3 server, and the tools of others, all on this machine."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import obstore
from obstore.store import S3Store

from benchmarks.source import SIGNATURE, Files, Source
from benchmarks.worker import Bucket, Order, Outcome
from devstack.certificate import make_certificate
from devstack.environment import inherited_environment
from devstack.errors import DevstackError
from devstack.ports import LOOPBACK
from devstack.seaweedfs import SeaweedFS
from devstack.secrets import KeyPair

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".bench" / "bin"
BUCKET = "bench"
RUN_SECONDS = 900.0


class Stack:
    """Source and S3 server.

    :param folder: of its own; everything lies below it
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = Source(folder / "nginx")
        self._s3: SeaweedFS | None = None
        self._fill = 0

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_s3()
        self.source.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def fresh_bucket(self, *, tls: bool = False) -> Bucket:
        """An empty S3 server: what earlier rows have written must not slow this one down.

        :param tls: reach it over TLS
        """
        self._stop_s3()
        self._fill += 1
        folder = self.folder / f"s3-{self._fill}"
        keys = [KeyPair(f"{name}{uuid.uuid4().hex[:12]}", uuid.uuid4().hex) for name in ("admn", "land")]
        folder.mkdir(parents=True)
        certificate = make_certificate(folder) if tls else None
        self._s3 = SeaweedFS.start(
            folder, bucket=BUCKET, admin=keys[0], landing=keys[1], log=folder / "s3.log", tls=certificate
        )
        self._s3.wait_until_ready()
        # The first write to a new server takes 0.2 s longer, because the server makes its volumes. So this write comes
        # before the measurement.
        obstore.put(self._s3.store(), "first", b"-")
        bucket = self.prefix()
        if self._s3.tls_endpoint is None:
            return bucket
        return msgspec.structs.replace(bucket, endpoint=self._s3.tls_endpoint, certificate=str(self._s3.certificate))

    def prefix(self) -> Bucket:
        """A prefix of the same server that holds nothing yet."""
        if self._s3 is None:
            return self.fresh_bucket()
        keys = self._s3.landing
        return Bucket(self._s3.endpoint, BUCKET, uuid.uuid4().hex[:8], keys.access_key, keys.secret_key)

    def ours(self, order: Order) -> Outcome:
        """Run one worker to its end."""
        return self.all_ours([order])[0]

    def all_ours(self, orders: list[Order]) -> list[Outcome]:
        """Run several workers at once, each a process."""
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.worker", msgspec.json.encode(order).decode()],
                cwd=ROOT,
                env={
                    **inherited_environment(),
                    "SSL_CERT_FILE": str(self.source.certificate),
                    "PYTHONFAULTHANDLER": "1",
                    "PYTHONPATH": f"{ROOT / 'plugins'}{os.pathsep}{ROOT}",
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for order in orders
        ]
        outcomes = []
        try:
            for order, process in zip(orders, running, strict=True):
                output, errors = process.communicate(timeout=RUN_SECONDS)
                if process.returncode:
                    raise DevstackError(
                        f"{', '.join(order.steps)} of shard {order.shard} ended with {process.returncode} "
                        f"(below 0: killed by that signal):\n{errors.decode(errors='replace')[-4000:]}"
                    )
                outcomes.append(msgspec.json.decode(output.splitlines()[-1], type=Outcome))
        finally:
            for process in running:
                process.kill()
        return outcomes

    def rclone(self, files: Files, bucket: Bucket, transfers: int, *options: str) -> Outcome:
        """`rclone copyurl` of a set of files; its start is taken off, as ours is not counted either."""
        urls = self._urls(files)
        environment = {
            **inherited_environment(),
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_CONFIG_S3_TYPE": "s3",
            "RCLONE_CONFIG_S3_PROVIDER": "SeaweedFS",
            "RCLONE_CONFIG_S3_ENDPOINT": bucket.endpoint,
            "RCLONE_CONFIG_S3_ACCESS_KEY_ID": bucket.access_key,
            "RCLONE_CONFIG_S3_SECRET_ACCESS_KEY": bucket.secret_key,
            "RCLONE_CONFIG_S3_REGION": "us-east-1",
            # rclone must not try to create the bucket, because its keys have no right to do this.
            "RCLONE_CONFIG_S3_NO_CHECK_BUCKET": "true",
        }
        start = _timed([PEERS / "rclone", "version"], environment)
        target = f"s3:{bucket.name}/{bucket.prefix}"
        command: list[str | Path] = [
            PEERS / "rclone",
            "copyurl",
            "--urls",
            urls,
            target,
            "--transfers",
            str(transfers),
            *options,
            "--ca-cert",
            self.source.certificate,
            *(("--ca-cert", bucket.certificate) if bucket.certificate else ()),
        ]
        took = _timed(command, environment)
        return Outcome({"copy": took.total - start.total}, took.cpu_seconds - start.cpu_seconds, took.peak_mb)

    def boto3(self, files: Files, bucket: Bucket, threads: int) -> Outcome:
        """urllib3 and boto3 on threads."""
        command = [PEERS / "python", ROOT / "benchmarks" / "peer_boto3.py", self._urls(files)]
        where = [bucket.endpoint, bucket.name, bucket.prefix, threads]
        output = subprocess.run(
            [str(part) for part in (*command, *where)], env=_keys(bucket), check=True, capture_output=True
        ).stdout
        return Outcome({"copy": float(output)}, 0.0, 0.0)

    def s5cmd(self, files: Files, bucket: Bucket) -> Outcome:
        """`s5cmd cp` of the same files from local disk: it cannot read over http, so this is the second half alone."""
        folder = self.source.root / "www" / "files" / files.name
        target = f"s3://{bucket.name}/{bucket.prefix}/"
        command = [PEERS / "s5cmd", "--endpoint-url", bucket.endpoint, "--log", "error", "cp", f"{folder}/*", target]
        return _timed(command, _keys(bucket))

    def _urls(self, files: Files) -> Path:
        urls = self.folder / f"{files.name}-{files.answers}{'-tls' if files.tls else ''}.csv"
        if not urls.exists():
            with urls.open("w", newline="") as file:
                csv.writer(file).writerows([self.source.file_url(files, path), path] for path in files.paths())
        return urls

    def sink_urls(self, number: int) -> list[str]:
        """Fresh addresses on the source that take what is sent and do nothing with it."""
        return [f"{self.source.url}/sink/{uuid.uuid4().hex}{SIGNATURE}" for _ in range(number)]

    def s3_urls(self, number: int, port: int | None = None) -> list[str]:
        """Fresh upload URLs of the S3 server, signed as Learnosity signs its own.

        :param port: where to reach the server instead of at its own port
        """
        bucket = self.prefix()
        endpoint = bucket.endpoint if port is None else f"http://{LOOPBACK}:{port}"
        store = S3Store(
            bucket.name,
            prefix=bucket.prefix,
            endpoint=endpoint,
            region="us-east-1",
            access_key_id=bucket.access_key,
            secret_access_key=bucket.secret_key,
            client_options={"allow_http": True},
        )
        return [obstore.sign(store, "PUT", f"part-{part}", timedelta(hours=1)) for part in range(number)]

    @property
    def s3_port(self) -> int:
        """Where the S3 server listens."""
        return urlsplit(self.prefix().endpoint).port or 80

    def curl_upload(self, path: Path, url: str) -> Outcome:
        """`curl -T` of one file; its start is taken off, as ours is not counted either."""
        start = _timed(["curl", "--version"], inherited_environment())
        took = _timed(["curl", "--silent", "--show-error", "--fail", "-T", path, url], inherited_environment())
        return Outcome({"copy": took.total - start.total}, took.cpu_seconds - start.cpu_seconds, took.peak_mb)

    def _stop_s3(self) -> None:
        if self._s3 is not None:
            self._s3.stop()
            shutil.rmtree(self.folder / f"s3-{self._fill}", ignore_errors=True)
            self._s3 = None


def _keys(bucket: Bucket) -> dict[str, str]:
    return {
        **inherited_environment(),
        "AWS_ACCESS_KEY_ID": bucket.access_key,
        "AWS_SECRET_ACCESS_KEY": bucket.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def _timed(command: Sequence[object], environment: dict[str, str]) -> Outcome:
    started = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise DevstackError(f"{Path(str(command[0])).name} failed with exit code {process.returncode}.")
    return Outcome({"run": seconds}, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)
