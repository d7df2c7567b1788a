"""Offline solutions of the correlation games, against closed forms, brute force and a generic solver."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy.linalg import eigh
from scipy.optimize import minimize

import neurocircuits as nc
from neurocircuits.analysis import games, primal

BOTH = (primal.COPOSITIVE, primal.ELEMENTWISE)


def groups(sizes: tuple[int, ...], brightness: tuple[float, ...]) -> np.ndarray:
    """Return stimuli in groups that share no pixel, all of a group alike."""
    rows = [np.kron(np.eye(len(sizes))[k], np.full(3, brightness[k])) for k in range(len(sizes))]
    return np.repeat(rows, sizes, axis=0)


def largest_ratio(moment: np.ndarray, p: float, q: float) -> float:
    """Return the largest a'Ca / a'Da over a >= 0, from the eigenvectors of every set of cells."""
    targets, n, found = games.targets(len(moment), p, q), len(moment), 0.0
    for size in range(1, n + 1):
        for chosen in combinations(range(n), size):
            part = np.ix_(chosen, chosen)
            values, vectors = eigh(moment[part], targets[part])
            same = (vectors > -1e-12).all(axis=0) | (vectors < 1e-12).all(axis=0)
            found = max([found, *values[same]])
    return found


@pytest.mark.parametrize("seed", range(5))
def test_rates_are_scaled_to_the_boundary(seed: int) -> None:
    """Rejects a scale from single cells or pairs alone, one that forgets the root, and one for the other constraint."""
    generator, p, q = np.random.default_rng(seed), 0.5, 1.3
    x = generator.exponential(size=(40, 6)) * (generator.random((40, 6)) < 0.4) + 0.3 * generator.random((40, 1))
    c = x.T @ x / 40
    assert primal.largest_scale(c, p, q) == pytest.approx(largest_ratio(c, p, q) ** -0.5, rel=1e-6)
    s = primal.largest_scale(c, p, q, primal.ELEMENTWISE)
    assert games.elementwise_excess(s**2 * c, p, q) == pytest.approx(0, abs=1e-12)
    assert s <= primal.largest_scale(c, p, q) * (1 + 1e-9)
    assert primal.largest_scale(np.zeros((3, 3)), p, q) == float("inf")


@pytest.mark.parametrize("constraint", BOTH)
def test_one_cell_finds_the_first_principal_direction(constraint: str) -> None:
    """Rejects a factor of two in the value or its slope, and a power other than q^2."""
    u = np.random.default_rng(0).exponential(size=(30, 8))
    q, gamma = 1.5, 0.7
    found = primal.best_correlated_rates(u, 1, 0.4, q, gamma, constraint=constraint)
    assert found.value == pytest.approx(q**2 / (2 * gamma) * np.linalg.eigvalsh(u.T @ u / 30)[-1], rel=1e-6)
    assert np.mean(found.rates**2) == pytest.approx(q**2)
    assert found.value == pytest.approx(games.correlation_value(found.rates.T @ u / 30, gamma))


@pytest.mark.parametrize("constraint", BOTH)
def test_cells_share_groups_that_have_nothing_in_common(constraint: str) -> None:
    """Rejects cells that stay alike where they must not: with p near 0 the value is a sum of eigenvalues."""
    sizes, brightness, p = (6, 3, 5), (0.5, 0.8, 0.6), 0.01
    u = groups(sizes, brightness)
    expected = 0.5 * sum(n * 3 * b**2 / 14 for n, b in zip(sizes, brightness, strict=True))
    found = primal.best_correlated_rates(u, 3, p, constraint=constraint, n_starts=6)
    assert found.value == pytest.approx(expected, rel=0.01)
    active = found.rates > 0.1 * found.rates.max()
    assert (active.sum(axis=1) == 1).all() and active.any(axis=0).all()


@pytest.mark.parametrize("constraint", BOTH)
def test_cells_are_alike_where_nothing_forbids_it(constraint: str) -> None:
    """Rejects a constraint that bites where p is nearly q: each of three cells is then worth what one alone is."""
    u = np.random.default_rng(1).exponential(size=(20, 6))
    found = primal.best_correlated_rates(u, 3, 0.99999, constraint=constraint)
    assert found.value == pytest.approx(1.5 * np.linalg.eigvalsh(u.T @ u / 20)[-1], rel=1e-4)


def solved(u: np.ndarray, p: float, kappa: float, constraint: str) -> float:
    """Return the value for two cells by SLSQP; copositivity is kept along sixty directions."""
    angle, generator, n = np.linspace(0, np.pi / 2, 61), np.random.default_rng(0), len(u)
    along = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    targets = games.targets(2, p, 1.0)

    def room(flat: np.ndarray) -> np.ndarray:
        x = flat.reshape(n, 2)
        left = targets - x.T @ x / n
        upper = left[np.triu_indices(2)]
        return upper if constraint == primal.ELEMENTWISE else np.einsum("ki,ij,kj->k", along, left, along)

    def loss(flat: np.ndarray) -> float:
        return -games.correlation_value(flat.reshape(n, 2).T @ u / n, 1.0, kappa)

    limits: Any = {"type": "ineq", "fun": room}
    ends = [
        minimize(
            loss, generator.exponential(0.5, 2 * n), method="SLSQP", bounds=[(0, None)] * 2 * n, constraints=limits
        )
        for _ in range(8)
    ]
    return max(-end.fun for end in ends if end.success)


@pytest.mark.parametrize("seed", range(3))
def test_the_value_is_that_of_a_generic_solver(seed: int) -> None:
    """Rejects a search that stays where all powers are q^2, though copositivity allows more."""
    generator = np.random.default_rng(seed)
    u, p, kappa = generator.exponential(size=(6, 4)) ** 1.5, 0.6, 0.05
    values = {}
    for constraint in BOTH:
        found = primal.best_correlated_rates(u, 2, p, kappa=kappa, constraint=constraint, n_starts=6)
        values[constraint] = found.value
        assert found.value == pytest.approx(solved(u, p, kappa, constraint), rel=1e-3)
        assert found.value == found.values.max() and len(found.values) == len(found.scaled) == 6
        c = found.rates.T @ found.rates / 6
        assert games.worst_direction(c, p)[0] < 1e-8
        if constraint == primal.ELEMENTWISE:
            assert games.elementwise_excess(c, p) < 1e-8
    assert values[primal.COPOSITIVE] >= values[primal.ELEMENTWISE] * (1 - 1e-3)


def test_a_start_is_never_left_for_something_worse() -> None:
    """Rejects a climb that returns where it ended, whatever it began with."""
    u = np.random.default_rng(3).exponential(size=(6, 4)) ** 1.5
    best = primal.best_correlated_rates(u, 2, 0.6, constraint=primal.ELEMENTWISE, n_starts=4)
    again = primal.best_correlated_rates(u, 2, 0.6, start=best.rates, n_rounds=1, n_steps=1)
    assert again.value >= best.value * (1 - 1e-9) and len(again.values) == 1


def test_bad_values_are_refused() -> None:
    u = np.ones((4, 3))
    with pytest.raises(nc.ValidationError, match="'pairwise' is not 'copositive' or 'elementwise'"):
        primal.best_correlated_rates(u, 2, 0.3, constraint="pairwise")
    with pytest.raises(nc.ValidationError, match="0 < p < q"):
        primal.largest_scale(np.eye(2), 1.0, 1.0)
    with pytest.raises(nc.ValidationError, match="0 starts"):
        primal.best_correlated_rates(u, 2, 0.3, n_starts=0)
    with pytest.raises(nc.ValidationError, match="some above 0"):
        primal.best_correlated_rates(0 * u, 2, 0.3)
