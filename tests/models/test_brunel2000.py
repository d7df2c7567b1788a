"""The sparse spiking network: its input, spike by spike, and its rates against mean field."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import poisson

import neurocircuits as nc
from neurocircuits.compile.compiler import compile_circuit
from neurocircuits.engines.values import initial_values
from neurocircuits.models import brunel2000
from neurocircuits.randomness import Streams
from tests.references.circuits import run

DT = 1e-4


def rates(
    circuit: nc.Circuit, duration: float, settle: float = 0.1, seed: int = 0, target: str = "numpy"
) -> np.ndarray:
    """Rates of E and I in Hz, (2,), after a time that does not count."""
    phases = nc.Phase("settle", duration=settle), nc.Phase("run", duration=duration, record=nc.Record(spikes=True))
    tree = run(circuit, *phases, engine=nc.Brian2(dt=DT, target=target), seed=seed)
    counts = [tree[f"/spikes/{name}"].ds.sizes["event"] for name in ("E", "I")]
    return np.array([n / (circuit.population(p).n_units * duration) for n, p in zip(counts, ("E", "I"), strict=True)])


def by_hand(tree, v: np.ndarray, J: float, g: float, n_steps: int) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Spikes (step, cell) and voltages of the network without external input, E before I, synapse by synapse.

    Within a step first the leak, then thresholds, arrivals 1.5 ms after the spike, resets. Cells in their refractory
    2 ms neither leak nor receive, nor does a cell in the step in which it fires.
    """
    n_e = tree["/populations/E"].attrs["n_units"]
    first = {"E": 0, "I": n_e}
    weights = np.zeros((len(v), len(v)))
    for pre in "EI":
        for post in "EI":
            pairs = tree[f"/synapses/{pre}_to_{post}"].ds
            rows, columns = pairs["post"].values + first[post], pairs["pre"].values + first[pre]
            weights[rows, columns] = J if pre == "E" else -g * J
    v, last, spikes = v.copy(), np.full(len(v), -(10**9)), []
    fired_at: dict[int, np.ndarray] = {}
    for step in range(n_steps):
        free = step - last >= 20
        v[free] -= v[free] * DT / 0.02
        fired = (v > 0.02) & free
        fired_at[step] = fired
        spikes += [(step, int(k)) for k in np.flatnonzero(fired)]
        last[fired] = step
        if step >= 15:
            v[free & ~fired] += (weights @ fired_at[step - 15])[free & ~fired]
        v[fired] = 0.01
    return spikes, v


@pytest.mark.parametrize(
    "device", ["runtime", pytest.param("cpp_standalone", marks=[pytest.mark.standalone, pytest.mark.slow])]
)
def test_spikes_jump_the_voltage_but_not_of_refractory_cells(device: str) -> None:
    """A network without external input against a plain loop, to the spike.

    Rejects input that is kept during refractoriness, inhibition that adds, and a delay or a refractory time that is off
    by a step.
    """
    n_steps = 400
    circuit = brunel2000.circuit(2.0, 0.0, 60, 12, J="4 mV", v_start=nc.Uniform(0.0, 0.03))
    phase = nc.Phase("run", duration=n_steps * DT, record=nc.Record("v", spikes=True))
    tree = run(circuit, phase, engine=nc.Brian2(dt=DT, device=device), seed=4)
    plan, streams = compile_circuit(circuit), Streams(4)
    start = initial_values(plan, plan.with_parameters({}), "float64", streams)
    spikes, v = by_hand(tree, np.concatenate([start[name].data["v"][0] for name in ("E", "I")]), 4e-3, 2.0, n_steps)
    found = []
    for name, offset in (("E", 0), ("I", 60)):
        data = tree[f"/spikes/{name}"].ds
        steps = np.rint(data["time"].values / DT).astype(int)
        found += zip(steps.tolist(), (data["unit"].values + offset).tolist(), strict=True)
    assert len(found) > 500
    assert sorted(found) == spikes
    last = np.concatenate([tree[f"/populations/{name}"].ds["v"].values[-1] for name in ("E", "I")])
    np.testing.assert_allclose(last, v, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ratio", [0.1, 4.0])
def test_external_spikes_are_poisson_and_independent(ratio: float) -> None:
    """Their numbers in each cell and time step, 60 000 of them. Rejects a tail that is cut off, and shared input."""
    mean = ratio * 20.0 / (0.1 * 20.0) * 0.1  # theta/(J tau), in steps
    circuit = brunel2000.circuit(0.0, ratio, 200, 1)
    record = nc.Record("count", populations=("E",), interval=DT)
    tree = run(circuit, nc.Phase("run", duration=0.03, record=record), engine=nc.Brian2(dt=DT), seed=1)
    counts = tree["/populations/E"].ds["count"].values
    assert counts.shape == (300, 200)
    highest = int(poisson.ppf(1 - 1e-4, mean))
    found = np.bincount(counts.astype(int).ravel(), minlength=highest + 1)
    expected = counts.size * poisson.pmf(np.arange(len(found)), mean)
    many = expected > 5
    chi2 = ((found - expected)[many] ** 2 / expected[many]).sum()
    assert chi2 < many.sum() + 4 * np.sqrt(2 * many.sum())
    assert counts.max() >= highest
    summed = counts.sum(axis=1)
    assert summed.var() == pytest.approx(200 * mean, rel=0.35)  # 200 times as much if cells shared it
    assert np.corrcoef(counts[1:, :].ravel(), counts[:-1, :].ravel())[0, 1] == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("external", ["poisson", "diffusion"])
def test_a_small_network_fires_at_the_rate_of_mean_field(external: str) -> None:
    """2500 cells with 400 excitatory synapses each: 60.3 Hz; three seeds spread from 59.7 to 60.7, cells are alike.

    Rejects input in the refractory time, inhibition of another strength, and noise of another size.
    """
    settings = {"n_excitatory": 2000, "n_synapses": 400}
    found = rates(brunel2000.circuit(**settings, external=external), 0.15, 0.05)
    np.testing.assert_allclose(found, brunel2000.predicted_rate(n_synapses=400), rtol=0.03)


@pytest.mark.slow
def test_the_full_network_fires_at_the_published_rates() -> None:
    """B, C and D within a tenth of the printed simulations; 5 s for D, since its oscillation is slow."""
    for name, seconds, published in (("B", 0.5, 60.7), ("C", 0.5, 37.7), ("D", 5.0, 5.5)):
        assert rates(brunel2000.panel(name), seconds, target="cython") == pytest.approx([published] * 2, rel=0.1)


def test_predicted_rates_of_the_panels() -> None:
    found = [brunel2000.predicted_rate(*brunel2000.PANELS[name]) for name in "ABCD"]
    np.testing.assert_allclose(found, [327.0, 55.84, 37.95, 6.52], rtol=0, atol=0.05)
    assert brunel2000.predicted_rate(reset="0 mV") == pytest.approx(32.03, abs=0.05)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"g": -1.0}, "g = -1.0 is not"),
        ({"n_excitatory": 500}, "n_synapses = 1000 and n_excitatory = 500"),
        ({"external": "none"}, "Allowed: 'poisson', 'diffusion'"),
        ({"J": 0.1}, "J 0.1 is not a voltage"),
    ],
)
def test_bad_settings_get_a_clear_error(settings: dict, words: str) -> None:
    with pytest.raises(nc.ValidationError, match=words):
        brunel2000.circuit(**settings)
    with pytest.raises(nc.ValidationError, match="Allowed: 'A', 'B', 'C', 'D'"):
        brunel2000.panel("E")
