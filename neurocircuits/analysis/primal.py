"""The correlation games solved offline: the rates themselves are sought, without a network.

Over rates X >= 0 (a row for each of T stimuli), `games.correlation_value` of their correlations with the inputs is
maximised while their second moments C = X'X/T obey the constraint of the game: D - C copositive, which inhibitory cells
between the excitatory ones enforce (Seung 2018), or C <= D in each element, which inhibition from all to all does
(Seung and Zung 2017). The second implies the first. The number of inhibitory cells does not enter: against rates that
are chosen first, a single one finds any direction a >= 0 in which a'(C - D) a is positive.

A convex function is maximised, so there are many local maxima. What is returned is the best of several starts, with the
spread between them, and always on the boundary of what the constraint allows, as far as a search can tell.

References
----------
Seung HS (2018) Two 'correlation games' for a nonlinear network with Hebbian excitatory and anti-Hebbian inhibitory
neurons, arXiv:1812.11937. Seung HS, Zung J (2017) arXiv:1704.00646. Nocedal J, Wright SJ (2006) Numerical Optimization,
chapter 17 (augmented Lagrangian); the cutting planes are a choice of this package.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import Bounds, minimize

from neurocircuits.analysis import games
from neurocircuits.analysis.decorrelation import cosine_bound, second_moment
from neurocircuits.errors import ValidationError

Array = NDArray[np.float64]
COPOSITIVE, ELEMENTWISE = "copositive", "elementwise"
# First penalties are small where constraints would trap cells before they differ, and large where what was reached
# should be kept; found by trying, on digits.
_PENALTY = {"spread": 0.3, ELEMENTWISE: 100.0, COPOSITIVE: 1000.0}
_LARGEST_PENALTY, _CLOSE, _MOST_CUTS = 4000.0, 1e-4, 30


@dataclass(frozen=True)
class Solution:
    """Hold the best rates that were found.

    Parameters
    ----------
    rates : ndarray, shape (T, n_E)
        Rates of the best start, scaled so that they meet the constraint.
    value : float
        What they are worth, `games.correlation_value`.
    values : ndarray, shape (n_starts,)
        What those of each start are worth.
    scaled : ndarray, shape (n_starts,)
        By how much those of each start were scaled in the end: 1 where the solver met the constraint by itself.
    """

    rates: Array
    value: float
    values: Array
    scaled: Array


def largest_scale(
    moment: ArrayLike,
    p: float,
    q: float = 1.0,
    constraint: str = COPOSITIVE,
    starts: ArrayLike | None = None,
    rng: Any = 0,
) -> float:
    """Return the factor that takes rates to the boundary of what a constraint allows.

    Parameters
    ----------
    moment : array_like, shape (n, n)
        Second moments C of the rates.
    p, q : float
        Targets, 0 < p < q.
    constraint : {"copositive", "elementwise"}
        Whether D - C is to be copositive, or C at most D in each element.
    starts : array_like, shape (m, n), optional
        Further directions >= 0 for `games.worst_direction` to start from.
    rng : int or Generator
        Where that draws random ones from.

    Returns
    -------
    float
        Below 1 if the rates are too large; infinite if they are all 0. For copositivity it rests on a search, so it
        may be a little too large.

    Raises
    ------
    ValidationError
        Unless 0 < p < q and the constraint is one of the two.

    Examples
    --------
    >>> largest_scale([[4.0, 0.0], [0.0, 1.0]], p=0.3)
    0.5
    """
    targets = _checked(constraint, len(np.asarray(moment)), p, q)
    c = np.asarray(moment, float)
    ratio = float((c / targets).max())
    if constraint == ELEMENTWISE or not ratio > 0:
        return ratio**-0.5 if ratio > 0 else float("inf")
    ratio = float((np.diag(c) / np.diag(targets)).max())
    for _ in range(50):  # the largest a'Ca / a'Da, after Dinkelbach (1967): each ratio is that of the last direction
        _, a = games.worst_direction(c / ratio, p, q, starts, rng=rng)
        found = float(a @ c @ a / (a @ targets @ a))
        if found <= ratio * (1 + 1e-9):
            break
        ratio = found
    return ratio**-0.5


def best_correlated_rates(
    inputs: ArrayLike,
    n_cells: int,
    p: float,
    q: float = 1.0,
    gamma: float = 1.0,
    kappa: float = 0.0,
    constraint: str = COPOSITIVE,
    rng: Any = 0,
    n_starts: int = 3,
    n_rounds: int = 30,
    n_steps: int = 60,
    start: ArrayLike | None = None,
) -> Solution:
    """Return rates >= 0 that are worth most under a constraint, by an augmented Lagrangian from several random starts.

    First all cells have the power q^2, with which both constraints are C_ij <= p^2; then that is free, too, and what is
    worth more of the two is kept. Copositivity is kept by finitely many directions: single cells, pairs, all cells, and
    those in which a search finds it violated after each round.

    Parameters
    ----------
    inputs : array_like, shape (T, n_S)
        U.
    n_cells : int
        Number of cells.
    p, q : float
        Targets, 0 < p < q.
    gamma, kappa : float
        As in `games.correlation_value`.
    constraint : {"copositive", "elementwise"}
        Which second moments are allowed.
    rng : int or Generator
        Where starts are drawn from.
    n_starts : int
        Number of random starts; each ends at a local maximum.
    n_rounds, n_steps : int
        Most rounds of multipliers, and most steps of L-BFGS-B in each.
    start : array_like, shape (T, n_E), optional
        Rates to climb from instead of random ones.

    Raises
    ------
    ValidationError
        If a value is not allowed.
    """
    u = np.asarray(inputs, float)
    targets = _checked(constraint, n_cells, p, q)
    if n_starts < 1 or u.ndim != 2 or not u.any():
        raise ValidationError(
            f"best_correlated_rates: {n_starts} starts and inputs {u.shape}; one start or more is needed, and inputs "
            "(T, n_S), some above 0."
        )
    u = u[:, u.any(axis=0)]
    generator = np.random.default_rng(rng)
    first = [_drawn(u, targets, generator) for _ in range(n_starts)] if start is None else [np.asarray(start, float)]
    rates, values, scaled = [], [], []
    for x in first:
        each: list[tuple[float, float, Array]] = []
        for stage in ("spread" if start is None else "start", constraint):
            x = x if stage == "start" else _climbed(u, x, p, q, gamma, kappa, stage, n_rounds, n_steps)
            scale = largest_scale(second_moment(x), p, q, constraint)
            each.append((games.correlation_value(scale * x.T @ u / len(u), gamma, kappa), scale, scale * x))
        value, scale, x = max(each, key=lambda one: one[0])
        rates.append(x)
        values.append(value)
        scaled.append(scale)
    best = int(np.argmax(values))
    return Solution(rates[best], values[best], np.array(values), np.array(scaled))


def _drawn(u: Array, targets: Array, generator: np.random.Generator) -> Array:
    """Return rates of cells that prefer a stimulus each and are active in a fraction (p/q)^2 of all."""
    chosen = u[generator.choice(len(u), len(targets), replace=len(targets) > len(u))]
    like = u @ (chosen * generator.uniform(0.5, 1.5, chosen.shape)).T
    active = min(targets.min() / targets.max(), 0.9)  # all but a few
    x = np.maximum(like - np.quantile(like, 1 - active, axis=0), 0) + 1e-3 * generator.random(like.shape)
    return x * np.sqrt(np.diag(targets) / 2 / np.mean(x**2, axis=0))


def _climbed(
    u: Array, x: Array, p: float, q: float, gamma: float, kappa: float, stage: str, n_rounds: int, n_steps: int
) -> Array:
    """Return rates at a local maximum, by rounds of L-BFGS-B on the augmented Lagrangian.

    In the stage "spread" all cells have the power q^2, or those that start small would have little to gain and stay so;
    then both constraints say the same.
    """
    n, shape, spread = len(u), x.shape, stage == "spread"
    targets = games.targets(shape[1], p, q)
    unit = games.correlation_value(x.T @ u / n, gamma, kappa) * q**2 / np.mean(x**2, axis=0).max()
    limits: _Limits = _Directions(targets) if stage == COPOSITIVE else _Elements(targets)
    multipliers, penalty, before = limits.first(), _PENALTY[stage], np.inf

    def loss(flat: Array) -> tuple[float, Array]:
        rates = flat.reshape(shape)
        size = np.sqrt(np.mean(rates**2, axis=0)) / q if spread else np.ones(shape[1])
        rates = rates / size
        correlations, moment = rates.T @ u / n, second_moment(rates)
        w = games.best_weights(correlations, gamma, kappa)
        pushed = np.maximum(multipliers + penalty * limits.excess(moment), 0)
        value = 0.5 * np.sum(w * correlations) / unit - 0.5 * np.sum(pushed**2) / penalty
        slope = u @ w.T / (n * unit) - 2 / n * rates @ limits.inhibition(pushed)
        if spread:
            slope -= rates * np.mean(slope * rates, axis=0) / q**2
        return -value, -(slope / size).ravel()

    for _ in range(n_rounds):
        found = minimize(
            loss,
            x.ravel(),
            jac=True,
            method="L-BFGS-B",
            bounds=Bounds(0.0, np.inf),
            options={"maxiter": n_steps, "maxcor": 20, "ftol": 1e-12, "gtol": 1e-9},
        )
        x = found.x.reshape(shape)
        if spread:
            x = x * q / np.sqrt(np.mean(x**2, axis=0))
        moment = second_moment(x)
        excess = limits.excess(moment)
        multipliers = np.maximum(multipliers + penalty * excess, 0)
        violation = float(excess.max())
        added = limits.add(moment, p, q)
        multipliers = np.concatenate([multipliers, np.zeros(added)]) if added else multipliers
        if violation > 0.5 * before:
            penalty = min(2 * penalty, _LARGEST_PENALTY)
        if violation < _CLOSE and not added and found.nit < n_steps:
            break
        before = violation
    return x


class _Elements:
    """The limits C <= D, in units of q^2."""

    def __init__(self, targets: Array) -> None:
        self.targets = targets

    def first(self) -> Array:
        return np.asarray(np.eye(len(self.targets)) / len(self.targets))

    def excess(self, moment: Array) -> Array:
        return np.asarray((moment - self.targets) / self.targets.max())

    def inhibition(self, multipliers: Array) -> Array:
        """Return the lateral inhibition that multipliers stand for."""
        return np.asarray(multipliers / self.targets.max())

    def add(self, moment: Array, p: float, q: float) -> int:
        return 0


class _Directions:
    """The limits a'Ca <= a'Da = 1, for directions a >= 0 of which more are added where they are violated."""

    def __init__(self, targets: Array) -> None:
        n = len(targets)
        first, second = np.triu_indices(n)
        self.targets = targets
        self.vectors = self._normal(np.concatenate([np.eye(n)[first] + np.eye(n)[second], np.ones((1, n))]))

    def _normal(self, vectors: Array) -> Array:
        return np.asarray(vectors / np.sqrt(np.sum((vectors @ self.targets) * vectors, axis=1, keepdims=True)))

    def first(self) -> Array:
        single = (self.vectors > 0).sum(axis=1) == 1
        return single / single.sum()

    def excess(self, moment: Array) -> Array:
        return np.asarray(np.sum((self.vectors @ moment) * self.vectors, axis=1) - 1)

    def inhibition(self, multipliers: Array) -> Array:
        """Return A'A, the inhibition by one inhibitory cell for each direction with a multiplier above 0."""
        used = multipliers > 0
        return np.asarray(self.vectors[used].T * multipliers[used] @ self.vectors[used])

    def add(self, moment: Array, p: float, q: float) -> int:
        """Add the directions in which a search finds copositivity violated most; return their number."""
        _, vectors = games.climbed_directions(moment, p, q)
        new = self._normal(vectors)
        ratios = np.sum((new @ moment) * new, axis=1) - 1
        least = max(_CLOSE, 0.3 * float(self.excess(moment).max()))
        kept: list[Array] = []
        for k in np.argsort(-ratios):
            if ratios[k] <= least or len(kept) == _MOST_CUTS:
                break
            unit = vectors[k]
            if all(unit @ other < 0.999 for other in kept):
                kept.append(unit)
        if kept:
            self.vectors = np.concatenate([self.vectors, self._normal(np.array(kept))])
        return len(kept)


_Limits = _Elements | _Directions


def _checked(constraint: str, n_cells: int, p: float, q: float) -> Array:
    """Return D, (n, n), for allowed values."""
    cosine_bound(p, q)
    if constraint not in (COPOSITIVE, ELEMENTWISE):
        raise ValidationError(f"constraint {constraint!r} is not {COPOSITIVE!r} or {ELEMENTWISE!r}.")
    return games.targets(n_cells, p, q)
