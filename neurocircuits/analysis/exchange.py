"""Spike trains in the objects of other packages, made from flat arrays at the last moment."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from neurocircuits.analysis.trains import Spikes
from neurocircuits.errors import UnsupportedError


def to_neo(spikes: Spikes) -> list[Any]:
    """Return one Neo spike train for each unit, as Elephant takes them.

    Parameters
    ----------
    spikes : Spikes
        The trains.

    Returns
    -------
    list of neo.SpikeTrain
        In seconds, with the window's ``t_start`` and ``t_stop`` and the annotation ``unit``; silent units are empty.

    Raises
    ------
    UnsupportedError
        If Neo is not installed.
    """
    neo = _optional("neo", "to_neo")
    return [
        neo.SpikeTrain(times, units="s", t_start=spikes.t_start, t_stop=spikes.t_stop, unit=unit)
        for unit, times in enumerate(_by_unit(spikes))
    ]


def to_pynapple(spikes: Spikes) -> Any:
    """Return the trains as a pynapple group.

    Parameters
    ----------
    spikes : Spikes
        The trains.

    Returns
    -------
    pynapple.TsGroup
        One member for each unit, silent ones too, in seconds; the window is its time support.

    Raises
    ------
    UnsupportedError
        If pynapple is not installed.
    """
    nap = _optional("pynapple", "to_pynapple")
    window = nap.IntervalSet(spikes.t_start, spikes.t_stop)
    trains = {unit: nap.Ts(times, time_support=window) for unit, times in enumerate(_by_unit(spikes))}
    return nap.TsGroup(trains, time_support=window)


def _by_unit(spikes: Spikes) -> list[Any]:
    return np.split(spikes.time, np.searchsorted(spikes.unit, np.arange(1, spikes.n_units)))


def _optional(name: str, owner: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UnsupportedError(f"{owner} needs {name}, which is not installed: pip install {name}") from None
