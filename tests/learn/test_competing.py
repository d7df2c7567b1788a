"""Competing hidden units: the run behind them, passes one by one, features to the bit, and layers that collapse."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import load_digits

import neurocircuits as nc
from neurocircuits.analysis.competition import collapse
from neurocircuits.learn import CollapseWarning, CompetingHiddenUnits
from neurocircuits.models import krotov2019


def images(n: int = 60, n_features: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, n_features)) ** 2


def layer(**settings: Any) -> CompetingHiddenUnits:
    return CompetingHiddenUnits(**{"n_hidden": 8, "k": 3, "epochs": 3, "batch": 20, "random_state": 0, **settings})


def pass_by_hand(
    w: np.ndarray, x: np.ndarray, p: float, k: int, delta: float, step: float, batch: int = 20
) -> np.ndarray:
    """One pass as in the authors' notebook, written out."""
    w = w.astype(float)
    for start in range(0, len(x), batch):
        v = x[start : start + batch].T
        current = np.sign(w) * np.abs(w) ** (p - 1) @ v
        order, columns = np.argsort(current, axis=0), np.arange(v.shape[1])
        g = np.zeros_like(current)
        g[order[-1], columns], g[order[-k], columns] = 1.0, -delta
        change = g @ v.T - (g * current).sum(axis=1, keepdims=True) * w
        w = w + step * change / np.abs(change).max()
    return w


# --- learning


def test_fit_is_the_run_of_the_circuit() -> None:
    """Rejects another schedule, order, seed or start than those of the declared run."""
    x = images()
    circuit = krotov2019.circuit(12, 8, p=3.0, k=3, delta=0.3, step=nc.LargestChange(nc.Linear(0.05, 0.0, parts=4)))
    phase = nc.Phase("learn", {"S": nc.Patterns(x).shuffled()}, epochs=4)
    tree = nc.run(circuit, nc.Protocol([phase]), nc.SteadyState(batch=20), seed=7, progress=False)
    fitted = layer(delta=0.3, step=0.05, epochs=4, dtype="float64", random_state=7).fit(x)
    np.testing.assert_array_equal(fitted.components_, tree["/synapses/S_to_E"].ds["w"].values[-1])
    np.testing.assert_array_equal(fitted.tree_["/synapses/S_to_E"].ds["w"].values, tree["/synapses/S_to_E"].ds["w"])
    assert fitted.n_iter_ == 4


@pytest.mark.parametrize(("p", "k"), [(2.0, 2), (3.0, 3), (2.5, 8)])
@pytest.mark.parametrize("epochs", [1, 3])
def test_fit_equals_the_notebook_written_out(p: float, k: int, epochs: int) -> None:
    x, start = images(70), np.random.default_rng(1).normal(size=(8, 12))
    fitted = layer(p=p, k=k, initial=start, shuffle=False, dtype="float64", epochs=epochs, step=0.1).fit(x)
    w = start
    for epoch in range(epochs):
        w = pass_by_hand(w, x, p, k, 0.4, 0.1 * (1 - epoch / epochs))
    np.testing.assert_allclose(fitted.components_, w, rtol=1e-9, atol=1e-12)


def test_partial_fit_equals_the_notebook_with_a_constant_step() -> None:
    x, start = images(70), np.random.default_rng(1).normal(size=(8, 12))
    learner = layer(initial=start.tolist(), shuffle=False, dtype="float64")
    w = start
    for n, rows in enumerate((x[:40], x[40:], x), start=1):
        learner.partial_fit(rows)
        w = pass_by_hand(w, rows, 3.0, 3, 0.4, 0.04)
        np.testing.assert_allclose(learner.components_, w, rtol=1e-9, atol=1e-12)
        assert (learner.n_iter_, learner.tree_) == (n, None)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_passes_go_on_after_pickling_to_the_bit(dtype: str) -> None:
    """Rejects a state that is partly in the simulation, an order that starts over, and a pickled simulation."""
    unbroken, broken = layer(dtype=dtype), layer(dtype=dtype)
    for n in range(4):
        unbroken.partial_fit(images(seed=n))
        broken = pickle.loads(pickle.dumps(broken.partial_fit(images(seed=n))))
        np.testing.assert_array_equal(broken.components_, unbroken.components_)
        assert "_live" not in pickle.loads(pickle.dumps(unbroken)).__dict__
    assert unbroken.components_.dtype == dtype


def test_the_simulation_stays_open_between_passes() -> None:
    learner = layer().partial_fit(images())
    opened = learner._live
    assert learner.partial_fit(images())._live is opened
    assert learner.set_params(step=0.01).partial_fit(images())._live is not opened
    assert learner.fit(images())._live is None


def test_each_pass_has_an_order_of_its_own() -> None:
    """Rejects an order that is the same in each pass, and one that ignores ``shuffle``."""
    x, start = images(), np.random.default_rng(1).normal(size=(8, 12))
    once = layer(initial=start).partial_fit(x)
    again = layer(initial=start).partial_fit(images(1)).set_params(initial=None)
    again.components_ = start.astype("float32")
    assert not np.array_equal(again.partial_fit(x).components_, once.components_)
    ordered = layer(initial=start, shuffle=False).partial_fit(x).components_
    assert not np.array_equal(ordered, once.components_)


def test_passes_continue_from_fit_and_fit_starts_anew() -> None:
    x = images()
    fitted = layer(shuffle=False, dtype="float64").fit(x)
    w = fitted.components_
    fitted.partial_fit(x)
    np.testing.assert_allclose(fitted.components_, pass_by_hand(w, x, 3.0, 3, 0.4, 0.04), rtol=1e-9, atol=1e-12)
    assert (fitted.n_iter_, fitted.tree_) == (4, None)
    np.testing.assert_array_equal(fitted.fit(x).components_, w)
    assert fitted.tree_ is not None


def test_passes_of_another_number_of_units_are_refused() -> None:
    learner = layer().partial_fit(images()).set_params(n_hidden=9)
    with pytest.raises(nc.ValidationError, match="n_hidden: 9, but 8 units have learned"):
        learner.partial_fit(images())


def test_initial_weights_may_be_declared() -> None:
    x = images()
    wide = layer(initial=nc.Normal(0.0, 10.0)).fit(x).tree_["/synapses/S_to_E"].ds["w"].values[0]
    assert 7 < wide.std() < 13


def test_the_scale_of_the_images_does_not_matter() -> None:
    x = images()
    np.testing.assert_array_equal(layer().fit(x).components_, layer().fit(64.0 * x).components_)


def test_converged_rows_are_counted() -> None:
    learner = layer(p=2.0, dtype="float64").fit(images())
    norms = (learner.components_**2).sum(axis=1)
    assert learner.converged_fraction_ == np.mean(np.abs(norms - 1) < 0.01)
    x = np.eye(4)[np.arange(200) % 4]
    settled = layer(n_hidden=4, k=2, p=2.0, delta=0.0, step=0.02, epochs=200, initial=np.eye(4) + 0.5).fit(x)
    assert settled.converged_fraction_ == 1.0
    np.testing.assert_allclose(settled.components_, np.eye(4), atol=1e-3)


def test_images_of_zeros_teach_nothing() -> None:
    start = np.random.default_rng(1).normal(size=(8, 12)).astype("float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error", CollapseWarning)
        learner = layer(initial=start).fit(np.zeros((30, 12)))
    np.testing.assert_array_equal(learner.components_, start)


def test_images_that_are_all_the_same_make_a_copy() -> None:
    """The single-pattern fixed point, w = v/|v|_p, and no word of a collapse."""
    v = images(1)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error", CollapseWarning)
        learner = layer(delta=0.0, epochs=300, dtype="float64").fit(np.tile(v, (20, 1)))
    winner = learner.components_[learner.transform(v[None])[0].argmax()]
    np.testing.assert_allclose(winner, v / (v**3).sum() ** (1 / 3), atol=1e-3)


# --- features


@pytest.mark.parametrize("power", [1.0, 4.5])
@pytest.mark.parametrize(("n_features", "n_hidden"), [(1, 2), (12, 8), (33, 17), (64, 101), (784, 30)])
def test_a_feature_does_not_depend_on_the_batch(n_features: int, n_hidden: int, power: float) -> None:
    """To the bit, wherever in a batch an image stands. Rejects a plain product, whose rounding depends on its shape."""
    x = images(600, n_features)
    learner = layer(n_hidden=n_hidden, k=2, power=power).partial_fit(x[:20])
    together = learner.transform(x)
    np.testing.assert_allclose(
        together, np.maximum(x @ learner.components_.astype(float).T, 0) ** power, rtol=1e-9, atol=1e-10
    )
    assert together.dtype == float
    for k in (*range(0, 600, 37), 255, 256, 257, 511, 512, 599):
        np.testing.assert_array_equal(learner.transform(x[k : k + 1])[0], together[k])
    for rows in (slice(1, 300), slice(599, None, -1), slice(0, 600, 7)):
        np.testing.assert_array_equal(learner.transform(x[rows]), together[rows])
    np.testing.assert_array_equal(learner.transform(csr_array(x)), together)
    np.testing.assert_array_equal(learner.transform(np.asfortranarray(x)), together)


def test_power_may_be_set_later() -> None:
    learner = layer().fit(images())
    first = learner.transform(images())
    np.testing.assert_allclose(learner.set_params(power=2).transform(images()), first**2, rtol=1e-14)


# --- collapse


def test_collapse_measures() -> None:
    assert collapse(np.eye(4)) == {"winner_share": 0.25, "silent_share": 0.0}
    taken = collapse(np.array([[1.0, -1.0, 0.0], [2.0, -3.0, 0.0]]))
    assert taken["winner_share"] == 1.0
    assert taken["silent_share"] == pytest.approx(2 / 3)
    with pytest.raises(nc.ValidationError, match=r"shape \(3,\)"):
        collapse(np.ones(3))


COLLAPSING = {
    "small initial weights": {"initial": nc.Normal(0.0, 0.1), "epochs": 30},
    "one unit takes all without a push": {"initial": nc.Normal(0.0, 0.01), "delta": 0.0, "epochs": 10},
    "a strong push, and several winners": {"n_hidden": 20, "delta": 0.8, "epochs": 60},
}
HEALTHY = {"defaults": {"epochs": 20}, "lower delta": {"delta": 0.1, "epochs": 60}}


@pytest.mark.parametrize("case", COLLAPSING)
def test_a_collapse_is_reported(case: str) -> None:
    with pytest.warns(
        CollapseWarning, match=r"collapsed\. One unit wins .* Lower delta .* larger weights .* random_state"
    ):
        CompetingHiddenUnits(**COLLAPSING[case], random_state=0).fit(load_digits().data)


@pytest.mark.parametrize("case", HEALTHY)
def test_a_layer_that_learned_is_not_reported(case: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", CollapseWarning)
        CompetingHiddenUnits(**HEALTHY[case], random_state=0).fit(load_digits().data)
