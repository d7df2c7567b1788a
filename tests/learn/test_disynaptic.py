"""Features of the disynaptic circuit: the run behind them, steady states, scale, and what the cells become."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import neurocircuits as nc
from neurocircuits import analysis
from neurocircuits.learn import CollapseWarning, DisynapticFeatures, DisynapticTopics
from neurocircuits.models import seung2018
from neurocircuits.protocols import features


def images(n: int = 60, n_features: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, n_features)) ** 2


def cells(**settings: Any) -> DisynapticFeatures:
    small = {"n_excitatory": 6, "n_inhibitory": 3, "n_minibatches": 40, "batch": 20, "random_state": 0}
    return DisynapticFeatures(**{**small, **settings})


@pytest.fixture(scope="module")
def learned() -> DisynapticFeatures:
    rates = {"eta_excitatory": "0.05 Hz", "kappa": 0.05}
    return DisynapticFeatures(16, 8, n_minibatches=600, random_state=0, **rates).fit(load_digits().data)


def test_fit_is_the_run_of_the_circuit() -> None:
    x = images()
    scale = np.mean((x**2).sum(axis=1)) ** -0.5
    circuit = seung2018.circuit(12, 6, 3, kappa=0.01, initial_excitatory=0.3)
    protocol = features.protocol(x, n_learn=800, n_probe=60, scale=scale)
    tree = nc.run(circuit, protocol, nc.SteadyState(batch=20, learning_tolerance=0.01), seed=3, progress=False)
    fitted = cells(kappa=0.01, initial_excitatory=0.3, random_state=3).fit(x)
    assert fitted.scale_ == pytest.approx(scale, rel=1e-12)
    for name, array in (("S_to_E", fitted.components_), ("E_to_I", fitted.inhibitory_components_)):
        np.testing.assert_allclose(array, tree[f"/synapses/{name}"].ds["w"].values[-1], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fitted.gain_, tree["/slow/E"].ds["gain"].values[-1], rtol=1e-9)


def test_features_are_steady_states(learned: DisynapticFeatures) -> None:
    """r = max(W u - A' A r, 0)/gain, from the attributes alone. Rejects another scale, a transposed A, old gains."""
    x = load_digits().data[:300]
    r = learned.transform(x)
    drive = learned.scale_ * x @ learned.components_.T
    drive -= r @ learned.inhibitory_components_.T @ learned.inhibitory_components_
    slack = drive - r * learned.gain_
    assert np.abs(np.where(r > 0, slack, np.maximum(slack, 0))).max() < 1e-9
    assert 0.05 < (r > 0).mean() < 0.6


def test_features_are_those_of_the_probe(learned: DisynapticFeatures) -> None:
    probe = learned.tree_["/populations/E"].ds["r"].values
    assert probe.shape == (1797, 16)
    np.testing.assert_allclose(learned.transform(load_digits().data), probe, rtol=0, atol=1e-9 * probe.max())


def test_a_feature_does_not_depend_on_the_batch(learned: DisynapticFeatures) -> None:
    x = load_digits().data[:700]
    together = learned.transform(x)
    for k in (0, 3, 511, 512, 699):
        np.testing.assert_allclose(learned.transform(x[k : k + 1])[0], together[k], rtol=0, atol=1e-9 * together.max())


def test_what_cells_learn(learned: DisynapticFeatures) -> None:
    """Power q**2, cosines near (p/q)**2, features that differ: what the circuit is for."""
    activity = analysis.activity(learned.tree_, phase="probe")
    cosines = analysis.decorrelation(learned.tree_, phase="probe")
    assert 0.6 < float(activity["median_power"]) < 1.3
    assert int(activity["n_silent"]) <= 2
    assert float(cosines["mean_cosine"]) < 0.15
    assert int(analysis.duplicate_features(learned.tree_)["n_pairs"]) <= 2
    for array in (learned.components_, learned.inhibitory_components_, learned.gain_):
        assert (array >= 0).all()


def test_brightness_scales_features(learned: DisynapticFeatures) -> None:
    x = load_digits().data[:20]
    np.testing.assert_allclose(learned.transform(3 * x), 3 * learned.transform(x), rtol=1e-9, atol=1e-9)
    assert not learned.transform(np.zeros((2, 64))).any()


def test_one_constant_scales_all_images() -> None:
    """The same features whatever the unit of the images. Rejects rows that are normalised one by one."""
    x = images()
    fitted, bytes_ = cells().fit(x), cells().fit(255 * x)
    assert bytes_.scale_ == pytest.approx(fitted.scale_ / 255, rel=1e-12)
    np.testing.assert_allclose(bytes_.components_, fitted.components_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(np.mean((fitted.scale_ * x) ** 2 * 12), 1.0, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::neurocircuits.learn.CollapseWarning")
def test_initial_weights_give_cells_their_power() -> None:
    x = images(400, 50)
    fitted = cells(n_excitatory=100, n_minibatches=1, q=2.0).fit(x)
    start = fitted.tree_["/synapses/S_to_E"].ds["w"].values[0]
    mean_drive = (fitted.scale_ * x @ start.T).mean(axis=1)
    assert np.mean(mean_drive**2) == pytest.approx(4.0, rel=0.05)
    assert (
        cells(initial_excitatory=0.0, n_minibatches=1).fit(images()).tree_["/synapses/S_to_E"].ds["w"].values[0].max()
        == 0
    )


@pytest.mark.parametrize(("n_images", "n_minibatches"), [(60, 7), (50, 7), (7, 5), (60, 2), (41, 3)])
def test_minibatches_are_counted(n_images: int, n_minibatches: int) -> None:
    """Also with a smaller one at the end of a pass, and with fewer images than a batch. Presentations in all."""
    fitted = cells(n_minibatches=n_minibatches).fit(images(n_images))
    phases = fitted.tree_["/diagnostics/phases"].ds
    shown = phases["n_presentations"].values[phases["phase"].values != "probe"].sum()
    sizes = [min(20, n_images - start) for start in range(0, n_images, 20)]
    assert shown == sum(sizes[k % len(sizes)] for k in range(n_minibatches))
    assert fitted.n_iter_ == n_minibatches


def test_order_can_be_kept() -> None:
    x = images()
    ordered = cells(shuffle=False, initial_excitatory=0.3).fit(x).components_
    assert not np.array_equal(ordered, cells(initial_excitatory=0.3).fit(x).components_)
    np.testing.assert_array_equal(ordered, cells(shuffle=False, initial_excitatory=0.3).fit(x).components_)


@pytest.mark.parametrize(("n_excitatory", "n_inhibitory"), [(1, 1), (1, 0), (4, 0), (2, 5)])
def test_few_cells(n_excitatory: int, n_inhibitory: int) -> None:
    fitted = cells(n_excitatory=n_excitatory, n_inhibitory=n_inhibitory).fit(images())
    assert fitted.inhibitory_components_.shape == (n_inhibitory, n_excitatory)
    r = fitted.transform(images(30, seed=1))
    assert r.shape == (30, n_excitatory)
    if n_inhibitory == 0:
        expected = np.maximum(fitted.scale_ * images(30, seed=1) @ fitted.components_.T, 0) / fitted.gain_
        np.testing.assert_allclose(r, expected, rtol=1e-9)


def test_settings_of_learning_do_not_matter_to_what_was_learned() -> None:
    fitted = cells().fit(images())
    r = fitted.transform(images())
    fitted.set_params(n_excitatory=9, n_inhibitory=0, eta_gain="1 Hz", gain_floor=0.5, batch=3)
    np.testing.assert_array_equal(fitted.transform(images()), r)


@pytest.mark.filterwarnings("ignore::neurocircuits.learn.CollapseWarning")
def test_images_that_are_all_the_same() -> None:
    """Cells without inhibition learn nothing but that image; with it the circuit settles all the same."""
    x = np.tile(images(1), (30, 1))
    alone = cells(n_inhibitory=0, n_minibatches=300, eta_excitatory="0.5 Hz").fit(x)
    cosines = alone.components_ @ x[0] / np.linalg.norm(alone.components_, axis=1) / np.linalg.norm(x[0])
    np.testing.assert_allclose(cosines, 1.0, atol=2e-3)
    np.testing.assert_allclose(alone.transform(x), 1.0, atol=0.05)
    assert np.isfinite(cells(n_minibatches=300, eta_excitatory="0.5 Hz").fit(x).transform(x)).all()


def test_images_of_zeros_are_refused() -> None:
    with pytest.raises(nc.ValidationError, match="mean squared length of the rows is 0"):
        cells().fit(np.zeros((30, 12)))


@pytest.mark.parametrize("name", ["eta_excitatory", "eta_inhibitory", "eta_gain"])
@pytest.mark.parametrize("value", ["-1 Hz", 0.5, "2 mV"])
@pytest.mark.parametrize("kind", [DisynapticFeatures, DisynapticTopics])
def test_rates_of_learning_are_rates(kind: Any, name: str, value: Any) -> None:
    """Rejects weights that grow without a limit, and an error of a population that the user never wrote."""
    with pytest.raises(ValueError, match=rf"{kind.__name__}\.{name}: {value!r} is not a rate of 0 or more"):
        kind(4, n_minibatches=2, **{name: value}).fit(np.random.default_rng(0).random((20, 6)))


@pytest.mark.parametrize("kind", [DisynapticFeatures, DisynapticTopics])
def test_half_precision_is_taken(kind: Any) -> None:
    x = np.random.default_rng(0).random((40, 6)).astype(np.float16)
    fitted = kind(4, n_minibatches=5, batch=10, random_state=0).fit(x)
    np.testing.assert_allclose(fitted.transform(x), fitted.transform(x.astype(np.float32)))


@pytest.mark.filterwarnings("error::neurocircuits.learn.CollapseWarning")
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"eta_excitatory": "20 Hz"}, "9.% of the excitatory cells are silent for all inputs: lower eta_excitatory"),
        ({"eta_inhibitory": "50 Hz"}, "all weights onto inhibitory cells are 0.*lower eta_inhibitory"),
        ({}, ""),
    ],
)
def test_a_circuit_that_learned_nothing_of_use_is_reported(settings: dict[str, Any], words: str) -> None:
    estimator = DisynapticFeatures(n_excitatory=16, n_inhibitory=4, n_minibatches=200, random_state=0, **settings)
    with pytest.raises(CollapseWarning, match=words) if words else nullcontext():
        estimator.fit(load_digits().data)
    assert estimator.components_.shape == (16, 64)  # also where warnings are errors
