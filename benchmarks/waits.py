"""What many concurrent waits cost one triggerer: calls, event-loop lag, memory, and the time from done to event.

`python -m benchmarks.waits` runs the real triggers in one event loop, as a triggerer does. What answers GET /jobs is
a process of its own that takes 50 ms a call; a job's reference says when the job ends. As many tasks that only sleep
are measured afterwards: the lag of an event loop on this machine that has nothing to do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import resource
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
from aiohttp import web

from devstack import http
from devstack.ports import LOOPBACK, free_ports
from devstack.waiting import wait_until
from learnosity.api.jobs import REFERENCES_PER_CALL
from learnosity.triggers import LearnosityJobTrigger

CONN_ID = "learnosity_bench"
LAG_SECONDS = 0.01
ANSWER_SECONDS = 0.05
READY_SECONDS = 60.0
SLEEPERS_SECONDS = 20.0
GOAL_LAG_MS = 20
GOAL_MB = 400


def serve(port: int) -> None:
    """GET /jobs for references of the form `<number>-<Unix seconds of the end>`, and how often it was called."""
    calls = 0

    async def jobs(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        await asyncio.sleep(ANSWER_SECONDS)
        references = json.loads(str((await request.post())["request"]))["references"]
        now = time.time()
        data = [
            {"reference": each, "status": "completed" if now >= float(each.partition("-")[2]) else "running"}
            for each in references
        ]
        return web.json_response({"meta": {"status": True, "records": len(data)}, "data": data})

    async def count(request: web.Request) -> web.Response:
        del request
        return web.json_response(calls)

    app = web.Application()
    app.add_routes([web.post("/{version}/jobs", jobs), web.get("/count", count)])
    web.run_app(app, host=LOOPBACK, port=port, print=lambda text: None, access_log=None)


class Lag:
    """How late the event loop is."""

    def __init__(self) -> None:
        self.lags: list[float] = []
        self.own_lags: list[float] = []

    async def watch_lag(self) -> None:
        """How late the event loop wakes a sleeper, again and again."""
        while True:
            due, worked = time.perf_counter() + LAG_SECONDS, time.thread_time()
            await asyncio.sleep(LAG_SECONDS)
            lag = time.perf_counter() - due
            self.lags.append(lag)
            self.own_lags.append(min(lag, time.thread_time() - worked))


class Measurement(Lag):
    """Waits under observation; the answering process counts the calls."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._count_url = f"http://{LOOPBACK}:{port}/count"
        self.delays: list[float] = []

    async def wait(self, reference: str, poll_interval: float) -> None:
        """One wait, from the start of its trigger to its event."""
        now = time.time()
        async for event in LearnosityJobTrigger(reference, CONN_ID, poll_interval, now + 3600, now).run():
            assert event.payload["status"] == "completed", event.payload
            self.delays.append(time.time() - float(reference.partition("-")[2]))

    async def calls(self) -> int:
        """Calls so far."""
        reply = await asyncio.to_thread(http.call, "GET", self._count_url)
        return int(reply.body)


async def measure(port: int, waits: int, poll_interval: float, rounds: float) -> dict[str, float]:
    """Begin all waits within ten seconds, watch some rounds, then let the jobs end over one more round."""
    seen = Measurement(port)
    before, worked = psutil.Process().memory_info().rss, time.process_time()
    # After its start, a wait polls more often than every `poll_interval` seconds. These first polls are not measured.
    warm = 10 + 2.5 * poll_interval
    end = time.time() + warm + rounds * poll_interval
    lag = asyncio.create_task(seen.watch_lag())
    async with asyncio.TaskGroup() as group:
        began = time.time()
        for number in range(waits):
            reference = f"{number}-{end + random.uniform(0, poll_interval):.3f}"
            group.create_task(seen.wait(reference, poll_interval))
            if number % 50 == 49:
                await asyncio.sleep(10 * 50 / waits)
        await asyncio.sleep(max(0.0, began + warm - time.time()))
        first, at = await seen.calls(), time.time()
        memory = psutil.Process().memory_info().rss - before
        await asyncio.sleep(end - time.time())
        calls = (await seen.calls() - first) / (time.time() - at)
    lag.cancel()
    lags, own, delays = sorted(seen.lags), sorted(seen.own_lags), sorted(seen.delays)
    assert len(delays) == waits
    return {
        "waits": waits,
        "poll interval, s": poll_interval,
        "calls a minute": round(calls * 60, 1),
        "calls a round": round(calls * poll_interval, 1),
        "loop lag p50, ms": round(quantile(lags, 0.5) * 1000, 2),
        "loop lag p99, ms": round(quantile(lags, 0.99) * 1000, 2),
        "loop lag max, ms": round(lags[-1] * 1000, 1),
        "of it own work, p99, ms": round(quantile(own, 0.99) * 1000, 2),
        "memory a wait, KiB": round(memory / waits / 1024, 1),
        "peak memory, MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6),
        "processor time, % of a core": round(100 * (time.process_time() - worked) / (time.time() - began), 1),
        "done to event, median s": round(statistics.median(delays), 1),
        "done to event, p99 s": round(quantile(delays, 0.99), 1),
    }


async def sleepers(number: int, seconds: float) -> float:
    """The lag at p99, in ms, of an event loop in which tasks only sleep."""

    async def sleeper() -> None:
        for _ in range(int(2 * SLEEPERS_SECONDS / seconds) + 2):
            await asyncio.sleep(random.uniform(0.9, 1.1) * seconds)

    seen = Lag()
    tasks = [asyncio.create_task(sleeper()) for _ in range(number)]
    await asyncio.sleep(1)
    tasks.append(asyncio.create_task(seen.watch_lag()))
    await asyncio.sleep(SLEEPERS_SECONDS)
    for task in tasks:
        task.cancel()
    return round(quantile(sorted(seen.lags), 0.99) * 1000, 2)


def quantile(values: Sequence[float], share: float) -> float:
    """Of sorted values, the one below which that share lies."""
    return values[min(len(values) - 1, int(len(values) * share))]


@contextmanager
def _logs_to(path: str) -> Iterator[None]:
    """Let the triggers write their log lines, which cost time, too, but not onto the screen."""
    screen = os.dup(1)
    with Path(path).open("wb") as target:
        os.dup2(target.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(screen, 1)
            os.close(screen)


def triggerer(share: tuple[int, int, float, float]) -> dict[str, float]:
    """The waits of one triggerer, in a process of its own."""
    _, waits, poll_interval, _ = share
    with _logs_to(os.devnull):
        found = asyncio.run(measure(*share))
        return {**found, "lag p99 of as many sleepers, ms": asyncio.run(sleepers(waits, poll_interval))}


def main() -> None:
    """Measure, and print one figure per line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waits", description=__doc__)
    parser.add_argument("--waits", type=int, default=1000, help="default 1,000")
    parser.add_argument("--poll-interval", type=float, default=15, help="seconds, default 15 as the DAG's")
    parser.add_argument("--rounds", type=float, default=4, help="rounds to watch, default 4")
    parser.add_argument("--triggerers", type=int, default=1, help="processes that share the waits, default 1")
    arguments = parser.parse_args()
    (port,) = free_ports(1)
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(port,), daemon=True)
    server.start()
    connection = {
        "conn_type": "learnosity",
        "host": f"http://{LOOPBACK}:{port}",
        "login": "k" * 16,
        "password": "s" * 40,
    }
    os.environ[f"AIRFLOW_CONN_{CONN_ID.upper()}"] = json.dumps(connection)
    try:
        wait_until(
            lambda: http.answers_ok(f"http://{LOOPBACK}:{port}/count"),
            timeout=READY_SECONDS,
            late=lambda: f"what answers the calls did not start within {READY_SECONDS:.0f} s",
            every=0.1,
        )
        share = (port, arguments.waits // arguments.triggerers, arguments.poll_interval, arguments.rounds)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(arguments.triggerers, mp_context=context) as triggerers:
            found = list(triggerers.map(triggerer, [share] * arguments.triggerers))
    finally:
        server.terminate()
        server.join()
    for name in found[0]:
        print(f"{name:<30} " + " ".join(f"{each[name]:>10,}" for each in found))
    if arguments.triggerers > 1:
        print("One column for each triggerer. The calls are those of all.")
    calls = -(-arguments.waits // REFERENCES_PER_CALL) + 1
    ok = all(
        each["calls a round"] <= calls
        and each["loop lag p99, ms"] <= GOAL_LAG_MS
        and each["peak memory, MB"] <= GOAL_MB
        for each in found
    )
    goals = f"at most {calls} calls a round, {GOAL_LAG_MS} ms of lag (p99), {GOAL_MB} MB in each triggerer"
    print(f"goals {'reached' if ok else 'NOT reached'}: {goals}")


if __name__ == "__main__":
    main()
