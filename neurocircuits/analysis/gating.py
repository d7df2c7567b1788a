"""How much of a signal passes: the gain of a rate on each of several signals, and how faithfully it follows one."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import uniform_filter1d

from neurocircuits.analysis._select import Array
from neurocircuits.analysis.currents import correlation_peak, lagged_correlation
from neurocircuits.declare.checks import check_numbers, is_whole
from neurocircuits.errors import ValidationError


def signal_gain(
    signals: Array,
    rate: Array,
    interval: float,
    largest_lag: float = 0.1,
    bin_width: float = 0.005,
    n_blocks: int = 20,
) -> tuple[Any, Any]:
    """Regress a rate on signals and on their past, all together.

    Parameters
    ----------
    signals : ndarray, shape (time,) or (time, signal)
        Samples of one signal or several, at equal intervals.
    rate : ndarray, shape (time,)
        The rate that may follow them, at the same times.
    interval : float
        Time between samples, s.
    largest_lag : float
        How far back the rate depends on signals, s; 0 for the plain slope of the rate on the signals now.
    bin_width : float
        Bins in which all are averaged first, s; they should be short against correlation times.
    n_blocks : int
        Blocks that are left out in turn.

    Returns
    -------
    gain, standard_error : float, or ndarray of shape (signal,)
        By how much the rate changes with a lasting change of a signal, the sum of its coefficients over lags, and the
        standard error of that. In units of the rate over those of the signal; NaN of a signal that does not vary.

    Raises
    ------
    ValidationError
        If the shapes do not fit, the recording is too short, or signals depend on each other.

    Notes
    -----
    Least squares for y(t) = c + sum_k sum_l h_kl s_k(t - l) + noise, with gain_k = sum_l h_kl. The slope without lags
    falls short of it where the rate follows late: a first-order filter of time constant T lets 1/(1 + T/tau) of the
    gain pass for signals of correlation time tau. What comes later than the largest lag is missed in part.
    Standard errors are those of the jackknife over blocks (Kunsch 1989, doi:10.1214/aos/1176347265), which should be
    long against correlation times; the noise need not be white.

    Examples
    --------
    >>> import numpy as np
    >>> signal = np.random.default_rng(0).normal(size=1000)
    >>> gain, error = signal_gain(signal, 5 + 0.5 * signal, interval=0.005)
    >>> round(gain, 6), error < 1e-12
    (0.5, True)
    """
    check_numbers("signal_gain", interval=interval, largest_lag=largest_lag, bin_width=bin_width)
    s, y = _fitting(signals, rate, "signal_gain")
    width = round(bin_width / interval) if interval > 0 else 0
    if width < 1 or abs(width * interval - bin_width) > 1e-6 * bin_width or not largest_lag >= 0:
        raise ValidationError(
            f"signal_gain: bins of {bin_width:g} s, samples every {interval:g} s and lags up to {largest_lag:g} s. The "
            "interval must be positive, bins a multiple of it, and lags 0 or more."
        )
    if not is_whole(n_blocks) or n_blocks < 2:
        raise ValidationError(f"signal_gain: n_blocks = {n_blocks!r} must be a whole number of 2 or more.")
    n, n_lags = len(y) // width, round(largest_lag / bin_width) + 1
    means, binned = (x[: n * width].reshape(n, width, -1).mean(axis=1) for x in (s, y))
    varies = np.ptp(means, axis=0) > 1e-12 * np.abs(means).max(axis=0, initial=0)
    n_columns = 1 + n_lags * int(varies.sum())
    if n - n_lags + 1 < max(2 * n_blocks, 2 * n_columns):
        raise ValidationError(
            f"signal_gain: {n} bins of {bin_width:g} s are too few for {n_columns} coefficients and {n_blocks} blocks. "
            "Record longer, or take fewer lags or blocks."
        )
    means = means[:, varies] - means[:, varies].mean(axis=0)
    lagged = [means[n_lags - 1 - lag : n - lag] for lag in range(n_lags)]
    columns = np.concatenate([np.ones((n - n_lags + 1, 1)), *lagged], axis=1)
    target = binned[n_lags - 1 :, 0]
    if np.linalg.matrix_rank(columns) < n_columns:
        raise ValidationError(
            "signal_gain: signals, or a signal and its past, depend on each other, so that gains are not defined. "
            "Give independent noise, or largest_lag=0."
        )
    blocks = np.array_split(np.arange(len(target)), n_blocks)
    squares = np.array([columns[rows].T @ columns[rows] for rows in blocks])
    products = np.array([columns[rows].T @ target[rows] for rows in blocks])

    def gains(square: Array, product: Array) -> Array:
        return np.asarray(np.linalg.solve(square, product)[1:].reshape(n_lags, -1).sum(axis=0))

    whole = gains(squares.sum(axis=0), products.sum(axis=0))
    left = np.array(
        [gains(squares.sum(axis=0) - a, products.sum(axis=0) - b) for a, b in zip(squares, products, strict=True)]
    )
    found = np.full((2, len(varies)), np.nan)
    found[:, varies] = whole, np.sqrt((n_blocks - 1) * left.var(axis=0))
    return (found[0], found[1]) if np.ndim(signals) == 2 else (float(found[0, 0]), float(found[1, 0]))


def transmission(
    signals: Array, rate: Array, interval: float, largest_lag: float = 0.05, smoothing: float = 0.01
) -> tuple[Any, Any]:
    """Measure how faithfully a rate follows a signal.

    Parameters
    ----------
    signals : ndarray, shape (time,) or (time, signal)
        Samples of one signal or several, at equal intervals.
    rate : ndarray, shape (time,)
        The rate that may follow them, at the same times.
    interval : float
        Time between samples, s.
    largest_lag : float
        Longest time by which the rate may follow late, s.
    smoothing : float
        Running mean that both are taken over first, s; 0 for none.

    Returns
    -------
    correlation, lag : float, or ndarray of shape (signal,)
        The largest Pearson correlation of signal and rate at lags from 0 on, and its lag, s; NaN where one of them does
        not vary.

    Raises
    ------
    ValidationError
        If the shapes do not fit, or the recording is shorter than twice the largest lag.

    Notes
    -----
    1 for a rate that is a delayed, scaled copy; less with noise and with what a filter takes away. The largest of many
    lags is a little above 0 for a signal that does not pass, the less the longer the recording.

    Examples
    --------
    >>> import numpy as np
    >>> signal = np.cumsum(np.random.default_rng(0).normal(size=1000))
    >>> correlation, lag = transmission(signal[5:], 2 * signal[:-5], interval=0.001)
    >>> round(correlation, 6), lag
    (1.0, 0.005)
    """
    check_numbers("transmission", interval=interval, largest_lag=largest_lag, smoothing=smoothing)
    s, y = _fitting(signals, rate, "transmission")
    if not (interval > 0 and smoothing >= 0 and largest_lag >= 0):
        raise ValidationError(
            f"transmission: samples every {interval:g} s, smoothing over {smoothing:g} s and lags up to "
            f"{largest_lag:g} s. The interval must be positive, the others 0 or more."
        )
    width = max(1, round(smoothing / interval))
    s, y = (uniform_filter1d(x, width, axis=0, mode="nearest") for x in (s, y))
    lags, correlation = lagged_correlation(s, np.broadcast_to(y[:, None], s.shape), interval, largest_lag)
    later = lags >= 0
    peak, lag = correlation_peak(lags[later], correlation[later])
    return (peak, lag) if np.ndim(signals) == 2 else (float(peak[0]), float(lag[0]))


def _fitting(signals: Array, rate: Array, owner: str) -> tuple[Array, Array]:
    s, y = np.asarray(signals, float), np.asarray(rate, float)
    if s.ndim not in (1, 2) or y.ndim != 1 or len(s) != len(y) or not s.size:
        raise ValidationError(
            f"{owner}: signals {s.shape} and rate {y.shape} must be (time,) or (time, signal), and (time,), of the "
            "same length."
        )
    return s.reshape(len(s), -1), y
