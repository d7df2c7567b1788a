"""Recurrent weights of the subLSTM column in spikes: against the discrete cell, within the noise of counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2, norm

import neurocircuits as nc
from neurocircuits.errors import ValidationError
from neurocircuits.models import costa2017, costa2017_spikes
from neurocircuits.models._costa2017_counted import counted
from tests.references import columns

D, REST, DT, N, COPIES = 0.1, 0.1, 2e-4, 40, 16
CHANCE = 1e-5  # that a right program fails a comparison
RECORD = nc.Record("c", "average", "held", populations=("C", "held", "held_relay"), spikes=("H",))


def replayed(
    weights: dict[str, np.ndarray], x: np.ndarray, n: int, record: nc.Record, n_pool: int = N, seed: int = 0
) -> tuple[Any, np.ndarray]:
    """The result for n copies of one sequence, (time, D), and their h, (time, n, H)."""
    circuit = costa2017_spikes.circuit(weights=weights, n_pool=n_pool, presentation=D)
    shown = costa2017.protocol(np.repeat(x[:, None], n, axis=1), D + REST, D, record=record)
    tree = nc.run(circuit, shown, nc.Brian2(dt=DT, batch=n, tolerance=None), seed=seed, progress=False)
    return tree, costa2017_spikes.outputs(tree, n, len(weights["W_z"]), dt=DT)["h"]


def inputs(n_time: int) -> np.ndarray:
    return np.random.default_rng(7).normal(size=(n_time, 2))


def cell(weights: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    return columns.discrete(weights, x[:, None])[:, 0]


def counts(weights: dict[str, np.ndarray], x: np.ndarray, n_pool: int = N) -> np.ndarray:
    return counted(weights, np.repeat(x[:, None], 4000, axis=1), n_pool, presentation=D, read=REST - 0.005)


def with_recurrent(weights: dict[str, np.ndarray], change: Any) -> dict[str, np.ndarray]:
    return {name: change(value) if name.startswith("R_") else value for name, value in weights.items()}


def check_mean(h: np.ndarray, expected: np.ndarray, derived: np.ndarray, late: Any = 0.0) -> None:
    """The mean over copies is what is expected, within its derived noise and what comes late."""
    error = derived.std(axis=1) / np.sqrt(h.shape[1])
    assert (np.abs(h.mean(axis=1) - expected) < norm.ppf(1 - CHANCE / 2 / expected.size) * error + late).all()


def check_variance(h: np.ndarray, derived: np.ndarray) -> None:
    """The variances of copies are those derived, each and all together; the latter as if steps were one."""
    ratio, freedom, one = h.var(axis=1, ddof=1) / derived.var(axis=1), h.shape[1] - 1, h[:, 0].size
    low, high = chi2.ppf([CHANCE / 2 / one, 1 - CHANCE / 2 / one], freedom) / freedom
    assert (low < ratio).all() and (ratio < high).all(), ratio
    low, high = chi2.ppf([CHANCE / 2, 1 - CHANCE / 2], freedom * h.shape[2]) / (freedom * h.shape[2])
    assert low < ratio.mean() < high, ratio.mean()


# of 400 random cells the one whose h differs most, by 0.14 at least, from those of the wrong cells below
WEIGHTS, X = columns.random_weights(2, 2, seed=0), inputs(4)


@pytest.fixture(scope="module")
def run() -> tuple[Any, np.ndarray]:
    return replayed(WEIGHTS, X, COPIES, RECORD)


def test_the_mean_of_copies_is_the_discrete_cell(run: tuple[Any, np.ndarray]) -> None:
    """Rejects recurrent input that is off, of the other sign, transposed, or of a gate only; h that is not held."""
    h, expected, derived = run[1], cell(WEIGHTS, X), counts(WEIGHTS, X)
    late = np.abs(derived.mean(axis=1) - expected)
    assert late.max() < 0.02  # a tenth of the change of gates at most comes late, and sigma' is 1/4 at most
    check_mean(h, expected, derived, late)
    check_mean(h, derived.mean(axis=1), derived)
    check_variance(h, derived)
    # the comparison can fail: with noise that is derived for these, h is none of the cells that were not loaded
    for change in (lambda R: 0 * R, lambda R: -R, np.transpose):
        wrong = with_recurrent(WEIGHTS, change)
        with pytest.raises(AssertionError):
            check_mean(h, cell(wrong, X), counts(wrong, X), 0.02)
    for gate in "zifo":
        wrong = WEIGHTS | {f"R_{gate}": -WEIGHTS[f"R_{gate}"]}
        with pytest.raises(AssertionError):
            check_mean(h, cell(wrong, X), counts(wrong, X), 0.02)


def test_h_is_held_while_the_memory_is_open_and_counted_while_it_stands_still(run: tuple[Any, np.ndarray]) -> None:
    """Rejects a memory that goes on after the pulse, an h that moves when it should not, and two pools that differ."""
    tree, h = run

    def ends(population: str, variable: str) -> np.ndarray:
        """At the end of pulse and rest, (time, part, copy, unit, cell)."""
        values = tree[f"/populations/{population}"].ds[variable].values
        return values.reshape(len(X), 2, COPIES, -1, N)

    assert np.ptp(ends("C", "c"), axis=(1, 4)).max() < 1e-12
    for name in costa2017_spikes.HOLDING:
        average, held = ends(name, "average"), ends(name, "held")
        np.testing.assert_allclose(held[1:, 0], average[:-1, 1], atol=1e-12)  # taken over in the pulse
        np.testing.assert_array_equal(held[:, 1], held[:, 0])
        np.testing.assert_array_equal(average[1:, 0], average[:-1, 1])
        assert (held[0] == 0).all()
        both = (1 / D + 1 / 0.044) * 2 / (N * 200.0)  # variances of what is read and of what is held, at most
        assert np.abs(average[:, 1, ..., 0] - h).max() < 5 * np.sqrt(both)
    np.testing.assert_array_equal(ends("held", "held"), ends("held_relay", "held"))


def test_all_signs_are_legal() -> None:
    """Rejects signed weights, and cells that excite some and inhibit others."""
    circuit = costa2017_spikes.circuit(weights=WEIGHTS, n_pool=3)
    shown = replace(costa2017.protocol(X[:1, None], 0.02, 0.01, record=RECORD), weights=None)
    tree = nc.run(circuit, shown, nc.Brian2(dt=DT, tolerance=None), progress=False)
    assert circuit.dale == "enforced" and tree.attrs["dale_violations"] == 0 and tree.attrs["unconstrained"] == 0
    inhibitory = {p.name for p in circuit.populations if p.sign == "inhibitory"}
    assert inhibitory == {"I", "O", "L", "X_relay", "held_relay"}
    assert all((node.ds["w"].values >= 0).all() for node in tree["/synapses"].children.values() if "w" in node.ds)
    graded = {p.name for p in circuit.populations if not p.is_spiking}
    assert graded == {"X", "X_relay", "pulse"}


def test_without_recurrent_weights_nothing_is_held() -> None:
    """Rejects cells that hold h where no gate needs it: the circuit is the one of tests/models/test_costa2017_spikes."""
    names = {p.name for p in costa2017_spikes.circuit(weights=with_recurrent(WEIGHTS, np.zeros_like)).populations}
    assert names == {"X", "X_relay", "Z", "I", "O", "L", "C", "H"}
    one = with_recurrent(WEIGHTS, np.zeros_like) | {"R_f": np.array([[0.0, 0.1], [0.0, 0.0]])}
    synapses = costa2017_spikes.circuit(weights=one).synapses
    sent = {s.post for s in synapses if s.pre in costa2017_spikes.HOLDING}
    assert sent == {"L"}


@pytest.mark.slow
def test_a_longer_sequence_of_a_cell_with_constant_leaks() -> None:
    """Rejects errors that add up, and a leak that changes with h."""
    weights, x = columns.random_weights(4, 2, seed=9, fixed=True), inputs(6)
    h, derived, expected = replayed(weights, x, 12, costa2017_spikes.RECORD)[1], counts(weights, x), cell(weights, x)
    check_mean(h, derived.mean(axis=1), derived)
    check_mean(h, expected, derived, np.abs(derived.mean(axis=1) - expected))
    check_variance(h, derived)


@pytest.mark.slow
def test_noise_falls_as_one_over_the_number_of_cells() -> None:
    """Rejects one train for a whole pool, noise of the copying that stays, and noise that is counted for each cell."""
    variances = {}
    for n_pool in (20, 80):
        h = replayed(WEIGHTS, X, 48, costa2017_spikes.RECORD, n_pool)[1]
        check_variance(h, counts(WEIGHTS, X, n_pool))
        variances[n_pool] = h.var(axis=1, ddof=1).mean()
    assert variances[20] / variances[80] == pytest.approx(4, rel=4 * np.sqrt(4 / (8 * 47)))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: costa2017_spikes.circuit(weights=WEIGHTS, tau_average="0 ms"), "tau_average '0 ms'.*must all be pos"),
        (
            lambda: costa2017_spikes.circuit(weights=WEIGHTS, tau_latch="-1 ms"),
            "tau_latch '-1 ms' must all be positive",
        ),
        (lambda: costa2017_spikes.circuit(weights=WEIGHTS | {"R_f": np.ones((3, 3))}), r"'R_f' of shape \(3, 3\)"),
        (lambda: replay("live", WEIGHTS), "populations 'pulse' have no stimulus"),
        (lambda: replay("latched", with_recurrent(WEIGHTS, np.zeros_like)), "no population 'pulse'"),
    ],
)
def test_bad_input_gets_a_clear_error(call: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        call()


def replay(recurrence: str, weights: dict[str, np.ndarray]) -> None:
    """Show a sequence as if recurrent weights were others."""
    shown = costa2017.protocol(X[:, None], D + REST, D, recurrence, record=costa2017_spikes.RECORD)
    circuit = costa2017_spikes.circuit(weights=weights, n_pool=2)
    nc.run(circuit, shown, nc.Brian2(dt=DT, tolerance=None), progress=False)


def test_synapses_of_columns_are_those_of_dense_masks() -> None:
    """Rejects pairs of other columns, and weights in another order than their pairs."""
    post, pre = np.repeat(np.arange(3), 4), np.repeat(np.arange(3), 2)
    found, expected = costa2017.same_column(3, 4, 2), np.nonzero(post[:, None] == pre)
    np.testing.assert_array_equal(found.post.values, expected[0])
    np.testing.assert_array_equal(found.pre.values, expected[1])
    values = {f"R_{gate}": np.random.default_rng(k).normal(size=(3, 3)) for k, gate in enumerate("zifo")}
    values["R_z"][0] = 0.0
    sent = {(each.pre, each.post): each for each in costa2017_spikes._recurrent(values, 2, 0.5) if each.pre != "pulse"}
    for gate, name in costa2017_spikes.POOLS.items():
        R = np.kron(values[f"R_{gate}"], np.ones((2, 2)))
        for pre_name, part in zip(costa2017_spikes.HOLDING, (np.maximum(R, 0), np.maximum(-R, 0)), strict=True):
            one = sent[pre_name, name]
            rebuilt = np.zeros_like(R)
            rebuilt[one.connectivity.post.values, one.connectivity.pre.values] = one.weights.values.values
            np.testing.assert_allclose(rebuilt, part)
