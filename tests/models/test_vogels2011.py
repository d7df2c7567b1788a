"""Inhibitory plasticity: its rate form against closed forms, and the statistics of the published inputs and networks."""

from __future__ import annotations

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.models import vogels2011

TAU = {"tau": "5 ms"}


def test_the_rate_form_finds_its_fixed_point() -> None:
    """w = E - r0 C^-1 m. Rejects a rule that fixes the mean rate only, or the covariance in place of the second moment."""
    rng = np.random.default_rng(0)
    n, r0 = 4, 0.3
    x = rng.uniform(0.2, 1.8, (100, n))
    excitation = np.array([0.9, 1.2, 1.6, 1.1])
    circuit = nc.Circuit(
        "feedforward",
        [
            nc.Population("S", n),
            nc.Population("V", n, sign="inhibitory"),
            nc.Population("E", 1, "dr/dt = (drive - r)/tau : 1", parameters=TAU),
        ],
        [
            nc.Synapses("S", "E", weights=excitation[None, :]),
            nc.Synapses("V", "E", weights=0.1, rule=nc.Vogels(eta=25.0, target=r0, tau="20 ms")),
        ],
    )
    shown = nc.Patterns(x, duration="100 ms")
    phase = nc.Phase("learn", {"S": shown, "V": shown}, epochs=800)
    # both sources show the same row, so the order is kept
    tree = nc.run(circuit, nc.Protocol([phase]), nc.SteadyState(batch=100), progress=False)
    second, mean = x.T @ x / len(x), x.mean(axis=0)
    expected = excitation - r0 * np.linalg.solve(second, mean)
    np.testing.assert_allclose(tree["/synapses/V_to_E"].ds["w"].values[-1, 0], expected, rtol=0.02)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_recurrent_rate_form_finds_its_fixed_point(seed: int) -> None:
    """r_E = r0 and w_EI = (I_E - (1 - w_EE) r0)/r_I. Rejects inhibition that is not subtracted, or a target of r_I."""
    rng = np.random.default_rng(seed)
    r0, w_ee, w_ie, w_ii = rng.uniform(0.3, 0.8), rng.uniform(0.1, 0.6), rng.uniform(0.5, 1.5), rng.uniform(0.2, 1.0)
    i_e, i_i = rng.uniform(1.5, 3.0), rng.uniform(0.2, 0.6)
    rate = "dr/dt = (rectify(drive) - r)/tau : 1"
    circuit = nc.Circuit(
        "recurrent",
        [
            nc.Population("S", 2),
            nc.Population("E", 1, rate, parameters=TAU),
            nc.Population("I", 1, rate, parameters=TAU, sign="inhibitory"),
        ],
        [
            nc.Synapses("S", "E", weights=[[1.0, 0.0]]),
            nc.Synapses("S", "I", weights=[[0.0, 1.0]]),
            nc.Synapses("E", "E", weights=w_ee),
            nc.Synapses("E", "I", weights=w_ie),
            nc.Synapses("I", "I", weights=w_ii),
            nc.Synapses("I", "E", weights=0.5, rule=nc.Vogels(eta=50.0, target=r0, tau="20 ms")),
        ],
    )
    phase = nc.Phase("learn", {"S": nc.Patterns([[i_e, i_i]], duration="200 ms")}, epochs=400, record=nc.Record("r"))
    tree = nc.run(circuit, nc.Protocol([phase]), progress=False)
    r_i = (w_ie * r0 + i_i) / (1 + w_ii)
    assert tree["/populations/E"].ds["r"].values[-1, 0] == pytest.approx(r0, rel=1e-3)
    assert tree["/populations/I"].ds["r"].values[-1, 0] == pytest.approx(r_i, rel=1e-3)
    expected = (i_e - (1 - w_ee) * r0) / r_i
    assert tree["/synapses/I_to_E"].ds["w"].values[-1, 0, 0] == pytest.approx(expected, rel=2e-3)


def test_afferents_fire_as_the_program_says() -> None:
    """36 to 38 Hz, never twice within 5 ms, groups independent. Rejects rates without refractoriness, or shared signals."""
    record = nc.Record("s", populations=("signals",), interval="10 ms", spikes=("E",))
    protocol = nc.Protocol([nc.Phase("listen", duration="4 s", plasticity=False, record=record)])
    engine = nc.Brian2(dt="0.5 ms", method="exponential_euler", target="numpy")
    tree = nc.run(vogels2011.circuit(peak=0.03 * np.sqrt(5)), protocol, engine, progress=False)
    spikes = tree["/spikes/E"].ds
    units, times = spikes["unit"].values, spikes["time"].values
    assert len(times) / 800 / 4 == pytest.approx(37, abs=4)
    order = np.lexsort((times, units))
    intervals = np.diff(times[order])[np.diff(units[order]) == 0]
    assert intervals.min() > 5e-3 - 1e-9
    counts = np.zeros((8, 80))
    np.add.at(counts, (vogels2011.group_of("E")[units], np.minimum((times / 0.05).astype(int), 79)), 1)
    across = np.corrcoef(counts)[np.triu_indices(8, 1)]
    assert abs(across.mean()) < 4 * across.std() / np.sqrt(len(across))
    s = tree["/populations/signals"].ds["s"].values
    lagged = np.mean([np.corrcoef(one[:-5], one[5:])[0, 1] for one in s.T])
    assert lagged == pytest.approx(np.exp(-1), abs=0.2)


def test_the_recurrent_network_has_the_published_sizes() -> None:
    circuit = vogels2011.circuit("recurrent", weights="auryn")
    assert [p.n_units for p in circuit.populations] == [8000, 2000]
    protocol = nc.Protocol([nc.Phase("run", duration="0.2 ms")])
    tree = nc.run(circuit, protocol, nc.Brian2(dt="0.1 ms", target="numpy"), progress=False)
    for name, mean, sd in (("E_to_E", 160, 13), ("I_to_E", 40, 6)):
        counts = np.bincount(tree[f"/synapses/{name}"].ds["post"].values, minlength=8000)
        assert counts.mean() == pytest.approx(mean, abs=1)
        assert counts.std() == pytest.approx(sd, abs=1)
    assert tree["/synapses/I_to_E"].ds["w"].values[0, 0] == pytest.approx(30e-9)


def test_the_two_normalisations_are_one_cell() -> None:
    """Conductances in units of the leak and in siemens. Rejects a reversal potential or a leak that is in one only."""
    spikes = []
    for leak, unit in ((10e-9, "siemens"), (1.0, "1")):
        equations = f"""
        dv/dt = (g_leak*(v_rest - v) + g*(E_e - v))/C : volt (unless refractory)
        dg/dt = -g/tau_e : {unit} (input, excitatory)
        """
        dimension = "" if unit == "1" else "*siemens"
        parameters = {"v_rest": "-60 mV", "E_e": "0 mV", "tau_e": "5 ms", "g_leak": f"{leak}{dimension}"}
        parameters["C"] = f"{leak * 0.02}{dimension}*second"
        cell = nc.Population(
            "cell", 20, equations, parameters=parameters, initial={"v": "-60 mV"}, threshold="v > -50*mV",
            reset="v = v_rest", refractory="5 ms",
        )  # fmt: skip
        source = nc.Population("P", 200, "nu = 30*Hz : Hz", threshold="rand() < nu*dt")
        pathway = nc.Synapses("P", "cell", weights=nc.Uniform(0, 0.1 * leak), unit=f"1{dimension}")
        protocol = nc.Protocol([nc.Phase("run", duration="300 ms", record=nc.Record(spikes=("cell",)))])
        tree = nc.run(nc.Circuit("c", [source, cell], [pathway]), protocol, nc.Brian2(dt="0.1 ms"), progress=False)
        spikes.append(tree["/spikes/cell"].ds)
    assert len(spikes[0]["time"]) > 50
    assert np.array_equal(spikes[0]["unit"].values, spikes[1]["unit"].values)
    assert np.array_equal(spikes[0]["time"].values, spikes[1]["time"].values)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"network": "layered"}, "'layered'"),
        ({"network": "recurrent", "weights": "nest"}, "'nest'"),
        ({"preferred": 9.0}, "between 1 and 8"),
        ({"initial": np.ones(7)}, r"\(7,\)"),
        ({"target": "-1 Hz"}, "target = .-1 Hz.; 0 or more"),
    ],
)
def test_bad_settings_get_a_clear_error(settings: dict[str, object], words: str) -> None:
    with pytest.raises(nc.ValidationError, match=words):
        vogels2011.circuit(**settings)  # type: ignore[arg-type]


def test_cells_driven_by_poisson_trains() -> None:
    """Without spikes to them cells fire every t_ref + tau log(20 mV/10 mV); with them at means of conductances."""
    nu_e, nu_i = np.repeat([0.0, 40.0], 20), np.repeat([0.0, 30.0], 20)
    circuit = vogels2011.driven(nu_e, nu_i, np.full(40, 3.0), (160, 40))
    record = nc.Record("g_e", "g_i", interval="50 ms", spikes=("cell",))
    phases = [nc.Phase("settle", duration="0.2 s"), nc.Phase("measure", duration="2 s", record=record)]
    tree = nc.run(circuit, nc.Protocol(phases), nc.Brian2(dt="0.1 ms", target="numpy", tolerance=None), 0)
    counts = np.bincount(tree["/spikes/cell"].ds["unit"].values, minlength=40)[:20] / 2
    np.testing.assert_allclose(counts, 1 / (0.005 + 0.02 * np.log(2)), rtol=0.02)
    samples = tree["/populations/cell"].ds
    for name, expected in (("g_e", 160 * 40 * 0.3e-9 * 0.005), ("g_i", 40 * 30 * 3e-9 * 0.01)):
        means = samples[name].values[:, 20:].mean(axis=0)
        assert abs(means.mean() - expected) < 4 * means.std() / np.sqrt(20)
        assert (samples[name].values[:, :20] == 0).all()
    with pytest.raises(nc.ValidationError, match=r"driven: nu_i of shape \(2,\) must hold a number of 0 or more"):
        vogels2011.driven([1.0], [1.0, 2.0], [3.0], (160, 40))
