"""Checks of plain values that several declarations share."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from neurocircuits.errors import ValidationError


def is_number(value: Any) -> bool:
    """Return whether a value is one plain number."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Return whether a value is one whole number."""
    return is_number(value) and bool(np.isfinite(value)) and float(value).is_integer()


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
