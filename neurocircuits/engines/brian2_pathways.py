"""The synapses of a standalone program: one Synapses object for each array, with its learning and what scales it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from neurocircuits.compile.equations import brian_functions, expand_functions, expression_dimension
from neurocircuits.compile.plan import PathwayPlan, Plan, RulePlan
from neurocircuits.declare.protocol import Protocol, Scale
from neurocircuits.declare.steps import Cap
from neurocircuits.engines.brian2_objects import quantity_of
from neurocircuits.engines.brian2_timing import Timing
from neurocircuits.engines.values import WeightStore
from neurocircuits.units import unit_text


class Pathways:
    """The pathways of a standalone program.

    Parameters
    ----------
    plan : Plan
        The plan.
    store : WeightStore
        Initial weights.
    protocol : Protocol
        The protocol.
    timing : Timing
        Timed values and operations.
    clock : Clock
        Clock of the time step.

    Attributes
    ----------
    synapses : dict of str to Synapses
        By the pathway that owns the array.
    changing : set of str
        Those whose weights change.
    """

    def __init__(self, plan: Plan, store: WeightStore, protocol: Protocol, timing: Timing, clock: Any) -> None:
        self.plan, self.store, self.protocol, self.timing, self.clock = plan, store, protocol, timing, clock
        self.b2, self.schedule = timing.b2, timing.schedule
        self.functions = {function.name: function for function in plan.circuit.functions}
        self.synapses: dict[str, Any] = {}
        self.changing: set[str] = set()

    def _sent(self, text: str, pathway: PathwayPlan, side: str) -> str:
        """Return what a pathway transmits with its presynaptic population on ``side``, clamps put in."""
        text = self.timing.held(expand_functions(text, self.functions), pathway.pre, "_pre")
        return re.sub(r"_pre\b", f"_{side}", text)

    def build(self, groups: dict[str, Any]) -> None:
        """Build the synapses between groups."""
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
                lines += [f"w_at_{k} : {unit}" for k in range(self.timing.n_phases - 1)]
            lines += scaled
            synapses = self.b2.Synapses(
                groups[pathway.pre],
                groups[pathway.post],
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
                self.timing.copies(synapses, "w", name)
                self.changing.add(name)

    def _dimension(self, pathway: PathwayPlan) -> Any:
        declared = pathway.declaration
        return (
            declared.unit.dimension if declared.unit else self.plan.populations[pathway.post].dimensions[pathway.input]
        )

    def aggregate_unit(self, pathway: PathwayPlan, text: str) -> str:
        """Return the unit of a sum over one side of a pathway."""
        sides = {"pre": self.plan.populations[pathway.pre], "post": self.plan.populations[pathway.post]}
        dimensions = {f"{name}_{side}": d for side, p in sides.items() for name, d in p.dimensions.items()}
        dimensions |= {f"r_{side}": (0.0,) * 7 for side, p in sides.items() if p.is_source}
        parameters = pathway.declaration.rule.parameters  # type: ignore[union-attr]
        dimensions |= {name: value.dimension for name, value in parameters.items()}
        dimensions |= {"w": self._dimension(pathway)} | dict.fromkeys(("n_pre", "n_post", "dale"), (0.0,) * 7)
        return unit_text(expression_dimension(text, dimensions, f"Synapses({pathway.name!r}).rule"))

    def _aggregate_lines(self, pathway: PathwayPlan, rule: RulePlan) -> list[str]:
        lines = []
        for name, aggregate in rule.aggregates.items():
            side = "post" if aggregate.over == "pre" else "pre"
            text = self.timing.held(self.timing.held(aggregate.text, pathway.pre, "_pre"), pathway.post, "_post")
            text = self._with_parameters(text, pathway)
            lines.append(
                f"{name}_{pathway.name}_{side} = {text} : {self.aggregate_unit(pathway, aggregate.text)} (summed)"
            )
        return lines

    def _learning(self, pathway: PathwayPlan, rule: RulePlan, synapses: Any, unit: str) -> None:
        drift = expand_functions(rule.text, self.functions)
        drift = self.timing.held(self.timing.held(drift, pathway.pre, "_pre"), pathway.post, "_post")
        for name, aggregate in rule.aggregates.items():
            side = "post" if aggregate.over == "pre" else "pre"
            drift = re.sub(rf"\b{name}\b", f"{name}_{pathway.name}_{side}", drift)
            updater = synapses.summed_updaters[f"{name}_{pathway.name}_{side}"]
            updater._clock = self.b2.Clock(
                dt=self.schedule.tick * self.timing.engine.dt * self.b2.second, name=f"clock_{name}_{pathway.name}"
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
            if key in self.timing.overridden:
                values = [self.timing.override(phase, key, value.value) for phase in self.protocol.phases]
                synapses.namespace[f"rule_{name}_timed"] = self.timing.phase_values(
                    values, f"timed_{pathway.name}_{name}"
                )
            else:
                synapses.namespace[f"rule_{name}"] = quantity_of(value.value, value.dimension)
        drift = self._with_parameters(drift, pathway)
        rate = self.timing.rate(pathway.name, synapses.namespace)
        self.timing.step(synapses, -20, "w", drift, rate, pathway.bounds, rule.step, unit, pathway.name)

    def _with_parameters(self, text: str, pathway: PathwayPlan) -> str:
        """Put the parameters of a rule into a text, under names that no variable of a population has."""
        for name, value in pathway.declaration.rule.parameters.items():  # type: ignore[union-attr]
            timed = f"{pathway.name}.{name}" in self.timing.overridden
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
            synapses.namespace[f"factor_{n}"] = self.timing.timed(
                factors, self.timing.phase_dt, f"factor_{n}_{pathway.name}"
            )
            code = f"w = w*(1 + scaled_{n}*(factor_{n}(t) - 1))"
            self.timing.regularly(
                synapses, code, self.schedule.phase_slots * self.schedule.slot, -5, f"scale_{n}_{pathway.name}"
            )
