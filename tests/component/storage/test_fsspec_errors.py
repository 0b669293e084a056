"""Drivers of fsspec that rename in their own way, and errors of file systems behind them."""

from __future__ import annotations

import asyncio
import errno
import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowNotFoundException
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from learnosity.connections import open_store
from learnosity.errors import ConnectionConfigError, LearnosityError, StorageError, TransientStorageError
from learnosity.fsspec_store import FsspecStore
from learnosity.inputs.find import find_input
from learnosity.storage.write_check import check_writable


class Silent(LocalFileSystem):  # type: ignore[misc]
    """As WebHDFS: a rename onto a file that is there does nothing and says nothing."""

    cachable = False

    def mv(self, old: str, new: str, **_: Any) -> None:
        if not Path(new).exists():
            Path(old).rename(new)


class Refusing(Silent):
    """As SMB: the same is an error."""

    def mv(self, old: str, new: str, **_: Any) -> None:
        if Path(new).exists():
            raise OSError(errno.EEXIST, "exists", new)
        Path(old).rename(new)


class SmbError(OSError):
    """As that of smbprotocol: what is not there has its number, and not its class."""


def _as_smb(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except FileNotFoundError as error:
            raise SmbError(errno.ENOENT, "STATUS_OBJECT_NAME_NOT_FOUND", error.filename) from None

    return wrapped


class Smb(Refusing):
    """As SMB, with its errors."""

    open, info, ls, cat_file, rm_file, makedirs = (
        _as_smb(getattr(Silent, name)) for name in ("open", "info", "ls", "cat_file", "rm_file", "makedirs")
    )


class Dead(Silent):
    """Does not rename a file with this content, and says nothing."""

    def mv(self, old: str, new: str, **_: Any) -> None:
        if Path(old).read_bytes() != b"unlucky":
            super().mv(old, new)


class Short(Silent):
    """Loses the end of a file."""

    def mv(self, old: str, new: str, **_: Any) -> None:
        super().mv(old, new)
        os.truncate(new, 1)


def store_of(kind: type[LocalFileSystem], folder: Path) -> FsspecStore:
    return FsspecStore(kind(), str(folder), f"shared://{folder}")


@pytest.mark.parametrize("kind", [LocalFileSystem, Silent, Refusing, Smb])
async def test_a_file_that_is_there_is_replaced_whatever_the_driver_does_by_itself(
    kind: type[LocalFileSystem], tmp_path: Path
) -> None:
    store = store_of(kind, tmp_path)
    for content in (b"first", b"other", b"a longer one"):
        await store.put("in/latest.json", content)
        assert await store.get("in/latest.json") == content
        assert [info.path async for batch in store.list("") for info in batch] == ["in/latest.json"]
        assert await store.discard_unfinished("") == 0


@pytest.mark.parametrize("before", [None, b"first"])
async def test_a_rename_that_is_not_done_is_an_error_and_what_was_there_stays(
    before: bytes | None, tmp_path: Path
) -> None:
    store = store_of(Dead, tmp_path)
    if before is not None:
        await store.put("latest.json", before)
    with pytest.raises(TransientStorageError, match="has not done it"):
        await store.put("latest.json", b"unlucky")
    assert await store.get("latest.json") == before
    assert await store.discard_unfinished("") == 0


async def test_a_file_that_is_cut_off_by_the_rename_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TransientStorageError, match="has not done it"):
        await store_of(Short, tmp_path).put("latest.json", b"content")


def failing(error: Exception) -> type[LocalFileSystem]:
    class Failing(LocalFileSystem):  # type: ignore[misc]
        cachable = False

        def _fail(self, *_: Any, **__: Any) -> Any:
            raise error

        open = info = ls = cat_file = rm_file = makedirs = _fail

    return Failing


async def _list(store: FsspecStore) -> None:
    async for _ in store.list(""):
        pass


OPERATIONS: dict[str, Callable[[FsspecStore], Awaitable[object]]] = {
    "put": lambda store: store.put("file", b"x"),
    "get": lambda store: store.get("file"),
    "head": lambda store: store.head("file"),
    "read": lambda store: asyncio.to_thread(lambda: list(store.read("file"))),
    "list": _list,
    "folders": lambda store: store.folders(""),
    "delete": lambda store: store.delete(["file"]),
}
FINAL = (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EROFS, errno.EACCES, errno.EPERM)
PASSES = (errno.EIO, errno.ETIMEDOUT, errno.ECONNRESET, errno.ENOSPC, None)


@pytest.mark.parametrize("number", [*FINAL, *PASSES])
@pytest.mark.parametrize("name", OPERATIONS)
async def test_an_error_of_a_file_system_is_the_same_for_each_operation(
    name: str, number: int | None, tmp_path: Path
) -> None:
    error = OSError("it is so") if number is None else OSError(number, os.strerror(number), "/the/file")
    with pytest.raises((StorageError, TransientStorageError)) as caught:
        await OPERATIONS[name](store_of(failing(error), tmp_path))
    assert type(caught.value) is (StorageError if number in FINAL else TransientStorageError)
    assert f"shared://{tmp_path}" in str(caught.value)


class SMBOSError(SmbError):
    """As that of smbprotocol: most NT statuses have the number 0, and its text begins with both."""

    def __init__(self, number: int, ntstatus: int, name: str) -> None:
        super().__init__(number, f"[NtStatus {ntstatus:#x}] Unknown NtStatus error returned '{name}'", "//host/share")
        self.ntstatus = ntstatus


class AccessDenied(Exception):
    """As that of smbprotocol where the share itself is refused."""


DENIED = [
    SMBOSError(0, 0xC0000022, "STATUS_ACCESS_DENIED"),
    SMBOSError(0, 0xC0000022, "STATUS_UNKNOWN"),
    SMBOSError(errno.EACCES, 0xC0000061, "STATUS_PRIVILEGE_NOT_HELD"),
    SmbError(errno.EACCES, "denied"),
    OSError("STATUS_ACCESS_DENIED"),
    AccessDenied("Received unexpected status from the server: (3221225506) STATUS_ACCESS_DENIED: 0xc0000022"),
    ValueError("Failed to connect: STATUS_ACCESS_DENIED"),
]
BUSY = [
    SMBOSError(errno.EPERM, 0xC0000043, "STATUS_SHARING_VIOLATION"),
    SMBOSError(0, 0xC00000AE, "STATUS_PIPE_BUSY"),
    SMBOSError(0, 0xC000020C, "STATUS_CONNECTION_DISCONNECTED"),
    ValueError("STATUS_ACCESS_DENIED_FOR_NOW"),
]


@pytest.mark.parametrize("error", DENIED, ids=repr)
@pytest.mark.parametrize("name", OPERATIONS)
async def test_missing_rights_on_smb_are_for_a_person_to_mend(name: str, error: Exception, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No permission on shared://.* Check the connection") as caught:
        await OPERATIONS[name](store_of(failing(error), tmp_path))
    assert type(caught.value) is StorageError


@pytest.mark.parametrize("error", BUSY, ids=repr)
@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_file_that_somebody_else_has_open_on_smb_is_tried_again(
    name: str, error: Exception, tmp_path: Path
) -> None:
    with pytest.raises(TransientStorageError):
        await OPERATIONS[name](store_of(failing(error), tmp_path))


async def test_a_folder_in_the_place_of_a_file_is_for_a_person_to_mend(tmp_path: Path) -> None:
    (tmp_path / "latest.json").mkdir()
    with pytest.raises(StorageError, match="a file in the place of a folder, or the reverse"):
        await store_of(LocalFileSystem, tmp_path).put("latest.json", b"x")


@pytest.mark.parametrize("kind", [LocalFileSystem, Smb])
async def test_what_is_not_there_is_no_error_however_the_driver_says_so(
    kind: type[LocalFileSystem], tmp_path: Path
) -> None:
    store = store_of(kind, tmp_path / "new")
    assert await store.get("a/file") is None
    assert await store.get("a/file", limit=9) is None
    assert await store.head("a/file") is None
    assert await store.folders("a") == []
    assert [batch async for batch in store.list("a")] == []
    assert await store.discard_unfinished("a") == 0
    await store.delete(["a/file", "a/other"])
    with pytest.raises(StorageError, match="does not exist"):
        list(store.read("a/file"))
    await store.put("a/file", b"x")
    assert await store.get("a/file") == b"x"


@pytest.mark.parametrize("error", [FileNotFoundError("gone"), SmbError(errno.ENOENT, "gone")], ids=["usual", "smb"])
async def test_a_folder_that_is_gone_while_a_file_is_written_is_tried_again(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(TransientStorageError, match="gone"):
        await store_of(failing(error), tmp_path).put("file", b"x")


class SSHException(Exception):
    """As that of paramiko. Those of asyncssh and of SMB are of no standard class either."""


class AuthenticationException(SSHException):
    """As that of paramiko."""


class BadAuthenticationType(AuthenticationException):
    """As that of paramiko."""


class BadHostKeyException(SSHException):
    """As that of paramiko. Its text has the server's name and both keys."""


class HostKeyNotVerifiable(Exception):
    """As that of asyncssh."""


class PermissionDenied(Exception):
    """As that of asyncssh."""


class LogonFailure(Exception):
    """As that of smbprotocol."""


HOST_KEY = "Host key for server '{}' does not match: got '{}', expected 'AAAA'"
LOGIN = [
    *(
        BadHostKeyException(HOST_KEY.format(host, key))
        for host, key in (
            ("geoffrey.example.org", "AAAB"),
            ("closed.example.org", "AAAB"),
            ("sftp.example.org", "AAAAEOFresetlost/closed+EOF="),
            ("reset", "AAAB"),
        )
    ),
    HostKeyNotVerifiable("Host key is not trusted for host lost"),
    HostKeyNotVerifiable("Connection lost: host key is not trusted"),
    PermissionDenied("Permission denied for user lost on host reset"),
    *(
        AuthenticationException(f"Authentication failed for {name}.")
        for name in ("geoffrey", "preset", "enclosed", "eof", "etl@lost.example.org", "reset-sftp", "lost@sftp")
    ),
    AuthenticationException("Authentication failed."),
    BadAuthenticationType("Bad authentication type; allowed types: ['publickey']"),
    PermissionDenied("Permission denied for user etl on host sftp.example"),
    LogonFailure("STATUS_LOGON_FAILURE"),
]
STRANGE = [
    AuthenticationException("Authentication timeout."),
    *(
        AuthenticationException(f"Authentication failed: {cut}")
        for cut in (
            "transport shut down or saw EOF",
            "EOF",
            "EOFError",
            "timed out.",
            "Time-out",
            "Connection reset by peer",
            "(connection lost)",
            "closed/reset by server",
            "the server closed.",
        )
    ),
    TypeError("'NoneType' object is not iterable"),
    EOFError(),
    SSHException("Channel closed"),
    ValueError("Failed to connect to 'smb.example:445': password=hidden"),
    RuntimeError("lost: smb://user:hidden@host/share"),
    AttributeError("'NoneType' object has no attribute 'open_session'"),
]


@pytest.mark.parametrize("error", STRANGE, ids=repr)
@pytest.mark.parametrize("name", [*OPERATIONS, "get with a limit"])
async def test_an_error_of_the_library_behind_a_driver_passes(name: str, error: Exception, tmp_path: Path) -> None:
    calls = OPERATIONS | {"get with a limit": lambda store: store.get("file", limit=9)}
    with pytest.raises(TransientStorageError) as caught:
        await calls[name](store_of(failing(error), tmp_path))
    text = str(caught.value)
    assert f"shared://{tmp_path}" in text
    assert type(error).__name__ in text
    assert "hidden" not in text


@pytest.mark.parametrize("error", LOGIN, ids=repr)
@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_wrong_login_is_for_a_person_to_mend(name: str, error: Exception, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="the server refuses the login .*Check the connection"):
        await OPERATIONS[name](store_of(failing(error), tmp_path))


async def test_what_a_driver_cannot_do_is_for_a_person_to_mend(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="the storage driver cannot do this"):
        await store_of(failing(NotImplementedError("ls")), tmp_path).folders("")


async def test_the_error_of_a_write_is_told_and_not_that_of_the_clean_up_after_it(tmp_path: Path) -> None:
    class Lost(LocalFileSystem):  # type: ignore[misc]
        cachable = False

        def rm_file(self, path: str) -> None:
            raise EOFError

    async def chunks() -> AsyncIterator[bytes]:
        yield b"half"
        raise KeyError("the source breaks off")

    with pytest.raises(KeyError, match="the source breaks off"):
        await store_of(Lost, tmp_path).put_stream("file", chunks(), None)


def _as_failure(call: Callable[..., Any]) -> Callable[..., Any]:
    """As SFTP: a folder that is read is an error that says nothing."""

    @functools.wraps(call)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except IsADirectoryError:
            raise OSError("Failure") from None

    return wrapped


class Sftp(LocalFileSystem):  # type: ignore[misc]
    cachable = False
    cat_file, open = _as_failure(LocalFileSystem.cat_file), _as_failure(LocalFileSystem.open)


class UnknownSize(LocalFileSystem):  # type: ignore[misc]
    """A driver that knows no sizes."""

    cachable = False

    def info(self, path: str, **kwargs: Any) -> Any:
        return {**super().info(path, **kwargs), "size": None}

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        return [{**info, "size": None} for info in super().ls(path, detail=True, **kwargs)]


class NoSize(UnknownSize):
    """The same, without the field."""

    def info(self, path: str, **kwargs: Any) -> Any:
        return _without_size(super().info(path, **kwargs))

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        return [_without_size(info) for info in super().ls(path, detail=True, **kwargs)]


def _without_size(info: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in info.items() if name != "size"}


@pytest.mark.parametrize("kind", [LocalFileSystem, Silent, Smb, Sftp])
async def test_a_folder_is_no_object(kind: type[LocalFileSystem], tmp_path: Path) -> None:
    store = store_of(kind, tmp_path)
    await store.put("users/a.csv", b"x")
    for path in ("users", "users/"):
        assert await store.head(path) is None
        assert await store.get(path) is None
        assert await store.get(path, limit=9) is None
    assert await store.head("users/a.csv") is not None


async def test_a_folder_with_input_is_found_without_a_slash_at_its_end(tmp_path: Path) -> None:
    for name in ("users/a.csv", "users/b.csv", "users.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")

    def opened(uri: str) -> FsspecStore:
        folder = uri.removeprefix("shared://host").rstrip("/")
        return FsspecStore(LocalFileSystem(), folder, uri)

    for uri, names in {
        f"shared://host{tmp_path}/users": ["users/a.csv", "users/b.csv"],
        f"shared://host{tmp_path}/users/": ["users/a.csv", "users/b.csv"],
        f"shared://host{tmp_path}/users.csv": ["users.csv"],
    }.items():
        found = await find_input(uri, opened)
        assert [file.name for file in found] == [f"shared://host{tmp_path}/{name}" for name in names]


SIZED: dict[str, Callable[[FsspecStore], Awaitable[object]]] = {
    "get with a limit": lambda store: store.get("in/file", limit=9),
    "head": lambda store: store.head("in/file"),
    "list": _list,
    "check of a destination": lambda store: check_writable(store, "task"),
    "input, one file": lambda store: find_input("shared://host/in/file", lambda _: _below(store, "in")),
    "input, a glob": lambda store: find_input("shared://host/in/f*", lambda _: _below(store, "in")),
}


def _below(store: FsspecStore, folder: str) -> FsspecStore:
    return FsspecStore(store._fs, f"{store._root}/{folder}", f"{store.uri}/{folder}")


@pytest.mark.parametrize("kind", [UnknownSize, NoSize])
@pytest.mark.parametrize("name", SIZED)
async def test_a_size_that_a_driver_does_not_tell_is_not_taken_for_zero(
    name: str, kind: type[LocalFileSystem], tmp_path: Path
) -> None:
    store = store_of(kind, tmp_path)
    await store.put("in/file", b"content")
    await store.put("in/file", b"other")
    assert await store.get("in/file") == b"other"
    with pytest.raises(StorageError, match="does not tell the size") as caught:
        await SIZED[name](store)
    assert type(caught.value) is StorageError
    assert f"shared://{tmp_path}/" in str(caught.value)


def _register(monkeypatch: pytest.MonkeyPatch, opens: Callable[..., Any]) -> None:
    """A provider of Airflow for the scheme `memory`."""
    monkeypatch.setattr("airflow.sdk.io.fs._register_filesystems", lambda: {"memory": opens})
    monkeypatch.setattr("airflow.sdk.io.store._STORE_CACHE", {})


OPENINGS: list[tuple[Exception, type[LearnosityError], str]] = [
    (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), TransientStorageError, "refused"),
    (TimeoutError("late"), TransientStorageError, "late"),
    (OSError("Failure"), TransientStorageError, "Failure"),
    (ValueError("Failed to connect to 'host:445'"), TransientStorageError, "Failed to connect"),
    (EOFError(), TransientStorageError, "EOFError"),
    (SSHException("Authentication failed"), TransientStorageError, "Authentication failed"),
    (PermissionError("no"), StorageError, "No permission"),
    (FileNotFoundError(errno.ENOENT, "no such share"), StorageError, "Could not open .*no such share"),
    (ImportError("No module named 'smbprotocol'"), StorageError, "No storage driver .*smbprotocol"),
    (TransientStorageError("ours"), TransientStorageError, "^ours$"),
    *((error, StorageError, "refuses the login") for error in LOGIN),
    (AuthenticationException("Authentication timeout."), TransientStorageError, "timeout"),
    (
        TypeError("got an unexpected keyword argument 'hots'"),
        ConnectionConfigError,
        "hots.*its host and extra",
    ),
    (TypeError("__init__() missing 1 required positional argument: 'host'"), ConnectionConfigError, "'host'"),
    (TypeError("'NoneType' object is not iterable"), TransientStorageError, "NoneType"),
    (AirflowNotFoundException("The conn_id `absent` isn't defined"), ConnectionConfigError, "absent.*Admin"),
    (AirflowNotFoundException("The conn_id `present` isn't defined"), TransientStorageError, "present.*moment later"),
    (AirflowNotFoundException("not there"), ConnectionConfigError, "not there"),
]


@pytest.mark.parametrize(("error", "kind", "says"), OPENINGS, ids=repr)
def test_a_server_that_is_away_while_its_store_is_opened_is_no_missing_driver(
    error: Exception, kind: type[LearnosityError], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opens(conn_id: str | None) -> Any:
        raise error

    _register(monkeypatch, opens)
    monkeypatch.setenv("AIRFLOW_CONN_PRESENT", '{"conn_type": "sftp"}')
    with pytest.raises(LearnosityError, match=says) as caught:
        open_store("memory://host/in")
    assert type(caught.value) is kind
    assert ("No storage driver" in str(caught.value)) is isinstance(error, ImportError)
