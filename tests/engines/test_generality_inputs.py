"""More circuits that exist only as text here: inputs, thresholds, sparse stimuli, windows, phases and precision."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

import neurocircuits as nc
from tests.engines.test_generality import RECTIFIED, cells, feed_forward, images
from tests.references.circuits import excitatory, learning_circuit, recorded, run, weights
from tests.references.threshold_linear import rates_by_nnls

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
