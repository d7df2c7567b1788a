"""Circuits that exist only as text here run on the steady-state engine: what later models need, without an edit to it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

import neurocircuits as nc
from tests.references import learning
from tests.references.circuits import LINEAR, TAU, excitatory, learning_circuit, recorded, run, weights
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
    """A learning rate of one over the cumulative activity makes w the running mean of what a cell saw when it was active."""
    equations = RECTIFIED + "\ndseen/dt = rate*r : 1 (slow)"
    post = cells(3, equations, parameters={"rate": "1 Hz"}, initial={"seen": 1.0})
    rule = nc.Rule("eta*r_post*(r_pre - w)", {"eta": "1 Hz"}, step=nc.PerUnit("seen"))
    u = images(30)
    tree = run(feed_forward(rule, post=post), nc.Phase("learn", {"S": nc.Patterns(u, duration="1 s")}))
    w, seen = weights(tree, "S_to_E", 0), np.ones(3)
    for row in u:
        x = np.maximum(w @ row, 0)
        w, seen = np.maximum(w + x[:, None] * (row - w) / seen[:, None], 0), seen + x
    np.testing.assert_allclose(weights(tree, "S_to_E"), w, rtol=0, atol=1e-12)
    np.testing.assert_allclose(tree["/slow/E"].ds["seen"].values[-1], seen, rtol=1e-12)


def test_a_rate_of_one_over_nothing_is_an_error_and_leaves_the_weights() -> None:
    """Rejects infinite weights from a cumulative activity that starts at 0."""
    post = cells(3, RECTIFIED + "\ndseen/dt = rate*r : 1 (slow)", parameters={"rate": "1 Hz"})
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


CONDUCTANCES = """
    dv/dt = (g_leak*(e_leak - v) + ge*(e_exc - v) + gi*(e_inh - v))/capacitance : volt
    r = rectify((v - e_leak)/(10*mV)) : 1
    ge : siemens (input, excitatory)
    gi : siemens (input, inhibitory)
    i_exc = ge*(e_exc - v) : amp (excitation)
    i_inh = gi*(v - e_inh) : amp (inhibition)
"""
BIOPHYSICS = {"g_leak": "10 nS", "e_leak": "-70 mV", "e_exc": "0 mV", "e_inh": "-80 mV", "capacitance": "200 pF"}


def conductance_circuit(**inhibition: object) -> nc.Circuit:
    settings = {"input": "gi", "weights": nc.Uniform(0.0, 2e-9)} | inhibition
    post = nc.Population("E", 3, CONDUCTANCES, parameters=BIOPHYSICS, initial={"v": -0.07})
    rule = nc.Rule("eta*(r_pre - alpha)*w", {"eta": "1 Hz", "alpha": 0.5})
    return nc.Circuit(
        "conductances",
        [nc.Population("S", 5), nc.Population("V", 4, sign="inhibitory"), post],
        [
            nc.Synapses("S", "E", input="ge", weights=nc.Uniform(0.0, 1e-9), rule=rule),
            nc.Synapses("V", "E", **settings),
        ],
    )


def test_conductance_inputs_of_one_polarity() -> None:
    """Inhibition pulls towards its reversal potential. Rejects a sign that is applied twice, and currents of the wrong side."""
    u, v = images(7, 5), images(7, 4, seed=1)
    record = nc.Record("r", "v", "ge", "gi", "excitation", "inhibition")
    tree = run(
        conductance_circuit(),
        nc.Phase("learn", {"S": nc.Patterns(u), "V": nc.Patterns(v)}, record=record),
        engine=nc.SteadyState(batch=7),
    )
    w, a = weights(tree, "S_to_E", 0), weights(tree, "V_to_E", 0)
    ge, gi = u @ w.T, v @ a.T
    voltage = (10e-9 * -0.07 + ge * 0.0 + gi * -0.08) / (10e-9 + ge + gi)
    np.testing.assert_allclose(recorded(tree, variable="ge"), ge, rtol=1e-12)
    np.testing.assert_allclose(recorded(tree, variable="gi"), gi, rtol=1e-12)
    np.testing.assert_allclose(recorded(tree, variable="v"), voltage, rtol=1e-12)
    np.testing.assert_allclose(recorded(tree, variable="excitation"), ge * (0 - voltage), rtol=1e-12)
    np.testing.assert_allclose(recorded(tree, variable="inhibition"), gi * (voltage + 0.08), rtol=1e-9)
    np.testing.assert_allclose(weights(tree, "S_to_E"), w * (1 + 0.1 * (u.mean(0) - 0.5)), rtol=1e-12)


def test_a_conductance_refuses_synapses_of_the_other_polarity() -> None:
    """Rejects inhibition through an excitatory conductance; the message says which inputs would fit."""
    with pytest.raises(
        nc.ValidationError, match=r"'ge' of population 'E' takes excitatory.*'V' is inhibitory.*'gi', 'drive'"
    ):
        nc.compile_circuit(conductance_circuit(input="ge"))


def test_a_slow_threshold_slides() -> None:
    """BCM: the threshold follows the mean square of the rate, and freezes when plasticity is off or scaled to zero."""
    equations = RECTIFIED + "\ndtheta/dt = (r**2 - theta)*rate : 1 (slow)"
    post = cells(3, equations, parameters={"rate": "2 Hz"}, initial={"theta": 0.5})
    rule = nc.Rule("eta*r_post*(r_post - theta_post)*r_pre", {"eta": "0.3 Hz"})
    u = images(12)
    phases = [
        nc.Phase("both", {"S": nc.Patterns(u)}),
        nc.Phase("weights only", {"S": nc.Patterns(u)}, plasticity={"E": 0.0}),
        nc.Phase("threshold only", {"S": nc.Patterns(u)}, plasticity={"S_to_E": False, "E": 0.5}),
        nc.Phase("off", {"S": nc.Patterns(u)}, plasticity=False),
    ]
    phases = [nc.Phase(p.name.replace(" ", "_"), p.stimuli, plasticity=p.plasticity) for p in phases]
    tree = run(feed_forward(rule, post=post), *phases, engine=nc.SteadyState(batch=3))
    w, theta = weights(tree, "S_to_E", 0), np.full(3, 0.5)
    for k, (rate_w, rate_theta) in enumerate([(1, 1), (1, 0), (0, 0.5), (0, 0)]):
        for rows in np.split(u, 4):
            x = rows @ w.T
            new = w + 0.1 * rate_w * 0.3 * (x * (x - theta)).T @ rows / 3
            theta = theta + 0.1 * rate_theta * 2 * ((x**2).mean(0) - theta)
            w = np.maximum(new, 0) if rate_w else w
        np.testing.assert_allclose(weights(tree, "S_to_E", k + 1), w, rtol=0, atol=1e-12)
        np.testing.assert_allclose(tree["/slow/E"].ds["theta"].values[k + 1], theta, rtol=1e-12)
    np.testing.assert_array_equal(weights(tree, "S_to_E", 4), weights(tree, "S_to_E", 2))


def test_sparse_stimuli_reach_every_kind_of_factor() -> None:
    """Powers, ranks and pointwise drifts of a CSR source equal those of a dense one."""
    u = images(12) * (images(12, seed=5) < 0.5)
    rules = [
        nc.Rule("eta*r_post*r_pre**2", {"eta": "1 Hz"}),
        nc.Rule("eta*won*r_post", {"eta": "1 Hz"}, terms={"won": "winner(r_pre)"}),
        nc.Rule("eta*(all_of_them - r_post)", {"eta": "1 Hz"}, terms={"all_of_them": "total(r_pre)"}),
        nc.Rule("eta*rectify(r_pre - r_post)", {"eta": "1 Hz"}),
        nc.Rule("eta*s*r_pre", {"eta": "1 Hz"}, {"s": "sum_over_pre(w*r_pre)"}),
    ]
    for rule in rules:
        trees = [
            run(feed_forward(rule), nc.Phase("learn", {"S": nc.Patterns(v)}), engine=nc.SteadyState(batch=4))
            for v in (u, csr_array(u))
        ]
        np.testing.assert_allclose(weights(trees[1], "S_to_E"), weights(trees[0], "S_to_E"), rtol=0, atol=1e-13)


def test_a_population_term_is_per_presentation() -> None:
    """Rejects ranks or sums over the batch instead of the layer."""
    rule = nc.Rule("eta*(s - n_post*r_post)*r_pre", {"eta": "1 Hz"}, terms={"s": "total(r_post)"})
    u = images(12)
    tree = run(feed_forward(rule), nc.Phase("learn", {"S": nc.Patterns(u)}), engine=nc.SteadyState(batch=12))
    w = weights(tree, "S_to_E", 0)
    x = u @ w.T
    expected = w + 0.1 * ((x.sum(1, keepdims=True) - 3 * x).T @ u / 12)
    np.testing.assert_allclose(weights(tree, "S_to_E"), np.maximum(expected, 0), rtol=0, atol=1e-13)


def test_a_rank_that_does_not_exist_is_refused() -> None:
    rule = nc.Rule("eta*g*r_pre", {"eta": "1 Hz", "k": 4}, terms={"g": "ranked(r_post, k)"})
    with pytest.raises(nc.ValidationError, match=r"ranked\(x, 4\): there is no such rank among 3 units"):
        run(feed_forward(rule), nc.Phase("learn", {"S": nc.Patterns(images())}))


# -- phases ---------------------------------------------------------------------------------------------------------------------


def test_a_settle_and_a_learn_window_with_held_activity() -> None:
    """Activity comes from the settle window and stays while the weights are stepped. Rejects settling anew in between."""
    u = images(8)
    timetable = [nc.Window("50 ms", plastic=False), nc.Window("40 ms", hold=True, step="10 ms")]
    phase = nc.Phase("learn", {"S": nc.Patterns(u)}, timetable=timetable, record=nc.Record("r"))
    tree = run(feed_forward(nc.Hebbian(eta="3 Hz", kappa=0.1)), phase)
    w = weights(tree, "S_to_E", 0)
    for row in u:
        x = w @ row
        for _ in range(4):
            w = np.maximum(w + 3 * 0.01 * (np.outer(x, row) - w - 0.1 * w.sum(1, keepdims=True)), 0)
    np.testing.assert_allclose(weights(tree, "S_to_E"), w, rtol=0, atol=1e-13)
    np.testing.assert_allclose(tree["/populations/E"].ds["time"].values, 0.09 * np.arange(1, 9), rtol=1e-12)


def test_a_learn_window_that_is_not_held_settles_anew() -> None:
    u = images(8)
    timetable = [nc.Window("50 ms", plastic=False), nc.Window("40 ms")]
    phase = nc.Phase("learn", {"S": nc.Patterns(u)}, timetable=timetable)
    tree = run(feed_forward(nc.Hebbian(eta="3 Hz")), phase, engine=nc.SteadyState(substeps=4))
    w = weights(tree, "S_to_E", 0)
    for row in u:
        for _ in range(4):
            w = np.maximum(w + 3 * 0.01 * (np.outer(w @ row, row) - w), 0)
    np.testing.assert_allclose(weights(tree, "S_to_E"), w, rtol=0, atol=1e-13)


def test_parameters_change_for_one_phase_only() -> None:
    """Of a population and of a rule. Rejects an override that leaks into the next phase, or is not seen by the solver."""
    equations = "dr/dt = (rectify(drive)*slope - r)/tau : 1"
    circuit = feed_forward(
        nc.Rule("eta*(r_post - w)", {"eta": "1 Hz"}), post=cells(3, equations, parameters={"slope": 1.0})
    )
    u = images(4)
    stimuli, record = {"S": nc.Patterns(u)}, nc.Record("r")
    phases = [
        nc.Phase("before", stimuli, record=record, plasticity=False),
        nc.Phase("during", stimuli, record=record, parameters={"E.slope": 3.0, "S_to_E.eta": "0.5 Hz"}),
        nc.Phase("after", stimuli, record=record),
    ]
    tree = run(circuit, *phases, engine=nc.SteadyState(batch=4))
    w = weights(tree, "S_to_E", 0)
    for name, slope, eta in (("before", 1, 0), ("during", 3, 0.5), ("after", 1, 1)):
        x = slope * (u @ w.T)
        np.testing.assert_allclose(recorded(tree, phase=name), x, rtol=1e-12)
        w = w + 0.1 * eta * (x.mean(0)[:, None] - w)
    np.testing.assert_allclose(weights(tree, "S_to_E"), w, rtol=1e-12)


def test_weights_are_scaled_when_a_phase_begins() -> None:
    """A lesion of some synapses stays; the others are untouched to the bit."""
    u = images(4)
    scale = nc.Scale("S_to_E", 0.25, post=[0, 2], pre=[1, 3])
    phases = [
        nc.Phase("before", {"S": nc.Patterns(u)}, plasticity=False),
        nc.Phase("lesion", {"S": nc.Patterns(u)}, plasticity=False, interventions=[scale], record=nc.Record("r")),
        nc.Phase("after", {"S": nc.Patterns(u)}, plasticity=False),
    ]
    tree = run(feed_forward(None), *phases)
    before, after = weights(tree, "S_to_E", 1), weights(tree, "S_to_E", 2)
    expected = before.copy()
    expected[np.ix_([0, 2], [1, 3])] *= 0.25
    np.testing.assert_array_equal(after, expected)
    np.testing.assert_array_equal(weights(tree, "S_to_E", 3), expected)
    np.testing.assert_allclose(recorded(tree), u @ expected.T, rtol=1e-12)


def test_a_scaled_pathway_and_its_tie_stay_one_array() -> None:
    """Rejects a lesion of E to I that leaves I to E as it was."""
    u = images(4)
    circuit = learning_circuit()
    phase = nc.Phase(
        "probe", {"S": nc.Patterns(u)}, plasticity=False, interventions=[nc.Scale("E_to_I", 0.5)], record=nc.Record("r")
    )
    tree = run(circuit, phase)
    a = weights(tree, "E_to_I")
    np.testing.assert_array_equal(a, 0.5 * weights(tree, "E_to_I", 0))
    np.testing.assert_allclose(
        recorded(tree), rates_by_nnls(np.eye(5) + a.T @ a, u @ weights(tree, "S_to_E").T), atol=1e-9
    )


def test_phases_may_record_different_things() -> None:
    """What one phase records of a population is there for all that record it; rows fit together. Times run on."""
    u = images(4)
    phases = [
        nc.Phase("a", {"S": nc.Patterns(u, labels=list("wxyz"))}, record=nc.Record("r", units=[0, 2])),
        nc.Phase("b", {"S": nc.Patterns(u)}, record=nc.Record("excitation", units=[1, 2])),
        nc.Phase("c", {"S": nc.Patterns(u)}),
        nc.Phase("d", {"S": nc.Patterns(u)}, record=nc.Record("r", populations=["S"], every=2)),
    ]
    tree = run(learning_circuit(), *phases)
    data = tree["/populations/E"].ds
    assert set(data.data_vars) == {"r", "excitation"}
    assert data["unit"].values.tolist() == [0, 1, 2]
    assert data["r"].shape == (8, 3)
    assert data["label"].values.tolist() == [*"wxyz", "-1", "-1", "-1", "-1"]
    np.testing.assert_allclose(data["time"].values, 0.1 * np.arange(1, 9), rtol=1e-12)
    np.testing.assert_array_equal(recorded(tree, "S"), u[::2])
    assert tree["/populations/S"].ds["presentation"].values.tolist() == [12, 14]


def test_integers_are_shown_as_numbers() -> None:
    """Bytes of an image: 200**2 must not wrap around."""
    u = np.array([[200, 3], [17, 255]], dtype=np.uint8)
    rule = nc.Rule("eta*r_pre**2*rectify(r_pre - 300)", {"eta": "1 Hz"})
    squares = nc.Rule("eta*r_pre**2", {"eta": "1 Hz"})
    for law, expected in ((rule, [[0.0, 0.0]]), (squares, [[200.0**2 + 17.0**2, 9.0 + 255.0**2]])):
        tree = run(feed_forward(law, 1, 2), nc.Phase("learn", {"S": nc.Patterns(u, duration="1 s")}))
        np.testing.assert_allclose(weights(tree, "S_to_E") - weights(tree, "S_to_E", 0), expected, rtol=1e-12)


def test_single_precision_is_close() -> None:
    """Rejects a path that loses more than the precision that was asked for."""
    u = images(40)
    trees = [
        run(
            learning_circuit(),
            nc.Phase("learn", {"S": nc.Patterns(u)}, record=nc.Record("r")),
            engine=nc.SteadyState(batch=4, dtype=dtype),
        )
        for dtype in ("float32", "float64")
    ]
    assert weights(trees[0], "S_to_E").dtype == np.float32
    np.testing.assert_allclose(weights(trees[0], "S_to_E"), weights(trees[1], "S_to_E"), atol=1e-4)
    np.testing.assert_allclose(recorded(trees[0]), recorded(trees[1]), atol=1e-3)


def test_cells_that_nothing_reaches_are_silent() -> None:
    """A population without synapses runs, records zeros and disturbs nothing."""
    circuit = nc.Circuit("lonely", [nc.Population("S", 2), excitatory(3)], [])
    tree = run(
        circuit,
        nc.Phase("probe", {"S": nc.Patterns(np.ones((3, 2)))}, plasticity=False, record=nc.Record("r", "excitation")),
    )
    assert not recorded(tree).any()
    assert not recorded(tree, variable="excitation").any()
