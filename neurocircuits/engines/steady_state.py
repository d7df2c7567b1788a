"""The steady-state engine: fast variables at their fixed point, slow ones stepped, batches as matrix products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from neurocircuits.compile.mean_field import mean_field
from neurocircuits.compile.plan import Plan
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.protocol import NOTHING, Protocol
from neurocircuits.declare.serialise import declaration
from neurocircuits.declare.stimulus import Presentations
from neurocircuits.engines.arrays import CPU, DEVICES, host, is_device, placed
from neurocircuits.engines.base import Engine, Feed, Observer, Readings, Simulation
from neurocircuits.engines.checks import check_sent
from neurocircuits.engines.held import HeldLearning
from neurocircuits.engines.refusals import refused
from neurocircuits.engines.settling import Settler
from neurocircuits.engines.values import received
from neurocircuits.errors import DivergenceError, ValidationError
from neurocircuits.randomness import Streams

SOLVERS = ("auto", "active-set", "iteration", "relaxation")


@declaration
@dataclass(frozen=True)
class SteadyState(Engine):
    """Run a circuit as its adiabatic limit.

    Parameters
    ----------
    batch : int
        Presentations that learn together: as many copies of the circuit on shared weights, learning on their mean.
    substeps : int
        Learning steps in a presentation; the circuit settles anew before each.
    tolerance : float
        Largest residual of a steady state, relative to the largest input of the presentation.
    learning_tolerance : float
        The same while anything learns, where mean drifts forgive more.
    solver : {"auto", "active-set", "iteration", "relaxation"}
        ``auto`` chooses by what the plan is.
    max_iterations : int
        Accelerated gradient steps before rows go to the active-set method, which loops that a few linear units mediate
        do not need.
    dtype : {"float64", "float32"}
        Precision of weights.
    device : str
        Where a run computes: ``"cpu"`` with NumPy; ``"cuda"`` or, by number, ``"cuda:1"`` on a GPU with torch;
        ``"torch:cpu"`` in the same way with torch on the processor, which shows what a GPU would do.

    Raises
    ------
    ValidationError
        If a value is not allowed.

    Notes
    -----
    On a device weights, variables, ranks, drifts and steps stay there; stimuli go over batch by batch, and what is
    recorded, kept in checkpoints or asked for by ``state()`` comes back as NumPy's arrays. A GPU pays where batches
    and layers are large. Equal seeds draw equal weights and stimuli on all devices, and a device rounds in its own way.
    What comes to rest by products runs there: populations without a loop, and threshold-linear loops that a few linear
    units mediate, or tied pathways to and fro. All else is refused before a run, with its reason.
    """

    batch: int = 1
    substeps: int = 1
    tolerance: float = 1e-6
    learning_tolerance: float = 1e-3
    solver: str = "auto"
    max_iterations: int = 150
    dtype: str = "float64"
    device: str = CPU

    name = "steady-state"

    def __post_init__(self) -> None:
        for what in ("batch", "substeps", "max_iterations"):
            value = getattr(self, what)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValidationError(f"SteadyState.{what}: {value!r} is not a positive whole number.")
        for what in ("tolerance", "learning_tolerance"):
            if not getattr(self, what) > 0:
                raise ValidationError(f"SteadyState.{what}: {getattr(self, what)!r} is not positive.")
        if self.solver not in SOLVERS:
            raise ValidationError(f"SteadyState.solver: {self.solver!r}. Allowed: {', '.join(map(repr, SOLVERS))}.")
        if self.dtype not in ("float64", "float32"):
            raise ValidationError(f"SteadyState.dtype: {self.dtype!r}. Allowed: 'float64', 'float32'.")
        if not is_device(self.device):
            raise ValidationError(f"SteadyState.device: {self.device!r}. Allowed: {DEVICES}.")

    def reads(self, circuit: Circuit) -> Circuit:
        """Return the circuit that is run: the mean field of one that spikes, where its transfer functions are given."""
        spiking = [p for p in circuit.populations if p.is_spiking]
        return mean_field(circuit) if spiking and all(p.transfer for p in spiking) else circuit

    @property
    def group(self) -> int:
        """Presentations that learn together and share a time."""
        return self.batch

    def unsupported(self, plan: Plan, protocol: Protocol) -> list[str]:
        """Return every reason why this engine cannot run a protocol on a plan."""
        reasons = []
        for name, population in plan.populations.items():
            if population.is_spiking:
                reasons.append(f"population {name!r} is spiking and has no transfer function, so no mean field")
            elif population.random:
                reasons.append(f"population {name!r} draws random numbers, so it never comes to rest")
        if self.device != CPU:
            tolerances = {what: getattr(self, what) for what in ("tolerance", "learning_tolerance")}
            reasons += refused(plan, protocol, self.device, self.dtype, self.solver, tolerances)
        return reasons

    def open(self, plan: Plan, streams: Streams) -> SteadyStateSimulation:
        """Return a live simulation."""
        return SteadyStateSimulation(self, plan, streams)


class SteadyStateSimulation(Simulation):
    """A circuit that settles and learns, batch by batch."""

    def __init__(self, engine: SteadyState, plan: Plan, streams: Streams) -> None:
        super().__init__(plan, streams, engine.dtype, engine.device)
        self.engine = engine
        self.settler = Settler(plan, self.store, self.values, engine.solver, engine.max_iterations)
        self.held = HeldLearning(plan, self.store, self.values, self.parameters)

    def go(self, feed: Feed, observe: Observer) -> None:
        """Present from ``feed`` until it ends or ``observe`` asks for a pause."""
        stepped = self.engine.solver == "relaxation" and any(w.step for w in self.phase.timetable)  # type: ignore[union-attr]
        goes_on = stepped and self.phase.restart is not True  # type: ignore[union-attr]
        one_by_one = self.learns() or goes_on  # integration goes on from where the presentation before ended
        size = self.engine.batch * (1 if one_by_one else max(1, 512 // self.engine.batch))
        while True:
            progress = feed.progress  # at the onset, before the feed moves on
            if (parts := feed.take(size)) is None or observe(self._present(parts, progress)):
                return

    def _present(self, parts: dict[str, Presentations], progress: float) -> Readings:
        durations = next(iter(parts.values())).durations
        n_rows, scale = len(durations), self.scale(progress)
        for name, part in parts.items():
            if name != NOTHING:
                shown = part.values.astype(self.store.dtype, copy=False)
                self.values[name].data["r"] = placed(shown, self.store.like)
        learning = self.learns()
        if learning and n_rows > 1 and durations.min() != durations.max():
            raise ValidationError(
                f"SteadyState: durations in a batch differ ({durations.min():g} to {durations.max():g} s), but a "
                "batch learns for one "
                f"time. Use batch=1, or presentations of equal durations."
            )
        self.restart()
        self.learner.onset()
        residual, iterations = np.zeros(n_rows), 0
        settled = known = False
        for window in self.phase.windows(float(durations[0])):  # type: ignore[union-attr]
            plastic = window.plastic and learning
            for k in range(self.engine.substeps if plastic else 1):
                if not (window.hold and settled):
                    if window.step is not None and self.engine.solver == "relaxation":
                        seconds = window.duration / (self.engine.substeps if plastic else 1)
                        self.settler.integrate(n_rows, seconds, window.step, known)
                        known = True
                    else:
                        tolerance = self.engine.learning_tolerance if plastic else self.engine.tolerance
                        solution = self.settler.settle(n_rows, tolerance, warm=k > 0)
                        self._check(solution.residual, tolerance, parts)
                        self._check_signs()
                        residual, iterations = (
                            np.maximum(residual, solution.residual),
                            max(iterations, solution.iterations),
                        )
                    settled = True
                elif plastic:
                    self.settler.follow(n_rows)
                if plastic:
                    known = False
                    self._learn(
                        n_rows,
                        window.duration / self.engine.substeps,
                        window.step,
                        window.hold,
                        scale,
                        progress,
                    )
        if learning:
            self.learner.presentation_end(scale)
        return Readings(parts, self._read, residual, np.full(n_rows, iterations), np.full(n_rows, np.nan))

    def _learn(
        self,
        n_rows: int,
        seconds: float,
        step: float | None,
        hold: bool,
        scale: Callable[[str], float],
        progress: float,
    ) -> None:
        """Learn for a sub-step; where activity is held and a step is given, in that step."""
        n_steps = max(1, round(seconds / step)) if hold and step is not None else 1
        done = n_steps - 1 if n_rows == 1 and self.held(n_steps - 1, seconds / n_steps, scale) else 0
        for k in range(done, n_steps):
            if k:
                self.settler.follow(n_rows)
            self.learner.step(seconds / n_steps, scale, progress)

    def _check(self, residual: np.ndarray, tolerance: float, parts: dict[str, Presentations]) -> None:
        if (residual <= max(tolerance, 1e-9)).all():
            return
        row = int(np.argmax(np.where(np.isnan(residual), np.inf, residual)))
        first, there = next(iter(parts.values())), "" if self.engine.device == CPU else " with device='cpu'"
        names = ", ".join(self.plan.driven)
        raise DivergenceError(
            f"SteadyState: no steady state of {names} within the tolerance {tolerance:g} for row "
            f"{int(first.index[row])} of the stimulus "
            f"(residual {residual[row]:.3g}). Scale the stimulus or the weights down, lower the learning rate, raise "
            "the tolerance or "
            f"max_iterations, or use solver='relaxation'{there}."
        )

    def _check_signs(self) -> None:
        """Refuse negative rates under Dale's law, since they turn the sign of their synapses around."""
        if self.plan.circuit.unconstrained:
            return
        for name, part in self.settler.delivered.items():
            pathway = self.plan.pathways[name]
            self.settler.delivered[name] = check_sent(self.plan, self.store, self.values, pathway, part)

    def _read(self, name: str, variable: str) -> np.ndarray:
        values = self.values[name]
        if variable in ("excitation", "inhibition"):
            sign = 1 if variable == "excitation" else -1
            return host(received(self.plan, self.values, self.settler.delivered, name, sign))
        n_rows = next(v.shape[0] for v in values.data.values() if np.ndim(v) == 2)
        value = host(values[variable])
        value = value.toarray() if hasattr(value, "toarray") else value
        return np.broadcast_to(value, (n_rows, values.plan.n_units))
