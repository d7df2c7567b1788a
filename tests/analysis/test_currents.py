"""Balance of sampled excitation and inhibition: known lags, closed forms, plain loops and invariances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurocircuits.analysis import (
    balance_index,
    balance_measures,
    correlation_peak,
    current_balance,
    detailed_balance,
    ei_ratio,
    lagged_correlation,
)
from neurocircuits.errors import ValidationError
from tests.analysis.conftest import make_tree

MAGNITUDES = st.just(0.0) | st.floats(1e-3, 1e3)
PAIRS = st.lists(st.tuples(MAGNITUDES, MAGNITUDES), min_size=2, max_size=20)


def signal(n: int = 2000, seed: int = 0) -> np.ndarray:
    """Return a positive random signal with a correlation time of about ten samples."""
    white = np.random.default_rng(seed).normal(size=n + 50)
    return 5 + np.convolve(white, np.exp(-np.arange(51) / 10), mode="valid")


# --- in time


@pytest.mark.parametrize("delay", [-40, -3, 0, 1, 17, 50])
def test_a_delayed_copy_has_its_delay_as_lag(delay: int) -> None:
    """Rejects: a sign of the lag the other way round, and correlations that shrink as the overlap does."""
    source = signal(2200)
    e, i = source[100:2100], 3 * source[100 - delay : 2100 - delay] + 7
    lags, correlation = lagged_correlation(e, i, 0.001)
    peak, lag = correlation_peak(lags, correlation)
    assert peak == pytest.approx(1, abs=1e-12)
    assert lag == 0.001 * delay
    assert correlation_peak(*lagged_correlation(i, e, 0.001))[1] == -0.001 * delay


@pytest.mark.parametrize("delay", [-0.012, 0.0, 0.003, 0.03])
def test_a_delayed_spike_train_has_its_delay_as_lag(delay: float) -> None:
    times = np.sort(np.random.default_rng(1).uniform(0.1, 9.9, 300))
    edges = 0.001 * np.arange(10001) + 0.0005
    times = np.round(times, 3)
    e, i = (np.histogram(times + shift, edges)[0] for shift in (0, delay))
    peak, lag = correlation_peak(*lagged_correlation(e, i, 0.001))
    assert (peak, lag) == (pytest.approx(1, abs=1e-2), pytest.approx(delay, abs=1e-12))


def test_correlation_against_a_plain_loop() -> None:
    e, i = (np.stack([signal(300, seed), signal(300, seed + 5)], axis=1) for seed in (0, 1))
    lags, correlation = lagged_correlation(e, i, 0.002, largest_lag=0.03)
    np.testing.assert_allclose(lags, 0.002 * np.arange(-15, 16), atol=1e-15)
    for unit in range(2):
        for k, step in enumerate(range(-15, 16)):
            now, later = (e[: 300 - step, unit], i[step:, unit]) if step >= 0 else (e[-step:, unit], i[:step, unit])
            assert correlation[k, unit] == pytest.approx(np.corrcoef(now, later)[0, 1], abs=1e-12)
        one = lagged_correlation(e[:, unit], i[:, unit], 0.002, largest_lag=0.03)[1]
        np.testing.assert_allclose(one, correlation[:, unit], atol=1e-12)
    peak, lag = correlation_peak(lags, correlation)
    np.testing.assert_allclose(peak, correlation.max(axis=0))
    np.testing.assert_allclose(lag, lags[correlation.argmax(axis=0)])


def test_swapping_reverses_the_lags() -> None:
    e, i = signal(500, 0), signal(500, 1)
    forth, back = (lagged_correlation(*pair, 0.001)[1] for pair in ((e, i), (i, e)))
    np.testing.assert_allclose(forth, back[::-1], atol=1e-12)


def test_of_equal_peaks_the_nearest_counts() -> None:
    """Rejects: the first of the peaks of a periodic signal, at -40 ms."""
    wave = np.sin(2 * np.pi * np.arange(1000) / 20)
    assert correlation_peak(*lagged_correlation(wave, np.roll(wave, 2), 0.001))[1] == pytest.approx(0.002)


def test_what_does_not_vary_has_no_correlation() -> None:
    e = np.stack([signal(200), np.full(200, 0.1)], axis=1)
    lags, correlation = lagged_correlation(e, e, 0.001)
    assert np.isnan(correlation[:, 1]).all()
    assert np.isfinite(correlation[:, 0]).all()
    peak, lag = correlation_peak(lags, correlation)
    assert np.isnan([peak[1], lag[1]]).all()
    assert np.isnan(correlation_peak(*lagged_correlation(np.ones(9), np.arange(9.0), 1.0, 2.0))).all()


# --- in amplitude


@given(PAIRS, st.floats(1e-3, 1e3))
def test_invariances_of_the_index(pairs: list[tuple[float, float]], scale: float) -> None:
    e, i = np.array(pairs).T
    one, other = balance_index(e, i), balance_index(scale * e, scale * i)
    np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(list(one.values()), list(balance_index(i, e).values()), rtol=1e-9, atol=1e-12)
    if (e + i).any():
        assert one["index_mean"] <= one["index_time"] + 1e-12 <= 1 + 2e-12
        expected = balance_measures(e, i)
        assert one["index_time"] == pytest.approx(expected["index_time"], abs=1e-12)
        assert ei_ratio(e, i) == pytest.approx(expected["ei_ratio"], abs=1e-12)


def test_perfect_and_no_balance() -> None:
    e = signal()
    assert balance_index(e, e) == {"index_time": 0, "index_mean": 0}
    assert balance_index(e, 0 * e) == pytest.approx({"index_time": 1, "index_mean": 1})
    assert balance_index(0 * e, e) == pytest.approx({"index_time": 1, "index_mean": 1})
    assert all(math.isnan(value) for value in balance_index(0 * e, 0 * e).values())


def test_balance_of_means_does_not_see_fluctuations() -> None:
    e, i = np.array([4.0, 0.0]), np.array([0.0, 4.0])
    assert balance_index(e, i) == {"index_time": 1, "index_mean": 0}


def test_the_leak_counts_in_the_net_only() -> None:
    """Rejects: a leak that is added to what the net is compared with, which would give 2/14."""
    e, i = np.array([6.0, 6.0]), np.array([3.0, 5.0])
    assert balance_index(e, i, 2.0) == pytest.approx({"index_time": 0.1, "index_mean": 0})
    assert balance_index(e, i, np.array([3.0, 1.0])) == {"index_time": 0, "index_mean": 0}
    both = balance_index(np.stack([e, e], axis=1), np.stack([i, e], axis=1), np.array([2.0, 0.0]))
    np.testing.assert_allclose(both["index_time"], [0.1, 0])


def test_currents_that_change_sign() -> None:
    """Beyond its reversal potential a current turns round; magnitudes keep the denominator of the first positive."""
    e, i = np.array([3.0, 3.0]), np.array([2.0, -1.0])
    index = balance_index(e, i)
    assert index["index_time"] == pytest.approx(2.5 / 4.5)
    assert index["index_mean"] == pytest.approx(2.5 / 3.5)


def test_ratios() -> None:
    e, i = np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([[6.0, 0.0], [2.0, 0.0]])
    np.testing.assert_allclose(ei_ratio(e, i), [1 / 3, np.nan])
    np.testing.assert_allclose(ei_ratio(e, i, "inhibition"), [0.5, np.nan])
    assert ei_ratio(np.ones(3), np.ones(3)) == 0.5


# --- in each channel


def test_detailed_balance_against_numpy() -> None:
    random = np.random.default_rng(2)
    e, i = random.random((50, 8)), random.random((50, 8))
    leak = random.random(50)
    found = detailed_balance(e, i, leak)
    x, y = e.mean(axis=0), i.mean(axis=0) + leak.mean() / 8
    assert found["correlation"] == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert found["mismatch"] == pytest.approx(math.sqrt(np.mean((x - y) ** 2)) / x.mean())
    assert detailed_balance(x, y) == pytest.approx(found)


def test_order_of_channels_does_not_matter_but_their_match_does() -> None:
    """Shuffling inhibition over channels spoils detailed balance and leaves the balance of all input as it is."""
    e = np.array([0.05, 0.05, 0.06, 0.13, 0.21, 0.13, 0.06, 0.05])
    i = e - 0.01
    order = np.random.default_rng(0).permutation(8)
    assert detailed_balance(e[order], i[order], 0.08) == pytest.approx(detailed_balance(e, i, 0.08))
    assert detailed_balance(e, i, 0.08) == pytest.approx({"correlation": 1, "mismatch": 0}, abs=1e-12)
    shuffled = detailed_balance(e, np.roll(i, 4), 0.08)
    assert shuffled["correlation"] < 0
    assert shuffled["mismatch"] > 0.5
    total = [balance_index(np.atleast_1d(e.sum()), np.atleast_1d(x.sum()), 0.08) for x in (i, np.roll(i, 4))]
    assert total[0] == pytest.approx(total[1], abs=1e-12)


def test_flat_inhibition_has_a_size_and_no_tuning() -> None:
    found = detailed_balance(np.array([1.0, 2.0, 3.0]), np.full(3, 2.0))
    assert math.isnan(found["correlation"])
    assert found["mismatch"] == pytest.approx(math.sqrt(2 / 3) / 2)
    assert math.isnan(detailed_balance(np.zeros(3), np.ones(3))["mismatch"])


# --- of a tree


def recorded(e: np.ndarray, i: np.ndarray) -> Any:
    """Return a tree of one presentation recorded every millisecond."""
    n = len(e)
    tree = make_tree(r=np.ones(e.shape), excitation=e, inhibition=i, presentation=np.zeros(n, int), unit=[2, 7])
    data = tree["/populations/E"].to_dataset().assign_coords(time=0.5 + 0.001 * np.arange(1, n + 1))
    tree["/populations/E"].dataset = data.assign_coords(time_in_presentation=("time", 0.001 * np.arange(1, n + 1)))
    return tree


def test_balance_of_a_recording() -> None:
    source = signal(700)
    e, i = np.stack([source[50:650], source[:600]], axis=1), np.stack([source[46:646], source[7:607]], axis=1)
    result = current_balance(recorded(e, i), "E", leak=0.1)
    np.testing.assert_allclose(result["lag_of_peak"], [0.004, -0.007], atol=1e-9)
    np.testing.assert_allclose(result["peak"], 1)
    assert result["unit"].values.tolist() == [2, 7]
    np.testing.assert_allclose(result["index_time"], balance_index(e, i, 0.1)["index_time"])
    np.testing.assert_allclose(result["ei_ratio"], ei_ratio(e, i))
    assert result["correlation"].sizes == {"lag": 101, "unit": 2}


def test_a_recording_needs_equal_intervals() -> None:
    tree = make_tree(presentation=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12])
    with pytest.raises(ValidationError, match="not at equal intervals.*Record the phase at an interval"):
        current_balance(tree, "E")
    with pytest.raises(ValidationError, match="no recorded activity of 'g_e'"):
        current_balance(tree, "E", excitation="g_e")


# --- what is wrong

ONES = np.ones(10)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: lagged_correlation(ONES, np.ones(9), 0.001), r"excitation \(10,\) and inhibition \(9,\)"),
        (lambda: lagged_correlation(ONES, ONES, 0.001), "lags up to 0.05 s of 10 samples every 0.001 s"),
        (lambda: lagged_correlation(ONES, ONES, 0.0), "must be positive"),
        (lambda: lagged_correlation(ONES, ONES, 1.0, -1.0), "0 to half of the recording"),
        (lambda: lagged_correlation(ONES, ONES, math.nan), "interval is nan"),
        (lambda: balance_index(np.ones((2, 3, 4)), np.ones((2, 3, 4))), "must have one shape"),
        (lambda: balance_index([], []), "a sample or more"),
        (lambda: balance_index(ONES, ONES, np.ones(3)), r"leak \(3,\) does not broadcast to the currents \(10,\)"),
        (lambda: ei_ratio(ONES, ONES, "excitation"), "Allowed: 'sum', 'inhibition'"),
        (lambda: detailed_balance(np.ones((10, 1)), np.ones((10, 1))), "1 channel; two or more"),
    ],
)
def test_wrong_input(call: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        call()
