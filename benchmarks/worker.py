"""One measured step of the product in a process of its own, so that its peak of memory is its own.

`python -m benchmarks.worker '<json>'` does what the JSON says and prints one line of JSON. Time counts from after the
imports: what is measured is landing, not the start of Python.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop
from botocore.credentials import ReadOnlyCredentials  # type: ignore[import-untyped]
from obstore.store import S3Store

from benchmarks.source import DATASET_ID, DATASET_TYPE
from learnosity.api.client import LearnosityClient
from learnosity.api.config import ApiConfig, Credentials
from learnosity.api.signed_urls import SignedTransfer
from learnosity.creation.upload import Upload, upload_parts
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import RunInfo
from learnosity.inputs.records import schema_for
from learnosity.inputs.spool import InputFile, spool_input
from learnosity.inputs.upload_parts import plan_parts
from learnosity.landing.concurrency import AdaptiveLimit
from learnosity.landing.land import land_shard
from learnosity.landing.listing import ResultSet
from learnosity.landing.plan import make_plan
from learnosity.landing.publish import publish
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.storage.s3_signing import S3Signer
from learnosity.storage.streamed_put import StreamedPut
from simulator.population import DEFAULT_LEVELS

if TYPE_CHECKING:
    from obstore.store import ClientConfig

READ_BYTES = 1024 * 1024


class Bucket(msgspec.Struct, frozen=True):
    """Where files land, and the keys for it.

    :param certificate: the file with the server's certificate, where it speaks TLS
    """

    endpoint: str
    name: str
    prefix: str
    access_key: str
    secret_key: str
    certificate: str | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker does.

    :param steps: of `plan`, `land`, `publish`, `upload`, in this order
    :param api: base URL of the API
    :param shards: how many there are
    :param shard: which one to land
    :param input: the file that `upload` sends, or a folder of such files
    :param urls: where `upload` sends its parts; as many as it needs, from the first on
    :param concurrency: files under way at once, instead of what landing finds for itself
    :param start_at: Unix time to wait for, so that several workers begin together
    """

    steps: tuple[str, ...]
    api: str
    bucket: Bucket | None = None
    shards: int = 1
    shard: int = 0
    input: str = ""
    urls: tuple[str, ...] = ()
    concurrency: int | None = None
    start_at: float = 0.0


class Outcome(msgspec.Struct, frozen=True):
    """What it took.

    :param seconds: by step
    :param cpu_seconds: of this process, all steps together
    :param peak_mb: most memory that this process held, in MB of 1,000,000 bytes
    """

    seconds: dict[str, float]
    cpu_seconds: float
    peak_mb: float
    files: int = 0

    @property
    def total(self) -> float:
        """Seconds of all steps."""
        return sum(self.seconds.values())


async def run(order: Order) -> Outcome:
    """Do it."""
    config = ApiConfig(Credentials("AAAABBBBCCCCDDDD", "0123456789abcdef0123456789abcdef01234567"), base_url=order.api)
    seconds: dict[str, float] = {}
    files = 0
    if "parquet" in order.input:
        import duckdb  # noqa: F401 - its import is a start, too
    await asyncio.sleep(max(0.0, order.start_at - time.time()))
    cpu = time.process_time()
    if order.steps == ("upload",):
        started = time.perf_counter()
        await _upload(config, Path(order.input), order.urls)
        seconds["upload"] = time.perf_counter() - started
    else:
        store, layout = _store(order.bucket), DatasetLayout(DATASET_TYPE, DATASET_ID)
        work = layout.work_prefix("benchmark", "plan")
        async with LearnosityClient(config) as client, SignedTransfer(config) as transfer:
            results = ResultSet(client, DATASET_TYPE, DATASET_ID)
            for step in order.steps:
                started = time.perf_counter()
                if step == "plan":
                    plan = await make_plan(store, layout, results, work=work, shards=order.shards)
                    files = sum(shard.files for shard in plan)
                elif step == "land":
                    limit = (
                        AdaptiveLimit(start=order.concurrency, most=order.concurrency) if order.concurrency else None
                    )
                    landed = await land_shard(
                        store, layout, results, transfer, work=work, shard=order.shard, limit=limit
                    )
                    files = landed.files
                else:
                    run_info = RunInfo("benchmark", "benchmark", None)
                    manifest = await publish(
                        store, layout, work=work, shards=order.shards, job_reference="-", request={}, run=run_info
                    )
                    files = manifest.file_count
                seconds[step] = time.perf_counter() - started
    return Outcome(seconds, time.process_time() - cpu, _peak_mb(), files)


def _peak_mb() -> float:
    """Most memory that this program held; `getrusage` would count what its parent held when it started it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError("this system does not tell the peak of a process's memory")


async def _upload(config: ApiConfig, path: Path, urls: Sequence[str]) -> None:
    """Validate, spool, split and PUT, as the create task does between its API calls."""
    with tempfile.TemporaryFile() as spool:
        schema = schema_for(DATASET_TYPE, DEFAULT_LEVELS)
        summary = await asyncio.to_thread(spool_input, _sources(path), schema, spool)
        parts = await asyncio.to_thread(plan_parts, spool, summary.bytes, summary.records)

        async def uploaded(index: int) -> None:
            return None

        async with SignedTransfer(config) as transfer:
            upload = Upload(spool, parts, summary.records, summary.bytes, summary.sha256)
            await upload_parts(transfer, upload, urls, uploaded=uploaded)


def _sources(path: Path) -> list[InputFile]:
    paths = sorted(path.iterdir()) if path.is_dir() else [path]
    return [InputFile(each.name, partial(_read, each)) for each in paths]


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(READ_BYTES):
            yield chunk


def _store(bucket: Bucket | None) -> ObstoreStore:
    if bucket is None:
        raise ValueError("this step needs a bucket")
    client: ClientConfig = {"timeout": timedelta(minutes=5)}
    if bucket.certificate is None:
        client["allow_http"] = True
    else:
        client["root_certificate"] = Path(bucket.certificate).read_text()
    store = S3Store(
        bucket.name,
        prefix=bucket.prefix,
        endpoint=bucket.endpoint,
        region="us-east-1",
        access_key_id=bucket.access_key,
        secret_access_key=bucket.secret_key,
        # As in `s3_connection`: over TLS, the signature of a request leaves out the body, because TLS protects it.
        unsigned_payload=bucket.certificate is not None,
        client_options=client,
    )
    uri = f"s3://{bucket.name}/{bucket.prefix}"
    if bucket.certificate is None:
        return ObstoreStore(store, uri)
    keys = ReadOnlyCredentials(bucket.access_key, bucket.secret_key, None)
    signer = S3Signer(f"{bucket.endpoint}/{bucket.name}", bucket.prefix, "us-east-1", lambda: keys)
    single_put = StreamedPut(signer, uri, {"root_certificate": Path(bucket.certificate).read_bytes()})
    return ObstoreStore(store, uri, single_put=single_put)


if __name__ == "__main__":
    outcome = uvloop.run(run(msgspec.json.decode(sys.argv[1], type=Order)))  # uvloop, because the operators use it, too
    sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
    sys.stdout.flush()
    # In a normal exit, a thread of obstore may use the Python interpreter while the interpreter shuts down. This aborts
    # the process, about once in some hundred runs. `os._exit` skips the shutdown; Airflow's task processes use it, too.
    os._exit(0)
