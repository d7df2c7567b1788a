"""Learning while activity is held: circuits written as text, on both engines, against the same steps in plain NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.engines.learning import Learner
from neurocircuits.randomness import Streams
from tests.references.circuits import weights

N_S, N_E, N_STEPS, DT, TAU, LEARNING = 9, 6, 20, 1e-3, 5e-3, 0.02
WINDOWS = [nc.Window("20 ms", plastic=False, step=DT), nc.Window("400 ms", hold=True, step=LEARNING)]
ENGINES = [nc.Brian2(dt=DT, tolerance=None), nc.SteadyState(solver="relaxation")]
Drift = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def images(n: int, n_units: int = N_S) -> np.ndarray:
    generator = np.random.default_rng(3)
    return generator.random((n, n_units)) * (generator.random((n, n_units)) < 0.6)


def run(circuit: nc.Circuit, engine: nc.Engine, monkeypatch: pytest.MonkeyPatch, **stimuli: np.ndarray):
    """Return the tree of a run, and how many learning steps were taken one by one."""
    taken, step = [], Learner.step
    monkeypatch.setattr(Learner, "step", lambda self, *arguments: (taken.append(1), step(self, *arguments)))
    shown = {name: nc.Patterns(values) for name, values in stimuli.items()}
    phase = nc.Phase("learn", shown, timetable=WINDOWS, record=nc.Record("drive"))
    return nc.run(circuit, nc.Protocol([phase]), engine, seed=2, progress=False), len(taken)


def by_hand(w: np.ndarray, u: np.ndarray, current: Callable[[np.ndarray, np.ndarray], np.ndarray], drift: Drift):
    """Euler steps of ``dh/dt = (current - h)/tau`` from where it was, then of the weights."""
    h = np.zeros(len(w))
    for v in u:
        for _ in range(N_STEPS):
            h = h + DT / TAU * (current(w, v) - h)
        for _ in range(N_STEPS):
            w = drift(w, v, h)
    return w


def circuit(rule: nc.Rule, more: tuple = (), dale: str = "unconstrained", **synapses) -> nc.Circuit:
    """Return cells with an activity, a rate and what a sub-expression makes of their current."""
    equations = """
        dh/dt = (current - h)/tau : 1
        r = rectify(h) : 1
        felt = rectify(current - offset) : 1
        current : 1 (input)
    """
    cells = nc.Population("E", N_E, equations, parameters={"tau": "5 ms", "offset": 0.3})
    plastic = nc.Synapses("S", "E", input="current", **{"weights": nc.Uniform(0, 1), "rule": rule, **synapses})
    sources = [nc.Population("S", N_S), *(p for p in more if isinstance(p, nc.Population))]
    others = [s for s in more if isinstance(s, nc.Synapses)]
    return nc.Circuit("held", [*sources, cells], [plastic, *others], dale=dale)


@pytest.mark.parametrize("engine", ENGINES, ids=["brian2", "relaxation"])
def test_rows_in_a_plane(engine, monkeypatch) -> None:
    """Rejects: a current without what other pathways deliver, a vector that is left out, a rate that moves."""
    rule = nc.Rule("eta*(felt_post*(r_pre - c) + r_pre*r_post - r_post*w - 0.1*w)", {"eta": "2 Hz", "c": 0.2})
    more = (nc.Population("T", 4), nc.Synapses("T", "E", input="current", weights=nc.Uniform(0, 1)))
    u, t = images(8), images(8, 4)
    tree, taken = run(circuit(rule, more), engine, monkeypatch, S=u, T=t)
    b = weights(tree, "T_to_E")

    def current(w: np.ndarray, v: np.ndarray) -> np.ndarray:
        return w @ v[:N_S] + b @ v[N_S:]

    def drift(w: np.ndarray, v: np.ndarray, h: np.ndarray) -> np.ndarray:
        felt, r, s = np.maximum(current(w, v) - 0.3, 0)[:, None], np.maximum(h, 0)[:, None], v[:N_S]
        return w + LEARNING * 2 * (felt * (s - 0.2) + r * s - r * w - 0.1 * w)

    start = weights(tree, "S_to_E", 0)
    expected = by_hand(start, np.hstack([u, t]), current, drift)
    assert np.abs(expected - start).max() > 0.3
    np.testing.assert_allclose(weights(tree, "S_to_E"), expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    assert taken == len(u)


@pytest.mark.parametrize("engine", ENGINES, ids=["brian2", "relaxation"])
def test_rows_in_full(engine, monkeypatch) -> None:
    """Rejects: rows that the gate leaves out, weights past a bound, synapses that do not exist, currents of w itself."""
    rule = nc.Rule(
        "eta*gate*(r_pre - current_post*w)",
        {"eta": "5 Hz"},
        terms={"gate": "int(h_post > 0.6) - 0.5*int(h_post > 0.4)"},
    )
    settings = {"transmits": "w*abs(w)*r_pre", "connectivity": nc.Probability(0.7), "bounds": (0, 0.8)}
    made = circuit(rule, dale="enforced", weights=nc.Uniform(0, 0.8), **settings)
    u = images(12)
    tree, taken = run(made, engine, monkeypatch, S=u)
    start = weights(tree, "S_to_E", 0)
    exists = start > 0
    seen: list[np.ndarray] = []

    def drift(w: np.ndarray, v: np.ndarray, h: np.ndarray) -> np.ndarray:
        gate = ((h > 0.6) - 0.5 * (h > 0.4))[:, None]
        seen.append(gate)
        return exists * np.clip(w + LEARNING * 5 * gate * (v - ((w * abs(w)) @ v)[:, None] * w), 0, 0.8)

    expected = by_hand(start, u, lambda w, v: (w * abs(w)) @ v, drift)
    assert {-0.5, 0.0, 0.5} == set(np.unique(seen)) and (expected == 0.8).any() and (expected[exists] == 0).any()
    np.testing.assert_allclose(weights(tree, "S_to_E"), expected, rtol=0, atol=1e-12)
    assert taken == len(u)


@pytest.mark.parametrize("engine", ENGINES, ids=["brian2", "relaxation"])
def test_a_gate_that_learning_moves(engine, monkeypatch) -> None:
    """Rejects a winner that is taken from the first step, since the current decides and follows the weights."""
    rule = nc.Rule("eta*best*(r_pre - 2*w)", {"eta": "2 Hz"}, terms={"best": "winner(current_post)"})
    u = images(8)
    tree, taken = run(circuit(rule), engine, monkeypatch, S=u)
    winners: list[int] = []

    def drift(w: np.ndarray, v: np.ndarray, h: np.ndarray) -> np.ndarray:
        best = int(np.argmax(w @ v))
        winners.append(best)
        return w + LEARNING * 2 * (np.arange(N_E) == best)[:, None] * (v - 2 * w)

    expected = by_hand(weights(tree, "S_to_E", 0), u, lambda w, v: w @ v, drift)
    assert any(len(set(winners[k : k + N_STEPS])) > 1 for k in range(0, len(winners), N_STEPS))
    np.testing.assert_allclose(weights(tree, "S_to_E"), expected, rtol=0, atol=1e-12)
    assert taken == len(u) * N_STEPS


@pytest.mark.parametrize("engine", ENGINES, ids=["brian2", "relaxation"])
def test_two_pathways_that_move_one_current(engine, monkeypatch) -> None:
    """Rejects a pathway that learns as if the other one, which feeds the same input, stood still."""
    rule = nc.Rule("eta*(felt_post*r_pre - w)", {"eta": "2 Hz"})
    more = (nc.Population("T", 4), nc.Synapses("T", "E", input="current", weights=nc.Uniform(0, 1), rule=rule))
    u, t = images(8), images(8, 4)
    tree, taken = run(circuit(rule, more), engine, monkeypatch, S=u, T=t)

    def drift(w: np.ndarray, v: np.ndarray, h: np.ndarray) -> np.ndarray:
        return w + LEARNING * 2 * (np.maximum(w @ v - 0.3, 0)[:, None] * v - w)

    start = np.hstack([weights(tree, "S_to_E", 0), weights(tree, "T_to_E", 0)])
    expected = by_hand(start, np.hstack([u, t]), lambda w, v: w @ v, drift)
    np.testing.assert_allclose(weights(tree, "S_to_E"), expected[:, :N_S], rtol=1e-12)
    np.testing.assert_allclose(weights(tree, "T_to_E"), expected[:, N_S:], rtol=1e-12)
    assert taken == len(u) * N_STEPS


@pytest.mark.parametrize("engine", ENGINES, ids=["brian2", "relaxation"])
@pytest.mark.parametrize("aggregates", [{}, {"s": "sum_over_pre(w)"}], ids=["at once", "one by one"])
def test_units_without_a_state_pass_on_what_learning_changes(engine, aggregates, monkeypatch) -> None:
    """Rejects inputs two synapses away from the weights that stay as they were before learning."""
    drift = "eta*(r_post*r_pre - w + 0*s)" if aggregates else "eta*(r_post*r_pre - w)"
    relay = nc.Population("M", 5, equations="r = rectify(drive - 0.2) : 1")
    cells = nc.Population("E", N_E, equations="dr/dt = (drive - r)/tau : 1", parameters={"tau": "5 ms"})
    learning = nc.Synapses("S", "M", weights=nc.Uniform(0, 1), rule=nc.Rule(drift, {"eta": "2 Hz"}, aggregates))
    made = nc.Circuit(
        "relay",
        [nc.Population("S", N_S), relay, cells],
        [learning, nc.Synapses("M", "E", weights=nc.Uniform(0, 1))],
        dale="unconstrained",
    )
    u = images(5)
    tree, taken = run(made, engine, monkeypatch, S=u)
    w, b = weights(tree, "S_to_M", 0), weights(tree, "M_to_E")
    drives = []
    for v in u:
        for _ in range(N_STEPS):
            before, w = w, w + LEARNING * 2 * (np.maximum(w @ v - 0.2, 0)[:, None] * v - w)
        last = w if isinstance(engine, nc.Brian2) else before  # there, inputs are read where the last step found them
        drives.append(b @ np.maximum(last @ v - 0.2, 0))
    np.testing.assert_allclose(weights(tree, "S_to_M"), w, rtol=0, atol=1e-12)
    np.testing.assert_allclose(tree["/populations/E"].ds["drive"].values, drives, rtol=0, atol=1e-12)
    assert taken == len(u) * (N_STEPS if aggregates else 1)


@pytest.mark.parametrize("engine", ENGINES, ids=["brian2", "relaxation"])
def test_weights_that_run_away_are_an_error_of_the_step_where_they_do(engine, monkeypatch) -> None:
    """Rejects weights that are not finite in the result, or an error that does not name the synapse."""
    rule = nc.Rule("eta*current_post*w", {"eta": "1e30 Hz"})
    with pytest.raises(nc.DivergenceError, match=r"Synapses\('S_to_E'\): the change of the weight") as caught:
        run(circuit(rule), engine, monkeypatch, S=images(2))
    assert np.isfinite(weights(caught.value.tree, "S_to_E")).all()


@pytest.mark.parametrize("engine", ENGINES, ids=["brian2", "relaxation"])
@pytest.mark.parametrize("first", [0, 1], ids=["settling first", "held first"])
def test_steps_at_once_resume_to_the_bit(engine, first: int) -> None:
    """Rejects steps that are taken at once in an unbroken run, and one by one after a pause."""
    rule = nc.Rule("eta*(felt_post*r_pre - w)", {"eta": "0.5 Hz"})
    made, windows = circuit(rule), WINDOWS[first:] + WINDOWS[:first]
    protocol = nc.Protocol([nc.Phase("learn", {"S": nc.Patterns(images(6))}, timetable=windows)])
    phase, plan, states = protocol.phases[0], nc.compile_circuit(made), []
    for parts in ((6,), (2, 4)):
        state, start = None, 0
        for n in parts:
            simulation = engine.open(plan, Streams(1))
            simulation.prepare(protocol)
            simulation.begin(phase, resumed=start > 0)
            if state is not None:
                simulation.load(state)
            simulation.advance(phase.batch(start, n, Streams(1)))
            state, start = simulation.state(), start + n
        states.append(state)
    for name in ("weights/S_to_E", "values/E/h"):
        np.testing.assert_array_equal(states[0][name], states[1][name])
