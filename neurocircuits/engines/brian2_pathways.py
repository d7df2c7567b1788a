"""The synapses of a standalone program: one Brian 2 object for each weight array, with sums, learning and scaling."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from neurocircuits.compile.equations import brian_functions, expand_functions, expression_dimension
from neurocircuits.compile.plan import PathwayPlan, Plan, RulePlan
from neurocircuits.declare.protocol import Scale
from neurocircuits.declare.steps import Cap
from neurocircuits.engines.brian2_events import LEARNING
from neurocircuits.engines.brian2_objects import quantity_of, weight_dimension, with_unit
from neurocircuits.engines.brian2_timing import Timing, unit_factor
from neurocircuits.engines.values import WeightStore
from neurocircuits.units import DIMENSIONLESS, Dimension, unit_text


class Pathways:
    """Build the synapses of a standalone program.

    Parameters
    ----------
    timing : Timing
        What changes with time.
    store : WeightStore
        Initial weights.
    groups : dict
        Brian 2 groups by population.
    """

    def __init__(self, timing: Timing, store: WeightStore, groups: dict[str, Any]) -> None:
        self.timing, self.plan, self.store, self.groups = timing, timing.plan, store, groups
        self.changing: set[str] = set()

    def build(self, pathway: PathwayPlan) -> Any:
        """Return the synapses with the array of a pathway, which all pathways that share it use."""
        timing, name, rule = self.timing, pathway.name, pathway.rule
        unit = unit_text(weight_dimension(self.plan, pathway))
        lines = [f"w : {unit}", *self._sums(name)]
        if rule is not None:
            lines += [f"w_onset : {unit}"] if isinstance(rule.step, Cap) else []
            lines += self._aggregates(pathway, rule)
        scales = self._scales(name)
        lines += [f"scaled_{n} : 1 (constant)" for n in range(len(scales))]
        if rule is not None or scales:
            self.changing.add(name)
            lines += [f"w_at_{k} : {unit}" for k in range(timing.n_phases - 1)]
        synapses = timing.b2.Synapses(
            self.groups[pathway.pre],
            self.groups[pathway.post],
            "\n".join(lines),
            clock=timing.clock,
            namespace=dict(brian_functions()),
            name=f"syn_{name}",
        )
        self._connect(pathway, synapses)
        if rule is not None:
            self._learning(pathway, rule, synapses)
        for n, (number, scale) in enumerate(scales):
            self._scaling(name, synapses, n, number, scale)
        if name in self.changing:
            timing.copies(synapses, "w", name)
        return synapses

    def schedule_events(self, pathway: PathwayPlan, synapses: Any) -> None:
        """Let the synapses of spikes learn, be scaled and be copied when phases say so."""
        timing, name, events = self.timing, pathway.name, pathway.events
        if events is not None and events.learns:
            scale = timing.values(timing.schedule.scales[name], timing.slot_dt, f"scale_{name}")
            synapses.namespace["scale_timed"] = scale
            timing.regularly(synapses, f"{LEARNING} = scale_timed(t)", timing.schedule.slot, -5, f"scale_of_{name}")
            self.changing.add(name)
            for parameter, value in pathway.declaration.rule.parameters.items():  # type: ignore[union-attr]
                if f"{name}.{parameter}" in timing.overridden:
                    timed = timing.overrides(f"{name}.{parameter}", value.value, f"timed_{name}_{parameter}")
                    synapses.namespace[f"timed_{parameter}"] = timed
                    code = f"rule_{parameter} = timed_{parameter}(t){unit_factor(value)}"
                    timing.changes(synapses, code, shared=True)
        for n, (number, scale) in enumerate(self._scales(name)):
            self._scaling(name, synapses, n, number, scale)
            self.changing.add(name)
        if name in self.changing:
            timing.copies(synapses, "w", name)

    def event_lines(self, pathway: PathwayPlan) -> list[str]:
        """Return what synapses of spikes need besides: which are scaled, and copies of weights at ends of phases."""
        unit = unit_text(weight_dimension(self.plan, pathway))
        scales = self._scales(pathway.name)
        lines = [f"scaled_{n} : 1 (constant)" for n in range(len(scales))]
        if scales or (pathway.events is not None and pathway.events.learns):
            lines += [f"w_at_{k} : {unit}" for k in range(self.timing.n_phases - 1)]
        return lines

    def _sums(self, owner: str) -> list[str]:
        """Return what is sent with an array, each pathway into a variable of its own, since a sum has one writer."""
        lines = []
        for pathway in self.plan.pathways.values():
            if pathway.owner == owner:
                pre, post = ("post", "pre") if pathway.transposed else ("pre", "post")
                unit = unit_text(self.plan.populations[pathway.post].dimensions[pathway.input])
                text = expand_functions(pathway.transmits, self.timing.functions)
                sent = re.sub(r"_pre\b", f"_{pre}", self.timing.with_clamps(text, pathway.pre, "_pre"))
                lines.append(f"in_{pathway.name}_{post} = {sent} : {unit} (summed)")
        return lines

    def _connect(self, pathway: PathwayPlan, synapses: Any) -> None:
        weights, mask = self.store.arrays[pathway.name], self.store.masks.get(pathway.name)
        one = quantity_of(1.0, weight_dimension(self.plan, pathway))
        if mask is None:
            synapses.connect()
            synapses.w = one * weights.T.ravel()
        else:
            sources, targets = np.nonzero(mask.T)
            synapses.connect(i=sources, j=targets)
            synapses.w = one * weights[targets, sources]

    # -- learning ------------------------------------------------------------------------------------------------------

    def _aggregates(self, pathway: PathwayPlan, rule: RulePlan) -> list[str]:
        lines = []
        for name, aggregate in rule.aggregates.items():
            side = "post" if aggregate.over == "pre" else "pre"
            text = self._in_synapses(aggregate.text, pathway)
            unit = aggregate_unit(self.plan, pathway, name)
            lines.append(f"{name}_{pathway.name}_{side} = {text} : {unit} (summed)")
        return lines

    def _learning(self, pathway: PathwayPlan, rule: RulePlan, synapses: Any) -> None:
        timing = self.timing
        drift = self._in_synapses(expand_functions(rule.text, timing.functions), pathway)
        for name, aggregate in rule.aggregates.items():
            summed = f"{name}_{pathway.name}_{'post' if aggregate.over == 'pre' else 'pre'}"
            drift = re.sub(rf"\b{name}\b", summed, drift)
            updater = synapses.summed_updaters[summed]
            updater._clock = timing.b2.Clock(dt=timing.tick_dt * timing.b2.second, name=f"clock_{summed}")
            updater.when, updater.order = "start", -21
        synapses.namespace["n_pre"] = self.plan.populations[pathway.pre].n_units
        synapses.namespace["n_post"] = self.plan.populations[pathway.post].n_units
        synapses.namespace["dale"] = pathway.sign
        for name, value in pathway.declaration.rule.parameters.items():  # type: ignore[union-attr]
            key = f"{pathway.name}.{name}"
            if key in timing.overridden:
                timed = timing.overrides(key, value.value, f"timed_{pathway.name}_{name}")
                synapses.namespace[f"rule_{name}_timed"] = timed
            else:
                synapses.namespace[f"rule_{name}"] = quantity_of(value.value, value.dimension)
        unit = unit_text(weight_dimension(self.plan, pathway))
        new = timing.learned(synapses, pathway.name, "w", drift, pathway.bounds, rule.step, unit, "_post")
        timing.regularly(synapses, f"w = {new}", timing.schedule.tick, -20, f"learn_{pathway.name}")

    def _in_synapses(self, text: str, pathway: PathwayPlan) -> str:
        """Put clamps into a text, and the parameters of a rule under names that no variable of a population has."""
        text = self.timing.with_clamps(text, pathway.pre, "_pre")
        text = self.timing.with_clamps(text, pathway.post, "_post")
        for name, value in pathway.declaration.rule.parameters.items():  # type: ignore[union-attr]
            timed = f"(rule_{name}_timed(t - half_step){unit_factor(value)})"
            overridden = f"{pathway.name}.{name}" in self.timing.overridden
            text = re.sub(rf"\b{name}\b", timed if overridden else f"rule_{name}", text)
        return text

    # -- scaling -------------------------------------------------------------------------------------------------------

    def _scales(self, name: str) -> list[tuple[int, Scale]]:
        return [
            (number, intervention)
            for number, phase in enumerate(self.timing.protocol.phases)
            for intervention in phase.interventions
            if isinstance(intervention, Scale) and intervention.pathway == name
        ]

    def _scaling(self, name: str, synapses: Any, n: int, number: int, scale: Scale) -> None:
        timing, mask = self.timing, self.store.masks.get(name)
        if name in self.store.pairs:
            chosen = scale.chosen(*self.store.pairs[name])
        else:
            chosen = scale.mask(self.store.arrays[name].shape).T
            chosen = chosen.ravel() if mask is None else chosen[mask.T]
        setattr(synapses, f"scaled_{n}", chosen.astype(float))
        factors = np.where(timing.boundaries == timing.schedule.phase_starts[number], scale.factor, 1.0)
        synapses.namespace[f"factor_{n}"] = timing.at_boundaries(factors, f"factor_{n}_{name}")
        scaled, bounds = f"w*(1 + scaled_{n}*(factor_{n}(t) - 1))", self.plan.pathways[name].bounds
        if not {*bounds} <= {0.0, -np.inf, np.inf}:  # no factor takes a weight past these
            unit = unit_text(weight_dimension(self.plan, self.plan.pathways[name]))
            scaled = f"clip({scaled}, {', '.join(with_unit(bound, unit) for bound in bounds)})"
        timing.changes(synapses, f"w = {scaled}")


def aggregate_unit(plan: Plan, pathway: PathwayPlan, name: str) -> str:
    """Return the unit of an aggregate of the rule of a pathway."""
    rule = pathway.declaration.rule
    dimensions: dict[str, Dimension] = dict.fromkeys(("n_pre", "n_post", "dale"), DIMENSIONLESS)
    dimensions["w"] = weight_dimension(plan, pathway)
    for side in ("pre", "post"):
        population = plan.populations[getattr(pathway, side)]
        dimensions[f"r_{side}"] = DIMENSIONLESS
        dimensions |= {f"{variable}_{side}": dimension for variable, dimension in population.dimensions.items()}
    dimensions |= {key: value.dimension for key, value in rule.parameters.items()}  # type: ignore[union-attr]
    text = pathway.rule.aggregates[name].text  # type: ignore[union-attr]
    return unit_text(expression_dimension(text, dimensions, f"Synapses({pathway.name!r}).rule"))
