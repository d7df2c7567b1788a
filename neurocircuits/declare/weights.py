"""Initial weights as pure functions of a random stream, and pathways that share the array of another.

Weights are magnitudes: the sign comes from the presynaptic population. A matrix is ``post x pre``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from neurocircuits.declare.checks import check_numbers, numeric_array
from neurocircuits.declare.connectivity import Pairs
from neurocircuits.declare.serialise import FrozenArray, declaration
from neurocircuits.errors import UnitError, ValidationError
from neurocircuits.units import Dimension, Quantity, quantity, unit_text


class Weights:
    """Base of initial weights; ``draw(generator, shape)`` returns a new array, (post, pre) for a matrix.

    Values are plain numbers in SI units or quantities such as ``"3 nS"``. What is drawn for synapses can be drawn for
    units, as initial values of a population, and as delays.
    """

    @property
    def dimension(self) -> Dimension | None:
        """Dimension of the values; None if they are plain numbers.

        Raises
        ------
        UnitError
            If there are several.
        """
        parts = (getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]
        given = (part.dimension for part in parts if isinstance(part, Weights | Quantity))
        found = {dimension for dimension in given if dimension is not None}
        if len(found) > 1:
            raise UnitError(
                f"{type(self).__name__}: values in {' and '.join(sorted(map(unit_text, found)))}. Give all in one unit."
            )
        return found.pop() if found else None

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return a new matrix."""
        raise ValidationError(f"{type(self).__name__} has no values of its own.")

    def listed(self, generator: np.random.Generator, shape: tuple[int, int], pairs: Pairs) -> np.ndarray:
        """Return a new weight for each synapse of a list of post and pre indices."""
        return self.draw(generator, (len(pairs[0]),))

    def __add__(self, other: Weights) -> Weights:
        return Added(self, other)


def _read(weights: Weights, *names: str) -> list[float]:
    """Let fields be plain numbers or quantities, all of one dimension, and return their values in SI units."""
    owner = type(weights).__name__
    for name in names:
        value = getattr(weights, name)
        if isinstance(value, str) or hasattr(value, "dim"):  # the latter are Brian 2's quantities
            read = quantity(value, f"{owner}: {name}")
            object.__setattr__(weights, name, read if any(read.dimension) else read.value)
    values = {name: _number(getattr(weights, name)) for name in names}
    check_numbers(owner, **values)
    if weights.dimension is not None:
        for name, value in values.items():
            if value and not isinstance(getattr(weights, name), Quantity):
                unit = unit_text(weights.dimension)
                raise UnitError(f"{owner}: {name} is {value!r}, without a unit, but others are in {unit}. Give it one.")
    return list(values.values())


def _number(value: Any) -> Any:
    return value.value if isinstance(value, Quantity) else value


@declaration
@dataclass(frozen=True)
class Constant(Weights):
    """The same value for every synapse."""

    value: Any

    def __post_init__(self) -> None:
        _read(self, "value")

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return a new matrix."""
        return np.full(shape, float(_number(self.value)))


@declaration
@dataclass(frozen=True)
class Uniform(Weights):
    """Uniform between ``low`` and ``high``."""

    low: Any
    high: Any

    def __post_init__(self) -> None:
        low, high = _read(self, "low", "high")
        if not low <= high:
            raise ValidationError(f"Uniform: low {self.low!s} is above high {self.high!s}.")

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return a new matrix."""
        return generator.uniform(_number(self.low), _number(self.high), shape)


@declaration
@dataclass(frozen=True)
class Normal(Weights):
    """Normal with ``mean`` and ``sd``; for circuits with ``dale="unconstrained"``, or ``absolute``."""

    mean: Any
    sd: Any
    absolute: bool = False

    def __post_init__(self) -> None:
        if _read(self, "mean", "sd")[1] < 0:
            raise ValidationError(f"Normal: sd {self.sd!s} is negative.")

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return a new matrix."""
        values = generator.normal(_number(self.mean), _number(self.sd), shape)
        return np.abs(values) if self.absolute else values


@declaration
@dataclass(frozen=True)
class Lognormal(Weights):
    """Lognormal with median ``median`` and standard deviation ``sigma`` of the logarithm."""

    median: Any
    sigma: float

    def __post_init__(self) -> None:
        _read(self, "median")
        check_numbers("Lognormal", sigma=self.sigma)
        if self.sigma < 0:
            raise ValidationError(f"Lognormal: sigma {self.sigma!r} is negative.")

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return a new matrix."""
        return np.asarray(_number(self.median) * np.exp(self.sigma * generator.standard_normal(shape)))


@declaration
@dataclass(frozen=True)
class Given(Weights):
    """Weights given as an array.

    Parameters
    ----------
    values : array_like, shape (post, pre) or (n_synapses,)
        Magnitudes; one for each pair where spikes cross connections that are `Explicit`.
    """

    values: Any

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "values", FrozenArray(numeric_array(getattr(self.values, "values", self.values), "Given"))
        )

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return a new matrix."""
        if self.values.values.shape != shape:
            one_each = "; one value for each synapse goes with Explicit connectivity" * (self.values.values.ndim == 1)
            raise ValidationError(
                f"Given: values of shape {self.values.values.shape} do not fit (post, pre) = {shape}{one_each}."
            )
        return self.values.values.copy()

    def listed(self, generator: np.random.Generator, shape: tuple[int, int], pairs: Pairs) -> np.ndarray:
        """Return a new weight for each synapse of a list of post and pre indices."""
        return self.draw(generator, shape)[pairs]


@declaration
@dataclass(frozen=True)
class Added(Weights):
    """The sum of two kinds of weights, ``Given(tuning) + Uniform(0, 0.1)``."""

    first: Weights
    second: Weights

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return a new matrix."""
        return self.first.draw(generator, shape) + self.second.draw(generator, shape)

    def listed(self, generator: np.random.Generator, shape: tuple[int, int], pairs: Pairs) -> np.ndarray:
        """Return a new weight for each synapse of a list of post and pre indices."""
        return self.first.listed(generator, shape, pairs) + self.second.listed(generator, shape, pairs)


@declaration
@dataclass(frozen=True)
class Clipped(Weights):
    """Other weights, those below ``low`` set to it and those above ``high`` to that one.

    As in ``Clipped(Normal("1.5 ms", "0.5 ms"), "0.1 ms", "3 ms")``.
    """

    weights: Weights
    low: Any
    high: Any

    def __post_init__(self) -> None:
        if not isinstance(self.weights, Weights):
            raise ValidationError(f"Clipped: {self.weights!r} is not drawn. Give Normal(...) or other weights.")
        low, high = _read(self, "low", "high")
        if not low <= high:
            raise ValidationError(f"Clipped: low {self.low!s} is above high {self.high!s}.")

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return a new matrix."""
        return np.clip(self.weights.draw(generator, shape), _number(self.low), _number(self.high))

    def listed(self, generator: np.random.Generator, shape: tuple[int, int], pairs: Pairs) -> np.ndarray:
        """Return a new weight for each synapse of a list of post and pre indices."""
        return np.clip(self.weights.listed(generator, shape, pairs), _number(self.low), _number(self.high))


@declaration
@dataclass(frozen=True)
class Symmetric(Weights):
    """The symmetric part of other weights, for a lateral pathway of one population."""

    weights: Weights

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return a new matrix."""
        if shape[0] != shape[1]:
            raise ValidationError(f"Symmetric: a pathway of shape (post, pre) = {shape} is not square.")
        values = self.weights.draw(generator, shape)
        return (values + values.T) / 2


@declaration
@dataclass(frozen=True)
class Tied(Weights):
    """The array of another pathway, learned by the owner's rule.

    Parameters
    ----------
    owner : str
        The pathway with the array.
    transposed : bool
        Whether the array is read as its transpose, or as it is.
    """

    owner: str
    transposed: bool = True


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


def first_illegal(values: np.ndarray, allowed: np.ndarray) -> str:
    """Describe how many values are not allowed, and the first of them."""
    first = tuple(int(k[0]) for k in np.nonzero(~allowed))
    where = f"post {first[0]}, pre {first[1]}" if len(first) == 2 else f"synapse {first[0]}"
    return f"{int((~allowed).sum())} of {values.size} (first: {values[first]:.6g} at {where})"
