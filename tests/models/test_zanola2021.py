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


ENGINES = [nc.Brian2(dt="0.5 ms", tolerance=None), nc.SteadyState(batch=1, solver="relaxation")]


def images(n: int, n_pixels: int, ink: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.random((n, n_pixels)) * (rng.random((n, n_pixels)) < ink)


@pytest.mark.parametrize("engine", ENGINES, ids=["brian2", "steady-state"])
def test_it_is_a_plain_integration_of_the_same_steps(engine) -> None:
    """Rejects another order of steps, a current that learning does not change, activity that is reset or not held."""
    u, w = images(6, 60, 0.4), np.random.default_rng(1).random((30, 60))
    circuit = zanola2021.circuit(n_sensory=60, n_hidden=30, h_star=2.0, delta=0.02, initial=nc.Given(w))
    expected = notebook(u, w, 0.7, 2.0, 0.02)
    tree = nc.run(circuit, zanola2021.protocol(u), engine, progress=False)
    changed = np.abs(expected - w).max(axis=1)
    assert (changed > 0.2).sum() >= 3 and (changed == 0).any()
    np.testing.assert_allclose(weights(tree, "S_to_E"), expected, rtol=0, atol=1e-9)


@pytest.mark.filterwarnings("ignore:Brian2. dt:RuntimeWarning")
@pytest.mark.parametrize("engine", ENGINES, ids=["brian2", "steady-state"])
@pytest.mark.parametrize("n", [4, pytest.param(600, marks=pytest.mark.slow)])
def test_so_it_is_at_the_size_of_the_notebook(engine, n: int) -> None:
    """Rejects steps that are taken at once but not the same: as many images and units as were run, two engines."""
    u = images(n, 784, 0.25)
    tree = nc.run(zanola2021.circuit(), zanola2021.protocol(u), engine, progress=False)
    start = weights(tree, "S_to_E", 0)
    expected = notebook(u, start, 0.7, 3.0, 0.01)
    changed = np.abs(expected - start).max(axis=1)
    assert (changed > 0.2).sum() >= 3 and (n > 4 or (changed == 0).any())
    np.testing.assert_allclose(weights(tree, "S_to_E"), expected, rtol=0, atol=1e-9)
