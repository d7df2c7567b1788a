"""Sweeps against plain loops; what fails, is cut off or is added later costs nothing that was measured."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import neurocircuits as nc

GRID = {"a": [1, 2, 3], "b": [10.0, 20.0]}


def measured(a: int, b: float, seed: int) -> dict:
    """Return a number and an array that say where they were measured."""
    if CALLS is not None:
        CALLS.append((a, b, seed))
    return {"number": a + b + 100 * seed, "array": ("cell", [a, b, seed])}


CALLS: list | None = None


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list:
    found: list = []
    monkeypatch.setattr(sys.modules[__name__], "CALLS", found)
    return found


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_every_value_stands_at_its_point(n_jobs: int) -> None:
    """Rejects values in the order in which they end, or under each other's labels."""
    found = nc.sweep(measured, GRID, seeds=[3, 5], n_jobs=n_jobs, progress=False)
    assert dict(found.sizes) == {"a": 3, "b": 2, "seed": 2, "cell": 3}
    for a in GRID["a"]:
        for b in GRID["b"]:
            for seed in (3, 5):
                one = found.sel(a=a, b=b, seed=seed)
                assert one["number"].item() == a + b + 100 * seed
                np.testing.assert_array_equal(one["array"], [a, b, seed])


def test_only_new_points_are_measured(tmp_path: Path, calls: list) -> None:
    first = nc.sweep(measured, GRID, store=tmp_path / "kept", progress=False)
    assert len(calls) == 6
    more = nc.sweep(measured, {**GRID, "a": [1, 2, 3, 4]}, seeds=2, store=tmp_path / "kept", progress=False)
    assert len(calls) == 16
    assert sorted(calls) == sorted({(a, b, seed) for a in (1, 2, 3, 4) for b in (10.0, 20.0) for seed in (0, 1)})
    xr.testing.assert_identical(more.sel(a=[1, 2, 3], seed=[0]), first)


def test_a_point_that_fails_costs_no_other(tmp_path: Path) -> None:
    def some(a: int, seed: int) -> dict:
        if a == 2:
            raise nc.DivergenceError("v is infinite")
        return {"number": a}

    with pytest.raises(
        nc.RunError, match=r"(?s)1 of 3 points failed.*a = 2, seed = 0: DivergenceError: v is inf"
    ) as caught:
        nc.sweep(some, {"a": [1, 2, 3]}, progress=False)
    np.testing.assert_array_equal(caught.value.tree["number"], [[1], [np.nan], [3]])


def test_an_interrupted_sweep_keeps_what_there_is(tmp_path: Path) -> None:
    def some(a: int, seed: int) -> dict:
        if a == 3:
            raise nc.InterruptedRun("the user's")
        return {"number": a}

    with pytest.raises(nc.InterruptedRun, match="after 2 of 4 points") as caught:
        nc.sweep(some, {"a": [1, 2, 3, 4]}, progress=False)
    np.testing.assert_array_equal(caught.value.tree["number"].squeeze(), [1, 2, np.nan, np.nan])


SCRIPT = """
import sys, time
import neurocircuits as nc

def slow(a, seed):
    print(a, flush=True)
    time.sleep(0.3)
    return {"number": a * a}

if __name__ == "__main__":
    found = nc.sweep(slow, {"a": list(range(8))}, store=sys.argv[1], progress=False)
    print("sum", int(found["number"].sum()), flush=True)
"""


def test_a_killed_sweep_goes_on(tmp_path: Path) -> None:
    """Rejects results that are kept at the end only."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(tmp_path / "kept")]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while len(list((tmp_path / "kept").glob("*.zip"))) < 3 and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    again = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert again[-1] == str(sum(a * a for a in range(8)))
    assert again[0] != "0" and len(again) - 2 <= 5


def test_a_circuit_over_settings(tmp_path: Path) -> None:
    """Rates of a linear circuit over weights and seeds are what the closed form says."""

    def rate(weight: float, seed: int) -> dict:
        cells = nc.Population("E", 1, "dr/dt = (drive - r)/tau : 1", parameters={"tau": "5 ms"})
        circuit = nc.Circuit("one", [nc.Population("S", 1), cells], [nc.Synapses("S", "E", weights=weight)])
        shown = nc.Patterns([[2.0]], duration="50 ms")
        protocol = nc.Protocol([nc.Phase("show", {"S": shown}, record=nc.Record("r"))])
        return {"rate": nc.run(circuit, protocol, seed=seed, progress=False)["/populations/E"].ds["r"].mean()}

    found = nc.sweep(rate, {"weight": [0.5, 1.5]}, seeds=2, progress=False)
    np.testing.assert_allclose(found["rate"].sel(weight=1.5), 3.0)
    np.testing.assert_allclose(found["rate"].sel(weight=0.5), 1.0)


@pytest.mark.parametrize(
    ("over", "settings", "message"),
    [
        ({"a": []}, {}, r"no values of 'a'"),
        ({"a": [1]}, {"seeds": 0}, r"no values of 'seed'"),
        ({"seed": [1]}, {}, r"give seeds=... instead"),
    ],
)
def test_bad_grids(over: dict, settings: dict, message: str) -> None:
    with pytest.raises(nc.ValidationError, match=message):
        nc.sweep(measured, over, progress=False, **settings)


def test_other_shapes_and_other_functions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(nc.ValidationError, match=r"\{'x': 2\}.*at a = 2.*same shapes"):
        nc.sweep(lambda a, seed: {"n": ("x", [0.0] * a)}, {"a": [1, 2]}, progress=False)
    nc.sweep(measured, GRID, store=tmp_path, progress=False)
    with pytest.raises(nc.StorageError, match="holds what .*measured"):
        nc.sweep(lambda a, b, seed: {"n": 1}, GRID, store=tmp_path, progress=False)


def _scaled(gain: float, current: float, seed: int) -> dict[str, Any]:
    return {"rate": gain * current}


class _Scaled:
    def __init__(self, gain: float) -> None:
        self.gain = gain

    def __call__(self, current: float, seed: int) -> dict[str, Any]:
        return {"rate": self.gain * current}

    def method(self, current: float, seed: int) -> dict[str, Any]:
        return {"rate": self.gain * current}


def _closed(gain: float) -> Any:
    return lambda current, seed: {"rate": gain * current}


def _of_function(gain: float) -> Any:
    inner = _closed(gain)
    return lambda current, seed: inner(current, seed)


MAKERS: dict[str, Any] = {
    "partial": lambda gain: functools.partial(_scaled, gain),
    "closure": _closed,
    "closure of a closure": _of_function,
    "object": _Scaled,
    "method": lambda gain: _Scaled(gain).method,
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=list(MAKERS))
def test_a_store_knows_what_is_bound_to_a_function(make: Any, tmp_path: Path) -> None:
    """Rejects the numbers of another function of the same text."""
    given: Any = {"over": {"current": [1.0, 2.0]}, "store": tmp_path / "kept", "progress": False}
    first = nc.sweep(make(2.0), **given)
    assert first.equals(nc.sweep(make(2.0), **given))
    with pytest.raises(nc.StorageError, match="other values bound to it"):
        nc.sweep(make(3.0), **given)


def test_a_store_refuses_what_it_cannot_tell_from_others(tmp_path: Path) -> None:
    """Two generators, locks or open files of one type are not the same."""
    lock = threading.Lock()
    with pytest.raises(nc.StorageError, match="a lock, cannot be told from others of its kind.*leave out store"):
        nc.sweep(lambda a, seed: {"n": lock is not None}, {"a": [1]}, store=tmp_path / "kept", progress=False)
    import math  # so that it is bound

    assert nc.sweep(lambda a, seed: {"n": math.pi}, {"a": [1]}, store=tmp_path / "module", progress=False)["n"] > 3


def test_plain_arrays_have_dimensions_of_their_own() -> None:
    """Rejects an array that becomes a coordinate of itself, of which the first point's is kept."""
    found = nc.sweep(
        lambda gain, seed: {"w": gain * np.ones((2, 3)), "x": [gain, 0]}, {"gain": [1, 10]}, progress=False
    )
    assert found["w"].dims == ("gain", "seed", "w_0", "w_1") and found["x"].dims == ("gain", "seed", "x_0")
    assert found["w"].sel(gain=10).min() == 10 and found["x"].values[:, 0, 0].tolist() == [1, 10]


@pytest.mark.parametrize(
    ("measure", "over", "words"),
    [
        (
            lambda shift, seed: {"rate": xr.DataArray([1.0, 2.0], dims="angle", coords={"angle": [shift, 90]})},
            {"shift": [0, 30]},
            r"coordinate 'angle' of what measure returned is \[30 90\] at shift = 30, seed = 0, but \[ 0 90\]",
        ),
        (lambda gain, seed: {"gain": 2.0 * gain}, {"gain": [1, 2]}, "'gain' names a setting, or the seeds, and also"),
        (lambda gain, seed: {"x": ("gain", [1.0])}, {"gain": [1, 2]}, "'gain' names a setting"),
        (lambda gain, seed: {}, {"gain": 3}, r"the values of 'gain' are 3. Give a sequence, such as \[3\]"),
        (lambda gain, seed: {}, {"gain": "abc"}, "the values of 'gain' are 'abc'"),
    ],
)
def test_what_cannot_be_labelled_is_refused(measure: Any, over: Any, words: str) -> None:
    with pytest.raises(nc.ValidationError, match=words):
        nc.sweep(measure, over, progress=False)
