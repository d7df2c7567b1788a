"""What is installed is what stands in the checkout: packages, links, wheel, dependencies and their pins."""

from __future__ import annotations

import ast
import configparser
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LINKED = ("figures", "models", "protocols")
PYTHONS = ("3.11", "3.12", "3.13")


def configuration() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def requirements(text: str) -> list[Requirement]:
    return [Requirement(line) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def package_folders() -> dict[str, Path]:
    """Every package by name, with its real folder: those of the library, and the linked ones at the top."""
    roots = {"neurocircuits": ROOT / "neurocircuits"} | {f"neurocircuits.{name}": ROOT / name for name in LINKED}
    folders = {}
    for package, root in roots.items():
        for folder, names, files in os.walk(root):  # does not follow links
            names[:] = [name for name in names if name != "__pycache__"]
            if any(file.endswith(".py") for file in files):
                folders[".".join([package, *Path(folder).relative_to(root).parts])] = Path(folder)
    return folders


def modules_in_checkout() -> list[str]:
    return sorted(
        f"{package.replace('.', '/')}/{module.name}"
        for package, folder in package_folders().items()
        for module in folder.glob("*.py")
    )


def test_package_list_is_what_the_folders_are() -> None:
    # Rejects: a new subpackage that works in the checkout and is absent once installed.
    listed = configuration()["options"]["packages"].split()
    assert sorted(listed) == sorted(package_folders())


def test_every_package_folder_has_an_init() -> None:
    # Rejects: a namespace package by accident, which hides a folder of the same name elsewhere on the path.
    assert [name for name, folder in package_folders().items() if not (folder / "__init__.py").is_file()] == []


@pytest.mark.parametrize("name", LINKED)
def test_links_are_relative_links(name: str) -> None:
    # Rejects: a copy of the folder, which would drift, and a link that holds in one checkout only.
    link = ROOT / "neurocircuits" / name
    assert link.is_symlink()
    assert os.readlink(link) == f"../{name}"
    mapped = dict(line.split(" = ") for line in configuration()["options"]["package_dir"].split("\n") if " = " in line)
    assert mapped[f"neurocircuits.{name}"] == name


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    for name in ("neurocircuits", *LINKED):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", source / "dist", source],
        check=True,
        capture_output=True,
        cwd=source,
    )
    (path,) = (source / "dist").glob("*.whl")
    return path


def test_wheel_holds_every_module_once(wheel: Path) -> None:
    # Rejects: models at the top level of site-packages, a module packed twice through a link, and one left out.
    names = zipfile.ZipFile(wheel).namelist()
    assert sorted(name for name in names if name.endswith(".py")) == modules_in_checkout()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"neurocircuits"}
    assert "neurocircuits/py.typed" in names


def test_wheel_holds_the_files_that_are_not_modules(wheel: Path) -> None:
    # Rejects: a style sheet that is read in the checkout and missing once installed.
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        f"{package.replace('.', '/')}/{file.name}"
        for package, folder in package_folders().items()
        for file in folder.iterdir()
        if file.is_file() and file.suffix != ".py"
    }
    assert wanted - held == set()


def test_wheel_gives_the_linked_packages(wheel: Path, tmp_path: Path) -> None:
    # Rejects: a package_dir that maps to the wrong place, so that neurocircuits.models is not there for users.
    zipfile.ZipFile(wheel).extractall(tmp_path)
    imports = ", ".join(f"neurocircuits.{name}" for name in LINKED)
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {imports}; print(neurocircuits.models.__file__)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], check=True, capture_output=True, text=True)
    assert Path(done.stdout.strip()) == tmp_path / "neurocircuits" / "models" / "__init__.py"


def test_wheel_registers_command_and_engines(wheel: Path) -> None:
    # Rejects: engines that only a checkout can find.
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
    entries = configparser.ConfigParser()
    entries.read_string(archive.read(name).decode())
    assert set(entries["neurocircuits.engines"]) == {"steady-state", "brian2"}
    assert entries["console_scripts"]["neurocircuits"] == "neurocircuits.cli:main"


def test_version_is_told_once(wheel: Path) -> None:
    # Rejects: a release whose citation, or whose metadata, still names the one before.
    version = wheel.name.split("-")[1]
    assert f'__version__ = "{version}"' in (ROOT / "neurocircuits" / "__init__.py").read_text(encoding="utf-8")
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## {version} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def pins() -> list[Requirement]:
    return requirements((ROOT / "constraints.txt").read_text(encoding="utf-8"))


def applies(requirement: Requirement, python: str) -> bool:
    environment = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    return requirement.marker is None or requirement.marker.evaluate(environment)


@pytest.mark.parametrize("python", PYTHONS)
def test_constraints_pin_each_dependency_once_and_within_its_limits(python: str) -> None:
    # Rejects: a new dependency without a pin, a pin that setup.cfg refuses, and one that holds on one Python only.
    options = configuration()
    asked = requirements(options["options"]["install_requires"] + options["options.extras_require"]["dev"])
    for requirement in asked:
        if applies(requirement, python):
            name = canonicalize_name(requirement.name)
            (pin,) = (pin for pin in pins() if canonicalize_name(pin.name) == name and applies(pin, python))
            (specifier,) = pin.specifier
            assert specifier.operator == "=="
            assert requirement.specifier.contains(specifier.version), requirement


def test_constraints_pin_what_the_dependencies_need() -> None:
    # Rejects: a pin forgotten one level down, where a new release then changes what was tested.
    python = "{}.{}".format(*sys.version_info)
    pinned = {canonicalize_name(pin.name) for pin in pins() if applies(pin, python)}
    options = configuration()
    waiting = requirements(options["options"]["install_requires"] + options["options.extras_require"]["dev"])
    seen: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in seen and applies(requirement, python):
            seen.add(name)
            try:
                waiting.extend(requirements("\n".join(requires(name) or [])))
            except PackageNotFoundError:
                pytest.skip(f'needs the dev extra, and {name} is not installed: pip install -e ".[dev]"')
    assert seen - pinned == set()


def imported_from_elsewhere(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [str(node.module)]
        else:
            continue
        for name in names:
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names | {"neurocircuits", "benchmarks", "tests"}:
                yield top


def test_what_is_imported_is_declared() -> None:
    # Rejects: a module that happens to be installed because something else needs it.
    options = configuration()
    declared = {canonicalize_name(r.name) for r in requirements(options["options"]["install_requires"])}
    extras = options["options.extras_require"]
    optional = {canonicalize_name(r.name) for key in ("topics", "torch", "spikes") for r in requirements(extras[key])}
    tools = {canonicalize_name(r.name) for r in requirements(extras["dev"])}
    distributions = packages_distributions()
    library = [(source, declared | optional) for folder in package_folders().values() for source in folder.glob("*.py")]
    others = [(p, declared | optional | tools) for name in ("tests", "benchmarks") for p in (ROOT / name).rglob("*.py")]
    undeclared = {
        f"{source.relative_to(ROOT)}: {name}"
        for source, allowed in library + others
        for name in imported_from_elsewhere(source)
        if not allowed & {canonicalize_name(d) for d in distributions.get(name, [name])}
    }
    assert undeclared == set()
