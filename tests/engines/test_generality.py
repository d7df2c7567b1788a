"""Circuits that exist only as text here run on the steady-state engine: what later models need, without an edit to it."""

from __future__ import annotations

import numpy as np
import pytest

import neurocircuits as nc
from tests.references import learning
from tests.references.circuits import LINEAR, TAU, recorded, run, weights
from tests.references.threshold_linear import rates_by_nnls

RECTIFIED = "dr/dt = (rectify(drive) - r)/tau : 1"
KROTOV = {"p": 3.0, "k": 3, "delta": 0.4}


def images(n: int = 40, n_units: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, n_units))


def cells(n_units: int, equations: str = RECTIFIED, name: str = "E", **settings: object) -> nc.Population:
    parameters = {**TAU, **settings.pop("parameters", {})}
    return nc.Population(name, n_units, equations, parameters=parameters, **settings)


def feed_forward(
    rule: nc.Rule | None, n_post: int = 3, n_pre: int = 6, post: nc.Population | None = None, **synapses: object
):
    post = post or cells(n_post)
    settings = {"weights": nc.Uniform(0.1, 1.0), "rule": rule} | synapses
    return nc.Circuit("feed-forward", [nc.Population("S", n_pre), post], [nc.Synapses("S", "E", **settings)])


# -- a ranked gate with the largest change, and its twin of two signs ---------------------------------------------------------


def ranked(step: nc.Euler) -> nc.Rule:
    return nc.Rule(
        "gate*(r_pre - drive_post*w)/second",
        {"delta": KROTOV["delta"], "k": KROTOV["k"]},
        terms={"gate": "ranked(drive_post, 1) - delta*ranked(drive_post, k)"},
        step=step,
    )


def signed_circuit(step: nc.Euler, w: np.ndarray) -> nc.Circuit:
    synapses = nc.Synapses("S", "E", weights=w, rule=ranked(step), transmits="sign(w)*abs(w)**2*r_pre")
    return nc.Circuit("ranked", [nc.Population("S", w.shape[1]), cells(len(w))], [synapses], dale="unconstrained")


@pytest.mark.parametrize("stop", [None, 0.0])
def test_a_ranked_gate_with_the_largest_change(stop: float | None) -> None:
    """Krotov and Hopfield's learning from text alone. Rejects wrong ranks, a size per row, a stale h(w), a late schedule."""
    u = images(200, 12)
    w = np.random.default_rng(1).normal(0.0, 1.0, (7, 12))
    size = 0.02 if stop is None else nc.Linear(0.02, stop)
    tree = run(
        signed_circuit(nc.LargestChange(size), w),
        nc.Phase("learn", {"S": nc.Patterns(u)}),
        engine=nc.SteadyState(batch=10),
    )
    expected = learning.krotov(u, w, batch=10, size=0.02, size_end=stop, **KROTOV)
    assert np.abs(expected - w).max() > 0.1
    np.testing.assert_allclose(weights(tree, "S_to_E"), expected, rtol=0, atol=1e-11)


def test_many_units_of_which_few_are_alive() -> None:
    """The same with rows that never win. Rejects live rows that are mixed up, or a transmission that is not refreshed."""
    u = images(60, 5)
    w = np.random.default_rng(2).normal(0.0, 1.0, (60, 5))
    tree = run(
        signed_circuit(nc.LargestChange(0.05), w),
        nc.Phase("learn", {"S": nc.Patterns(u)}),
        engine=nc.SteadyState(batch=4),
    )
    expected = learning.krotov(u, w, batch=4, size=0.05, **KROTOV)
    np.testing.assert_allclose(weights(tree, "S_to_E"), expected, rtol=0, atol=1e-11)
    untouched = (expected == w).all(axis=1)
    assert untouched.any()
    np.testing.assert_array_equal(weights(tree, "S_to_E")[untouched], w[untouched])


@pytest.mark.parametrize("step", [nc.LargestChange(0.05), nc.Euler(), nc.Cap(0.01)], ids=["largest", "euler", "cap"])
def test_a_pair_of_pathways_is_the_signed_pathway(step: nc.Euler) -> None:
    """Two populations of opposite sign carry one signed array. Rejects parts that are clipped on their own."""
    u = images(200, 10)
    w = np.random.default_rng(3).normal(0.0, 0.5, (5, 10))
    twin = nc.Circuit(
        "pair",
        [nc.Population("P", 10), nc.Population("M", 10, sign="inhibitory"), cells(5)],
        [
            nc.Synapses("P", "E", weights=np.maximum(w, 0), rule=ranked(step), transmits="sign(w)*abs(w)**2*r_pre"),
            nc.Synapses("M", "E", weights=nc.Paired("P_to_E", nc.Given(np.maximum(-w, 0))), transmits="w**2*r_pre"),
        ],
    )
    engine = nc.SteadyState(batch=5)
    probe = nc.Record("r", "drive")
    signed = run(
        signed_circuit(step, w), nc.Phase("learn", {"S": nc.Patterns(u, duration="10 ms")}, record=probe), engine=engine
    )
    patterns = {"P": nc.Patterns(u, duration="10 ms"), "M": nc.Patterns(u, duration="10 ms")}
    paired = run(twin, nc.Phase("learn", patterns, record=probe), engine=engine)
    plus, minus = weights(paired, "P_to_E"), weights(paired, "M_to_E")
    np.testing.assert_allclose(plus - minus, weights(signed, "S_to_E"), rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        recorded(paired, variable="drive"), recorded(signed, variable="drive"), rtol=0, atol=1e-12
    )
    assert min(plus.min(), minus.min()) >= 0
    assert not (plus * minus).any()
    crossed = (np.sign(w) != np.sign(plus - minus)).mean()
    assert crossed > 0.02 or isinstance(step, nc.Cap)
    assert paired.attrs["dale_violations"] == 0
    assert paired.attrs["unconstrained"] == 0


def test_bounds_of_a_pair_hold_on_both_sides() -> None:
    """Rejects a bound on the positive part only."""
    rule = nc.Rule("eta*(r_pre - 0.5)", {"eta": "1 Hz"})
    circuit = nc.Circuit(
        "bounded pair",
        [nc.Population("P", 8), nc.Population("M", 8, sign="inhibitory"), cells(3)],
        [
            nc.Synapses("P", "E", weights=0.1, rule=rule, bounds=(0.0, 0.3)),
            nc.Synapses("M", "E", weights=nc.Paired("P_to_E")),
        ],
    )
    u = np.tile(np.linspace(0, 1, 8), (50, 1))
    tree = run(circuit, nc.Phase("learn", {"P": nc.Patterns(u), "M": nc.Patterns(u)}))
    assert weights(tree, "P_to_E").max() == 0.3
    assert weights(tree, "M_to_E").max() == 0.3


# -- steps ----------------------------------------------------------------------------------------------------------------------


def test_a_cap_holds_around_the_onset_of_each_presentation() -> None:
    """Rejects a cap per sub-step, which would allow as many times the change."""
    rule = nc.Rule("eta*(r_post*r_pre - w)", {"eta": "5 Hz"}, step=nc.Cap(0.04))
    u = images(6)
    phase = nc.Phase("learn", {"S": nc.Patterns(u)}, record=nc.Record("r", weights_every=1))
    tree = run(feed_forward(rule), phase, engine=nc.SteadyState(substeps=8))
    w = tree["/synapses/S_to_E"].ds["w"].values
    steps = np.abs(np.diff(w[:7], axis=0)).max(axis=(1, 2))
    assert steps.max() <= 0.04 + 1e-15
    assert (steps > 0.0399).any()
    expected = w[0].copy()
    for row in u:
        onset = expected.copy()
        for _ in range(8):
            x = np.maximum(expected @ row, 0)
            expected = np.clip(
                expected + 5 * 0.1 / 8 * (np.outer(x, row) - expected), np.maximum(0, onset - 0.04), onset + 0.04
            )
    np.testing.assert_allclose(w[-1], expected, rtol=0, atol=1e-13)


def test_rates_per_unit_fall_with_its_activity() -> None:
    """A learning rate of one over the cumulative activity makes w the running mean of what a cell saw when it was active.

    Rejects an activity that does not count what is learned from now.
    """
    equations = RECTIFIED + "\ndseen/dt = rate*r : 1 (slow)"
    post = cells(3, equations, parameters={"rate": "1 Hz"}, initial={"seen": 1.0})
    rule = nc.Rule("eta*r_post*(r_pre - w)", {"eta": "1 Hz"}, step=nc.PerUnit("seen"))
    u = images(30)
    tree = run(feed_forward(rule, post=post), nc.Phase("learn", {"S": nc.Patterns(u, duration="1 s")}))
    w, seen = weights(tree, "S_to_E", 0), np.ones(3)
    for row in u:
        x = np.maximum(w @ row, 0)
        seen = seen + x
        w = np.maximum(w + x[:, None] * (row - w) / seen[:, None], 0)
    np.testing.assert_allclose(weights(tree, "S_to_E"), w, rtol=0, atol=1e-12)
    np.testing.assert_allclose(tree["/slow/E"].ds["seen"].values[-1], seen, rtol=1e-12)


def test_a_rate_of_one_over_nothing_is_an_error_and_leaves_the_weights() -> None:
    """Rejects infinite weights from a cumulative activity that stays 0."""
    post = cells(3, RECTIFIED + "\ndseen/dt = rate*r : 1 (slow)", parameters={"rate": "0 Hz"})
    rule = nc.Rule("eta*r_post*(r_pre - w)", {"eta": "1 Hz"}, step=nc.PerUnit("seen"))
    with (
        np.errstate(divide="ignore"),
        pytest.raises(nc.DivergenceError, match=r"post 0, pre 0 is -?inf.*PerUnit") as caught,
    ):
        run(feed_forward(rule, post=post), nc.Phase("learn", {"S": nc.Patterns(images())}))
    assert np.isfinite(weights(caught.value.tree, "S_to_E")).all()


@pytest.mark.parametrize(
    "schedule",
    [
        nc.Linear(1.0, 0.0),
        nc.Linear(0.2, 2.0),
        nc.Steps((1.0, 0.0, 3.0), (0.0, 0.3, 0.8)),
        nc.Inverse(1.0, 4.0),
        0.5,
        True,
    ],
    ids=["down", "up", "steps", "inverse", "number", "true"],
)
def test_rates_follow_a_schedule_over_a_phase(schedule: object) -> None:
    """The first presentation sees the start of the schedule, epochs do not begin it anew."""
    rule = nc.Rule("eta*r_pre", {"eta": "1 Hz"})
    u = images(10)
    phase = nc.Phase("learn", {"S": nc.Patterns(u, duration="1 s")}, epochs=2, plasticity={"S_to_E": schedule})
    tree = run(feed_forward(rule), phase, engine=nc.SteadyState(batch=5))
    scales = [schedule(k / 4) if callable(schedule) else float(schedule) for k in range(4)]
    expected = weights(tree, "S_to_E", 0) + sum(
        s * rows.mean(axis=0) for s, rows in zip(scales, [u[:5], u[5:]] * 2, strict=True)
    )
    np.testing.assert_allclose(weights(tree, "S_to_E"), expected, rtol=1e-12)


@pytest.mark.parametrize(("per", "norm"), [("target", 1.0), ("target", 2.0), ("source", 1.0), ("target", 3.0)])
@pytest.mark.parametrize("every", ["step", "presentation"])
def test_norms_are_kept(per: str, norm: float, every: str) -> None:
    """Per target or source, from the first weights on. Rejects a norm over the wrong axis or a forgotten root."""
    circuit = feed_forward(nc.Hebbian(eta="2 Hz"), normalise=nc.Normalise(per, norm, 0.8, every))
    tree = run(circuit, nc.Phase("learn", {"S": nc.Patterns(images(9))}), engine=nc.SteadyState(substeps=3))
    axis = 1 if per == "target" else 0
    for w in tree["/synapses/S_to_E"].ds["w"].values:
        np.testing.assert_allclose((w**norm).sum(axis=axis) ** (1 / norm), 0.8, rtol=1e-12)
    w = weights(tree, "S_to_E", 0)
    for row in images(9):
        for k in range(3):
            w = w + 2 * 0.1 / 3 * (np.outer(np.maximum(w @ row, 0), row) - w)
            if every == "step" or k == 2:
                w = w * 0.8 / ((w**norm).sum(axis=axis, keepdims=True) ** (1 / norm))
    np.testing.assert_allclose(weights(tree, "S_to_E"), w, rtol=0, atol=1e-12)


# -- connectivity ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "connectivity",
    [nc.Probability(0.4), nc.FixedInDegree(3), nc.Explicit([0, 1, 2, 4, 4], [5, 0, 3, 1, 2])],
    ids=["probability", "in-degree", "explicit"],
)
def test_synapses_that_do_not_exist_neither_act_nor_learn_nor_count(connectivity: object) -> None:
    """Sums run over existing synapses. Rejects a competition that counts the others, and weights out of nothing."""
    rule = nc.Rule(
        "eta*(r_post*r_pre - w - kappa*n_in*w - kappa*mean_in)",
        {"eta": "0.5 Hz", "kappa": 0.05},
        {"n_in": "sum_over_pre(1)", "mean_in": "sum_over_pre(r_pre)"},
    )
    u = images(12)
    circuit = feed_forward(rule, 5, connectivity=connectivity, transmits="exp(-w)*r_pre")
    tree = run(circuit, nc.Phase("learn", {"S": nc.Patterns(u)}, record=nc.Record("r")), engine=nc.SteadyState(batch=4))
    w = weights(tree, "S_to_E", 0)
    mask = w > 0
    assert 0 < mask.sum() < mask.size
    for k, rows in enumerate(np.split(u, 3)):
        x = rows @ (np.exp(-w) * mask).T
        np.testing.assert_allclose(recorded(tree)[4 * k : 4 * k + 4], x, rtol=1e-12)
        sums = rows @ mask.T
        drift = x.T @ rows / 4 - w - 0.05 * mask.sum(1, keepdims=True) * w - 0.05 * sums.mean(0)[:, None]
        w = np.maximum(w + 0.05 * drift, 0) * mask
    np.testing.assert_allclose(weights(tree, "S_to_E"), w, rtol=0, atol=1e-12)


def test_the_largest_change_is_that_of_synapses_that_exist() -> None:
    """Rejects a step that is scaled by the drift of a synapse that is not there."""
    rule = nc.Rule("eta*r_pre", {"eta": "1 Hz"}, step=nc.LargestChange(0.1))
    circuit = feed_forward(rule, connectivity=nc.Explicit([0, 1, 2], [0, 0, 1]))
    u = np.array([[1.0, 2.0, 50.0, 60.0, 70.0, 80.0]])
    tree = run(circuit, nc.Phase("learn", {"S": nc.Patterns(u)}))
    change = weights(tree, "S_to_E") - weights(tree, "S_to_E", 0)
    np.testing.assert_allclose(change[[0, 1, 2], [0, 0, 1]], [0.05, 0.05, 0.1], rtol=1e-12)
    assert np.count_nonzero(change) == 3


def test_a_bound_above_zero_makes_no_synapses() -> None:
    """Rejects a lower bound that lifts the zeros of synapses that do not exist."""
    circuit = feed_forward(nc.Rule("-eta*w", {"eta": "5 Hz"}), connectivity=nc.FixedInDegree(2), bounds=(0.05, 1.0))
    tree = run(circuit, nc.Phase("learn", {"S": nc.Patterns(images(80))}))
    exists = weights(tree, "S_to_E", 0) > 0
    np.testing.assert_array_equal(weights(tree, "S_to_E"), np.where(exists, 0.05, 0.0))


def test_a_tie_of_a_sparse_pathway_is_sparse() -> None:
    """Rejects a transpose that forgets which synapses exist, also where h(0) is not 0."""
    circuit = nc.Circuit(
        "sparse tie",
        [nc.Population("S", 4), cells(4), cells(3, LINEAR, "I", sign="inhibitory")],
        [
            nc.Synapses("S", "E", weights=np.eye(4)),
            nc.Synapses(
                "E", "I", weights=nc.Uniform(0.1, 1.0), connectivity=nc.FixedInDegree(2), transmits="exp(w)*r_pre"
            ),
            nc.Synapses("I", "E", weights=nc.Tied("E_to_I"), transmits="exp(w)*r_pre"),
        ],
    )
    u = images(5, 4)
    tree = run(circuit, nc.Phase("probe", {"S": nc.Patterns(u)}, record=nc.Record("r")))
    a = weights(tree, "E_to_I")
    sent = np.where(a > 0, np.exp(a), 0.0)
    np.testing.assert_allclose(recorded(tree), rates_by_nnls(np.eye(4) + sent.T @ sent, u), atol=1e-9)


# -- inputs, slow variables ---------------------------------------------------------------------------------------------------
