"""Names in a folder with input that no store can open: they matter only where they are asked for, and then by name."""

from __future__ import annotations

import asyncio
import glob
import json
import os
import socket
import tempfile
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit
from uuid import uuid4
from xml.sax.saxutils import escape

import boto3  # type: ignore[import-untyped]
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from devstack.seaweedfs import REGION, SeaweedFS
from learnosity import store_options
from learnosity.connections import open_input_store
from learnosity.errors import InputError, StorageError, TransientStorageError
from learnosity.inputs.find import find_input
from learnosity.storage.object_names import local_keys
from tests.component.api.hand_made import Behaviour, Exchange, hand_made, reply, xml

Connect = Callable[..., str]


async def found(uri: str) -> list[str]:
    return [file.name.rpartition("/in/")[2] for file in await find_input(uri, open_input_store)]


def listing(*keys: str) -> Behaviour:
    """A bucket that holds these keys; each content is its own key, and that of a folder marker is empty."""

    async def behaviour(asked: Exchange) -> None:
        await asked.take()
        if "list-type=2" not in asked.target:
            await asked.give(reply(404, xml("NoSuchKey")))
            return
        query = parse_qs(urlsplit(asked.target).query)
        (prefix,) = query["prefix"]
        encoded = "encoding-type" in query
        entries = "".join(_entry(key, encoded) for key in keys if key.startswith(prefix))
        state = f"<IsTruncated>false</IsTruncated>{'<EncodingType>url</EncodingType>' if encoded else ''}"
        body = f"<ListBucketResult>{state}{entries}</ListBucketResult>"
        await asked.give(reply(200, body.encode(), {"Content-Type": "application/xml"}))

    return behaviour


def _entry(key: str, encoded: bool) -> str:
    """As S3 writes it: XML has no place for some characters, so a client can ask for encoded keys."""
    plain = "".join(f"&#{ord(char)};" if ord(char) < 32 else escape(char) for char in key)
    text = quote(key) if encoded else plain
    size = 0 if key.endswith("/") else 7
    when = "2026-01-01T00:00:00.000Z"
    return (
        f"<Contents><Key>{text}</Key><ETag>&quot;tag&quot;</ETag><LastModified>{when}</LastModified>"
        f"<Size>{size}</Size></Contents>"
    )


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Defines the connection `lake` to an S3 server; gives the URI of its bucket."""

    monkeypatch.setitem(store_options.RETRY, "max_retries", 0)

    def define(endpoint: str, login: str = "A", password: str = "secret") -> str:
        own = {"endpoint_url": endpoint, "region_name": REGION, "config_kwargs": {"retries": {"total_max_attempts": 1}}}
        connection = {"conn_type": "aws", "login": login, "password": password, "extra": own}
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
        return "s3://lake@landing"

    return define


GOOD = ("in/users.csv", "in/sub/more.csv", "in/ü %41+#1.csv")
REFUSED = ["in/a//b.csv", "in//b.csv", "in/./b.csv", "in/a/../b.csv", "in/a\x7fb.csv", "in/\x01b.csv", "in/\nb.csv"]


@pytest.mark.parametrize("odd", REFUSED, ids=ascii)
async def test_a_key_that_no_store_opens_matters_only_where_it_is_asked_for(connect: Connect, odd: str) -> None:
    async with hand_made(listing(*GOOD, odd, "in/archive/")) as server:
        bucket = connect(server.url)
        assert await found(f"{bucket}/in/users*") == ["users.csv"]
        assert await found(f"{bucket}/in/sub/") == ["sub/more.csv"]
        for tail in ("/", "/**/*b.csv"):
            with pytest.raises(InputError, match=r"/in/.*b\.csv' cannot be read: its name holds .* nothing was sent"):
                await found(f"{bucket}/in{tail}")


async def test_folder_markers_are_passed_over(connect: Connect) -> None:
    async with hand_made(listing("in/", "in/archive/", *GOOD, "in/sub/")) as server:
        names = ["sub/more.csv", "users.csv", "ü %41+#1.csv"]
        bucket = connect(server.url)
        assert await found(f"{bucket}/in") == await found(f"{bucket}/in/**") == names
        with pytest.raises(InputError, match="No input found"):
            await found(f"{bucket}/in/arch*")


def only_below(folder: str, *keys: str) -> Behaviour:
    """The same for an identity that may do nothing but list a folder and read what is in it."""
    there = listing(*keys)

    async def behaviour(asked: Exchange) -> None:
        path, _, query = unquote(asked.target).partition("?")
        below = parse_qs(query).get("prefix", [path.removeprefix("/landing/")])[0]
        if below.startswith(f"{folder}/"):
            await there(asked)
            return
        await asked.take()
        body = xml("AccessDenied")
        await asked.give(reply(403, b"" if asked.method == "HEAD" else body))

    return behaviour


async def test_a_folder_may_be_all_that_may_be_read(connect: Connect) -> None:
    async with hand_made(only_below("in", *GOOD)) as server:
        bucket = connect(server.url)
        names = ["sub/more.csv", "users.csv", "ü %41+#1.csv"]
        for uri in (f"{bucket}/in", f"{bucket}/in/", f"{bucket}/in/**"):
            assert await found(uri) == names
        for uri in (f"{bucket}/other", f"{bucket}/other.csv"):
            with pytest.raises(StorageError, match=r"Could not look at s3://landing/other.*: no permission"):
                await found(uri)
    async with hand_made(only_below("in")) as server:
        with pytest.raises(StorageError, match="Could not look at s3://landing/in: no permission"):
            await found(f"{connect(server.url)}/in")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("SignatureDoesNotMatch", "access key or its secret is wrong"),
        ("RequestTimeTooSkewed", "Correct this machine's clock"),
        ("AccessDenied", "Could not look at s3://landing/in: no permission"),
        ("", "Could not look at s3://landing/in: no permission"),
    ],
)
async def test_why_an_input_may_not_be_read_is_told(connect: Connect, code: str, says: str) -> None:
    async def behaviour(asked: Exchange) -> None:
        await asked.take()
        await asked.give(reply(403, b"" if asked.method == "HEAD" or not code else xml(code)))

    async with hand_made(behaviour) as server:
        with pytest.raises(StorageError, match=says):
            await found(f"{connect(server.url)}/in")


async def test_markers_of_a_real_server_are_passed_over_and_an_empty_file_is_not(
    connect: Connect, s3_server: SeaweedFS
) -> None:
    keys, prefix = s3_server.landing, f"odd-{uuid4()}"
    client = boto3.client(
        "s3",
        endpoint_url=s3_server.endpoint,
        region_name=REGION,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
    )
    for key, content in {
        "archive/": b"",
        "empty.csv": b"",
        "users ü%20.csv": b"x",
        "sub/": b"",
        "sub/a.csv": b"x",
    }.items():
        await asyncio.to_thread(client.put_object, Bucket="landing", Key=f"{prefix}/in/{key}", Body=content)
    base = connect(s3_server.endpoint, keys.access_key, keys.secret_key) + f"/{prefix}/in"
    assert await found(base) == ["empty.csv", "sub/a.csv", "users ü%20.csv"]
    files = await find_input(base, open_input_store)
    contents = await asyncio.to_thread(lambda: [b"".join(file.open()) for file in files])
    assert contents == [b"", b"x", b"x"]


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (reply(403, xml("AccessDenied")), StorageError, "no permission"),
        (reply(404, xml("NoSuchBucket")), StorageError, "does not exist"),
        (reply(503, xml("SlowDown")), TransientStorageError, "asks for less"),
        (reply(500, xml("InternalError")), TransientStorageError, "InternalError"),
    ],
)
async def test_a_listing_that_fails_is_told_as_every_other_request(
    connect: Connect, answer: bytes, error: type[Exception], says: str
) -> None:
    async def refuses(asked: Exchange) -> None:
        await asked.give(answer)

    async with hand_made(refuses) as server:
        with pytest.raises(error, match=rf"list s3://landing/in.*{says}") as caught:
            await found(f"{connect(server.url)}/in/*.csv")
    assert type(caught.value) is error
    assert "signature" not in str(caught.value)


@pytest.mark.parametrize("name", ["users#\u0661", "users#\u09e7\u0968", "a#1\u0662", "a#\uff11"], ids=ascii)
async def test_a_local_file_whose_name_ends_with_digits_of_another_script_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(b"x")
    [file] = await find_input(f"file://{tmp_path}/in", open_input_store)
    assert (file.path, b"".join(file.open())) == (name, b"x")


async def test_a_server_that_is_away_is_a_passing_error(connect: Connect, closed_port: int) -> None:
    with pytest.raises(TransientStorageError, match="no server listens there"):
        await found(f"{connect(f'http://127.0.0.1:{closed_port}')}/in/*.csv")


LOCAL = ["users#1", "C:", "a\nb.csv", "a\x01b.csv", os.fsdecode(b"a\xffb.csv")]


@pytest.mark.parametrize("odd", LOCAL, ids=ascii)
async def test_a_local_file_that_cannot_be_opened_is_named_and_never_passed_over(odd: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("users.csv", odd):
        (folder / name).write_bytes(b"x")
    assert await found(f"file://{folder}/*rs.csv") == ["users.csv"]
    for tail in ("", "/", "/*", "/**"):
        with pytest.raises(InputError, match=r"cannot be read: .* Rename it") as caught:
            await found(f"file://{folder}{tail}")
        assert ascii(odd).strip("'") in str(caught.value)


async def test_local_links_are_followed_once_round(tmp_path: Path) -> None:
    folder, other = tmp_path / "in", tmp_path / "other"
    for each in (folder / "sub", other):
        each.mkdir(parents=True)
    (folder / "sub" / "a.csv").write_bytes(b"x")
    (other / "b.csv").write_bytes(b"x")
    (folder / "back").symlink_to(folder)
    (folder / "linked").symlink_to(other)
    (folder / "c.csv").symlink_to(other / "b.csv")
    assert await found(f"file://{folder}") == ["c.csv", "linked/b.csv", "sub/a.csv"]


def _link(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def _link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def _links_in_a_circle(path: Path) -> None:
    path.symlink_to(path.parent.parent / ".other")
    (path.parent.parent / ".other").symlink_to(path)


def _link_below_a_file(path: Path) -> None:
    (path.parent.parent / ".file").write_bytes(b"x")
    path.symlink_to(path.parent.parent / ".file" / "x")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link_to_pipe(path: Path) -> None:
    os.mkfifo(path.parent.parent / ".pipe")
    path.symlink_to(path.parent.parent / ".pipe")


LINKS_NOWHERE = [_link, _link_to_itself, _links_in_a_circle, _link_below_a_file]
MAKERS = [*LINKS_NOWHERE, _pipe, _link_to_pipe]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("name", "asked", "passed_over"),
    [
        ("more.csv", ["", "/", "/*", "/*.csv", "/**", "/more*"], ["/users*", "/*.tsv", "/more/*"]),
        ("sub/more.csv", ["", "/**", "/**/*.csv", "/*/m*"], ["/users*", "/*.csv", "/sub/o*"]),
        ("m[1].csv", ["", "/m[1].csv", "/m[[]1].csv"], ["/users*"]),
        ("_SUCCESS", ["/_*"], ["", "/**", "/*"]),
        (".more.csv", ["/.m*"], ["", "/**", "/*.csv"]),
        ("_old/more.csv", ["/_old", "/_*/*"], ["", "/**"]),
        ("more.csv.crc", ["/*.crc"], ["", "/*"]),
    ],
)
async def test_what_is_no_file_in_a_local_folder_is_named_where_the_input_asks_for_it(
    make: Callable[[Path], None], name: str, asked: list[str], passed_over: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    for each in ("users.csv", "users.tsv", "more/a.csv", "sub/other.csv"):
        (folder / each).parent.mkdir(parents=True, exist_ok=True)
        (folder / each).write_bytes(b"x")
    (folder / name).parent.mkdir(exist_ok=True)
    make(folder / name)
    what = "link that leads nowhere" if make in LINKS_NOWHERE else "no file"
    for tail in asked:
        with pytest.raises(InputError, match=f"cannot be read: it is .*{what}.* nothing was sent") as caught:
            await found(f"file://{folder}{tail}")
        assert f"{folder}/{name}" in str(caught.value)
    for tail in passed_over:
        assert await found(f"file://{folder}{tail}")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made, chdir(path.parent):  # a socket's path has at most 107 characters
        made.bind(path.name)


def _link_to_device(path: Path) -> None:
    path.symlink_to("/dev/null")


@pytest.mark.parametrize("make", [_pipe, _link_to_pipe, _socket, _link_to_device])
@pytest.mark.parametrize("name", ["users.csv", "users", "ä b%20.csv", "u[1].csv", "_x.csv"])
async def test_what_is_no_file_is_named_where_the_input_is_it_alone(
    make: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    """obstore would wait for ever for somebody to write to the pipe, and the task with it."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "more.csv").write_bytes(b"x")
    make(tmp_path / "in" / name)
    for scheme in ("file", "local"):
        with pytest.raises(InputError, match="cannot be read: it is a pipe, a socket or a device") as caught:
            await found(f"{scheme}://{tmp_path}/in/{name}")
        assert ascii(f"file://{tmp_path}/in/{name}") in str(caught.value)
        assert await found(f"{scheme}://{tmp_path}/in/more.csv") == ["more.csv"]


@pytest.mark.parametrize("uri", ["/dev/null", "/dev/zero"])
async def test_a_device_is_no_input(uri: str) -> None:
    with pytest.raises(InputError, match=f"'file://{uri}' cannot be read: it is a pipe, a socket or a device"):
        await find_input(f"file://{uri}", open_input_store)


@pytest.mark.parametrize(
    ("tail", "refused"),
    [
        ("/*/users.csv", True),
        ("/n*/users.csv", True),
        ("/**/users.csv", False),
        ("/**", False),
        ("", False),
        ("/s*/users.csv", False),
        ("/*.csv", False),
    ],
)
async def test_a_link_that_leads_nowhere_may_be_a_folder_with_input(tail: str, refused: bool, tmp_path: Path) -> None:
    for folder in (tmp_path / "in", tmp_path / "in" / "south"):
        folder.mkdir()
        (folder / "users.csv").write_bytes(b"x")
    (tmp_path / "in" / "north").symlink_to(tmp_path / "not-mounted")
    if refused:
        with pytest.raises(InputError, match="in/north' cannot be read: it is a link that leads nowhere"):
            await found(f"file://{tmp_path}/in{tail}")
    else:
        assert await found(f"file://{tmp_path}/in{tail}")


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("name", ["README", "current", "agent.sock", "sub/LICENSE", "part-00000"])
@pytest.mark.parametrize("tail", ["", "/", "/**", "/**/*.csv", "/*", "/*.csv"])
async def test_what_is_no_file_and_has_no_name_of_input_is_passed_over_and_named(
    make: Callable[[Path], None], name: str, tail: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    odd = tmp_path / "in" / name
    odd.parent.mkdir(parents=True)
    make(odd)
    (tmp_path / "in" / "u.csv").write_bytes(b"x")
    assert await found(f"file://{tmp_path}/in{tail}") == ["u.csv"]
    may_be_folder = make in LINKS_NOWHERE and tail == "/**/*.csv"
    matches = tail in ("", "/", "/**") or (tail == "/*" and "/" not in name)
    assert (f"{odd}' is passed over: it is a" in caplog.text) is (matches or may_be_folder)
    (tmp_path / "in" / "u.csv").unlink()
    with pytest.raises(InputError, match="cannot be read: it is a .* remove it" if matches else "cannot be|No input"):
        await found(f"file://{tmp_path}/in{tail}")


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("tail", ["", "/", "/**", "/*"])
@pytest.mark.parametrize(
    ("file", "name"), [("part-00000", "part-00001"), ("a.txt", "b.TXT"), ("a.export", "b.export"), ("a", "README")]
)
async def test_what_ends_like_a_file_of_the_input_is_not_passed_over(
    make: Callable[[Path], None], tail: str, file: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / file).write_bytes(b"x")
    make(tmp_path / "in" / name)
    with pytest.raises(InputError, match=f"in/{name}' cannot be read: it is a"):
        await found(f"file://{tmp_path}/in{tail}")


async def test_many_that_are_passed_over_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(12):
        _link(tmp_path / f"link{number:02}")
    (tmp_path / "u.csv").write_bytes(b"x")
    assert await found(f"file://{tmp_path}/") == [f"file://{tmp_path}/u.csv"]
    assert caplog.text.count("is passed over") == 10
    assert "2 more such paths" in caplog.text


async def test_the_tag_of_a_local_file_is_the_same_alone_and_in_a_listing(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_bytes(b"content")
    store = await asyncio.to_thread(open_input_store, f"file://{tmp_path}")
    [[listed]] = [batch async for batch in store.list_keys()]
    alone = await store.head("users.csv")
    assert alone is not None
    assert (listed.path, listed.size, listed.etag) == (alone.path, alone.size, alone.etag)
    assert [[info.path for info in batch] for batch in local_keys(f"{tmp_path}/nowhere")()] == [[]]


PART = st.sampled_from(["a", "b", "ab", "ba", ".a", "a.b", "aa"])
GLOB = st.sampled_from(["*", "**", "?", "a*", "*b", "[ab]", "[!a]*", ".*", "a", "**", "*a*"])


def _by_python(folder: str, paths: list[list[str]], pattern: str) -> set[str]:
    for path in paths:
        Path(folder, *path).mkdir(parents=True, exist_ok=True)
        Path(folder, *path, "file").touch()
    found = set(glob.glob(pattern, root_dir=folder, recursive=True))  # noqa: PTH207
    while pattern.endswith("/**"):
        # For us and for `full_match` of Python 3.13, `a/**` also finds the file `a` itself. For `glob`, it does not. So
        # `glob` gets the pattern without `/**` as well.
        pattern = pattern.removesuffix("/**")
        found |= set(glob.glob(pattern, root_dir=folder, recursive=True))  # noqa: PTH207
    return {name for name in found if Path(folder, name).is_file()}


@settings(max_examples=200)
@given(st.lists(st.lists(PART, min_size=1, max_size=4), min_size=1, max_size=4), st.lists(GLOB, min_size=1, max_size=5))
@example([["a", ".a", "b"]], ["**", "b"])
@example([["a", "b"]], ["**", "**", "**"])
async def test_a_glob_finds_what_python_finds(paths: list[list[str]], globs: list[str]) -> None:
    pattern = "/".join(globs)
    assume(glob.has_magic(pattern))
    with tempfile.TemporaryDirectory() as root:
        wanted = await asyncio.to_thread(_by_python, f"{root}/in", paths, pattern)
        try:
            assert set(await found(f"file://{root}/in/{pattern}")) == wanted
        except InputError:
            assert not wanted


async def test_many_wildcards_in_a_deep_folder_take_no_time(connect: Connect) -> None:
    deep = "in/" + "a/" * 200 + "b"
    async with hand_made(listing(deep)) as server:
        assert await found(f"{connect(server.url)}/in/{'**/a/' * 60}**/b") == [deep.removeprefix("in/")]
        with pytest.raises(InputError, match="No input found"):
            await found(f"{connect(server.url)}/in/{'**/a/' * 60}**/c")
