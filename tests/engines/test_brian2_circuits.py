"""Circuits of other kinds, written as text, on the runtime engine: each equals the same steps in plain NumPy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import neurocircuits as nc
from tests.engines.brian2_support import N_E, N_I, TAU, Euler, disynaptic, initial_weights, stimuli, worst

DT = 5e-4
EXACT = 1e-12


def zanola(plastic: bool = True) -> list[nc.Window]:
    """Return windows of three different steps, the last one with the activity held."""
    return [
        nc.Window("10 ms", plastic=False, step="0.5 ms"),
        nc.Window("60 ms", plastic=False, step="2 ms"),
        nc.Window("180 ms", plastic=plastic, hold=True, step="10 ms"),
    ]


# -- windows ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def windowed():
    """A run with settle and learn windows, on both engines, and its initial weights."""
    U = stimuli(6)
    protocol = nc.Protocol(
        [
            nc.Phase("learn", {"S": nc.Patterns(U)}, timetable=zanola(), record=nc.Record("r", "inhibition")),
            nc.Phase("probe", {"S": nc.Patterns(U)}, timetable=zanola(), plasticity=False, record=nc.Record("r")),
        ]
    )
    engines = {
        "brian2": nc.Brian2(dt=DT, tolerance=None),
        "relaxation": nc.SteadyState(solver="relaxation"),
    }
    return U, {name: nc.run(disynaptic(), protocol, engine, seed=7) for name, engine in engines.items()}


@pytest.mark.parametrize("engine", ["brian2", "relaxation"])
def test_windows_have_steps_of_their_own_and_may_hold_activity(windowed, engine):
    """Rejects: one step for all windows, activity that moves while it is held, learning in a settle window or in one step."""
    U, trees = windowed
    tree = trees[engine]
    reference, rates, inhibition = Euler(*initial_weights(tree)), [], []
    for u in U:
        reference.present(u[None], 20, 5e-4)
        reference.present(u[None], 30, 2e-3)
        for _ in range(18):
            reference.learn(u[None], 1e-2)
        rates.append(reference.x[0])
        inhibition.append(reference.y[0] @ reference.A)
    learned = reference.W.copy(), reference.A.copy(), reference.g.copy()
    for u in U:
        reference.present(u[None], 20, 5e-4)
        reference.present(u[None], 30, 2e-3)
        rates.append(reference.x[0])
    E = tree["/populations/E"].ds
    for name, found, expected in zip(("S_to_E", "E_to_I"), ("w", "w"), learned[:2], strict=True):
        np.testing.assert_allclose(tree[f"/synapses/{name}"].ds[found].values[-1], expected, atol=EXACT)
    np.testing.assert_allclose(tree["/slow/E"].ds["log_gain"].values[-1], learned[2], atol=EXACT)
    np.testing.assert_allclose(E["r"].values, rates, atol=EXACT)
    if engine == "brian2":  # at the end of a presentation; the other engine reports it where the circuit settled
        np.testing.assert_allclose(E["inhibition"].values[:6], inhibition, atol=EXACT)


def test_both_engines_agree_on_windows(windowed):
    _, trees = windowed
    for path, name in (("/synapses/S_to_E", "w"), ("/slow/E", "log_gain"), ("/populations/E", "r")):
        assert worst(trees["brian2"], path, name, trees["relaxation"][path].ds[name].values) < EXACT


@pytest.mark.parametrize("method", ["exponential_euler", "rk4"])
def test_any_method_holds_activity(method):
    """Rejects: holding by a time step of 0, which an exponential step divides by."""
    windows = {"free": nc.Window(40 * DT, plastic=False), "held": nc.Window(20 * DT, plastic=False, hold=True)}
    phases = [
        nc.Phase(name, {"S": nc.Patterns(stimuli(1))}, timetable=[window], plasticity=False, record=nc.Record("r"))
        for name, window in windows.items()
    ]
    tree = nc.run(disynaptic(), nc.Protocol(phases), nc.Brian2(dt=DT, method=method, tolerance=None))
    r = tree["/populations/E"].ds["r"].values
    assert r[0].max() > 0.1
    np.testing.assert_array_equal(r[0], r[1])


def test_live_windows_of_other_steps_have_to_be_prepared():
    from neurocircuits.randomness import Streams

    plan = nc.compile_circuit(disynaptic())
    plain = nc.Phase("plain", {"S": nc.Patterns(stimuli(1), duration=20 * DT)})
    other = nc.Phase("other", {"S": nc.Patterns(stimuli(1))}, timetable=[nc.Window("20 ms", step="2 ms")])
    simulation = nc.Brian2(dt=DT, tolerance=None).open(plan, Streams(0))
    simulation.begin(plain)
    simulation.advance(plain.batch(0, 1, Streams(0)))
    simulation.begin(other)
    with pytest.raises(nc.ValidationError, match="prepare"):
        simulation.advance(other.batch(0, 1, Streams(0)))


# -- methods and precision ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "kept"),
    [
        ("exponential_euler", np.exp(-DT / TAU)),
        ("rk2", 1 - DT / TAU + (DT / TAU) ** 2 / 2),
        ("rk4", sum((-DT / TAU) ** k / f for k, f in enumerate((1, 1, 2, 6, 24)))),
    ],
)
def test_methods_of_brian2_integrate_the_fast_variables(method, kept):
    """Inputs are held within a step, so a linear equation loses a known part of its distance from rest."""
    U = stimuli(3)
    phase = nc.Phase("probe", {"S": nc.Patterns(U, duration=30 * DT)}, plasticity=False, record=nc.Record("r"))
    tree = nc.run(disynaptic(), nc.Protocol([phase]), nc.Brian2(dt=DT, method=method, tolerance=None), seed=2)
    W, A = initial_weights(tree)
    x, y, expected = np.zeros(N_E), np.zeros(N_I), []
    for u in U:
        for _ in range(30):
            rest_x, rest_y = np.maximum(W @ u - A.T @ y, 0), A @ x
            x, y = rest_x + (x - rest_x) * kept, rest_y + (y - rest_y) * kept
        expected.append(x)
    assert worst(tree, "/populations/E", "r", np.array(expected)) < EXACT


def test_single_precision_runs_without_noise():
    U = stimuli(10)
    protocol = nc.Protocol(
        [
            nc.Phase("learn", {"S": nc.Patterns(U, duration=40 * DT)}),
            nc.Phase(
                "probe", {"S": nc.Patterns(U, duration=40 * DT)}, plasticity=False, record=nc.Record("r", "inhibition")
            ),
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        trees = [
            nc.run(disynaptic(), protocol, nc.Brian2(dt=DT, dtype=d, tolerance=None)) for d in ("float32", "float64")
        ]
    for path, name in (("/synapses/S_to_E", "w"), ("/slow/E", "gain"), ("/populations/E", "r")):
        difference = worst(trees[0], path, name, trees[1][path].ds[name].values)
        assert 1e-9 < difference < 1e-4
    assert trees[0]["/synapses/S_to_E"].ds["w"].dtype == np.float32


@pytest.mark.slow
def test_compiled_state_updates_equal_those_of_numpy():
    U = stimuli(10)
    phase = nc.Phase("learn", {"S": nc.Patterns(U, duration=40 * DT)}, record=nc.Record("r"))
    trees = [
        nc.run(disynaptic(), nc.Protocol([phase]), nc.Brian2(dt=DT, target=t, tolerance=None))
        for t in ("numpy", "cython")
    ]
    for path, name in (("/synapses/S_to_E", "w"), ("/populations/E", "r")):
        assert worst(trees[0], path, name, trees[1][path].ds[name].values) < EXACT


def test_target_auto_compiles_long_runs_only():
    def target(n: int, **settings) -> str:
        stimulus = nc.Patterns(stimuli(4), duration="100 ms").sampled(n)
        protocol = nc.Protocol([nc.Phase("learn", {"S": stimulus})])
        return nc.Brian2(**settings).code_target(nc.compile_circuit(disynaptic()), protocol)

    assert target(100) == "numpy"
    assert target(100_000, dt="0.1 ms") == "cython"
    assert target(100_000, dt="10 ms") == "numpy"
    assert target(100_000, target="numpy") == "numpy"


# -- other circuits -------------------------------------------------------------------------------------------------------------


def conductances() -> nc.Circuit:
    """Return cells with conductance inputs of one polarity each, a rate that is a sub-expression, and a slow threshold."""
    cells = nc.Population(
        "E",
        N_E,
        equations="""
        dv/dt = (I_e - I_i - g_leak*(v - E_leak))/C : volt
        I_e = g_e*(E_e - v) : amp (excitation)
        I_i = g_i*(v - E_i) : amp (inhibition)
        g_e : siemens (input, excitatory)
        g_i : siemens (input, inhibitory)
        r = rectify(v - theta)/scale : 1
        dtheta/dt = eta*(r - target)*scale : volt (slow)
        """,
        parameters={
            "g_leak": "10 nS",
            "E_leak": "-70 mV",
            "E_e": "0 mV",
            "E_i": "-80 mV",
            "C": "200 pF",
            "scale": "5 mV",
            "eta": "1 Hz",
            "target": 0.3,
        },  # fmt: skip
        initial={"v": -0.07, "theta": -0.06},
        bounds={"theta": (-0.065, -0.04)},
    )
    inhibitory = nc.Population(
        "I", N_I, equations="dr/dt = (drive - r)/tau : 1", parameters={"tau": "5 ms"}, sign="inhibitory"
    )
    rule = nc.Rule("eta*(r_post*r_pre*unit - w)", parameters={"eta": "2 Hz", "unit": "4 nS"})
    return nc.Circuit(
        "conductances",
        [nc.Population("S", 36), cells, inhibitory],
        [
            nc.Synapses("S", "E", input="g_e", weights=nc.Uniform(0, 4e-9), rule=rule),
            nc.Synapses("E", "I", weights=nc.Uniform(0, 0.2)),
            nc.Synapses("I", "E", input="g_i", weights=nc.Uniform(0, 4e-9), connectivity=nc.Probability(0.6)),
        ],
    )


def test_conductances_a_rate_that_is_a_subexpression_and_a_slow_threshold():
    """Rejects: a sign applied twice, conductances in drive, inputs recorded from the step before, a threshold that stays."""
    U, n_steps, every, h = stimuli(6), 200, 20, 1e-4
    record = nc.Record("v", "r", "g_e", "I_e", "excitation", "inhibition")
    phase = nc.Phase("learn", {"S": nc.Patterns(U, duration=n_steps * h)}, record=record)
    engine = nc.Brian2(dt=h, learning_step=every * h, tolerance=None)
    tree = nc.run(conductances(), nc.Protocol([phase]), engine, seed=1)
    w, a, b = (tree[f"/synapses/{name}"].ds["w"].values[0] for name in ("S_to_E", "E_to_I", "I_to_E"))
    assert 0 < (b == 0).mean() < 1
    v, theta, y = np.full(N_E, -0.07), np.full(N_E, -0.06), np.zeros(N_I)
    expected = {name: [] for name in ("v", "r", "g_e", "I_e", "excitation", "inhibition")}
    for u in U:
        for k in range(1, n_steps + 1):
            r, g_e, g_i = np.maximum(v - theta, 0) / 5e-3, w @ u, b @ y
            fed = a @ r
            v = v + h * (g_e * (0 - v) - g_i * (v + 0.08) - 1e-8 * (v + 0.07)) / 2e-10
            y = y + h * (fed - y) / 5e-3
            if k % every == 0:
                r = np.maximum(v - theta, 0) / 5e-3
                w = np.maximum(w + every * h * 2 * (np.outer(r, u) * 4e-9 - w), 0)
                theta = np.clip(theta + every * h * (r - 0.3) * 5e-3, -0.065, -0.04)
        r = np.maximum(v - theta, 0) / 5e-3
        now = {
            "v": v,
            "r": r,
            "g_e": w @ u,
            "I_e": (w @ u) * -v,
            "excitation": (w @ u) * -v,
            "inhibition": b @ y * (v + 0.08),
        }
        for name, value in now.items():
            expected[name].append(value)
    E = tree["/populations/E"].ds
    for name, value in expected.items():
        np.testing.assert_allclose(E[name].values, value, rtol=1e-10, atol=1e-21, err_msg=name)
    np.testing.assert_allclose(tree["/synapses/S_to_E"].ds["w"].values[-1], w, rtol=1e-10, atol=1e-21)
    np.testing.assert_allclose(tree["/slow/E"].ds["theta"].values[-1], theta, rtol=1e-10)
    assert np.abs(theta + 0.06).max() > 1e-5 and np.array(expected["r"]).max() > 0.1


def test_a_sparse_stimulus_equals_a_dense_one():
    from scipy.sparse import csr_array

    U = stimuli(10)
    trees = [
        nc.run(
            disynaptic(),
            nc.Protocol([nc.Phase("learn", {"S": nc.Patterns(values, duration=40 * DT)}, record=nc.Record("r"))]),
            nc.Brian2(dt=DT, batch=batch, tolerance=None),
        )
        for batch in (1, 5)
        for values in (U, csr_array(U))
    ]
    for dense, sparse in (trees[:2], trees[2:]):
        np.testing.assert_array_equal(dense["/synapses/S_to_E"].ds["w"], sparse["/synapses/S_to_E"].ds["w"])
        np.testing.assert_array_equal(dense["/populations/E"].ds["r"], sparse["/populations/E"].ds["r"])


def test_a_ranked_gate_with_the_largest_change():
    """Rejects: ranks over the copies instead of the units, a step that depends on its duration, changes above the size."""
    U, copies, n_steps, every = stimuli(12), 4, 40, 20
    rule = nc.Rule(
        "eta*(best - delta*next_best)*(r_pre - w)",
        parameters={"eta": "1 Hz", "delta": 0.4},
        terms={"best": "ranked(r_post, 1)", "next_best": "ranked(r_post, 2)"},
        step=nc.LargestChange(nc.Linear(0.05, 0.01)),
    )
    cells = nc.Population("E", N_E, equations="dr/dt = (drive - r)/tau : 1", parameters={"tau": "5 ms"})
    circuit = nc.Circuit(
        "ranked", [nc.Population("S", 36), cells], [nc.Synapses("S", "E", weights=nc.Uniform(0, 1), rule=rule)]
    )
    phase = nc.Phase("learn", {"S": nc.Patterns(U, duration=n_steps * DT)}, record=nc.Record("r"))
    engine = nc.Brian2(dt=DT, batch=copies, learning_step=every * DT, tolerance=None)
    tree = nc.run(circuit, nc.Protocol([phase]), engine, seed=8)
    w = tree["/synapses/S_to_E"].ds["w"].values[0]
    x = np.zeros((copies, N_E))
    for number, u in enumerate(U.reshape(-1, copies, 36)):
        for k in range(1, n_steps + 1):
            x = x + DT * (u @ w.T - x) / TAU
            if k % every == 0:
                order = np.argsort(-x, axis=1)
                gate = np.zeros((copies, N_E))
                gate[np.arange(copies), order[:, 0]] = 1
                gate[np.arange(copies), order[:, 1]] = -0.4
                drift = gate.T @ u / copies - gate.mean(axis=0)[:, None] * w
                size = 0.05 + (0.01 - 0.05) * number * copies / len(U)
                w = np.maximum(w + size * drift / np.abs(drift).max(), 0)
    assert worst(tree, "/synapses/S_to_E", "w", w, last=True) < EXACT
    np.testing.assert_allclose(tree["/populations/E"].ds["r"].values[-copies:], x, atol=EXACT)


def test_paired_weights_are_the_parts_of_one_signed_array():
    """Rejects: two clipped rules of their own, which lose what crosses zero."""
    U, n_steps, every = stimuli(20), 40, 10
    rule = nc.Rule("eta*(r_post*(r_pre - 0.2) - w)", parameters={"eta": "10 Hz"})
    cells = nc.Population("E", N_E, equations="dr/dt = (rectify(drive + 0.5) - r)/tau : 1", parameters={"tau": "5 ms"})
    circuit = nc.Circuit(
        "paired",
        [nc.Population("S", 36), nc.Population("M", 36, sign="inhibitory"), cells],
        [
            nc.Synapses("S", "E", weights=nc.Uniform(0, 0.3), rule=rule),
            nc.Synapses("M", "E", weights=nc.Paired("S_to_E", nc.Uniform(0, 0.3))),
        ],
    )
    stimulus = nc.Patterns(U, duration=n_steps * DT)
    phase = nc.Phase("learn", {"S": stimulus, "M": stimulus}, record=nc.Record("r", "excitation", "inhibition"))
    tree = nc.run(circuit, nc.Protocol([phase]), nc.Brian2(dt=DT, learning_step=every * DT, tolerance=None), seed=9)
    plus, minus = (tree[f"/synapses/{name}"].ds["w"].values for name in ("S_to_E", "M_to_E"))
    w, x = plus[0] - minus[0], np.zeros(N_E)
    start = w.copy()
    for u in U:
        for k in range(1, n_steps + 1):
            x = x + DT * (np.maximum(w @ u + 0.5, 0) - x) / TAU
            if k % every == 0:
                w = w + every * DT * 10 * (np.outer(x, u - 0.2) - w)
    assert (np.sign(w) != np.sign(start)).any()
    np.testing.assert_allclose(plus[-1] - minus[-1], w, atol=EXACT)
    assert ((plus[-1] == 0) | (minus[-1] == 0)).all() and plus.min() >= 0 and minus.min() >= 0
    np.testing.assert_allclose(tree["/populations/E"].ds["r"].values[-1], x, atol=EXACT)
    np.testing.assert_allclose(
        tree["/populations/E"].ds["inhibition"].values[-1], np.maximum(-w, 0) @ U[-1], atol=EXACT
    )


def test_clamped_cells_send_what_they_are_held_at():
    """Rejects: a clamp that stays for the next phase, one that changes what the cell itself would do, or learning from free rates."""
    U, n_steps, every = stimuli(4), 40, 10
    clamps = [nc.Clamp("E", 0.7, units=[0, 3]), nc.Clamp("I", 0.0, units=[1])]
    phases = [
        nc.Phase("held", {"S": nc.Patterns(U, duration=n_steps * DT)}, interventions=clamps, record=nc.Record("r")),
        nc.Phase("free", {"S": nc.Patterns(U, duration=n_steps * DT)}, plasticity=False, record=nc.Record("r")),
    ]
    engine = nc.Brian2(dt=DT, learning_step=every * DT, tolerance=None)
    tree = nc.run(disynaptic(), nc.Protocol(phases), engine, seed=10)

    class Held(Euler):
        on = True

        def _sent(self) -> tuple[np.ndarray, np.ndarray]:
            x, y = self.x.copy(), self.y.copy()
            if self.on:
                x[:, [0, 3]], y[:, 1] = 0.7, 0.0
            return x, y

        def step(self, u, dt):
            (x, y), own = self._sent(), (self.x, self.y)
            drive, fed = u @ self.W.T - y @ self.A, x @ self.A.T
            self.x = own[0] + dt * (np.maximum(drive, 0) / np.exp(self.g) - own[0]) / TAU
            self.y = own[1] + dt * (fed - own[1]) / TAU

        def learn(self, u, seconds):
            own = self.x, self.y
            self.x, self.y = self._sent()
            super().learn(u, seconds)
            self.x, self.y = own

    reference, rates = Held(*initial_weights(tree)), []
    for on in (True, False):
        reference.on = on
        for u in U:
            reference.present(u[None], n_steps, DT, every=every if on else 0)
            rates.append(reference._sent()[0][0])
    assert worst(tree, "/synapses/S_to_E", "w", reference.W, last=True) < EXACT
    assert worst(tree, "/synapses/E_to_I", "w", reference.A, last=True) < EXACT
    assert worst(tree, "/populations/E", "r", np.array(rates)) < EXACT
