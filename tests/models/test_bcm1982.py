"""Cells with a sliding threshold: their steps in plain NumPy, and the rates at which they come to rest."""

from __future__ import annotations

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.models import bcm1982
from tests.references.circuits import run, weights


def by_hand(u: np.ndarray, w: np.ndarray, *, batch: int, eta: float, eta_mean: float, epsilon: float) -> tuple:
    """Minibatches of patterns of 0.1 s, written out; power 2, c0 1."""
    w, mean = w.copy(), np.ones(len(w))
    for start in range(0, len(u), batch):
        v = u[start : start + batch]
        c = np.maximum(v @ w.T, 0)
        theta = mean**3
        change = (c * (c - theta) / theta).T @ v / len(v) - epsilon * w
        mean = np.maximum(mean + 0.1 * eta_mean * (c.mean(axis=0) - mean), 0.3)
        w += 0.1 * eta * change
    return w, mean


def test_a_step_is_the_rules() -> None:
    """Rejects another phi, a threshold of the same minibatch, a decay that does not scale with eta, and a lost sign."""
    rng = np.random.default_rng(0)
    u, w = rng.random((60, 9)) / 3, rng.normal(size=(5, 9))
    circuit = bcm1982.circuit(9, 5, eta="0.5 Hz", eta_mean="2 Hz", epsilon=0.2, initial=nc.Given(w))
    tree = run(circuit, nc.Phase("learn", {"S": nc.Patterns(u, duration=0.1)}), engine=nc.SteadyState(batch=10))
    expected, mean = by_hand(u, w, batch=10, eta=0.5, eta_mean=2.0, epsilon=0.2)
    np.testing.assert_allclose(weights(tree, "S_to_E"), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(tree["/slow/E"].ds["mean"].values[-1], mean, rtol=0, atol=1e-12)
    assert np.abs(expected - w).max() > 0.1 and (expected < 0).any()


@pytest.mark.parametrize(("n", "power"), [(1, 2.0), (2, 2.0), (3, 2.0), (3, 4.0)])
def test_each_cell_answers_to_one_pattern_at_the_derived_rate(n: int, power: float) -> None:
    """c0 n^((power + 1)/power) for one of n orthogonal patterns, 0 for the others; several cells choose the same one."""
    start = np.random.default_rng(1).uniform(0.5, 1.5, (8, 3))
    circuit = bcm1982.circuit(3, 8, power=power, c0=0.5, eta="1 Hz", eta_mean="3 Hz", initial=nc.Given(start))
    shown = nc.Patterns(np.tile(np.eye(3)[:n], (1500, 1)), duration=0.1)
    rates = np.maximum(
        weights(run(circuit, nc.Phase("learn", {"S": shown}), engine=nc.SteadyState(batch=n)), "S_to_E"), 0
    )
    rates = np.sort(rates[:, :n], axis=1)
    np.testing.assert_allclose(rates[:, -1], 0.5 * n ** ((power + 1) / power), rtol=1e-3)
    np.testing.assert_allclose(rates[:, :-1], 0, atol=1e-3)


def test_both_engines_learn_the_same() -> None:
    """Within 2 % of the change, at tau 2 ms. Rejects a slow threshold that one of the engines does not step."""
    rng = np.random.default_rng(2)
    u, w = rng.random((20, 9)) / 3, rng.normal(size=(5, 9))
    circuit = bcm1982.circuit(9, 5, eta="2 Hz", eta_mean="5 Hz", tau="2 ms", initial=nc.Given(w))
    phase = nc.Phase("learn", {"S": nc.Patterns(u, duration="100 ms")})
    trees = [
        run(circuit, phase, engine=e) for e in (nc.SteadyState(substeps=20), nc.Brian2(dt="0.5 ms", tolerance=None))
    ]
    steady, timed = (weights(tree, "S_to_E") for tree in trees)
    assert np.abs(steady - timed).max() < 0.02 * np.abs(steady - w).max()
    means = [tree["/slow/E"].ds["mean"].values[-1] for tree in trees]
    np.testing.assert_allclose(means[0], means[1], atol=0.02)


def test_bad_settings_get_a_clear_error() -> None:
    with pytest.raises(nc.ValidationError, match="must be positive"):
        bcm1982.circuit(power=0.0)
    with pytest.raises(nc.ValidationError, match="epsilon = -1.0; 0 or more"):
        nc.BCM("1 Hz", epsilon=-1.0)
