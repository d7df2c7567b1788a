"""demo: both engines learn, agree, and leave pictures and results."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits import analysis
from neurocircuits.cli.demo import comparison_table, run_demo

PICTURES = ("demo", "network", "features", "comparison", "balance")


def check_written(folder: Path) -> None:
    for name in PICTURES:
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    for name in ("steady-state", "brian2", "untrained"):
        nc.load(folder / f"{name}.zarr")


def relative(trees: dict, path: str, variable: str) -> float:
    a, b = (trees[name][path].ds[variable].values for name in ("steady-state", "brian2"))
    a, b = (a[-1], b[-1]) if variable != "r" else (a, b)
    return float(np.sqrt(np.mean((b - a) ** 2) / np.mean(a**2)))


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, Path]:
    """A demo of seconds: its results, what it said, and its folder."""
    folder, said = tmp_path_factory.mktemp("demo") / "new", list[str]()
    return run_demo(folder, said.append, n_images=100, n_epochs=3), "\n".join(said), folder


def test_a_short_demo(short: tuple[dict[str, Any], str, Path]) -> None:
    trees, text, folder = short
    for expected in ("rms difference", "weights S to E", "slope", "untrained", "bound 0.090", "demo.png"):
        assert expected in text
    check_written(folder)
    assert relative(trees, "/synapses/S_to_E", "w") < 0.02
    initial, learned = trees["brian2"]["/synapses/S_to_E"].ds["w"].values[[0, -1]]
    assert np.abs(learned - initial).max() > 0.02  # there was something to agree on


def test_the_comparison_notices_a_difference(short: tuple[dict[str, Any], str, Path]) -> None:
    changed = short[0]["brian2"].copy(deep=True)
    changed["/synapses/S_to_E"].ds["w"].values[...] *= 1.5
    row = comparison_table(short[0]["steady-state"], changed).splitlines()[1]
    assert 45 < float(row.split()[-3]) < 55


def test_it_can_be_made_again(short: tuple[dict[str, Any], str, Path]) -> None:
    run_demo(short[2], lambda _: None, n_images=100, n_epochs=1, seed=1)
    assert nc.load(short[2] / "brian2.zarr").attrs["seed"] == 1


@pytest.mark.slow
def test_the_whole_demo(tmp_path: Path) -> None:
    start = time.perf_counter()
    trees = run_demo(tmp_path / "demo", lambda _: None)
    assert time.perf_counter() - start < 90
    check_written(tmp_path / "demo")
    assert relative(trees, "/synapses/S_to_E", "w") < 0.05
    assert relative(trees, "/populations/E", "r") < 0.1
    for name in ("steady-state", "brian2"):
        assert float(analysis.ei_balance(trees[name])["slope"]) > 0.95
        assert float(analysis.decorrelation(trees[name])["largest_cosine"]) < 0.5
        assert int(analysis.duplicate_features(trees[name])["n_pairs"]) == 0
