"""`python -m simulator`: serves until SIGTERM or SIGINT, and prints its URL as one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import msgspec

from .app import Simulator
from .config import DEMO_CONSUMER_SECRET, SimulatorConfig
from .faults import FaultRule


class ConfigFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of `--config`: `{"config": {switch: value}, "faults": [rule, ...]}`, both optional."""

    config: dict[str, Any] = {}
    faults: list[FaultRule] = []


def main() -> None:
    """Parse the command line and serve."""
    arguments = _parser().parse_args()
    try:
        config, faults = _configuration(arguments)
    except (msgspec.DecodeError, OSError, KeyError) as error:
        raise SystemExit(f"simulator: cannot be configured: {error}") from error
    asyncio.run(_serve(config, faults, arguments.ready_file))


async def _serve(config: SimulatorConfig, faults: list[FaultRule], ready_file: Path | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Simulator(config) as simulator:
        simulator.faults.add(*faults)
        line = msgspec.json.encode({"url": simulator.url, "pid": os.getpid()}).decode()
        print(line, flush=True)
        if ready_file is not None:
            await asyncio.to_thread(_write_atomically, ready_file, line + "\n")
        await stop.wait()


def _configuration(arguments: argparse.Namespace) -> tuple[SimulatorConfig, list[FaultRule]]:
    file = ConfigFile()
    if arguments.config is not None:
        file = msgspec.json.decode(arguments.config.read_bytes(), type=ConfigFile)
    changes = dict(file.config)
    for name in ("host", "port", "seed", "job_seconds"):
        value = getattr(arguments, name)
        if value is not None:
            changes[name] = value
    if arguments.consumer_key is not None:
        secret = DEMO_CONSUMER_SECRET
        if arguments.consumer_secret_env is not None:
            secret = os.environ[arguments.consumer_secret_env]
        changes["consumers"] = {arguments.consumer_key: secret}
    if arguments.control_token_env is not None:
        changes["control_token"] = os.environ[arguments.control_token_env]
    return SimulatorConfig().with_changes(changes), file.faults


def _write_atomically(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(text)
    partial.replace(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="A stand-in for the Learnosity Data API. Prints one JSON line with its URL when it listens.",
    )
    parser.add_argument("--host", help="address to bind (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to bind (default 0: any free one)")
    parser.add_argument(
        "--control-token-env", metavar="NAME", help="environment variable with the token that /_control asks for"
    )
    parser.add_argument("--consumer-key", help="16 characters (default: a fictitious demo key)")
    parser.add_argument(
        "--consumer-secret-env",
        metavar="VAR",
        help="environment variable with the secret (default: demo secret)",
    )
    parser.add_argument("--seed", type=int, help="seed of all scores (default 1)")
    parser.add_argument("--job-seconds", type=float, help="seconds a job takes (default 2.0)")
    parser.add_argument(
        "--config", type=Path, metavar="FILE.json", help='{"config": {switch: value}, "faults": [rule, ...]}'
    )
    parser.add_argument("--ready-file", type=Path, help="file to write the JSON line to, atomically")
    return parser


if __name__ == "__main__":
    main()
