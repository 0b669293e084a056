"""What many would write: threads, one GET and one `put_object` a file; nothing checked, nothing noted.

Runs in the peers' environment: `python peer_boto3.py URLS.csv ENDPOINT BUCKET PREFIX THREADS`, keys in the environment.
Prints the seconds that it took after its imports.
"""

from __future__ import annotations

import csv
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3  # type: ignore[import-untyped]
import urllib3
from botocore.config import Config  # type: ignore[import-untyped]


def main() -> None:
    """Copy every URL."""
    urls, endpoint, bucket, prefix, threads = sys.argv[1:]
    client = boto3.client("s3", endpoint_url=endpoint, config=Config(max_pool_connections=int(threads)))
    pool = urllib3.PoolManager(maxsize=int(threads))
    with Path(urls).open(newline="") as file:
        pairs = list(csv.reader(file))

    def copy(pair: list[str]) -> None:
        url, path = pair
        body = pool.request("GET", url).data
        client.put_object(Bucket=bucket, Key=f"{prefix}/{path}", Body=body)

    started = time.perf_counter()
    with ThreadPoolExecutor(int(threads)) as executor:
        list(executor.map(copy, pairs))
    print(time.perf_counter() - started)


if __name__ == "__main__":
    main()
