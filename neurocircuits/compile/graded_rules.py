"""Rules of graded pathways: drifts as sums of separable terms, with aggregates and population terms."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping

from neurocircuits.compile.equations import ParsedEquations, expand_functions, expression_dimension
from neurocircuits.compile.expressions import RULES_SEE, Expression, check_names, exponent_integers, free_names, parse
from neurocircuits.compile.plan import Aggregate, RulePlan
from neurocircuits.compile.separable import separate
from neurocircuits.declare.functions import AGGREGATES, LAYER, Function
from neurocircuits.declare.rule import Rule
from neurocircuits.declare.steps import PerUnit
from neurocircuits.declare.synapses import Synapses
from neurocircuits.errors import UnitError, ValidationError, listed
from neurocircuits.units import DIMENSIONLESS, Dimension, unit_text

_TIME: Dimension = (0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)


def compile_rule(
    synapses: Synapses,
    rule: Rule,
    parsed: Mapping[str, ParsedEquations],
    functions: Mapping[str, Function],
    unit: Dimension,
) -> RulePlan:
    """Return how the weights of a graded pathway learn.

    Raises
    ------
    ValidationError
        If a text uses unknown names or functions.
    UnitError
        If dimensions do not fit.
    """
    owner = f"Synapses({synapses.name!r}).rule"
    sides = {f"{name}_{side}": side for side in ("pre", "post") for name in readable(parsed[getattr(synapses, side)])}
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
        check_names(tree, names, f"{owner}, {what}", text, RULES_SEE)
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
        unwritten = _WithoutLayer().visit(ast.parse(expand_functions(text, functions, LAYER), mode="eval").body)
        sides[name] = side
        dimensions[name] = expression_dimension(ast.unparse(unwritten), dimensions, f"{owner}, term {name!r}")
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
        summed = ast.parse(expand_functions(text, functions, AGGREGATES), mode="eval").body.args[0]  # type: ignore[attr-defined]
        dimensions[name] = expression_dimension(ast.unparse(summed), dimensions, f"{owner}, aggregate {name!r}")
    sides |= {name: "post" if a.over == "pre" else "pre" for name, a in aggregates.items()}
    if not rule.drift:
        raise ValidationError(
            f"{owner}: the rule has an event form only, and population {synapses.pre!r} does not spike. Give the rule "
            "a drift, or the population a threshold."
        )
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


class _WithoutLayer(ast.NodeTransformer):
    """Put in for functions of a layer what has their dimension: ranks have none, a total has that of its argument."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = getattr(node.func, "id", "")
        return node.args[0] if name == "total" else ast.Constant(1.0) if name in LAYER else node


def readable(parsed: ParsedEquations) -> set[str]:
    """Return the variables of a population that rules and synapses can read."""
    return (
        {"r"} & set(parsed.dimensions)
        | set(parsed.states)
        | set(parsed.slow)
        | set(parsed.subexpressions)
        | set(parsed.inputs)
    )
