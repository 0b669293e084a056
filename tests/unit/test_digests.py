"""Images are pinned by what their registry says of their tags, and by nothing else."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from compose import digests
from compose.digests import COMPOSE, NotPinnedError, digest_of, images, main, pinned
from compose.env import settings

INDEX = b'{"manifests": []}'
DIGEST = f"sha256:{hashlib.sha256(INDEX).hexdigest()}"


@pytest.fixture
def registry() -> Iterator[tuple[str, dict[str, Any]]]:
    """A registry on this machine, and how it answers: it gives everybody a token, and wants it."""
    how: dict[str, Any] = {"digest": DIGEST, "asked": []}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            how["asked"].append(self.path)
            address = f"http://{self.headers['Host']}"
            if self.path.startswith("/token"):
                self.reply(200, json.dumps({"token": "for-anybody"}).encode())
            elif self.headers["Authorization"] != "Bearer for-anybody" and not how.get("open"):
                scope = "repository:team/airflow:pull"
                challenge = f'Bearer realm="{how.get("realm", address + "/token")}",service="here",scope="{scope}"'
                self.reply(401, b"", {"WWW-Authenticate": challenge})
            elif "index" not in self.headers["Accept"]:
                self.reply(406, b"")
            else:
                self.reply(how.get("status", 200), INDEX, {"Docker-Content-Digest": how["digest"], "Location": "/x"})

        def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", how
    server.shutdown()
    server.server_close()


def test_the_digest_is_that_of_the_content_and_a_token_for_anybody_is_fetched(registry: tuple[str, Any]) -> None:
    host, how = registry
    assert digest_of(f"{host}/team/airflow:3.3.2") == DIGEST
    path = "/v2/team/airflow/manifests/3.3.2"
    assert how["asked"] == [path, "/token?service=here&scope=repository%3Ateam%2Fairflow%3Apull", path]
    how["open"] = True
    how["digest"] = ""  # some registries do not send this header
    assert digest_of(f"{host}/team/airflow:3.3.2") == DIGEST


@pytest.mark.parametrize(
    "lie",
    [
        {"digest": "sha256:" + "0" * 64},
        {"status": 404},
        {"status": 500},
        {"status": 307},
        {"realm": "http://attacker.example/token"},
        {"realm": ""},
    ],
)
def test_what_is_not_known_is_not_pinned(registry: tuple[str, Any], lie: dict[str, Any]) -> None:
    host, how = registry
    how |= lie
    with pytest.raises(NotPinnedError, match="team/airflow"):
        digest_of(f"{host}/team/airflow:3.3.2")


@pytest.mark.parametrize("image", ["mirror.example.com:port/airflow:1", "127.0.0.1:/air flow:1"])
def test_what_is_no_address_is_not_pinned(image: str) -> None:
    with pytest.raises(NotPinnedError, match="cannot be reached"):
        digest_of(image)


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("postgres:17-trixie", (digests.HUB, "library/postgres", "17-trixie")),
        ("apache/airflow:3.3.2-python3.13", (digests.HUB, "apache/airflow", "3.3.2-python3.13")),
        ("docker.io/postgres", (digests.HUB, "library/postgres", "latest")),
        ("mirror.example.com/a/b/c:1", ("mirror.example.com", "a/b/c", "1")),
        ("mirror:5000/postgres:17", ("mirror:5000", "postgres", "17")),
    ],
)
def test_a_name_is_taken_apart_as_docker_does(image: str, parts: tuple[str, str, str]) -> None:
    assert digests._parts(image) == parts


def test_every_image_that_is_not_built_here_is_pinned_in_env_and_nothing_else_changes(
    registry: tuple[str, Any], tmp_path: Path
) -> None:
    host, _ = registry
    names = images(COMPOSE.read_text(), {})
    assert set(names) == {"AIRFLOW_IMAGE", "POSTGRES_IMAGE", "VALKEY_IMAGE", "SEAWEEDFS_IMAGE", "STATSD_IMAGE"}
    env = tmp_path / "env"
    lines = [f"{name}={host}/team/{name.lower()}:1@sha256:{'1' * 64}" for name in list(names)[1:]]
    lines += ["# a comment", "POSTGRES_PASSWORD='a=b'", f"{next(iter(names))}={host}/team/first:2"]
    env.write_text("\n".join([*lines, ""]))
    assert main(["--env", str(env)]) == 0
    after = env.read_text().splitlines()
    assert after == [
        *(f"{name}={host}/team/{name.lower()}:1@{DIGEST}" for name in list(names)[1:]),
        *("# a comment", "POSTGRES_PASSWORD='a=b'", f"{next(iter(names))}={host}/team/first:2@{DIGEST}"),
    ]
    assert stat.S_IMODE(env.stat().st_mode) == 0o600


ONLY = f"sha256:{'2' * 64}"


@pytest.mark.parametrize(
    ("image", "alone"),
    [
        (f"postgres@{ONLY}", True),
        (f"mirror.example.com/a/postgres@{ONLY}", True),
        (f"mirror:5000/postgres@{ONLY}", True),
        (f"localhost/postgres@{ONLY}", True),
        (f"postgres:17@{ONLY}", False),
        (f"mirror:5000/postgres:17@{ONLY}", False),
        ("postgres", False),
        ("mirror:5000/postgres", False),
        ("postgres:17", False),
    ],
)
@pytest.mark.parametrize("variable", sorted(images(COMPOSE.read_text(), {})))
def test_an_image_that_a_digest_alone_names_stays_as_it_is_and_that_is_said(
    variable: str, image: str, alone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    asked: list[str] = []

    def digest(image: str) -> str:
        asked.append(image)
        return DIGEST

    monkeypatch.setattr(digests, "digest_of", digest)
    env = tmp_path / "env"
    env.write_text(f"{variable}={image}\n")
    assert main(["--env", str(env)]) == 0
    name = image.partition("@")[0]
    assert (name in asked) is not alone
    assert settings(env.read_text())[variable] == (image if alone else f"{name}@{DIGEST}")
    assert len(settings(env.read_text())) == len(images(COMPOSE.read_text(), {}))
    assert (f"{variable}={image} stays as it is: it has a digest and no tag" in capsys.readouterr().out) is alone


def test_unless_all_are_known_nothing_is_written(
    closed_port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = tmp_path / "env"
    assert main(["--env", str(env)]) == 1
    assert "make compose-env" in capsys.readouterr().err
    text = "".join(f"{name}=127.0.0.1:{closed_port}/a:1\n" for name in images(COMPOSE.read_text(), {}))
    env.write_text(text)
    assert main(["--env", str(env)]) == 1
    assert "Nothing was changed" in capsys.readouterr().err
    assert env.read_text() == text


def test_an_image_without_a_line_gets_one() -> None:
    assert pinned("A=1\n", {"POSTGRES_IMAGE": "postgres:17@sha256:x"}) == "A=1\nPOSTGRES_IMAGE=postgres:17@sha256:x\n"


def test_of_equal_names_the_one_that_counts_is_pinned() -> None:
    lines = ["POSTGRES_IMAGE=mirror/postgres:16", "A=1", "#POSTGRES_IMAGE=x", "POSTGRES_IMAGE = postgres:17", "B=2"]
    for order in (lines, [lines[0], *lines[2:]], [*lines, "export POSTGRES_IMAGE=postgres:17"]):
        text = "\n".join(order)
        image = images(COMPOSE.read_text(), settings(text))["POSTGRES_IMAGE"]
        after = pinned(text, {"POSTGRES_IMAGE": f"{image}@{DIGEST}"})
        assert settings(after)["POSTGRES_IMAGE"] == f"postgres:17@{DIGEST}"
        assert len(set(after.splitlines()) & set(order)) == len(order) - 1


def test_an_image_of_a_mirror_that_a_variable_names_is_pinned(registry: tuple[str, Any], tmp_path: Path) -> None:
    host, _ = registry
    env = tmp_path / "env"
    names = list(images(COMPOSE.read_text(), {}))
    env.write_text(f"MIRROR={host}/team\n" + "".join(f"{name}=${{MIRROR}}/{name.lower()}:1\n" for name in names))
    assert main(["--env", str(env)]) == 0
    assert {name: settings(env.read_text())[name] for name in names} == {
        name: f"{host}/team/{name.lower()}:1@{DIGEST}" for name in names
    }
