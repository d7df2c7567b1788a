"""What the parts of a standalone program share: values that change with time, repeated operations, learning steps.

Order within a time step, at its start: learning of the step that just ended (order -20, sums for it before), the record
(-15), copies of what a phase leaves behind and what the next one changes (-10), the stimulus (0); then sums, then state
updates. Each operation is a file to compile, so what happens to one object at phase boundaries is one operation.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from neurocircuits.compile.plan import Plan
from neurocircuits.declare.protocol import Clamp, Protocol
from neurocircuits.declare.steps import Cap, PerUnit, Step
from neurocircuits.engines.brian2_objects import with_unit
from neurocircuits.units import Quantity, unit_text

if TYPE_CHECKING:
    from neurocircuits.engines.brian2_engine import Brian2
    from neurocircuits.engines.brian2_schedule import Schedule


class Timing:
    """Timed values and repeated operations of a standalone program.

    Parameters
    ----------
    b2 : module
        Brian 2, with its state owned by the caller.
    engine : Brian2
        Settings.
    plan : Plan
        The plan.
    schedule : Schedule
        The timetable.
    protocol : Protocol
        The protocol.
    """

    def __init__(self, b2: Any, engine: Brian2, plan: Plan, schedule: Schedule, protocol: Protocol) -> None:
        self.b2, self.engine, self.plan, self.schedule, self.protocol = b2, engine, plan, schedule, protocol
        self.clock = b2.Clock(dt=engine.dt * b2.second, name="clock_fast")
        self.functions = {function.name: function for function in plan.circuit.functions}
        self.phase_steps = schedule.phase_slots * schedule.slot
        self.slot_dt, self.tick_dt, self.phase_dt = (
            self.time_of(steps) for steps in (schedule.slot, schedule.tick, self.phase_steps)
        )
        self.n_phases = len(protocol.phases)
        self.overridden = {key for phase in protocol.phases for key in phase.parameters}
        self.clamped = {i.population for phase in protocol.phases for i in phase.interventions if isinstance(i, Clamp)}
        self.boundaries = np.arange(0, schedule.n_slots + 1, schedule.phase_slots)  # with the end, where none begins
        self._chosen = _choice(b2)
        self._at_boundaries: dict[str, tuple[Any, list[tuple[int, str]]]] = {}
        self._operations: list[Any] = []  # a network finds them through their owners, which hold them weakly

    def time_of(self, steps: int) -> float:
        """Return the time that some steps take, as a decimal, since Brian 2 compares grids."""
        return float(f"{steps * self.engine.dt:.12g}")

    def values(self, values: np.ndarray, dt: float, name: str) -> Any:
        """Return a function of time."""
        return self.b2.TimedArray(np.asarray(values, dtype=float), dt=dt * self.b2.second, name=name)

    def at_boundaries(self, values: np.ndarray, name: str) -> Any:
        """Return a function of time that changes at the common divisor of the phase boundaries."""
        return self.values(values, self.phase_dt, name)

    def phase_values(self, values: list[float], name: str) -> Any:
        """Return a function of time that holds one value for each phase."""
        phases = np.minimum(self.schedule.phase_of[self.boundaries], self.n_phases - 1)
        return self.at_boundaries(np.asarray(values, dtype=float)[phases], name)

    def overrides(self, key: str, default: float, name: str) -> Any:
        """Return a parameter as a function of time, with what phases override."""
        phases = self.protocol.phases
        return self.phase_values(
            [float(p.parameters[key].value) if key in p.parameters else default for p in phases], name
        )

    def regularly(self, owner: Any, code: str, steps: int, order: int, name: str) -> None:
        """Do something at the start of each so many time steps."""
        dt = self.time_of(steps) * self.b2.second
        self._operations.append(owner.run_regularly(code, dt=dt, when="start", order=order, name=name))

    def with_clamps(self, text: str, population: str, suffix: str) -> str:
        """Return a text in which the rate of a population that is ever clamped is what its clamp says."""
        if population not in self.clamped:
            return text
        return re.sub(rf"\br{suffix}\b", f"(r{suffix}*(1 - clamped{suffix}) + held{suffix}*clamped{suffix})", text)

    def learned(
        self,
        owner: Any,
        learner: str,
        variable: str,
        drift: str,
        bounds: tuple[float, float],
        step: Step | None,
        unit: str,
        suffix: str = "",
    ) -> str:
        """Return what a variable becomes at the end of a tick, from which it has learned for a time, mostly 0.

        Parameters
        ----------
        owner : Group
            Brian 2 object with the variable.
        learner : str
            Name of the pathway or population.
        variable, drift : str
            The variable and the text of its drift.
        bounds : (float, float)
            Its bounds.
        step : Step or None
            How the drift becomes a change.
        unit : str
            Unit of the variable.
        suffix : str
            Suffix of postsynaptic names.
        """
        name = f"{learner}_{variable}"
        owner.namespace["learning_timed"] = self.values(
            self.schedule.learning[learner], self.tick_dt, f"learning_{name}"
        )
        owner.namespace["half_step"] = 0.5 * self.engine.dt * self.b2.second
        owner.namespace["chosen"] = self._chosen
        low, high = (with_unit(value, unit) for value in bounds)
        if isinstance(step, Cap):
            size = with_unit(step.size, unit)
            low = f"clip({low}, {variable}_onset - {size}, {with_unit(np.inf, unit)})"
            high = f"clip({high}, {with_unit(-np.inf, unit)}, {variable}_onset + {size})"
            first = np.zeros(self.schedule.n_slots)
            first[self.schedule.onsets] = 1.0
            owner.namespace["first_timed"] = self.values(first, self.slot_dt, f"first_{name}")
            keep = f"{variable}_onset = chosen(first_timed(t), {variable}, {variable}_onset)"
            self.regularly(owner, keep, self.schedule.slot, -4, f"onset_{name}")
        divided = f"/{'new_' * bool(suffix)}{step.name}{suffix}" if isinstance(step, PerUnit) else ""
        time = "learning_timed(t - half_step)*int(t > half_step)"
        changed = f"clip({variable} + {time}*second*({drift}){divided}, {low}, {high})"
        return f"chosen({time}, {changed}, {variable})"

    def copies(self, owner: Any, variable: str, name: str) -> None:
        """Keep what a variable is when each phase but the last ends."""
        owner.namespace["chosen"] = self._chosen
        for k, start in enumerate(self.schedule.phase_starts[1:]):
            owner.namespace[f"end_{k}"] = self.at_boundaries(self.boundaries == start, f"end_{k}_{name}")
            line = f"{variable}_at_{k} = chosen(end_{k}(t), {variable}, {variable}_at_{k})"
            self._at_boundary(owner, 1, line)

    def changes(self, owner: Any, code: str, shared: bool = False) -> None:
        """Change something at the phase boundaries, after the phase that ends there was copied.

        Parameters
        ----------
        owner : Group
            Brian 2 object.
        code : str
            Statements.
        shared : bool
            Whether they set parameters that all units share, which Brian 2 wants first; copies do not depend on them.
        """
        self._at_boundary(owner, 0 if shared else 2, code)

    def _at_boundary(self, owner: Any, place: int, code: str) -> None:
        self._at_boundaries.setdefault(owner.name, (owner, []))[1].append((place, code))

    def finish(self) -> None:
        """Make one operation of what happens to each object at phase boundaries."""
        for name, (owner, codes) in self._at_boundaries.items():
            code = "\n".join(code for _, code in sorted(codes, key=lambda item: item[0]))
            self.regularly(owner, code, self.phase_steps, -10, f"boundaries_of_{name}")


def unit_factor(value: Quantity) -> str:
    """Write the unit of a parameter as a factor that follows a number."""
    unit = unit_text(value.dimension)
    return "" if unit == "1" else f"*{unit}"


def _choice(b2: Any) -> Any:
    """Return ``chosen(yes, a, b)``: a where ``yes`` is positive, else b, whatever the other is (0*inf is no number)."""
    chosen = b2.Function(
        lambda yes, a, b: np.where(yes > 0, a, b),
        arg_units=[1, None, None],
        return_unit=lambda yes, a, b: a,
        arg_types=["float", "float", "float"],
        return_type="float",
    )
    code = "inline double chosen(double yes, double a, double b) { return yes > 0.0 ? a : b; }"
    chosen.implementations.add_implementation("cpp", code)
    return chosen
