"""Excitation and inhibition of spiking cells, sampled in time: together in time, in amplitude and in each channel.

Both are magnitudes: the inward excitatory and the outward inhibitory current positive, or two conductances. "Tight" has
two meanings, in time (`lagged_correlation`) and in amplitude (`balance_index`); a number needs the name of its axis.
Measures over presentations of graded circuits are in `neurocircuits.analysis.balance`.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr
from scipy.fft import irfft, next_fast_len, rfft

from neurocircuits.analysis._select import Array, Values, check_shapes, labelled, ratio, samples, units_of
from neurocircuits.declare.checks import check_numbers
from neurocircuits.errors import ValidationError

_ROUNDING = 1e-9  # of correlations that are equal but for rounding


def lagged_correlation(
    excitation: Array, inhibition: Array, interval: float, largest_lag: float = 0.05
) -> tuple[Array, Array]:
    """Correlate excitation now with inhibition later.

    Parameters
    ----------
    excitation, inhibition : ndarray, shape (time,) or (time, unit)
        Samples at equal intervals.
    interval : float
        Time between samples, s.
    largest_lag : float
        Largest lag either way, s.

    Returns
    -------
    lags : ndarray, shape (lag,)
        From ``-largest_lag`` to ``largest_lag`` in steps of the interval, s; positive where inhibition comes after
        excitation.
    correlation : ndarray, shape (lag,) or (lag, unit)
        Pearson correlation of the samples that overlap at each lag; NaN where one of them does not vary.

    Raises
    ------
    ValidationError
        If the shapes differ, or less than half of the samples overlap at the largest lag.

    Notes
    -----
    Near 1 at the peak: tight in time. Near 0 for fast fluctuations and near 1 after smoothing over 100 ms: loose in
    time. Currents of one cell share its voltage, through their driving forces, and are correlated by that alone: give
    conductances, or currents at a clamped voltage, for a clean test.

    References
    ----------
    Okun and Lampl (2008) Nat. Neurosci. 11:535-537. Deneve and Machens (2016) Nat. Neurosci. 19:375,
    doi:10.1038/nn.4243 (tight and loose in time).

    Examples
    --------
    >>> import numpy as np
    >>> signal = np.sin(np.arange(60.0) ** 2)
    >>> lags, correlation = lagged_correlation(signal[5:], signal[:-5], interval=0.001, largest_lag=0.01)
    >>> correlation_peak(lags, correlation)
    (1.0, 0.005)
    """
    e, i = _pair(excitation, inhibition, "lagged_correlation")
    check_numbers("lagged_correlation", interval=interval, largest_lag=largest_lag)
    n, most = e.shape[0], round(largest_lag / interval) if interval > 0 else -1
    if not 0 <= most <= n // 2:
        raise ValidationError(
            f"lagged_correlation: lags up to {largest_lag:g} s of {n} samples every {interval:g} s. The interval must "
            "be positive and the largest lag 0 to half of the recording, so that half of the samples overlap."
        )
    steps = np.arange(-most, most + 1)
    e, i = (x - x.mean(axis=0) for x in (e, i))
    length = next_fast_len(n + most, real=True)
    products = irfft(rfft(e, length, axis=0).conj() * rfft(i, length, axis=0), length, axis=0)[steps]
    first, later = np.maximum(-steps, 0), np.maximum(steps, 0)
    overlap = (n - np.abs(steps)).reshape(-1, *[1] * (e.ndim - 1))
    (sum_e, power_e), (sum_i, power_i) = (
        (_sums(x, start, overlap), _sums(x**2, start, overlap)) for x, start in ((e, first), (i, later))
    )
    covariance = products - sum_e * sum_i / overlap
    variances = [
        np.where(power - total**2 / overlap > 1e-12 * power.max(axis=0), power - total**2 / overlap, 0)
        for total, power in ((sum_e, power_e), (sum_i, power_i))
    ]
    return steps * interval, np.clip(ratio(covariance, np.sqrt(variances[0] * variances[1])), -1, 1)


def correlation_peak(lags: Array, correlation: Array) -> tuple[Any, Any]:
    """Return the largest correlation and its lag, for each unit if there are several.

    Parameters
    ----------
    lags : ndarray, shape (lag,)
        Lags, s.
    correlation : ndarray, shape (lag,) or (lag, unit)
        As of `lagged_correlation`.

    Returns
    -------
    peak, lag : float, or ndarray of shape (unit,)
        Of equal peaks the one at the shortest lag; NaN if nothing varies. The lag is resolved to the sampling interval;
        1 to 5 ms are typical of circuits whose inhibition is disynaptic.

    Raises
    ------
    ValidationError
        If the shapes do not fit.
    """
    values, lags = np.asarray(correlation, float), np.asarray(lags, float)
    dims = "lag unit" if values.ndim > 1 else "lag"
    check_shapes("correlation_peak", lags=(lags, "lag"), correlation=(values, dims))
    filled = np.where(np.isnan(values), -np.inf, values)
    peak = filled.max(axis=0)
    size = np.abs(lags).reshape(-1, *[1] * (values.ndim - 1))
    best = np.where(filled >= peak - _ROUNDING, size, np.inf).argmin(axis=0)
    found = np.isfinite(peak)
    peak, lag = np.where(found, peak, np.nan), np.where(found, lags[best], np.nan)
    return _plain(peak), _plain(lag)


def balance_index(excitation: Array, inhibition: Array, leak: Any = 0.0) -> dict[str, Any]:
    """Compare the net current with what cancels in it.

    Parameters
    ----------
    excitation, inhibition : ndarray, shape (time,) or (time, unit)
        Currents, magnitudes in one unit.
    leak : float or ndarray that broadcasts to them
        Outward leak current, which counts in the net but not in what it is compared with. State whether it was given.

    Returns
    -------
    dict
        ``index_time``, <|E - I - L|>/(<|E|> + <|I|>) with <.> the mean over time, and ``index_mean``,
        |<E> - <I> - <L>|/(<E> + <I>); a float, or (unit,). 0 perfect, 1 none; near 0 is tight in amplitude. NaN without
        current.

    Raises
    ------
    ValidationError
        If the shapes do not fit.

    Notes
    -----
    State which: of magnitudes the first is never smaller than the second, which does not see fluctuations. With the
    leak either may exceed 1. A common scale of all currents changes nothing.

    References
    ----------
    Ahmadian and Miller (2021) What is the dynamical regime of cerebral cortex?, Neuron, arXiv:1908.10101.

    Examples
    --------
    >>> import numpy as np
    >>> balance_index(np.array([2.0, 4.0]), np.array([3.0, 3.0]))
    {'index_time': 0.16666666666666666, 'index_mean': 0.0}
    """
    e, i = _pair(excitation, inhibition, "balance_index")
    net = e - i - _broadcast(leak, e.shape, "balance_index")
    return {
        "index_time": _plain(ratio(np.abs(net).mean(axis=0), np.abs(e).mean(axis=0) + np.abs(i).mean(axis=0))),
        "index_mean": _plain(ratio(np.abs(net.mean(axis=0)), e.mean(axis=0) + i.mean(axis=0))),
    }


def ei_ratio(excitation: Array, inhibition: Array, relative_to: Literal["sum", "inhibition"] = "sum") -> Any:
    """Compare mean excitation with mean inhibition.

    Parameters
    ----------
    excitation, inhibition : ndarray, shape (time,) or (time, unit)
        Currents or conductances, magnitudes in one unit.
    relative_to : {"sum", "inhibition"}
        <E>/(<E> + <I>) or <E>/<I>.

    Returns
    -------
    float, or ndarray of shape (unit,)
        Of currents 0.5 of the sum, or 1 of inhibition, is balanced. A ratio of conductances has no such value, since
        the driving forces differ. NaN without input.

    Raises
    ------
    ValidationError
        If the shapes differ, or the reference is neither.
    """
    e, i = (x.mean(axis=0) for x in _pair(excitation, inhibition, "ei_ratio"))
    if relative_to not in ("sum", "inhibition"):
        raise ValidationError(f"ei_ratio: relative_to = {relative_to!r}. Allowed: 'sum', 'inhibition'.")
    return _plain(ratio(e, i + e if relative_to == "sum" else i))


def detailed_balance(excitation: Array, inhibition: Array, leak: Any = 0.0) -> dict[str, float]:
    """Compare excitation and inhibition channel by channel.

    Parameters
    ----------
    excitation, inhibition : ndarray, shape (channel,) or (time, channel)
        Currents that one cell receives through each channel (pathway, signal), magnitudes in one unit; means over time
        are taken first.
    leak : float or ndarray, shape (time,)
        Outward leak current of the cell. Each of the K channels carries 1/K of its mean on the side of inhibition.

    Returns
    -------
    dict
        ``correlation``, the Pearson correlation of mean excitation and mean inhibition over channels (NaN where one is
        flat), and ``mismatch``, the root mean square of their difference over the mean of excitation (NaN without
        excitation). 1 and 0 is detailed balance.

    Raises
    ------
    ValidationError
        If the shapes differ, or there are fewer than two channels.

    Notes
    -----
    The order of channels does not matter. A cell can be balanced in all, with flat inhibition, and in no channel. The
    correlation sees tuning only, not size, and is the same with and without leak; the mismatch sees both. Without the
    leak's share a cell at rest looks unbalanced: part of its excitation is cancelled by the leak.

    References
    ----------
    Vogels and Abbott (2009) Nat. Neurosci. 12:483-491, doi:10.1038/nn.2276 (detailed balance). Vogels et al. (2011)
    Science 334:1569-1573, doi:10.1126/science.1211095; their program adds an eighth of the leak to each of 8 signals.

    Examples
    --------
    >>> import numpy as np
    >>> detailed_balance(np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.5, 2.5]), leak=1.5)
    {'correlation': 1.0, 'mismatch': 0.0}
    """
    e, i = _pair(excitation, inhibition, "detailed_balance")
    e, i = (x.mean(axis=0) if x.ndim == 2 else x for x in (e, i))
    if e.size < 2:
        raise ValidationError(f"detailed_balance: {e.size} channel; two or more are needed. Give (time, channel).")
    i = i + np.mean(np.asarray(leak, float)) / e.size
    centred = [x - x.mean() for x in (e, i)]
    flat = any(np.abs(c).max() <= 1e-12 * np.abs(x).max() for c, x in zip(centred, (e, i), strict=True))
    size = np.sqrt((centred[0] @ centred[0]) * (centred[1] @ centred[1]))
    return {
        "correlation": float("nan") if flat else float(ratio(centred[0] @ centred[1], size)),
        "mismatch": float(ratio(np.sqrt(np.mean((e - i) ** 2)), e.mean())),
    }


def current_balance(
    tree: xr.DataTree,
    population: str,
    phase: str | None = None,
    excitation: str = "excitation",
    inhibition: str = "inhibition",
    leak: Any = 0.0,
    largest_lag: float = 0.05,
) -> xr.Dataset:
    """Measure how inhibition balances excitation of each unit of a spiking population, over the samples of a phase.

    Parameters
    ----------
    tree : xarray.DataTree
        Needs both variables of the population, recorded at equal intervals.
    population : str
        Name of the population.
    phase : str or None
        Name of the phase; None if only one was recorded.
    excitation, inhibition : str
        Names of the variables; with conductances only correlation and lag have a meaning of their own.
    leak : float or ndarray that broadcasts to (time, unit)
        As for `balance_index`.
    largest_lag : float
        As for `lagged_correlation`, s.

    Returns
    -------
    xarray.Dataset
        ``correlation(lag, unit)``; ``peak(unit)`` and ``lag_of_peak(unit)`` (s); ``index_time(unit)`` and
        ``index_mean(unit)`` (`balance_index`); ``ei_ratio(unit)``, of the sum. The coordinate ``lag`` in s.

    Raises
    ------
    ValidationError
        If something needed was not recorded, or not at equal intervals.
    """
    data = samples(tree, population, (excitation, inhibition), phase, ends=False)
    times = data["time"].values
    intervals = np.diff(times)
    if intervals.size < 1 or not np.ptp(intervals) <= 1e-6 * intervals.mean():
        raise ValidationError(
            f"population '{population}': {times.size} samples that are not at equal intervals, or fewer than two. "
            "Record the phase at an interval: record=Record(..., interval='1 ms')."
        )
    e, i = (data[name].transpose("time", "unit").values for name in (excitation, inhibition))
    lags, correlation = lagged_correlation(e, i, float(intervals.mean()), largest_lag)
    peak, lag = correlation_peak(lags, correlation)
    index = balance_index(e, i, leak)
    values: Values = {
        "correlation": (("lag", "unit"), correlation, "1", "Pearson correlation, inhibition later by the lag"),
        "peak": (("unit",), peak, "1", "largest correlation"),
        "lag_of_peak": (("unit",), lag, "s", "lag of the largest correlation"),
        "index_time": (("unit",), index["index_time"], "1", "mean |net| / mean (|E| + |I|)"),
        "index_mean": (("unit",), index["index_mean"], "1", "|mean net| / mean (E + I)"),
        "ei_ratio": (("unit",), ei_ratio(e, i), "1", "mean E / mean (E + I)"),
    }
    return labelled(values, units_of(data) | {"lag": lags}, population=population)


def _pair(excitation: Array, inhibition: Array, owner: str) -> tuple[Array, Array]:
    """Return both as arrays of one shape."""
    e, i = np.asarray(excitation, float), np.asarray(inhibition, float)
    if e.shape != i.shape or e.ndim not in (1, 2) or e.shape[0] < 1:
        raise ValidationError(
            f"{owner}: excitation {e.shape} and inhibition {i.shape} must have one shape, (n,) or (time, n), with a "
            "sample or more."
        )
    return e, i


def _broadcast(leak: Any, shape: tuple[int, ...], owner: str) -> Array:
    """Return the leak in the shape of the currents."""
    try:
        return np.broadcast_to(np.asarray(leak, float), shape)
    except ValueError:
        raise ValidationError(
            f"{owner}: leak {np.shape(leak)} does not broadcast to the currents {shape}. Give a number, or one value "
            "for each sample."
        ) from None


def _plain(value: Any) -> Any:
    """Return a number as float, an array as it is."""
    return float(value) if np.ndim(value) == 0 else value


def _sums(x: Array, start: Array, n: Array) -> Array:
    """Return the sums over ``n`` samples from ``start`` on, for each pair of them."""
    total = np.concatenate([np.zeros_like(x[:1]), np.cumsum(x, axis=0)])
    return np.asarray(total[start + n.ravel()] - total[start])
