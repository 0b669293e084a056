"""What is to go wrong in a run: fault, step and moment, all from the run's seed.

The matrix is written out below. Seeds walk through it in a shuffled order, so that any stretch of seeds is a fair
sample and as many seeds as there are cells cover it whole.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec

from simulator import FaultRule
from simulator.config import DEFAULTS

INITIALISE: Final = "set reports/datasets"
UPLOAD: Final = "put"
COMMENCE: Final = "set jobs/reports/datasets"
POLL: Final = "get jobs"
LIST: Final = "get reports/datasets"
FETCH: Final = "file"
STEPS: Final = (INITIALISE, UPLOAD, COMMENCE, POLL, LIST, FETCH)
STEP_NAMES: Final = {
    INITIALISE: "initialise",
    UPLOAD: "upload",
    COMMENCE: "commence",
    POLL: "wait",
    LIST: "list",
    FETCH: "land",
}

IN_PARTS: Final = " in parts"
IN_ONE_REQUEST: Final = " in one request"

Victim = Literal["task", "scheduler", "triggerer", "api-server", "s3"]
GateFault = Literal["slowdown", "refuse", "cut", "RequestTimeout", "ExpiredToken"]
GATE_FAULTS: Final[tuple[GateFault, ...]] = ("slowdown", "refuse", "cut", "RequestTimeout", "ExpiredToken")

# The simulator replies to a call so many seconds later, so that a process can be killed before or after the reply
# comes.
IN_FLIGHT_SECONDS = 3.0

# Some plans have one large result file: a glob of its name, its size, and the bytes a second of a slow download, which
# takes six seconds. This is enough time for a fault. Over plain http, the file is written to the store in parts, over
# TLS in one request.
LARGE_FILE = "exports/*"
LARGE_FILE_BYTES = 24 * 1024 * 1024
LARGE_FILE_RATE = 4 * 1024 * 1024

# STALLED_SECONDS: the simulator stops reading an upload for this time; the client gives up much earlier. CLOCK_SECONDS:
# the simulator's clock is fast or slow by this time.
STALLED_SECONDS = 300.0
CLOCK_SECONDS = 600.0


class Kill(msgspec.Struct, frozen=True):
    """A process killed with SIGKILL once a step has begun.

    :param after: seconds after the step's first call came in; its answer comes after `IN_FLIGHT_SECONDS`.
    """

    victim: Victim
    step: str
    after: float


class StoreFault(msgspec.Struct, frozen=True):
    """The object store misbehaves for some seconds, `after` seconds from a step's first call on."""

    kind: GateFault
    step: str
    seconds: float
    after: float = 0.0


class Clear(msgspec.Struct, frozen=True):
    """A user clears a task with all that follows, once a step has begun."""

    task: str
    step: str


class Plan(msgspec.Struct, frozen=True):
    """One run.

    :param fault: name of the cell's fault, for the table.
    :param step: name of the step it strikes at.
    :param with_input: whether the dataset has input files.
    :param large: whether input goes up in several parts, and one result file is written to the store in parts.
    :param tls: whether the store is reached over TLS, where that file goes in one request.
    :param named: whether job records name their dataset, so that a lost reply can be settled.
    :param succeeds: whether the run has to end well; None: it may, or fail with nothing published.
    :param switches: of the simulator, beside its usual ones.
    """

    seed: int
    fault: str
    step: str
    with_input: bool
    large: bool
    tls: bool
    users: int
    named: bool
    succeeds: bool | None
    rules: tuple[FaultRule, ...] = ()
    switches: dict[str, Any] = {}
    kill: Kill | None = None
    store_fault: StoreFault | None = None
    clear: Clear | None = None
    job_timeout: float = 30.0

    @property
    def moment(self) -> str:
        """When it strikes, for people."""
        if self.kill:
            return f"{self.kill.after:.1f} s after the call"
        if self.store_fault:
            return f"{self.store_fault.after:.1f} s after the call, for {self.store_fault.seconds:.0f} s"
        rules = [_moment(rule) for rule in self.rules if rule.kind != "latency" or self.fault == "latency"]
        return ", ".join(rules or ["all the time"])


class _Cell(msgspec.Struct, frozen=True):
    fault: str
    step: str
    rules: tuple[FaultRule, ...] = ()
    switches: dict[str, Any] = {}
    kill: Kill | None = None
    store_fault: StoreFault | None = None
    clear: Clear | None = None
    succeeds: bool = True
    job_timeout: float = 30.0
    large: bool = False
    tls: bool = False

    @property
    def step_name(self) -> str:
        """The step for people."""
        how = IN_ONE_REQUEST if self.tls else IN_PARTS if self.large else ""
        return STEP_NAMES[self.step] + how


def plan(seed: int) -> Plan:
    """The plan of a seed."""
    chance = random.Random(seed)
    cell = _MATRIX[seed % len(_MATRIX)]
    with_input = cell.step in (UPLOAD, COMMENCE) or chance.random() < 0.8
    ambiguous = cell.step == COMMENCE or (cell.step == INITIALISE and not with_input)
    named = not (ambiguous and chance.random() < 0.4)
    # If replies are lost several times, and job records do not name their dataset, the run cannot find its jobs. After
    # three datasets it may fail, because each new dataset would start another job.
    hopeless = not named and any(rule.times and rule.kind in ("lost_reply", "truncate") for rule in cell.rules)
    return Plan(
        seed=seed,
        fault=cell.fault,
        step=cell.step_name,
        with_input=with_input,
        large=cell.large,
        tls=cell.tls,
        users=chance.randint(40, 150),
        named=named,
        succeeds=None if hopeless else cell.succeeds,
        rules=cell.rules,
        switches=cell.switches,
        kill=cell.kill,
        store_fault=cell.store_fault,
        clear=cell.clear,
        job_timeout=cell.job_timeout,
    )


def switches() -> dict[str, Any]:
    """The usual value of every switch of the simulator that a plan changes."""
    return {name: getattr(DEFAULTS, name) for cell in _MATRIX for name in cell.switches}


def cells() -> int:
    """How many cells the matrix has: so many seeds in a row cover it."""
    return len(_MATRIX)


def _cells() -> Iterator[_Cell]:
    moments: tuple[dict[str, float], ...] = ({"nth": 1}, {"times": 3})
    for step in (INITIALISE, COMMENCE, POLL, LIST):
        for moment in moments:
            yield _Cell("HTTP 500", step, (_rule(step, "status", **moment),))
            yield _Cell(
                "HTTP 502 without JSON", step, (_rule(step, "status", status=502, body="bad gateway", **moment),)
            )
            yield _Cell("rate limit", step, (_rule(step, "rate_limited", **moment),))
            yield _Cell("reset", step, (_rule(step, "reset", **moment),))
            yield _Cell("lost reply", step, (_rule(step, "lost_reply", **moment),))
            yield _Cell("truncated reply", step, (_rule(step, "truncate", **moment),))
            yield _Cell("no JSON", step, (_rule(step, "non_json", **moment),))
        yield _Cell("latency", step, (_rule(step, "latency", seconds=8.0, nth=1),))
    for moment in moments:
        yield _Cell("HTTP 503", UPLOAD, (_rule(UPLOAD, "rate_limited", **moment),))
        yield _Cell("reset", UPLOAD, (_rule(UPLOAD, "reset", **moment),))
        yield _Cell("lost reply", UPLOAD, (_rule(UPLOAD, "lost_reply", **moment),))
    yield _Cell("URL expired", UPLOAD, (_rule(UPLOAD, "expired_url", nth=1),))
    yield _Cell("URL expired", UPLOAD, (_rule(INITIALISE, "expired_url", nth=1),))
    for often in (moments[0], {"every": 3, "times": 8}):
        yield _Cell("HTTP 503", FETCH, (_rule(FETCH, "rate_limited", **often),))
        yield _Cell("reset", FETCH, (_rule(FETCH, "reset", **often),))
        yield _Cell("truncated file", FETCH, (_rule(FETCH, "truncate", **often),))
        yield _Cell("wrong length", FETCH, (_rule(FETCH, "wrong_length", **often),))
        yield _Cell("URL expired", FETCH, (_rule(FETCH, "expired_url", **often),))
        yield _Cell("slow file", FETCH, (_rule(FETCH, "slow_body", bytes_per_second=200, **often),))
    yield _Cell("URL expired", LIST, (_rule(LIST, "expired_url", nth=2),))
    yield _Cell("job halted", POLL, (_rule("job", "job_halt", nth=1),), succeeds=False)
    yield _Cell("job never ends", POLL, (_rule("job", "job_hang"),), succeeds=False, job_timeout=0.4)
    yield _Cell("job forgotten", POLL, (_rule("job", "job_vanish"),), succeeds=False, job_timeout=0.4)
    for step in STEPS:
        held = (_rule(step, "latency", seconds=IN_FLIGHT_SECONDS, nth=1),)
        for after in (0.3, IN_FLIGHT_SECONDS - 0.3, IN_FLIGHT_SECONDS + 0.3):
            victim: Victim = "triggerer" if step == POLL else "task"
            yield _Cell(f"{victim} killed", step, held, kill=Kill(victim, step, after))
        yield _Cell("scheduler and workers killed", step, held, kill=Kill("scheduler", step, 1.0))
        yield _Cell("API server killed", step, held, kill=Kill("api-server", step, 1.0))
    for step in (INITIALISE, LIST, FETCH):
        held = (_rule(step, "latency", seconds=IN_FLIGHT_SECONDS, nth=1),)
        yield _Cell("S3 killed", step, held, kill=Kill("s3", step, IN_FLIGHT_SECONDS - 0.3))
    for kind in GATE_FAULTS:
        for step in (LIST, FETCH):
            yield _Cell(f"S3 {kind}", step, store_fault=StoreFault(kind, step, 4.0))
    yield _Cell("create_dataset cleared", POLL, clear=Clear("create_dataset", POLL))
    yield from _cells_of_clocks_and_listings()
    yield from _cells_of_bytes()
    yield from _large_cells()
    yield _Cell("create_dataset cleared", FETCH, clear=Clear("create_dataset", FETCH))
    yield _Cell("list_files cleared", FETCH, clear=Clear("land.list_files", FETCH))


def _cells_of_clocks_and_listings() -> Iterator[_Cell]:
    """The API's clock differs by minutes; the listing of results has another shape, or is not ready."""
    for offset, where in ((CLOCK_SECONDS, "ahead"), (-CLOCK_SECONDS, "behind")):
        for step in (INITIALISE, COMMENCE):
            rules = (_rule(step, "lost_reply", nth=1),)
            yield _Cell(f"lost reply, clock {where}", step, rules, {"clock_offset_seconds": offset})
    yield _Cell("not ready at first", LIST, switches={"not_ready_calls": 2})
    yield _Cell("deep listing", LIST, switches={"results_shape": "deep"})
    yield _Cell("link to the listing itself", LIST, switches={"results_shape": "self_link"})
    yield _Cell("addresses of S3", LIST, switches={"results_shape": "s3"}, succeeds=False)


def _cells_of_bytes() -> Iterator[_Cell]:
    """Uploads that are not taken, replies that are not what was asked for, packed files, refusals that pass."""
    yield _Cell("no 100 Continue", UPLOAD, (_rule(UPLOAD, "no_continue"),))
    yield _Cell("body not taken", UPLOAD, (_rule(UPLOAD, "stalled_body", seconds=STALLED_SECONDS, nth=1),))
    for code in ("RequestTimeout", "ExpiredToken"):
        refusals: tuple[dict[str, float], ...] = ({"nth": 1}, {"times": 3})
        for moment in refusals if code == "RequestTimeout" else refusals[:1]:
            yield _Cell(f"HTTP 400 {code}", UPLOAD, (_rule(UPLOAD, "status", status=400, s3_code=code, **moment),))
        for often in ({"nth": 1}, {"every": 3, "times": 8}):
            yield _Cell(f"HTTP 400 {code}", FETCH, (_rule(FETCH, "status", status=400, s3_code=code, **often),))
    lies = {
        "part": "206 for the whole file",
        "no_content": "HTTP 204",
        "longer": "longer file",
        "endless": "endless file",
    }
    for lie, fault in lies.items():
        yield _Cell(fault, FETCH, (_rule(FETCH, "lie", lie=lie, every=3, times=8),))
    yield _Cell("packed files", FETCH, switches={"content_encoding": "gzip"})


def _large_cells() -> Iterator[_Cell]:
    """In the middle of an upload of several parts, and of the write of a large file to the store."""
    yield _Cell("reset", UPLOAD, (_rule(UPLOAD, "reset", every=2, times=3),), large=True)
    yield _Cell("lost reply", UPLOAD, (_rule(UPLOAD, "lost_reply", nth=2),), large=True)
    yield _Cell("URL expired", UPLOAD, (_rule(UPLOAD, "expired_url", nth=2),), large=True)
    stalled = _rule(UPLOAD, "stalled_body", seconds=STALLED_SECONDS, nth=2)
    yield _Cell("body not taken", UPLOAD, (stalled,), large=True)
    yield _Cell("no 100 Continue", UPLOAD, (_rule(UPLOAD, "no_continue"),), large=True)
    held = (_rule(UPLOAD, "latency", seconds=IN_FLIGHT_SECONDS, nth=2),)
    for after in (1.0, IN_FLIGHT_SECONDS - 0.3, IN_FLIGHT_SECONDS + 0.3):
        yield _Cell("task killed", UPLOAD, held, kill=Kill("task", UPLOAD, after), large=True)
    yield _Cell("scheduler and workers killed", UPLOAD, held, kill=Kill("scheduler", UPLOAD, 1.0), large=True)
    for tls in (False, True):
        for cell in _large_file_cells():
            yield msgspec.structs.replace(cell, large=True, tls=tls)


def _large_file_cells() -> Iterator[_Cell]:
    yield _Cell("truncated file", FETCH, (_rule(FETCH, "truncate", name=LARGE_FILE, times=2),))
    yield _Cell("wrong length", FETCH, (_rule(FETCH, "wrong_length", name=LARGE_FILE, times=2),))
    slow = (_rule(FETCH, "slow_body", name=LARGE_FILE, bytes_per_second=LARGE_FILE_RATE),)
    for after in (2.5, 4.0, 5.5):
        yield _Cell("task killed", FETCH, slow, kill=Kill("task", FETCH, after))
    yield _Cell("scheduler and workers killed", FETCH, slow, kill=Kill("scheduler", FETCH, 4.0))
    yield _Cell("S3 killed", FETCH, slow, kill=Kill("s3", FETCH, 4.0))
    for kind in GATE_FAULTS:
        yield _Cell(f"S3 {kind}", FETCH, slow, store_fault=StoreFault(kind, FETCH, 4.0, after=2.5))
    cut = _rule(FETCH, "truncate", name=LARGE_FILE, nth=1)
    lies = {"range_start": "rest from elsewhere", "range_total": "rest of another length", "whole": "no rest, but all"}
    for lie, fault in lies.items():
        yield _Cell(fault, FETCH, (cut, _rule(FETCH, "lie", lie=lie, name=LARGE_FILE, nth=2)))
    replaced = _rule(FETCH, "replaced", name=LARGE_FILE, nth=2)
    yield _Cell("file replaced midway", FETCH, (cut, replaced), {"honour_if_range": False})
    yield _Cell("URL expired midway", FETCH, (cut, _rule(FETCH, "expired_url", name=LARGE_FILE, nth=2)))
    yield _Cell("packed files", FETCH, (cut,), {"content_encoding": "gzip"})


def _rule(match: str, kind: str, **values: float | str) -> FaultRule:
    return msgspec.convert({"match": match, "kind": kind, **values}, FaultRule)


def _moment(rule: FaultRule) -> str:
    if rule.nth:
        return f"call {rule.nth}"
    every = f"every {rule.every}. call" if rule.every else "each call"
    return f"{every}, {rule.times} times" if rule.times else every


def _shuffled() -> tuple[_Cell, ...]:
    found = list(_cells())
    random.Random(2026).shuffle(found)
    return tuple(found)


_MATRIX: Final = _shuffled()
