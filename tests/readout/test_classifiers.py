"""Classifiers on learned features, against gradient descent written by hand and scikit-learn's own contract."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks

pytest.importorskip("torch", reason="torch is not installed; get it with: pip install 'neurocircuits[torch]'")

from neurocircuits.errors import ValidationError
from neurocircuits.readout import (
    BackpropClassifier,
    PowerClassifier,
    SigmoidBackpropClassifier,
    SigmoidClassifier,
)

ESTIMATORS = [
    PowerClassifier(epochs=5, n=2.0, random_state=0),
    SigmoidClassifier(epochs=60, rates=((0.0, 2.0),), random_state=0),
    BackpropClassifier(30, epochs=40, rates=((0.0, 0.05),), random_state=0),
    BackpropClassifier(30, centred=True, epochs=40, rates=((0.0, 0.05),), random_state=0),
    SigmoidBackpropClassifier(20, epochs=60, rates=((0.0, 0.05),), random_state=0),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_accepts(estimator, check):
    check(estimator)


def hidden(n: int = 300, n_hidden: int = 30) -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X[:n] / 16 @ np.random.default_rng(0).normal(size=(64, n_hidden)), y[:n]


def adam(gradient, parameters, batches, rates):
    """Kingma and Ba (2015), algorithm 1, written out."""
    mean = [np.zeros_like(p) for p in parameters]
    square = [np.zeros_like(p) for p in parameters]
    for t, (rows, rate) in enumerate(zip(batches, rates, strict=True), start=1):
        for k, g in enumerate(gradient(parameters, rows)):
            mean[k] = 0.9 * mean[k] + 0.1 * g
            square[k] = 0.999 * square[k] + 0.001 * g**2
            parameters[k] -= rate * (mean[k] / (1 - 0.9**t)) / (np.sqrt(square[k] / (1 - 0.999**t)) + 1e-8)
    return parameters


@pytest.mark.parametrize("scale", ["all", "each", "white"])
def test_the_power_layer_descends_its_loss_by_adam(scale):
    """Rejects: another power, scale, target, exponent, schedule or order of minibatches."""
    H, y = hidden()
    settings = {"n": 1.5, "m": 6.0, "beta": 0.7, "scale": scale, "epochs": 4, "batch": 100}
    found = PowerClassifier(**settings, rates=((0.0, 0.02), (0.5, 0.01)), random_state=3).fit(H, y)
    f = np.maximum(H, 0) ** 1.5
    f -= f.mean(axis=0) if scale == "white" else 0.0
    size = np.sqrt((f**2).mean() if scale == "all" else (f**2).mean(axis=0))
    f /= np.where(size > 0, size, 1.0)
    if scale == "white":
        f = f @ found.whitening_
        np.testing.assert_allclose(
            np.cov(f.T, bias=True), np.eye(30) - 1e-3 * found.whitening_.T @ found.whitening_, atol=1e-9
        )
    target = np.where(y[:, None] == np.arange(10), 1.0, -1.0)
    random = np.random.RandomState(3)
    S = random.uniform(-1, 1, (30, 10)) / np.sqrt(30)
    batches = [rows for _ in range(4) for rows in np.split(random.permutation(300), 3)]

    def gradient(parameters, rows):
        c = np.tanh(0.7 * f[rows] @ parameters[0])
        e = c - target[rows]
        return [f[rows].T @ (6 * np.abs(e) ** 5 * np.sign(e) * (1 - c**2) * 0.7) / len(rows)]

    (expected,) = adam(gradient, [S], batches, [0.02] * 6 + [0.01] * 6)
    np.testing.assert_allclose(found.parameters_["S"], expected, atol=2e-4)
    np.testing.assert_allclose(found.outputs(H), np.tanh(0.7 * f @ found.parameters_["S"]), atol=1e-12)
    np.testing.assert_allclose(found.hidden(H), f, atol=1e-12)


def test_zanolas_layer_descends_its_loss():
    """Rejects: a cross-entropy of logits, a missing offset, momentum."""
    H, y = hidden()
    found = SigmoidClassifier(epochs=3, batch=100, rates=((0.0, 0.3),), random_state=1).fit(H, y)
    random = np.random.RandomState(1)
    bound = 1 / np.sqrt(30)
    S, b = random.uniform(-bound, bound, (30, 10)), random.uniform(-bound, bound, 10)
    for _ in range(3):
        for rows in np.split(random.permutation(300), 3):
            o = 1 / (1 + np.exp(-(H[rows] @ S + b)))
            e = np.exp(o) / np.exp(o).sum(axis=1, keepdims=True) - (y[rows, None] == np.arange(10))
            d = e * o * (1 - o) / len(rows)
            S, b = S - 0.3 * H[rows].T @ d, b - 0.3 * d.sum(axis=0)
    np.testing.assert_allclose(found.parameters_["S"], S, atol=1e-5)
    np.testing.assert_allclose(found.parameters_["b"], b, atol=1e-5)


def test_zanolas_control_descends_its_loss():
    """Rejects: a layer without sigmoid or offset, another loss or optimiser."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:300] / 16, y[:300]
    found = SigmoidBackpropClassifier(12, epochs=3, batch=100, rates=((0.0, 0.02),), random_state=2).fit(X, y)
    random = np.random.RandomState(2)
    inner, outer = 1 / np.sqrt(64), 1 / np.sqrt(12)
    start = [random.uniform(-inner, inner, (64, 12)), random.uniform(-inner, inner, 12)]
    start += [random.uniform(-outer, outer, (12, 10)), random.uniform(-outer, outer, 10)]
    batches = [rows for _ in range(3) for rows in np.split(random.permutation(300), 3)]

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def gradient(parameters, rows):
        W, a, S, b = parameters
        x = sigmoid(X[rows])
        h = sigmoid(x @ W + a)
        c = sigmoid(h @ S + b)
        e = np.exp(c) / np.exp(c).sum(axis=1, keepdims=True) - (y[rows, None] == np.arange(10))
        d = e * c * (1 - c) / len(rows)
        back = d @ S.T * h * (1 - h)
        return [x.T @ back, back.sum(axis=0), h.T @ d, d.sum(axis=0)]

    expected = adam(gradient, start, batches, [0.02] * 9)
    for name, value in zip("WaSb", expected, strict=True):
        np.testing.assert_allclose(found.parameters_[name], value, atol=2e-3, err_msg=name)


def test_backprop_reaches_the_hidden_layer():
    """Rejects: a hidden layer that stays as it was drawn."""
    X, y = load_digits(return_X_y=True)
    X = X / 16
    control = BackpropClassifier(100, epochs=40, random_state=0).fit(
        X[:1200], y[:1200], watch={"test": (X[1200:], y[1200:])}, watch_every=20
    )
    frozen = np.random.RandomState(0).uniform(-1, 1, (64, 100)) / 8
    assert np.abs(control.parameters_["W"] - frozen).max() > 0.05
    assert control.history_["epoch"] == [20, 40]
    assert control.history_["error_test"][-1] == pytest.approx(1 - control.score(X[1200:], y[1200:]))
    assert control.score(X[1200:], y[1200:]) > 0.88


@pytest.mark.parametrize(
    ("optimiser", "watch", "words"),
    [
        ("LBFGS", None, "'LBFGS' is none of torch.optim's for these layers: .*'Adam'"),
        ("Optimizer", None, "'Optimizer' is none of"),
        ("SGD", {"test": 3}, "watch is no mapping of names to .X, y."),
        ("SGD", [1, 2], "watch is no mapping"),
    ],
)
def test_settings_of_training_are_checked_before_it(optimiser, watch, words):
    model = SigmoidClassifier(epochs=1, optimiser=optimiser)
    with pytest.raises(ValidationError, match=words):
        model.fit(np.eye(4), [0, 1, 0, 1], watch=watch)
    assert not hasattr(model, "n_features_in_")


def test_labels_to_watch_are_checked_and_shaped_as_those_to_fit():
    """Rejects: labels that NumPy broadcasts against the answers, where the images are those that are fitted."""
    X = np.random.default_rng(0).random((200, 4))
    y = (X[:, 0] > 0.5).astype(int)
    model = SigmoidClassifier(epochs=5, batch=10, random_state=0)
    for labels in (y, y[:, None]):
        fitted = model.fit(X, y, watch={"train": (X, labels)})
        assert fitted.history_["error_train"][-1] == pytest.approx(1 - fitted.score(X, y))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, y, watch={"train": (X, y[:7])})


def test_a_centred_control_is_one_that_learns_centred_inputs():
    """Rejects: a mean of the rows to predict, or one that is not subtracted from them or from those watched."""
    X, y = load_digits(return_X_y=True)
    X, mean = X / 16, X[:900].mean(axis=0) / 16
    one, other = (BackpropClassifier(20, centred=centred, epochs=3, random_state=0) for centred in (True, False))
    one.fit(X[:900], y[:900], watch={"test": (X[900:], y[900:])})
    other.fit(X[:900] - mean, y[:900], watch={"test": (X[900:] - mean, y[900:])})
    np.testing.assert_allclose(one.outputs(X), other.outputs(X - mean), atol=1e-5)
    assert one.history_["error_test"] == pytest.approx(other.history_["error_test"], abs=2 / 897)


def test_the_same_seed_gives_the_same_layer():
    H, y = hidden()
    one = PowerClassifier(epochs=2, random_state=5)
    a, b = (clone(one).fit(H, y).outputs(H) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - PowerClassifier(epochs=2, random_state=6).fit(H, y).outputs(H)).max() > 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n": 0.0}, "PowerClassifier.n: 0.0 is not positive"),
        ({"scale": "none"}, "none of 'all', 'each' and 'white'"),
        ({"epochs": 0}, "PowerClassifier.epochs: 0 is not a positive whole number"),
        ({"rates": ((0.5, 1e-3),)}, "must be pairs"),
    ],
)
def test_bad_settings_get_a_clear_error(settings, words):
    H, y = hidden()
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        PowerClassifier(**settings).fit(H, y)


def test_a_control_without_hidden_units_is_refused():
    with pytest.raises(ValueError, match="n_hidden: 0 is not a positive whole number"):
        SigmoidBackpropClassifier(0).fit(*hidden())


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="one class"):
        PowerClassifier().fit(np.ones((5, 3)), np.zeros(5))
