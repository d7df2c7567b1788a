"""Runs of spiking circuits: phases, records, resumption and both devices give one and the same network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import neurocircuits as nc
from neurocircuits.models import vogels2011
from tests.test_simulation import identical

ENGINE = nc.Brian2(dt="0.1 ms", method="exponential_euler")


def protocol() -> nc.Protocol:
    """Return phases that switch, slow and rescale learning, and record spikes, samples and weights."""
    sampled = nc.Record("v", "excitation", populations=("cell",), interval="5 ms", spikes=("cell", "I"))
    return nc.Protocol(
        [
            nc.Phase("rest", duration="20 ms", epochs=2, plasticity=False, record=nc.Record(spikes=True)),
            nc.Phase("learn", duration="20 ms", epochs=3, record=sampled),
            nc.Phase(
                "scaled",
                duration="20 ms",
                epochs=2,
                plasticity={"I_to_cell": 0.5},
                interventions=[nc.Scale("I_to_cell", 3.0, pre=range(25)), nc.Scale("E_to_cell", 0.5)],
                parameters={"I_to_cell.target": "20 Hz", "cell.E_i": "-75 mV"},
                record=nc.Record("v", populations=("cell",), spikes=("cell",)),
            ),
        ],
        name="spiking",
    )


@pytest.fixture(scope="module")
def unbroken() -> xr.DataTree:
    return nc.run(vogels2011.circuit(delay="1 ms"), protocol(), ENGINE, progress=False)


def test_phases_do_what_they_say(unbroken: xr.DataTree) -> None:
    """Rejects learning while it is off, a scale that reaches other synapses, and spikes outside their phases."""
    data = unbroken["/synapses/I_to_cell"].ds
    w = data["w"].values
    assert list(data["phase"].values) == ["initial", "rest", "learn", "scaled"]
    assert np.array_equal(w[0], w[1])
    assert not np.array_equal(w[1], w[2])
    early = data["pre"].values < 25
    grown = w[3] / w[2]
    assert grown[early].min() > 2.5
    assert grown[~early].max() < 1.5
    fixed = unbroken["/synapses/E_to_cell"].ds["w"].values
    np.testing.assert_allclose(fixed[3], 0.5 * fixed[2])
    times = unbroken["/spikes/E"].ds["time"].values
    assert len(times) > 50
    assert 0 <= times.min() < times.max() < 0.04
    assert unbroken["/spikes/cell"].ds["time"].values.max() > 0.06
    assert (np.diff(times) >= 0).all()


def test_samples_within_presentations_are_those_of_the_cell(unbroken: xr.DataTree) -> None:
    """Rejects samples at other times, and excitation that is not the marked current."""
    data = unbroken["/populations/cell"].ds
    learn = data.isel(time=data["phase"].values == "learn")
    within = learn["time_in_presentation"].values
    np.testing.assert_allclose(within[:4], [0.005, 0.01, 0.015, 0.02])
    np.testing.assert_allclose(learn["time"].values[:5], 0.04 + 0.005 * np.arange(1, 6))
    assert (learn["excitation"].values > 0).all()
    assert (np.abs(learn["v"].values) < 0.09).all()


def test_a_resumed_run_equals_the_unbroken_one(unbroken: xr.DataTree, tmp_path: Path) -> None:
    """Rejects lost spikes on their way, other random numbers, and refractoriness or traces that start anew."""

    def stop(simulation: object, n_presentations: int) -> bool:
        if n_presentations == 4:
            raise RuntimeError("stopped")
        return False

    place = tmp_path / "checkpoint"
    with pytest.raises(nc.RunError):
        nc.run(
            vogels2011.circuit(delay="1 ms"),
            protocol(),
            ENGINE,
            progress=False,
            checkpoint=place,
            checkpoint_every=0.0,
            watch=stop,
            watch_every=1,
        )
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    identical(nc.resume(place, progress=False), unbroken)
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.standalone
def test_a_compiled_program_is_the_live_network(unbroken: xr.DataTree) -> None:
    """Rejects another order within a time step, other random numbers, and switches that come late."""
    engine = nc.Brian2(dt="0.1 ms", method="exponential_euler", device="cpp_standalone")
    compiled = nc.run(vogels2011.circuit(delay="1 ms"), protocol(), engine, progress=False)
    for name in ("E", "I", "cell"):
        for variable in ("unit", "time"):
            ours, theirs = (tree[f"/spikes/{name}"].ds[variable].values for tree in (compiled, unbroken))
            np.testing.assert_allclose(ours, theirs, atol=1e-9)
    for path, variable in (
        ("/synapses/I_to_cell", "w"),
        ("/synapses/E_to_cell", "w"),
        ("/populations/cell", "v"),
        ("/populations/cell", "excitation"),
    ):
        ours, theirs = (tree[path].ds[variable].values for tree in (compiled, unbroken))
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-15)


def test_equal_seeds_give_equal_spikes_and_others_do_not(unbroken: xr.DataTree) -> None:
    """Rejects random numbers that depend on what ran before, or that do not follow the seed."""
    again, other = (
        nc.run(vogels2011.circuit(delay="1 ms"), protocol(), ENGINE, seed=seed, progress=False) for seed in (0, 1)
    )
    assert np.array_equal(again["/spikes/E"].ds["time"].values, unbroken["/spikes/E"].ds["time"].values)
    assert len(other["/spikes/E"].ds["time"]) != len(unbroken["/spikes/E"].ds["time"])


def test_results_of_spiking_runs_are_stored_and_read(unbroken: xr.DataTree, tmp_path: Path) -> None:
    """Rejects a store that loses lists of synapses or spikes."""
    place = tmp_path / "run.zip"
    nc.save(unbroken, place)
    identical(nc.load(place), unbroken)
