"""`python -m chaos`: run seeds, print what comes of each, and keep a record that later calls continue."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from chaos import report
from chaos.evidence import Outcome
from chaos.plans import Plan, plan
from chaos.runner import Chaos
from devstack.environment import REPOSITORY
from devstack.output import say

FOLDER = REPOSITORY / ".devstack" / "chaos"
PAGE = REPOSITORY / "chaos" / "results.md"


def main() -> int:
    """Returns 1 when anything is wrong with any run."""
    arguments = _parser().parse_args()
    # SIGTERM ends this program as Ctrl-C does, so that it stops its servers first. Otherwise they would run on.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    record: Path = arguments.record
    if arguments.fresh:
        record.unlink(missing_ok=True)
    seeds = arguments.seed or range(arguments.first, arguments.first + arguments.runs)
    known = set() if arguments.seed else {outcome.seed for outcome in report.read(record)}
    todo = [seed for seed in seeds if seed not in known]
    bad: list[str] = []
    if todo:
        bad = _run(todo, arguments.lanes, arguments.minutes, record)
    outcomes = [outcome for outcome in report.read(record) if outcome.seed in set(seeds)]
    text = report.table(outcomes)
    print(f"\n{text}\n")
    if arguments.write and not arguments.seed:
        report.write_into(PAGE, text)
    failed = [outcome for outcome in outcomes if outcome.problems]
    for outcome in failed:
        print(f"seed {outcome.seed} ({outcome.fault}, {outcome.step}): {'; '.join(outcome.problems[:3])}")
        print(f"  again: python -m chaos --seed {outcome.seed}")
    for each in bad:
        print(each)
    print(f"{len(outcomes)} of {len(seeds)} runs are recorded, {len(failed)} of them failed")
    return 1 if failed or bad else 0


def _run(seeds: list[int], lanes: int, minutes: float, record: Path) -> list[str]:
    until = time.monotonic() + minutes * 60
    root = FOLDER / "stack"
    shutil.rmtree(root, ignore_errors=True)
    keep = True
    try:
        with Chaos(root, lanes=lanes, say=say).open() as chaos:
            say(f"{len(seeds)} runs to do, {lanes} at a time")
            keep = False
            for outcome in chaos.run(_plans(seeds), until=until):
                report.append(record, outcome)
                keep |= bool(outcome.problems)
                say(_line(outcome))
            bad = chaos.leaks()
            if unfinished := chaos.unfinished_uploads():
                bad.append(f"{unfinished} multipart uploads were begun and never ended")
            keep |= bool(bad)
            return bad
    finally:
        if not keep:
            shutil.rmtree(root, ignore_errors=True)
        else:
            say(f"everything is kept in {root}")


def _plans(seeds: list[int]) -> Iterator[Plan]:
    return (plan(seed) for seed in seeds)


def _line(outcome: Outcome) -> str:
    verdict = "ok" if not outcome.problems else "; ".join(outcome.problems)[:300]
    return (
        f"{outcome.seed:4d}  {outcome.fault:<28} {outcome.step:<11} {outcome.state:<8} {outcome.seconds:6.1f} s  "
        f"{outcome.tries} more tries, {outcome.jobs} job(s)  {verdict}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Break everything on purpose, and look.")
    parser.add_argument("--runs", type=int, default=250, help="how many seeds (default 250)")
    parser.add_argument("--first", type=int, default=1, help="the first of them (default 1)")
    parser.add_argument("--seed", type=int, action="append", help="this seed alone; may be repeated")
    parser.add_argument("--lanes", type=int, default=6, help="runs at the same time (default 6)")
    parser.add_argument("--minutes", type=float, default=120.0, help="begin no run after this time (default 120)")
    parser.add_argument("--record", type=Path, default=FOLDER / "runs.ndjson", help="where runs are recorded")
    parser.add_argument("--fresh", action="store_true", help="forget what is recorded")
    parser.add_argument("--write", action="store_true", help="write the table into chaos/results.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
