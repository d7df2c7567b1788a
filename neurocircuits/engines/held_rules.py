"""Rules while activity is held: what still changes, and the updates of the few things that do, as compiled expressions.

While states are held, weights change, and with them the inputs that they feed. A rule is read if its drift depends on
nothing else that changes than its own weights and the current that these deliver.
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from neurocircuits.compile.expressions import Expression, substitute
from neurocircuits.compile.plan import PathwayPlan, Plan, RulePlan
from neurocircuits.declare.steps import Euler
from neurocircuits.engines.inplace import InPlace

# Names in compiled expressions, which no name of a user can be: they begin with an underscore.
SECONDS, OWN, REST = "_seconds", "_own", "_rest"  # of a step; the current of the pathway itself, and of all others
KEPT, ADDED, GROWTH = "_kept", "_added", "_growth"  # of rows in a plane
FACTOR, PRE, MASK, LOW, HIGH = "_factor", "_pre", "_mask", "_low", "_high"  # of rows in full
Updates = tuple[tuple[str, InPlace], ...]


@dataclass(frozen=True)
class HeldRule:
    """How a pathway learns while activity is held.

    Attributes
    ----------
    pathway : PathwayPlan
        The pathway.
    rule : RulePlan
        Its rule.
    current : str
        The input that the pathway feeds, as rules name it, if the drift depends on it.
    vectors : tuple of Expression or None
        Presynaptic factors; None is one everywhere.
    plane : tuple of (str, InPlace) or None
        What a step does to the numbers of a row that stays in the plane of its first value and the vectors; None if
        rows do not.
    transmitted : InPlace or None
        What is transmitted for the weights, if that is not themselves.
    full : tuple of (str, InPlace)
        What a step does to the factors of a row, then to the row.
    """

    pathway: PathwayPlan
    rule: RulePlan
    current: str
    vectors: tuple[Expression | None, ...]
    plane: Updates | None
    transmitted: InPlace | None
    full: Updates


class Moving:
    """What changes while some weights learn and states are held.

    Parameters
    ----------
    plan : Plan
        The plan.
    owners : collection of str
        Pathways whose weights learn.

    Attributes
    ----------
    pathways : set of str
        Pathways whose delivery changes.
    variables : dict of str to set of str
        Inputs and sub-expressions that change, by population.
    """

    def __init__(self, plan: Plan, owners: Collection[str]) -> None:
        self.plan = plan
        self.pathways = {p.name for p in plan.pathways.values() if p.owner in owners}
        while True:
            self.variables = {name: self._variables(name) for name in plan.populations}
            sending = {p.name for p in plan.pathways.values() if any(self.of(p.pre, term.pre) for term in p.terms)}
            if sending <= self.pathways:
                break
            self.pathways |= sending

    def _variables(self, name: str) -> set[str]:
        inputs = {p.input for p in self.plan.into(name) if p.name in self.pathways}
        derived = {n for n, e in self.plan.populations[name].subexpressions.items() if e.names & inputs}
        return inputs | derived

    def of(self, population: str, expression: Expression | None) -> set[str]:
        """Return the variables of a population in a factor of a rule or a pathway that change."""
        names = set() if expression is None else expression.names - {"n_pre", "n_post"}
        return {name.removesuffix("_pre").removesuffix("_post") for name in names} & self.variables[population]

    def inputs_of(self, population: str, variables: Collection[str]) -> set[str]:
        """Return the inputs that change and that these variables depend on."""
        derived = self.plan.populations[population].subexpressions
        found = {n for v in variables for n in (derived[v].names if v in derived else {v})}
        return found & self.variables[population] & set(self.plan.populations[population].inputs)


def held_rule(pathway: PathwayPlan, moving: Moving, masked: bool) -> HeldRule | None:
    """Return how a pathway learns while activity is held; None if more than its weights and its current plays a part.

    Parameters
    ----------
    pathway : PathwayPlan
        A pathway with a rule.
    moving : Moving
        What changes.
    masked : bool
        Whether some of its synapses do not exist.
    """
    rule, plan = pathway.rule, moving.plan
    if rule is None or not rule.terms or rule.aggregates or type(rule.step) is not Euler:
        return None
    if pathway.declaration.normalise is not None:
        return None
    sides = {"pre": pathway.pre, "post": pathway.post}
    if any(moving.of(sides[side], expression) for side, expression in rule.layer_terms.values()):
        return None
    used = {name for term in rule.terms for name in moving.of(pathway.post, term.post)}
    if any(moving.of(pathway.pre, term.pre) for term in rule.terms) or (used and not _alone(pathway, moving, used)):
        return None
    into = [p.name for p in plan.into(pathway.post) if p.input == pathway.input]
    current = f"{pathway.input}_post" if used else ""
    rest = REST if into != [pathway.name] else ""
    sent = pathway.terms[0].weight if used else None
    identity = sent is None or sent.text == "w"
    linear = all(term.weight is None or (term.weight.text == "w" and term.pre is None) for term in rule.terms)
    unbounded = pathway.bounds == (-np.inf, np.inf)
    vectors = tuple(dict.fromkeys(term.pre for term in rule.terms if term.pre or not term.weight))
    factors = _factors(rule, pathway.post, moving)
    return HeldRule(
        pathway,
        rule,
        current,
        vectors,
        _plane(rule, factors, vectors, current, rest) if linear and identity and unbounded and not masked else None,
        None if identity or sent is None else InPlace(sent, {"w"}),
        _full(pathway, rule, factors, vectors, current, rest, masked),
    )


def _alone(pathway: PathwayPlan, moving: Moving, used: Collection[str]) -> bool:
    """Whether variables change only with what a pathway delivers, and that is a product with a function of weights."""
    into = {p.name for p in moving.plan.into(pathway.post) if p.input == pathway.input} & moving.pathways
    product = len(pathway.terms) == 1 and pathway.terms[0].weight is not None and not pathway.part
    held = not moving.of(pathway.pre, pathway.terms[0].pre)
    return product and held and into == {pathway.name} and moving.inputs_of(pathway.post, used) == {pathway.input}


def _factors(rule: RulePlan, name: str, moving: Moving) -> list[str]:
    """Return the postsynaptic factor of each term with its constant and the time step, sub-expressions put in."""
    derived: dict[str, ast.expr] = {}
    for variable, expression in moving.plan.populations[name].subexpressions.items():
        if variable in moving.variables[name]:
            posts: dict[str, ast.expr] = {n: ast.Name(f"{n}_post", ast.Load()) for n in expression.names}
            derived[f"{variable}_post"] = substitute(_tree(expression.text), posts)
    texts = []
    for term in rule.terms:
        factor = "1" if term.post is None else ast.unparse(substitute(_tree(term.post.text), derived))
        texts.append(f"{SECONDS} * ({term.constant.text}) * ({factor})")
    return texts


def _plane(
    rule: RulePlan, factors: list[str], vectors: tuple[Expression | None, ...], current: str, rest: str
) -> Updates:
    """Return the updates of a row ``kept * first value + sum of added * vector`` of linear learning."""
    of_weights = [factor for term, factor in zip(rule.terms, factors, strict=True) if term.weight]
    growth, updates = f" * {GROWTH}" if of_weights else "", []
    if current:
        parts = [f"{KEPT} * {OWN}", *(f"{ADDED}{k} * {OWN}{k}" for k in range(len(vectors)))]
        updates.append((current, " + ".join([*([rest] if rest else []), *parts])))
    if of_weights:
        updates += [(GROWTH, " + ".join([*of_weights, "1"])), (KEPT, KEPT + growth)]
    for k, vector in enumerate(vectors):
        pairs = zip(rule.terms, factors, strict=True)
        added = [factor for term, factor in pairs if not term.weight and term.pre == vector]
        updates.append((f"{ADDED}{k}", " + ".join([f"{ADDED}{k}{growth}", *added])))
    return _compiled(updates, {KEPT, GROWTH, current, *(f"{ADDED}{k}" for k in range(len(vectors)))})


def _full(
    pathway: PathwayPlan,
    rule: RulePlan,
    factors: list[str],
    vectors: tuple[Expression | None, ...],
    current: str,
    rest: str,
    masked: bool,
) -> Updates:
    """Return the updates of the current of a row, of the factors of its terms, and of the row itself."""
    updates = [(current, f"{rest} + {OWN}" if rest else OWN)] if current else []
    updates += [(f"{FACTOR}{k}", factor) for k, factor in enumerate(factors)]
    drift = []
    for k, term in enumerate(rule.terms):
        parts = [
            f"{FACTOR}{k}",
            f"{PRE}{vectors.index(term.pre)}" if term.pre else "",
            term.weight and term.weight.text,
        ]
        drift.append(" * ".join(f"({part})" for part in parts if part))
    row = f"w + {MASK} * ({' + '.join(drift)})" if masked else f"w + {' + '.join(drift)}"
    low, high = pathway.bounds
    row = f"clip({row}, {LOW}, {HIGH})" if low > -np.inf or high < np.inf else row
    moving = {"w", current, OWN, *(f"{FACTOR}{k}" for k in range(len(factors)))}
    return _compiled([*updates, ("w", row)], moving)


def _compiled(updates: list[tuple[str, str]], moving: Collection[str]) -> Updates:
    return tuple((target, InPlace(Expression.of(_tree(text)), moving)) for target, text in updates)


def _tree(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body
