"""A plan in words: what is integrated, solved and learned, as text or LaTeX."""

from __future__ import annotations

from neurocircuits.compile.expressions import parse, to_sympy
from neurocircuits.compile.locality import locality
from neurocircuits.compile.plan import PathwayPlan, Plan, PopulationPlan
from neurocircuits.errors import ValidationError


def explain(plan: Plan, latex: bool = False) -> str:
    """Return what will be integrated, solved and learned."""
    lines = [f"circuit {plan.circuit.name!r}, Dale's law {plan.circuit.dale}"]
    for population in plan.populations.values():
        lines += _population(population, latex)
    for pathway in plan.pathways.values():
        lines += _pathway(pathway, plan, latex)
    lines.append("steady state")
    for loop in plan.loops:
        who = " and ".join(loop.populations)
        if not loop.recurrent:
            how = (
                "closed form"
                if all(plan.populations[p].explicit for p in loop.populations)
                else "relaxation of the equations"
            )
        elif loop.rectified:
            gone = f", {' and '.join(loop.eliminated)} eliminated" if loop.eliminated else ""
            unknowns = " and ".join(loop.rectified)
            how = f"threshold-linear problem in {unknowns}{gone}: projected gradient, then active sets"
        elif loop.eliminated:
            how = "linear equations"
        else:
            how = "relaxation of the equations"
        lines.append(f"  {who}: {how}")
    return "\n".join(lines)


def _render(text: str, latex: bool) -> str:
    if not latex:
        return text
    import sympy

    try:
        return sympy.latex(to_sympy(parse(text)))
    except ValidationError:
        return rf"\mathtt{{{text}}}"


def _equation(name: str, text: str, latex: bool, derivative: bool) -> str:
    if latex:
        left = rf"\frac{{d{{{name}}}}}{{dt}}" if derivative else name
        return f"  $${left} = {_render(text, True)}$$"
    return f"  {f'd{name}/dt' if derivative else name} = {text}"


def _population(population: PopulationPlan, latex: bool) -> list[str]:
    head = f"population {population.name}: {population.n_units} units, {population.declaration.sign}"
    if population.is_source:
        return [f"{head}, driven by a stimulus"]
    lines = [head]
    for name, text in population.texts.items():
        lines.append(
            _equation(name, text, latex, name not in population.subexpressions)
            + ("  (slow)" if name in population.slow else "")
        )
    for name, expression in population.fixed_points.items():
        lines.append("  at rest: " + _equation(name, expression.text, latex, False).strip())
    if not population.fixed_points and population.states:
        lines.append("  at rest: no fixed point could be derived; the equations are relaxed")
    return lines


def _pathway(pathway: PathwayPlan, plan: Plan, latex: bool) -> list[str]:
    arrow = "-->" if pathway.sign > 0 else "--|"
    lines = [f"synapses {pathway.name}: {pathway.pre} {arrow} {pathway.post}.{pathway.input}, {pathway.transmits}"]
    if pathway.declaration.delays_differ:
        lines.append(f"  after the delay of each synapse: {pathway.declaration.delay}")
    elif pathway.declaration.delay:
        lines.append(f"  after {pathway.declaration.delay:g} s")
    if pathway.transposed:
        lines.append(f"  the transpose of {pathway.owner}")
    if pathway.part:
        lines.append(f"  the {'positive' if pathway.part > 0 else 'negative'} part of the array of {pathway.owner}")
    rule, known = pathway.rule, locality(plan, pathway.name)
    if rule is None:
        return [*lines, *_knows(known)]
    lines.append(
        _equation("w", rule.text, latex, True)
        + f"  in [{pathway.bounds[0]:g}, {pathway.bounds[1]:g}], step {rule.step}"
    )
    for name, aggregate in rule.aggregates.items():
        lines.append(f"  {name} = sum over {aggregate.over} of {aggregate.text}")
    for name, (_, expression) in rule.layer_terms.items():
        lines.append(f"  {name} = {expression.text}")
    if rule.terms:
        lines.append("  as products: " + " + ".join(str(term) for term in rule.terms))
    else:
        lines.append(f"  evaluated presentation by presentation: {rule.reason}")
    return [*lines, *_knows(known)]


def _knows(known: tuple[str, ...]) -> list[str]:
    return [f"  a synapse must know {', '.join(known)}"] if known else []
