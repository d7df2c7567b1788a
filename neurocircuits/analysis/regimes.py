"""How a population fires as a whole: its rate, its synchrony and rhythm, and the name of its state."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.signal import find_peaks, welch

from neurocircuits.analysis._select import Array, Values, labelled, ratio
from neurocircuits.analysis.spikes import (
    count_correlation,
    defined_mean,
    fano_factor,
    firing_rates,
    interval_cv,
    interval_cv2,
)
from neurocircuits.analysis.trains import Spikes, bins
from neurocircuits.declare.checks import check_numbers
from neurocircuits.errors import ValidationError

SHORTEST_SEGMENT = 0.2
"""Shortest segment of a spectrum, s: slow rhythms of 20 Hz then have four periods in it."""


def population_rate(spikes: Spikes, bin_width: float = 1e-3) -> tuple[Array, Array]:
    """Count the spikes of all units together.

    Parameters
    ----------
    spikes : Spikes
        The trains.
    bin_width : float
        Length of a bin, s; what is left over at the end is not used.

    Returns
    -------
    times : ndarray, shape (n_bins,)
        Middle of each bin, s.
    rate : ndarray, shape (n_bins,)
        Spikes per unit and second, Hz.

    Raises
    ------
    ValidationError
        If fewer than two bins fit.
    """
    index, n_bins = bins(spikes, bin_width, "population_rate")
    counts = np.bincount(index, minlength=n_bins)[:n_bins]
    return spikes.t_start + bin_width * (np.arange(n_bins) + 0.5), counts / (spikes.n_units * bin_width)


def population_cv(spikes: Spikes, bin_width: float = 1e-3) -> float:
    """Measure how much the rate of the population fluctuates.

    Parameters
    ----------
    spikes : Spikes
        The trains.
    bin_width : float
        Bin of the rate, s; the value depends on it.

    Returns
    -------
    float
        Standard deviation over mean of the rate. NaN without spikes.

    Raises
    ------
    ValidationError
        If fewer than two bins fit.

    Notes
    -----
    Finite populations fluctuate without any synchrony, independent Poisson units by `population_cv_floor`, more regular
    ones by less. The fluctuation beyond that, `excess_population_cv`, does not depend on how many units were recorded.
    """
    rate = population_rate(spikes, bin_width)[1]
    return float(ratio(rate.std(), rate.mean()))


def population_cv_floor(spikes: Spikes, bin_width: float = 1e-3) -> float:
    """Return the `population_cv` of as many independent Poisson units of the same rate, 1/sqrt(n_units rate bin_width).

    NaN without spikes; parameters and errors as for `population_cv`.
    """
    return float(ratio(1.0, np.sqrt(spikes.n_units * bin_width * population_rate(spikes, bin_width)[1].mean())))


def excess_population_cv(population_cv: float, floor: float) -> float:
    """Return the fluctuation of the rate beyond chance, the square root of their squares' difference, 0 or more."""
    return float(np.sqrt(np.maximum(population_cv**2 - floor**2, 0)))


def voltage_synchrony(v: Array) -> float:
    """Measure how much of the fluctuation of voltages is common to all units.

    Parameters
    ----------
    v : ndarray, shape (time, unit)
        Voltages, sampled at one interval.

    Returns
    -------
    float
        chi^2, the variance in time of the mean over units, over the mean over units of the variance in time: 1 if all
        move alike, about 1/n for n independent units; NaN if nothing moves.

    Raises
    ------
    ValidationError
        If voltages are not (time, unit), two samples or more.

    References
    ----------
    Golomb (2007) Neuronal synchrony measures, Scholarpedia 2(1):1347, whose measure is the root of this.
    """
    values = np.asarray(v, float)
    if values.ndim != 2 or values.shape[0] < 2 or values.shape[1] < 1:
        raise ValidationError(f"voltage_synchrony: v {values.shape} must be (time, unit), two samples or more.")
    return float(ratio(values.mean(axis=1).var(), values.var(axis=0).mean()))


def rate_spectrum(spikes: Spikes, bin_width: float = 1e-3, segment: float = SHORTEST_SEGMENT) -> xr.Dataset:
    """Estimate the power spectrum of the population's rate and the frequency at which it oscillates.

    Parameters
    ----------
    spikes : Spikes
        The trains.
    bin_width : float
        Bin of the rate, s; the highest frequency is ``1/(2 bin_width)``.
    segment : float
        Length of the segments over which spectra are averaged, s, at least `SHORTEST_SEGMENT`. The resolution is
        ``1/segment``.

    Returns
    -------
    xarray.Dataset
        ``power(frequency)`` in Hz, one-sided and without frequency 0; ``poisson``, the power of independent Poisson
        units, 2 rate/n_units; ``peak_frequency`` in Hz, of the first peak that stands out of its surroundings by half
        of the largest power, so that volleys give their frequency and no harmonic; ``peak_ratio``, the largest power
        over ``poisson``; ``coherence``, (peak_ratio - 1)/(n_units - 1). NaN without spikes.

    Raises
    ------
    ValidationError
        If the segment is too short, or longer than the window.

    Notes
    -----
    Welch (1967): Hann windows that overlap by half, each without its mean. A ``peak_ratio`` of 5 comes about by chance
    where there are few segments, and it grows with the number of units that share a rhythm. ``coherence`` does not: it
    is the mean cross-spectrum of two units at the peak over the spectrum of a Poisson unit, near 0 for independent
    units; a rhythm of regular units may exceed 1.
    """
    check_numbers("rate_spectrum", segment=segment)
    _, rate = population_rate(spikes, bin_width)
    n = round(segment / bin_width)
    if segment < SHORTEST_SEGMENT * (1 - 1e-9) or not 4 <= n <= rate.size:
        raise ValidationError(
            f"rate_spectrum: segments of {segment:g} s, in a window of {spikes.duration:g} s and bins of {bin_width:g} "
            f"s. They must be {SHORTEST_SEGMENT:g} s or longer, hold four bins and fit into the window."
        )
    frequency, power = (x[1:] for x in welch(rate, 1 / bin_width, nperseg=n))
    largest, poisson = power.max(), 2 * rate.mean() / spikes.n_units
    peaks = find_peaks(np.concatenate([[0.0], power, [0.0]]), prominence=0.5 * largest)[0] if largest > 0 else []
    peak_ratio = ratio(largest, poisson)
    values: Values = {
        "power": (("frequency",), power, "Hz", "power spectral density of the rate per unit"),
        "poisson": ((), poisson, "Hz", "power of independent Poisson units"),
        "peak_frequency": ((), frequency[peaks[0] - 1] if len(peaks) else np.nan, "Hz", "frequency of the rhythm"),
        "peak_ratio": ((), peak_ratio, "1", "largest power over that of independent Poisson units"),
        "coherence": ((), ratio(peak_ratio - 1, spikes.n_units - 1), "1", "what two units share of it"),
    }
    return labelled(values, {"frequency": frequency}, bin_width=bin_width, segment=segment)


def regime(
    rate: float,
    cv: float,
    population_cv: float,
    floor: float,
    coherence: float,
    peak_frequency: float,
    *,
    quiescent: float = 0.1,
    regular: float = 0.3,
    chance: float = 1.5,
    synchronous: float = 1.0,
    coherent: float = 0.2,
    fast: float = 100.0,
) -> str:
    """Name the state of a population.

    Parameters
    ----------
    rate : float
        Mean rate of a unit, Hz.
    cv : float
        Mean CV of the intervals (`interval_cv`).
    population_cv, floor : float
        `population_cv` and `population_cv_floor`, bins of 1 ms.
    coherence, peak_frequency : float
        Of `rate_spectrum`, bins of 1 ms and segments of 200 ms.
    quiescent : float
        Rate below which it is "quiescent", Hz.
    regular : float
        CV below which units fire regularly.
    chance : float
        Synchrony must raise the population CV to this many times its floor.
    synchronous : float
        Excess of the population CV (`excess_population_cv`) from which the population is synchronous.
    coherent : float
        Coherence from which it is synchronous too.
    fast : float
        Peak frequency from which synchronous irregular states are fast, Hz.

    Returns
    -------
    str
        "quiescent", "asynchronous irregular", "asynchronous regular", "synchronous regular", "fast synchronous
        irregular" or "slow synchronous irregular"; "undetermined" if a measure that is needed is NaN, as the CV is
        where no unit has enough intervals.

    Notes
    -----
    The thresholds are this package's, from no paper. They give the four states of figure 8 of Brunel (2000) their
    names. Networks of 10 000 + 2500 cells as described there, two runs of 1.5 to 2 s, and of 8000 + 2000 cells with
    inhibitory plasticity (Vogels et al. 2011; excitatory cells of one run) had

    ==================  ==========  ================  ==========  ==============  ==========================
    network             CV          excess of the     coherence   peak frequency  name
                                    population CV
    ==================  ==========  ================  ==========  ==============  ==========================
    A                   0.00        0.71              9.6         335 Hz          synchronous regular
    B                   0.79, 0.81  0.87, 0.89        0.78, 0.82  180, 185 Hz     fast synchronous irregular
    C                   0.41, 0.41  0.54, 0.51        0.07, 0.05  130, 140 Hz     asynchronous irregular
    D                   0.64, 0.62  1.84, 1.87        0.22, 0.23  20, 20 Hz       slow synchronous irregular
    before learning     0.01        1.52              13          165 Hz          synchronous regular
    after 3, 8 s of it  0.78, 0.80  0.35, 0.32        0.02, 0.02  20, 15 Hz       asynchronous irregular
    ==================  ==========  ================  ==========  ==============  ==========================

    C has a rhythm too, a weak one: finite networks near the boundary do. Coherence decides on A and B, the population
    CV on D and on volleys without a rhythm. Windows of 0.5 s (coherence of C up to 0.13, of B from 0.65) and 100 of the
    cells give the same names; in 4000 + 1000 cells with 400 + 100 stronger synapses C comes up to 0.17 and B
    down to 0.24. A peak over the median of the spectrum, or over ``poisson``, would not do: low-pass synapses lower the
    median (the ratio was 120 in B, 90 to 320 in the last row), and the other grows with the number of units.

    References
    ----------
    Brunel N (2000) J. Comput. Neurosci. 8:183-208, doi:10.1023/A:1008925309027, figure 8 (names of the states).

    Examples
    --------
    >>> regime(37.0, 0.41, 0.54, 0.05, 0.07, 130.0)
    'asynchronous irregular'
    """
    if rate < quiescent:
        return "quiescent"
    if not np.isfinite([rate, cv, population_cv, floor, coherence]).all():
        return "undetermined"
    excess = excess_population_cv(population_cv, floor)
    together = population_cv >= chance * floor and (excess >= synchronous or coherence >= coherent)
    if cv < regular:
        return "synchronous regular" if together else "asynchronous regular"
    if not together:
        return "asynchronous irregular"
    if not np.isfinite(peak_frequency):
        return "undetermined"
    return f"{'fast' if peak_frequency >= fast else 'slow'} synchronous irregular"


def spike_measures(
    spikes: Spikes,
    min_intervals: int = 10,
    count_bin: float = 0.05,
    window: float = 0.1,
    segment: float = SHORTEST_SEGMENT,
    **thresholds: Any,
) -> xr.Dataset:
    """Measure rate, irregularity, correlation, synchrony and rhythm of a population, and name its state.

    Parameters
    ----------
    spikes : Spikes
        The trains, of a window of stationary activity, without what follows the start of the run.
    min_intervals : int
        Units with fewer intervals have no CV.
    count_bin : float
        Bin of `count_correlation`, s.
    window : float
        Window of `fano_factor`, s.
    segment : float
        Segments of `rate_spectrum`, s.
    **thresholds
        Those of `regime`.

    Returns
    -------
    xarray.Dataset
        ``unit_rate(unit)``, ``unit_cv(unit)``, ``unit_cv2(unit)``, ``unit_fano(unit)``; their means over units ``rate``
        (Hz), ``cv``, ``cv2``, ``fano``; ``n_cv``, the units that have a CV; ``correlation``, ``population_cv``,
        ``population_cv_floor``, ``peak_frequency`` (Hz), ``peak_ratio``, ``coherence``; the attribute ``regime``. What
        is not defined is NaN.

    Raises
    ------
    ValidationError
        If the window is shorter than two bins or windows, or than a segment.
    """
    spectrum = rate_spectrum(spikes, segment=segment)
    units = {
        "rate": (firing_rates(spikes), "Hz", "spikes per second"),
        "cv": (interval_cv(spikes, min_intervals), "1", "CV of the intervals between spikes"),
        "cv2": (interval_cv2(spikes, min_intervals), "1", "CV2 of the intervals between spikes"),
        "fano": (fano_factor(spikes, window), "1", f"variance over mean of the counts in {window:g} s"),
    }
    values: Values = {f"unit_{name}": (("unit",), *what) for name, what in units.items()}
    values |= {name: ((), defined_mean(x), u, f"mean {text}") for name, (x, u, text) in units.items()}
    values |= {
        "n_cv": ((), np.isfinite(units["cv"][0]).sum(), "1", f"units with {min_intervals} intervals or more"),
        "correlation": ((), count_correlation(spikes, count_bin), "1", f"mean of all pairs, counts in {count_bin:g} s"),
        "population_cv": ((), population_cv(spikes), "1", "CV of the population's rate in 1 ms"),
        "population_cv_floor": ((), population_cv_floor(spikes), "1", "the same of independent Poisson units"),
    }
    values |= {
        name: ((), spectrum[name].values, spectrum[name].attrs["units"], spectrum[name].attrs["description"])
        for name in ("peak_ratio", "coherence", "peak_frequency")
    }
    names = ("rate", "cv", "population_cv", "population_cv_floor", "coherence", "peak_frequency")
    state = regime(*(float(values[name][1]) for name in names), **thresholds)
    return labelled(values, regime=state, t_start=spikes.t_start, t_stop=spikes.t_stop, segment=segment, **thresholds)
