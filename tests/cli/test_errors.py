"""Errors as a table: what is typed, the exit code, the words. Never a traceback, unless it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

RUN = ("run", "seung2018.bars", "features")

USAGE = {
    "unknown command": (("fly",), "No such command 'fly'"),
    "missing protocol": (("run", "seung2018"), "Missing argument"),
    "unknown model": (("show", "seung2019"), "Did you mean seung2018"),
    "unknown variant": (("show", "seung2018.bar"), "Did you mean seung2018.bars"),
    "unknown protocol": (("run", "seung2018", "feature"), "Did you mean features"),
    "unknown engine": ((*RUN, "--engine", "brian"), "Did you mean brian2?"),
    "unknown data": ((*RUN, "--data", "minst"), "Did you mean mnist?"),
    "unknown setting": ((*RUN, "--set", "n_excitatry=3"), "Did you mean n_excitatory"),
    "unknown setting of the protocol": ((*RUN, "--set", "protocol.n_lern=3"), "Did you mean n_learn"),
    "unknown setting of the engine": ((*RUN, "--set", "engine.btch=3"), "Did you mean batch"),
    "not key=value": ((*RUN, "--set", "n_excitatory"), "is not key=value"),
    "not a number": ((*RUN, "--set", "n_excitatory=many"), "expected a whole number"),
    "an array": ((*RUN, "--set", "protocol.values=3"), "--data chooses what is shown"),
    "negative seed": ((*RUN, "--seed", "-1"), "--seed"),
    "format of the result": ((*RUN, "-o", "result.nc"), "stored as Zarr"),
    "figure without a name": (("figure",), "name one figure, or pass --all"),
    "unknown figure": (("figure", "seung2018_featurs"), "Did you mean seung2018_features"),
    "a name and --all": (("figure", "seung2018_features", "--all"), "or pass --all"),
}
PACKAGE = {
    "value that is not allowed": ((*RUN, "--set", "p=2"), "0 < p < q is needed"),
    "wrong unit": ((*RUN, "--set", "tau=5 mV"), "tau"),
    "unknown unit": ((*RUN, "--set", "tau=5 parsec"), "unit 'parsec' is not known"),
    "bad engine setting": ((*RUN, "--set", "engine.batch=0"), "SteadyState.batch"),
    "data that do not fit": ((*RUN, "--data", "digits", "--set", "n_sensory=10"), "64 units, population 'S' 10"),
    "result that is there": ((*RUN, "-o", "there.zarr"), "Choose another name or pass --overwrite"),
    "folder that is not": ((*RUN, "-o", "nowhere/result.zarr"), "does not exist or cannot be written"),
    "folder of checkpoints in use": ((*RUN, "--checkpoint", "there.zarr"), "is not empty"),
    "result that is not": (("info", "nothing.zarr"), "does not exist"),
    "something else": (("info", "text.zarr"), "is not a stored result"),
    "a truncated result": (("info", "truncated.zip"), "is not a stored result"),
    "comparison of nothing": (("compare", "nothing.zarr", "nothing.zarr"), "does not exist"),
    "no checkpoint": (("resume", "there.zarr"), "is not a checkpoint folder"),
    "demo that cannot write": (("demo", "--out", "text.zarr/demo"), "cannot be made"),
}


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "there.zarr").mkdir()
    (tmp_path / "there.zarr" / "something").touch()
    (tmp_path / "text.zarr").write_text("hello", encoding="utf-8")
    (tmp_path / "truncated.zip").write_bytes(b"PK\x03\x04 and no more")


@pytest.mark.parametrize("name", USAGE)
def test_usage_errors(name: str, invoke) -> None:
    arguments, words = USAGE[name]
    text = invoke(*arguments, code=2)
    assert words in " ".join(text.split())
    assert "Traceback" not in text


@pytest.mark.parametrize("name", PACKAGE)
def test_errors_of_the_package(name: str, invoke) -> None:
    arguments, words = PACKAGE[name]
    text = invoke(*arguments, code=1)
    assert words in text
    assert "Traceback" not in text
    assert "Error: " in text.splitlines()[-1] or "Error: " in text  # which kind of error


def test_nothing_is_left_behind(invoke, tmp_path: Path) -> None:
    # Rejects: a half-made folder, or a result replaced without being asked for.
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    for arguments, _ in PACKAGE.values():
        invoke(*arguments, code=1)
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("arguments", [("--debug", "info", "nothing.zarr"), ("info", "nothing.zarr", "--debug")])
def test_debug_shows_the_traceback_wherever_it_stands(arguments: tuple[str, ...], shell) -> None:
    done = shell(*arguments)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "StorageError" in done.stderr


def test_without_debug_a_process_prints_one_message(shell) -> None:
    done = shell("info", "nothing.zarr")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("StorageError: 'nothing.zarr' does not exist")
    assert len(done.stderr.splitlines()) == 1
