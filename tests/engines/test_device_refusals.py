"""What a device does not run: each is refused before a run, or on the spot, with its reason and the remedy."""

from __future__ import annotations

import builtins
import dataclasses
import sys
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import neurocircuits as nc
from neurocircuits.engines import arrays, refusals
from neurocircuits.engines.solvers import ThresholdLinearSolver
from neurocircuits.models import krotov2019
from neurocircuits.randomness import Streams
from tests.engines.test_device import RECTIFIED, U, feed_forward, learning, needs_torch
from tests.references.circuits import TAU, alive, learning_circuit, run, show

LATERAL = nc.Circuit(
    "lateral",
    [nc.Population("S", 6), nc.Population("E", 5, RECTIFIED, parameters=TAU),
     nc.Population("I", 5, RECTIFIED, parameters=TAU, sign="inhibitory")],
    [nc.Synapses("S", "E", weights=0.5), nc.Synapses("E", "I", weights=0.1), nc.Synapses("I", "E", weights=0.1),
     nc.Synapses("I", "I", weights=0.1)],
)  # fmt: skip
FEW, MANY = learning_circuit(n_e=8), learning_circuit()
STEPS = (nc.Window("50 ms", plastic=False, step="1 ms"), nc.Window("50 ms"))
REFUSED: dict[str, tuple[nc.Circuit, nc.Phase, dict, str]] = {
    "integration": (
        feed_forward(None, "dr/dt = (tanh(drive + 0.1*r) - r)/tau : 1"), learning(), {},
        r"populations 'E' are brought to rest by integration or row by row, not by products; use device='cpu'"),
    "rows one by one": (
        LATERAL, learning(), {},
        r"populations 'E' and 'I' inhibit each other by other pathways than .* solved on its own; use device='cpu'"),
    "an exact frozen phase": (
        MANY, learning(plasticity=False), {},
        r"phase 'learn' asks a tolerance of 1e-06 of populations .*; raise it, for example to 1e-05, or use device='cpu'"),
    "an exact learning phase": (MANY, learning(), {"learning_tolerance": 1e-7}, r"asks a learning_tolerance of 1e-07 of"),
    "a solver of the host": (FEW, learning(), {"solver": "relaxation"},
                             r"solver 'relaxation' runs on the processor alone; leave it at 'auto', or use device='cpu'"),
    "a phase of a circuit that never learns": (
        nc.Circuit("still", MANY.populations, [dataclasses.replace(s, rule=None) for s in MANY.synapses]),
        learning(plasticity={"E": 0.0}), {}, r"asks a tolerance of 1e-06 of populations"),
    "tied pathways that transmit differently": (
        nc.Circuit("unlike", MANY.populations, [*MANY.synapses[:2], dataclasses.replace(
            MANY.synapses[2], transmits="w**2*r_pre")]),
        learning(), {}, r"by other pathways than a few linear units or tied ones"),
    "small steps": (FEW, learning(timetable=STEPS), {},
                    r"phase 'learn' takes steps within presentations, too small for a device; use device='cpu'"),
    "sparse stimuli": (
        FEW, learning(nc.Patterns(csr_array(U)).shuffled()), {},
        r"phase 'learn' shows 'S' a sparse stimulus, .*give dense arrays, as those of toarray\(\), or use device='cpu'"),
    "functions of the host": (
        feed_forward(None, "dr/dt = (exprel(drive) - r)/tau : 1"), learning(), {},
        r"population 'E': a device has no function exprel\(\); use device='cpu'"),
}  # fmt: skip


@needs_torch
@pytest.mark.parametrize("name", REFUSED)
def test_what_a_device_cannot_run_is_refused_before_the_run(name: str) -> None:
    """With one reason and the remedy. Rejects a run that falls back to the host, and a reason that is not the one."""
    circuit, phase, settings, words = REFUSED[name]
    with pytest.raises(nc.UnsupportedError, match=words) as caught:
        run(circuit, phase, engine=nc.SteadyState(batch=10, device="torch:cpu", **settings))
    assert len(str(caught.value).splitlines()) == 3, caught.value  # the circuit, the one reason, the engines that can
    if "relaxation" not in settings.values():
        run(circuit, phase, engine=nc.SteadyState(batch=10, **settings))  # the remedy is one


@needs_torch
def test_a_stimulus_that_turns_out_sparse_is_refused() -> None:
    """Of a stimulus of the user's own, of which nothing is known before. Rejects an array of objects that stays here."""
    simulation = alive(learning_circuit(), U, nc.SteadyState(batch=10, device="torch:cpu"))
    with pytest.raises(nc.UnsupportedError, match="a stimulus is sparse, which products on a device do not use"):
        show(simulation, csr_array(U))


@needs_torch
def test_a_gain_that_turns_negative_is_not_relaxed_on_the_host() -> None:
    """Rejects a fall back to integration in the middle of a run."""
    gain = "dr/dt = (rectify(drive) - gain*r)/tau : 1\ndgain/dt = -20*r**2/second : 1 (slow)"
    cells = nc.Population("E", 3, gain, parameters=TAU, initial={"gain": 1.0})
    circuit = nc.Circuit(
        "gain", [nc.Population("S", 6), cells, nc.Population("I", 1, "dr/dt = (drive - r)/tau : 1", parameters=TAU,
                                                            sign="inhibitory")],
        [nc.Synapses("S", "E", weights=0.5), nc.Synapses("E", "I", weights=0.1), nc.Synapses("I", "E", weights=0.1)],
    )  # fmt: skip
    with pytest.raises(
        nc.UnsupportedError, match=r"are not brought to rest by products.*'torch:cpu'. Use device='cpu'"
    ):
        run(circuit, learning(), engine=nc.SteadyState(batch=10, device="torch:cpu"))


@needs_torch
def test_gradient_steps_need_symmetric_weights() -> None:
    """Rejects a fixed point of steps that follow no gradient, or rows that are solved on the host after all."""
    like = arrays.prototype("torch:cpu")
    matrix, b = (np.asarray(x, like=like) for x in (np.array([[1.0, 0.5], [0.2, 1.0]]), np.ones((10, 2))))
    with pytest.raises(nc.UnsupportedError, match=r"lateral weights are not symmetric, .*Use device='cpu'"):
        ThresholdLinearSolver(1e-3).solve(matrix, b)


@needs_torch
def test_arrays_of_host_and_device_do_not_mix() -> None:
    """Rejects copies that nobody asked for, of which a GPU would make one for every call."""
    there = np.ones((2, 3), like=arrays.prototype("torch:cpu"))
    for mixed in (
        lambda: there + np.ones((2, 3)),
        lambda: np.ones((2, 3)) @ there.T,
        lambda: np.asarray(there),
        lambda: np.multiply(there, 2.0, out=np.ones((2, 3))),
        lambda: there.__setitem__(0, np.ones(3)),
    ):
        with pytest.raises(
            nc.UnsupportedError, match=r"device='torch:cpu'\): .* does not (come to the host|go there) unasked"
        ):
            mixed()
    for unknown, words in (
        (lambda: np.median(there), r"np\.median does not run there\. Use device='cpu'"),
        (lambda: np.add.accumulate(there), r"np\.add\.accumulate does not run there"),
        (lambda: np.add(there, 1.0, where=there > 0), r"np\.add with \['where'\] does not run there"),
    ):
        with pytest.raises(nc.UnsupportedError, match=words):
            unknown()
    copy = arrays.host(there + 1.0)
    np.testing.assert_array_equal(copy, np.full((2, 3), 2.0))
    arrays.host(there)[...] = 7.0
    assert float(there.max()) == 1.0


@pytest.mark.parametrize("device", ["gpu", "torch", "torch:cuda", "cuda:", "cuda:x", "CPU", "mps", 0, None])
def test_a_bad_name_of_a_device_is_refused(device: Any) -> None:
    """Rejects a name that is passed on and fails in torch, or is taken for the processor."""
    with pytest.raises(nc.ValidationError, match=r"SteadyState.device: .* Allowed: 'cpu' \(NumPy\), 'cuda', 'cuda:0'"):
        nc.SteadyState(device=device)


@needs_torch
def test_a_gpu_that_is_not_there_is_named_with_those_that_are() -> None:
    """Rejects a run on another device than the one that was asked for, and an error in torch's words."""
    words = r"device 'cuda:99' is not there; torch finds (no|\d+) GPUs?\. Use one of: 'cpu', 'torch:cpu'"
    engine = nc.SteadyState(batch=10, device="cuda:99")
    with pytest.raises(nc.UnsupportedError, match=words):
        run(krotov2019.circuit(6, 10), learning(), engine=engine)
    with pytest.raises(nc.UnsupportedError, match=words):
        engine.open(nc.compile_circuit(krotov2019.circuit(6, 10)), Streams(0))


@needs_torch
def test_weights_that_do_not_fit_on_a_gpu_are_refused_with_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejects a run that ends in torch's words once memory is short."""
    monkeypatch.setattr(refusals, "free_memory", lambda device: 100 * 2**20)
    words = (
        r"need about 0\.2 GiB of memory on device 'torch:cpu', the largest is 'S_to_E' of 4000 x 4000, and 0\.1 GiB are"
    )
    with pytest.raises(nc.UnsupportedError, match=words):
        engine = nc.SteadyState(batch=10, device="torch:cpu")
        run(krotov2019.circuit(4000, 4000), learning(np.ones((1, 4000))), engine=engine)


def test_without_torch_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejects an import at the top, an error of the import itself, and a run with NumPy that needs torch."""
    imports = builtins.__import__

    def without(name: str, *rest: Any, **settings: Any) -> Any:
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return imports(name, *rest, **settings)

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    for device in ("cuda", "torch:cpu"):
        with pytest.raises(
            nc.UnsupportedError, match=rf"device '{device}' needs torch.*pip install 'neurocircuits\[torch\]'"
        ):
            run(krotov2019.circuit(6, 10), learning(), engine=nc.SteadyState(batch=10, device=device))
    run(krotov2019.circuit(6, 10), learning(), engine=nc.SteadyState(batch=10))
