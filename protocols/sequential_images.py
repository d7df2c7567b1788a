"""Read images piece by piece and name what they show at the end: sequential and permuted MNIST."""

from __future__ import annotations

import numpy as np

from neurocircuits.datasets.dataset import Dataset
from neurocircuits.declare.checks import is_whole
from neurocircuits.errors import ValidationError
from neurocircuits.recurrent.tasks import Images, Task


def images(
    train: Dataset,
    test: Dataset,
    n_inputs: int = 1,
    permuted: bool = False,
    validation: float = 1 / 6,
    seed: int = 0,
) -> Task:
    """Return images as sequences of pixels in scan order (Le, Jaitly and Hinton 2015, arXiv:1504.00941).

    Parameters
    ----------
    train, test : Dataset
        Images with labels.
    n_inputs : int
        Pixels of a time step; 1 is the published task, the width of an image reads rows, which is far easier.
    permuted : bool
        Whether the pixels come in one fixed random order.
    validation : float
        Share of the images to train that is set aside; which, ``seed`` says.
    seed : int
        Of the images that are set aside and of the order.

    Raises
    ------
    ValidationError
        If there are no labels, pieces do not fill an image, or nothing is left to train or to validate.
    """
    if train.labels is None or test.labels is None:
        raise ValidationError(f"images: {(train if train.labels is None else test)!r} has no labels.")
    n, n_pixels = train.values.shape
    if not is_whole(n_inputs) or n_inputs < 1 or n_pixels % n_inputs:
        raise ValidationError(f"images: n_inputs {n_inputs!r} does not divide the {n_pixels} pixels of {train!r}.")
    aside = round(validation * n)
    if not 0 < aside < n:
        raise ValidationError(f"images: validation {validation!r} of {n} images leaves none to validate or to train.")
    generator = np.random.default_rng(seed)
    rows = generator.permutation(n)
    order = generator.permutation(n_pixels) if permuted else None
    parts = {
        "train": (train.values[rows[aside:]], train.labels[rows[aside:]]),
        "validation": (train.values[rows[:aside]], train.labels[rows[:aside]]),
        "test": (test.values, test.labels),
    }
    name = f"{'permuted' if permuted else 'sequential'} {train.name}, {n_pixels // n_inputs} steps of {n_inputs}"
    return Images(name, parts, int(n_inputs), order)
