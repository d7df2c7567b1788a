"""Peak memory of runs that record nothing, each in a process of its own: it does not grow with the presentations."""

from __future__ import annotations

import sys

import numpy as np

import neurocircuits as nc
from benchmarks.harness import Result, child, peak_memory, result
from neurocircuits.models import seung2018

LIMIT = 1.03  # of the peak of the shortest run, to leave room for the operating system
BATCH = 100


def show(n: int) -> None:
    """Learn from ``n`` presentations on the steady-state engine."""
    values = np.random.default_rng(0).random((1000, 64))
    protocol = nc.Protocol([nc.Phase("learn", {"S": nc.Patterns(values / 5.0).shuffled()}, epochs=n // 1000)])
    nc.run(seung2018.bars(), protocol, nc.SteadyState(batch=BATCH), progress=False)


def run(quick: bool = False) -> list[Result]:
    """Compare the peaks of longer and longer runs with that of the shortest."""
    first, *others = (1000, 2000) if quick else (1000, 10_000, 100_000)
    shortest = child("-m", "benchmarks.memory", str(first))
    return [
        result(
            f"peak of {n} presentations, steady state",
            [child("-m", "benchmarks.memory", str(n))],
            [shortest],
            "MB",
            f"of {first}",
            LIMIT,
        )
        for n in others
    ]


if __name__ == "__main__":
    show(int(sys.argv[1]))
    print(peak_memory())
