"""Settling and ringing of trajectories with a known solution; the prediction against eigenvalues and integration."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from neurocircuits.analysis import (
    circuit_stability,
    damped_oscillation,
    ringing,
    settled_after,
    settling_time,
    stability,
)
from neurocircuits.errors import ValidationError
from tests.analysis.conftest import make_tree

RANDOM = np.random.default_rng(8)
TAU = 0.005


def jacobian(a: np.ndarray, gain: np.ndarray) -> np.ndarray:
    n_i, n_e = a.shape
    return np.block([[-np.eye(n_e), -a.T / gain[:, None]], [a, -np.eye(n_i)]])


def recorded(times: np.ndarray, *trajectories: np.ndarray) -> xr.DataTree:
    """Return a tree of presentations (m, n) recorded at times (m,); samples of all presentations interleaved."""
    rates = np.stack(trajectories, axis=1)
    m, n, units = rates.shape
    presentation, within = np.tile(np.arange(n), m), np.repeat(times, n)
    return make_tree(r=rates.reshape(m * n, units), presentation=presentation, within=within)


def test_settling_of_an_exponential() -> None:
    times = np.linspace(0, 20, 2001)
    fast, slow = (1 - np.exp(-times / tau)[:, None] * np.array([1.0, 0.3]) for tau in (0.5, 1.0))
    result = settling_time(recorded(times, fast, slow), tolerance=0.01)
    np.testing.assert_allclose(result["settling_time"], [0.5 * np.log(100), np.log(100)], atol=0.02)
    assert float(result["longest"]) == float(result["settling_time"][1])
    assert result["presentation"].values.tolist() == [0, 1]


def test_a_trajectory_that_passes_through_its_end_has_not_settled() -> None:
    """Judging by the first approach would call a ringing circuit settled."""
    times = np.arange(6.0)
    assert settled_after(times, np.array([0.0, 1.0, 2.0, 1.0, 1.0, 1.0])[:, None]) == 3.0


def test_settling_of_what_never_moves_and_of_what_dies_out() -> None:
    times = np.array([0.1, 0.2, 0.3])
    assert settled_after(times, np.ones((3, 2))) == 0.1
    assert settled_after(times, np.zeros((3, 2))) == 0.1
    assert settled_after(times, np.array([[1.0], [0.5], [0.0]])) == 0.3


@pytest.mark.parametrize("frequency", [0.0, 3.0, 40.0])
def test_ringing_of_one_mode_is_exact(frequency: float) -> None:
    times = 0.001 * np.arange(1, 80)
    decay = 0.02
    phases = np.array([0.3, 1.0, 2.0])
    rates = np.array([5.0, 0.5, 40.0]) + np.exp(-times / decay)[:, None] * np.cos(
        2 * np.pi * frequency * times[:, None] + phases
    )
    result = ringing(recorded(times, rates, 2 * rates))
    np.testing.assert_allclose(result["frequency"], frequency, atol=1e-3)
    np.testing.assert_allclose(result["decay_time"], decay, rtol=1e-4)


def test_ringing_is_that_of_the_weights() -> None:
    """One E and one I cell, linear: the recorded frequency is s/(2 pi tau), and it decays with tau."""
    a, gain = np.array([[2.0]]), np.array([0.25])
    predicted = stability(a, gain, TAU)
    times = TAU * np.linspace(0.05, 3, 60)
    steady = np.linalg.solve(jacobian(a, gain), [-1.0, 0.0])
    rates = np.stack([(steady - expm(jacobian(a, gain) * t / TAU) @ steady)[:1] for t in times])
    measured = ringing(recorded(times, rates))
    assert float(measured["median_frequency"]) == pytest.approx(float(predicted["ringing_frequency"]), rel=1e-6)
    assert float(measured["median_decay_time"]) == pytest.approx(TAU, rel=1e-6)
    assert float(predicted["s"]) == pytest.approx(4)


def test_nothing_that_moves_has_no_frequency() -> None:
    assert np.isnan(damped_oscillation(np.arange(5.0), np.ones((5, 2)))).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_prediction_is_the_spectrum_of_the_jacobian(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, gain = random.random((3, 6)), 10 ** random.uniform(-2, 0, size=6)
    result = stability(a, gain, TAU)
    eigenvalues = np.linalg.eigvals(jacobian(a, gain)) / TAU
    assert float(result["s"]) == pytest.approx(np.linalg.norm(a @ np.diag(gain**-0.5), 2))
    assert float(result["ringing_frequency"]) == pytest.approx(eigenvalues.imag.max() / (2 * np.pi))
    modes = result["eigenvalue_real"].values + 1j * result["eigenvalue_imaginary"].values
    oscillating = eigenvalues[abs(eigenvalues.imag) > 1e-6 / TAU]
    np.testing.assert_allclose(np.sort(modes.imag), np.sort(oscillating.imag), rtol=1e-9)
    np.testing.assert_allclose(modes.real, -1 / TAU)


@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_explicit_steps_converge_exactly_below_the_limit(factor: float) -> None:
    random = np.random.default_rng(1)
    a, gain = random.random((2, 4)), random.uniform(0.05, 1, size=4)
    dt = factor * float(stability(a, gain, TAU)["dt_limit"])
    growth = np.abs(np.linalg.eigvals(np.eye(6) + dt / TAU * jacobian(a, gain))).max()
    assert (growth < 1) == (factor < 1)


def test_the_settling_time_suffices_for_the_full_circuit() -> None:
    """With rectification, from rest, several random circuits: what is left after it is below the tolerance."""
    for seed in range(6):
        random = np.random.default_rng(seed)
        a, gain = random.random((4, 12)), random.uniform(0.02, 0.2, size=12)
        drive = random.random(12)

        def flow(_: float, state: np.ndarray, a=a, gain=gain, drive=drive) -> np.ndarray:
            x, y = state[:12], state[12:]
            return np.concatenate([np.maximum(drive - a.T @ y, 0) / gain - x, a @ x - y])

        settled = float(stability(a, gain, 1.0, tolerance=0.01)["settling_time"])
        times = [settled, 4 * settled]
        states = solve_ivp(flow, (0, times[-1]), np.zeros(16), t_eval=times, rtol=1e-8, atol=1e-10).y
        left = np.abs(states[:12, 0] - states[:12, 1]).max() / states[:12, 1].max()
        assert left < 0.05


def test_stability_of_a_stored_tree() -> None:
    tree = make_tree(gain=[[1.0] * 4, [0.1, 0.2, 0.3, 0.4]])
    a = tree["/synapses/E_to_I"]["w"].values
    assert float(circuit_stability(tree, TAU)["s"]) == float(stability(a[-1], np.array([0.1, 0.2, 0.3, 0.4]), TAU)["s"])
    assert float(circuit_stability(tree, TAU, phase="initial")["s"]) == pytest.approx(np.linalg.norm(a[0], 2))


def test_without_inhibition_nothing_rings() -> None:
    result = stability(np.zeros((2, 3)), 1.0, TAU)
    assert (float(result["s"]), float(result["ringing_frequency"]), float(result["dt_limit"])) == (0, 0, 2 * TAU)
    assert result.sizes["mode"] == 0


BAD = {
    "gain zero": (lambda: stability(np.ones((1, 2)), np.array([1.0, 0.0]), TAU), "must be positive"),
    "gain shape": (
        lambda: stability(np.ones((1, 2)), np.ones(3), TAU),
        r"\(3,\) must be .*one value per column of A \(1, 2\)",
    ),
    "tau": (lambda: stability(np.ones((1, 2)), 1.0, 0.0), "tau = 0.0"),
    "ends only": (lambda: settling_time(make_tree()), "recorded at the end of presentations only"),
    "ends only, ringing": (lambda: ringing(make_tree()), "recording at intervals"),
    "unequal steps": (lambda: damped_oscillation(np.array([0, 1, 2, 4.0]), np.ones((4, 1))), "equal intervals"),
    "too few": (lambda: damped_oscillation(np.arange(3.0), np.ones((3, 1))), "3 samples; four or more"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    call, words = BAD[case]
    with pytest.raises(ValidationError, match=words):
        call()
