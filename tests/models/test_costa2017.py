"""The subLSTM column in continuous time: against the discrete cell, and a plain integration of its equations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.errors import ValidationError
from neurocircuits.models import costa2017
from tests.references import columns


def replayed(weights: Any, x: np.ndarray, recurrence: str, D: float, dt: float = 5e-5) -> np.ndarray:
    circuit = costa2017.circuit(weights, recurrence, presentation=D)
    shown = costa2017.protocol(x, presentation=D, recurrence=recurrence)
    engine = nc.Brian2(dt=dt, batch=x.shape[1], tolerance=None)
    return costa2017.outputs(nc.run(circuit, shown, engine, progress=False), len(x))["h"]


def inputs(n_time: int, n: int = 3, n_inputs: int = 2) -> np.ndarray:
    return np.random.default_rng(7).normal(size=(n_time, n, n_inputs))


@pytest.mark.parametrize(("recurrence", "fixed"), [("latched", False), ("latched", True), ("live", False)])
def test_it_is_a_plain_integration_of_its_equations(recurrence: str, fixed: bool) -> None:
    """Rejects a flipped sign on any path, relays that do not give back o, stages that leak, copies that mix."""
    weights, x, D = columns.random_weights(5, 2, seed=3, fixed=fixed), inputs(4), 4e-3
    pulse = 1e-3 if recurrence == "latched" else 0.0
    expected = columns.integrated(weights, x, D, 1e-3, 1e-4, pulse, 5e-5)
    np.testing.assert_allclose(replayed(weights, x, recurrence, D), expected, rtol=0, atol=1e-10)


def test_only_with_a_latch_it_converges_to_the_discrete_cell() -> None:
    """Rejects a leak that is not matched to the presentation, and recurrent synapses that see a moving h."""
    weights, x = columns.random_weights(8, 2, seed=0), inputs(8)
    expected = columns.discrete(weights, x)
    error = {
        (recurrence, D): float(np.sqrt(((replayed(weights, x, recurrence, D) - expected) ** 2).mean()) / expected.std())
        for recurrence, D in (("latched", 5e-3), ("latched", 2e-2), ("live", 2e-2))
    }
    assert error["latched", 5e-3] / error["latched", 2e-2] == pytest.approx(4, rel=0.25)  # as tau/D
    assert error["latched", 2e-2] < 0.02
    assert error["live", 2e-2] > 0.1


def test_an_integrator_keeps_what_it_has() -> None:
    """Rejects a leak of f = 1 that is 0/0, and one that is not f after a presentation of whatever length."""
    weights = columns.random_weights(4, 1, seed=1, fixed=True) | {f"W_{g}": np.zeros((4, 1)) for g in "zio"}
    weights |= {f"R_{g}": np.zeros((4, 4)) for g in "zio"} | {"b_z": np.full(4, 2.0), "b_i": np.full(4, -1.0)}
    x = np.zeros((5, 1, 1))
    h = replayed(weights, x, "latched", 2e-2) + columns.sigma(weights["b_o"])
    c = np.log(h / (1 - h))[:, 0]
    added = columns.sigma(np.array(2.0)) - columns.sigma(np.array(-1.0))
    kept = weights["f"]
    np.testing.assert_allclose(c[2:] - kept * c[1:-1], np.full((3, 4), added), atol=0.005)
    assert kept[-1] == 1 and c[-1, -1] == pytest.approx(5 * added, rel=0.02)


def test_a_balanced_gate_is_shut_and_opens_by_disinhibition() -> None:
    """Rejects a gate that scales: with i = z the memory stands still whatever is shown, without inhibition it adds z."""
    weights = columns.random_weights(4, 2, seed=6, fixed=True)
    weights |= {f"{name}_i": weights[f"{name}_z"] for name in "WRb"} | {"f": np.ones(4)}
    shown, engine = costa2017.protocol(inputs(3), presentation="10 ms"), nc.Brian2(dt="0.1 ms", batch=3, tolerance=None)
    circuit, (phase,) = costa2017.circuit(weights, presentation="10 ms"), shown.phases
    opened = replace(shown, phases=[replace(phase, interventions=[nc.Scale("I_to_C", 0.0)])])
    c = [costa2017.outputs(nc.run(circuit, each, engine, progress=False), 3)["c"] for each in (shown, opened)]
    assert np.abs(c[0]).max() < 1e-12 and (c[1][-1] > 0.3).all()


def test_all_signs_are_legal() -> None:
    """Rejects signed weights and inhibitory cells that excite."""
    circuit = costa2017.circuit(columns.random_weights(6, 3, seed=2))
    shown = replace(costa2017.protocol(inputs(1, 1, 3)), weights=None)
    tree = nc.run(circuit, shown, nc.Brian2(dt="50 us", tolerance=None), progress=False)
    assert circuit.dale == "enforced" and tree.attrs["dale_violations"] == 0 and tree.attrs["unconstrained"] == 0
    inhibitory = {p.name for p in circuit.populations if p.sign == "inhibitory"}
    assert inhibitory == {"X_relay", "I", "O", "O_end", "C_relay", "O_relay"}
    weights = {name: node.ds["w"].values for name, node in tree["/synapses"].children.items() if "w" in node.ds}
    assert all((w >= 0).all() for w in weights.values()) and len(weights) == len(circuit.synapses)


def test_one_column_masks_and_adds() -> None:
    """Rejects a mask that lets values without a mark through, and a memory that forgets or adds twice.

    The mean square error of the discrete unit is 2e-3, 4e-6 and 2e-8 for a = 1, 0.2 and 0.05. In time a value that is
    marked in the last step lacks what the gates had not yet reached, the share tau/D of it.
    """
    rng = np.random.default_rng(3)
    marks = rng.permuted(np.tile((np.arange(12) < 2).astype(float)[:, None], 40), axis=0)
    x = np.stack([rng.uniform(-1, 1, marks.shape), marks], axis=2)
    answer, early = (x[..., 0] * marks).sum(0), marks[-1] == 0

    def error(a: float, B: float = 20.0) -> np.ndarray:
        shown = costa2017.protocol(x, presentation="10 ms")
        engine = nc.Brian2(dt="0.1 ms", batch=40, tolerance=None)
        tree = nc.run(costa2017.adder(B, a, presentation="10 ms"), shown, engine, progress=False)
        return 16 * costa2017.outputs(tree, 12)["h"][-1, :, 0] / a - answer

    errors = {a: error(a) for a in (1.0, 0.2)}
    for a, expected in ((1.0, 2e-3), (0.2, 4e-6)):
        found = columns.discrete(costa2017.adding_weights(20.0, a), x)[-1, :, 0] * 16 / a - answer
        assert (found**2).mean() == pytest.approx(expected, rel=0.5)
        assert (errors[a][early] ** 2).mean() == pytest.approx(expected, rel=1.0)
    assert 0.01 < np.abs(errors[0.2][~early]).max() < 0.12
    assert (error(0.2, B=0.0) ** 2).mean() > 1


def fired(z: np.ndarray, i: np.ndarray, seed: int = 0, **settings: Any) -> np.ndarray:
    """Rates of the cells of each column in Hz, the inverse of intervals between spikes after the first 100 ms."""
    shown = nc.Patterns(np.tile(np.concatenate([z, i]), (2, 1)), duration=[0.1, 0.5])
    protocol = nc.Protocol([nc.Phase("gate", {"S": shown}, record=nc.Record(spikes="P"))], weights=())
    circuit, engine = costa2017.spikes(len(z), **settings), nc.Brian2(dt="0.1 ms")
    data = nc.run(circuit, protocol, engine, seed=seed, progress=False)["/spikes/P"].ds
    late = data["time"].values > 0.1
    units, times = data["unit"].values[late], data["time"].values[late]
    trains = [times[units == unit] for unit in range(circuit.population("P").n_units)]
    rates = [(len(train) - 1) / np.ptp(train) if len(train) > 1 else 0.0 for train in trains]
    return np.reshape(rates, (len(z), -1)).mean(axis=1)


def test_spikes_of_a_gate_tell_the_difference() -> None:
    """Rejects inhibition that divides, a gate that is shut at i = 0, and currents of another size than is said."""
    z, i = np.array([[1.0, 1.0], [1.0, 0.5], [0.5, 1.0], [0.5, 0.0], [1.0, 0.0], [0.0, 1.0]]).T
    found = costa2017.difference(fired(z, i), dt="0.1 ms")
    sampled = np.sqrt((z + i) / (200 * 200 * 0.5))  # standard deviation by the numbers of spikes of both pools
    assert (np.abs(found - (z - i)) < 4 * sampled + 0.005).all(), found
    shut, opened = fired(np.ones(2), np.array([1.0, 0.0]), background=0.0, gain=2.0)
    assert shut == 0
    assert costa2017.difference(opened, 2.0, 0.0, dt="0.1 ms") == pytest.approx(1, abs=4 * 0.007 + 0.005)


W = columns.random_weights(3, 2, seed=4)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: costa2017.circuit({k: v for k, v in W.items() if k != "R_o"}), "no weights 'R_o'. Needed: "),
        (lambda: costa2017.circuit(W | {"R_z": np.ones((3, 2))}), r"'R_z' of shape \(3, 2\).*shape \(3, 3\)"),
        (lambda: costa2017.circuit(W | {"b_z": np.full(3, np.nan)}), "'b_z' .* not finite"),
        (lambda: costa2017.circuit(W | {"f": np.array([0.5, 0.0, 1.0])}), "above 0 and at most 1"),
        (lambda: costa2017.circuit(W, "delayed"), "recurrence 'delayed'. Allowed: 'latched', 'live'"),
        (lambda: costa2017.spikes(gain=-1.0), "gain -1.0.*must all be positive"),
        (lambda: costa2017.protocol(np.ones((3, 2))), r"\(time, n_sequences, D\)"),
        (lambda: costa2017.protocol(np.ones((0, 2, 1))), r"Give \(time, n_sequences, D\), none of them 0"),
        (lambda: costa2017.protocol(np.ones((3, 2, 1)), presentation="1 ms"), "a pulse within the presentation"),
    ],
)
def test_bad_input_gets_a_clear_error(call: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        call()
