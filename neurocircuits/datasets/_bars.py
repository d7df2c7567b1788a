"""Bars: images that are unions of few independent causes, the classic test of feature discovery."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurocircuits.datasets.dataset import Dataset
from neurocircuits.errors import ValidationError
from neurocircuits.randomness import Streams


def bars(
    n: int,
    side: int = 8,
    probability: float = 1 / 8,
    *,
    rng: int | np.random.Generator,
    combine: Literal["union", "sum"] = "union",
    dtype: str = "float64",
) -> Dataset:
    """Draw images in which each of ``2 * side`` bars is present independently.

    Parameters
    ----------
    n : int
        Number of images.
    side : int
        Pixels along an edge. Bars are ``side`` rows and ``side`` columns.
    probability : float
        Probability that a bar is present.
    rng : int or numpy.random.Generator
        Seed, or the generator to draw from.
    combine : {"union", "sum"}
        Whether a pixel where two bars cross is 1 (the published form) or 2.
    dtype : {"float64", "float32"}
        Type of the values.

    Returns
    -------
    Dataset
        ``side * side`` pixels. Its labels, bool of shape (n, 2 * side), say which bars each image contains: rows from
        top to bottom, then columns from left to right, as in :func:`bar_templates`.

    Raises
    ------
    ValidationError
        If a number is out of its range or ``combine`` is something else.

    References
    ----------
    Foldiak P (1990) Forming sparse representations by local anti-Hebbian learning. Biological Cybernetics 64:165-170,
    doi:10.1007/BF02331346 (its lines: 8 x 8 pixels, probability 1/8, a pixel on a line is 1).

    Examples
    --------
    >>> data = bars(1000, rng=0)
    >>> data
    Dataset('bars', 1000 x 64, images 8 x 8, labelled)
    >>> data.labels.shape
    (1000, 16)
    """
    if n < 0 or side < 1:
        raise ValidationError(f"bars: n = {n}, side = {side}. Expected n >= 0 and side >= 1.")
    if not 0 <= probability <= 1:
        raise ValidationError(f"bars: probability {probability} must lie between 0 and 1.")
    if combine not in ("union", "sum"):
        raise ValidationError(f"bars: combine {combine!r} is unknown. Choose from: union, sum.")
    generator = rng if isinstance(rng, np.random.Generator) else Streams(rng).generator("bars")
    present = generator.random((n, 2 * side)) < probability
    pixels = present[:, :side, None].astype(np.uint8) + present[:, None, side:]
    if combine == "union":
        np.minimum(pixels, 1, out=pixels)
    return Dataset(
        name="bars",
        stored=pixels.reshape(n, side * side),
        labels=present,
        image_shape=(side, side),
        dtype=dtype,
        source="generated",
        citation="Foldiak (1990) Biological Cybernetics 64:165-170, doi:10.1007/BF02331346",
    )


def bar_templates(side: int = 8) -> NDArray[Any]:
    """Return the image of each single bar, the features that a circuit should discover.

    Parameters
    ----------
    side : int
        Pixels along an edge.

    Returns
    -------
    ndarray of float64, shape (2 * side, side * side)
        Rows from top to bottom, then columns from left to right.

    Examples
    --------
    >>> bar_templates(2)
    array([[1., 1., 0., 0.],
           [0., 0., 1., 1.],
           [1., 0., 1., 0.],
           [0., 1., 0., 1.]])
    """
    single, whole = np.eye(side), np.ones((1, side))
    return np.concatenate([np.kron(single, whole), np.kron(whole, single)])
