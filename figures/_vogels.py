"""What figures of Vogels et al. (2011) share: the balanced cell, its measures, and conductances of single signals."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.signal import lfilter

from neurocircuits.analysis import (
    Spikes,
    balance_index,
    correlation_peak,
    count_correlation,
    defined_mean,
    firing_rates,
    interval_cv,
    lagged_correlation,
    population_cv,
)
from neurocircuits.models import vogels2011

SOURCE = "Vogels et al. (2011), doi:10.1126/science.1211095"
PROGRAM = "the authors' program, ModelDB 143751"
SAMPLE, BIN = 1e-3, 1.5  # seconds between samples, and of a bin of rates, as in the program
LEAK, REST, REVERSAL_E, REVERSAL_I = 10e-9, -0.06, 0.0, -0.08
PICOSIEMENS = 350 / vogels2011.UNIT_INHIBITORY  # of a weight


def of_phase(tree: xr.DataTree, group: str, phase: str) -> xr.Dataset:
    """Return what a group recorded in a phase."""
    data = tree[group].ds
    return data.isel(time=data["phase"].values == phase)


def by_group(weights: np.ndarray) -> np.ndarray:
    """Return the mean of the weights of each signal's afferents, (..., group)."""
    return weights.reshape(*weights.shape[:-1], vogels2011.N_GROUPS, -1).mean(axis=-1)


def spikes_between(tree: xr.DataTree, start: float, stop: float, population: str = "cell", unit: int = 0) -> np.ndarray:
    """Return the times of the spikes of a unit."""
    spikes = tree[f"/spikes/{population}"].ds
    times = spikes["time"].values[spikes["unit"].values == unit]
    return np.asarray(times[(times >= start) & (times < stop)])


def irregularity(times: np.ndarray) -> float:
    """Return the coefficient of variation of the intervals between the spikes of a cell."""
    if not len(times):
        return np.nan
    cell = Spikes(np.zeros(len(times), dtype=int), times, 1, times.min(), times.max() + 1.0)
    return float(interval_cv(cell, min_intervals=2)[0])


def correlogram(g_e: np.ndarray, g_i: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lags to 20 ms and the correlation of excitatory conductances now with inhibitory ones later."""
    return lagged_correlation(g_e, g_i, SAMPLE, 0.02)


def measures(samples: xr.Dataset, unit: int = 0) -> dict[str, float]:
    """Return how well inhibition balances excitation, from samples of conductances, currents and voltage of a cell.

    ``index`` is the mean size of the net current over the mean of both, ``index_of_means`` the net of the means over
    their sum; the leak counts in the net.
    """
    g_e, g_i, e, i, v = (samples[name].values[:, unit] for name in ("g_e", "g_i", "excitation", "inhibition", "v"))
    leak = LEAK * (v - REST)
    peak, lag = correlation_peak(*correlogram(g_e, g_i))
    index = balance_index(e, i, leak)
    return {
        "conductances": float(np.corrcoef(g_e, g_i)[0, 1]),
        "peak": peak,
        "lag": 1e3 * lag,
        "currents": float(np.corrcoef(e, i + leak)[0, 1]),
        "index": index["index_time"],
        "index_of_means": index["index_mean"],
    }


def channel_currents(tree: xr.DataTree, phase: str, weights: dict[str, np.ndarray], unit: int = 0) -> np.ndarray:
    """Return the mean current of each signal in a phase in amperes, (2, group): excitatory and inhibitory.

    Conductances of single signals follow from the spikes of its afferents, at the moments at which the voltage was
    sampled.

    Parameters
    ----------
    tree : DataTree
        A run that recorded spikes of the afferents and samples of the cell in that phase.
    phase : str
        The phase.
    weights : dict of str to ndarray
        Weights of "E" and "I" onto the cell, (afferent,).
    unit : int
        The cell.
    """
    samples = of_phase(tree, "/populations/cell", phase)
    times, v = samples["time"].values, samples["v"].values[:, unit]
    found = []
    for name, tau, drive in (("E", 5e-3, REVERSAL_E - v), ("I", 10e-3, v - REVERSAL_I)):
        spikes, groups = tree[f"/spikes/{name}"].ds, vogels2011.group_of(name)
        when, who = spikes["time"].values, spikes["unit"].values
        inside = (when >= times[0] - SAMPLE) & (when < times[-1])
        when, who = when[inside], who[inside]
        row = np.searchsorted(times, when, side="right")
        jumps = np.zeros((len(times) + 1, vogels2011.N_GROUPS))
        left = np.where(row < len(times), np.exp(-(times[np.minimum(row, len(times) - 1)] - when) / tau), 0.0)
        np.add.at(jumps, (row, groups[who]), weights[name][who] * left)
        conductance = lfilter([1.0], [1.0, -np.exp(-SAMPLE / tau)], jumps[: len(times)], axis=0)
        found.append(LEAK * (conductance * drive[:, None]).mean(axis=0))
    return np.array(found)


def flat_and_rotated(learned: np.ndarray) -> dict[str, np.ndarray]:
    """Return learned inhibitory weights and controls, (afferent,): flat ones of their mean, stronger, and rotated."""
    per_group = vogels2011.N_INHIBITORY
    return {
        "learned": learned,
        "flat": np.full_like(learned, learned.mean()),
        "flat, 1.2 times": np.full_like(learned, 1.2 * learned.mean()),
        "rotated": np.roll(learned, vogels2011.N_GROUPS // 2 * per_group),
    }


def trains(tree: xr.DataTree, population: str, start: float, stop: float) -> tuple[np.ndarray, np.ndarray]:
    """Return units and times of the spikes of a population between two times."""
    spikes = tree[f"/spikes/{population}"].ds
    inside = (spikes["time"].values >= start) & (spikes["time"].values < stop)
    return spikes["unit"].values[inside], spikes["time"].values[inside]


def network_measures(units: np.ndarray, times: np.ndarray, n_units: int, start: float, stop: float) -> dict[str, float]:
    """Return rate (Hz), irregularity and synchrony of a population.

    ``cv`` is the mean over cells with three intervals or more, ``population_cv`` that of the population's rate in bins
    of 1 ms, ``correlation`` the mean over all pairs of cells, of spike counts in 50 ms.
    """
    spikes = Spikes(units, times, n_units, start, stop)
    return {
        "rate": float(firing_rates(spikes).mean()),
        "cv": defined_mean(interval_cv(spikes, min_intervals=3)),
        "population_cv": population_cv(spikes),
        "correlation": count_correlation(spikes, 0.05),
    }
