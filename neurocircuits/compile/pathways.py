"""Pathways: what synapses transmit, all the time or with each spike, under which sign and into which input."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from neurocircuits.compile.equations import ParsedEquations, expand_functions, expression_dimension
from neurocircuits.compile.events import compile_events, event_input
from neurocircuits.compile.expressions import check_names, parse
from neurocircuits.compile.graded_rules import compile_rule, readable
from neurocircuits.compile.plan import PathwayPlan
from neurocircuits.compile.separable import Term, separate
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.functions import Function
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Paired, Symmetric, Tied
from neurocircuits.errors import UnitError, ValidationError, listed
from neurocircuits.units import Dimension, unit_text


def compile_pathway(
    synapses: Synapses, circuit: Circuit, parsed: Mapping[str, ParsedEquations], functions: Mapping[str, Function]
) -> PathwayPlan:
    """Return how a pathway transmits and learns.

    Raises
    ------
    ValidationError
        If an input or a text does not fit.
    UnitError
        If dimensions do not fit.
    """
    owner_text = f"Synapses({synapses.name!r})"
    pre, post = circuit.population(synapses.pre), circuit.population(synapses.post)
    if pre.is_spiking:
        return _event_pathway(synapses, circuit, parsed, functions)
    if synapses.delay or synapses.short_term is not None:
        raise ValidationError(
            f"{owner_text}: population {pre.name!r} does not spike, so that a delay or short-term plasticity of its "
            "synapses means nothing. Give it a threshold, or leave them out."
        )
    inputs = parsed[post.name].inputs
    if synapses.input not in inputs:
        raise ValidationError(
            f"{owner_text}.input: population {post.name!r} has no input {synapses.input!r}. Known: {listed(inputs)}."
        )
    polarity = inputs[synapses.input]
    if polarity and polarity != pre.sign_value:
        kind = "excitatory" if polarity > 0 else "inhibitory"
        fitting = [name for name, value in inputs.items() if value in (0, pre.sign_value)]
        raise ValidationError(
            f"{owner_text}.input: {synapses.input!r} of population {post.name!r} takes {kind} synapses only, but "
            f"population {pre.name!r} is {pre.sign}. Inputs that fit: {listed(fitting)}."
        )
    shared = synapses.weights if isinstance(synapses.weights, Tied | Paired) else None
    owns_pair = any(isinstance(s.weights, Paired) and s.weights.owner == synapses.name for s in circuit.synapses)
    signed = circuit.unconstrained or owns_pair
    bounds = synapses.bounds or ((-np.inf, np.inf) if signed else (0.0, np.inf))
    if owns_pair and synapses.bounds is not None:
        bounds = (-bounds[1], bounds[1])
    transmits = synapses.transmits or "w*r_pre"
    terms = _transmission(transmits, synapses, circuit, parsed, functions)
    unit = synapses.unit.dimension if synapses.unit is not None else parsed[post.name].dimensions[synapses.input]
    _check_transmission(transmits, synapses, synapses.input, parsed, unit, functions)
    rule = None if synapses.rule is None else compile_rule(synapses, synapses.rule, parsed, functions, unit)
    return PathwayPlan(
        declaration=synapses,
        owner=shared.owner if shared is not None else str(synapses.name),
        transposed=isinstance(shared, Tied) and shared.transposed,
        part=-1 if isinstance(shared, Paired) else int(owns_pair),
        sign=1 if circuit.unconstrained else pre.sign_value,
        applied_sign=1 if polarity or circuit.unconstrained else pre.sign_value,
        terms=terms,
        bounds=bounds,
        rule=rule,
        input=synapses.input,
        transmits=transmits,
    )


def _transmission(
    transmits: str,
    synapses: Synapses,
    circuit: Circuit,
    parsed: Mapping[str, ParsedEquations],
    functions: Mapping[str, Function],
) -> tuple[Term, ...]:
    owner, pre = f"Synapses({synapses.name!r}).transmits", circuit.population(synapses.pre)
    tree = parse(transmits, functions, owner)
    sides = {f"{name}_pre": "pre" for name in readable(parsed[pre.name])} | {"w": "weight"}
    check_names(tree, sides, owner, transmits)
    terms, reason = separate(tree, sides)
    if reason:
        raise ValidationError(f"{owner}: {transmits!r} is not a sum of h(w)*g(pre): {reason}.")
    if not circuit.unconstrained and any(float(term.constant({})) < 0 for term in terms):
        raise ValidationError(
            f"{owner}: {transmits!r} has a negative term, but synapses of population {pre.name!r} are {pre.sign}. "
            f"Rectify the difference, for example 'w*rectify(r_pre - 0.5)', or declare dale='unconstrained'."
        )
    return terms


def _event_pathway(
    synapses: Synapses, circuit: Circuit, parsed: Mapping[str, ParsedEquations], functions: Mapping[str, Function]
) -> PathwayPlan:
    """Return the plan of a pathway whose presynaptic population spikes."""
    owner = f"Synapses({synapses.name!r})"
    pre, post = circuit.population(synapses.pre), circuit.population(synapses.post)
    rule = synapses.rule if synapses.rule is not None and not synapses.rule.has_events else None
    if isinstance(synapses.weights, Tied | Paired):
        raise ValidationError(
            f"{owner}: population {pre.name!r} spikes; its synapses are neither tied nor paired. Give each pathway "
            "weights of its own."
        )
    if rule is None and (isinstance(synapses.weights, Symmetric) or synapses.normalise is not None):
        raise ValidationError(
            f"{owner}: population {pre.name!r} spikes; its synapses are a list, which is neither symmetric nor "
            "normalised. Give it a rule with a drift, whose weights are a matrix, or leave that out."
        )
    for side, name in (("pre", pre.name), ("post", post.name)):
        texts = () if rule is None else (rule.drift, *rule.aggregates.values(), *rule.terms.values())
        if "r" not in readable(parsed[name]) and any(re.search(rf"\br_{side}\b", text) for text in texts):
            raise ValidationError(
                f"{owner}.rule: its drift reads the rate of population {name!r}, which has no variable 'r'. Declare "
                "one that spikes raise, such as 'dr/dt = -r/(20*ms) : 1' with the reset 'r += 1', or use a rule with "
                "an event form, such as Vogels or PairSTDP."
            )
    fed = event_input(synapses, 0 if circuit.unconstrained else pre.sign_value, parsed[post.name])
    polarity = parsed[post.name].jumps[fed]
    transmits = synapses.transmits or "w"
    terms = _transmission(transmits, synapses, circuit, parsed, functions)
    unit = synapses.unit.dimension if synapses.unit is not None else parsed[post.name].dimensions[fed]
    _check_transmission(transmits, synapses, fed, parsed, unit, functions)
    dimensions: dict[str, Dimension] = {
        f"{name}_{side}": dimension
        for side, population in (("pre", pre), ("post", post))
        for name, dimension in parsed[population.name].dimensions.items()
    }
    signed = circuit.unconstrained
    return PathwayPlan(
        declaration=synapses,
        owner=str(synapses.name),
        transposed=False,
        part=0,
        sign=1 if signed else pre.sign_value,
        applied_sign=1 if polarity or signed else pre.sign_value,
        terms=terms,
        bounds=synapses.bounds or ((-np.inf, np.inf) if signed else (0.0, np.inf)),
        rule=None if rule is None else compile_rule(synapses, rule, parsed, functions, unit),
        input=fed,
        transmits=transmits,
        events=compile_events(synapses, transmits, {**dimensions, "w": unit}, post.is_spiking, functions),
    )


def _check_transmission(
    transmits: str,
    synapses: Synapses,
    fed: str,
    parsed: Mapping[str, ParsedEquations],
    unit: Dimension,
    functions: Mapping[str, Function],
) -> None:
    owner = f"Synapses({synapses.name!r}).transmits"
    dimensions = {f"{name}_pre": d for name, d in parsed[synapses.pre].dimensions.items()} | {"w": unit}
    sent = expression_dimension(expand_functions(transmits, functions), dimensions, owner)
    asked = parsed[synapses.post].dimensions[fed]
    if sent != asked:
        raise UnitError(
            f"{owner}: {transmits!r} has the unit {unit_text(sent)} with weights in {unit_text(unit)}, but the "
            f"input {fed!r} of {synapses.post!r} is in {unit_text(asked)}. Change 'transmits' or 'unit'."
        )
