"""Spike trains as flat arrays: the spikes of a population in a window of time, checked and sorted once.

Everything that measures spikes (`neurocircuits.analysis.spikes`, `neurocircuits.analysis.regimes`) takes `Spikes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.analysis._select import Array, group
from neurocircuits.declare.checks import check_numbers, is_whole
from neurocircuits.errors import ValidationError

_ROUNDING = 1e-9  # s; times are multiples of a step up to rounding, which must not move a spike into another bin


@dataclass(frozen=True, eq=False)
class Spikes:
    """The spikes of a population in a window of time, as flat arrays.

    Parameters
    ----------
    unit : array_like of int, shape (n_spikes,)
        Unit of each spike, 0 to ``n_units - 1``, in any order.
    time : array_like, shape (n_spikes,)
        Time of each spike, s. Spikes outside the window are left out.
    n_units : int
        Units of the population, silent ones too.
    t_start, t_stop : float
        The window, s; a spike at ``t_start`` is in it, one at ``t_stop`` is not. Times that differ by less than a
        nanosecond are taken as equal.

    Attributes
    ----------
    unit, time : ndarray, shape (n_spikes,)
        The spikes in the window, sorted by unit and then by time.

    Raises
    ------
    ValidationError
        If the arrays do not fit, a unit is not one of the population or the window is empty.

    Examples
    --------
    >>> spikes = Spikes([1, 0, 1], [0.3, 0.2, 0.1], n_units=3, t_start=0.0, t_stop=1.0)
    >>> spikes.unit.tolist(), spikes.time.tolist()
    ([0, 1, 1], [0.2, 0.1, 0.3])
    """

    unit: Array
    time: Array
    n_units: int
    t_start: float
    t_stop: float

    def __post_init__(self) -> None:
        unit, time = np.asarray(self.unit), np.asarray(self.time, float)
        check_numbers("Spikes", t_start=self.t_start, t_stop=self.t_stop)
        if not self.t_stop > self.t_start:
            raise ValidationError(
                f"Spikes: t_stop = {self.t_stop:g} s must be after t_start = {self.t_start:g} s. Give the window in "
                "seconds of the run."
            )
        if not is_whole(self.n_units) or self.n_units < 1:
            raise ValidationError(f"Spikes: n_units = {self.n_units!r} must be a positive whole number.")
        if unit.ndim != 1 or unit.shape != time.shape or (unit.size and unit.dtype.kind not in "iu"):
            raise ValidationError(
                f"Spikes: unit {unit.shape} of {unit.dtype} and time {time.shape} must be (n_spikes,), one whole "
                "number and one time for each spike."
            )
        wrong = (unit < 0) | (unit >= self.n_units)
        if wrong.any():
            raise ValidationError(
                f"Spikes: {wrong.sum()} of {unit.size} units are not in 0 to {self.n_units - 1} (first: "
                f"{unit[wrong.argmax()]}). Give the size of the whole population as n_units."
            )
        if not np.isfinite(time).all():
            raise ValidationError("Spikes: times must be finite, in seconds; leave out spikes that have none.")
        inside = (time >= self.t_start - _ROUNDING) & (time < self.t_stop - _ROUNDING)
        unit, time = unit[inside].astype(np.min_scalar_type(int(self.n_units))), time[inside]
        if (np.diff(time) < 0).any():
            order = np.argsort(time, kind="stable")
            unit, time = unit[order], time[order]
        order = np.argsort(unit, kind="stable")  # short integers are sorted by radix
        object.__setattr__(self, "unit", unit[order].astype(np.intp))
        object.__setattr__(self, "time", np.maximum(time[order], self.t_start))
        object.__setattr__(self, "n_units", int(self.n_units))

    @classmethod
    def of(cls, data: xr.Dataset, n_units: int, t_start: float, t_stop: float) -> Spikes:
        """Take the spikes of a window out of the dataset ``/spikes/<population>`` of a result tree."""
        return cls(data["unit"].values, data["time"].values, n_units, t_start, t_stop)

    @property
    def duration(self) -> float:
        """Length of the window, s."""
        return float(self.t_stop - self.t_start)

    def take(self, units: Any) -> Spikes:
        """Return the spikes of some units, which are numbered anew in the order given.

        Raises
        ------
        ValidationError
            If there are none, or one is named twice or not of the population.
        """
        chosen = np.asarray(units)
        valid = chosen.ndim == 1 and chosen.size > 0 and chosen.dtype.kind in "iu"
        if not valid or np.unique(chosen).size < chosen.size or not 0 <= chosen.min() <= chosen.max() < self.n_units:
            raise ValidationError(
                f"Spikes.take: units must be different whole numbers from 0 to {self.n_units - 1}, one or more; they "
                f"are {units!r}."
            )
        place = np.full(self.n_units, -1)
        place[chosen] = np.arange(chosen.size)
        kept = place[self.unit] >= 0
        return Spikes(place[self.unit[kept]], self.time[kept], chosen.size, self.t_start, self.t_stop)


def recorded_spikes(tree: xr.DataTree, population: str, t_start: float, t_stop: float) -> Spikes:
    """Take the spikes of a population between two times of a run.

    Parameters
    ----------
    tree : xarray.DataTree
        Needs the spikes of the population. A phase that did not record them looks silent.
    population : str
        Name of the population.
    t_start, t_stop : float
        The window, s.

    Raises
    ------
    ValidationError
        If its spikes were not recorded, or the window is empty.
    """
    data = group(tree, "spikes", population)
    return Spikes.of(data, group(tree, "populations", population).attrs["n_units"], t_start, t_stop)


def bins(spikes: Spikes, width: float, owner: str) -> tuple[Array, int]:
    """Return the bin of each spike, which may lie in the incomplete one at the end, and the number of complete ones."""
    check_numbers(owner, **{"the width of bins": width})
    n_bins = int((spikes.duration + _ROUNDING) / width) if width > 0 else 0
    if n_bins < 2:
        raise ValidationError(
            f"{owner}: bins of {width:g} s do not fit twice into the window from {spikes.t_start:g} to "
            f"{spikes.t_stop:g} s. Take shorter bins, longer than 0, or a longer window."
        )
    return ((spikes.time - spikes.t_start + _ROUNDING) / width).astype(np.intp), n_bins


def counts(spikes: Spikes, width: float, owner: str) -> tuple[Array, Array, Array, int]:
    """Return unit, bin and count of the bins with spikes, and the number of bins."""
    index, n_bins = bins(spikes, width, owner)
    complete = index < n_bins
    key = spikes.unit[complete] * n_bins + index[complete]
    first = np.flatnonzero(np.append(True, np.diff(key) > 0)[: key.size])
    count = np.diff(np.append(first, key.size)).astype(float)
    return key[first] // n_bins, key[first] % n_bins, count, n_bins
