"""The correlation games that networks with Hebbian excitation and anti-Hebbian inhibition play.

Symbols as in the sources: U (n_S, T) and X (n_E, T) are rates of sensory and excitatory cells, a column for each
stimulus; W (n_E, n_S) are weights from S to E, A (n_I, n_E) from E to I, Lambda (n_E,) divisive gains; C = X X'/T and
B = X U'/T. E cells with W maximise a payoff, I cells with A and Lambda minimise it:

    F = <X, W U>/T - Phi(W) - (1/2) <L, X X'>/T + (1/2) Psi(L),  L = diag(Lambda) + A' A

with Phi(W) = gamma/2 sum W^2 + kappa/2 sum_i (sum_a W_ia)^2 and Psi(L) = <D, L>, where D is q^2 on its diagonal and p^2
elsewhere. The rules of `seung2018` are gradients of it.

References
----------
Seung HS (2018) Two 'correlation games' for a nonlinear network with Hebbian excitatory and anti-Hebbian inhibitory
neurons, arXiv:1812.11937. Seung HS, Zung J (2017) arXiv:1704.00646. Yang R, Luther K, Seung HS (2020), slides. The form
of the payoff is derived from the rules.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import Bounds, minimize

from neurocircuits.analysis.decorrelation import cosine_bound
from neurocircuits.errors import ValidationError

Array = NDArray[np.float64]


def weight_cost(weights: ArrayLike, gamma: float = 1.0, kappa: float = 0.0) -> float:
    """Return Phi(W), whose gradient is what the Hebbian rule takes off: gamma W + kappa times the sums of its rows."""
    w = np.asarray(weights, float)
    return float(0.5 * gamma * np.sum(w**2) + 0.5 * kappa * np.sum(w.sum(axis=1) ** 2))


def best_weights(correlations: ArrayLike, gamma: float = 1.0, kappa: float = 0.0) -> Array:
    """Return the weights >= 0 that maximise <W, B> - Phi(W), by sorting each row.

    A synapse survives if its correlation exceeds ``kappa`` times the sum of its row.

    Parameters
    ----------
    correlations : array_like, shape (n_E, n_S)
        B.
    gamma, kappa : float
        Decay, positive, and competition.

    Returns
    -------
    ndarray, shape (n_E, n_S)

    Raises
    ------
    ValidationError
        Unless gamma > 0 and kappa >= 0.
    """
    if not gamma > 0 or not kappa >= 0:
        raise ValidationError(f"best_weights: gamma = {gamma!r} must be positive, kappa = {kappa!r} 0 or more.")
    b = np.atleast_2d(np.asarray(correlations, float))
    ordered = -np.sort(-b, axis=1)
    n = np.arange(1, b.shape[1] + 1)
    sums = np.cumsum(ordered, axis=1) / (gamma + n * kappa)  # of the row, if the n largest survive
    survive = ordered > kappa * sums
    last = np.where(survive.any(axis=1), b.shape[1] - 1 - np.argmax(survive[:, ::-1], axis=1), 0)
    total = np.maximum(np.take_along_axis(sums, last[:, None], axis=1), 0.0)
    return np.asarray(np.maximum(b - kappa * total, 0.0) / gamma)


def correlation_value(correlations: ArrayLike, gamma: float = 1.0, kappa: float = 0.0) -> float:
    """Return Phi*(B), the largest <W, B> - Phi(W) over W >= 0: what excitation makes of correlations with inputs."""
    b = np.asarray(correlations, float)
    w = best_weights(b, gamma, kappa)
    return float(np.sum(w * b)) - weight_cost(w, gamma, kappa)


def inhibition_cost(inhibition: ArrayLike, gain: ArrayLike, p: float, q: float = 1.0) -> float:
    """Return Psi(L)/2 of L = diag(gain) + A' A; its gradient in A is what the anti-Hebbian rule takes off.

    Parameters
    ----------
    inhibition : array_like, shape (n_I, n_E)
        A.
    gain : array_like, shape (n_E,)
        Lambda.
    p, q : float
        Targets.
    """
    a = np.asarray(inhibition, float)
    return float(0.5 * (np.sum((a @ targets(a.shape[1], p, q)) * a) + q**2 * np.sum(np.asarray(gain, float))))


def payoff(
    weights: ArrayLike,
    inhibition: ArrayLike,
    gain: ArrayLike,
    rates: ArrayLike,
    inputs: ArrayLike,
    p: float,
    q: float = 1.0,
    gamma: float = 1.0,
    kappa: float = 0.0,
) -> float:
    """Return the payoff F of the game, which W and X raise and A and Lambda lower.

    Parameters
    ----------
    weights : array_like, shape (n_E, n_S)
        W.
    inhibition : array_like, shape (n_I, n_E)
        A.
    gain : array_like, shape (n_E,)
        Lambda.
    rates : array_like, shape (T, n_E)
        X, a row for each stimulus; at rest they maximise F.
    inputs : array_like, shape (T, n_S)
        U.
    p, q, gamma, kappa : float
        As in `seung2018`.
    """
    w, a, x, u = (np.asarray(each, float) for each in (weights, inhibition, rates, inputs))
    c, b = x.T @ x / len(x), x.T @ u / len(x)
    loss = np.sum((a @ c) * a) + np.sum(np.asarray(gain, float) * np.diag(c))
    return float(np.sum(w * b) - 0.5 * loss) - weight_cost(w, gamma, kappa) + inhibition_cost(a, gain, p, q)


def similarity_value(rates: ArrayLike, inputs: ArrayLike) -> float:
    """Return what rates are worth in the softened game, Phi*(B) - Psi*(C)/2 with Phi and Psi half the squares of norms.

    Parameters
    ----------
    rates : array_like, shape (T, n_E)
        X, a row for each stimulus.
    inputs : array_like, shape (T, n_S)
        U.

    References
    ----------
    Luther K, Yang R, Seung HS (2019) 53rd Asilomar Conf., 876-883, doi:10.1109/IEEECONF44664.2019.9048957.
    """
    x, u = np.asarray(rates, float), np.asarray(inputs, float)
    return float(0.5 * np.sum((x.T @ u / len(x)) ** 2) - 0.25 * np.sum((x.T @ x / len(x)) ** 2))


def best_similar_rates(inputs: ArrayLike, n_cells: int, rng: Any = 0, n_starts: int = 5) -> Array:
    """Return rates >= 0 that are worth most in the softened game, by L-BFGS-B from several random starts.

    Parameters
    ----------
    inputs : array_like, shape (T, n_S)
        U.
    n_cells : int
        Number of cells.
    rng : int or Generator
        Where starts are drawn from.
    n_starts : int
        The best of so many; each ends at a local maximum.

    Returns
    -------
    ndarray, shape (T, n_E)
    """
    u = np.asarray(inputs, float)
    generator, n = np.random.default_rng(rng), len(u)

    def loss(flat: Array) -> tuple[float, Array]:
        x = flat.reshape(n, n_cells)
        slope = (u @ (u.T @ x) - x @ (x.T @ x)) / n**2
        return -similarity_value(x, u), -slope.ravel()

    best = min(
        (
            minimize(
                loss,
                generator.exponential(0.3, n * n_cells),
                jac=True,
                method="L-BFGS-B",
                bounds=Bounds(0.0, np.inf),
                options={"maxiter": 2000, "ftol": 1e-13, "gtol": 1e-10},
            )
            for _ in range(n_starts)
        ),
        key=lambda found: found.fun,
    )
    return np.asarray(best.x).reshape(n, n_cells)


def elementwise_excess(moment: ArrayLike, p: float, q: float = 1.0) -> float:
    """Return the largest C_ij - D_ij, which direct inhibition between all cells keeps at 0 (Seung and Zung 2017)."""
    c = np.asarray(moment, float)
    return float((c - targets(len(c), p, q)).max())


def worst_direction(
    moment: ArrayLike, p: float, q: float = 1.0, starts: ArrayLike | None = None, n_random: int = 200, rng: Any = 0
) -> tuple[float, Array]:
    """Search for the vector a >= 0 with the largest a'(C - D) a / |a|^2, by projected power iteration.

    Disynaptic inhibition keeps it at 0 or below where the constraint D - C copositive holds. The search climbs from
    each e_i, the vector of ones, random vectors and those given; it can show a violation, not that there is none.

    Parameters
    ----------
    moment : array_like, shape (n, n)
        Second moments C.
    p, q : float
        Targets.
    starts : array_like, shape (m, n), optional
        Further vectors >= 0 to start from, such as rows of A.
    n_random : int
        Random ones.
    rng : int or Generator
        Where they are drawn from.

    Returns
    -------
    value : float
        In units of rates squared.
    vector : ndarray, shape (n,)
        Of unit length.

    Raises
    ------
    ValidationError
        Unless 0 < p < q.
    """
    values, vectors = climbed_directions(moment, p, q, starts, n_random, rng)
    best = int(values.argmax())
    return float(values[best]), vectors[best]


def climbed_directions(
    moment: ArrayLike, p: float, q: float = 1.0, starts: ArrayLike | None = None, n_random: int = 200, rng: Any = 0
) -> tuple[Array, Array]:
    """Return where the search of `worst_direction` ends from each of its starts.

    Returns
    -------
    values : ndarray, shape (m,)
        a'(C - D) a.
    vectors : ndarray, shape (m, n)
        The vectors a >= 0, of unit length.
    """
    cosine_bound(p, q)
    c = np.asarray(moment, float)
    n = len(c)
    excess = c - targets(n, p, q)
    shift = np.abs(excess).sum(axis=1).max() + q**2  # makes the form convex, so that each step climbs
    generator = np.random.default_rng(rng)
    sparse = generator.random((n_random, n)) < generator.random((n_random, 1))
    drawn = generator.exponential(size=(n_random, n)) * sparse
    given = np.zeros((0, n)) if starts is None else np.atleast_2d(np.asarray(starts, float))
    a = np.concatenate([np.eye(n), np.ones((1, n)), drawn, given])
    a = a[a.any(axis=1)]
    for _ in range(500):
        a = a / np.linalg.norm(a, axis=1, keepdims=True)
        climbed = np.maximum(a @ excess + shift * a, 0.0)
        climbed /= np.linalg.norm(climbed, axis=1, keepdims=True)
        moved, a = np.abs(climbed - a).max(), climbed
        if moved < 1e-10:
            break
    return np.sum((a @ excess) * a, axis=1), a


def targets(n: int, p: float, q: float) -> Array:
    """Return D, shape (n, n): q^2 on its diagonal, p^2 elsewhere."""
    return np.full((n, n), p**2) + (q**2 - p**2) * np.eye(n)
