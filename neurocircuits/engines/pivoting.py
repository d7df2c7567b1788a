"""Active sets of threshold-linear problems by block principal pivoting, one row at a time or a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dposv

_BLOCK_ITERATIONS = 30  # rows of a batch whose exchange has not ended by then are left to the method that always ends
_SLACK = 1e-10  # relative to the largest input of a row: violations that a batch tolerates, above its rounding errors


@dataclass(frozen=True)
class Mediated:
    """A lateral matrix L = diag(diagonal) + left @ right of a few mediating units.

    Attributes
    ----------
    diagonal : ndarray, shape (n,)
        Positive.
    left : ndarray, shape (n, m)
        What the mediating units do to the others.
    right : ndarray, shape (m, n)
        What drives the mediating units.
    """

    diagonal: np.ndarray
    left: np.ndarray
    right: np.ndarray


def active_set(matrix: np.ndarray, b: np.ndarray, active: np.ndarray, symmetric: bool = True) -> np.ndarray:
    """Solve one row exactly by block principal pivoting (Judice and Pires 1994; Kim and Park 2011).

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        L, positive definite (or a P-matrix).
    b : ndarray, shape (n,)
        Input.
    active : ndarray of bool, shape (n,)
        First guess of the units with x > 0.
    symmetric : bool
        Whether L is symmetric.

    Returns
    -------
    ndarray, shape (n,)
        The solution, or the last iterate if the exchange of units did not end.
    """
    n = len(b)
    active = active.copy()
    fewest, chances = n + 1, 3
    x = np.zeros(n, dtype=float)
    eps = 1e-13 * max(float(np.abs(b).max()), 1e-300)
    for _ in range(100 + 10 * n):
        x.fill(0.0)
        inside = active.nonzero()[0]
        if len(inside):
            x[inside] = _solve(matrix[inside[:, None], inside], b[inside], symmetric)
        wrong = np.where(active, x < 0, b - matrix @ x > eps)
        n_wrong = int(np.count_nonzero(wrong))
        if n_wrong == 0:
            break
        if n_wrong < fewest:
            fewest, chances = n_wrong, 3
        elif chances > 0:
            chances -= 1
        else:  # Murty's rule: one unit at a time, always ends
            last = int(np.flatnonzero(wrong)[-1])
            wrong[:] = False
            wrong[last] = True
        active ^= wrong
    return np.maximum(x, 0.0)


def active_sets(lateral: Mediated, b: np.ndarray, active: np.ndarray) -> tuple[np.ndarray, int]:
    """Solve all rows of a batch by block principal pivoting, where a few units mediate the lateral matrix.

    With d the diagonal, F and G the two factors and m the active units of a row, x = m (b - F y)/d where y solves the
    small problem (1 + G diag(m/d) F) y = G diag(m/d) b. The matrices of all rows come from one product.

    Parameters
    ----------
    lateral : Mediated
        The matrix L.
    b : ndarray, shape (batch, n)
        Inputs.
    active : ndarray of bool, shape (batch, n)
        First guess of the units with x > 0.

    Returns
    -------
    x : ndarray, shape (batch, n)
        Solution, 0 in rows where the exchange of units did not end; rounding errors are larger than in `active_set`
        by the condition of the small problem.
    iterations : int
        Of the whole batch.
    """
    n, m = lateral.left.shape
    driving = lateral.right / lateral.diagonal
    pairs = (driving.T[:, :, None] * lateral.left[:, None, :]).reshape(n, m * m)
    unity = np.eye(m, like=b).ravel()
    x = np.zeros_like(b)
    slack = _SLACK * np.abs(b).max(axis=1, keepdims=True)
    rows = np.arange(len(b), like=b)
    done = 0
    for done in range(1, _BLOCK_ITERATIONS + 1):  # noqa: B007 (returned)
        mask = active.astype(float)
        small = mask @ pairs
        small += unity
        try:
            y = np.linalg.solve(small.reshape(-1, m, m), ((mask * b) @ driving.T)[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            break
        excess = b - y @ lateral.left.T
        wrong = np.where(active, excess < -slack, excess > slack)
        ended = ~wrong.any(axis=1)
        if ended.any():
            x[rows[ended]] = (mask[ended] * excess[ended]) / lateral.diagonal
            if ended.all():
                break
            go_on = ~ended
            rows, b, slack, active, wrong = rows[go_on], b[go_on], slack[go_on], active[go_on], wrong[go_on]
        active = active ^ wrong
    return np.maximum(x, 0.0), done


def _solve(block: np.ndarray, b: np.ndarray, symmetric: bool) -> np.ndarray:
    if symmetric:
        _, solution, failed = dposv(block, b)
        if not failed:
            return solution
    try:
        return np.linalg.solve(block, b)
    except np.linalg.LinAlgError:
        return np.linalg.lstsq(block, b, rcond=None)[0]
