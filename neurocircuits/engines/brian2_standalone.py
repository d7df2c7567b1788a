"""One compiled C++ program for a whole protocol, presented to the rest of the package as if it were live.

The program is built and run when the protocol is known; then its record is replayed presentation by presentation.
Switches, scales and overridden parameters are timed arrays, interventions are operations at the phase boundaries,
each distinct pattern is stored once. Learning happens when it does in runtime mode: at the end of each learning step,
which is the start of the next time step.
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurocircuits.compile.plan import Plan, PopulationPlan
from neurocircuits.declare.protocol import NOTHING, Clamp, Phase, Protocol, Scale
from neurocircuits.declare.steps import LargestChange
from neurocircuits.engines.arrays import dense
from neurocircuits.engines.base import Feed, Observer, Readings, Simulation
from neurocircuits.engines.brian2_objects import multiple, owned
from neurocircuits.engines.brian2_program import Program
from neurocircuits.engines.brian2_schedule import Schedule
from neurocircuits.engines.checks import SentInTime
from neurocircuits.engines.distance import DistanceCheck
from neurocircuits.engines.products import DenseProducts
from neurocircuits.engines.values import contribution, received
from neurocircuits.errors import DivergenceError, StorageError, UnsupportedError, ValidationError
from neurocircuits.randomness import Streams

if TYPE_CHECKING:
    from neurocircuits.engines.brian2_engine import Brian2

logger = logging.getLogger("neurocircuits")


def unsupported(engine: Brian2, plan: Plan, protocol: Protocol) -> list[str]:
    """Return every reason why a protocol cannot be one standalone program."""
    reasons = []
    if shutil.which("g++") is None or shutil.which("make") is None:
        reasons.append("standalone programs need g++ and make on the PATH; install them or use device='runtime'")
    if engine.batch > 1:
        reasons.append("standalone programs run one copy; use batch=1 or device='runtime'")
    for name, pathway in plan.pathways.items():
        rule = pathway.rule
        if rule is not None and pathway.events is not None:
            reasons.append(
                f"synapses {name!r} transmit spikes and learn by a drift, from the whole matrix; use device='runtime'"
            )
        if pathway.part:
            reasons.append(f"synapses {name!r} are a pair, whose array two pathways share; use device='runtime'")
        if pathway.declaration.normalise is not None:
            reasons.append(f"synapses {name!r} are normalised; use device='runtime'")
        if rule is not None and rule.layer_terms:
            reasons.append(
                f"synapses {name!r}: population terms ({', '.join(rule.layer_terms)}) need the whole layer; use "
                "device='runtime'"
            )
        if rule is not None and isinstance(rule.step, LargestChange):
            reasons.append(f"synapses {name!r}: LargestChange needs the whole matrix; use device='runtime'")
    for name, population in plan.populations.items():
        for slow, step in population.declaration.steps.items():
            if isinstance(step, LargestChange):
                reasons.append(f"population {name!r}: LargestChange of {slow!r} needs all units; use device='runtime'")
    for phase in protocol.phases:
        reasons += _phase_reasons(phase, plan)
    clamped = {i.population for phase in protocol.phases for i in phase.interventions if isinstance(i, Clamp)}
    return reasons + [reason for name in sorted(clamped) for reason in _clamp_reasons(plan.populations[name], plan)]


def _clamp_reasons(population: PopulationPlan, plan: Plan) -> list[str]:
    """Return why a population cannot be clamped: the program clamps ``r``, not what is computed from it."""
    derived = [name for name, e in population.subexpressions.items() if name != "r" and "r" in e.names]
    texts = [population.texts[slow] for slow in population.slow]
    for pathway in plan.pathways.values():
        sides = [side for side in ("pre", "post") if getattr(pathway, side) == population.name]
        rule = pathway.rule
        own = [pathway.transmits]
        own += [] if rule is None else [rule.text, *(aggregate.text for aggregate in rule.aggregates.values())]
        texts += [re.sub(rf"_{side}\b", "", text) for text in own for side in sides]
    used = [name for name in derived if any(re.search(rf"\b{name}\b", text) for text in texts)]
    if not used:
        return []
    return [
        f"population {population.name!r} is clamped, and its sub-expressions {', '.join(used)} of r are read by "
        "synapses or "
        f"slow variables; write them in terms of r there, or use device='runtime'"
    ]


def _phase_reasons(phase: Phase, plan: Plan) -> list[str]:
    reasons = []
    if phase.restart:
        reasons.append(f"phase {phase.name!r} restarts each presentation; use device='runtime'")
    if any(window.hold or window.step is not None for window in phase.timetable):
        reasons.append(
            f"phase {phase.name!r} has windows with steps of their own or held activity; use device='runtime'"
        )
    record = phase.record
    if record is None:
        return reasons
    if record.interval is not None:
        marks = {"excitation", "inhibition"} & set(record.variables)
        graded = [n for n in record.populations or plan.driven if any(p.events is None for p in plan.into(n))]
        if not plan.spiking or any(marks - set(plan.populations[n].marked) for n in graded):
            reasons.append(
                f"phase {phase.name!r} records within presentations what graded synapses feed; use device='runtime'"
            )
    if record.weights_every is not None and any(population.slow for population in plan.populations.values()):
        reasons.append(f"phase {phase.name!r} records slow variables within the phase; use device='runtime'")
    learners = [*plan.plastic, *(name for name, p in plan.populations.items() if p.slow)]
    states = {state for population in plan.populations.values() for state in population.states or ("r",)}
    derived = set(record.variables) - states
    if derived and learners and not phase.frozen(learners):
        reasons.append(
            f"phase {phase.name!r} records {', '.join(sorted(derived))} while weights change; use device='runtime'"
        )
    return reasons


class StandaloneSimulation(Simulation):
    """The record of a standalone program, replayed."""

    def __init__(self, engine: Brian2, plan: Plan, streams: Streams) -> None:
        super().__init__(plan, streams, engine.dtype)
        self.engine = engine
        self.distance = DistanceCheck(self, engine.tolerance)
        self.products = DenseProducts(plan, self.store, self.values, 1)
        self._record: dict[str, Any] = {}
        self._row, self._position = 0, 0
        self._phase_number = -1
        self._verdict: DivergenceError | ValidationError | None = None
        self._check_sent = SentInTime(plan, self.store, self.values)

    def prepare(self, protocol: Protocol) -> None:
        """Build the program, run it to its end and read its record.

        Raises
        ------
        UnsupportedError
            If the program cannot be built, or phases that record the same variables ask for what is not kept.
        """
        if reasons := [reason for phase in protocol.phases for reason in _phase_reasons(phase, self.plan)]:
            raise UnsupportedError(
                "Brian2: phases that record a population share their variables, but\n  " + "\n  ".join(reasons)
            )
        self.distance.begin()
        self._schedule = Schedule(self.engine, self.plan, protocol, self.streams)
        n_steps = self._schedule.n_steps
        if n_steps > 1e6:
            logger.info(
                "standalone program of %d steps: it reports at its end only, and leaves nothing if it is killed",
                n_steps,
            )
        temporary = None if self.engine.directory else tempfile.mkdtemp(prefix="neurocircuits-")
        directory = Path(self.engine.directory or temporary or ".")
        try:
            directory.mkdir(parents=True, exist_ok=True)
            (directory / ".writable").touch()
            (directory / ".writable").unlink()
        except OSError as error:
            raise StorageError(
                f"Brian2.directory: '{directory}' cannot be written ({error.strerror}). Name another folder, or leave "
                "it out for a temporary one."
            ) from None
        try:
            with owned("numpy", self.engine.dtype, "cpp_standalone", str(directory)) as b2:
                for name in {s.pathway for p in protocol.phases for s in p.interventions if isinstance(s, Scale)}:
                    self.store.writeable(name)
                b2.seed(int(self.streams.generator("brian2").integers(2**31)))
                program = Program(b2, self.engine, self.plan, self._schedule, self.store, self.values, protocol)
                self._samples = program.sampled
                try:
                    self._record = program.run(directory)
                except RuntimeError as error:
                    raise UnsupportedError(
                        f"Brian2: the standalone program in '{directory}' could not be built or run: {error}. Run "
                        "'neurocircuits doctor', or "
                        f"use device='runtime'."
                    ) from error
        finally:
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)
        self._last = len(protocol.phases) - 1

    def begin(self, phase: Phase, resumed: bool = False) -> None:
        """Set parameters and clamps of a phase; scaled weights come from the record."""
        if not self._record:
            raise ValidationError(
                "Brian2(device='cpp_standalone') has no live simulation. Use run(), or device='runtime'."
            )
        self._phase_number += 1
        super().begin(phase, resumed)
        self.products.bind()
        self.distance.begin()

    def go(self, feed: Feed, observe: Observer) -> None:
        """Replay a phase, then take over its weights and slow variables."""
        frozen = not self.learns()
        if frozen:
            self._take_weights()
        recording = self.phase is not None and self.phase.record is not None
        durations = np.zeros(1)
        while (parts := feed.take(1)) is not None:
            for name, part in parts.items():
                if name != NOTHING:
                    self.values[name].data["r"][...] = dense(part.values)
            self._position = feed.position - 1
            within, spikes = self._within(), self._spikes()
            for (name, state), rows in self._record["states"].items():
                self.values[name].data[state][...] = rows[self._row]
            if self.phase is not None and self.phase.record is not None and self.phase.record.weights_every:
                self._set_weights({name: rows[self._row] for name, rows in self._record["courses"].items()})
            self._row += 1
            self.products.hold()
            self.products()
            try:
                self._check_sent(1)
            except ValidationError as error:
                self._verdict = self._verdict or error
            distance = np.full(1, np.nan)
            if frozen and recording:
                distance = self.distance(1, True)
            nothing = np.full(1, np.nan)
            if observe(Readings(parts, self._read, nothing, nothing, distance, within, spikes)):
                break
            durations = next(iter(parts.values())).durations
        if feed.position >= feed.stop:
            self._take_weights()
            self._check(durations)

    def _bounds(self) -> tuple[int, int]:
        """Return the first time step of the present presentation and the one after its last."""
        ends, slot = self._schedule.ends, self._schedule.slot
        return (int(ends[self._row - 1]) * slot if self._row else 0), int(ends[self._row]) * slot

    def _spikes(self) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Return the spikes of the present presentation."""
        record = None if self.phase is None else self.phase.record
        found, (start, stop) = {}, self._bounds()
        for name, (units, times) in self._record["spikes"].items():
            if record is not None and record.records_spikes(name):
                steps = np.rint(times / self.engine.dt).astype(np.int64)
                rows = slice(*np.searchsorted(steps, (start, stop)))
                unit = units[rows].astype(np.int32)
                found[name] = (unit, times[rows] - start * self.engine.dt, np.zeros_like(unit))
        return found

    def _within(self) -> list[tuple[float, Any]]:
        """Return the samples within the present presentation."""
        record = None if self.phase is None else self.phase.record
        if record is None or record.interval is None or self._position % record.every:
            return []
        start, stop = self._bounds()
        step = multiple(record.interval, self.engine.dt, "Record.interval", "the time step")
        return [((k - start) * self.engine.dt, partial(self._sample, k)) for k in range(start + step, stop + 1, step)]

    def _sample(self, step: int, name: str, variable: str) -> np.ndarray:
        """Return a variable of a population after so many time steps; NaN for units that are not recorded."""
        sample, population = self._samples[name], self.plan.populations[name]
        known = population.marked.get(variable, variable)
        sign = {"excitation": 1, "inhibition": -1}.get(known)
        names = [known] if sign is None else [k for k, polarity in population.jumps.items() if polarity == sign]
        row = step // sample.every
        values = np.full((1, population.n_units), np.nan)
        values[0, list(sample.units)] = sum(self._record["within"][name, each][:, row] for each in names)
        return values

    def _take_weights(self) -> None:
        self._set_weights({name: rows[self._phase_number] for name, rows in self._record["weights"].items()})
        for (name, slow), snapshots in self._record["slow"].items():
            self.values[name].data[slow] = snapshots[self._phase_number]

    def _set_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        for name, values in weights.items():
            self.store.writeable(name)[...] = values
            self.store.changed(name)

    def _check(self, durations: np.ndarray) -> None:
        """Judge a phase; what is wrong is said at the end of the last one, so that the record is complete."""
        try:
            self.distance.judge(durations, at_end=True)
        except DivergenceError as error:
            self._verdict = self._verdict or error
        if self._phase_number < self._last:
            return
        for name, array in self.store.arrays.items():
            if not np.isfinite(array).all():
                raise DivergenceError(
                    f"Synapses({name!r}): weights are not finite at the end of the standalone program, whose record "
                    "is complete. Lower the "
                    f"learning rate or use a smaller dt."
                )
        for (name, state), rows in self._record["states"].items():
            if not np.isfinite(rows).all():
                row = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
                raise DivergenceError(
                    f"Population({name!r}): {state!r} is not finite from presentation {row} on; the record is "
                    "complete. Use a smaller dt."
                )
        if self._verdict is not None:
            raise self._verdict

    def _read(self, name: str, variable: str) -> np.ndarray:
        values = self.values[name]
        if variable in ("excitation", "inhibition"):
            graded = [p for p in self.plan.into(name) if p.events is None]
            delivered = {p.name: contribution(p, self.store, self.values[p.pre], 1) for p in graded}
            return received(self.plan, self.values, delivered, name, 1 if variable == "excitation" else -1)
        return np.broadcast_to(values[variable], (1, values.plan.n_units))
