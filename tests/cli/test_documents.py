"""What the documents say is so: the example runs, links lead somewhere, tables and named tests are those that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from neurocircuits import reproduce
from neurocircuits.cli import catalogue

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "neurocircuits" / "ARCHITECTURE.md").read_text(encoding="utf-8")
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "neurocircuits/ARCHITECTURE.md",
    "docs/decisions/README.md",
)


EXAMPLE, SWEEP = re.findall(r"^```python\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


def ran(example: str, command, folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", example],
        cwd=folder, env=command[1], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_example_runs_and_says_what_the_readme_says(command, tmp_path: Path) -> None:
    assert len(EXAMPLE.splitlines()) <= 25
    steady, timed, difference = ran(EXAMPLE, command, tmp_path)
    assert steady == "steady states 12 of 12 bars"
    assert timed == "continuous time 12 of 12 bars"
    assert float(difference.split()[-2]) < 1.0


def test_the_sweep_runs_and_keeps_its_points(command, tmp_path: Path) -> None:
    (line,) = ran(SWEEP, command, tmp_path)
    one, six = (float(value) for value in line.strip("[]").split())
    assert one > six > 0
    assert len(list((tmp_path / "kept").glob("*.zip"))) == 4


def test_it_opens_with_the_picture_of_the_demo() -> None:
    first = README.splitlines()[0]
    assert first.startswith("![")
    assert first.endswith("](docs/demo.png)")
    assert (ROOT / "docs" / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert (ROOT / "docs" / "demo.png").stat().st_size < 200_000


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http", "#")):
            assert (path.parent / target.partition("#")[0]).exists(), f"{document}: {target}"


def test_make_has_the_commands_of_the_readme() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for name in re.findall(r"(?:^|`)make ([a-z]+)", README, flags=re.MULTILINE):
        assert name in targets


def test_the_commands_of_the_readme_exist() -> None:
    from typer.main import get_command

    from neurocircuits.cli import app

    known = get_command(app).commands
    used = re.findall(r"^neurocircuits ([a-z]+)", README, flags=re.MULTILINE)
    assert set(used) <= set(known)
    assert len(set(used)) > 5


def test_the_tables_name_every_model_and_figure() -> None:
    # Rejects: a table that drifts from what there is.
    rows = re.findall(r"^\| `([a-z0-9_]+)` \|", README, flags=re.MULTILINE)
    assert sorted(rows) == sorted([*catalogue.models(), *reproduce.figures()])


def test_the_index_names_every_decision() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    for record in folder.glob("[0-9]*.md"):
        title = record.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        number, _, text = title.partition(". ")
        assert record.name.startswith(f"{int(number):04d}-")
        assert f"{number}. [{text}]({record.name})" in index


def test_every_invariant_names_tests_that_exist() -> None:
    # Rejects: an architecture that says "is tested" of what is not.
    named = re.findall(r"`(tests/[a-z0-9_/]+\.py)(?:::([a-z0-9_]+))?`", ARCHITECTURE)
    assert len(named) > 10
    for file, function in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not function or f"def {function}(" in text, f"{file}::{function}"
