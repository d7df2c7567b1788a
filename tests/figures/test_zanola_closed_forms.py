"""What figures of the competition in continuous time are measured by: closed forms, against integrations."""

# ruff: noqa: NPY002 (the notebook draws from the legacy generator)

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from neurocircuits import datasets
from neurocircuits.figures import _zanola as zanola


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """An image, and rows of which some are driven more than a converged row would be."""
    rng = np.random.default_rng(0)
    return rng.random(12), rng.uniform(-0.2, 1.0, (8, 12))


@pytest.mark.parametrize("w_inh", [0.3, 0.8, 0.95])
def test_units_rest_where_their_slopes_vanish(w_inh: float) -> None:
    """Rejects: inhibition of a unit by itself, a wrong active set."""
    currents = np.random.default_rng(1).normal(3.0, 2.0, 60)
    h = zanola.at_rest(currents, w_inh)
    r = np.maximum(h, 0)
    np.testing.assert_allclose(currents - w_inh * (r.sum() - r) - h, 0, atol=1e-10)
    assert 0 < (h > 0).sum() < 60


@pytest.mark.parametrize("g", [1.0, 0.0, -0.3])
def test_norms_are_those_of_the_equation(drawn: tuple[np.ndarray, np.ndarray], g: float) -> None:
    """Rejects: a branch of the closed form that is missing, a wrong rate or sign."""
    v, w = drawn
    assert {bool(s > np.linalg.norm(v)) for s in w @ v} == {True, False}

    def slope(_: float, x: np.ndarray) -> np.ndarray:
        rows = x.reshape(w.shape)
        return (g * (v - (rows @ v)[:, None] * rows)).ravel()

    times = np.linspace(0, 0.3, 5)
    course = solve_ivp(slope, (0, 0.3), w.ravel(), t_eval=times, rtol=1e-10, atol=1e-12).y.T.reshape(5, *w.shape)
    found = zanola.squared_norms(w, v, g, times[:, None])
    np.testing.assert_allclose(found, (course**2).sum(axis=2), rtol=1e-7)


def test_rows_blow_up_when_they_should(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    """Rejects: a time for rows that are driven less than a converged one, which are safe; a wrong time for the others."""
    v, w = drawn
    found = zanola.blow_up_time(w, v, 0.2)
    runs_away = w @ v > np.linalg.norm(v)
    assert runs_away.any() and (np.isfinite(found) == runs_away).all()
    late = zanola.squared_norms(w[runs_away], v, -0.2, found[runs_away] * (1 - 1e-6))
    early = zanola.squared_norms(w[runs_away], v, -0.2, found[runs_away] * 0.5)
    assert (late > 1e9).all() and (early < 100).all()


def test_the_notebook_is_drawn_again() -> None:
    """Rejects: another generator, seed or order of draws."""
    np.random.seed(2347)
    expected = np.random.rand(6, 9)
    np.testing.assert_array_equal(zanola.initial_weights(6, 9, 0), expected)
    data = datasets.digits()
    labels = np.asarray(data.labels)
    np.random.seed(2347)
    np.random.randint(0, len(labels) - 1, 50)
    samples = np.concatenate([np.random.choice(np.argwhere(labels == k)[:, 0], 5) for k in range(10)])
    chosen = zanola.drawn_images(data, 5, 0)
    np.testing.assert_array_equal(chosen, np.random.permutation(samples))
    assert (np.bincount(labels[chosen]) == 5).all()
    assert (zanola.drawn_images(data, 5, 1) != chosen).any()
