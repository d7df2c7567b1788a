"""Delays that differ within a pathway: every synapse delivers and learns at its own time, as in plain loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import neurocircuits as nc
from neurocircuits.declare.serialise import from_dict, to_dict
from neurocircuits.simulation import resume, run
from tests.engines.test_events import COMPILED_TOO, DT, ETA, TAU, learned, told
from tests.references.spiking import trains, vogels_weights

N_STEPS = 1200


def fired() -> dict[str, np.ndarray]:
    """Return spikes of 12 cells I and 9 cells E."""
    return {"I": trains(np.full(12, 60.0), N_STEPS, DT, 1), "E": trains(np.full(9, 50.0), N_STEPS, DT, 2)}


def steps_of(data: xr.Dataset) -> np.ndarray:
    """Return the delay of each synapse in time steps, as they were drawn."""
    return np.rint(data["delay"].values / DT).astype(int)


@pytest.mark.parametrize("device", ["runtime", pytest.param("cpp_standalone", marks=pytest.mark.standalone)])
def test_every_synapse_delivers_and_learns_after_its_own_delay(device: str) -> None:
    """Rejects one delay for all, delays of other synapses, and traces that miss them."""
    spikes, start = fired(), np.random.default_rng(3).uniform(0.001, 0.004, (9, 12))
    drawn = nc.Clipped(nc.Normal("1.5 ms", "1 ms"), "0.1 ms", "4 ms")
    tree = told(
        spikes,
        nc.Vogels(ETA, "12.5 Hz", TAU),
        start,
        device,
        nc.Record("g", populations=("E",)) if device == "runtime" else None,
        connectivity=nc.Probability(0.5),
        bounds=(0, 0.004),
        delay=drawn,
    )
    data = tree["/synapses/I_to_E"].ds
    post, pre, delays = data["post"].values, data["pre"].values, steps_of(data)
    assert delays.min() == 1
    assert len(set(delays)) > 15
    settings = {"eta": ETA, "alpha": 0.5, "tau": TAU, "dt": DT}
    sides = (spikes["I"], spikes["E"])
    expected = [
        vogels_weights(start[i, j][None], np.array([i]), np.array([j]), sides, delay, settings, 0.004)[0]
        for i, j, delay in zip(post, pre, delays, strict=True)
    ]
    np.testing.assert_allclose(learned(tree), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("device", ["runtime", COMPILED_TOO])
def test_spikes_arrive_after_the_delay_that_was_given_for_their_synapse(device: str) -> None:
    """Rejects weights or delays in the order of another list of synapses, and a delay that is off by a step."""
    post, pre = np.array([3, 0, 2, 1, 0, 3, 1]), np.array([1, 2, 0, 1, 0, 2, 0])
    steps, weights = np.array([7, 0, 12, 3, 25, 1, 9]), np.arange(1, 8) / 3
    spikes = {"I": np.zeros((120, 3), dtype=bool), "E": np.zeros((120, 4), dtype=bool)}
    spikes["I"][[5, 30, 31], [0, 1, 2]] = True
    spikes["I"][50] = True
    tree = told(
        spikes,
        None,
        weights,
        device,
        nc.Record("g", populations=("E",)),
        connectivity=nc.Explicit(post, pre),
        delay=steps * DT,
    )
    data = tree["/synapses/I_to_E"].ds
    assert {(i, j): k for i, j, k in zip(post, pre, steps, strict=True)} == {
        (int(i), int(j)): k for i, j, k in zip(data["post"], data["pre"], steps_of(data), strict=True)
    }
    g, expected = np.zeros(4), np.zeros((120, 4))
    for step in range(120):
        g = g - g * DT / 0.01
        for i, j, delay, w in zip(post, pre, steps, weights, strict=True):
            if step >= delay and spikes["I"][step - delay, j]:
                g[i] += w
        expected[step] = g
    np.testing.assert_allclose(tree["/populations/E"].ds["g"].values, expected, rtol=1e-12, atol=1e-15)


def network(**plastic: Any) -> nc.Circuit:
    """Return a random network that excites and inhibits itself with delays that differ, and learns."""
    cell = """dv/dt = (1.3 - v + g - h)/tau : 1
    dg/dt = -g/(5*ms) : 1 (input, excitatory)
    dh/dt = -h/(10*ms) : 1 (input, inhibitory)"""
    own = {"threshold": "v > 1", "reset": "v = 0", "refractory": "2 ms", "parameters": {"tau": "20 ms"}}
    initial = {"v": nc.Uniform(0.0, 1.0)}
    some, delay = nc.Probability(0.3), nc.Uniform("0.5 ms", "6 ms")
    return nc.Circuit(
        "late",
        [
            nc.Population("E", 30, cell, initial=initial, **own),
            nc.Population("I", 10, cell, sign="inhibitory", initial=initial, **own),
        ],
        [
            nc.Synapses("E", "E", 0.05, connectivity=some, delay=delay),
            nc.Synapses("E", "I", 0.1, connectivity=some, delay=delay, short_term=nc.TsodyksMarkram(0.4, "200 ms")),
            nc.Synapses(
                "I", "E", nc.Uniform(0, 0.1), connectivity=some, delay=delay, rule=nc.Vogels(1e-2, "10 Hz"), **plastic
            ),
        ],
    )


def spikes_and_weights(tree: xr.DataTree) -> list[np.ndarray]:
    """Return what a run leaves."""
    found = [tree[f"/spikes/{name}"].ds[key].values for name in ("E", "I") for key in ("time", "unit")]
    return [*found, tree["/synapses/I_to_E"].ds["w"].values, tree["/synapses/I_to_E"].ds["delay"].values]


def protocol() -> nc.Protocol:
    """Return three phases that are recorded."""
    record = nc.Record(spikes=True)
    return nc.Protocol([nc.Phase(name, duration="40 ms", record=record) for name in "abc"])


def test_a_resumed_run_equals_the_unbroken_one(tmp_path: Path) -> None:
    """Rejects spikes on their way that are lost, arrive at other times, and traces of synapses that are forgotten."""
    engine = nc.Brian2(dt=DT, target="numpy")
    whole = spikes_and_weights(run(network(), protocol(), engine=engine, seed=2))
    assert len(whole[0]) > 50
    assert np.ptp(whole[4][-1] - whole[4][0]) > 0
    place = tmp_path / "checkpoint"

    def stop(simulation: object, n_presentations: int) -> bool:
        if n_presentations == 2:
            raise RuntimeError("stopped")
        return False

    with pytest.raises(nc.RunError):
        run(network(), protocol(), engine, 2, checkpoint=place, checkpoint_every=0.0, watch=stop, watch_every=1)
    resumed = spikes_and_weights(resume(place, progress=False))
    for one, other in zip(whole, resumed, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.slow
@pytest.mark.standalone
def test_a_compiled_network_is_the_live_one() -> None:
    """Rejects other delays in a program, or another order of events within a step."""
    found = [
        spikes_and_weights(run(network(), protocol(), engine=nc.Brian2(dt=DT, device=device, method="euler"), seed=2))
        for device in ("runtime", "cpp_standalone")
    ]
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def test_delays_are_part_of_the_declaration_and_follow_the_seed() -> None:
    """Rejects delays that a rebuilt circuit loses, that every pathway shares, or that a seed does not change."""
    circuit = network()
    assert from_dict(to_dict(circuit)) == circuit
    assert "after the delay of each synapse: Uniform" in nc.compile_circuit(circuit).explain()
    short = nc.Protocol([nc.Phase("a", duration="1 ms")])
    trees = [run(circuit, short, engine=nc.Brian2(dt=DT, target="numpy"), seed=seed) for seed in (0, 0, 1)]
    first, again, other = (tree["/synapses/I_to_E"].ds["delay"].values for tree in trees)
    assert np.array_equal(first, again)
    assert not np.array_equal(first[:20], other[:20])
    assert not np.array_equal(first[:20], trees[0]["/synapses/E_to_E"].ds["delay"].values[:20])
    assert 5e-4 <= first.min() < first.max() <= 6e-3
