"""Measures of spike trains against processes with known answers, plain loops, closed forms and Elephant."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest
import xarray as xr

from neurocircuits.analysis import (
    Spikes,
    count_correlation,
    count_correlations,
    defined_mean,
    fano_factor,
    firing_rates,
    interval_cv,
    interval_cv2,
    kernel_correlation,
    kernel_correlations,
    recorded_spikes,
    to_neo,
    to_pynapple,
)
from neurocircuits.errors import NeurocircuitsError, UnsupportedError, ValidationError
from tests.analysis.conftest import make_tree

ERRORS = 3  # standard errors that a random measure may be off


def poisson(n_units: int, rate: float, t_stop: float, seed: int = 0, dead: float = 0.0) -> Spikes:
    """Return trains of intervals ``dead`` plus an exponential, from equilibrium on, in a random order."""
    random = np.random.default_rng(seed)
    n = int(rate * t_stop + 10 * math.sqrt(rate * t_stop) + 20)
    times = np.cumsum(dead + random.exponential(1 / rate - dead, size=(n_units, n)), axis=1) - 5 / rate
    assert times[:, -1].min() > t_stop
    order = random.permutation(times.size)
    return Spikes(np.repeat(np.arange(n_units), n)[order], times.ravel()[order], n_units, 0.0, t_stop)


def periodic(n_units: int, period: float, t_stop: float) -> Spikes:
    """Return regular trains, shifted against one another."""
    n = round(t_stop / period)
    times = period * (np.arange(n) + (np.arange(n_units)[:, None] + 0.5) / n_units)
    return Spikes(np.repeat(np.arange(n_units), n), times.ravel(), n_units, 0.0, t_stop)


def irregular(seed: int = 3) -> Spikes:
    """Return a few trains of different rates, one with a single spike and one with none."""
    random = np.random.default_rng(seed)
    unit = np.concatenate([np.repeat(np.arange(5), [40, 25, 60, 15, 1]), random.integers(0, 3, 30)])
    return Spikes(random.permutation(unit), random.uniform(-0.5, 4.5, unit.size), 6, 0.5, 4.0)


def of_unit(spikes: Spikes, unit: int) -> np.ndarray:
    return np.sort(spikes.time[spikes.unit == unit])


# --- the window


def test_a_window_is_half_open_and_sorted() -> None:
    """Rejects: a window that counts a spike twice, or sorts times without their units."""
    spikes = Spikes([2, 0, 2, 1, 0], [0.5, 1.0, 0.2, 2.0, 0.1], 4, 0.2, 2.0)
    assert spikes.unit.tolist() == [0, 2, 2]
    assert spikes.time.tolist() == [1.0, 0.2, 0.5]
    assert firing_rates(spikes).tolist() == pytest.approx([1 / 1.8, 0, 2 / 1.8, 0])


def test_rounding_of_times_moves_no_spike() -> None:
    """Rejects: bins by a plain floor, which puts 0.0001 * 30 into the bin before 0.003 and makes counts of 9 and 11."""
    steps = 0.0001 * np.arange(20000)
    spikes = Spikes(np.zeros(steps.size, int), steps, 1, 0.3, 1.3)
    assert firing_rates(spikes)[0] == 10000
    assert fano_factor(spikes, 0.001)[0] == 0
    assert fano_factor(Spikes(spikes.unit, steps[3000:13000] + 1000.0, 1, 1000.3, 1001.3), 0.001)[0] == 0


def test_the_order_of_spikes_does_not_matter() -> None:
    spikes = irregular()
    order = np.random.default_rng(0).permutation(spikes.unit.size)
    other = Spikes(spikes.unit[order], spikes.time[order], 6, 0.5, 4.0)
    for measure in (interval_cv, interval_cv2):
        np.testing.assert_array_equal(measure(spikes), measure(other))
    assert count_correlation(spikes, 0.05) == count_correlation(other, 0.05)


def test_some_units_are_numbered_anew() -> None:
    spikes = irregular()
    some = spikes.take([4, 0])
    np.testing.assert_array_equal(some.time[some.unit == 1], of_unit(spikes, 0))
    assert some.n_units == 2
    assert of_unit(some, 0).size == of_unit(spikes, 4).size


def test_spikes_of_a_tree() -> None:
    tree = make_tree(r=np.ones((12, 4)))
    tree["/spikes/E"] = xr.DataTree(xr.Dataset({"unit": ("event", [3, 0]), "time": ("event", [0.4, 0.6])}))
    spikes = recorded_spikes(tree, "E", 0.0, 0.5)
    assert (spikes.n_units, spikes.unit.tolist(), spikes.time.tolist()) == (4, [3], [0.4])
    with pytest.raises(ValidationError, match="no group '/spikes/S'; it has spikes: 'E'"):
        recorded_spikes(tree, "S", 0.0, 0.5)


# --- single trains


def test_poisson_trains() -> None:
    n_units, rate, t_stop, window = 60, 40.0, 50.0, 0.1
    spikes = poisson(n_units, rate, t_stop)
    n, n_windows = n_units * rate * t_stop, n_units * t_stop / window
    assert firing_rates(spikes).mean() == pytest.approx(rate, abs=ERRORS * math.sqrt(rate / t_stop / n_units))
    assert defined_mean(interval_cv(spikes)) == pytest.approx(1, abs=ERRORS / math.sqrt(n))
    assert defined_mean(interval_cv2(spikes)) == pytest.approx(1, abs=ERRORS * math.sqrt(0.5 / n))
    assert defined_mean(fano_factor(spikes, window)) == pytest.approx(1, abs=ERRORS * math.sqrt(2 / n_windows))


@pytest.mark.parametrize("dead", [0.002, 0.005, 0.015])
def test_dead_time_makes_poisson_trains_regular(dead: float) -> None:
    """The CV is 1 - rate t_ref, and the Fano factor of long windows its square."""
    spikes = poisson(40, 40.0, 80.0, dead=dead)
    cv = 1 - 40 * dead
    assert defined_mean(interval_cv(spikes)) == pytest.approx(cv, abs=ERRORS * cv / math.sqrt(40 * 40 * 80))
    assert defined_mean(fano_factor(spikes, 1.0)) == pytest.approx(cv**2, rel=0.1)


def test_regular_trains() -> None:
    spikes = periodic(7, 0.02, 4.0)
    np.testing.assert_allclose(interval_cv(spikes), 0, atol=1e-10)
    np.testing.assert_allclose(interval_cv2(spikes), 0, atol=1e-10)
    short, long = (fano_factor(spikes, window).max() for window in (0.03, 0.33))
    assert 0.1 < short < 0.3
    assert long < 0.02


def test_slow_drift_raises_the_cv_and_not_cv2() -> None:
    """Rejects: CV2 of pairs that are not neighbours."""
    times = np.cumsum(np.geomspace(0.002, 0.2, 200))
    spikes = Spikes(np.zeros(200, int), times, 1, 0.0, times[-1] + 1)
    assert interval_cv(spikes)[0] > 1
    assert interval_cv2(spikes)[0] < 0.03


def test_against_plain_loops() -> None:
    spikes = irregular()
    for unit in range(6):
        times = of_unit(spikes, unit)
        intervals = np.diff(times)
        enough = intervals.size >= 10
        cv = intervals.std() / intervals.mean() if enough else np.nan
        terms = [2 * abs(b - a) / (a + b) for a, b in zip(intervals[:-1], intervals[1:], strict=True)]
        counts = [np.sum((times >= 0.5 + 0.3 * k) & (times < 0.5 + 0.3 * (k + 1))) for k in range(11)]
        fano = np.var(counts) / np.mean(counts) if np.mean(counts) >= 0.1 else np.nan
        np.testing.assert_allclose(interval_cv(spikes)[unit], cv)
        np.testing.assert_allclose(interval_cv2(spikes)[unit], np.mean(terms) if enough else np.nan)
        np.testing.assert_allclose(fano_factor(spikes, 0.3)[unit], fano, atol=1e-12)


def test_units_with_few_spikes_are_left_out() -> None:
    spikes = Spikes(np.repeat([0, 1], [11, 12]), np.random.default_rng(0).random(23), 3, 0.0, 1.0)
    assert np.isfinite(interval_cv(spikes)).tolist() == [True, True, False]
    assert np.isfinite(interval_cv(spikes, 11)).tolist() == [False, True, False]
    assert np.isfinite(interval_cv2(spikes, 11)).tolist() == [False, True, False]
    assert np.isfinite(fano_factor(spikes, 0.1)).tolist() == [True, True, False]
    assert np.isfinite(fano_factor(spikes, 0.1, min_mean=1.15)).tolist() == [False, True, False]


# --- pairs


def test_correlations_of_independent_trains() -> None:
    spikes = poisson(50, 20.0, 40.0)
    for width in (0.005, 0.05):
        error = math.sqrt(2 / (50 * 49 * 40 / width))
        assert count_correlation(spikes, width) == pytest.approx(0, abs=ERRORS * error)


def test_correlation_of_trains_thinned_from_one() -> None:
    """Keeping each spike of a Poisson train with probability p gives counts of correlation p, in bins of any width."""
    random = np.random.default_rng(4)
    mother = random.uniform(0, 200, 8000)
    kept = random.random((20, 8000)) < 0.3
    spikes = Spikes(np.nonzero(kept)[0], np.broadcast_to(mother, kept.shape)[kept], 20, 0.0, 200.0)
    for width in (0.02, 0.05):
        assert count_correlation(spikes, width) == pytest.approx(0.3, abs=0.02)


def test_mean_over_pairs_is_that_of_the_matrix() -> None:
    """Rejects: the variance of the sum with units that never vary counted in."""
    spikes = irregular()
    counts = np.stack([np.histogram(of_unit(spikes, unit), 0.5 + 0.1 * np.arange(36))[0] for unit in range(6)])
    matrix = count_correlations(spikes, 0.1)
    np.testing.assert_allclose(matrix[:5, :5], np.corrcoef(counts[:5]), atol=1e-12)
    assert np.isnan(matrix[5]).all()
    pairs = np.corrcoef(counts[:5])[np.triu_indices(5, 1)]
    assert count_correlation(spikes, 0.1) == pytest.approx(pairs.mean(), abs=1e-12)
    filtered = kernel_correlations(spikes)
    assert np.isnan(filtered[5]).all()
    assert kernel_correlation(spikes) == pytest.approx(filtered[:5, :5][np.triu_indices(5, 1)].mean(), abs=1e-12)


def test_equal_trains_correlate_perfectly() -> None:
    one = poisson(1, 20.0, 5.0)
    two = Spikes(np.repeat([0, 1], one.unit.size), np.tile(one.time, 2), 2, 0.0, 5.0)
    assert count_correlation(two, 0.05) == pytest.approx(1, abs=1e-12)
    assert kernel_correlation(two) == pytest.approx(1, abs=1e-12)


def kernel_product(lag: np.ndarray, fast: float = 0.05, slow: float = 0.2) -> np.ndarray:
    """Return the kernel's correlation with itself: V_ij is its sum over all pairs of spikes of i and j."""
    lag = np.abs(lag)
    own = [(tau + lag) / tau**2 * np.exp(-lag / tau) for tau in (fast, slow)]
    return own[0] + own[1] - 4 / (fast**2 - slow**2) * (fast * np.exp(-lag / fast) - slow * np.exp(-lag / slow))


def test_kernel_correlation_against_its_closed_form() -> None:
    """Trains in the middle of bins, so that filtering in bins is exact; the kernel has no integral."""
    lags = np.linspace(-6, 6, 120001)
    assert kernel_product(lags).sum() * 1e-4 == pytest.approx(0, abs=1e-6)
    random = np.random.default_rng(5)
    trains = [0.005 * (np.sort(random.choice(600, 30, replace=False)) + 0.5) for _ in range(4)]
    v = np.array([[kernel_product(a[:, None] - b).sum() for b in trains] for a in trains])
    spikes = Spikes(np.repeat(np.arange(4), 30), np.concatenate(trains), 4, 0.0, 3.0)
    expected = v / np.sqrt(np.outer(np.diag(v), np.diag(v)))
    np.testing.assert_allclose(kernel_correlations(spikes, subtract_mean=False), expected, atol=2e-4)
    finer = kernel_correlations(spikes, subtract_mean=False, step=0.001)
    np.testing.assert_allclose(finer, expected, atol=2e-4)


def test_borders_of_the_window_do_not_correlate_independent_trains() -> None:
    """Rejects: filtering trains with their means, which the zero integral of the kernel does not remove at borders."""
    spikes = poisson(400, 10.0, 1.0)
    assert kernel_correlation(spikes) == pytest.approx(0, abs=0.006)
    biased = 0.18 * 10 / (9 + 0.18 * 10)  # of the mean, at both borders, against 9/s for each spike
    assert kernel_correlation(spikes, subtract_mean=False) == pytest.approx(biased, rel=0.2)


def test_many_units_are_filtered_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    spikes = poisson(23, 10.0, 2.0)
    whole = kernel_correlation(spikes)
    monkeypatch.setattr("neurocircuits.analysis.spikes._CHUNK", 5000)
    assert kernel_correlation(spikes) == pytest.approx(whole, abs=1e-12)
    assert kernel_correlations(spikes).shape == (23, 23)


# --- nothing there, and what is wrong


def test_without_spikes() -> None:
    spikes = Spikes([], [], 3, 0.0, 1.0)
    assert firing_rates(spikes).tolist() == [0, 0, 0]
    for measure in (interval_cv(spikes), interval_cv2(spikes), fano_factor(spikes, 0.1)):
        assert np.isnan(measure).all()
        assert math.isnan(defined_mean(measure))
    assert math.isnan(count_correlation(spikes, 0.1))
    assert math.isnan(kernel_correlation(spikes))
    assert np.isnan(count_correlations(spikes, 0.1)).all()


def test_one_spike_in_every_bin_has_no_correlation() -> None:
    """Rejects: dividing by the rounding error of a variance that is nothing."""
    regular = Spikes(np.repeat([0, 1], 100), np.tile(0.05 * (np.arange(100) + 0.5), 2), 2, 0.0, 5.0)
    assert math.isnan(count_correlation(regular, 0.05))
    assert math.isnan(kernel_correlation(regular, fast=0.5, slow=2.0, step=0.05))


GOOD: dict[str, Any] = {"unit": [0, 1], "time": [0.1, 0.2], "n_units": 2, "t_start": 0.0, "t_stop": 1.0}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"unit": [0, 2]}, r"1 of 2 units are not in 0 to 1 \(first: 2\)"),
        ({"unit": [-1, 0]}, "first: -1"),
        ({"unit": [0.0, 1.0]}, "one whole number"),
        ({"unit": [0]}, "one whole number"),
        ({"time": [0.1, np.nan]}, "times must be finite"),
        ({"t_stop": 0.0}, "t_stop = 0 s must be after t_start = 0 s"),
        ({"t_stop": -1.0}, "must be after"),
        ({"t_start": np.nan}, "t_start is nan"),
        ({"n_units": 0}, "n_units = 0 must be a positive whole number"),
        ({"n_units": 1.5}, "n_units = 1.5"),
    ],
)
def test_wrong_trains(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Spikes(**(GOOD | wrong))


@pytest.mark.parametrize("units", [[], [0, 0], [2], [-1], [0.5], 1])
def test_wrong_choice_of_units(units: Any) -> None:
    with pytest.raises(ValidationError, match="different whole numbers from 0 to 1"):
        Spikes(**GOOD).take(units)


@pytest.mark.parametrize("width", [0.0, -0.1, 0.6, np.nan])
def test_wrong_bins(width: float) -> None:
    for measure in (fano_factor, count_correlation):
        with pytest.raises(ValidationError, match=f"^{measure.__name__}: .*bins"):
            measure(Spikes(**GOOD), width)


@pytest.mark.parametrize("taus", [(0.2, 0.05), (0.0, 0.2), (0.1, 0.1), (0.1, np.inf)])
def test_wrong_kernel(taus: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match="must be 0 < fast < slow"):
        kernel_correlation(Spikes(**GOOD), *taus)


# --- other packages


def test_neo_and_back() -> None:
    pytest.importorskip("neo", reason="needs Neo: pip install neo")
    spikes = irregular()
    trains = to_neo(spikes)
    assert len(trains) == 6
    for unit, train in enumerate(trains):
        np.testing.assert_array_equal(train.rescale("s").magnitude, of_unit(spikes, unit))
        assert (float(train.t_start), float(train.t_stop), train.annotations["unit"]) == (0.5, 4.0, unit)


def test_pynapple_and_back() -> None:
    pytest.importorskip("pynapple", reason="needs pynapple: pip install pynapple")
    spikes = irregular()
    group = to_pynapple(spikes)
    assert list(group.keys()) == list(range(6))
    for unit in range(6):
        np.testing.assert_allclose(group[unit].times(), of_unit(spikes, unit), atol=1e-9)
    np.testing.assert_allclose(group.time_support.values, [[0.5, 4.0]])


@pytest.mark.parametrize(("convert", "name"), [(to_neo, "neo"), (to_pynapple, "pynapple")])
def test_a_missing_package_is_named_in_one_line(convert: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UnsupportedError, match=f"^to_{name} needs {name}, .*: pip install {name}$") as caught:
        convert(irregular())
    assert isinstance(caught.value, NeurocircuitsError)


def test_against_elephant() -> None:
    statistics = pytest.importorskip("elephant.statistics", reason="needs Elephant: pip install elephant")
    from elephant.conversion import BinnedSpikeTrain
    from elephant.spike_train_correlation import correlation_coefficient
    from quantities import s as second

    spikes = poisson(12, 25.0, 6.0, dead=0.01)
    trains = to_neo(spikes)
    rates = [float(statistics.mean_firing_rate(train).rescale("Hz")) for train in trains]
    np.testing.assert_allclose(firing_rates(spikes), rates)
    intervals = [statistics.isi(train).magnitude for train in trains]
    np.testing.assert_allclose(interval_cv(spikes), [statistics.cv(one) for one in intervals], rtol=1e-12)
    np.testing.assert_allclose(interval_cv2(spikes), [statistics.cv2(one) for one in intervals], rtol=1e-12)
    windows = [[train.time_slice(0.5 * k * second, 0.5 * (k + 1) * second) for k in range(12)] for train in trains]
    fano = [statistics.fanofactor(one) for one in windows]
    np.testing.assert_allclose(fano_factor(spikes, 0.5), fano, rtol=1e-12)
    binned = BinnedSpikeTrain(trains, bin_size=0.05 * second, t_start=0 * second, t_stop=6 * second)
    np.testing.assert_allclose(count_correlations(spikes, 0.05), correlation_coefficient(binned), atol=1e-12)
