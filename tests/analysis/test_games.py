"""The payoff of the correlation game: gradients, transforms, and what learning does to it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize, nnls

import neurocircuits as nc
from neurocircuits import analysis, datasets
from neurocircuits.analysis import games
from neurocircuits.models import seung2018

P, GAMMA, KAPPA = 0.4, 0.8, 0.05
SIZE = {"n_sensory": 16, "n_excitatory": 6, "n_inhibitory": 3, "p": P, "gamma": GAMMA, "kappa": KAPPA}


def differences(function, x: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Return the gradient of a function by central differences."""
    found = np.zeros_like(x)
    for k in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[k] += step
        down[k] -= step
        found[k] = (function(up) - function(down)) / (2 * step)
    return found


def at_rest(w: np.ndarray, a: np.ndarray, gain: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Return the rates that maximise the payoff, by non-negative least squares."""
    root = np.linalg.cholesky(np.diag(gain) + a.T @ a).T
    return np.array([nnls(root, np.linalg.solve(root.T, w @ u))[0] for u in inputs])


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    images, _ = datasets.bars(60, side=4, rng=0).unit_power()
    return images.values


def step(inputs: np.ndarray, learns: str, epochs: int = 12) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return weights, inhibition and gains after each step on all inputs in which one of them learns."""
    names = ("S_to_E", "E_to_I", "E")
    circuit = seung2018.circuit(
        **SIZE, eta_excitatory="0.5 Hz", eta_inhibitory="0.2 Hz", eta_gain="0.2 Hz", gain="additive", gain_floor=0.2,
        initial_gain=0.5, initial_inhibitory=0.4,
    )  # fmt: skip
    phase = nc.Phase(
        "learn",
        {"S": nc.Patterns(inputs, duration="100 ms")},
        epochs=epochs,
        plasticity={name: name == learns for name in names},
        record=nc.Record(weights_every=len(inputs)),
    )
    tree = nc.run(circuit, nc.Protocol([phase]), nc.SteadyState(batch=len(inputs), tolerance=1e-10), progress=False)
    parts = (
        tree["/synapses/S_to_E"].ds["w"].values,
        tree["/synapses/E_to_I"].ds["w"].values,
        tree["/slow/E"].ds["gain"].values,
    )
    return list(zip(*parts, strict=True))


def test_the_rules_take_off_the_gradients_of_their_costs(inputs: np.ndarray) -> None:
    """Rejects a cost without its competition, or with a factor of two."""
    start, after = step(inputs, "S_to_E", 1)[:2]
    w, a, gain = start
    x = at_rest(w, a, gain, inputs)
    expected = x.T @ inputs / len(x) - differences(lambda each: games.weight_cost(each, GAMMA, KAPPA), w)
    np.testing.assert_allclose(after[0], np.maximum(w + 0.05 * expected, 0), atol=1e-7)
    w, a, gain = step(inputs, "E_to_I", 1)[1]
    expected = start[1] @ x.T @ x / len(x) - differences(lambda e: games.inhibition_cost(e, gain, P), start[1])
    np.testing.assert_allclose(a, np.maximum(start[1] + 0.02 * expected, 0), atol=1e-7)
    expected = np.diag(x.T @ x / len(x)) / 2 - differences(lambda e: games.inhibition_cost(start[1], e, P), gain)
    np.testing.assert_allclose(step(inputs, "E", 1)[1][2], np.maximum(gain + 0.04 * expected, 0.2), atol=1e-7)


@pytest.mark.parametrize(("learns", "sign"), [("S_to_E", 1), ("E_to_I", -1), ("E", -1)])
def test_each_side_moves_the_payoff_its_way(inputs: np.ndarray, learns: str, sign: int) -> None:
    """Rejects a rule of the wrong sign, and a payoff without one of its parts."""
    values = []
    for w, a, gain in step(inputs, learns):
        x = at_rest(w, a, gain, inputs)
        values.append(games.payoff(w, a, gain, x, inputs, P, 1.0, GAMMA, KAPPA))
    assert (sign * np.diff(values) > 0).all() and len(values) > 10


def test_weights_by_sorting_are_those_of_a_solver() -> None:
    """Rejects a sum over the wrong number of survivors, negative correlations that count, and rows that mix."""
    generator = np.random.default_rng(1)
    b = generator.normal(0.3, 1, (7, 12))
    b[0] = -np.abs(b[0])
    for kappa in (0.0, 0.02, 0.3, 5.0):
        found = games.best_weights(b, GAMMA, kappa)
        cost = lambda w: games.weight_cost(w.reshape(7, 12), GAMMA, kappa) - np.sum(w.reshape(7, 12) * b)  # noqa: B023, E731
        solved = minimize(
            cost, np.ones(84), method="L-BFGS-B", bounds=[(0, None)] * 84, options={"ftol": 1e-15, "gtol": 1e-9}
        )
        np.testing.assert_allclose(found, solved.x.reshape(7, 12), atol=2e-5)
        assert games.correlation_value(b, GAMMA, kappa) == pytest.approx(-solved.fun, rel=1e-8)
        assert games.correlation_value(b, GAMMA, kappa) == pytest.approx(0.5 * np.sum(found * b))
    assert not games.best_weights(b, GAMMA, 0.02)[0].any()
    with pytest.raises(nc.ValidationError, match="gamma = 0"):
        games.best_weights(b, 0)


def test_the_worst_direction_is_found() -> None:
    """Rejects a search among few vectors, and one that leaves the positive ones."""
    n, p = 8, 0.5
    fine = np.full((n, n), p**2) + (1 - p**2) * np.eye(n)
    assert games.worst_direction(fine, p)[0] == pytest.approx(0, abs=1e-9)
    hidden = np.array([0, 2.0, 0, 1, 0, 0, 3, 0])
    value, a = games.worst_direction(fine - 0.2 * np.eye(n) + 0.05 * np.outer(hidden, hidden), p)
    np.testing.assert_allclose(a, hidden / np.linalg.norm(hidden), atol=1e-4)
    assert value == pytest.approx(0.05 * hidden @ hidden - 0.2, rel=1e-6)
    opposed = fine.copy()
    opposed[0, 1] = opposed[1, 0] = -5  # a form that is positive along e_0 - e_1 alone
    assert games.worst_direction(opposed, p)[0] == pytest.approx(0, abs=1e-9)
    assert games.elementwise_excess(fine, p) == pytest.approx(0)
    assert analysis.copositivity(fine, p, 1.0) == pytest.approx(0, abs=1e-9)
