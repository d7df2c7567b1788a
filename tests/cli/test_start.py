"""Starting: help is there at once, and what is heavy is imported only when it is needed."""

from __future__ import annotations

import subprocess
import sys

HEAVY = "{'numpy', 'scipy', 'xarray', 'zarr', 'brian2', 'matplotlib', 'sympy', 'sklearn'}"


def test_help_imports_nothing_heavy(command) -> None:
    # Rejects: an import at the top of the command line that makes each --help take seconds.
    script = (
        "import sys, time; start = time.process_time(); from neurocircuits.cli import app; "
        "from typer.main import get_command; get_command(app); "
        f"print(time.process_time() - start, *(set(sys.modules) & {HEAVY}))"
    )
    done = subprocess.run([sys.executable, "-c", script], env=command[1], capture_output=True, text=True, check=True)
    seconds, *heavy = done.stdout.split()
    assert heavy == []
    assert float(seconds) < 1.0


def test_help_and_version(shell) -> None:
    from neurocircuits import __version__

    done = shell("--help")
    assert done.returncode == 0
    for name in ("list", "show", "run", "resume", "compare", "figure", "info", "doctor", "demo", "topics"):
        assert f"\n  {name} " in done.stdout
    assert shell("--version").stdout == f"neurocircuits {__version__}\n"
    assert shell().returncode == 2  # no command
