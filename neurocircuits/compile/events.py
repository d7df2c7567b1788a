"""What spikes do at synapses: transmission, short-term plasticity and rules in event form, checked as texts."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping

from neurocircuits.compile.equations import ParsedEquations, expand_functions, expression_dimension
from neurocircuits.compile.expressions import RANDOM, RULES_SEE, check_names, parse
from neurocircuits.compile.plan import EventPlan
from neurocircuits.declare.functions import Function
from neurocircuits.declare.population import Population
from neurocircuits.declare.rule import Rule
from neurocircuits.declare.synapses import Synapses
from neurocircuits.errors import UnitError, ValidationError, listed
from neurocircuits.units import DIMENSIONLESS, Dimension, unit_text

_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


def threshold(population: Population, parsed: ParsedEquations, functions: Mapping[str, Function]) -> str:
    """Return the condition of a spike, functions put in.

    Raises
    ------
    ValidationError
        If a name or function is unknown, or the text is no condition.
    UnitError
        If dimensions do not fit.
    """
    if population.threshold is None:
        return ""
    owner = f"Population({population.name!r}).threshold"
    known = {*parsed.dimensions, "t", "dt"}
    tree = parse(population.threshold, functions, owner, known, RANDOM)
    check_names(tree, known, owner, population.threshold)
    if not isinstance(tree, ast.Compare | ast.BoolOp):
        raise ValidationError(
            f"{owner}: {population.threshold!r} is no condition. Write for example 'v > v_threshold'."
        )
    text = expand_functions(population.threshold, functions)
    expression_dimension(text, parsed.dimensions, owner)
    return text


def reset(population: Population, parsed: ParsedEquations, functions: Mapping[str, Function]) -> str:
    """Return what a spike does to its unit, a statement in each line.

    Raises
    ------
    ValidationError
        If a statement changes anything but a state, or a name is unknown.
    UnitError
        If dimensions do not fit.
    """
    owner = f"Population({population.name!r}).reset"
    lines = []
    written = (part.split("#")[0].strip() for part in (population.reset or "").replace(";", "\n").splitlines())
    for line in filter(None, written):
        target, operator, text = _statement(line, parsed.states, parsed.dimensions, functions, owner)
        lines.append(f"{target} {operator}= {text}")
    return "\n".join(lines)


def _statement(
    line: str,
    targets: Collection[str],
    dimensions: Mapping[str, Dimension],
    functions: Mapping[str, Function],
    owner: str,
    note: str = "",
) -> tuple[str, str, str]:
    """Return the target of a statement, its operator (empty for a plain assignment) and its expression."""
    try:
        statements = ast.parse(line).body
    except SyntaxError as error:
        raise ValidationError(f"{owner}: {line!r} is not a statement ({error.msg}).") from None
    node = statements[0] if len(statements) == 1 else None
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target, operator = node.targets[0], ""
    elif isinstance(node, ast.AugAssign) and type(node.op) in _OPERATORS:
        target, operator = node.target, _OPERATORS[type(node.op)]
    else:
        raise ValidationError(f"{owner}: {line!r} is not a statement such as '{next(iter(targets), 'v')} = 0'.")
    name = target.id if isinstance(target, ast.Name) else ""
    if name not in targets:
        raise ValidationError(f"{owner}: {line!r} changes {ast.unparse(target)!r}. It may change: {listed(targets)}.")
    known, value = {*dimensions, "t", "dt"}, ast.unparse(node.value)
    check_names(parse(value, functions, owner, known, RANDOM), known, owner, line, note)
    text = expand_functions(value, functions)
    whole = f"{name} {operator} ({text})" if operator else text
    found = expression_dimension(whole, dimensions, owner)
    if found != dimensions[name]:
        raise UnitError(
            f"{owner}: {line!r} makes {name!r} a quantity in {unit_text(found)}, but it is in "
            f"{unit_text(dimensions[name])}."
        )
    return name, operator, text


def event_input(synapses: Synapses, sign: int, post: ParsedEquations) -> str:
    """Return the state that spikes of a pathway add to.

    Raises
    ------
    ValidationError
        If there is none that fits, or several.
    """
    owner, jumps = f"Synapses({synapses.name!r}).input", post.jumps
    fitting = [name for name, polarity in jumps.items() if polarity in (0, sign)]
    kind = "excitatory" if sign > 0 else "inhibitory"
    if synapses.input == "drive":
        if len(fitting) != 1:
            raise ValidationError(
                f"{owner}: spikes of the {kind} population {synapses.pre!r} could add to {listed(fitting)} of "
                f"{synapses.post!r}; name one. Spikes add to variables such as "
                f"'dg/dt = -g/tau : 1 (input, {kind})'."
            )
        return fitting[0]
    if synapses.input not in jumps:
        raise ValidationError(
            f"{owner}: population {synapses.post!r} has no variable {synapses.input!r} that spikes can add to. Known: "
            f"{listed(jumps)}. Mark its differential equation with '(input)'."
        )
    if synapses.input not in fitting:
        takes = "excitatory" if jumps[synapses.input] > 0 else "inhibitory"
        raise ValidationError(
            f"{owner}: {synapses.input!r} of population {synapses.post!r} takes {takes} synapses only, but population "
            f"{synapses.pre!r} is {kind}. Inputs that fit: {listed(fitting)}."
        )
    return synapses.input


def compile_events(
    synapses: Synapses,
    transmits: str,
    dimensions: Mapping[str, Dimension],
    post_spikes: bool,
    functions: Mapping[str, Function],
) -> EventPlan:
    """Return what spikes do at the synapses of a pathway.

    Parameters
    ----------
    synapses : Synapses
        The declaration.
    transmits : str
        What a spike passes on, checked by the caller.
    dimensions : mapping of str to Dimension
        Of ``w`` and of the variables of both sides.
    post_spikes : bool
        Whether the postsynaptic population spikes.
    functions : mapping of str to Function
        The user's functions.

    Raises
    ------
    ValidationError
        If the rule uses what it cannot.
    UnitError
        If dimensions do not fit.
    """
    sent, rule, owner = expand_functions(transmits, functions), synapses.rule, f"Synapses({synapses.name!r})"
    if (short := synapses.short_term) is not None:
        known = dict.fromkeys(short.rest, DIMENSIONLESS) | {k: v.dimension for k, v in short.parameters.items()}
        for what, texts in (("before", short.before), ("factor", {"factor": short.factor}), ("after", short.after)):
            for text in texts.values():
                check_names(parse(text, functions, f"{owner}.short_term.{what}", known), known, owner, text)
    if rule is None or not rule.has_events:
        return EventPlan(sent, {}, "", "", {})
    if (rule.on_post or any(side == "post" for side, _ in rule.traces.values())) and not post_spikes:
        raise ValidationError(
            f"{owner}.rule: its event form asks for spikes of population {synapses.post!r}, which does not spike."
        )
    known = {**dimensions, **dict.fromkeys(("n_pre", "n_post", "dale", *rule.traces), DIMENSIONLESS)}
    known |= {name: value.dimension for name, value in rule.parameters.items()}
    changes = {"on_pre": "", "on_post": ""}
    for what, line in (("on_pre", rule.on_pre), ("on_post", rule.on_post)):
        if line:
            _, operator, text = _statement(line, ("w",), known, functions, f"{owner}.rule.{what}", RULES_SEE)
            forms = {"+": text, "-": f"-({text})", "": f"({text}) - w"}
            changes[what] = forms.get(operator, f"w{operator}({text}) - w")
    parameters = {name: value.value for name, value in rule.parameters.items()}
    return EventPlan(sent, _traces(rule, owner), changes["on_pre"], changes["on_post"], parameters)


def _traces(rule: Rule, owner: str) -> dict[str, tuple[str, float]]:
    traces = {}
    for name, (side, tau) in rule.traces.items():
        if isinstance(tau, str):
            value = rule.parameters[tau]
            if value.dimension != (0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0):
                raise UnitError(f"{owner}.rule: the time constant {tau!r} of trace {name!r} is not a time.")
            tau = value.value
        traces[name] = (side, float(tau))
    return traces
