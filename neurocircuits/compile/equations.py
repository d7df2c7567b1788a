"""Equations of a population, read with Brian 2's own parser and sorted by what they are.

Our flags are taken out before Brian 2 builds a group from the text; what it would let pass silently (a misspelt flag, a
variable with a reserved name) is refused here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurocircuits.compile.expressions import NUMPY_FUNCTIONS, RANDOM, check_names, free_names, parse, substitute
from neurocircuits.declare.functions import Function, check_identifier
from neurocircuits.declare.population import Population
from neurocircuits.errors import UnitError, ValidationError, listed
from neurocircuits.units import DIMENSIONLESS, Dimension, import_brian2, unit_text

OWN_FLAGS = ("input", "slow", "excitatory", "inhibitory", "excitation", "inhibition")
_TIMELESS = " Only spiking populations have the time, t; to others, show what changes in time as a stimulus."
BRIAN_FLAGS = ("unless refractory", "constant over dt")


NOISE = "xi"  # white noise, as in stochastic differential equations
_POLARITY = {(): 0, ("excitatory",): 1, ("inhibitory",): -1}


@dataclass
class ParsedEquations:
    """The parts of a population's equations.

    Attributes
    ----------
    states, slow, subexpressions : dict of str to ast.expr
        Right-hand sides; sub-expressions in an order in which each needs only earlier ones.
    inputs : dict of str to int
        Inputs and their polarity: +1, -1, or 0 for a signed sum.
    jumps : dict of str to int
        States that spikes add to, and their polarity.
    random : bool
        Whether the equations draw random numbers.
    dimensions : dict of str to Dimension
        Of every variable and parameter.
    texts : dict of str to str
        The user's own text of each right-hand side.
    flags : dict of str to tuple of str
        Brian 2's flags.
    marked : dict of str to str
        ``excitation`` and ``inhibition`` sub-expressions, if marked.
    """

    states: dict[str, ast.expr] = field(default_factory=dict)
    slow: dict[str, ast.expr] = field(default_factory=dict)
    subexpressions: dict[str, ast.expr] = field(default_factory=dict)
    inputs: dict[str, int] = field(default_factory=dict)
    dimensions: dict[str, Dimension] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    flags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    marked: dict[str, str] = field(default_factory=dict)
    jumps: dict[str, int] = field(default_factory=dict)
    random: bool = False

    def expanded(self, tree: ast.expr) -> ast.expr:
        """Return ``tree`` with all sub-expressions put in."""
        while used := free_names(tree) & set(self.subexpressions):
            tree = substitute(tree, {name: self.subexpressions[name] for name in used})
        return tree


def _dims(dimension: Any) -> Dimension:
    return tuple(float(e) for e in dimension._dims)


def parse_equations(population: Population, functions: Mapping[str, Function]) -> ParsedEquations:
    """Read and check the equations of a population.

    Raises
    ------
    ValidationError
        If a flag, a name or a function is unknown or reserved.
    UnitError
        If dimensions do not fit.
    """
    owner = f"Population({population.name!r}).equations"
    parsed = ParsedEquations()
    if population.is_source:
        parsed.dimensions["r"] = DIMENSIONLESS
        return parsed
    import_brian2()
    from brian2 import Equations
    from brian2.equations.equations import EquationError

    try:
        equations = Equations(population.equations)
    except (EquationError, ValueError, SyntaxError, TypeError) as error:
        example = " Write for example 'dr/dt = (drive - r)/tau : 1'." if isinstance(error, EquationError) else ""
        raise ValidationError(f"{owner}: {error}{example}") from None
    for equation in equations.values():
        _sort(equation, parsed, population, functions, owner)
    if not parsed.states and not parsed.slow and "r" not in parsed.subexpressions and not population.is_spiking:
        raise ValidationError(
            f"{owner}: neither a differential equation nor a rate. Write for example 'dr/dt = (drive - r)/tau : 1', or "
            "'r = drive : 1' for units without a time constant."
        )
    if "drive" not in parsed.inputs:
        parsed.inputs["drive"] = 0
        parsed.dimensions["drive"] = DIMENSIONLESS
    for name, value in population.parameters.items():
        if name in parsed.dimensions:
            raise ValidationError(f"{owner}: {name!r} is both a variable and a parameter.")
        parsed.dimensions[name] = value.dimension
    parsed.random = any(re.search(rf"\b({NOISE}|{'|'.join(RANDOM)})\b", text) for text in parsed.texts.values())
    known, note = {*parsed.dimensions, NOISE}, "" if population.is_spiking else _TIMELESS
    known |= {"t", "dt"} if population.is_spiking else {"dt"} if parsed.random else set()
    for part in (parsed.states, parsed.slow, parsed.subexpressions):
        for name, text in parsed.texts.items():
            if name in part:
                part[name] = parse(text, functions, f"{owner}, {name!r}", known, RANDOM)
                check_names(part[name], known, owner, text, note)
    _order(parsed, owner)
    _check_dimensions(parsed, population, functions, owner)
    _check_mappings(parsed, population)
    return parsed


def equation_lines(population: Population) -> dict[str, str]:
    """Return the line of each variable of a population's equations."""
    import_brian2()
    from brian2 import Equations

    return {name: str(Equations([equation])) for name, equation in Equations(population.equations).items()}


def _sort(
    equation: Any, parsed: ParsedEquations, population: Population, functions: Mapping[str, Function], owner: str
) -> None:
    name, flags = equation.varname, tuple(equation.flags)
    if unknown := [flag for flag in flags if flag not in OWN_FLAGS + BRIAN_FLAGS]:
        raise ValidationError(
            f"{owner}: {name!r} has the unknown flag {unknown[0]!r}. Allowed: {listed(OWN_FLAGS + BRIAN_FLAGS)}."
        )
    if name != "drive":
        check_identifier(name, owner)
    parsed.dimensions[name] = _dims(equation.dim)
    parsed.flags[name] = tuple(flag for flag in flags if flag in BRIAN_FLAGS)
    polarities = [flag for flag in ("excitatory", "inhibitory") if flag in flags]
    if equation.type == "parameter":
        if "input" not in flags or "slow" in flags or len(polarities) == 2:
            raise ValidationError(
                f"{owner}: {name!r} is a variable without equation; mark it '(input)', with one of 'excitatory' and "
                f"'inhibitory' at most, or give its value in parameters."
            )
        parsed.inputs[name] = _POLARITY[tuple(polarities)]
        return
    if equation.type == "differential equation" and "input" in flags and "slow" not in flags and len(polarities) < 2:
        parsed.jumps[name] = _POLARITY[tuple(polarities)]
    elif "input" in flags or polarities:
        raise ValidationError(
            f"{owner}: {name!r} has an equation and cannot be an input. Write '{name} : unit (input)' for what graded "
            f"synapses feed, or 'd{name}/dt = ... : unit (input)' for what spikes add to."
        )
    parsed.texts[name] = str(equation.expr)
    if equation.type == "subexpression":
        if "slow" in flags:
            raise ValidationError(f"{owner}: {name!r} is a sub-expression; only differential equations can be slow.")
        parsed.subexpressions[name] = ast.Constant(0)
        for mark in ("excitation", "inhibition"):
            if mark in flags:
                parsed.marked[mark] = name
        return
    (parsed.slow if "slow" in flags else parsed.states)[name] = ast.Constant(0)


def _order(parsed: ParsedEquations, owner: str) -> None:
    waiting, ordered = dict(parsed.subexpressions), {}
    while waiting:
        ready = [name for name, tree in waiting.items() if not free_names(tree) & set(waiting)]
        if not ready:
            raise ValidationError(f"{owner}: sub-expressions {listed(waiting)} depend on each other in a circle.")
        for name in ready:
            ordered[name] = waiting.pop(name)
    parsed.subexpressions.clear()
    parsed.subexpressions.update(ordered)


def _check_mappings(parsed: ParsedEquations, population: Population) -> None:
    allowed: dict[str, dict[str, Any]] = {
        "initial": {**parsed.states, **parsed.slow},
        "bounds": parsed.slow,
        "steps": parsed.slow,
        "steady_state": {**parsed.states, **{name: None for name in parsed.subexpressions if name == "r"}},
    }
    for attribute, names in allowed.items():
        for name in getattr(population, attribute):
            if name not in names:
                raise ValidationError(
                    f"Population({population.name!r}).{attribute}: no such variable {name!r}. Allowed: {listed(names)}."
                )


def brian_functions() -> dict[str, Any]:
    """Return Brian 2 functions that it does not have itself."""
    from brian2 import Function as BrianFunction
    from brian2 import hertz, second, volt

    rectify = BrianFunction(
        lambda x: np.maximum(x, 0.0),
        arg_units=[None],
        return_unit=lambda x: x,
        arg_types=["float"],
        return_type="float",
    )
    rectify.implementations.add_implementation("numpy", lambda x: np.maximum(x, 0.0))
    rectify.implementations.add_implementation("cpp", "inline double rectify(double x) { return x > 0.0 ? x : 0.0; }")
    rectify.implementations.add_implementation(
        "cython", "cdef double rectify(double x) noexcept:\n    return x if x > 0.0 else 0.0\n"
    )
    lif = BrianFunction(
        NUMPY_FUNCTIONS["lif_rate"],
        arg_units=[volt, volt, second, volt, volt, second],
        return_unit=hertz,
        arg_types=["float"] * 6,
        return_type="float",
    )
    lif.implementations.add_implementation("numpy", NUMPY_FUNCTIONS["lif_rate"])
    return {"rectify": rectify, "lif_rate": lif}


def expression_dimension(text: str, dimensions: Mapping[str, Dimension], owner: str) -> Dimension:
    """Return the dimension of an expression.

    Raises
    ------
    UnitError
        If dimensions do not fit within the expression.
    ValidationError
        If a function has too few or too many arguments.
    """
    import_brian2()
    from brian2.core.functions import DEFAULT_CONSTANTS, DEFAULT_FUNCTIONS
    from brian2.core.variables import Variable
    from brian2.parsing.expressions import parse_expression_dimensions
    from brian2.units import DimensionMismatchError
    from brian2.units.allunits import all_units
    from brian2.units.fundamentalunits import get_or_create_dimension

    tree = ast.parse(" ".join(text.split()), mode="eval").body
    names = free_names(tree)
    variables: dict[str, Any] = {**DEFAULT_FUNCTIONS, **DEFAULT_CONSTANTS, **brian_functions()}
    units = {unit.name: unit for unit in all_units if unit.name in names} | {
        u.dispname: u for u in all_units if u.dispname in names
    }
    variables.update(units)
    second = (0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    dimensions = {"t": second, "dt": second, NOISE: tuple(-0.5 * e for e in second), **dimensions}
    for name in names & set(dimensions):
        variables[name] = Variable(name, dimensions=get_or_create_dimension(dimensions[name]))
    try:
        return _dims(parse_expression_dimensions(" ".join(text.split()), variables))
    except DimensionMismatchError as error:
        first = str(error).splitlines()[0]
        raise UnitError(f"{owner}: the units in {text!r} do not fit: {first}") from None
    except SyntaxError as error:
        if "not constant" in str(error):
            raise UnitError(
                f"{owner}: {text!r} raises something that has a unit to a power that is not a number. Divide it by its "
                "unit first, as in '(v/mV)**n', or write the power as a number."
            ) from None
        raise ValidationError(f"{owner}: {text!r} cannot be read: {str(error.msg).rstrip('.')}.") from None


def _check_dimensions(
    parsed: ParsedEquations, population: Population, functions: Mapping[str, Function], owner: str
) -> None:
    time = (0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    for name, text in parsed.texts.items():
        dimension = expression_dimension(expand_functions(text, functions), parsed.dimensions, f"{owner}, {name!r}")
        asked = parsed.dimensions[name]
        if name in parsed.states or name in parsed.slow:
            asked = tuple(a - b for a, b in zip(asked, time, strict=True))
        if dimension != asked:
            what = f"d{name}/dt" if name not in parsed.subexpressions else name
            raise UnitError(
                f"{owner}: {what} = {text} has the unit {unit_text(dimension)}, but {name!r} is declared in "
                f"{unit_text(parsed.dimensions[name])}, so {unit_text(asked)} is needed."
            )


def expand_functions(text: str, functions: Mapping[str, Function], special: Collection[str] = RANDOM) -> str:
    """Return a text with the user's functions put in and units left as they are; it may call special ones."""
    if not functions:
        return text
    from neurocircuits.declare.functions import UNIT_NAMES

    return ast.unparse(parse(text, functions, known=UNIT_NAMES, special=special))
