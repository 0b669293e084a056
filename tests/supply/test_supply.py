"""What is said of pinned packages: nothing is taken for good that is not known."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from supply.__main__ import main
from supply.bom import NOT_INSTALLED, UNKNOWN, bill, licence
from supply.index import JSON, NotAskedError, read_project
from supply.pins import LOCKS, LockError, Pin, read_pins

NOW = datetime(2026, 11, 28, tzinfo=UTC)
PIN = Pin("msgspec", "1.2.0")


def file(version: str, day: str = "2026-11-18", **more: Any) -> dict[str, Any]:
    return {"filename": f"msgspec-{version}-py3-none-any.whl", "upload-time": f"{day}T10:00:00.000000Z"} | more


def test_age_newest_and_withdrawn_are_read() -> None:
    files = [file("1.2.0"), file("1.3.0"), file("2.0.0rc1"), file("1.4.0", yanked="broken"), {"filename": "readme.txt"}]
    known = read_project(PIN, {"files": files}, NOW)
    assert (known.days, known.newest, known.yanked, known.is_newest) == (9, "1.3.0", None, False)
    files[0]["yanked"] = True
    assert read_project(PIN, {"files": files}, NOW).yanked == "no reason given"
    files.append(file("1.2", "2026-11-08") | {"filename": "msgspec-1.2.tar.gz"})  # the same version
    one = read_project(PIN, {"files": files}, NOW)
    assert (one.yanked, one.days) == (None, 19)


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        ([], "lists no files"),
        ({}, "lists no files"),
        ({"files": "x"}, "lists no files"),
        ({"files": []}, "no version 1.2.0"),
        ({"files": [file("1.3.0")]}, "no version 1.2.0"),
        ({"files": [file("1.2.0") | {"upload-time": "yesterday"}]}, "does not say when"),
        ({"files": [{"filename": "msgspec-1.2.0-py3-none-any.whl"}]}, "does not say when"),
    ],
)
def test_a_reply_that_does_not_say_it_is_no_reply(reply: Any, what: str) -> None:
    with pytest.raises(NotAskedError, match=what):
        read_project(PIN, reply, NOW)


Replies = tuple[str, dict[str, tuple[int, bytes]], list[str]]


@pytest.fixture
def replies(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replies]:
    """An index on this machine, what it answers by package, and what it was asked."""
    answers: dict[str, tuple[int, bytes]] = {}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path.strip("/").rpartition("/")[2], (404, b""))
            asked.append(f"{self.path} {self.headers['Authorization']}")
            if self.headers["Accept"] != JSON:
                status = 406
            if status == 302:
                self.send_response(status)
                self.send_header("Location", body.decode())
                self.end_headers()
                return
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    monkeypatch.setattr("supply.index.time.sleep", lambda seconds: None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/simple", answers, asked
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (200, json.dumps({"files": [file("1.2.0")]}).encode(), 0, ""),
        (
            200,
            json.dumps({"files": [file("1.2.0", yanked="leaks")]}).encode(),
            1,
            "Withdrawn by their authors: msgspec",
        ),
        (200, b"<html>a simple index without JSON</html>", 1, "does not answer in JSON"),
        (404, b"", 1, "answers 404"),
        (503, b"", 1, "answers 503"),
    ],
)
def test_the_command_fails_unless_all_is_known_and_good(
    replies: Replies,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    status: int,
    body: bytes,
    code: int,
    said: str,
) -> None:
    index, answers, _ = replies
    answers["msgspec"] = (status, body)
    lock = tmp_path / "lock.txt"
    lock.write_text("msgspec==1.2.0\n")
    assert main(["--lock", str(lock), "ages", "--index", index]) == code
    shown = capsys.readouterr()
    assert said in shown.err
    assert ("msgspec" in shown.out) == (status == 200 and body.startswith(b"{"))
    assert "127.0.0.1" not in shown.err


LOGINS = {"me": "", "me:p%40ss": "p@ss", ":t0ken": "t0ken", "__token__:a:b": "a:b"}


@pytest.mark.parametrize("login", LOGINS)
def test_an_index_with_a_login_is_asked_with_it_as_pip_does_and_no_other_host_gets_it(
    login: str, replies: Replies, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index, answers, asked = replies
    lock = tmp_path / "lock.txt"
    lock.write_text("msgspec==1.2.0\nelsewhere==1.2.0\n")
    good = json.dumps({"files": [file("1.2.0"), file("1.2.0") | {"filename": "elsewhere-1.2.0.tar.gz"}]}).encode()
    answers |= {"msgspec": (200, good), "there": (200, good), "elsewhere": (302, b"http://localhost:1/")}
    answers["elsewhere"] = (302, f"{index.replace('127.0.0.1', 'localhost')}/there/".encode())
    assert main(["--lock", str(lock), "ages", "--index", index.replace("//", f"//{login}@", 1)]) == 0
    told = base64.b64encode(f"{login.partition(':')[0]}:{LOGINS[login]}".encode()).decode()
    assert sorted(asked) == [
        f"/simple/elsewhere/ Basic {told}",
        f"/simple/msgspec/ Basic {told}",
        "/simple/there/ None",
    ]
    shown = capsys.readouterr()
    assert not [each for each in LOGINS.values() if each and each in shown.out + shown.err]


@pytest.mark.parametrize(
    "index", ["pypi.example.com/simple", "https://me:secret@pypi.example.com:port/simple", "https://me:secret@[::1/x"]
)
def test_an_index_that_is_no_address_is_a_failure_that_shows_no_login(
    index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("msgspec==1.2.0\n")
    assert main(["--lock", str(lock), "ages", "--index", index]) == 1
    said = capsys.readouterr().err
    assert "msgspec: the index is no address" in said
    assert "secret" not in said


def test_a_package_may_be_named_in_any_spelling(replies: Replies, tmp_path: Path) -> None:
    index, answers, asked = replies
    answers["py-yaml"] = (200, json.dumps({"files": [file("6.0") | {"filename": "py_yaml-6.0.tar.gz"}]}).encode())
    lock = tmp_path / "lock.txt"
    lock.write_text("py-yaml==6.0\nmsgspec==1.2.0\n")
    assert main(["--lock", str(lock), "ages", "--index", f"{index}/", "Py_YAML"]) == 0
    assert main(["--lock", str(lock), "ages", "--index", index, "yaml"]) == 1
    assert asked == ["/simple/py-yaml/ None"]


def test_an_index_that_is_away_is_a_failure(closed_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supply.index.time.sleep", lambda seconds: None)
    lock = tmp_path / "lock.txt"
    lock.write_text("msgspec==1.2.0\n")
    assert main(["--lock", str(lock), "ages", "--index", f"http://127.0.0.1:{closed_port}"]) == 1


def test_a_lock_is_read_with_markers_and_hashes_and_nothing_of_it_is_passed_over(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    digest = "ab" * 32
    lock.write_text(
        f"# a comment\nPy_YAML==6.0 ; python_version < '3.12' \\\n    --hash=sha256:{digest} \\\n"
        f"    --hash=sha256:{'cd' * 32}\n    # via x\nb[extra]==1\n"
    )
    assert read_pins(lock) == [Pin("b", "1"), Pin("py-yaml", "6.0", (digest, "cd" * 32))]
    for bad in ("c>=1\n", "git+https://example.com/x\n", f"--hash=sha256:{digest}\n", ""):
        lock.write_text(bad)
        with pytest.raises(LockError):
            read_pins(lock)


def test_the_bill_names_every_pin_and_the_licence_that_each_declares() -> None:
    from cyclonedx.model.bom import Bom

    pins = read_pins()
    made = bill(pins, "product", "1", "2026-11-28T00:00:00+00:00")
    read = Bom.from_json(made)  # type: ignore[attr-defined]
    assert {(each.name, each.version) for each in read.components} == {(pin.name, pin.version) for pin in pins}
    refs = {each["bom-ref"] for each in made["components"]} | {"pkg:pypi/product@1"}
    assert {ref for each in made["dependencies"] for ref in each["dependsOn"]} <= refs
    needs = {each["ref"].partition("@")[0]: each["dependsOn"] for each in made["dependencies"]}
    assert any(each.startswith("pkg:pypi/yarl@") for each in needs["pkg:pypi/aiohttp"])
    said = {pin.name: licence(pin) for pin in pins}
    assert [name for name, text in said.items() if text == UNKNOWN] == []
    # A package for another Python or platform alone is not installed, so its licence cannot be read. On Linux with
    # Python 3.11, there is no such package.
    assert len([name for name, text in said.items() if text == NOT_INSTALLED]) < len(pins) / 20
    assert len(LOCKS) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("MIT License\n\nCopyright (c) 2022", "MIT License"),
        ("  Apache License\n  Version 2.0, January 2004", "Apache License Version 2.0"),
        ("Copyright (c) 2022. All rights reserved.", UNKNOWN),
    ],
)
def test_a_licence_that_the_metadata_do_not_name_is_read_off_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    folder = tmp_path / "quiet-1.0.dist-info"
    (folder / "licenses").mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.4\nName: quiet\nVersion: 1.0\nLicense-File: LICENSE\n")
    (folder / "licenses" / "LICENSE").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert licence(Pin("quiet", "1.0")) == said


def test_of_a_version_for_another_python_it_is_what_the_installed_one_declares() -> None:
    assert licence(Pin("msgspec", "0.0.1")).endswith(f" (as {version('msgspec')} declares)")
    assert licence(Pin("no-such-package", "1.0")) == NOT_INSTALLED
