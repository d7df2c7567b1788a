"""Connectivity: which pairs of units are connected, as a matrix for graded pathways and as a list for spiking ones.

Both are pure functions of a random stream. ``mask`` returns a matrix (post, pre) of bool; ``pairs`` returns the indices
of the two sides, ordered by presynaptic unit, without ever making the matrix.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurocircuits.declare.checks import is_number, is_whole, numeric_array
from neurocircuits.declare.serialise import FrozenArray, declaration
from neurocircuits.errors import ValidationError

Pairs = tuple[np.ndarray, np.ndarray]


class _Listed(ABC):
    """A connectivity that is drawn as a list."""

    def mask(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Return which synapses exist, the same that ``pairs`` lists."""
        mask = np.zeros(shape, dtype=bool)
        mask[self.pairs(generator, shape)] = True
        return mask

    @abstractmethod
    def pairs(self, generator: np.random.Generator, shape: tuple[int, int]) -> Pairs:
        """Return the post and the pre index of each synapse."""


@declaration
@dataclass(frozen=True)
class AllToAll:
    """Connect every pair; without ``self_connections`` the diagonal of a lateral pathway is left out."""

    self_connections: bool = True

    def n_expected(self, shape: tuple[int, int]) -> float:
        """Return about how many synapses there are."""
        return float(shape[0]) * shape[1]

    def mask(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray | None:
        """Return which synapses exist, (post, pre) of bool, or None for all."""
        return None if self.self_connections else ~np.eye(*shape, dtype=bool)

    def pairs(self, generator: np.random.Generator, shape: tuple[int, int]) -> Pairs:
        """Return the post and the pre index of each synapse."""
        n_post, n_pre = shape
        post, pre = np.tile(np.arange(n_post), n_pre), np.repeat(np.arange(n_pre), n_post)
        return _listed(post, pre) if self.self_connections else _without_self(post, pre)


@declaration
@dataclass(frozen=True)
class OneToOne:
    """Connect unit i to unit i."""

    def n_expected(self, shape: tuple[int, int]) -> float:
        """Return about how many synapses there are."""
        return float(shape[0])

    def mask(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Return which synapses exist."""
        if shape[0] != shape[1]:
            raise ValidationError(
                f"OneToOne: {shape[1]} presynaptic and {shape[0]} postsynaptic units differ in number."
            )
        return np.eye(*shape, dtype=bool)

    def pairs(self, generator: np.random.Generator, shape: tuple[int, int]) -> Pairs:
        """Return the post and the pre index of each synapse."""
        return _listed(*np.nonzero(self.mask(generator, (shape[0], shape[1]))))


@declaration
@dataclass(frozen=True)
class Probability(_Listed):
    """Connect each pair with a probability."""

    probability: float
    self_connections: bool = True

    def __post_init__(self) -> None:
        if not is_number(self.probability) or not 0 <= self.probability <= 1:
            raise ValidationError(f"Probability: {self.probability!r} is not between 0 and 1.")

    def n_expected(self, shape: tuple[int, int]) -> float:
        """Return about how many synapses there are."""
        return self.probability * shape[0] * shape[1]

    def pairs(self, generator: np.random.Generator, shape: tuple[int, int]) -> Pairs:
        """Return the post and the pre index of each synapse: gaps between them have a geometric distribution."""
        n_post, n_pre = shape
        n_pairs, p = n_post * n_pre, self.probability
        last, parts = -1, [np.zeros(0, dtype=np.int64)]
        while p > 0 and last < n_pairs - 1:
            n_gaps = int((n_pairs - last) * p + 6 * np.sqrt((n_pairs - last) * p) + 10)
            places = last + np.cumsum(generator.geometric(p, n_gaps))
            parts.append(places[places < n_pairs])
            last = int(places[-1])
        pre, post = np.divmod(np.concatenate(parts), n_post)
        return _listed(post, pre) if self.self_connections else _without_self(post, pre)


@declaration
@dataclass(frozen=True)
class FixedInDegree(_Listed):
    """Connect ``n`` different presynaptic units, drawn at random, to each postsynaptic unit."""

    n: int

    def __post_init__(self) -> None:
        if not is_whole(self.n) or self.n < 0:
            raise ValidationError(f"FixedInDegree: {self.n!r} is not a whole number of 0 or more.")

    def n_expected(self, shape: tuple[int, int]) -> float:
        """Return about how many synapses there are."""
        return float(self.n) * shape[0]

    def pairs(self, generator: np.random.Generator, shape: tuple[int, int]) -> Pairs:
        """Return the post and the pre index of each synapse: what was drawn twice for a unit is drawn again."""
        self._check(shape)
        n_post, n_pre = shape
        if 2 * self.n > n_pre:  # hardly anything would be new
            chosen = [generator.choice(n_pre, self.n, replace=False) for _ in range(n_post)]
            rows = np.array(chosen, dtype=np.int32).reshape(n_post, self.n)
        else:
            rows = generator.integers(n_pre, size=(n_post, self.n), dtype=np.int32)
            waiting = np.arange(n_post)
            while len(waiting):
                some = np.sort(rows[waiting], axis=1)
                twice = np.zeros(some.shape, dtype=bool)
                twice[:, 1:] = some[:, 1:] == some[:, :-1]
                some[twice] = generator.integers(n_pre, size=int(twice.sum()), dtype=np.int32)
                rows[waiting] = some
                waiting = waiting[twice.any(axis=1)]
        from scipy.sparse import csr_array

        starts = self.n * np.arange(n_post + 1)
        by_target = csr_array((np.zeros(rows.size, dtype=bool), rows.ravel(), starts), shape=(n_post, n_pre))
        by_source = by_target.tocsc()
        return _listed(by_source.indices, np.repeat(np.arange(n_pre, dtype=np.int32), np.diff(by_source.indptr)))

    def _check(self, shape: tuple[int, int]) -> None:
        if not 0 <= self.n <= shape[1]:
            raise ValidationError(f"FixedInDegree: {self.n} inputs asked of {shape[1]} presynaptic units.")


@declaration
@dataclass(frozen=True)
class Explicit(_Listed):
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

    def n_expected(self, shape: tuple[int, int]) -> float:
        """Return about how many synapses there are."""
        return float(len(self.post.values))

    def pairs(self, generator: np.random.Generator, shape: tuple[int, int]) -> Pairs:
        """Return the post and the pre index of each synapse, as they were given but ordered by pre, then post."""
        self._check(shape)
        post, pre = self.arranged(self.post.values), self.arranged(self.pre.values)
        twice = (np.diff(post) == 0) & (np.diff(pre) == 0)
        if twice.any():
            k = int(np.argmax(twice))
            raise ValidationError(
                f"Explicit: the pair post {post[k]}, pre {pre[k]} is given twice; a pair has one synapse."
            )
        return _listed(post, pre)

    def arranged(self, values: np.ndarray) -> np.ndarray:
        """Return values, one for each pair that is given, in the order of ``pairs``."""
        if len(values) != len(self.post.values):
            raise ValidationError(f"Explicit: {len(values)} values for {len(self.post.values)} pairs. Give one each.")
        return values[np.lexsort((self.post.values, self.pre.values))]

    def _check(self, shape: tuple[int, int]) -> None:
        for name, n_units in zip(("post", "pre"), shape, strict=True):
            largest = getattr(self, name).values.max(initial=-1)
            if largest >= n_units:
                raise ValidationError(
                    f"Explicit.{name}: index {largest} does not exist among {n_units} units, counted from 0."
                )


def _listed(post: np.ndarray, pre: np.ndarray) -> Pairs:
    return post.astype(np.int32, copy=False), pre.astype(np.int32, copy=False)


def _without_self(post: np.ndarray, pre: np.ndarray) -> Pairs:
    return _listed(post[post != pre], pre[post != pre])


Connectivity = AllToAll | OneToOne | Probability | FixedInDegree | Explicit
