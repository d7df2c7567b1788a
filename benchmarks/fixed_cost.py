"""Time per presentation of 20 ms in continuous time, from 100 to 10 000 presentations in one network and one run."""

from __future__ import annotations

import sys
import time

import numpy as np

import neurocircuits as nc
from benchmarks.harness import ROUNDS, Result, child, one_thread, peak_memory, result
from neurocircuits.models import seung2018

LIMIT = 1.2
MEMORY_LIMIT = 1.03  # of the peak of the shorter run, to leave room for the operating system


def seconds(n: int) -> float:
    """Return the CPU time per presentation of a whole run, building included."""
    values = np.random.default_rng(0).random((20, 64)) / 5.0
    stimulus = nc.Patterns(values, duration="20 ms").shuffled()
    protocol = nc.Protocol([nc.Phase("learn", {"S": stimulus}, epochs=n // 20)])
    engine = nc.Brian2(dt="1 ms", learning_step="20 ms", tolerance=None, target="numpy")
    start = time.thread_time()
    nc.run(seung2018.bars(gain_floor=0.5), protocol, engine, progress=False)
    return (time.thread_time() - start) / n


def run(quick: bool = False) -> list[Result]:
    """Time runs of different lengths in turn, and compare the peaks of memory in processes of their own."""
    lengths = (20, 40, 60) if quick else (100, 1000, 10_000)
    with one_thread():
        seconds(20)
        rounds = [[1e3 * seconds(n) for n in lengths] for _ in range(1 if quick else ROUNDS)]
    short, middle, long = (list(side) for side in zip(*rounds, strict=True))
    found = [
        result(f"one of {lengths[1]} presentations", middle, short, "ms", f"one of {lengths[0]}"),
        result(f"one of {lengths[2]} presentations", long, middle, "ms", f"one of {lengths[1]}", LIMIT),
    ]
    if not quick:
        before, after = (child("-m", "benchmarks.fixed_cost", str(n)) for n in lengths[1:])
        name, against = f"peak memory with {lengths[2]} presentations", f"with {lengths[1]}"
        found.append(result(name, [after], [before], "MB", against, MEMORY_LIMIT))
    return found


if __name__ == "__main__":
    seconds(int(sys.argv[1]))
    print(peak_memory())
