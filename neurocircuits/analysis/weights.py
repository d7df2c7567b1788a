"""Structure of learned weights: sparsity, duplicated features, and features matched to templates."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.optimize import linear_sum_assignment

from neurocircuits.analysis._select import Array, Values, labelled, weights
from neurocircuits.analysis.decorrelation import cosine_matrix, off_diagonal
from neurocircuits.errors import ValidationError


def nonzero_weights(
    tree: xr.DataTree, pathway: str = "S_to_E", phase: str | None = None, threshold: float = 1e-3
) -> xr.Dataset:
    """Measure which fraction of the synapses of each unit survived.

    Parameters
    ----------
    tree : xarray.DataTree
        Needs the weights of the pathway.
    pathway : str
        Name of the synapses.
    phase : str or None
        At the end of this phase, "initial" for the start, None for the end of the run.
    threshold : float
        A weight counts as non-zero above this fraction of the largest weight onto the same unit.

    Returns
    -------
    xarray.Dataset
        ``fraction_per_unit(unit)`` and ``fraction`` over all weights.

    Raises
    ------
    ValidationError
        If the pathway or phase is missing.
    """
    chosen = nonzero(weights(tree, pathway, phase).values, threshold)
    values: Values = {
        "fraction_per_unit": (("unit",), chosen.mean(axis=1), "1", "fraction of non-zero weights onto the unit"),
        "fraction": ((), chosen.mean(), "1", "fraction of non-zero weights"),
    }
    return labelled(values, pathway=pathway, threshold=threshold)


def nonzero(w: Array, threshold: float = 1e-3) -> Array:
    """Return where magnitudes (post, pre) exceed ``threshold`` times the largest of their row; rows of zeros have none.

    Clipping makes eliminated synapses exactly zero; decay without clipping only makes them small, hence the fraction.
    """
    magnitude = np.abs(np.asarray(w, float))
    return magnitude > threshold * magnitude.max(axis=1, keepdims=True)


def duplicate_features(
    tree: xr.DataTree, pathway: str = "S_to_E", phase: str | None = None, threshold: float = 0.9
) -> xr.Dataset:
    """Find pairs of units that learned the same feature.

    Parameters
    ----------
    tree : xarray.DataTree
        Needs the weights of the pathway.
    pathway : str
        Name of the synapses.
    phase : str or None
        At the end of this phase, "initial" for the start, None for the end of the run.
    threshold : float
        Pairs whose weight vectors have a cosine above it are duplicates.

    Returns
    -------
    xarray.Dataset
        ``n_pairs``, ``first(pair)``, ``second(pair)``, ``cosine(pair)`` in falling order, ``largest_cosine``.

    Raises
    ------
    ValidationError
        If the pathway or phase is missing, or it has one unit only.
    """
    first, second, cosine, largest = duplicate_pairs(weights(tree, pathway, phase).values, threshold)
    values: Values = {
        "n_pairs": ((), first.size, "1", f"pairs of units with a cosine above {threshold:g}"),
        "first": (("pair",), first, "1", "unit"),
        "second": (("pair",), second, "1", "unit"),
        "cosine": (("pair",), cosine, "1", "cosine of their weights"),
        "largest_cosine": ((), largest, "1", "largest cosine of all pairs"),
    }
    return labelled(values, pathway=pathway, threshold=threshold)


def duplicate_pairs(w: Array, threshold: float = 0.9) -> tuple[Array, Array, Array, float]:
    """Return the pairs of rows of weights (post, pre) with a cosine above a threshold.

    Returns
    -------
    first, second : ndarray of int (n_pairs,)
        Rows, first < second, in falling order of their cosine.
    cosine : ndarray (n_pairs,)
        Not centred, so rows without small entries are alike to begin with. Rows of zeros are in no pair.
    largest : float
        The largest cosine of any two rows, NaN if fewer than two are non-zero.
    """
    if len(w) < 2:
        raise ValidationError(f"duplicate_pairs: {len(w)} unit has no pairs; two or more are needed.")
    matrix = cosine_matrix(np.asarray(w, float).T)
    rows, columns = np.triu_indices_from(matrix, k=1)
    cosine = np.nan_to_num(off_diagonal(matrix), nan=-np.inf)
    chosen = np.flatnonzero(cosine > threshold)
    chosen = chosen[np.argsort(-cosine[chosen], kind="stable")]
    largest = float(cosine.max())
    return rows[chosen], columns[chosen], cosine[chosen], largest if np.isfinite(largest) else float("nan")


def matched_features(
    tree: xr.DataTree, templates: Array, pathway: str = "S_to_E", phase: str | None = None, threshold: float = 0.9
) -> xr.Dataset:
    """Count the templates, bars for example, that units have learned, each by a unit of its own.

    Parameters
    ----------
    tree : xarray.DataTree
        Needs the weights of the pathway.
    templates : ndarray (n_templates, n_inputs) or (n_templates, rows, columns)
        What there is to be found.
    pathway : str
        Name of the synapses.
    phase : str or None
        At the end of this phase, "initial" for the start, None for the end of the run.
    threshold : float
        A template is found if its correlation with its unit's weights is above it.

    Returns
    -------
    xarray.Dataset
        ``n_found``, ``found(template)``, ``unit(template)`` (-1 if there are fewer units), ``correlation(template)``.

    Raises
    ------
    ValidationError
        If the pathway or phase is missing, or the templates do not fit.
    """
    return match_templates(weights(tree, pathway, phase).values, templates, threshold)


def match_templates(w: Array, templates: Array, threshold: float = 0.9) -> xr.Dataset:
    """Assign rows of weights (post, pre) to templates, one to one; parameters and result as `matched_features`.

    The Pearson correlation over inputs compares a row with a template, so neither offset nor scale matters. The
    assignment finds as many templates as possible (correlation above the threshold), and among those assignments
    maximises the sum of the correlations (`scipy.optimize.linear_sum_assignment`). A constant row correlates 0.

    Examples
    --------
    >>> import numpy as np
    >>> bars = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    >>> int(match_templates(3 * bars[::-1] + 1, bars)["n_found"])
    2
    """
    w = np.asarray(w, float)
    templates = np.asarray(templates, float).reshape(len(templates), -1)
    if templates.shape[1] != w.shape[1]:
        raise ValidationError(
            f"match_templates: templates have {templates.shape[1]} values, but units {w.shape[1]} inputs."
        )
    if (np.ptp(templates, axis=1) == 0).any():
        constant = int(np.argmax(np.ptp(templates, axis=1) == 0))
        raise ValidationError(
            f"match_templates: template {constant} is constant, so it correlates with nothing. Leave it out."
        )
    correlation = _standardised(templates) @ _standardised(w).T
    reward = correlation + (2 * min(correlation.shape) + 1) * (correlation > threshold)
    rows, columns = linear_sum_assignment(reward, maximize=True)
    unit, best = np.full(len(templates), -1), np.full(len(templates), np.nan)
    unit[rows], best[rows] = columns, correlation[rows, columns]
    values: Values = {
        "n_found": ((), np.sum(best > threshold), "1", f"templates with a correlation above {threshold:g}"),
        "found": (("template",), best > threshold, "1", "whether the template was found"),
        "unit": (("template",), unit, "1", "the unit assigned to it, -1 for none"),
        "correlation": (("template",), best, "1", "Pearson correlation of template and weights"),
    }
    return labelled(values, threshold=threshold)


def _standardised(rows: Array) -> Array:
    """Return rows with mean 0 and norm 1; constant rows become 0."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    varies = norm > 1e-12 * np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(varies, centred / np.where(varies, norm, 1), 0.0)
