"""`--help` says what a command does, and does none of it."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
from typing import Any

import pytest

from devstack import browser, screenshots
from devstack.environment import REPOSITORY

TOOLS = {"pip", "pytest", "ruff", "mypy"}
MODULES = sorted(
    set(re.findall(r"(?:\$\(PYTHON\)|python3) -m ([a-z_.]+)", (REPOSITORY / "Makefile").read_text())) - TOOLS
)


def nothing_runs(*_: Any, **__: Any) -> None:
    raise AssertionError("it begins to work")


@pytest.mark.parametrize("name", MODULES)
def test_every_command_of_the_makefile_has_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec(name)
    assert found is not None
    module = importlib.import_module(f"{name}.__main__" if found.submodule_search_locations else name)
    monkeypatch.setattr(subprocess, "Popen", nothing_runs)
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m {name} ")


def test_pictures_without_a_browser_start_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(browser, "find_browser", lambda: None)
    monkeypatch.setattr(subprocess, "Popen", nothing_runs)
    assert screenshots.main([]) == 1
    assert browser.INSTALL_HINT in capsys.readouterr().err
