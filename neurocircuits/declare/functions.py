"""Named functions of equation texts: those built in, those of Brian 2, and the user's own, given as text.

A user's function is text as well, so it reaches every engine and device, and a declaration can be rebuilt from its
dictionary. The tables of reserved names are compared with Brian 2's own by a test.
"""

from __future__ import annotations

import keyword
from dataclasses import dataclass
from typing import Any

from neurocircuits.errors import ValidationError, listed

# Functions that every engine evaluates element by element.
ELEMENTWISE = frozenset(
    "rectify exp log log10 expm1 log1p exprel sqrt abs sign sin cos tan sinh cosh tanh arcsin arccos arctan "
    "floor ceil clip int lif_rate".split()
)
# Sums over one side of a pathway, allowed in aggregates only.
AGGREGATES = ("sum_over_pre", "sum_over_post")
# Functions of a whole layer, allowed in population terms only.
LAYER = ("ranked", "winner", "total")
# Names that Brian 2 or the package gives a meaning; they cannot be variables, parameters or populations' variables.
RESERVED = (
    frozenset(
        "t dt t_in_timesteps xi drive w dale n_pre n_post i j N N_pre N_post N_incoming N_outgoing lastspike "
        "not_refractory refractory clock rand randn poisson timestep inf pi e is_nan isinf True False and or not if "
        "else "
        "delay owner plastic type".split()
    )
    | ELEMENTWISE
    | set(AGGREGATES)
    | set(LAYER)
)
# Units are names in equations, too: those of Brian 2, with their squares and cubes.
_UNIT_STEMS = (
    "metre meter gram gramme second amp ampere mol mole molar candle hertz radian steradian newton pascal joule watt "
    "coulomb volt farad ohm siemens weber tesla henry lumen lux becquerel gray sievert katal"
).split()
_UNIT_PREFIXES = ("", *"yzafpnumkMGTPEZY")
UNIT_NAMES = (
    frozenset(prefix + stem + power for prefix in _UNIT_PREFIXES for stem in _UNIT_STEMS for power in ("", "2", "3"))
    | frozenset(prefix + stem for prefix in (*_UNIT_PREFIXES, "c", "d", "da", "h") for stem in ("liter", "litre"))
    | frozenset(
        stem + power for stem in ("kelvin", "kilogram", "kilogramme", "cm", "mm", "um") for power in ("", "2", "3")
    )
    | frozenset("ms us Hz kHz MHz mV nA pA uA mA nS uS pF nF uF mM uM nM".split())
)


def check_identifier(name: object, owner: str, reserved: bool = True) -> None:
    """Refuse what cannot be a name in equations.

    Raises
    ------
    ValidationError
        If ``name`` is not an identifier, starts with an underscore, ends in a side, or is reserved.
    """
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise ValidationError(f"{owner}: {name!r} is not a usable name. Use letters, digits and inner underscores.")
    if not reserved:
        return
    if name.endswith(("_pre", "_post")):
        raise ValidationError(f"{owner}: the name {name!r} ends in a side. '_pre' and '_post' mark the side in rules.")
    if name in RESERVED or name in UNIT_NAMES:
        what = "a unit" if name in UNIT_NAMES else "reserved"
        raise ValidationError(
            f"{owner}: the name {name!r} is {what}. Choose another name, {name + '_0'!r} for example."
        )


@dataclass(frozen=True)
class Function:
    """A function of equation texts, written as text.

    Parameters
    ----------
    name : str
        Name in equations.
    arguments : tuple of str
        Names of the arguments.
    expression : str
        Value in terms of the arguments and elementwise functions, for example ``"x/(1 + abs(x))"``.

    Raises
    ------
    ValidationError
        If a name is reserved or repeated.

    Examples
    --------
    >>> Function("saturate", ("x",), "x/(1 + abs(x))").name
    'saturate'
    """

    name: str
    arguments: tuple[str, ...]
    expression: str

    def __post_init__(self) -> None:
        owner = f"Function({self.name!r})"
        given: Any = self.arguments
        arguments = (given,) if isinstance(given, str) else tuple(given)
        object.__setattr__(self, "arguments", arguments)
        check_identifier(self.name, owner)
        for argument in arguments:
            check_identifier(argument, owner)
        if len(set(arguments)) != len(arguments):
            raise ValidationError(f"{owner}: arguments {listed(arguments)} are not distinct.")
