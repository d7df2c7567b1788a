"""Drifts as sums of separable terms: the batch mean as products equals the mean over presentations, for any text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import neurocircuits as nc
from tests.references.circuits import TAU, run, weights

# Cells whose rate is exactly what a source shows, with a trace and a slow threshold that rules can read.
RELAY = """
    dr/dt = (drive - r)/tau : 1
    trace = sqrt(r) : 1
    dtheta/dt = eta*(r - theta) : 1 (slow)
"""
PARAMETERS = {"eta": "1 Hz", "p": 3.0, "q": 1.3, "delta": 0.4, "k": 2.0, "alpha": 0.7, "kappa": 0.05}
N_POST, N_PRE, N_ROWS = 4, 6, 37


def relay(name: str, n_units: int, theta: float) -> nc.Population:
    return nc.Population(name, n_units, RELAY, parameters={**TAU, "eta": "0 Hz"}, initial={"theta": theta})


def mean_change(rule: nc.Rule, post: np.ndarray, pre: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, nc.Circuit]:
    """Show one batch for one second and return how the weights changed: the mean drift."""
    circuit = nc.Circuit(
        "relays",
        [nc.Population("S", N_PRE), nc.Population("T", N_POST), relay("A", N_PRE, 0.2), relay("B", N_POST, 0.9)],
        [
            nc.Synapses("S", "A", weights=np.eye(N_PRE)),
            nc.Synapses("T", "B", weights=np.eye(N_POST)),
            nc.Synapses("A", "B", weights=w, rule=rule, transmits="w*0*r_pre"),
        ],
        dale="unconstrained",
    )
    stimuli = {"S": nc.Patterns(pre, duration="1 s"), "T": nc.Patterns(post, duration="1 s")}
    tree = run(circuit, nc.Phase("learn", stimuli), engine=nc.SteadyState(batch=len(pre)))
    return weights(tree, "A_to_B") - w, circuit


def gate(post: np.ndarray, delta: float, k: int) -> np.ndarray:
    order = np.argsort(-post, kind="stable")
    values = np.zeros_like(post)
    values[order[0]] = 1.0
    values[order[k - 1]] -= delta
    return values


Drift = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
# name: (rule, drift of one presentation from post (n, 1), pre (1, m) and w (n, m))
SEPARABLE: dict[str, tuple[nc.Rule, Drift]] = {
    "hebbian with competition": (
        nc.Rule("eta*(r_post*r_pre - w - kappa*incoming)", PARAMETERS, {"incoming": "sum_over_pre(w)"}),
        lambda x, u, w: x * u - w - 0.05 * w.sum(1, keepdims=True),
    ),
    "anti-Hebbian": (
        nc.Rule("eta*(r_post*r_pre - (q**2 - p**2)*w - p**2*incoming)", PARAMETERS, {"incoming": "sum_over_pre(w)"}),
        lambda x, u, w: x * u - (1.69 - 9.0) * w - 9.0 * w.sum(1, keepdims=True),
    ),
    "Oja": (nc.Rule("eta*r_post*(r_pre - r_post*w)", PARAMETERS), lambda x, u, w: x * (u - x * w)),
    "BCM": (nc.Rule("eta*r_post*(r_post - theta_post)*r_pre", PARAMETERS), lambda x, u, w: x * (x - 0.9) * u),
    "Vogels rates": (nc.Rule("eta*r_pre*(r_post - alpha)", PARAMETERS), lambda x, u, w: u * (x - 0.7)),
    "correlation-measuring": (nc.Rule("eta*(r_post*r_pre - w)", PARAMETERS), lambda x, u, w: x * u - w),
    "Krotov": (
        nc.Rule(
            "eta*gate*(r_pre - r_post*w)", PARAMETERS, terms={"gate": "ranked(r_post, 1) - delta*ranked(r_post, k)"}
        ),
        lambda x, u, w: gate(x[:, 0], 0.4, 2)[:, None] * (u - x * w),
    ),
    "Krotov with metric": (
        nc.Rule(
            "eta*gate*(r_pre - current*w)",
            PARAMETERS,
            {"current": "sum_over_pre(sign(w)*abs(w)**(p - 1)*r_pre)"},
            {"gate": "winner(r_post) - delta*ranked(r_post, k)"},
        ),
        lambda x, u, w: gate(x[:, 0], 0.4, 2)[:, None] * (u - (np.sign(w) * w**2 * u).sum(1, keepdims=True) * w),
    ),
    "mixed traces": (
        nc.Rule("eta*(trace_pre*r_post - alpha*r_pre*trace_post)", PARAMETERS),
        lambda x, u, w: np.sqrt(u) * x - 0.7 * u * np.sqrt(x),
    ),
    "a power of the product": (nc.Rule("eta*(r_post*r_pre)**2", PARAMETERS), lambda x, u, w: (x * u) ** 2),
    "a power of the sum": (nc.Rule("eta*(r_post + r_pre)**2*w", PARAMETERS), lambda x, u, w: (x + u) ** 2 * w),
    "divisive": (nc.Rule("eta*r_post*r_pre/(1 + r_post**2)", PARAMETERS), lambda x, u, w: x * u / (1 + x**2)),
    "soft bounds": (
        nc.Rule("eta*((2 - w)*r_post*r_pre - w*rectify(alpha - r_pre))", PARAMETERS),
        lambda x, u, w: (2 - w) * x * u - w * np.maximum(0.7 - u, 0.0),
    ),
    "generalised Hebbian": (
        nc.Rule("eta*r_post*(r_pre - outgoing)", PARAMETERS, {"outgoing": "sum_over_post(w*r_post)"}),
        lambda x, u, w: x * (u - (w * x).sum(0, keepdims=True)),
    ),
}
NOT_SEPARABLE: dict[str, tuple[nc.Rule, Drift, str]] = {
    "difference": (
        nc.Rule("eta*rectify(r_post - r_pre)", PARAMETERS),
        lambda x, u, w: np.maximum(x - u, 0.0),
        r"rectify\(.*\) mixes post and pre",
    ),
    "ratio": (
        nc.Rule("eta*r_pre/(r_pre + r_post)", PARAMETERS),
        lambda x, u, w: u / (u + x),
        r"the factor 1/\(.*\) mixes post and pre",
    ),
    "threshold in the weight": (
        nc.Rule("eta*rectify(w - r_post)", PARAMETERS),
        lambda x, u, w: np.maximum(w - x, 0.0),
        r"rectify\(.*\) mixes post and weight",
    ),
    "comparison": (
        nc.Rule("eta*(r_post > r_pre)*w", PARAMETERS),
        lambda x, u, w: (x > u) * w,
        "comparisons and logic",
    ),
}


def draw() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return (
        generator.uniform(0.05, 2.0, (N_ROWS, N_POST)),
        generator.uniform(0.05, 2.0, (N_ROWS, N_PRE)),
        generator.normal(0.0, 1.0, (N_POST, N_PRE)),
    )


def reference(drift: Drift, post: np.ndarray, pre: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.mean([drift(x[:, None], u[None, :], w) for x, u in zip(post, pre, strict=True)], axis=0)


@pytest.mark.parametrize("name", SEPARABLE)
def test_products_equal_the_mean_over_presentations(name: str) -> None:
    """Rejects a wrong sign, a lost term, a sum over the wrong side, a mean of products taken as a product of means."""
    rule, drift = SEPARABLE[name]
    post, pre, w = draw()
    change, circuit = mean_change(rule, post, pre, w)
    expected = reference(drift, post, pre, w)
    np.testing.assert_allclose(change, expected, rtol=0, atol=1e-13 * max(1.0, np.abs(expected).max()))
    plan = nc.compile_circuit(circuit).pathways["A_to_B"].rule
    assert plan.terms
    assert not plan.reason


@pytest.mark.parametrize("name", NOT_SEPARABLE)
def test_other_drifts_are_named_and_still_have_the_right_mean(name: str) -> None:
    """Rejects silently wrong products, and a refusal to run at all."""
    rule, drift, reason = NOT_SEPARABLE[name]
    post, pre, w = draw()
    change, circuit = mean_change(rule, post, pre, w)
    np.testing.assert_allclose(change, reference(drift, post, pre, w), rtol=0, atol=1e-13)
    plan = nc.compile_circuit(circuit)
    assert not plan.pathways["A_to_B"].rule.terms
    explained = plan.explain()
    assert "evaluated presentation by presentation" in explained
    import re

    assert re.search(reason, plan.pathways["A_to_B"].rule.reason)


def test_few_presentations_at_a_time_give_the_same_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejects a block of a pointwise evaluation that is counted twice or left out."""
    import neurocircuits.engines.drifts as drifts

    rule, drift, _ = NOT_SEPARABLE["difference"]
    post, pre, w = draw()
    monkeypatch.setattr(drifts, "_BLOCK", 5 * w.size)
    change, _ = mean_change(rule, post, pre, w)
    np.testing.assert_allclose(change, reference(drift, post, pre, w), rtol=0, atol=1e-13)


def test_a_gate_that_does_not_stop_the_drift_is_no_gate() -> None:
    """exp(gate) is 1 where the gate is 0. Rejects leaving those rows out because the gate occurs in every term."""
    rule = nc.Rule("eta*exp(winner_is)*r_pre", PARAMETERS, terms={"winner_is": "winner(r_post)"})
    post, pre, w = draw()
    post[:, 0] = 10.0  # one winner for all, so that most rows look dead
    change, circuit = mean_change(rule, post, pre, w)

    def drift(x: np.ndarray, u: np.ndarray, w: np.ndarray) -> np.ndarray:
        return np.exp(gate(x[:, 0], 0.0, 2))[:, None] * u + 0.0 * w

    np.testing.assert_allclose(change, reference(drift, post, pre, w), rtol=0, atol=1e-12)
    assert nc.compile_circuit(circuit).pathways["A_to_B"].rule.gates == ()


def test_a_gate_leaves_dead_rows_untouched_to_the_bit() -> None:
    """Rejects a step that rewrites every row for the few that changed."""
    rule = nc.Rule("eta*won*(r_pre - w)", PARAMETERS, terms={"won": "winner(r_post)"})
    post, pre, w = draw()
    post[:, 2] = 10.0
    change, circuit = mean_change(rule, post, pre, w)
    assert nc.compile_circuit(circuit).pathways["A_to_B"].rule.gates == ("won",)
    assert not change[[0, 1, 3]].any()
    np.testing.assert_allclose(change[2], (pre - w[2]).mean(axis=0), atol=1e-13)


def test_a_whole_exponent_cannot_be_overridden_in_a_phase() -> None:
    """It was put into the products as a number. Rejects an override that is silently ignored."""
    post, pre, w = draw()
    circuit = mean_change(nc.Rule("eta*(r_post - w**p)", PARAMETERS), post, pre, w)[1]
    stimuli = {"S": nc.Patterns(pre), "T": nc.Patterns(post)}
    with pytest.raises(nc.ValidationError, match=r"exponent 'p' = 3 is part of the compiled drift.*2"):
        run(circuit, nc.Phase("learn", stimuli, parameters={"A_to_B.p": 2.0}))
    run(circuit, nc.Phase("learn", stimuli, parameters={"A_to_B.p": 3.0, "A_to_B.eta": "0 Hz"}))
