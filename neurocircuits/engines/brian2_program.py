"""A standalone program: its groups, what phases change in them, how it runs, and the record that it leaves."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neurocircuits.compile.plan import Plan, PopulationPlan
from neurocircuits.declare.protocol import Clamp, Protocol
from neurocircuits.declare.steps import PerUnit
from neurocircuits.engines.brian2_arrays import hold_once
from neurocircuits.engines.brian2_events import EventPathways, Traces, arrival, spiking_parts
from neurocircuits.engines.brian2_objects import build_group, multiple
from neurocircuits.engines.brian2_pathways import Pathways, aggregate_unit
from neurocircuits.engines.brian2_timing import Timing
from neurocircuits.engines.values import PopulationValues, WeightStore
from neurocircuits.units import unit_text

if TYPE_CHECKING:
    from neurocircuits.engines.brian2_engine import Brian2
    from neurocircuits.engines.brian2_schedule import Schedule


_LARGE = 2**20  # bytes of an array that is not kept here while the program runs


class Program:
    """A standalone program.

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
    store : WeightStore
        Initial weights.
    values : dict of str to PopulationValues
        Initial values.
    protocol : Protocol
        The protocol.
    """

    def __init__(
        self,
        b2: Any,
        engine: Brian2,
        plan: Plan,
        schedule: Schedule,
        store: WeightStore,
        values: Mapping[str, PopulationValues],
        protocol: Protocol,
    ) -> None:
        self.b2, self.engine, self.plan, self.schedule, self.store = b2, engine, plan, schedule, store
        self.values, self.traces = values, Traces(plan)
        self.timing = Timing(b2, engine, plan, schedule, protocol)
        records = [phase.record for phase in protocol.phases if phase.record is not None]
        self.recording = any(record.variables for record in records)
        self.following = any(record.weights_every for record in records)
        self.sampled = samples(plan, protocol, schedule)
        spiking = [name for name, population in plan.populations.items() if population.is_spiking]
        self.spiking = [name for name in spiking if any(record.records_spikes(name) for record in records)]
        self.groups: dict[str, Any] = {}
        for name, population in plan.populations.items():
            self.groups[name] = self._source(population) if population.is_source else self._group(population)
        for name in self.timing.clamped:
            self._clamp(name)
        self.pathways = Pathways(self.timing, store, self.groups)
        graded = {name: p for name, p in plan.pathways.items() if p.owns and p.events is None}
        self.synapses = {name: self.pathways.build(p) for name, p in graded.items()}
        self.events = EventPathways(
            b2,
            plan,
            store,
            self.groups,
            self.traces,
            self.timing.clock,
            engine.dtype,
            partial(arrival, b2, self.timing.clock, np.dtype(engine.dtype).type),
            self.timing.overridden,
            self.pathways.event_lines,
        )
        for name, synapses in self.events.synapses.items():
            self.pathways.schedule_events(plan.pathways[name], synapses)
        self.synapses |= self.events.synapses
        self.timing.finish()

    # -- groups --------------------------------------------------------------------------------------------------------

    def _source(self, population: PopulationPlan) -> Any:
        timing, name = self.timing, population.name
        namespace = {
            "patterns": timing.values(self.schedule.patterns[name], 1.0, f"patterns_{name}"),
            "which": timing.values(self.schedule.which[name], timing.slot_dt, f"which_{name}"),
        }
        lines = ["r : 1", *self._clamp_lines(name), *self._sum_lines(name)]
        group = self.b2.NeuronGroup(
            population.n_units, "\n".join(lines), clock=timing.clock, namespace=namespace, name=f"group_{name}"
        )
        timing.regularly(group, "r = patterns(which(t)*second, i)", self.schedule.slot, 0, f"show_{name}")
        return group

    def _group(self, population: PopulationPlan) -> Any:
        timing, name = self.timing, population.name
        overridden = [p for p in population.parameters if f"{name}.{p}" in timing.overridden]
        lines = [*self._input_lines(population), *self._clamp_lines(name), *self._sum_lines(name)]
        for slow in population.slow:
            copies = [f"{slow}_at_{k}" for k in range(timing.n_phases - 1)]
            extra = [*copies, f"{slow}_onset", *([f"new_{slow}"] if self._foreseen(name) else [])]
            lines += [f"{each} : {unit_text(population.dimensions[slow])}" for each in extra]
        group = build_group(
            self.b2,
            population,
            timing.clock,
            self.engine.method,
            self.engine.dtype,
            shared=list(dict.fromkeys([*overridden, *_read_outside(population)])),
            name=f"group_{name}",
            summed="\n".join(lines),
            **spiking_parts(population, self.traces, self.engine.method, self.engine.dt),
        )
        for variable in (*population.states, *population.slow):
            setattr(group, f"{variable}_", np.ravel(self.values[name].data[variable]))
        for parameter in overridden:
            timed = timing.overrides(
                f"{name}.{parameter}", population.parameters[parameter], f"timed_{name}_{parameter}"
            )
            group.namespace[f"{parameter}_timed"] = timed
            unit = unit_text(population.dimensions[parameter])
            code = f"{parameter} = {parameter}_timed(t)" + ("" if unit == "1" else f"*{unit}")
            timing.changes(group, code, shared=True)
        if population.slow:
            self._slow(population, group)
        return group

    def _input_lines(self, population: PopulationPlan) -> list[str]:
        lines = []
        for fed in population.inputs:
            unit = unit_text(population.dimensions[fed])
            pathways = [p for p in self.plan.into(population.name) if p.input == fed]
            lines += [f"in_{p.name} : {unit}" for p in pathways]
            total = "".join(f" {'+' if p.applied_sign > 0 else '-'} in_{p.name}" for p in pathways).removeprefix(" + ")
            lines.append(f"{fed} = {total or ('0' if unit == '1' else f'0*{unit}')} : {unit}")
        return lines

    def _sum_lines(self, name: str) -> list[str]:
        """Return the sums that rules make over one side of their synapses for the units of a population."""
        return [
            f"{aggregate}_{pathway.name} : {aggregate_unit(self.plan, pathway, aggregate)}"
            for pathway in self.plan.plastic.values()
            for aggregate, found in (pathway.rule.aggregates if pathway.rule is not None else {}).items()
            if (pathway.post if found.over == "pre" else pathway.pre) == name
        ]

    def _slow(self, population: PopulationPlan, group: Any) -> None:
        """Step all slow variables of a population at once, as the drift of one may depend on another."""
        timing, name = self.timing, population.name
        new, assigned = [], []
        for slow in population.slow:
            drift = timing.with_clamps(population.texts[slow], name, "")
            bounds = population.declaration.bounds.get(slow, (-np.inf, np.inf))
            step, unit = population.declaration.steps.get(slow), unit_text(population.dimensions[slow])
            new.append(f"new_{slow} = {timing.learned(group, name, slow, drift, bounds, step, unit)}")
            assigned.append(f"{slow} = new_{slow}")
            timing.copies(group, slow, f"{name}_{slow}")
        if self._foreseen(name):
            timing.regularly(group, "\n".join(new), self.schedule.tick, -21, f"foresee_{name}")
            new = []
        timing.regularly(group, "\n".join([*new, *assigned]), self.schedule.tick, -19, f"learn_{name}")

    def _foreseen(self, name: str) -> bool:
        """Whether weights learn by what slow variables of a population will be, which is then known before."""
        into = [p.rule.step for p in self.plan.into(name) if p.rule is not None]
        return any(isinstance(step, PerUnit) for step in into)

    def _clamp_lines(self, name: str) -> list[str]:
        return ["clamped : 1", "held : 1"] if name in self.timing.clamped else []

    def _clamp(self, name: str) -> None:
        timing, n_units = self.timing, self.plan.populations[name].n_units
        clamped, held = np.zeros((timing.n_phases, n_units)), np.zeros((timing.n_phases, n_units))
        for k, phase in enumerate(timing.protocol.phases):
            for intervention in phase.interventions:
                if isinstance(intervention, Clamp) and intervention.population == name:
                    units = slice(None) if intervention.units is None else list(intervention.units)
                    clamped[k, units], held[k, units] = 1.0, intervention.value
        namespace = self.groups[name].namespace
        namespace["clamped_timed"] = timing.values(clamped, 1.0, f"clamped_{name}")
        namespace["held_timed"] = timing.values(held, 1.0, f"held_{name}")
        namespace["phase_timed"] = timing.phase_values(list(range(timing.n_phases)), f"phase_{name}")
        code = "clamped = clamped_timed(phase_timed(t)*second, i)\nheld = held_timed(phase_timed(t)*second, i)"
        timing.changes(self.groups[name], code)

    # -- running -------------------------------------------------------------------------------------------------------

    def run(self, directory: Path) -> dict[str, Any]:
        """Build and run the program, and return its record.

        Returns
        -------
        dict
            ``states`` at the end of each presentation by (population, state); ``weights`` by pathway and ``slow`` by
            (population, variable) at the end of each phase; ``within``, samples within presentations, (unit, time), by
            (population, variable); ``spikes``, unit and time, by population;
            ``courses``, weights at the end of each presentation, by pathway, where phases record them.
        """
        b2, monitors = self.b2, {}
        for name, population in self.plan.driven.items() if self.recording else ():
            monitors[name] = b2.StateMonitor(
                self.groups[name],
                list(population.states),
                record=True,
                dt=self.timing.slot_dt * b2.second,
                when="start",
                order=-15,
                name=f"record_{name}",
            )
        within = {
            name: b2.StateMonitor(
                self.groups[name],
                list(sample.variables),
                record=list(sample.units),
                dt=self.timing.time_of(sample.every) * b2.second,
                when="start",
                order=-15,
                name=f"within_{name}",
            )
            for name, sample in self.sampled.items()
        }
        courses = {
            name: b2.StateMonitor(
                self.synapses[name],
                "w",
                record=True,
                dt=self.timing.slot_dt * b2.second,
                when="start",
                order=-15,
                name=f"course_{name}",
            )
            for name in (self.pathways.changing if self.following else ())
        }
        spikes = {name: b2.SpikeMonitor(self.groups[name], name=f"spikes_{name}") for name in self.spiking}
        network = b2.Network(
            *self.groups.values(),
            *self.synapses.values(),
            *self.events.arrivals,
            *monitors.values(),
            *within.values(),
            *courses.values(),
            *spikes.values(),
        )
        network.run(self.timing.time_of(self.schedule.n_steps + 1) * b2.second, namespace={})
        hold_once(b2.device)
        b2.device.build(directory=str(directory), compile=True, run=False, with_output=False)
        b2.device.static_arrays.clear()  # what is written for the program is not needed here, too
        for variable, values in list(b2.device.array_cache.items()):
            if values is not None and values.nbytes > _LARGE:
                del b2.device.array_cache[variable]
        b2.device.run(str(directory), with_output=False)
        return self._read(monitors) | {
            "within": {
                (name, variable): np.array(getattr(monitor, f"{variable}_"))
                for name, monitor in within.items()
                for variable in self.sampled[name].variables
            },
            "courses": {name: self._course(name, monitor) for name, monitor in courses.items()},
            "spikes": {name: (np.array(s.i[:]), np.array(s.t_[:])) for name, s in spikes.items()},
        }

    def _read(self, monitors: dict[str, Any]) -> dict[str, Any]:
        states, slow, ends = {}, {}, self.schedule.ends
        copies = range(self.timing.n_phases - 1)
        for name, population in self.plan.driven.items():
            for state in population.states:
                if name in monitors:
                    states[name, state] = np.array(getattr(monitors[name], f"{state}_"))[:, ends].T
                else:
                    last = np.array(self.groups[name].variables[state].get_value())
                    states[name, state] = np.broadcast_to(last, (len(ends), population.n_units))
            for variable in population.slow:
                names = [*(f"{variable}_at_{k}_" for k in copies), f"{variable}_"]
                slow[name, variable] = [np.array(getattr(self.groups[name], each)[:]) for each in names]
        weights = {}
        for name, synapses in self.synapses.items():
            names = [*(f"w_at_{k}_" if name in self.pathways.changing else "w_" for k in copies), "w_"]
            if name in self.store.pairs:
                if self.store.arrays[name].flags.writeable:
                    weights[name] = [np.array(getattr(synapses, each)[:]) for each in names]
                continue
            weights[name] = [self._matrix(name, synapses, np.array(getattr(synapses, each)[:])) for each in names]
        return {"states": states, "weights": weights, "slow": slow}

    def _course(self, name: str, monitor: Any) -> list[np.ndarray]:
        """Return the weights of a pathway at the end of each presentation."""
        columns = np.array(monitor.w_)[:, self.schedule.ends].T
        synapses = self.synapses[name]
        return [row if name in self.store.pairs else self._matrix(name, synapses, row) for row in columns]

    def _matrix(self, name: str, synapses: Any, values: np.ndarray) -> np.ndarray:
        matrix = np.zeros(self.store.arrays[name].shape)
        matrix[np.array(synapses.j[:]), np.array(synapses.i[:])] = values
        return matrix


class Samples(NamedTuple):
    """What is recorded within presentations of a population."""

    variables: tuple[str, ...]
    units: tuple[int, ...]
    every: int


def samples(plan: Plan, protocol: Protocol, schedule: Schedule) -> dict[str, Samples]:
    """Return what phases record within presentations, by population, in variables that groups have.

    It is taken at the common divisor of their intervals and the slots of the schedule, so that each moment is a sample.
    """
    found: dict[str, Samples] = {}
    for record in (phase.record for phase in protocol.phases):
        if record is None or record.interval is None:
            continue
        for name in record.populations or tuple(plan.driven):
            population = plan.populations[name]
            wanted = [population.marked.get(variable, variable) for variable in record.variables]
            if any(v in ("excitation", "inhibition") for v in wanted):
                wanted += list(population.jumps)
            known = tuple(dict.fromkeys(v for v in wanted if v in population.variables and v not in population.slow))
            units = tuple(range(population.n_units)) if record.units is None else record.units
            earlier = found.get(name)
            if earlier is not None:
                known = tuple(dict.fromkeys((*earlier.variables, *known)))
                units = tuple(sorted({*earlier.units, *units}))
            every = multiple(record.interval, schedule.dt, "Record.interval", "the time step")
            every = math.gcd(every, schedule.slot, 0 if earlier is None else earlier.every)
            if known:
                found[name] = Samples(known, units, every)
    return found


def _read_outside(population: PopulationPlan) -> list[str]:
    """Return the parameters of sub-expressions: synapses that read these find variables of a group, not constants."""
    texts = [population.texts[name] for name in population.subexpressions]
    return [p for p in population.parameters if any(re.search(rf"\b{p}\b", text) for text in texts)]
