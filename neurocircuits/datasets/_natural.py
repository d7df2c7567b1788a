"""Patches of the ten whitened natural images of Olshausen and Field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neurocircuits.datasets._fetch import VARIABLE, data_folder
from neurocircuits.datasets.dataset import Dataset
from neurocircuits.errors import DataError, ValidationError
from neurocircuits.randomness import Streams

FOLDER = Path("natural-images", "olshausen-field")
FILES = ("IMAGES.mat", "IMAGES.float32.mat")
ADDRESS = "http://www.rctn.org/bruno/sparsenet/IMAGES.mat"
SHAPE = (512, 512, 10)


def natural_images(
    n: int = 20_000, size: int = 10, *, margin: int = 4, rng: Any = 0, dtype: str = "float32"
) -> Dataset:
    """Cut patches at random places of the whitened images of Olshausen and Field (1996).

    Each patch has the mean 0 and the standard deviation 1, as published networks are shown them.

    Parameters
    ----------
    n : int
        Number of patches.
    size : int
        Side of a patch in pixels.
    margin : int
        Pixels at the border of an image that are left out.
    rng : int or Generator
        Where places are drawn from.
    dtype : {"float32", "float64"}
        Type of the values.

    Returns
    -------
    Dataset
        ``size**2`` values of either sign, labelled with the number of the image.

    Raises
    ------
    DataError
        If the file is not on this machine, or is another one. It may not be passed on, so it is not downloaded.
    ValidationError
        If a number is not allowed.

    References
    ----------
    Olshausen BA, Field DJ (1996) Emergence of simple-cell receptive field properties by learning a sparse code for
    natural images. Nature 381:607-609, doi:10.1038/381607a0.
    """
    most = SHAPE[0] - 2 * margin
    for what, value, low, high in (("n", n, 1, np.inf), ("margin", margin, 0, 255), ("size", size, 2, most)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
            raise ValidationError(f"natural_images: {what} = {value!r} is not a whole number from {low} to {high:g}.")
    images = _read()
    generator = rng if isinstance(rng, np.random.Generator) else Streams(rng).generator("natural images")
    picture = generator.integers(SHAPE[2], size=n)
    row, column = generator.integers(margin, SHAPE[0] - margin - size + 1, size=(2, n))
    across = np.arange(size)
    rows, columns = row[:, None, None] + across[:, None], column[:, None, None] + across
    patches = images[rows, columns, picture[:, None, None]].reshape(n, -1).astype(dtype)
    patches -= patches.mean(axis=1, keepdims=True)
    patches /= patches.std(axis=1, keepdims=True)
    return Dataset(
        name="natural images",
        stored=patches,
        labels=picture.astype(np.uint8),
        image_shape=(size, size),
        dtype=dtype,
        source=f"{ADDRESS}; no terms stated there",
        citation="Olshausen, Field (1996) Nature 381:607-609, doi:10.1038/381607a0",
    )


def _read() -> np.ndarray:
    """Return the images, (row, column, image)."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    folder = data_folder()
    found = [] if folder is None else [folder / FOLDER / name for name in FILES if (folder / FOLDER / name).exists()]
    if not found:
        raise DataError(
            f"The natural images of Olshausen and Field are not on this machine. Get {ADDRESS}, set {VARIABLE} to a "
            f"folder DIR, and put the file at DIR/{FOLDER}/{FILES[0]}."
        )
    try:
        images = loadmat(found[0]).get("IMAGES")
    except (OSError, ValueError, NotImplementedError, MatReadError) as error:  # the third: scipy's, of files of HDF5
        raise DataError(f"{found[0]} cannot be read: {error}. Replace it by {ADDRESS}.") from error
    if images is None or images.shape != SHAPE or not np.isfinite(images).all():
        raise DataError(
            f"{found[0]} does not hold 'IMAGES' of shape {SHAPE} with finite values. Replace it by {ADDRESS}."
        )
    return np.asarray(images)
