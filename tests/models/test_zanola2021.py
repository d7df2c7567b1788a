"""Both equations in continuous time, against a plain NumPy integration of the same steps."""

from __future__ import annotations

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.models import zanola2021
from tests.references.circuits import weights


def notebook(u: np.ndarray, w: np.ndarray, w_inh: float, h_star: float, delta: float) -> np.ndarray:
    """Explicit Euler steps of the activity, carried over from image to image, then of the weights."""
    w, h = w.copy(), np.zeros(len(w))
    for v in u:
        current = w @ v
        for dt, n in ((0.0005, 100), (0.002, 275)):
            for _ in range(n):
                r = np.maximum(h, 0)
                h = h + dt * (current - w_inh * (r.sum() - r) - h) / 0.05
        g = np.where(h >= h_star, 1.0, np.where(h > 0, -delta, 0.0))
        live = np.flatnonzero(g)
        for _ in range(180):
            rows = w[live]
            w[live] = rows + 0.01 * 0.2 * g[live, None] * (v - (rows @ v)[:, None] * rows)
    return w


@pytest.mark.parametrize(
    "engine",
    [nc.Brian2(dt="0.5 ms", tolerance=None), nc.SteadyState(batch=1, solver="relaxation")],
    ids=["brian2", "steady-state"],
)
def test_it_is_a_plain_integration_of_the_same_steps(engine) -> None:
    """Rejects another order of steps, a current that learning does not change, activity that is reset or not held."""
    rng = np.random.default_rng(0)
    u, w = rng.random((6, 60)) * (rng.random((6, 60)) < 0.4), rng.random((30, 60))
    circuit = zanola2021.circuit(n_sensory=60, n_hidden=30, h_star=2.0, delta=0.02, initial=nc.Given(w))
    expected = notebook(u, w, 0.7, 2.0, 0.02)
    tree = nc.run(circuit, zanola2021.protocol(u), engine, progress=False)
    changed = np.abs(expected - w).max(axis=1)
    assert (changed > 0.2).sum() >= 3 and (changed == 0).any()
    np.testing.assert_allclose(weights(tree, "S_to_E"), expected, rtol=0, atol=1e-9)
