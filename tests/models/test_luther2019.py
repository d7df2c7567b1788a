"""The softened game: rates, weights and values against a plain loop, a closed form and a generic solver."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import neurocircuits as nc
from neurocircuits import datasets
from neurocircuits.analysis import games
from neurocircuits.models import luther2019


def played(circuit: nc.Circuit, u: np.ndarray, epochs: int, engine: nc.SteadyState | nc.Brian2) -> xr.DataTree:
    shown = {"S": nc.Patterns(u, duration="100 ms")}
    probe = nc.Phase("probe", shown, plasticity=False, record=nc.Record("r"))
    return nc.run(circuit, nc.Protocol([nc.Phase("learn", shown, epochs=epochs), probe]), engine, 0, progress=False)


def digits(n: int) -> np.ndarray:
    u = np.asarray(datasets.digits()[:n].values, float)
    return u / np.sqrt((u**2).sum(axis=1).mean())


def test_steps_on_all_patterns_are_a_plain_loop() -> None:
    """Rejects rates of learning that are not eta and eta/(2 ratio), a diagonal that is not learned, other signs."""
    u = digits(20)
    tree = played(
        luther2019.circuit(64, 3, ratio=0.4), u, 4, nc.SteadyState(batch=20, tolerance=1e-9, learning_tolerance=1e-9)
    )
    W = tree["/synapses/S_to_E/w"].values[0]
    M = 0.1 * np.eye(3)
    for _ in range(4):
        y = np.zeros((20, 3))
        for _ in range(6000):
            y = np.maximum(y + 0.05 * (u @ W.T - y @ M), 0)
        W, M = W + 0.05 * (y.T @ u / 20 - W), M + 0.05 / 0.8 * (y.T @ y / 20 - M)
    np.testing.assert_allclose(tree["/synapses/S_to_E/w"].values[-1], W, atol=1e-6)
    found = tree["/synapses/E_to_E/w"].values[-1] + np.diag(tree["/slow/E/gain"].values[-1])
    np.testing.assert_allclose(found, M, atol=1e-6)


def test_the_best_rates_of_separate_groups() -> None:
    """Groups that share no input are matched by a cell each: a quarter of the sum of the largest squared eigenvalues."""
    u = np.kron(np.diag([1.2, 1.1, 1.0]), np.ones((4, 5)))
    eigenvalues = np.array([1.2, 1.1, 1.0]) ** 2 * 20 / 12
    for n_cells in (1, 2, 3):
        best = games.best_similar_rates(u, n_cells, n_starts=20)
        assert games.similarity_value(best, u) == pytest.approx(0.25 * (eigenvalues[:n_cells] ** 2).sum(), rel=1e-6)


def test_the_network_plays_as_well_as_a_solver() -> None:
    """Rejects inhibition that is half or twice as strong, and learning that stops halfway."""
    u = digits(200)
    tree = played(luther2019.circuit(), u, 400, nc.SteadyState(batch=200))
    x = tree["/populations/E"].ds["r"].values
    best = games.similarity_value(games.best_similar_rates(u, 10, n_starts=2), u)
    assert 0.995 * best < games.similarity_value(x, u) <= best * (1 + 1e-6)
    np.testing.assert_allclose(tree["/synapses/S_to_E/w"].values[-1], x.T @ u / 200, atol=0.02)


def test_both_engines_learn_the_same() -> None:
    u, circuit = digits(10), luther2019.circuit(64, 3, eta="0.05 Hz")
    steady = played(circuit, u, 3, nc.SteadyState())
    timed = played(circuit, u, 3, nc.Brian2(dt="0.5 ms"))
    for name in ("S_to_E", "E_to_E"):
        one, other = (tree[f"/synapses/{name}/w"].values[-1] for tree in (steady, timed))
        assert np.linalg.norm(one - other) < 0.1 * np.linalg.norm(one)


@pytest.mark.parametrize("settings", [{"ratio": 0.0}, {"initial": -1.0}])
def test_bad_settings(settings: dict) -> None:
    with pytest.raises(nc.ValidationError, match="must be positive"):
        luther2019.circuit(**settings)
