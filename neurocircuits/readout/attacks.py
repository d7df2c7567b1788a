"""Adversarial images for the classifiers of this package: small changes, found by gradients, that raise the error.

Gradients go from the logits through the power of the hidden units and a fixed layer of rows to the pixels. Where they
vanish an attack fails for a reason that is no robustness, so how often they do is measured, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from neurocircuits.declare.checks import is_whole
from neurocircuits.errors import ValidationError
from neurocircuits.readout._attacked import Attacked
from neurocircuits.readout.training import TorchClassifier

TINY = 1e-6  # relative to the median image: a gradient that has all but vanished


def fgsm(
    classifier: TorchClassifier,
    images: ArrayLike,
    labels: ArrayLike,
    budget: float,
    *,
    rows: ArrayLike | None = None,
    norm: str = "inf",
    mask: ArrayLike | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    loss: str = "margin",
) -> np.ndarray:
    """Change images in one step along their gradient (fast gradient sign method).

    Parameters
    ----------
    classifier : TorchClassifier
        A fitted classifier of `neurocircuits.readout`.
    images : array_like, shape (n, n_pixels)
        Images within ``bounds``.
    labels : array_like, shape (n,)
        Their classes.
    budget : float
        Largest change: of a pixel (``norm="inf"``), or of the image as a vector (``norm="2"``).
    rows : array_like, shape (n_hidden, n_pixels), optional
        Weights W of a fixed first layer: the classifier was trained on ``images @ rows.T``. Pixels are read unless
        given.
    norm : {"inf", "2"}
        How a change is measured.
    mask : array_like of bool, shape (n_pixels,), optional
        Pixels that may change; all unless given.
    bounds : (float, float)
        Range of the pixels; what goes beyond is cut off.
    loss : {"margin", "cross-entropy", "trained"}
        What is raised: the largest logit of another class less that of the right one, the cross-entropy of the logits,
        or the classifier's own loss on its output units, which saturates with them.

    Returns
    -------
    ndarray, shape (n, n_pixels)
        Changed images.

    Raises
    ------
    ValidationError
        If shapes do not fit each other, an image is out of bounds, a label is none of the classifier's classes, or a
        setting is not allowed.
    UnsupportedError
        If torch is not installed.

    References
    ----------
    Goodfellow, Shlens and Szegedy (2015), arXiv:1412.6572, section 4.
    """
    attacked = Attacked(classifier, images, labels, rows, norm, mask, bounds, loss)
    budget = _positive("fgsm: budget", budget, zero=True)
    changed = []
    for x, y in attacked.parts():
        gradient, _ = attacked.look(x, y)
        changed.append(attacked.within(x, x + budget * attacked.direction(gradient), budget))
    return np.concatenate(changed)


def pgd(
    classifier: TorchClassifier,
    images: ArrayLike,
    labels: ArrayLike,
    budget: float,
    *,
    rows: ArrayLike | None = None,
    norm: str = "inf",
    mask: ArrayLike | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    loss: str = "margin",
    steps: int = 20,
    step: float | None = None,
    random_state: Any = None,
) -> np.ndarray:
    """Change images in many steps along their gradient, each followed by a return into the budget (projected gradient).

    Parameters
    ----------
    classifier : TorchClassifier
        A fitted classifier of `neurocircuits.readout`.
    images : array_like, shape (n, n_pixels)
        Images within ``bounds``.
    labels : array_like, shape (n,)
        Their classes.
    budget : float
        Largest change: of a pixel (``norm="inf"``), or of the image as a vector (``norm="2"``).
    rows : array_like, shape (n_hidden, n_pixels), optional
        Weights W of a fixed first layer: the classifier was trained on ``images @ rows.T``. Pixels are read unless
        given.
    norm : {"inf", "2"}
        How a change is measured.
    mask : array_like of bool, shape (n_pixels,), optional
        Pixels that may change; all unless given.
    bounds : (float, float)
        Range of the pixels; what goes beyond is cut off.
    loss : {"margin", "cross-entropy", "trained"}
        What is raised, as in `fgsm`.
    steps : int
        Number of steps.
    step : float, optional
        Size of a step; ``2.5*budget/steps`` unless given.
    random_state : int, RandomState or None
        Seed of the start, a random point within the budget.

    Returns
    -------
    ndarray, shape (n, n_pixels)
        For each image, the one of largest margin among the image itself and all that was visited.

    Raises
    ------
    ValidationError
        As `fgsm`.
    UnsupportedError
        If torch is not installed.

    References
    ----------
    Madry, Makelov, Schmidt, Tsipras and Vladu (2018), arXiv:1706.06083, section 2.1.
    """
    attacked = Attacked(classifier, images, labels, rows, norm, mask, bounds, loss)
    budget = _positive("pgd: budget", budget, zero=True)
    size = 2.5 * budget / _whole("pgd: steps", steps) if step is None else _positive("pgd: step", step)
    random = check_random_state(random_state)
    changed = []
    for x, y in attacked.parts():
        best, margin = x.copy(), attacked.margins(x, y)
        now = attacked.within(x, x + budget * attacked.random_direction(x, random, inside=True), budget)
        for _ in range(steps):
            gradient, found = attacked.look(now, y)
            _keep_best(best, margin, now, found)
            now = attacked.within(x, now + size * attacked.direction(gradient), budget)
        _keep_best(best, margin, now, attacked.margins(now, y))
        changed.append(best)
    return np.concatenate(changed)


def random_directions(
    classifier: TorchClassifier,
    images: ArrayLike,
    labels: ArrayLike,
    budget: float,
    *,
    rows: ArrayLike | None = None,
    norm: str = "inf",
    mask: ArrayLike | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    trials: int = 20,
    random_state: Any = None,
) -> np.ndarray:
    """Change images in random directions and keep the worst for each: an attack that needs no gradient.

    Where it does more than `pgd` with the same budget, the gradients are masked.

    Parameters
    ----------
    classifier : TorchClassifier
        A fitted classifier of `neurocircuits.readout`.
    images : array_like, shape (n, n_pixels)
        Images within ``bounds``.
    labels : array_like, shape (n,)
        Their classes.
    budget : float
        Size of the change: of each pixel (``norm="inf"``), or of the image as a vector (``norm="2"``).
    rows : array_like, shape (n_hidden, n_pixels), optional
        Weights W of a fixed first layer, as in `fgsm`.
    norm : {"inf", "2"}
        How a change is measured.
    mask : array_like of bool, shape (n_pixels,), optional
        Pixels that may change; all unless given.
    bounds : (float, float)
        Range of the pixels; what goes beyond is cut off.
    trials : int
        Directions for each image.
    random_state : int, RandomState or None
        Seed of the directions.

    Returns
    -------
    ndarray, shape (n, n_pixels)
        For each image, the one of largest margin among the image itself and all that was tried.

    Raises
    ------
    ValidationError
        As `fgsm`.

    References
    ----------
    Athalye, Carlini and Wagner (2018), arXiv:1802.00420, section 3.1, for what masked gradients show.
    """
    attacked = Attacked(classifier, images, labels, rows, norm, mask, bounds, "margin")
    budget = _positive("random_directions: budget", budget, zero=True)
    random, trials = check_random_state(random_state), _whole("random_directions: trials", trials)
    changed = []
    for x, y in attacked.parts():
        best, margin = x.copy(), attacked.margins(x, y)
        for _ in range(trials):
            tried = attacked.within(x, x + budget * attacked.random_direction(x, random), budget)
            _keep_best(best, margin, tried, attacked.margins(tried, y))
        changed.append(best)
    return np.concatenate(changed)


def gradients(
    classifier: TorchClassifier,
    images: ArrayLike,
    labels: ArrayLike,
    *,
    rows: ArrayLike | None = None,
    loss: str = "margin",
    bounds: tuple[float, float] = (0.0, 1.0),
) -> np.ndarray:
    """Return how the loss of each image changes with its pixels.

    Parameters
    ----------
    classifier : TorchClassifier
        A fitted classifier of `neurocircuits.readout`.
    images : array_like, shape (n, n_pixels)
        Images within ``bounds``.
    labels : array_like, shape (n,)
        Their classes.
    rows : array_like, shape (n_hidden, n_pixels), optional
        Weights W of a fixed first layer, as in `fgsm`.
    loss : {"margin", "cross-entropy", "trained"}
        Which loss, as in `fgsm`.
    bounds : (float, float)
        Range of the pixels.

    Returns
    -------
    ndarray, shape (n, n_pixels)
        Gradients, in the precision of the images.
    """
    attacked = Attacked(classifier, images, labels, rows, "2", None, bounds, loss)
    return np.concatenate([attacked.look(x, y)[0] for x, y in attacked.parts()])


def vanished_share(gradients: ArrayLike, tiny: float = TINY) -> dict[str, float]:
    """Measure how many images have no gradient to follow.

    Parameters
    ----------
    gradients : array_like, shape (n, n_pixels)
        What `gradients` returned.
    tiny : float
        How much smaller than that of the median image a gradient is that has all but vanished.

    Returns
    -------
    dict of str to float
        ``zero``, the share of images whose gradient is 0 in all pixels, and ``tiny``, of those whose largest component
        is below ``tiny`` times the median of the others that are not 0.
    """
    largest = np.abs(np.asarray(gradients)).max(axis=1)
    some = largest[largest > 0]
    scale = float(np.median(some)) if some.size else 0.0
    return {"zero": float((largest == 0).mean()), "tiny": float((largest <= tiny * scale).mean())}


def _keep_best(best: np.ndarray, margin: np.ndarray, tried: np.ndarray, found: np.ndarray) -> None:
    """Replace, in place, what has a smaller margin than what was tried."""
    better = found > margin
    best[better], margin[better] = tried[better], found[better]


def _positive(what: str, value: float, zero: bool = False) -> float:
    if not (np.isfinite(value) and (value >= 0 if zero else value > 0)):
        raise ValidationError(
            f"{what} {value!r} is not a finite {'number of 0 or more' if zero else 'positive number'}."
        )
    return float(value)


def _whole(what: str, value: int) -> int:
    if not is_whole(value) or value < 1:
        raise ValidationError(f"{what} {value!r} is not a positive whole number.")
    return int(value)
