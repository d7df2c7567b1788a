"""Watchers and live simulations: a circuit that is advanced, read, taken apart and put back by its user."""

from __future__ import annotations

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.randomness import Streams
from tests.references.circuits import alive, fixed_circuit, learning_circuit, recorded, run, show, weights
from tests.test_simulation import images


def test_a_watcher_sees_the_state_and_can_stop_the_run() -> None:
    seen = []

    def watch(simulation: object, n: int) -> bool:
        seen.append((n, float(simulation.store.arrays["S_to_E"].max())))
        return n >= 60

    stimulus = nc.Patterns(images(200))
    tree = run(
        learning_circuit(),
        nc.Phase("learn", {"S": stimulus}, record=nc.Record("r")),
        engine=nc.SteadyState(batch=10),
        watch=watch,
        watch_every=20,
    )
    assert [n for n, _ in seen] == [20, 40, 60]
    assert tree.attrs["complete"] == 0
    assert len(recorded(tree)) == 60
    assert weights(tree, "S_to_E").max() == seen[-1][1]


def test_a_live_simulation_does_what_a_run_does() -> None:
    """advance, state and load: the same numbers as run(); a state put back replays them."""
    u = images(30)
    phase = nc.Phase("learn", {"S": nc.Patterns(u)}, record=nc.Record("r", "excitation", "inhibition"))
    engine = nc.SteadyState(batch=10)
    tree = run(learning_circuit(), phase, engine=engine, seed=5)
    simulation = engine.open(nc.compile_circuit(learning_circuit()), Streams(5))
    simulation.begin(phase)
    before = simulation.state()
    for _ in range(2):
        readings = [show(simulation, rows) for rows in np.split(u, 3)]
        for variable in ("r", "excitation", "inhibition"):
            rows = np.concatenate([reading.read("E", variable) for reading in readings])
            np.testing.assert_array_equal(rows, recorded(tree, variable=variable))
        np.testing.assert_array_equal(simulation.store.arrays["S_to_E"], weights(tree, "S_to_E"))
        simulation.load(before)
    together = show(simulation, u)
    assert together.n == 30
    assert len(together.presentations["S"].durations) == 30
    np.testing.assert_array_equal(together.read("E", "r"), recorded(tree))


def test_a_state_is_a_copy() -> None:
    """Rejects a state that goes on changing with the simulation."""
    simulation = nc.SteadyState().open(nc.compile_circuit(learning_circuit()), Streams(0))
    simulation.begin(nc.Phase("learn", {"S": nc.Patterns(images())}))
    state = simulation.state()
    kept = {name: np.array(value) for name, value in state.items()}
    show(simulation, images())
    for name, value in kept.items():
        np.testing.assert_array_equal(state[name], value)
    assert not np.array_equal(simulation.state()["weights/S_to_E"], kept["weights/S_to_E"])


def test_a_state_of_another_circuit_is_refused() -> None:
    simulation = alive(fixed_circuit(np.ones((3, 4)), np.ones((2, 3))), np.ones((1, 4)))
    other = alive(fixed_circuit(np.ones((5, 4)), np.ones((2, 5))), np.ones((1, 4)))
    with pytest.raises(nc.StorageError, match="no weights 'S_to_E' of shape"):
        simulation.load(other.state())


def test_nothing_is_presented_before_a_phase_begins() -> None:
    simulation = nc.SteadyState().open(nc.compile_circuit(learning_circuit()), Streams(0))
    with pytest.raises(nc.ValidationError, match=r"call begin\(phase\)"):
        show(simulation, images())


def test_times_and_numbers_run_over_the_whole_protocol() -> None:
    """Presentations of a batch share their time; durations may differ where nothing learns in batches."""
    u = images(6)
    slow = nc.Patterns(u, duration=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    record = nc.Record("r")
    phases = [
        nc.Phase("a", {"S": nc.Patterns(u, duration="1 s")}, record=record),
        nc.Phase("b", {"S": slow}, plasticity=False, record=record),
    ]
    single = run(learning_circuit(), *phases)["/populations/E"].ds
    np.testing.assert_allclose(single["time"].values, [*range(1, 7), 6.1, 6.3, 6.6, 7.0, 7.5, 8.1], rtol=1e-12)
    assert single["presentation"].values.tolist() == list(range(12))
    batched = run(learning_circuit(), *phases, engine=nc.SteadyState(batch=3))
    np.testing.assert_allclose(batched["/populations/E"].ds["time"].values[:6], [1, 1, 1, 2, 2, 2], rtol=1e-12)
    np.testing.assert_allclose(batched["/stimuli/S"].ds["onset"].values[:6], [0, 0, 0, 1, 1, 1], atol=1e-12)
    assert batched["/diagnostics/phases"].ds["n_presentations"].values.tolist() == [6, 6]


def test_a_phase_that_is_off_changes_nothing() -> None:
    """Plasticity off: weights and slow variables are the same to the bit."""
    tree = run(learning_circuit(), nc.Phase("off", {"S": nc.Patterns(images())}, plasticity=False))
    for group, name in (("/synapses/S_to_E", "w"), ("/synapses/E_to_I", "w"), ("/slow/E", "log_gain")):
        values = tree[group].ds[name].values
        assert values[0].tobytes() == values[-1].tobytes()
