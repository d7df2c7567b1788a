"""demo: both engines learn, agree, and leave pictures and results."""

from __future__ import annotations

import time
from pathlib import Path

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


def test_a_short_demo(tmp_path: Path) -> None:
    said: list[str] = []
    trees = run_demo(tmp_path / "demo", said.append, n_images=200, n_epochs=2)
    text = "\n".join(said)
    for expected in ("rms difference", "weights S to E", "slope", "untrained", "bound 0.090", "demo.png"):
        assert expected in text
    check_written(tmp_path / "demo")
    assert relative(trees, "/synapses/S_to_E", "w") < 0.02
    initial, learned = trees["brian2"]["/synapses/S_to_E"].ds["w"].values[[0, -1]]
    assert np.abs(learned - initial).max() > 0.02  # there was something to agree on


def test_the_comparison_notices_a_difference(tmp_path: Path) -> None:
    trees = run_demo(tmp_path / "demo", lambda _: None, n_images=100, n_epochs=1)
    changed = trees["brian2"].copy(deep=True)
    changed["/synapses/S_to_E"].ds["w"].values[...] *= 1.5
    first = comparison_table(trees["steady-state"], changed).splitlines()[1]
    assert "50." in first or "49." in first


def test_it_can_be_made_again(tmp_path: Path) -> None:
    for seed in (0, 1):
        run_demo(tmp_path / "demo", lambda _: None, n_images=100, n_epochs=1, seed=seed)
    assert nc.load(tmp_path / "demo" / "brian2.zarr").attrs["seed"] == 1


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
