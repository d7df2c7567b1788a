"""A standalone program: the groups of all populations, their pathways, what is recorded, and how the record is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurocircuits.compile.plan import Plan, PopulationPlan
from neurocircuits.declare.protocol import Clamp, Protocol
from neurocircuits.engines.brian2_objects import build_group
from neurocircuits.engines.brian2_pathways import Pathways
from neurocircuits.engines.brian2_timing import Timing
from neurocircuits.engines.values import WeightStore
from neurocircuits.units import unit_text

if TYPE_CHECKING:
    from neurocircuits.engines.brian2_engine import Brian2
    from neurocircuits.engines.brian2_schedule import Schedule


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
    protocol : Protocol
        The protocol.
    """

    def __init__(
        self, b2: Any, engine: Brian2, plan: Plan, schedule: Schedule, store: WeightStore, protocol: Protocol
    ) -> None:
        self.b2, self.engine, self.plan, self.schedule, self.protocol = b2, engine, plan, schedule, protocol
        self.store = store
        self.clock = b2.Clock(dt=engine.dt * b2.second, name="clock_fast")
        self.timing = Timing(b2, engine, schedule, protocol)
        self.pathways = Pathways(plan, store, protocol, self.timing, self.clock)
        self.groups: dict[str, Any] = {}

    def run(self, directory: Path) -> dict[str, Any]:
        """Build and run the program, and return its record.

        Returns
        -------
        dict
            ``states`` at the end of each presentation by (population, state); ``weights`` by pathway and ``slow`` by
            (population, variable) at the end of each phase.
        """
        b2 = self.b2
        self._build_groups()
        self.pathways.build(self.groups)
        recording = any(phase.record is not None for phase in self.protocol.phases)
        monitors = {}
        if recording:
            for name, population in self.plan.driven.items():
                monitor = b2.StateMonitor(
                    self.groups[name],
                    list(population.states),
                    record=True,
                    dt=self.timing.slot_dt * b2.second,
                    when="start",
                    order=-15,
                    name=f"record_{name}",
                )
                monitors[name] = monitor
        network = b2.Network(*self.groups.values(), *self.pathways.synapses.values(), *monitors.values())
        network.run(self.schedule.n_steps * self.engine.dt * b2.second + self.engine.dt * b2.second, namespace={})
        b2.device.build(directory=str(directory), compile=True, run=True, with_output=False)
        return self._read(monitors)

    def _read(self, monitors: dict[str, Any]) -> dict[str, Any]:
        states, slow = {}, {}
        ends = self.schedule.ends
        for name, population in self.plan.driven.items():
            for state in population.states:
                if name in monitors:
                    states[name, state] = np.array(getattr(monitors[name], f"{state}_"))[:, ends].T
                else:
                    last = np.array(self.groups[name].variables[state].get_value())
                    states[name, state] = np.broadcast_to(last, (len(ends), population.n_units))
            for variable in population.slow:
                slow[name, variable] = [
                    np.array(getattr(self.groups[name], f"{variable}_at_{k}_")[:])
                    for k in range(self.timing.n_phases - 1)
                ]
                slow[name, variable].append(np.array(getattr(self.groups[name], f"{variable}_")[:]))
        weights = {}
        for name, synapses in self.pathways.synapses.items():
            names = [
                f"w_at_{k}_" if name in self.pathways.changing else "w_" for k in range(self.timing.n_phases - 1)
            ] + ["w_"]
            weights[name] = [self._matrix(name, synapses, np.array(getattr(synapses, each)[:])) for each in names]
        return {"states": states, "weights": weights, "slow": slow}

    def _matrix(self, name: str, synapses: Any, values: np.ndarray) -> np.ndarray:
        matrix = np.zeros(self.store.arrays[name].shape)
        matrix[np.array(synapses.j[:]), np.array(synapses.i[:])] = values
        return matrix

    def _build_groups(self) -> None:
        for name, population in self.plan.populations.items():
            extra = self._clamp_lines(name)
            if population.is_source:
                patterns = self.timing.timed(self.schedule.patterns[name], 1.0, f"patterns_{name}")
                which = self.timing.timed(self.schedule.which[name], self.timing.slot_dt, f"which_{name}")
                namespace = {"patterns": patterns, "which": which}
                group = self.b2.NeuronGroup(
                    population.n_units,
                    "\n".join(["r : 1", *extra]),
                    clock=self.clock,
                    namespace=namespace,
                    name=f"group_{name}",
                )
                self.groups[name] = group
                self.timing.regularly(group, "r = patterns(which(t)*second, i)", self.schedule.slot, 0, f"show_{name}")
                continue
            shared = [
                parameter for parameter in population.parameters if f"{name}.{parameter}" in self.timing.overridden
            ]
            lines = [*self._input_lines(name), *extra]
            for slow in population.slow:
                unit = unit_text(population.dimensions[slow])
                lines += [f"{slow}_at_{k} : {unit}" for k in range(self.timing.n_phases - 1)] + [
                    f"{slow}_onset : {unit}"
                ]
            for pathway in self.plan.plastic.values():
                for aggregate, plan in (pathway.rule.aggregates if pathway.rule else {}).items():
                    if (pathway.post if plan.over == "pre" else pathway.pre) == name:
                        lines.append(f"{aggregate}_{pathway.name} : {self.pathways.aggregate_unit(pathway, plan.text)}")
            group = build_group(
                self.b2,
                population,
                self.clock,
                self.engine.method,
                self.engine.dtype,
                shared=[*shared, *(p for p in self._read_outside(population) if p not in shared)],
                name=f"group_{name}",
                summed="\n".join(lines),
            )
            self.groups[name] = group
            for parameter in shared:
                values = [
                    self.timing.override(phase, f"{name}.{parameter}", population.parameters[parameter])
                    for phase in self.protocol.phases
                ]
                group.namespace[f"{parameter}_timed"] = self.timing.phase_values(values, f"timed_{name}_{parameter}")
                unit = unit_text(population.dimensions[parameter])
                factor = "" if unit == "1" else f"*{unit}"
                self.timing.regularly(
                    group,
                    f"{parameter} = {parameter}_timed(t){factor}",
                    self.schedule.phase_slots * self.schedule.slot,
                    -5,
                    f"set_{name}_{parameter}",
                )
            self._slow(name)
        for name in self.timing.clamped:
            self._clamp(name)

    @staticmethod
    def _read_outside(population: PopulationPlan) -> list[str]:
        """Return the parameters of sub-expressions: synapses that read those find their variables, but no constants."""
        texts = [population.texts[name] for name in population.subexpressions]
        return [p for p in population.parameters if any(re.search(rf"\b{p}\b", text) for text in texts)]

    def _input_lines(self, name: str) -> list[str]:
        population, lines = self.plan.populations[name], []
        for fed in population.inputs:
            unit = unit_text(population.dimensions[fed])
            pathways = [p for p in self.plan.into(name) if p.input == fed]
            lines += [f"in_{p.name} : {unit}" for p in pathways]
            total = "".join(f" {'+' if p.applied_sign > 0 else '-'} in_{p.name}" for p in pathways)
            lines.append(
                f"{fed} = {total.removeprefix(' + ') if total else ('0' if unit == '1' else f'0*{unit}')} : {unit}"
            )
        return lines

    def _clamp_lines(self, name: str) -> list[str]:
        return ["clamped : 1", "held : 1"] if name in self.timing.clamped else []

    def _clamp(self, name: str) -> None:
        n_units = self.plan.populations[name].n_units
        clamped, held = np.zeros((self.timing.n_phases, n_units)), np.zeros((self.timing.n_phases, n_units))
        for k, phase in enumerate(self.protocol.phases):
            for intervention in phase.interventions:
                if isinstance(intervention, Clamp) and intervention.population == name:
                    units = slice(None) if intervention.units is None else list(intervention.units)
                    clamped[k], held[k] = 0.0, 0.0
                    clamped[k, units], held[k, units] = 1.0, intervention.value
        group = self.groups[name]
        group.namespace["clamped_timed"] = self.timing.timed(clamped, 1.0, f"clamped_{name}")
        group.namespace["held_timed"] = self.timing.timed(held, 1.0, f"held_{name}")
        group.namespace["phase_timed"] = self.timing.phase_values(list(range(self.timing.n_phases)), f"phase_{name}")
        code = "clamped = clamped_timed(phase_timed(t)*second, i)\nheld = held_timed(phase_timed(t)*second, i)"
        self.timing.regularly(group, code, self.schedule.phase_slots * self.schedule.slot, -5, f"clamp_{name}")

    def _slow(self, name: str) -> None:
        population, group = self.plan.populations[name], self.groups[name]
        for slow in population.slow:
            rate = self.timing.rate(name, group.namespace)
            unit = unit_text(population.dimensions[slow])
            bounds = population.declaration.bounds.get(slow, (-np.inf, np.inf))
            self.timing.step(
                group,
                -19,
                slow,
                self.timing.held(population.texts[slow], name, ""),
                rate,
                bounds,
                population.declaration.steps.get(slow),
                unit,
                f"{name}_{slow}",
            )
            self.timing.copies(group, slow, f"{name}_{slow}")
