"""A live Brian 2 network: one run() for a phase, with feeding, learning and recording in operations."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from neurocircuits.compile.plan import Plan
from neurocircuits.declare.protocol import NOTHING, Phase, Protocol, Scale
from neurocircuits.declare.stimulus import Presentations
from neurocircuits.engines.arrays import dense
from neurocircuits.engines.base import Feed, Observer, Readings, Simulation, rows_of
from neurocircuits.engines.brian2_events import LEARNING, EventPathways, Traces, spiking_parts
from neurocircuits.engines.brian2_live import (
    Arrivals,
    RandomState,
    SpikeRecorder,
    forget_spikes,
    load_network,
    network_state,
)
from neurocircuits.engines.brian2_objects import PACE, bound_values, build_group, owned
from neurocircuits.engines.brian2_spikes import spike_products
from neurocircuits.engines.brian2_windows import TimedWindow, timed_windows
from neurocircuits.engines.checks import SentInTime, check_finite
from neurocircuits.engines.distance import DistanceCheck
from neurocircuits.engines.held import HeldLearning
from neurocircuits.engines.products import DenseProducts
from neurocircuits.engines.values import contribution, received
from neurocircuits.errors import ValidationError
from neurocircuits.randomness import Streams

if TYPE_CHECKING:
    from neurocircuits.engines.brian2_engine import Brian2

_STEPS = 10**9  # time steps asked of one run(), which is stopped when its presentations end
_PULL = 64  # presentations pulled from the stimulus at a time
_TIMETABLES = 1000  # durations whose windows are remembered
_AHEAD = 1000  # most time steps between two turns of the network, which notices Ctrl-C


class RuntimeSimulation(Simulation):
    """A circuit as a live Brian 2 network."""

    def __init__(self, engine: Brian2, plan: Plan, streams: Streams) -> None:
        super().__init__(plan, streams, engine.dtype)
        self.engine = engine
        self.network: Any = None
        self._protocol: Protocol | None = None
        self._tick = 0
        self._fresh = False
        self._updates: list[Any] = []  # code of the present run of the network
        self._nothing = np.full(engine.batch, np.nan)
        self._timetables: dict[float, list[TimedWindow]] = {}
        self.distance = DistanceCheck(self, engine.tolerance)
        self.held = HeldLearning(plan, self.store, self.values, self.parameters)
        self.random = RandomState(streams, plan)
        self._check_sent = SentInTime(plan, self.store, self.values)
        self._spiking = tuple(name for name, population in plan.populations.items() if population.is_spiking)

    # -- building ------------------------------------------------------------------------------------------------------

    def prepare(self, protocol: Protocol) -> None:
        """Get ready for a whole protocol: what it overrides and its time steps are built into the network."""
        self._protocol = protocol

    def _build(self) -> None:
        protocol, engine = self._protocol, self.engine
        phases = [*(protocol.phases if protocol is not None else ()), *([self.phase] if self.phase is not None else [])]
        overridden = {key for phase in phases for key in phase.parameters}
        self._paced = any(
            window.step is not None and window.step != engine.dt for p in phases for window in p.timetable
        )
        self._target = engine.code_target(self.plan, protocol)
        self.groups: dict[str, Any] = {}
        self._shared: dict[str, list[str]] = {}
        with owned(self._target, engine.dtype) as b2:
            self._clock = b2.Clock(dt=engine.dt * b2.second, name="neurocircuits_clock*")
            traces = Traces(self.plan)
            for name, population in self.plan.driven.items():
                self._shared[name] = [p for p in population.parameters if f"{name}.{p}" in overridden]
                named = f"group_{name}" if self.plan.spiking else ""
                parts = spiking_parts(population, traces, engine.method, engine.dt)
                how = (engine.method, engine.dtype, engine.batch, self._shared[name], self._paced, named)
                group = self.groups[name] = build_group(b2, population, self._clock, *how, **parts)
                if engine.batch > 1:
                    for slow in population.slow:
                        self.values[name].data[slow] = np.array(self.values[name].data[slow])
                bound_values(self.values[name], group, engine.batch)
            for name, population in self.plan.sources.items():
                self.values[name].data["r"] = np.zeros((engine.batch, population.n_units), engine.dtype)
            self._spread()
            self.products = DenseProducts(self.plan, self.store, self.values, engine.batch)
            scaled = {i.pathway for phase in phases for i in phase.interventions if isinstance(i, Scale)}
            for name in scaled & set(self.store.pairs):
                self.store.writeable(name)
            arrive = partial(Arrivals, b2, self._clock)
            network = (b2, self.plan, self.store, self.groups)
            self._delivered = spike_products(*network, self.values, self._clock, engine.batch)
            self.events = EventPathways(
                *network, traces, self._clock, engine.dtype, arrive, overridden, elsewhere=self._delivered
            )
            for name, synapses in self.events.synapses.items():
                if self.store.arrays[name].flags.writeable:
                    self.store.arrays[name] = synapses.variables["w"].get_value()
            records = [phase.record for phase in phases if phase.record is not None]
            recorded = [name for name in self._spiking if any(record.records_spikes(name) for record in records)]
            self.spikes = SpikeRecorder(b2, {name: self.groups[name] for name in recorded}, engine.batch)
            operation = b2.NetworkOperation(self._step, clock=self._clock, when="end", order=0)
            on_their_way = [*self.events.arrivals, *dict.fromkeys(self._delivered.values())]
            self._owners = [*self.groups.values(), *self.events.synapses.values(), *on_their_way]
            operations = (*(each.operation for each in on_their_way), *self.spikes.monitors.values(), operation)
            self.network = b2.Network(*self.groups.values(), *self.events.synapses.values(), *operations)

    def state(self) -> dict[str, Any]:
        """Return a copy of everything that changes, as arrays by name."""
        state = super().state() | self.distance.state() | self._check_sent.state()
        if self._spiking and self.network is not None:
            state |= network_state(self._owners, self._clock) | self.random.arrays()
        return state

    def load(self, state: dict[str, Any]) -> None:
        """Put a state back."""
        if self.network is None:
            self._build()
        super().load(state)
        self.distance.load(state)
        self._check_sent.load(state)
        self._spread()
        self.products.bind()
        if "network/timestep" in state:
            with owned(self._target, self.engine.dtype) as b2:
                load_network(self._owners, self.network, self._clock, state, b2)
            self.random.load(state)

    def begin(self, phase: Phase, resumed: bool = False) -> None:
        """Set parameters, clamps and scaled weights of a phase."""
        super().begin(phase, resumed)
        self._timetables = {}
        if self.network is None:
            self._build()
        for scale in (i for i in phase.interventions if isinstance(i, Scale)):
            if scale.pathway in self.events.synapses and "w" not in self.events.synapses[scale.pathway].variables:
                raise ValidationError(
                    f"Phase({phase.name!r}).interventions: the weights of {scale.pathway!r} are built into the network "
                    "as one constant; call prepare(protocol) first."
                )
        for name, synapses in self.events.synapses.items():
            for parameter, value in self.parameters[name].items():
                if f"rule_{parameter}" in synapses.variables:
                    synapses.variables[f"rule_{parameter}"].get_value()[...] = value
        for name, shared in self._shared.items():
            for parameter in shared:
                self.groups[name].variables[parameter].get_value()[...] = self.parameters[name][parameter]
        if missing := [key for key in phase.parameters if not self._built_in(*key.split("."))]:
            raise ValidationError(
                f"Phase({phase.name!r}).parameters: {missing} are not built into the network; call prepare(protocol) "
                "first."
            )
        self.products.bind()
        for products in self._delivered.values():
            products.bind()
        self.distance.begin()

    def _built_in(self, name: str, parameter: str) -> bool:
        """Return whether the network lets a phase override a parameter."""
        if name in self.events.synapses:
            return f"rule_{parameter}" in self.events.synapses[name].variables
        return name not in self._shared or parameter in self._shared[name]

    # -- running -------------------------------------------------------------------------------------------------------

    def go(self, feed: Feed, observe: Observer) -> None:
        """Present from ``feed`` until it ends or ``observe`` asks for a pause, in one run of the network."""
        self._feed, self._observe = feed, observe
        self._queue: deque[dict[str, Presentations]] = deque()
        self._waiting = 0  # presentations in the queue
        self._paused, self._updates = False, []
        self._done = int(self._clock.variables["timestep"].get_value()[0])  # time steps of the network
        if not self._pull():
            return
        self._feed_inputs()
        self._go_ahead()
        with owned(self._target, self.engine.dtype) as b2, self.random.own(b2):
            while not self._paused:
                self.network.run(_STEPS * self.engine.dt * b2.second, namespace={})
                if b2.Network._globally_stopped:
                    raise KeyboardInterrupt  # Brian 2 turns Ctrl-C into a stop after the present time step
        if feed.position >= feed.stop:
            self.distance.judge(next(iter(self._parts.values())).durations, at_end=True)

    def _pull(self) -> bool:
        """Take the next presentations into the queue, group by group; False at the end."""
        if not self._queue:
            size = self.engine.batch
            start = self._feed.position
            parts = self._feed.take(size * max(1, _PULL // size))
            if parts is None:
                return False
            n = self._feed.position - start
            for k in range(0, n, size):
                rows = slice(k, min(k + size, n))
                self._queue.append({name: rows_of(p, rows) for name, p in parts.items()})
            self._waiting = n
        self._present(self._queue.popleft())
        return True

    def _present(self, parts: dict[str, Presentations]) -> None:
        first = next(iter(parts.values()))
        self._parts, n_rows = parts, len(first.durations)
        if n_rows != self.engine.batch:
            raise ValidationError(f"Brian2: {n_rows} presentations do not fill the batch of {self.engine.batch}.")
        if n_rows > 1 and first.durations.min() != first.durations.max():
            raise ValidationError(
                "Brian2: durations in a batch differ. Use batch=1, or presentations of equal durations."
            )
        for name, part in parts.items():
            if name != NOTHING:
                self.values[name].data["r"][...] = dense(part.values)
        self.restart()
        if self.phase is not None and self.phase.restart is True:
            forget_spikes(self._owners)
        position = self._feed.position - self._waiting
        self._progress = position / self._feed.stop  # at the onset
        record = None if self.phase is None else self.phase.record
        self._recorded = record is not None and -position % record.every < n_rows
        self._waiting -= n_rows
        self._windows = iter(self._timetable(float(first.durations[0])))
        self._scale = self.scale(self._progress)
        self._within: list[tuple[float, Any]] = []
        self._onset = self._done * self.engine.dt
        self._since = 0.0
        self.learner.onset()
        self.products.hold()
        self._fresh = False
        self._open_window()

    def _timetable(self, duration: float) -> list[TimedWindow]:
        """Return the windows of a presentation, worked out once for each duration in a phase."""
        if duration not in self._timetables:
            if len(self._timetables) > _TIMETABLES:
                self._timetables.clear()
            windows = timed_windows(self.engine, self.phase, duration, self.learns(), self._paced)  # type: ignore[arg-type]
            self._timetables[duration] = windows
        return self._timetables[duration]

    def _open_window(self) -> bool:
        """Begin the next window of the presentation; False after the last."""
        window = next(self._windows, None)
        if window is None:
            return False
        self._left, self._every, self._dt, self._sample = window.n_steps, window.every, window.dt, window.sample
        self._tick, self._holding = 0, window.hold
        if self._paced:
            for group in self.groups.values():
                group.variables[PACE].get_value()[...] = self._dt / self.engine.dt
        for name, synapses in self.events.synapses.items():
            if LEARNING in synapses.variables:
                synapses.variables[LEARNING].get_value()[...] = self._scale(name) if window.plastic else 0.0
        fast = [values.data[state] for values in self.values.values() for state in values.plan.states]
        self._held = [(buffer, buffer.copy()) for buffer in fast] if window.hold else []
        learning = bool(self._every) and self.learner.any
        busy = learning or bool(self.products.steps) or (bool(self._sample) and self._recorded)
        self._idle = bool(self._spiking) and not busy  # the network needs nothing from here until the window ends
        return True

    def _step(self) -> None:
        """Follow a state update: learn, end the presentation where its time is over, and feed the next update."""
        if self._idle and self._left > 1:
            self._tick += 1
            self._done += 1
            self._left -= 1
            return
        if not self._updates:
            self._updates = [code for each in self.network.sorted_objects for code in each.code_objects]
        self._tick += 1
        self._done += 1
        self._left -= 1
        self._fresh = False
        for buffer, kept in self._held:
            buffer[...] = kept
        if self._every and self._tick % self._every == 0 and self.learner.any:
            self.learner.step(self._every * self._dt, self._scale, self._progress)
            self._spread()
            self.products.hold()
        if self._sample and self._recorded and self._tick % self._sample == 0:
            self._within.append((self._since + self._tick * self._dt, self._snapshot()))
        if not self._left:
            self._since += self._tick * self._dt
            if not self._open_window():
                self._end()
        self._feed_inputs()
        if not self._paused:
            self._go_ahead()

    def _go_ahead(self) -> None:
        """Take the steps until just before something happens here, since a turn of the network costs more than a step.

        The state updates are those of the network itself, in its order, and its clock goes along.
        """
        if self._spiking:  # thresholds, queues and synapses are in the network's own hands
            return
        sample = self._sample if self._recorded else 0
        periods = [period for period in (sample, 0 if self._holding else self._every) if period]
        n = min([self._left, *(period - self._tick % period for period in periods)]) - 1
        if self._holding:
            n = self._learn_ahead(n)
        elif self._updates:
            n = min(n, _AHEAD)
            steps = [*self._updates, *self.products.steps]
            for _ in range(n):
                for step in steps:
                    step()
        else:  # the network has not run yet
            return
        self._tick += n
        self._done += n
        self._left -= n
        self._clock.variables["timestep"].get_value()[...] += n

    def _learn_ahead(self, n: int) -> int:
        """Learn for up to so many time steps while activity is held, and return for how many."""
        if not self._every:
            return n
        seconds, before = self._every * self._dt, self._tick // self._every
        if self.engine.batch == 1 and self.held((self._tick + n) // self._every - before, seconds, self._scale):
            self.products.hold()
            self.products()
            return n
        n = min(n, _AHEAD)
        for _ in range((self._tick + n) // self._every - before):
            self.learner.step(seconds, self._scale, self._progress)
            self._spread()
            self.products.hold()
            self.products()
        return n

    def _feed_inputs(self) -> None:
        """Let inputs be those of the present rates, weights and stimuli."""
        if not self._fresh:
            self.products()
            self._fresh = True

    def _spread(self) -> None:
        """Give all copies the slow variables of the population."""
        if self.engine.batch > 1:
            for name, population in self.plan.driven.items():
                for slow in population.slow:
                    copies = self.groups[name].variables[slow].get_value()
                    copies.reshape(self.engine.batch, -1)[...] = self.values[name].data[slow]

    def _end(self) -> None:
        """Note the end of a presentation, then go on, pause or stop."""
        n_rows = self.engine.batch
        check_finite(self.values, int(next(iter(self._parts.values())).index[0]), self.distance.advice)
        self._check_sent(n_rows)
        if self.learns():
            self.learner.presentation_end(self._scale)
        distance = self.distance(n_rows, self._recorded)
        self.distance.judge(next(iter(self._parts.values())).durations)
        spikes = self.spikes.drain(self._onset) if self.spikes.monitors else {}
        record = None if self.phase is None else self.phase.record
        kept = {name: s for name, s in spikes.items() if record is not None and record.records_spikes(name)}
        readings = Readings(self._parts, self._read, self._nothing, self._nothing, distance, self._within, kept)
        pause = self._observe(readings)
        if pause or not self._pull():
            self._paused = True
            if pause and self._queue:  # what was taken but not presented goes back
                self._feed.position -= self._waiting
            self.network.stop()

    def _read(self, name: str, variable: str) -> np.ndarray:
        self._feed_inputs()
        values, n_rows = self.values[name], self.engine.batch
        values.times = {"t": self._done * self.engine.dt, "dt": self.engine.dt}
        if variable in ("excitation", "inhibition"):
            graded = [p for p in self.plan.into(name) if p.events is None]
            delivered = {p.name: contribution(p, self.store, self.values[p.pre], n_rows) for p in graded}
            return received(self.plan, self.values, delivered, name, 1 if variable == "excitation" else -1)
        return np.broadcast_to(values[variable], (n_rows, values.plan.n_units))

    def _snapshot(self) -> Any:
        record = self.phase.record  # type: ignore[union-attr]
        names = record.variables if record is not None else ()
        kept = {
            (population, name): np.array(self._read(population, name))
            for population, plan in self.plan.populations.items()
            for name in names
            if name in plan.variables or (name in ("excitation", "inhibition") and not plan.is_source)
        }
        return lambda population, name: kept[population, name]
