"""What signed rows of weights look like: where ink is and is not, how smooth and sparse they are, what they copy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurocircuits.analysis._select import Array, ratio
from neurocircuits.analysis.weights import duplicate_pairs
from neurocircuits.errors import ValidationError


def negative_share(weights: Array) -> float:
    """Return the share of negative weights in the sum of all magnitudes, 0 to 1; NaN if all weights are 0."""
    w = np.asarray(weights, float)
    return float(ratio(-np.minimum(w, 0).sum(), np.abs(w).sum()))


def border_ratio(weights: Array, mean_image: Array, dark: float = 0.001) -> float:
    """Return the mean magnitude of weights from pixels without ink, relative to that of all others.

    Parameters
    ----------
    weights : ndarray, shape (n_units, n_pixels)
        Rows of weights.
    mean_image : ndarray, shape (n_pixels,)
        Mean of the images that were shown.
    dark : float
        Pixels whose mean is below it have no ink.

    Returns
    -------
    float
        About 1 for weights that nothing has changed, 0 for an empty border; NaN if no pixel is dark.
    """
    size, border = np.abs(np.asarray(weights, float)), np.asarray(mean_image) < dark
    if not border.any() or border.all():
        return float("nan")
    return float(ratio(size[:, border].mean(), size[:, ~border].mean()))


def best_cosines(weights: Array, images: Any, batch: int = 4096) -> Array:
    """Return the largest cosine of each row with any of a set of images; 1 for a copy.

    Parameters
    ----------
    weights : ndarray, shape (n_units, n_pixels)
        Rows of weights.
    images : array_like or Dataset, shape (n_images, n_pixels)
        Images. They are read in parts, so a set may be larger in memory than it is stored.
    batch : int
        Images in a part.

    Returns
    -------
    ndarray, shape (n_units,)
        NaN for rows of zeros. Images of zeros are left out.

    Raises
    ------
    ValidationError
        If no image has ink, or images and rows differ in length.
    """
    w = np.asarray(weights, float)
    size = np.linalg.norm(w, axis=1, keepdims=True)
    rows = np.divide(w, size, out=np.full(w.shape, np.nan), where=size > 0)
    best, n_inked = np.full(len(w), -np.inf), 0
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        v = np.asarray(getattr(part, "values", part))
        if v.ndim != 2 or v.shape[1] != w.shape[1]:
            raise ValidationError(f"best_cosines: images of shape {v.shape} do not fit rows of {w.shape[1]} weights.")
        length = np.linalg.norm(v, axis=1)
        v, length = v[length > 0], length[length > 0]
        if len(v):
            cosines = rows.astype(v.dtype if v.dtype.kind == "f" else float) @ v.T / length
            np.maximum(best, cosines.max(axis=1), out=best)
            n_inked += len(v)
    if not n_inked:
        raise ValidationError(f"best_cosines: none of {len(images)} images has a value other than 0.")
    return best


def neighbour_correlation(weights: Array, image_shape: tuple[int, ...]) -> Array:
    """Return for each row the correlation of weights from pixels beside or below each other.

    Parameters
    ----------
    weights : ndarray, shape (n_units, n_pixels)
        Rows of weights.
    image_shape : tuple of int
        Rows and columns of an image; colours, if there are any, before both.

    Returns
    -------
    ndarray, shape (n_units,)
        Pearson correlation over all pairs of neighbours of one colour, near 1 for smooth rows and 0 for speckled ones;
        NaN for rows that do not vary.

    Raises
    ------
    ValidationError
        If rows are not images of that shape, or an image has one pixel.
    """
    x = _images(weights, image_shape, "neighbour_correlation")
    if max(x.shape[2:]) < 2:
        raise ValidationError(f"neighbour_correlation: images of shape {image_shape} have no pixels beside each other.")
    first, second = (x[..., :-1], x[..., :-1, :]), (x[..., 1:], x[..., 1:, :])
    return _correlation(*(np.concatenate([s.reshape(len(x), -1) for s in side], axis=1) for side in (first, second)))


def colour_correlation(weights: Array, image_shape: tuple[int, int, int]) -> Array:
    """Return for each row the correlation of weights from the same pixel in two colours, over all pairs of colours.

    Parameters
    ----------
    weights : ndarray, shape (n_units, n_colours * n_rows * n_columns)
        Rows of weights.
    image_shape : (int, int, int)
        Colours, rows and columns of an image.

    Returns
    -------
    ndarray, shape (n_units,)
        Pearson correlation: 1 for rows without colour, negative where one colour is opposed to another; NaN for rows
        that do not vary.

    Raises
    ------
    ValidationError
        If rows are not images of that shape, or there is one colour.
    """
    x = _images(weights, image_shape, "colour_correlation")
    if x.shape[1] < 2:
        raise ValidationError(f"colour_correlation: images of shape {image_shape} have one colour.")
    first, second = np.triu_indices(x.shape[1], k=1)
    return _correlation(x[:, first].reshape(len(x), -1), x[:, second].reshape(len(x), -1))


def row_sparseness(weights: Array) -> Array:
    """Return Hoyer's sparseness of each row, (sqrt(n) - |w|_1/|w|_2)/(sqrt(n) - 1).

    Parameters
    ----------
    weights : ndarray, shape (n_units, n_inputs)
        Rows of weights, of either sign.

    Returns
    -------
    ndarray, shape (n_units,)
        0 where all magnitudes are equal, 1 where one weight is all; NaN for rows of zeros.

    Raises
    ------
    ValidationError
        If a row has one weight.

    References
    ----------
    Hoyer PO (2004) Non-negative matrix factorization with sparseness constraints, J. Mach. Learn. Res. 5:1457-1469,
    section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> row_sparseness(np.array([[0.0, -2.0], [1.0, 1.0]])).round(12)
    array([1., 0.])
    """
    w = np.asarray(weights, float)
    root = math.sqrt(w.shape[-1])
    if root <= 1:
        raise ValidationError("row_sparseness: rows have one weight; sparseness needs at least two.")
    return np.asarray((root - ratio(np.abs(w).sum(axis=-1), np.linalg.norm(w, axis=-1))) / (root - 1))


def redundant_pairs(weights: Array, threshold: float = 0.99) -> int:
    """Return the number of pairs of rows with a cosine above a threshold; see `duplicate_pairs` for which they are."""
    return len(duplicate_pairs(np.asarray(weights), threshold)[0])


def ink_maps(currents: Array, images: Array) -> Array:
    """Return for each unit where images that it wins have more ink than others, and where less.

    Parameters
    ----------
    currents : ndarray, shape (n_images, n_units)
        Input currents of the images.
    images : ndarray, shape (n_images, n_pixels)
        The images.

    Returns
    -------
    ndarray, shape (n_units, n_pixels)
        Mean of the images that the unit wins, less the mean of all images: positive where there is ink when the unit
        wins, negative where there is none though there often is. NaN for units that win nothing.

    Raises
    ------
    ValidationError
        If there is not one row of currents for each image.

    Notes
    -----
    Rows of competing units are said to code for ink and for its absence. Their signs can be compared with this map,
    which knows nothing of the weights but who wins.
    """
    x, v = np.asarray(currents), np.asarray(images, float)
    if x.ndim != 2 or v.ndim != 2 or len(x) != len(v) or not len(x):
        raise ValidationError(f"ink_maps: currents of shape {x.shape} for images of shape {v.shape}; give a row each.")
    member = np.zeros((x.shape[1], len(x)))
    member[x.argmax(axis=1), np.arange(len(x))] = 1.0
    return np.asarray(ratio(member @ v, member.sum(axis=1, keepdims=True)) - v.mean(axis=0))


def _correlation(first: Array, second: Array) -> Array:
    """Return the Pearson correlation of the rows of two matrices, NaN where one does not vary."""
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (first, second))
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    varies = size > 1e-12 * np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.asarray(ratio((a * b).sum(axis=1), np.where(varies, size, 0.0)))


def _images(weights: Array, image_shape: tuple[int, ...], owner: str) -> Array:
    """Return rows as images (n_units, n_colours, n_rows, n_columns)."""
    w = np.asarray(weights, float)
    if w.ndim != 2 or len(image_shape) not in (2, 3) or w.shape[1] != math.prod(image_shape):
        raise ValidationError(f"{owner}: weights of shape {w.shape} are not rows of images of shape {image_shape}.")
    return w.reshape(len(w), -1, *image_shape[-2:])
