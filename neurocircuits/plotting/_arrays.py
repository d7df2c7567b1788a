"""Turn what plotting functions are given, arrays or labelled arrays, into plain arrays of known order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocircuits.errors import ValidationError


def plain(values: Any, n_dimensions: int, what: str, order: tuple[str, ...] = ()) -> NDArray[Any]:
    """Return a plain array, labelled dimensions named in ``order`` brought to that order.

    Parameters
    ----------
    values : array_like or xarray.DataArray
        The values.
    n_dimensions : int
        Dimensions that the array must have.
    what : str
        Function and argument, for the message.
    order : tuple of str
        Names of dimensions; applied if the array is labelled with all of them.

    Raises
    ------
    ValidationError
        If the number of dimensions is another one.
    """
    dimensions = getattr(values, "dims", None)
    if dimensions is not None and set(order) <= set(dimensions):
        values = values.transpose(..., *order)
    array = np.asarray(values)
    if array.ndim != n_dimensions:
        known = f" with dimensions {', '.join(map(str, dimensions))}" if dimensions is not None else ""
        raise ValidationError(
            f"{what}: an array of shape {array.shape}{known}; expected {n_dimensions} dimension"
            f"{'s' if n_dimensions > 1 else ''}. Select what to draw first, for example the last snapshot with "
            ".isel(time=-1)."
        )
    return array
