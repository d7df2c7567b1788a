"""Solvers of steady states: projected gradient and active sets, and fixed-point iteration.

A threshold-linear circuit at rest solves, for every row b of a batch, the complementarity problem
x >= 0, b - L x <= 0, x (b - L x) = 0, which for symmetric positive definite L is a convex quadratic programme
(disynaptic inhibition gives L = Lambda + A^T A). Rows never look at each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from neurocircuits.engines.arrays import on_host
from neurocircuits.engines.pivoting import Mediated, active_set, active_sets
from neurocircuits.errors import UnsupportedError

_CHECK_EVERY = 25
_FEW_ROWS = 4  # so few rows are solved exactly at once, which costs less than gradient steps
_EXACT = 1e-6  # at this tolerance and below every row is solved exactly, so that it does not depend on its batch
_GUESS = 1e-3  # residual at which active sets are guessed well
_ASYMMETRY = 1e-9  # relative to the largest weight: what rounding does to products that are symmetric


@dataclass
class Solution:
    """Steady states of a batch.

    Attributes
    ----------
    x : ndarray, shape (batch, n)
        Solution.
    residual : ndarray, shape (batch,)
        Largest violation of a row's conditions, relative to the largest input of the row.
    iterations : int
        Iterations of the whole batch.
    """

    x: np.ndarray
    residual: np.ndarray
    iterations: int


def solves_every_row(tolerance: float) -> bool:
    """Return whether every row is solved exactly and on its own at a tolerance."""
    return tolerance <= _EXACT


def complementarity_residual(matrix: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return, per row, max over units of |b - L x| where x > 0 and [b - L x]_+ where x = 0, relative to max |b|."""
    slack = b - x @ matrix.T
    violation = np.where(x > 0, np.abs(slack), np.maximum(slack, 0.0)).max(axis=1)
    scale = np.abs(b).max(axis=1)
    return violation / np.where(scale > 0, scale, 1.0)


def largest_eigenvalue(matrix: np.ndarray) -> float:
    """Return an upper bound of the largest eigenvalue of a symmetric matrix.

    For a non-negative matrix the bound is that of Collatz and Wielandt, max (L v)_i / v_i, and tight after a few
    products.
    """
    if matrix.min() < 0:
        return float(np.linalg.eigvalsh((matrix + matrix.T) / 2)[-1])
    v = np.ones(len(matrix), like=matrix)
    bound = np.inf
    for _ in range(30):
        product = matrix @ v
        new = float((product / v).max())
        if not new < bound * (1.0 - 1e-3):
            bound = min(new, bound)
            break
        bound = new
        v = product / product.max() + 1e-9
    return bound


class ThresholdLinearSolver:
    """Solve x >= 0, b - L x <= 0, x (b - L x) = 0 for batches of b.

    Parameters
    ----------
    tolerance : float
        Largest residual of a row that needs no active-set polish; 1e-6 and less polish every row.
    max_iterations : int
        Steps of accelerated projected gradient before rows are handed to the active-set method.
    """

    def __init__(self, tolerance: float, max_iterations: int = 150) -> None:
        self.tolerance, self.max_iterations = tolerance, max_iterations

    def solve(
        self, matrix: np.ndarray, b: np.ndarray, start: np.ndarray | None = None, mediated: Mediated | None = None
    ) -> Solution:
        """Solve for every row of ``b``, shape (batch, n).

        Parameters
        ----------
        matrix : ndarray, shape (n, n)
            L.
        b : ndarray, shape (batch, n)
            Inputs.
        start : ndarray, shape (batch, n), optional
            First guess.
        mediated : Mediated, optional
            L as a diagonal and two thin factors, where it has this form: then all rows exchange active units at once.
        """
        if not b.size:
            return Solution(b.copy(), np.zeros(len(b)), 0)
        here = on_host(b)  # elsewhere no row is solved on its own; its residual says how far it is from rest
        exact, many = here and solves_every_row(self.tolerance), len(b) > _FEW_ROWS or not here
        warm = start is not None and start.shape == b.shape
        x = np.maximum(start, 0.0) if start is not None and warm else np.zeros_like(b)
        symmetric = bool(np.abs(matrix - matrix.T).max() <= _ASYMMETRY * np.abs(matrix).max())
        iterations, unsolved, residual = 0, np.arange(len(b)), np.full(len(b), np.inf)
        if many and mediated is not None:
            x, iterations = active_sets(mediated, b, x > 0 if warm else b > 0)
        elif not here and not symmetric:
            raise UnsupportedError(
                "SteadyState: lateral weights are not symmetric, so presentations are not solved together, which they "
                "are on a device. Use device='cpu'."
            )
        elif many and symmetric:
            x, iterations = self._gradient(matrix, b, x, _GUESS if exact else self.tolerance)
        if not exact and (many or warm):
            residual = complementarity_residual(matrix, b, x)
            unsolved = np.flatnonzero(~(residual <= self.tolerance)) if here else unsolved[:0]
        for row in unsolved:
            x[row] = active_set(matrix, b[row], x[row] > 0, symmetric)
        if len(unsolved):
            iterations += 1
            residual = complementarity_residual(matrix, b, x)
        return Solution(x, residual, iterations)

    def _gradient(self, matrix: np.ndarray, b: np.ndarray, x: np.ndarray, goal: float) -> tuple[np.ndarray, int]:
        """Take accelerated projected gradient steps, with restart of each row on its own.

        References
        ----------
        Beck and Teboulle (2009), doi:10.1137/080716542; O'Donoghue and Candes (2015), doi:10.1007/s10208-013-9150-3.
        """
        largest = largest_eigenvalue(matrix)
        if not 0 < largest < np.inf:
            return x, 0
        step = 1.0 / largest
        iterate = np.eye(len(matrix), like=matrix) - step * matrix  # z - step*(L z - b) = z @ iterate + step*b
        iterate = iterate.astype(b.dtype)
        offset = step * b
        previous, z = x, x.copy()
        momentum = np.ones((len(b), 1), dtype=b.dtype, like=b)
        new = np.empty_like(b)
        moved = np.empty_like(b)
        done = 0
        for done in range(1, self.max_iterations + 1):
            np.matmul(z, iterate, out=new)
            new += offset
            np.maximum(new, 0.0, out=new)
            np.subtract(new, previous, out=moved)
            z -= new
            uphill = np.einsum("ij,ij->i", z, moved) > 0
            momentum[uphill] = 1.0
            following = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
            np.multiply(moved, (momentum - 1.0) / following, out=z)
            z += new
            momentum = following
            previous, new = new, (previous if previous is not x else np.empty_like(b))
            if done % _CHECK_EVERY == 0 and (complementarity_residual(matrix, b, previous) <= goal).all():
                break
        return previous.copy(), done


class LinearSolver:
    """Solve L x = b for batches of b, as `ThresholdLinearSolver` does its problem."""

    def solve(
        self, matrix: np.ndarray, b: np.ndarray, start: np.ndarray | None = None, mediated: Mediated | None = None
    ) -> Solution:
        """Solve for every row of ``b``, shape (batch, n).

        The rest that the solution is must be one that the dynamics reach: of units that are equally fast this is so if
        all eigenvalues of L have positive real parts. Otherwise the residual is infinite.

        Parameters
        ----------
        matrix : ndarray, shape (n, n)
            L.
        b : ndarray, shape (batch, n)
            Inputs.
        start, mediated
            Not used.
        """
        values = np.linalg.eigvals(matrix)
        least = len(matrix) * np.finfo(matrix.dtype).eps * float(abs(values).max()) if len(matrix) else 0.0
        if not len(matrix) or not values.real.min() > least:  # what rounding leaves of 0 is no rest
            return Solution(np.zeros_like(b), np.full(len(b), np.inf if len(matrix) else 0.0), 1)
        x = np.linalg.solve(matrix, b.T).T
        residual, scale = np.abs(b - x @ matrix.T).max(axis=1), np.abs(b).max(axis=1)
        return Solution(x, residual / np.where(scale > 0, scale, 1.0), 1)


def anderson(
    step: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    tolerance: float,
    max_iterations: int = 500,
    memory: int = 5,
) -> Solution:
    """Solve x = step(x) for every row by Anderson's mixing, damped where it does not help.

    Parameters
    ----------
    step : callable
        From (batch, n) to (batch, n), row by row.
    start : ndarray, shape (batch, n)
        First guess.
    tolerance : float
        Largest |step(x) - x| relative to the largest |step(x)| of the row.
    max_iterations : int
        Most iterations.
    memory : int
        Previous differences that are mixed.

    References
    ----------
    Walker and Ni (2011), SIAM J. Numer. Anal. 49:1715, doi:10.1137/10078356X.
    """
    x = start.astype(float)
    damping = np.ones((len(x), 1))
    last_f = last_x = None
    best = np.full(len(x), np.inf)
    changes_x: list[np.ndarray] = []
    changes_f: list[np.ndarray] = []
    residual, done = best, 0
    for done in range(1, max_iterations + 1):
        image = step(x)
        f = image - x
        scale = np.abs(image).max(axis=1)
        residual = np.abs(f).max(axis=1) / np.where(scale > 0, scale, 1.0)
        if (residual <= tolerance).all():
            return Solution(image, residual, done)
        if not np.isfinite(residual).all():
            break
        worse = residual > 2.0 * best
        damping[worse] *= 0.5
        damping = np.minimum(1.0, damping * 1.05)
        best = np.minimum(best, residual)
        if last_f is not None and last_x is not None:
            changes_f = [*changes_f, f - last_f][-memory:]
            changes_x = [*changes_x, x - last_x][-memory:]
        last_f, last_x = f, x
        x = x + damping * f
        if changes_f:
            df, dx = np.stack(changes_f, 2), np.stack(changes_x, 2)
            gram = np.einsum("bnm,bnk->bmk", df, df)
            ridge = 1e-10 * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(gram.shape[1])
            mix = np.linalg.solve(
                gram + ridge + 1e-300 * np.eye(gram.shape[1]), np.einsum("bnm,bn->bm", df, f)[:, :, None]
            )
            accelerated = x - ((dx + damping[:, :, None] * df) @ mix)[:, :, 0]
            x = np.where(worse[:, None], last_x + damping * f, accelerated)
    return Solution(x, residual, done)
