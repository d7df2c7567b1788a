"""Bad input to competing hidden units: the circuits and the classifiers behind them; the transformer has tests of its own.

What is no error is written down in the docstrings, and tested here: signed pixels, images without contrast, one hidden
unit, fewer images than a minibatch, labels that were never learned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.declare.rules import Krotov
from neurocircuits.models import krotov2019, zanola2021
from tests.references.circuits import recorded, run, weights

U = np.random.default_rng(0).random((8, 6))


def ranked(**settings: Any) -> nc.Circuit:
    return krotov2019.circuit(**{"n_sensory": 6, "n_hidden": 5, "k": 2, **settings})


def slow(**settings: Any) -> nc.Circuit:
    return krotov2019.competition(**{"n_sensory": 6, "n_hidden": 5, **settings})


def learned(circuit: nc.Circuit, u: np.ndarray, batch: int = 1, epochs: int = 1) -> np.ndarray:
    phase = nc.Phase("learn", {"S": nc.Patterns(u)}, epochs=epochs)
    return weights(run(circuit, phase, engine=nc.SteadyState(batch=batch)), "S_to_E")


REFUSED: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "p below 2": (lambda: ranked(p=1.5), ("Krotov: p = 1.5", "at least 2", "diverges")),
    "p below 2, slow": (lambda: slow(p=1.9), ("Krotov: p = 1.9", "at least 2")),
    "p below 2, as it was run": (lambda: zanola2021.circuit(p=1.0), ("Krotov: p = 1.0", "at least 2")),
    "p without end": (lambda: ranked(p=np.inf), ("Krotov: p is inf", "not a finite number")),
    "p that is NaN": (lambda: ranked(p=np.nan), ("Krotov: p is nan",)),
    "p as text": (lambda: ranked(p="3"), ("Krotov: p is '3'", "not a finite number")),
    "k as text": (lambda: Krotov(k="7"), ("Krotov: k = '7'", "whole number of at least 2")),  # type: ignore[arg-type]
    "k larger than the layer": (lambda: ranked(k=7), ("k = 7", "no such rank among 5 units", "Lower k, or raise n_hidden")),
    "one hidden unit and a second": (lambda: ranked(n_hidden=1), ("k = 2", "no such rank among 1 units", "Lower k")),
    "no hidden unit": (lambda: slow(n_hidden=0), ("Population('E').n_units", "0", "positive whole number")),
    "NaN": (lambda: zanola2021.protocol(np.where(U > 0.9, np.nan, U)), ("Patterns.values", "NaN or infinite", "Remove")),
    "negative pixels under Dale's law": (lambda: learned(krotov2019.twin(ranked(), np.ones((5, 6))), U - 0.5), ("stimuli['S']", "negative values", "Shift or split")),
    "initial weights of another shape": (lambda: learned(krotov2019.twin(ranked(), np.ones((4, 6))), U), ("Synapses('S_to_E').weights", "(4, 6)", "(5, 6)")),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_circuits_refuse(case: str) -> None:
    given, words = REFUSED[case]
    with pytest.raises(nc.ValidationError) as caught:
        given()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("p", [2.0, 3.0])
def test_pixels_of_either_sign_are_learned_as_they_are(p: float) -> None:
    """The fixed point holds for them, too. Rejects a circuit that rectifies or takes their size."""
    v = np.array([0.9, -0.6, 0.2, 0.0, -0.1, 0.5])
    start = 0.3 * np.random.default_rng(1).normal(size=(5, 6)) + np.eye(5, 1) * v
    step = nc.LargestChange(nc.Linear(0.02, 0.0, parts=300))
    w = learned(ranked(p=p, delta=0.0, initial=nc.Given(start), step=step), v[None], epochs=300)
    np.testing.assert_allclose(w[0], v / (np.abs(v) ** p).sum() ** (1 / p), atol=1e-3)
    np.testing.assert_array_equal(w[1:], start[1:])


@pytest.mark.parametrize("circuit", [ranked, slow], ids=["ranked", "slow"])
def test_images_of_zeros_teach_nothing(circuit: Callable[..., nc.Circuit]) -> None:
    start = np.random.default_rng(2).normal(size=(5, 6))
    np.testing.assert_array_equal(learned(circuit(initial=nc.Given(start)), np.zeros((4, 6))), start)


def test_images_that_are_all_the_same_are_copied() -> None:
    """However constant an image is: rows of ones become ones on the sphere."""
    start = np.random.default_rng(3).random((5, 6))
    step = nc.LargestChange(nc.Linear(0.02, 0.0, parts=200))
    w = learned(ranked(delta=0.0, initial=nc.Given(start), step=step), np.ones((1, 6)), epochs=200)
    winner = int((start**2).sum(axis=1).argmax())
    np.testing.assert_allclose(w[winner], 6 ** (-1 / 3), atol=1e-3)


@pytest.mark.parametrize("loop", krotov2019.LOOPS)
def test_one_hidden_unit_has_nobody_to_compete_with(loop: str) -> None:
    """At rest it passes on its current. Rejects inhibition of itself in either form of the loop."""
    w = np.random.default_rng(4).normal(size=(1, 6))
    circuit = slow(n_hidden=1, loop=loop, initial=nc.Given(w))
    probe = nc.Phase("probe", {"S": nc.Patterns(U)}, plasticity=False, record=nc.Record("r"))
    rates = recorded(run(circuit, probe, engine=nc.SteadyState()))
    np.testing.assert_allclose(rates, np.maximum(U @ w.T, 0), atol=1e-10)


def test_fewer_images_than_a_minibatch_are_one() -> None:
    """Rejects a minibatch that is dropped, or filled up."""
    start = nc.Given(np.random.default_rng(5).normal(size=(5, 6)))
    np.testing.assert_array_equal(
        learned(ranked(initial=start), U[:3], batch=100), learned(ranked(initial=start), U[:3], batch=3)
    )


# --- classifiers

X = np.random.default_rng(6).random((30, 6))
Y = np.arange(30) % 3
NAMES = ["PowerClassifier", "SigmoidClassifier", "BackpropClassifier", "SigmoidBackpropClassifier"]
EVERY = pytest.mark.parametrize("name", NAMES)


def fitted(name: str, x: Any = X, y: Any = Y, watch: Any = None, watch_every: int = 1, **settings: Any) -> Any:
    """A classifier of the package, trained for two epochs."""
    pytest.importorskip("torch", reason="torch is not installed; get it with: pip install 'neurocircuits[torch]'")
    from neurocircuits import readout

    size = {"n_hidden": 4} if "Backprop" in name else {}
    classifier = getattr(readout, name)(**{"epochs": 2, "random_state": 0, **size, **settings})
    return classifier.fit(x, y, watch=watch, watch_every=watch_every)


BAD_DATA: dict[str, tuple[dict[str, Any], str]] = {
    "NaN": ({"x": np.where(X > 0.9, np.nan, X)}, "Input X contains NaN"),
    "infinity": ({"x": np.where(X > 0.9, np.inf, X)}, "Input X contains infinity"),
    "a label that is NaN": ({"y": np.where(Y == 1, np.nan, Y)}, "Input y contains NaN"),
    "labels that are no classes": ({"y": X[:, 0]}, "Unknown label type: continuous"),
    "one class": ({"y": np.zeros(30)}, "fit: y has one class, 0.0; give two or more"),
    "fewer labels than images": ({"y": Y[:5]}, r"inconsistent numbers of samples: \[30, 5\]"),
    "NaN to watch": ({"watch": {"test": (np.full((3, 6), np.nan), Y[:3])}}, "Input X contains NaN"),
    "images of another size to watch": ({"watch": {"test": (X[:3, :4], Y[:3])}}, "X has 4 features, but .* expecting 6"),
    "fewer labels to watch": ({"watch": {"test": (X[:3], Y[:2])}}, r"inconsistent numbers of samples: \[3, 2\]"),
    "never to watch": ({"watch_every": 0}, "watch_every 0 is not a positive whole number"),
    "an optimiser that is none": ({"optimiser": "Adamm"}, "optimiser 'Adamm' is none of torch.optim"),
    "no minibatch": ({"batch": 0}, "batch: 0 is not a positive whole number"),
    "a rate for all": ({"rates": 0.1}, r"rates: 0.1 must be pairs \(fraction of the epochs, rate\)"),
    "epochs as fractions": ({"rates": ((0.0, 0.1), (100.0, 0.01))}, "stay below 1"),
}  # fmt: skip


@EVERY
@pytest.mark.parametrize("case", BAD_DATA)
def test_classifiers_refuse(name: str, case: str) -> None:
    given, words = BAD_DATA[case]
    with pytest.raises(ValueError, match=words):
        fitted(name, **given)


@pytest.mark.parametrize("name", ["BackpropClassifier", "SigmoidBackpropClassifier"])
@pytest.mark.parametrize("value", [0, -1, 2.5, "many"])
def test_a_hidden_layer_without_units_is_refused(name: str, value: Any) -> None:
    with pytest.raises(nc.ValidationError, match=f"^{name}.n_hidden: {value!r} is not a positive whole number"):
        fitted(name, n_hidden=value)


@pytest.mark.parametrize("name", ["PowerClassifier", "BackpropClassifier"])
@pytest.mark.parametrize("setting", ["n", "m", "beta"])
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, "large"])
def test_powers_and_gains_that_are_none_are_refused(name: str, setting: str, value: Any) -> None:
    with pytest.raises(nc.ValidationError, match=f"{name}.{setting}: {value!r} is not positive"):
        fitted(name, **{setting: value})


@EVERY
def test_a_label_that_was_never_learned_counts_as_an_error(name: str) -> None:
    """In what is watched and in the score. What is predicted is always one of the classes."""
    classifier = fitted(name, watch={"test": (X[:4], [7, 8, 9, 7]), "known": (X, Y)})
    assert classifier.history_["error_test"] == [1.0, 1.0]
    assert classifier.score(X[:4], [7, 8, 9, 7]) == 0.0
    assert classifier.history_["error_known"][-1] == pytest.approx(1 - classifier.score(X, Y))
    assert set(classifier.predict(X)) <= {0, 1, 2}


def test_the_power_layer_takes_negative_values_for_silence() -> None:
    classifier = fitted("PowerClassifier", X - 0.5)
    np.testing.assert_array_equal(classifier.outputs(X - 0.5), classifier.outputs(np.maximum(X - 0.5, 0)))
    np.testing.assert_array_equal(classifier.outputs(-X), 0.0)


@EVERY
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_images_leave_a_guess(name: str, value: float) -> None:
    """Rejects a scale of 0 that divides, and outputs that are no numbers."""
    classifier = fitted(name, np.full((30, 6), value))
    outputs = classifier.outputs(np.full((4, 6), value))
    assert np.isfinite(outputs).all() and (outputs == outputs[0]).all()


@EVERY
def test_fewer_images_than_a_minibatch_are_one_for_classifiers(name: str) -> None:
    few, whole = fitted(name, X[:5], Y[:5], batch=100), fitted(name, X[:5], Y[:5], batch=5)
    np.testing.assert_array_equal(few.outputs(X), whole.outputs(X))


def test_one_hidden_unit_of_the_control_learns() -> None:
    assert fitted("BackpropClassifier", n_hidden=1).parameters_["W"].shape == (6, 1)
    assert fitted("PowerClassifier", X[:, :1]).outputs(X[:, :1]).shape == (30, 3)
