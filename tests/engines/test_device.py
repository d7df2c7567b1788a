"""The steady-state engine on a device: what NumPy computes, by the same texts, and what it refuses there."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.datasets import digits
from neurocircuits.declare.serialise import from_dict, to_dict
from neurocircuits.engines import arrays, tensors
from neurocircuits.engines.base import Feed
from neurocircuits.engines.checkpoint import Checkpoint
from neurocircuits.engines.gates import Layer
from neurocircuits.models import krotov2019, seung2018
from neurocircuits.randomness import Streams
from tests.references.circuits import TAU, alive, learning_circuit, recorded, run, show, weights
from tests.test_simulation import identical

needs_torch = pytest.mark.skipif(
    arrays.missing("torch:cpu") != "", reason="torch is not installed; get it with: pip install 'neurocircuits[torch]'"
)
DEVICES = [pytest.param("torch:cpu", marks=needs_torch), pytest.param("cuda", marks=pytest.mark.gpu)]
RECTIFIED = "dr/dt = (rectify(drive) - r)/tau : 1"
U = np.random.default_rng(0).random((60, 6)) + 0.01
IMAGES = digits().values[:1790]
ACTIVITY = nc.Record("r", "drive", "excitation", "inhibition", every=7)


def both(circuit: nc.Circuit, *phases: nc.Phase, device: str, **engine: Any) -> tuple[Any, Any]:
    """Return the results of the same run with NumPy and on a device."""
    settings = {"batch": 10} | engine
    return tuple(run(circuit, *phases, engine=nc.SteadyState(**settings, device=d), seed=5) for d in ("cpu", device))


def agree(ours: Any, theirs: Any, tolerance: float = 1e-12) -> None:
    """Every variable of two results, relative to its largest value."""
    assert {node.path for node in ours.subtree} == {node.path for node in theirs.subtree}
    for node in ours.subtree:
        one, other = node.to_dataset(inherit=False), theirs[node.path].to_dataset(inherit=False)
        for name in one.data_vars:
            a, b = one[name].values, other[name].values
            assert a.dtype == b.dtype, (node.path, name)
            if name.startswith(("residual", "iterations", "distance")) or a.dtype.kind not in "fi":
                continue
            np.testing.assert_allclose(
                b, a, rtol=0, atol=tolerance * max(1.0, np.abs(a).max(initial=0.0)), err_msg=name
            )


def learning(stimulus: Any = U, **settings: Any) -> nc.Phase:
    shown = stimulus if isinstance(stimulus, nc.Stimulus) else nc.Patterns(stimulus)
    return nc.Phase("learn", {"S": shown}, **settings)


# -- the ranked minibatches of competing hidden units ----------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("p", "k"), [(2.0, 2), (2.5, 3), (3.0, 7)])
def test_ranked_minibatches_are_those_of_numpy(p: float, k: int, device: str) -> None:
    """716 minibatches of digits. Rejects ranks of another order, a step that is scaled elsewhere, a stale h(w)."""
    circuit = krotov2019.circuit(64, 100, p=p, k=k)
    phase = learning(nc.Patterns(IMAGES).shuffled(), epochs=4, record=nc.Record("r", every=50))
    ours, theirs = both(circuit, phase, device=device)
    w = weights(ours, "S_to_E")
    assert np.abs(w - weights(ours, "S_to_E", at=0)).max() > 1.0
    np.testing.assert_allclose(weights(theirs, "S_to_E"), w, rtol=0, atol=1e-12)
    agree(ours, theirs)


@pytest.mark.parametrize("device", DEVICES)
def test_ties_go_to_the_lower_unit(device: str) -> None:
    """Rejects a largest value that is found from the other end, where some units have equal currents."""
    x = np.array([[1.0, 3.0, 3.0, 2.0, 3.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    layer, there = Layer(), np.asarray(x, like=arrays.prototype(device))
    places = [arrays.host(layer.place(there, rank)).tolist() for rank in (1, 2, 3, 4)]
    assert places == [[1, 0], [2, 1], [4, 2], [3, 3]]


@pytest.mark.parametrize("device", DEVICES)
def test_numbers_of_32_bits_stay_so(device: str) -> None:
    """Rejects weights, or results, that become numbers of 64 bits on the way, and arithmetic in 16 bits."""
    circuit = krotov2019.circuit(64, 100, p=3.0, k=7)
    ours, theirs = both(circuit, learning(IMAGES), device=device, dtype="float32")
    assert weights(theirs, "S_to_E").dtype == np.float32
    np.testing.assert_allclose(weights(theirs, "S_to_E"), weights(ours, "S_to_E"), rtol=0, atol=2e-5)


@needs_torch
def test_a_minibatch_goes_over_once_and_nothing_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejects weights or currents that are copied to the host or from there with every minibatch."""
    simulation = nc.SteadyState(batch=10, device="torch:cpu").open(
        nc.compile_circuit(krotov2019.circuit(64, 50)), Streams(0)
    )
    simulation.begin(learning(IMAGES[:10], epochs=3))
    shown = nc.Patterns(IMAGES[:10]).at(np.arange(10), Streams(0))
    went: list[tuple[int, ...]] = []
    creators = dict(tensors._CREATORS)

    def counted(where: Any, values: Any, dtype: Any = None) -> Any:
        went.extend([] if isinstance(values, tensors.DeviceArray) else [np.shape(values)])
        return creators[np.array](where, values, dtype)

    def refuse(*_: Any) -> np.ndarray:
        raise AssertionError("an array came back to the host")

    monkeypatch.setitem(tensors._CREATORS, np.array, counted)
    monkeypatch.setattr(tensors, "_array", counted)
    monkeypatch.setattr(tensors.DeviceArray, "host", refuse)
    simulation.go(Feed(lambda start, size: {"S": shown}, 30), lambda readings: False)
    assert went == [(10, 64)] * 3


# -- other circuits --------------------------------------------------------------------------------------------------------


def feed_forward(rule: nc.Rule | None, equations: str = RECTIFIED, **synapses: Any) -> nc.Circuit:
    settings = {"weights": nc.Uniform(0.1, 1.0), "rule": rule} | synapses
    cells = nc.Population("E", 5, equations, parameters=TAU)
    return nc.Circuit("forward", [nc.Population("S", 6), cells], [nc.Synapses("S", "E", **settings)])


RULES: dict[str, nc.Circuit] = {
    "a product and a decay": feed_forward(nc.Hebbian(eta="0.5 Hz", kappa=0.02)),
    "a product and a product with the weight": feed_forward(nc.Oja(eta="0.5 Hz")),
    "a sum over synapses": feed_forward(
        nc.Rule("(r_post*r_pre - w*s)/second", aggregates={"s": "sum_over_pre(w*r_post)"}), weights=nc.Uniform(0.1, 0.3)
    ),
    "no sum of products": feed_forward(nc.Rule("0.5*(tanh(w*r_pre) - w*r_post)/second")),
    "a gate of whole rows": feed_forward(
        nc.Rule("g*(r_pre - w)/second", terms={"g": "ranked(drive_post, 1) + total(r_post)*0"})
    ),
    "a norm that is kept": feed_forward(nc.Hebbian(eta="0.5 Hz"), normalise=nc.Normalise("target", 2.0)),
    "a norm of what leaves": feed_forward(nc.Hebbian(eta="0.5 Hz"), normalise=nc.Normalise("source", 1.0)),
    "some synapses": feed_forward(nc.Hebbian(eta="0.5 Hz"), connectivity=nc.Probability(0.6)),
    "another function": feed_forward(nc.Hebbian(eta="0.5 Hz"), "dr/dt = (drive/(1 + drive) - r)/tau : 1"),
    "what a synapse passes on": feed_forward(nc.Hebbian(eta="0.5 Hz"), transmits="w**2*sqrt(r_pre)"),
    "ranks of two variables": feed_forward(
        nc.Rule(
            "g*(r_pre - w)/second",
            terms={"g": "ranked(drive_post, 1) - 0.4*ranked(r_post, 2)"},
            step=nc.LargestChange(0.02),
        )
    ),
    "weights of either sign on two pathways": krotov2019.twin(
        krotov2019.circuit(6, 5, k=2), np.random.default_rng(1).normal(size=(5, 6))
    ),
    "a few units mediate": learning_circuit(n_e=8),
    "tied pathways": learning_circuit(),
    "the published one": seung2018.circuit(6, 8, 3),
    "loops that learn there and back": seung2018.circuit(6, 8, 3, back="local"),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", RULES)
def test_other_circuits_are_those_of_numpy(name: str, device: str) -> None:
    """Rejects a function of NumPy that means something else on the device, and results of another type or shape."""
    phases = [learning(epochs=4, record=ACTIVITY, plasticity={"S_to_E": nc.Linear(1.0, 0.5)})]
    tied = name == "tied pathways"
    ours, theirs = both(RULES[name], *phases, device=device, **({"learning_tolerance": 1e-5} if tied else {}))
    assert np.abs(weights(ours, "S_to_E") - weights(ours, "S_to_E", at=0)).max() > 1e-3
    agree(ours, theirs, 1e-4 if tied else 1e-11)  # gradient steps end at their tolerance, on the host with exact rows


@pytest.mark.parametrize("device", DEVICES)
def test_interventions_and_frozen_phases_are_those_of_numpy(device: str) -> None:
    """Rejects clamps, cuts and scaled weights that stay on the host, and a frozen phase that ends at a loose tolerance."""
    cut = nc.Scale("E_to_I", 0.5, post=[0])
    phases = [
        learning(record=ACTIVITY, interventions=[nc.Clamp("E", 0.7, units=[1]), nc.Clamp("I", 0.2, units=[0])]),
        nc.Phase("probe", {"S": nc.Patterns(U)}, plasticity=False, record=ACTIVITY, interventions=[cut]),
    ]
    ours, theirs = both(learning_circuit(n_e=8, connectivity=nc.Probability(0.7)), *phases, device=device)
    assert np.ptp(recorded(ours)[:5, 1]) == 0
    agree(ours, theirs, 1e-8)


@pytest.mark.parametrize("device", DEVICES)
def test_a_clamp_of_units_that_mediate_is_that_of_numpy(device: str) -> None:
    """By gradient steps, then at once. Rejects a clamped unit that goes on inhibiting by what it receives."""
    clamped = learning(record=ACTIVITY, interventions=[nc.Clamp("I", 0.2, units=[0]), nc.Clamp("E", 0.1, units=[1])])
    for circuit, tolerance in ((learning_circuit(), 1e-3), (learning_circuit(n_e=8), 1e-10)):
        ours, theirs = both(circuit, clamped, device=device, learning_tolerance=1e-5)
        agree(ours, theirs, tolerance)


# -- states, checkpoints ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "circuit", [krotov2019.circuit(64, 30, k=3), seung2018.circuit(64, 8, 3)], ids=["ranks", "loop"]
)
def test_a_resumed_run_equals_the_unbroken_one(
    circuit: nc.Circuit, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit, on the device. Rejects a checkpoint that rounds, and transmitted weights that are stale after it."""
    protocol = nc.Protocol([learning(nc.Patterns(IMAGES[:300]).shuffled(), epochs=2, record=nc.Record("r", every=20))])
    engine = nc.SteadyState(batch=10, device=device)
    unbroken = nc.run(circuit, protocol, engine, seed=3, progress=False)
    saves, count = Checkpoint.save, itertools.count(1)

    def cut(self: Checkpoint, state: dict, cursor: dict) -> None:
        assert all(type(value) is np.ndarray for value in state.values())
        saves(self, state, cursor)
        if next(count) == 17:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", cut)
    with pytest.raises(nc.InterruptedRun):
        nc.run(circuit, protocol, engine, seed=3, progress=False, checkpoint=tmp_path, checkpoint_every=-1)
    assert json.loads((tmp_path / "latest.json").read_text())["cursor"]["position"] == 170
    monkeypatch.setattr(Checkpoint, "save", saves)
    identical(nc.resume(tmp_path, progress=False), unbroken)


@pytest.mark.parametrize("device", DEVICES)
def test_a_state_goes_to_the_host_and_back(device: str) -> None:
    """Rejects a state that shares memory with the run, one that is not NumPy's, and a load that does not reach the device."""
    circuit = learning_circuit()
    there = alive(circuit, U, nc.SteadyState(batch=10, device=device), plasticity=True)
    before = there.state()
    kept = {key: value.copy() for key, value in before.items()}
    assert all(type(value) is np.ndarray for value in before.values())
    show(there, U)
    for key, value in before.items():
        np.testing.assert_array_equal(value, kept[key], err_msg=key)
    after = there.state()
    assert not np.array_equal(after["weights/S_to_E"], before["weights/S_to_E"])
    there.load(before)
    show(there, U)
    for key, value in there.state().items():
        np.testing.assert_array_equal(value, after[key], err_msg=key)
    here = alive(circuit, U, nc.SteadyState(batch=10))
    here.load(after)  # what a device computed goes on with NumPy
    there.load(after)
    there.begin(nc.Phase("probe", {"S": nc.Patterns(U)}, plasticity=False))
    np.testing.assert_allclose(show(there, U).read("E", "r"), show(here, U).read("E", "r"), rtol=0, atol=1e-9)


def test_what_is_declared_says_where_it_runs() -> None:
    """Rejects a checkpoint that goes on elsewhere."""
    engine = nc.SteadyState(batch=3, device="cuda:1")
    assert from_dict(to_dict(engine)) == engine
