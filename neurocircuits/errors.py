"""The exceptions of the package: one root, each also derived from the built-in that fits.

A message names the object, the value, what is allowed and the remedy. An error that ends a run carries what was
recorded until then as ``tree``, so nothing that was computed is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class NeurocircuitsError(Exception):
    """Base of every error that the package raises on purpose.

    Attributes
    ----------
    tree : xarray.DataTree or None
        What a run had recorded when the error ended it, with the root attribute ``complete`` 0; None before anything
        ran.
    """

    tree: Any = None


class ValidationError(NeurocircuitsError, ValueError):
    """A declaration, an argument or a tree is not what it must be."""


class UnitError(ValidationError):
    """Dimensions do not fit, or a quantity cannot be read."""


class UnsupportedError(NeurocircuitsError, NotImplementedError):
    """An engine cannot run what it was given; every reason is listed at once."""


class DataError(NeurocircuitsError, OSError):
    """A data set is missing, incomplete or not the file that it should be."""


class StorageError(NeurocircuitsError, OSError):
    """A result or checkpoint cannot be written or read."""


class RunError(NeurocircuitsError):
    """A run ended early; ``tree`` holds what had been recorded."""

    def __init__(self, message: str, tree: Any = None) -> None:
        super().__init__(message)
        self.tree = tree


class DivergenceError(RunError, ArithmeticError):
    """A variable became NaN or infinite, or no steady state was found within the tolerance."""


class InterruptedRun(RunError):
    """The user interrupted a run (Ctrl-C)."""


def listed(names: Iterable[Any]) -> str:
    """Return names in quotes, separated by commas, or ``none``."""
    return ", ".join(repr(name) for name in names) or "none"
