"""Inhibited integrate-and-fire cells: the rate without noise by integration, a plain loop, the means of the background."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.engines.brian2_engine import Brian2
from neurocircuits.errors import ValidationError
from neurocircuits.models import holt_koch1997
from neurocircuits.simulation import run

ENGINE = Brian2(dt="0.1 ms", method="exponential_euler", device="runtime", target="numpy", tolerance=None)


@pytest.mark.parametrize(("x", "q", "g"), [(1.3, 0.0, 0.0), (2.0, 0.4, 0.0), (2.0, 0.0, 0.8), (9.0, 0.0, 1.0)])
def test_the_rate_is_one_over_the_time_from_reset_to_threshold(x: float, q: float, g: float) -> None:
    # Rejects: a shunt without its effect on the time constant, a current that scales, a rate without its cap.
    passage, _ = quad(lambda v: holt_koch1997.TAU / (x - q - (1 + g) * v), 0, 1)
    assert holt_koch1997.rate_without_noise(x, q, g) == pytest.approx(min(1 / passage, 200.0), rel=1e-9)


def test_a_shunt_takes_away_half_of_itself_and_leaves_the_slope() -> None:
    # Rejects: a shunt that divides. Holt and Koch (1997): far above the threshold the curve moves by g/2.
    assert holt_koch1997.rate_without_noise([0.5, 1.0, 1.39], 0.0, [0.0, 0.0, 0.4]).tolist() == [0.0, 0.0, 0.0]
    x, g = np.array([[50.0], [100.0]]), np.array([0.0, 0.5, 2.0])
    rates = holt_koch1997.rate_without_noise(x, 0.0, g, cap=np.inf)
    np.testing.assert_allclose(rates * holt_koch1997.TAU, x - (1 + g) / 2, atol=0.02)


def test_cells_are_a_plain_loop() -> None:
    # Rejects: noise of another size, a voltage that waits while refractory, a reset to elsewhere.
    x, g, steps, dt = np.linspace(0.8, 6.0, 27), 0.5, 5000, 1e-4
    v, last, spikes = np.zeros_like(x), np.full_like(x, -1.0), np.zeros(len(x), int)
    for k in range(steps):
        v = x / (1 + g) + (v - x / (1 + g)) * np.exp(-(1 + g) * dt / holt_koch1997.TAU)
        fires = (v > 1) & (k * dt - last > 0.005 - 1e-9)
        v[fires], last[fires] = 0.0, k * dt
        spikes += fires
    counted = _counts(holt_koch1997.circuit(x, g=g), steps * dt)
    assert np.abs(counted - spikes).max() <= 1


def test_the_background_is_balanced_and_noise_has_its_size() -> None:
    # Rejects: rates of Poisson spikes that are off by a time constant or a weight; white noise off by sqrt(2).
    n = 400
    noise, background = np.repeat([0.2, 0.0], n // 2), np.repeat([0.0, 3.0], n // 2)
    circuit = holt_koch1997.circuit(np.full(n, -2.0) * (background > 0), noise=noise, background=background)
    record = Record("v", "g_e", "g_i", interval="5 ms")
    tree = run(circuit, Protocol([Phase("rest", duration="0.3 s", record=record)]), ENGINE, 0, progress=False)
    data = tree["/populations/cell"].ds
    late = data.isel({data["v"].dims[0]: slice(20, None)})
    assert float(late["v"].values[:, : n // 2].std()) == pytest.approx(0.2, rel=0.03)
    for name, mean in holt_koch1997.BACKGROUND.items():
        assert float(late[name].values[:, n // 2 :].mean()) == pytest.approx(3 * mean, rel=0.04)


def test_settings_that_are_not_allowed() -> None:
    with pytest.raises(ValidationError, match="g of shape .* of 0 or more"):
        holt_koch1997.circuit(g=-0.1)
    with pytest.raises(ValidationError, match="as many as there are cells"):
        holt_koch1997.circuit([1.0, 2.0, 3.0], [0.0, 0.1])
    with pytest.raises(ValidationError, match=r"x of shape \(0,\) must be one"):
        holt_koch1997.circuit([])


def _counts(circuit: object, seconds: float) -> np.ndarray:
    phase = Phase("count", duration=seconds, record=Record(spikes=True))
    tree = run(circuit, Protocol([phase]), ENGINE, 0, progress=False)  # type: ignore[arg-type]
    return np.bincount(tree["/spikes/cell"].ds["unit"].values, minlength=27)
