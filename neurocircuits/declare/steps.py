"""How a mean drift becomes a change of weights or slow variables, and schedules of rates."""

from __future__ import annotations

import math
from dataclasses import dataclass

from neurocircuits.declare.serialise import declaration
from neurocircuits.errors import ValidationError


@declaration
@dataclass(frozen=True)
class Linear:
    """Go linearly from ``start`` to ``stop`` over the presentations of a phase (a schedule).

    Parameters
    ----------
    start, stop : float
        Values at the onset of the phase and at its end.
    parts : int, optional
        Hold the value at the onset of each of so many equal parts of the phase, such as its epochs.
    """

    start: float
    stop: float
    parts: int | None = None

    def __post_init__(self) -> None:
        if self.parts is not None and (isinstance(self.parts, bool) or not self.parts >= 1 or self.parts % 1):
            raise ValidationError(f"Linear.parts: {self.parts!r} is not a positive whole number.")

    def __call__(self, progress: float) -> float:
        """Return the value at ``progress`` (0 at the onset of the phase, 1 at its end)."""
        if self.parts is not None:
            progress = math.floor(progress * self.parts * (1 + 1e-12)) / self.parts
        return self.start + (self.stop - self.start) * progress


@declaration
@dataclass(frozen=True)
class Steps:
    """Hold ``values[k]`` from the fraction ``fractions[k]`` of a phase on; ``fractions[0]`` is 0 (a schedule)."""

    values: tuple[float, ...]
    fractions: tuple[float, ...]

    def __post_init__(self) -> None:
        fractions = tuple(self.fractions)
        if (
            len(self.values) != len(fractions)
            or not fractions
            or fractions[0] != 0
            or sorted(fractions) != list(fractions)
        ):
            raise ValidationError(
                f"Steps: fractions {fractions} must start at 0, rise, and match the values one by one."
            )

    def __call__(self, progress: float) -> float:
        """Return the value at ``progress``."""
        return [value for value, start in zip(self.values, self.fractions, strict=True) if start <= progress][-1]


@declaration
@dataclass(frozen=True)
class Inverse:
    """Fall as ``start / (1 + rate * progress)`` over a phase (a schedule)."""

    start: float
    rate: float

    def __call__(self, progress: float) -> float:
        """Return the value at ``progress``."""
        return self.start / (1.0 + self.rate * progress)


Schedule = float | Linear | Steps | Inverse


def scheduled(value: Schedule, progress: float) -> float:
    """Return the value of a number or schedule at ``progress`` in [0, 1] of a phase."""
    return float(value(progress)) if callable(value) else float(value)


class Step:
    """Base of the ways in which a mean drift D becomes a change."""


@declaration
@dataclass(frozen=True)
class Euler(Step):
    """Change by D times the duration (the default)."""


@declaration
@dataclass(frozen=True)
class LargestChange(Step):
    """Change by ``size * D / max |D|`` over the matrix, whatever the duration.

    The public notebook of Krotov and Hopfield (2019) does so.

    Parameters
    ----------
    size : float or schedule
        Largest change of one weight in a step.
    """

    size: Schedule

    def __post_init__(self) -> None:
        if not callable(self.size) and not self.size > 0:
            raise ValidationError(f"LargestChange.size: {self.size!r} is not positive.")


@declaration
@dataclass(frozen=True)
class Cap(Step):
    """Change by D times the duration, at most by ``size`` from the value at the presentation's onset.

    Parameters
    ----------
    size : float
        Largest change within a presentation, in units of the variable.
    """

    size: float

    def __post_init__(self) -> None:
        if not self.size > 0:
            raise ValidationError(f"Cap.size: {self.size!r} is not positive.")


@declaration
@dataclass(frozen=True)
class PerUnit(Step):
    """Change by D times the duration, divided by a slow variable of the postsynaptic units.

    For rates that are one over a cumulative activity. Weights are divided by the value after its own change, so that
    what is learned from now counts in both; other slow variables by the value before.

    Parameters
    ----------
    name : str
        The slow variable.
    """

    name: str
