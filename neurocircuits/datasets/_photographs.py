"""Patches of the two colour photographs that come with scikit-learn: natural images without a download."""

from __future__ import annotations

import numpy as np

from neurocircuits.datasets.dataset import Dataset
from neurocircuits.errors import ValidationError


def photographs(size: int = 8, *, dtype: str = "float64") -> Dataset:
    """Cut two photographs of 427 x 640 pixels into squares that do not overlap.

    Parameters
    ----------
    size : int
        Side of a patch in pixels, 1 to 427.
    dtype : {"float64", "float32"}
        Type of the values.

    Returns
    -------
    Dataset
        Patches in 0 to 1, each ``3 * size**2`` values, red before green before blue; labels 0 (a temple) and 1 (a
        flower).

    Raises
    ------
    ValidationError
        If ``size`` is not allowed.

    References
    ----------
    scikit-learn, ``sklearn.datasets.load_sample_images``; the licenses of both photographs (CC BY) stand beside them.

    Examples
    --------
    >>> photographs()
    Dataset('photographs', 8480 x 192, images 3 x 8 x 8, labelled)
    """
    from sklearn.datasets import load_sample_images

    pictures = load_sample_images().images
    most = min(pictures[0].shape[:2])
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or not 1 <= size <= most:
        raise ValidationError(f"photographs: size {size!r} is not a whole number from 1 to {most}.")
    stored = []
    for picture in pictures:
        down, across = (side // size for side in picture.shape[:2])
        squares = np.asarray(picture)[: down * size, : across * size].reshape(down, size, across, size, 3)
        stored.append(squares.transpose(0, 2, 4, 1, 3).reshape(down * across, -1))
    return Dataset(
        name="photographs",
        stored=np.concatenate(stored),
        labels=np.repeat(np.arange(len(stored), dtype=np.uint8), [len(part) for part in stored]),
        image_shape=(3, int(size), int(size)),
        scale=1 / 255,
        dtype=dtype,
        source="scikit-learn, sklearn.datasets.load_sample_images (CC BY)",
    )
