"""The code on the page "Use this data" runs as it stands against an S3 server, with credentials in the environment."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import obstore
import pytest

from devstack.seaweedfs import SeaweedFS
from learnosity.dataset.manifest import FileEntry, encode_files
from learnosity.dataset.snippets import Rows, Snippet, json_snippets, parquet_snippets
from learnosity.storage.uris import parse_uri

TOOLS = ("DuckDB", "pandas", "Polars")
ROWS: list[dict[str, Any]] = [{"group_name": "north", "mean": 61.5}, {"group_name": "south 'x'", "mean": None}]
PREFIX = 'snippets/it\'s "one"'
# For each tool, the line that prints the rows of a table as JSON, for the test. `{0}` is the table's variable.
TOLD = {
    "DuckDB": "print(json.dumps([dict(zip({0}.columns, row)) for row in {0}.fetchall()]))",
    "pandas": "print({0}.to_json(orient='records'))",
    "Polars": "print(json.dumps({0}.to_dicts()))",
}


@pytest.fixture(scope="module")
def uri(s3_server: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A dataset and a Parquet file on S3: the URI of their folder, with an Airflow connection."""
    store = s3_server.store()
    content = json.dumps({"groups": ROWS, "users": []}).encode()
    entry = FileEntry("groups/group.json", len(content), hashlib.sha256(content).hexdigest(), "application/json")
    obstore.put(store, f"{PREFIX}/data/groups/group.json", content)
    obstore.put(store, f"{PREFIX}/files.ndjson", b"".join(encode_files([entry])))
    file = tmp_path_factory.mktemp("parquet") / "groups.parquet"
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE groups AS SELECT 'north' AS group_name, 61.5::DOUBLE AS mean")
        connection.execute("INSERT INTO groups VALUES ('south ''x''', NULL)")
        connection.execute(f"COPY groups TO '{file}'")
    obstore.put(store, f"{PREFIX}/groups.parquet", file.read_bytes())
    return f"s3://connection@{s3_server.bucket}/{PREFIX}"


def rows(server: SeaweedFS, snippet: Snippet, table: str, folder: Path) -> Any:
    """Run the code as a user would, and ask for the rows at its end."""
    keys = server.landing
    credentials = {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_ENDPOINT_URL": server.endpoint,
    }
    code = f"{snippet.code}\nimport json\nprint()\n{TOLD[snippet.tool].format(table)}\n"
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true", **credentials}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=env, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(name in snippet.note for name in credentials)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("tool", TOOLS)
def test_code_over_the_landed_json_reads_from_s3(s3_server: SeaweedFS, uri: str, tool: str, tmp_path: Path) -> None:
    wanted = Rows("groups/group.json", "groups", "users", "/group.json", 1)
    (snippet,) = [each for each in json_snippets(parse_uri(uri), wanted) if each.tool == tool]
    found = rows(s3_server, snippet, "answer" if tool == "DuckDB" else "frame", tmp_path)
    expected = [{"_file": "groups/group.json", "_level": 1, **row} for row in ROWS]
    assert sorted(found, key=str) == sorted(expected, key=str)


@pytest.mark.parametrize("tool", TOOLS)
def test_code_over_the_parquet_files_reads_from_s3(s3_server: SeaweedFS, uri: str, tool: str, tmp_path: Path) -> None:
    (snippet,) = [each for each in parquet_snippets([parse_uri(f"{uri}/groups.parquet")]) if each.tool == tool]
    found = rows(s3_server, snippet, "answer" if tool == "DuckDB" else "groups", tmp_path)
    assert sorted(found, key=str) == sorted(ROWS, key=str)
