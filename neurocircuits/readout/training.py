"""Gradient training of small torch networks behind scikit-learn's interface: minibatches, schedules, curves."""

from __future__ import annotations

import importlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from neurocircuits.declare.checks import is_number, is_whole
from neurocircuits.errors import UnsupportedError, ValidationError, listed
from neurocircuits.progress import Progress

Rates = Sequence[tuple[float, float]]
_ROWS = 4096  # rows that are evaluated at a time
_OTHERS = ("LBFGS", "Muon", "Optimizer", "SparseAdam")  # those that need a closure, matrices alone, or sparse gradients


class TorchClassifier(ClassifierMixin, BaseEstimator):
    """Base of classifiers that torch trains; their parameters are kept as arrays, which is all that predicting needs.

    A subclass says what its features are, which parameters it has, what it computes and what it minimises.
    """

    epochs: int
    batch: int
    rates: Rates
    optimiser: str
    random_state: Any
    n_jobs: int
    verbose: int

    # -- what a subclass says ------------------------------------------------------------------------------------------

    def _prepare(self, X: np.ndarray) -> None:
        """Take from the training data what the features need."""

    def _features(self, X: np.ndarray) -> np.ndarray:
        """Return the fixed features of rows; what is learned comes after them."""
        return X

    def _differentiable(self, X: Any, torch: Any) -> Any:
        """Return the features of rows as torch differentiates them; ``X`` is a tensor."""
        return X

    @abstractmethod
    def _initial(self, n_features: int, n_classes: int, random: np.random.RandomState) -> dict[str, np.ndarray]:
        """Return initial parameters by name; their memory order is kept."""

    @abstractmethod
    def _logits(self, features: Any, parameters: Mapping[str, Any]) -> Any:
        """Return what the output units are a saturating function of, the same for all classes."""

    @abstractmethod
    def _outputs(self, features: Any, parameters: Mapping[str, Any], functions: Any) -> Any:
        """Return the output units, (batch, class), from arrays or tensors; ``functions`` is numpy or torch."""

    @abstractmethod
    def _loss(self, outputs: Any, classes: Any, torch: Any) -> Any:
        """Return what is minimised, from tensors."""

    # -- scikit-learn --------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        watch: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
        watch_every: int = 1,
    ) -> TorchClassifier:
        """Train.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Inputs.
        y : array_like, shape (n,)
            Classes.
        watch : mapping of str to (X, y), optional
            Data whose error is kept in ``history_`` while training. A label that is none of the classes to learn
            counts as an error, as it does in ``score``.
        watch_every : int
            Epochs between such evaluations.

        Returns
        -------
        TorchClassifier
            Itself.

        Raises
        ------
        ValueError
            If the data are no numbers, or there are fewer than two classes.
        UnsupportedError
            If torch is not installed.
        """
        torch = _torch()
        self._check()
        make_optimiser = _optimiser(torch, self.optimiser)
        if not is_whole(watch_every) or watch_every < 1:
            raise ValidationError(
                f"{type(self).__name__}.fit: watch_every {watch_every!r} is not a positive whole number."
            )
        if not isinstance(watch or {}, Mapping) or not all(
            isinstance(pair, tuple | list) and len(pair) == 2 for pair in (watch or {}).values()
        ):
            raise ValidationError(
                f"{type(self).__name__}.fit: watch is no mapping of names to (X, y), such as {{'test': (X, y)}}."
            )
        rows: Any
        given = y
        rows, y = validate_data(self, X, y, dtype=(np.float32, np.float64))
        check_classification_targets(y)
        self.classes_, classes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValidationError(
                f"{type(self).__name__}.fit: y has one class, {self.classes_.tolist()[0]!r}; give two or more."
            )
        random = check_random_state(self.random_state)
        self._prepare(rows)
        features = torch.from_numpy(np.require(self._features(rows), np.float32, ("C", "W")))
        target = torch.from_numpy(classes.astype(np.int64))
        initial = self._initial(features.shape[1], len(self.classes_), random)
        tensors = {
            name: torch.from_numpy(np.array(value, np.float32, order="K")).requires_grad_()
            for name, value in initial.items()
        }
        optimiser = make_optimiser(list(tensors.values()), lr=self.rates[0][1])
        self.history_: dict[str, list[float]] = {
            "epoch": [],
            "loss": [],
            **{f"error_{name}": [] for name in watch or {}},
        }
        watched = {
            name: (features, y) if seen is X and classes_seen is given else self._seen(seen, classes_seen, torch)
            for name, (seen, classes_seen) in (watch or {}).items()
        }
        n_rows = len(features)
        with _threads(torch, self.n_jobs), Progress(self.epochs * n_rows, 0, bool(self.verbose)) as bar:
            for epoch in range(self.epochs):
                rate = [value for start, value in self.rates if start <= epoch / self.epochs][-1]
                optimiser.param_groups[0]["lr"] = rate
                order = torch.from_numpy(random.permutation(n_rows))
                total = 0.0
                for some in order.split(self.batch):
                    loss = self._loss(self._outputs(features[some], tensors, torch), target[some], torch)
                    optimiser.zero_grad(set_to_none=True)
                    loss.backward()
                    optimiser.step()
                    total += float(loss.detach()) * len(some)
                    bar.update(len(some))
                self.parameters_ = {name: value.detach().numpy().astype(float) for name, value in tensors.items()}
                if not np.isfinite(total):
                    raise ValidationError(
                        f"{type(self).__name__}.fit: the loss is not finite after epoch {epoch + 1}. Lower the rates "
                        f"(now {rate:g}) or the power, or scale the features."
                    )
                if watch and ((epoch + 1) % watch_every == 0 or epoch + 1 == self.epochs):
                    with torch.no_grad():
                        for name, (seen, classes_seen) in watched.items():
                            best = [self._logits(part, tensors).argmax(dim=1) for part in seen.split(_ROWS)]
                            wrong = self.classes_[torch.cat(best).numpy()] != classes_seen
                            self.history_[f"error_{name}"].append(float(wrong.mean()))
                    self.history_["epoch"].append(epoch + 1)
                    self.history_["loss"].append(total / n_rows)
        self.n_iter_ = self.epochs
        return self

    def outputs(self, X: ArrayLike) -> np.ndarray:
        """Return the output units.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Inputs.

        Returns
        -------
        ndarray, shape (n, n_classes)
        """
        return self._computed(X, lambda features, parameters: self._outputs(features, parameters, np))

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Return the output units, or the difference of the two where there are two classes.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Inputs.

        Returns
        -------
        ndarray, shape (n, n_classes) or (n,)
        """
        outputs = self.outputs(X)
        return outputs[:, 1] - outputs[:, 0] if len(self.classes_) == 2 else outputs

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the class of the largest output unit, also where output units saturate and are equal in the computer.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Inputs.

        Returns
        -------
        ndarray, shape (n,)
        """
        largest = self._computed(X, self._logits).argmax(axis=1)
        return self.classes_[largest]

    def _seen(self, X: ArrayLike, y: ArrayLike, torch: Any) -> tuple[Any, np.ndarray]:
        """Return features to watch as a tensor, and their labels."""
        rows: Any
        rows, labels = validate_data(self, X, y, dtype=(np.float32, np.float64), reset=False)
        return torch.from_numpy(np.require(self._features(rows), np.float32, ("C", "W"))), labels

    def _computed(self, X: ArrayLike, function: Callable[[Any, Mapping[str, Any]], Any]) -> np.ndarray:
        """Return a function of the features and the parameters, (n, n_classes), some rows at a time."""
        check_is_fitted(self)
        rows: Any = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        starts = range(0, len(rows), _ROWS)
        features = (self._features(rows[k : k + _ROWS]).astype(float, copy=False) for k in starts)
        return np.concatenate([function(some, self.parameters_) for some in features])

    def _check(self) -> None:
        """Refuse settings that are not allowed."""
        self._whole("epochs", "batch", "n_jobs")
        try:
            pairs = [(float(start), float(rate)) for start, rate in self.rates]
        except (TypeError, ValueError):
            pairs = []
        starts = [start for start, _ in pairs]
        rises = bool(starts) and starts[0] == 0 and starts == sorted(starts) and starts[-1] < 1
        if not rises or not all(rate > 0 for _, rate in pairs):
            raise ValidationError(
                f"{type(self).__name__}.rates: {self.rates!r} must be pairs (fraction of the epochs, rate), with "
                "positive rates, and fractions that start at 0, rise and stay below 1."
            )

    def _whole(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if not is_whole(value) or value < 1:
                raise ValidationError(f"{type(self).__name__}.{name}: {value!r} is not a positive whole number.")

    def _positive(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if not is_number(value) or not 0 < value < np.inf:
                raise ValidationError(f"{type(self).__name__}.{name}: {value!r} is not positive and finite.")


def _optimiser(torch: Any, name: str) -> Callable[..., Any]:
    """Return an optimiser of ``torch.optim``, as one fused operation where it has one, which is faster."""
    kinds = {each: kind for each, kind in vars(torch.optim).items() if isinstance(kind, type) and each not in _OTHERS}
    if name not in kinds:
        raise ValidationError(f"optimiser {name!r} is none of torch.optim's for these layers: {listed(kinds)}.")
    kind = kinds[name]
    fused = {"fused": True} if "fused" in signature(kind).parameters else {}
    return partial(kind, **fused)


@contextmanager
def _threads(torch: Any, n: int) -> Iterator[None]:
    """Let torch use so many threads, and take numbers below the normal range for 0, which is many times faster."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


def _torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ImportError:
        raise UnsupportedError(
            "These classifiers are trained by torch, which is not installed. Install it with: pip install "
            "'neurocircuits[torch]'"
        ) from None
