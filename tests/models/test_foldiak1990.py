"""Local anti-Hebbian learning: its steps in plain NumPy, the bars that it finds, what thresholds and weights come to."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import neurocircuits as nc
from neurocircuits import analysis, datasets
from neurocircuits.models import foldiak1990
from neurocircuits.protocols import features

ENGINE = nc.SteadyState(solver="relaxation")


def learned(n: int, seed: int, engine: nc.SteadyState | nc.Brian2 = ENGINE, settle: str = "150 ms") -> xr.DataTree:
    """Learn from n patterns, one after the other, from rest each; 10 Euler steps to a time constant."""
    shown = {"settle": settle, "step": "1 ms", "restart": True, "shuffle": False}
    protocol = features.protocol(datasets.bars(n, rng=seed).values, n_learn=n, n_probe=1, **shown)
    return nc.run(foldiak1990.circuit(), protocol, engine, seed, progress=False)


def by_hand(x: np.ndarray, q: np.ndarray, n_steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The published equations, one pattern after the other; alpha 0.1, beta and gamma 0.02, p 1/8, slope 10."""
    q, w, t = q.copy(), np.zeros((16, 16)), np.ones(16)
    for pattern in x:
        state = np.zeros(16)
        for _ in range(n_steps):
            state = state + 0.1 * (1 / (1 + np.exp(-10 * (q @ pattern + w @ state - t))) - state)
        y = (state > 0.5).astype(float)
        w = np.minimum(w - 0.1 * (np.outer(y, y) - 1 / 64), 0)
        np.fill_diagonal(w, 0)
        q = q + 0.02 * y[:, None] * (pattern - q)
        t = t + 0.02 * (y - 1 / 8)
    return q, w, t


def test_it_learns_as_a_plain_loop_does() -> None:
    """Rejects lateral weights felt through the binary output, learning by the analogue state, a bound on the wrong side."""
    tree = learned(80, 0)
    first, last = (tree["/synapses/S_to_E/w"].values[k] for k in (0, -1))
    q, w, t = by_hand(datasets.bars(80, rng=0).values, first, 150)
    np.testing.assert_allclose(last, q, rtol=0, atol=1e-10)
    np.testing.assert_allclose(-tree["/synapses/E_to_E/w"].values[-1], w, rtol=0, atol=1e-10)
    np.testing.assert_allclose(tree["/slow/E/theta"].values[-1], t, rtol=0, atol=1e-10)
    assert (w < 0).any() and np.abs(q - first).max() > 0.1


def test_continuous_time_is_the_same_run() -> None:
    """Euler steps of 1 ms in Brian 2. Rejects states that do not start anew, and a held window that learns in many steps."""
    steady, timed = learned(30, 0), learned(30, 0, nc.Brian2(dt="1 ms", method="euler"))
    assert (np.diff(steady["/slow/E/theta"].values[-1]) != 0).any()
    for name in ("/synapses/S_to_E/w", "/synapses/E_to_E/w", "/slow/E/theta"):
        np.testing.assert_allclose(timed[name].values[-1], steady[name].values[-1], rtol=0, atol=1e-10)


@pytest.mark.slow
def test_every_bar_has_a_cell_of_its_own_in_four_of_five_seeds() -> None:
    """16 of 16 after 4000 patterns. Rejects lateral weights that do not separate cells, and thresholds that drift."""
    found = [
        int(analysis.matched_features(learned(4000, seed), datasets.bar_templates())["n_found"]) for seed in range(5)
    ]
    assert sorted(found)[1] == 16, found


def test_bad_settings_get_a_clear_error() -> None:
    with pytest.raises(nc.ValidationError, match="0 < p < 1 and slope > 0"):
        foldiak1990.circuit(p=0.0)
