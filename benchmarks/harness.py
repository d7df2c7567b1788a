"""How the benchmarks measure: CPU time of one thread, subject and reference in turn, medians of seven rounds."""

from __future__ import annotations

import gc
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from threadpoolctl import threadpool_limits

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
        Of the two.
    against : str
        What the reference is.
    ratio : float
        Median of the ratios of the rounds.
    low, high : float
        Smallest and largest ratio.
    limit : float or None
        Largest ratio that is allowed; None where the ratio is only reported.
    limited : {"ratio", "value"}
        What the limit is of.
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
    limited: str = "ratio"

    @property
    def holds(self) -> bool:
        """Whether what was found is within its limit."""
        return self.limit is None or getattr(self, self.limited) <= self.limit

    def as_dict(self) -> dict[str, Any]:
        """Return all of it for machines."""
        return asdict(self) | {"holds": self.holds}

    def __str__(self) -> str:
        verdict = ""
        if self.limit is not None:
            verdict = f"   {self.limited} limit {self.limit:g}: {'holds' if self.holds else 'MISSED'}"
        return (
            f"  {self.name}: {self.value:.4g} {self.unit}, {self.against}: {self.reference:.4g} {self.unit}\n"
            f"    ratio {self.ratio:.3g} ({self.low:.3g}-{self.high:.3g}){verdict}"
        )


def result(
    name: str,
    values: list[float],
    references: list[float],
    unit: str,
    against: str,
    limit: float | None = None,
    limited: str = "ratio",
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
        Largest ratio, or value, that is allowed.
    limited : {"ratio", "value"}
        What the limit is of.
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
        limited,
    )


class InTurn:
    """Watch a run: after each batch of it, time the reference.

    Both see the same neighbours on the machine, and nothing that a run costs once is counted.

    Parameters
    ----------
    make : callable
        ``make(simulation)`` returns the reference once the run is warm: a function that does what a batch does.
    warming : int
        Batches before anything is timed.
    n_batches : int
        Batches in a round; the median of a round counts.
    """

    def __init__(self, make: Callable[[Any], Callable[[], None]], warming: int, n_batches: int) -> None:
        self.make, self.warming, self.n_batches = make, warming, n_batches
        self.laps: list[tuple[float, float]] = []
        self._seen, self._left = 0, 0.0

    def __call__(self, simulation: Any, n_presentations: int) -> bool:
        """Note the end of a batch; True ends the run."""
        begin = time.thread_time()
        self._seen += 1
        if self._seen == self.warming:
            self.reference = self.make(simulation)
            gc.collect()
            gc.freeze()
        elif self._seen > self.warming:
            self.reference()
            end = time.thread_time()
            self.laps.append((begin - self._left, end - begin))
        self._left = time.thread_time()
        return len(self.laps) == ROUNDS * self.n_batches

    def rounds(self, side: int, unit: float = 1.0) -> list[float]:
        """Return the medians of the rounds in multiples of ``unit`` seconds, of the run (0) or the reference (1)."""
        starts = range(0, len(self.laps), self.n_batches)
        return [statistics.median(lap[side] for lap in self.laps[k : k + self.n_batches]) / unit for k in starts]


def peak_memory() -> float:
    """Return the largest memory that this process has used, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def child(*arguments: str) -> float:
    """Run Python with these arguments in a process of its own and return the number that it prints."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
    return float(done.stdout)


@contextmanager
def one_thread() -> Iterator[None]:
    """Time with one BLAS thread, also where NumPy was imported before this package."""
    try:
        with threadpool_limits(1):
            yield
    finally:
        gc.unfreeze()
