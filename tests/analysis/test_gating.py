"""How much of a signal passes: closed forms of filters, plain least squares, known delays and bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.signal import lfilter

from neurocircuits.analysis import signal_gain, transmission
from neurocircuits.errors import ValidationError


def relaxing(n: int, tau: float, step: float, seed: int, n_signals: int = 1) -> np.ndarray:
    """Noise of unit variance and correlation time tau, (time, signal), by its exact recursion."""
    decay, white = np.exp(-step / tau), np.random.default_rng(seed).normal(size=(n, n_signals))
    white[1:] *= np.sqrt(1 - decay**2)
    return lfilter([1.0], [1.0, -decay], white, axis=0)


def low_pass(s: np.ndarray, tau: float, step: float) -> np.ndarray:
    """A first-order filter of a signal that is constant within steps, (time,)."""
    decay = np.exp(-step / tau)
    return lfilter([1 - decay], [1.0, -decay], s)


# --- gain


def test_gains_are_the_sums_of_impulse_responses() -> None:
    """Rejects signals whose coefficients are mixed up, a lag that is left out, and gains of the future."""
    s = np.random.default_rng(1).normal(size=(600, 2))
    y = 3 + 0.7 * s[:, 0]
    y[1:] += 0.2 * s[:-1, 0] - 0.5 * s[:-1, 1]
    y[2:] += 0.4 * s[:-2, 1]
    gain, error = signal_gain(s[2:], y[2:], 0.005, largest_lag=0.01)
    np.testing.assert_allclose(gain, [0.9, -0.1], atol=1e-12)
    assert (error < 1e-12).all()
    future, error = signal_gain(s[1:], np.append(s[2:, 0], 0.0), 0.005, largest_lag=0.01)
    assert abs(future[0]) < 4 * error[0]


def test_equal_to_least_squares_on_bins() -> None:
    """Against explicit columns. Rejects bins that are not means, and a first bin that lacks its past."""
    rng = np.random.default_rng(2)
    s, y = rng.normal(size=(400, 2)), rng.normal(size=400)
    n = 400 // 4
    bins = np.array([s[4 * k : 4 * k + 4].mean(axis=0) for k in range(n)])
    rate = np.array([y[4 * k : 4 * k + 4].mean() for k in range(n)])
    rows = [np.concatenate([[1.0], bins[k], bins[k - 1], bins[k - 2]]) for k in range(2, n)]
    found = np.linalg.lstsq(np.array(rows), rate[2:], rcond=None)[0]
    gain, _ = signal_gain(s, y, 0.001, largest_lag=0.008, bin_width=0.004)
    np.testing.assert_allclose(gain, [found[1::2].sum(), found[2::2].sum()], rtol=1e-9)


def test_a_filter_keeps_its_gain_and_loses_slope() -> None:
    """A filter of 10 ms and gain 0.6: the slope without lags is 0.6/(1 + 10/50). Rejects a slope that is called gain."""
    step = 1e-3
    s = relaxing(120_000, 0.05, step, 3)[:, 0]
    y = 5 + 0.6 * low_pass(s, 0.01, step)
    gain, error = signal_gain(s, y, step)
    assert gain == pytest.approx(0.6, abs=0.005) and error < 0.005
    slope, error = signal_gain(s, y, step, largest_lag=0.0, bin_width=step)
    assert slope == pytest.approx(0.6 / 1.2, abs=4 * error + 0.005)


def test_errors_are_the_spread_between_recordings() -> None:
    """With noise that is correlated, too. Rejects errors that take samples for independent."""
    step, found = 5e-3, []
    for seed in range(60):
        s, noise = relaxing(1500, 0.05, step, seed, 2).T
        found.append(signal_gain(s, 0.5 * s + noise, step, largest_lag=0.01))
    gains, errors = np.array(found).T
    assert gains.mean() == pytest.approx(0.5, abs=4 * gains.std() / np.sqrt(60))
    assert np.sqrt((errors**2).mean()) == pytest.approx(gains.std(ddof=1), rel=0.35)


def test_a_signal_that_does_not_vary_has_no_gain() -> None:
    s = np.random.default_rng(4).normal(size=(400, 2))
    s[:, 1] = 7.0
    gain, error = signal_gain(s, 2 * s[:, 0], 0.005, largest_lag=0.01)
    assert gain[0] == pytest.approx(2) and np.isnan(gain[1]) and np.isnan(error[1])


# --- transmission


@pytest.mark.parametrize("delay", [0, 7, 30])
def test_a_delayed_copy_is_transmitted_whole(delay: int) -> None:
    """Rejects a lag of the wrong sign."""
    s = relaxing(5000, 0.05, 1e-3, 5)[:, 0]
    correlation, lag = transmission(s[delay:], 4 + 0.1 * s[: len(s) - delay], 1e-3, smoothing=0.0)
    assert correlation == pytest.approx(1, abs=1e-9) and lag == pytest.approx(1e-3 * delay)


def test_what_comes_before_the_signal_is_not_transmitted() -> None:
    """A copy 100 ms early correlates by exp(-100/50) at lag 0 at best. Rejects lags of both signs."""
    s = relaxing(200_000, 0.05, 1e-3, 6)[:, 0]
    correlation, lag = transmission(s[:-100], s[100:], 1e-3, smoothing=0.0)
    assert correlation == pytest.approx(np.exp(-2), abs=0.04) and lag == 0


def test_noise_takes_correlation_away() -> None:
    """Signal and white noise of equal variance, smoothed over 10 samples: closed form of both variances."""
    s = relaxing(100_000, 0.05, 1e-3, 7)[:, 0]
    noise = np.random.default_rng(8).normal(size=len(s))
    weights = 10 - np.abs(np.arange(-9, 10))
    variance = (weights * np.exp(-np.abs(np.arange(-9, 10)) / 50)).sum() / 100
    for smoothing, expected in ((0.0, np.sqrt(1 / 2)), (0.01, np.sqrt(variance / (variance + 1 / 10)))):
        assert transmission(s, s + noise, 1e-3, smoothing=smoothing)[0] == pytest.approx(expected, abs=0.01)


def test_each_signal_has_its_own_transmission() -> None:
    s = relaxing(60_000, 0.05, 1e-3, 9, 3)
    correlation, _ = transmission(s, 3 * s[:, 0] + 4 * s[:, 2], 1e-3, smoothing=0.0)
    np.testing.assert_allclose(correlation, [0.6, 0.0, 0.8], atol=0.08)
    assert np.isnan(transmission(np.ones(500), s[:500, 0], 1e-3)[0])


@pytest.mark.parametrize(
    ("function", "arguments", "settings", "words"),
    [
        (signal_gain, ((400,), (399,)), {}, "same length"),
        (signal_gain, ((400, 2, 1), (400,)), {}, "time, signal"),
        (signal_gain, ((400,), (400,)), {"bin_width": 0.0015}, "a multiple"),
        (signal_gain, ((400,), (400,)), {"largest_lag": -0.1}, "0 or more"),
        (signal_gain, ((400,), (400,)), {"n_blocks": 1}, "2 or more"),
        (signal_gain, ((100,), (100,)), {}, "too few"),
        (transmission, ((400,), (10,)), {}, "same length"),
        (transmission, ((400,), (400,)), {"smoothing": -1.0}, "0 or more"),
        (transmission, ((60,), (60,)), {}, "lag"),
    ],
)
def test_bad_input(function: Any, arguments: Any, settings: dict[str, Any], words: str) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValidationError, match=words):
        function(*(rng.normal(size=shape) for shape in arguments), 0.001, **settings)


def test_signals_that_depend_on_each_other_have_no_gains() -> None:
    s = np.random.default_rng(1).normal(size=500)
    with pytest.raises(ValidationError, match="depend on each other"):
        signal_gain(np.stack([s, 2 * s], axis=1), s, 0.005, largest_lag=0.01)
