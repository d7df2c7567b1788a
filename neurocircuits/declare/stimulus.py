"""Stimuli: pure functions of a random stream and of presentation numbers, which compose.

A stimulus answers one question: what are presentations k, l, m? So a run can be read in batches, resumed anywhere and
repeated, and a corpus larger than memory is read by slices. ``a + b`` sums, ``a >> b`` follows, ``take``,
``shuffled`` and ``sampled`` choose presentations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from neurocircuits.declare.checks import check_numbers, is_whole, numeric_array
from neurocircuits.declare.serialise import FrozenArray, declaration
from neurocircuits.errors import ValidationError
from neurocircuits.randomness import Streams
from neurocircuits.units import seconds

_CHUNK = 4096  # random choices are drawn in chunks of this many presentations, each from a stream of its own


@dataclass(frozen=True)
class Presentations:
    """A batch of presentations.

    Parameters
    ----------
    values : ndarray or CSR, shape (n, n_units)
        What the source population shows.
    durations : ndarray, shape (n,)
        Seconds.
    labels : ndarray, shape (n,)
        Labels; -1 where there are none.
    index : ndarray of int, shape (n,)
        Row of the underlying data.
    """

    values: Any
    durations: np.ndarray
    labels: np.ndarray
    index: np.ndarray


class Stimulus:
    """Base of all stimuli: ``n_presentations``, ``n_units`` and ``at(indices, streams)``."""

    n_presentations: int
    n_units: int

    def at(self, indices: np.ndarray, streams: Streams) -> Presentations:
        """Return the presentations with these numbers.

        Parameters
        ----------
        indices : ndarray of int, shape (n,)
            Numbers between 0 and ``n_presentations - 1``.
        streams : Streams
            Where random choices come from.
        """
        raise ValidationError(
            f"{type(self).__name__} defines no presentations: a stimulus implements at(indices, streams)."
        )

    def batches(self, streams: Streams, size: int) -> Iterator[Presentations]:
        """Yield all presentations in order, ``size`` at a time."""
        for start in range(0, self.n_presentations, size):
            yield self.at(np.arange(start, min(start + size, self.n_presentations)), streams)

    def __add__(self, other: Stimulus) -> Stimulus:
        return Sum(self, other)

    def __rshift__(self, other: Stimulus) -> Stimulus:
        return Sequence(self, other)

    def take(self, n: int) -> Stimulus:
        """Return the first ``n`` presentations."""
        return Take(self, n)

    def shuffled(self) -> Stimulus:
        """Return the presentations in a random order, another one in each epoch."""
        return Shuffled(self)

    def sampled(self, n: int) -> Stimulus:
        """Return ``n`` presentations drawn with replacement."""
        return Sampled(self, n)


@declaration
@dataclass(frozen=True)
class Patterns(Stimulus):
    """Present the rows of an array.

    Parameters
    ----------
    values : array_like, CSR, memory map or Zarr array, shape (n_presentations, n_units)
        Rates of the source population; not negative unless the circuit is unconstrained.
    labels : array_like, shape (n_presentations,), optional
        Labels, kept in results.
    duration : quantity, or array_like of quantities, shape (n_presentations,)
        Duration of a presentation; plain numbers are seconds.
    scale : float
        A constant that multiplies all values.

    Raises
    ------
    ValidationError
        If the shape does not fit, or a value is NaN or infinite.
    """

    values: Any
    labels: Any = None
    duration: Any = 0.1
    scale: float = 1.0

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        if isinstance(self.values, list | tuple):
            set_(self, "values", numeric_array(self.values, "Patterns.values"))
        set_(self, "values", FrozenArray(self.values))
        values = self.values.values
        if len(values.shape) != 2 or 0 in values.shape:
            raise ValidationError(f"Patterns.values: shape {tuple(values.shape)} is not (n_presentations, n_units).")
        check_numbers("Patterns", scale=self.scale)
        data = values.data if hasattr(values, "indptr") else values
        if isinstance(data, np.ndarray) and not isinstance(data, np.memmap):
            if data.dtype.kind not in "fiub":
                raise ValidationError(
                    f"Patterns.values: dtype {data.dtype} is not numeric. Convert the data to numbers."
                )
            _check_finite(data)
        if self.labels is not None:
            labels = np.asarray(getattr(self.labels, "values", self.labels))
            set_(self, "labels", FrozenArray(labels.astype(str) if labels.dtype.kind == "O" else labels))
            if self.labels.values.shape != (values.shape[0],):
                shape = self.labels.values.shape
                raise ValidationError(f"Patterns.labels: shape {shape} does not match {values.shape[0]} presentations.")
        given = getattr(self.duration, "values", self.duration)
        if np.ndim(given):
            durations = _durations(given) if np.shape(given) == (values.shape[0],) else None
            if durations is None or not ((durations > 0) & (durations < np.inf)).all():
                raise ValidationError("Patterns.duration: give one positive duration, or one for each presentation.")
            set_(self, "duration", FrozenArray(durations))
        else:
            set_(self, "duration", seconds(self.duration, "Patterns.duration"))
            if not 0 < self.duration < np.inf:
                raise ValidationError(f"Patterns.duration: {self.duration!r} s is not positive and finite.")

    @property
    def n_presentations(self) -> int:  # type: ignore[override]
        """Number of presentations."""
        return int(self.values.values.shape[0])

    @property
    def n_units(self) -> int:  # type: ignore[override]
        """Number of units."""
        return int(self.values.values.shape[1])

    def at(self, indices: np.ndarray, streams: Streams) -> Presentations:
        """Return the presentations with these numbers."""
        array = self.values.values
        lazy = not isinstance(array, np.ndarray) and not hasattr(array, "indptr")
        if lazy:  # lazy arrays like sorted, unique indices
            unique, inverse = np.unique(indices, return_inverse=True)
            values = np.asarray(array[unique])[inverse]
        else:
            values = array[indices]
        values = values.astype(float) if values.dtype.kind != "f" else values
        if lazy or isinstance(array, np.memmap):
            _check_finite(values)
        labels = np.full(len(indices), -1) if self.labels is None else self.labels.values[indices]
        durations = (
            self.duration.values[indices]
            if isinstance(self.duration, FrozenArray)
            else np.full(len(indices), self.duration)
        )
        return Presentations(
            values * self.scale if self.scale != 1.0 else values, durations, labels, np.asarray(indices)
        )


def _durations(given: Any) -> np.ndarray:
    """Return one duration for each presentation in seconds, from numbers, texts or quantities."""
    if isinstance(given, np.ndarray) and given.dtype.kind in "fiu":  # Brian 2's arrays have one unit for all
        seconds(given[0], "Patterns.duration")
        return np.array(given, dtype=float, subok=False)
    return np.array([seconds(duration, "Patterns.duration") for duration in given])


def _check_finite(data: np.ndarray) -> None:
    for start in range(0, len(data), _CHUNK):
        block = data[start : start + _CHUNK]
        if block.dtype.kind == "f" and not np.isfinite(block).all():
            where = tuple(int(k[0]) for k in np.nonzero(~np.isfinite(block)))
            n_bad = int((~np.isfinite(block)).sum())
            first = (where[0] + start, *where[1:])
            raise ValidationError(
                f"Patterns.values: {n_bad} values are NaN or infinite (first at {first}). Remove or replace them first."
            )


@declaration
@dataclass(frozen=True)
class Sum(Stimulus):
    """Present two stimuli together: values add, durations and labels are those of the first."""

    first: Stimulus
    second: Stimulus

    def __post_init__(self) -> None:
        for what in ("n_presentations", "n_units"):
            if getattr(self.first, what) != getattr(self.second, what):
                raise ValidationError(
                    f"a + b: {what} differ, {getattr(self.first, what)} and {getattr(self.second, what)}."
                )

    @property
    def n_presentations(self) -> int:  # type: ignore[override]
        """Number of presentations."""
        return self.first.n_presentations

    @property
    def n_units(self) -> int:  # type: ignore[override]
        """Number of units."""
        return self.first.n_units

    def at(self, indices: np.ndarray, streams: Streams) -> Presentations:
        """Return the presentations with these numbers."""
        a, b = self.first.at(indices, streams.child("first")), self.second.at(indices, streams.child("second"))
        return Presentations(a.values + b.values, a.durations, a.labels, a.index)


@declaration
@dataclass(frozen=True)
class Sequence(Stimulus):
    """Present one stimulus after another."""

    first: Stimulus
    second: Stimulus

    def __post_init__(self) -> None:
        if self.first.n_units != self.second.n_units:
            raise ValidationError(f"a >> b: n_units differ, {self.first.n_units} and {self.second.n_units}.")

    @property
    def n_presentations(self) -> int:  # type: ignore[override]
        """Number of presentations."""
        return self.first.n_presentations + self.second.n_presentations

    @property
    def n_units(self) -> int:  # type: ignore[override]
        """Number of units."""
        return self.first.n_units

    def at(self, indices: np.ndarray, streams: Streams) -> Presentations:
        """Return the presentations with these numbers."""
        indices = np.asarray(indices)
        early = indices < self.first.n_presentations
        if early.all():
            return self.first.at(indices, streams.child("first"))
        later = self.second.at(indices[~early] - self.first.n_presentations, streams.child("second"))
        if not early.any():
            return later
        parts = (self.first.at(indices[early], streams.child("first")), later)
        order = np.argsort(np.concatenate([np.flatnonzero(early), np.flatnonzero(~early)]))
        if any(hasattr(part.values, "indptr") for part in parts):
            from scipy.sparse import csr_array, vstack

            values = vstack([csr_array(part.values) for part in parts]).tocsr()[order]
        else:
            values = np.concatenate([part.values for part in parts])[order]
        merged = [np.concatenate([getattr(p, name) for p in parts])[order] for name in ("durations", "labels", "index")]
        return Presentations(values, *merged)


class _Chosen(Stimulus):
    """Presentations of another stimulus, chosen by number."""

    stimulus: Stimulus

    @property
    def n_units(self) -> int:  # type: ignore[override]
        """Number of units."""
        return self.stimulus.n_units

    def _choose(self, indices: np.ndarray, streams: Streams) -> np.ndarray:
        return indices

    def at(self, indices: np.ndarray, streams: Streams) -> Presentations:
        """Return the presentations with these numbers."""
        return self.stimulus.at(self._choose(np.asarray(indices), streams), streams.child("of"))


@declaration
@dataclass(frozen=True)
class Take(_Chosen):
    """Present the first ``n`` presentations of a stimulus."""

    stimulus: Stimulus
    n: int

    def __post_init__(self) -> None:
        if not is_whole(self.n) or not 1 <= self.n <= self.stimulus.n_presentations:
            raise ValidationError(f"take({self.n!r}): the stimulus has {self.stimulus.n_presentations} presentations.")

    @property
    def n_presentations(self) -> int:  # type: ignore[override]
        """Number of presentations."""
        return self.n


@lru_cache(maxsize=8)
def _permutation(streams: Streams, n: int) -> np.ndarray:
    return streams.generator("order").permutation(n)


@lru_cache(maxsize=8)
def _choices(streams: Streams, chunk: int, n: int) -> np.ndarray:
    return streams.generator("choices", chunk).integers(n, size=_CHUNK)


@declaration
@dataclass(frozen=True)
class Shuffled(_Chosen):
    """Present a stimulus in a random order that depends on the stream."""

    stimulus: Stimulus

    @property
    def n_presentations(self) -> int:  # type: ignore[override]
        """Number of presentations."""
        return self.stimulus.n_presentations

    def _choose(self, indices: np.ndarray, streams: Streams) -> np.ndarray:
        return _permutation(streams, self.n_presentations)[indices]


@declaration
@dataclass(frozen=True)
class Sampled(_Chosen):
    """Present ``n`` presentations drawn with replacement from a stimulus."""

    stimulus: Stimulus
    n: int

    def __post_init__(self) -> None:
        if not is_whole(self.n) or self.n < 1:
            raise ValidationError(f"sampled({self.n!r}): at least one presentation is needed.")

    @property
    def n_presentations(self) -> int:  # type: ignore[override]
        """Number of presentations."""
        return self.n

    def _choose(self, indices: np.ndarray, streams: Streams) -> np.ndarray:
        chosen = np.empty(len(indices), dtype=int)
        chunks = indices // _CHUNK
        for chunk in np.unique(chunks):
            at = chunks == chunk
            chosen[at] = _choices(streams, int(chunk), self.stimulus.n_presentations)[indices[at] % _CHUNK]
        return chosen
