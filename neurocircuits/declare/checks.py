"""Checks of plain values that several declarations share."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np

from neurocircuits.errors import ValidationError
from neurocircuits.units import quantity


def is_number(value: Any) -> bool:
    """Return whether a value is one plain number."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Return whether a value is one whole number."""
    return is_number(value) and bool(np.isfinite(value)) and float(value).is_integer()


def members(value: Any, kinds: type | tuple[type, ...], owner: str) -> tuple[Any, ...]:
    """Return a sequence of declarations as a tuple; one alone is a sequence of one.

    Raises
    ------
    ValidationError
        If something in it is of another kind.
    """
    if isinstance(value, kinds):
        return (value,)
    allowed = " or ".join(kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValidationError(f"{owner}: {reprlib.repr(value)} is no {allowed} and no sequence of such.")
    found = tuple(value)
    for each in found:
        if not isinstance(each, kinds):
            raise ValidationError(
                f"{owner}: {reprlib.repr(each)} is a {type(each).__name__}. Give a sequence of {allowed}."
            )
    return found


def unit_numbers(value: Any, owner: str) -> tuple[int, ...] | None:
    """Return which units are meant, counted from 0, as a tuple; one number is one unit, None is all of them.

    Raises
    ------
    ValidationError
        If these are no whole numbers from 0.
    """
    if value is None:
        return None
    given = np.atleast_1d(np.asarray(getattr(value, "values", value)))
    if given.ndim != 1 or given.dtype.kind not in "iuf" or not all(is_whole(k) and k >= 0 for k in given.tolist()):
        raise ValidationError(f"{owner}: {value!r} are no units. Give whole numbers from 0, such as [0, 3].")
    return tuple(int(k) for k in given)


def check_numbers(owner: str, **values: Any) -> None:
    """Refuse what is not a finite number.

    Raises
    ------
    ValidationError
        If a value is none.
    """
    for name, value in values.items():
        if not is_number(value) or not np.isfinite(value):
            raise ValidationError(f"{owner}: {name} is {value!r}, not a finite number.")


def check_not_negative(owner: str, **values: Any) -> None:
    """Refuse quantities that are negative or not finite.

    Raises
    ------
    ValidationError
        If a value is.
    """
    for name, value in values.items():
        if not 0 <= quantity(value, f"{owner}: {name}").value < np.inf:
            raise ValidationError(f"{owner}: {name} = {value!r}; 0 or more is needed, and finite.")


def number_pair(value: Any, owner: str) -> tuple[float, float]:
    """Return a lower and an upper bound.

    Raises
    ------
    ValidationError
        If these are not two numbers in this order.
    """
    pair = tuple(value) if isinstance(value, tuple | list | np.ndarray) else ()
    if len(pair) != 2 or not all(is_number(bound) for bound in pair):
        raise ValidationError(f"{owner}: {value!r} is not a pair of numbers (lower, upper).")
    if not pair[0] <= pair[1]:
        raise ValidationError(f"{owner}: lower bound {pair[0]} is above upper bound {pair[1]}.")
    return float(pair[0]), float(pair[1])


def numeric_array(value: Any, owner: str) -> np.ndarray:
    """Return an array of floats.

    Raises
    ------
    ValidationError
        If there is none.
    """
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ValidationError(
            f"{owner}: {type(value).__name__} is not an array of numbers. Convert it first."
        ) from None
