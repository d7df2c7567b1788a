"""The continuous-time engine: circuits as Brian 2 networks, one network and one compiled program for a protocol."""

from __future__ import annotations

import math
import os
import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurocircuits.compile.plan import Plan
from neurocircuits.declare.protocol import Phase, Protocol, Window
from neurocircuits.declare.serialise import declaration
from neurocircuits.engines.base import Engine, Simulation
from neurocircuits.engines.brian2_objects import multiple
from neurocircuits.engines.brian2_spikes import copied_reasons
from neurocircuits.engines.memory import too_large
from neurocircuits.errors import ValidationError
from neurocircuits.randomness import Streams
from neurocircuits.units import seconds

METHODS = ("euler", "exponential_euler", "exact", "heun", "milstein", "rk2", "rk4")
DEVICES = ("runtime", "cpp_standalone")
TARGETS = ("auto", "numpy", "cython")
_COMPILING_PAYS_AFTER = 2e7  # time steps after which compiled state updates have saved what compiling costs
_WITH_SPIKES = 1e5  # the same where there are thresholds, queues and synapses


def _in_numpy_only(plan: Plan) -> list[str]:
    """Return the populations whose equations Brian 2 cannot compile."""
    return [name for name, p in plan.populations.items() if any("lif_rate(" in text for text in p.texts.values())]


@declaration
@dataclass(frozen=True)
class Brian2(Engine):
    """Run a circuit in continuous time on Brian 2.

    Parameters
    ----------
    dt : quantity
        Time step.
    method : {"euler", "exponential_euler", "exact", "heun", "milstein", "rk2", "rk4"}
        Brian 2's integration method for the fast variables.
    device : {"runtime", "cpp_standalone"}
        Step by step from Python, or one compiled program.
    target : {"auto", "numpy", "cython"}
        Code generation of runtime state updates; ``auto`` compiles only where that saves more than it costs.
    dtype : {"float64", "float32"}
        Precision.
    batch : int
        Copies of every population on shared weights that learn on their mean (runtime).
    learning_step : quantity or None
        How often weights and slow variables are stepped, a multiple of ``dt``; a twentieth of a window unless given.
    directory : str or None
        Where a standalone program is built; a temporary folder unless given.
    tolerance : float or None
        Largest mean distance from the steady state at the end of presentations, relative to the largest rate; beyond
        it the run fails with the step and duration that would do. Where there is no such state, it fails if the circuit
        is unstable and its rates run away. None checks nothing.

    Raises
    ------
    ValidationError
        If a value is not allowed.
    """

    dt: Any = 1e-4
    method: str = "euler"
    device: str = "runtime"
    target: str = "auto"
    dtype: str = "float64"
    batch: int = 1
    learning_step: Any = None
    directory: str | None = None
    tolerance: float | None = 0.2

    name = "brian2"

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "dt", seconds(self.dt, "Brian2.dt"))
        if not 0 < self.dt < math.inf:
            raise ValidationError(f"Brian2.dt: {self.dt!r} s is not a positive time. Write for example '0.1 ms'.")
        precisions = ("float64", "float32")
        choices = {"method": METHODS, "device": DEVICES, "target": TARGETS, "dtype": precisions}
        for what, allowed in choices.items():
            if getattr(self, what) not in allowed:
                raise ValidationError(
                    f"Brian2.{what}: {getattr(self, what)!r}. Allowed: {', '.join(map(repr, allowed))}."
                )
        if isinstance(self.batch, bool) or not isinstance(self.batch, int) or self.batch < 1:
            raise ValidationError(f"Brian2.batch: {self.batch!r} is not a positive whole number.")
        if self.learning_step is not None:
            set_(self, "learning_step", seconds(self.learning_step, "Brian2.learning_step"))
            multiple(self.learning_step, self.dt, "Brian2.learning_step", "dt")
        if self.directory is not None:
            set_(self, "directory", os.fspath(self.directory))
        if self.tolerance is not None and not self.tolerance > 0:
            raise ValidationError(f"Brian2.tolerance: {self.tolerance!r} is neither positive nor None.")

    @property
    def group(self) -> int:
        """Presentations that learn together and share a time."""
        return self.batch

    @property
    def not_live(self) -> str:
        """Why simulations cannot be watched, saved and resumed on their way; empty if they can."""
        if self.device == "runtime":
            return ""
        return "a standalone program is built, run to its end and then read. Use Brian2(device='runtime')"

    def unsupported(self, plan: Plan, protocol: Protocol) -> list[str]:
        """Return every reason why this engine cannot run a protocol on a plan."""
        compiled = self.device == "cpp_standalone" or self.target in ("cython", "cpp_standalone")
        reasons = [
            f"population {name!r} calls lif_rate, which Brian 2 has in NumPy only; use Brian2(target='numpy') or "
            "the steady-state engine"
            for name in _in_numpy_only(plan)
            if compiled
        ]
        if plan.spiking:
            reasons += self._spiking_reasons(plan, protocol)
            reasons += too_large(plan, protocol, self.device == "cpp_standalone", self.directory)
        for phase in protocol.phases:
            if self.batch > 1 and phase.n_per_epoch % self.batch:
                reasons.append(
                    f"phase {phase.name!r} has {phase.n_per_epoch} presentations an epoch, no multiple of "
                    f"batch={self.batch}"
                )
        if self.device == "cpp_standalone":
            from neurocircuits.engines.brian2_standalone import unsupported

            reasons += unsupported(self, plan, protocol)
        return reasons

    def _spiking_reasons(self, plan: Plan, protocol: Protocol) -> list[str]:
        """Return every reason why this engine cannot run a protocol on a plan with spikes."""
        reasons = []
        if self.batch > 1:
            reasons += copied_reasons(plan)
        for name, pathway in plan.pathways.items():
            if pathway.declaration.delays_differ:
                if self.batch > 1 or not pathway.listed:
                    how = "learn by a drift" if not pathway.listed else "are shared by copies"
                    reasons.append(
                        f"synapses {name!r} have delays that differ and {how}, which sends spikes as products with "
                        "matrices; use one delay" + (", or batch=1" if pathway.listed else ", or a rule in event form")
                    )
            elif 0 < pathway.declaration.delay < 0.5 * self.dt:
                reasons.append(
                    f"synapses {name!r} have a delay of {pathway.declaration.delay:g} s, below half the time step "
                    f"dt = {self.dt:g} s; use a smaller dt, or no delay"
                )
        for phase in protocol.phases:
            if any(window.hold or window.step is not None for window in phase.timetable):
                reasons.append(f"phase {phase.name!r} holds activity or has steps of its own, which spikes do not")
            for intervention in phase.interventions:
                name = getattr(intervention, "population", "")
                if name and plan.populations[name].is_spiking:
                    reasons.append(
                        f"phase {phase.name!r} clamps population {name!r}, which spikes; override a parameter instead"
                    )
        return reasons

    def open(self, plan: Plan, streams: Streams) -> Simulation:
        """Return a live simulation, or a compiled program that presents itself as one."""
        if self.device == "cpp_standalone":
            from neurocircuits.engines.brian2_standalone import StandaloneSimulation

            return StandaloneSimulation(self, plan, streams)
        from neurocircuits.engines.brian2_runtime import RuntimeSimulation

        return RuntimeSimulation(self, plan, streams)

    def code_target(self, plan: Plan, protocol: Protocol | None) -> str:
        """Return the code generation target for a protocol."""
        if self.target != "auto":
            return self.target
        headers = Path(sysconfig.get_path("include"), "Python.h")  # Debian leaves them to python3-dev
        if protocol is None or shutil.which("gcc") is None or not headers.exists() or _in_numpy_only(plan):
            return "numpy"
        steps = sum(self.n_steps(phase) for phase in protocol.phases)
        return "cython" if steps > (_WITH_SPIKES if plan.spiking else _COMPILING_PAYS_AFTER) else "numpy"

    def n_steps(self, phase: Phase) -> float:
        """Return about how many time steps a phase takes."""
        first = phase.batch(0, 1, Streams(0))
        duration = float(next(iter(first.values())).durations[0])
        return (
            phase.n_presentations / self.batch * sum(w.duration / (w.step or self.dt) for w in phase.windows(duration))
        )

    def window_steps(self, window: Window) -> tuple[int, int]:
        """Return the number of time steps of a window and how many of them make a learning step.

        Raises
        ------
        ValidationError
            If the steps do not divide the window.
        """
        dt = window.step or self.dt
        n_steps = multiple(window.duration, dt, "presentation", "dt" if window.step is None else "step of the window")
        if not window.plastic:
            return n_steps, 0
        if window.step is not None and window.hold:
            return n_steps, 1
        if self.learning_step is not None:
            every = multiple(self.learning_step, dt, "Brian2.learning_step", "dt")
            if n_steps % every:
                raise ValidationError(
                    f"Brian2.learning_step: {self.learning_step:g} s does not divide the presentation of "
                    f"{window.duration:g} s. "
                    f"Choose a step that does."
                )
            return n_steps, every
        goal = max(1, n_steps // 20)
        return n_steps, next(k for k in range(goal, 0, -1) if n_steps % k == 0)
