"""Operations on the large arrays of a steady-state run, in the form that is fast."""

from __future__ import annotations

from typing import Any

import numpy as np

_LARGE = 1 << 24  # multiplications from which the form of a product matters
_TURNED = 128  # presentations up to which the transpose of a product is the faster one
_PANEL = 50_000  # values that are turned at a time
_MARGIN = 32  # inputs at an end are left out where at least one in so many is silent there


def product(factor: Any, matrix: np.ndarray) -> np.ndarray:
    """Return ``factor @ matrix.T``.

    Inputs at both ends that are silent throughout a batch, as the border of an image, are left out. BLAS computes the
    transpose up to a tenth faster where a batch is small; it is turned panel by panel, while a panel is in the cache.

    Parameters
    ----------
    factor : ndarray or CSR, shape (batch, pre)
        What is sent.
    matrix : ndarray, shape (post, pre)
        What synapses make of it; finite.

    Returns
    -------
    ndarray, shape (batch, post)
        A new array.
    """
    n_rows, n_post = factor.shape[0], len(matrix)
    plain = not isinstance(factor, np.ndarray) or factor.dtype != matrix.dtype
    if plain or not 1 < n_rows <= _TURNED or n_rows * matrix.size < _LARGE:
        return factor @ matrix.T
    shown = _shown(factor)
    factor, matrix = factor[:, shown], matrix[:, shown]
    result, height = np.empty((n_rows, n_post), matrix.dtype), _PANEL // n_rows
    panel = np.empty((height, n_rows), matrix.dtype)
    for start in range(0, n_post, height):
        part = matrix[start : start + height]
        result[:, start : start + height] = np.matmul(part, factor.T, out=panel[: len(part)]).T
    return result


def _shown(factor: np.ndarray) -> slice:
    """Return the inputs between those at the ends that are silent throughout a batch."""
    margin = 1 + factor.shape[1] // _MARGIN
    if factor[:, :margin].any() and factor[:, -margin:].any():
        return slice(None)
    shown = ((factor.max(axis=0) != 0) | (factor.min(axis=0) != 0)).nonzero()[0]
    return slice(shown[0], shown[-1] + 1) if len(shown) else slice(0)
