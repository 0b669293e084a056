"""`python -m chaos.fuzzing`: a million inputs over all readers, and a table of what came of it."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import time
import traceback
from types import FrameType

from chaos.fuzzing.targets import TARGETS

HANG_SECONDS = 5  # an input that needs more seconds of processor time than this counts as a hang
BATCH = 500


class Hang(BaseException):
    """An input that takes for ever."""


def fuzz(name: str, first: int, count: int, seconds: float) -> tuple[int, list[str]]:
    """Try seeds in order; returns how many were tried, and what was found.

    :param seconds: stop after this time.
    """
    loop, found, tried = asyncio.new_event_loop(), [], 0
    until = time.monotonic() + seconds
    try:
        for seed in range(first, first + count):
            if tried % BATCH == 0 and time.monotonic() > until:
                break
            tried += 1
            try:
                # The timer counts processor time: on a busy machine, a harmless input may take long in real time.
                signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)
                TARGETS[name](seed, loop)
            except (Exception, Hang):
                found.append(f"{name}, seed {seed}: {traceback.format_exc(limit=-3)}")
                if len(found) >= 10:
                    break
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        loop.close()
    return tried, found


def main() -> int:
    """Returns 1 when anything was found."""
    parser = argparse.ArgumentParser(prog="python -m chaos.fuzzing", description="Fuzz the parsers with seeded inputs.")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="in all (default 1,000,000)")
    parser.add_argument("--seconds", type=float, default=900, help="at most, for each parser (default 900)")
    parser.add_argument("--first", type=int, default=0, help="first seed (default 0)")
    parser.add_argument("--only", choices=TARGETS, help="one of the parsers; default: all")
    arguments = parser.parse_args()
    names = [arguments.only] if arguments.only else list(TARGETS)
    signal.signal(signal.SIGPROF, _hang)
    logging.disable()  # the readers log many warnings about their inputs
    total, findings = 0, []
    print(f"{'parser':<14} {'inputs':>9} {'seconds':>8} {'found':>6}", flush=True)
    for name in names:
        started = time.monotonic()
        tried, found = fuzz(name, arguments.first, -(-arguments.inputs // len(names)), arguments.seconds)
        total += tried
        findings += found
        print(f"{name:<14} {tried:>9,} {time.monotonic() - started:>8.1f} {len(found):>6}", flush=True)
    for each in findings:
        print(each)
    print(f"{total:,} inputs, {len(findings)} crashes or hangs")
    return 1 if findings else 0


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hang


if __name__ == "__main__":
    sys.exit(main())
