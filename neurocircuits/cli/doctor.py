"""What is installed, which engines work here, where data and caches are, and what would fix what is missing.

An engine counts as working when a tiny circuit ran on it, in a process of its own with an empty compilation cache, and
learned what it should.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

WAYS: dict[str, dict[str, dict[str, Any]]] = {
    "brian2": {
        "NumPy": {"device": "runtime", "target": "numpy"},
        "Cython": {"device": "runtime", "target": "cython"},
        "C++ standalone": {"device": "cpp_standalone"},
    },
}
"""Ways of running that an engine has and that can fail on their own, with their settings; other engines have one."""
COMPILED = ("Cython", "C++ standalone")
TIME_LIMIT = 300.0
AGREEMENT = 0.05


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes
    ----------
    what : str
        What was looked at.
    state : str
        What was found.
    ok : bool
        Whether that is as it should be.
    fix : str
        What would mend it.
    needed : bool
        Whether the package's own tests and demo need it.
    """

    what: str
    state: str
    ok: bool = True
    fix: str = ""
    needed: bool = True


def sections(compile_engines: bool = True) -> Iterator[tuple[str, Iterator[Finding]]]:
    """Yield the parts of the report with their findings, each looked at when it is asked for.

    Parameters
    ----------
    compile_engines : bool
        Whether engines are tried; else only listed.
    """
    yield "installed", installed()
    yield "compilers", compilers()
    yield "engines", engines(compile_engines)
    yield "data and caches", data_and_caches()


def installed() -> Iterator[Finding]:
    """Yield Python and the packages that this one needs or can use."""
    yield Finding("Python", f"{platform.python_version()}, {sys.executable}")
    try:
        yield Finding("neurocircuits", f"{metadata.version('neurocircuits')}, {Path(__file__).parents[1]}")
        required = metadata.requires("neurocircuits") or []
    except metadata.PackageNotFoundError:
        yield Finding(
            "neurocircuits",
            f"not installed, used from {Path(__file__).parents[1]}",
            False,
            "in its folder: pip install -e .",
        )
        return
    seen = set()
    for text in required:
        name, extra = _name_and_extra(text)
        if name in seen or extra in ("dev", "docs", "all"):
            continue
        seen.add(name)
        try:
            yield Finding(name, metadata.version(name) + (f" (extra {extra!r})" if extra else ""))
        except metadata.PackageNotFoundError:
            wanted = f"neurocircuits[{extra}]" if extra else "neurocircuits"
            yield Finding(
                name,
                f"not installed{f', optional (extra {extra!r})' if extra else ''}",
                False,
                f'pip install "{wanted}"',
                not extra,
            )


def _name_and_extra(requirement: str) -> tuple[str, str]:
    """Return the name in a requirement such as ``torch>=2.4; extra == "torch"``, and its extra if it has one."""
    specification, _, marker = requirement.partition(";")
    name = specification
    for mark in "[<>=!~ (":
        name = name.partition(mark)[0]
    _, _, extra = marker.partition("extra ==")
    return name.strip(), extra.strip(" '\")")


def compilers() -> Iterator[Finding]:
    """Yield what compiling needs."""
    for tool in ("gcc", "g++", "make"):
        path = shutil.which(tool)
        yield Finding(
            tool, path or "not found", path is not None, "" if path else f"Debian or Ubuntu: apt-get install {tool}"
        )
    header = Path(sysconfig.get_path("include")) / "Python.h"
    found = header.is_file()
    yield Finding(
        "Python.h",
        str(header) if found else "not found",
        found,
        "" if found else "Debian or Ubuntu: apt-get install python3-dev",
        False,
    )


def engines(compile_engines: bool = True) -> Iterator[Finding]:
    """Yield each engine and way of running, tried on a tiny circuit."""
    names = sorted(point.name for point in metadata.entry_points(group="neurocircuits.engines"))
    if not names:
        yield Finding("engines", "none is registered", False, "in the folder of the package: pip install -e .")
    expected: float | None = None
    for name in sorted(names, key=lambda name: (name in WAYS, name)):  # what needs no compiler says what is right
        for way, settings in WAYS.get(name, {"": {}}).items():
            label = f"{name}, {way}" if way else name
            if not compile_engines:
                yield Finding(label, "registered, not tried")
                continue
            finding, weight = _try(label, way, name, settings, expected)
            expected = weight if expected is None else expected
            yield finding


def _try(
    label: str, way: str, name: str, settings: dict[str, Any], expected: float | None
) -> tuple[Finding, float | None]:
    with tempfile.TemporaryDirectory() as folder:
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = os.environ | {"PYTHONPATH": path, "CYTHON_CACHE_DIR": str(Path(folder) / "cython")}
        command = [sys.executable, "-m", "neurocircuits.cli.probe", name, json.dumps(settings)]
        start = time.perf_counter()
        try:
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIME_LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            return Finding(
                label, f"did not end within {TIME_LIMIT:.0f} s", False, "look at the load of this machine and try again"
            ), None
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        again = f"cd {root} && {' '.join(map(shlex.quote, command))}"
        return Finding(
            label, f"fails: {lines[-1] if lines else f'exit code {done.returncode}'}", False, _fix(way, again)
        ), None
    result = json.loads(done.stdout.strip().splitlines()[-1])
    weight = float(result["weight"])
    if expected is not None and abs(weight - expected) > AGREEMENT * expected:
        state = f"runs, but a weight became {weight:.4g} instead of {expected:.4g}"
        return Finding(label, state, False, "report it, with this output"), weight
    elapsed = time.perf_counter() - start
    return Finding(
        label, f"works ({result['seconds']:.1f} s to build and run, {elapsed:.1f} s with starting Python)"
    ), weight


def _fix(way: str, again: str) -> str:
    broken = [finding.fix for finding in compilers() if not finding.ok]
    return "; ".join(broken) if way in COMPILED and broken else f"the whole message comes with: {again}"


def data_and_caches() -> Iterator[Finding]:
    """Yield where data sets and caches are."""
    from neurocircuits.cli import catalogue
    from neurocircuits.datasets import cache_folder
    from neurocircuits.errors import DataError
    from neurocircuits.reproduce import figure_cache

    setting = os.environ.get("NEUROCIRCUITS_DATA")
    yield Finding("NEUROCIRCUITS_DATA", setting or "not set; data sets are looked for in the cache")
    yield Finding("cache of data", _folder(cache_folder()))
    yield Finding("cache of figures", _folder(figure_cache()))
    cython = Path(os.environ.get("CYTHON_CACHE_DIR") or Path.home() / ".cython") / "brian_extensions"
    yield Finding("cache of Cython", _folder(cython))
    for name, factory in catalogue.stored().items():
        try:
            stored = catalogue.from_files(factory)
        except DataError as error:
            problem, _, remedy = str(error).partition(", and download=False. ")
            yield Finding(f"data set {name}", problem, False, remedy, needed=False)
        else:
            yield Finding(
                f"data set {name}", "on this machine, checksums right" if stored else "comes with the package"
            )


def _folder(path: Path) -> str:
    from neurocircuits.cli.reports import size_text

    if not path.is_dir():
        return f"{path} (not made yet)"
    return f"{path} ({size_text(sum(file.stat().st_size for file in path.rglob('*') if file.is_file()))})"
