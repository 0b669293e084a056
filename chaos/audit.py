"""`python -m chaos.audit`: known vulnerabilities of the pinned packages; says so when nobody could be asked.

A machine without a way to the vulnerability database is no reason to fail a build, and no reason to call it safe.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import msgspec

from devstack.environment import REPOSITORY, tool

PIP_AUDIT = "pip-audit==2.10.1"
SECONDS = 300


class _Vulnerability(msgspec.Struct, frozen=True):
    id: str
    fix_versions: list[str] = []


class _Package(msgspec.Struct, frozen=True):
    name: str
    version: str = ""
    skip_reason: str | None = None
    vulns: list[_Vulnerability] = []


class _Report(msgspec.Struct, frozen=True):
    dependencies: list[_Package]


def audit(requirements: Path) -> list[_Package] | None:
    """What pip-audit says of each package; None when it could not be run or could not ask."""
    command = [
        str(tool("uv")), "tool", "run", PIP_AUDIT, "--no-deps", "--disable-pip", "--progress-spinner=off",
        "--format=json", f"--requirement={requirements}",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
        return msgspec.json.decode(done.stdout, type=_Report).dependencies
    except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError):
        return None


def main() -> int:
    """1 when a package has a known vulnerability; with --strict 2 when not all could be looked up."""
    parser = argparse.ArgumentParser(prog="python -m chaos.audit", description=__doc__)
    parser.add_argument("--requirements", type=Path, default=REPOSITORY / "constraints.txt")
    parser.add_argument("--strict", action="store_true", help="fail when packages could not be looked up")
    arguments = parser.parse_args()
    packages = audit(arguments.requirements)
    if packages is None:
        print("NOT AUDITED: pip-audit could not be run or reached no vulnerability database.")
        return 2 if arguments.strict else 0
    skipped = [package for package in packages if package.skip_reason]
    vulnerable = [package for package in packages if package.vulns]
    for package in vulnerable:
        for each in package.vulns:
            print(
                f"{package.name} {package.version}: {each.id}, fixed in {', '.join(each.fix_versions) or 'no release'}"
            )
    print(f"{len(packages) - len(skipped)} of {len(packages)} packages looked up, {len(vulnerable)} vulnerable")
    if skipped:
        print(f"NOT AUDITED: {len(skipped)} packages; the index in use has no vulnerability data for them.")
    if vulnerable:
        return 1
    return 2 if arguments.strict and skipped else 0


if __name__ == "__main__":
    sys.exit(main())
