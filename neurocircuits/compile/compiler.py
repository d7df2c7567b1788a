"""From a circuit to a plan: equations, transmission, rules and the order in which populations are solved."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

import numpy as np
import sympy
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from neurocircuits.compile.equations import ParsedEquations, expand_functions, parse_equations
from neurocircuits.compile.events import reset, threshold
from neurocircuits.compile.expressions import (
    Expression,
    check_functions,
    check_names,
    parse,
    symbol,
    to_sympy,
)
from neurocircuits.compile.fixed_points import ThresholdLinear, fixed_points, threshold_linear
from neurocircuits.compile.pathways import compile_pathway
from neurocircuits.compile.plan import Loop, PathwayPlan, Plan, PopulationPlan
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.functions import Function
from neurocircuits.declare.population import Population
from neurocircuits.errors import ValidationError


def compile_circuit(circuit: Circuit) -> Plan:
    """Compile a circuit into a plan.

    Parameters
    ----------
    circuit : Circuit
        The declaration.

    Returns
    -------
    Plan
        What engines execute; ``plan.explain()`` prints it.

    Raises
    ------
    ValidationError
        If a text uses unknown names, flags or functions, or an input of the wrong polarity.
    UnitError
        If dimensions do not fit.
    """
    functions = {function.name: function for function in circuit.functions}
    check_functions(functions)
    parsed = {p.name: parse_equations(p, functions) for p in circuit.populations}
    populations = {p.name: _population(p, parsed[p.name], functions) for p in circuit.populations}
    pathways = {str(s.name): compile_pathway(s, circuit, parsed, functions) for s in circuit.synapses}
    return Plan(circuit, populations, pathways, _loops(circuit, populations, pathways), _feeding(populations, pathways))


def _feeding(populations: Mapping[str, PopulationPlan], pathways: Mapping[str, PathwayPlan]) -> tuple[str, ...]:
    at_once = {name for name, p in populations.items() if not p.is_source and not p.states}
    before = {name: {p.pre for p in pathways.values() if p.post == name and p.pre in at_once} for name in at_once}
    try:
        first = tuple(TopologicalSorter(before).static_order())
    except CycleError as error:
        around = " to ".join(reversed(error.args[1]))
        raise ValidationError(
            f"Circuit: populations {around} have no state, so what they send would have to be known before it is "
            "computed. Give one of them a time constant, for example 'dr/dt = (drive - r)/tau : 1'."
        ) from None
    return (*first, *(name for name, p in populations.items() if not p.is_source and name not in at_once))


def _population(population: Population, parsed: ParsedEquations, functions: Mapping[str, Function]) -> PopulationPlan:
    states = {name: parsed.expanded(tree) for name, tree in parsed.states.items()}
    given = {
        name: parse(text, functions, f"Population({population.name!r}).steady_state")
        for name, text in population.steady_state.items()
    }
    for name, tree in given.items():
        check_names(
            tree, parsed.dimensions, f"Population({population.name!r}).steady_state", population.steady_state[name]
        )
    alone = (population.is_spiking and not given) or parsed.random
    roots = {} if alone else fixed_points(states)
    solved = {name: Expression.of(root) for name, root in roots.items()}
    solved.update({name: Expression.of(parsed.expanded(tree)) for name, tree in given.items() if name in states})
    complete = set(solved) == set(states)
    explicit = complete and not any(expression.names & set(states) for expression in solved.values())
    return PopulationPlan(
        declaration=population,
        states={name: Expression.of(tree) for name, tree in states.items()},
        slow={name: Expression.of(parsed.expanded(tree)) for name, tree in parsed.slow.items()},
        subexpressions={name: Expression.of(parsed.expanded(tree)) for name, tree in parsed.subexpressions.items()},
        inputs=dict(parsed.inputs),
        fixed_points=solved if complete else {},
        explicit=explicit,
        response=_response(parsed, roots, given) if explicit else None,
        parameters={name: value.value for name, value in population.parameters.items()},
        dimensions=dict(parsed.dimensions),
        texts={name: expand_functions(text, functions) for name, text in parsed.texts.items()},
        flags=dict(parsed.flags),
        marked=dict(parsed.marked),
        jumps=dict(parsed.jumps),
        random=parsed.random,
        threshold=threshold(population, parsed, functions),
        reset=reset(population, parsed, functions),
    )


def _response(
    parsed: ParsedEquations, roots: Mapping[str, sympy.Expr], given: Mapping[str, ast.expr]
) -> ThresholdLinear | None:
    if "r" not in parsed.states and "r" not in parsed.subexpressions:
        return None
    try:
        values = {**roots, **{name: to_sympy(parsed.expanded(tree)) for name, tree in given.items()}}
        sent = values["r"] if "r" in values else to_sympy(parsed.expanded(parsed.subexpressions["r"]))
    except ValidationError:
        return None
    sent = sent.subs({symbol(name): value for name, value in values.items()})
    return threshold_linear(sent)


def _loops(
    circuit: Circuit, populations: Mapping[str, PopulationPlan], pathways: Mapping[str, PathwayPlan]
) -> tuple[Loop, ...]:
    names = [name for name, p in populations.items() if not p.is_source]
    index = {name: k for k, name in enumerate(names)}
    edges = np.zeros((len(names), len(names)), dtype=int)
    for pathway in pathways.values():
        if pathway.pre in index:
            edges[index[pathway.pre], index[pathway.post]] = 1
    n_loops, member = connected_components(csr_array(edges), directed=True, connection="strong")
    groups = [[name for name in names if member[index[name]] == k] for k in range(n_loops)]
    ordered: list[Loop] = []
    while groups:
        for group in groups:
            outside = {names[k] for name in group for k in np.flatnonzero(edges[:, index[name]])} - set(group)
            if not any(outside & set(other) for other in groups if other is not group):
                ordered.append(_loop(group, populations, pathways, not circuit.unconstrained))
                groups.remove(group)
                break
    return tuple(ordered)


def _loop(
    group: list[str], populations: Mapping[str, PopulationPlan], pathways: Mapping[str, PathwayPlan], dale: bool
) -> Loop:
    inner = [p for p in pathways.values() if p.pre in group and p.post in group]
    recurrent = bool(inner)
    responses = {name: populations[name].response for name in group}
    linear = [name for name in group if _is_linear(name, populations, pathways, dale)]
    rectified = [name for name in group if name not in linear]
    plain = all(len(p.terms) == 1 and p.terms[0].pre is not None and p.terms[0].pre.text == "r_pre" for p in inner)
    chains = any(p.pre in linear and p.post in linear for p in inner)
    if not plain or not all(responses.values()) or any(p.input != "drive" for p in inner):
        return Loop(tuple(group), recurrent, (), ())
    fed_within = any(
        responses[name].stiffness.names & set(populations[name].inputs)  # type: ignore[union-attr]
        for name in group
    )
    if not fed_within and not any(responses[name].rectified for name in group):  # type: ignore[union-attr]
        return Loop(tuple(group), recurrent, (), tuple(group))
    if fed_within or chains or not rectified or not all(responses[name].rectified for name in rectified):  # type: ignore[union-attr]
        return Loop(tuple(group), recurrent, (), ())
    return Loop(tuple(group), recurrent, tuple(rectified), tuple(linear))


def _is_linear(
    name: str, populations: Mapping[str, PopulationPlan], pathways: Mapping[str, PathwayPlan], dale: bool
) -> bool:
    """Whether a population is linear, or stays so since its input cannot become negative; without an offset."""
    response = populations[name].response
    if response is None or response.offset.text != "0" or response.stiffness.names & set(populations[name].slow):
        return False
    into = [p for p in pathways.values() if p.post == name]
    if not response.rectified:
        return bool(into)
    return bool(into) and dale and all(_delivers_positive(p, populations, pathways, {name}) for p in into)


def _delivers_positive(
    pathway: PathwayPlan, populations: Mapping[str, PopulationPlan], pathways: Mapping[str, PathwayPlan], seen: set[str]
) -> bool:
    """Whether what a pathway delivers under Dale's law can never be negative."""
    texts = [
        (term.pre.text if term.pre else "r_pre", term.weight.text if term.weight else "w") for term in pathway.terms
    ]
    if pathway.applied_sign < 0 or any(text != ("r_pre", "w") for text in texts):
        return False
    pre = populations[pathway.pre]
    if pre.is_source or pre.name in seen:
        return True
    if pre.response is None or pre.response.rectified:
        return pre.response is not None
    into = [p for p in pathways.values() if p.post == pre.name]
    return pre.response.offset.text == "0" and all(
        _delivers_positive(p, populations, pathways, {*seen, pre.name}) for p in into
    )
