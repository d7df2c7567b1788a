"""doctor: what is missing is named with what would fix it, and engines are really tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurocircuits.cli import doctor


def state(text: str, what: str) -> str:
    return next(line for line in text.splitlines() if line[6:].startswith(what))


def test_doctor_says_what_is_here_and_where(invoke, installed: None, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NEUROCIRCUITS_CACHE", str(tmp_path / "kept"))
    text = invoke("doctor", "--quick")
    assert "ok " in state(text, "Python")
    assert str(tmp_path / "kept" / "figures") in state(text, "cache of figures")
    assert "comes with the package" in state(text, "data set digits")
    assert "not tried" in state(text, "steady-state")


def test_a_missing_compiler_comes_with_its_remedy(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = {finding.what: finding for finding in doctor.compilers()}
    assert not found["g++"].ok
    assert found["g++"].needed
    assert "apt-get install g++" in found["g++"].fix


def test_missing_data_come_with_their_remedy(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("NEUROCIRCUITS_DATA", raising=False)
    found = {finding.what: finding for finding in doctor.data_and_caches()}
    assert not found["data set mnist"].ok
    assert not found["data set mnist"].needed
    assert "NEUROCIRCUITS_DATA" in found["data set mnist"].fix


def test_a_broken_engine_fails_the_command(invoke, installed: None, monkeypatch) -> None:
    # Rejects: a doctor that imports an engine and calls it working.
    monkeypatch.setattr(doctor, "WAYS", {"brian2": {"wrong": {"target": "fortran"}}})
    text = invoke("doctor", code=1)
    assert "works" in state(text, "steady-state")
    line = state(text, "brian2, wrong")
    assert line.strip().startswith("NO")
    assert "fortran" in line
    assert "neurocircuits.cli.probe" in text


def test_an_engine_that_learns_something_else_does_not_work(monkeypatch) -> None:
    found, weight = doctor._try("steady-state", "", "steady-state", {}, expected=1.0)
    assert weight == pytest.approx(0.45)  # 0.5 (1 - 2 Hz x 50 ms): the second pattern does not reach it
    assert not found.ok
    assert "instead of 1" in found.state


def test_engines_are_tried_in_an_order_that_says_what_is_right(installed: None, monkeypatch) -> None:
    tried: list[tuple[str, float | None]] = []

    def attempt(
        label: str, way: str, name: str, settings: dict, expected: float | None
    ) -> tuple[doctor.Finding, float]:
        tried.append((label, expected))
        return doctor.Finding(label, "works"), 0.45

    monkeypatch.setattr(doctor, "_try", attempt)
    list(doctor.engines())
    names = ["steady-state", "brian2, NumPy", "brian2, Cython", "brian2, C++ standalone"]
    assert tried == [(name, None if name == "steady-state" else 0.45) for name in names]


@pytest.mark.parametrize(
    "way",
    [
        "NumPy",
        pytest.param("Cython", marks=[pytest.mark.slow, pytest.mark.standalone]),
        pytest.param("C++ standalone", marks=[pytest.mark.slow, pytest.mark.standalone]),
    ],
)
def test_every_way_of_brian2_really_runs(way: str, monkeypatch) -> None:
    monkeypatch.delenv("CYTHON_CACHE_DIR", raising=False)
    found, weight = doctor._try(way, way, "brian2", doctor.WAYS["brian2"][way], expected=0.45)
    assert found.ok, found
    assert " s to build and run" in found.state
    assert weight == pytest.approx(0.45, rel=doctor.AGREEMENT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("brian2>=2.9", ("brian2", "")),
        ('numpy<2.4,>=1.26; python_version < "3.12"', ("numpy", "")),
        ('torch>=2.4; extra == "torch"', ("torch", "torch")),
        ("scipy", ("scipy", "")),
        ("neurocircuits[docs,topics] ; extra == 'all'", ("neurocircuits", "all")),
    ],
)
def test_requirements_are_read(text: str, expected: tuple[str, str]) -> None:
    assert doctor._name_and_extra(text) == expected
