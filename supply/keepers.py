"""Who keeps the packages that secrets pass, and what would replace each. `make audit` prints it.

Every direct requirement of a deployment is in one of the two tables, so that a new one is judged
(tests/supply/test_locks.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Keeper:
    """One row.

    :param packages: as the lock names them
    :param passes: which secrets
    :param kept_by: who releases it
    :param replacement: what would take its place, and at what price
    """

    packages: tuple[str, ...]
    passes: str
    kept_by: str
    replacement: str


KEEPERS: Final = (
    Keeper(
        ("pyreqwest",),
        "signed URLs of results, content of results, signed PUTs to S3",
        "one author (MarkusSintonen on GitHub); over Rust's `reqwest` and `rustls`",
        "`aiohttp`, which sends the uploads already: small files cost twice the processor time",
    ),
    Keeper(
        ("aiohttp", "yarl"),
        "signatures, upload URLs",
        "the aio-libs organisation",
        "`httpx`",
    ),
    Keeper(
        ("uvloop",),
        "what `aiohttp` sends, before TLS",
        "MagicStack",
        "asyncio's own loop, which is slower",
    ),
    Keeper(
        ("learnosity-sdk",),
        "consumer secret, signatures",
        "Learnosity",
        "a signature of our own, which would have to follow the API",
    ),
    Keeper(
        ("msgspec", "jmespath"),
        "replies with signed URLs",
        "their authors; boto3 needs jmespath, too",
        "Python's `json`, with checks and look-ups of our own",
    ),
    Keeper(
        ("obstore",),
        "credentials of stores, content",
        "Development Seed; over Apache's `object_store`",
        "the clients of the clouds; boto3 writes already where obstore cannot",
    ),
    Keeper(
        ("boto3", "botocore"),
        "credentials of S3",
        "Amazon Web Services",
        "none is needed",
    ),
    Keeper(
        ("s3fs", "aiobotocore", "fsspec"),
        "credentials of S3, where XComs are kept there",
        "the fsspec and aio-libs organisations",
        "XComs in Airflow's database",
    ),
    Keeper(
        ("google-auth", "gcloud-aio-auth", "gcloud-aio-storage", "google-cloud-storage"),
        "credentials of GCS",
        "Google; the gcloud-aio packages: Dialpad",
        "none is needed: only Google's provider imports them",
    ),
    Keeper(
        ("azure-identity", "adlfs"),
        "credentials of Azure",
        "Microsoft; adlfs: the fsspec organisation",
        "none is needed: only the Azure provider imports them",
    ),
    Keeper(
        ("cryptography",),
        "the key that seals upload URLs; Airflow's connections",
        "the Python Cryptographic Authority",
        "none is needed",
    ),
    Keeper(
        ("celery", "kombu", "redis"),
        "password of the broker, tokens of tasks",
        "the Celery organisation; redis: Redis Inc.",
        "another executor of Airflow",
    ),
    Keeper(
        ("psycopg2-binary", "asyncpg", "sqlalchemy"),
        "password of Airflow's database, encrypted connections",
        "the Psycopg team; MagicStack; the SQLAlchemy team",
        "none is needed: Airflow requires them",
    ),
    Keeper(
        (
            "apache-airflow",
            "apache-airflow-providers-amazon",
            "apache-airflow-providers-celery",
            "apache-airflow-providers-common-io",
            "apache-airflow-providers-fab",
            "apache-airflow-providers-google",
            "apache-airflow-providers-http",
            "apache-airflow-providers-microsoft-azure",
            "apache-airflow-providers-postgres",
        ),
        "every connection, every token",
        "the Apache Software Foundation",
        "nothing: this is a part of Airflow",
    ),
)

NO_SECRET: Final = {
    "statsd": "counts and times",
    "pendulum": "times",
    "tenacity": "calls our functions again",
    "duckdb": "content of input and of results, in local files",
    "backports-zstd": "content of input",
    "polars": "the answer of the sample's query of a warehouse",
    "hatchling": "runs when this package is installed",
    "editables": "runs when this package is installed",
}
"""Direct requirements that no secret passes, and what does."""


def lines(versions: dict[str, str]) -> list[str]:
    """The table as text, with the pinned versions.

    :param versions: by package, from the locks
    """
    found = []
    for each in KEEPERS:
        names = ", ".join(f"{name} {versions[name]}" if name in versions else name for name in each.packages)
        told = {"passes": each.passes, "kept by": each.kept_by, "replacement": each.replacement}
        found += [names, *(f"  {key:<12} {text}" for key, text in told.items())]
    return [line.replace("`", "") for line in found]


def markdown(keeper: Keeper) -> str:
    """The row of docs/security.md."""
    names = ", ".join(f"`{name}`" for name in keeper.packages)
    if len(keeper.packages) > 4:
        names = f"`{keeper.packages[0]}` and its providers"
    return f"| {names} | {keeper.passes} | {keeper.kept_by} | {keeper.replacement} |"
