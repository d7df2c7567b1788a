"""How the benchmarks measure: CPU time of one thread, subject and reference in turn, medians of seven rounds.

A live simulation calls back after each batch, so the reference is timed in the callback, between two batches of the
subject: both see the same neighbours on the machine, and nothing that a run costs once is counted.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from neurocircuits.declare.protocol import Phase
from neurocircuits.engines.base import Feed, Readings, Simulation
from neurocircuits.randomness import Streams

ROUNDS = 7


@dataclass(frozen=True)
class Result:
    """What a benchmark found.

    Parameters
    ----------
    name : str
        What was measured.
    value, reference : float
        Medians, in ``unit``; the reference is NaN where there is none.
    unit : str
        Unit of the two.
    against : str
        What the reference is.
    ratio : float
        Median of the ratios of the rounds, which are compared with the limit.
    low, high : float
        Smallest and largest ratio.
    limit : float or None
        Largest ratio that is allowed; None where the ratio is only reported.
    """

    name: str
    value: float
    reference: float
    unit: str
    against: str
    ratio: float
    low: float
    high: float
    limit: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the ratio is within its limit."""
        return self.limit is None or self.ratio <= self.limit

    def as_dict(self) -> dict[str, Any]:
        """Return all of it for machines."""
        return asdict(self) | {"holds": self.holds}

    def __str__(self) -> str:
        verdict = "" if self.limit is None else f"   limit {self.limit:g}: {'holds' if self.holds else 'MISSED'}"
        return (
            f"  {self.name}: {self.value:.4g} {self.unit}, {self.against}: {self.reference:.4g} {self.unit}\n"
            f"    ratio {self.ratio:.3g} ({self.low:.3g}-{self.high:.3g}){verdict}"
        )


def result(
    name: str, values: list[float], references: list[float], unit: str, against: str, limit: float | None = None
) -> Result:
    """Return the result of rounds that were measured in turn.

    Parameters
    ----------
    name : str
        What was measured.
    values, references : list of float
        One value for each round, in ``unit``.
    unit : str
        Their unit.
    against : str
        What the reference is.
    limit : float, optional
        Largest ratio that is allowed.
    """
    ratios = [value / reference for value, reference in zip(values, references, strict=True)]
    return Result(
        name,
        statistics.median(values),
        statistics.median(references),
        unit,
        against,
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        limit,
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Time with one BLAS thread, and without collections of what was built before."""
    gc.collect()
    gc.freeze()
    try:
        with threadpool_limits(1):
            yield
    finally:
        gc.unfreeze()


class Showing:
    """Show presentations to a live simulation, and time its batches and a reference in turn.

    Parameters
    ----------
    simulation : Simulation
        The simulation; its phase is begun here.
    phase : Phase
        What is shown.
    seed : int
        Seed of the stimuli.
    """

    def __init__(self, simulation: Simulation, phase: Phase, seed: int = 0) -> None:
        self.simulation, self.phase, self.streams = simulation, phase, Streams(seed)
        self.position = 0
        simulation.begin(phase)

    def show(self, n: int, observe: Callable[[Readings], Any] = lambda _: None) -> None:
        """Show the next ``n`` presentations."""
        stop = self.position + n
        feed = Feed(lambda start, size: self.phase.batch(start, size, self.streams), stop, self.position)
        self.simulation.go(feed, lambda readings: bool(observe(readings)))
        self.position = stop

    def in_turn(self, n_batches: int, per_batch: int, reference: Callable[[], None]) -> tuple[list[float], list[float]]:
        """Return seconds per batch of the subject and of the reference, the median of each round.

        Parameters
        ----------
        n_batches : int
            Batches in a round.
        per_batch : int
            Presentations in a batch.
        reference : callable
            Does what a batch does.
        """
        laps: list[tuple[float, float]] = []
        left = 0.0

        def observe(readings: Readings) -> None:
            nonlocal left
            begin = time.thread_time()
            reference()
            end = time.thread_time()
            laps.append((begin - left, end - begin))
            left = time.thread_time()

        self.show((ROUNDS * n_batches + 1) * per_batch, observe)
        laps = laps[1:]  # the first lap holds what a run costs once
        rounds = [laps[k : k + n_batches] for k in range(0, len(laps), n_batches)]
        return tuple([statistics.median(lap[side] for lap in r) for r in rounds] for side in (0, 1))  # type: ignore[return-value]
