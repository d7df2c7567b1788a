"""What every engine offers: reasons why it cannot run something, and live simulations that advance, stop and resume."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import numpy as np

from neurocircuits.compile.plan import Plan
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.protocol import Clamp, Phase, Protocol, Scale
from neurocircuits.declare.stimulus import Presentations
from neurocircuits.declare.weights import first_illegal
from neurocircuits.engines.arrays import CPU, host, on_host
from neurocircuits.engines.learning import Learner
from neurocircuits.engines.memory import too_dense
from neurocircuits.engines.values import WeightStore, initial_values
from neurocircuits.errors import StorageError, UnsupportedError, ValidationError, listed
from neurocircuits.randomness import Streams

State = dict[str, Any]

_GROUP = "neurocircuits.engines"
_OWN = {
    "steady-state": "neurocircuits.engines.steady_state:SteadyState",
    "brian2": "neurocircuits.engines.brian2_engine:Brian2",
}


@dataclass
class Feed:
    """The presentations of a phase, taken from wherever a run stands.

    Parameters
    ----------
    batch : callable
        ``batch(start, size)`` returns presentations by source population; it may return fewer than ``size``.
    stop : int
        Number after the last presentation.
    position : int
        Number of the next presentation.
    """

    batch: Callable[[int, int], dict[str, Presentations]]
    stop: int
    position: int = 0

    @property
    def progress(self) -> float:
        """Fraction that has been taken."""
        return self.position / self.stop

    def take(self, size: int) -> dict[str, Presentations] | None:
        """Return the next presentations and move on, or None at the end."""
        if self.position >= self.stop:
            return None
        parts = self.batch(self.position, min(size, self.stop - self.position))
        self.position += len(next(iter(parts.values())).durations)
        return parts


@dataclass
class Readings:
    """What there is to record after some presentations.

    Attributes
    ----------
    presentations : dict of str to Presentations
        What was shown.
    read : callable
        ``read(population, variable)`` returns (n, unit); ``excitation`` and ``inhibition`` are variables, too.
    residual, iterations, distance : ndarray, shape (n,)
        Of the solver and from the steady state; NaN where there is none.
    within : list of (float, callable)
        Samples within the presentation: time since onset in seconds and a ``read``.
    spikes : dict of str to (ndarray of int, ndarray, ndarray of int)
        Units that fired, when, in seconds since the onset of the presentation, and in which one, by population.
    """

    presentations: dict[str, Presentations]
    read: Callable[[str, str], np.ndarray]
    residual: np.ndarray
    iterations: np.ndarray
    distance: np.ndarray
    within: list[tuple[float, Callable[[str, str], np.ndarray]]] = field(default_factory=list)
    spikes: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of presentations."""
        return len(self.residual)


Observer = Callable[[Readings], bool]


class Simulation(ABC):
    """A circuit that is alive: it is shown presentations, and its state can be taken and put back.

    Attributes
    ----------
    plan : Plan
        The plan.
    store : WeightStore
        Weights.
    values : dict of str to PopulationValues
        Variables of populations.
    parameters : dict
        SI parameters, by population or pathway.
    """

    def __init__(self, plan: Plan, streams: Streams, dtype: str = "float64", device: str = CPU) -> None:
        self.plan, self.streams = plan, streams
        self.parameters = plan.with_parameters({})
        self.store = WeightStore(plan, streams, dtype, device)
        self.values = initial_values(plan, self.parameters, dtype, streams, self.store.like)
        self.learner = Learner(plan, self.store, self.values, self.parameters)
        self.phase: Phase | None = None
        self._learners = plan.learners

    def prepare(self, protocol: Protocol) -> None:  # noqa: B027
        """Get ready for a whole protocol, once, before its first phase."""

    def begin(self, phase: Phase, resumed: bool = False) -> None:
        """Set parameters, clamps and scaled weights of a phase; a resumed phase has scaled its weights already."""
        self.phase = phase
        for name, fresh in self.plan.with_parameters(
            {key: value.value for key, value in phase.parameters.items()}
        ).items():
            self.parameters[name].clear()
            self.parameters[name].update(fresh)
        for values in self.values.values():
            values.clamp = None
        for intervention in phase.interventions:
            if isinstance(intervention, Clamp):
                n_units = self.plan.populations[intervention.population].n_units
                mask = (
                    np.ones(n_units, dtype=bool)
                    if intervention.units is None
                    else np.isin(np.arange(n_units), intervention.units)
                )
                mask = np.asarray(mask, like=self.store.like)
                nothing = np.zeros_like(mask), np.zeros(n_units, like=mask)
                earlier = self.values[intervention.population].clamp or nothing
                held = np.where(mask, float(intervention.value), earlier[1])
                self.values[intervention.population].clamp = (mask | earlier[0], held)
            elif isinstance(intervention, Scale) and not resumed:
                pathway = self.plan.pathways[intervention.pathway]
                array, exists = self.store.writeable(pathway.name), self.store.exists(pathway)
                if pathway.name in self.store.pairs:
                    chosen = intervention.chosen(*self.store.pairs[pathway.name])
                else:
                    chosen = np.asarray(intervention.mask(array.shape), like=array)
                    chosen = chosen & (True if exists is None else exists)
                array[chosen] = np.clip(array[chosen] * intervention.factor, *pathway.bounds)
                self.store.changed(pathway.name)

    def scale(self, progress: float) -> Callable[[str], float]:
        """Return the scale of learning rates by name at ``progress`` of the phase."""
        phase = self.phase
        if phase is None:
            raise ValidationError("Simulation: call begin(phase) before anything is presented.")
        return lambda name: phase.scale(name, progress)

    def restart(self) -> None:
        """Start from their initial values what the phase restarts with each presentation."""
        for name, population in self.plan.driven.items():
            for state in self.phase.restarts(name, population.states) if self.phase is not None else ():
                self.values[name].data[state][...] = self.values[name].initial[state]

    def learns(self) -> bool:
        """Return whether anything learns at any time of the present phase."""
        return bool(self._learners) and self.phase is not None and not self.phase.frozen(self._learners)

    def slow(self, name: str, variable: str) -> np.ndarray:
        """Return a slow variable of a population, or what it reads out, (unit,), on the host."""
        return np.broadcast_to(host(self.values[name][variable]), (self.plan.populations[name].n_units,))

    @abstractmethod
    def go(self, feed: Feed, observe: Observer) -> None:
        """Present from ``feed`` until it ends or ``observe`` returns True, which asks for a pause."""

    def advance(self, batch: Mapping[str, Presentations]) -> Readings:
        """Present a batch and return what there is to record.

        Parameters
        ----------
        batch : mapping of str to Presentations
            By source population.
        """
        n = len(next(iter(batch.values())).durations)
        seen: list[Readings] = []
        feed = Feed(lambda start, size: {k: rows_of(p, slice(start, start + size)) for k, p in batch.items()}, n)

        def keep(readings: Readings) -> bool:
            seen.append(_kept(readings, self.plan))
            return False

        self.go(feed, keep)
        return _joined(seen, batch)

    def state(self) -> State:
        """Return a copy of everything that changes, as arrays by name."""
        state: State = {f"weights/{name}": np.array(host(array)) for name, array in self.store.arrays.items()}
        for name, values in self.values.items():
            if not self.plan.populations[name].is_source:
                state |= {f"values/{name}/{key}": np.array(host(value)) for key, value in values.data.items()}
        return state

    def load(self, state: State) -> None:
        """Put a state back.

        Raises
        ------
        StorageError
            If it belongs to another circuit, or its weights break Dale's law or are not finite; then nothing
            has changed.
        """
        for name, array in self.store.arrays.items():
            kept = state.get(f"weights/{name}")
            if kept is None or kept.shape != array.shape:
                raise StorageError(
                    f"State: it holds no weights {name!r} of shape {array.shape}; it belongs to another circuit."
                )
            allowed = np.isfinite(kept) & (kept >= 0 if self.plan.pathways[name].bounds[0] >= 0 else True)
            if not allowed.all():
                raise StorageError(
                    f"State: of the weights {name!r} {first_illegal(kept, allowed)} are not magnitudes. It is damaged "
                    "or was edited; restore it from a copy."
                )
        for name, array in self.store.arrays.items():
            if array.flags.writeable:
                array[...] = np.asarray(state[f"weights/{name}"], like=array)
                self.store.changed(name)
        for key, value in state.items():
            kind, _, rest = key.partition("/")
            if kind == "values":
                name, _, variable = rest.partition("/")
                own: Any = self.values[name].data.get(variable)
                fresh = np.array(value, like=self.store.like)
                kept = isinstance(own, np.ndarray) or not on_host(own)
                if kept and own.shape == value.shape and own.flags.writeable:
                    own[...] = fresh  # other objects may hold this buffer
                else:
                    self.values[name].data[variable] = fresh


def rows_of(presentations: Presentations, rows: slice) -> Presentations:
    """Return some of the presentations."""
    p = presentations
    return Presentations(p.values[rows], p.durations[rows], p.labels[rows], p.index[rows])


def _kept(readings: Readings, plan: Plan) -> Readings:
    """Copy what can be read now, since the buffers behind it are used again."""
    kept = {
        (name, variable): np.array(readings.read(name, variable))
        for name, population in plan.driven.items()
        for variable in (*population.variables, "excitation", "inhibition")
    }
    return Readings(
        readings.presentations,
        lambda name, variable: kept[name, variable],
        readings.residual,
        readings.iterations,
        readings.distance,
    )


def _joined(seen: list[Readings], batch: Mapping[str, Presentations]) -> Readings:
    if len(seen) == 1:
        return seen[0]
    first = np.cumsum([0, *(r.n for r in seen)])
    spikes = {
        name: tuple(
            np.concatenate([r.spikes[name][k] + (first[i] if k == 2 else 0) for i, r in enumerate(seen)])
            for k in range(3)
        )
        for name in seen[0].spikes
    }
    return Readings(
        presentations=dict(batch),
        read=lambda name, variable: np.concatenate([r.read(name, variable) for r in seen]),
        residual=np.concatenate([r.residual for r in seen]),
        iterations=np.concatenate([r.iterations for r in seen]),
        distance=np.concatenate([r.distance for r in seen]),
        spikes=spikes,
    )


class Engine(ABC):
    """Base of engines; an engine is a frozen declaration of how to run."""

    name: str

    @abstractmethod
    def unsupported(self, plan: Plan, protocol: Protocol) -> list[str]:
        """Return every reason why this engine cannot run a protocol on a plan; empty if it can."""

    @abstractmethod
    def open(self, plan: Plan, streams: Streams) -> Simulation:
        """Return a live simulation."""

    def reads(self, circuit: Circuit) -> Circuit:
        """Return the circuit that is compiled for this engine: the declared one, or what stands for it."""
        return circuit

    @property
    def group(self) -> int:
        """Presentations that learn together and share a time."""
        return 1

    @property
    def not_live(self) -> str:
        """Why simulations cannot be watched, saved and resumed on their way; empty if they can."""
        return ""


def engines() -> dict[str, Any]:
    """Return the engine classes that are installed, by name (entry points ``neurocircuits.engines``)."""
    own = (EntryPoint(name, where, _GROUP) for name, where in _OWN.items())  # a checkout has no entry points of its own
    return {point.name: point.load() for point in (*own, *entry_points(group=_GROUP))}


def check_supported(engine: Engine, plan: Plan, protocol: Protocol) -> None:
    """Refuse what an engine cannot run, with every reason and the engines that can.

    Raises
    ------
    UnsupportedError
        If there is a reason.
    ValidationError
        If a phase restarts what is not there.
    """
    for phase in protocol.phases:
        fast = [f"{name}.{state}" for name, population in plan.driven.items() for state in population.states]
        known = {*plan.driven, *fast}
        if not isinstance(phase.restart, bool) and (missing := [name for name in phase.restart if name not in known]):
            raise ValidationError(
                f"Phase({phase.name!r}).restart: {missing[0]!r} is neither a population with equations nor one of its "
                f"fast variables. Known: {listed(sorted(known))}."
            )
    reasons, too_big = engine.unsupported(plan, protocol), too_dense(plan, getattr(engine, "dtype", "float64"))
    if not reasons and not too_big:
        return
    ending = ""
    if not too_big:
        others = {name: kind() for name, kind in engines().items() if name != engine.name}
        able = [name for name, other in others.items() if not other.unsupported(plan, protocol)]
        ending = f"\n  engines that can: {listed(able)}"
    what = f"engine {engine.name!r} cannot run circuit {plan.circuit.name!r}"
    raise UnsupportedError("\n  ".join([what, *reasons, *too_big]) + ending)
