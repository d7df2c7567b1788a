"""Initial weights as pure functions of a random stream, and pathways that share the array of another.

Weights are magnitudes: the sign comes from the presynaptic population. A matrix is ``post x pre``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurocircuits.declare.checks import check_numbers, is_number, is_whole, numeric_array
from neurocircuits.declare.serialise import FrozenArray, declaration
from neurocircuits.errors import ValidationError


class Weights:
    """Base of initial weights; ``draw(generator, shape)`` returns a new array of shape (post, pre)."""

    def draw(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Return a new matrix."""
        raise ValidationError(f"{type(self).__name__} has no values of its own.")


@declaration
@dataclass(frozen=True)
class Constant(Weights):
    """The same value for every synapse."""

    value: float

    def __post_init__(self) -> None:
        if not is_number(self.value):
            raise ValidationError(f"Constant: {self.value!r} is not a number.")

    def draw(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Return a new matrix."""
        return np.full(shape, float(self.value))


@declaration
@dataclass(frozen=True)
class Uniform(Weights):
    """Uniform between ``low`` and ``high``."""

    low: float
    high: float

    def __post_init__(self) -> None:
        check_numbers("Uniform", low=self.low, high=self.high)
        if not self.low <= self.high:
            raise ValidationError(f"Uniform: low {self.low!r} is above high {self.high!r}.")

    def draw(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Return a new matrix."""
        return generator.uniform(self.low, self.high, shape)


@declaration
@dataclass(frozen=True)
class Normal(Weights):
    """Normal with ``mean`` and ``sd``; for circuits with ``dale="unconstrained"``, or ``absolute``."""

    mean: float
    sd: float
    absolute: bool = False

    def __post_init__(self) -> None:
        check_numbers("Normal", mean=self.mean, sd=self.sd)
        if self.sd < 0:
            raise ValidationError(f"Normal: sd {self.sd!r} is negative.")

    def draw(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Return a new matrix."""
        values = generator.normal(self.mean, self.sd, shape)
        return np.abs(values) if self.absolute else values


@declaration
@dataclass(frozen=True)
class Lognormal(Weights):
    """Lognormal with median ``median`` and standard deviation ``sigma`` of the logarithm."""

    median: float
    sigma: float

    def __post_init__(self) -> None:
        check_numbers("Lognormal", median=self.median, sigma=self.sigma)
        if self.sigma < 0:
            raise ValidationError(f"Lognormal: sigma {self.sigma!r} is negative.")

    def draw(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Return a new matrix."""
        return self.median * np.exp(self.sigma * generator.standard_normal(shape))


@declaration
@dataclass(frozen=True)
class Given(Weights):
    """Weights given as an array.

    Parameters
    ----------
    values : array_like, shape (post, pre)
        Magnitudes.
    """

    values: Any

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "values", FrozenArray(numeric_array(getattr(self.values, "values", self.values), "Given"))
        )

    def draw(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Return a new matrix."""
        if self.values.values.shape != shape:
            raise ValidationError(
                f"Given: weights of shape {self.values.values.shape} do not fit (post, pre) = {shape}."
            )
        return self.values.values.copy()


@declaration
@dataclass(frozen=True)
class Symmetric(Weights):
    """The symmetric part of other weights, for a lateral pathway of one population."""

    weights: Weights

    def draw(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Return a new matrix."""
        if shape[0] != shape[1]:
            raise ValidationError(f"Symmetric: a pathway of shape (post, pre) = {shape} is not square.")
        values = self.weights.draw(generator, shape)
        return (values + values.T) / 2


@declaration
@dataclass(frozen=True)
class Tied(Weights):
    """The transpose of another pathway: one array, one owner, learned by the owner's rule."""

    owner: str


@declaration
@dataclass(frozen=True)
class Paired(Weights):
    """The negative part of another pathway's array; that pathway keeps the positive part.

    The two pathways have opposite signs. The owner's rule computes the change on the difference, and what crosses zero
    passes to the other side, so both stay magnitudes.

    Parameters
    ----------
    owner : str
        The pathway with the positive part and the rule.
    weights : Weights
        Initial magnitudes of this side; 0 by default.
    """

    owner: str
    weights: Weights = Constant(0.0)


@declaration
@dataclass(frozen=True)
class Normalise:
    """Keep a norm of the weights per target or per source.

    Parameters
    ----------
    per : {"target", "source"}
        Norm over the weights that converge on a target (rows) or leave a source (columns).
    norm : float
        1, 2 or another p of the p-norm.
    value : float
        The norm that is kept.
    every : {"step", "presentation"}
        When: after each learning step or at the end of each presentation.
    """

    per: str = "target"
    norm: float = 2.0
    value: float = 1.0
    every: str = "step"

    def __post_init__(self) -> None:
        if self.per not in ("target", "source") or self.every not in ("step", "presentation"):
            raise ValidationError(
                f"Normalise: per={self.per!r}, every={self.every!r}. Allowed: per 'target' or 'source', every 'step' "
                "or 'presentation'."
            )
        check_numbers("Normalise", norm=self.norm, value=self.value)
        if not (self.norm > 0 and self.value > 0):
            raise ValidationError(f"Normalise: norm {self.norm!r} and value {self.value!r} must be positive.")

    def apply(self, weights: np.ndarray) -> None:
        """Rescale ``weights`` (post, pre) in place; rows or columns of zeros stay."""
        axis = 1 if self.per == "target" else 0
        norms = (np.abs(weights) ** self.norm).sum(axis=axis, keepdims=True) ** (1.0 / self.norm)
        weights *= np.where(norms > 0, self.value / np.where(norms > 0, norms, 1.0), 1.0)


@declaration
@dataclass(frozen=True)
class AllToAll:
    """Connect every pair; without ``self_connections`` the diagonal of a lateral pathway is left out."""

    self_connections: bool = True

    def mask(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray | None:
        """Return which synapses exist, (post, pre) of bool, or None for all."""
        return None if self.self_connections else ~np.eye(*shape, dtype=bool)


@declaration
@dataclass(frozen=True)
class OneToOne:
    """Connect unit i to unit i."""

    def mask(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Return which synapses exist."""
        if shape[0] != shape[1]:
            raise ValidationError(
                f"OneToOne: {shape[1]} presynaptic and {shape[0]} postsynaptic units differ in number."
            )
        return np.eye(*shape, dtype=bool)


@declaration
@dataclass(frozen=True)
class Probability:
    """Connect each pair with a probability."""

    probability: float
    self_connections: bool = True

    def __post_init__(self) -> None:
        if not is_number(self.probability) or not 0 <= self.probability <= 1:
            raise ValidationError(f"Probability: {self.probability!r} is not between 0 and 1.")

    def mask(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Return which synapses exist."""
        mask = generator.random(shape) < self.probability
        return mask if self.self_connections else mask & ~np.eye(*shape, dtype=bool)


@declaration
@dataclass(frozen=True)
class FixedInDegree:
    """Connect ``n`` different presynaptic units, drawn at random, to each postsynaptic unit."""

    n: int

    def __post_init__(self) -> None:
        if not is_whole(self.n) or self.n < 0:
            raise ValidationError(f"FixedInDegree: {self.n!r} is not a whole number of 0 or more.")

    def mask(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Return which synapses exist."""
        if not 0 <= self.n <= shape[1]:
            raise ValidationError(f"FixedInDegree: {self.n} inputs asked of {shape[1]} presynaptic units.")
        mask = np.zeros(shape, dtype=bool)
        for row in mask:
            row[generator.choice(shape[1], self.n, replace=False)] = True
        return mask


@declaration
@dataclass(frozen=True)
class Explicit:
    """Connect the pairs that are given.

    Parameters
    ----------
    post, pre : array_like of int, shape (n_synapses,)
        Indices of the two sides.
    """

    post: Any
    pre: Any

    def __post_init__(self) -> None:
        for name in ("post", "pre"):
            value = getattr(self, name)
            indices = numeric_array(getattr(value, "values", value), f"Explicit.{name}")
            if indices.ndim != 1 or (indices % 1).any() or (indices < 0).any():
                raise ValidationError(f"Explicit.{name}: give whole numbers counted from 0, one for each synapse.")
            object.__setattr__(self, name, FrozenArray(indices.astype(int)))
        if self.post.values.shape != self.pre.values.shape:
            raise ValidationError(
                f"Explicit: {len(self.post.values)} post and {len(self.pre.values)} pre indices; a synapse has one "
                "of each."
            )

    def mask(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Return which synapses exist."""
        for name, n_units in zip(("post", "pre"), shape, strict=True):
            largest = getattr(self, name).values.max(initial=-1)
            if largest >= n_units:
                raise ValidationError(
                    f"Explicit.{name}: index {largest} does not exist among {n_units} units, counted from 0."
                )
        mask = np.zeros(shape, dtype=bool)
        mask[self.post.values, self.pre.values] = True
        return mask


def first_illegal(values: np.ndarray, allowed: np.ndarray) -> str:
    """Describe how many values are not allowed, and the first of them."""
    post, pre = (int(k[0]) for k in np.nonzero(~allowed))
    return f"{int((~allowed).sum())} of {values.size} (first: {values[post, pre]:.6g} at post {post}, pre {pre})"


Connectivity = AllToAll | OneToOne | Probability | FixedInDegree | Explicit
PlainMapping = Mapping[str, Any]
