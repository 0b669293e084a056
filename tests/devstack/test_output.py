"""What people see: progress of a run, tables, and no secret anywhere."""

from __future__ import annotations

import io
import stat
from pathlib import Path

from airflow_client.client import TaskInstanceResponse, TaskInstanceState

from devstack.output import size, table
from devstack.progress import Progress
from devstack.secrets import Secrets, load_or_create


class Terminal(io.StringIO):
    """Text that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def task(name: str, state: str | None, *, map_index: int = -1, duration: float | None = None) -> TaskInstanceResponse:
    """A task with just what progress is made of."""
    return TaskInstanceResponse.model_construct(
        task_id=name, map_index=map_index, state=TaskInstanceState(state) if state else None, duration=duration
    )


def no_reason(task: TaskInstanceResponse) -> str | None:
    return None


class TestProgress:
    def test_a_task_gets_a_line_only_when_its_state_changes(self) -> None:
        output = io.StringIO()
        progress = Progress(no_reason, output)
        for state in (None, "scheduled", "running", "running", "success"):
            progress([task("create", state, duration=3.21)])
        lines = [line.split(" s  ")[1] for line in output.getvalue().splitlines()]
        assert lines == ["create                   running", "create                   success  (3.2 s)"]

    def test_mapped_tasks_are_told_apart(self) -> None:
        output = io.StringIO()
        Progress(no_reason, output)([task("land", "running", map_index=index) for index in (0, 1)])
        assert "land[0]" in output.getvalue()
        assert "land[1]" in output.getvalue()

    def test_a_failure_is_explained(self) -> None:
        output = io.StringIO()
        Progress(lambda task: f"{task.task_id}: no space left", output)([task("land", "up_for_retry")])
        assert output.getvalue().splitlines()[1].strip() == "land: no space left"

    def test_a_pipe_gets_no_control_characters(self) -> None:
        output = io.StringIO()
        progress = Progress(no_reason, output)
        progress([task("create", "running")])
        progress.close()
        assert output.getvalue().replace("\n", "").isprintable()

    def test_a_terminal_gets_one_line_that_is_refreshed_and_goes_away(self) -> None:
        output = Terminal()
        progress = Progress(no_reason, output)
        for _ in range(3):
            progress([task("create", "running")])
        progress.close()
        assert output.getvalue().count("\n") == 1
        assert output.getvalue().endswith("\r\x1b[2K")


class TestTexts:
    def test_numbers_stand_to_the_right(self) -> None:
        assert table([("District", "users"), ("north", "7"), ("x", "12,345")]).splitlines() == [
            "  District   users",
            "  north          7",
            "  x         12,345",
        ]

    def test_sizes_are_for_people(self) -> None:
        assert [size(99), size(3_200_000)] == ["99 bytes", "3.2 MB"]


class TestSecrets:
    def test_they_stay_the_same_in_one_folder(self, tmp_path: Path) -> None:
        assert load_or_create(tmp_path / "a" / "s.json") == load_or_create(tmp_path / "a" / "s.json")
        assert load_or_create(tmp_path / "a" / "s.json") != load_or_create(tmp_path / "b" / "s.json")

    def test_only_their_owner_can_read_them(self, tmp_path: Path) -> None:
        load_or_create(tmp_path / "s.json")
        assert stat.S_IMODE((tmp_path / "s.json").stat().st_mode) == 0o600

    def test_they_are_never_shown(self) -> None:
        secrets = Secrets()
        shown = repr(secrets) + repr(secrets.s3_admin) + repr(secrets.consumer)
        hidden = [secrets.fernet_key, secrets.jwt_secret, secrets.api_secret, *secrets.passwords.values()]
        hidden += [secrets.s3_admin.secret_key, secrets.s3_landing.secret_key, secrets.consumer.secret_key]
        assert not [value for value in hidden if value in shown]
