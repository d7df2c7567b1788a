"""What a phase records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurocircuits.declare.checks import is_whole, members, unit_numbers
from neurocircuits.declare.serialise import declaration
from neurocircuits.errors import ValidationError
from neurocircuits.units import seconds


@declaration
@dataclass(frozen=True, init=False)
class Record:
    """Declare what a phase records.

    Parameters
    ----------
    *names : str
        Variables, inputs or sub-expressions of populations; ``excitation`` and ``inhibition`` are always there. A name
        that a population lacks is skipped there, and refused if no population has it.
    populations : sequence of str or None
        Which populations; all that have equations unless given.
    every : int
        Record each ``every``-th presentation.
    units : sequence of int or None
        Which units; all unless given.
    interval : quantity or None
        In continuous time, record also within a presentation at this interval; steady states have one value each.
    spikes : bool or sequence of str
        Whether to record the spikes of the spiking populations, all of them or those named here. Their mean field, on
        the steady-state engine, has rates and no spikes, so that none are recorded there.
    weights_every : int or None
        Snapshots of weights and slow variables each so many presentations, besides those at the phase's end. Without
        variables, that is all that is recorded.
    """

    variables: tuple[str, ...]
    populations: tuple[str, ...] | None
    every: int
    units: tuple[int, ...] | None
    interval: float | None
    weights_every: int | None
    spikes: bool | tuple[str, ...]

    def __init__(
        self,
        *names: str,
        variables: Sequence[str] = (),
        populations: Sequence[str] | None = None,
        every: int = 1,
        units: Sequence[int] | None = None,
        interval: Any = None,
        weights_every: int | None = None,
        spikes: bool | Sequence[str] = False,
    ) -> None:
        set_ = object.__setattr__
        set_(self, "variables", members((*names, *variables), str, "Record"))
        populations = (populations,) if isinstance(populations, str) else populations
        set_(self, "populations", None if populations is None else members(populations, str, "Record.populations"))
        set_(self, "every", every)
        set_(self, "units", unit_numbers(units, "Record.units"))
        set_(self, "interval", None if interval is None else seconds(interval, "Record.interval"))
        if self.interval is not None and not 0 < self.interval < math.inf:
            raise ValidationError(
                f"Record.interval: {interval!r} is not positive and finite. Write for example '1 ms'."
            )
        set_(self, "weights_every", weights_every)
        names_of = (spikes,) if isinstance(spikes, str) else spikes
        set_(self, "spikes", bool(spikes) if isinstance(names_of, bool | np.bool_) else tuple(names_of))
        for name in ("every", "weights_every"):
            value = getattr(self, name)
            if value is not None and (not is_whole(value) or value < 1):
                raise ValidationError(f"Record.{name}: {value!r} is not a positive whole number.")

    @property
    def rows(self) -> bool:
        """Whether there is anything to record at presentations; snapshots of weights alone need none."""
        return bool(self.variables) or (self.weights_every is None and not self.spikes)

    def records_spikes(self, population: str) -> bool:
        """Return whether the spikes of a population are recorded."""
        return self.spikes if isinstance(self.spikes, bool) else population in self.spikes
