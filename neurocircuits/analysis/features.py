"""What units respond to and what they have learned: power, sparseness, selectivity, receptive fields, weights."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from neurocircuits.analysis._select import (
    ACTIVE,
    Array,
    Values,
    active,
    check_shapes,
    labelled,
    ratio,
    samples,
    units_of,
    weights,
)
from neurocircuits.errors import ValidationError


def activity(
    tree: xr.DataTree, population: str = "E", phase: str | None = None, threshold: float = ACTIVE
) -> xr.Dataset:
    """Summarise how much the units of a population respond in a phase.

    Parameters
    ----------
    tree : xarray.DataTree
        Needs ``r`` of the population.
    population : str
        Name of the population.
    phase : str or None
        Name of the phase; None if only one was recorded.
    threshold : float
        A rate is active above this fraction of the population's root mean square rate.

    Returns
    -------
    xarray.Dataset
        ``power(unit)`` = <x^2>, ``median_power``, ``silent(unit)`` (never active), ``n_silent``, ``fraction(unit)`` of
        presentations in which a unit is active and ``fraction_active`` over all pairs.

    Raises
    ------
    ValidationError
        If rates were not recorded.
    """
    data = samples(tree, population, ("r",), phase)
    rates = data["r"].transpose("time", "unit").values
    chosen = active(rates, threshold)
    power = np.mean(np.square(rates, dtype=float), axis=0)
    silent = ~chosen.any(axis=0)
    values: Values = {
        "power": (("unit",), power, "rate^2", "mean square rate"),
        "median_power": ((), np.median(power), "rate^2", "median over units of the mean square rate"),
        "silent": (("unit",), silent, "1", "never active"),
        "n_silent": ((), silent.sum(), "1", "number of units that are never active"),
        "fraction": (("unit",), chosen.mean(axis=0), "1", "fraction of presentations in which the unit is active"),
        "fraction_active": ((), chosen.mean(), "1", "fraction of (unit, presentation) pairs that are active"),
    }
    return labelled(values, units_of(data), population=population, threshold=threshold)


def sparseness(tree: xr.DataTree, population: str = "E", phase: str | None = None) -> xr.Dataset:
    """Measure lifetime sparseness of each unit and population sparseness of each presentation.

    Parameters
    ----------
    tree : xarray.DataTree
        Needs ``r`` of the population.
    population : str
        Name of the population.
    phase : str or None
        Name of the phase; None if only one was recorded.

    Returns
    -------
    xarray.Dataset
        ``lifetime(unit)`` and ``population(time)`` after Vinje and Gallant (0 dense, 1 one response only),
        ``lifetime_treves_rolls(unit)`` and ``population_treves_rolls(time)`` after Treves and Rolls (1 dense, 1/n one
        response only), and their means ``mean_...``. NaN where all rates are zero.

    Raises
    ------
    ValidationError
        If rates were not recorded.
    """
    data = samples(tree, population, ("r",), phase)
    rates = data["r"].transpose("time", "unit").values
    values: Values = {}
    for name, dim, axis in (("lifetime", "unit", 0), ("population", "time", 1)):
        tr, vg = treves_rolls(rates, axis), vinje_gallant(rates, axis)
        for key, value, text in (
            (name, vg, "Vinje-Gallant sparseness"),
            (f"{name}_treves_rolls", tr, "Treves-Rolls activity ratio"),
        ):
            mean = np.nanmean(value) if np.isfinite(value).any() else np.nan
            values[key] = ((dim,), value, "1", f"{text}, one value per {dim}")
            values[f"mean_{key}"] = ((), mean, "1", f"mean of {key}")
    coords = {"time": data["time"].values, "presentation": ("time", data["presentation"].values)}
    return labelled(values, units_of(data) | coords, of=population)


def treves_rolls(rates: Array, axis: int = 0) -> Array:
    """Return a = <r>^2 / <r^2> along an axis; NaN where all rates are zero.

    For on-off responses a is the fraction of responses that are on. Not changed by the scale of the rates.

    References
    ----------
    Treves A, Rolls ET (1991) What determines the capacity of autoassociative memories in the brain?, Network 2:371-397.
    """
    r = np.asarray(rates, float)
    return np.asarray(ratio(r.mean(axis=axis) ** 2, np.mean(r**2, axis=axis)))


def vinje_gallant(rates: Array, axis: int = 0) -> Array:
    """Return S = (1 - <r>^2 / <r^2>) / (1 - 1/n) along an axis of length n > 1; NaN where all rates are zero.

    References
    ----------
    Vinje WE, Gallant JL (2000) Sparse coding and decorrelation in primary visual cortex during natural vision,
    Science 287:1273-1276, doi:10.1126/science.287.5456.1273.

    Examples
    --------
    >>> import numpy as np
    >>> float(vinje_gallant(np.array([0.0, 0.0, 3.0]))), float(vinje_gallant(np.array([2.0, 2.0, 2.0])))
    (1.0, 0.0)
    """
    n = np.shape(rates)[axis]
    if n < 2:
        raise ValidationError(f"vinje_gallant: {n} response along axis {axis}; sparseness needs at least two.")
    return (1 - treves_rolls(rates, axis)) / (1 - 1 / n)


def selectivity(tree: xr.DataTree, population: str = "E", phase: str | None = None) -> xr.Dataset:
    """Measure how selective units are for the labels of the stimuli of a phase.

    Parameters
    ----------
    tree : xarray.DataTree
        Needs ``r`` of the population; presentations without a label (-1) are left out.
    population : str
        Name of the population.
    phase : str or None
        Name of the phase; None if only one was recorded.

    Returns
    -------
    xarray.Dataset
        ``response(unit, class)`` the mean rate per label, ``preferred(unit)`` the label of the largest, ``index(unit)``
        and ``explained(unit)``, see `selectivity_measures`; coordinate ``class`` the labels.

    Raises
    ------
    ValidationError
        If rates were not recorded, or there are fewer than two labels.
    """
    data = samples(tree, population, ("r",), phase)
    labels = data["label"].values
    known = labels != -1 if labels.dtype.kind in "if" else np.ones(labels.shape, bool)
    classes = np.unique(labels[known])
    if classes.size < 2:
        raise ValidationError(
            f"population '{population}': selectivity needs stimuli of two labels or more, the presentations have "
            f"{classes.tolist()}. Give them: Patterns(values, labels=...)."
        )
    response, index, explained = selectivity_measures(data["r"].transpose("time", "unit").values[known], labels[known])
    values: Values = {
        "response": (("unit", "class"), response, "rate", "mean rate per label"),
        "preferred": (("unit",), classes[response.argmax(axis=1)], "1", "label with the largest mean rate"),
        "index": (("unit",), index, "1", "(preferred - mean of others) / (preferred + mean of others)"),
        "explained": (("unit",), explained, "1", "fraction of the variance between labels"),
    }
    return labelled(values, units_of(data) | {"class": classes}, population=population)


def selectivity_measures(rates: Array, labels: Array) -> tuple[Array, Array, Array]:
    """Compare the responses to classes of stimuli.

    Parameters
    ----------
    rates : ndarray (T, n)
        Responses, >= 0.
    labels : ndarray (T,)
        Class of each, at least two classes.

    Returns
    -------
    response : ndarray (n, n_classes)
        Mean rate m_k per class, classes sorted.
    index : ndarray (n,)
        (m_max - m_rest)/(m_max + m_rest), m_rest the mean of the other m_k: 0 no preference, 1 one class only; NaN for
        units without response.
    explained : ndarray (n,)
        Squared correlation ratio sum_k T_k (m_k - m)^2 / sum_t (r_t - m)^2; NaN for units that do not vary.

    Raises
    ------
    ValidationError
        If the shapes do not fit, or there is one class only.

    Notes
    -----
    The index is the usual contrast of preferred and other responses, a choice of this package and of no one paper. With
    few presentations per class both are biased upwards; compare with shuffled labels.
    """
    r = np.asarray(rates, float)
    check_shapes("selectivity_measures", rates=(r, "T n"), labels=(labels, "T"))
    classes, which, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if classes.size < 2:
        raise ValidationError(f"selectivity_measures: {classes.size} class among the labels; two or more are compared.")
    member = np.eye(classes.size)[which]
    response = (member.T @ r / counts[:, np.newaxis]).T
    best = response.max(axis=1)
    rest = (response.sum(axis=1) - best) / (classes.size - 1)
    mean = r.mean(axis=0)
    between = ((response - mean[:, np.newaxis]) ** 2) @ counts
    return (
        response,
        np.asarray(ratio(best - rest, best + rest)),
        np.asarray(ratio(between, np.sum((r - mean) ** 2, axis=0))),
    )


def receptive_fields(
    tree: xr.DataTree, pathway: str = "S_to_E", shape: tuple[int, int] | None = None, phase: str | None = None
) -> xr.DataArray:
    """Return the weights onto each unit as an image.

    Parameters
    ----------
    tree : xarray.DataTree
        Needs the weights of the pathway.
    pathway : str
        Name of the synapses.
    shape : (int, int) or None
        Rows and columns of the image; square unless given.
    phase : str or None
        At the end of this phase, "initial" for the start, None for the end of the run.

    Returns
    -------
    xarray.DataArray
        Magnitudes in the unit of the weights, dims ``(unit, row, column)``.

    Raises
    ------
    ValidationError
        If the pathway or phase is missing, or the inputs do not fill the image.
    """
    return as_images(weights(tree, pathway, phase).values, shape, f"synapses '{pathway}'", "weight")


def response_weighted_average(
    tree: xr.DataTree,
    population: str = "E",
    source: str = "S",
    phase: str | None = None,
    shape: tuple[int, int] | None = None,
) -> xr.DataArray:
    """Return the average stimulus of each unit, weighted with its response: sum_t r_i(t) u(t) / sum_t r_i(t).

    Parameters
    ----------
    tree : xarray.DataTree
        Needs ``r`` of the population and of the source in the same presentations.
    population, source : str
        Names of the responding and of the stimulated population.
    phase : str or None
        Name of the phase; None if only one was recorded.
    shape : (int, int) or None
        Rows and columns of the image; square unless given.

    Returns
    -------
    xarray.DataArray
        In the unit of the stimuli, dims ``(unit, row, column)``; NaN for units without response.

    Raises
    ------
    ValidationError
        If rates of either are missing or share no presentation, or the inputs do not fill the image.

    Notes
    -----
    The rate form of the spike-triggered average. It is an unbiased estimate of a linear filter only for stimuli whose
    distribution is spherically symmetric; for images it also shows what tends to occur together with the feature.

    References
    ----------
    Chichilnisky EJ (2001) A simple white noise analysis of neuronal light responses, Network 12:199-213.
    """
    out, into = (samples(tree, name, ("r",), phase) for name in (population, source))
    _, rows, columns = np.intersect1d(out["presentation"].values, into["presentation"].values, return_indices=True)
    if rows.size == 0:
        raise ValidationError(f"populations '{population}' and '{source}' have no recorded presentation in common.")
    r, u = (d["r"].transpose("time", "unit").values[i].astype(float) for d, i in ((out, rows), (into, columns)))
    return as_images(
        np.asarray(ratio(r.T @ u, r.sum(axis=0)[:, np.newaxis])), shape, f"population '{source}'", "stimulus"
    )


def as_images(rows: Array, shape: tuple[int, int] | None, owner: str, units: str) -> xr.DataArray:
    """Fold rows (n, n_inputs) into images (n, row, column), square unless a shape is given."""
    side = math.isqrt(rows.shape[1])
    height, width = shape or (side, side)
    if height * width != rows.shape[1]:
        raise ValidationError(
            f"{owner}: {rows.shape[1]} inputs do not fill an image of {height} x {width}. Pass shape=(rows, columns)."
        )
    return xr.DataArray(rows.reshape(-1, height, width), dims=("unit", "row", "column"), attrs={"units": units})
