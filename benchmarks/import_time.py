"""Importing the package in fresh processes, next to importing Brian 2: CPU seconds from start to end of a process."""

from __future__ import annotations

from benchmarks.harness import ROUNDS, Result, child, result

LIMIT = 0.5  # seconds


EVERYTHING = "import neurocircuits as n; [getattr(n, name) for name in n.__all__]"


def seconds(statement: str) -> float:
    """Return the CPU time of a process that runs a statement and ends."""
    return child("-c", f"{statement}\nimport time; print(time.process_time())")


def run(quick: bool = False) -> list[Result]:
    """Time the imports in turn."""
    statements = ("import neurocircuits", EVERYTHING, "import brian2")
    seconds(EVERYTHING)  # byte code is written once
    rounds = [[seconds(statement) for statement in statements] for _ in range(1 if quick else ROUNDS)]
    light, everything, references = (list(side) for side in zip(*rounds, strict=True))
    return [
        result("import neurocircuits", light, references, "s", "import brian2", LIMIT, "value"),
        result("and all that it names", everything, references, "s", "import brian2"),
    ]
