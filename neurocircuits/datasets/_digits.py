"""The 8 x 8 digits that come with scikit-learn: real images without a download."""

from __future__ import annotations

import numpy as np

from neurocircuits.datasets.dataset import Dataset


def digits(*, dtype: str = "float64") -> Dataset:
    """Load 1797 handwritten digits of 8 x 8 pixels.

    Parameters
    ----------
    dtype : {"float64", "float32"}
        Type of the values.

    Returns
    -------
    Dataset
        64 pixels in 0 to 1 (17 levels, background 0), labels 0 to 9 (uint8).

    References
    ----------
    Alpaydin E, Kaynak C (1998) Optical Recognition of Handwritten Digits. UCI Machine Learning Repository,
    doi:10.24432/C50P49 (the test part of that set).

    Examples
    --------
    >>> digits()
    Dataset('digits', 1797 x 64, images 8 x 8, labelled)
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Dataset(
        name="digits",
        stored=np.asarray(bunch.data).astype(np.uint8),
        labels=np.asarray(bunch.target).astype(np.uint8),
        image_shape=(8, 8),
        scale=1 / 16,
        dtype=dtype,
        source="scikit-learn, sklearn.datasets.load_digits",
        citation="Alpaydin, Kaynak (1998) Optical Recognition of Handwritten Digits, doi:10.24432/C50P49",
    )
