"""Interventions: what a phase does to weights and cells before its first presentation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurocircuits.declare.checks import is_number, unit_numbers
from neurocircuits.declare.serialise import declaration
from neurocircuits.errors import ValidationError


@declaration
@dataclass(frozen=True)
class Scale:
    """Multiply weights of a pathway when a phase begins; those that leave its bounds are put on them.

    Parameters
    ----------
    pathway : str
        The pathway that owns the array.
    factor : float
        Not negative.
    post, pre : sequence of int or None
        Only synapses of these units; all unless given.
    """

    pathway: str
    factor: float
    post: Any = None
    pre: Any = None

    def __post_init__(self) -> None:
        if not (is_number(self.factor) and 0 <= self.factor < math.inf):
            raise ValidationError(
                f"Scale({self.pathway!r}): factor {self.factor!r} must be 0 or above; signs never flip."
            )
        for side in ("post", "pre"):
            object.__setattr__(self, side, unit_numbers(getattr(self, side), f"Scale({self.pathway!r}).{side}"))

    def mask(self, shape: tuple[int, int]) -> np.ndarray:
        """Return which synapses are scaled, (post, pre) of bool."""
        mask = np.ones(shape, dtype=bool)
        for axis, chosen in enumerate((self.post, self.pre)):
            if chosen is not None:
                line = np.zeros(shape[axis], dtype=bool)
                line[list(chosen)] = True
                mask &= line[:, None] if axis == 0 else line[None, :]
        return mask

    def chosen(self, post: np.ndarray, pre: np.ndarray) -> np.ndarray:
        """Return which synapses of a list are scaled."""
        chosen = np.ones(len(post), dtype=bool)
        for units, own in ((post, self.post), (pre, self.pre)):
            if own is not None:
                chosen &= np.isin(units, own)
        return chosen


@declaration
@dataclass(frozen=True)
class Clamp:
    """Hold what cells send at a value for a whole phase; 0 silences them.

    Parameters
    ----------
    population : str
        The population.
    value : float
        What its transmitted variable ``r`` is held at.
    units : sequence of int or None
        Which units; all unless given.
    """

    population: str
    value: float = 0.0
    units: Any = None

    def __post_init__(self) -> None:
        if not (is_number(self.value) and 0 <= self.value < math.inf):
            raise ValidationError(f"Clamp({self.population!r}): value {self.value!r} must be finite and not negative.")
        object.__setattr__(self, "units", unit_numbers(self.units, f"Clamp({self.population!r}).units"))
