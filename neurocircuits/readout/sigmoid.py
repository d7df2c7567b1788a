"""Zanola's top layer and control: sigmoids, cross-entropy of a softmax of the sigmoid outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurocircuits.readout.training import Rates, TorchClassifier


class SigmoidClassifier(TorchClassifier):
    """Zanola's top layer: ``sigmoid(S*h + b)`` on the plain hidden values, cross-entropy, stochastic gradient descent.

    The cross-entropy is that of a softmax of the sigmoid outputs.

    Parameters
    ----------
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
        ``S`` (n_features, n_classes) and ``b`` (n_classes,).
    history_ : dict of str to list
        Epoch, loss, and error of what was watched.

    References
    ----------
    Zanola (2021), slides "Biological networks is all you need".
    """

    def __init__(
        self,
        epochs: int = 40,
        batch: int = 128,
        rates: Rates = ((0.0, 5e-3),),
        optimiser: str = "SGD",
        random_state: Any = None,
        n_jobs: int = 1,
        verbose: int = 0,
    ) -> None:
        self.epochs, self.batch, self.rates, self.optimiser = epochs, batch, rates, optimiser
        self.random_state, self.n_jobs, self.verbose = random_state, n_jobs, verbose

    def _initial(self, n_features: int, n_classes: int, random: np.random.RandomState) -> dict[str, np.ndarray]:
        bound = 1 / np.sqrt(n_features)
        return {
            "S": np.asfortranarray(random.uniform(-bound, bound, (n_features, n_classes))),
            "b": random.uniform(-bound, bound, n_classes),
        }

    def _logits(self, features: Any, parameters: Mapping[str, Any]) -> Any:
        return features @ parameters["S"] + parameters["b"]

    def _outputs(self, features: Any, parameters: Mapping[str, Any], functions: Any) -> Any:
        return _sigmoid(self._logits(features, parameters))

    def _loss(self, outputs: Any, classes: Any, torch: Any) -> Any:
        return torch.nn.functional.cross_entropy(outputs, classes)


class SigmoidBackpropClassifier(TorchClassifier):
    """Zanola's control: sigmoids on the inputs, on hidden and on output units, all weights learned by backprop.

    ``c = sigmoid(S*sigmoid(W*sigmoid(v) + a) + b)``; the loss is the cross-entropy of a softmax of ``c``.

    Parameters
    ----------
    n_hidden : int
        Hidden units.
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
        ``W`` (n_features, n_hidden), ``a`` (n_hidden,), ``S`` (n_hidden, n_classes) and ``b`` (n_classes,).
    history_ : dict of str to list
        Epoch, loss, and error of what was watched.

    References
    ----------
    Zanola (2021), slides "Biological networks is all you need", and notebook: Adam at 0.005 for two epochs.
    """

    def __init__(
        self,
        n_hidden: int = 484,
        epochs: int = 2,
        batch: int = 128,
        rates: Rates = ((0.0, 5e-3),),
        optimiser: str = "Adam",
        random_state: Any = None,
        n_jobs: int = 1,
        verbose: int = 0,
    ) -> None:
        self.n_hidden = n_hidden
        self.epochs, self.batch, self.rates, self.optimiser = epochs, batch, rates, optimiser
        self.random_state, self.n_jobs, self.verbose = random_state, n_jobs, verbose

    def _check(self) -> None:
        super()._check()
        self._whole("n_hidden")

    def _features(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(_sigmoid(X))

    def _differentiable(self, X: Any, torch: Any) -> Any:
        return _sigmoid(X)

    def _initial(self, n_features: int, n_classes: int, random: np.random.RandomState) -> dict[str, np.ndarray]:
        inner, outer = 1 / np.sqrt(n_features), 1 / np.sqrt(self.n_hidden)
        return {
            "W": random.uniform(-inner, inner, (n_features, self.n_hidden)),
            "a": random.uniform(-inner, inner, self.n_hidden),
            "S": np.asfortranarray(random.uniform(-outer, outer, (self.n_hidden, n_classes))),
            "b": random.uniform(-outer, outer, n_classes),
        }

    def _logits(self, features: Any, parameters: Mapping[str, Any]) -> Any:
        return _sigmoid(features @ parameters["W"] + parameters["a"]) @ parameters["S"] + parameters["b"]

    def _outputs(self, features: Any, parameters: Mapping[str, Any], functions: Any) -> Any:
        return _sigmoid(self._logits(features, parameters))

    def _loss(self, outputs: Any, classes: Any, torch: Any) -> Any:
        return torch.nn.functional.cross_entropy(outputs, classes)


def _sigmoid(x: Any) -> Any:
    """Return the logistic function of an array or a tensor."""
    half = 0.5 * x
    return 0.5 * (1 + (np.tanh(half) if isinstance(half, np.ndarray) else half.tanh()))
