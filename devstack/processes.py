"""Processes that are started together with everything below them and stopped without leaving anything behind.

Each process leads a session of its own, because Airflow puts its tasks in process groups of their own: the session is
what still holds them all together. Only processes started here are ever signalled; a process id that the system has
given to somebody else in the meantime is recognised by its creation time and left alone.

mirakuru does not replace it: it kills all that it has started when its own process ends, and `make up` has to stay.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType

import msgspec
import psutil

from devstack.errors import NotReady, ProcessFailed
from devstack.waiting import wait_until

POLL_SECONDS = 0.1
KILL_SECONDS = 10.0
CLOCK_SECONDS = 2.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Leader(msgspec.Struct, frozen=True):
    """A process that leads a session, recognisable by another program than the one that started it.

    :param pid: process id, also the session's
    :param created: when it was created, in seconds since 1970
    :param grace: seconds that it may take to stop by itself
    """

    pid: int
    created: float
    grace: float

    def process(self) -> psutil.Process | None:
        """The very process, unless it has ended."""
        try:
            process = psutil.Process(self.pid)
            return process if self._is(process) and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def family(self) -> set[psutil.Process]:
        """The living processes of the session and the descendants that left it, the leader among them."""
        found: set[psutil.Process] = set()
        try:
            root = psutil.Process(self.pid)
            if not self._is(root):
                return found  # another process has this id now, so no process of our session exists any more
            found = {root, *root.children(recursive=True)}
        except psutil.NoSuchProcess:
            pass  # the leader has ended, but processes that it has started may still be in its session
        found |= {process for process in psutil.process_iter() if _session_of(process.pid) == self.pid}
        return {process for process in found if _lives(process)}

    def _is(self, process: psutil.Process) -> bool:
        # The two times may differ a little, because a change of the machine's clock can change `create_time`. The
        # tolerance is safe: the system does not give the same id to another process so soon.
        return abs(process.create_time() - self.created) < CLOCK_SECONDS


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return  # the process has ended by itself


def stop_all(leaders: Iterable[Leader], *, at_once: bool = False) -> None:
    """Stop processes with everything below them, all at the same time.

    Each leader gets SIGTERM, because it knows best how to end what it started. What it leaves behind gets SIGTERM once
    it is gone, and what remains after its time of grace gets SIGKILL.

    :param leaders: who to stop; those that no longer run are fine
    :param at_once: SIGKILL immediately, as if the machine had crashed
    :raises NotReady: when something survives SIGKILL
    """
    # All processes are found before the first is stopped. A process that has left the session can only be found while
    # its parent runs.
    families = {leader: leader.family() for leader in leaders}
    if not at_once:
        for leader in families:
            if process := leader.process():
                _send(process, signal.SIGTERM)
    started = time.monotonic()
    left_behind: set[psutil.Process] = set()
    while families:
        elapsed = time.monotonic() - started
        for leader, known in list(families.items()):
            family = {process for process in known if _lives(process)} | leader.family()
            overdue = elapsed - (0 if at_once else leader.grace)
            if not family:
                del families[leader]
            elif overdue > KILL_SECONDS:
                pids = sorted(process.pid for process in family)
                raise NotReady(f"processes {pids} do not end; stop them by hand: kill -9 {pids}")
            elif overdue >= 0:
                for process in family:
                    _send(process, signal.SIGKILL)
            elif leader.process() is None:
                for process in family - left_behind:
                    _send(process, signal.SIGTERM)
                left_behind |= family
        if families:
            time.sleep(POLL_SECONDS / 2)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put off Ctrl-C and other requests to stop until the block is done, so that no process is lost half-way."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread receives signals, so there is nothing to put off
        return
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, remember) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for stop_signal, handler in before.items():
            signal.signal(stop_signal, handler)
        for number in dict.fromkeys(received):
            os.kill(os.getpid(), number)


@dataclass(slots=True)
class ManagedProcess:
    """One running service.

    :param name: what people call it, also in messages
    :param log: file that receives its output
    :param leader: what identifies it
    """

    name: str
    log: Path
    leader: Leader
    _popen: subprocess.Popen[bytes]

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str],
        cwd: Path,
        grace: float = 5.0,
        stdin: bytes = b"",
    ) -> ManagedProcess:
        """Start a command in a session of its own; its output is appended to ``log``.

        :param grace: seconds that it may take to stop by itself, 5 by default
        :param stdin: what it reads from its standard input; nothing by default
        :raises ProcessFailed: when the command cannot be started at all
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output, tempfile.TemporaryFile() as given:
            given.write(stdin)
            given.seek(0)
            try:
                popen = subprocess.Popen(
                    [os.fspath(part) for part in command],
                    stdin=given,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=dict(env),
                    cwd=cwd,
                    start_new_session=True,
                )
            except OSError as error:
                raise ProcessFailed(f"{name} cannot be started: {error}; `make venv` installs it") from error
        # Nobody has collected the exit code yet, so the id still belongs to this process, even if it has ended.
        created = psutil.Process(popen.pid).create_time()
        return cls(name, log, Leader(popen.pid, created, grace), popen)

    def __enter__(self) -> ManagedProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process id of the leader."""
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        return self._popen.poll()

    def stop(self) -> None:
        """Stop it and everything that it started. Does nothing when it no longer runs."""
        stop_all([self.leader])
        self._popen.wait()

    def kill(self) -> None:
        """End it and everything that it started at once, as a crash of its machine would."""
        stop_all([self.leader], at_once=True)
        self._popen.wait()

    def check(self) -> None:
        """Make sure that it runs.

        :raises ProcessFailed: when it has ended; with the end of its log
        """
        if self.returncode is not None:
            raise ProcessFailed(f"{self.name} ended with exit code {self.returncode}.\n{log_tail(self.log)}")

    def wait_until_ready(self, probe: Callable[[], bool], *, timeout: float) -> None:
        """Wait until ``probe`` says yes, watching that the process lives.

        :param timeout: seconds
        :raises ProcessFailed: when the process ends first
        :raises NotReady: when the time is over
        """

        def look() -> bool:
            ready = probe()
            if not ready:
                self.check()
            return ready

        def late() -> str:
            return f"{self.name} is not ready after {timeout:.0f} s.\n{log_tail(self.log)}"

        wait_until(look, timeout=timeout, late=late, every=POLL_SECONDS)

    def wait_until_done(self, *, timeout: float) -> None:
        """Wait for a command that ends by itself.

        :param timeout: seconds
        :raises ProcessFailed: when it fails
        :raises NotReady: when the time is over
        """
        try:
            code = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise NotReady(f"{self.name} did not finish in {timeout:.0f} s.\n{log_tail(self.log)}") from None
        if code != 0:
            raise ProcessFailed(f"{self.name} ended with exit code {code}.\n{log_tail(self.log)}")


def log_tail(log: Path, *, lines: int = 25) -> str:
    """The end of a log file, headed by where the rest is.

    :param lines: how many lines
    """
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 64 * 1024))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return f"(no log at {log})"
    return "\n".join([f"Last lines of {log}:", *(f"  {line}" for line in text.splitlines()[-lines:])])
