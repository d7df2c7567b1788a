"""What holds for the source as a whole: layers, light import, engines that know no rule, short modules, no asserts."""

from __future__ import annotations

import ast
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ("neurocircuits", "models", "protocols", "figures")
LONGEST = 400

# Named here so that the test bites before the catalogue is complete; what the folders hold comes on top.
RULES = {"Hebbian", "AntiHebbian", "Oja", "BCM", "STDP", "SimilarityMatching", "CorrelationMeasuring"}
AUTHORS = {"seung", "zung", "krotov", "hopfield", "vogels", "foldiak"}


def sources(*folders: str) -> list[Path]:
    found = []
    for folder in folders:
        for path, _, files in os.walk(ROOT / folder):  # does not follow links
            found += [Path(path) / file for file in files if file.endswith(".py")]
    return sorted(found)


# --- layers


def lint_imports(checkout: Path) -> subprocess.CompletedProcess[str]:
    script = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    return subprocess.run(
        [sys.executable, "-c", script], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )


def test_import_contracts_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 broken" in done.stdout


BROKEN = {
    "an engine that runs simulations": ("engines/wrong.py", "import neurocircuits.simulation"),
    "a declaration that compiles": ("declare/wrong.py", "from neurocircuits.compile import plan"),
    "analysis that knows an engine": ("analysis/wrong.py", "from neurocircuits.engines import base"),
    "a model that knows an experiment": ("../models/wrong.py", "import neurocircuits.protocols"),
    "a circuit that knows a figure": ("../models/wrong.py", "import neurocircuits.figures"),
    "brian2 in a declaration": ("declare/wrong.py", "import brian2"),
    "brian2 at the top, within a function": ("simulation.py", "def f():\n    from brian2 import ms"),
    "matplotlib in the analysis": ("analysis/wrong.py", "import matplotlib.pyplot"),
    "torch in the results": ("results/wrong.py", "import torch"),
    "torch in an engine other than its arrays": ("engines/wrong.py", "import torch"),
    "a module in no layer": ("wrong.py", ""),
}
SKELETON = ("compile/plan.py", "engines/base.py", "results/schema.py", "analysis/balance.py", "declare/rules.py")


@pytest.mark.parametrize("name", BROKEN)
def test_import_contracts_notice(name: str, tmp_path: Path) -> None:
    """The contracts of setup.cfg on a package of empty modules, with one wrong import in it."""
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    package = tmp_path / "neurocircuits"
    for folder in LIBRARY[1:]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    for file in SKELETON:
        (package / file).parent.mkdir(parents=True, exist_ok=True)
        (package / file).touch()
        (package / file).with_name("__init__.py").touch()
    for file in ("__init__.py", "simulation.py", "errors.py"):
        (package / file).touch()
    for folder in LIBRARY[1:]:
        (package / folder).symlink_to(f"../{folder}")
    assert lint_imports(tmp_path).returncode == 0  # the empty package breaks nothing

    where, text = BROKEN[name]
    (package / where).write_text(text + "\n", encoding="utf-8")
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    assert " 1 broken" in done.stdout, done.stdout + done.stderr


# --- a light import


def test_import_is_light() -> None:
    # Rejects: a heavy import that is not lazy. Processor time, best of five, since others share the machine.
    script = (
        "import sys, time; start = time.process_time(); import neurocircuits; "
        "print(time.process_time() - start, *(set(sys.modules) & {'brian2', 'matplotlib', 'xarray', 'torch'}))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    times = []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        seconds, *heavy = done.stdout.split()
        assert heavy == []
        times.append(float(seconds))
    assert min(times) < 0.5


# --- engines know no rule, model or paper


def rules_of_the_catalogue() -> set[str]:
    """Public functions and classes of declare/rules.py in capitals: each is a rule."""
    catalogue = ROOT / "neurocircuits" / "declare" / "rules.py"
    if not catalogue.exists():
        return set()
    nodes = ast.parse(catalogue.read_text(encoding="utf-8")).body
    defined = {node.name for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    return {name for name in defined if name[0].isupper()}


def forbidden_names() -> set[str]:
    names = set(AUTHORS)
    for rule in RULES | rules_of_the_catalogue():
        names |= {rule.lower(), re.sub(r"(?<=[a-z])(?=[A-Z])", "_", rule).lower()}
    for model in sources("models"):
        if not model.stem.startswith("_"):
            names.add(model.stem)
            if re.fullmatch(r"[a-z_]+[0-9]{4}[a-z]?", model.stem):  # authors and a year
                names |= set(re.findall(r"[a-z]{3,}", model.stem))
    return names


def mentions(text: str, names: set[str]) -> list[str]:
    """Names that stand in the text as a word or as a part of an identifier, in any case."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower()
    return sorted(
        name for name in names if re.search(rf"(?<![a-z]){re.escape(name)}(?![a-z])", words + "\n" + text.lower())
    )


@pytest.mark.parametrize(
    "text",
    [
        "if isinstance(rule, Hebbian): ...",
        "def _anti_hebbian_step(w): ...",
        'if circuit.name == "seung2018": ...',
        "# as in Krotov and Hopfield",
        "class VogelsPathway: ...",
    ],
)
def test_scan_finds_names(text: str) -> None:
    assert mentions(text, forbidden_names() | {"seung2018"})


def test_scan_leaves_other_words_alone() -> None:
    assert mentions("project, majority, trojan, rebuild, zungle, LargestChange, PerUnit", forbidden_names()) == []


def test_engines_name_no_rule_model_or_paper() -> None:
    names = forbidden_names()
    found = {
        f"{source.relative_to(ROOT)}:{number}: {name}"
        for source in sources("neurocircuits/engines")
        for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), start=1)
        for name in mentions(line, names)
    }
    assert found == set()


# --- modules


def test_no_module_is_long() -> None:
    lengths = {source: len(source.read_text(encoding="utf-8").splitlines()) for source in sources(*LIBRARY)}
    everything = lengths | {
        source: len(source.read_text(encoding="utf-8").splitlines()) for source in sources("tests", "benchmarks")
    }
    assert {str(s.relative_to(ROOT)): n for s, n in everything.items() if n > LONGEST} == {}
    assert statistics.median(lengths.values()) < LONGEST / 2


def assertions(text: str) -> Iterator[int]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assert):
            yield node.lineno


def test_no_asserts_outside_tests() -> None:
    # Rejects: validation that vanishes under `python -O`.
    found = [
        f"{source.relative_to(ROOT)}:{line}"
        for source in sources(*LIBRARY, "benchmarks")
        for line in assertions(source.read_text(encoding="utf-8"))
    ]
    assert found == []
