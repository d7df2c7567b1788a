"""Phases that are run in stretches, after each of which there is a result."""

from __future__ import annotations

from typing import Any

from neurocircuits.errors import ValidationError
from neurocircuits.units import seconds


def stretches(protocol: str, phase: str, duration: Any, stretch: Any) -> dict[str, Any]:
    """Return the duration of a stretch and how many of them make a phase, as arguments of `Phase`.

    Raises
    ------
    ValidationError
        If the stretch does not divide the duration.
    """
    lasts, length = seconds(duration, f"{protocol}: {phase}"), seconds(stretch, f"{protocol}: stretch")
    n = round(lasts / length) if length > 0 else 0
    if n < 1 or abs(n * length - lasts) > 1e-9 * lasts:
        raise ValidationError(f"{protocol}: {phase} of {lasts:g} s is no multiple of the stretch of {length:g} s.")
    return {"duration": length, "epochs": n}
