"""What the transformers share: images as scikit-learn checks them, settings with names, seeds, frozen presentations."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from neurocircuits.declare.checks import is_number, is_whole
from neurocircuits.declare.protocol import Phase
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.engines.base import Feed, Readings, Simulation
from neurocircuits.errors import ValidationError
from neurocircuits.randomness import Streams
from neurocircuits.units import quantity

_Method = TypeVar("_Method", bound=Callable[..., Any])


class CollapseWarning(UserWarning):
    """A layer collapsed: a few units take everything and the others are silent, or nothing keeps units apart."""


def undone_if_it_fails(learn: _Method) -> _Method:
    """Let a method that learns leave an estimator as it was if it ends in an error: unfitted, or as fitted before."""

    @functools.wraps(learn)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            return learn(self, *args, **kwargs)
        except BaseException as error:
            if not isinstance(error, CollapseWarning):  # made an error by the user, it comes after what was learned
                vars(self).clear()
                vars(self).update(before)
                if "_live" in before:
                    self._live = None  # it may have gone on
            raise

    return method  # type: ignore[return-value]


class CircuitTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Base of the transformers; images are not negative, dense or CSR, one feature comes out for each row of weights.

    Attributes
    ----------
    components_ : ndarray, shape (n_units, n_features)
        Weights.
    n_features_in_ : int
        Number of features that were fitted.
    """

    components_: np.ndarray
    n_features_in_: int

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: arrays, not the simulation that stays open between calls of `partial_fit`."""
        return {name: value for name, value in super().__getstate__().items() if name != "_live"}

    def _images(self, X: Any, reset: bool) -> Any:
        """Return checked images, dense or CSR, in the precision that they have; ``reset`` notes their features."""
        images = validate_data(self, X, reset=reset, accept_sparse="csr", dtype="numeric", ensure_non_negative=True)
        return images.astype(np.float32) if images.dtype == np.float16 else images

    def _whole(self, name: str, least: int = 1) -> int:
        """Return a setting that must be a whole number."""
        value = getattr(self, name)
        if not is_whole(value) or value < least:
            raise ValidationError(f"{type(self).__name__}.{name}: {value!r} is not a whole number of at least {least}.")
        return int(value)

    def _number(self, name: str, least: float | None = None) -> float:
        """Return a setting that must be a finite number, positive or of at least ``least``."""
        value = getattr(self, name)
        if not is_number(value) or not np.isfinite(value) or not (value > 0 if least is None else value >= least):
            allowed = "positive number" if least is None else f"number of at least {least:g}"
            raise ValidationError(f"{type(self).__name__}.{name}: {value!r} is not a finite {allowed}.")
        return float(value)

    def _rate(self, name: str) -> Any:
        """Return a setting that must be a rate of learning of 0 or more."""
        value, owner = getattr(self, name), f"{type(self).__name__}.{name}"
        read = None if is_number(value) else quantity(value, owner)
        if read is None or read.dimension != quantity("1 Hz").dimension or not 0 <= read.value < np.inf:
            raise ValidationError(f"{owner}: {value!r} is not a rate of 0 or more. Write for example '0.5 Hz'.")
        return value


def seed_of(random_state: Any) -> int:
    """Return the seed of a run: a whole number as it is, otherwise one that is drawn."""
    if is_whole(random_state):
        if random_state < 0:
            raise ValidationError(f"random_state: {random_state!r} is negative. Give a whole number from 0, or None.")
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def present(simulation: Simulation, phase: Phase, streams: Streams, look: Callable[[Readings], None]) -> None:
    """Show a phase to a live simulation and look at each batch, whose arrays are used again by the next."""

    def observe(readings: Readings) -> bool:
        look(readings)
        return False

    simulation.begin(phase)
    simulation.go(Feed(lambda start, size: phase.batch(start, size, streams), phase.n_presentations), observe)


def responses(simulation: Simulation, X: Any, variable: str, scale: float = 1.0) -> np.ndarray:
    """Return a variable of population E for each image, (n_samples, unit), with plasticity off."""
    phase = Phase("probe", {"S": Patterns(X, scale=scale)}, plasticity=False)
    parts: list[np.ndarray] = []
    present(simulation, phase, Streams(0), lambda readings: parts.append(np.array(readings.read("E", variable))))
    return np.concatenate(parts)
