"""The top layer of Krotov and Hopfield, and their control that learns all its weights by backprop."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted, validate_data

from neurocircuits.errors import ValidationError
from neurocircuits.readout.training import Rates, TorchClassifier

# Krotov and Hopfield (2018), appendix B: 0.001 for 100 of 300 epochs, then per 50 epochs.
PREPRINT_RATES: Rates = ((0.0, 1e-3), (1 / 3, 5e-4), (1 / 2, 1e-4), (2 / 3, 5e-5), (5 / 6, 1e-5))

_SMALL = 1e-3  # is added to variances in units of that of a hidden value


def _parts(X: np.ndarray) -> Iterator[np.ndarray]:
    """Return rows some at a time."""
    return (X[k : k + 1024] for k in range(0, len(X), 1024))


class PowerClassifier(TorchClassifier):
    """The supervised layer of Krotov and Hopfield: ``c = tanh(beta*S*f(h))`` with ``f(h) = max(h, 0)**n``.

    It is trained on the loss ``sum |c - t|**m``, with t = 1 for the class and -1 for all others, by Adam.

    Parameters
    ----------
    n : float
        Power of the hidden units.
    m : float
        Exponent of the loss.
    beta : float
        Gain of the output units.
    scale : {"all", "each", "white"}
        Hidden values are divided by the root of their mean square on the training data: of all units together, which
        leaves their proportions, or of each unit. "white" subtracts the mean of each unit, divides by its standard
        deviation and decorrelates, with 0.001 added to variances. The layer can do the same then, with an offset, but
        learns in better coordinates: photographs have so much in common that nearly all variance of hidden values is
        along one direction, and descent on them as they are takes very long. The sources do not say how hidden values
        were scaled, nor whether there is an offset.
    epochs, batch : int
        Passes over the data, and rows of a minibatch.
    rates : sequence of (float, float)
        Learning rates: from which fraction of the epochs, and how large.
    optimiser : str
        Name in ``torch.optim``.
    random_state : int, RandomState or None
        Seed of the initial weights and of the order.
    n_jobs : int
        Threads; small networks are the slower for more of them.
    verbose : int
        Whether to show progress.

    Attributes
    ----------
    classes_ : ndarray
        The classes.
    parameters_ : dict of str to ndarray
        ``S`` (n_features, n_classes).
    offset_, scale_ : float or ndarray, shape (n_features,)
        What is subtracted from hidden values, and what they are divided by then.
    whitening_ : ndarray, shape (n_features, n_features), or None
        What they are multiplied by then.
    history_ : dict of str to list
        Epoch, loss, and error of what was watched.

    References
    ----------
    Krotov and Hopfield (2018), arXiv:1806.10181, eq. 1 and appendix B.
    """

    def __init__(
        self,
        n: float = 4.5,
        m: float = 6.0,
        beta: float = 1.0,
        scale: str = "all",
        epochs: int = 300,
        batch: int = 100,
        rates: Rates = PREPRINT_RATES,
        optimiser: str = "Adam",
        random_state: Any = None,
        n_jobs: int = 1,
        verbose: int = 0,
    ) -> None:
        self.n, self.m, self.beta, self.scale = n, m, beta, scale
        self.epochs, self.batch, self.rates, self.optimiser = epochs, batch, rates, optimiser
        self.random_state, self.n_jobs, self.verbose = random_state, n_jobs, verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # on data that are no hidden units: it has no offsets, by its source
        return tags

    def _check(self) -> None:
        super()._check()
        self._positive("n", "m", "beta")
        if self.scale not in ("all", "each", "white"):
            raise ValidationError(f"PowerClassifier.scale: {self.scale!r} is none of 'all', 'each' and 'white'.")

    def _prepare(self, X: np.ndarray) -> None:
        first, second = np.zeros((2, X.shape[1]))
        for part in _parts(X):
            h = np.maximum(part, 0.0, dtype=float) ** self.n
            first += h.sum(axis=0) / len(X)
            second += (h**2).sum(axis=0) / len(X)
        if self.scale == "all":
            second = second.mean()
        self.offset_: Any = first if self.scale == "white" else 0.0
        square = np.maximum(second - self.offset_**2, 0.0)
        self.scale_: Any = np.where(square > 1e-12 * second, np.sqrt(square), 1.0)[()]
        self.whitening_: Any = None
        if self.scale == "white":
            scaled = (self._features(part) for part in _parts(X))
            variance, directions = np.linalg.eigh(sum((h.T @ h).astype(float) for h in scaled) / len(X))
            self.whitening_ = directions / np.sqrt(np.maximum(variance, 0.0) + _SMALL)

    def hidden(self, X: ArrayLike) -> np.ndarray:
        """Return the hidden values as output units get them, for another classifier on the same ones.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Currents of hidden units.

        Returns
        -------
        ndarray, shape (n, n_features)
        """
        check_is_fitted(self)
        rows: Any = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        return self._features(rows)

    def _features(self, X: np.ndarray) -> np.ndarray:
        h = np.maximum(X, 0)
        h **= self.n
        h -= np.asarray(self.offset_, h.dtype)
        h /= np.asarray(self.scale_, h.dtype)
        return h if self.whitening_ is None else h @ self.whitening_.astype(h.dtype)

    def _initial(self, n_features: int, n_classes: int, random: np.random.RandomState) -> dict[str, np.ndarray]:
        return {"S": np.asfortranarray(random.uniform(-1, 1, (n_features, n_classes)) / np.sqrt(n_features))}

    def _differentiable(self, X: Any, torch: Any) -> Any:
        positive = X > 0
        h = torch.where(positive, torch.where(positive, X, 1.0) ** self.n, 0.0)
        offset, scale = (torch.as_tensor(value, dtype=X.dtype) for value in (self.offset_, self.scale_))
        h = (h - offset) / scale
        return h if self.whitening_ is None else h @ torch.as_tensor(self.whitening_, dtype=X.dtype)

    def _logits(self, features: Any, parameters: Mapping[str, Any]) -> Any:
        return self.beta * (features @ parameters["S"])

    def _outputs(self, features: Any, parameters: Mapping[str, Any], functions: Any) -> Any:
        return functions.tanh(self._logits(features, parameters))

    def _loss(self, outputs: Any, classes: Any, torch: Any) -> Any:
        return _power_loss(outputs, classes, self.m, torch)


class BackpropClassifier(TorchClassifier):
    """The control of Krotov and Hopfield: the same architecture with all weights learned by backprop.

    ``c = tanh(beta*S*f(W*v))`` with ``f(h) = max(h, 0)**n``, on the same loss.

    Parameters
    ----------
    n_hidden : int
        Hidden units.
    n, m, beta : float
        Power of the hidden units, exponent of the loss, gain of the output units.
    centred : bool
        Whether the mean of the training inputs is subtracted from inputs. Photographs have so much in common that
        descent on them as they are takes very long: 2000 hidden units err on 24 % of the training images of CIFAR-10
        after 8 epochs, and on 47 % with inputs that are not centred.
    epochs, batch : int
        Passes over the data, and rows of a minibatch.
    rates : sequence of (float, float)
        Learning rates: from which fraction of the epochs, and how large.
    optimiser : str
        Name in ``torch.optim``.
    random_state : int, RandomState or None
        Seed of the initial weights and of the order.
    n_jobs : int
        Threads; small networks are the slower for more of them.
    verbose : int
        Whether to show progress.

    Attributes
    ----------
    classes_ : ndarray
        The classes.
    parameters_ : dict of str to ndarray
        ``W`` (n_features, n_hidden) and ``S`` (n_hidden, n_classes).
    offset_ : float or ndarray, shape (n_features,)
        What is subtracted from inputs.
    history_ : dict of str to list
        Epoch, loss, and error of what was watched.

    References
    ----------
    Krotov and Hopfield (2018), arXiv:1806.10181, section 4 and appendix B.
    """

    def __init__(
        self,
        n_hidden: int = 2000,
        n: float = 1.0,
        m: float = 4.0,
        beta: float = 1.0,
        centred: bool = False,
        epochs: int = 100,
        batch: int = 100,
        rates: Rates = ((0.0, 1e-3), (0.5, 2.5e-4), (0.8, 5e-5)),
        optimiser: str = "Adam",
        random_state: Any = None,
        n_jobs: int = 1,
        verbose: int = 0,
    ) -> None:
        self.n_hidden, self.n, self.m, self.beta, self.centred = n_hidden, n, m, beta, centred
        self.epochs, self.batch, self.rates, self.optimiser = epochs, batch, rates, optimiser
        self.random_state, self.n_jobs, self.verbose = random_state, n_jobs, verbose

    def _check(self) -> None:
        super()._check()
        self._whole("n_hidden")
        self._positive("n", "m", "beta")

    def _prepare(self, X: np.ndarray) -> None:
        self.offset_: Any = sum(part.sum(axis=0, dtype=float) for part in _parts(X)) / len(X) if self.centred else 0.0

    def _features(self, X: np.ndarray) -> np.ndarray:
        return X - self.offset_.astype(X.dtype) if np.ndim(self.offset_) else X  # no copy of what is not centred

    def _differentiable(self, X: Any, torch: Any) -> Any:
        return X - torch.as_tensor(self.offset_, dtype=X.dtype)

    def _initial(self, n_features: int, n_classes: int, random: np.random.RandomState) -> dict[str, np.ndarray]:
        return {
            "W": random.uniform(-1, 1, (n_features, self.n_hidden)) / np.sqrt(n_features),
            "S": np.asfortranarray(random.uniform(-1, 1, (self.n_hidden, n_classes)) / np.sqrt(self.n_hidden)),
        }

    def _logits(self, features: Any, parameters: Mapping[str, Any]) -> Any:
        h = _currents(features, parameters["W"]).clip(min=0)
        return self.beta * ((h if self.n == 1 else h**self.n) @ parameters["S"])

    def _outputs(self, features: Any, parameters: Mapping[str, Any], functions: Any) -> Any:
        return functions.tanh(self._logits(features, parameters))

    def _loss(self, outputs: Any, classes: Any, torch: Any) -> Any:
        return _power_loss(outputs, classes, self.m, torch)


def _power_loss(outputs: Any, classes: Any, m: float, torch: Any) -> Any:
    target = torch.full_like(outputs, -1.0)
    target[torch.arange(len(classes)), classes] = 1.0
    return ((outputs - target).abs() ** m).sum(dim=1).mean()


def _currents(features: Any, weights: Any) -> Any:
    """Return ``features @ weights``; of tensors by oneDNN, which takes half as long as torch's own on some machines."""
    if isinstance(features, np.ndarray):
        return features @ weights
    return importlib.import_module("neurocircuits.onednn").product(features, weights.t())
