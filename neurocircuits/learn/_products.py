"""Products of images and weights that do not depend on what else is in a batch."""

from __future__ import annotations

from typing import Any

import numpy as np

_ROWS = 256  # large enough for BLAS to be fast, also with threads; a single row costs as much as a block


def rectified_products(X: Any, weights: np.ndarray, power: float = 1.0) -> np.ndarray:
    """Return ``max(X W', 0)**power`` in double precision; a row is the same to the bit, alone and among others.

    BLAS adds up in an order that depends on the shape of a product, so every product here has the same shape: rows go
    through it in blocks of one size, and the last block is filled up with zeros.

    Parameters
    ----------
    X : ndarray or CSR, shape (n_samples, n_features)
        Images.
    weights : ndarray, shape (n_units, n_features)
        W.
    power : float
        Exponent.

    Returns
    -------
    ndarray, shape (n_samples, n_units)
        Values of 0 or more.
    """
    factor = np.ascontiguousarray(weights, dtype=float).T
    block = np.zeros((_ROWS, factor.shape[0]))
    product = np.empty((_ROWS, factor.shape[1]))
    out = np.empty((X.shape[0], factor.shape[1]))
    for start in range(0, len(out), _ROWS):
        rows = X[start : start + _ROWS]
        n_rows = rows.shape[0]
        block[:n_rows] = rows.toarray() if hasattr(rows, "toarray") else rows
        block[n_rows:] = 0.0
        np.dot(block, factor, out=product)
        np.maximum(product, 0.0, out=product)
        out[start : start + n_rows] = product[:n_rows] if power == 1.0 else product[:n_rows] ** power
    return out
