"""The engine of `make compose-test`: what it leaves in the machine's own engine, and what it does with one of its own.

`docker` and `dockerd` are small programs here; nothing of Docker runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from compose import engine as module
from compose.engine import EngineError, base_images, engine

IMAGES = ("apache/airflow:1", "postgres:1", "valkey:1", "seaweedfs:1", "statsd:1")
# A stand-in for `docker`. An engine runs if its folder has a file `docker.sock`; the folder of the machine's own engine
# is $HERE. Each image of an engine is a file in this folder.
DOCKER = """#!/bin/sh
socket=${DOCKER_HOST:-unix://$HERE/docker.sock}
folder=$(dirname "${socket#unix://}")
case "$1 $2" in
  "compose version") ;;
  "info ") [ -e "$folder/docker.sock" ] ;;
  "image inspect") [ -e "$folder/$(echo "$3" | tr / _)" ] ;;
  "pull --quiet") [ -n "$REGISTRY" ] && : > "$folder/$(echo "$3" | tr / _)" ;;
  *) exit 1 ;;
esac
"""
DOCKERD = """#!/bin/sh
for each in "$@"; do
  case "$each" in
    --host=*) socket=${each#--host=unix://} ;;
    --pidfile=*) echo $$ > "${each#--pidfile=}" ;;
  esac
done
trap 'rm -f "$socket"; exit 0' TERM
: > "$socket"
while :; do sleep 0.05; done
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with Docker's programs; an engine runs on it once a file `docker.sock` is in this folder."""
    for name, text in (("docker", DOCKER), ("dockerd", DOCKERD), ("apt-get", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HERE", str(tmp_path))
    monkeypatch.setenv("REGISTRY", "")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(module, "_install", lambda say: None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    standins = tmp_path / "standins.sh"
    standins.write_text('for each in "$@"; do echo "$each"; done > "$HERE/made"\n')
    monkeypatch.setattr(module, "STANDINS", standins)
    return tmp_path


@pytest.fixture
def folder(machine: Path) -> Iterator[Path]:
    """Of an engine of our own, which is ended."""
    yield machine / "own"
    with suppress(FileNotFoundError, psutil.NoSuchProcess):
        psutil.Process(int((machine / "own" / "docker.pid").read_text())).terminate()


def ignore(text: str) -> None:
    pass


@pytest.mark.parametrize("there", range(len(IMAGES)))
def test_in_the_machines_engine_no_stand_in_is_ever_made(machine: Path, there: int) -> None:
    (machine / "docker.sock").touch()
    for each in IMAGES[:there]:
        (machine / each.replace("/", "_")).touch()
    with engine(machine / "own", ignore) as env, pytest.raises(EngineError, match=f"{IMAGES[there]} cannot be pulled"):
        base_images(IMAGES, env, ignore)
    assert not (machine / "made").exists()
    assert not (machine / "own").exists()


def test_in_any_engine_images_are_pulled_where_they_can_be(
    machine: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY", "yes")
    with engine(folder, ignore) as env:
        base_images(IMAGES, env, ignore)
    (machine / "docker.sock").touch()
    with engine(folder, ignore) as env:
        base_images(IMAGES, env, ignore)
    assert not (machine / "made").exists()
    for place in (machine, folder):
        assert (place / "postgres:1").exists()


def test_in_one_of_our_own_stand_ins_are_made(machine: Path, folder: Path) -> None:
    with engine(folder, ignore) as env:
        base_images(IMAGES, env, ignore)
    assert (machine / "made").read_text().split() == list(IMAGES)


def test_one_of_our_own_ends_with_the_test_unless_it_is_kept_and_then_the_next_test_ends_it(folder: Path) -> None:
    said: list[str] = []
    with engine(folder, said.append):
        pid = int((folder / "docker.pid").read_text())
    assert not psutil.pid_exists(pid)
    with engine(folder, said.append, keep=True) as env:
        pid = int((folder / "docker.pid").read_text())
    assert psutil.pid_exists(pid)
    assert f"DOCKER_HOST={env['DOCKER_HOST']}" in said[-1]
    assert f"kill {pid}" in said[-1]
    with engine(folder, said.append) as again:
        assert again == env
        assert int((folder / "docker.pid").read_text()) == pid
    assert "left running" in said[-1]
    psutil.wait_procs([each for each in psutil.process_iter() if each.pid == pid], timeout=5)
    assert not (folder / "docker.sock").exists()
