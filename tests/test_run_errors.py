"""Errors in the middle of a run: a diverging circuit, bad data met late, a store that fails. What was computed is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import neurocircuits as nc
from tests.references.circuits import learning_circuit, recorded, run, weights


def images(n: int = 40, n_units: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, n_units)) + 0.01


def test_divergence_keeps_what_was_recorded(tmp_path: Path) -> None:
    """Weights that explode: the error names synapses, phase and remedy; rows until then are in the tree and on disk."""
    rule = nc.Rule("eta*w**2*r_pre*r_post", {"eta": "3 Hz"})
    cells = nc.Population("E", 3, "dr/dt = (rectify(drive) - r)/tau : 1", parameters={"tau": "5 ms"})
    circuit = nc.Circuit("explosive", [nc.Population("S", 6), cells], [nc.Synapses("S", "E", weights=0.5, rule=rule)])
    phase = nc.Phase("learn", {"S": nc.Patterns(images(200))}, record=nc.Record("r"))
    with np.errstate(all="ignore"), pytest.raises(nc.DivergenceError) as caught:
        run(circuit, phase, store=tmp_path / "run.zarr")
    message = str(caught.value)
    for words in (
        "Synapses('S_to_E')",
        "post",
        "learning rate",
        "In phase 'learn' after",
        "of 200 presentations",
        "run.zarr",
    ):
        assert words in message
    tree = caught.value.tree
    assert isinstance(caught.value, ArithmeticError)
    n = len(recorded(tree))
    assert 0 < n < 200
    assert np.isfinite(weights(tree, "S_to_E")).all()
    assert np.isfinite(recorded(tree)).all()
    assert nc.load(tmp_path / "run.zarr").attrs["complete"] == 0
    assert len(recorded(nc.load(tmp_path / "run.zarr"))) == n


def test_bad_data_in_the_middle_keep_what_was_recorded(tmp_path: Path) -> None:
    """A memory map is read batch by batch, so its NaN is met late. Rejects losing the hours before it."""
    values = np.memmap(tmp_path / "values.dat", dtype=float, mode="w+", shape=(90, 6))
    values[:] = images(90)
    values[57, 2] = np.nan
    with pytest.raises(nc.ValidationError, match="1 values are NaN or infinite") as caught:
        run(
            learning_circuit(),
            nc.Phase("learn", {"S": nc.Patterns(values)}, record=nc.Record("r")),
            engine=nc.SteadyState(batch=10),
        )
    assert len(recorded(caught.value.tree)) == 50
    assert caught.value.tree.attrs["complete"] == 0
    assert "after 50 of 90 presentations" in str(caught.value)


def test_a_store_that_fails_at_the_end_does_not_lose_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full when the result is written: the error carries the whole tree."""
    import neurocircuits.simulation as simulation

    def full(*_: object, **__: object) -> None:
        raise nc.StorageError("no space left")

    monkeypatch.setattr(simulation, "write_tree", full)
    with pytest.raises(nc.StorageError, match="no space left") as caught:
        run(
            learning_circuit(),
            nc.Phase("learn", {"S": nc.Patterns(images())}, record=nc.Record("r")),
            store=tmp_path / "run.zarr",
        )
    assert len(recorded(caught.value.tree)) == 40


def test_an_unusable_store_is_refused_before_anything_runs(tmp_path: Path) -> None:
    """Rejects finding out after hours that the result cannot be written."""
    phase = nc.Phase("learn", {"S": nc.Patterns(images())})

    def never(*_: object) -> bool:
        raise AssertionError("the run began")

    foreign = tmp_path / "foreign.zarr"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    for store, words in (
        (tmp_path / "run.nc", "stored as Zarr"),
        (tmp_path / "missing" / "run.zarr", "does not exist"),
        (foreign, "is not a stored result, so it is not replaced"),
    ):
        with pytest.raises(nc.StorageError, match=words):
            run(learning_circuit(), phase, store=store, watch=never, watch_every=1)
    assert (foreign / "thesis.txt").read_text() == "mine"
