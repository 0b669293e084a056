"""What the pinned packages are. `make audit` and `make sbom` call this.

`ages` tells how old each one is, and whether it was withdrawn; `keepers` who keeps those that secrets pass; `sbom`
writes the bill of materials and the licences.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from learnosity import __version__
from supply.bom import NOT_INSTALLED, UNKNOWN, bill, licence
from supply.index import Known, ask_all, index_url
from supply.keepers import lines
from supply.pins import LockError, Pin, canonical, read_pins

PRODUCT = "airflow-provider-learnosity"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns 1 when a package was withdrawn, or when not all is known; otherwise 0."""
    parser = argparse.ArgumentParser(prog="python -m supply", description=__doc__)
    parser.add_argument("--lock", type=Path, action="append", default=[], help="default: all of locks/")
    commands = parser.add_subparsers(dest="command", required=True)
    ages = commands.add_parser("ages", help="age, newest version, and whether it was withdrawn")
    ages.add_argument("names", nargs="*", help="packages; default: all of the lock")
    ages.add_argument("--index", default=index_url(), help="simple index; default: that of pip and uv")
    commands.add_parser("keepers", help="which packages secrets pass, who keeps them, what would replace them")
    sbom = commands.add_parser("sbom", help="write sbom.cdx.json and licences.txt")
    sbom.add_argument("--folder", type=Path, default=Path("dist"), help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        pins = read_pins(*options.lock)
        if options.command == "sbom":
            return _write(pins, options.folder)
        if options.command == "keepers":
            sys.stdout.write("\n".join([*lines({pin.name: pin.version for pin in pins}), ""]))
            return 0
        names = {canonical(name) for name in options.names}
        wanted = [pin for pin in pins if not names or pin.name in names]
        if missing := names - {pin.name for pin in wanted}:
            raise LockError(f"The lock has no package {', '.join(sorted(missing))}.")
    except LockError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return _tell(*ask_all(wanted, options.index))


def _tell(known: Sequence[Known], unknown: Sequence[str]) -> int:
    rows = [("package", "pinned", "days", "newest", "")]
    for each in sorted(known, key=lambda one: (-one.days, one.pin.name)):
        note = f"YANKED: {each.yanked}" if each.yanked else "" if each.is_newest else "newer"
        rows.append((each.pin.name, each.pin.version, str(each.days), each.newest, note))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        sys.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")
    yanked = [each.pin.name for each in known if each.yanked]
    for text in unknown:
        sys.stderr.write(f"{text}\n")
    if yanked:
        sys.stderr.write(f"Withdrawn by their authors: {', '.join(yanked)}. Pin other versions.\n")
    if unknown:
        sys.stderr.write(f"{len(unknown)} package(s) could not be asked for, so nothing is known of them.\n")
    return 1 if yanked or unknown else 0


def _write(pins: Sequence[Pin], folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    made = bill(pins, PRODUCT, __version__, datetime.now(UTC).isoformat(timespec="seconds"))
    (folder / "sbom.cdx.json").write_text(json.dumps(made, indent=2) + "\n")
    said = {pin: licence(pin) for pin in pins}
    lines = [f"{pin.name} {pin.version}: {text}" for pin, text in sorted(said.items(), key=lambda each: each[0].name)]
    (folder / "licences.txt").write_text("\n".join(lines) + "\n")
    for text, count in Counter(said.values()).most_common():
        sys.stdout.write(f"{count:4}  {text}\n")
    unclear = [pin.name for pin, text in said.items() if text in (UNKNOWN, NOT_INSTALLED)]
    sys.stdout.write(f"{folder}/sbom.cdx.json, {folder}/licences.txt: {len(pins)} packages.\n")
    if unclear:
        sys.stdout.write(f"Look these up yourself, their licence is not known here: {', '.join(unclear)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
