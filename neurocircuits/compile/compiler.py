"""From a circuit to a plan: equations, transmission, rules and the order in which populations are solved."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter

import numpy as np
import sympy
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from neurocircuits.compile.equations import ParsedEquations, expand_functions, expression_dimension, parse_equations
from neurocircuits.compile.expressions import (
    Expression,
    check_functions,
    check_names,
    exponent_integers,
    free_names,
    parse,
    symbol,
    to_sympy,
)
from neurocircuits.compile.fixed_points import ThresholdLinear, fixed_points, threshold_linear
from neurocircuits.compile.plan import Aggregate, Loop, PathwayPlan, Plan, PopulationPlan, RulePlan
from neurocircuits.compile.separable import separate
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.functions import AGGREGATES, LAYER, Function
from neurocircuits.declare.population import Population
from neurocircuits.declare.rules import Rule
from neurocircuits.declare.steps import PerUnit
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Paired, Tied
from neurocircuits.errors import UnitError, ValidationError, listed
from neurocircuits.units import DIMENSIONLESS, Dimension, unit_text

_TIME: Dimension = (0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)


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
    pathways = {str(s.name): _pathway(s, circuit, parsed, functions) for s in circuit.synapses}
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
    roots = {} if population.is_spiking and not given else fixed_points(states)
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


def _pathway(
    synapses: Synapses, circuit: Circuit, parsed: Mapping[str, ParsedEquations], functions: Mapping[str, Function]
) -> PathwayPlan:
    owner_text = f"Synapses({synapses.name!r})"
    pre, post = circuit.population(synapses.pre), circuit.population(synapses.post)
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
            "population "
            f"{pre.name!r} is {pre.sign}. Inputs that fit: {listed(fitting)}."
        )
    shared = synapses.weights if isinstance(synapses.weights, Tied | Paired) else None
    owns_pair = any(isinstance(s.weights, Paired) and s.weights.owner == synapses.name for s in circuit.synapses)
    signed = circuit.unconstrained or owns_pair
    bounds = synapses.bounds or ((-np.inf, np.inf) if signed else (0.0, np.inf))
    if owns_pair and synapses.bounds is not None:
        bounds = (-bounds[1], bounds[1])
    tree = parse(synapses.transmits, functions, f"{owner_text}.transmits")
    sides = {f"{name}_pre": "pre" for name in _readable(parsed[pre.name])} | {"w": "weight"}
    check_names(tree, sides, f"{owner_text}.transmits", synapses.transmits)
    terms, reason = separate(tree, sides)
    if reason:
        raise ValidationError(f"{owner_text}.transmits: {synapses.transmits!r} is not a sum of h(w)*g(pre): {reason}.")
    if not circuit.unconstrained and any(float(term.constant({})) < 0 for term in terms):
        raise ValidationError(
            f"{owner_text}.transmits: {synapses.transmits!r} has a negative term, but synapses of population "
            f"{pre.name!r} are {pre.sign}. "
            f"Rectify the difference, for example 'w*rectify(r_pre - 0.5)', or declare dale='unconstrained'."
        )
    unit = synapses.unit.dimension if synapses.unit is not None else parsed[post.name].dimensions[synapses.input]
    if not synapses.on_pre:
        _check_transmission(synapses, parsed, unit, functions, owner_text)
    rule = None if synapses.rule is None else _rule(synapses, synapses.rule, parsed, functions, unit)
    return PathwayPlan(
        declaration=synapses,
        owner=shared.owner if shared is not None else str(synapses.name),
        transposed=isinstance(shared, Tied),
        part=-1 if isinstance(shared, Paired) else int(owns_pair),
        sign=1 if circuit.unconstrained else pre.sign_value,
        applied_sign=1 if polarity or circuit.unconstrained else pre.sign_value,
        terms=terms,
        bounds=bounds,
        rule=rule,
    )


def _readable(parsed: ParsedEquations) -> set[str]:
    return (
        {"r"} & set(parsed.dimensions)
        | set(parsed.states)
        | set(parsed.slow)
        | set(parsed.subexpressions)
        | set(parsed.inputs)
    )


def _check_transmission(
    synapses: Synapses,
    parsed: Mapping[str, ParsedEquations],
    unit: Dimension,
    functions: Mapping[str, Function],
    owner: str,
) -> None:
    dimensions = {f"{name}_pre": d for name, d in parsed[synapses.pre].dimensions.items()} | {"w": unit}
    sent = expression_dimension(expand_functions(synapses.transmits, functions), dimensions, f"{owner}.transmits")
    asked = parsed[synapses.post].dimensions[synapses.input]
    if sent != asked:
        raise UnitError(
            f"{owner}.transmits: {synapses.transmits!r} has the unit {unit_text(sent)} with weights in "
            f"{unit_text(unit)}, but the "
            f"input {synapses.input!r} of {synapses.post!r} is in {unit_text(asked)}. Change 'transmits' or 'unit'."
        )


def _rule(
    synapses: Synapses,
    rule: Rule,
    parsed: Mapping[str, ParsedEquations],
    functions: Mapping[str, Function],
    unit: Dimension,
) -> RulePlan:
    owner = f"Synapses({synapses.name!r}).rule"
    sides = {f"{name}_{side}": side for side in ("pre", "post") for name in _readable(parsed[getattr(synapses, side)])}
    sides["w"] = "weight"
    dimensions: dict[str, Dimension] = {
        f"{name}_{side}": d
        for side in ("pre", "post")
        for name, d in parsed[getattr(synapses, side)].dimensions.items()
    }
    dimensions |= {"w": unit} | dict.fromkeys(("n_pre", "n_post", "dale"), DIMENSIONLESS)
    parameters = {name: value.value for name, value in rule.parameters.items()}
    dimensions |= {name: value.dimension for name, value in rule.parameters.items()}
    constants = {*parameters, "n_pre", "n_post", "dale"}
    trees: list[ast.expr] = []

    def read(text: str, what: str, names: set[str], special: Collection[str] = ()) -> ast.expr:
        tree = parse(text, functions, f"{owner}, {what}", constants, special)
        check_names(tree, names, f"{owner}, {what}", text)
        trees.append(tree)
        return tree

    layer: dict[str, tuple[str, Expression]] = {}
    for name, text in rule.terms.items():
        tree = read(text, f"term {name!r}", {*sides, *constants} - {"w"}, LAYER)
        used = {sides[n] for n in free_names(tree) if n in sides}
        if len(used) != 1:
            raise ValidationError(
                f"{owner}, term {name!r}: {text!r} must use variables of one side, as they are or through one of "
                f"{listed(LAYER)}."
            )
        side = used.pop()
        layer[name] = (side, Expression.of(tree))
        sides[name], dimensions[name] = side, _layer_dimension(tree, dimensions, owner)
    aggregates: dict[str, Aggregate] = {}
    for name, text in rule.aggregates.items():
        tree = read(text, f"aggregate {name!r}", {*sides, *constants}, AGGREGATES)
        if not (isinstance(tree, ast.Call) and getattr(tree.func, "id", "") in AGGREGATES and len(tree.args) == 1):
            raise ValidationError(f"{owner}, aggregate {name!r}: {text!r} must be one call of {listed(AGGREGATES)}.")
        over = "pre" if tree.func.id == "sum_over_pre" else "post"  # type: ignore[attr-defined]
        terms, reason = separate(tree.args[0], sides, exponent_integers([tree], parameters))
        if reason:
            raise ValidationError(f"{owner}, aggregate {name!r}: {text!r} cannot be summed as a product: {reason}.")
        aggregates[name] = Aggregate(over, terms, ast.unparse(tree.args[0]))
        dimensions[name] = expression_dimension(ast.unparse(tree.args[0]), dimensions, f"{owner}, aggregate {name!r}")
    sides |= {name: "post" if a.over == "pre" else "pre" for name, a in aggregates.items()}
    if not rule.drift:
        raise UnitError(f"{owner}: event rules need spiking populations on both sides, which this circuit has not.")
    drift = read(rule.drift, "drift", {*sides, *constants})
    found = expression_dimension(expand_functions(rule.drift, functions), dimensions, f"{owner}, drift")
    asked = tuple(a - b for a, b in zip(unit, _TIME, strict=True))
    if found != asked:
        raise UnitError(
            f"{owner}: the drift {rule.drift!r} has the unit {unit_text(found)}, but {unit_text(asked)} is needed "
            "(weights in "
            f"{unit_text(unit)}, change per second). Give the learning rate a unit, for example eta='0.02 Hz'."
        )
    if isinstance(rule.step, PerUnit) and rule.step.name not in parsed[synapses.post].slow:
        raise ValidationError(
            f"{owner}.step: PerUnit({rule.step.name!r}) needs a slow variable of {synapses.post!r}. It has: "
            f"{listed(parsed[synapses.post].slow)}."
        )
    integers = exponent_integers(trees, parameters)
    terms, reason = separate(drift, sides, integers)
    gates = tuple(name for name, (side, _) in layer.items() if side == "post")
    return RulePlan(
        drift=Expression.of(drift),
        terms=terms,
        reason=reason,
        aggregates=aggregates,
        layer_terms=layer,
        parameters=parameters,
        step=rule.step,
        gates=gates if terms and all(term.vanishes_without(gates) for term in terms) else (),
        whole=frozenset(integers),
        text=rule.drift,
    )


def _layer_dimension(tree: ast.expr, dimensions: Mapping[str, Dimension], owner: str) -> Dimension:
    """Return the dimension of a population term: ranks have none, a total has that of its argument."""
    totals = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "total"]
    return expression_dimension(ast.unparse(totals[0].args[0]), dimensions, owner) if totals else DIMENSIONLESS


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
    if not plain or chains or not rectified or not all(responses.values()) or any(p.input != "drive" for p in inner):
        return Loop(tuple(group), recurrent, (), ())
    fed_within = any(
        responses[name].stiffness.names & set(populations[name].inputs)  # type: ignore[union-attr]
        for name in group
    )
    if fed_within or not all(responses[name].rectified for name in rectified):  # type: ignore[union-attr]
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
