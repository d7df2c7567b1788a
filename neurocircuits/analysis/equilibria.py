"""Fixed points of a few equations: all of them in a box, the one that the dynamics reach, and their eigenvalues."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import brentq, root

from neurocircuits.errors import ValidationError

Array = np.ndarray
_FINEST = 1e-9  # of the highest value, the first step of the grid that is searched
_GRID = 150
_STARTS = 120
_LONGEST = 200.0  # time constants that the dynamics are followed


def roots(function: Callable[[Array], Array], low: Any, high: Any, n_starts: int = _STARTS) -> Array:
    """Return the zeros of n functions of n variables in a box.

    Parameters
    ----------
    function : callable
        From (n,) to (n,).
    low, high : array_like, shape (n,)
        Corners of the box.
    n_starts : int
        Points from which zeros are searched, evenly spread, besides the corners.

    Returns
    -------
    ndarray, shape (n_zeros, n)
        Ordered by the first variable, then the second.

    Notes
    -----
    Powell's hybrid method from each start; zeros with a small basin may be missed.
    """
    low, high = np.asarray(low, float), np.asarray(high, float)
    size = high - low
    found: list[Array] = []
    for start in (low, high, *(low + size * point for point in _spread(n_starts, len(low)))):
        solution = root(function, start, tol=1e-13)
        x = solution.x
        inside = ((x >= low - 1e-9 * size) & (x <= high + 1e-9 * size)).all()
        at_rest = solution.success or np.abs(solution.fun).max() < 1e-10
        if inside and at_rest and not any(np.abs((x - other) / size).max() < 1e-6 for other in found):
            found.append(x)
    return np.array(sorted(found, key=tuple)).reshape(-1, len(low))


def jacobian(function: Callable[[Array], Array], x: Any, step: float = 1e-6) -> Array:
    """Return the derivatives of n functions at a point, (n, n), by central differences.

    Parameters
    ----------
    function : callable
        From (n,) to (n,).
    x : array_like, shape (n,)
        The point.
    step : float
        Half the difference.
    """
    x = np.asarray(x, float)
    columns = [(function(x + step * axis) - function(x - step * axis)) / (2 * step) for axis in np.eye(x.size)]
    return np.array(columns).T


def threshold_linear_fixed_point(W: Any, h: Any) -> Array:
    """Return the fixed point of T r' = -r + [W r + h]_+ with all populations active: (1 - W)^-1 h.

    Parameters
    ----------
    W : array_like, shape (n, n)
        Signed weights, post x pre.
    h : array_like, shape (n,)
        External input.

    Raises
    ------
    ValidationError
        If a rate is negative there, so that not all populations are active.
    """
    W, h = np.asarray(W, float), np.asarray(h, float)
    r = np.linalg.solve(np.eye(len(W)) - W, h)
    if (r < 0).any():
        raise ValidationError(
            f"threshold_linear_fixed_point: population {int(np.argmin(r))} would have the rate {r.min():.3g}; with "
            "these inputs not all populations are active. Leave the silent ones out."
        )
    return r


def threshold_linear_eigenvalues(W: Any, tau: Any) -> Array:
    """Return the eigenvalues of T r' = -r + W r, in 1/s, the largest real part first.

    Parameters
    ----------
    W : array_like, shape (n, n)
        Signed weights of the active populations, post x pre.
    tau : array_like, shape (n,)
        Time constants, s.
    """
    W = np.asarray(W, float)
    eigenvalues = np.linalg.eigvals((W - np.eye(len(W))) / np.asarray(tau, float)[:, None])
    return eigenvalues[np.argsort(-eigenvalues.real)]


def fixed_rates(
    response: Callable[[Array], Array],
    highest: Any,
    alike: Sequence[int] = (),
    start: Any = None,
    all_solutions: bool = False,
) -> Array:
    """Return rates r with r = response(r).

    Parameters
    ----------
    response : callable
        From (n,) to (n,), not negative.
    highest : array_like, shape (n,)
        Bounds of the rates, Hz.
    alike : sequence of int, shape (n,)
        For each population the first whose rate is always the same; its own number if none is.
    start : array_like, shape (n,), optional
        Where to follow dr/dt = -r + response(r) from; 0 unless given.
    all_solutions : bool
        Whether to return all solutions that are found, the lowest first.

    Returns
    -------
    ndarray, shape (n,) or (n_solutions, n)
        Rates, Hz.

    Raises
    ------
    ValidationError
        If no solution is found, or the dynamics from ``start`` do not come to rest.

    Notes
    -----
    One unknown is bracketed on a grid that is even for large rates and logarithmic for small ones, so all solutions are
    found but such as lie between two points of it. With several, they are searched from many starts.
    """
    top = np.asarray(highest, float)
    firsts = np.asarray(alike if len(alike) else np.arange(len(top)), int)
    free = np.unique(firsts)
    spread = np.searchsorted(free, firsts)

    def excess(r: Array) -> Array:
        return response(r[spread])[free] - r

    first = np.zeros(free.size) if start is None else np.asarray(start, float)[free]
    if free.size > 1 and not all_solutions:
        return _followed(excess, first, top[free])[spread]
    found = _bracketed(excess, top[0]) if free.size == 1 else _searched(excess, top[free])
    if not len(found):
        raise ValidationError(
            f"fixed_rates: no rates from 0 to {top.max():g} Hz keep each other. Check signs and units."
        )
    if all_solutions:
        return found[:, spread]
    rises = excess(first)[0] >= 0
    ahead = found[found[:, 0] >= first[0]] if rises else found[found[:, 0] <= first[0]][::-1]
    return (ahead if len(ahead) else found)[0][spread]


def _bracketed(excess: Callable[[Array], Array], top: float) -> Array:
    grid = np.unique([0.0, *np.geomspace(_FINEST * top, top, _GRID), *np.linspace(0, top, _GRID)])
    values = np.array([excess(np.array([x]))[0] for x in grid])
    found = [[x] for x, value in zip(grid, values, strict=True) if value == 0]
    for k in np.flatnonzero(values[:-1] * values[1:] < 0):
        found.append([brentq(lambda x: excess(np.array([x]))[0], grid[k], grid[k + 1], xtol=1e-13 * top, rtol=1e-13)])
    return np.array(sorted(found)).reshape(-1, 1)


def _searched(excess: Callable[[Array], Array], top: Array) -> Array:
    """Search in coordinates that resolve small rates: r = top (exp(8 s) - 1)/(exp(8) - 1)."""

    def rates(s: Array) -> Array:
        return top * np.expm1(8 * np.clip(s, 0.0, 1.0)) / np.expm1(8)

    def scaled(s: Array) -> Array:
        r = rates(s)
        return excess(r) / (r + 1e-3 * top) - np.maximum(s - 1, 0) - np.minimum(s, 0)

    found = [rates(s) for s in roots(scaled, np.zeros(len(top)), np.ones(len(top)))]
    return np.array(sorted(found, key=tuple)).reshape(-1, len(top))


def _followed(excess: Callable[[Array], Array], start: Array, top: Array) -> Array:
    def slopes(_: float, r: Array) -> Array:
        return excess(np.maximum(r, 0.0))

    path = solve_ivp(slopes, (0.0, _LONGEST), start, method="LSODA", rtol=1e-8, atol=1e-10 * top.max())
    near = np.maximum(path.y[:, -1], 0.0)
    solution = root(lambda r: excess(np.maximum(r, 0.0)), near, tol=1e-13)
    r = np.maximum(solution.x, 0.0)
    if np.abs(excess(r)).max() > 1e-8 * top.max() or np.abs(r - near).max() > 1e-3 * max(near.max(), 1e-3):
        raise ValidationError(
            f"fixed_rates: dr/dt = -r + response(r) from {np.round(start, 3)} Hz does not come to rest; it is at "
            f"{np.round(near, 3)} Hz after {_LONGEST:g} time constants. Ask for all_solutions, or start elsewhere."
        )
    return r


def _spread(n: int, dimension: int) -> Array:
    """Return n points of the unit box that are evenly spread: multiples of powers of a generalised golden ratio."""
    ratio = 2.0
    for _ in range(50):
        ratio = (1 + ratio) ** (1 / (dimension + 1))
    return (0.5 + np.arange(1, n + 1)[:, None] * ratio ** -np.arange(1.0, dimension + 1)) % 1.0
