"""Processes: ready means ready, and stopped means that nothing of it is left, wherever it went."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from devstack.errors import NotReady, ProcessFailed
from devstack.processes import Leader, ManagedProcess, log_tail, stop_all, undisturbed

Start = Callable[..., ManagedProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts Python code as a managed process; none survives the test."""
    started: list[ManagedProcess] = []

    def run(code: str, *, grace: float = 5.0) -> ManagedProcess:
        process = ManagedProcess.start(
            "helper",
            [sys.executable, "-u", "-c", textwrap.dedent(code)],
            log=tmp_path / "logs" / "helper.log",
            env=dict(os.environ),
            cwd=tmp_path,
            grace=grace,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()


def wait_for_file(process: ManagedProcess, path: Path) -> str:
    """What the process wrote there."""
    process.wait_until_ready(lambda: path.exists() and bool(path.read_text()), timeout=20)
    return path.read_text()


def lives(pid: int) -> bool:
    """Whether a process exists that is not a zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


CHILD = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], {how})
pathlib.Path("child.new").write_text(str(child.pid))
pathlib.Path("child.new").rename("child")
{then}
"""


class TestStopping:
    @pytest.mark.parametrize(
        "how",
        [
            pytest.param("", id="an ordinary child"),
            pytest.param("process_group=0", id="a child with a process group of its own, as Airflow's tasks have"),
            pytest.param("start_new_session=True", id="a child that left the session"),
        ],
    )
    def test_a_child_does_not_survive(self, start: Start, tmp_path: Path, how: str) -> None:
        process = start(CHILD.format(how=how, then="time.sleep(300)"))
        child = int(wait_for_file(process, tmp_path / "child"))
        process.stop()
        assert not lives(child)
        assert process.returncode == -signal.SIGTERM

    def test_a_child_whose_parent_crashed_before_does_not_survive(self, start: Start, tmp_path: Path) -> None:
        process = start(CHILD.format(how="process_group=0", then="os = __import__('os'); os._exit(3)"))
        child = int(wait_for_file(process, tmp_path / "child"))
        with pytest.raises(ProcessFailed):
            process.wait_until_ready(lambda: False, timeout=20)
        assert lives(child)
        process.stop()
        assert not lives(child)

    def test_a_process_may_tidy_up_first(self, start: Start, tmp_path: Path) -> None:
        process = start(
            """
            import pathlib, signal, sys, time
            def leave(*_):
                pathlib.Path("tidied").touch()
                sys.exit(0)
            signal.signal(signal.SIGTERM, leave)
            pathlib.Path("ready").write_text("yes")
            time.sleep(300)
            """
        )
        wait_for_file(process, tmp_path / "ready")
        process.stop()
        assert (tmp_path / "tidied").exists()
        assert process.returncode == 0

    def test_a_process_that_ignores_the_request_is_ended(self, start: Start, tmp_path: Path) -> None:
        process = start(
            """
            import pathlib, signal, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            pathlib.Path("ready").write_text("yes")
            time.sleep(300)
            """,
            grace=0.2,
        )
        wait_for_file(process, tmp_path / "ready")
        process.stop()
        assert process.returncode == -signal.SIGKILL

    def test_killing_gives_no_time_to_tidy_up(self, start: Start) -> None:
        process = start("import time; time.sleep(300)")
        process.kill()
        assert process.returncode == -signal.SIGKILL

    def test_stopping_twice_is_fine(self, start: Start) -> None:
        process = start("import time; time.sleep(300)")
        process.stop()
        process.stop()
        assert process.returncode == -signal.SIGTERM

    def test_another_program_can_stop_it_by_what_identifies_it(self, start: Start) -> None:
        process = start("import time; time.sleep(300)")
        known = Leader(process.leader.pid, process.leader.created, 1.0)
        assert known.process() is not None
        stop_all([known])
        assert known.process() is None

    def test_a_process_that_got_the_id_of_an_old_one_is_left_alone(self, start: Start) -> None:
        process = start("import time; time.sleep(300)")
        old = Leader(process.pid, process.leader.created - 1000, 1.0)
        assert old.process() is None
        stop_all([old])
        assert lives(process.pid)


class TestStarting:
    def test_it_is_ready_when_the_probe_says_so(self, start: Start, tmp_path: Path) -> None:
        process = start("import pathlib, time; pathlib.Path('ready').touch(); time.sleep(300)")
        process.wait_until_ready((tmp_path / "ready").exists, timeout=20)
        assert process.returncode is None

    def test_one_that_ends_first_shows_the_end_of_its_log(self, start: Start) -> None:
        process = start("print('no space left'); raise SystemExit(7)")
        with pytest.raises(ProcessFailed, match=r"(?s)exit code 7.*helper\.log.*no space left"):
            process.wait_until_ready(lambda: False, timeout=20)

    def test_one_that_never_gets_ready_shows_the_end_of_its_log(self, start: Start) -> None:
        process = start("import time; print('still thinking'); time.sleep(300)")
        process.wait_until_ready(lambda: b"thinking" in process.log.read_bytes(), timeout=20)
        with pytest.raises(NotReady, match=r"(?s)not ready after 0 s.*still thinking"):
            process.wait_until_ready(lambda: False, timeout=0)

    def test_a_missing_program_names_the_command_that_installs_it(self, tmp_path: Path) -> None:
        with pytest.raises(ProcessFailed, match="make venv"):
            ManagedProcess.start("x", [tmp_path / "missing"], log=tmp_path / "x.log", env={}, cwd=tmp_path)

    def test_a_command_that_fails_shows_the_end_of_its_log(self, start: Start) -> None:
        with pytest.raises(ProcessFailed, match=r"(?s)exit code 2.*bad option"):
            start("print('bad option'); raise SystemExit(2)").wait_until_done(timeout=20)

    def test_a_command_that_takes_too_long_is_ended(self, start: Start) -> None:
        process = start("import time; time.sleep(300)")
        with pytest.raises(NotReady, match="did not finish"):
            process.wait_until_done(timeout=0.1)
        assert process.returncode == -signal.SIGKILL


class TestLogTail:
    def test_only_the_last_lines_are_shown(self, tmp_path: Path) -> None:
        log = tmp_path / "long.log"
        log.write_text("".join(f"line {number}\n" for number in range(10_000)))
        assert log_tail(log, lines=2).splitlines()[1:] == ["  line 9998", "  line 9999"]

    def test_a_log_that_is_not_there_is_no_error(self, tmp_path: Path) -> None:
        assert "no log" in log_tail(tmp_path / "none.log")


def test_a_request_to_stop_waits_for_the_end_of_an_undisturbed_block() -> None:
    finished = []

    def interrupted() -> None:
        with undisturbed():
            os.kill(os.getpid(), signal.SIGINT)
            deadline = time.monotonic() + 0.1
            while time.monotonic() < deadline:
                pass  # the interpreter handles signals between instructions
            finished.append(True)

    # A shell that starts the tests in the background lets them ignore SIGINT. So Python's own handler is set here.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    finally:
        signal.signal(signal.SIGINT, before)
    assert finished == [True]
