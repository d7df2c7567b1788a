"""How often units fire, how irregularly, and how alike their spike trains are.

None of the measures loops over units, so that a million spikes of ten thousand units take about a second. What concerns
a population as a whole, and the name of its state, is in `neurocircuits.analysis.regimes`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.fft import next_fast_len, rfft, rfftfreq

from neurocircuits.analysis._select import Array, ratio
from neurocircuits.analysis.decorrelation import pearson_matrix
from neurocircuits.analysis.trains import Spikes, counts
from neurocircuits.errors import ValidationError

_CHUNK = 2**21  # numbers of filtered trains that are in memory at once
_SILENT = 1e-6  # 1/sqrt(s); a single spike has a size of about 3
_TAIL = 10  # time constants after which the kernel has decayed


def firing_rates(spikes: Spikes) -> Array:
    """Return the number of spikes of each unit per second, shape (n_units,); 0 for silent units."""
    return np.bincount(spikes.unit, minlength=spikes.n_units) / spikes.duration


def interval_cv(spikes: Spikes, min_intervals: int = 10) -> Array:
    """Measure how irregular the intervals between the spikes of each unit are.

    Parameters
    ----------
    spikes : Spikes
        The trains.
    min_intervals : int
        Units with fewer intervals are left out.

    Returns
    -------
    ndarray, shape (n_units,)
        Standard deviation over mean of a unit's intervals: 0 for a regular train, 1 for a Poisson process; NaN for
        units that are left out. `defined_mean` takes the mean over the others.

    Notes
    -----
    A drift of the rate raises it (`interval_cv2` resists that), refractoriness lowers it: 1 - rate t_ref for a Poisson
    process with dead time. The standard deviation is that of the intervals themselves, not divided by n - 1, and a
    short window holds few long intervals; both make it too small where a unit has few spikes.

    References
    ----------
    Softky and Koch (1993) J. Neurosci. 13:334-350.
    """
    owner, interval = _intervals(spikes)
    n = np.bincount(owner, minlength=spikes.n_units)
    mean = ratio(np.bincount(owner, interval, spikes.n_units), n)
    variance = ratio(np.bincount(owner, (interval - mean[owner]) ** 2, spikes.n_units), n)
    return np.where(n >= max(min_intervals, 1), ratio(np.sqrt(variance), mean), np.nan)


def interval_cv2(spikes: Spikes, min_intervals: int = 10) -> Array:
    """Measure how much neighbouring intervals of each unit differ, as `interval_cv` but robust to slow drift.

    Parameters
    ----------
    spikes : Spikes
        The trains.
    min_intervals : int
        Units with fewer intervals are left out.

    Returns
    -------
    ndarray, shape (n_units,)
        Mean of 2 |I(k+1) - I(k)| / (I(k+1) + I(k)): 0 for a regular train, 1 for a Poisson process; NaN for units that
        are left out.

    References
    ----------
    Holt, Softky, Koch and Douglas (1996) J. Neurophysiol. 75:1806-1814.
    """
    owner, interval = _intervals(spikes)
    n = np.bincount(owner, minlength=spikes.n_units)
    same = owner[1:] == owner[:-1]
    terms = ratio(2 * np.abs(np.diff(interval)), interval[1:] + interval[:-1])[same]
    sums = np.bincount(owner[1:][same], terms, spikes.n_units)
    return np.where(n >= max(min_intervals, 2), ratio(sums, n - 1), np.nan)


def fano_factor(spikes: Spikes, window: float, min_mean: float = 0.1) -> Array:
    """Measure how much the spike count of each unit varies from window to window.

    Parameters
    ----------
    spikes : Spikes
        The trains.
    window : float
        Length of the adjoining windows, s; what is left over at the end is not used.
    min_mean : float
        Units with fewer spikes per window are left out.

    Returns
    -------
    ndarray, shape (n_units,)
        Variance over mean of the counts: 0 for a regular train and long windows, 1 for a Poisson process, near CV^2 for
        a renewal process and long windows; NaN for units that are left out.

    Raises
    ------
    ValidationError
        If fewer than two windows fit.

    Notes
    -----
    The variance is divided by the number n of windows, which makes the expected value of a Poisson process 1 - 1/n.
    """
    unit, _, count, n_bins = counts(spikes, window, "fano_factor")
    mean = np.bincount(unit, count, spikes.n_units) / n_bins
    variance = np.bincount(unit, count**2, spikes.n_units) / n_bins - mean**2
    return np.where(mean >= min_mean, ratio(variance, mean), np.nan)


def count_correlation(spikes: Spikes, bin_width: float) -> float:
    """Measure how alike spike counts are, as the mean over all pairs of units.

    Parameters
    ----------
    spikes : Spikes
        The trains.
    bin_width : float
        Bin of the counts, s, commonly 0.005 to 0.05; the value depends on it, so cite it.

    Returns
    -------
    float
        Mean Pearson correlation over pairs of units whose counts vary; NaN if there are fewer than two such units.

    Raises
    ------
    ValidationError
        If fewer than two bins fit.

    Notes
    -----
    Of n z-scored counts the sum has the variance n + n (n - 1) r, which gives the mean r over all pairs without forming
    one of them. It is about 0 in asynchronous states and falls there with the size of the network; independent trains
    scatter around 0 by about sqrt(2/(n (n - 1) B)) with B bins.

    References
    ----------
    Renart et al. (2010) Science 327:587-590, doi:10.1126/science.1179850.
    """
    unit, index, count, n_bins = counts(spikes, bin_width, "count_correlation")
    mean = np.bincount(unit, count, spikes.n_units) / n_bins
    size = np.sqrt(np.maximum(np.bincount(unit, count**2, spikes.n_units) / n_bins - mean**2, 0))
    varies = size > 0
    score = np.divide(1.0, size, out=np.zeros(spikes.n_units), where=varies)
    return _mean_of_pairs(np.bincount(index, count * score[unit], n_bins).var(), int(varies.sum()))


def count_correlations(spikes: Spikes, bin_width: float) -> Array:
    """Return the Pearson correlations of spike counts, (n_units, n_units), for few units (`Spikes.take`).

    NaN for units whose counts do not vary; parameters and errors as for `count_correlation`.
    """
    unit, index, count, n_bins = counts(spikes, bin_width, "count_correlations")
    table = np.zeros((n_bins, spikes.n_units))
    table[index, unit] = count
    return pearson_matrix(table)


def kernel_correlation(
    spikes: Spikes, fast: float = 0.05, slow: float = 0.2, step: float = 0.005, subtract_mean: bool = True
) -> float:
    """Measure how alike trains are after filtering, as the mean over all pairs of units.

    Parameters
    ----------
    spikes : Spikes
        The trains.
    fast, slow : float
        Time constants of the kernel ``exp(-|t|/fast)/fast - exp(-|t|/slow)/slow``, s.
    step : float
        Bin in which trains are filtered, s, short against ``fast``.
    subtract_mean : bool
        Whether each train's mean rate in the window is taken away first.

    Returns
    -------
    float
        Mean of V_ij/sqrt(V_ii V_jj) over pairs of units that fire, V_ij the integral over all times of the product of
        two filtered trains; NaN if there are fewer than two such units.

    Raises
    ------
    ValidationError
        If the time constants are not 0 < fast < slow, or fewer than two bins fit.

    Notes
    -----
    The integral of the kernel is 0, so that a constant rate drops out, but not the rate's onset and end at the borders
    of the window: independent trains of rate r in a window T have a mean of about 0.02 s r/T if means are left in, 0.2
    for 10 Hz in 1 s. A kernel cut at 0.3 s, as in the port below, has not the integral 0 and lets rates in too.

    References
    ----------
    Vogels et al. (2011) Science 334:1569-1573, doi:10.1126/science.1211095, figure 4; kernel as in its port by Chaud,
    Davison and Gleeson (2013), Open Source Brain, VogelsEtAl2011.
    """
    total, n = np.zeros(()), 0
    for filtered in _filtered(spikes, fast, slow, step, subtract_mean):
        size = np.sqrt((np.abs(filtered) ** 2).sum(axis=1))
        fires = size > _SILENT
        total = total + (1.0 / size[fires]) @ filtered[fires]
        n += int(fires.sum())
    return _mean_of_pairs(float((np.abs(total) ** 2).sum()), n)


def kernel_correlations(
    spikes: Spikes, fast: float = 0.05, slow: float = 0.2, step: float = 0.005, subtract_mean: bool = True
) -> Array:
    """Return V_ij/sqrt(V_ii V_jj), (n_units, n_units), for few units (`Spikes.take`).

    NaN for silent units; parameters and errors as for `kernel_correlation`.
    """
    filtered = np.concatenate(list(_filtered(spikes, fast, slow, step, subtract_mean)))
    product = (filtered @ filtered.conj().T).real
    size = np.sqrt(np.diag(product))
    size[size <= _SILENT] = np.nan
    return np.asarray(product / np.outer(size, size))


def defined_mean(values: Array) -> float:
    """Return the mean of the values that are not NaN; NaN if there are none."""
    found = np.asarray(values, float)
    found = found[~np.isnan(found)]
    return float(found.mean()) if found.size else float("nan")


def _mean_of_pairs(power: float, n: int) -> float:
    """Return the mean off-diagonal entry of a correlation matrix (n, n) whose entries add up to ``power``."""
    return float((power - n) / (n * (n - 1))) if n > 1 else float("nan")


def _intervals(spikes: Spikes) -> tuple[Array, Array]:
    """Return unit and length of every interval between spikes of one unit, in the order of units and times."""
    same = spikes.unit[1:] == spikes.unit[:-1]
    return spikes.unit[1:][same], np.diff(spikes.time)[same]


def _filtered(spikes: Spikes, fast: float, slow: float, step: float, subtract_mean: bool) -> Iterator[Array]:
    """Yield filtered trains, some units at a time, as coefficients whose products add up to V_ij (Parseval)."""
    if not 0 < fast < slow < np.inf:
        raise ValidationError(f"kernel_correlation: fast = {fast!r} and slow = {slow!r} must be 0 < fast < slow, in s.")
    unit, index, count, n_bins = counts(spikes, step, "kernel_correlation")
    length = next_fast_len(n_bins + int(_TAIL * slow / step), real=True)
    omega = 2 * np.pi * rfftfreq(length, step)
    kernel = 2 / (1 + (omega * fast) ** 2) - 2 / (1 + (omega * slow) ** 2)
    kernel *= np.sqrt(2 / (length * step))  # 2 for negative frequencies; the kernel is about 0 where there are none
    some = max(1, _CHUNK // length)
    for start in range(0, spikes.n_units, some):
        n = min(some, spikes.n_units - start)
        low, high = np.searchsorted(unit, [start, start + n])
        table = np.zeros((n, n_bins))
        table[unit[low:high] - start, index[low:high]] = count[low:high]
        if subtract_mean:
            table -= table.mean(axis=1, keepdims=True)
        yield rfft(table, length, axis=1) * kernel
