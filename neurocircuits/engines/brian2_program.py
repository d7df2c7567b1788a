"""The Brian 2 objects of a standalone program: groups, one Synapses object for each array, and scheduled operations.

Order within a time step, at its start: learning of the step that just ended (order -20), the record (-15), copies of
weights for the phase that ended (-10), what a phase changes (-5), the stimulus (0); then sums, then state updates.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurocircuits.compile.equations import brian_functions, expand_functions, expression_dimension
from neurocircuits.compile.plan import PathwayPlan, Plan, PopulationPlan, RulePlan
from neurocircuits.declare.protocol import Clamp, Protocol, Scale
from neurocircuits.declare.steps import Cap, PerUnit
from neurocircuits.engines.brian2_objects import build_group, quantity_of
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
        self.b2, self.engine, self.plan, self.schedule, self.store, self.protocol = (
            b2,
            engine,
            plan,
            schedule,
            store,
            protocol,
        )
        self.clock = b2.Clock(dt=engine.dt * b2.second, name="clock_fast")
        self.functions = {function.name: function for function in plan.circuit.functions}
        self.slot_dt = float(f"{schedule.slot * engine.dt:.12g}")  # a decimal, as Brian 2 compares grids
        self.phase_dt = float(f"{schedule.phase_slots * self.slot_dt:.12g}")
        self.n_phases = len(protocol.phases)
        self.overridden = {key for phase in protocol.phases for key in phase.parameters}
        self.clamped = {i.population for phase in protocol.phases for i in phase.interventions if isinstance(i, Clamp)}
        self.groups: dict[str, Any] = {}
        self.synapses: dict[str, Any] = {}
        self.operations: list[Any] = []
        self.changing: set[str] = set()

    # -- timed values --------------------------------------------------------------------------------------------------

    def _timed(self, values: np.ndarray, dt: float, name: str) -> Any:
        return self.b2.TimedArray(np.asarray(values, dtype=float), dt=dt * self.b2.second, name=name)

    def _phase_values(self, values: list[float], name: str) -> Any:
        """Return a function of time that holds one value for each phase."""
        per_slot = np.asarray(values, dtype=float)[
            self.schedule.phase_of[: self.schedule.n_slots : self.schedule.phase_slots]
        ]
        return self._timed(per_slot, self.phase_dt, name)

    def _regularly(self, owner: Any, code: str, steps: int, order: int, name: str) -> None:
        self.operations.append(
            owner.run_regularly(code, dt=steps * self.engine.dt * self.b2.second, when="start", order=order, name=name)
        )

    # -- groups --------------------------------------------------------------------------------------------------------

    def _build_groups(self) -> None:
        for name, population in self.plan.populations.items():
            extra = self._clamp_lines(name)
            if population.is_source:
                patterns = self._timed(self.schedule.patterns[name], 1.0, f"patterns_{name}")
                which = self._timed(self.schedule.which[name], self.slot_dt, f"which_{name}")
                namespace = {"patterns": patterns, "which": which}
                group = self.b2.NeuronGroup(
                    population.n_units,
                    "\n".join(["r : 1", *extra]),
                    clock=self.clock,
                    namespace=namespace,
                    name=f"group_{name}",
                )
                self.groups[name] = group
                self._regularly(group, "r = patterns(which(t)*second, i)", self.schedule.slot, 0, f"show_{name}")
                continue
            shared = [parameter for parameter in population.parameters if f"{name}.{parameter}" in self.overridden]
            lines = [*self._input_lines(name), *extra]
            for slow in population.slow:
                unit = unit_text(population.dimensions[slow])
                lines += [f"{slow}_at_{k} : {unit}" for k in range(self.n_phases - 1)] + [f"{slow}_onset : {unit}"]
            for pathway in self.plan.plastic.values():
                for aggregate, plan in (pathway.rule.aggregates if pathway.rule else {}).items():
                    if (pathway.post if plan.over == "pre" else pathway.pre) == name:
                        lines.append(f"{aggregate}_{pathway.name} : {self._aggregate_unit(pathway, plan.text)}")
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
                    self._override(phase, f"{name}.{parameter}", population.parameters[parameter])
                    for phase in self.protocol.phases
                ]
                group.namespace[f"{parameter}_timed"] = self._phase_values(values, f"timed_{name}_{parameter}")
                unit = unit_text(population.dimensions[parameter])
                factor = "" if unit == "1" else f"*{unit}"
                self._regularly(
                    group,
                    f"{parameter} = {parameter}_timed(t){factor}",
                    self.schedule.phase_slots * self.schedule.slot,
                    -5,
                    f"set_{name}_{parameter}",
                )
            self._slow(name)
        for name in self.clamped:
            self._clamp(name)

    @staticmethod
    def _read_outside(population: PopulationPlan) -> list[str]:
        """Return the parameters of sub-expressions: synapses that read those find their variables, but no constants."""
        texts = [population.texts[name] for name in population.subexpressions]
        return [p for p in population.parameters if any(re.search(rf"\b{p}\b", text) for text in texts)]

    @staticmethod
    def _override(phase: Any, key: str, default: float) -> float:
        return float(phase.parameters[key].value) if key in phase.parameters else default

    def _aggregate_unit(self, pathway: PathwayPlan, text: str) -> str:
        """Return the unit of a sum over one side of a pathway."""
        sides = {"pre": self.plan.populations[pathway.pre], "post": self.plan.populations[pathway.post]}
        dimensions = {f"{name}_{side}": d for side, p in sides.items() for name, d in p.dimensions.items()}
        dimensions |= {f"r_{side}": (0.0,) * 7 for side, p in sides.items() if p.is_source}
        parameters = pathway.declaration.rule.parameters  # type: ignore[union-attr]
        dimensions |= {name: value.dimension for name, value in parameters.items()}
        dimensions |= {"w": self._dimension(pathway)} | dict.fromkeys(("n_pre", "n_post", "dale"), (0.0,) * 7)
        return unit_text(expression_dimension(text, dimensions, f"Synapses({pathway.name!r}).rule"))

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
        return ["clamped : 1", "held : 1"] if name in self.clamped else []

    def _clamp(self, name: str) -> None:
        n_units = self.plan.populations[name].n_units
        clamped, held = np.zeros((self.n_phases, n_units)), np.zeros((self.n_phases, n_units))
        for k, phase in enumerate(self.protocol.phases):
            for intervention in phase.interventions:
                if isinstance(intervention, Clamp) and intervention.population == name:
                    units = slice(None) if intervention.units is None else list(intervention.units)
                    clamped[k], held[k] = 0.0, 0.0
                    clamped[k, units], held[k, units] = 1.0, intervention.value
        group = self.groups[name]
        group.namespace["clamped_timed"] = self._timed(clamped, 1.0, f"clamped_{name}")
        group.namespace["held_timed"] = self._timed(held, 1.0, f"held_{name}")
        group.namespace["phase_timed"] = self._phase_values(list(range(self.n_phases)), f"phase_{name}")
        code = "clamped = clamped_timed(phase_timed(t)*second, i)\nheld = held_timed(phase_timed(t)*second, i)"
        self._regularly(group, code, self.schedule.phase_slots * self.schedule.slot, -5, f"clamp_{name}")

    # -- learning ------------------------------------------------------------------------------------------------------

    def _rate(self, name: str, namespace: dict[str, Any]) -> str:
        """Return the factor of a drift: how long a learner learns at the end of the last tick, mostly 0."""
        tick = self.schedule.tick * self.engine.dt
        namespace["learning_timed"] = self._timed(self.schedule.learning[name], tick, f"learning_{name}")
        namespace["half_step"] = 0.5 * self.engine.dt * self.b2.second
        return "learning_timed(t - half_step)*second*int(t > half_step)"

    def _step(
        self,
        owner: Any,
        name: str,
        variable: str,
        drift: str,
        rate: str,
        bounds: tuple[float, float],
        step: Any,
        unit: str,
        rename: str,
    ) -> None:
        low, high = (_bound(value, unit) for value in bounds)
        if isinstance(step, Cap):
            size = _bound(step.size, unit)
            low, high = (
                f"clip({low}, {variable}_onset - {size}, inf*{unit})",
                f"clip({high}, -inf*{unit}, {variable}_onset + {size})",
            )
            owner.namespace["first_timed"] = self._timed(self._is_onset(), self.slot_dt, f"first_{rename}")
            keep = f"{variable}_onset = {variable}*first_timed(t) + {variable}_onset*(1 - first_timed(t))"
            self._regularly(owner, keep, self.schedule.slot, -4, f"onset_{rename}")
        divided = f"/{step.name}_post" if isinstance(step, PerUnit) else ""
        code = f"{variable} = clip({variable} + ({rate})*({drift}){divided}, {low}, {high})"
        self._regularly(
            owner,
            code.replace("inf*1", "inf"),
            self.schedule.tick,
            -20 if owner in self.synapses.values() else -19,
            f"learn_{rename}",
        )

    def _is_onset(self) -> np.ndarray:
        first = np.zeros(self.schedule.n_slots)
        first[self.schedule.onsets] = 1.0
        return first

    def _slow(self, name: str) -> None:
        population, group = self.plan.populations[name], self.groups[name]
        for slow in population.slow:
            rate = self._rate(name, group.namespace)
            unit = unit_text(population.dimensions[slow])
            bounds = population.declaration.bounds.get(slow, (-np.inf, np.inf))
            self._step(
                group,
                name,
                slow,
                self._held(population.texts[slow], name, ""),
                rate,
                bounds,
                population.declaration.steps.get(slow),
                unit,
                f"{name}_{slow}",
            )
            self._copies(group, slow, f"{name}_{slow}")

    def _copies(self, owner: Any, variable: str, rename: str) -> None:
        """Keep what a variable is when each phase but the last ends."""
        if self.n_phases == 1:
            return
        slots = np.arange(0, self.schedule.n_slots, self.schedule.phase_slots)
        lines = []
        for k in range(self.n_phases - 1):
            mark = (slots == self.schedule.phase_starts[k + 1]).astype(float)
            owner.namespace[f"end_{k}"] = self._timed(mark, self.phase_dt, f"end_{k}_{rename}")
            lines.append(f"{variable}_at_{k} = {variable}*end_{k}(t) + {variable}_at_{k}*(1 - end_{k}(t))")
        self._regularly(owner, "\n".join(lines), self.schedule.phase_slots * self.schedule.slot, -10, f"keep_{rename}")

    # -- synapses ------------------------------------------------------------------------------------------------------

    def _sent(self, text: str, pathway: PathwayPlan, side: str) -> str:
        """Return what a pathway transmits with its presynaptic population on ``side``, clamps put in."""
        text = self._held(expand_functions(text, self.functions), pathway.pre, "_pre")
        return re.sub(r"_pre\b", f"_{side}", text)

    def _held(self, text: str, population: str, suffix: str) -> str:
        """Return a text in which the rate of a population that is ever clamped is what its clamp says."""
        if population not in self.clamped:
            return text
        return re.sub(rf"\br{suffix}\b", f"(r{suffix}*(1 - clamped{suffix}) + held{suffix}*clamped{suffix})", text)

    def _build_synapses(self) -> None:
        for name, pathway in self.plan.pathways.items():
            if not pathway.owns:
                continue
            declared = pathway.declaration
            unit = unit_text(
                declared.unit.dimension
                if declared.unit
                else self.plan.populations[pathway.post].dimensions[pathway.input]
            )
            lines = [f"w : {unit}"]
            for other in self.plan.pathways.values():
                if other.owner == name:
                    pre, post = ("post", "pre") if other.transposed else ("pre", "post")
                    fed = unit_text(self.plan.populations[other.post].dimensions[other.input])
                    lines.append(
                        f"in_{other.name}_{post} = {self._sent(other.declaration.transmits, other, pre)} : {fed} "
                        "(summed)"
                    )
            namespace: dict[str, Any] = dict(brian_functions())
            rule, scaled = pathway.rule, self._scale_lines(pathway)
            if rule is not None:
                lines += [f"w_onset : {unit}"] if isinstance(rule.step, Cap) else []
                lines += self._aggregate_lines(pathway, rule)
            if changes := rule is not None or bool(scaled):
                lines += [f"w_at_{k} : {unit}" for k in range(self.n_phases - 1)]
            lines += scaled
            synapses = self.b2.Synapses(
                self.groups[pathway.pre],
                self.groups[pathway.post],
                "\n".join(lines),
                clock=self.clock,
                namespace=namespace,
                name=f"syn_{name}",
            )
            weights = self.store.arrays[name]
            mask = self.store.masks.get(name)
            if mask is None:
                synapses.connect()
                synapses.w = quantity_of(1.0, self._dimension(pathway)) * weights.T.ravel()
            else:
                sources, targets = np.nonzero(mask.T)
                synapses.connect(i=sources, j=targets)
                synapses.w = quantity_of(1.0, self._dimension(pathway)) * weights[targets, sources]
            self.synapses[name] = synapses
            if rule is not None:
                self._learning(pathway, rule, synapses, unit)
            if scaled:
                self._scaling(pathway, synapses)
            if changes:
                self._copies(synapses, "w", name)
                self.changing.add(name)

    def _dimension(self, pathway: PathwayPlan) -> Any:
        declared = pathway.declaration
        return (
            declared.unit.dimension if declared.unit else self.plan.populations[pathway.post].dimensions[pathway.input]
        )

    def _aggregate_lines(self, pathway: PathwayPlan, rule: RulePlan) -> list[str]:
        lines = []
        for name, aggregate in rule.aggregates.items():
            side = "post" if aggregate.over == "pre" else "pre"
            text = self._held(self._held(aggregate.text, pathway.pre, "_pre"), pathway.post, "_post")
            text = self._with_parameters(text, pathway)
            lines.append(
                f"{name}_{pathway.name}_{side} = {text} : {self._aggregate_unit(pathway, aggregate.text)} (summed)"
            )
        return lines

    def _learning(self, pathway: PathwayPlan, rule: RulePlan, synapses: Any, unit: str) -> None:
        drift = expand_functions(rule.text, self.functions)
        drift = self._held(self._held(drift, pathway.pre, "_pre"), pathway.post, "_post")
        for name, aggregate in rule.aggregates.items():
            side = "post" if aggregate.over == "pre" else "pre"
            drift = re.sub(rf"\b{name}\b", f"{name}_{pathway.name}_{side}", drift)
            updater = synapses.summed_updaters[f"{name}_{pathway.name}_{side}"]
            updater._clock = self.b2.Clock(
                dt=self.schedule.tick * self.engine.dt * self.b2.second, name=f"clock_{name}_{pathway.name}"
            )
            updater.when, updater.order = "start", -21
        sides = {
            "n_pre": self.plan.populations[pathway.pre].n_units,
            "n_post": self.plan.populations[pathway.post].n_units,
            "dale": pathway.sign,
        }
        synapses.namespace.update(sides)
        for name, value in pathway.declaration.rule.parameters.items():  # type: ignore[union-attr]
            key = f"{pathway.name}.{name}"
            if key in self.overridden:
                values = [self._override(phase, key, value.value) for phase in self.protocol.phases]
                synapses.namespace[f"rule_{name}_timed"] = self._phase_values(values, f"timed_{pathway.name}_{name}")
            else:
                synapses.namespace[f"rule_{name}"] = quantity_of(value.value, value.dimension)
        drift = self._with_parameters(drift, pathway)
        rate = self._rate(pathway.name, synapses.namespace)
        self._step(synapses, pathway.name, "w", drift, rate, pathway.bounds, rule.step, unit, pathway.name)

    def _with_parameters(self, text: str, pathway: PathwayPlan) -> str:
        """Put the parameters of a rule into a text, under names that no variable of a population has."""
        for name, value in pathway.declaration.rule.parameters.items():  # type: ignore[union-attr]
            timed = f"{pathway.name}.{name}" in self.overridden
            unit = unit_text(value.dimension)
            factor = "" if unit == "1" else f"*{unit}"
            text = re.sub(
                rf"\b{name}\b", f"(rule_{name}_timed(t - half_step){factor})" if timed else f"rule_{name}", text
            )
        return text

    def _scale_lines(self, pathway: PathwayPlan) -> list[str]:
        found = [
            (k, i)
            for k, phase in enumerate(self.protocol.phases)
            for i in phase.interventions
            if isinstance(i, Scale) and i.pathway == pathway.name
        ]
        return [f"scaled_{n} : 1 (constant)" for n in range(len(found))]

    def _scaling(self, pathway: PathwayPlan, synapses: Any) -> None:
        found = [
            (k, i)
            for k, phase in enumerate(self.protocol.phases)
            for i in phase.interventions
            if isinstance(i, Scale) and i.pathway == pathway.name
        ]
        shape = self.store.arrays[pathway.name].shape
        mask = self.store.masks.get(pathway.name)
        slots = np.arange(0, self.schedule.n_slots, self.schedule.phase_slots)
        for n, (k, intervention) in enumerate(found):
            chosen = intervention.mask(shape)
            values = chosen.T.ravel() if mask is None else chosen.T[mask.T]
            setattr(synapses, f"scaled_{n}", values.astype(float))
            factors = np.where(slots == self.schedule.phase_starts[k], intervention.factor, 1.0)
            synapses.namespace[f"factor_{n}"] = self._timed(factors, self.phase_dt, f"factor_{n}_{pathway.name}")
            code = f"w = w*(1 + scaled_{n}*(factor_{n}(t) - 1))"
            self._regularly(
                synapses, code, self.schedule.phase_slots * self.schedule.slot, -5, f"scale_{n}_{pathway.name}"
            )

    # -- running -------------------------------------------------------------------------------------------------------

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
        self._build_synapses()
        recording = any(phase.record is not None for phase in self.protocol.phases)
        monitors = {}
        if recording:
            for name, population in self.plan.driven.items():
                monitor = b2.StateMonitor(
                    self.groups[name],
                    list(population.states),
                    record=True,
                    dt=self.slot_dt * b2.second,
                    when="start",
                    order=-15,
                    name=f"record_{name}",
                )
                monitors[name] = monitor
        network = b2.Network(*self.groups.values(), *self.synapses.values(), *monitors.values())
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
                    np.array(getattr(self.groups[name], f"{variable}_at_{k}_")[:]) for k in range(self.n_phases - 1)
                ]
                slow[name, variable].append(np.array(getattr(self.groups[name], f"{variable}_")[:]))
        weights = {}
        for name, synapses in self.synapses.items():
            names = [f"w_at_{k}_" if name in self.changing else "w_" for k in range(self.n_phases - 1)] + ["w_"]
            weights[name] = [self._matrix(name, synapses, np.array(getattr(synapses, each)[:])) for each in names]
        return {"states": states, "weights": weights, "slow": slow}

    def _matrix(self, name: str, synapses: Any, values: np.ndarray) -> np.ndarray:
        matrix = np.zeros(self.store.arrays[name].shape)
        matrix[np.array(synapses.j[:]), np.array(synapses.i[:])] = values
        return matrix


def _bound(value: float, unit: str) -> str:
    number = "inf" if value == np.inf else "-inf" if value == -np.inf else repr(float(value))
    return number if unit == "1" else f"({number})*{unit}"
