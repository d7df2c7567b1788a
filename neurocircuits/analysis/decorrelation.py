"""Decorrelation of a population: cosines of its units, their bound, and the copositivity that bounds them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neurocircuits.analysis._select import ACTIVE, Array, Values, active, labelled, ratio, samples, units_of
from neurocircuits.errors import ValidationError


def decorrelation(
    tree: xr.DataTree,
    population: str = "E",
    phase: str | None = None,
    p: float | None = None,
    q: float | None = None,
    threshold: float = ACTIVE,
) -> xr.Dataset:
    """Measure how alike the units of a population respond in a phase.

    Parameters
    ----------
    tree : xarray.DataTree
        Needs ``r`` of the population.
    population : str
        Name of the population.
    phase : str or None
        Name of the phase; None if only one was recorded.
    p, q : float or None
        Targets of the anti-Hebbian rule (0 < p < q); with both, the bound and what exceeds it are added.
    threshold : float
        A unit is silent if no rate of it exceeds this fraction of the population's root mean square rate.

    Returns
    -------
    xarray.Dataset
        ``second_moment(unit, other)``, ``cosine(unit, other)`` (NaN for silent units), ``silent(unit)``, and over the
        pairs of units that are not silent ``mean_cosine``, ``percentile_95``, ``largest_cosine``, ``pearson_rms``. With
        p and q: ``bound`` = (p/q)^2, ``mean_excess``, ``largest_excess``, ``fraction_above`` (`bound_excess`) and
        ``copositivity`` (`copositivity`, 1000 random vectors).

    Raises
    ------
    ValidationError
        If rates were not recorded, or fewer than two units are not silent.

    Notes
    -----
    Not centred, so any two non-negative units that are often active have a positive cosine. The mean cosine does not
    show diversity: one inhibitory cell already holds it at (p/q)^2 while features are duplicated. Read the 95th
    percentile and the largest cosine with it.

    References
    ----------
    Seung HS (2018) Two "correlation games" for a nonlinear network with Hebbian excitatory neurons and anti-Hebbian
    inhibitory neurons, arXiv:1812.11937, section 2 (second moments, copositivity constraint).
    """
    data = samples(tree, population, ("r",), phase)
    rates = data["r"].transpose("time", "unit").values
    silent = ~active(rates, threshold).any(axis=0)
    loud = np.flatnonzero(~silent)
    if loud.size < 2:
        raise ValidationError(
            f"population '{population}': {loud.size} of {silent.size} units are active, and cosines need two. "
            "Raise the input or the weights, or lower the inhibition."
        )
    moment = second_moment(rates)
    cosine = np.full(moment.shape, np.nan)
    cosine[np.ix_(loud, loud)] = cosine_matrix(rates[:, loud])
    pairs = off_diagonal(cosine[np.ix_(loud, loud)])
    pearson = off_diagonal(pearson_matrix(rates[:, loud]))
    square = ("unit", "other")
    values: Values = {
        "second_moment": (square, moment, "rate^2", "mean over presentations of x_i x_j"),
        "cosine": (square, cosine, "1", "<x_i x_j> / sqrt(<x_i^2> <x_j^2>)"),
        "silent": (("unit",), silent, "1", "units that are never active"),
        "mean_cosine": ((), pairs.mean(), "1", "mean off-diagonal cosine of units that are not silent"),
        "percentile_95": ((), np.percentile(pairs, 95), "1", "95th percentile of those cosines"),
        "largest_cosine": ((), pairs.max(), "1", "largest of those cosines"),
        "pearson_rms": (
            (),
            np.sqrt(np.nanmean(pearson**2)) if np.isfinite(pearson).any() else np.nan,
            "1",
            "rms Pearson correlation",
        ),
    }
    if p is not None and q is not None:
        bound = cosine_bound(p, q)
        values["bound"] = ((), bound, "1", "(p/q)^2")
        values |= {name: ((), value, "1", "above the bound") for name, value in bound_excess(pairs, bound).items()}
        values["copositivity"] = (
            (),
            copositivity(moment, p, q),
            "1",
            "largest a^T (C - D) a / a^T D a over random a >= 0",
        )
    return labelled(values, units_of(data), population=population, threshold=threshold)


def second_moment(rates: Array) -> Array:
    """Return C = X^T X / T, shape (n, n) in rate^2, of rates X (T, n)."""
    x = np.asarray(rates, float)
    return x.T @ x / x.shape[0]


def cosine_matrix(rates: Array) -> Array:
    """Return the cosines <x_i x_j> / sqrt(<x_i^2> <x_j^2>) of the columns of rates (T, n); NaN for columns of zeros.

    The talk that introduced the measure prints the denominator without the square root, which is inconsistent in its
    dimensions; the root makes 1 the cosine of equal units.

    Examples
    --------
    >>> import numpy as np
    >>> float(cosine_matrix(np.array([[3.0, 1.0], [4.0, 0.0]]))[0, 1])
    0.6
    """
    moment = second_moment(rates)
    size = np.sqrt(np.diag(moment))
    return np.asarray(ratio(moment, np.outer(size, size)))


def pearson_matrix(rates: Array) -> Array:
    """Return the Pearson correlations (n, n) of the columns of rates (T, n); NaN for columns that do not vary."""
    x = np.asarray(rates, float)
    centred = x - x.mean(axis=0)
    varies = np.abs(centred).max(axis=0) > 1e-12 * np.abs(x).max(axis=0)
    return cosine_matrix(centred * varies)


def off_diagonal(matrix: Array) -> Array:
    """Return the entries above the diagonal of a symmetric matrix (n, n), one per pair, shape (n (n - 1) / 2,)."""
    matrix = np.asarray(matrix)
    return matrix[np.triu_indices_from(matrix, k=1)]


def cosine_bound(p: float, q: float) -> float:
    """Return (p/q)^2, the bound on cosines when every unit has the power q^2 and C - D is copositive.

    Raises
    ------
    ValidationError
        Unless 0 < p < q.
    """
    if not 0 < p < q:
        raise ValidationError(f"p = {p} and q = {q}: the targets of the anti-Hebbian rule must satisfy 0 < p < q.")
    return (p / q) ** 2


def bound_excess(cosines: Array, bound: float) -> dict[str, float]:
    """Say by how much cosines exceed a bound.

    Parameters
    ----------
    cosines : ndarray (n_pairs,)
        Off-diagonal cosines.
    bound : float
        (p/q)^2.

    Returns
    -------
    dict
        ``mean_excess`` = mean(max(cosine - bound, 0)), ``largest_excess`` = max(cosine) - bound (negative if all obey),
        ``fraction_above`` the fraction of pairs above the bound.
    """
    above = np.asarray(cosines, float) - bound
    return {
        "mean_excess": float(np.maximum(above, 0).mean()),
        "largest_excess": float(above.max()),
        "fraction_above": float((above > 0).mean()),
    }


def copositivity(
    moment: Array, p: float, q: float, vectors: Array | None = None, n_random: int = 1000, seed: int = 0
) -> float:
    """Look for a non-negative vector that violates the constraint a^T (D - C) a >= 0 of the correlation game.

    D = (q^2 - p^2) I + p^2 1 1^T. The search is over all unit vectors e_i (powers at most q^2), all e_i + e_j
    (cosines), the vector of ones, random vectors of random sparseness, and those given. It can show a violation, not
    prove that there is none (that problem is NP-hard). It is cheap because it does not climb from these vectors;
    `games.worst_direction`, relative to |a|^2, and `primal.largest_scale` do.

    Parameters
    ----------
    moment : ndarray (n, n)
        Second moments C, in rate^2.
    p, q : float
        Targets, 0 < p < q, in rate.
    vectors : ndarray (m, n) or None
        Further vectors >= 0, such as the rows of the learned E-I weights, which make the form (nearly) zero.
    n_random : int
        Number of random vectors.
    seed : int
        Seed of the random vectors.

    Returns
    -------
    float
        The largest a^T (C - D) a / a^T D a: at most 0 if the constraint holds on every vector tried.

    Raises
    ------
    ValidationError
        If p, q or the vectors are not as said.

    References
    ----------
    Seung HS (2018) arXiv:1812.11937 (copositivity constraint; the form of D is derived from the plasticity rule).
    """
    cosine_bound(p, q)
    c = np.asarray(moment, float)
    n = c.shape[0]
    random = np.random.default_rng(seed)
    drawn = random.exponential(size=(n_random, n)) * (random.random((n_random, n)) < random.random((n_random, 1)))
    tried = [np.eye(n), np.ones((1, n)), drawn[drawn.any(axis=1)]]
    if vectors is not None:
        given = np.atleast_2d(np.asarray(vectors, float))
        if given.shape[1] != n or (given < 0).any():
            raise ValidationError(f"copositivity: vectors {given.shape} must be (m, {n}) and >= 0.")
        tried.append(given[given.any(axis=1)])
    worst = float(copositivity_form(c, p, q, np.concatenate(tried)).max())
    power = np.diag(c)
    pairs = off_diagonal(power[:, np.newaxis] + power + 2 * c) / (2 * q**2 + 2 * p**2) - 1
    return float(max(worst, pairs.max(initial=worst)))


def copositivity_form(moment: Array, p: float, q: float, vectors: Array) -> Array:
    """Return a^T (C - D) a / a^T D a, shape (m,), for each row a >= 0 of vectors (m, n); 0 at a row of learned A."""
    a = np.asarray(vectors, float)
    form_c = np.einsum("mi,ij,mj->m", a, np.asarray(moment, float), a, optimize=True)
    form_d = (q**2 - p**2) * np.sum(a**2, axis=1) + p**2 * np.sum(a, axis=1) ** 2
    return form_c / form_d - 1
