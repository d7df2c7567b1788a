"""Whether competing units share what is presented, or a few take it all and silence the others; who wins what."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.optimize import linear_sum_assignment

from neurocircuits.analysis._select import Array, Values, check_no_nan, labelled, ratio
from neurocircuits.errors import ValidationError


def collapse(currents: Array) -> dict[str, float]:
    """Measure how unevenly units that are ranked by their current share presentations.

    Parameters
    ----------
    currents : ndarray, shape (n_presentations, n_units)
        Input currents.

    Returns
    -------
    dict of str to float
        ``winner_share``, the largest fraction of presentations for which one unit has the largest current, between
        1/n_units and 1; ``silent_share``, the fraction of units whose current is positive for no presentation.

    Raises
    ------
    ValidationError
        If there are no currents, or some are NaN.

    Notes
    -----
    Inputs that are never negative share a large mean. A row of weights near the mean wins everything, and each row that
    is pushed away in turn becomes the negative of the mean: its unit is silent for every input, for good. Random signed
    weights have a large ``winner_share``, too, but next to no silent units.

    References
    ----------
    Krotov and Hopfield (2019), arXiv:1806.10181, section 3, for the rule; the measures are this package's choice.

    Examples
    --------
    >>> import numpy as np
    >>> measures = collapse(np.array([[3.0, -1.0], [2.0, -1.0], [1.0, -2.0]]))
    >>> measures["winner_share"], measures["silent_share"]
    (1.0, 0.5)
    """
    x = _currents(currents, "collapse")
    return {"winner_share": float(wins(x).max() / len(x)), "silent_share": float((x.max(axis=0) <= 0).mean())}


def wins(currents: Array) -> Array:
    """Return how many presentations each unit wins; units with 0 are dead.

    Parameters
    ----------
    currents : ndarray, shape (n_presentations, n_units)
        Input currents, or activities.

    Returns
    -------
    ndarray of int, shape (n_units,)
        Number of presentations for which the unit has the largest current, the first of equal ones.

    Raises
    ------
    ValidationError
        If there are no currents, or some are NaN.
    """
    x = _currents(currents, "wins")
    return np.bincount(x.argmax(axis=1), minlength=x.shape[1])


def winner_agreement(
    currents_a: Array, currents_b: Array, weights_a: Array | None = None, weights_b: Array | None = None
) -> dict[str, float]:
    """Measure for how many presentations two layers have the same winner.

    Parameters
    ----------
    currents_a, currents_b : ndarray, shape (n_presentations, n_units)
        Currents, or activities, of two layers for the same presentations.
    weights_a, weights_b : ndarray, shape (n_units, n_inputs), optional
        Their rows, by which units are matched.

    Returns
    -------
    dict of str to float
        ``same``, the share of presentations that the unit of the same number wins in both (NaN if the layers differ in
        size); with weights also ``matched``, the share after each unit was given the partner that maximises the sum of
        the cosines of rows, and ``cosine``, the mean cosine of those partners.

    Raises
    ------
    ValidationError
        If the presentations are not as many, some currents are NaN, or only one layer has weights.
    """
    a, b = _currents(currents_a, "winner_agreement"), _currents(currents_b, "winner_agreement")
    if len(a) != len(b):
        raise ValidationError(f"winner_agreement: {len(a)} and {len(b)} presentations; show both layers the same ones.")
    first, second = a.argmax(axis=1), b.argmax(axis=1)
    same = float((first == second).mean()) if a.shape[1] == b.shape[1] else float("nan")
    if weights_a is None and weights_b is None:
        return {"same": same}
    if weights_a is None or weights_b is None or (len(weights_a), len(weights_b)) != (a.shape[1], b.shape[1]):
        raise ValidationError("winner_agreement: matching needs the weights of both layers, a row for each unit.")
    unit_a, unit_b = (np.asarray(w, float) for w in (weights_a, weights_b))
    cosines = ratio(unit_a @ unit_b.T, np.outer(*(np.linalg.norm(w, axis=1) for w in (unit_a, unit_b))))
    rows, columns = linear_sum_assignment(np.nan_to_num(cosines, nan=-1.0), maximize=True)
    partner = np.full(len(unit_a), -1)
    partner[rows] = columns
    matched = float((partner[first] == second).mean())
    return {"same": same, "matched": matched, "cosine": float(np.nanmean(cosines[rows, columns]))}


def class_votes(currents: Array, labels: Array) -> xr.Dataset:
    """Count for each unit the classes of the presentations that it wins.

    Parameters
    ----------
    currents : ndarray, shape (n_presentations, n_units)
        Input currents, or activities.
    labels : ndarray, shape (n_presentations,)
        Class of each presentation.

    Returns
    -------
    xarray.Dataset
        ``votes(unit, class)`` counts, ``preferred(unit)`` the class with the most, ``purity(unit)`` its share of the
        unit's wins (NaN for units that win nothing), ``agreement`` the share of all presentations whose winner prefers
        their class; coordinate ``class`` the labels.

    Raises
    ------
    ValidationError
        If there are no currents, some are NaN, or there is not one label for each presentation.
    """
    x, names = _currents(currents, "class_votes"), np.asarray(labels)
    if names.shape != (len(x),):
        raise ValidationError(f"class_votes: labels of shape {names.shape} for {len(x)} presentations; give one each.")
    classes, which = np.unique(names, return_inverse=True)
    cell = x.argmax(axis=1) * classes.size + which
    votes = np.bincount(cell, minlength=x.shape[1] * classes.size).reshape(x.shape[1], classes.size)
    most = votes.max(axis=1)
    values: Values = {
        "votes": (("unit", "class"), votes, "1", "presentations of the class that the unit wins"),
        "preferred": (("unit",), classes[votes.argmax(axis=1)], "1", "class of which the unit wins most"),
        "purity": (("unit",), ratio(most, votes.sum(axis=1)), "1", "its share of the unit's wins"),
        "agreement": ((), most.sum() / len(x), "1", "share of presentations whose winner prefers their class"),
    }
    return labelled(values, {"class": classes})


def _currents(currents: Array, owner: str) -> Array:
    x = np.asarray(currents)
    if x.ndim != 2 or not x.size:
        raise ValidationError(f"{owner}: currents of shape {x.shape} are not (n_presentations, n_units).")
    check_no_nan(x, f"{owner}: currents")
    return x
