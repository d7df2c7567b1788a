"""The command line in this process and in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from neurocircuits.cli import app

ROOT = Path(__file__).resolve().parents[2]

Invoke = Callable[..., Any]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Return a function that runs a command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments))
        if result.exit_code != code and result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.output

    return call


@pytest.fixture
def installed() -> None:
    """Skip what looks at the package as it is installed; `make test` installs it."""
    if not entry_points(group="neurocircuits.engines"):
        pytest.skip("looks at the installed package, and it is not installed: pip install -e .")


@pytest.fixture
def command() -> tuple[list[str], dict[str, str]]:
    """Return what starts the command line in another process, and its environment."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return [sys.executable, "-m", "neurocircuits.cli"], os.environ | {"PYTHONPATH": path}


@pytest.fixture
def shell(command: tuple[list[str], dict[str, str]], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a command in a process of its own, to its end."""
    start, environment = command

    def call(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*start, *arguments],
            cwd=tmp_path,
            env=environment | changes,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return call
