"""A Docker engine with Compose v2 for `make compose-test`: the machine's own, or one brought by the test.

An engine of our own keeps everything in one folder and listens on a socket there; it is stopped at the end, unless what
runs in it is to be kept, and never touches an engine that runs already. Stand-ins for images are made in it alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from devstack.waiting import wait_until

START_SECONDS = 60
# If the machine reaches no image registry, this script builds replacements for the images, out of Debian's packages.
STANDINS = Path(__file__).resolve().parent / "standins" / "build.sh"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# The Debian release whose Compose is used. It has version 2; older releases have version 1, which cannot read our
# docker-compose.yaml.
COMPOSE_SUITE = "trixie"


class EngineError(Exception):
    """There is no Docker engine, and none can be had here; the message says what was tried."""


def run(*command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None, check: bool = True) -> str:
    """Run a command and give back what it printed.

    :param check: raise when it fails
    :raises EngineError: with the end of its output
    """
    done = subprocess.run(
        [os.fspath(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=os.environ | (env or {}),
        cwd=cwd,
        check=False,
    )
    if check and done.returncode != 0:
        raise EngineError(f"`{' '.join(map(str, command[:6]))} …` failed ({done.returncode}):\n{done.stdout[-3000:]}")
    return done.stdout


@contextmanager
def engine(folder: Path, say: Callable[[str], None], *, keep: bool = False) -> Iterator[dict[str, str]]:
    """The environment with which `docker` and `docker compose` work, for the time of the block.

    :param folder: where an engine of our own keeps its images; kept, so that the next test is faster
    :param say: prints what is done
    :param keep: leave an engine of our own running, with all that runs in it
    :raises EngineError: when there is no engine and this is not a Debian machine with root rights
    :raises NotReady: when an engine of our own does not answer in time
    """
    env: dict[str, str] = {}
    if not _works("docker", "compose", "version"):
        env["DOCKER_CONFIG"] = str(_compose_plugin(folder, say))
    if _works("docker", "info"):
        say("Docker engine: the one that runs here")
        yield env
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise EngineError("No Docker engine answers. Start one; as root on Debian this test brings its own.")
    _install(say)
    folder.mkdir(parents=True, exist_ok=True)
    env |= {"DOCKER_HOST": f"unix://{folder / 'docker.sock'}"}
    if _works("docker", "info", env=env):
        say("Docker engine: one of our own, which an earlier test left running")
    else:
        _start(folder, env)
        say("Docker engine: one of our own, started for this test")
    process = psutil.Process(int((folder / "docker.pid").read_text()))
    try:
        yield env
    finally:
        if keep:
            say(f"The engine goes on: DOCKER_HOST={env['DOCKER_HOST']}. It ends with `kill {process.pid}`.")
        else:
            process.terminate()
            process.wait()


def _start(folder: Path, env: dict[str, str]) -> None:
    """Start an engine of our own. :raises EngineError: it does not start. :raises NotReady: not in time."""
    with (folder / "dockerd.log").open("ab") as log:
        process = subprocess.Popen(
            [
                *("dockerd", f"--data-root={folder / 'data'}", f"--exec-root={folder / 'exec'}"),
                *(f"--host={env['DOCKER_HOST']}", f"--pidfile={folder / 'docker.pid'}"),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    failed = f"dockerd does not start; {folder / 'dockerd.log'} says why"

    def look() -> bool:
        if process.poll() is not None:
            raise EngineError(failed)
        return _works("docker", "info", env=env)

    try:
        wait_until(look, timeout=START_SECONDS, late=lambda: failed)
    except BaseException:
        process.terminate()
        process.wait()
        raise


def base_images(images: Collection[str], env: dict[str, str], say: Callable[[str], None]) -> None:
    """Pull the base images. In an engine of our own, make stand-ins of their names where they cannot be pulled.

    In the machine's engine nobody would remove the stand-ins, and a real stack would be started from them.

    :param env: of the engine, as `engine` gives it
    :raises EngineError: an image can be had in neither way
    """
    missing = [image for image in images if not _works("docker", "image", "inspect", image, env=env)]
    if not missing:
        say("Base images: those that are here")
        return
    for image in missing:
        if _works("docker", "pull", "--quiet", image, env=env):
            continue
        if "DOCKER_HOST" not in env:
            raise EngineError(
                f"The image {image} cannot be pulled: `docker pull {image}` says why. Bring it into this engine, "
                "such as by `docker load`. Where no engine runs, this test, as root on Debian, brings one "
                "and makes stand-ins in it."
            )
        say("Base images: no registry can be reached; making stand-ins from the distribution's packages and PyPI")
        run("sh", STANDINS, *images, env=env)
        return
    say(f"Base images: pulled {', '.join(missing)}")


def _works(*command: str, env: dict[str, str] | None = None) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, env=os.environ | (env or {}), check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0


def _install(say: Callable[[str], None]) -> None:
    wanted = {"dockerd": "docker.io", "docker": "docker.io", "iptables": "iptables", "debootstrap": "debootstrap"}
    missing = sorted({package for program, package in wanted.items() if shutil.which(program) is None})
    if not missing:
        return
    say(f"Installing {', '.join(missing)}")
    options = ("-o", "DPkg::Lock::Timeout=300", "-qq")
    run("apt-get", *options, "update")
    # With RUNLEVEL=1, the package does not start a Docker engine when it is installed. Otherwise this engine would have
    # to be stopped first.
    env = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    run("apt-get", *options, "install", "-y", "--no-install-recommends", *missing, env=env)


def _compose_plugin(folder: Path, say: Callable[[str], None]) -> Path:
    """A Docker configuration folder with the Compose plugin out of the distribution's newer release."""
    configuration = folder / "config"
    plugin = configuration / "cli-plugins" / "docker-compose"
    if plugin.exists():
        return configuration
    if shutil.which("apt-get") is None or not KEYRING.exists():
        raise EngineError("`docker compose` (version 2.24 or newer) is not installed. Install it and try again.")
    say(f"Fetching the compose plugin from Debian's {COMPOSE_SUITE}")
    work = folder / "compose-package"
    (work / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    mirrors = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages").split()
    mirror = next(uri for uri in mirrors if "security" not in uri)
    (work / "newer.sources").write_text(
        f"Types: deb\nURIs: {mirror}\nSuites: {COMPOSE_SUITE}\nComponents: main\nSigned-By: {KEYRING}\n"
    )
    apt = ["-qq", "-o", f"Dir::Etc::SourceList={work / 'newer.sources'}", "-o", "Dir::Etc::SourceParts=/dev/null"]
    apt += ["-o", f"Dir::State::Lists={work / 'lists'}", "-o", "APT::Sandbox::User=root"]
    run("apt-get", *apt, "update")
    run("apt-get", *apt, "download", "docker-compose", cwd=work)
    packages = sorted(work.glob("docker-compose_*.deb"))
    if not packages:
        raise EngineError(f"Debian's {COMPOSE_SUITE} gave no package docker-compose")
    run("dpkg-deb", "--extract", packages[-1], work / "content")
    plugin.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(next((work / "content").rglob("cli-plugins/docker-compose")), plugin)
    shutil.rmtree(work)
    return configuration
