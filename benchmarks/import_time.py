"""Importing the package in fresh processes, next to importing Brian 2: CPU seconds from start to end of a process."""

from __future__ import annotations

from benchmarks.harness import ROUNDS, Result, child, result

LIMIT = 0.5  # seconds


def seconds(module: str) -> float:
    """Return the CPU time of a process that imports a module and ends."""
    return child("-c", f"import {module}, time; print(time.process_time())")


def run(quick: bool = False) -> list[Result]:
    """Time the imports in turn."""
    seconds("neurocircuits")  # byte code is written once
    rounds = [(seconds("neurocircuits"), seconds("brian2")) for _ in range(1 if quick else ROUNDS)]
    values, references = (list(side) for side in zip(*rounds, strict=True))
    return [result("import neurocircuits", values, references, "s", "import brian2", LIMIT, "value")]
