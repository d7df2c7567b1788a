"""Synapses: a pathway from one population to another, with its weights, connectivity, transmission and rule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neurocircuits.declare.checks import is_number, number_pair, numeric_array
from neurocircuits.declare.connectivity import AllToAll, Connectivity
from neurocircuits.declare.functions import check_identifier
from neurocircuits.declare.rule import Rule
from neurocircuits.declare.serialise import FrozenArray, declaration
from neurocircuits.declare.short_term import ShortTerm
from neurocircuits.declare.weights import Constant, Given, Normalise, Paired, Symmetric, Tied, Weights
from neurocircuits.errors import UnitError, ValidationError
from neurocircuits.units import DIMENSIONLESS, Dimension, Quantity, quantity, seconds, unit_name, unit_text


@declaration
@dataclass(frozen=True)
class Synapses:
    """Declare a pathway.

    Parameters
    ----------
    pre, post : str
        Names of the populations.
    weights : Weights
        Initial magnitudes (`Uniform`, `Given`, ...), or `Tied` or `Paired` to another pathway's array. A number or a
        quantity means the same weight everywhere; an array means `Given`.
    rule : Rule or None
        How the weights learn; none for `Tied` and `Paired` pathways, whose owner learns.
    name : str
        ``pre_to_post`` unless given.
    input : str
        The variable of ``post`` that is fed. Unless given, ``drive``, or, if ``pre`` spikes, the one variable of
        ``post`` that spikes of its sign can add to.
    transmits : str
        What one synapse passes on, in terms of ``w`` and variables of ``pre``: all the time, ``w*r_pre`` unless given,
        or, if ``pre`` spikes, with each spike, ``w`` unless given.
    connectivity : AllToAll, OneToOne, Probability, FixedInDegree or Explicit
        Which pairs are connected.
    bounds : (float, float) or None
        Bounds of the weights; (0, inf) unless given, (-inf, inf) in unconstrained circuits and for pairs.
    normalise : Normalise or None
        A norm to keep.
    delay : quantity, Weights or array_like
        How long a spike takes to arrive: one time for all synapses, or how those of synapses are drawn, such as
        ``Uniform("0.5 ms", "2 ms")``. An array holds them in seconds: (post, pre), or, where connectivity is
        `Explicit`, one for each of its pairs.
    short_term : ShortTerm or None
        Short-term plasticity of what a spike passes on.
    unit : quantity
        SI unit of weights that are plain numbers, such as ``"1 siemens"``; that of the input that is fed unless given.

    Raises
    ------
    ValidationError
        If names, bounds or weights do not fit, or ``unit`` is no SI unit.
    UnitError
        If weights, bounds and ``unit`` differ in their units.
    """

    pre: str
    post: str
    weights: Any = Constant(1.0)
    rule: Rule | None = None
    name: str = ""
    input: str = "drive"
    transmits: str = ""
    connectivity: Connectivity = AllToAll()
    bounds: tuple[float, float] | None = None
    normalise: Normalise | None = None
    delay: Any = 0.0
    unit: Any = None
    short_term: ShortTerm | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        if not self.name:
            set_(self, "name", f"{self.pre}_to_{self.post}")
        owner = f"Synapses({self.name!r})"
        check_identifier(self.name, owner, reserved=False)
        dimensions: dict[str, Dimension | None] = {}  # of what is given with a unit
        if isinstance(self.weights, str | Quantity):
            value = quantity(self.weights, f"{owner}.weights")
            set_(self, "weights", Constant(value.value))
            dimensions["weights"] = value.dimension
        if not isinstance(self.weights, Weights):
            given = self.weights if not is_number(self.weights) else None
            values = None if given is None else numeric_array(getattr(given, "values", given), f"{owner}.weights")
            set_(self, "weights", Constant(float(self.weights)) if values is None else Given(values))
        if not hasattr(self.connectivity, "mask"):
            allowed = "AllToAll, OneToOne, Probability, FixedInDegree or Explicit"
            raise ValidationError(f"{owner}.connectivity: {self.connectivity!r} is no connectivity. Use {allowed}.")
        if self.normalise is not None and not isinstance(self.normalise, Normalise):
            raise ValidationError(f"{owner}.normalise: {self.normalise!r} is not a Normalise.")
        if self.rule is not None and not isinstance(self.rule, Rule):
            raise ValidationError(
                f"{owner}.rule: {self.rule!r} is not a Rule. Write Rule(text, parameters) or use one of the catalogue."
            )
        if isinstance(self.weights, Tied | Paired):
            kind = type(self.weights).__name__
            if self.rule is not None:
                raise ValidationError(
                    f"{owner}.rule: the pathway is {kind.lower()} to {self.weights.owner!r}, which owns the array and "
                    f"learns. Give the rule to {self.weights.owner!r}."
                )
            if self.normalise is not None or self.bounds is not None or self.connectivity != AllToAll():
                raise ValidationError(
                    f"{owner}: bounds, normalisation and connectivity belong to the owner {self.weights.owner!r}."
                )
        if self.bounds is not None:
            bounds: Any = self.bounds
            if isinstance(bounds, tuple | list):
                read = [quantity(b, f"{owner}.bounds") if isinstance(b, str | Quantity) else b for b in bounds]
                dimensions |= {f"bounds[{k}]": b.dimension for k, b in enumerate(read) if isinstance(b, Quantity)}
                bounds = [b.value if isinstance(b, Quantity) else b for b in read]
            set_(self, "bounds", number_pair(bounds, f"{owner}.bounds"))
        dimensions.setdefault("weights", self.weights.dimension)
        set_(self, "unit", self._si_unit(dimensions, owner))
        set_(self, "delay", _delay(self.delay, f"{owner}.delay"))
        if self.short_term is not None and not isinstance(self.short_term, ShortTerm):
            raise ValidationError(f"{owner}.short_term: {self.short_term!r} is not a ShortTerm. Use TsodyksMarkram.")

    def _si_unit(self, dimensions: Mapping[str, Dimension | None], owner: str) -> Quantity | None:
        """Return the unit of the weights, which all that is given with a unit has."""
        unit = None if self.unit is None else quantity(self.unit, f"{owner}.unit")
        for name, dimension in dimensions.items():
            if dimension in (None, DIMENSIONLESS):
                continue
            if unit is not None and unit.dimension != dimension:
                raise UnitError(
                    f"{owner}.{name}: in {unit_name(dimension)}, but weights are in {unit_name(unit.dimension)}. Give "
                    "weights, bounds and unit in one unit; unit can be left out."
                )
            unit = unit or Quantity(1.0, dimension)
        if unit is not None and unit.value != 1:
            raise ValidationError(
                f"{owner}.unit: {self.unit!r} is {unit.value:g} times the SI unit, in which weights, bounds and rules "
                f"are counted. Give unit='1 {unit_name(unit.dimension)}', or the weights with their unit, as in "
                "weights='3 nS' or Uniform('1 nS', '3 nS')."
            )
        return unit

    @property
    def delays_differ(self) -> bool:
        """Whether each synapse has a delay of its own."""
        return isinstance(self.delay, Weights)


def _delay(value: Any, owner: str) -> float | Weights:
    """Return one delay in seconds, or how the delays of synapses are drawn."""
    if isinstance(value, list | tuple | FrozenArray) or getattr(value, "ndim", 0) != 0:
        dimension = getattr(getattr(value, "dim", None), "_dims", None)  # an array of Brian 2's quantities
        if dimension is not None:
            _check_time(tuple(map(float, dimension)), "the array", owner)
        value = Given(numeric_array(getattr(value, "values", value), owner))
    if isinstance(value, Tied | Paired | Symmetric):
        raise ValidationError(
            f"{owner}: {type(value).__name__} is for weights. Use a time, an array, Uniform, Lognormal or Clipped."
        )
    if isinstance(value, Constant):
        value = value.value
    if isinstance(value, Weights):
        _check_time(value.dimension, str(value), owner)
        return value
    read = seconds(value, owner)
    if not 0 <= read < math.inf:
        raise ValidationError(f"{owner}: {read!r} s is not a time of 0 or more.")
    return read


def _check_time(dimension: Dimension | None, what: str, owner: str) -> None:
    if dimension not in (None, DIMENSIONLESS, quantity("1 s").dimension):
        unit = unit_text(dimension)
        raise UnitError(f"{owner}: {what} is in {unit}, which is no time. Write as in Uniform('0.5 ms', '2 ms').")
