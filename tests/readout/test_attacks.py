"""Attacks against closed forms of linear classifiers, finite differences, and gradients that vanish."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import neurocircuits as nc

pytest.importorskip("torch", reason="torch is not installed; get it with: pip install 'neurocircuits[torch]'")

from neurocircuits.readout import (
    BackpropClassifier,
    PowerClassifier,
    SigmoidClassifier,
    fgsm,
    gradients,
    pgd,
    random_directions,
    vanished_share,
)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X / 16, y


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(60, 64))


@pytest.fixture(scope="module")
def power(digits: tuple[np.ndarray, np.ndarray], rows: np.ndarray) -> PowerClassifier:
    X, y = digits
    return PowerClassifier(n=3.0, m=4.0, epochs=30, rates=((0.0, 3e-3),), random_state=0).fit(X @ rows.T, y)


@pytest.fixture(scope="module")
def linear(digits: tuple[np.ndarray, np.ndarray]) -> SigmoidClassifier:
    X, y = digits
    return SigmoidClassifier(epochs=30, rates=((0.0, 2.0),), random_state=0).fit(X, y)


def error(classifier: Any, images: np.ndarray, y: np.ndarray, rows: np.ndarray | None = None) -> float:
    return float((classifier.predict(images if rows is None else images @ rows.T) != y).mean())


def runner_up(logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    others = logits.copy()
    others[np.arange(len(y)), y] = -np.inf
    return others.argmax(axis=1)


# --- closed forms


@pytest.mark.parametrize("norm", ["inf", "2"])
@pytest.mark.parametrize("masked", [False, True])
def test_a_linear_classifier_loses_the_dual_norm_of_its_weights(linear, digits, norm, masked) -> None:
    """The margin rises by budget*|s|_1, or budget*|s|_2. Rejects a wrong sign, class, norm, and pixels that may not."""
    X, y = 0.4 + 0.2 * digits[0][:80], digits[1][:80]  # far from the bounds
    others = np.sort(np.where(np.arange(10) == y[:, None], -np.inf, linear.outputs(X)), axis=1)
    clear = others[:, -1] - others[:, -2] > 1e-3  # of which class is the next
    X, y = X[clear], y[clear]
    assert len(X) > 50
    mask = np.arange(64) % 3 == 0 if masked else np.ones(64, bool)
    S, b = linear.parameters_["S"], linear.parameters_["b"]
    other = runner_up(X @ S + b, y)
    s = (S[:, other] - S[:, y]).T
    dual = np.abs(s[:, mask]).sum(axis=1) if norm == "inf" else np.sqrt((s[:, mask] ** 2).sum(axis=1))
    for attack, settings in ((fgsm, {}), (pgd, {"step": 2e-4, "random_state": 0})):
        changed = attack(linear, X, y, 1e-4, norm=norm, mask=mask, **settings)
        np.testing.assert_allclose(((changed - X) * s).sum(axis=1), 1e-4 * dual, rtol=1e-6)
        assert (changed[:, ~mask] == X[:, ~mask]).all()


def test_pixels_stop_at_their_bounds(linear, digits) -> None:
    """The best answer in a box is at its corners, cut off at the range of the pixels."""
    X, y = digits[0][:40], digits[1][:40]
    two = np.isin(y, (3, 8))
    X, y = X[two], y[two]
    classifier = SigmoidClassifier(epochs=20, rates=((0.0, 2.0),), random_state=0).fit(X, y)
    s = classifier.parameters_["S"] @ np.array([-1.0, 1.0])
    toward = np.where(y[:, None] == 3, np.sign(s), -np.sign(s))
    np.testing.assert_allclose(pgd(classifier, X, y, 0.3, steps=30, random_state=1), (X + 0.3 * toward).clip(0, 1))
    np.testing.assert_allclose(fgsm(classifier, X, y, 0.3), (X + 0.3 * toward).clip(0, 1))


def test_gradients_through_rows_and_power_written_out(power, digits, rows) -> None:
    """Rejects a power without its derivative, rows the wrong way round, units below zero that pass something on."""
    X, y = digits[0][:50], digits[1][:50]
    h = np.maximum(X @ rows.T, 0)
    S = power.parameters_["S"]
    other = runner_up(h**3 / power.scale_ @ S, y)
    expected = (3 * h**2 / power.scale_ * (S[:, other] - S[:, y]).T) @ rows
    np.testing.assert_allclose(gradients(power, X, y, rows=rows), expected, rtol=1e-9, atol=1e-12)


# --- finite differences


def finite(function: Any, x: np.ndarray, d: np.ndarray, step: float = 1e-6) -> np.ndarray:
    return (function(x + step * d) - function(x - step * d)) / (2 * step)


@pytest.mark.parametrize("scale", ["all", "each", "white"])
@pytest.mark.parametrize("n", [1.0, 2.5, 4.5])
def test_gradients_are_finite_differences_of_the_outputs(digits, rows, n, scale) -> None:
    """The loss it was trained on, from the output units that NumPy computes; the cross-entropy of their logits."""
    X, y = 0.2 + 0.5 * digits[0][:200], digits[1][:200]
    classifier = PowerClassifier(n=n, m=4.0, beta=0.7, scale=scale, epochs=3, random_state=1).fit(X @ rows.T, y)
    target = np.where(y[:, None] == np.arange(10), 1.0, -1.0)
    direction = np.random.default_rng(2).normal(size=X.shape)

    def trained(x: np.ndarray) -> np.ndarray:
        return (np.abs(classifier.outputs(x @ rows.T) - target) ** 4).sum(axis=1)

    def entropy(x: np.ndarray) -> np.ndarray:
        z = np.arctanh(classifier.outputs(x @ rows.T))
        return np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]

    for loss, function in (("trained", trained), ("cross-entropy", entropy)):
        found = (gradients(classifier, X, y, rows=rows, loss=loss) * direction).sum(axis=1)
        np.testing.assert_allclose(found, finite(function, X, direction), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "classifier",
    [
        BackpropClassifier(20, epochs=2),
        BackpropClassifier(20, n=2.0, epochs=2),
        BackpropClassifier(20, centred=True, epochs=2),
    ],
)
def test_gradients_of_the_control(classifier, digits) -> None:
    X, y = 0.2 + 0.5 * digits[0][:200], digits[1][:200]
    classifier.set_params(random_state=0).fit(X, y)
    other, index = runner_up(classifier.outputs(X), y), np.arange(len(y))

    def margin(x: np.ndarray) -> np.ndarray:
        z = np.arctanh(classifier.outputs(x))
        return z[index, other] - z[index, y]

    direction = np.random.default_rng(3).normal(size=X.shape)
    found = (gradients(classifier, X, y) * direction).sum(axis=1)
    np.testing.assert_allclose(found, finite(margin, X, direction), rtol=1e-5, atol=1e-6)


# --- what an attack may do, and what it does


@pytest.mark.parametrize("norm", ["inf", "2"])
@pytest.mark.parametrize("attack", [fgsm, pgd, random_directions])
def test_changes_stay_in_budget_range_and_mask(power, digits, rows, attack, norm) -> None:
    X, y = digits[0][:80], digits[1][:80]
    mask = np.arange(64) < 20
    settings = {} if attack is fgsm else {"random_state": 0}
    changed = attack(power, X, y, 0.25, rows=rows, norm=norm, mask=mask, **settings)
    size = np.abs(changed - X).max(axis=1) if norm == "inf" else np.linalg.norm(changed - X, axis=1)
    assert size.max() <= 0.25 + 1e-12 and size.max() > 0.2
    assert changed.min() >= 0 and changed.max() <= 1
    assert (changed[:, ~mask] == X[:, ~mask]).all()
    np.testing.assert_array_equal(attack(power, X, y, 0.0, rows=rows, norm=norm, **settings), X)


def test_many_steps_do_more_than_one_and_one_more_than_chance(power, digits, rows) -> None:
    """Rejects gradients of something else; errors are those of the plain NumPy path."""
    X, y = digits[0][:300], digits[1][:300]
    errors = [
        error(power, images, y, rows)
        for images in (
            X,
            random_directions(power, X, y, 0.1, rows=rows, random_state=0),
            fgsm(power, X, y, 0.1, rows=rows),
            pgd(power, X, y, 0.1, rows=rows, random_state=0),
        )
    ]
    assert errors == sorted(errors)
    assert errors[1] < 0.5 * errors[2] and errors[3] >= errors[2] > 0.5


def test_the_worst_of_what_was_visited_is_kept(power, digits, rows) -> None:
    """An image that fooled the classifier once stays; rejects the last step being returned, whatever it does."""
    X, y = digits[0][:100], digits[1][:100]
    short = pgd(power, X, y, 0.1, rows=rows, steps=1, random_state=0)
    long = pgd(power, X, y, 0.1, rows=rows, steps=40, step=0.2, random_state=0)  # jumps to and fro
    assert error(power, long, y, rows) >= error(power, short, y, rows) >= error(power, X, y, rows)


def test_a_saturated_output_masks_the_gradient_and_the_margin_does_not(power, digits, rows) -> None:
    """tanh of large sums is flat: an attack on the trained loss goes nowhere, one on the margin is what it was."""
    X, y = digits[0][:200], digits[1][:200]
    strict = PowerClassifier(**{**power.get_params(), "beta": 1e4, "epochs": 1}).fit(X @ rows.T, y)
    strict.__dict__.update({name: getattr(power, name) for name in ("parameters_", "offset_", "scale_", "whitening_")})
    right = strict.predict(X @ rows.T) == y
    X, y = X[right], y[right]
    masked = vanished_share(gradients(strict, X, y, rows=rows, loss="trained"))
    assert masked["zero"] > 0.9 and masked["tiny"] >= masked["zero"]
    assert vanished_share(gradients(strict, X, y, rows=rows)) == {"zero": 0.0, "tiny": 0.0}
    assert error(strict, fgsm(strict, X, y, 0.1, rows=rows, loss="trained"), y, rows) < 0.1
    np.testing.assert_array_equal(fgsm(strict, X, y, 0.1, rows=rows), fgsm(power, X, y, 0.1, rows=rows))


def test_saturated_outputs_still_tell_the_class(power, digits, rows) -> None:
    """tanh of large sums is 1 for several classes at once; rejects a class that is the first of those."""
    H, y = digits[0] @ rows.T, digits[1]
    strict = PowerClassifier(**{**power.get_params(), "beta": 1e4, "epochs": 1}).fit(H, y)
    strict.__dict__.update({name: getattr(power, name) for name in ("parameters_", "offset_", "scale_", "whitening_")})
    assert ((strict.outputs(H) == 1).sum(axis=1) > 1).any()
    np.testing.assert_array_equal(strict.predict(H), power.predict(H))


def test_vanished_shares_are_counted() -> None:
    some = np.array([[0.0, 0.0], [1e-9, 0.0], [1.0, -2.0], [0.0, -1.0]])
    assert vanished_share(some) == {"zero": 0.25, "tiny": 0.5}
    assert vanished_share(np.zeros((3, 2))) == {"zero": 1.0, "tiny": 1.0}


def test_a_silent_layer_has_no_gradient(power, digits, rows) -> None:
    """Rejects NaN from the power at 0."""
    X, y = digits[0][:5], digits[1][:5]
    for n in (0.5, 1.0, 3.0):
        silent = PowerClassifier(n=n, epochs=1, random_state=0).fit(X @ rows.T, y)
        assert (gradients(silent, X, y, rows=-np.abs(rows)) == 0).all()
        np.testing.assert_array_equal(fgsm(silent, X, y, 0.1, rows=-np.abs(rows)), X)


def test_precision_labels_and_memory_are_kept(linear, digits) -> None:
    X, y = digits[0][:30].astype("float32"), digits[1][:30]
    names = np.array([f"digit {k}" for k in range(10)])
    named = SigmoidClassifier(epochs=2, random_state=0).fit(X, names[y])
    plain = SigmoidClassifier(epochs=2, random_state=0).fit(X, y)
    X.flags.writeable = False
    changed = pgd(linear, X, y, 0.1, random_state=0)
    assert changed.dtype == np.float32
    np.testing.assert_array_equal(changed, pgd(linear, X, y, 0.1, random_state=0))
    np.testing.assert_array_equal(fgsm(named, X, names[y], 0.1), fgsm(plain, X, y, 0.1))


def test_parts_of_many_images_are_put_together(linear, digits) -> None:
    X, y = np.tile(digits[0][:300], (4, 1)), np.tile(digits[1][:300], 4)
    changed = fgsm(linear, X, y, 0.1)
    assert changed.shape == X.shape
    np.testing.assert_allclose(changed[900:], changed[:300], atol=1e-12)


# --- bad input

BAD = {
    "a label outside the classes": ({"labels": [11]}, r"attack: labels .* \[0, 1, .* \(11 is none\)"),
    "labels of another length": ({"labels": [1, 2]}, r"labels of shape \(2,\) for 1 images"),
    "images out of bounds": ({"images": np.full((1, 64), 3.0)}, r"images are between 3 and 3, the bounds are \(0.0, 1.0\)"),
    "images that are NaN": ({"images": np.full((1, 64), np.nan)}, "images are between nan and nan"),
    "one image without its axis": ({"images": np.zeros(64)}, r"images of shape \(64,\) do not lead to the 64 features"),
    "no image": ({"images": np.zeros((0, 64)), "labels": []}, r"images of shape \(0, 64\) do not lead"),
    "text": ({"images": [["grey"] * 64]}, "attack: images: .* is not an array of numbers"),
    "rows of another shape": ({"rows": np.zeros((60, 63))}, r"with rows of shape \(60, 63\) do not lead"),
    "a mask of another length": ({"mask": [True]}, r"mask of shape \(1,\) is not one value for 64 pixels"),
    "a negative budget": ({"budget": -0.1}, "fgsm: budget -0.1 is not a finite number of 0 or more"),
    "a budget that is NaN": ({"budget": np.nan}, "budget nan"),
    "another norm": ({"norm": "1"}, "norm '1' is not allowed. Choose from: inf, 2"),
    "another loss": ({"loss": "hinge"}, "loss 'hinge' is not allowed. Choose from: margin, cross-entropy, trained"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_a_clear_error(linear, case) -> None:
    changed, words = BAD[case]
    given = {"images": np.zeros((1, 64)), "labels": [3], "budget": 0.1, **changed}
    with pytest.raises(nc.ValidationError, match=words):
        fgsm(linear, given.pop("images"), given.pop("labels"), given.pop("budget"), **given)


@pytest.mark.parametrize(("settings", "words"), [({"steps": 0}, "steps 0"), ({"step": 0.0}, "step 0.0"), ({"step": -1}, "step -1")])  # fmt: skip
def test_bad_steps_get_a_clear_error(linear, settings, words) -> None:
    with pytest.raises(nc.ValidationError, match=f"pgd: {words} is not a"):
        pgd(linear, np.zeros((1, 64)), [3], 0.1, **settings)


def test_a_classifier_that_has_not_learned_is_refused() -> None:
    with pytest.raises(ValueError, match="not fitted"):
        fgsm(PowerClassifier(), np.zeros((1, 64)), [3], 0.1)
