"""Provenance: what a result tree says about how it came to be, and the hash that identifies a run by its content."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from neurocircuits.errors import ValidationError
from neurocircuits.results.schema import SCHEMA_VERSION

_PACKAGES = ("neurocircuits", "numpy", "scipy", "xarray", "brian2")
_PACKAGE_FOLDER = Path(__file__).resolve().parent.parent


def content_hash(circuit: str, protocol: str, engine: str, seed: int) -> str:
    """Return the identity of a run: equal for equal circuit, protocol, engine and seed.

    Parameters
    ----------
    circuit, protocol, engine : str
        Declarations as JSON text; white space and the order of keys do not matter.
    seed : int
        Seed of the run.

    Returns
    -------
    str
        SHA-256 in hexadecimal (64 characters) of the canonical JSON of ``[circuit, protocol, engine, seed]``.

    Raises
    ------
    ValidationError
        If a text is not JSON.
    """
    parts: list[Any] = []
    for name, text in (("circuit", circuit), ("protocol", protocol), ("engine", engine)):
        try:
            parts.append(json.loads(text))
        except (json.JSONDecodeError, TypeError) as error:
            raise ValidationError(f"content_hash: {name} is not JSON text ({error}): {str(text)[:60]!r}") from error
    canonical = json.dumps([*parts, int(seed)], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def provenance(circuit: str, protocol: str, engine: str, seed: int) -> dict[str, Any]:
    """Return the root attributes of a result tree that are known before the run.

    Parameters
    ----------
    circuit, protocol, engine : str
        Declarations as JSON text.
    seed : int
        Seed of the run.

    Returns
    -------
    dict
        ``schema_version, circuit, protocol, engine, seed, content_hash, versions, created_at, git_hash, platform``.
        What only the run knows (``wall_time, dale_violations, unconstrained, complete``) is added by its collector.

    Raises
    ------
    ValidationError
        If a text is not JSON.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "circuit": circuit,
        "protocol": protocol,
        "engine": engine,
        "seed": int(seed),
        "content_hash": content_hash(circuit, protocol, engine, seed),
        "versions": json.dumps(versions(), sort_keys=True),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_hash": git_hash(),
        "platform": platform.platform(),
    }


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on; nothing is imported for it."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


@functools.cache
def git_hash(folder: Path = _PACKAGE_FOLDER) -> str:
    """Return the commit of the checkout that a package was imported from.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the package, this one unless given.

    Returns
    -------
    str
        The hash, with ``+changes`` after it if tracked files differ from the commit. Empty without git, without a
        commit, and for an installed copy: a checkout that merely contains the environment is not the package's.
    """
    root = _git(folder, "rev-parse", "--show-toplevel")
    if not root or Path(root).resolve() != folder.parent:
        return ""
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    changed = commit and _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+changes" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True, env=environment)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()
