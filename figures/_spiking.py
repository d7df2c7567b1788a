"""What the figures of spiking circuits share."""

from __future__ import annotations

import math
import shutil
from typing import Any

from neurocircuits.engines.brian2_engine import Brian2

QUICK: dict[str, Any] = {"device": "runtime", "target": "numpy"}  # building a program takes longer than a short run


def engine(method: str = "exponential_euler", **settings: Any) -> Brian2:
    """Return continuous time in steps of 0.1 ms: one compiled program where g++ exists, step by step elsewhere.

    Parameters
    ----------
    method : str
        Integration method.
    **settings
        Those of `Brian2`, which come first.
    """
    device = "runtime" if shutil.which("g++") is None else "cpp_standalone"
    return Brian2(**{"dt": "0.1 ms", "method": method, "device": device, "tolerance": None, **settings})


def peak(engine: Any) -> float:
    """Return the size of the signals of `vogels2011.feedforward` at their highest rate, for the step of an engine."""
    return 0.03 * math.sqrt(getattr(engine, "dt", 1e-4) / 1e-4)
