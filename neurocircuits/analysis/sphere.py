"""How rows come to the p-sphere while they learn, and the function that learning climbs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.analysis._select import Array, Values, check_shapes, group, labelled, ratio
from neurocircuits.errors import ValidationError

TOLERANCE = 0.01
"""Distance of sum |w|^p from R^p, in units of it, up to which a row counts as converged."""


def sphere_norms(weights: Array, p: float) -> Array:
    """Return sum |w|^p of each row, in float64.

    Parameters
    ----------
    weights : ndarray, shape (..., n_units, n_inputs)
        Rows of weights.
    p : float
        Exponent.

    Returns
    -------
    ndarray, shape (..., n_units)
        The quantity that the rule of Krotov and Hopfield brings to R^p. It is not the norm: the root is not taken.

    Examples
    --------
    >>> import numpy as np
    >>> sphere_norms(np.array([[3.0, -4.0], [0.0, 1.0]]), 2)
    array([25.,  1.])
    """
    w = np.asarray(weights)
    if w.ndim > 2:  # a snapshot at a time: runs are large
        return np.stack([sphere_norms(snapshot, p) for snapshot in w])
    size = np.abs(w) if w.dtype == np.float64 else np.abs(w).astype(np.float64)
    if p in (2, 3, 4):  # products are many times faster than powers
        square = size * size
        return np.asarray((square if p == 2 else square * size if p == 3 else square * square).sum(axis=-1))
    return np.asarray((size**p).sum(axis=-1))


def converged_fraction(weights: Array, p: float, radius: float = 1.0, tolerance: float = TOLERANCE) -> Any:
    """Return the fraction of rows that lie on the p-sphere.

    Parameters
    ----------
    weights : ndarray, shape (..., n_units, n_inputs)
        Rows of weights.
    p, radius : float
        Exponent and radius of the sphere.
    tolerance : float
        A row is on the sphere where sum |w|^p differs from ``radius**p`` by less than this part of it.

    Returns
    -------
    float or ndarray, shape (...)
        Fraction, between 0 and 1; one for each snapshot if there are several.

    References
    ----------
    Krotov and Hopfield (2019), arXiv:1806.10181, section 2.1; the tolerance is that of Holzhausen et al. (2024),
    arXiv:2405.00679, and a choice.
    """
    distance = np.abs(sphere_norms(weights, p) / float(radius) ** p - 1)
    return (distance < tolerance).mean(axis=-1)[()]


def norm_trace(
    tree: xr.DataTree, p: float, pathway: str = "S_to_E", radius: float = 1.0, tolerance: float = TOLERANCE
) -> xr.Dataset:
    """Follow the rows of a pathway towards the p-sphere, snapshot by snapshot.

    Parameters
    ----------
    tree : xarray.DataTree
        Needs the weights of the pathway.
    p, radius : float
        Exponent and radius of the sphere.
    pathway : str
        Name of the synapses.
    tolerance : float
        As for `converged_fraction`.

    Returns
    -------
    xarray.Dataset
        ``norm(time, unit)``, sum |w|^p, and ``converged(time)``; coordinates ``time`` (s) and ``phase``.

    Raises
    ------
    ValidationError
        If the pathway is missing, or not stored as a matrix of its own.
    """
    data = group(tree, "synapses", pathway)
    if "w" not in data.data_vars or "synapse" in data["w"].dims:
        raise ValidationError(
            f"synapses '{pathway}': the norms of rows need weights that are stored as a matrix, with dimensions time, "
            f"post, pre. Name the pathway that owns the weights, and connect it all to all."
        )
    norms = sphere_norms(data["w"].transpose("time", "post", "pre").values, p)
    converged = (np.abs(norms / float(radius) ** p - 1) < tolerance).mean(axis=1)
    values: Values = {
        "norm": (("time", "unit"), norms, "weight^p", "sum of |w|^p over the row"),
        "converged": (("time",), converged, "1", "fraction of rows on the sphere"),
    }
    coords = {name: ("time", data[name].values) for name in ("time", "phase")}
    return labelled(values, coords, pathway=pathway, p=p, radius=radius, tolerance=tolerance)


def scale_free_currents(weights: Array, image: Array, p: float) -> Array:
    """Return Q = I / (sum |w|^p)^((p - 1)/p), the current that does not change when a row is rescaled.

    Parameters
    ----------
    weights : ndarray, shape (..., n_units, n_inputs)
        Rows of weights.
    image : ndarray, shape (n_inputs,)
        One stimulus.
    p : float
        Exponent; I = sum sign(w) |w|^(p - 1) v.

    Returns
    -------
    ndarray, shape (..., n_units)
        NaN for rows of zeros.

    Raises
    ------
    ValidationError
        If the shapes do not fit, or p is not positive.
    """
    w = np.asarray(weights, float)
    check_shapes("scale-free currents", weights=(w, "... n_units n_inputs"), image=(image, "n_inputs"))
    if not p > 0:
        raise ValidationError(f"scale-free currents: p = {p!r} must be a positive number.")
    current = (w * np.abs(w) ** (p - 2)) @ np.asarray(image, float)
    return np.asarray(ratio(current, sphere_norms(w, p) ** ((p - 1) / p)))


def lyapunov(weights: Array, image: Array, p: float, g: float | Array | Callable[[Array], Array] = 1.0) -> Any:
    """Return L = sum_units G(Q), which learning from one image never lowers.

    Parameters
    ----------
    weights : ndarray, shape (..., n_units, n_inputs)
        Rows of weights; the snapshots of a run, or one.
    image : ndarray, shape (n_inputs,)
        The stimulus that is shown.
    p : float
        Exponent of the norm.
    g : float, ndarray of shape (n_units,), or callable
        Gate of learning: constant values, for which G(Q) = g Q, or the antiderivative G as a function of Q. With
        ranked units the gates are constant until the order changes.

    Returns
    -------
    float or ndarray, shape (...)
        One value for each snapshot.

    Raises
    ------
    ValidationError
        If the shapes do not fit, or p is not positive.

    References
    ----------
    Krotov and Hopfield (2019), arXiv:1806.10181, eq. 3 and appendix A.
    """
    q = scale_free_currents(weights, image, p)
    return np.sum(g(q) if callable(g) else np.asarray(g) * q, axis=-1)[()]
