"""What happens when in a standalone program: timed values, scheduled operations and learning.

Order within a time step, at its start: learning of the step that just ended (order -20), the record (-15), copies of
weights for the phase that ended (-10), what a phase changes (-5), the stimulus (0); then sums, then state updates.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from neurocircuits.declare.protocol import Clamp, Protocol
from neurocircuits.declare.steps import Cap, PerUnit

if TYPE_CHECKING:
    from neurocircuits.engines.brian2_engine import Brian2
    from neurocircuits.engines.brian2_schedule import Schedule


class Timing:
    """Timed values and scheduled operations of a standalone program.

    Parameters
    ----------
    b2 : module
        Brian 2, with its state owned by the caller.
    engine : Brian2
        Settings.
    schedule : Schedule
        The timetable.
    protocol : Protocol
        The protocol.
    """

    def __init__(self, b2: Any, engine: Brian2, schedule: Schedule, protocol: Protocol) -> None:
        self.b2, self.engine, self.schedule, self.protocol = b2, engine, schedule, protocol
        self.slot_dt = float(f"{schedule.slot * engine.dt:.12g}")  # a decimal, as Brian 2 compares grids
        self.phase_dt = float(f"{schedule.phase_slots * self.slot_dt:.12g}")
        self.n_phases = len(protocol.phases)
        self.overridden = {key for phase in protocol.phases for key in phase.parameters}
        self.clamped = {i.population for phase in protocol.phases for i in phase.interventions if isinstance(i, Clamp)}
        self.operations: list[Any] = []

    def timed(self, values: np.ndarray, dt: float, name: str) -> Any:
        """Return a function of time with one value, or one row, for each ``dt`` seconds."""
        return self.b2.TimedArray(np.asarray(values, dtype=float), dt=dt * self.b2.second, name=name)

    def phase_values(self, values: list[float], name: str) -> Any:
        """Return a function of time that holds one value for each phase."""
        per_slot = np.asarray(values, dtype=float)[
            self.schedule.phase_of[: self.schedule.n_slots : self.schedule.phase_slots]
        ]
        return self.timed(per_slot, self.phase_dt, name)

    def regularly(self, owner: Any, code: str, steps: int, order: int, name: str) -> None:
        """Schedule code of a group or of synapses every so many time steps, at the start of a step."""
        self.operations.append(
            owner.run_regularly(code, dt=steps * self.engine.dt * self.b2.second, when="start", order=order, name=name)
        )

    @staticmethod
    def override(phase: Any, key: str, default: float) -> float:
        """Return the value of a parameter in a phase."""
        return float(phase.parameters[key].value) if key in phase.parameters else default

    def held(self, text: str, population: str, suffix: str) -> str:
        """Return a text in which the rate of a population that is ever clamped is what its clamp says."""
        if population not in self.clamped:
            return text
        return re.sub(rf"\br{suffix}\b", f"(r{suffix}*(1 - clamped{suffix}) + held{suffix}*clamped{suffix})", text)

    def rate(self, name: str, namespace: dict[str, Any]) -> str:
        """Return the factor of a drift: how long a learner learns at the end of the last tick, mostly 0."""
        tick = self.schedule.tick * self.engine.dt
        namespace["learning_timed"] = self.timed(self.schedule.learning[name], tick, f"learning_{name}")
        namespace["half_step"] = 0.5 * self.engine.dt * self.b2.second
        return "learning_timed(t - half_step)*second*int(t > half_step)"

    def step(
        self,
        owner: Any,
        order: int,
        variable: str,
        drift: str,
        rate: str,
        bounds: tuple[float, float],
        step: Any,
        unit: str,
        rename: str,
    ) -> None:
        """Schedule the learning of a variable: its drift for as long as the learner learns, bounds and cap included."""
        low, high = (_bound(value, unit) for value in bounds)
        if isinstance(step, Cap):
            size = _bound(step.size, unit)
            low, high = (
                f"clip({low}, {variable}_onset - {size}, inf*{unit})",
                f"clip({high}, -inf*{unit}, {variable}_onset + {size})",
            )
            owner.namespace["first_timed"] = self.timed(self.is_onset(), self.slot_dt, f"first_{rename}")
            keep = f"{variable}_onset = {variable}*first_timed(t) + {variable}_onset*(1 - first_timed(t))"
            self.regularly(owner, keep, self.schedule.slot, -4, f"onset_{rename}")
        divided = f"/{step.name}_post" if isinstance(step, PerUnit) else ""
        code = f"{variable} = clip({variable} + ({rate})*({drift}){divided}, {low}, {high})"
        self.regularly(
            owner,
            code.replace("inf*1", "inf"),
            self.schedule.tick,
            order,
            f"learn_{rename}",
        )

    def is_onset(self) -> np.ndarray:
        """Return 1 for the slots in which a presentation begins."""
        first = np.zeros(self.schedule.n_slots)
        first[self.schedule.onsets] = 1.0
        return first

    def copies(self, owner: Any, variable: str, rename: str) -> None:
        """Keep what a variable is when each phase but the last ends."""
        if self.n_phases == 1:
            return
        slots = np.arange(0, self.schedule.n_slots, self.schedule.phase_slots)
        lines = []
        for k in range(self.n_phases - 1):
            mark = (slots == self.schedule.phase_starts[k + 1]).astype(float)
            owner.namespace[f"end_{k}"] = self.timed(mark, self.phase_dt, f"end_{k}_{rename}")
            lines.append(f"{variable}_at_{k} = {variable}*end_{k}(t) + {variable}_at_{k}*(1 - end_{k}(t))")
        self.regularly(owner, "\n".join(lines), self.schedule.phase_slots * self.schedule.slot, -10, f"keep_{rename}")


def _bound(value: float, unit: str) -> str:
    number = "inf" if value == np.inf else "-inf" if value == -np.inf else repr(float(value))
    return number if unit == "1" else f"({number})*{unit}"
