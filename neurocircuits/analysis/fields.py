"""What spiking cells have learned from images: fields, how well counts stand for images, and what counts share."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurocircuits.analysis._select import check_shapes
from neurocircuits.errors import ValidationError

_SPECTRUM = 32  # pixels to which a field is padded


def orientation_index(fields: ArrayLike) -> NDArray[np.float64]:
    """Measure how oriented fields are: the length of the mean of exp(2 i theta) over the power spectrum.

    Parameters
    ----------
    fields : array_like, shape (n, rows, columns)
        Fields of at most 32 x 32 pixels.

    Returns
    -------
    ndarray, shape (n,)
        0 for a spectrum that has no direction, 1 for a grating; about 0.1 for white noise of 10 x 10 pixels. NaN for a
        field of zeros.

    Raises
    ------
    ValidationError
        If the shape is another one.

    Examples
    --------
    >>> import numpy as np
    >>> across = np.arange(16) - 7.5
    >>> hump = np.exp(-(across[:, None] ** 2 + across**2) / 20)
    >>> orientation_index([hump * np.cos(2 * across), hump - hump.mean()]).round(1).tolist()
    [1.0, 0.0]
    """
    index: NDArray[np.float64] = np.abs(_direction(fields, "orientation_index"))
    return index


def preferred_orientation(fields: ArrayLike) -> NDArray[np.float64]:
    """Measure along which direction fields change: half the angle of the mean of exp(2 i theta) over the spectrum.

    Parameters
    ----------
    fields : array_like, shape (n, rows, columns)
        Fields of at most 32 x 32 pixels.

    Returns
    -------
    ndarray, shape (n,)
        Radians from 0 to pi: 0 for upright stripes, which change from column to column, pi/2 for level ones. It means
        little where `orientation_index` is small. NaN for a field of zeros.

    Raises
    ------
    ValidationError
        If the shape is another one.

    Examples
    --------
    >>> import numpy as np
    >>> stripes = np.tile(np.cos(2 * np.arange(16)), (16, 1))
    >>> preferred_orientation([stripes.T]).round(2).tolist()
    [1.57]
    """
    angle: NDArray[np.float64] = np.angle(_direction(fields, "preferred_orientation")) / 2 % np.pi
    return angle


def _direction(fields: ArrayLike, what: str) -> NDArray[np.complex128]:
    """Return the mean of exp(2 i theta) over the power spectrum of each field."""
    given = np.asarray(fields, float)
    if given.ndim != 3 or max(given.shape[1:]) > _SPECTRUM:
        raise ValidationError(
            f"{what}: fields of shape {given.shape}. Give (n, rows, columns), {_SPECTRUM} pixels at most."
        )
    power = np.abs(np.fft.fft2(given, (_SPECTRUM, _SPECTRUM))) ** 2
    power[:, 0, 0] = 0.0  # the mean of a field has no direction
    down, across = np.meshgrid(*[np.fft.fftfreq(_SPECTRUM)] * 2, indexing="ij")
    turned = np.exp(2j * np.arctan2(down, across))
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.complex128] = (power * turned).sum(axis=(1, 2)) / power.sum(axis=(1, 2))
    return mean


def rms_correlation(counts: ArrayLike, group: int | None = None) -> float:
    """Return the root mean square of the correlations of all pairs of units.

    Parameters
    ----------
    counts : array_like, shape (n_samples, n_units)
        Spike counts.
    group : int, optional
        Samples that are taken together; what groups give is averaged. Of independent units it is about
        ``1/sqrt(group)``, the error of a correlation: small groups hide weak correlations. All unless given.

    Returns
    -------
    float
        Units that are constant within a group are left out of it; NaN if no pair is left.

    Raises
    ------
    ValidationError
        If there is not one whole group of three samples or more.

    References
    ----------
    King, Zylberberg, DeWeese (2013), J. Neurosci. 33:5475-5485; groups of 100 in the authors' program.
    """
    given = np.asarray(counts, float)
    size = len(given) if group is None else group
    if given.ndim != 2 or not 3 <= size <= len(given):
        raise ValidationError(
            f"rms_correlation: counts of shape {given.shape} in groups of {size}. Give (n_samples, n_units) and groups "
            "of 3 samples or more."
        )
    found = []
    for start in range(0, len(given) - size + 1, size):
        part = given[start : start + size]
        part = part[:, part.std(axis=0) > 0]
        if part.shape[1] > 1:
            pairs = np.corrcoef(part.T)[np.triu_indices(part.shape[1], 1)]
            found.append(float(np.sqrt(np.mean(pairs**2))))
    return float(np.mean(found)) if found else float("nan")


def reconstruction_error(images: ArrayLike, counts: ArrayLike, fields: ArrayLike) -> float:
    """Return how far images are from what fields, times counts, add up to.

    Parameters
    ----------
    images : array_like, shape (n_samples, n_pixels)
        Images of mean 0 and standard deviation 1.
    counts : array_like, shape (n_samples, n_units)
        Spike counts.
    fields : array_like, shape (n_units, n_pixels)
        Fields.

    Returns
    -------
    float
        Root mean square difference, each sum scaled to the standard deviation 1: 0 for equal images, 1 where nothing
        fires, the square root of 2 where there is no relation.

    Raises
    ------
    ValidationError
        If the shapes do not fit.

    References
    ----------
    King, Zylberberg, DeWeese (2013), J. Neurosci. 33:5475-5485, figure 4.
    """
    shown = np.asarray(images, float)
    check_shapes(
        "reconstruction_error",
        images=(shown, "n_samples n_pixels"),
        counts=(counts, "n_samples n_units"),
        fields=(fields, "n_units n_pixels"),
    )
    sums = np.asarray(counts, float) @ np.asarray(fields, float)
    size = sums.std(axis=1, keepdims=True)
    sums = np.divide(sums, size, out=np.zeros_like(sums), where=size > 0)
    return float(np.sqrt(np.mean((shown - sums) ** 2)))
