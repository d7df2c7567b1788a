"""Whole learning runs of the steady-state engine against the same learning written by hand in NumPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

import neurocircuits as nc
from neurocircuits.engines import gates
from neurocircuits.models import seung_zung2017
from neurocircuits.randomness import Streams
from tests.references import learning
from tests.references.circuits import LINEAR, TAU, excitatory, inhibitory, learning_circuit, recorded, run, weights

RATES = {"eta_w": 0.4, "eta_a": 0.6, "eta_gain": 0.5, "kappa": 0.2, "p": 0.3}


def images(n: int = 60, n_units: int = 6, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.random((n, n_units)) * (generator.random((n, n_units)) < 0.6) + 0.01


def initial(tree: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return weights(tree, "S_to_E", 0), weights(tree, "E_to_I", 0), tree["/slow/E"].ds["log_gain"].values[0]


def agree(tree: object, expected: tuple[np.ndarray, ...], tolerance: float = 1e-10) -> None:
    found = (weights(tree, "S_to_E"), weights(tree, "E_to_I"), tree["/slow/E"].ds["log_gain"].values[-1])
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


@pytest.mark.parametrize(("batch", "substeps"), [(1, 1), (7, 1), (60, 1), (5, 4), (1, 16)])
def test_the_disynaptic_circuit_learns_as_written_by_hand(batch: int, substeps: int) -> None:
    """Rejects a wrong sign, a missing clip, competition over the wrong side, a sub-step that does not settle anew."""
    u = images()
    engine = nc.SteadyState(batch=batch, substeps=substeps, learning_tolerance=1e-12)
    tree = run(learning_circuit(), nc.Phase("learn", {"S": nc.Patterns(u, duration="300 ms")}), engine=engine)
    start = initial(tree)
    expected = learning.disynaptic(u, *start, batch=batch, substeps=substeps, duration=0.3, **RATES)
    assert np.abs(expected[0] - start[0]).max() > 0.05
    assert (expected[0] == 0).any()  # the clip matters
    agree(tree, expected)


def test_the_default_learning_tolerance_stays_close() -> None:
    """Rejects a tolerance while learning that lets weights drift away from the exact ones."""
    u = images(400)
    tree = run(learning_circuit(), nc.Phase("learn", {"S": nc.Patterns(u)}, epochs=3), engine=nc.SteadyState(batch=20))
    expected = learning.disynaptic(np.tile(u, (3, 1)), *initial(tree), batch=20, substeps=1, duration=0.1, **RATES)
    agree(tree, expected, tolerance=2e-3)


def test_sparse_stimuli_learn_the_same() -> None:
    """Rejects a product that treats a CSR batch in another way than a dense one."""
    u = images()
    phases = [nc.Phase("learn", {"S": nc.Patterns(values, duration="300 ms")}) for values in (u, csr_array(u))]
    dense, sparse = (run(learning_circuit(), phase, engine=nc.SteadyState(batch=12)) for phase in phases)
    for name in ("S_to_E", "E_to_I"):
        np.testing.assert_allclose(weights(sparse, name), weights(dense, name), rtol=0, atol=1e-12)


def test_all_to_all_inhibition_learns_as_written_by_hand() -> None:
    """Rejects self-connections that come back, and lateral weights that lose their symmetry."""
    u = images(n_units=8)
    circuit = seung_zung2017.circuit(
        n_sensory=8, n_excitatory=5, eta_excitatory="0.4 Hz", eta_lateral="0.1 Hz", eta_gain="0.5 Hz", kappa=0.02, p=0.3
    )
    engine = nc.SteadyState(batch=10, learning_tolerance=1e-12)
    tree = run(circuit, nc.Phase("learn", {"S": nc.Patterns(u, duration="200 ms")}, epochs=3), engine=engine)
    start = weights(tree, "S_to_E", 0), weights(tree, "E_to_E", 0), tree["/slow/E"].ds["log_gain"].values[0]
    step = circuit.population("E").steps["log_gain"].size
    expected = learning.all_to_all(
        np.tile(u, (3, 1)),
        *start,
        batch=10,
        duration=0.2,
        eta_w=0.4,
        eta_l=0.1,
        eta_gain=0.5,
        kappa=0.02,
        p=0.3,
        cap=step,
    )
    found = weights(tree, "S_to_E"), weights(tree, "E_to_E"), tree["/slow/E"].ds["log_gain"].values[-1]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10 * np.abs(theirs).max())
    np.testing.assert_allclose(found[1], found[1].T, rtol=0, atol=1e-14)
    assert not np.diag(found[1]).any()


def test_oja_finds_what_is_written_by_hand_and_the_principal_direction() -> None:
    """Signed weights in an unconstrained circuit; the direction is that of the largest eigenvalue."""
    generator = np.random.default_rng(0)
    u = generator.normal(size=(2000, 4)) * [3.0, 1.0, 0.5, 0.2] @ np.linalg.qr(generator.normal(size=(4, 4)))[0]
    cells = nc.Population("E", 2, LINEAR, parameters=TAU)
    synapses = nc.Synapses("S", "E", weights=nc.Normal(0.0, 0.3), rule=nc.Oja(eta="0.2 Hz"))
    circuit = nc.Circuit("oja", [nc.Population("S", 4), cells], [synapses], dale="unconstrained")
    tree = run(circuit, nc.Phase("learn", {"S": nc.Patterns(u)}), engine=nc.SteadyState(batch=10))
    found = weights(tree, "S_to_E")
    expected = learning.oja(u, weights(tree, "S_to_E", 0), batch=10, duration=0.1, eta=0.2)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    direction = np.linalg.eigh(u.T @ u)[1][:, -1]
    np.testing.assert_allclose(np.abs(found @ direction), 1.0, atol=0.05)
    assert tree.attrs["unconstrained"] == 1


def test_the_order_of_populations_and_pathways_does_not_matter() -> None:
    """All changes are computed before any is applied. Rejects learning of one pathway that sees another's new weights."""
    u = images()
    circuit = learning_circuit()
    turned = nc.Circuit("small", circuit.populations[::-1], circuit.synapses[::-1])
    trees = [
        run(c, nc.Phase("learn", {"S": nc.Patterns(u)}), engine=nc.SteadyState(batch=6)) for c in (circuit, turned)
    ]
    for name in ("S_to_E", "E_to_I"):
        np.testing.assert_allclose(weights(trees[0], name), weights(trees[1], name), rtol=0, atol=1e-13)


def test_sub_steps_converge_to_first_order() -> None:
    """Presentations so long that one step is off by more than 5 %: the error falls as one over the number of sub-steps."""
    phase = nc.Phase("learn", {"S": nc.Patterns(images(12), duration="400 ms")})

    def learned(substeps: int) -> np.ndarray:
        tree = run(learning_circuit(eta_gain="0 Hz"), phase, engine=nc.SteadyState(substeps=substeps))
        return weights(tree, "S_to_E")

    exact = learned(400)
    errors = [np.linalg.norm(learned(n) - exact) / np.linalg.norm(exact) for n in (1, 4, 16)]
    assert errors[0] > 0.05
    np.testing.assert_allclose(np.diff(np.log(errors)) / np.log(4), -1.0, atol=0.25)


def test_the_targets_of_the_gain_and_the_anti_hebbian_rule_are_reached() -> None:
    """After learning <x_i^2> = q^2 off the floor. Rejects a gain rule with the wrong sign."""
    generator = np.random.default_rng(1)
    u = (generator.random((2000, 12)) < 0.2) * 1.0
    u /= np.sqrt((u**2).sum(1).mean())
    circuit = learning_circuit(n_s=12, n_e=6, n_i=4, eta_w="0.1 Hz", eta_a="0.2 Hz")
    probe = nc.Phase("probe", {"S": nc.Patterns(u)}, plasticity=False, record=nc.Record("r"))
    learn = nc.Phase("learn", {"S": nc.Patterns(u).shuffled()}, epochs=30)
    x = recorded(run(circuit, learn, probe, engine=nc.SteadyState(batch=50)))
    np.testing.assert_allclose((x**2).mean(axis=0), 1.0, atol=0.15)


def test_a_sensory_population_can_drive_two_and_two_can_drive_one() -> None:
    """Rejects a pathway that is fed from, or learns with, another population than its own."""
    u, v = images(40, 5, seed=1), images(40, 3, seed=2)
    rule = nc.Hebbian(eta="0.5 Hz")
    circuit = nc.Circuit(
        "two sources",
        [nc.Population("S", 5), nc.Population("T", 3), excitatory(4), excitatory(2, "F"), inhibitory(2)],
        [
            nc.Synapses("S", "E", weights=nc.Uniform(0, 1), rule=rule),
            nc.Synapses("T", "E", weights=nc.Uniform(0, 1), rule=rule),
            nc.Synapses("S", "F", weights=nc.Uniform(0, 1), rule=rule),
        ],
    )
    record = nc.Record("r")
    phase = nc.Phase(
        "learn", {"S": nc.Patterns(u), "T": nc.Patterns(v)}, plasticity={"E": False, "F": False}, record=record
    )
    tree = run(circuit, phase, engine=nc.SteadyState(batch=40))
    w = {name: weights(tree, name, 0) for name in ("S_to_E", "T_to_E", "S_to_F")}
    x, f = u @ w["S_to_E"].T + v @ w["T_to_E"].T, u @ w["S_to_F"].T
    np.testing.assert_allclose(recorded(tree), x, rtol=1e-12)
    np.testing.assert_allclose(recorded(tree, "F"), f, rtol=1e-12)
    for name, post, pre in (("S_to_E", x, u), ("T_to_E", x, v), ("S_to_F", f, u)):
        expected = w[name] + 0.05 * (post.T @ pre / 40 - w[name])
        np.testing.assert_allclose(weights(tree, name), expected, rtol=1e-12)


# -- ranks that pick few pairs of a presentation and a unit --------------------------------------------------------------------


def ranked_circuit(w: np.ndarray, terms: dict[str, str], drift: str, **settings: nc.LargestChange) -> nc.Circuit:
    post = nc.Population(
        "E", len(w), "dr/dt = (rectify(drive) - r)/tau : 1\nh = drive*drive - drive : 1", parameters=TAU
    )
    rule = nc.Rule(drift, {"eta": "1 Hz", "k": 3}, terms=terms, **settings)
    synapses = nc.Synapses("S", "E", weights=w, rule=rule, transmits="w*abs(w)*r_pre")
    return nc.Circuit("ranked", [nc.Population("S", w.shape[1]), post], [synapses], dale="unconstrained")


def place(x: np.ndarray, k: int) -> np.ndarray:
    gate = np.zeros_like(x)
    gate[np.arange(len(x)), np.argsort(-x, axis=1, kind="stable")[:, k - 1]] = 1.0
    return gate


RANKED = {
    "one variable": (
        {"a": "ranked(drive_post, 1) - 0.4*ranked(drive_post, k)"},
        "eta*a*(r_pre - drive_post*w)",
        lambda x, h: ((a := place(x, 1) - 0.4 * place(x, 3)), a * x),
    ),
    "two variables that may pick the same": (
        {"a": "ranked(drive_post, 1) + 0.5*ranked(h_post, 1)"},
        "eta*a*(r_pre - drive_post*w)",
        lambda x, h: ((a := place(x, 1) + 0.5 * place(h, 1)), a * x),
    ),
    "two terms, one rank twice": (
        {"a": "winner(drive_post)", "b": "h_post*ranked(drive_post, 1) - ranked(drive_post, 2)"},
        "eta*(a*r_pre - (a + b)*w)",
        lambda x, h: (place(x, 1), place(x, 1) + h * place(x, 1) - place(x, 2)),
    ),
}


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize("few", [0, 1 << 40], ids=["picked", "plain"])
@pytest.mark.parametrize("name", RANKED)
def test_pairs_that_ranks_pick_give_the_mean_over_all(
    name: str, few: int, sparse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rejects a pair that counts twice or not at all, rows of another unit, and a sum that is no mean."""
    monkeypatch.setattr(gates, "_FEW", few)
    terms, drift, reference = RANKED[name]
    rng = np.random.default_rng(5)
    u, w = images(23, 9), rng.normal(0.0, 0.7, (40, 9))
    x = u @ (w * np.abs(w)).T
    hebbian, decay = reference(x, x * x - x)
    expected = w + 0.1 * (hebbian.T @ u - decay.sum(axis=0)[:, None] * w) / len(u)
    phase = nc.Phase("learn", {"S": nc.Patterns(csr_array(u) if sparse else u, duration="100 ms")})
    tree = run(ranked_circuit(w, terms, drift), phase, engine=nc.SteadyState(batch=23))
    np.testing.assert_allclose(weights(tree, "S_to_E"), expected, rtol=0, atol=1e-13)
    dead = (hebbian == 0).all(axis=0) & (decay == 0).all(axis=0)
    assert dead.sum() > 5
    assert 0 < (place(x, 1) * place(x * x - x, 1)).sum() < len(u)
    np.testing.assert_array_equal(weights(tree, "S_to_E")[dead], w[dead])


@pytest.mark.parametrize("normalise", [None, nc.Normalise("target", 3.0), nc.Normalise("source", 3.0, 4.0)])
def test_what_is_transmitted_follows_the_weights_to_the_bit(normalise: nc.Normalise | None) -> None:
    """Rejects a product of weights before they were rounded, cut or normalised: a resumed run would go another way."""
    rng = np.random.default_rng(6)
    circuit = ranked_circuit(
        rng.normal(0.0, 0.7, (30, 9)).clip(-1.5, 1.5), *RANKED["one variable"][:2], step=nc.LargestChange(0.3)
    )
    pathway = replace(circuit.pathway("S_to_E"), normalise=normalise, bounds=(-1.5, 1.5))
    circuit = replace(circuit, synapses=[pathway])
    simulation = nc.SteadyState(batch=10, dtype="float32").open(nc.compile_circuit(circuit), Streams(0))
    phase = nc.Phase("learn", {"S": nc.Patterns(images(50, 9))})
    simulation.begin(phase)
    store, sent = simulation.store, simulation.plan.pathways["S_to_E"]
    for start in range(0, 50, 10):
        simulation.advance(phase.batch(start, 10, Streams(0)))
        kept = np.array(store.transmitted(sent, 0))
        store.changed("S_to_E")
        np.testing.assert_array_equal(kept, store.transmitted(sent, 0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_largest_change_of_numbers_near_the_end_of_a_type(dtype: str) -> None:
    """Drifts far below and above 1 take the same step. Rejects a scale that overflows, and a check that is content."""
    w, u = np.zeros((3, 4)), np.array([[1.0, 2.0, 4.0, 0.0]])
    tiny = {"float32": 1e-44, "float64": 1e-320}[dtype]
    rule = nc.Rule("eta*r_post*r_pre", {"eta": "1 Hz"}, step=nc.LargestChange(0.5))

    def after(size: float) -> np.ndarray:
        post = nc.Population("E", 3, "dr/dt = (1 - r)/tau : 1", parameters=TAU)
        circuit = nc.Circuit("constant", [nc.Population("S", 4), post], [nc.Synapses("S", "E", weights=w, rule=rule)])
        return weights(run(circuit, nc.Phase("learn", {"S": nc.Patterns(size * u)}), engine=nc.SteadyState(dtype=dtype)),
                       "S_to_E")  # fmt: skip

    np.testing.assert_allclose(after(1e-30), after(1.0), rtol=1e-6)
    np.testing.assert_allclose(after(1.0), np.tile([0.125, 0.25, 0.5, 0.0], (3, 1)), rtol=1e-6)
    with np.errstate(all="ignore"), pytest.raises(nc.DivergenceError, match="is (inf|nan)"):
        after(tiny)
