"""Runtime against hand-written integrations of the same steps: NumPy loops and a plain Brian 2 script."""

from __future__ import annotations

import numpy as np
import pytest

import neurocircuits as nc
from tests.engines.brian2_support import (
    ETA_A,
    ETA_G,
    ETA_W,
    KAPPA,
    N_E,
    N_I,
    N_S,
    TAU,
    Euler,
    P,
    disynaptic,
    initial_weights,
    stimuli,
    worst,
)

DT = 5e-4
EXACT = 1e-12


def check_learned(tree, reference: Euler) -> None:
    assert worst(tree, "/synapses/S_to_E", "w", reference.W, last=True) < EXACT
    assert worst(tree, "/synapses/E_to_I", "w", reference.A, last=True) < EXACT
    assert worst(tree, "/slow/E", "log_gain", reference.g, last=True) < EXACT


def test_equals_a_numpy_loop_with_plasticity_unequal_durations_and_a_probe():
    """Rejects: learning before the state update, drifts from weights that changed already, one step too many or too few,
    a cap counted from the wrong value, excitation or inhibition of the step before."""
    U = stimuli(12)
    n_steps = np.array([40, 60, 20] * 4)
    protocol = nc.Protocol(
        [
            nc.Phase("learn", {"S": nc.Patterns(U, duration=n_steps * DT)}, record=nc.Record("r", "drive", "gain")),
            nc.Phase(
                "probe",
                {"S": nc.Patterns(U[:3], duration=n_steps[0] * DT)},
                plasticity=False,
                record=nc.Record("r", "excitation", "inhibition", "drive"),
            ),
        ]
    )
    tree = nc.run(disynaptic(), protocol, nc.Brian2(dt=DT, learning_step=10 * DT, tolerance=None), seed=3)
    W, A = initial_weights(tree)
    reference, rates, drives, gains = Euler(W, A), [], [], []
    for u, n in zip(U, n_steps, strict=True):
        reference.present(u[None], n, DT, every=10)
        rates.append(reference.x[0])
        drives.append(reference.W @ u - reference.A.T @ reference.y[0])
        gains.append(np.exp(reference.g))
    assert np.abs(reference.W - W).max() > 0.01 and np.abs(reference.A - A).max() > 0.01
    check_learned(tree, reference)
    excitation, inhibition = [], []
    for u in U[:3]:
        reference.present(u[None], 40, DT)
        rates.append(reference.x[0])
        excitation.append(reference.W @ u)
        inhibition.append(reference.A.T @ reference.y[0])
        drives.append(excitation[-1] - inhibition[-1])
    E = tree["/populations/E"].ds
    np.testing.assert_allclose(E["r"].values, rates, atol=EXACT)
    np.testing.assert_allclose(E["drive"].values, drives, atol=EXACT)
    np.testing.assert_allclose(E["gain"].values[:12], gains, atol=EXACT)
    np.testing.assert_allclose(E["excitation"].values[12:], excitation, atol=EXACT)
    np.testing.assert_allclose(E["inhibition"].values[12:], inhibition, atol=EXACT)
    times = np.cumsum(np.append(n_steps, [40] * 3)) * DT
    np.testing.assert_allclose(E["time"].values, times, atol=1e-9)
    np.testing.assert_allclose(tree["/stimuli/S"].ds["onset"].values, np.append(0, times[:-1]), atol=1e-9)


def test_a_batch_is_copies_that_learn_on_their_mean():
    """Rejects: copies with rates of one another, learning on the sum, on one copy, or slow variables of their own."""
    U, copies = stimuli(20), 5
    protocol = nc.Protocol(
        [nc.Phase("learn", {"S": nc.Patterns(U, duration=40 * DT)}, record=nc.Record("r", "inhibition"))]
    )
    tree = nc.run(disynaptic(), protocol, nc.Brian2(dt=DT, learning_step=8 * DT, batch=copies, tolerance=None), seed=4)
    reference, rates, inhibition = Euler(*initial_weights(tree), copies), [], []
    for group in U.reshape(4, copies, N_S):
        reference.present(group, 40, DT, every=8)
        rates.append(reference.x)
        inhibition.append(reference.y @ reference.A)
    check_learned(tree, reference)
    assert worst(tree, "/populations/E", "r", np.concatenate(rates)) < EXACT
    assert worst(tree, "/populations/E", "inhibition", np.concatenate(inhibition)) < EXACT
    times = tree["/populations/E"].ds["time"].values
    np.testing.assert_allclose(times, np.repeat(np.arange(1, 5), copies) * 40 * DT, atol=1e-9)


def test_interval_recording_is_the_trajectory():
    """Rejects: samples one step early or late, or inputs that lag behind the rates."""
    U = stimuli(4)
    protocol = nc.Protocol(
        [
            nc.Phase(
                "watch",
                {"S": nc.Patterns(U, duration=40 * DT)},
                plasticity=False,
                record=nc.Record("r", "drive", "inhibition", interval=4 * DT),
            )
        ]
    )
    tree = nc.run(disynaptic(), protocol, nc.Brian2(dt=DT, tolerance=None), seed=5)
    reference, expected, drives = Euler(*initial_weights(tree)), [], []
    for u in U:
        samples = reference.present(u[None], 40, DT, sample=4)
        expected += [x[0] for x, _ in samples]
        drives += [reference.W @ u - reference.A.T @ y[0] for _, y in samples]
    E = tree["/populations/E"].ds
    np.testing.assert_allclose(E["r"].values, expected, atol=EXACT)
    np.testing.assert_allclose(E["drive"].values, drives, atol=EXACT)
    np.testing.assert_allclose(E["time_in_presentation"].values, np.tile(np.arange(1, 11) * 4 * DT, 4), atol=1e-12)
    np.testing.assert_allclose(E["time"].values, np.arange(1, 41) * 4 * DT, atol=1e-9)
    np.testing.assert_array_equal(E["presentation"].values, np.repeat(np.arange(4), 10))


def test_sources_can_be_recorded_within_a_presentation():
    U = stimuli(2)
    record = nc.Record("r", populations=("S", "E"), interval=10 * DT)
    protocol = nc.Protocol(
        [nc.Phase("watch", {"S": nc.Patterns(U, duration=20 * DT)}, plasticity=False, record=record)]
    )
    tree = nc.run(disynaptic(), protocol, nc.Brian2(dt=DT, tolerance=None))
    np.testing.assert_array_equal(tree["/populations/S"].ds["r"].values, np.repeat(U, 2, axis=0))


def test_an_interval_that_is_no_multiple_of_the_step_is_refused():
    record = nc.Record("r", interval=2.5 * DT)
    protocol = nc.Protocol([nc.Phase("watch", {"S": nc.Patterns(stimuli(2), duration=20 * DT)}, record=record)])
    with pytest.raises(nc.ValidationError, match="Record.interval.*not a multiple"):
        nc.run(disynaptic(), protocol, nc.Brian2(dt=DT))


def test_equals_a_plain_brian2_script_with_summed_variables(monkeypatch):
    """The same circuit written by hand for Brian 2 alone: synaptic weights, summed variables, a run for each learning step."""
    import brian2 as b2

    U, n_steps, every = stimuli(2), 40, 8
    protocol = nc.Protocol([nc.Phase("learn", {"S": nc.Patterns(U, duration=n_steps * DT)}, record=nc.Record("r"))])
    engine = nc.Brian2(dt=DT, learning_step=every * DT, tolerance=None)
    tree = nc.run(disynaptic(cap=None), protocol, engine, seed=6)
    W, A = initial_weights(tree)

    monkeypatch.setitem(b2.prefs, "codegen.target", "numpy")
    clock = b2.Clock(DT * b2.second)
    images = b2.TimedArray(U, dt=n_steps * DT * b2.second)
    S = b2.NeuronGroup(N_S, "r = images(t, i) : 1", clock=clock)
    E = b2.NeuronGroup(
        N_E,
        """dr/dt = (clip(exc - inh, 0, inf)/exp(log_gain) - r)/tau : 1
        exc : 1
        inh : 1
        log_gain : 1""",
        method="euler",
        clock=clock,
    )
    I = b2.NeuronGroup(N_I, "dr/dt = (drive - r)/tau : 1\ndrive : 1", method="euler", clock=clock)  # noqa: E741
    SE = b2.Synapses(S, E, "w : 1\nexc_post = w*r_pre : 1 (summed)", clock=clock)
    EI = b2.Synapses(E, I, "w : 1\ndrive_post = w*r_pre : 1 (summed)\ninh_pre = w*r_post : 1 (summed)", clock=clock)
    for synapses, weights in ((SE, W), (EI, A)):
        synapses.connect()
        synapses.w = weights.T.ravel()
    network, step, rates = b2.Network(S, E, I, SE, EI), every * DT, []
    for u in U:
        for _ in range(n_steps // every):
            network.run(step * b2.second, namespace={"images": images, "tau": TAU * b2.second})
            x, y = np.asarray(E.r[:]), np.asarray(I.r[:])
            w, a = np.asarray(SE.w[:]).reshape(N_S, N_E).T, np.asarray(EI.w[:]).reshape(N_E, N_I).T
            w = w + step * ETA_W * (np.outer(x, u) - w - KAPPA * w.sum(axis=1, keepdims=True))
            a = a + step * ETA_A * (np.outer(y, x) - (1 - P**2) * a - P**2 * a.sum(axis=1, keepdims=True))
            SE.w, EI.w = np.maximum(w, 0).T.ravel(), np.maximum(a, 0).T.ravel()
            E.log_gain = np.maximum(E.log_gain + step * ETA_G * (x**2 - 1), np.log(0.02))
        rates.append(np.array(E.r[:]))
    assert worst(tree, "/synapses/S_to_E", "w", np.asarray(SE.w[:]).reshape(N_S, N_E).T, last=True) < EXACT
    assert worst(tree, "/synapses/E_to_I", "w", np.asarray(EI.w[:]).reshape(N_E, N_I).T, last=True) < EXACT
    assert worst(tree, "/slow/E", "log_gain", np.asarray(E.log_gain[:]), last=True) < EXACT
    assert worst(tree, "/populations/E", "r", np.array(rates)) < EXACT
