"""The canonical microcircuit: where excitation comes from, what a pulse does, and what inhibition is for."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import neurocircuits as nc
from neurocircuits.models import douglas1989
from tests.references.circuits import recorded, run

PYRAMIDAL = ("S", "D")


def steady(circuit: nc.Circuit, thalamic: float = 10.0) -> xr.DataTree:
    record = nc.Record("r", "excitation", "inhibition")
    phase = nc.Phase("rest", {"T": nc.Patterns([[thalamic]])}, record=record)
    return run(circuit, phase, engine=nc.SteadyState(tolerance=1e-9))


def rates(tree: xr.DataTree) -> np.ndarray:
    """Rates of S, D and I at the end, (3,)."""
    return np.array([recorded(tree, name)[-1, 0] for name in douglas1989.POPULATIONS])


@pytest.fixture(scope="module")
def pulsed() -> xr.DataTree:
    return run(douglas1989.circuit(), *douglas1989.pulse().phases, engine=nc.Brian2(dt="0.25 ms", tolerance=None))


def by_hand(height: float, dt: float = 2e-5) -> np.ndarray:
    """Rates of S, D and I each millisecond, (500, 3): explicit Euler over the equations as the module prints them."""
    W, slow, T = douglas1989.matrices()
    B = np.zeros((3, 3))
    B[:, 2] = -slow
    r = np.linalg.solve(np.eye(3) - W - B, 10 * T)
    b, tau, out = r[2], np.array([0.01, 0.01, 0.005]), []
    for step in range(round(0.5 / dt)):
        u = 10.0 + height * (0.05 <= (step + 0.5) * dt < 0.052)
        r, b = r + dt * (-r + np.maximum(W @ r - slow * b + T * u, 0)) / tau, b + dt * (r[2] - b) / 0.1
        out.append(r)
    return np.array(out)[round(1e-3 / dt) - 1 :: round(1e-3 / dt)]


def test_most_excitation_of_pyramidal_cells_comes_from_the_cortex() -> None:
    """Claim (i), and the fixed point in closed form. Rejects a slow inhibition that is not in it."""
    tree = steady(douglas1989.circuit())
    W, slow, T = douglas1989.matrices()
    whole = W.copy()
    whole[:, 2] -= slow
    np.testing.assert_allclose(rates(tree), np.linalg.solve(np.eye(3) - whole, 10 * T), rtol=1e-6)
    for k, name in enumerate(PYRAMIDAL):
        excitation = recorded(tree, name, "excitation")[-1, 0]
        share = 10 * T[k] / excitation
        assert share == pytest.approx(10 * T[k] / (10 * T[k] + W[k, :2] @ rates(tree)[:2]))
        assert 0.1 < share < 0.2


def test_a_pulse_gives_excitation_then_long_inhibition(pulsed: xr.DataTree) -> None:
    """Claims (ii) and (iii): rate and input of S, D and I rise, then stay below the baseline for more than 100 ms."""
    for name in douglas1989.POPULATIONS:
        r, drive = (recorded(pulsed, name, what)[:, 0] for what in ("r", "drive"))
        base = r[:49].mean()
        assert np.ptp(r[:49]) < 1e-3 * base
        peak = int(r.argmax())
        assert 50 <= peak < 65
        assert r.max() > 4 * base
        below = np.flatnonzero(drive < 0.95 * base)  # at rest the input is the rate
        assert below[0] > peak
        assert 100 < below[-1] - below[0] < 250  # ms, samples are 1 ms apart
        assert (np.diff(below) == 1).all()
        assert r.min() < 0.7 * base
        assert r[-1] == pytest.approx(base, rel=0.02)


def test_the_pulse_is_a_plain_integration(pulsed: xr.DataTree) -> None:
    """Rejects a slow inhibition that follows anything but the rate of I, and a pulse of another length."""
    expected = by_hand(500.0)
    found = np.hstack([recorded(pulsed, name) for name in douglas1989.POPULATIONS])
    assert np.abs(found - expected).max() < 0.02 * expected.max()


def test_without_slow_inhibition_nothing_outlasts_the_pulse_for_long() -> None:
    """Rejects an undershoot that the fast loop makes."""
    fast = douglas1989.circuit(weights={"slow_to_S": 0.0, "slow_to_D": 0.0})
    tree = run(fast, *douglas1989.pulse().phases, engine=nc.Brian2(dt="0.5 ms", tolerance=None))
    r = recorded(tree, "S")[:, 0]
    assert np.count_nonzero(r < 0.95 * r[:49].mean()) < 30


@pytest.mark.parametrize("recurrence", [0.5, 0.8, 1.0, 1.05])
def test_the_gain_is_that_of_the_two_population_circuit(recurrence: float) -> None:
    """(1 + w_II)/D for S and D alike and no thalamic input of I. Rejects a factor that scales other weights, too."""
    tree = steady(douglas1989.circuit(weights={"T_to_I": 0.0}, recurrence=recurrence), thalamic=2.0)
    w_EE, w_EI, w_IE, w_II = 3.0 * recurrence, 1.5 + 0.1, 3.0, 1.0
    D = (1 - w_EE) * (1 + w_II) + w_EI * w_IE
    np.testing.assert_allclose(rates(tree)[:2], 0.5 * 2.0 * (1 + w_II) / D, rtol=1e-6)


def test_without_inhibition_activity_runs_away() -> None:
    """At w_EE = 3; below 1 it comes to rest at T/(1 - w_EE)."""
    with pytest.raises(nc.DivergenceError, match="no steady state"):
        steady(douglas1989.circuit(inhibition=0.0))
    calm = steady(douglas1989.circuit(inhibition=0.0, recurrence=0.25))
    np.testing.assert_allclose(rates(calm)[:2], 5 / (1 - 0.75), rtol=1e-6)


def test_bad_settings_get_a_clear_error() -> None:
    with pytest.raises(nc.ValidationError, match="no weight 'S_to_T'"):
        douglas1989.circuit(weights={"S_to_T": 1.0})
