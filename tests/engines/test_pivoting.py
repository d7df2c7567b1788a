"""Exchanging the active units of a whole batch at once gives what each row gives on its own."""

from __future__ import annotations

import numpy as np
import pytest

from neurocircuits.engines.pivoting import Mediated, active_set, active_sets
from neurocircuits.engines.solvers import ThresholdLinearSolver, complementarity_residual
from tests.references.threshold_linear import random_disynaptic, rates_by_nnls


def mediated(generator: np.random.Generator, n_rows: int) -> tuple[Mediated, np.ndarray, np.ndarray]:
    """Return a random disynaptic problem with at most 32 mediating units: factors, matrix and inputs."""
    while True:
        problem = random_disynaptic(generator, n_rows=n_rows)
        if len(problem.inhibition) <= 32:
            parts = Mediated(problem.gain, problem.inhibition.T, problem.inhibition)
            return parts, problem.lateral, problem.input


def test_a_batch_is_solved_as_its_rows_are() -> None:
    """Rejects factors put together in the wrong order, and rows that end before their active units stay."""
    generator = np.random.default_rng(2)
    n_left = 0
    for _ in range(150):
        parts, matrix, b = mediated(generator, 12)
        x, iterations = active_sets(parts, b, b > 0)
        assert 1 <= iterations <= 30
        left = (x == 0).all(axis=1) & (b > 0).any(axis=1)
        n_left += left.sum()
        reference = rates_by_nnls(matrix, b)
        np.testing.assert_allclose(x[~left], reference[~left], rtol=0, atol=1e-8 * reference.max())
    assert n_left < 10  # of 1800 rows


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6])
def test_the_solver_finishes_rows_that_the_batch_leaves(tolerance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejects a solver that returns the zeros of rows whose exchange did not end."""
    monkeypatch.setattr("neurocircuits.engines.pivoting._BLOCK_ITERATIONS", 2)
    parts, matrix, b = mediated(np.random.default_rng(8), 30)
    x, _ = active_sets(parts, b, b > 0)
    assert (x == 0).all(axis=1).any()
    solution = ThresholdLinearSolver(tolerance).solve(matrix, b, mediated=parts)
    reference = rates_by_nnls(matrix, b)
    np.testing.assert_allclose(solution.x, reference, rtol=0, atol=1e-8 * reference.max())
    assert solution.residual.max() <= tolerance


def test_two_ways_of_an_untied_loop() -> None:
    """A loop whose way back is no transpose. Rejects an exchange of what excites and what inhibits."""
    generator = np.random.default_rng(4)
    left, right = 0.3 * generator.random((20, 3)), 0.3 * generator.random((3, 20))
    diagonal = generator.uniform(0.5, 1.0, 20)
    matrix = np.diag(diagonal) + left @ right
    b = generator.standard_normal((9, 20))
    x, _ = active_sets(Mediated(diagonal, left, right), b, b > 0)
    assert complementarity_residual(matrix, b, x).max() < 1e-9
    rows = [active_set(matrix, row, row > 0, symmetric=False) for row in b]
    np.testing.assert_allclose(x, rows, rtol=0, atol=1e-9)
