"""Provenance says what ran where, and the content hash identifies a run by what it is."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pytest

from neurocircuits.errors import ValidationError
from neurocircuits.results.provenance import content_hash, git_hash, provenance

CIRCUIT = '{"name": "demo", "n": [1, 2.5, null]}'


def test_the_hash_depends_on_content_only() -> None:
    base = content_hash(CIRCUIT, "{}", "{}", 0)
    assert base == content_hash('{ "n":[1,2.5,null],\n "name":"demo"}', "{}", " {}", 0)
    others = [
        (CIRCUIT, "{}", "{}", 1),
        (CIRCUIT, '{"a": 1}', "{}", 0),
        (CIRCUIT, "{}", '{"a": 1}', 0),
        ("{}", "{}", "{}", 0),
    ]
    assert len({base, *(content_hash(*other) for other in others)}) == 5


def test_the_hash_is_that_of_the_documented_text() -> None:
    """Stored results are found again by their hash, so it may not change from version to version."""
    assert (
        content_hash('{"b": 1, "a": 2}', "[]", "{}", 3)
        == "ef3b8ec59bc9940d913e90595b634e70bf1f1bc798b3e178d2cdb1a17ff87a71"
    )


def test_texts_that_are_not_json_are_refused() -> None:
    with pytest.raises(ValidationError, match="protocol is not JSON"):
        content_hash("{}", "Protocol()", "{}", 0)


def test_root_attributes() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    attrs = provenance(CIRCUIT, "{}", "{}", 5)
    assert (attrs["circuit"], attrs["seed"], attrs["schema_version"]) == (CIRCUIT, 5, 1)
    assert before <= datetime.fromisoformat(attrs["created_at"]) <= datetime.now(UTC)
    versions = json.loads(attrs["versions"])
    assert versions["numpy"] == metadata.version("numpy")
    assert set(versions) == {"python", "neurocircuits", "numpy", "scipy", "xarray", "brian2"}
    assert attrs["content_hash"] == content_hash(CIRCUIT, "{}", "{}", 5)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return the folder of a package in a checkout with one commit, and an installed copy further inside."""
    for folder in ("package", "environment/lib/package"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "module.py").write_text("1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path / "package"


def test_the_commit_of_the_checkout(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    assert git_hash.__wrapped__(checkout) == commit
    (checkout / "module.py").write_text("2\n")
    assert git_hash.__wrapped__(checkout) == f"{commit}+changes"


def test_a_copy_installed_inside_another_checkout_has_no_commit(checkout: Path) -> None:
    """The commit of a user's own repository says nothing of the package in its virtual environment."""
    assert git_hash.__wrapped__(checkout.parent / "environment" / "lib" / "package") == ""


def test_without_git_or_a_commit_it_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package").mkdir()
    assert git_hash.__wrapped__(tmp_path / "package") == ""
    git(tmp_path, "init", "-q")
    assert git_hash.__wrapped__(tmp_path / "package") == ""
    monkeypatch.setenv("PATH", "")
    assert git_hash.__wrapped__(tmp_path / "package") == ""


def test_variables_of_a_git_hook_do_not_mislead(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert len(git_hash.__wrapped__(checkout)) == 40
