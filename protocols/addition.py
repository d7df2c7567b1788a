"""Add two marked values of a sequence: the three published forms, and what answers without a network reach."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neurocircuits.declare.checks import is_number, is_whole
from neurocircuits.errors import ValidationError
from neurocircuits.recurrent.tasks import Batch, Drawn, Task

SIZES = {"train": 5000, "validation": 1000, "test": 2000}


def delayed(
    length: int = 50,
    n_addends: int = 2,
    low: float = -1.0,
    high: float = 1.0,
    sizes: dict[str, int] | None = None,
    seed: int = 0,
) -> Task:
    """Return delayed addition: values and marks, and the sum of the marked values at the end.

    The lecture on E-I microcircuits; places of the marks are free, as in the group's public code and in Bai et al.
    (2018, arXiv:1803.01271).

    Parameters
    ----------
    length : int
        Time steps.
    n_addends : int
        Marked values.
    low, high : float
        Values are uniform between them.
    sizes : dict of str to int, optional
        Sequences of a pass for ``train``, ``validation`` and ``test``; those to train are drawn anew in each pass.
    seed : int
        Of the sequences to validate and test.

    Returns
    -------
    Task
        The task. Baselines: ``mean``, the variance of the sum n (high - low)**2/12, for whoever answers its mean, and
        ``all but one``, (high - low)**2/12, for whoever misses one addend.

    Raises
    ------
    ValidationError
        If there are more addends than time steps, or no values between the bounds.
    """
    _check(length, n_addends, low, high)

    def draw(generator: np.random.Generator, n: int) -> Batch:
        values = generator.uniform(low, high, (length, n))
        marks = generator.permuted(np.tile(_first(length, n_addends)[:, None], n), axis=0)
        return _batch(values, marks, (values * marks).sum(0))

    one = (high - low) ** 2 / 12
    baselines = {"mean": n_addends * one, "all but one": one}
    return Drawn(f"delayed addition, {length} steps", draw, 2, sizes or SIZES, baselines, seed)


def adding(length: int = 50, sizes: dict[str, int] | None = None, seed: int = 0) -> Task:
    """Return the adding problem in its modern form: values in [0, 1], one mark in each half.

    Arjovsky, Shah and Bengio (2016, arXiv:1511.06464). Parameters as for `delayed`; baselines 1/6 and 1/12.

    Raises
    ------
    ValidationError
        If there are fewer than two time steps.
    """
    _check(length, 2, 0.0, 1.0)

    def draw(generator: np.random.Generator, n: int) -> Batch:
        values, marks = generator.uniform(0, 1, (length, n)), np.zeros((length, n))
        half, columns = length // 2, np.arange(n)
        marks[generator.integers(0, half, n), columns] = 1.0
        marks[generator.integers(half, length, n), columns] = 1.0
        return _batch(values, marks, (values * marks).sum(0))

    return Drawn(f"adding, {length} steps", draw, 2, sizes or SIZES, {"mean": 1 / 6, "all but one": 1 / 12}, seed)


def original(length: int = 50, sizes: dict[str, int] | None = None, seed: int = 0) -> Task:
    """Return the adding problem as it was first posed: the answer is 0.5 + (X1 + X2)/4.

    Hochreiter and Schmidhuber (1997), from the text of the experiment in their companion paper: values in [-1, 1]; the
    first and the last step are marked -1; one mark among the first ten steps and one among the first length/2 - 1 of
    the others; sequences are between ``length`` and 1.1 ``length`` steps long, here the same within a batch. A first
    value that is marked counts as 0. Parameters as for `delayed`.

    Raises
    ------
    ValidationError
        If there are fewer than 24 time steps, in which the places do not fit.
    """
    if not is_whole(length) or length < 24:
        raise ValidationError(f"original: length {length!r} leaves no room for both marks. Give 24 steps or more.")

    def draw(generator: np.random.Generator, n: int) -> Batch:
        steps = int(generator.integers(length, round(1.1 * length) + 1))
        values, marks, columns = generator.uniform(-1, 1, (steps, n)), np.zeros((steps, n)), np.arange(n)
        first = generator.integers(0, 10, n)
        second = generator.integers(0, length // 2 - 2, n)
        second = second + (second >= first)  # any other step
        addends = values[second, columns] * (second > 0) + values[first, columns] * (first > 0)
        marks[first, columns] = marks[second, columns] = 1.0
        marks[0] = marks[-1] = -1.0
        return _batch(values, marks, 0.5 + addends / 4)

    return Drawn(
        f"original adding, {length} steps", draw, 2, sizes or SIZES, {"mean": 1 / 24, "all but one": 1 / 48}, seed
    )


FORMS: dict[str, Callable[..., Task]] = {"delayed": delayed, "adding": adding, "original": original}


def _first(length: int, n: int) -> np.ndarray:
    return (np.arange(length) < n).astype(float)


def _batch(values: np.ndarray, marks: np.ndarray, answers: np.ndarray) -> Batch:
    return np.stack([values, marks], axis=2).astype(np.float32), answers.astype(np.float32)


def _check(length: int, n_addends: int, low: float, high: float) -> None:
    if not is_whole(length) or not is_whole(n_addends) or not 1 <= n_addends <= length:
        raise ValidationError(f"addition: {n_addends!r} addends do not fit into {length!r} time steps.")
    if not (is_number(low) and is_number(high) and low < high):
        raise ValidationError(f"addition: there are no values between low {low!r} and high {high!r}.")
