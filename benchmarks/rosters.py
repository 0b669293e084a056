"""The same users as NDJSON, CSV and Parquet, in one file or in many."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import msgspec

from simulator.population import DEFAULT_LEVELS, write_population


def write_tables(folder: Path, users: int, files: int) -> dict[str, Path]:
    """Write them; returns the folder of each format by its name."""
    whole = folder / f"users-{users}.ndjson"
    write_population(whole, users)
    lines = whole.read_bytes().splitlines(keepends=True)
    size = -(-len(lines) // files)
    folders = {kind: folder / f"{kind}-{files}" for kind in ("ndjson", "csv", "parquet")}
    for each in folders.values():
        each.mkdir(exist_ok=True)
    with duckdb.connect() as database:
        for number in range(files):
            part, name = lines[number * size : (number + 1) * size], f"part-{number:04d}"
            (folders["ndjson"] / f"{name}.ndjson").write_bytes(b"".join(part))
            table = folders["csv"] / f"{name}.csv"
            with table.open("w", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(("user_id", *DEFAULT_LEVELS))
                for line in part:
                    user = msgspec.json.decode(line)
                    rows.writerow((user["user_id"], *(user["groups"][level] for level in DEFAULT_LEVELS)))
            database.execute(
                f"COPY (FROM read_csv('{table}', all_varchar = true)) "
                f"TO '{folders['parquet'] / name}.parquet' (FORMAT parquet)"
            )
    return folders
