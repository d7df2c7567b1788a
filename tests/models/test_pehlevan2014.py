"""Non-negative similarity matching: sums that weights are, by the recorded rates, and clusters that cells stand for."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import neurocircuits as nc
from neurocircuits.models import pehlevan2014


def learned(circuit: nc.Circuit, x: np.ndarray, seed: int = 0) -> xr.DataTree:
    phase = nc.Phase("learn", {"S": nc.Patterns(x, duration="100 ms")}, record=nc.Record("r"))
    return nc.run(circuit, nc.Protocol([phase]), nc.SteadyState(learning_tolerance=1e-9), seed, progress=False)


def clustered(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return patterns around four that share no input, and which."""
    rng = np.random.default_rng(seed)
    centres, labels = np.kron(np.eye(4), np.full(4, 0.5)), rng.integers(4, size=n)
    return np.abs(centres[labels] + rng.normal(0.0, 0.05, (n, 16))), labels


def coordinate_descent(W: np.ndarray, M: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The published iteration, unit by unit until nothing moves."""
    y, before = np.zeros(len(W)), np.full(len(W), np.inf)
    while np.abs(y - before).max() > 1e-12:
        before = y.copy()
        for i in range(len(y)):
            y[i] = max(W[i] @ u - M[i] @ y, 0.0)
    return y


@pytest.mark.parametrize("signed", [False, True])
def test_it_learns_as_a_plain_loop_does(signed: bool) -> None:
    """Rejects an activity that lags one behind, self-inhibition, and inhibition that is taken from the wrong side."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 7)) if signed else rng.random((60, 7))
    tree = learned(pehlevan2014.circuit(7, 5, signed=signed), x)
    W, M, D = tree["/synapses/S_to_E/w"].values[0], np.zeros((5, 5)), np.ones(5)
    for u in x:
        y = coordinate_descent(W, M, u)
        D = D + y**2
        rate = (y / D)[:, None]
        W, M = W + rate * (u - y[:, None] * W), M + rate * (y - y[:, None] * M)
        np.fill_diagonal(M, 0.0)
    np.testing.assert_allclose(tree["/synapses/S_to_E/w"].values[-1], W, rtol=0, atol=1e-8)
    np.testing.assert_allclose(tree["/synapses/E_to_E/w"].values[-1], M, rtol=0, atol=1e-8)
    np.testing.assert_allclose(tree["/slow/E/activity"].values[-1], D, rtol=1e-8)


def test_weights_are_sums_over_what_was_shown() -> None:
    """D W = sum of r u, D M = sum of r r' off the diagonal, which is symmetric. Rejects rates that forget or overshoot."""
    x, _ = clustered(300, 0)
    tree = learned(pehlevan2014.circuit(16, 6), x)
    r, D = tree["/populations/E/r"].values, tree["/slow/E/activity"].values[-1]
    first, W, M = (tree[f"/synapses/{name}/w"].values[k] for name, k in (("S_to_E", 0), ("S_to_E", -1), ("E_to_E", -1)))
    np.testing.assert_allclose(D, 1 + (r**2).sum(axis=0), rtol=1e-10)
    np.testing.assert_allclose(D[:, None] * W, first + r.T @ x, rtol=0, atol=1e-8)
    products = r.T @ r
    np.fill_diagonal(products, 0.0)
    np.testing.assert_allclose(D[:, None] * M, products, rtol=0, atol=1e-8)
    assert (r >= 0).all() and not np.allclose(M, M.T)


@pytest.mark.parametrize("seed", [0, 1])
def test_each_cluster_has_a_cell_that_answers_most(seed: int) -> None:
    """Rejects cells that do not compete; with some seeds two clusters share a cell, see the notes of the model."""
    x, labels = clustered(400, seed)
    winners = (
        learned(pehlevan2014.circuit(16, 4, activity=3.0), x, seed)["/populations/E/r"].values[-200:].argmax(axis=1)
    )
    pairs = set(zip(labels[-200:].tolist(), winners.tolist(), strict=True))
    assert len(pairs) == len({label for label, _ in pairs}) == len({winner for _, winner in pairs}) == 4


def test_bad_settings_get_a_clear_error() -> None:
    with pytest.raises(nc.ValidationError, match="activity > 0 and penalty >= 0"):
        pehlevan2014.circuit(activity=0.0)
