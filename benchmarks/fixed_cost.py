"""Time per presentation of 20 ms in continuous time, from 100 to 10 000 presentations in one network and one run."""

from __future__ import annotations

import time

import numpy as np

import neurocircuits as nc
from benchmarks.harness import ROUNDS, Result, one_thread, peak_memory, result
from neurocircuits.models import seung2018

LIMIT = 1.2
MEMORY_LIMIT = 1.03


def seconds(n: int) -> float:
    """Return the CPU time per presentation of a whole run, building included."""
    values = np.random.default_rng(0).random((100, 64)) / 5.0
    stimulus = nc.Patterns(values, duration="20 ms").shuffled()
    protocol = nc.Protocol([nc.Phase("learn", {"S": stimulus}, epochs=n // 100)])
    engine = nc.Brian2(dt="1 ms", learning_step="20 ms", tolerance=None, target="numpy")
    start = time.thread_time()
    nc.run(seung2018.bars(gain_floor=0.02), protocol, engine, progress=False)
    return (time.thread_time() - start) / n


def run(quick: bool = False) -> list[Result]:
    """Time runs of different lengths in turn."""
    lengths = (100, 200, 300) if quick else (100, 1000, 10_000)
    with one_thread():
        seconds(100)
        seconds(lengths[1])
        before = peak_memory()
        rounds = [[1e3 * seconds(n) for n in lengths] for _ in range(1 if quick else ROUNDS)]
        after = peak_memory()
    short, middle, long = (list(side) for side in zip(*rounds, strict=True))
    name = f"one of {lengths[2]} presentations"
    return [
        result(f"one of {lengths[1]} presentations", middle, short, "ms", f"one of {lengths[0]}"),
        result(name, long, middle, "ms", f"one of {lengths[1]}", LIMIT),
        result(f"peak memory with {lengths[2]}", [after], [before], "MB", f"with {lengths[1]}", MEMORY_LIMIT),
    ]
