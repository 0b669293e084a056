"""What is installed is held against hashes, and each package that secrets pass is judged."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from supply.keepers import KEEPERS, NO_SECRET, lines, markdown
from supply.pins import LOCKS, canonical, read_pins

REPOSITORY = Path(__file__).resolve().parents[2]
NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;#]+)", re.MULTILINE)


def pinned(name: str) -> dict[str, str]:
    """The versions that a file names, by package."""
    return {canonical(package): version for package, version in NAME.findall((REPOSITORY / name).read_text())}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_package_of_every_lock_has_hashes(lock: Path) -> None:
    pins = read_pins(lock)
    assert [pin.name for pin in pins if not pin.hashes] == []
    text = lock.read_text()
    assert "://" not in text
    assert text.count("--hash=") == text.count("--hash=sha256:")


def test_the_locks_have_the_versions_of_the_constraints_and_all_requirements() -> None:
    """A change of requirements without `make lock` is found here."""
    texts = {each: set(NAME.findall((REPOSITORY / each).read_text())) for each in ("constraints.txt", "locks/venv.txt")}
    assert texts["constraints.txt"] == texts["locks/venv.txt"]
    assert set(NAME.findall((REPOSITORY / "locks/image.txt").read_text())) <= texts["constraints.txt"]
    for requirements, lock in (
        ("requirements.txt", "locks/image.txt"),
        ("requirements.txt", "locks/venv.txt"),
        ("requirements-dev.txt", "locks/venv.txt"),
        ("requirements-google.txt", "locks/google.txt"),
    ):
        wanted = pinned(requirements)
        assert wanted
        assert {name: pinned(lock).get(name) for name in wanted} == wanted, f"{lock}: make lock"
    assert f"UV_PIN := uv=={pinned('locks/uv.txt')['uv']}\n" in (REPOSITORY / "Makefile").read_text()


@pytest.mark.parametrize(
    ("package", "platforms"),
    [
        pytest.param("uv", 10, id="one wheel per platform"),
        # Linux of two processors and macOS, for Python 3.11 to 3.14, and the source.
        *(pytest.param(name, 3 * 4 + 1) for name in ("msgspec", "aiohttp", "pyreqwest", "uvloop", "yarl")),
    ],
)
def test_wheels_of_other_platforms_and_pythons_have_their_hashes(package: str, platforms: int) -> None:
    (pin,) = [pin for pin in read_pins() if pin.name == package]
    assert len(pin.hashes) >= platforms


def test_each_way_of_installing_asks_for_hashes() -> None:
    """By a lock with hashes, or this repository itself without what it depends on."""
    for name in ("Makefile", "Dockerfile"):
        text = (REPOSITORY / name).read_text().replace("\\\n", " ")
        commands = [line for line in text.splitlines() if "pip install" in line and "peers.txt" not in line]
        assert commands
        for line in commands:
            hashed = "--require-hashes" in line and re.search(r"--requirement \S*lock", line)
            own = "--no-deps" in line and "--no-build-isolation" in line and "--editable" in line
            assert hashed or own, line
    assert "--only-binary :all:" in (REPOSITORY / "Dockerfile").read_text()


def test_a_file_that_is_not_the_locked_one_is_not_installed(tmp_path: Path) -> None:
    """With pip, as in the image: a wheel of the right name and version, and other content."""
    wheel = tmp_path / "statsd-4.0.1-py2.py3-none-any.whl"
    build(wheel)
    lock = tmp_path / "lock.txt"
    text = (REPOSITORY / "locks" / "image.txt").read_text()
    (entry,) = re.findall(r"^statsd==.*(?:\\\n.*)+", text, re.MULTILINE)
    lock.write_text(f"{entry}\n")
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--require-hashes"]
    where = ["--find-links", str(tmp_path), "--target", str(tmp_path / "there"), "--requirement", str(lock)]
    environment = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
    done = subprocess.run([*command, *where], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr, done.stderr[-500:]


def build(wheel: Path) -> None:
    """A wheel that an index which lies could hand out."""
    import zipfile

    folder = "statsd-4.0.1.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("statsd/__init__.py", "raise SystemExit('taken over')\n")
        archive.writestr(f"{folder}/METADATA", "Metadata-Version: 2.1\nName: statsd\nVersion: 4.0.1\n")
        archive.writestr(f"{folder}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{folder}/RECORD", "")


def test_every_requirement_is_judged_whether_secrets_pass_it() -> None:
    direct = set(pinned("requirements.txt")) | set(pinned("requirements-google.txt"))
    direct |= {"backports-zstd", "apache-airflow-providers-microsoft-azure"}
    judged = [name for each in KEEPERS for name in each.packages] + list(NO_SECRET)
    assert len(judged) == len(set(judged))
    assert direct - set(judged) == set()
    versions = {pin.name: pin.version for pin in read_pins()}
    assert set(judged) - set(versions) == set(), "no package of this name is installed"


def test_the_audit_says_who_keeps_each_and_the_page_has_the_same_table() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    audit = makefile[makefile.index("\naudit:") : makefile.index("\naudit-ages:")]
    assert "-m supply keepers" in audit
    said = "\n".join(lines({"pyreqwest": "9.9"}))
    assert "pyreqwest 9.9\n" in said
    for each in KEEPERS:
        for text in (*each.packages, each.passes, each.kept_by, each.replacement):
            assert text.replace("`", "") in said
    page = (REPOSITORY / "docs" / "security.md").read_text()
    rows = re.search(r"\| Package \| What passes it .*\n\|[ -|]*\n((?:\|.*\n)+)", page)
    assert rows
    assert rows[1].splitlines() == [markdown(each) for each in KEEPERS]
