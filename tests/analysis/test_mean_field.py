"""Rates and CVs of leaky cells against adaptive quadrature, simulated first passages and published rates."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import sympy
from scipy.integrate import quad
from scipy.special import dawsn, erfc, erfcx

from neurocircuits.analysis import mean_field as mf
from neurocircuits.analysis.equilibria import fixed_rates, roots
from neurocircuits.errors import ValidationError

CELL = mf.LeakyCell()  # 20 ms, 20 and 10 mV, 2 ms


def brunel(g: float, ratio: float, cell: mf.LeakyCell = CELL, **settings) -> np.ndarray:
    J, K = np.array([[1.0, -g, 1.0]] * 2) * 1e-4, np.array([[1000, 250, 1000]] * 2)
    return mf.network_rates(J, K, cell, 10.0 * ratio, **settings)


def quadrature(mu: float, sigma: float, cell: mf.LeakyCell = CELL) -> tuple[float, float]:
    """Rate and CV from the integrals as they are printed, with an adaptive method in pieces."""
    low, high = ((v - mu) / sigma for v in (cell.reset, cell.threshold))
    pieces = list(pairwise(np.linspace(low, high, 6)))
    integral = sum(quad(lambda u: np.exp(u * u) * erfc(-u), *ends, epsabs=0, epsrel=1e-13)[0] for ends in pieces)
    interval = cell.refractory + cell.tau * np.sqrt(np.pi) * integral

    def inner(x: float) -> float:
        edges = x - np.array([60, 20, 8, 4, 2, 1, 0.5, 0.2, 0.05, 0.01, 0.0])
        return sum(
            quad(lambda u: np.exp(x * x - u * u) * erfcx(-u) ** 2, *ends, epsrel=1e-12)[0] for ends in pairwise(edges)
        )

    spread = sum(quad(inner, *ends, epsrel=1e-10)[0] for ends in pieces)
    return 1 / interval, float(np.sqrt(2 * np.pi * spread)) * cell.tau / interval


# --- one cell


@pytest.mark.parametrize(("mu", "sigma"), [(15, 5), (0, 5), (30, 5), (30, 1), (10, 50), (-20, 10), (20, 0.7), (12, 3)])
def test_rate_and_cv_are_the_printed_integrals(mu: float, sigma: float) -> None:
    """Rejects a lost factor, wrong limits, and a quadrature that misses a peak: 10 and 8 digits."""
    rate, cv = quadrature(1e-3 * mu, 1e-3 * sigma)
    assert mf.lif_rate(1e-3 * mu, 1e-3 * sigma, CELL) == pytest.approx(rate, rel=1e-10)
    assert mf.lif_cv(1e-3 * mu, 1e-3 * sigma, CELL) == pytest.approx(cv, rel=1e-8)


def test_the_form_with_dawsons_function_is_the_same() -> None:
    """Above 0 the integral is 2 exp(y^2) D(y) less that of erfcx. Rejects a sum of digits lost far below threshold."""
    mu, sigma = -0.01, 0.004
    a, b = (0.01 - mu) / sigma, (0.02 - mu) / sigma
    integral = 2 * (np.exp(b**2) * dawsn(b) - np.exp(a**2) * dawsn(a)) - quad(erfcx, a, b)[0]
    expected = 1 / (0.002 + 0.02 * np.sqrt(np.pi) * integral)
    assert mf.lif_rate(mu, sigma, CELL) == pytest.approx(expected, rel=1e-12)


def test_the_rate_rises_with_the_mean_up_to_the_refractory_limit() -> None:
    """Rejects a step where the forms of the integral meet, and warnings of overflow (they are errors here)."""
    mu = np.linspace(-0.1, 0.5, 4001)
    with np.errstate(all="raise", under="ignore"):
        for sigma in (0.0, 1e-12, 1e-5, 1e-3, 5e-3, 0.05, 1.0):
            rates = mf.lif_rate(mu, sigma, CELL)
            steps = np.diff(rates)
            assert ((steps > 0) | (rates[1:] == 0)).all()
            if sigma >= 5e-3:
                assert np.abs(np.diff(steps)).max() < 0.05 * steps.max()
            assert mf.lif_rate(1e4, sigma, CELL) == pytest.approx(500, rel=1e-3)
            assert mf.lif_rate(-1e6, sigma, CELL) < 1e-4


def test_small_noise_meets_the_closed_form() -> None:
    mu = np.array([0.0201, 0.021, 0.03, 0.1])
    expected = 1 / (0.002 + 0.02 * np.log((mu - 0.01) / (mu - 0.02)))
    np.testing.assert_allclose(mf.lif_rate(mu, 0.0, CELL), expected, rtol=1e-12)
    for sigma in (1e-300, 1e-12, 1e-9, 1e-7):
        np.testing.assert_allclose(mf.lif_rate(mu, sigma, CELL), expected, rtol=1e-5)
    assert mf.lif_rate(0.02, 0.0, CELL) == mf.lif_rate(0.0199, 1e-9, CELL) == 0


def test_the_cv_goes_from_1_to_0() -> None:
    """1 far below threshold, where spikes are rare, 0 far above, NaN where there are none."""
    np.testing.assert_allclose(mf.lif_cv([-0.01, -0.1, -1.0, -1e3], 3e-3, CELL), 1, atol=1e-6)
    np.testing.assert_allclose(mf.lif_cv([1.0, 1e3], 3e-3, CELL), 0, atol=3e-3)
    assert mf.lif_cv(0.03, 0.0, CELL) == 0
    assert np.isnan(mf.lif_cv(0.01, 0.0, CELL))
    falling = mf.lif_cv(np.linspace(0.01, 0.06, 100), 3e-3, CELL)
    assert (np.diff(falling) < 1e-9).all()


@pytest.mark.parametrize(("mu", "sigma"), [(0.022, 0.004), (0.014, 0.006)])
def test_simulated_first_passages_agree(mu: float, sigma: float) -> None:
    """Cells under white noise until each has fired; crossings between two steps count by their exact probability.

    Rejects sigma as the standard deviation of the voltage, which is sqrt(2) smaller. 4 standard errors.
    """
    rng, dt, n = np.random.default_rng(1), 2e-4, 8000
    decay, spread = np.exp(-dt / CELL.tau), sigma * np.sqrt(0.5 * (1 - np.exp(-2 * dt / CELL.tau)))
    v, times, step, parts = np.full(n, CELL.reset), np.empty(0), 0, []
    while v.size:
        new = mu + (v - mu) * decay + spread * rng.standard_normal(v.size)
        below = np.exp(-2 * np.maximum(CELL.threshold - v, 0) * np.maximum(CELL.threshold - new, 0) / spread**2)
        fired = rng.random(v.size) < below
        parts.append(np.full(int(fired.sum()), (step + 0.5) * dt))
        v, step = new[~fired], step + 1
    times = np.concatenate(parts) + CELL.refractory
    error = times.std() / np.sqrt(n)
    assert abs(times.mean() - 1 / mf.lif_rate(mu, sigma, CELL)) < 4 * error
    cv = times.std() / times.mean()
    kurtosis = ((times - times.mean()) ** 4).mean() / times.var() ** 2
    assert abs(cv - mf.lif_cv(mu, sigma, CELL)) < 4 * cv * np.sqrt((kurtosis - 1) / 4 / n + (error / times.mean()) ** 2)


def test_synapses_with_a_time_constant_shift_both_limits() -> None:
    """Rejects another alpha, and a shift of the threshold alone."""
    alpha = float(sympy.sqrt(2) * abs(sympy.zeta(sympy.Rational(1, 2))))
    shift = 0.5 * alpha * np.sqrt(0.5 / 20) * 0.004
    shifted = mf.LeakyCell(threshold=0.02 + shift, reset=0.01 + shift)
    coloured = mf.LeakyCell(tau_synapse=5e-4)
    assert mf.lif_rate(0.018, 0.004, coloured) == pytest.approx(mf.lif_rate(0.018, 0.004, shifted), rel=1e-10)
    assert mf.lif_rate(0.03, 0.0, coloured) == mf.lif_rate(0.03, 0.0, CELL)


# --- networks


@pytest.mark.parametrize(
    ("g", "ratio", "reset", "expected"),
    [(6, 4, 0.01, 55.84), (5, 2, 0.01, 37.95), (4.5, 0.9, 0.01, 6.52), (5, 2, 0.0, 32.03), (3, 2, 0.01, 327.0)],
)
def test_reference_rates(g: float, ratio: float, reset: float, expected: float) -> None:
    """Rejects external spikes left out of the noise, and inhibition that adds no noise."""
    found = brunel(g, ratio, mf.LeakyCell(reset=reset))
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.05)
    mu, sigma = mf.brunel_statistics(found[0], 10 * ratio, g)
    assert mf.lif_rate(mu, sigma, mf.LeakyCell(reset=reset)) == pytest.approx(found[0], rel=1e-9)


def test_rates_over_g_and_the_linear_approximation() -> None:
    """Within 25 % for g from 5 to 8, as printed 32 % at g 5 and ratio 4; none where excitation dominates."""
    g = np.array([4.2, 4.5, 5.0, 6.0, 7.0, 8.0])
    printed = {2: [79.4, 56.7, 37.95, 22.9, 16.5, 13.0], 4: [166.7, 129.0, 90.7, 55.8, 40.3, 31.7]}
    for ratio, expected in printed.items():
        found = np.array([brunel(each, ratio)[0] for each in g])
        np.testing.assert_allclose(found, expected, rtol=0, atol=0.06)
        linear = mf.linear_rate(10 * ratio, 10.0, g)
        off = np.abs(linear / found - 1)[2:]
        assert (off < 0.25).sum() == (4 if ratio == 2 else 3)
        assert off.max() < 0.33
    assert np.isnan(mf.linear_rate(20, 10.0, [3.0, 4.0])).all()
    assert np.isnan(mf.linear_rate(9, 10.0, 5.0))


def test_all_solutions_of_a_bistable_network() -> None:
    """Silence, a saddle and high rates; alike and unlike populations take different ways to them."""
    J, K = np.array([[1.0, -3.0, 1.0]] * 2) * 1e-4, np.array([[1000, 250, 1000]] * 2)
    found = mf.network_rates(J, K, CELL, 8.0, all_solutions=True)
    assert found.shape == (3, 2)
    K[1, 2] += 1
    unlike = mf.network_rates(J, K, CELL, 8.0, all_solutions=True)
    np.testing.assert_allclose(unlike, found, rtol=0.1, atol=0.01)
    for rates in (*found, *unlike):
        mu, sigma = mf.input_statistics(J, K, [*rates, 8.0], CELL.tau)
        np.testing.assert_allclose(mf.lif_rate(mu, sigma, CELL)[0], rates[0], rtol=1e-6)
    assert (unlike[:, 1] > unlike[:, 0]).all()
    for start, k in ((0.0, 0), (2.0, 0), (2.6, 2), (400.0, 2)):
        single = mf.network_rates(J, K, CELL, 8.0, start=[start, start])
        np.testing.assert_allclose(single, unlike[k], rtol=1e-6)
        K[1, 2] -= 1
        np.testing.assert_allclose(mf.network_rates(J, K, CELL, 8.0, start=[start] * 2), found[k], rtol=1e-6)
        K[1, 2] += 1


def test_conductances_as_an_effective_time_constant() -> None:
    """Static weights of 3 and 30 nS: 8.1 Hz; 0.3 nS without inhibition of E: 171 and 72 Hz."""
    cell = mf.Conductances(200e-12, 10e-9, -0.06, -0.05, -0.06, 5e-3, (0.0, -0.08), (5e-3, 10e-3), 200e-12)

    def rates(onto_e: tuple[float, float], onto_i: tuple[float, float]) -> np.ndarray:
        def response(r: np.ndarray) -> np.ndarray:
            trains = np.array([160, 40]) * r
            each = (np.array(onto_e) * 1e-9, np.array(onto_i) * 1e-9)
            return np.array([cell.rate(w * trains, w**2 * trains) for w in each])

        return fixed_rates(response, [200.0, 200.0])

    np.testing.assert_allclose(rates((3, 30), (3, 30)), 8.1, atol=0.05)
    np.testing.assert_allclose(rates((0.3, 0), (0.3, 3)), [171, 72], atol=0.5)
    # Without synapses it is the leaky cell itself: rheobase current, no noise.
    alone = mf.Conductances(200e-12, 10e-9, 0.0, 0.02, 0.01, 2e-3, (0.06,), (5e-3,), 250e-12)
    assert alone.rate([0.0], [0.0]) == pytest.approx(mf.lif_rate(0.025, 0.0, CELL))


def test_zeros_in_a_box_are_all_found() -> None:
    found = roots(lambda x: np.array([x[0] ** 3 - x[0], x[1] - x[0] ** 2]), (-2, -2), (2, 2))
    np.testing.assert_allclose(found, [[-1, 1], [0, 0], [1, 1]], atol=1e-9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mf.LeakyCell(tau=0.0), "tau = 0.0 must be positive"),
        (lambda: mf.LeakyCell(reset=0.03), "must be below threshold"),
        (lambda: mf.lif_rate(0.0, -1e-3, CELL), "sigma: -0.001 is negative"),
        (lambda: mf.network_rates(np.eye(2), np.eye(2), CELL, [1.0]), "with 1 external"),
        (lambda: mf.network_rates(np.eye(2), np.eye(2), [CELL]), "1 cells for 2 populations"),
        (lambda: fixed_rates(lambda r: r + 1.0, [10.0]), "no rates from 0 to 10 Hz"),
    ],
)
def test_bad_input_gets_a_clear_error(call, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        call()
