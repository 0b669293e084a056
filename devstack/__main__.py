"""Command line of the local stack: ``python -m devstack demo|up|down|status``.

Exit codes: 0 it worked, 1 it did not (the reason is on standard error), 130 and 143 stopped by Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from devstack import background, first_visit
from devstack.demo import DemoOptions, run_demo
from devstack.environment import REPOSITORY
from devstack.errors import DevstackError
from devstack.output import say, table
from devstack.stack import Stack, StackOptions

ROOT = REPOSITORY / ".devstack"
JOB_SECONDS = 0.5  # a simulated job ends before the sensor first asks for it, so the first result comes sooner


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except DevstackError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 128 + signal.SIGINT


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m devstack",
        description="A local stack of plain processes on free ports: S3 server, Learnosity simulator, Airflow.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    usual = DemoOptions()
    demo = commands.add_parser("demo", help="start everything, land a dataset, verify it, stop everything")
    demo.add_argument("--users", type=int, default=usual.users, help="how many users (default %(default)s)")
    demo.add_argument("--seed", type=int, default=usual.seed, help="which district (default %(default)s)")
    demo.add_argument(
        "--shards", type=int, default=usual.shards, help="tasks that share the landing (default %(default)s)"
    )
    demo.set_defaults(command=_demo)
    up = commands.add_parser("up", help="start the stack and leave it running")
    up.add_argument(
        "--test-button", action="store_true", help="with the Test button of connections (off by default, as in Airflow)"
    )
    up.set_defaults(command=_up)
    down = commands.add_parser("down", help="stop the stack that `up` started; its data stays")
    down.set_defaults(command=_down)
    status = commands.add_parser("status", help="what runs, and where")
    status.set_defaults(command=_status)
    for command in (up, down, status):
        command.add_argument("--root", type=Path, default=ROOT, help="folder of the stack (default %(default)s)")
    return parser


def _demo(options: argparse.Namespace) -> int:
    root = ROOT / f"demo-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    run_demo(root, DemoOptions(users=options.users, seed=options.seed, shards=options.shards))
    return 0


def _up(options: argparse.Namespace) -> int:
    root: Path = options.root.resolve()
    running = background.find(root)
    if running is not None and not running.dead():
        say("The stack runs already.")
        if options.test_button:
            say("It was started before: the Test button is as it was then. To have it, `make down` first.")
    elif running is not None and len(running.dead()) < len(running.services):
        raise DevstackError(f"{_names(running.dead())} ended. `make down` and then `make up` starts all anew.")
    else:
        say("Starting, on free ports of 127.0.0.1")
        stack = Stack(
            root,
            StackOptions(test_button=options.test_button, job_seconds=JOB_SECONDS),
            report=lambda text, seconds: say(f"  {seconds:6.1f} s  {text}"),
        )
        running = background.start(stack)
        _land_samples(root, running, stack)
        return 0
    say(_address(root, running))
    return 0


def _land_samples(root: Path, running: background.Running, stack: Stack) -> None:
    """Land what a new user looks at first. Without it the stack works as well, so a failure is only told.

    The address is printed before the samples land, so that a user can log in while they do.
    """
    try:
        if first_visit.begin(stack):
            say(f"{_address(root, running)}\n\nThe samples land now; their pages follow it.")
            first_visit.finish(stack)
            say("Both samples have landed.")
        else:
            first_visit.finish(stack)
            say(f"{_address(root, running)}\n\nBoth samples landed at an earlier start.")
    except DevstackError as error:
        say(f"The samples did not land. {error}\n{_address(root, running)}")


def _down(options: argparse.Namespace) -> int:
    root: Path = options.root.resolve()
    if background.stop(root) is None:
        say("No stack runs here.")
    else:
        say(f"Stopped. Its data stays in {root}; `make up` goes on with it.")
    return 0


def _status(options: argparse.Namespace) -> int:
    root: Path = options.root.resolve()
    running = background.find(root)
    if running is None:
        say("No stack runs here. `make up` starts one.")
        return 1
    dead = running.dead()
    rows = [(each.name, "ended" if each in dead else f"pid {each.leader.pid}") for each in running.services]
    say(f"{table(rows)}\n{_address(root, running)}")
    if dead:
        raise DevstackError(f"{_names(dead)} ended; the logs are in {root / 'logs'}. `make down` stops the rest.")
    return 0


def _names(services: list[background.Service]) -> str:
    return ", ".join(service.name for service in services)


def _address(root: Path, running: background.Running) -> str:
    user, password = background.login(root)
    return "\n".join(
        [
            "",
            f"Airflow    {running.airflow_url}",
            f"  login    {user} / {password}",
            f"Simulator  {running.simulator_url}",
            f"S3         {running.s3_url}",
            f"Datasets   {running.destination_uri}",
            f"Logs       {root / 'logs'}",
            "Stop       make down",
            "",
            first_visit.instructions(running.airflow_url),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
