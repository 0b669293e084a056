"""Finding input: a file, a folder or a glob, on local disk and on a real S3 server."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast
from uuid import uuid4

import obstore
import pytest
from msgspec.structs import replace

from devstack.seaweedfs import SeaweedFS
from learnosity.connections import open_input_store
from learnosity.creation.state import RequestIdentity
from learnosity.errors import ConnectionConfigError, InputError, StorageError
from learnosity.inputs.find import find_input, input_identity
from learnosity.inputs.spool import InputFile
from learnosity.storage.store import ObjectInfo, Store

Put = Callable[..., str]


@pytest.fixture(params=["file", "s3"])
def put(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Stores files by path below a fresh prefix; gives the prefix's URI back, with the connection to read it by."""
    if request.param == "file":

        def local(**files: bytes) -> str:
            for name, content in files.items():
                path = tmp_path / "in" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            return (tmp_path / "in").as_uri()

        return local
    server: SeaweedFS = request.getfixturevalue("s3_server")
    keys, prefix = server.landing, f"in-{uuid4()}"
    connection = {"conn_type": "aws", "login": keys.access_key, "password": keys.secret_key}
    extra = {"endpoint_url": server.endpoint, "region_name": "us-east-1"}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection | {"extra": extra}))

    def remote(**files: bytes) -> str:
        store = server.store(prefix=prefix)
        for name, content in files.items():
            obstore.put(store, name, content)
        return f"s3://lake@landing/{prefix}"

    return remote


TREE = {
    name: name.encode()
    for name in (
        "users-1.ndjson",
        "users-2.ndjson",
        "other.ndjson",
        "users.csv",
        "north/users-3.ndjson",
        "north/deep/users-4.ndjson",
        "north/deep/my-users-5.ndjson",
        ".hidden.ndjson",
        "_SUCCESS",
        "_temporary/users-6.ndjson",
        "north/.git/users-7.ndjson",
    )
}
# What warehouses and clusters leave beside their data, and the data.
LEFT_BEHIND = (
    "spark/_SUCCESS",
    "spark/_committed_4711",
    "spark/_started_4711",
    "spark/.part-00000.csv.crc",
    "spark/_temporary/0/part-00001.csv",
    "spark_$folder$",
    "hadoop/users.csv._COPYING_",
    "hadoop/.hive-staging_hive_2026/users.csv",
    "hadoop/_metadata",
    "flink/part-0-0.csv.inprogress.1b671a64-40d5-491e-99b0-da01ff1f3341",
    "athena/1b671a64-40d5-491e-99b0-da01ff1f3341.csv.metadata",
    "athena/1b671a64-40d5-491e-99b0-da01ff1f3341-manifest.csv",
    "athena/1b671a64-40d5-491e-99b0-da01ff1f3341.metadata",
    "redshift/unload_manifest",
    "redshift/manifest",
    "others/users.csv.tmp",
    "others/users.csv.md5",
    "others/users.csv.sha1",
    "others/users.csv.sha512",
    "others/users.csv.filepart",
    "others/~$users.xlsx",
)
DATA = (
    "spark/part-00000-7f.c000.snappy.parquet",
    "hadoop/part-m-00000",
    "bigquery/users-000000000000.csv.gz",
    "snowflake/data_0_0_0.csv.gz",
    "athena/1b671a64-40d5-491e-99b0-da01ff1f3341.csv",
    "redshift/unload_0000_part_00.gz",
    "others/manifest-2026.csv",
    "others/template.csv",
    "others/users.metadata",
)


async def found(uri: str) -> list[str]:
    """Paths of what was found, below the last folder `in…`."""
    return [file.name.rpartition("/in")[2].partition("/")[2] for file in await find_input(uri, open_input_store)]


@pytest.mark.parametrize(
    ("tail", "paths"),
    [
        ("/users-1.ndjson", ["users-1.ndjson"]),
        ("/users-*.ndjson", ["users-1.ndjson", "users-2.ndjson"]),
        ("/users-[2-9].ndjson", ["users-2.ndjson"]),
        ("/*/users-?.ndjson", ["north/users-3.ndjson"]),
        ("/north", ["north/deep/my-users-5.ndjson", "north/deep/users-4.ndjson", "north/users-3.ndjson"]),
        ("/north/", ["north/deep/my-users-5.ndjson", "north/deep/users-4.ndjson", "north/users-3.ndjson"]),
        (
            "/**/users-*.ndjson",
            ["north/deep/users-4.ndjson", "north/users-3.ndjson", "users-1.ndjson", "users-2.ndjson"],
        ),
        ("/north/**/users-*", ["north/deep/users-4.ndjson", "north/users-3.ndjson"]),
        ("/n*/**", ["north/deep/my-users-5.ndjson", "north/deep/users-4.ndjson", "north/users-3.ndjson"]),
        ("/_temporary/*", ["_temporary/users-6.ndjson"]),
        ("/_temp*/*", ["_temporary/users-6.ndjson"]),
        ("/.hidden.ndjson", [".hidden.ndjson"]),
        ("/.h*", [".hidden.ndjson"]),
    ],
)
async def test_a_file_a_folder_or_a_glob_finds_what_a_shell_would_and_leaves_hidden_files_out(
    put: Put, tail: str, paths: list[str]
) -> None:
    assert await found(put(**TREE) + tail) == paths


async def test_a_whole_folder_is_all_files_below_it_that_are_not_hidden(put: Put) -> None:
    hidden = [name for name in TREE if any(part.startswith((".", "_")) for part in name.split("/"))]
    assert await found(put(**TREE)) == sorted(TREE.keys() - set(hidden))


async def test_what_tools_leave_behind_is_no_input_unless_it_is_asked_for(put: Put) -> None:
    base = put(**dict.fromkeys((*LEFT_BEHIND, *DATA), b"x"))
    assert await found(base) == sorted(DATA)
    assert await found(f"{base}/others/*.tmp") == ["others/users.csv.tmp"]
    assert await found(f"{base}/redshift/manifest") == ["redshift/manifest"]


OLD = "1b671a64-40d5-491e-99b0-da01ff1f3341"
# A file by which each kind of table is recognised: its path in the folder of the table, and the kind.
LOGS = {
    "_delta_log/00000000000000000000.json": "Delta",
    "_delta_log/00000000000000000010.checkpoint.parquet": "Delta",
    ".hoodie/hoodie.properties": "Hudi",
    "district=d1/.hoodie_partition_metadata": "Hudi",
    "metadata/v1.metadata.json": "Iceberg",
    f"metadata/00003-{OLD}.metadata.json": "Iceberg",
    f"metadata/00003-{OLD}.gz.metadata.json": "Iceberg",
}


@pytest.mark.parametrize(("log", "kind"), LOGS.items())
@pytest.mark.parametrize("folder", ["", "lake/roster/"], ids=["at the top", "below"])
@pytest.mark.parametrize("tail", ["", "/", "/**/*.parquet", "/**"])
async def test_the_files_of_a_table_with_a_log_are_refused_once_and_not_read(
    put: Put, log: str, kind: str, folder: str, tail: str
) -> None:
    data = [f"{folder}district=d1/part-{number}.snappy.parquet" for number in range(3)]
    base = put(**dict.fromkeys([*data, f"{folder}{log}", "plain/users.csv"], b"x"))
    with pytest.raises(InputError, match=rf"is a table of {kind}\. .*Export the table's current rows") as caught:
        await found(base + tail)
    assert str(caught.value).count(".parquet") == 0
    assert not caught.value.transient
    assert await found(f"{base}/**/*.csv") == ["plain/users.csv"], "the table is not asked for"
    assert await found(f"{base}/{data[0]}") == [data[0]], "a file that is named is read"


@pytest.mark.parametrize(
    "beside",
    ["notes/delta_log/0.json", "metadata/users.metadata.json", "metadata/readme.json", "a/_delta_logs/0.json",
     "other/_delta_log/0.json", "hoodie/x.properties", "my_delta_log"],
)  # fmt: skip
async def test_what_is_no_log_of_these_files_hinders_nothing(put: Put, beside: str) -> None:
    assert await found(put(**{"roster/users.parquet": b"x", beside: b"x"}) + "/**/*.parquet") == [
        "roster/users.parquet"
    ]


@pytest.mark.parametrize("glob", ["**/" * 40 + "*.csv", "/".join(["**", "*a*"] * 8) + "/*.csv", "*a" * 30 + "*.csv"])
async def test_a_glob_of_many_parts_holds_nothing_up(glob: str) -> None:
    class Listed:
        uri, read = "memory://lake", print

        async def list_keys(self) -> AsyncIterator[list[ObjectInfo]]:
            yield [ObjectInfo("/".join(["aa"] * 60) + f"/{number}.csv", 1, None) for number in range(50)]
            yield [ObjectInfo(f"{'a' * 60}.csv", 1, None)]

    # If every way to match a glob with a name were tried, this call would practically never end. So the test needs no
    # clock: it passes if the call returns.
    files = await find_input(f"memory://lake/{glob}", lambda _uri: cast("Store", Listed()))
    assert len(files) in (1, 50, 51)


async def test_a_file_without_a_tag_is_another_one_when_it_was_written_later() -> None:
    class Untagged:
        uri, read = "memory://lake", print
        modified = 1.0

        async def list_keys(self) -> AsyncIterator[list[ObjectInfo]]:
            yield [ObjectInfo("users.csv", 7, None, self.modified)]

    store = Untagged()

    async def identity() -> str:
        return input_identity(await find_input("memory://lake/*", lambda _uri: cast("Store", store)))

    first = await identity()
    assert await identity() == first
    store.modified = 2.0
    assert await identity() != first


async def test_what_was_found_reads_as_it_lies_there_packed_or_not(put: Put) -> None:
    packed = gzip.compress(b"packed")
    base = put(**{"a.ndjson": b"plain", "b.ndjson.gz": packed, "c ü%+.ndjson": b"odd", "empty.ndjson": b""})
    files = await find_input(base, open_input_store)
    contents = await asyncio.to_thread(lambda: [b"".join(file.open()) for file in files])
    assert contents == [b"plain", packed, b"odd", b""]
    again = await asyncio.to_thread(lambda: b"".join(files[0].open()))
    assert again == b"plain", "a source can be read twice"


async def test_input_keeps_its_identity_until_a_name_a_size_or_the_content_changes(put: Put) -> None:
    base = put(**{"a.ndjson": b"one", "b.ndjson": b"two"})

    async def identity() -> str:
        return input_identity(await find_input(base, open_input_store))

    first = await identity()
    assert await identity() == first
    seen = [first]
    for change in ({"b.ndjson": b"2"}, {"b.ndjson": b"3"}, {"c.ndjson": b"three"}, {"_hidden.ndjson": b"x"}):
        put(**change)
        seen.append(await identity())
    *changed, last = seen
    assert len(set(changed)) == len(changed)
    assert last == changed[-1], "a file that is passed over is no input"


@pytest.mark.parametrize("tail", ["", "/", "/*.ndjson", "/users.ndjson"])
async def test_a_local_file_is_the_same_in_a_copy_and_on_another_machine_until_it_is_written(
    tail: str, tmp_path: Path
) -> None:
    """A folder that is mounted from a bucket numbers its files anew on each machine, as a copy does here."""
    folder = tmp_path / "in"
    folder.mkdir()
    (path := folder / "users.ndjson").write_bytes(b"one")

    async def identity() -> RequestIdentity:
        return RequestIdentity("a", "r", input_identity(await find_input(f"{folder.as_uri()}{tail}", open_input_store)))

    def earlier_release(now: RequestIdentity) -> RequestIdentity:
        return replace(now, input=now.input.partition("-")[0])

    first = await identity()
    assert not first.difference(first) and not first.difference(earlier_release(first))
    shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(folder)
    (tmp_path / "kept").write_bytes(b"takes the number of the file")
    (tmp_path / "copy").rename(folder)
    copied = await identity()
    assert not copied.difference(first) and not copied.difference(earlier_release(copied))
    status = path.stat()
    changes: list[Callable[[], object]] = [
        lambda: path.write_bytes(b"two"),
        lambda: os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - 10**9)),
        lambda: path.write_bytes(b"more"),
        lambda: (folder / "b.ndjson").write_bytes(b"b") if tail != "/users.ndjson" else path.write_bytes(b"longer"),
    ]
    before = copied
    for change in changes:
        change()
        after = await identity()
        assert after.difference(before) and after.difference(earlier_release(before))
        before = after


def test_input_has_an_identity_though_its_names_are_not_valid_text() -> None:
    files = [InputFile(f"file:///in/{name}", lambda: iter(()), "1 tag") for name in ("a\udcff", "b")]
    assert input_identity(files) == input_identity(list(files))
    assert input_identity(files) != input_identity(files[:1])


async def test_sources_are_named_without_the_connection(put: Put) -> None:
    for file in await find_input(put(**TREE), open_input_store):
        assert "@" not in file.name
        assert file.name.startswith(("file:///", "s3://landing/"))
        assert file.name.endswith(f"/{file.path}") and file.path in TREE


@pytest.mark.parametrize("tail", ["/nothing.ndjson", "/nothing/", "/nothing/*.ndjson", "/*.parquet", "/.x*"])
async def test_no_input_is_an_error_that_says_what_to_check(put: Put, tail: str, tmp_path: Path) -> None:
    base = put(**TREE)
    with pytest.raises(InputError, match=r"No input found at .*Check input_uri: it names a file, a folder or a glob"):
        await find_input(base + tail, open_input_store)
    assert not (tmp_path / "in" / "nothing").exists(), "looking for input makes no folder"


@pytest.mark.parametrize("tail", ["/district=*", "/*", "/*/", "/district=d[12]"])
async def test_a_glob_that_matches_folders_alone_is_told_how_to_go_on(put: Put, tail: str) -> None:
    base = put(**{"district=d1/part-0.csv": b"x", "district=d2/deep/part-1.csv": b"x"})
    with pytest.raises(InputError, match=r"a folder, such as 'district=d[12]', and no file: add /\*\* for all"):
        await found(base + tail)
    assert await found(f"{base}{tail.rstrip('/')}/**") == ["district=d1/part-0.csv", "district=d2/deep/part-1.csv"]
    with pytest.raises(InputError) as caught:
        await found(f"{base}/school=*")
    assert "matches a folder" not in str(caught.value)


async def test_any_number_of_files_is_taken(put: Put) -> None:
    base = put(**{f"{n:03}.ndjson": b"x" for n in range(200)})
    assert len(await find_input(base, open_input_store)) == 200


async def test_the_marker_of_an_empty_folder_is_no_input(s3_server: SeaweedFS, put: Put) -> None:
    base = put(**{"users.ndjson": b"x"})
    if base.startswith("s3"):
        prefix = base.rpartition("/")[2]
        with_marker = s3_server.store()
        obstore.put(with_marker, f"{prefix}/sub/x", b"x")
        obstore.delete(with_marker, f"{prefix}/sub/x")
    assert await found(base) == ["users.ndjson"]


async def test_a_folder_and_a_file_of_one_stem_do_not_get_mixed_up(put: Put) -> None:
    base = put(**{"users": b"the file", "users-old/x.ndjson": b"old", "users.d/y.ndjson": b"new"})
    assert await found(f"{base}/users") == ["users"]
    assert await found(f"{base}/users.d") == ["users.d/y.ndjson"]


@pytest.mark.parametrize("uri", ["users.ndjson", "", "s3://", "file://here/x"])
async def test_what_is_no_uri_is_refused(uri: str) -> None:
    with pytest.raises(StorageError):
        await find_input(uri, open_input_store)


async def test_input_behind_a_connection_that_does_not_exist_is_told_by_its_name() -> None:
    with pytest.raises(ConnectionConfigError, match="'nowhere' does not exist"):
        await find_input("s3://nowhere@bucket/in/*.ndjson", open_input_store)


async def test_input_that_may_not_be_read_is_refused_with_advice(
    s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"endpoint_url": s3_server.endpoint, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "WRONG", "password": "wrong-secret", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_WRONG", json.dumps(connection))
    for tail in ("users.ndjson", "folder/", "*.ndjson"):
        with pytest.raises(StorageError, match=r"(no permission|is wrong)\. Check the connection") as caught:
            await find_input(f"s3://wrong@landing/{tail}", open_input_store)
        assert "wrong-secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["users[1].csv", "[2026] users.csv", "a[b/users.csv", "year[1]/users.csv", "x]y[.csv"])
async def test_a_file_with_brackets_in_its_name_is_found_by_its_name(put: Put, name: str) -> None:
    folder = put(**{name: b"one", "other.csv": b"two"})
    (found,) = await find_input(f"{folder}/{name}", open_input_store)
    assert found.name.endswith(f"/{name}")
    assert b"".join(await asyncio.to_thread(lambda: list(found.open()))) == b"one"
    (again,) = await find_input(f"{folder}/{name.replace('[', '[[]')}", open_input_store)
    assert again == found or again.name == found.name


async def test_brackets_are_a_glob_where_no_file_has_that_name(put: Put) -> None:
    folder = put(**{"users1.csv": b"", "users2.csv": b"", "a/x.csv": b"", "b/x.csv": b""})
    assert len(await find_input(f"{folder}/users[12].csv", open_input_store)) == 2
    assert len(await find_input(f"{folder}/[ab]/x.csv", open_input_store)) == 2
    with pytest.raises(InputError, match=r"write \[\[\] for a bracket of a name"):
        await find_input(f"{folder}/users[3].csv", open_input_store)


@pytest.mark.parametrize(
    ("tail", "wanted"),
    [
        ("roster_[ab].csv", ["roster_a.csv", "roster_b.csv"]),
        ("[xy]/q.csv", ["x/q.csv"]),
        ("z[1].csv", ["z[1].csv"]),
        ("d[1]/q.csv", ["d[1]/q.csv"]),
    ],
)
async def test_brackets_need_no_look_at_a_name_that_may_not_be_there(tail: str, wanted: list[str]) -> None:
    """AWS refuses a HEAD of a missing name to those who may list certain prefixes only."""

    class Listed:
        uri, read = "s3://bucket/in", print

        async def head(self, name: str) -> ObjectInfo | None:
            raise StorageError(f"Cannot read {name}: 403 Forbidden")

        async def list_keys(self) -> AsyncIterator[list[ObjectInfo]]:
            for name in ("", "roster_a.csv", "x/q.csv", "z[1].csv", "d[1]/q.csv", "roster_b.csv"):
                yield [ObjectInfo(name, 7, "tag", 1.0)]

    found = await find_input(f"s3://bucket/in/{tail}", lambda _uri: cast("Store", Listed()))
    assert [file.name for file in found] == [f"s3://bucket/in/{name}" for name in wanted]


async def test_a_name_that_may_mean_a_file_or_a_glob_is_refused(put: Put) -> None:
    folder = put(**{"users1.csv": b"", "users[1].csv": b""})
    with pytest.raises(InputError, match="as a glob it names others"):
        await find_input(f"{folder}/users[1].csv", open_input_store)
    for name, wanted in (("users[[]1].csv", "users[1].csv"), ("users?.csv", "users1.csv")):
        (found,) = await find_input(f"{folder}/{name}", open_input_store)
        assert found.name.endswith(wanted)
