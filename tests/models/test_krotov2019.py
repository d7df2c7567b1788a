"""Competing hidden units: the fast step, the rule's exact properties and the competition, against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import neurocircuits as nc
from neurocircuits import datasets
from neurocircuits.declare.rules import Krotov
from neurocircuits.models import krotov2019
from tests.references.circuits import recorded, run, weights


def notebook(u: np.ndarray, w: np.ndarray, *, p: float, k: int, delta: float, batch: int, size) -> np.ndarray:
    """The public notebook's minibatch, written out: u (n, n_pixels), w (n_hidden, n_pixels), size(batch number)."""
    w = w.copy()
    for number, start in enumerate(range(0, len(u), batch)):
        rows = u[start : start + batch].T
        currents = np.sign(w) * np.abs(w) ** (p - 1) @ rows
        order = np.argsort(currents, axis=0)
        gate = np.zeros_like(currents)
        columns = np.arange(rows.shape[1])
        gate[order[-1], columns] = 1.0
        gate[order[-k], columns] = -delta
        change = gate @ rows.T - (gate * currents).sum(axis=1)[:, None] * w
        w += size(number) * change / max(np.abs(change).max(), 1e-30)
    return w


def fast(u: np.ndarray, w: np.ndarray, *, batch: int, epochs: int = 1, size: float = 0.04, **settings) -> np.ndarray:
    step = nc.LargestChange(nc.Linear(size, 0.0, parts=epochs))
    circuit = krotov2019.circuit(u.shape[1], len(w), initial=nc.Given(w), step=step, **settings)
    tree = run(circuit, nc.Phase("learn", {"S": nc.Patterns(u)}, epochs=epochs), engine=nc.SteadyState(batch=batch))
    return weights(tree, "S_to_E")


@pytest.mark.parametrize(("p", "k", "delta"), [(2.0, 2, 0.4), (3.0, 7, 0.4), (4.0, 2, 0.1), (2.5, 3, 0.0)])
def test_the_fast_step_is_the_notebooks(p: float, k: int, delta: float) -> None:
    """Rejects another metric, rank, sign, scale of a step, or a rate that falls within an epoch."""
    rng = np.random.default_rng(0)
    u, w = rng.random((60, 30)) * (rng.random((60, 30)) < 0.4), rng.normal(size=(40, 30))
    expected = notebook(
        np.tile(u, (3, 1)), w, p=p, k=k, delta=delta, batch=20, size=lambda b: 0.04 * (1 - (b // 3) / 3)
    )
    found = fast(u, w, batch=20, epochs=3, p=p, k=k, delta=delta)
    assert np.abs(expected - w).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.data("mnist")
@pytest.mark.slow
def test_a_whole_epoch_of_mnist_is_the_notebooks() -> None:
    """2000 hidden units, 60 000 images, float64, the same initial weights and order: to 1e-12."""
    u = datasets.mnist().values
    w = np.random.default_rng(0).normal(size=(2000, 784))
    expected = notebook(u, w, p=3.0, k=7, delta=0.4, batch=100, size=lambda b: 0.04)
    np.testing.assert_allclose(fast(u, w, batch=100, p=3.0, k=7), expected, rtol=0, atol=1e-12)


def test_one_pattern_without_scaling_is_an_euler_step() -> None:
    """Rejects a mean, a factor or a metric on the Hebbian term."""
    rng = np.random.default_rng(1)
    v, w = rng.random(12), rng.normal(size=(9, 12))
    found = fast_euler(v[None], w, p=3.0, k=4, delta=0.3, eta=0.02)
    current = (np.sign(w) * w**2) @ v
    gate = np.zeros(9)
    gate[np.argsort(current)[[-1, -4]]] = 1.0, -0.3
    np.testing.assert_allclose(found, w + 0.02 * gate[:, None] * (v - current[:, None] * w), rtol=0, atol=1e-14)


def fast_euler(u: np.ndarray, w: np.ndarray, eta: float, duration: float = 1.0, **settings) -> np.ndarray:
    circuit = krotov2019.circuit(u.shape[1], len(w), initial=nc.Given(w), step=nc.Euler(), eta=f"{eta} Hz", **settings)
    tree = run(circuit, nc.Phase("learn", {"S": nc.Patterns(u, duration=duration)}), engine=nc.SteadyState(batch=1))
    return weights(tree, "S_to_E")


# -- the equation of one unit, integrated through the engine ----------------------------------------------------------------


def course(
    v: np.ndarray, w: np.ndarray, p: float, g: float, duration: float, n: int, radius: float = 1.0
) -> np.ndarray:
    """Integrate one unit under a constant gate ``g`` in ``n`` Euler steps of the engine; (n_snapshots, n_pixels)."""
    rule = Krotov(p, radius, delta=max(-g, 0.0), k=2)
    text = rule.drift.replace("gate", f"({g})")
    unit = nc.Population("E", 1, equations="dr/dt = (rectify(current) - r)/tau : 1\ncurrent : 1 (input)",
                         parameters={"tau": "1 ms"})  # fmt: skip
    kept = {name: value for name, value in rule.parameters.items() if name in ("eta", "scale")}
    synapses = nc.Synapses(
        "S", "E", input="current", weights=nc.Given(w[None]), rule=nc.Rule(text, kept),
        transmits=krotov2019.transmitted(p),
    )  # fmt: skip
    circuit = nc.Circuit("one", [nc.Population("S", len(v)), unit], [synapses], dale="unconstrained")
    patterns = nc.Patterns(np.tile(v, (n, 1)), duration=duration / n)
    tree = run(circuit, nc.Phase("learn", {"S": patterns}, record=nc.Record(weights_every=1)),
               engine=nc.SteadyState(batch=1))  # fmt: skip
    return tree["/synapses/S_to_E"].ds["w"].values[:, 0]


@pytest.mark.parametrize("p", [2.0, 3.0, 4.0, 2.5])
def test_one_pattern_is_copied_onto_the_sphere(p: float) -> None:
    """The fixed point is R v/|v|_p, to 1e-9. Rejects a metric on the Hebbian term, which moves it where p is not 2."""
    rng = np.random.default_rng(2)
    v, w = rng.random(10), np.abs(rng.normal(size=10))
    last = course(v, w, p, 1.0, 60.0, 3000, radius=1.3)[-1]
    np.testing.assert_allclose(last, 1.3 * v / (v**p).sum() ** (1 / p), atol=1e-9)


@pytest.mark.parametrize("p", [2.0, 3.0, 4.0])
def test_the_norm_obeys_its_own_equation(p: float) -> None:
    """d<W,W>/dt = p g I (R^p - <W,W>), to the order of the integration."""
    rng = np.random.default_rng(3)
    v, w = rng.random(10), rng.normal(size=10)
    rate = p * np.sum(np.sign(w) * np.abs(w) ** (p - 1) * v) * (1 - (np.abs(w) ** p).sum())
    errors = []
    for dt in (1e-3, 5e-4):
        steps = course(v, w, p, 1.0, dt, 1)
        norms = (np.abs(steps) ** p).sum(axis=1)
        errors.append(abs((norms[-1] - norms[0]) / dt - rate))
    assert errors[1] < 0.02 * abs(rate)
    assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("start", [0.4, 2.5], ids=["inside", "outside"])
def test_the_closed_form_at_p_2(start: float) -> None:
    """s = a tanh(phi0 + phi) inside the sphere and a coth(phi0 + phi) outside; error halves with the step."""
    rng = np.random.default_rng(4)
    v = rng.random(8)
    a, g, t = np.linalg.norm(v), 0.7, 0.6
    w = start * v / a + 0.3 * (lambda x: x - x @ v / a**2 * v)(rng.normal(size=8))
    s0 = w @ v
    phi = g * a * t
    expected = a * np.tanh(np.arctanh(s0 / a) + phi) if s0 < a else a / np.tanh(np.arctanh(a / s0) + phi)
    errors = [abs(course(v, w, 2.0, g, t, n)[-1] @ v - expected) for n in (100, 200)]
    assert errors[1] < 5e-3 * a
    assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.2)


def test_depression_blows_up_at_the_derived_time() -> None:
    """For g = -delta and s0 > R|v| the solution diverges at arcoth(s0/(R|v|))/(delta R|v|)."""
    v = np.random.default_rng(5).random(8)
    a, delta = np.linalg.norm(v), 0.4
    w = 1.5 * v / a
    time = np.arctanh(a / (w @ v)) / (delta * a)
    before = course(v, w, 2.0, -delta, 0.98 * time, 4000)[-1]
    assert 10 < before @ v / (w @ v) < 100
    with np.errstate(all="ignore"), pytest.raises(nc.DivergenceError):
        course(v, w, 2.0, -delta, 1.1 * time, 4000)


@pytest.mark.parametrize("g", [1.0, -0.2])
@pytest.mark.parametrize("p", [2.0, 3.0])
def test_the_lyapunov_function_rises(p: float, g: float) -> None:
    """G(Q) = g Q never falls while one pattern is shown. Rejects a rule that is no gradient flow."""
    rng = np.random.default_rng(6)
    v, w = rng.random(10), 0.5 * rng.random(10)
    steps = course(v, w, p, g, 0.5, 400)
    currents = (np.sign(steps) * np.abs(steps) ** (p - 1)) @ v
    q = currents / (np.abs(steps) ** p).sum(axis=1) ** ((p - 1) / p)
    assert (np.diff(g * q) > -1e-12).all() and np.ptp(q) > 0.01


def test_it_is_ojas_rule_on_the_sphere() -> None:
    """p = 2, g = Q = I where |w| = 1."""
    rng = np.random.default_rng(7)
    v, w = rng.random(6), rng.normal(size=6)
    w /= np.linalg.norm(w)
    y = w @ v
    steps = course(v, w, 2.0, float(y), 0.01, 1)
    np.testing.assert_allclose(steps[-1] - steps[0], 0.01 * y * (v - y * w), atol=1e-15)


# -- competition ----------------------------------------------------------------------------------------------------------


def rest(currents: np.ndarray, w_inh: float) -> np.ndarray:
    """Rates at rest of the printed eq. 4, from the sorted currents: (n, n_hidden)."""
    rates = np.zeros_like(currents)
    for row, out in zip(currents, rates, strict=True):
        ranked = np.sort(row)[::-1]
        sums = np.cumsum(ranked) / (1 + w_inh * np.arange(len(row)))
        active = np.flatnonzero(ranked > w_inh * sums)
        out[:] = np.maximum(row - w_inh * sums[active[-1]], 0) / (1 - w_inh)
    return rates


@pytest.mark.parametrize("loop", krotov2019.LOOPS)
@pytest.mark.parametrize("w_inh", [0.3, 0.8, 0.95])
def test_both_loops_rest_where_the_sorted_currents_say(loop: str, w_inh: float) -> None:
    """Rejects a loop with the printed weight, of which four times as many units stay active, and self-inhibition."""
    rng = np.random.default_rng(8)
    u, w = rng.random((20, 30)) * (rng.random((20, 30)) < 0.3), rng.random((50, 30))
    circuit = krotov2019.competition(30, 50, w_inh=w_inh, loop=loop, initial=nc.Given(w))
    probe = nc.Phase("probe", {"S": nc.Patterns(u)}, plasticity=False, record=nc.Record("r"))
    rates = recorded(run(circuit, probe, engine=nc.SteadyState(batch=5)))
    np.testing.assert_allclose(rates, rest(u @ w.T, w_inh), rtol=0, atol=1e-10)


def test_continuous_time_comes_to_the_same_rest() -> None:
    """A unit without a time constant passes on at once what it sums. Rejects a delay of one step in the loop."""
    rng = np.random.default_rng(9)
    u, w = rng.random((3, 12)), rng.random((20, 12))
    circuit = krotov2019.competition(12, 20, w_inh=0.6, tau="5 ms", initial=nc.Given(w))
    probe = nc.Phase("probe", {"S": nc.Patterns(u, duration="200 ms")}, plasticity=False, record=nc.Record("h", "r"))
    tree = run(circuit, probe, engine=nc.Brian2(dt="0.1 ms", tolerance=None))
    np.testing.assert_allclose(recorded(tree), rest(u @ w.T, 0.6), atol=1e-6)

    def slope(_: float, h: np.ndarray) -> np.ndarray:
        r = np.maximum(h, 0)
        return (u[0] @ w.T - 0.6 * (r.sum() - r) - h) / 5e-3

    exact = solve_ivp(slope, (0, 0.2), np.zeros(20), rtol=1e-9, atol=1e-9).y[:, -1]
    np.testing.assert_allclose(recorded(tree, variable="h")[0], exact, atol=1e-4)


def test_winner_take_all_has_no_disynaptic_form() -> None:
    with pytest.raises(nc.ValidationError, match="below 1 in a disynaptic loop"):
        krotov2019.competition(w_inh=1.2, loop="disynaptic")
    krotov2019.competition(w_inh=1.2)


@pytest.mark.parametrize("step", [nc.LargestChange(0.05), nc.Euler()], ids=["largest", "euler"])
def test_the_twin_under_dales_law_is_the_signed_circuit(step: nc.Euler) -> None:
    """Currents and weights to 1e-12, through 30 changes of sign or more; no sign flips."""
    rng = np.random.default_rng(10)
    u, w = rng.random((400, 16)) * (rng.random((400, 16)) < 0.4), rng.normal(0, 0.5, (8, 16))
    signed = krotov2019.circuit(16, 8, p=3.0, k=3, initial=nc.Given(w), step=step, eta="5 Hz")
    phase = nc.Phase("learn", {"S": nc.Patterns(u)}, record=nc.Record("current"))
    engine = nc.SteadyState(batch=5)
    one, other = run(signed, phase, engine=engine), run(krotov2019.twin(signed, w), phase, engine=engine)
    plus, minus = weights(other, "S_to_E"), weights(other, "V_to_E")
    np.testing.assert_allclose(plus - minus, weights(one, "S_to_E"), rtol=0, atol=1e-12)
    np.testing.assert_allclose(recorded(other, variable="current"), recorded(one, variable="current"), atol=1e-12)
    assert (np.sign(w) != np.sign(plus - minus)).sum() > 30
    assert min(plus.min(), minus.min()) >= 0 and other.attrs["dale_violations"] == 0


def test_two_rules_that_are_clipped_on_their_own_learn_something_else() -> None:
    """The control of the twin: without the passing on of what crosses zero, weights differ by more than 10 %."""
    rng = np.random.default_rng(10)
    u, w = rng.random((400, 16)) * (rng.random((400, 16)) < 0.4), rng.normal(0, 0.5, (8, 16))
    signed = krotov2019.circuit(16, 8, p=3.0, k=3, initial=nc.Given(w), step=nc.LargestChange(0.05))
    phase, engine = nc.Phase("learn", {"S": nc.Patterns(u)}), nc.SteadyState(batch=5)
    expected = weights(run(signed, phase, engine=engine), "S_to_E")
    twin = krotov2019.twin(signed, w)
    rule = twin.pathway("S_to_E").rule
    opposite = nc.Rule(
        rule.drift.replace("scale*r_pre", "-scale*r_pre"), rule.parameters, terms=rule.terms, step=rule.step
    )
    own = [
        s if s.name != "V_to_E" else nc.Synapses("V", "E", input="current", weights=nc.Given(np.maximum(-w, 0)),
                                                 rule=opposite, transmits=s.transmits)
        for s in twin.synapses
    ]  # fmt: skip
    tree = run(nc.Circuit("two rules", twin.populations, own), phase, engine=engine)
    found = weights(tree, "S_to_E") - weights(tree, "V_to_E")
    assert np.linalg.norm(found - expected) > 0.1 * np.linalg.norm(expected)


def test_permuted_pixels_permute_the_weights() -> None:
    rng = np.random.default_rng(11)
    u, w, order = rng.random((100, 20)), rng.normal(size=(10, 20)), rng.permutation(20)
    settings = {"batch": 10, "p": 3.0, "k": 2}
    np.testing.assert_allclose(fast(u[:, order], w[:, order], **settings), fast(u, w, **settings)[:, order], atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"p": 1.5, "k": 2}, "at least 2 is needed"),
        ({"k": 1}, "1 is the winner"),
        ({"k": 2, "delta": -0.1}, "delta = -0.1; 0 or more"),
        ({"k": 2, "h_star": 1.0}, "either k"),
        ({}, "either k"),
        ({"h_star": 0.0}, "not positive"),
    ],
)
def test_bad_settings_get_a_clear_error(settings: dict, words: str) -> None:
    with pytest.raises(nc.ValidationError, match=words):
        Krotov(**settings)


def test_a_rank_that_the_layer_has_not_is_refused() -> None:
    with pytest.raises(nc.ValidationError, match="no such rank among 5 units"):
        fast(np.ones((4, 3)), np.random.default_rng(0).normal(size=(5, 3)), batch=2, k=7)
