"""What attacks work on: a classifier behind a fixed first layer, its margins and gradients, and images in a budget."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from neurocircuits.declare.checks import numeric_array
from neurocircuits.errors import ValidationError
from neurocircuits.readout.training import TorchClassifier, _torch

NORMS = ("inf", "2")
LOSSES = ("margin", "cross-entropy", "trained")
_ROWS = 1000  # images that are attacked at a time


class Attacked:
    """A classifier with its fixed first layer, and the images to be changed; all arrays but what torch works on."""

    def __init__(
        self,
        classifier: TorchClassifier,
        images: ArrayLike,
        labels: ArrayLike,
        rows: ArrayLike | None,
        norm: str,
        mask: ArrayLike | None,
        bounds: tuple[float, float],
        loss: str,
    ) -> None:
        check_is_fitted(classifier)
        self.torch = _torch()
        if norm not in NORMS:
            raise ValidationError(f"attack: norm {norm!r} is not allowed. Choose from: {', '.join(NORMS)}.")
        if loss not in LOSSES:
            raise ValidationError(f"attack: loss {loss!r} is not allowed. Choose from: {', '.join(LOSSES)}.")
        x = np.asarray(images)
        x = x if x.dtype in (np.float32, np.float64) else numeric_array(x, "attack: images")
        weights = None if rows is None else np.array(numeric_array(rows, "attack: rows"), x.dtype, order="C")
        n_pixels = x.shape[1] if x.ndim == 2 and len(x) else 0
        n_read = classifier.n_features_in_
        if not n_pixels or (n_read, n_pixels) != ((n_pixels, n_pixels) if weights is None else weights.shape):
            through = "" if weights is None else f" with rows of shape {weights.shape}"
            raise ValidationError(
                f"attack: images of shape {x.shape}{through} do not lead to the {n_read} features that the classifier "
                "reads. Give images, one in a row, and the rows that it was trained behind."
            )
        low, high = bounds
        if not (low < high and x.min() >= low and x.max() <= high):
            raise ValidationError(
                f"attack: images are between {x.min():g} and {x.max():g}, the bounds are {bounds}. Scale the images, "
                "or give the range that they have."
            )
        y = np.asarray(labels)
        known = np.isin(y, classifier.classes_)
        if y.shape != (len(x),) or not known.all():
            first = "" if known.all() else f" ({y[~known].tolist()[0]!r} is none)"
            raise ValidationError(
                f"attack: labels of shape {y.shape} for {len(x)} images must each be one of the classifier's classes, "
                f"{classifier.classes_.tolist()}{first}."
            )
        self.free = np.ones(n_pixels, dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
        if self.free.shape != (n_pixels,):
            raise ValidationError(f"attack: mask of shape {self.free.shape} is not one value for {n_pixels} pixels.")
        self.classifier, self.images, self.norm, self.bounds, self.loss = classifier, x, norm, bounds, loss
        self.classes = np.searchsorted(classifier.classes_, y)
        convert = self.torch.from_numpy
        self._rows = None if weights is None else convert(weights)
        self._parameters = {name: convert(value.astype(x.dtype)) for name, value in classifier.parameters_.items()}

    def parts(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return images and their classes, some at a time."""
        starts = range(0, len(self.images), _ROWS)
        return [(self.images[k : k + _ROWS], self.classes[k : k + _ROWS]) for k in starts]

    def margins(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return by how much the largest logit of another class exceeds that of the right one."""
        with self.torch.no_grad():
            logits = self.classifier._logits(self._features(self.torch.from_numpy(x.copy())), self._parameters)
            return np.asarray(self._margins(logits, self.torch.from_numpy(y)))

    def look(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradient of the loss of each image, and its margin."""
        torch, classes = self.torch, self.torch.from_numpy(y)
        pixels = torch.from_numpy(x.copy()).requires_grad_()
        features = self._features(pixels)
        logits = self.classifier._logits(features, self._parameters)
        margins = self._margins(logits, classes)
        if self.loss == "margin":
            total = margins.sum()
        elif self.loss == "cross-entropy":
            total = torch.nn.functional.cross_entropy(logits, classes, reduction="sum")
        else:
            outputs = self.classifier._outputs(features, self._parameters, torch)
            total = len(x) * self.classifier._loss(outputs, classes, torch)
        (gradient,) = torch.autograd.grad(total, pixels)
        return np.asarray(gradient), np.asarray(margins.detach())

    def direction(self, gradient: np.ndarray) -> np.ndarray:
        """Return the step of size 1 among pixels that may change by which the loss rises most, to first order."""
        among = np.where(self.free, gradient, 0)
        return np.sign(among) if self.norm == "inf" else _unit(among)

    def random_direction(self, x: np.ndarray, random: np.random.RandomState, inside: bool = False) -> np.ndarray:
        """Return random changes of size 1, or of up to that size, among pixels that may change."""
        drawn = np.zeros_like(x)
        n_free = int(self.free.sum())
        if self.norm == "inf":
            values = random.uniform(-1, 1, (len(x), n_free))
            drawn[:, self.free] = values if inside else np.sign(values)
            return drawn
        drawn[:, self.free] = random.normal(size=(len(x), n_free))
        radius = random.uniform(size=(len(x), 1)) ** (1 / max(n_free, 1)) if inside else 1.0
        return np.asarray(_unit(drawn) * radius, x.dtype)

    def within(self, x: np.ndarray, changed: np.ndarray, budget: float) -> np.ndarray:
        """Return changed images brought back into the budget around ``x``, and into the range of pixels."""
        change = changed - x
        if self.norm == "inf":
            change = change.clip(-budget, budget)
        else:
            size = np.sqrt((change**2).sum(axis=1, keepdims=True))
            change = change * np.minimum(1, budget / np.maximum(size, np.finfo(x.dtype).tiny))
        return np.asarray((x + change).clip(*self.bounds), x.dtype)

    def _features(self, pixels: Any) -> Any:
        currents = pixels if self._rows is None else pixels @ self._rows.T
        return self.classifier._differentiable(currents, self.torch)

    def _margins(self, logits: Any, classes: Any) -> Any:
        right = self.torch.nn.functional.one_hot(classes, logits.shape[1]).bool()
        others = logits.masked_fill(right, -np.inf).amax(dim=1)
        return others - logits.gather(1, classes[:, None])[:, 0]


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors divided by their length; those that vanish stay."""
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0.0)
    scaled = vectors / np.where(largest > 0, largest, 1)  # so that no square underflows
    size = np.sqrt((scaled**2).sum(axis=1, keepdims=True))
    return scaled / np.where(size > 0, size, 1)
