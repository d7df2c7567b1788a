"""Population measures against processes with known answers; the name of each state on trains made for it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from neurocircuits.analysis import (
    Spikes,
    excess_population_cv,
    population_cv,
    population_cv_floor,
    population_rate,
    rate_spectrum,
    regime,
    spike_measures,
    voltage_synchrony,
)
from neurocircuits.errors import ValidationError

ERRORS = 3
STEP = 1e-4  # s, of the synthetic rates


def driven(rate: np.ndarray, n_units: int, shape: int = 1, seed: int = 0) -> Spikes:
    """Return trains that follow one rate (step,): Poisson for shape 1, more regular for larger ones.

    Gamma intervals in operational time, each train from a random phase; their CV is 1/sqrt(shape) at a constant rate.
    """
    random = np.random.default_rng(seed)
    passed = np.concatenate([[0.0], np.cumsum(rate) * STEP])
    n = int(passed[-1] + 8 * math.sqrt(passed[-1]) + 20)
    ticks = np.cumsum(random.gamma(shape, 1 / shape, size=(n_units, n)), axis=1) - 5 * random.random((n_units, 1)) - 5
    unit, inside = np.nonzero((ticks >= 0) & (ticks < passed[-1]))
    times = np.interp(ticks[unit, inside], passed, STEP * np.arange(passed.size))
    return Spikes(unit, times, n_units, 0.0, STEP * rate.size)


def volleys(period: float, n_units: int, t_stop: float, share: float, jitter: float, spread: float = 0.0) -> Spikes:
    """Return trains that take part in volleys, each unit in a share of them, chosen anew."""
    random = np.random.default_rng(1)
    centres = np.arange(0.5 * period, t_stop, period) * (1 + spread * random.normal(size=round(t_stop / period)))
    taking = random.random((n_units, centres.size)) < share
    unit, volley = np.nonzero(taking)
    return Spikes(unit, centres[volley] + jitter * random.normal(size=unit.size), n_units, 0.0, t_stop)


def noise(t_stop: float, tau: float, size: float, seed: int = 2) -> np.ndarray:
    """Return filtered noise of a standard deviation."""
    kernel = np.exp(-np.arange(0, 8 * tau, STEP) / tau)
    values = np.convolve(np.random.default_rng(seed).normal(size=round(t_stop / STEP)), kernel)[: round(t_stop / STEP)]
    return size * values / values.std()


def constant(rate: float, t_stop: float) -> np.ndarray:
    return np.full(round(t_stop / STEP), rate)


def rhythm(frequency: float, mean: float, t_stop: float) -> np.ndarray:
    """Return a rate that is on for half of each period, whose phase wanders."""
    random = np.random.default_rng(3)
    n = round(t_stop / STEP)
    phase = 2 * np.pi * frequency * STEP * np.arange(n) + np.cumsum(0.03 * random.normal(size=n))
    return mean * np.pi * np.maximum(np.cos(phase), 0)


# --- rate and its fluctuations


def test_population_rate_counts_every_spike_once() -> None:
    spikes = Spikes([0, 1, 1, 0], [0.0, 0.001, 0.0029, 0.0101], 2, 0.0, 0.0105)
    times, rate = population_rate(spikes, 0.001)
    np.testing.assert_allclose(times, 0.001 * (np.arange(10) + 0.5))
    np.testing.assert_allclose(rate, [500, 500, 500, 0, 0, 0, 0, 0, 0, 0])


def test_poisson_population_is_at_its_floor() -> None:
    n_units, rate, t_stop = 400, 25.0, 8.0
    spikes = driven(constant(rate, t_stop), n_units)
    per_bin = n_units * rate * 1e-3
    floor = population_cv_floor(spikes)
    assert floor == pytest.approx(1 / math.sqrt(per_bin), rel=0.02)
    error = 0.5 * math.sqrt((2 + 1 / per_bin) / (t_stop / 1e-3))  # of a standard deviation, relative
    assert population_cv(spikes) == pytest.approx(floor, rel=ERRORS * error)


def test_excess_does_not_depend_on_the_number_of_units() -> None:
    """A common rate with a standard deviation of half its mean: the excess is 0.5, however many units are recorded."""
    spikes = driven(30 * (1 + noise(10.0, 0.02, 0.5)).clip(0), 2000)
    for n in (50, 2000):
        some = spikes.take(np.arange(n))
        excess = excess_population_cv(population_cv(some), population_cv_floor(some))
        assert excess == pytest.approx(0.5, abs=0.06)
    assert population_cv(spikes.take(np.arange(50))) > 0.9
    assert excess_population_cv(0.1, 0.2) == 0


def test_voltage_synchrony() -> None:
    random = np.random.default_rng(0)
    common, own = random.normal(size=(4000, 1)), random.normal(size=(4000, 25))
    assert voltage_synchrony(np.repeat(common, 25, axis=1)) == pytest.approx(1)
    assert voltage_synchrony(own) == pytest.approx(1 / 25, rel=0.1)
    assert voltage_synchrony(2 * common + own - 60) == pytest.approx((4 + 1 / 25) / 5, rel=0.03)
    assert math.isnan(voltage_synchrony(np.ones((5, 3))))
    for wrong in (np.ones(5), np.ones((1, 3)), np.ones((5, 0))):
        with pytest.raises(ValidationError, match=r"must be \(time, unit\), two samples or more"):
            voltage_synchrony(wrong)


# --- spectrum


def test_spectrum_of_poisson_trains_is_flat() -> None:
    spikes = driven(constant(20.0, 20.0), 100)
    spectrum = rate_spectrum(spikes)
    assert float(spectrum["poisson"]) == pytest.approx(2 * 20 / 100, rel=0.03)
    assert float(spectrum["power"].mean()) == pytest.approx(float(spectrum["poisson"]), rel=0.03)
    assert float(spectrum["peak_ratio"]) < 2
    assert abs(float(spectrum["coherence"])) < 0.02


@pytest.mark.parametrize("frequency", [20.0, 180.0])
def test_frequency_of_a_rhythm(frequency: float) -> None:
    times = STEP * np.arange(40000)
    spikes = driven(20 * (1 + np.cos(2 * np.pi * frequency * times)), 500)
    spectrum = rate_spectrum(spikes)
    assert float(spectrum["peak_frequency"]) == pytest.approx(frequency, abs=5)
    assert float(rate_spectrum(spikes, segment=1.0)["peak_frequency"]) == pytest.approx(frequency, abs=1)


def test_volleys_have_their_frequency_and_not_a_harmonic() -> None:
    """Rejects: the largest of the harmonics, which are about equally high for sharp volleys."""
    for period in (0.05, 0.0313, 0.0063):
        spectrum = rate_spectrum(volleys(period, 200, 4.0, share=0.6, jitter=1e-4))
        assert float(spectrum["peak_frequency"]) == pytest.approx(1 / period, abs=5)
    power = spectrum["power"].values
    assert np.sort(power[power > 0.2 * power.max()])[0] > 100 * np.median(power)


def test_power_adds_up_to_the_variance() -> None:
    spikes = driven(30 * (1 + noise(20.0, 0.005, 0.4)).clip(0), 300)
    power = rate_spectrum(spikes, segment=1.0)["power"]
    assert float(power.sum()) * 1.0 == pytest.approx(population_rate(spikes)[1].var(), rel=0.05)


def test_coherence_does_not_depend_on_the_number_of_units() -> None:
    spikes = driven(rhythm(40.0, 20.0, 10.0), 1000)
    few, many = (rate_spectrum(spikes.take(np.arange(n))) for n in (100, 1000))
    assert float(few["coherence"]) == pytest.approx(float(many["coherence"]), rel=0.1)
    assert float(many["peak_ratio"]) > 7 * float(few["peak_ratio"])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"segment": 0.1}, "0.2 s or longer"),
        ({"segment": 3.0}, "fit into the window"),
        ({"segment": 0.2, "bin_width": 0.1}, "hold four bins"),
        ({"segment": np.nan}, "segment is nan"),
        ({"bin_width": 0.0}, "population_rate: bins of 0 s"),
    ],
)
def test_wrong_spectrum(settings: dict[str, float], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        rate_spectrum(driven(constant(20.0, 2.0), 5), **settings)


# --- names of states

STATES: dict[str, Any] = {
    "synchronous regular": lambda: volleys(0.003, 400, 1.5, share=1.0, jitter=1e-5),
    "fast synchronous irregular": lambda: driven(rhythm(180.0, 58.0, 1.5), 800),
    "asynchronous irregular": lambda: driven(37 * (1 + noise(1.5, 0.001, 0.55)).clip(0), 800, shape=6),
    "slow synchronous irregular": lambda: volleys(0.045, 800, 4.0, share=0.25, jitter=0.006, spread=0.002),
    "asynchronous regular": lambda: driven(constant(40.0, 1.5), 800, shape=50),
    "quiescent": lambda: driven(constant(0.05, 1.5), 800),
}


@pytest.mark.parametrize("name", STATES)
def test_name_of_a_state(name: str) -> None:
    measures = spike_measures(STATES[name]())
    assert measures.attrs["regime"] == name


def test_weakly_fluctuating_irregular_state_is_like_the_published_one() -> None:
    """CV near 0.40 and a population CV near 0.53 must be asynchronous: a CV above 0.7 and 0.5 would refuse it."""
    measures = spike_measures(STATES["asynchronous irregular"]())
    assert float(measures["cv"]) == pytest.approx(0.42, abs=0.05)
    assert float(measures["population_cv"]) == pytest.approx(0.53, abs=0.06)


# rate, CV, population CV, floor, coherence and peak frequency of simulated networks; see the notes of `regime`
MEASURED = {
    "A": ((333.7, 0.001, 0.705, 0.015, 9.59, 335.0), "synchronous regular"),
    "B": ((57.9, 0.793, 0.871, 0.037, 0.775, 180.0), "fast synchronous irregular"),
    "B, 100 cells": ((57.3, 0.782, 0.948, 0.418, 0.777, 180.0), "fast synchronous irregular"),
    "B, 5000 cells": ((59.2, 1.143, 0.581, 0.058, 0.239, 170.0), "fast synchronous irregular"),
    "C": ((37.0, 0.409, 0.544, 0.046, 0.071, 130.0), "asynchronous irregular"),
    "C, 0.5 s": ((37.1, 0.399, 0.569, 0.046, 0.126, 125.0), "asynchronous irregular"),
    "C, 100 cells": ((37.1, 0.401, 0.725, 0.519, 0.070, 125.0), "asynchronous irregular"),
    "C, 5000 cells": ((41.4, 0.714, 0.618, 0.070, 0.172, 115.0), "asynchronous irregular"),
    "D": ((5.56, 0.637, 1.843, 0.120, 0.223, 20.0), "slow synchronous irregular"),
    "D, 100 cells": ((5.61, 0.643, 2.270, 1.335, 0.235, 20.0), "slow synchronous irregular"),
    "before learning": ((167.0, 0.011, 1.521, 0.027, 13.2, 165.0), "synchronous regular"),
    "after learning": ((9.26, 0.801, 0.339, 0.116, 0.015, 15.0), "asynchronous irregular"),
    "balanced from the start": ((9.85, 1.416, 0.301, 0.113, 0.006, 35.0), "asynchronous irregular"),
}


@pytest.mark.parametrize("network", MEASURED)
def test_name_of_simulated_states(network: str) -> None:
    measured, name = MEASURED[network]
    assert regime(*measured) == name


def test_thresholds_are_settings() -> None:
    measured = MEASURED["C"][0]
    assert regime(*measured, coherent=0.05) == "fast synchronous irregular"
    assert regime(*measured, synchronous=0.5, fast=150.0) == "slow synchronous irregular"
    assert regime(*measured, regular=0.5) == "asynchronous regular"
    assert regime(*measured, quiescent=40.0) == "quiescent"
    assert regime(*MEASURED["A"][0], chance=50.0) == "asynchronous regular"
    spikes = STATES["asynchronous irregular"]()
    assert spike_measures(spikes, regular=0.6).attrs["regime"] == "asynchronous regular"


def test_what_is_not_known_has_no_name() -> None:
    """Rejects: a NaN that compares as irregular or asynchronous."""
    assert regime(20.0, math.nan, 0.5, 0.1, 0.1, 50.0) == "undetermined"
    assert regime(20.0, 0.8, 0.5, 0.1, math.nan, 50.0) == "undetermined"
    assert regime(20.0, 0.8, 1.5, 0.1, 0.5, math.nan) == "undetermined"
    short = driven(constant(4.0, 0.5), 300)
    assert spike_measures(short).attrs["regime"] == "undetermined"
    assert spike_measures(short, min_intervals=3).attrs["regime"] == "asynchronous irregular"


def test_chance_in_few_units_is_no_synchrony() -> None:
    """Five units at 5 Hz: a population CV of 6 that is nothing but the floor."""
    measures = spike_measures(driven(constant(5.0, 20.0), 5))
    assert float(measures["population_cv"]) > 5
    assert measures.attrs["regime"] == "asynchronous irregular"
    assert regime(37.0, 0.41, 1.2, 0.75, 0.07, 125.0) == "asynchronous irregular"


def test_silence() -> None:
    measures = spike_measures(Spikes([], [], 4, 0.0, 1.0))
    assert measures.attrs["regime"] == "quiescent"
    assert float(measures["rate"]) == 0
    assert float(measures["n_cv"]) == 0
    for name in ("cv", "cv2", "fano", "correlation", "population_cv", "population_cv_floor"):
        assert math.isnan(float(measures[name]))
    for name in ("peak_ratio", "peak_frequency", "coherence"):
        assert math.isnan(float(measures[name]))


def test_measures_of_a_unit_alone() -> None:
    measures = spike_measures(driven(constant(30.0, 20.0), 1))
    assert measures["unit_cv"].shape == (1,)
    assert math.isnan(float(measures["correlation"]))
    assert measures.attrs["regime"] == "undetermined"
