"""Physical quantities without a heavy import: SI value and dimension, read from numbers, texts and Brian 2 quantities.

Everything inside the package is in SI units. A quantity may be given as a plain number (without dimension), as a text
such as ``"5 ms"`` or ``"2*nS/cm**2"``, or as a Brian 2 quantity.
"""

from __future__ import annotations

import ast
import importlib
import logging
import sys
import warnings
from dataclasses import dataclass
from typing import Any

from neurocircuits.errors import UnitError

Dimension = tuple[float, ...]
# Order of the seven base dimensions, the one that Brian 2 uses: length, mass, time, current, temperature, amount,
# luminosity.
DIMENSIONLESS: Dimension = (0.0,) * 7
_BASE = ("metre", "kilogram", "second", "amp", "kelvin", "mole", "candela")

# name -> (symbol, exponents of metre, kilogram, second, ampere, kelvin, mole, candela)
_UNITS = {
    "second": ("s", (0, 0, 1, 0, 0, 0, 0)),
    "metre": ("m", (1, 0, 0, 0, 0, 0, 0)),
    "meter": ("meter", (1, 0, 0, 0, 0, 0, 0)),
    "amp": ("A", (0, 0, 0, 1, 0, 0, 0)),
    "ampere": ("ampere", (0, 0, 0, 1, 0, 0, 0)),
    "kelvin": ("K", (0, 0, 0, 0, 1, 0, 0)),
    "mole": ("mol", (0, 0, 0, 0, 0, 1, 0)),
    "candela": ("cd", (0, 0, 0, 0, 0, 0, 1)),
    "hertz": ("Hz", (0, 0, -1, 0, 0, 0, 0)),
    "volt": ("V", (2, 1, -3, -1, 0, 0, 0)),
    "ohm": ("ohm", (2, 1, -3, -2, 0, 0, 0)),
    "siemens": ("S", (-2, -1, 3, 2, 0, 0, 0)),
    "farad": ("F", (-2, -1, 4, 2, 0, 0, 0)),
    "coulomb": ("C", (0, 0, 1, 1, 0, 0, 0)),
    "watt": ("W", (2, 1, -3, 0, 0, 0, 0)),
    "joule": ("J", (2, 1, -2, 0, 0, 0, 0)),
}
_PREFIXES = {
    "": 0,
    "f": -15,
    "p": -12,
    "n": -9,
    "u": -6,
    "m": -3,
    "c": -2,
    "k": 3,
    "M": 6,
    "G": 9,
}


def _unit_table() -> dict[str, Quantity]:
    table = {"kilogram": Quantity(1.0, (0.0, 1.0) + (0.0,) * 5), "kg": Quantity(1.0, (0.0, 1.0) + (0.0,) * 5)}
    for name, (symbol, exponents) in _UNITS.items():
        dimension = tuple(float(e) for e in exponents)
        for prefix, power in _PREFIXES.items():
            scale = float(f"1e{power}")
            table[prefix + name] = table[prefix + symbol] = Quantity(scale, dimension)
    for ambiguous in ("m2", "cd"):
        table.pop(ambiguous, None)
    table["cd"] = Quantity(1.0, tuple(float(e) for e in _UNITS["candela"][1]))
    table["dimensionless"] = table["one"] = Quantity(1.0, DIMENSIONLESS)
    return table


@dataclass(frozen=True)
class Quantity:
    """A value in SI units with its dimension.

    Parameters
    ----------
    value : float
        Value in SI base units.
    dimension : tuple of float
        Exponents of metre, kilogram, second, ampere, kelvin, mole, candela.
    """

    value: float
    dimension: Dimension = DIMENSIONLESS

    def __mul__(self, other: Quantity) -> Quantity:
        pairs = zip(self.dimension, other.dimension, strict=True)
        return Quantity(self.value * other.value, tuple(a + b for a, b in pairs))

    def __pow__(self, exponent: float) -> Quantity:
        return Quantity(self.value**exponent, tuple(a * exponent for a in self.dimension))

    def __repr__(self) -> str:
        return repr(self.to_value())  # as one writes it in a declaration

    def __str__(self) -> str:
        return f"{self.value!r} {unit_text(self.dimension)}".removesuffix(" 1")

    def to_value(self) -> Any:
        """Return the JSON form: a number, or a text with base units."""
        return self.value if self.dimension == DIMENSIONLESS else str(self).replace(" ", "*", 1)


def unit_text(dimension: Dimension) -> str:
    """Write a dimension as a product of base units, ``1`` for none."""
    factors = [name if e == 1 else f"{name}**{e:g}" for name, e in zip(_BASE, dimension, strict=True) if e]
    return "*".join(factors) or "1"


_TABLE = _unit_table()


def _evaluate(node: ast.AST, text: str) -> Quantity:
    match node:
        case ast.Expression(body=body):
            return _evaluate(body, text)
        case ast.Constant(value=value) if isinstance(value, int | float):
            return Quantity(float(value), DIMENSIONLESS)
        case ast.Name(id=name) if name in _TABLE:
            return _TABLE[name]
        case ast.Name(id=name):
            raise UnitError(
                f"Quantity {text!r}: unit {name!r} is not known. Write for example '5 ms', '10 nS', '2 Hz'."
            )
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            positive = _evaluate(operand, text)
            return Quantity(-positive.value, positive.dimension)
        case ast.BinOp(op=ast.Mult(), left=left, right=right):
            return _evaluate(left, text) * _evaluate(right, text)
        case ast.BinOp(op=ast.Div(), left=left, right=right):
            divisor = _evaluate(right, text)
            left_value = _evaluate(left, text)
            inverse = divisor**-1.0
            return Quantity(left_value.value / divisor.value, (left_value * inverse).dimension)
        case ast.BinOp(op=ast.Pow(), left=left, right=right):
            return _evaluate(left, text) ** _evaluate(right, text).value
        case ast.BinOp(op=ast.Add() | ast.Sub() as op, left=left, right=right):
            a, b = _evaluate(left, text), _evaluate(right, text)
            if a.dimension != b.dimension:
                raise UnitError(f"Quantity {text!r}: adds {unit_text(a.dimension)} and {unit_text(b.dimension)}.")
            return Quantity(a.value + b.value if isinstance(op, ast.Add) else a.value - b.value, a.dimension)
    raise UnitError(f"Quantity {text!r} cannot be read. Write a number and units, for example '5 ms' or '2*nS'.")


def quantity(value: Any, owner: str = "Quantity") -> Quantity:
    """Read a quantity from a number, a text or a Brian 2 quantity.

    Parameters
    ----------
    value : float, str, Quantity or brian2.Quantity
        ``"5 ms"``, ``5e-3``, ``5*brian2.ms``.
    owner : str
        Named in errors.

    Raises
    ------
    UnitError
        If the text cannot be read or the value is not one finite-or-infinite number.
    """
    if isinstance(value, Quantity):
        return value
    if isinstance(value, str):
        words = value.strip().split(None, 1)
        text = f"({words[0]})*{words[1]}" if len(words) == 2 and _is_number(words[0]) else value.strip()
        try:
            tree = ast.parse(text, mode="eval")
        except SyntaxError:
            raise UnitError(
                f"{owner}: {value!r} cannot be read. Write a number and units, for example '5 ms'."
            ) from None
        try:
            return _evaluate(tree, value)
        except UnitError as error:
            raise UnitError(f"{owner}: {error}") from None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise UnitError(f"{owner}: {value!r} is not one number or quantity.") from None
    if number != number:
        raise UnitError(f"{owner}: the value is NaN; give a number.")
    dimension = getattr(getattr(value, "dim", None), "_dims", None)
    return Quantity(number, DIMENSIONLESS if dimension is None else tuple(float(e) for e in dimension))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def unit_name(dimension: Dimension) -> str:
    """Return the SI unit of a dimension by its name, such as siemens, or as `unit_text` writes it."""
    return next((name for name, (_, powers) in _UNITS.items() if powers == dimension), unit_text(dimension))


def seconds(value: Any, owner: str) -> float:
    """Return a time in seconds; plain numbers are taken as seconds.

    Raises
    ------
    UnitError
        If the dimension is not time.
    """
    read = quantity(value, owner)
    if read.dimension not in (DIMENSIONLESS, _TABLE["second"].dimension):
        raise UnitError(f"{owner}: {value!r} is not a time. Write for example '100 ms'.")
    return read.value


def import_brian2() -> Any:
    """Import Brian 2 without its global exception hook and without sending warnings to its log, and return it."""
    if "brian2" not in sys.modules:
        hook, show = sys.excepthook, warnings.showwarning
        importlib.import_module("brian2")
        sys.excepthook = hook
        if warnings.showwarning is not show:
            logging.captureWarnings(False)
    return sys.modules["brian2"]
